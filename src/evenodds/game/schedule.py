"""When a move is played, and how a number changes over a run. All are functions of the progress alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from evenodds.errors import BadInput

__all__ = [
    "OnProgress",
    "Progress",
    "Schedule",
    "When",
    "after",
    "always",
    "both",
    "but_every",
    "constant",
    "cosine",
    "every",
    "from_share",
    "linear",
    "until_share",
]


OnProgress = Callable[[int, int], None]
"""Told (pieces done, pieces in all) by work that takes long."""


@dataclass
class Progress:
    """How far a run has come. Time is counted in real images shown to the discriminator.

    Example:
        >>> from evenodds import Progress
        >>> Progress(total=1000, images=250).share
        0.25
    """

    total: int
    """Images that the whole run will show; schedules end here."""
    images: int = 0
    """Images shown so far; also the position in the data."""
    round: int = 0
    """Rounds played; a round plays each move of the game once (or `repeat` times)."""
    plan: int = 0
    """The total that was planned first, where it was changed since; 0 where it was not."""
    changed: tuple[int, float] = (0, 0.0)
    """Images, and the share of the run that was over, when the total was last changed."""

    @property
    def share(self) -> float:
        """The part of the run that is over, in [0, 1]."""
        first, before = self.changed
        if self.total <= first:
            return 1.0
        return min(1.0, before + (1 - before) * ((self.images - first) / (self.total - first)))

    @property
    def position(self) -> int:
        """The images at which the first plan had the same share: intervals are counted by it."""
        return round(self.share * self.plan) if self.plan else self.images

    def replan(self, total: int) -> None:
        """Changes the length. The share stays, and what is left of it is spread over the images that are left."""
        self.plan, self.changed = self.plan or self.total, (self.images, self.share)
        self.total = max(total, self.images)


When = Callable[[Progress], bool]
Schedule = Callable[[Progress], float]


def always(progress: Progress) -> bool:
    """In every round."""
    return True


def every(n: int) -> When:
    """In rounds 0, n, 2n, ...: a lazy penalty, or one discriminator move per n generator moves."""
    if n < 1:
        raise BadInput(f"every(n) needs n >= 1, got {n}")
    return lambda progress: progress.round % n == 0


def but_every(n: int) -> When:
    """In all rounds in which every(n) is not played."""
    played = every(n)
    return lambda progress: not played(progress)


def after(images: int) -> When:
    """Once `images` real images were shown."""
    return lambda progress: progress.images >= images


def until_share(share: float) -> When:
    """In the first part of the run, before `share` of it is over."""
    return lambda progress: progress.share < share


def from_share(share: float) -> When:
    """In the rest of the run, once `share` of it is over."""
    return lambda progress: progress.share >= share


def both(first: When, second: When) -> When:
    """In rounds in which each of two would be played."""
    return lambda progress: first(progress) and second(progress)


def constant(progress: Progress) -> float:
    """1 throughout."""
    return 1.0


def linear(start: float = 0.5, end: float = 0.0) -> Schedule:
    """1 until the share `start` of the run, then a straight line to `end` at its close."""
    return _decay(start, end, lambda t: t)


def cosine(start: float = 0.0, end: float = 0.0) -> Schedule:
    """1 until the share `start` of the run, then half a cosine to `end` at its close."""
    return _decay(start, end, lambda t: 0.5 - 0.5 * math.cos(math.pi * t))


def _decay(start: float, end: float, shape: Callable[[float], float]) -> Schedule:
    if not 0 <= start < 1:
        raise BadInput(f"a decay starts at a share of the run in [0, 1), got {start}")
    return lambda progress: 1 - (1 - end) * shape(max(0.0, (progress.share - start) / (1 - start)))
