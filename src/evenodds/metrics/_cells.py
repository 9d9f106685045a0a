"""Cells of a space, and which share of a set falls into each."""

from __future__ import annotations

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics._rows import matching, matrix
from evenodds.metrics.memorisation import k_means
from evenodds.metrics.neighbours import nearest_row

__all__ = ["class_means", "clusters", "shares"]


def class_means(x: Tensor, y: Tensor) -> tuple[Tensor, list[int]]:
    """The mean of each class that occurs, and its label.

    Args:
        x: (N, D) features.
        y: (N,) int64; rows with -1, unknown, are left out.

    Returns:
        (K, D) float64, and K labels in rising order.
    """
    x = matrix(x, "x").to(torch.float64)
    labels = [label for label in torch.unique(y).tolist() if label >= 0]
    if not labels:
        raise BadInput("class means need labels, got none but -1; take clusters instead")
    return torch.stack([x[y == label].mean(0) for label in labels]), labels


def clusters(x: Tensor, k: int, *, rng: torch.Generator) -> Tensor:
    """Up to k centres (K, D) float64 of the rows x (N, D): k-means, as for `data_copying`."""
    return k_means(matrix(x, "x"), k, rng)


def shares(x: Tensor, centres: Tensor) -> Tensor:
    """(K,) float64: which share of the rows x (N, D) is nearest to each of the centres (K, D)."""
    x, centres = matching(x, centres, names=("x", "centres"))
    return torch.bincount(nearest_row(x, centres), minlength=len(centres)).to(torch.float64) / len(x)
