"""Numbers that follow a schedule, and figures that are measured at an interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from evenodds.game.dial import Dial
from evenodds.game.rules import State
from evenodds.game.schedule import Schedule
from evenodds.game.trainer import Training

__all__ = ["Periodic", "Scheduled"]


@dataclass
class Scheduled:
    """Sets a dial by a schedule, before the first round and after each: curricula of top-k and of truncation.

    Args:
        dial: what is turned.
        schedule: its value as a function of the progress, so that nothing has to be kept for a resume.
        name: of the term that is reported.
    """

    dial: Dial
    schedule: Schedule
    name: str

    def begin(self, training: Training) -> None:
        self.dial.turn(self.schedule(training.progress))

    def after_round(self, training: Training) -> None:
        self.dial.turn(self.schedule(training.progress))
        training.terms[self.name] = self.dial.value.clone()

    def end(self, training: Training) -> None:
        """Nothing to close."""

    def state(self) -> State:
        return State()

    def restore(self, state: State) -> None:
        """Nothing to restore: the dial follows the progress."""


@dataclass
class Periodic:
    """Measures at every interval, and reports the figures among the terms until the next time.

    Args:
        measure: figures by name; it must not touch the run's random state.
        every_images: interval.
    """

    measure: Callable[[], Mapping[str, float]]
    every_images: int
    _last: int = field(init=False, default=0)

    def begin(self, training: Training) -> None:
        if not training.progress.round:
            self._last = training.progress.images

    def after_round(self, training: Training) -> None:
        if training.progress.images - self._last >= self.every_images:
            self._last = training.progress.images
            training.terms.update({name: torch.tensor(value) for name, value in self.measure().items()})

    def end(self, training: Training) -> None:
        """Nothing to close."""

    def state(self) -> State:
        return State({}, {"last": self._last})

    def restore(self, state: State) -> None:
        self._last = int(str(state.data["last"]))
