"""The columns of a table as people have them, and as players see them: amounts on a common scale, and choices.

A column of words, of flags or of few different numbers is a choice among levels, which players see as one-hot columns.
A column of many numbers is an amount, brought to normal scores of its ranks, so that skew and long tails are none for
the players and samples keep to what was observed. An amount may also be a choice: between the amount, the few numbers
that stand out by their share (a 0 among incomes), codes that are no amounts (-999), and an empty cell. Mode-specific
normalisation (Xu et al. 2019, section 4.2) serves the same ends.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evenodds.data.tables.amounts import PLAIN, NumberStyle
from evenodds.data.tables.moments import MomentForm, is_spelling, spell
from evenodds.data.tables.normal_scores import normal_scores
from evenodds.errors import BadInput
from evenodds.files.text import visible

__all__ = ["FEW", "Block", "Column", "Form", "cells_of", "fitted", "shares_of"]
__all__ += ["texts_of", "unordered"]

Values = NDArray[np.float64]
"""(N,) of a column or (N, D) of a table; NaN is an empty cell, and the place of its word stands for a word."""
Form = MomentForm | Literal["number", "words"]
"""What the cells of a column are."""
Block = tuple[tuple[float, ...], bool, int]
"""What players see of a column: the scores an amount may have (empty of choices alone), whether it has no others, and
the number of choices (0 of an amount alone)."""

FEW = 5
"""A column with at most so many different numbers is a choice among them."""
KNOTS = 256
"""A column with at most so many different numbers has no others."""
SPIKE, SPIKES = 0.05, 8
"""Among more numbers, one that so great a share of the rows holds is a choice of its own; at most so many of them."""
CODES = (-9.0, -99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, 999999.0)
"""Numbers that stand for no amount, where they lie far from all others."""
MOST_DECIMALS = 6
EXACT = 2**53
"""Whole numbers beyond it are written as floats are, in as few digits as it takes to read the same one again."""


@dataclass(frozen=True)
class Column:
    """A column of a table: what its cells are, and what players see of it.

    Args:
        name: in the table's first row.
        form: of its cells.
        spelling: of dates and times, as for `datetime.strftime`.
        decimals: digits behind the point that numbers are written with; None: as many as it takes to read the
            same number again; of samples, nine in all.
        words: of a column of words, in the order of their numbers.
        levels: the numbers that are choices, ascending.
        knots: of an amount, increasing numbers, and `scores`, where they lie for the players.
        exact: whether an amount has no other numbers than its knots.
        missing: whether a cell may be empty.
        style: how numbers are written, but for their decimals.
    """

    name: str
    form: Form = "number"
    spelling: str = ""
    decimals: int | None = None
    words: tuple[str, ...] = ()
    levels: tuple[float, ...] = ()
    knots: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    exact: bool = False
    missing: bool = False
    style: NumberStyle = PLAIN

    def __post_init__(self) -> None:
        if len(self.knots) != len(self.scores) or not (self.knots or self.levels):
            raise BadInput(f"column '{visible(self.name)}' needs levels, or as many scores as knots")
        for ends in (self.knots, self.scores, self.levels):
            if any(not a < b for a, b in itertools.pairwise(ends)):
                raise BadInput(f"column '{visible(self.name)}' needs increasing levels, knots and scores")
        self._require_spelling()
        if self.form == "words" and not set(self.levels) <= {float(k) for k in range(len(self.words))}:
            raise BadInput(f"column '{visible(self.name)}' needs a word for each of its levels")

    def _require_spelling(self) -> None:
        """BadInput where numbers could not be written as the column spells them."""
        if not is_spelling(self.spelling) or not 0 <= (self.decimals or 0) <= MOST_DECIMALS:
            raise BadInput(f"column '{visible(self.name)}' needs a spelling of dates and times, and decimals to 6")
        try:
            for end in self.ends if self.form not in ("number", "words") else ():
                self.cell(end)
        except (OverflowError, ValueError) as error:
            raise BadInput(f"column '{visible(self.name)}' needs dates and times that there are") from error

    @property
    def choices(self) -> int:
        """The one-hot columns: the amount, each level, and the empty cell; 0 where there is nothing to choose."""
        of = bool(self.knots) + len(self.levels) + self.missing
        return of if self.levels or self.missing else 0

    @property
    def chosen(self) -> tuple[str, ...]:
        """What each of its choices stands for, as the table spells it; nothing where there are none."""
        named = ("other numbers",) * bool(self.knots) + tuple(map(self.text, self.levels)) + ("nothing",) * self.missing
        return named if self.choices else ()

    @property
    def width(self) -> int:
        """The numbers that players see of it."""
        return bool(self.knots) + self.choices

    @property
    def block(self) -> Block:
        """What a generator needs to know of it."""
        return self.scores, self.exact, self.choices

    @property
    def places(self) -> tuple[float, ...]:
        """Of each choice that is no amount, where it lies among the scores of the amounts; nan of an empty cell.

        A level beyond all knots lies as far beyond their scores as levels are from it, in steps of 1.
        """
        if not self.knots:
            return ()
        below = [level for level in self.levels if level < self.knots[0]]
        above = [level for level in self.levels if level > self.knots[-1]]
        at = {level: self.scores[0] - (len(below) - k) for k, level in enumerate(below)}
        at |= {level: self.scores[-1] + 1 + k for k, level in enumerate(above)}
        inside = [at.get(level, float(np.interp(level, self.knots, self.scores))) for level in self.levels]
        return (*inside, *[math.nan] * self.missing)

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest number in it."""
        numbers = (*self.knots[:1], *self.knots[-1:], *self.levels)
        return min(numbers), max(numbers)

    @property
    def kind(self) -> str:
        """In a word or two, for a table of types."""
        if self.form != "number":
            return self.form
        if not self.knots:
            return "constant" if len(self.levels) == 1 else "levels"
        return "whole numbers" if self.decimals == 0 else "numbers"

    def to_model(self, values: Values) -> NDArray[np.float32]:
        """(N,) -> (N, width) float32. A number that is no level is the amount, or the nearest level where none is."""
        parts = []
        absent = np.isnan(values)
        if absent.any() and not self.missing:
            raise BadInput(f"column '{visible(self.name)}' has empty cells, which it never had; fill them in")
        numbers = np.where(absent, self.ends[0], values)
        code = self._codes(numbers)
        code[absent] = self.choices - 1
        if self.knots:
            score = np.interp(numbers, self.knots, self.scores)
            parts.append(np.where(code == 0, score, 0.0)[:, None])
        if self.choices:
            parts.append(np.eye(self.choices)[code])
        return np.concatenate(parts, 1).astype(np.float32)

    def to_data(self, seen: NDArray[Any]) -> Values:
        """(N, width) -> (N,): the choice that is greatest, and an amount within its ends with its decimals."""
        seen = seen.astype(np.float64)
        score, picked = seen[:, : bool(self.knots)], seen[:, bool(self.knots) :]
        values: Values = np.zeros(len(seen))
        if self.knots:
            values = np.interp(score[:, 0], self.scores, self.knots)
            values = _nearest(np.asarray(self.knots), values) if self.exact else self.rounded(values)
        if self.choices:
            of_code = np.array([*[math.nan] * bool(self.knots), *self.levels, *[math.nan] * self.missing])
            code = picked.argmax(1)
            values = np.where((code == 0) & bool(self.knots), values, of_code[code])
        return values

    def rounded(self, values: Values) -> Values:
        """(N,): amounts with the decimals of the column, within its ends; of a choice among levels the nearest one."""
        if not self.knots:
            return _nearest(np.asarray(self.levels), values)
        if self.decimals is not None:
            return values.round(self.decimals)
        low, high = self.ends
        return np.array([float(f"{value:.9g}") for value in values.tolist()]).clip(low, high)

    def held(self, values: Values) -> Values:
        """(N,): numbers with the decimals of the column, and words the nearest; dates and times as they are."""
        return self.rounded(values) if self.form in ("number", "words") else values

    def allows(self, values: Values) -> NDArray[np.bool_]:
        """(N,): which values could be this column's: its levels, and amounts within its ends with its decimals."""
        fine: NDArray[np.bool_] = np.isin(values, self.levels)
        if self.knots:
            written = values if self.decimals is None else values.round(self.decimals)
            fine |= (
                (self.knots[0] <= values)
                & (values <= self.knots[-1])
                & np.isclose(values, written, rtol=1e-12, atol=1e-12)
            )
        return np.where(np.isnan(values), self.missing, fine)

    def cell(self, value: float) -> Any:
        """A value as Python has it: None where it is missing, a str, int, float, date, datetime or time."""
        if math.isnan(value):
            return None
        if self.form == "words":
            return self.words[int(value)]
        if self.form == "number":
            return int(value) if self.decimals == 0 else float(value)
        moment = datetime(1970, 1, 1) + (
            timedelta(days=round(value)) if self.form == "date" else timedelta(seconds=round(value))
        )
        return {"date": moment.date, "time": moment.time}[self.form]() if self.form != "datetime" else moment

    def text(self, value: float) -> str:
        """A value as the table spells it; empty where it is missing."""
        cell = self.cell(value)
        if cell is None:
            return ""
        if isinstance(cell, date | time):
            return spell(cell, self.spelling)
        if isinstance(cell, float):
            cell = repr(cell) if self.decimals is None else f"{cell:.{self.decimals}f}"
        if isinstance(cell, int) and abs(cell) > EXACT:
            cell = repr(float(cell))
        return str(cell) if self.form == "words" else self.style.written(str(cell))

    def _codes(self, numbers: Values) -> NDArray[np.int64]:
        """The choice of each number: 0 of an amount, if there is one."""
        if not self.levels:
            return np.zeros(len(numbers), np.int64)
        levels = np.asarray(self.levels)
        near = np.abs(levels - numbers[:, None]).argmin(1) if len(levels) < 64 else _at_nearest(levels, numbers)
        if not self.knots:
            return near.astype(np.int64)
        return np.where(levels[near] == numbers, near + 1, 0).astype(np.int64)


