"""Rounds that are played before a run, on a copy that is thrown away, to find out how fast they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING

import torch

from evenodds.game.checkpoint import LARGEST
from evenodds.game.pace import Way, rates_in_turn
from evenodds.game.rules import Progress
from evenodds.game.trainer import Training, train
from evenodds.runs.config import Config

if TYPE_CHECKING:
    from evenodds.runs.assembly import Run

__all__ = ["Ahead", "Probe", "in_words", "rates_of", "rounded"]

WORTHWHILE = 30.0
"""Seconds of a run below which nothing is measured before it. What takes long to measure asks for more."""
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

    @property
    def noun(self) -> str:
        """What items of the run's data are called."""
        return self.run.dataset.noun

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


def in_words(rates: Mapping[str, float], noun: str, by: str = "") -> str:
    """Rates as a sentence: "rows per second: 227 in float32, 289 in bfloat16".

    Args:
        rates: by how it is played.
        noun: what is counted.
        by: what the ways differ in, where they do not say it.
    """
    return f"{noun} per second{by}: {', '.join(f'{rate:,.0f} {way}' for way, rate in rates.items())}"


def rounded(rates: Mapping[Way, float]) -> dict[Way, float]:
    """Rates as they are written down."""
    return {way: round(rate, 1) for way, rate in rates.items()}


@dataclass
class Ahead:
    """The run that is ahead, for what is measured before it: how long it takes, and rounds of it.

    Args:
        config: with its length in images, where no budget decides it.
        budget: seconds; None where there is none.
        make: builds a run, to be thrown away.
        most: images that are played at most, of those that fit into the budget.
    """

    config: Config
    budget: float | None
    make: Callable[[Config], Run]
    most: int | None = None
    latest: list[Probe] = field(default_factory=list, init=False)
    measured: float = field(default=0.0, init=False)

    @property
    def images(self) -> int | None:
        """That are played at most; None where a budget alone decides that."""
        return self.config.images if self.budget is None else self.most

    @property
    def rounds(self) -> float:
        """That are played at most."""
        return inf if self.images is None else self.images / self.config.batch

    def probe(self, config: Config) -> Probe:
        """Rounds from the start of the run with that configuration; of the two latest ones no other run is built."""
        for probe in self.latest:
            if probe.run.config == config:
                return probe
        self.latest = [*self.latest[-1:], Probe(self.make(config), Progress(config.images))]
        return self.latest[-1]

    def takes(self, seconds: float, config: Config) -> bool:
        """Whether the run takes longer than that."""
        if self.budget is not None and (self.budget < seconds or self.images is None):
            return self.budget >= seconds
        return self.rounds >= FEW_ROUNDS and self.seconds(config) > seconds

    def seconds(self, config: Config) -> float:
        """About how long the run takes: its budget, or what rounds of that configuration say the first time."""
        if self.images is None:
            return self.budget or inf
        if not self.measured:
            self.measured = self.images / rates_of({"": self.probe(config)}, 0.0)[""]
        return min(self.measured, self.budget or inf)

    def forget(self) -> None:
        """The runs that were built are not asked for again: nothing of them stays once whoever has them returns."""
        self.latest.clear()


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
