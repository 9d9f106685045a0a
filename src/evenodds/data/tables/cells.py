"""The cells of a table's columns as they are written: numbers, words, dates and times, and empty ones."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.tables.amounts import PLAIN, NumberStyle, amounts, common_point, is_amount, point_of
from evenodds.data.tables.moments import moment, moments, spelled
from evenodds.data.tables.rows import MOST_DECIMALS, Column, Form, Values
from evenodds.errors import BadInput
from evenodds.files.misfit import shortened

__all__ = ["UNKNOWN", "NumberCells", "Parsed", "WordCells", "decimal_points", "is_empty", "is_number"]

UNKNOWN = ("", "nan", "<na>", "null", "n/a")
"""Words that stand for an empty cell and for no class, whatever their case, as programs write them."""
NO_NUMBER: tuple[str, ...] = ("na", "n.a.", "none", "nil", "missing", "unknown", "-", "--", ".", "?", "#n/a", "#na")
NO_NUMBER += ("#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!")
"""Words that stand for an empty cell among numbers, beside `UNKNOWN`; programs write some where they cannot compute."""
MOST = 0.75
"""A column of words in which so great a part of the cells are numbers may have been meant to be one of numbers."""
_DAY = re.compile(r"(\d{4}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2})[-/.]\d{1,4}(\D.*)?")
"""A date, however it is spelled."""
LEADING_ZERO = re.compile(r"^[ \t]*0\d+[ \t]*$", re.MULTILINE)
TOO_LONG = re.compile(r"^[ \t]*[+-]?\d{16,}[ \t]*$", re.MULTILINE)
POINT_AND_THREE = re.compile(r"^[ \t]*[+-]?[1-9]\d{0,2}\.\d{3}[ \t]*$", re.MULTILINE)
"""A number whose point may stand before decimals or between thousands."""
POINT = re.compile(
    r"^[ \t]*[+-]?(?![1-9]\d{0,2}\.\d{3}[ \t]*$)(\d+\.\d*|\.\d+)(e[+-]?\d+)?[ \t]*$", re.MULTILINE | re.IGNORECASE
)
"""A number whose point can only stand before decimals."""
_LOOKED_AT = 200
"""Words that are looked at to say what a column may have been meant to hold."""
EXACT = 2**53
"""Whole numbers from here on are not all floats."""


@dataclass
class Parsed:
    """A column as numbers.

    Args:
        values: (N,), NaN where empty; of words, their places in `words`.
        decimals: that numbers are written with; None where they have more than six.
        style: of numbers.
        absent: words that were taken for empty cells.
        notes: what else was taken for what.
    """

    values: Values
    form: Form = "number"
    spelling: str = ""
    decimals: int | None = None
    words: tuple[str, ...] = ()
    style: NumberStyle = PLAIN
    absent: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    @staticmethod
    def numbers(values: NDArray[Any]) -> Parsed:
        """A column (N,) of an array of numbers."""
        numbers = values.astype(np.float64)
        return Parsed(numbers, decimals=0 if values.dtype.kind in "biu" else _decimals(numbers))


class NumberCells:
    """Cells that are plain numbers or empty, so far as they are; others are counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.numbers = array("d")
        self.others = 0
        """Cells that are neither a number nor empty."""
        self.as_words = False
        """Whether some are no amounts: they begin with a 0, as postal codes do, or have more digits than floats."""
        self.led = False
        """Whether some begin with a 0."""
        self.point = ""
        """The sign before decimals that some cells prove."""
        self.may_group = False
        """Whether points may stand between thousands, as in 1.234."""
        self.absent: set[str] = set()
        """Words that were taken for empty cells."""

    def add(self, cells: Sequence[str]) -> None:
        """Takes further cells."""
        column = "\n".join(cells)  # to look through all cells at once
        self.led |= LEADING_ZERO.search(column) is not None
        self.as_words |= self.led
        self.as_words |= any(abs(int(digits)) >= EXACT for digits in TOO_LONG.findall(column))
        if not self.point and "." in column:
            self.point = "." if POINT.search(column) else ""
            self.may_group = not self.point and (self.may_group or POINT_AND_THREE.search(column) is not None)
        before = len(self.numbers)
        try:
            if "_" in column:
                raise ValueError("float() takes 1_000 for a number")
            self.numbers.extend(map(float, cells))
        except ValueError:
            del self.numbers[before:]
            for cell in cells:
                self.numbers.append(self._number(cell.strip()))

    def _number(self, text: str) -> float:
        try:
            if "_" not in text:
                return float(text)
        except ValueError:
            pass
        if is_empty(text):
            self.absent.add(text)
            return math.nan
        self.others += 1
        return math.nan

    def parsed(self) -> Parsed:
        """The column."""
        values = np.array(self.numbers)
        if (days := _as_days(values)) is not None:
            return Parsed(days, "date", "%Y%m%d")
        return Parsed(values, decimals=_decimals(values), absent=tuple(sorted(self.absent - {""})))


