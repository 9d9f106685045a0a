"""Tables in text files, comma, semicolon or tab between the cells: their columns and their cells. torch is not imported
here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evenodds.data.scale import LARGEST
from evenodds.data.tables.cells import NumberCells, Parsed, WordCells, decimal_points, is_empty, is_number
from evenodds.data.tables.delimited import Delimited, delimited
from evenodds.data.tables.rows import Column
from evenodds.data.tables.types import Types
from evenodds.errors import BadInput, unknown
from evenodds.files.memory import machine_bytes
from evenodds.files.misfit import shortened
from evenodds.files.text import from_cell

__all__ = ["READS", "Opened", "open_table", "parsed_cells", "parsed_table", "require_columns"]

READS = (".csv", ".tsv")
"""The file names' endings of tables in text files."""
_YEAR = re.compile(r"\s*(19|20)\d\d\s*")
_AT_ONCE = 4096
"""Rows that are taken apart at once."""


class Opened(NamedTuple):
    """A table in a text file: how its cells are parted, its columns, and the rows that hold their names."""

    text: Delimited
    columns: list[str]
    header: int


def open_table(
    path: Path,
    delimiter: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    held: bool = False,
) -> Opened:
    """What is found out of a table before its cells are read.

    Args:
        path, delimiter, header, encoding: see `evenodds.data.readers.table.table`.
        held: see `evenodds.data.tables.delimited.delimited`.
    """
    text = delimited(path, delimiter, encoding, held)
    return Opened(text, *_header(text, header))


def parsed_table(path: Path, like: Sequence[Column] = (), words: Sequence[str] = ()) -> dict[str, Parsed]:
    """The columns of a table in a text file by name.

    Args:
        words: names of columns whose cells are words, whatever they look like.
        like: those of a table of its kind. Words of theirs are words, whatever they look like, and numbers that leave
            it open what stands before decimals are written as theirs.
    """
    words = [*words, *(column.name for column in like if column.form == "words")]
    opened = open_table(path)
    require_columns(path.name, opened.columns, None, ())
    types = Types(by_name={name: "words" for name in words if name in opened.columns})
    return parsed_cells(opened, types, like=like)[0]


def require_columns(where: str, columns: Sequence[str], label: str | None, given: Sequence[str]) -> None:
    """BadInput where the label or what is given is no column, nothing is left beside them, or a name is there twice."""
    if label is not None and label not in columns:
        raise unknown(f"column of {where}", label, columns)
    for name in given:
        if name not in columns or name == label:
            raise unknown(f"given column of {where}", name, [other for other in columns if other != label])
    if len(columns) - len(given) - (label is not None) < 1:
        beside = f" beside the label {shortened(label)}" if label is not None else ""
        raise BadInput(f"{where} needs a column to learn{beside}{' and what is given' if given else ''}, got none")
    counts = Counter(columns)
    if len(counts) < len(columns):
        raise BadInput(f"{where} has two columns of the name {shortened(counts.most_common(1)[0][0])}; rename one")


def _header(text: Delimited, header: bool | None) -> tuple[list[str], int]:
    """The names of the columns, and the rows that hold them."""
    first, second = ([*(cells for _, cells in islice(text.rows(), 2)), [], []])[:2]
    if not first:
        raise BadInput(f"{text.path.name} needs rows, got an empty file")
    if re.match(r'\s*(\[\s*)?\{\s*"', text.first_lines(1)[0]):
        raise BadInput(f"{text.path.name} needs rows of cells, got JSON; save it as CSV")
    if header is None:
        header = not any(is_number(cell) for cell in first) or _names_above(first, second)
    columns = [from_cell(cell.strip()) if header else f"column {k}" for k, cell in enumerate(first, 1)]
    return [name or f"column {k}" for k, name in enumerate(columns, 1)], int(header)


