"""One picture of samples: a grid of images, a cloud of points, or the distributions of a table's columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evenodds.show import pictures

if TYPE_CHECKING:
    from evenodds.data.tables.rows import Column
    from evenodds.runs.card import DataCard

__all__ = ["column_picture", "points_picture", "sample_picture"]

PANELS = 36
"""Columns that are shown."""


def sample_picture(card: DataCard, x: NDArray[Any], columns: int | None = None, least: int = 384) -> pictures.Pixels:
    """A grid of images, a cloud of points, or a panel for each column of a table.

    Args:
        x: (N, ...) in the data's own units.
        columns: of the grid; about the square root of N where None.
        least: pixels that the longer side of a grid has at least, about; images are enlarged to that.

    Returns:
        (C, H, W) uint8.
    """
    if card.kind == "image":
        return pictures.enlarge(pictures.grid(card.eight_bit(x), columns), least)
    if card.units.columns:
        return column_picture(card.units.columns, x)
    return pictures.cloud(x, *_bounds(card))


def points_picture(card: DataCard, made: NDArray[Any], real: NDArray[Any]) -> pictures.Pixels:
    """Real points, and samples to their right; of a single number, the shares of samples as bars, of real as a line.

    Args:
        made, real: (N, D) in the data's own units.
    """
    low, high = _bounds(card)
    if card.shape[0] > 1:
        return pictures.grid(np.stack([pictures.cloud(x, low, high) for x in (real, made)]), 2)
    counts = [np.histogram(x[:, 0], pictures.parts_of(len(x)), (low[0], high[0]))[0] / len(x) for x in (made, real)]
    return pictures.bars([f"{low[0]:.3g} to {high[0]:.3g}"], counts[:1], counts[1:], size=(640, 320))


def _bounds(card: DataCard) -> tuple[list[float], list[float]]:
    """What a picture of points shows: the range of the data, and a twentieth of it on each side."""
    ranges = list(zip(card.units.low, card.units.high, strict=True))
    return [low - 0.05 * (high - low) for low, high in ranges], [high + 0.05 * (high - low) for low, high in ranges]


def column_picture(columns: Sequence[Column], made: NDArray[Any], real: NDArray[Any] | None = None) -> pictures.Pixels:
    """A panel for each of the first columns of a table: the shares of its values, and those of real rows as a line.

    Args:
        made, real: (N, D) in the table's own numbers.
    """
    from evenodds.data.tables.rows import shares_of

    shown = columns[:PANELS]
    sides = [
        None if rows is None else [shares_of(column, rows[:, k]) for k, column in enumerate(shown)]
        for rows in (made, real)
    ]
    return pictures.bars([column.name for column in shown], sides[0] or [], sides[1])
