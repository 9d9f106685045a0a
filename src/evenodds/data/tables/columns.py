"""The columns of a table: brought to a common scale and back, and the values that each of them may have.

A column of words has no scale: it becomes one entry for each of its words, 1 for the one that is there, else 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.tables.normal_scores import normal_scores
from evenodds.data.tables.rows import Block, Column
from evenodds.errors import BadInput, unknown
from evenodds.files.misfit import shortened

__all__ = ["SCALES", "Columns", "Knots", "Table", "are_maps", "require_few_words"]

Table = NDArray[np.float64]
"""(N, D), NaN where a value is missing."""
LARGEST = 1e150
"""Of numbers whose squares a float holds."""
MOST_WORDS = 2_000
"""Entries of all columns of words: rows that are looked up, and noise that draws words, have so many each."""
Knots = tuple[tuple[float, ...], tuple[float, ...]]
"""Increasing numbers, and where they lie on the common scale."""
NUMBER: Block = ((-math.inf, math.inf), False, 0)
"""A number without ends."""


@dataclass(frozen=True)
class Columns:
    """How each column is brought to a common scale, and which values it may have; learned from what is observed.

    Args:
        knots: for each column, increasing values of its own and where they lie on the common scale. Between them, and
            beyond the ends, the map is linear. None of either for a column of words.
        values: for each column its distinct values where they are few, else None; of words always.
    """

    knots: tuple[tuple[Table, Table], ...]
    values: tuple[Table | None, ...]
    low: Table
    high: Table

    @staticmethod
    def of(x: Table, scale: str = "standard", few: int = 20, words: Collection[int] = ()) -> Columns:
        """Learns from a table; every column needs an observed value.

        Args:
            words: the columns whose numbers stand for words.
        """
        if scale not in SCALES:
            raise unknown("scale of columns", scale, SCALES)
        observed = [column[~np.isnan(column)] for column in x.T]
        distinct = [np.unique(column) for column in observed]
        largest = max((np.abs(column).max() for column in observed), default=0.0)
        if largest > LARGEST:
            raise BadInput(f"numbers of a table are at most {LARGEST:g}, got {largest:g}; divide their column by it")
        return Columns(
            tuple(_NONE if k in words else SCALES[scale](column) for k, column in enumerate(observed)),
            tuple(column if k in words or len(column) <= few else None for k, column in enumerate(distinct)),
            np.array([column[0] for column in distinct]),
            np.array([column[-1] for column in distinct]),
        )

    @staticmethod
    def learned(
        columns: Sequence[Column], knots: Sequence[Knots], low: Sequence[float], high: Sequence[float]
    ) -> Columns:
        """The columns of a table that was learned before, of plain values; see evenodds.data.units.Units."""
        values = tuple(None if column.knots else np.array(column.levels) for column in columns)
        lines = tuple((np.array(own), np.array(places)) for own, places in knots)
        return Columns(lines, values, np.array(low), np.array(high))

    @property
    def lines(self) -> tuple[Knots, ...]:
        """The knots as plain values."""
        return tuple((tuple(values.tolist()), tuple(places.tolist())) for values, places in self.knots)

    @property
    def words(self) -> list[int]:
        """The columns of words."""
        return [k for k, (values, _) in enumerate(self.knots) if not len(values)]

    @property
    def widths(self) -> list[int]:
        """The entries of each column."""
        sizes = zip(self.knots, self.values, strict=True)
        return [1 if len(knots) or values is None else len(values) for (knots, _), values in sizes]

    @property
    def choices(self) -> int:
        """The entries of all columns of words."""
        widths = self.widths
        return sum(widths[k] for k in self.words)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What a network needs to know of entries; empty where each column is one of them."""
        words = self.words
        return tuple(((), False, size) if k in words else NUMBER for k, size in enumerate(self.widths)) if words else ()

    def to_common(self, x: Table) -> NDArray[np.float32]:
        """(N, D) in the columns' own units -> (N, E) float32 on the common scale, NaN staying NaN."""
        moved = [self._entries(k, x[..., k]) for k in range(len(self.knots))]
        with np.errstate(over="ignore"):  # what is beyond float32 is infinite, and whoever fills says so
            return np.concatenate(moved, -1).astype(np.float32)

    def _entries(self, k: int, x: Table) -> Table:
        """(...,) of a column -> (..., entries)."""
        (knots, places), values = self.knots[k], self.values[k]
        if len(knots) or values is None:
            return _line(x, knots, places)[..., None]
        return np.where(np.isnan(x)[..., None], np.nan, x[..., None] == values)

    def to_units(self, x: NDArray[Any]) -> Table:
        """(..., E) on the common scale -> (..., D) in the columns' own units; of words the greatest entry."""
        parts = np.split(x.astype(np.float64), np.cumsum(self.widths)[:-1], -1)
        return np.stack([self._value(k, part) for k, part in enumerate(parts)], -1)

    def _value(self, k: int, entries: Table) -> Table:
        """(..., entries) of a column -> (...,)."""
        (knots, places), values = self.knots[k], self.values[k]
        if len(knots) or values is None:
            return _line(entries[..., 0], places, knots)
        return np.asarray(values[entries.argmax(-1)])

    def likeliest(self, shares: Table) -> Table:
        """(N, C): probabilities of the words of all columns of words, side by side -> (N, W), the likeliest of each."""
        words, widths = self.words, self.widths
        parts = np.split(shares, np.cumsum([widths[k] for k in words])[:-1], -1)
        return np.stack([self._value(k, part) for k, part in zip(words, parts, strict=True)], -1)

    def allowed(self, x: Table) -> Table:
        """(..., D): each value within the range observed in its column; the nearest of those that occur, if few."""
        x = np.clip(x, self.low, self.high)
        for k, values in enumerate(self.values):
            if values is not None:
                middles = (values[1:] + values[:-1]) / 2
                x[..., k] = values[np.searchsorted(middles, x[..., k])]
        return x