def _as_days(values: Values) -> Values | None:
    """Numbers that are all dates as 20211231 as days; None where they are not."""
    there = ~np.isnan(values)
    numbers = values[there]
    if len(numbers) < 20 or numbers.min() < 19000101 or numbers.max() > 21001231 or len(np.unique(numbers)) < 20:
        return None
    words, place = np.unique(numbers, return_inverse=True)
    days = [moment("date", "%Y%m%d", f"{word:.0f}") if word == round(word) else None for word in words.tolist()]
    if None in days:
        return None
    of_all = np.full(len(values), np.nan)
    of_all[there] = np.array(days, np.float64)[place]
    return of_all


def _decimals(values: Values) -> int | None:
    """The digits behind the point that all numbers have at most; None where some have more than six."""
    finite = values[np.isfinite(values)]
    near = 4 * np.finfo(np.float64).eps * np.abs(finite)
    return next((d for d in range(MOST_DECIMALS + 1) if bool((np.abs(finite - finite.round(d)) <= near).all())), None)


class WordCells:
    """Cells that are words, dates and times, or numbers with signs in or around them.

    Args:
        as_words: whether they are words, whatever they look like.
        like: the column of a table of its kind: dates and times are read as it spells them, where they can be.
        as_numbers: whether they are numbers that may begin with zeros, where they can be.
    """

    def __init__(self, name: str, as_words: bool = False, like: Column | None = None, as_numbers: bool = False) -> None:
        self.name = name
        self.as_words = as_words
        self.like = like
        self.as_numbers = as_numbers
        self.places: dict[str, int] = {}
        self.codes = array("q")

    def add(self, cells: Sequence[str]) -> None:
        """Takes further cells."""
        self.codes.extend(self.places.setdefault(cell.strip(), len(self.places)) for cell in cells)

    @property
    def point(self) -> str:
        """The sign that can only stand before decimals; empty where the cells leave it open, or are no numbers."""
        return "" if self.as_words else point_of(self._there())

    def _there(self) -> list[str]:
        """The words of cells that are not empty."""
        return [word for word in self.places if not is_empty(word)]

    def parsed(self, point: str = "") -> Parsed:
        """The column.

        Args:
            point: the sign before decimals where the cells leave it open.

        Raises:
            BadInput: commas stand between thousands in some cells, and before decimals in others.
        """
        words = [word for word in self.places if word.lower() not in UNKNOWN]
        there = self._there()
        if self.as_numbers and (parsed := self._amounts(there, words, point)) is not None:
            return parsed
        if (like := self.like) is not None and (numbers := moments(like.form, like.spelling, there)):
            return Parsed(self._values(numbers), like.form, like.spelling)
        if not self.as_words and (found := spelled(there)) is not None:
            notes = [doubt.format(f"column '{self.name}'") for doubt in found.doubts]
            return Parsed(self._values(found.numbers), found.form, found.spelling, notes=notes)
        if not self.as_words and (parsed := self._amounts(there, words, point)) is not None:
            return parsed
        ordered = sorted(words, key=_order)
        values = self._values({word: float(k) for k, word in enumerate(ordered)})
        notes = [] if self.as_words else [*self._differing(there), *self._doubts(there)]
        return Parsed(values, "words", words=tuple(ordered), notes=notes)

    def _differing(self, words: Sequence[str]) -> list[str]:
        """That words are numbers each, but written in different ways, if they are."""
        shown: dict[str, str] = {}
        for word in words[:_LOOKED_AT]:
            if (found := amounts([word])) is None:
                return []
            shown[found.style.before + found.style.after] = word
        if len(shown) < 2:
            return []
        one, other = map(repr, [*shown.values()][:2])
        return [
            f"Column '{self.name}' has numbers with different signs around them, such as {one} and {other}; with the "
            "same ones in all cells they are numbers."
        ]

    def _doubts(self, words: Sequence[str]) -> list[str]:
        """That words may have been meant to be numbers, dates or the same words, if it looks so."""
        name, notes = f"Column '{self.name}'", []
        if len(words) > 1 and all(_DAY.fullmatch(word) for word in words[:_LOOKED_AT]):
            one, other = map(repr, (words[0], next((w for w in words if len(w) != len(words[0])), words[-1])))
            notes.append(
                f"{name} has dates in several spellings, or one that is not read, such as {one} and {other}; written "
                "as 2021-12-31 12:30:00 they are dates."
            )
        cells = np.bincount(np.array(self.codes, np.int64), minlength=len(self.places))
        others = [word for word in words if not is_number(word)]
        number, odd = (int(sum(cells[self.places[word]] for word in some)) for some in (words, others))
        if 0 < odd <= (1 - MOST) * number:
            notes.append(
                f"{name} is taken for words: {odd:,} of {number:,} cells {'is' if odd == 1 else 'are'} no number, "
                f"such as {others[0]!r}; where {'it is' if odd == 1 else 'they are'} empty it is a column of numbers."
            )
        first: dict[str, str] = {}
        alike = [(first[word.casefold()], word) for word in words if first.setdefault(word.casefold(), word) != word]
        if alike:
            one, other = map(repr, alike[0])
            notes.append(f"{name} has words that differ in capitals alone, such as {one} and {other}: each is its own.")
        return notes

    def _amounts(self, there: Sequence[str], words: Sequence[str], point: str) -> Parsed | None:
        """The column as numbers; None where it holds others."""
        found = amounts(there, point, self.as_numbers)
        if found is None:
            if there and all(map(is_amount, there)):
                name = shortened(self.name)
                raise BadInput(f"column {name} has commas between thousands and before decimals; take out some")
            return None
        values = self._values(found.numbers)
        absent = tuple(sorted(set(words) - set(there)))
        return Parsed(values, decimals=_decimals(values), style=found.style, absent=absent)

    def _values(self, numbers: Mapping[str, float]) -> Values:
        """(N,): the number of each cell's word, NaN where it has none."""
        of_code = np.array([numbers.get(word, math.nan) for word in self.places])
        return np.asarray(of_code[np.array(self.codes, np.int64)])


def decimal_points(proved: Iterable[str], names: Iterable[str], like: Sequence[Column]) -> dict[str, str]:
    """The sign before decimals of each column that leaves it open; empty where nothing says it.

    One sign stands before decimals in all of a table: where a column proves one, and none another, it is that of all.

    Args:
        proved: by each column; empty where it leaves it open.
        like: the columns of a table of its kind, as which columns are written where none proves a sign.
    """
    said = {*proved} - {""}
    known = {column.name: column.style.point for column in like if column.form == "number"}
    return {name: common_point(said) if said else known.get(name, "") for name in names}


def _order(word: str) -> tuple[bool, int, str]:
    """Words in their order, numbers before them in theirs."""
    number = word.lstrip("-").isdecimal() and len(word) < 19
    return not number, int(word) if number else 0, word


def is_empty(cell: str) -> bool:
    """Whether a cell among numbers stands for none."""
    word = cell.strip().lower()
    return word in UNKNOWN or word in NO_NUMBER


def is_number(cell: str) -> bool:
    """Whether a cell is a number, perhaps with commas."""
    if is_amount(cell.strip()):
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return True
