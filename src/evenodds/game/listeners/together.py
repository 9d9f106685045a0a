"""Lets the processes of a run end it together, and have the same plan of its length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from evenodds.game import exchange, processes
from evenodds.game.learners import Gradient
from evenodds.game.trainer import Listener, Training

__all__ = ["Together", "Working"]


@dataclass
class Working:
    """Called before all other listeners: what they do may take its time, and no process counts as hanging meanwhile.

    Where a checkpoint is due, what learners share among processes is collected for it.
    """

    together: Together

    def begin(self, training: Training) -> None:
        """Nothing is played yet."""

    def after_round(self, training: Training) -> None:
        _note("works")
        if self.together.is_due(training):
            collect(training)

    def end(self, training: Training) -> None:
        _note("works")
        if training.whole and not self.together.failed:
            collect(training)


def collect(training: Training) -> None:
    """Lets process 0 have all that learners remember."""
    for learner in {id(one): one for one in training.learners.values()}.values():
        if isinstance(learner, Gradient):
            learner.collect()


@dataclass
class Together:
    """Called after all other listeners: processes agree after each round.

    The run ends for all where it ends for one. Its length is that of process 0, whose listeners look at the clock.
    Where checkpoints are due, their players are compared: other processors may round otherwise, and a network of one's
    own may keep statistics of its slice.

    Args:
        every_images: from one checkpoint to the next; 0 for none.
        say: told where players had to be handed over again.
    """

    every_images: int = 0
    say: Callable[[str], None] = lambda line: None
    failed: bool = False
    """Whether the run ends because a round of a process has failed."""
    _training: Training | None = None
    _turn: int = 0

    def around(self, listeners: Sequence[Listener]) -> list[Listener]:
        """The listeners, with what lets processes end a run together; as they are where there is one."""
        return [Working(self), *listeners, self] if processes.size() > 1 else list(listeners)

    def begin(self, training: Training) -> None:
        self._training, self._turn = training, self._turn_of(training)
        _note("plays")

    def is_due(self, training: Training) -> bool:
        """Whether a checkpoint is due, as `Save` has it."""
        return self._turn_of(training) != self._turn

    def _turn_of(self, training: Training) -> int:
        return training.progress.position // self.every_images if self.every_images else 0

    def after_round(self, training: Training) -> None:
        progress = training.progress
        first, share = progress.changed
        due = self.is_due(training)
        plan = [float(training.length), float(progress.total), float(progress.plan), float(first), share]
        agreed = _sum([float(training.stop), *(plan if not processes.follows() else [0.0] * len(plan))])
        training.stop, self.failed = agreed[0] > 0, agreed[1] == 0
        training.length, progress.total, progress.plan = (int(value) for value in agreed[1:4])
        progress.changed = int(agreed[4]), agreed[5]
        self._turn = self._turn_of(training)
        if due and not self.failed:
            self._compare(training)
        _note("plays")

    def _compare(self, training: Training) -> None:
        """Hands the players of process 0 over again where those of others have become different ones."""
        others = exchange.drifted(training.game.players)
        if others:
            self.say(
                f"after {training.progress.images:,} {training.noun} the weights or buffers of process "
                f"{', '.join(map(str, others))} had become others than those of process 0; all have these again "
                "(processors of different kinds round differently, and so do networks that keep statistics of a slice)"
            )

    def end(self, training: Training) -> None:
        """Nothing to close."""

    def leave(self) -> None:
        """Ends the run for all where a round of this process has failed: it stands for the agreement after it."""
        if self._training is not None and not self._training.whole:
            _sum([1.0, *[0.0] * 5])


def _sum(values: list[float]) -> list[float]:
    """The sums over all processes; numbers up to 2^53 are exact."""
    tensor = torch.tensor(values, dtype=torch.float64)
    exchange.total([tensor])
    summed: list[float] = tensor.tolist()
    return summed


def _note(state: str) -> None:
    link = processes.joined()
    if link is not None:
        link.now(state)
