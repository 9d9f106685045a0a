"""Distances between the outputs of a discriminator on reals and on fakes, which it raises and the generator lowers.

All of them take real and fake, (N,) outputs or (N, K) features of N items each, and return two costs (N,) that the
caller averages: minus the estimated distance for the discriminator, the distance for the generator. The estimates and
their gradients are unbiased, so they may be below 0. A distance is the same from both sides: no output says that an
item is real. A discriminator with `outputs=8` numbers tells more than one with a single number. It could stretch the
distance without end: play it with a gradient penalty.
"""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["cramer", "kernel"]

_SCALES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""The alphas of the sum of kernels in Binkowski et al. (2018)."""


def kernel(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Squared maximum mean discrepancy of outputs: MMD GAN, Li et al. (2017) and Binkowski et al. (2018).

    E k(x, x') + E k(y, y') - 2 E k(x, y) (Gretton et al. 2012, eq. 3), for the rational quadratic kernel, the sum over
    a of (1 + |x - y|^2 / (2 a))^-a with a in 0.2, 0.5, 1, 2, 5. It is 0 only where the outputs of reals and fakes have
    one distribution.
    """

    def similarity(squares: Tensor) -> Tensor:
        return torch.stack([(1 + squares / (2 * scale)) ** -scale for scale in _SCALES]).sum(0)

    return _costs(real, fake, lambda difference: -similarity(difference.square().sum(-1)))


def cramer(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Energy distance of outputs, 2 E|x - y| - E|x - x'| - E|y - y'|: Cramer GAN, Bellemare et al. (2017).

    Of single outputs it is twice the integral of the squared difference of both distribution functions, the Cramer
    distance. Its sample gradients are unbiased, which those of the Wasserstein distance are not.
    """
    # vector_norm, unlike a written-out root, has gradient 0 and not NaN where two outputs are equal.
    return _costs(real, fake, lambda difference: torch.linalg.vector_norm(difference, dim=-1))


def _costs(real: Tensor, fake: Tensor, apart: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Both costs of 2 E d(x, y) - E d(x, x') - E d(y, y') for d of differences (N, N, K) -> (N, N)."""
    x, y = (side if side.dim() > 1 else side[:, None] for side in (real, fake))
    x, y = x.flatten(1), y.flatten(1)
    between = apart(x[:, None] - y[None])
    distance = (
        between.mean(1) + between.mean(0) - _others(apart(x[:, None] - x[None])) - _others(apart(y[:, None] - y[None]))
    )
    return -distance, distance


def _others(pairs: Tensor) -> Tensor:
    """(N,) mean over the other items of pairs (N, N); 0 of a single item."""
    return (pairs.sum(1) - pairs.diagonal()) / max(1, len(pairs) - 1)
