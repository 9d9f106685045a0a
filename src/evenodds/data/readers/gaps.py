"""Tables whose empty cells are to be filled: they are what is missing, and no choice of their own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evenodds.data.dataset import Dataset
from evenodds.data.tables.datasets import from_columns, on_columns
from evenodds.data.tables.frames import TABLES, parsed_frame, read_frame
from evenodds.data.tables.opened import READS as TEXTS
from evenodds.data.tables.opened import open_table, parsed_cells, require_columns
from evenodds.data.tables.types import Types
from evenodds.errors import BadInput

__all__ = ["FEW", "LAYOUTS", "READS", "frame_gaps", "gaps"]

READS = TABLES
"""The file names' endings for which `load` comes here, in this layout."""
LAYOUTS: dict[str, dict[str, object]] = {"gaps": {}}
FEW = 20
"""A column with at most so many different numbers gets no others."""


def gaps(
    path: str | os.PathLike[str],
    delimiter: str | None = None,
    header: bool | None = None,
    types: str | Mapping[str, str] = "auto",
    encoding: str | None = None,
    sheet: str | int = 0,
    scale: str = "standard",
) -> Dataset:
    """A table with empty cells to fill: players see one number for each column, and for each word of one of words; NaN
    where a cell is empty.

    Args:
        path: text, one row per line; a sheet of Excel; or a Parquet table.
        delimiter, header, encoding: of text, see `evenodds.data.readers.table.table`.
        types: likewise, but no column is taken as it is: "plain" is refused.
        sheet: of Excel, its name, or its number from 0.
        scale: of columns for the players: "standard" (mean 0, deviation 1), "minmax" ([-1, 1]) or "quantile" (normal
            scores of the ranks, for tails so long that a mean says little).
    """
    path = Path(path)
    if types == "plain":
        raise BadInput("data.types=plain leaves columns as they are, and filling scales each; leave data.types out")
    if path.suffix.lower() in TEXTS:
        opened = open_table(path, delimiter, header, encoding)
        text, columns = opened.text, opened.columns
        require_columns(path.name, columns, None, ())
        wanted = _wanted(types, columns, scale)
        dataset = from_columns(parsed_cells(opened, wanted)[0], wanted, where=path.name)
        dataset = replace(dataset, delimiter=text.delimiter, report=(*dataset.report, *text.notes))
        return replace(dataset, report=on_columns(dataset.report, columns, dataset.columns, None, ()))
    return frame_gaps(read_frame(path, sheet), types, scale, path.name)


def frame_gaps(
    frame: Any,
    types: str | Mapping[str, str] = "auto",
    scale: str = "standard",
    where: str = "the data frame",
) -> Dataset:
    """A data frame of pandas whose empty cells are to be filled; see `gaps`.

    Args:
        where: it comes from, for messages.
    """
    columns = [str(name) for name in frame.columns]
    require_columns(where, columns, None, ())
    wanted = _wanted(types, columns, scale)
    parsed = {name: one for name, one in parsed_frame(frame, wanted, where=where).items() if not wanted.left_out(name)}
    dataset = from_columns(parsed, wanted, where=where)
    return replace(dataset, report=on_columns(dataset.report, columns, dataset.columns, None, ()))


def _wanted(types: str | Mapping[str, str], columns: list[str], scale: str) -> Types:
    return replace(Types.of(types, columns), scale=scale, few=FEW)
