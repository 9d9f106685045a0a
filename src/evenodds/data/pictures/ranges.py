"""Which numbers of images are used: the range of each channel, and the number that stands for no data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evenodds.data.pictures.holes import filled, sentinel
from evenodds.data.scale import Scale
from evenodds.data.wording import count
from evenodds.errors import BadInput

__all__ = ["Ranged", "check_options", "in_range", "in_single", "on_rounding"]

Range = str | Sequence[float]

USED = 0.25
"""Integers that use less of their depth than this have the range that occurs; so have channels, of what all span."""
OUTLIERS = 0.0005
"""At most this part of a channel's values, at either end, are outliers."""
STRETCH = 8.0
"""They are, at either end, where they make the range this many times as wide, or wider."""
LOOKED_AT = 1 << 20
"""Values of a channel from which its outliers are found."""


class Ranged(NamedTuple):
    """Images, and the range of their numbers."""

    x: NDArray[Any]  # (N, C, H, W): values without data filled in, outliers clipped.
    scale: Scale
    kept: NDArray[np.bool_]  # (N,): False where an image holds no data at all.
    notes: list[str]
    nodata: float | None = None  # The value that stands for no data; None where none does.
    means: NDArray[np.float64] | None = None  # (C,): of each channel, for those that hold no data in an image.

    def applied(self, x: NDArray[Any]) -> NDArray[Any]:
        """Other images (n, C, H, W) of the same kind, with what has no data filled in, and outliers clipped.

        Raises:
            BadInput: one holds no data at all.
        """
        holes = _holes(x, self.nodata) if self.nodata is not None else np.zeros(x.shape, np.bool_)
        if x.dtype == np.float32:
            holes |= np.isnan(x)
        if holes.any():
            if holes.reshape(len(x), -1).all(1).any():
                raise BadInput("it holds no data at all; remove it, or set data.nodata=none")
            x = _filled(x, holes, np.zeros(x.shape[1]) if self.means is None else self.means)
        return _clipped(x, self.scale.low, self.scale.high)[0]


def check_options(wanted: Range, nodata: str | float) -> None:
    """BadInput where a range or a number for no data cannot be, before any file is read."""
    _ = _number(nodata) if nodata != "auto" else None
    if not isinstance(wanted, str) or "," in wanted:
        _given(wanted)
    elif wanted not in ("auto", "full"):
        raise BadInput(f"data.range needs auto, full, or two numbers such as 0,4095, got '{wanted}'")


def in_range(
    x: NDArray[Any], depth: str, wanted: Range = "auto", nodata: str | float = "auto", noun: str = "image"
) -> Ranged:
    """The range of images, found or as it is wanted.

    Args:
        x: (N, C, H, W), whole numbers or finite floats; of floats, where `nodata` is "nan", also these.
        depth: "uint8", "uint16" or "float32".
        wanted: "auto"; "full", all that the depth can hold, or of floats all that occurs, for all channels; or the two
            ends.
        nodata: the number that stands for no data; "nan"; "auto" for one of the usual where it lies far from all
            others; "none" for none.
        noun: what an item is, in the singular.

    Raises:
        BadInput: an option that cannot be, or no image holds data.
    """
    check_options(wanted, nodata)
    if depth == "uint8" and wanted in ("auto", "full") and nodata in ("auto", "none"):
        return Ranged(x, Scale((0.0,), (255.0,), "uint8"), np.ones(len(x), np.bool_), [])
    value = (sentinel(x) if depth != "uint8" else None) if nodata == "auto" else _number(nodata)
    notes: list[str] = []
    kept: NDArray[np.bool_] = np.ones(len(x), np.bool_)
    means = None
    if value is not None:
        holes = _holes(x, value)
        kept = np.any(~holes.reshape(len(x), -1), axis=1)
        if not kept.any():
            raise BadInput(f"no {noun} holds any data: all are {_word(nodata)}; name the right value with data.nodata")
        notes = _on_holes(holes[kept], value, nodata, noun) if holes[kept].any() else []
        notes = notes if holes.any() else [_NEVER.format(value)]
        means = _means(x, holes)
        x = _filled(x, holes, means)
        x[~kept] = x[kept][0]  # they are left out
    low, high = _ends(x, depth, wanted)
    x, clipped = _clipped(x, low, high)
    notes += [f"Left out {count(int((~kept).sum()), noun)} without any data."] if not kept.all() else []
    notes = [*notes, *_said(depth, low, high, wanted), *clipped]
    return Ranged(x, Scale(low, high, depth), kept, notes, value, means)


def in_single(values: NDArray[Any]) -> tuple[NDArray[np.float32], float]:
    """Numbers of any kind in single precision, and by how much they were changed at most."""
    single = values.astype(np.float32)
    if values.dtype.itemsize < 4 or values.dtype == np.float32:
        return single, 0.0
    changes = (np.abs(a.astype(np.float64) - b) for a, b in zip(values, single, strict=True))
    return single, max((float(np.nanmax(one, initial=0.0)) for one in changes), default=0.0)


def on_rounding(most: float) -> list[str]:
    """A note on numbers that were changed by so much at most."""
    return [f"Rounded numbers of more than 24 bits to single precision, by {most:.2g} at most."] if most else []


# What holds no data ---------------------------------------------------------------------------------------------------


_NEVER = "No value is {:g}, which data.nodata names."


