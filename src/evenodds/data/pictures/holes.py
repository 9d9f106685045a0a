"""What holds no data in images: how it is told from numbers, and what is put in its place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SENTINELS", "filled", "is_far", "sentinel", "without_data"]

_FLOATS = np.finfo(np.float32)
_USUAL = (-32768, -9999, -99999, -999, -32767, 32767, 65535, -1e20, 1e20, -1e30, 1e30, _FLOATS.min, _FLOATS.max)
SENTINELS = frozenset(np.float32(number) for number in _USUAL)
"""Numbers that programs write where they have no data."""
APART = 0.5
"""A number that stands for no data lies this far from all others, in parts of what they span, or further."""
SHADES = 16
"""So many different numbers, or more, must the others be."""
LOOKED_AT = 1 << 20
"""Of them, from which that is found."""


def is_far(value: float, rest: NDArray[Any]) -> bool:
    """Whether a number lies far from all others (n,), which are no labels."""
    if not len(rest) or len(np.unique(rest[:: max(1, len(rest) // LOOKED_AT)])) < SHADES:
        return False
    low, high = float(rest.min()), float(rest.max())
    return max(low - value, value - high) > APART * (high - low)


def sentinel(x: NDArray[Any], channels: int = 1) -> float | None:
    """The usual number for no data that lies far from all others of its channel, in each that has it; None if none.

    Args:
        channels: the axis on which they lie.
    """
    every = np.moveaxis(x, channels, 0)
    for end in dict.fromkeys(float(end(one)) for one in every for end in (np.min, np.max)):
        if np.float32(end) not in SENTINELS:
            continue
        rests = [one[one != end] for one in every if (one == end).any()]
        told = [is_far(end, rest) for rest in rests if len(rest)]  # a channel of nothing else says nothing
        if told and all(told):
            return end
    return None


def without_data(pixels: NDArray[Any]) -> tuple[NDArray[np.bool_], float] | None:
    """(H, W, C): what holds no data of one image of 16 bits or of floats, and what stands there; None where all do."""
    if pixels.dtype.kind == "f" and (gap := np.isnan(pixels)).any():
        return gap, np.nan
    value = sentinel(pixels, 2)
    return None if value is None else (pixels == value, value)


def filled(x: NDArray[Any], gap: NDArray[np.bool_], spare: NDArray[Any] | float = 0) -> NDArray[Any]:
    """One image (C, H, W), filled in where it holds no data (C, H, W): whole numbers stay whole.

    Args:
        spare: the value, or one (C,) for each channel, of a channel without any data.
    """
    empty = np.broadcast_to(gap.all((1, 2), keepdims=True), gap.shape)
    values = np.where(gap, np.reshape(spare, (-1, 1, 1)), x).astype(np.float64)
    made = _from_around(values, gap & ~empty)
    return (made.round() if x.dtype.kind in "iu" else made).astype(x.dtype)


def _from_around(values: NDArray[np.float64], gap: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(C, H, W): each value in the gap is the mean of its block of 2 x 2, or of the smallest block with a value."""
    there = (~gap).astype(np.float64)
    sums, weights = (_of_blocks(one) for one in (values * there, there))
    coarse, empty = sums / np.maximum(weights, 1e-12), weights == 0
    if empty.any():
        coarse = _from_around(coarse, empty)
    fine = coarse.repeat(2, 1).repeat(2, 2)[:, : values.shape[1], : values.shape[2]]
    return np.where(gap, fine, values)


def _of_blocks(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, H / 2, W / 2), rounded up: the sum of each block of 2 x 2, of which what lies beyond the edges counts 0."""
    even = np.pad(x, ((0, 0), *((0, side % 2) for side in x.shape[1:])))
    return even[:, ::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, ::2] + even[:, 1::2, 1::2]
