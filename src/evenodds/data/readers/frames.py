"""Tables of pandas: data frames in memory, sheets of Excel, and Parquet files without images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.dataset import Dataset
from evenodds.data.tables.datasets import from_columns, names_in, on_columns, with_labels
from evenodds.data.tables.frames import parsed_frame, read_frame, spelled_cells
from evenodds.data.tables.opened import require_columns
from evenodds.data.tables.rows import Column, Values, cells_of
from evenodds.data.tables.types import Types
from evenodds.errors import BadInput
from evenodds.files.misfit import shortened

__all__ = [
    "READS", "Like", "as_frame", "completed", "frames", "from_frame", "is_frame",
]  # fmt: skip

READS = (".xlsx",)
"""The file names' endings for which `load` comes here."""


def frames(
    path: str | os.PathLike[str],
    label: str | None = None,
    given: str | Sequence[str] | None = None,
    unlabelled: str | float | None = None,
    types: str | Mapping[str, str] = "auto",
    sheet: str | int = 0,
) -> Dataset:
    """A sheet of an Excel file, whose first row names the columns, or a Parquet table; needs `evenodds[pandas]`.

    Args:
        path: the file.
        label, given, unlabelled, types: see `evenodds.data.readers.table.table`.
        sheet: of Excel, its name, or its number from 0.
    """
    path = Path(path)
    return from_frame(read_frame(path, sheet), label, given, unlabelled, types, path.name)


def is_frame(x: Any) -> bool:
    """Whether this is a data frame of pandas, which need not be imported for that."""
    return type(x).__name__ == "DataFrame" and hasattr(x, "iloc")


def from_frame(
    frame: Any,
    label: str | None = None,
    given: str | Sequence[str] | None = None,
    unlabelled: str | float | None = None,
    types: str | Mapping[str, str] = "auto",
    where: str = "the data frame",
) -> Dataset:
    """A data set of a data frame; see `evenodds.data.readers.table.table`.

    Args:
        frame: columns of numbers, booleans, strings, categories, dates; NaN, None and NaT are empty cells.
        where: it comes from, for messages.
    """
    columns = [str(name) for name in frame.columns]
    given_names = names_in(given)
    require_columns(where, columns, label, given_names)
    wanted = Types.of(types, columns)
    used = [name for name in columns if name != label and not wanted.left_out(name)]
    parsed = {name: column for name, column in parsed_frame(frame, wanted, where=where).items() if name in used}
    dataset = from_columns(parsed, wanted, given_names, where)
    report = on_columns(dataset.report, columns, dataset.columns, label, given_names)
    dataset = replace(dataset, report=report)
    if label is None:
        return dataset
    return with_labels(dataset, columns, label, spelled_cells(frame.iloc[:, columns.index(label)]), unlabelled)


@dataclass(frozen=True)
class Like:
    """A data frame without its rows: its names and types, and what the cells of its columns of objects are.

    Args:
        frame: of which no row is needed.
        kinds: by column, the class of all its numbers, booleans or texts, where these are objects; None of others.
    """

    frame: Any
    kinds: tuple[type | None, ...] = ()

    @staticmethod
    def of(frame: Any) -> Like:
        """Of a data frame."""
        return Like(frame.iloc[:0], tuple(_kind(frame.iloc[:, k]) for k in range(frame.shape[1])))


def _kind(cells: Any) -> type | None:
    """The class of the numbers, booleans or texts in a column of objects; None where they are of several, or others.

    It is one that Python or NumPy brings, so that a pickle may name it.
    """
    if cells.dtype != object:
        return None
    kinds = {type(cell) for cell in cells[~cells.isna()]}
    kind = kinds.pop() if len(kinds) == 1 else object
    known = kind.__module__ in ("builtins", "decimal", "fractions", "numpy")
    return kind if known and issubclass(kind, Number | np.bool_ | str) else None


def _object(kind: Any, text: str) -> Any:
    """The number or boolean that a text spells, or the text; None where it is empty."""
    if not text:
        return None
    if issubclass(kind, bool | np.bool_):
        return kind(text.lower() == "true")
    return kind(round(Decimal(text))) if issubclass(kind, int | np.integer) else kind(text)


def as_frame(columns: Sequence[Column], x: Values, like: Like | Any) -> Any:
    """Rows (N, D) as a data frame with the names and the types of another.

    Args:
        like: of the same columns; a data frame alone, as estimators were pickled with, has text for its objects.
    """
    import pandas

    like = like if isinstance(like, Like) else Like(like)
    cells = cells_of(columns, x)
    frame = {}
    for k, (name, of) in enumerate(zip(like.frame.columns, columns, strict=True)):
        dtype, kind = like.frame.dtypes.iloc[k], like.kinds[k] if like.kinds else None
        stored = getattr(dtype, "kind", "O")
        column = pandas.Series(cells[:, k])
        if isinstance(dtype, pandas.CategoricalDtype):
            column = column.map({str(value): value for value in dtype.categories})
        elif kind is not None:
            column = pandas.Series([_object(kind, of.text(value)) for value in x[:, k].tolist()], dtype=object)
        elif stored == "O" and (of.form == "number" or isinstance(dtype, pandas.StringDtype)):
            column = pandas.Series([of.text(value) or None for value in x[:, k].tolist()])
        elif stored in "iu" and of.form == "number":
            column = pandas.Series(x[:, k].round())
        elif stored == "b":
            column = column.str.lower().map({"true": True, "false": False})
        elif stored == "M":
            column = pandas.to_datetime(column)
            if getattr(dtype, "tz", None) is not None:
                twice = np.zeros(len(column), bool)  # an hour that there are two of is the later one
                column = column.dt.tz_localize(dtype.tz, ambiguous=twice, nonexistent="shift_forward")
        try:
            frame[name] = column.astype(dtype)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadInput(f"column {shortened(str(name))} has the type {dtype}, {_NO_PLACE}") from error
    return pandas.DataFrame(frame, columns=like.frame.columns)


_NO_PLACE = "which has no place for what its cells are filled with; make it one of objects: astype(object)"


def completed(frame: Any, made: Any, empty: NDArray[np.bool_]) -> Any:
    """A data frame whose empty cells have the values of another; all others stay as they are.

    Args:
        made: of as many rows, with D columns of the frame, in any order.
        empty: (N, D) which cells of these are empty.

    Raises:
        BadInput: a column is of a type that cannot hold its values, such as one of other categories.
    """
    places, filled = {str(name): k for k, name in enumerate(made.columns)}, frame.copy()
    for k, name in enumerate(map(str, frame.columns)):
        where = empty[:, places[name]] if name in places else np.zeros(len(frame), bool)
        if not where.any():
            continue
        column, values = frame.iloc[:, k].copy(), made.iloc[:, places[name]]
        if (values.isna().to_numpy() & where).any():
            raise BadInput(f"column {shortened(name)} has the type {column.dtype}, {_NO_PLACE}")
        if hasattr(column, "sparse"):
            column = column.sparse.to_dense()
        column[where] = values.to_numpy()[where]
        filled.isetitem(k, column.astype(frame.dtypes.iloc[k]))
    return filled
