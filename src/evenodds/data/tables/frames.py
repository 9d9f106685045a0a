"""Sheets of Excel and Parquet tables as data frames of pandas, and their columns. torch is not imported here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from evenodds.data.tables.cells import EXACT, Parsed, WordCells, decimal_points
from evenodds.data.tables.opened import READS as TEXTS
from evenodds.data.tables.rows import Column
from evenodds.data.tables.types import Types, flag_of
from evenodds.errors import BadInput
from evenodds.files.extras import named, needs
from evenodds.files.misfit import shortened
from evenodds.files.regular import open_regular

__all__ = ["TABLES", "parsed_frame", "parsed_like", "read_frame", "spelled_cells", "spelled_flags"]

TABLES = (*TEXTS, ".xlsx", ".parquet")
"""The file names' endings of tables in text files, and of what is read as a data frame."""
_LARGEST = 1 << 30  # Bytes of a file.


def read_frame(path: Path, sheet: str | int = 0) -> Any:
    """A sheet of an Excel file, or a Parquet table, as a data frame."""
    return _parquet(path) if path.suffix.lower() == ".parquet" else _sheet(path, sheet)


def _sheet(path: Path, sheet: str | int) -> Any:
    with named(path.name), needs("pandas"):
        import pandas
        import python_calamine  # noqa: F401  pandas reads sheets by it
    try:
        with open_regular(path) as file:
            return pandas.read_excel(BytesIO(file.read(_LARGEST + 1)), sheet_name=sheet, engine="calamine")
    except Exception as error:  # what reads sheets raises anything of a file that is none
        raise BadInput(f"{path.name} cannot be read as a sheet of Excel: {str(error)[:200]}; save it as CSV") from error


def _parquet(path: Path) -> Any:
    with named(path.name), needs("parquet"):
        import pyarrow.parquet
    with named(path.name), needs("pandas"):
        import pandas
    try:
        with open_regular(path) as file:
            return pyarrow.parquet.read_table(file, use_threads=False).to_pandas()
    except (pandas.errors.DataError, pyarrow.ArrowException, OSError, ValueError) as error:
        raise BadInput(f"{path.name} is damaged or no parquet file; save it again") from error


def parsed_frame(
    frame: Any, types: Types | None = None, like: Sequence[Column] = (), where: str = "the data frame"
) -> dict[str, Parsed]:
    """The columns of a data frame by name.

    Args:
        types: what the user says that they are.
        like: the columns of a table of its kind; numbers that leave it open what stands before decimals are written as
            theirs.
        where: it comes from, for messages.

    Raises:
        BadInput: a column that is said to hold numbers holds others.
    """
    if not len(frame):
        raise BadInput("the data frame needs rows, got none")
    types = types or Types()
    amounts = {column.name for column in like if column.form == "number"}
    columns = {str(name): _read(str(name), frame.iloc[:, k], types, amounts) for k, name in enumerate(frame.columns)}
    if len(columns) < frame.shape[1]:
        raise BadInput("two columns of the data frame have one name; rename one")
    proved = [column.point for column in columns.values() if isinstance(column, WordCells)]
    points = decimal_points(proved, columns, like)
    parsed = {
        name: column.parsed(points[name]) if isinstance(column, WordCells) else column
        for name, column in columns.items()
    }
    for name, column in parsed.items():
        if column.form != "number":
            types.require_words(name, where)
    return parsed


def parsed_like(frame: Any, columns: Sequence[Column]) -> dict[str, Parsed]:
    """The columns of a data frame by name, read as those of a table of its kind: words of theirs are words, whatever
    they look like, but for numbers; see `evenodds.data.tables.types.placed`."""
    wordy = {column.name for column in columns if column.form == "words"}
    frame = spelled_flags(frame, columns)
    kinds = {str(name): getattr(dtype, "kind", "O") for name, dtype in zip(frame.columns, frame.dtypes, strict=True)}
    named = {name: "words" for name in wordy if kinds.get(name) not in ("i", "u", "f")}
    return parsed_frame(frame, Types(by_name=named), columns)


def spelled_flags(frame: Any, columns: Sequence[Column]) -> Any:
    """The data frame, with words for True and False where columns of a table of its kind spell them otherwise."""
    of, spelled = {column.name: column for column in columns if column.form == "words"}, frame.copy(deep=False)
    for k, name in enumerate(map(str, frame.columns)):
        words = {flag: flag_of(of[name], flag) for flag in (True, False)} if name in of else {}
        cells = frame.iloc[:, k]
        if any(word != str(flag) for flag, word in words.items()) and cells.dtype.kind in "bO":
            flags = [words[bool(one)] if isinstance(one, bool | np.bool_) else one for one in cells]
            spelled.isetitem(k, type(cells)(flags, index=frame.index, dtype=object))
    return spelled


def _read(name: str, cells: Any, types: Types, amounts: Collection[str]) -> Parsed | WordCells:
    """A column of a data frame.

    Args:
        amounts: names of columns that are numbers in a table of its kind.
    """
    kind = getattr(cells.dtype, "kind", "O")
    if kind in "iuf" and _are_exact(cells, kind) and not types.words(name):
        values = cells.to_numpy(np.float64, na_value=np.nan)
        if np.isinf(values).any():
            raise BadInput(f"column {shortened(name)} has infinite values; use NaN for what is missing")
        return Parsed.numbers(values)
    if kind == "M":
        return _moments(cells)
    told = types.numbers(name)
    levels = (kind == "b" or type(cells.dtype).__name__ == "CategoricalDtype") and not told
    words = WordCells(name, as_words=levels or types.words(name), as_numbers=told or name in amounts)
    words.add(spelled_cells(cells))
    return words


def spelled_cells(cells: Any) -> list[str]:
    """The cells as words, empty ones where they are missing."""
    return ["" if empty else str(cell) for cell, empty in zip(cells, cells.isna(), strict=True)]


def _are_exact(cells: Any, kind: str) -> bool:
    """Whether floats hold all of the numbers."""
    return kind == "f" or bool(cells.isna().all()) or max(-int(cells.min()), int(cells.max())) < EXACT


def _moments(cells: Any) -> Parsed:
    """Dates, or dates with times."""
    cells = cells.dt.tz_localize(None)  # the hour of the place, where there is one
    seconds = cells.to_numpy("datetime64[s]").astype(np.int64).astype(np.float64)
    seconds[cells.isna().to_numpy()] = np.nan
    whole_days = bool((seconds[~np.isnan(seconds)] % 86400 == 0).all())
    if whole_days:
        return Parsed(seconds / 86400, "date", "%Y-%m-%d")
    return Parsed(seconds, "datetime", "%Y-%m-%d %H:%M:%S")