def _holes(x: NDArray[Any], value: float) -> NDArray[np.bool_]:
    """(N, C, H, W): which values are no data."""
    holes: NDArray[np.bool_] = np.isnan(x) if math.isnan(value) else x == value
    return holes


def _on_holes(holes: NDArray[np.bool_], value: float, nodata: str | float, noun: str) -> list[str]:
    images = count(int(holes.reshape(len(holes), -1).any(1).sum()), noun)
    found = "; data.nodata=none takes it as a number" if nodata == "auto" else ""
    share = f"{int(holes.sum()):,} of them ({holes.mean():.2%}) in {images}"
    return [f"Values of {value:g} are no data: {share} were filled in from their neighbours{found}."]


def _number(nodata: str | float) -> float | None:
    if nodata == "none":
        return None
    try:
        return float(nodata)
    except ValueError:
        raise BadInput(f"data.nodata needs a number, nan, auto or none, got '{nodata}'") from None


def _word(nodata: str | float) -> str:
    return "the usual value for it" if nodata == "auto" else str(nodata)


def _means(x: NDArray[Any], holes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(C,): the mean of what is no hole in each channel."""
    there = (~holes).sum((0, 2, 3))
    means: NDArray[np.float64] = np.where(holes, 0, x).astype(np.float64).sum((0, 2, 3)) / np.maximum(there, 1)
    return means


def _filled(x: NDArray[Any], holes: NDArray[np.bool_], means: NDArray[np.float64]) -> NDArray[Any]:
    """The images with each hole filled in from what is around it; a channel without any data has the mean of others."""
    x = x.copy()
    for k in np.flatnonzero(holes.reshape(len(x), -1).any(1)):
        x[k] = filled(x[k], holes[k], means)
    return x


# The range ------------------------------------------------------------------------------------------------------------

Ends = tuple[tuple[float, ...], tuple[float, ...]]


def _ends(x: NDArray[Any], depth: str, wanted: Range) -> Ends:
    """The low and the high end: one for all channels, or one for each."""
    if not isinstance(wanted, str) or "," in wanted:
        return _given(wanted)
    if depth == "uint8":
        return (0.0,), (255.0,)
    if wanted == "full":
        return ((0.0,), (65535.0,)) if depth == "uint16" else ((float(x.min()),), (float(x.max()),))
    ends = [_of_channel(x[:, k]) for k in range(x.shape[1])]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if all(top - bottom >= USED * (high - low) for bottom, top in ends):
        ends = [(low, high)]
    if depth == "uint16":
        ends = [_in_bits(*one) for one in ends]
    return tuple(bottom for bottom, _ in ends), tuple(top for _, top in ends)


def _given(wanted: Range) -> Ends:
    try:
        ends = [float(one) for one in (wanted.split(",") if isinstance(wanted, str) else wanted)]
    except ValueError:
        ends = []
    if len(ends) != 2 or not all(map(math.isfinite, ends)) or not ends[0] < ends[1]:
        raise BadInput(f"data.range needs two numbers, the lower one first, such as 0,4095, got {wanted!r}")
    return (ends[0],), (ends[1],)


def _of_channel(values: NDArray[Any]) -> tuple[float, float]:
    """The range that occurs, without outliers."""
    low, high = float(values.min()), float(values.max())
    flat = values.reshape(-1)[:: max(1, values.size // LOOKED_AT)]
    if len(flat) < 2 / OUTLIERS:
        return low, high
    inner_low, inner_high = (float(one) for one in np.quantile(flat, [OUTLIERS, 1 - OUTLIERS]))
    reach = (STRETCH - 1) * (inner_high - inner_low)
    return (inner_low if 0 < reach <= inner_low - low else low), (
        inner_high if 0 < reach <= high - inner_high else high
    )


def _in_bits(low: float, high: float) -> tuple[float, float]:
    """From 0 to the highest number of as many bits; the range that occurs where it is a small part of that."""
    top = float(2 ** max(8, int(high).bit_length()) - 1)
    return (0.0, top) if high == low or high - low >= USED * top else (low, high)


def _clipped(x: NDArray[Any], low: Sequence[float], high: Sequence[float]) -> tuple[NDArray[Any], list[str]]:
    """The images within the range."""
    bottom, top = (np.asarray(ends, np.float64).reshape(1, -1, 1, 1) for ends in (low, high))
    outside = int(((x < bottom) | (x > top)).sum())
    if not outside:
        return x, []
    share = outside / x.size
    note = f"Clipped {outside:,} values ({share:.3%}) that lie outside of the range; data.range=full keeps them."
    return np.clip(x, bottom, top).astype(x.dtype), [note]


def _said(depth: str, low: Sequence[float], high: Sequence[float], wanted: Range) -> list[str]:
    """What range was found, where it is not all that the depth holds, or differs from channel to channel."""
    if wanted != "auto" or (len(low) == 1 and (depth == "float32" or high[0] == 65535.0)):
        return []
    ends = ", ".join(f"{bottom:.6g} to {top:.6g}" for bottom, top in list(zip(low, high, strict=True))[:8])
    if len(low) > 1:
        return [f"Each channel has a range of its own: {ends}; data.range=full takes one for all."]
    return [f"Of 16 bits, {ends} is used, which is taken as the range; data.range=full takes 0 to 65535."]
