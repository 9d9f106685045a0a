"""The history of a run as the rules of its verdict read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from evenodds.game.watch import thresholds as limit

__all__ = ["Cells", "Line", "RunHistory", "images_before", "round_of"]

Line = Mapping[str, Any]
"""A line of metrics.jsonl."""


@dataclass(frozen=True)
class Cells:
    """The parts of the data whose shares among the samples are counted: modes, classes or clusters."""

    names: Sequence[str]
    due: Sequence[float]
    """The share of held-out items in each."""
    n_held_out: int = 256
    """Held-out items that D scores in a glance."""
    n_trained: int = 256
    """Training items that D scores in a glance."""
    ground_truth: bool = True
    """Whether the cells are modes or classes of the data, not estimated clusters."""
    fixed: bool = False
    """Whether the samples never change, as those of a generator that was fitted before the game."""
    noun: str = "images"
    """What items are called."""

    @property
    def reported_loss(self) -> float:
        """The part of the data whose loss is reported."""
        return limit.REPORTED_LOSS if self.ground_truth else limit.ALARM_LOSS

    def mass(self, indices: Sequence[int]) -> float:
        """The part of the data in these cells."""
        return sum(self.due[k] for k in indices)

    def listed(self, indices: Sequence[int], most: int = 8) -> str:
        """The names of these cells, at most so many."""
        names = ", ".join(self.names[k] for k in indices[:most])
        return names + (f" and {len(indices) - most} more" if len(indices) > most else "")

    def relative(self, line: Line) -> list[float]:
        """The share of each cell over its due share; 1 where too little is due to tell."""
        pairs = zip(line["shares"], self.due, strict=True)
        return [share / due if due >= limit.LEAST_DUE else 1.0 for share, due in pairs]

    def counts(self, line: Line) -> bool:
        """Whether a line has a share for each of these cells."""
        return "shares" in line and len(line["shares"]) == len(self.due)

    def missing(self, lines: Sequence[Line]) -> list[int]:
        """The cells that are missing in all of the lines that count them."""
        counted = [self.relative(line) for line in lines if self.counts(line)]
        return [k for k in range(len(self.due)) if counted and all(part[k] < limit.MISSING for part in counted)]


@dataclass(frozen=True)
class RunHistory:
    """Lines of metrics.jsonl in their order, with what the cells mean and the images of the whole run.

    Lines of a glance have "spread", "distance", "apart", "shares", "d_fake" and "d_memory", see `Evidence.glance`.
    Lines of an evaluation have "score", "score_low", "score_high", and "copies" where copies were looked for.
    """

    lines: Sequence[Line]
    cells: Cells
    total: int
    """Images of the whole run."""

    @cached_property
    def glances(self) -> list[Line]:
        """The lines of glances, those with samples that are not finite among them."""
        return [line for line in self.lines if "spread" in line or line.get("finite") is False]

    def with_figure(self, name: str) -> list[Line]:
        """The glances that have this figure."""
        counted = [line for line in self.glances if name in line]
        return [line for line in counted if self.cells.counts(line)] if name == "shares" else counted

    def series(self, name: str) -> list[float]:
        """The values of a figure over the glances that have it."""
        return [float(line[name]) for line in self.with_figure(name)]

    @property
    def latest_round(self) -> int:
        """The round of the latest glance."""
        return round_of(self.glances[-1])

    def covered(self, line: Line, part: float) -> bool:
        """Whether a line lies beyond this part of the run."""
        return bool(line["images"] >= part * self.total)

    def halfway(self, line: Line) -> bool:
        """Whether samples have covered half of the way to the data, if they have one: before that, cells say little."""
        return self.cells.fixed or float(line["distance"]) < limit.HALFWAY * float(self.glances[0].get("distance", 0.0))


def round_of(line: Line) -> int:
    """The round of a line; 0 where it has none."""
    return int(line.get("round", 0))


def images_before(lines: Sequence[Line], count: int) -> int:
    """Images at the last line before the latest `count`; 0 where there is none."""
    return int(lines[-count - 1]["images"]) if len(lines) > count else 0
