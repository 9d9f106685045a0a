"""Rounds that are played before a run, on a copy that is thrown away, to find out how fast they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from evenodds.game.checkpoint import LARGEST
from evenodds.game.pace import Way, rates_in_turn
from evenodds.game.rules import Progress
from evenodds.game.trainer import Training, train
from evenodds.runs.config import Config

if TYPE_CHECKING:
    from evenodds.runs.assembly import Run

__all__ = ["Probe", "long_probe", "rates_of"]

WORTHWHILE = 30.0
"""Seconds of a run below which nothing is measured before it."""
FEW_ROUNDS = 50
"""Rounds of a run below which not even its length in seconds is measured."""


@dataclass(frozen=True)
class Probe:
    """The rounds of a run that come next.

    Args:
        run: which is thrown away afterwards, for it is played.
        progress: where the rounds begin, each time; it stays.
    """

    run: Run
    progress: Progress

    def play(self, rounds: int) -> Progress:
        """Where so many rounds lead to."""
        run, listeners = self.run, [*self.run.listeners.values(), _Rounds(rounds)]
        return train(
            run.game, run.feed, run.learner, run.engine,
            images=LARGEST, seed=run.config.seed, progress=replace(self.progress), listeners=listeners,
        )  # fmt: skip

    @cached_property
    def images(self) -> int:
        """Real images of a round. One is played, which prepares much that the others use."""
        return self.play(1).images - self.progress.images


def rates_of(probes: Mapping[Way, Probe], seconds: float) -> dict[Way, float]:
    """Images per second of each probe, measured in turn.

    Args:
        seconds: about how long it takes in all.
    """
    with torch.random.fork_rng():
        images = {way: probe.images for way, probe in probes.items()}
        rates = rates_in_turn({way: probe.play for way, probe in probes.items()}, seconds)
    return {way: rate * images[way] for way, rate in rates.items()}


def long_probe(config: Config, seconds: float | None, make: Callable[[], Run]) -> Probe | None:
    """A probe at the start of a run that takes more than 30 seconds, so that measuring before it can pay; else None.

    Args:
        seconds: of its budget; None where the configuration says the length, which is then measured by a round.
        make: builds the run.
    """
    short = seconds < WORTHWHILE if seconds is not None else config.images < FEW_ROUNDS * config.batch
    if short:
        return None
    probe = Probe(make(), Progress(config.images))
    if seconds is None and config.images <= WORTHWHILE * rates_of({"": probe}, 0.0)[""]:
        return None
    return probe


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
