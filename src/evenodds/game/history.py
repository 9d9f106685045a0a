"""The history of a run, metrics.jsonl: one line of JSON per interval, read without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from evenodds.errors import BadInput
from evenodds.files.read import Lines, as_type, read_json_lines

__all__ = ["is_line", "last_verdict", "read_history"]


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


def last_verdict(lines: Sequence[Mapping[str, Any]], noun: str) -> str:
    """The last verdict, when it was given and why; empty where there is none.

    Args:
        noun: what items are called, in the plural.
    """
    line = next((line for line in reversed(lines) if line.get("verdict")), None)
    return "" if line is None else f"{line['verdict']}, at {line['images']:,} {noun}: {line.get('why') or 'unknown'}"
