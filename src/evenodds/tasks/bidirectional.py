"""Inference learned along with generation: BiGAN (Donahue et al. 2017) and ALI (Dumoulin et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.dial import View
from evenodds.game.rules import Batch, Costs, Move, Players
from evenodds.parts.priors import Prior
from evenodds.tasks._discriminator import DiscriminatorCosts
from evenodds.tasks.contest import Contest
from evenodds.tasks.infer import encode, encoder_options, inferred

__all__ = ["Bidirectional", "encoder_options", "pair"]


@dataclass(frozen=True)
class Bidirectional(DiscriminatorCosts):
    """The discriminator tells pairs (x, E(x)) from pairs (G(z), z); generator and encoder move together against it.

    Where it can do no better than even odds both joint distributions are one, and a deterministic encoder inverts the
    generator (Donahue et al. 2017, theorem 2). The pair is one flat tensor, (N, size of x + latent), see `pair`: so
    every loss plays unchanged, and penalties act on x and z alike. Views act on x alone; the encoder sees x without.

    The discriminator takes flat pairs: `mlp.Discriminator((size of x + latent,))`, or the JointDiscriminator of
    `networks._joint` around any family's discriminator of images. The encoder is any family's Discriminator with
    `encoder_options(latent, spread)`; see Infer on its norms.

    Args:
        prior: of z.
        contest: loss, penalty and views.
        discriminator_steps: plays of the discriminator per round.
        spread: the encoder is Gaussian, z = mean + deviation * normal numbers, as in ALI; otherwise deterministic.
        cycle: weight of the squared error of E(G(z)) against z, which both pay. It is 0 at the solution of the
            deterministic game, which alone seldom comes close to it.
    """

    prior: Prior
    contest: Contest
    discriminator_steps: int = 1
    spread: bool = False
    cycle: float = 0.0
    roles: ClassVar[tuple[str, ...]] = ("generator", "encoder", "discriminator")

    def __post_init__(self) -> None:
        if not 0 <= self.cycle < math.inf:
            raise BadInput(f"cycle is a weight of at least 0, got {self.cycle}; 0 is the plain game")

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """Adds "z", the contest's draws for pairs, and with `spread` the encoder's normal numbers, "encoder_normal"."""
        z = self.prior(len(real["x"]), rng)
        hand = {**real, "z": z, **self.contest.deal(pair(real["x"], z), rng)}
        if self.spread:
            hand["encoder_normal"] = torch.randn(z.shape, generator=rng, device=rng.device)
        return hand

    def moves(self) -> Sequence[Move]:
        """k discriminator moves, with the penalty in every n-th round, then that of generator and encoder."""
        discriminator_moves = self.contest.discriminator_moves(
            self.penalised_cost, self.plain_cost, self.discriminator_steps
        )
        return [*discriminator_moves, Move("generator", ("generator", "encoder"), self.generator_cost)]

    def _discriminator_cost(self, players: Players, hand: Batch, penalised: bool) -> Costs:
        with torch.no_grad():
            real, fake = pair(hand["x"], self._drawn(players, hand)), pair(players["generator"](hand["z"]), hand["z"])
        contest = self._contest(hand["x"])
        return contest.discriminator_costs(players["discriminator"], real, fake, dict(hand), penalised)

    def generator_cost(self, players: Players, hand: Batch) -> Costs:
        """That of generator and encoder: to each, the pairs of the other are what its own should pass for.

        A loss that compares real and fake logits has gradients to both already. Any other is asked twice, with the
        sides exchanged: -D is the discriminator that takes (G(z), z) for real, or 1 - D with least squares.
        """
        x = players["generator"](hand["z"])
        real, fake = pair(hand["x"], self._drawn(players, hand)), pair(x, hand["z"])
        contest, discriminator = self._contest(hand["x"]), players["discriminator"]
        costs = Costs(contest.generator_costs(discriminator, real, fake, dict(hand)))
        if not contest.relative:
            turned = contest.generator_costs(Opposite(discriminator, self.even), fake, real, dict(hand))
            costs["encoder"] = turned["adversarial"]
        if self.cycle:
            again, _ = encode(players["encoder"], x, self.prior.size, self.spread)
            costs["cycle"] = self.cycle * (again - hand["z"]).square().mean()
        return costs

    @cached_property
    def even(self) -> float:
        """The logit of even odds: 0, or 1/2 with least squares, where the discriminator's cost is least at p = q."""
        logit = torch.zeros(1, dtype=torch.double, requires_grad=True)
        (slope,) = torch.autograd.grad(self.contest.loss(logit, logit)[0].sum(), logit, create_graph=True)
        if float(slope.detach()) == 0:
            return 0.0
        (curvature,) = torch.autograd.grad(slope.sum(), logit)  # one step of Newton's: exact for squares
        return -float(slope.detach() / curvature)

    def _drawn(self, players: Players, hand: Batch) -> Tensor:
        """z (N, latent) given the real x."""
        mean, log_variance = encode(players["encoder"], hand["x"], self.prior.size, self.spread)
        return mean if log_variance is None else mean + (0.5 * log_variance).exp() * hand["encoder_normal"]

    def _contest(self, x: Tensor) -> Contest:
        """The contest, whose view takes pairs."""
        view = self.contest.view
        return self.contest if view is None else replace(self.contest, view=_of_pairs(view, x.shape[1:]))

    def answer(self, players: Players, request: Batch) -> Batch:
        """Request "x", "z" or both; answers as Infer does: "z", "reconstruction" and "deviation"; "x"."""
        return inferred(players, request, self.prior.size, self.spread)


def pair(x: Tensor, z: Tensor) -> Tensor:
    """x (N, ...) and z (N, latent) side by side, (N, size of x + latent)."""
    return torch.cat([x.flatten(1), z], 1)


def _of_pairs(view: View, shape: Sequence[int]) -> View:
    size = math.prod(shape)

    def of_pairs(both: Tensor, uniform: Tensor) -> Tensor:
        return pair(view(both[:, :size].reshape(-1, *shape), uniform), both[:, size:])

    return of_pairs


class Opposite(nn.Module):
    """D mirrored at the logit of even odds: takes for real what D takes for fake."""

    def __init__(self, discriminator: nn.Module, even: float) -> None:
        super().__init__()
        self.discriminator, self.even = discriminator, even

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = 2 * self.even - self.discriminator(x)
        return logits
