"""Generation whose generator has an inverse: an encoder is learned along with it, from both directions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.rules import Batch, Costs, Move, Players, Task
from evenodds.game.slices import average
from evenodds.tasks._playable import NetworkSpec
from evenodds.tasks.generate import Generate
from evenodds.tasks.infer import encode, encoder_options, inferred

__all__ = ["Invertible"]


@dataclass(frozen=True)
class Invertible(Generate):
    """The game of Generate, in which an encoder E reads z from G(z), and G brings back real x from E(x).

    Generator and encoder move together and lower, beside the adversarial cost of G(z),

        latent |E(G(z)) - z|^2 + reconstruction |G(E(x)) - x|^2,

    means over items and over numbers. The first is the joint latent regressor of Donahue et al. (2017), table 1: up to
    constants it bounds the mutual information of z and G(z) from below (Chen et al. 2016, eq. 5, with a Gaussian of
    fixed variance), so the generator may not ignore a direction of z. The second holds E to real items, which the
    generator alone never shows it, and G to all of them: a mode that G leaves out costs. Zhu et al. (2017, BicycleGAN)
    play both for pairs of images. Real and drawn z pass the generator in one batch.

    An encoder after the fact (`infer`) takes the generator as it is: where G ignores most of z, no encoder can tell it.

    Args:
        latent: weight of the squared error of E(G(z)), for both.
        reconstruction: weight of the squared error of G(E(x)), x in [-1, 1], for both.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from evenodds.parts.losses.adversarial import non_saturating
        >>> from evenodds.parts.priors import Normal
        >>> from evenodds.tasks.contest import Contest
        >>> from evenodds.tasks.invertible import Invertible
        >>> task = Invertible(Normal(2), Contest(non_saturating))
        >>> players = {"generator": nn.Identity(), "encoder": nn.Identity()}
        >>> task.answer(players, {"x": torch.tensor([[0.5, -0.5]])})["z"]
        tensor([[ 0.5000, -0.5000]])
    """

    latent: float = 1.0
    reconstruction: float = 10.0
    roles: ClassVar[tuple[str, ...]] = ("generator", "encoder", "discriminator")
    averaged: ClassVar[tuple[str, ...]] = ("generator", "encoder")

    def __post_init__(self) -> None:
        if not (0 <= self.latent < math.inf and 0 <= self.reconstruction < math.inf):
            raise BadInput(
                f"latent and reconstruction of invertible are weights of at least 0, got {self.latent} and "
                f"{self.reconstruction}; 0 leaves a cost out"
            )
        if self.simultaneous:
            raise BadInput("simultaneous moves leave out the costs of the encoder; set simultaneous=false")

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The networks of all players, for items x of that shape."""
        encoder = NetworkSpec("Encoder", (tuple(shape),), encoder_options(self.prior.size))
        return {**super().networks(shape), "encoder": encoder}

    def moves(self) -> Sequence[Move]:
        """Those of Generate; the encoder moves with the generator."""
        return [
            replace(move, movers=("generator", "encoder")) if move.name == "generator" else move
            for move in super().moves()
        ]

    def generator_cost(self, players: Players, hand: Batch) -> Costs:
        """That of generator and encoder."""
        x, z, generator = hand["x"], hand["z"], players["generator"]
        if self.reconstruction:
            fake, again = generator(torch.cat([z, self._read(players, x)])).split([len(z), len(x)])
        else:
            fake = generator(z)
        costs = self.contest.generator_costs(players["discriminator"], x, fake, dict(hand))
        if self.latent:
            squared = average((self._read(players, fake) - z).square().mean(1))
            costs["latent"] = self.latent * squared
            costs.facts["explained"] = 1 - squared.detach()
        if self.reconstruction:
            costs["reconstruction"] = self.reconstruction * average((again - x).square().flatten(1).mean(1))
        return costs

    def _read(self, players: Players, x: Tensor) -> Tensor:
        """(N, latent)."""
        return encode(players["encoder"], x, self.prior.size, spread=False)[0]

    def value_task(self) -> Task | None:
        """That of Generate: the value knows no encoder."""
        return self.of_two().value_task()

    def answer(self, players: Players, request: Batch) -> Batch:
        """Request "x" (N, ...) in [-1, 1], "z" (N, latent), or both; answers as Infer does."""
        return inferred(players, request, self.prior.size, spread=False)
