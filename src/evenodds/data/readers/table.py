"""Tables in text files: comma, semicolon or tab between the cells."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from evenodds.data.dataset import Dataset
from evenodds.data.folders.labels import merged
from evenodds.data.tables.datasets import from_columns, names_in, on_columns, with_labels
from evenodds.data.tables.opened import READS, open_table, parsed_cells, require_columns
from evenodds.data.tables.types import Types
from evenodds.files.text import from_cell

__all__ = ["READS", "table"]


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
