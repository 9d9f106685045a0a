"""Data sets of the columns of a table, wherever its cells were read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from evenodds.data.dataset import Dataset
from evenodds.data.encoding import encode_conditions, encode_labels, whole_columns
from evenodds.data.folders.labels import capitals, negative
from evenodds.data.tables.amounts import PLAIN, NumberStyle
from evenodds.data.tables.cells import Parsed, is_empty
from evenodds.data.tables.columns import Columns, require_few_words
from evenodds.data.tables.rows import Column, Values, unordered
from evenodds.data.tables.types import Types, summed, type_setting, typed
from evenodds.data.units import Units
from evenodds.data.wording import count, listed, some_names
from evenodds.errors import BadInput
from evenodds.files.misfit import shortened

__all__ = ["from_columns", "names_in", "on_columns", "with_labels"]

_STYLES: Mapping[str, Callable[[NumberStyle], bool]] = {
    "Took commas to stand between thousands": lambda style: style.group == ",",
    "Took points to stand between thousands": lambda style: style.group == ".",
    "Took commas to stand before decimals": lambda style: style.point == ",",
    "Took numbers with signs or units around them": lambda style: bool(style.before or style.after),
}
"""What is said of numbers that are no plain ones, and of which it is said."""
_MINUS = ("-<1>", "<-1>")
"""How numbers below 0 are usually written."""


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
