"""The cells of a table's columns as they are written: numbers, words, dates and times, and empty ones."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.encoding import UNKNOWN
from evenodds.data.rows import EPOCH, MOST_DECIMALS, Form, Values

__all__ = ["NumberCells", "Parsed", "WordCells", "is_empty", "is_number", "moment"]

NO_NUMBER = ("na", "n.a.", "none", "nil", "missing", "unknown", "-", "--", ".", "?", "#n/a", "#na")
"""Words that stand for an empty cell among numbers, beside `UNKNOWN`."""
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
DECIMAL = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)
LEADING_ZERO = re.compile(r"^[ \t]*0\d+[ \t]*$", re.MULTILINE)
TOO_LONG = re.compile(r"^[ \t]*[+-]?\d{16,}[ \t]*$", re.MULTILINE)
EXACT = 2**53
"""Whole numbers from here on are not all floats."""
SPELLINGS: dict[Form, tuple[str, ...]] = {
    "date": ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d"),
    "datetime": (
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%dT%H:%M:%SZ",
        "%d.%m.%Y %H:%M",
        "%d.%m.%Y %H:%M:%S",
        "%d/%m/%Y %H:%M",
        "%d/%m/%Y %H:%M:%S",
        "%m/%d/%Y %H:%M",
        "%m/%d/%Y %H:%M:%S",
    ),
    "time": ("%H:%M", "%H:%M:%S"),
}
"""How dates and times are spelled. Where two fit, as 03/04/2021 may be either, the first is taken, and it is said."""


@dataclass
class Parsed:
    """A column as numbers.

    Args:
        values: (N,), NaN where empty; of words, their places in `words`.
        decimals: that numbers are written with; None where they have more than six.
        commas: where they stand in numbers, "before decimals" or "between thousands"; empty where there are none.
        notes: what else was taken for what.
    """

    values: Values
    form: Form = "number"
    spelling: str = ""
    decimals: int | None = None
    words: tuple[str, ...] = ()
    commas: str = ""
    notes: list[str] = field(default_factory=list)

    @staticmethod
    def numbers(values: NDArray[Any]) -> Parsed:
        """A column (N,) of an array of numbers."""
        numbers = values.astype(np.float64)
        return Parsed(numbers, decimals=0 if values.dtype.kind in "biu" else _decimals(numbers))


class NumberCells:
    """Cells that are numbers or empty, so far as they are; others are counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.numbers = array("d")
        self.others = 0
        """Cells that are neither a number nor empty."""
        self.as_words = False
        """Whether some are no amounts: they begin with a 0, as postal codes do, or have more digits than floats."""
        self.absent: set[str] = set()
        """Words that were taken for empty cells."""
        self._decimal: list[tuple[int, float]] = []
        """The rows with a comma, and their numbers where it stands before decimals."""
        self._commas_before_decimals = False

    def add(self, cells: Sequence[str]) -> None:
        """Takes further cells."""
        column = "\n".join(cells)  # to look through all cells at once
        self.as_words |= LEADING_ZERO.search(column) is not None
        self.as_words |= any(abs(int(digits)) >= EXACT for digits in TOO_LONG.findall(column))
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
        if not (THOUSANDS.fullmatch(text) or DECIMAL.fullmatch(text)):
            self.others += 1
            return math.nan
        decimal = float(text.replace(",", ".")) if DECIMAL.fullmatch(text) else math.nan
        self._decimal.append((len(self.numbers), decimal))
        if THOUSANDS.fullmatch(text):
            return float(text.replace(",", ""))
        self._commas_before_decimals = True
        return decimal

    def parsed(self) -> Parsed:
        """The column; commas stand before decimals or between thousands, as the column as a whole says."""
        values = np.array(self.numbers)
        for row, number in self._decimal if self._commas_before_decimals else ():
            values[row] = number
        commas = "before decimals" if self._commas_before_decimals else "between thousands" if self._decimal else ""
        words = sorted(self.absent - {""})
        if (days := _as_days(values)) is not None:
            return Parsed(days, "date", "%Y%m%d")
        notes = [f"Took {', '.join(map(repr, words[:3]))} in column '{self.name}' for empty cells."] if words else []
        return Parsed(values, decimals=_decimals(values), commas=commas, notes=notes)

    @property
    def mixed_commas(self) -> bool:
        """Whether some commas stand between thousands alone, and others before decimals alone."""
        return self._commas_before_decimals and any(math.isnan(number) for _, number in self._decimal)


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
    """Cells that are words, or dates and times."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.places: dict[str, int] = {}
        self.codes = array("q")

    def add(self, cells: Sequence[str]) -> None:
        """Takes further cells."""
        self.codes.extend(self.places.setdefault(cell.strip(), len(self.places)) for cell in cells)

    def parsed(self, as_words: bool = False) -> Parsed:
        """The column.

        Args:
            as_words: whether dates and times are words too.
        """
        words = [word for word in self.places if word.lower() not in UNKNOWN]
        moments = None if as_words else self._moments([word for word in words if not is_empty(word)])
        if moments is not None:
            form, spelling, numbers, notes = moments
            return Parsed(self._values(numbers), form, spelling, notes=notes)
        ordered = sorted(words, key=_order)
        return Parsed(self._values({word: float(k) for k, word in enumerate(ordered)}), "words", words=tuple(ordered))

    def _values(self, numbers: Mapping[str, float]) -> Values:
        """(N,): the number of each cell's word, NaN where it has none."""
        of_code = np.array([numbers.get(word, math.nan) for word in self.places])
        return np.asarray(of_code[np.array(self.codes, np.int64)])

    def _moments(self, words: list[str]) -> tuple[Form, str, dict[str, float], list[str]] | None:
        """The form, the spelling, each word as a number, and notes, where all are dates or times of one spelling."""
        fits = [
            (form, spelling, numbers)
            for form, spellings in SPELLINGS.items()
            for spelling in spellings
            if (numbers := _all_moments(form, spelling, words))
        ]
        if not fits:
            return None
        form, spelling, numbers = fits[0]
        notes = []
        if others := [other for _, other, _ in fits[1:]]:
            way = f"'{spelling}', and not '{others[0]}'"
            notes = [
                f"Took the dates of column '{self.name}' to be spelled {way}; write them as 2021-12-31 to be sure."
            ]
        return form, spelling, numbers, notes


def _all_moments(form: Form, spelling: str, words: Sequence[str]) -> dict[str, float]:
    """Each word as a number; none where one of them is no date or time of that spelling."""
    numbers = {}
    for word in words:
        number = moment(form, spelling, word)
        if number is None:
            return {}
        numbers[word] = number
    return numbers


def moment(form: Form, spelling: str, word: str) -> float | None:
    """A date in days, a time in seconds; None where it is none of that spelling."""
    if len(word) < 4 or not word[0].isdigit() or word.count(":") != spelling.count("%M") + spelling.count("%S"):
        return None
    try:
        read = datetime.strptime(word, spelling)
    except ValueError:
        return None
    if form == "date":
        return float((read.date() - EPOCH).days)
    if form == "time":
        return float((read - datetime.combine(read.date(), time())).total_seconds())
    return (read - datetime(1970, 1, 1)).total_seconds()


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
    if THOUSANDS.fullmatch(cell.strip()) or DECIMAL.fullmatch(cell.strip()):
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return True