def unordered(columns: Sequence[Column]) -> list[int]:
    """The places of columns of words, whose numbers have no order."""
    return [k for k, column in enumerate(columns) if column.form == "words"]


def fitted(
    name: str,
    values: Values,
    form: Form = "number",
    spelling: str = "",
    decimals: int | None = None,
    words: Sequence[str] = (),
    few: int | None = None,
    style: NumberStyle = PLAIN,
) -> Column:
    """A column by what is observed of it.

    Args:
        values: (N,), at least one of which is not missing.
        few: at most so many different numbers are levels. None: 5, and at most a quarter of the rows, as in a short
            table all numbers are few.
    """
    few = min(FEW, max(2, len(values) // 4)) if few is None else few
    absent = np.isnan(values)
    observed = values[~absent]
    distinct, counts = np.unique(observed, return_counts=True)
    column: dict[str, Any] = {
        "name": name,
        "form": form,
        "spelling": spelling,
        "decimals": decimals,
        "words": tuple(words),
        "missing": bool(absent.any()),
        "style": style,
    }
    if form == "words" or len(distinct) <= max(1, few):
        return Column(**column, levels=tuple(distinct.tolist()))
    apart = _apart(distinct, counts, len(values))
    rest, of_rest = distinct[~apart], counts[~apart]
    knots, scores = _knots(rest, of_rest)
    return Column(
        **column,
        levels=tuple(distinct[apart].tolist()),
        knots=tuple(knots.tolist()),
        scores=tuple(scores.tolist()),
        exact=len(rest) == len(knots),
    )


def _apart(distinct: Values, counts: NDArray[Any], rows: int) -> NDArray[np.bool_]:
    """Which of the numbers are choices of their own: those of a great share, and codes; some are left as amounts."""
    share = counts / rows
    others = (1 - share) / max(1, len(distinct) - 1)
    spikes = (share >= SPIKE) & (share >= 5 * others) & (len(distinct) > KNOTS)
    least = np.sort(share)[::-1][min(SPIKES, len(share)) - 1]
    apart: NDArray[np.bool_] = (spikes & (share >= least)) | _is_code(distinct)
    return apart if (~apart).sum() >= 2 else np.zeros(len(distinct), bool)


def _is_code(distinct: Values) -> NDArray[np.bool_]:
    """Which numbers are codes: some of the usual, further from all others than these reach."""
    of_codes = np.isin(distinct, CODES)
    rest = distinct[~of_codes]
    if len(rest) < 2:
        return np.zeros(len(distinct), bool)
    reach = rest[-1] - rest[0]
    return np.asarray(of_codes & ((distinct < rest[0] - reach) | (distinct > rest[-1] + reach)))


def _knots(distinct: Values, counts: NDArray[Any]) -> tuple[Values, Values]:
    """Numbers, and the normal scores of the middle of the ranks that each takes, dense at the middle and the ends."""
    ranks = (counts.cumsum() - counts / 2) / counts.sum()
    scores = normal_scores(ranks)
    if len(distinct) > KNOTS:
        by_rank = np.searchsorted(ranks, np.linspace(ranks[0], ranks[-1], KNOTS // 2))
        by_score = np.searchsorted(scores, np.linspace(scores[0], scores[-1], KNOTS // 2))
        chosen = np.unique(np.concatenate([by_rank, by_score]).clip(0, len(distinct) - 1))
        distinct, scores = distinct[chosen], scores[chosen]
    kept = np.concatenate([[True], np.diff(scores) > 0])
    return distinct[kept], scores[kept]


def _at_nearest(among: Values, values: Values) -> NDArray[np.int64]:
    """The place of the nearest of increasing numbers."""
    return np.searchsorted((among[1:] + among[:-1]) / 2, values)


def _nearest(among: Values, values: Values) -> Values:
    return np.asarray(among[_at_nearest(among, values)])


def cells_of(columns: Sequence[Column], x: NDArray[Any]) -> NDArray[Any]:
    """(N, D) as users want it: float64 where all columns are numbers, NaN where missing; else objects, see `cell`."""
    if all(column.form == "number" for column in columns):
        return x
    cells = np.empty(x.shape, object)
    for k, column in enumerate(columns):
        cells[:, k] = [column.cell(value) for value in x[:, k].tolist()]
    return cells


def texts_of(columns: Sequence[Column], x: NDArray[Any]) -> list[list[str]]:
    """The rows as a table spells them."""
    by_column = [[column.text(value) for value in x[:, k].tolist()] for k, column in enumerate(columns)]
    return [list(row) for row in zip(*by_column, strict=True)]


def shares_of(column: Column, values: Values, parts: int = 20) -> Values:
    """The shares of a column's values, for showing: the empty cell, each level, and an amount in parts of equal width.

    What lies beyond an amount's middle 98 in 100 is counted at its ends.
    """
    absent = [float(np.isnan(values).mean())] if column.missing else []
    levels = [float((values == level).mean()) for level in column.levels]
    if not column.knots:
        return np.array([*absent, *levels])
    amounts = values[~np.isnan(values) & ~np.isin(values, column.levels)]
    low, high = np.interp([-2.33, 2.33], column.scores, column.knots)
    width = (high - low) / parts or 1.0
    places = ((amounts - low) / width).clip(0, parts - 1).astype(int)
    return np.array([*absent, *levels, *(np.bincount(places, minlength=parts) / max(1, len(values)))])