def _names_above(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether a row in which some cells are numbers holds names: a word above a number, or years above no years."""
    if len(second) != len(first):
        return False
    if any(not is_number(a) and not is_empty(a) and is_number(b) for a, b in zip(first, second, strict=True)):
        return True
    years = [k for k, cell in enumerate(first) if _YEAR.fullmatch(cell)]
    all_years = len(years) == sum(map(is_number, first)) and len({first[k] for k in years}) == len(years) > 1
    return all_years and not any(_YEAR.fullmatch(second[k]) for k in years)


def parsed_cells(
    opened: Opened, types: Types, label: str | None = None, like: Sequence[Column] = ()
) -> tuple[dict[str, Parsed], list[str]]:
    """The columns by name, but for the label's, and its cells.

    A column that leaves it open what stands before decimals, as one of 1,234 and 5,105 does, is read as
    `decimal_points` says, and where nothing does, as is usual where semicolons stand between the cells.

    Args:
        like: see `parsed_table`.
    """
    text, columns, skip = opened
    used = [k for k, name in enumerate(columns) if name != label and not types.left_out(name)]
    labels = [columns.index(label)] if label is not None else []
    numbers = {k: NumberCells(columns[k]) for k in used}
    words: list[str] = []
    most = machine_bytes() // 4  # What becomes of them needs as much again, and half of it twice.
    rows = last = 0
    for number, block in _blocks(text, columns, skip):
        last = number
        for k in used:
            numbers[k].add(block[k])
        for k in labels:
            words += block[k]
        rows += len(block[0])
        if 8 * len(used) * rows > most:
            raise BadInput(f"{text.path.name}: {rows:,} rows already fill a quarter of the memory; give a part of it")
    if not rows:
        raise BadInput(f"{text.path.name} needs rows, got a header alone")
    amounts = {column.name for column in like if column.form == "number"}
    moments = {column.name: column for column in like if column.spelling}
    told = {k for k in used if columns[k] in amounts or types.numbers(columns[k])}
    texts = {k for k in used if (numbers[k].led if k in told else numbers[k].as_words)}
    texts |= {k for k in used if numbers[k].others or types.words(columns[k]) or columns[k] in moments}
    grouped = {k for k in used if k not in texts and numbers[k].may_group} if texts or like else set()
    of = {
        k: (columns[k], types.words(columns[k]), moments.get(columns[k]), k in told and numbers[k].led)
        for k in sorted(texts | grouped)
    }
    cells = {k: WordCells(*known) for k, known in of.items()}
    for _, block in _blocks(text, columns, skip) if cells else ():
        for k, column in cells.items():
            column.add([from_cell(cell) for cell in block[k]])
    proved = [(cells if k in texts else numbers)[k].point for k in used]
    points = decimal_points(proved, columns, like)
    usual = "," if text.delimiter == ";" and not any(proved) else ""
    parsed = {}
    for k in used:
        point = points[columns[k]]
        if k in texts:
            parsed[columns[k]] = _of_words(text, cells[k], types, point or usual)
        elif k in grouped and point == ",":
            parsed[columns[k]] = cells[k].parsed(point)
        else:
            parsed[columns[k]] = _numbers(text, skip, numbers[k])
    if blank := last - rows - skip - text.begins:
        parsed[next(iter(parsed))].notes.append(f"Left out {blank:,} rows without a value.")
    return parsed, words


def _numbers(text: Delimited, skip: int, cells: NumberCells) -> Parsed:
    parsed = cells.parsed()
    observed = np.nan_to_num(parsed.values)  # infinite ones become the largest there are
    if np.abs(observed).max() > LARGEST:
        item = int(np.abs(observed).argmax())
        row = next(islice(text.rows(), skip + item, None))[0]
        came, finite = f"{parsed.values[item]:g}", np.isfinite(parsed.values[item])
        advice = "leave the cell empty" + (", or divide the column by a power of ten" if finite else "")
        raise BadInput(f"{text.path.name}: row {row}, column {shortened(cells.name)} holds {came}; {advice}")
    return parsed


def _of_words(text: Delimited, cells: WordCells, types: Types, point: str) -> Parsed:
    try:
        parsed = cells.parsed(point)
    except BadInput as error:
        raise BadInput(f"{text.path.name}: {error}") from error
    if parsed.form != "number":
        types.require_words(cells.name, text.path.name)
    return parsed


def _blocks(text: Delimited, columns: Sequence[str], skip: int) -> Iterator[tuple[int, list[tuple[str, ...]]]]:
    """The cells, column by column, of some rows at once, behind the number of the last of them in the file."""
    for rows in _batched(islice(text.rows(), skip, None), _AT_ONCE):
        for row, cells in rows:
            if len(cells) != len(columns):
                advice = "take out what stands above the table" if len(columns) < len(cells) else "give it as many"
                raise BadInput(
                    f"{text.path.name}: row {row} has {len(cells)} cells, the first row has {len(columns)}; {advice}"
                )
        yield rows[-1][0], list(zip(*(cells for _, cells in rows), strict=True))


def _batched(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while block := list(islice(iterator, size)):
        yield block
