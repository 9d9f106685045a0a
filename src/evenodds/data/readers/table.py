"""Tables in text files: comma, semicolon or tab between the cells."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from evenodds.data.dataset import Dataset
from evenodds.data.encoding import encode_conditions, encode_labels, whole_columns
from evenodds.data.folders.labels import capitals, merged, negative
from evenodds.data.tables.amounts import PLAIN, NumberStyle
from evenodds.data.tables.cells import NumberCells, Parsed, WordCells, decimal_points, is_empty, is_number
from evenodds.data.tables.columns import Columns, require_few_words
from evenodds.data.tables.delimited import Delimited, delimited
from evenodds.data.tables.rows import Column, Values, unordered
from evenodds.data.tables.types import Types, summed, type_setting, typed
from evenodds.data.units import LARGEST, Units
from evenodds.data.wording import count, listed, some_names
from evenodds.errors import BadInput, unknown
from evenodds.files.memory import machine_bytes
from evenodds.files.misfit import shortened
from evenodds.files.text import from_cell

__all__ = [
    "READS",
    "Opened",
    "from_columns",
    "names_in",
    "on_columns",
    "open_table",
    "parsed_cells",
    "parsed_table",
    "require_columns",
    "table",
    "with_labels",
]

READS = (".csv", ".tsv")
"""The file names' endings for which `load` comes here."""
_STYLES: Mapping[str, Callable[[NumberStyle], bool]] = {
    "Took commas to stand between thousands": lambda style: style.group == ",",
    "Took points to stand between thousands": lambda style: style.group == ".",
    "Took commas to stand before decimals": lambda style: style.point == ",",
    "Took numbers with signs or units around them": lambda style: bool(style.before or style.after),
}
"""What is said of numbers that are no plain ones, and of which it is said."""
_MINUS = ("-<1>", "<-1>")
"""How numbers below 0 are usually written."""
_YEAR = re.compile(r"\s*(19|20)\d\d\s*")
_AT_ONCE = 4096
"""Rows that are taken apart at once."""


def table(
    path: str | os.PathLike[str],
    label: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    given: str | Sequence[str] | None = None,
    unlabelled: str | float | None = None,
    types: str | Mapping[str, str] = "auto",
    encoding: str | None = None,
) -> Dataset:
    """A table whose columns hold numbers, words, dates, times or flags, and may have empty cells.

    Args:
        path: text, one row per line.
        label: the column that names each row's class (numbers or words, empty if unknown); it leaves the others.
        delimiter: what stands between the cells: a sign, or tab, comma, semicolon, bar or space. None finds out whether
            it is a comma, a semicolon or a tab.
        header: whether the first row names the columns; None takes it for names if no cell of it is a number, or all
            are years and the next row's are not. Columns without a name are called "column 1" and so on.
        given: columns of numbers by which rows can be asked for, attributes or values (a list, or names with commas
            between); they leave the others too.
        unlabelled: a label that stands for an unknown class, such as -1.
        types: of columns, where what was found is not what is meant: {name: type}, or "name:type" with commas between;
            a type is number, levels, words or none, which leaves the column out. "plain" takes all for numbers, as
            they are, and scales each linearly.
        encoding: how its characters are written, such as shift_jis, gbk or cp1251, as Python calls it. None finds out
            whether it is UTF-8 or UTF-16, and else takes Windows-1252.

    Raises:
        BadInput: a row of another length, or a column that cannot be of the type that is asked for.
    """
    path = Path(path)
    opened = open_table(path, delimiter, header, encoding)
    text, columns = opened.text, opened.columns
    given_names = names_in(given)
    require_columns(path.name, columns, label, given_names)
    wanted = Types.of(types, columns)
    parsed, words = parsed_cells(opened, wanted, label)
    dataset = from_columns(parsed, wanted, given_names, path.name)
    report = on_columns((*dataset.report, *text.notes), columns, dataset.columns, label, given_names)
    dataset = replace(dataset, delimiter=text.delimiter, report=report)
    if label is None:
        return dataset
    cells = [from_cell(word.strip()) for word in words]
    return with_labels(dataset, columns, label, cells, unlabelled, merged(path.name, words))


def on_columns(
    report: Sequence[str], columns: Sequence[str], learned: Sequence[str], label: str | None, given: Sequence[str]
) -> tuple[str, ...]:
    """The report of a table, which says next to the number of columns which of all that there are it leaves out."""
    use = dict.fromkeys(given, "a value to ask for") | ({label: "the class of a row"} if label is not None else {})
    others = [f"{shortened(name)} ({use.get(name, 'left out')})" for name in columns if name not in learned]
    taken = f"Of {count(len(columns), 'column')} {len(columns) - len(others):,} are learned"
    line = f"{taken}; beside them: {some_names(others)}."
    return (*report[:1], *([line] if others else []), *report[1:])


def names_in(given: str | Sequence[str] | None) -> list[str]:
    """Names of columns that were written with commas between them, or in a list."""
    return [name.strip() for name in (given.split(",") if isinstance(given, str) else given or ())]


