"""Scores of labels for each pixel, all from one matrix of counts; the matrices of several images add up."""

from __future__ import annotations

import torch
from torch import Tensor

from evenodds.errors import BadInput

__all__ = [
    "confusion",
    "confusions",
    "intersection_over_union",
    "mean_overlap",
    "pixel_accuracy",
]


def confusion(real: Tensor, predicted: Tensor, classes: int, ignore: int = 255) -> Tensor:
    """How often each true class was given each label: Long et al. (2015), section 5, n_ij.

    Args:
        real: (...) int64, classes from 0 to classes - 1; places with the label `ignore` count nowhere.
        predicted: like real; what it says where `real` is ignored does not matter.
        classes: how many.
        ignore: the label of places that do not count.

    Returns:
        (classes, classes) int64, the true classes by rows.

    Raises:
        BadInput: unequal shapes, or a label that is no class at a place that counts.
    """
    return confusions(real[None], predicted[None], classes, ignore)[0]


def confusions(real: Tensor, predicted: Tensor, classes: int, ignore: int = 255) -> Tensor:
    """The matrix of each of N images: Long et al. (2015), section 5, n_ij. Their sum is that of all pixels together.

    Args:
        real: (N, ...) int64, classes from 0 to classes - 1; places with the label `ignore` count nowhere.
        predicted: like real; what it says where `real` is ignored does not matter.
        classes: how many.
        ignore: the label of places that do not count.

    Returns:
        (N, classes, classes) int64, the true classes by rows.

    Raises:
        BadInput: unequal shapes, or a label that is no class at a place that counts.
    """
    if real.shape != predicted.shape:
        raise BadInput(
            f"labels of {tuple(real.shape)} cannot be held against {tuple(predicted.shape)}; give equal sizes"
        )
    n, labelled = len(real), real != ignore
    strange = labelled & ((real < 0) | (real >= classes) | (predicted < 0) | (predicted >= classes))
    if bool(strange.any()):  # it would be counted at another class or image
        raise BadInput(
            f"labels must be 0 to {classes - 1}, or {ignore} where the truth is unknown, got "
            f"{int(real[strange][0])} held against {int(predicted[strange][0])}; map them to classes first"
        )
    item = torch.arange(n, device=real.device).view(-1, *[1] * (real.dim() - 1)).expand_as(real)
    # What is ignored goes to a place of its own, so that all of a batch is counted at once.
    place = torch.where(labelled, (item * classes + real) * classes + predicted, n * classes**2)
    counts = torch.bincount(place.flatten(), minlength=n * classes**2 + 1)
    return counts[:-1].view(n, classes, classes)


def intersection_over_union(matrix: Tensor) -> Tensor:
    """Of each class, true positives over true positives, false positives and false negatives.

    Everingham et al. (2010), section 4.2.3. The mean over classes is its `nanmean()`.

    Args:
        matrix: (..., classes, classes) counts, true classes by rows.

    Returns:
        (..., classes) float64 in [0, 1]; NaN for classes that neither occur nor are said.

    Raises:
        BadInput: no square matrix.
    """
    counts = _square(matrix)
    hits = counts.diagonal(dim1=-2, dim2=-1)
    return hits / (counts.sum(-1) + counts.sum(-2) - hits)


def mean_overlap(matrix: Tensor) -> Tensor:
    """Mean intersection over union of the classes that occur in the truth: Long et al. (2015), section 5.

    Args:
        matrix: (classes, classes) counts, true classes by rows.

    Returns:
        () float64 in [0, 1]; NaN where no class occurs.

    Raises:
        BadInput: no matrix of counts; see `intersection_over_union`.
    """
    return intersection_over_union(matrix)[matrix.sum(1) > 0].mean()


def pixel_accuracy(matrix: Tensor) -> Tensor:
    """The share of pixels whose label is right: Long et al. (2015), section 5.

    Args:
        matrix: (..., classes, classes) counts, true classes by rows.

    Returns:
        (...) float64 in [0, 1]; NaN where nothing counts.

    Raises:
        BadInput: no square matrix.
    """
    counts = _square(matrix)
    return counts.diagonal(dim1=-2, dim2=-1).sum(-1) / counts.sum((-2, -1))


def _square(matrix: Tensor) -> Tensor:
    if matrix.dim() < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise BadInput(f"counts must be (..., classes, classes), got {tuple(matrix.shape)}; see `confusion`")
    return matrix.double()
