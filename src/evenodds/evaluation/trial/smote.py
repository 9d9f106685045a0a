"""SMOTE: new items between an item and a near one of its class (Chawla et al. 2002)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["smote"]


def smote(x: Tensor, features: Tensor, n: int, rng: torch.Generator, k: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """n new items of one class: x_i + u (x_j - x_i), u uniform in [0, 1), j among the k nearest of i in features.

    Items take their turns as i, as in the paper, so that each gives its share to within one. Pixels are interpolated,
    neighbours are found in features: so the classifier sees images, and those that are mixed look alike.

    Args:
        x: (M, ...) all items of the class, M >= 1.
        features: (M, F).
        n: how many.
        k: neighbours; fewer where there are fewer. A single item can but be repeated.

    Returns:
        (n, ...) items; (n,) i; (n,) j.
    """
    distance = torch.cdist(features.double(), features.double())
    distance.fill_diagonal_(torch.inf)
    near = distance.argsort(1)[:, : max(1, min(k, len(x) - 1))]
    turns = [torch.randperm(len(x), generator=rng) for _ in range(-(-n // len(x)))]
    i = torch.cat(turns)[:n] if n else torch.empty(0, dtype=torch.int64)
    j = near[i, torch.randint(near.shape[1], (n,), generator=rng)]
    u = torch.rand(n, generator=rng).view(-1, *[1] * (x.ndim - 1))
    return x[i] + u * (x[j] - x[i]), i, j
