"""Rows of images and of labels as one picture. torch is not imported here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.palette import Palette
from evenodds.show import pictures

__all__ = ["in_rows"]


def in_rows(rows: Sequence[NDArray[Any]], palette: Palette | None = None, least: int = 384) -> NDArray[np.uint8]:
    """Rows of one length, images (N, C, H, W) in [-1, 1] or labels (N, H, W), as one picture (C, H', W') uint8.

    All are brought to the size of the last row, and to the channels of the row that has most of them.

    Args:
        least: the picture is enlarged to at least so many pixels.
    """
    pixels = [_pixels(row, palette) for row in rows]
    size, channels = pixels[-1].shape[2:], max(row.shape[1] for row in pixels)
    alike = np.concatenate([_alike(row, size, channels) for row in pixels])
    return pictures.enlarge(pictures.grid(alike, columns=len(rows[0])), least)


def _pixels(row: NDArray[Any], palette: Palette | None) -> NDArray[np.uint8]:
    """(N, C, H, W) uint8 of images in [-1, 1], or of labels (N, H, W) in their colours."""
    if palette is not None and row.ndim == 3:
        return np.moveaxis(palette.paint(row), -1, 1)
    return np.asarray(np.clip(((row + 1) * np.float32(127.5)).round(), 0, 255).astype(np.uint8))


def _alike(row: NDArray[np.uint8], size: tuple[int, ...], channels: int) -> NDArray[np.uint8]:
    """Images of another size enlarged without smoothing, of one channel repeated, of further channels cut."""
    for axis, (have, want) in enumerate(zip(row.shape[2:], size, strict=True), 2):
        row = row.take(np.arange(want) * have // want, axis)
    return np.repeat(row, channels, 1) if row.shape[1] == 1 else row[:, :3]
