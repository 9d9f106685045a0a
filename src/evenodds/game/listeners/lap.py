"""Measures how fast a game is played."""

from __future__ import annotations

import time
from dataclasses import dataclass

from evenodds.game.exchange import agreed
from evenodds.game.trainer import Training

__all__ = ["Lap"]


@dataclass
class Lap:
    """Measures images per second over whole cycles of rounds, then ends the game."""

    warm_up: int
    rounds: int
    seconds: float
    rate: float = 0.0
    _from: tuple[int, float] = (0, 0.0)

    def begin(self, training: Training) -> None:
        """Waits for the warm-up."""

    def after_round(self, training: Training) -> None:
        now, done = time.perf_counter(), training.progress.round - self.warm_up
        if done <= 0:
            self._from = (training.progress.images, now)
        elif done % self.rounds == 0:
            training.engine.read(training.terms)
            spent = agreed(lambda: time.perf_counter() - self._from[1])
            self.rate = (training.progress.images - self._from[0]) / spent
            training.stop = spent >= self.seconds

    def end(self, training: Training) -> None:
        """Nothing to close."""