_NONE = (np.empty(0), np.empty(0))
"""The knots of a column of words."""


def are_maps(knots: Sequence[Knots], columns: Sequence[Column]) -> bool:
    """Whether there is a map for each column: numbers and their places that both increase, two of them at least; or
    none, of levels alone."""
    return len(knots) == len(columns) and all(map(_fits, knots, columns))


def _fits(knots: Knots, column: Column) -> bool:
    values, places = knots
    if not values and not places:
        return not column.knots
    return len(values) == len(places) >= 2 and all(a < b for ends in knots for a, b in pairwise(ends))


def require_few_words(
    names: Sequence[str], sizes: Sequence[int], advice: Callable[[str], str] = lambda name: "leave that column out"
) -> None:
    """BadInput where columns have more words than entries can be had for.

    Args:
        names: of the columns of words.
        sizes: how many different words each has.
        advice: what to do with the column of that name.
    """
    if sum(sizes) > MOST_WORDS:
        most, name = max(zip(sizes, names, strict=True))
        raise BadInput(
            f"filling learns each word by itself, at most {MOST_WORDS:,} in all columns, got {sum(sizes):,}, of which "
            f"column {shortened(name)} has {most:,}; {advice(name)}"
        )


def _standard(x: Table) -> tuple[Table, Table]:
    spread, mean = x.std(), x.mean()
    ends = np.array([-1.0, 1.0])
    return mean + ends * (spread if spread > _step(mean) else max(1.0, _step(mean))), ends


def _minmax(x: Table) -> tuple[Table, Table]:
    low, high = x.min(), x.max()
    return np.array([low, high if high > low else low + max(1.0, _step(low))]), np.array([-1.0, 1.0])


def _step(value: float) -> float:
    """What makes another number of a number, when it is added: 1 is too little from 2^53 on."""
    return 2 * float(np.spacing(np.abs(value)))


def _quantile(x: Table) -> tuple[Table, Table]:
    """Normal scores at up to 200 distinct values, each at the middle of the ranks that it takes."""
    values, counts = np.unique(x, return_counts=True)
    if len(values) == 1:
        return _minmax(x)
    ranks = (counts.cumsum() - counts / 2) / counts.sum()
    chosen = np.unique(np.linspace(0, len(values) - 1, 200).round().astype(int))
    return values[chosen], normal_scores(ranks[chosen])


SCALES: dict[str, Callable[[Table], tuple[Table, Table]]] = {
    "standard": _standard,
    "minmax": _minmax,
    "quantile": _quantile,
}
"""How a column's observed values (n,) become knots: own values, and their places on the common scale."""


def _line(x: Table, knots: Table, places: Table) -> Table:
    """The map through the knots, linear between them and beyond both ends."""
    at = np.searchsorted(knots, x).clip(1, len(knots) - 1)
    slope = (places[at] - places[at - 1]) / (knots[at] - knots[at - 1])
    return np.asarray(places[at - 1] + (x - knots[at - 1]) * slope)
