"""Keeps the discriminator in step with the generator, which Goodfellow et al. (2014), section 6, leave to the user."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch

from evenodds.errors import BadInput
from evenodds.game.dial import Dial
from evenodds.game.learners import Gradient
from evenodds.game.rules import Move, Progress, State
from evenodds.game.trainer import Stage

__all__ = ["Balance", "Lever", "Penalty", "Rate", "Steps"]


class Lever(Protocol):
    """A means to make the discriminator stronger or weaker."""

    def pull(self, strength: float) -> None:
        """Sets the strength of the discriminator; 1 is what the configuration says."""
        ...


@dataclass
class Steps:
    """The number of discriminator moves per generator move, k of Algorithm 1: a power of two from 1/8 to 8.

    `gate` gives the moves a count of rounds of their own, so that a lazy penalty keeps its share of the moves.
    """

    ratio: float = 1.0

    def pull(self, strength: float) -> None:
        self.ratio = 2.0 ** round(math.log2(strength))

    def gate(self, moves: Sequence[Move]) -> tuple[Move, ...]:
        """The moves of one player each, played when they are due."""
        if any(len(move.movers) != 1 for move in moves):
            raise BadInput("balance by steps needs alternating moves; set simultaneous=false or balance=rate")
        return tuple(self._gated(move) for move in moves)

    def _gated(self, move: Move) -> Move:
        discriminates = move.movers == ("discriminator",)

        def when(progress: Progress) -> bool:
            share = min(1.0, self.ratio if discriminates else 1 / self.ratio)
            own = math.floor(progress.round * share)
            due = own > math.floor((progress.round - 1) * share)
            return due and move.when(replace(progress, round=own))

        return replace(move, when=when)


@dataclass
class Rate:
    """The discriminator's learning rate."""

    learner: Gradient
    own: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.own = list(self.learner.base["discriminator"])

    def pull(self, strength: float) -> None:
        # From the rates as they were: products of many steps would round differently after a resume.
        self.learner.base["discriminator"] = [rate * strength for rate in self.own]


@dataclass
class Penalty:
    """The weight of the discriminator's penalty; a stronger discriminator has a lighter one."""

    dial: Dial

    def pull(self, strength: float) -> None:
        self.dial.turn(1 / strength)


@dataclass
class Balance:
    """Holds the discriminator's held-out margin at a target, by one lever.

    The margin is 2 P(D(x) > D(G(z))) - 1 for an unseen item x and a sample: 0 at even odds, 1 where every item is told
    from every sample; it does not depend on the loss. An integral controller: the logarithm of the strength changes
    by gain * (target - margin) at each look.

    Args:
        lever: what is changed.
        margin: measures it; it must not touch the run's random state.
        every_images: from one look to the next.
        target: of the margin.
        gain: of the controller, above 0.
        limit: the strength stays in [1 / limit, limit].
    """

    lever: Lever
    margin: Callable[[], float]
    every_images: int
    target: float = 0.5
    gain: float = 0.5
    limit: float = 8.0
    strength: float = field(init=False, default=1.0)
    last: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if not -1 < self.target < 1 or self.gain <= 0 or self.limit < 1:
            got = f"{self.target}, {self.gain}, {self.limit}"
            raise BadInput(f"balance needs target in (-1, 1), gain > 0 and limit >= 1, got {got}")

    def begin(self, stage: Stage) -> None:
        if not stage.progress.round:
            self.last = stage.progress.images

    def hear(self, stage: Stage) -> None:
        if stage.progress.images - self.last < self.every_images:
            return
        self.last, margin = stage.progress.images, self.margin()
        self._pull(self.strength * math.exp(self.gain * (self.target - margin)))
        stage.terms |= {"balance/margin": torch.tensor(margin), "balance/strength": torch.tensor(self.strength)}

    def _pull(self, strength: float) -> None:
        strength = min(self.limit, max(1 / self.limit, strength))
        self.lever.pull(strength)
        self.strength = strength

    def end(self, stage: Stage) -> None:
        """Nothing to close."""

    def state(self) -> State:
        return State({}, {"strength": self.strength, "last": self.last})

    def restore(self, state: State) -> None:
        self.last = int(str(state.data["last"]))
        self._pull(float(str(state.data["strength"])))
