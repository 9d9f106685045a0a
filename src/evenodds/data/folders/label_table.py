"""labels.csv as people and programs write it: the cells of each image, whatever parts them and wherever its name is."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from io import StringIO
from typing import NamedTuple

from evenodds.data.folders.splits import bare
from evenodds.data.part_names import LABELS
from evenodds.errors import BadInput
from evenodds.files.misfit import shortened
from evenodds.files.text import from_cell

__all__ = ["LABELS", "LabelTable", "label_table"]

_PARTS = {",": "commas", ";": "semicolons", "\t": "tabs"}
"""What may lie between cells."""
_HEADS = ("file", "filename", "file_name", "name", "image", "image_id", "id", "path")
"""Words that are the name of a column, even where an image is called so."""
_NUMBER = re.compile(r"[+-]?\d+(,\d+)?")
_INDEX = ("", "unnamed: 0", "index", "id", "nr", "no", "no.", "number", "row")
"""Names of a column that numbers the lines."""


class LabelTable(NamedTuple):
    """What a table says of images."""

    columns: list[str]  # Without that of the names.
    rows: dict[str, list[str]]  # The cells of each image, by its name; as they are written.
    absent: int  # Lines that are of no image.
    notes: list[str]


class _Names:
    """Images by the names that tables give them: in full, without an ending, or without their folders."""

    def __init__(self, names: Sequence[str]) -> None:
        self.full = set(names)
        self.short: dict[str, set[str]] = {}
        for name in names:
            for short in {bare(name), name.rpartition("/")[2], bare(name).rpartition("/")[2]}:
                self.short.setdefault(short, set()).add(name)

    def of(self, cell: str) -> str | None:
        """The image of a cell; None where there is none, or where several may be meant."""
        for written in (from_cell(cell), from_cell(cell.strip())):
            name = written.replace("\\", "/")
            if name in self.full:
                return name
        few = self.short.get(name) or self.short.get(name.rpartition("/")[2], set())
        return next(iter(few)) if len(few) == 1 else None


def label_table(content: bytes, images: Sequence[str]) -> LabelTable:
    """The cells of images in a table.

    Args:
        content: of the file, in UTF-8, or in UTF-16 with its mark.
        images: the names of all.

    Raises:
        BadInput: it is no table, a line has too few or too many cells, or an image stands there twice.
    """
    names = _Names(images)
    part, lines = _parsed(_text(content), names)
    width = len(lines[0]) if lines else 0
    hits = [sum(len(line) > k and names.of(line[k]) is not None for line in lines) for k in range(width)]
    at = hits.index(max(hits)) if hits else 0
    notes = [] if part == "," else [f"Cells of {LABELS} are parted by {_PARTS[part]}."]
    columns = [from_cell(cell.strip()) for cell in lines[0]] if lines else []
    headless = width > 1 and columns[at].lower() not in _HEADS and names.of(columns[at]) is not None
    if headless:
        columns = ["class"] * width if width == 2 else [f"c{k}" for k in range(1, width + 1)]
        notes.append(f"{LABELS} has no line with the names of its columns: its first line is of an image, too.")
    elif at:
        which = "last column" if at == width - 1 else f"column {columns[at]}"
        notes.append(f"The {which} of {LABELS} names the images; the others hold what is known of them.")
    rows, absent = _rows(lines[0 if headless else 1 :], at, width, names, 1 if headless else 2)
    others = [k for k in range(width) if k != at]
    for k in [k for k in others if columns[k].lower() in _INDEX and _numbers_lines([row[k] for row in rows.values()])]:
        others.remove(k)
        notes.append(f"Left out the column '{columns[k]}' of {LABELS}, which numbers its lines.")
    decimal = [] if part == "," else [k for k in others if _has_decimal_commas([row[k] for row in rows.values()])]
    if decimal:
        notes.append(f"Took commas to stand before decimals in {', '.join(columns[k] for k in decimal)}.")
    cells = {name: [row[k].replace(",", ".") if k in decimal else row[k] for k in others] for name, row in rows.items()}
    return LabelTable([columns[k] for k in others], cells, absent, notes)


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _no_table(error) from error


def _no_table(error: Exception) -> BadInput:
    return BadInput(f"{LABELS} must be a table in UTF-8 text: {error}; save it again as CSV UTF-8")


def _parsed(text: str, names: _Names) -> tuple[str, list[list[str]]]:
    """What parts cells, and the lines: that with which most lines name an image and hold something else."""
    ways: dict[str, list[list[str]]] = {}
    problem: Exception | None = None
    for part in _PARTS:
        try:
            ways[part] = [line for line in csv.reader(StringIO(text, newline=""), delimiter=part)]
        except csv.Error as error:
            problem = problem or error
    if "," not in ways and problem is not None:
        raise _no_table(problem) from problem

    def told(part: str) -> int:
        return sum(len(line) > 1 and any(names.of(cell) for cell in (line[0], line[-1])) for line in ways[part])

    best = max(ways, key=told)
    return best, ways[best]


def _rows(
    lines: Sequence[Sequence[str]], at: int, width: int, names: _Names, first: int
) -> tuple[dict[str, Sequence[str]], int]:
    """The cells of each image, and the number of lines that are of none."""
    rows: dict[str, Sequence[str]] = {}
    strangers: set[str] = set()
    for number, cells in enumerate(lines, first):
        if not cells:
            continue
        if len(cells) < 2:
            raise BadInput(
                f"{LABELS}, line {number}: a name, a comma and a class are needed, got {shortened(','.join(cells))}"
            )
        if len(cells) != width:
            raise BadInput(f"{LABELS}, line {number}: {width} cells are needed, as in line 1, got {len(cells)}")
        image = names.of(cells[at])
        name = from_cell(cells[at].strip()) if image is None else image
        if name in rows or name in strangers:
            raise BadInput(f"{LABELS}, line {number}: '{name}' stands there already; keep one of both lines")
        if image is None:
            strangers.add(name)
        else:
            rows[name] = cells
    return rows, len(strangers)


def _has_decimal_commas(cells: Sequence[str]) -> bool:
    numbers = [cell for cell in cells if cell.strip()]
    return any("," in cell for cell in numbers) and all(_NUMBER.fullmatch(cell.strip()) for cell in numbers)


def _numbers_lines(cells: Sequence[str]) -> bool:
    numbers = [int(cell) for cell in cells if cell.strip().isdecimal()]
    return len(numbers) == len(cells) and len(set(numbers)) == len(numbers)
