"""A run that fills in, at work on rows of programs: mappings of columns to values, None where nothing is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, compress
from typing import TYPE_CHECKING, Any

import numpy as np

from evenodds.apply.learned_columns import left_empty, require_learned
from evenodds.apply.table_fillers import table_filler_of
from evenodds.data.tables.cells import UNKNOWN, Parsed, WordCells, is_empty
from evenodds.data.tables.rows import Column, unordered
from evenodds.data.tables.types import flag_of, placed_rows, spelled_as, without_absent, word_of
from evenodds.errors import BadInput
from evenodds.files.misfit import shortened
from evenodds.runs.imputing import TableFiller
from evenodds.runs.strategies import Strategy, strategy_of

if TYPE_CHECKING:
    from evenodds.runs.session import Session

__all__ = ["FilledRows", "fill_rows"]


@dataclass(frozen=True)
class FilledRows:
    """Rows whose empty cells are filled.

    Args:
        fillings: of each filling all rows, with the columns of those that were given.
        notes: on what was taken for what.
    """

    fillings: list[list[dict[str, Any]]]
    notes: tuple[str, ...] = ()


def fill_rows(
    run: Session | TableFiller,
    rows: Sequence[Mapping[str, Any]],
    n: int = 1,
    strategy: Strategy | None = None,
    seed: int = 0,
) -> FilledRows:
    """Fills the empty cells of rows, by a run that learned to fill tables; what is there stays as it is.

    Args:
        run: that learned to fill tables, or what a file fills tables by, see `evenodds.export.table_fillers`.
        rows: a number, text, True, False or None for each column that the run learned, and perhaps others, which stay.
            None, NaN, empty text, and words for nothing as `evenodds fill` knows them, are empty cells. A row in which
            the run knows no cell stays empty.
        n: how many fillings.
        strategy: "mean", the mean of 64 draws, which errs least, and of words the likeliest one; or "draw", which keeps
            the spread of columns. None: the mean of one filling, else draws.
        seed: the same one gives the same fillings; the first of more draws are those of fewer.

    Returns:
        Numbers are filled with the decimals of their column, words by words (True and False where the cells are such),
        dates and times as the cells of their column are spelled, or as the run's own where there are none.

    Raises:
        BadInput: a row lacks a column, a cell is of another kind than the run has learned, or a word is one that the
            run has not seen; or the run fills no tables.

    Example:
        >>> import evenodds, numpy, pandas
        >>> from evenodds.apply.filling_rows import fill_rows
        >>> age = numpy.arange(20, 80)
        >>> frame = pandas.DataFrame({"age": age * 0.5, "city": ["Bonn", "Rome"] * 30})
        >>> small = {"generator__width": 8, "discriminator__width": 8, "images": 256, "watch": "off"}
        >>> session = evenodds.fit(frame, "fill-table", **small)
        >>> made = fill_rows(session, [{"age": 20.5, "city": None}, {"age": None, "city": "Rome"}], n=3)
        >>> len(made.fillings), made.fillings[0][0]["age"], made.fillings[0][0]["city"] in ("Bonn", "Rome")
        (3, 20.5, True)
    """
    filler = table_filler_of(run)
    how, columns = strategy_of(strategy, n), filler.columns
    _require_cells(columns, rows)
    cells = {column.name: [_cell(row[column.name], column.form == "words") for row in rows] for column in columns}
    parsed, notes = without_absent(columns, {column.name: _parsed(column, cells[column.name]) for column in columns})
    x = placed_rows(columns, parsed)
    empty = np.isnan(x)
    to_fill = empty & ~empty.all(1, keepdims=True)
    writers = [
        _writer(column, list(compress(cells[column.name], known)), parsed[column.name])
        for column, known in zip(columns, ~empty.T, strict=True)
    ]
    fillings = []
    for filling in filler.imputer.fillings(x, n, how, seed, unordered(columns)):
        made = [dict(row) for row in rows]
        for k, (column, written) in enumerate(zip(columns, writers, strict=True)):
            places = to_fill[:, k].nonzero()[0]
            for row, value in zip(places.tolist(), column.held(filling[places, k]).tolist(), strict=True):
                made[row][column.name] = written(value)
        fillings.append(made)
    others = {str(name): any(_cell(row.get(name)) is None for row in rows) for name in dict.fromkeys(chain(*rows))}
    return FilledRows(fillings, (*notes, *left_empty(columns, others)))


def _require_cells(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
    """BadInput where there are no rows, one lacks a column, or a cell is none."""
    if not rows:
        raise BadInput("rows are needed, got none; each is a mapping of columns to values")
    require_learned("row 1", tuple(columns), [*rows[0]])
    for number, row in enumerate(rows, 1):
        for column in columns:
            if column.name not in row:
                raise BadInput(f"row {number} has no {shortened(column.name)}; give null where nothing is known")
            cell = row[column.name]
            if not isinstance(cell, str | bool | int | float | np.generic | None):
                kind = type(cell).__name__
                raise BadInput(f"row {number} has a {kind} in {shortened(column.name)}; give a number, text or null")


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | np.number) and not isinstance(cell, bool)


def _cell(cell: Any, words: bool = True) -> Any:
    """A cell; None where it is empty.

    Args:
        words: whether it is one of words, of which `without_absent` finds, and says, which others stand for nothing.
    """
    if isinstance(cell, str):
        return None if (cell.strip().lower() in UNKNOWN if words else is_empty(cell)) else cell
    return None if isinstance(cell, float | np.generic) and cell != cell else cell


def _parsed(column: Column, cells: Sequence[Any]) -> Parsed:
    """The cells of a column as numbers: JSON says which are numbers and which are text."""
    numbers = np.array([_number(column, cell) for cell in cells])
    if column.form == "words":
        words = WordCells(column.name, as_words=True)
        words.add([_text(column, cell) for cell in cells])
        return words.parsed("")
    texts = ["" if cell is None or _is_number(cell) else str(cell) for cell in cells]
    if not any(texts):
        return Parsed.numbers(numbers)
    read = WordCells(column.name, like=column if column.spelling else None, as_numbers=column.form == "number")
    read.add(texts)
    parsed = read.parsed(column.style.point if column.form == "number" else "")
    if np.isnan(numbers).all():
        return parsed
    if parsed.form != "number" and not np.isnan(parsed.values).all():
        return parsed  # which does not go with numbers, and is said
    return Parsed(np.where(np.isnan(parsed.values), numbers, parsed.values), style=parsed.style)


def _number(column: Column, cell: Any) -> float:
    if not _is_number(cell):
        return math.nan
    try:
        value = float(cell)
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise BadInput(f"column {shortened(column.name)} has an infinite number; give null where nothing is known")
    return value


def _text(column: Column, cell: Any) -> str:
    """A cell of a column of words: numbers, true and false as the column spells them."""
    if cell is None:
        return ""
    if isinstance(cell, float | np.floating):
        return word_of(column, float(cell))
    return flag_of(column, bool(cell)) if isinstance(cell, bool | np.bool_) else str(cell)


def _writer(column: Column, known: Sequence[Any], parsed: Parsed) -> Callable[[float], Any]:
    """How the values of a column are written: as those of its cells are of which something is known."""
    texts = any(isinstance(cell, str) for cell in known)
    if column.form == "words" and known and not texts and all(isinstance(cell, bool | np.bool_) for cell in known):
        return lambda value: column.words[int(value)].lower() == "true"
    if column.form in ("number", "words") and not (column.form == "number" and texts):
        return column.cell
    spelled = spelled_as(column, parsed if texts else replace(parsed, values=np.full(len(parsed.values), np.nan)))
    return spelled.text
