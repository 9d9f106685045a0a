"""How near a picture is to the truth, by strips of rows: memory follows the strip and not the picture."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.apply.in_kind import BICUBIC_REACH, enlarged
from evenodds.apply.tiling import Rows
from evenodds.data.pictures.picture import DecodedImage, in_channels
from evenodds.data.pictures.placing import Pixels
from evenodds.metrics.psnr import decibels, video_luma
from evenodds.metrics.ssim import ssim, window_side

__all__ = ["enlarged_rows", "likeness", "rows_of"]

_AT_ONCE = 1 << 20  # Pixels of a strip: some hundred bytes for each are in memory meanwhile.


def rows_of(picture: DecodedImage, channels: int, size: tuple[int, int] | None = None) -> Rows:
    """The picture in [-1, 1] by rows, alpha over white.

    Args:
        channels: that it is brought to.
        size: (height, width) of the upper left part that is taken; None: all of it.
    """
    height, width = size or picture.size
    full = np.iinfo(picture.pixels.dtype).max

    def take(at: NDArray[np.int64]) -> Pixels:
        pixels = in_channels(picture.pixels[at, :width], channels).astype(np.float32)
        return np.moveaxis(pixels / full * 2 - 1, -1, 0)[None]

    return Rows((height, width), take)


def enlarged_rows(source: Rows, scale: int, channels: int) -> Rows:
    """The bicubic enlargement at 8 bits, by rows that follow each other; one channel is repeated."""
    height, width = source.size

    def take(at: NDArray[np.int64]) -> Pixels:
        first, after = int(at[0]) // scale - BICUBIC_REACH, -(-(int(at[-1]) + 1) // scale) + BICUBIC_REACH
        first, after = max(0, first), min(height, after)
        before = source.take(np.arange(first, after))
        before = np.broadcast_to(before, (1, channels, *before.shape[2:]))
        levels = ((enlarged(before, scale).clip(-1, 1) + 1) * np.float32(127.5)).round() / np.float32(127.5) - 1
        return levels[..., int(at[0]) - first * scale :, :][..., : len(at), :]

    return Rows((height * scale, width * scale), take)


def likeness(x: Rows, y: Rows, scale: int) -> dict[str, float]:
    """PSNR and SSIM on Y, without the border where that leaves anything; where nothing scales, of all colours too.

    Args:
        x: in [-1, 1], of the size of y.
        y: the truth.
        scale: of x to what it was made of, and the width of the border; 1 has none.
    """
    height, width = y.size
    border = scale if scale > 1 and min(height, width) > 2 * scale + 3 else 0
    inner = (height - 2 * border, width - 2 * border)
    window = window_side(inner) if min(inner) >= 4 else 1
    places = inner[0] - window + 1  # Rows of the map of similarities.
    per = max(1, _AT_ONCE // inner[1])
    squares, similar = _Squares(), 0.0 if min(inner) >= 4 else math.nan
    for top in range(0, places, per):
        after = min(places, top + per)
        at = np.arange(top, after + window - 1) + border
        both = [torch.from_numpy(of.take(at)[..., border : border + inner[1]].copy()) for of in (x, y)]
        luminance = [video_luma(of) for of in both]
        if min(inner) >= 4:
            similar += float(ssim(*luminance)) * ((after - top) / places)
        fresh_rows = len(at) if after == places else after - top
        squares.add("psnr", luminance, fresh_rows)
        if scale == 1 and both[1].shape[1] == 3:
            squares.add("colour_psnr", both, fresh_rows)
    return {"psnr": squares.decibels("psnr"), "ssim": similar} | squares.rest("psnr")


class _Squares:
    """Sums of squared errors by name."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor, int]] = {}

    def add(self, name: str, both: list[Tensor], rows: int) -> None:
        """Adds the errors of the first rows of both (1, C, h, W)."""
        apart = (both[0] - both[1])[..., :rows, :].double().square()
        total, number = self._sums.get(name, (torch.zeros((), dtype=torch.float64), 0))
        self._sums[name] = (total + apart.sum(), number + apart.numel())

    def decibels(self, name: str) -> float:
        total, number = self._sums[name]
        return float(decibels(total / number))

    def rest(self, name: str) -> dict[str, float]:
        """The decibels of all others."""
        return {other: self.decibels(other) for other in self._sums if other != name}
