"""Writes the history of a run: one line of JSON per interval."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from evenodds.files.write import write_json_lines
from evenodds.game.history import read_history
from evenodds.game.listeners.context import Order, RunContext, interval
from evenodds.game.trainer import Training

__all__ = ["Log"]


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
        """Writes a line now, unless the last one says the same; a term that is not finite is null."""
        if not more and self.lines and int(self.lines[-1]["images"]) == training.progress.images > 0:
            return
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
