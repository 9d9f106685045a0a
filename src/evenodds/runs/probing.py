"""Rounds that are played before a run, on a copy that is thrown away, to find out how fast they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from evenodds.game.checkpoint import LARGEST
from evenodds.game.pace import rates_in_turn
from evenodds.game.rules import Progress
from evenodds.game.trainer import Training, train
from evenodds.runs.config import Config

if TYPE_CHECKING:
    from evenodds.runs.assembly import Run

__all__ = ["is_long", "played"]

WORTHWHILE = 30.0
"""Seconds of a run below which nothing is measured before it."""
FEW_ROUNDS = 50
"""Rounds of a run below which not even its length in seconds is measured."""


def is_long(config: Config, seconds: float | None, make: Callable[[], Run]) -> bool:
    """Whether a run takes more than 30 seconds, so that measuring before it can pay.

    Args:
        seconds: of its budget; None where the configuration says the length, which is then measured by a round.
        make: builds the run, to be thrown away.
    """
    if seconds is not None:
        return seconds >= WORTHWHILE
    if config.images < FEW_ROUNDS * config.batch:
        return False
    run = make()
    with torch.random.fork_rng():
        played(run, Progress(config.images), 1)  # the first round prepares much that the others use
        rates = rates_in_turn({"": lambda rounds: played(run, Progress(config.images), rounds)}, 0.0)
    return config.images > WORTHWHILE * rates[""] * config.batch


def played(run: Run, progress: Progress, rounds: int) -> Progress:
    """Where so many rounds lead to from there; the progress that is given stays."""
    listeners = [*run.listeners.values(), _Rounds(rounds)]
    return train(
        run.game, run.feed, run.learner, run.engine,
        images=LARGEST, seed=run.config.seed, progress=replace(progress), listeners=listeners,
    )  # fmt: skip


@dataclass
class _Rounds:
    """Ends the game after so many rounds."""

    left: int

    def begin(self, training: Training) -> None:
        """Waits for rounds."""

    def after_round(self, training: Training) -> None:
        self.left -= 1
        training.stop = self.left <= 0

    def end(self, training: Training) -> None:
        """Nothing to close."""
