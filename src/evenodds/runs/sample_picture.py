"""One picture of samples, in the data's own units."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from evenodds.runs.card import DataCard
from evenodds.show import pictures

__all__ = ["sample_picture"]


def sample_picture(card: DataCard, x: NDArray[Any], columns: int | None = None, least: int = 384) -> pictures.Pixels:
    """A grid of images, or a cloud of points.

    Args:
        x: (N, ...) in the data's own units.
        columns: of the grid; about the square root of N where None.
        least: pixels that the longer side of a grid has at least, about; images are enlarged to that.

    Returns:
        (C, H, W) uint8.
    """
    if card.kind == "image":
        return pictures.enlarge(pictures.grid(card.eight_bit(x), columns), least)
    margins = [0.05 * (high - low) for low, high in zip(card.units.low, card.units.high, strict=True)]
    low = [bound - margin for bound, margin in zip(card.units.low, margins, strict=True)]
    high = [bound + margin for bound, margin in zip(card.units.high, margins, strict=True)]
    return pictures.cloud(x, low, high)
