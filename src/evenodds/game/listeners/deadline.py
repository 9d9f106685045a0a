"""Ends a run in time, whatever its plan said."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from evenodds.game.trainer import Training

__all__ = ["Deadline"]


@dataclass
class Deadline:
    """Ends a run by the clock, and draws in its decays where fewer images will fit than were planned.

    Learning rates fall with the share of the planned images that were shown. A run that is cut off in the middle of
    that fall ends with rates that are too high; so where the machine is slower than it was measured to be, the planned
    total is lowered to what will fit, early, and the rates fall to their end in time. It never rises above the plan.

    Args:
        until: when the run must be over, on the clock of time.perf_counter.
        reserve: seconds to keep back for the last evaluation and checkpoint.
        say: gets a sentence where the plan changes.
    """

    until: float
    reserve: float = 0.0
    say: Callable[[str], None] = lambda line: None
    plan: int = field(init=False, default=0)
    total: int = field(init=False, default=0)
    """Images that will fit."""
    _from: tuple[int, float] = field(init=False, default=(0, 0.0))
    _next: float = field(init=False, default=0.0)

    def begin(self, training: Training) -> None:
        now = time.perf_counter()
        self.plan = self.plan or training.progress.total
        self.total = training.progress.total
        self._from, self._next = (training.progress.images, now), now + max(1.0, 0.05 * (self.until - now))

    def after_round(self, training: Training) -> None:
        now, progress = time.perf_counter(), training.progress
        if now >= self._next:
            self._next = now + max(1.0, 0.05 * (self.until - now))
            self._foresee(training, now)
        if now >= self.until - self.reserve or progress.images >= progress.total:
            training.stop = True

    def end(self, training: Training) -> None:
        """Nothing to close."""

    def _foresee(self, training: Training, now: float) -> None:
        progress, (first, begun) = training.progress, self._from
        rate = (progress.images - first) / (now - begun)
        fits = min(self.plan, progress.images + int(rate * max(0.0, self.until - self.reserve - now)))
        # A tenth of the rest either way is chance, and rates that twitch help nobody.
        if abs(fits - progress.total) > 0.1 * (progress.total - progress.images):
            self.say(
                f"{fits:,} images will fit the budget, not {progress.total:,}: the learning rates fall accordingly"
            )
            self.total = progress.total = fits
