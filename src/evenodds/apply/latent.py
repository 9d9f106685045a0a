"""Walks in z: to the z that makes a given x, and along the directions that change x most."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput, unknown
from evenodds.game.modes import at_rest
from evenodds.game.optimizers import eager
from evenodds.parts.priors import Prior

__all__ = ["HOWS", "directions", "move", "refine"]


def refine(
    generator: nn.Module, x: Tensor, z0: Tensor, *, steps: int = 200, rate: float = 0.05, prior_weight: float = 0.0
) -> Tensor:
    """The z that makes x best, found by Adam from z0 (Zhu et al. 2016, section 3.1: project, by optimisation).

    Minimises |x - G(z)|^2 + prior_weight |z|^2 for each item. With prior_weight s^2 and a standard normal prior this
    is the most probable z if x is G(z) with normal noise of deviation s. No item is worse at the end than at z0.

    Args:
        x: (N, ...) in [-1, 1].
        z0: (N, latent), an encoder's answer or draws from the prior.
        steps: of the whole batch; the learning rate goes to 0 over them along half a cosine.
        rate: the first learning rate, in units of z.

    Returns:
        (N, latent), without a graph.
    """
    if steps < 0 or not rate > 0 or prior_weight < 0:
        raise BadInput(f"refine needs steps >= 0, rate > 0, prior_weight >= 0; got {steps}, {rate}, {prior_weight}")
    if len(x) != len(z0):
        raise BadInput(f"x and z0 need one length, got {len(x)} and {len(z0)}; give one z0 for each x")

    def cost(z: Tensor) -> Tensor:
        misses: Tensor = (generator(z) - x).flatten(1)
        return misses.square().sum(1) + prior_weight * z.square().sum(1)

    with _fixed(generator), torch.enable_grad():
        z = z0.detach().clone().requires_grad_()
        adam, best, least = eager(torch.optim.Adam)([z], rate), z0.detach(), torch.full_like(z0[:, 0], math.inf)
        for step in range(steps + 1):
            costs = cost(z)
            best = torch.where((costs.detach() < least)[:, None], z.detach(), best)
            least = torch.minimum(least, costs.detach())
            adam.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / (steps + 1)))
            (z.grad,) = torch.autograd.grad(costs.sum(), z)
            adam.step()
    return best


def directions(
    generator: nn.Module, prior: Prior, n: int, how: str = "jacobian", *, draws: int = 32, seed: int = 0
) -> Tensor:
    """The n directions of z along which x changes most, the strongest first.

    Args:
        how: "jacobian": the first eigenvectors of the mean of J^T J, J being dG/dz, over draws of z: what a small
            step changes in squared pixels. "weights": those of W^T W, W being the first layer that takes z (SeFa, Shen
            and Zhou 2021): needs no pass at all, and says nothing of the layers after it.
        draws: of z that "jacobian" averages over.
        seed: of these draws.

    Returns:
        (n, latent), orthonormal; the largest entry of each is positive.
    """
    if not 1 <= n <= prior.size:
        raise BadInput(f"z has {prior.size} directions, got n={n}; ask for 1 to {prior.size}")
    if how not in HOWS:
        raise unknown("how of directions", how, HOWS)
    gram = _of_jacobian(generator, prior, draws, seed) if how == "jacobian" else _of_weights(generator, prior.size)
    vectors: Tensor = torch.linalg.eigh(gram).eigenvectors.T.flip(0)[:n]  # eigh puts the least first
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return vectors * largest.sign()


def move(z: Tensor, direction: Tensor, by: float | Tensor) -> Tensor:
    """z (N, latent) shifted along direction (latent,) by one number, or by one for each item, (N,)."""
    if direction.shape != z.shape[1:]:
        raise BadInput(f"a direction of z is ({z.shape[1]},), got {tuple(direction.shape)}; give one row of directions")
    step = by[:, None] if isinstance(by, Tensor) and by.dim() else by
    return z + step * direction


HOWS = ("jacobian", "weights")


def _of_jacobian(generator: nn.Module, prior: Prior, draws: int, seed: int) -> Tensor:
    """The mean of J^T J, (latent, latent), on the generator's device."""
    if draws < 1:
        raise BadInput(f"the mean of the Jacobian needs draws >= 1, got {draws}")
    parameter = next(generator.parameters(), torch.zeros(()))
    z = prior(draws, torch.Generator().manual_seed(seed)).to(parameter)
    unit = torch.eye(prior.size).to(parameter)
    with _fixed(generator), torch.no_grad():
        # One z as a batch with a tangent for each coordinate: row j of the answer is dG/dz_j.
        rows = (torch.func.jvp(generator, (at.expand_as(unit).clone(),), (unit,))[1].flatten(1) for at in z)
        return torch.stack([row @ row.T for row in rows]).mean(0)


def _of_weights(generator: nn.Module, latent: int) -> Tensor:
    """W^T W of the first layer that takes z; what stands behind z, a condition say, does not enter."""
    for layer in generator.modules():
        if isinstance(layer, nn.Linear) and layer.in_features >= latent:
            weight = layer.weight.detach()[:, :latent]
            return weight.T @ weight
        if isinstance(layer, nn.ConvTranspose2d) and layer.in_channels >= latent:
            weight = layer.weight.detach()[:latent].flatten(1).T
            return weight.T @ weight
    raise BadInput(f"the generator has no linear layer that takes {latent} values; take --how jacobian")


@contextmanager
def _fixed(generator: nn.Module) -> Iterator[None]:
    """In evaluation mode, with parameters that collect no gradient."""
    trainable = [parameter for parameter in generator.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        with at_rest(generator):
            yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
