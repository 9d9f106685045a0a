"""Evaluation while the game is played: cheap figures on held-out data, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from evenodds.game.listeners.context import Order, RunContext, generator_begins, interval
from evenodds.game.listeners.log import Log
from evenodds.game.trainer import Training

__all__ = ["Evaluate"]


@dataclass
class Evaluate:
    """Measures at every interval and writes the figures to the history.

    Args:
        measure: named figures of the game as it stands; "score", lower is better, chooses the best checkpoint. It must
            not touch the run's random state.
        every_images: interval.
        log: the history.
        begins: the share of the run at which the generator begins to learn; before it there is nothing to measure.
    """

    measure: Callable[[], Mapping[str, float]]
    every_images: int
    log: Log
    begins: float = 0.0
    figures: Mapping[str, float] = field(init=False, default_factory=dict)
    _last: int = field(init=False, default=-1)
    _turn: int = field(init=False, default=0)
    _ended: bool = field(init=False, default=False)
    order: ClassVar[Order] = Order.EVALUATE

    @classmethod
    def for_run(cls, run: RunContext) -> Self | None:
        """On where there is a history."""
        log = run.listeners.get("log")
        if not isinstance(log, Log):
            return None
        return cls(run.measure, interval(run.config, run.looks), log, generator_begins(run))

    def begin(self, training: Training) -> None:
        self._turn, self._ended = training.progress.position // self.every_images, False

    def after_round(self, training: Training) -> None:
        turn = training.progress.position // self.every_images
        if turn != self._turn:  # where a multiple is crossed, so that a resumed run measures at the same places
            self._turn = turn
            if training.progress.share >= self.begins:
                self.look(training)

    def end(self, training: Training) -> None:
        """What is saved now, wherever the run has ended, is scored."""
        self._ended = True

    def score(self, training: Training) -> Mapping[str, float]:
        """The figures of the game as it stands where they were just measured; at the end of the run they are now."""
        if self._last == training.progress.images:
            return self.figures
        if not self._ended:
            return {}
        self.look(training, extra=True)  # not where others are measured: no part of the trend
        return self.figures

    def look(self, training: Training, **more: bool) -> None:
        """Measures now."""
        self.figures, self._last = dict(self.measure()), training.progress.images
        self.log.write(training, **self.figures, **more)
