"""Tables of numbers in text files: comma, semicolon or tab between the cells."""

from __future__ import annotations

import csv
import math
import os
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.data._labels import merged, negative
from evenodds.data._wording import listed
from evenodds.data.dataset import Dataset, Units
from evenodds.data.encoding import encode_conditions, encode_labels, whole_columns
from evenodds.errors import BadInput, unknown
from evenodds.files.memory import machine_bytes
from evenodds.files.misfit import shortened
from evenodds.files.regular import open_regular
from evenodds.files.text import from_cell, quoted

__all__ = ["READS", "table"]

READS = (".csv", ".tsv")
"""The file names' endings for which `load` comes here."""
_LONGEST_LINE = 1 << 24  # Characters.
_MOST_COLUMNS = 100_000


def table(
    path: str | os.PathLike[str],
    label: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    given: str | Sequence[str] | None = None,
    unlabelled: str | float | None = None,
) -> Dataset:
    """A table of numbers, each column with a range of its own.

    Args:
        path: UTF-8 text, one row per line.
        label: the column that names each row's class (numbers or words, empty if unknown); it leaves the numbers.
        delimiter: what stands between the cells; None finds out whether it is a comma, a semicolon or a tab.
        header: whether the first row names the columns; None takes it for names if no cell of it is a number.
            Columns without a name are called "column 1" and so on.
        given: columns by which rows can be asked for, attributes or values (a list, or names with commas between); they
            leave the numbers too.
        unlabelled: a label that stands for an unknown class, such as -1.

    Raises:
        BadInput: a cell that is empty or no finite number; its row (as in a spreadsheet, from 1) and column are named.
    """
    path = Path(path)
    delimiter = delimiter or _sniff(path)
    first = next(_rows(path, delimiter), (0, []))[1]
    if not first:
        raise BadInput(f"{path.name} needs rows of numbers, got an empty file")
    header = not any(_is_number(cell) for cell in first) if header is None else header
    columns = [from_cell(cell.strip()) if header else f"column {k}" for k, cell in enumerate(first, 1)]
    if label is not None and label not in columns:
        raise unknown(f"column of {path.name}", label, columns)
    given_names = [name.strip() for name in (given.split(",") if isinstance(given, str) else given or ())]
    for name in given_names:
        if name not in columns or name == label:
            raise unknown(f"given column of {path.name}", name, [other for other in columns if other != label])
    numeric = [k for k, name in enumerate(columns) if name != label]
    if len(numeric) <= len(given_names):
        raise BadInput(f"{path.name} needs a column of numbers beside the label '{label}' and what is given, got none")
    values, words, commas = _read(path, delimiter, columns, numeric, header)
    cells = [from_cell(word.strip()) for word in words]
    y, classes = encode_labels(cells, unlabelled) if label is not None else (None, ())
    modelled = [place for place, k in enumerate(numeric) if columns[k] not in given_names]
    dataset = _dataset(values[:, modelled], y, classes, tuple(columns[numeric[place]] for place in modelled))
    if notes := [*commas, *merged(path.name, words), *negative(classes)]:
        dataset = replace(dataset, report=(*dataset.report, *notes))
    if not given_names:
        return dataset
    places = [[columns[k] for k in numeric].index(name) for name in given_names]
    c, conditions = encode_conditions(values[:, places], given_names)
    return replace(dataset, c=c, conditions=conditions)


def _dataset(values: NDArray[Any], y: Tensor | None, classes: tuple[str, ...], columns: tuple[str, ...]) -> Dataset:
    x = values.astype(np.float32)
    report = [f"Read {len(x):,} rows of {len(columns)} columns."]
    low, high = values.min(0), values.max(0)
    coarse = np.abs(x - values).max(0) > 1e-4 * (high - low)
    report += [
        f"Column '{name}' varies little beside its size and loses precision; subtract {start:g} from it."
        for name, start, lost in zip(columns, low, coarse, strict=True)
        if lost
    ]
    report += [f"Column '{name}' is constant." for name, a, b in zip(columns, low, high, strict=True) if a == b]
    if y is not None and (y < 0).any():
        report.append(f"{int((y < 0).sum()):,} rows have no label.")
    units = Units(tuple(x.min(0).tolist()), tuple(x.max(0).tolist()), "float32", whole_columns(values))
    return Dataset(torch.from_numpy(x), units, y, classes, columns=columns, kind="table", report=tuple(report))


def _read(
    path: Path, delimiter: str, columns: list[str], numeric: list[int], header: bool
) -> tuple[NDArray[Any], list[str], list[str]]:
    """The numbers (N, D) float64, the cells of the other column, and notes."""
    numbers = array("d")
    words: list[str] = []
    commas = _Commas()
    other = sorted(set(range(len(columns))) - set(numeric))
    most = machine_bytes() // 4  # What becomes of them needs as much again, and half of it twice.
    for row, cells in islice(_rows(path, delimiter), int(header), None):
        if len(cells) != len(columns):
            raise BadInput(f"{path.name}: row {row} has {len(cells)} cells, the first row has {len(columns)}")
        try:
            values_of_row = [float(cells[k]) for k in numeric]
        except ValueError:
            values_of_row = [commas.number(cells[k], place, len(numbers)) for place, k in enumerate(numeric)]
        if not all(map(math.isfinite, values_of_row)):
            raise _bad_cell(path, row, cells, columns, numeric)
        numbers.extend(values_of_row)
        words += [cells[k] for k in other]
        if numbers.itemsize * len(numbers) > most:
            raise BadInput(f"{path.name}: {row:,} rows already fill a quarter of the memory; give a part of the table")
    if not numbers:
        raise BadInput(f"{path.name} needs rows of numbers, got a header alone")
    values = commas.settled(np.frombuffer(numbers).reshape(-1, len(numeric)))
    if not np.isfinite(values).all():
        name = columns[numeric[int(np.isnan(values).any(0).argmax())]]
        raise BadInput(f"{path.name}: column '{name}' has commas between thousands and before decimals; take out some")
    if np.abs(values).max() > float(np.finfo(np.float32).max):
        row_at, k = np.unravel_index(int(np.abs(values).argmax()), values.shape)
        raise BadInput(f"{path.name}: column '{columns[numeric[k]]}' holds {values[row_at, k]:g}; divide it by 1e10")
    return values, words, commas.notes([columns[k] for k in numeric])


