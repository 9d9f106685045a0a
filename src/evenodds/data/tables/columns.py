"""The columns of a table: brought to a common scale and back, and the values that each of them may have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.errors import BadInput, unknown

__all__ = ["SCALES", "Columns", "Table"]

Table = NDArray[np.float64]
"""(N, D), NaN where a value is missing."""
LARGEST = 1e150
"""Of numbers whose squares a float holds."""


@dataclass(frozen=True)
class Columns:
    """How each column is brought to a common scale, and which values it may have; learned from what is observed.

    Args:
        knots: for each column, increasing values of its own and where they lie on the common scale. Between them, and
            beyond the ends, the map is linear.
        values: for each column its distinct values where they are few, else None.
    """

    knots: tuple[tuple[Table, Table], ...]
    values: tuple[Table | None, ...]
    low: Table
    high: Table

    @staticmethod
    def of(x: Table, scale: str = "standard", few: int = 20) -> Columns:
        """Learns from a table; every column needs an observed value."""
        if scale not in SCALES:
            raise unknown("scale of columns", scale, SCALES)
        observed = [column[~np.isnan(column)] for column in x.T]
        distinct = [np.unique(column) for column in observed]
        largest = max((np.abs(column).max() for column in observed), default=0.0)
        if largest > LARGEST:
            raise BadInput(f"numbers of a table are at most {LARGEST:g}, got {largest:g}; divide their column by it")
        return Columns(
            tuple(SCALES[scale](column) for column in observed),
            tuple(column if len(column) <= few else None for column in distinct),
            np.array([column[0] for column in distinct]),
            np.array([column[-1] for column in distinct]),
        )

    @property
    def lines(self) -> tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]:
        """The knots as plain values."""
        return tuple((tuple(values.tolist()), tuple(places.tolist())) for values, places in self.knots)

    def to_common(self, x: Table) -> Tensor:
        """(N, D) in the columns' own units -> float32 on the common scale, NaN staying NaN."""
        moved = [_line(x[..., k], values, places) for k, (values, places) in enumerate(self.knots)]
        return torch.from_numpy(np.stack(moved, -1).astype(np.float32))

    def to_units(self, x: Tensor) -> Table:
        """(..., D) on the common scale -> the columns' own units."""
        common = x.double().numpy()
        moved = [_line(common[..., k], places, values) for k, (values, places) in enumerate(self.knots)]
        return np.stack(moved, -1)

    def allowed(self, x: Table) -> Table:
        """(..., D): each value within the range observed in its column; the nearest of those that occur, if few."""
        x = np.clip(x, self.low, self.high)
        for k, values in enumerate(self.values):
            if values is not None:
                middles = (values[1:] + values[:-1]) / 2
                x[..., k] = values[np.searchsorted(middles, x[..., k])]
        return x


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
    scores = torch.special.ndtri(torch.from_numpy(ranks[chosen])).numpy()
    return values[chosen], np.asarray(scores, np.float64)


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
