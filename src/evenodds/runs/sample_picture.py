"""One picture of samples: a grid of images, a cloud of points, or the distributions of a table's columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from evenodds.show import pictures

if TYPE_CHECKING:
    from evenodds.data.tables.rows import Column
    from evenodds.runs.card import DataCard

__all__ = ["column_picture", "sample_picture"]

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
    margins = [0.05 * (high - low) for low, high in zip(card.units.low, card.units.high, strict=True)]
    low = [bound - margin for bound, margin in zip(card.units.low, margins, strict=True)]
    high = [bound + margin for bound, margin in zip(card.units.high, margins, strict=True)]
    return pictures.cloud(x, low, high)


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
