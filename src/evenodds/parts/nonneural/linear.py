"""Discriminators that are linear in fixed features: their game against fixed examples is convex.

All take x (N, D) or (N, C, H, W) and answer logits (N,); before learning they answer 0, even odds. For `Gradient`, or
for `Evolution`.
"""

from __future__ import annotations

import math
from itertools import combinations_with_replacement

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.seeds import mix

__all__ = ["Fourier", "Linear", "Polynomial"]

_MOST = 100_000
"""Features that are still reasonable."""


class Linear(nn.Module):
    """An affine function of x.

    Args:
        size: numbers per item, D.
        features: of them; where a subclass computes some.
    """

    def __init__(self, size: int, features: int | None = None) -> None:
        super().__init__()
        self.size = size
        self.logit = nn.Linear(size if features is None else features, 1)
        nn.init.zeros_(self.logit.weight)
        nn.init.zeros_(self.logit.bias)

    def features(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, features)."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        if x.shape[1] != self.size:
            raise BadInput(f"this discriminator needs {self.size} numbers per item, got {x.shape[1]}; give its `size`")
        logits: Tensor = self.logit(self.features(x))
        return logits.squeeze(1)


class Polynomial(Linear):
    """A polynomial of x. Of degree 2 it can tell Gaussians apart as well as anything can.

    Args:
        size: numbers per item, D.
        degree: greatest sum of exponents of a monomial, at least 1; there are (D + degree choose degree) - 1 of them.
    """

    def __init__(self, size: int, degree: int = 2) -> None:
        count = math.comb(size + degree, degree) - 1 if degree >= 1 else 0
        if not 1 <= count <= _MOST:
            raise BadInput(
                f"degree {degree} of {size} numbers makes {count:,} monomials, not 1 to {_MOST:,}; change it"
            )
        super().__init__(size, count)
        self.degrees = range(1, degree + 1)
        for k in self.degrees:
            factors = torch.tensor(list(combinations_with_replacement(range(size), k)))
            self.register_buffer(f"factors_{k}", factors, persistent=False)

    def features(self, x: Tensor) -> Tensor:
        """All monomials of degree 1, then 2, ..."""
        return torch.cat([x[:, self.get_buffer(f"factors_{k}")].prod(2) for k in self.degrees], 1)


class Fourier(Linear):
    """Random Fourier features: for many of them, a function in the space of a Gaussian kernel (Rahimi and Recht 2007).

    Args:
        size: numbers per item, D.
        count: features.
        bandwidth: of the kernel exp(-|x - y|^2 / (2 bandwidth^2)), in units of x.
        seed: of the features.
    """

    waves: Tensor
    phases: Tensor

    def __init__(self, size: int, count: int = 256, bandwidth: float = 0.5, seed: int = 0) -> None:
        if count < 1 or bandwidth <= 0:
            raise BadInput(f"random features need count >= 1 and bandwidth > 0, got {count} and {bandwidth}")
        super().__init__(size, count)
        rng = torch.Generator().manual_seed(mix(seed))
        self.register_buffer("waves", torch.randn(size, count, generator=rng) / bandwidth)
        self.register_buffer("phases", 2 * torch.pi * torch.rand(count, generator=rng))

    def features(self, x: Tensor) -> Tensor:
        """sqrt(2 / count) cos(w x + b), algorithm 1: their products approximate the kernel."""
        waves: Tensor = torch.cos(x @ self.waves + self.phases)
        return math.sqrt(2 / len(self.phases)) * waves