class _Commas:
    """Commas in numbers: between thousands, or before decimals, which a column as a whole decides."""

    def __init__(self) -> None:
        self.decimal: dict[int, list[tuple[int, float]]] = {}
        """Of each column by place: the rows with a comma, and their numbers if it is a decimal one."""
        self.no_thousands: set[int] = set()
        """The columns in which a comma stands where none stands between thousands."""

    def number(self, cell: str, place: int, before: int) -> float:
        """A cell as a number, a comma in it taken for one between thousands where it may be; else NaN.

        Args:
            place: of its column.
            before: numbers read before its row, over all columns.
        """
        try:
            return float(cell)
        except ValueError:
            pass
        text = cell.strip()
        if not (_THOUSANDS.fullmatch(text) or _DECIMAL.fullmatch(text)):
            return math.nan
        decimal = float(text.replace(",", ".")) if _DECIMAL.fullmatch(text) else math.nan
        self.decimal.setdefault(place, []).append((before, decimal))
        if not _THOUSANDS.fullmatch(text):
            self.no_thousands.add(place)
            return decimal
        return float(text.replace(",", ""))

    def settled(self, values: NDArray[Any]) -> NDArray[Any]:
        """The numbers (N, D), in columns of decimal commas these."""
        for place in self.no_thousands:
            for before, decimal in self.decimal[place]:
                values[before // values.shape[1], place] = decimal
        return values

    def notes(self, columns: Sequence[str]) -> list[str]:
        """What commas were taken for."""
        thousands = [columns[place] for place in sorted(self.decimal) if place not in self.no_thousands]
        decimals = [columns[place] for place in sorted(self.no_thousands)]
        return [
            *listed("Took commas to stand between thousands in {}: {}.", thousands, what="column"),
            *listed("Took commas to stand before decimals in {}: {}.", decimals, what="column"),
        ]


_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
_DECIMAL = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)


def _bad_cell(path: Path, row: int, cells: list[str], columns: list[str], numeric: list[int]) -> BadInput:
    k = next(k for k in numeric if not _is_number(cells[k], finite=True))
    came = f"holds {shortened(cells[k].strip())}" if cells[k].strip() else "is empty"
    hint = "fill it in, or remove the row"
    if cells[k].strip() and not _is_number(cells[k]):
        hint = "leave out the column, or write numbers for its words"
        hint += (
            ""
            if len(numeric) < len(columns)
            else f"; {quoted(f'data.label={columns[k][:100]}')} takes it as the class of the rows"
        )
    if row == 1:
        hint += "; if the first row holds names, say data.header=true"
    return BadInput(f"{path.name}: row {row}, column {shortened(columns[k])} {came}, not a finite number; {hint}")


def _is_number(cell: str, finite: bool = False) -> bool:
    if _THOUSANDS.fullmatch(cell.strip()) or _DECIMAL.fullmatch(cell.strip()):
        return True
    try:
        return not finite or math.isfinite(float(cell)) if float(cell) is not None else False
    except ValueError:
        return False


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, with their number in the file, from 1."""
    try:
        with _text(path) as file:
            for row, cells in enumerate(csv.reader(_lines(path, file), delimiter=delimiter), 1):
                if len(cells) > _MOST_COLUMNS:
                    raise BadInput(f"{path.name}: row {row} has {len(cells):,} cells, over {_MOST_COLUMNS:,}")
                if any(cell.strip() for cell in cells):
                    yield row, cells
    except (OSError, UnicodeDecodeError, csv.Error, TypeError) as error:
        raise BadInput(
            f"{path.name} cannot be read as text in UTF-8 with '{delimiter}' between cells: {error}"
        ) from error


def _text(path: Path) -> TextIOWrapper:
    return TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="")


def _lines(path: Path, file: TextIOWrapper) -> Iterator[str]:
    """The lines, none of which is longer than memory can hold."""
    number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise BadInput(f"{path.name}: line {number} has over {_LONGEST_LINE:,} characters; is it a table?")
        yield line


def _sniff(path: Path) -> str:
    try:
        with _text(path) as file:
            line = next((line for line in _lines(path, file) if line.strip()), "")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name} cannot be read as text in UTF-8: {error}") from error
    outside = re.sub('"[^"]*"', "", line)
    if ";" in outside and all(_is_number(cell) for cell in outside.split(";")):
        return ";"  # the commas stand before decimals
    return max(",;\t", key=outside.count)