def with_labels(
    dataset: Dataset,
    columns: Sequence[str],
    label: str,
    cells: Sequence[str],
    unlabelled: str | float | None,
    notes: Sequence[str] = (),
) -> Dataset:
    """A data set of columns with the classes that the label's column names.

    Args:
        columns: all that there are, in their order.
        cells: (N,) of the label's, empty where unknown.
        unlabelled: a label that stands for an unknown class.
        notes: on what was made of the cells.
    """
    y, classes = encode_labels(cells, unlabelled)
    unknown_rows = int((y < 0).sum())
    notes = [
        *notes,
        *negative(classes),
        *capitals(classes),
        *([f"{unknown_rows:,} rows have no label."] if unknown_rows else []),
    ]
    header = tuple(name for name in columns if name == label or name in dataset.header)
    return replace(dataset, y=y, classes=classes, header=header, report=(*dataset.report, *notes))


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
    """What is found out of a table before its cells are read; see `table` for the arguments.

    Args:
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


def from_columns(
    parsed: Mapping[str, Parsed], types: Types, given: Sequence[str] = (), where: str = "the table"
) -> Dataset:
    """A data set of columns.

    Args:
        parsed: by name.
        given: those by which rows can be asked for; numbers without empty cells.
        where: they stand, for messages.
    """
    modelled = {name: column for name, column in parsed.items() if name not in given}
    dataset = _plain(modelled, where) if types.plain else _mixed(modelled, types, where)
    if given:
        hint = "rows are asked for by numbers, 0 and 1 of flags, or by their class (data.label)"
        values = np.stack([_numbers_of(where, name, parsed[name], hint) for name in given], 1)
        c, conditions = encode_conditions(values, list(given))
        styles = tuple(parsed[name].style for name in given)
        conditions = replace(conditions, styles=styles if any(style != PLAIN for style in styles) else ())
        dataset = replace(dataset, c=c, conditions=conditions)
    notes = [note for column in parsed.values() for note in column.notes]
    notes += summed(parsed)
    if names := [name for name, column in parsed.items() if column.absent]:
        words = sorted({repr(word) for column in parsed.values() for word in column.absent})
        notes += [f"Took {some_names(words, 3)} for empty cells in {count(len(names), 'column')}: {some_names(names)}."]
    for said, of in _STYLES.items():
        names = [name for name, column in parsed.items() if of(column.style)]
        notes += listed(f"{said} in {{}}: {{}}.", names, what="column")
    if names := [name for name, column in parsed.items() if column.style.negative not in _MINUS]:
        said = "Took numbers in parentheses, or with the minus behind them or no hyphen, to be below 0 in {}: {}"
        kept = type_setting(names[0], "words")
        notes += [f"{line}; {kept} takes them as words." for line in listed(said, names, what="column")]
    header = tuple(name for name in parsed if name in dataset.columns or name in given)
    return replace(dataset, header=header, report=(*dataset.report, *notes))


def _mixed(parsed: Mapping[str, Parsed], types: Types, where: str) -> Dataset:
    columns, x, notes = typed(parsed, types, where)
    ends = [column.ends for column in columns]
    low, high = (tuple(side) for side in zip(*ends, strict=True))
    if types.scale is not None:
        wordy = [column for column in columns if column.form == "words"]
        called, sizes = [column.name for column in wordy], [len(column.levels) for column in wordy]
        require_few_words(called, sizes, lambda name: f"leave that column out: {type_setting(name, 'none')}")
        notes = [*notes, *_perhaps_empty(wordy)]
    knots = () if types.scale is None else Columns.of(x, types.scale, words=unordered(columns)).lines
    units = Units(low, high, "float64", columns=tuple(columns), knots=knots)
    report = (f"Read {count(len(x), 'row')} of {count(len(columns), 'column')}.", *notes)
    names = tuple(column.name for column in columns)
    return Dataset(torch.from_numpy(x), units, columns=names, kind="table", report=report)


def _perhaps_empty(columns: Sequence[Column]) -> list[str]:
    """That words may stand for empty cells, which are then not filled, if some look so."""
    found = {column.name: [repr(word) for word in column.words if is_empty(word)] for column in columns}
    words = sorted({word for some in found.values() for word in some})
    names = [name for name, some in found.items() if some]
    said = f"Took {some_names(words, 3)} for words in {{}}, which are not filled: {{}}; where they say that nothing is "
    return listed(f"{said}known, empty these cells.", names, what="column") if names else []


def _plain(parsed: Mapping[str, Parsed], where: str) -> Dataset:
    hint = "set data.types=auto, which learns both"
    values = np.stack([_numbers_of(where, name, column, hint) for name, column in parsed.items()], 1)
    x = values.astype(np.float32)
    low, high = values.min(0), values.max(0)
    coarse = np.abs(x - values).max(0) > 1e-4 * (high - low)
    report = [f"Read {count(len(x), 'row')} of {count(len(parsed), 'column')}."]
    report += [
        f"Column '{name}' varies little beside its size and loses precision; subtract {start:g} from it."
        for name, start, lost in zip(parsed, low, coarse, strict=True)
        if lost
    ]
    report += [f"Column '{name}' is constant." for name, a, b in zip(parsed, low, high, strict=True) if a == b]
    units = Units(tuple(x.min(0).tolist()), tuple(x.max(0).tolist()), "float32", whole_columns(values))
    return Dataset(torch.from_numpy(x), units, columns=tuple(parsed), kind="table", report=tuple(report))


def _numbers_of(where: str, name: str, column: Parsed, hint: str) -> Values:
    """The values of a column; BadInput where it holds words or has empty cells."""
    if column.form == "words" or np.isnan(column.values).any():
        what = "words" if column.form == "words" else "empty cells"
        raise BadInput(f"{where}: column {shortened(name)} has {what}; {hint}")
    return column.values


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


# Cells ---------------------------------------------------------------------------------------------------------------


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
