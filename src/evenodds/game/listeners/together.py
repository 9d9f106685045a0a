"""Lets the processes of a run end it together, and have the same plan of its length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from evenodds.game import processes
from evenodds.game.trainer import Listener, Training

__all__ = ["Together", "Working"]


@dataclass
class Working:
    """Called before all other listeners: what they do may take its time, and no process counts as hanging meanwhile."""

    def begin(self, training: Training) -> None:
        """Nothing is played yet."""

    def after_round(self, training: Training) -> None:
        _note("works")

    def end(self, training: Training) -> None:
        _note("works")


@dataclass
class Together:
    """Called after all other listeners: processes agree after each round.

    The run ends for all where it ends for one. Its length is that of process 0, whose listeners look at the clock.
    """

    _training: Training | None = None

    def around(self, listeners: Sequence[Listener]) -> list[Listener]:
        """The listeners, with what lets processes end a run together; as they are where there is one."""
        return [Working(), *listeners, self] if processes.size() > 1 else list(listeners)

    def begin(self, training: Training) -> None:
        self._training = training
        _note("plays")

    def after_round(self, training: Training) -> None:
        progress = training.progress
        first, share = progress.changed
        plan = [float(training.length), float(progress.total), float(progress.plan), float(first), share]
        agreed = _sum([float(training.stop), *(plan if not processes.follows() else [0.0] * len(plan))])
        training.stop = agreed[0] > 0
        training.length, progress.total, progress.plan = (int(value) for value in agreed[1:4])
        progress.changed = int(agreed[4]), agreed[5]
        _note("plays")

    def end(self, training: Training) -> None:
        """Nothing to close."""

    def leave(self) -> None:
        """Ends the run for all where a round of this process has failed: it stands for the agreement after it."""
        if self._training is not None and not self._training.whole:
            _sum([1.0, *[0.0] * 5])


def _sum(values: list[float]) -> list[float]:
    """The sums over all processes; numbers up to 2^53 are exact."""
    tensor = torch.tensor(values, dtype=torch.float64)
    processes.total([tensor])
    summed: list[float] = tensor.tolist()
    return summed


def _note(state: str) -> None:
    link = processes.joined()
    if link is not None:
        link.now(state)
