"""Missing values of a table, several fillings of each, by a run or by a file that one was exported to.

torch is not imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evenodds.data.scale import Numbers
from evenodds.data.tables.columns import Columns, Table
from evenodds.data.tables.rows import Column
from evenodds.errors import BadInput
from evenodds.files.text import quoted
from evenodds.game.seeds import mix
from evenodds.runs.strategies import DRAWS

__all__ = ["POOL", "Imputer", "Rows", "TableFiller", "as_table", "commonest", "no_table"]

Rows = Mapping[str, NDArray[Any]]
"""A request or an answer: arrays by name."""
ROOM = 2**26
"""Numbers of z, or entries of rows, that are at work at once."""
POOL = 4096
"""Draws of z for each filling; each row takes one by what it holds, so that it gets the same alone and among others."""
BLOCK = 16
"""Fillings whose z are drawn together."""


@dataclass(frozen=True)
class Imputer:
    """What fills tables.

    Args:
        columns: of the table that was learned.
        ask: answers requests, as `evenodds.tasks.impute.Impute.answer` does, of arrays.
        prior: (n, seed) -> (n, latent) draws of z.
        latent: numbers of a z.
        network: that answers; None of a file.
    """

    columns: Columns
    ask: Callable[[Rows], Rows]
    prior: Callable[[int, int], Numbers]
    latent: int
    network: Any = None

    def impute(self, x: ArrayLike, draws: int = 1, seed: int = 0) -> Table:
        """Several fillings of a table: of the one that was fitted, or of others with its columns.

        Returns:
            (draws, N, D): x where observed, and draws where it is NaN, in the columns' own units, each within the
            range that was observed, and one of the values that occur where these are few. The same seed gives the same
            draws; the first of more draws are those of fewer. What a row gets does not depend on the other rows.
        """
        table = as_table(x, len(self.columns.low))
        completed = self.columns.allowed(self._draws(table, draws, seed)[0])
        return np.asarray(np.where(np.isnan(table), completed, table))

    def mean(self, x: ArrayLike, draws: int = DRAWS, seed: int = 0, unordered: Sequence[int] = ()) -> Table:
        """(N, D): x where observed, and elsewhere the mean of many fillings, which has the least squared error.

        A mean need not be a value that occurs: it is kept within the observed range of its column alone. Of a column of
        words it is the likeliest one.

        Args:
            unordered: columns whose numbers stand for words, in a filler that was made to take them for numbers: they
                get what is drawn most often.
        """
        table = as_table(x, len(self.columns.low))
        drawn, likeliest = self._draws(table, draws, seed)
        means = np.clip(drawn.mean(0), self.columns.low, self.columns.high)
        words = self.columns.words
        if others := [k for k in unordered if k not in words]:
            means[:, others] = commonest(self.columns.allowed(drawn)[:, :, others])
        means[:, words] = likeliest
        return np.asarray(np.where(np.isnan(table), means, table))

    def fillings(self, x: ArrayLike, n: int, strategy: str, seed: int = 0, unordered: Sequence[int] = ()) -> Table:
        """(n, N, D): the mean, of which there is one, or n draws; see `evenodds.runs.strategies`."""
        return self.impute(x, n, seed) if strategy == "draw" else self.mean(x, DRAWS, seed, unordered)[None]

    def _draws(self, table: Table, draws: int, seed: int, batch: int = 512) -> tuple[Table, Table]:
        """(draws, N, D) in the columns' own units; and (N, W), the likeliest word of each column of words."""
        if draws < 1:
            raise BadInput(f"imputing needs draws >= 1, got {draws}")
        # Entries of many words need far more room than cells: so many rows are at work at a time.
        rows = max(POOL, ROOM // sum(self.columns.widths)) // batch * batch
        parts = [self._drawn(table[k : k + rows], draws, seed, batch) for k in range(0, len(table), rows)]
        drawn, likeliest = np.concatenate([one for one, _ in parts], 1), np.concatenate([one for _, one in parts])
        if not (fine := np.isfinite(drawn).all((0, 2)) & np.isfinite(likeliest).all(1)).all():
            row = int((~fine).argmax()) + 1
            raise BadInput(f"row {row} has numbers too far from those that were learned; leave these cells empty")
        return drawn, likeliest

    def _drawn(self, table: Table, draws: int, seed: int, batch: int) -> tuple[Table, Table]:
        """As `_draws`, at once."""
        common, (places, at) = self.columns.to_common(table), _places(table)
        parts, sums = [], np.zeros((len(table), self.columns.choices))
        at_once = max(1, ROOM // (POOL * self.latent))
        rows = [slice(start, start + batch) for start in range(0, len(table), batch)]
        for k in range(0, draws, at_once):
            z = self._z(seed, range(k, min(draws, k + at_once)), places)
            made = [self._fill(common[some], z[at[some]]) for some in rows]
            parts.append(np.concatenate([values for values, _ in made], 1))
            sums += z.shape[1] * np.concatenate([shares for _, shares in made])
        return np.concatenate(parts), self.columns.likeliest(sums / draws) if self.columns.words else sums

    def _z(self, seed: int, numbers: range, places: Sequence[int]) -> Numbers:
        """(len(places), K, latent): draws of z for some fillings, each the same whichever others there are."""
        first = numbers.start // BLOCK
        blocks = range(first, -(-numbers.stop // BLOCK))

        def drawn(place: int) -> Numbers:
            z = np.concatenate([self.prior(BLOCK, mix(seed, place, block)) for block in blocks])
            return z[numbers.start - BLOCK * first :][: len(numbers)]

        return np.stack([drawn(place) for place in places])

    def _fill(self, x: Numbers, z: Numbers) -> tuple[Table, Table]:
        """(n, E), (n, K, latent) -> (K, n, D) in the columns' own units, and (n, C) the probabilities of words."""
        # A row's own place in the memory is not needed: it has nothing there that the row has not.
        mask = (~np.isnan(x)).astype(np.float32)
        answer = self.ask({"x": x, "mask": mask, "z": z, "row": np.full(len(x), -1)})
        shares = answer["shares"] if "shares" in answer else x[:, :0]
        return self.columns.to_units(answer["x"].swapaxes(0, 1)), shares.astype(np.float64)


@dataclass(frozen=True)
class TableFiller:
    """What fills the empty cells of tables: a run, or a file that one was exported to.

    Args:
        folder: for results where no other is named.
        columns: that were learned.
        imputer: fills numbers in.
        options: how the table that was learned was read: delimiter, header, encoding, sheet.
        own: the path of that table; BadInput where it is not known.
    """

    folder: Path
    columns: tuple[Column, ...]
    imputer: Imputer
    own: Callable[[], Path]
    options: Mapping[str, Any] = field(default_factory=dict)


def no_table(file: Path) -> BadInput:
    """What is said of a file where no table is named."""
    return BadInput(
        f"{file} does not say where the table of its run is; name one with its columns: evenodds fill "
        f"{quoted(file)} TABLE.csv"
    )


def _places(table: Table) -> tuple[list[int], NDArray[np.int64]]:
    """The places in the pool that the rows (N, D) take, and (N,), the number of each row's among these."""
    rows = np.ascontiguousarray(np.where(np.isnan(table), np.nan, table + 0.0))
    sums = [int.from_bytes(blake2b(row, digest_size=8).digest(), "little") % POOL for row in rows]
    places, at = np.unique(sums, return_inverse=True)
    return places.tolist(), at.reshape(-1)


def commonest(draws: Table) -> Table:
    """(N, D): of draws (n, N, D) the value that occurs most often in each place; the least of several."""
    ordered = np.sort(draws, 0)
    times = np.ones(ordered.shape, np.int64)  # that a value was there, up to each place
    for k in range(1, len(ordered)):
        times[k] = np.where(ordered[k] == ordered[k - 1], times[k - 1] + 1, 1)
    return np.asarray(np.take_along_axis(ordered, times.argmax(0)[None], 0)[0])


def as_table(x: ArrayLike, columns: int | None = None) -> Table:
    """(N, D) float64; a copy is made only where needed."""
    try:
        table = np.asarray(x, np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"a table to impute needs numbers, NaN where missing: {error}; encode words first") from error
    if table.ndim != 2 or not table.size or (columns is not None and table.shape[1] != columns):
        raise BadInput(f"a table to impute must be (N, {columns or 'D'}), got {table.shape}; reshape it")
    if np.isinf(table).any():
        raise BadInput("a table to impute must have no infinite values; use NaN for what is missing")
    return table
