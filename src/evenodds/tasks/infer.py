"""Learned approximate inference: an encoder that says which z made x, for a generator that is already there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.modes import at_rest
from evenodds.game.rules import Batch, Costs, Move, Players
from evenodds.parts.priors import Prior

__all__ = ["Infer", "encode", "encoder_options"]


@dataclass(frozen=True)
class Infer:
    """An encoder learns to predict z from x = G(z), G being fixed.

    Section 7, point 2, of Goodfellow et al. (2014): "Learned approximate inference can be performed by training an
    auxiliary network to predict z given x. This is similar to the inference net trained by the wake-sleep algorithm
    but with the advantage that the inference net may be trained for a fixed generator net". It is the sleep phase of
    Hinton et al. (1995): pairs (x, z) come from the generator alone. Real data set the pace and are not looked at, but
    for `reconstruction`.

    The best encoder is the posterior mean E[z | x] of the generator's own joint distribution; with `spread` also the
    posterior variance of each coordinate. So x that the generator never makes are outside of what it has learned.

    An encoder is any family's Discriminator built with `encoder_options(latent, spread)`. Spectral normalisation,
    the default of some families, bounds its slopes far below what inference needs: build it with another `norm`.

    Args:
        prior: of z; the one that the generator was trained with.
        spread: the encoder also predicts how far off it is, and pays the negative logarithm of a Gaussian density
            instead of the squared error.
        reconstruction: weight of the squared error of G(E(x)) on real x in [-1, 1], which the encoder pays beside it.
            Then z of a real x is the one that makes it best, rather than the mean of those that might have.
        repetition: the same on x = G(z), for where there are no real data: directions of z count by what they change.
    """

    prior: Prior
    spread: bool = False
    reconstruction: float = 0.0
    repetition: float = 0.0
    roles: ClassVar[tuple[str, ...]] = ("encoder", "generator")

    def __post_init__(self) -> None:
        for name, weight in (("reconstruction", self.reconstruction), ("repetition", self.repetition)):
            if not 0 <= weight < math.inf:
                raise BadInput(f"{name} is a weight of at least 0, got {weight}; 0 leaves it out")

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """Adds "z"."""
        return {**real, "z": self.prior(len(real["x"]), rng)}

    def moves(self) -> Sequence[Move]:
        """One: only the encoder moves."""
        return [Move("encoder", ("encoder",), self.encoder_cost)]

    def encoder_cost(self, players: Players, hand: Batch) -> Costs:
        """How badly z is predicted from G(z): per coordinate, a mean over items and coordinates."""
        z = hand["z"]
        with torch.no_grad(), at_rest(players["generator"]):
            x = players["generator"](z)
        mean, log_variance = encode(players["encoder"], x, self.prior.size, self.spread)
        squared = (mean - z).square()
        if log_variance is None:
            costs = Costs({"error": squared.mean()})
        else:
            surprise = 0.5 * (log_variance + squared * (-log_variance).exp())
            costs = Costs({"surprise": surprise.mean()}, {"error": squared.mean()})
        if self.repetition:
            costs["repetition"] = self.repetition * _misses(players["generator"], mean, x)
        if self.reconstruction:
            mean, _ = encode(players["encoder"], hand["x"], self.prior.size, self.spread)
            costs["reconstruction"] = self.reconstruction * _misses(players["generator"], mean, hand["x"])
        return costs

    def answer(self, players: Players, request: Batch) -> Batch:
        """Request "x" (N, ...) in [-1, 1], "z" (N, latent), or both.

        Returns:
            For "x": "z" = E(x), with `spread` its "deviation" (N, latent), and "reconstruction" = G(E(x)).
            For "z": "x" = G(z).
        """
        return inferred(players, request, self.prior.size, self.spread)


def _misses(generator: nn.Module, z: Tensor, x: Tensor) -> Tensor:
    """The mean squared error of G(z) against x; a slope goes to z."""
    with at_rest(generator):
        made: Tensor = generator(z)
    return (made - x).square().mean()


@torch.no_grad()
def inferred(players: Players, request: Batch, latent: int, spread: bool) -> Batch:
    """What Infer.answer says, for any task with an encoder and a generator."""
    if not {"x", "z"} & set(request):
        raise BadInput(f"inference needs 'x', 'z' or both, got {', '.join(sorted(request)) or 'nothing'}; add one")
    answer: dict[str, Tensor] = {}
    if "z" in request:
        answer["x"] = players["generator"](request["z"])
    if "x" in request:
        mean, log_variance = encode(players["encoder"], request["x"], latent, spread)
        answer |= {"z": mean, "reconstruction": players["generator"](mean)}
        if log_variance is not None:
            answer["deviation"] = (0.5 * log_variance).exp()
    return answer


def encoder_options(latent: int, spread: bool = False) -> dict[str, int]:
    """What a family's Discriminator is to be built with, beside the shape of x, to be an encoder."""
    return {"outputs": 2 * latent if spread else latent}


def encode(encoder: nn.Module, x: Tensor, latent: int, spread: bool) -> tuple[Tensor, Tensor | None]:
    """The mean (N, latent) of z given x and, with `spread`, the logarithm of its variance, (N, latent)."""
    out: Tensor = encoder(x).view(len(x), -1)
    needed = encoder_options(latent, spread)["outputs"]
    if out.shape[1] != needed:
        raise BadInput(f"the encoder needs {needed} outputs, got {out.shape[1]}; build it with outputs={needed}")
    if not spread:
        return out, None
    mean, raw = out[:, :latent], out[:, latent:]
    # Bounded smoothly, so that a coordinate that G fixes exactly cannot drive the density to infinity.
    return mean, LIMIT * (raw / LIMIT).tanh()


LIMIT = 10.0
"""Bound on |log variance|: deviations lie between exp(-5) and exp(5)."""
