"""Generation: p_g against p_data, Algorithm 1 of Goodfellow et al. (2014)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.rules import Batch, Costs, Move, Players, Task
from evenodds.game.schedule import but_every, every
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.priors import Prior
from evenodds.tasks._defaults import TaskDefaults
from evenodds.tasks._discriminator import DiscriminatorCosts
from evenodds.tasks._playable import NetworkSpec
from evenodds.tasks.contest import Contest

__all__ = ["Generate"]


@dataclass(frozen=True)
class Generate(DiscriminatorCosts, TaskDefaults):
    """A generator turns z into x; a discriminator tells x from data.

    Args:
        prior: of z.
        contest: loss, penalty and views.
        discriminator_steps: k of Algorithm 1.
        generator_steps: plays of the generator per round.
        simultaneous: in rounds without a penalty both move at once, from the same pass (simultaneous gradient descent
            in place of the alternating one of Algorithm 1; Mescheder et al. 2017). Faster; see
            Contest.simultaneous_costs for what it needs.
    """

    prior: Prior
    contest: Contest
    discriminator_steps: int = 1
    generator_steps: int = 1
    simultaneous: bool = False
    roles: ClassVar[tuple[str, ...]] = ("generator", "discriminator")

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The networks of both players, for items x of that shape."""
        return {
            "generator": NetworkSpec(self.generator_kind, (self.prior.size, tuple(shape))),
            "discriminator": NetworkSpec("Discriminator", (tuple(shape),)),
        }

    @property
    def deals_apart(self) -> bool:
        """Unless a task of this kind deals in another way."""
        return type(self).deal is Generate.deal

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """Adds "z" and the contest's draws."""
        return {**real, "z": self.prior(len(real["x"]), rng), **self.contest.deal(real["x"], rng)}

    def moves(self) -> Sequence[Move]:
        """k discriminator moves, with the penalty in every n-th round, then the generator's."""
        if self.simultaneous:
            return self._simultaneous_moves()
        discriminator_moves = self.contest.discriminator_moves(
            self.penalised_cost, self.plain_cost, self.discriminator_steps
        )
        return [*discriminator_moves, Move("generator", ("generator",), self.generator_cost, self.generator_steps)]

    def _simultaneous_moves(self) -> Sequence[Move]:
        if (self.discriminator_steps, self.generator_steps) != (1, 1):
            raise BadInput(
                "simultaneous moves are 1:1; set discriminator_steps=1 generator_steps=1, or simultaneous=false"
            )
        if not self.contest.slopes_everywhere:
            raise BadInput(
                "simultaneous moves need a loss that slopes at every logit, as hinge and least_squares do not; set "
                "loss=non_saturating, or simultaneous=false"
            )
        n = self.contest.every
        if self.contest.penalty is None:
            return [Move("discriminator", self.roles, self.simultaneous_cost)]
        if n == 1:
            raise BadInput("simultaneous moves are those without a penalty; set penalty_every=8, or simultaneous=false")
        penalised = self.contest.shared(self.penalised_cost, self.plain_cost)
        return [
            Move("discriminator", ("discriminator",), penalised, 1, every(n)),
            Move("generator", ("generator",), self.generator_cost, 1, every(n)),
            Move("discriminator", self.roles, self.simultaneous_cost, 1, but_every(n)),
        ]

    def _discriminator_cost(self, players: Players, hand: Batch, penalised: bool) -> Costs:
        with torch.no_grad():
            fake = players["generator"](hand["z"])
        return self.contest.discriminator_costs(players["discriminator"], hand["x"], fake, dict(hand), penalised)

    def generator_cost(self, players: Players, hand: Batch) -> Costs:
        """The generator's."""
        fake = players["generator"](hand["z"])
        return self.contest.generator_costs(players["discriminator"], hand["x"], fake, dict(hand))

    def simultaneous_cost(self, players: Players, hand: Batch) -> Costs:
        """Both players'."""
        fake = players["generator"](hand["z"])
        return self.contest.simultaneous_costs(players["discriminator"], hand["x"], fake, dict(hand))

    def request_for(self, real: Batch, rng: torch.Generator) -> Batch:
        """A request for one sample beside each real item; the samples are scored."""
        return {"z": self.prior(len(real["x"]), rng)}

    def unconditional(self, players: Players, shape: Sequence[int], c: Tensor | None = None) -> dict[str, nn.Module]:
        """The generator and, where its logits say which items are real, the discriminator, as they are."""
        judged = super().unconditional(players, shape, c)
        return judged if self.contest.oriented else {"generator": judged["generator"]}

    def of_two(self) -> Generate:
        """The game of generator and discriminator alone, without what a task of this kind adds to it."""
        return Generate(self.prior, self.contest, self.discriminator_steps, self.generator_steps)

    def value_task(self) -> Task | None:
        """The same moves, alternating and without a penalty or a view, under the non-saturating loss."""
        return replace(self, contest=Contest(non_saturating), simultaneous=False)

    def answer(self, players: Players, request: Batch) -> Batch:
        """Request "z" (N, latent); answers "x" in [-1, 1]."""
        return {"x": _evaluate(players["generator"], request["z"])}


@torch.no_grad()
def _evaluate(player: nn.Module, z: Tensor) -> Tensor:
    x: Tensor = player(z)
    return x
