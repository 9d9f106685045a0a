"""Scores of labels for each pixel: from a matrix of counts, which add up over images; and of their boundaries."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from evenodds.errors import BadInput

__all__ = [
    "boundary_scores",
    "confusion",
    "confusions",
    "intersection_over_union",
    "mean_boundary",
    "mean_overlap",
    "pixel_accuracy",
]


_BITS = 62
"""Classes whose boundaries are held in one number."""


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


def boundary_scores(
    real: Tensor, predicted: Tensor, classes: int, ignore: int = 255, tolerance: float = 0.0075
) -> Tensor:
    """The boundary F-score of each class in each image: Csurka et al. (2013), section 3, "BF".

    A pixel lies on the boundary of its class where one of its four neighbours is of another class. Precision is the
    share of the predicted boundary that lies within the tolerance of the true one, recall the share of the true one
    within the tolerance of the predicted one, and F is 2 P R / (P + R). Pixels without a label count nowhere, nor does
    the edge of the image or of what has no label.

    A boundary has two sides, so the complement of a map of two classes has nearly its boundaries: this score says
    where classes meet, and the intersection over union which they are.

    Args:
        real: (N, H, W) int64, classes from 0 to classes - 1; pixels with the label `ignore` count nowhere.
        predicted: like real.
        classes: how many.
        ignore: the label of pixels that do not count.
        tolerance: largest distance, as a share of the image's diagonal.

    Returns:
        (N, classes) float64 in [0, 1]; NaN for classes that have no boundary in the true map.

    Raises:
        BadInput: unequal shapes, or no maps.

    Example:
        >>> import torch
        >>> from evenodds.metrics.segmentation import boundary_scores
        >>> real = torch.zeros(1, 90, 120, dtype=torch.int64)  # a diagonal of 150: 1.1 pixels are tolerated
        >>> real[:, 20:40, 20:40] = 1
        >>> boundary_scores(real, real.roll(1, 2), 2)
        tensor([[1., 1.]], dtype=torch.float64)
    """
    if real.dim() != 3 or real.shape != predicted.shape:
        raise BadInput(f"maps must be (N, H, W) both, got {tuple(real.shape)} and {tuple(predicted.shape)}")
    labelled = real != ignore
    maps = real, predicted.where(labelled, ignore)
    radius = tolerance * math.hypot(*real.shape[1:])
    groups = [(first, min(_BITS, classes - first)) for first in range(0, classes, _BITS)]
    return torch.cat([_boundary_group(maps, first, count, ignore, radius) for first, count in groups], 1)


def mean_boundary(scores: Tensor) -> Tensor:
    """The mean over classes of each one's mean boundary F-score (Csurka et al. 2013) over the images that show it.

    Args:
        scores: (N, classes), see `boundary_scores`.

    Returns:
        () float64 in [0, 1]; NaN where no class has a boundary.

    Raises:
        BadInput: no matrix.

    Example:
        >>> import torch
        >>> from evenodds.metrics.segmentation import mean_boundary
        >>> mean_boundary(torch.tensor([[1.0, 0.5], [torch.nan, 1.0]], dtype=torch.float64))
        tensor(0.8750, dtype=torch.float64)
    """
    if scores.dim() != 2:
        raise BadInput(f"boundary scores must be (N, classes), got {tuple(scores.shape)}; see boundary_scores")
    return scores.nanmean(0).nanmean()


def _edges(labels: Tensor, ignore: int) -> Tensor:
    """(N, H, W) bool: whether one of the four neighbours has another label, where both have one."""
    edge = torch.zeros_like(labels, dtype=torch.bool)
    for side in (1, 2):
        length = labels.shape[side] - 1
        first, second = labels.narrow(side, 0, length), labels.narrow(side, 1, length)
        differ = (first != second) & (first != ignore) & (second != ignore)
        edge.narrow(side, 0, length).logical_or_(differ)
        edge.narrow(side, 1, length).logical_or_(differ)
    return edge


def _boundary_group(maps: tuple[Tensor, Tensor], first: int, classes: int, ignore: int, radius: float) -> Tensor:
    """`boundary_scores` of so many classes from the first one on, each of which has a bit of its own."""
    own, edges, bits = [], [], []
    for labels in maps:
        number = labels - first
        edge = _edges(labels, ignore) & (number >= 0) & (number < classes)
        number = number.where(edge, 0)
        own.append(number)
        edges.append(edge)
        bits.append(torch.where(edge, torch.ones_like(number) << number, 0))
    shares = []
    for k in (0, 1):
        near = (_spread(bits[1 - k], radius) >> own[k]) & 1
        item = torch.arange(len(near), device=near.device)[:, None, None] * classes
        place = (item + own[k])[edges[k]]
        size = len(near) * classes
        points = torch.bincount(place, minlength=size)
        hits = torch.bincount(place[near[edges[k]] == 1], minlength=size)
        shares.append((hits / points.clamp(min=1).double(), points))
    (recall, points), (precision, _) = shares
    score = 2 * precision * recall / (precision + recall).clamp(min=1e-12)
    return score.where(points > 0, math.nan).view(-1, classes)


def _spread(bits: Tensor, radius: float) -> Tensor:
    """(N, H, W) int64: the bits that are anywhere within the radius of each pixel, together."""
    reach, spread = int(radius), torch.zeros_like(bits)
    row, reached = bits.clone(), 0  # what is within so many columns, which grow from the outermost row to the middle
    for down in range(reach, -1, -1):
        wide = int(math.sqrt(radius**2 - down**2))
        for by in range(reached + 1, wide + 1):
            _join(row, bits, by, 2)
        reached = wide
        _join(spread, row, down, 1)
    return spread


def _join(into: Tensor, bits: Tensor, by: int, side: int) -> None:
    """Adds the bits, moved by so much along a side in both directions."""
    length = into.shape[side] - by
    if length > 0:
        into.narrow(side, by, length).bitwise_or_(bits.narrow(side, 0, length))
        into.narrow(side, 0, length).bitwise_or_(bits.narrow(side, by, length))


def _square(matrix: Tensor) -> Tensor:
    if matrix.dim() < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise BadInput(f"counts must be (..., classes, classes), got {tuple(matrix.shape)}; see `confusion`")
    return matrix.double()
