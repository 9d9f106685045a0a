"""Data frames with words, booleans, dates and empty cells, as numbers and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from evenodds.data.readers.frames import Like, as_frame, completed, is_frame, parsed_frame, with_decimals
from evenodds.data.tables.rows import Column, Values, unordered
from evenodds.data.tables.types import Types, placed, typed
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
        parsed = parsed_frame(frame, like=self.columns)
        return np.stack([placed(column, parsed[column.name], missing) for column in self.columns], 1)

    def filled(self, frame: Any, x: Values) -> Any:
        """A data frame whose empty cells have the values of numbers (N, D); all others stay as they are."""
        return completed(frame, self.frame(x))

    def frame(self, x: Values) -> Any:
        """Numbers (N, D) as a data frame like the one of `of`; decimals are those of its columns."""
        return as_frame(self.columns, with_decimals(self.columns, x), self.like)
