"""Pixels of a picture brought to another size: cropped, padded or stretched; labels by their nearest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evenodds.data.pictures.holes import filled, without_data

__all__ = ["Pixels", "Size", "nearest", "placed", "resized"]

Pixels = NDArray[Any]
Size = tuple[int, int]


def resized(pixels: Pixels, size: Size, fit: str, grid: int = 1, separate: bool = False) -> Pixels:
    """(H, W, C) -> (*size, C), see `images`. The whole is kept in floats where it has more than 8 bits.

    With a grid, which divides all sides, edges lie where they lie in the picture that is that much smaller. Of more
    than 8 bits, what holds no data stays so, and does not mix with what is around it.

    Lanczos overshoots edges: more than 8 bits stay within what the picture holds, as their range is found from them.

    Args:
        separate: whether the channels have nothing to do with each other; else the last of 2 or 4 is alpha.
    """
    if pixels.shape[:2] == size:
        return pixels
    deep, channels = pixels.dtype != np.uint8, pixels.shape[2]
    if deep and (found := without_data(pixels)) is not None:
        gap, value = found
        whole = resized(
            np.moveaxis(filled(*(np.moveaxis(one, -1, 0) for one in (pixels, gap))), 0, -1), size, fit, grid
        )
        whole[nearest(gap.astype(np.int16), size, fit) == 1] = value
        return whole
    if channels > 1 and (deep or separate):
        return np.concatenate([resized(pixels[..., k : k + 1], size, fit, grid) for k in range(channels)], 2)
    flat = pixels[..., 0] if channels == 1 else pixels
    image = Image.fromarray(np.ascontiguousarray(flat.astype(np.float32) if deep else flat))
    box, inner, corner = placed(pixels.shape[:2], size, fit, grid)
    image = image.resize((inner[1], inner[0]), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    values = np.asarray(image).reshape(*inner, channels)
    if pixels.dtype == np.uint16:
        values = values.round().clip(pixels.min(), pixels.max()).astype(np.uint16)
    elif deep:
        values = values.clip(pixels.min(), pixels.max())
    return _padded(values, size, corner, 0)


def nearest(labels: Pixels, size: Size, fit: str) -> Pixels:
    """(H, W, C) labels -> (*size, C) as `resized` places them: each the nearest of those that are there, -1 around."""
    if labels.shape[:2] == size:
        return labels
    (left, top, right, bottom), inner, corner = placed(labels.shape[:2], size, fit, 1)
    # The middle of a pixel of the result, in pixels of the map; rounding must not lead over the edge.
    rows = top + (np.arange(inner[0]) + 0.5) * ((bottom - top) / inner[0])
    columns = left + (np.arange(inner[1]) + 0.5) * ((right - left) / inner[1])
    rows, columns = rows.astype(int).clip(0, labels.shape[0] - 1), columns.astype(int).clip(0, labels.shape[1] - 1)
    return _padded(labels[rows[:, None], columns], size, corner, -1)


def placed(stored: Size, size: Size, fit: str, grid: int) -> tuple[tuple[float, float, float, float], Size, Size]:
    """Which box (left, top, right, bottom) of a picture becomes how large, and where its corner comes to lie."""
    if grid > 1:
        small = placed((stored[0] // grid, stored[1] // grid), (size[0] // grid, size[1] // grid), fit, 1)
        (left, top, right, bottom), inner, corner = small
        box = (left * grid, top * grid, right * grid, bottom * grid)
        return box, (inner[0] * grid, inner[1] * grid), (corner[0] * grid, corner[1] * grid)
    height, width = stored
    box, inner = (0.0, 0.0, float(width), float(height)), size
    if fit == "crop":
        scale = min(width / size[1], height / size[0])
        left, top = max(0.0, (width - scale * size[1]) / 2), max(0.0, (height - scale * size[0]) / 2)
        box = (left, top, width - left, height - top)
    elif fit == "pad":
        scale = min(size[1] / width, size[0] / height)
        inner = max(1, round(height * scale)), max(1, round(width * scale))
    return box, inner, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)


def _padded(values: Pixels, size: Size, corner: Size, around: int) -> Pixels:
    rows = corner[0], size[0] - values.shape[0] - corner[0]
    columns = corner[1], size[1] - values.shape[1] - corner[1]
    return np.pad(values, [rows, columns, (0, 0)], constant_values=around)
