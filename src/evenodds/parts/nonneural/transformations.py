"""Generators that are transformations of noise with a density that is known. For `Gradient` or `Evolution`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput

__all__ = ["Affine", "Gaussians"]


class Affine(nn.Module):
    """x = m + W z: of standard normal z, a Gaussian with mean m and covariance W W^T.

    Args:
        latent: length of z; below `size`, the Gaussian lies in a plane.
        size: length of x.
        spread: W starts as this multiple of the identity, m at 0.
    """

    def __init__(self, latent: int, size: int, *, spread: float = 0.5) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(size))
        self.factor = nn.Parameter(spread * torch.eye(size, latent))

    def forward(self, z: Tensor) -> Tensor:
        return self.mean + z @ self.factor.T


class Gaussians(nn.Module):
    """A mixture of Gaussians, of standard normal z (N, size + 1).

    The first number of z picks the part, the others are its noise. Samples depend on weights by jumps, so these learn
    by `Evolution` alone; means and factors by `Gradient` too.

    Args:
        size: length of x.
        parts: at least 1.
        spread: standard deviation of each part at the start.
        seed: of the means at the start, which cover [-1, 1]^size evenly (scrambled Sobol points, Owen 1998).
    """

    def __init__(self, size: int, parts: int, *, spread: float = 0.3, seed: int = 0) -> None:
        super().__init__()
        if size < 1 or parts < 1 or spread <= 0:
            raise BadInput(f"a mixture needs size, parts >= 1 and spread > 0, got {size}, {parts}, {spread}")
        self.size = size
        self.weights = nn.Parameter(torch.zeros(parts))
        sobol = torch.quasirandom.SobolEngine(size, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
        self.means = nn.Parameter(2 * sobol.draw(parts) - 1)
        self.factors = nn.Parameter(spread * torch.eye(size).repeat(parts, 1, 1))

    def forward(self, z: Tensor) -> Tensor:
        if z.shape[1] != self.size + 1:
            raise BadInput(f"a mixture in {self.size} dimensions needs z of length {self.size + 1}, got {z.shape[1]}")
        share = torch.special.ndtr(z[:, 0])
        ends = self.weights.detach().softmax(0).cumsum(0)[:-1]
        part = (share[:, None] >= ends).sum(1)
        return self.means[part] + (self.factors[part] @ z[:, 1:, None]).squeeze(2)
