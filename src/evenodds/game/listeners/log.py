"""The history of a run: one line of JSON per interval."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from msgspec import Meta

from evenodds.errors import BadInput
from evenodds.files.read import Lines, as_type, read_json_lines
from evenodds.files.write import write_json_lines
from evenodds.game.listeners.context import Order, RunContext, interval
from evenodds.game.trainer import Training

__all__ = ["Log", "is_line", "read_history"]


@dataclass
class Log:
    """Appends to `metrics.jsonl`: images, round, seconds, images per second, and every reported term.

    Args:
        path: of the file; lines past the position of a resume are taken back, since they will be written again.
        every_images: interval. Reading the terms waits for the device.
        say: gets a sentence where lines of the file are damaged.
    """

    path: Path
    every_images: int
    say: Callable[[str], None] = lambda line: None
    seconds: float = field(init=False, default=0.0)
    lines: list[dict[str, Any]] = field(init=False, default_factory=list)
    """The lines of the file, up to here."""
    _rate: float = field(init=False, default=0.0)
    _clock: float = field(init=False, default=0.0)
    _last: tuple[int, float] = field(init=False, default=(0, 0.0))
    """Images and seconds from which the rate is measured."""
    _written: int = field(init=False, default=0)
    """Images of the last line: a resumed run writes its lines where an uninterrupted one does."""
    order: ClassVar[Order] = Order.LOG

    @classmethod
    def for_run(cls, run: RunContext) -> Self | None:
        """On where the run has a folder; 200 lines beside those of other listeners."""
        return None if run.folder is None else cls(run.folder / "metrics.jsonl", interval(run.config, 200), run.say)

    def begin(self, training: Training) -> None:
        images, history = training.progress.images, read_history(self.path)
        if history.damaged:
            self.say(history.complaint)
        lines = [line for line in history.values if _stays(line, images)]
        self.lines = lines
        write_json_lines(self.path, lines)
        self.seconds = float(lines[-1].get("seconds", 0.0)) if lines else 0.0
        self._clock = time.perf_counter() - self.seconds
        self._last = (images, self.seconds)
        self._written = int(lines[-1]["images"]) if lines else 0

    def after_round(self, training: Training) -> None:
        if training.progress.images - self._written >= self.every_images:
            self.write(training)

    def end(self, training: Training) -> None:
        if training.whole and training.progress.images > self._written:
            self.write(training)

    def write(self, training: Training, **more: Any) -> None:
        """Writes a line now; a term that is not finite is null."""
        terms = training.engine.read(training.terms)
        self.seconds = time.perf_counter() - self._clock
        images, before = training.progress.images, self._last
        if images > before[0]:
            self._rate = (images - before[0]) / max(1e-9, self.seconds - before[1])
        line: dict[str, Any] = {"images": images, "round": training.progress.round, "seconds": round(self.seconds, 3)}
        line |= {"images_per_second": round(self._rate, 1)}
        line |= {name: value if math.isfinite(value) else None for name, value in terms.items()} | more
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
        self.lines.append(line)
        self._last, self._written = (images, self.seconds), images


def _stays(line: dict[str, Any], images: int) -> bool:
    """Whether a resumed run keeps a line; at the beginning only what was said of remedies: all else is said anew."""
    return bool(line["images"] <= images and (images > 0 or "remedy" in line))


@dataclass(frozen=True)
class _Figures:
    """What the lines of metrics.jsonl hold that others read by name; terms of players and figures of extras beside."""

    images: Annotated[int, Meta(ge=0, le=10**15)]
    round: Annotated[int, Meta(ge=0)] = 0
    seconds: Annotated[float, Meta(ge=0)] = 0.0
    images_per_second: float = 0.0
    verdict: str | None = None
    why: str | None = None
    remedy: str | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    finite: bool = True
    shares: list[float] | None = None
    spread: float | None = None
    distance: float | None = None
    apart: float = 1.0
    d_fake: float = 0.5
    d_memory: float = 0.5
    score: float | None = None
    score_low: float | None = None
    score_high: float | None = None
    copies: float = 0.0

    def __post_init__(self) -> None:
        glance, interval = (self.shares, self.spread, self.distance), (self.score_low, self.score_high)
        if None in glance and any(figure is not None for figure in glance):
            raise BadInput("a glance has shares, spread and distance")
        if self.score is not None and None in interval:
            raise BadInput("a score has an interval")


def is_line(value: dict[str, Any]) -> bool:
    """Whether a value is a line of a metrics.jsonl: what others read by name has its type."""
    try:
        as_type(value, _Figures, "a line")
    except BadInput:
        return False
    return True


def read_history(path: Path) -> Lines[dict[str, Any]]:
    """The lines of a metrics.jsonl, those that could be read; a last line that was cut short is left out uncounted.

    Every line has "images", and what others read by name has its type.

    Raises:
        BadInput: it is no regular file, or too large.
    """
    return read_json_lines(path, dict[str, Any], "move it away, and the run goes on without it", _Figures)
