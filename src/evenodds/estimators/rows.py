"""Data frames with words, booleans, dates and empty cells, as numbers and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.readers.frames import Like, as_frame, completed, is_frame
from evenodds.data.tables.frames import parsed_frame, parsed_like
from evenodds.data.tables.rows import Column, Values, unordered
from evenodds.data.tables.types import Types, placed_rows, typed
from evenodds.errors import BadInput

__all__ = ["Rows", "needs_rows"]


def needs_rows(x: Any) -> bool:
    """Whether this is a data frame with columns that are no numbers."""
    return is_frame(x) and not all(getattr(dtype, "kind", "O") in "iuf" for dtype in x.dtypes)


@dataclass(frozen=True)
class Rows:
    """The columns of a data frame.

    Args:
        columns: in its order.
        like: the data frame, whose names and types others get.
    """

    columns: tuple[Column, ...]
    like: Like

    @staticmethod
    def of(frame: Any) -> Rows:
        """Learns from a data frame; every column needs an observed value."""
        columns, _, _ = typed(parsed_frame(frame), Types(all_kept=True), "X")
        return Rows(tuple(columns), Like.of(frame))

    @property
    def unordered(self) -> list[int]:
        """The places of columns of words."""
        return unordered(self.columns)

    def numbers(self, frame: Any, missing: bool = True) -> Values:
        """(N, D) numbers of a data frame with these columns, in any order; NaN where a cell is empty.

        Args:
            missing: whether cells may be empty in columns that had none.

        Raises:
            BadInput: other columns, or a word that its column does not have.
        """
        names = [column.name for column in self.columns]
        if not is_frame(frame) or sorted(map(str, frame.columns)) != sorted(names):
            raise BadInput(f"X must be a data frame with the columns of fit: {', '.join(names[:10])}")
        return placed_rows(self.columns, parsed_like(frame, self.columns), missing)

    def filled(self, frame: Any, x: Values, empty: NDArray[np.bool_]) -> Any:
        """A data frame whose empty cells (N, D) have the values of numbers (N, D); all others stay as they are."""
        return completed(frame, self.frame(x), empty)

    def frame(self, x: Values) -> Any:
        """Numbers (N, D) as a data frame like the one of `of`; decimals are those of its columns."""
        decimals = [column.decimals for column in self.columns]
        rounded = [x[:, k] if digits is None else x[:, k].round(digits) for k, digits in enumerate(decimals)]
        return as_frame(self.columns, np.stack(rounded, 1), self.like)
