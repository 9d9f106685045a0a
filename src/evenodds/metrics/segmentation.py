"""Scores of labels for each pixel, all from one matrix of counts; the matrices of several images add up."""

from __future__ import annotations

import torch
from torch import Tensor

from evenodds.errors import BadInput

__all__ = ["confusion", "confusions", "intersection_over_union", "pixel_accuracy"]


def confusion(real: Tensor, said: Tensor, classes: int, ignore: int = 255) -> Tensor:
    """How often each true class was given each label: (classes, classes) int64, the true ones by rows.

    Args:
        real: (...) int64, classes from 0; places with the label `ignore` count nowhere.
        said: like real.
        classes: how many.
    """
    return confusions(real[None], said[None], classes, ignore)[0]


def confusions(real: Tensor, said: Tensor, classes: int, ignore: int = 255) -> Tensor:
    """The same of each of N images: (N, ...) -> (N, classes, classes)."""
    if real.shape != said.shape:
        raise BadInput(f"labels of {tuple(real.shape)} cannot be held against {tuple(said.shape)}; give equal sizes")
    n, known = len(real), real != ignore
    item = torch.arange(n, device=real.device).view(-1, *[1] * (real.dim() - 1)).expand_as(real)
    # What is ignored goes to a place of its own, so that all of a batch is counted at once.
    place = torch.where(known, (item * classes + real) * classes + said, n * classes**2)
    counts = torch.bincount(place.flatten(), minlength=n * classes**2 + 1)
    return counts[:-1].view(n, classes, classes)


def intersection_over_union(matrix: Tensor) -> Tensor:
    """(classes,) in [0, 1] of a matrix of counts (classes, classes); NaN for classes that neither occur nor are said.

    Everingham et al. (2010), section 4.2.3: true positives over true positives, false positives and false negatives.
    """
    counts = matrix.double()
    hits = counts.diagonal(dim1=-2, dim2=-1)
    return hits / (counts.sum(-1) + counts.sum(-2) - hits)


def pixel_accuracy(matrix: Tensor) -> Tensor:
    """The share of pixels whose label is right; NaN where none counts."""
    counts = matrix.double()
    return counts.diagonal(dim1=-2, dim2=-1).sum(-1) / counts.sum((-2, -1))
