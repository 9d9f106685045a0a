"""Regions of images as annotations give them, polygons and run lengths, as masks of pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.pictures.opening import Unusable
from evenodds.data.pictures.placing import Size

__all__ = ["Mask", "counts_of", "inside_polygon", "of_runs"]

Mask = NDArray[np.bool_]
_AT_ONCE = 1 << 22  # Crossings of rows with edges that are computed at once.
_FARTHEST = 1e7  # Pixels from the image; what lies farther is taken to lie there.


def inside_polygon(points: Sequence[Sequence[float]] | NDArray[Any], size: Size) -> Mask:
    """(H, W): the pixels whose middle lies in a polygon, by the rule of even and odd crossings.

    Args:
        points: (n, 2), each x to the right and y downwards, in pixels from the upper left corner of the image: the
            middle of the first pixel lies at (0.5, 0.5).
        size: (height, width) of the image.
    """
    corners = np.asarray(points, np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        raise Unusable("a polygon that is not at least three points (x, y)")
    corners = corners.clip(-_FARTHEST, _FARTHEST)
    (x, y), (end_x, end_y) = corners.T, np.roll(corners, -1, 0).T
    height, width = size
    turns = np.zeros((height, width + 1), np.uint8)
    step = max(1, _AT_ONCE // len(corners))
    first, last = (int(np.clip(edge, 0, height)) for edge in (np.floor(y.min()), np.ceil(y.max())))
    for top in range(first, last, step):
        middles = np.arange(top, min(last, top + step)) + 0.5
        # An edge takes its upper end and not its lower one, so that a corner is crossed once.
        crosses = (y <= middles[:, None]) != (end_y <= middles[:, None])
        rows, edges = crosses.nonzero()
        along = (middles[rows] - y[edges]) / (end_y - y)[edges]
        at = x[edges] + along * (end_x - x)[edges]
        columns = np.ceil(at - 0.5).clip(0, width).astype(np.int64)
        np.add.at(turns, (rows + top, columns), 1)
    inside: Mask = np.cumsum(turns, 1, dtype=np.uint32)[:, :width] % 2 == 1
    return inside


def of_runs(counts: Iterable[int], size: Size) -> Mask:
    """(H, W) of lengths of runs, in turn outside and inside of the region, down the columns from the left one.

    Raises:
        Unusable: a length is negative, or they are not as many as the image has pixels.
    """
    lengths = np.asarray(list(counts), np.int64)
    if len(lengths) and lengths.min() < 0:
        raise Unusable("a run of negative length")
    if int(lengths.sum()) != size[0] * size[1]:
        raise Unusable(f"runs of {int(lengths.sum()):,} pixels for {size[0]} x {size[1]}")
    values = np.arange(len(lengths)) % 2 == 1
    mask: Mask = np.repeat(values, lengths).reshape(size[1], size[0]).T
    return mask


def counts_of(text: str) -> list[int]:
    """The lengths of runs that a text holds, as COCO compresses them.

    Each number is written in groups of 5 bits, the lowest first, as characters from "0" on: bit 32 of a character says
    that another one follows, bit 16 of the last one that the number is negative. From the fourth number on, what is
    written is the difference to the number two before (Lin et al. 2014, Microsoft COCO; its description of the format).

    Raises:
        Unusable: it is no such text.
    """
    counts: list[int] = []
    number = shift = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64 or shift > 60:
            raise Unusable("a damaged text of runs")
        number |= (group & 31) << shift
        shift += 5
        if not group & 32:
            number -= (1 << shift) if group & 16 else 0
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number = shift = 0
    if shift:
        raise Unusable("a text of runs that ends early")
    return counts
