"""Measures how fast a game is played."""

from __future__ import annotations

import time
from dataclasses import dataclass

from evenodds.game.trainer import Stage

__all__ = ["Lap"]


@dataclass
class Lap:
    """Measures images per second over whole cycles of rounds, then ends the game."""

    warm_up: int
    rounds: int
    seconds: float
    rate: float = 0.0
    _from: tuple[int, float] = (0, 0.0)

    def begin(self, stage: Stage) -> None:
        """Waits for the warm-up."""

    def hear(self, stage: Stage) -> None:
        now, done = time.perf_counter(), stage.progress.round - self.warm_up
        if done <= 0:
            self._from = (stage.progress.images, now)
        elif done % self.rounds == 0:
            stage.engine.read(stage.terms)
            self.rate = (stage.progress.images - self._from[0]) / (time.perf_counter() - self._from[1])
            stage.stop = now - self._from[1] >= self.seconds

    def end(self, stage: Stage) -> None:
        """Nothing to close."""
