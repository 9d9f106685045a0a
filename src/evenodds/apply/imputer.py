"""Missing values of a table: several fillings of each, drawn from what a filler learned of the table itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from evenodds.apply.strategies import DRAWS
from evenodds.data.dataset import Dataset
from evenodds.data.readers.gaps import FEW
from evenodds.data.tables.columns import Columns, Table, require_few_words
from evenodds.data.tables.rows import fitted
from evenodds.data.units import Units
from evenodds.errors import BadInput
from evenodds.game.rules import Batch
from evenodds.game.seeds import mix
from evenodds.game.trainer import Listener, train
from evenodds.parts.choosing import Block, choices_in
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.priors import Normal
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.config_files import recipe
from evenodds.runs.session import Session
from evenodds.runs.values import IN_MEMORY, Part
from evenodds.tasks.contest import Contest
from evenodds.tasks.impute import Impute

__all__ = ["LATENT", "Imputer", "Settings", "commonest", "fit", "imputer_of", "task_at_work"]

RECIPE = "fill-table"
"""How a filler is trained."""
LATENT = 32
"""The usual length of z."""


@dataclass(frozen=True)
class Settings:
    """How a filler of tables is trained: the recipe fill-table, but for these.

    Args:
        rows: shown in training; None for `epochs` times the table, at least 200,000.
        epochs: how often each row is shown where `rows` is None.
        batch: rows per batch.
        scale: "standard" (mean 0, deviation 1), "minmax" ([-1, 1]) or "quantile" (normal scores of the ranks, for
            tails so long that a mean says little).
        few: a column with at most so many distinct values gets no others.
        low, high: each row hides a share of its values drawn between these.
        fillings: of each row that the scoring rules compare.
        adversarial, joint, marginal, mean: weights of the costs; see evenodds.tasks.fill.Fill.
        latent: length of z.
        width, depth, dropout: of the filler; see evenodds.parts.fillers.rows.Generator.
        memory: most rows that are looked up; of longer tables, a random choice.
        neighbours: rows that vote.
        rate, decay: the learning rate, and the weight decay.
    """

    rows: int | None = None
    epochs: int = 60
    batch: int = 256
    scale: str = "standard"
    few: int = FEW
    low: float = 0.05
    high: float = 0.5
    fillings: int = 4
    adversarial: float = 0.1
    joint: float = 1.0
    marginal: float = 1.0
    mean: float = 1.0
    latent: int = LATENT
    width: int = 256
    depth: int = 3
    dropout: float = 0.0
    memory: int = 20_000
    neighbours: int = 32
    rate: float = 1e-3
    decay: float = 1e-4


@dataclass(frozen=True)
class Imputer:
    """A filler that was fitted to a table. Made by `fit`, or by `imputer_of` a run.

    Args:
        ask: answers requests, see `evenodds.tasks.impute.Impute.answer`, in place of the generator here.
    """

    columns: Columns
    task: Impute
    generator: nn.Module
    ask: Callable[[Batch], Batch] | None = None

    def impute(self, x: ArrayLike, draws: int = 1, seed: int = 0) -> Table:
        """Several fillings of a table: of the one that was fitted, or of others with its columns.

        Returns:
            (draws, N, D): x where observed, and draws where it is NaN, in the columns' own units, each within the
            range that was observed, and one of the values that occur where these are few. The same seed gives the same
            draws; the first of more draws are those of fewer. What a row gets does not depend on the other rows.
        """
        table = _table(x, len(self.columns.low))
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
        table = _table(x, len(self.columns.low))
        drawn, likeliest = self._draws(table, draws, seed)
        means = np.clip(drawn.mean(0), self.columns.low, self.columns.high)
        words = self.columns.words
        if others := [k for k in unordered if k not in words]:
            means[:, others] = commonest(self.columns.allowed(drawn)[:, :, others])
        means[:, words] = likeliest
        return np.asarray(np.where(np.isnan(table), means, table))

    def fillings(self, x: ArrayLike, n: int, strategy: str, seed: int = 0, unordered: Sequence[int] = ()) -> Table:
        """(n, N, D): the mean, of which there is one, or n draws; see `evenodds.apply.strategies`."""
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
        parts, sums = [], np.zeros((len(table), choices_in(self.columns.blocks)))
        at_once = max(1, ROOM // (POOL * self.task.prior.size))
        for k in range(0, draws, at_once):
            z = self._z(seed, range(k, min(draws, k + at_once)), places)
            rows = zip(torch.split(common, batch), torch.split(at, batch), strict=True)
            made = [self._fill(x, z[of]) for x, of in rows]
            parts.append(np.concatenate([values for values, _ in made], 1))
            sums += z.shape[1] * np.concatenate([shares for _, shares in made])
        return np.concatenate(parts), self.columns.likeliest(sums / draws) if self.columns.words else sums

    def _z(self, seed: int, numbers: range, places: Sequence[int]) -> Tensor:
        """(len(places), K, latent): draws of z for some fillings, each the same whichever others there are."""
        first, rng = numbers.start // BLOCK, torch.Generator()
        blocks = range(first, -(-numbers.stop // BLOCK))

        def drawn(place: int) -> Tensor:
            z = [self.task.prior(BLOCK, rng.manual_seed(mix(seed, place, block))) for block in blocks]
            return torch.cat(z)[numbers.start - BLOCK * first :][: len(numbers)]

        return torch.stack([drawn(place) for place in places])

    def _fill(self, x: Tensor, z: Tensor) -> tuple[Table, Table]:
        """(n, E), (n, K, latent) -> (K, n, D) in the columns' own units, and (n, C) the probabilities of words."""
        # A row's own place in the memory is not needed: it has nothing there that the row has not.
        request = {"x": x, "mask": (~x.isnan()).float(), "z": z, "row": torch.full((len(x),), -1)}
        answer = (self.ask or self._answer)(request)
        shares = answer["shares"] if "shares" in answer else x[:, :0]
        return self.columns.to_units(answer["x"].transpose(0, 1)), shares.double().numpy()

    def _answer(self, request: Batch) -> Batch:
        place = next(self.generator.parameters()).device
        answer = self.task.answer({"generator": self.generator}, {name: one.to(place) for name, one in request.items()})
        return {name: one.cpu() for name, one in answer.items()}


ROOM = 2**26
"""Numbers of z that are drawn at once."""
POOL = 4096
"""Draws of z for each filling; each row takes one by what it holds, so that it gets the same alone and among others."""
BLOCK = 16
"""Fillings whose z are drawn together."""


def _places(table: Table) -> tuple[list[int], Tensor]:
    """The places in the pool that the rows (N, D) take, and (N,) int64, the number of each row's among these."""
    rows = np.ascontiguousarray(np.where(np.isnan(table), np.nan, table + 0.0))
    sums = [int.from_bytes(blake2b(row, digest_size=8).digest(), "little") % POOL for row in rows]
    places, at = np.unique(sums, return_inverse=True)
    return places.tolist(), torch.from_numpy(at.reshape(-1))


def commonest(draws: Table) -> Table:
    """(N, D): of draws (n, N, D) the value that occurs most often in each place; the least of several."""
    return np.asarray(torch.mode(torch.from_numpy(draws), 0).values)


def fit(
    x: ArrayLike,
    settings: Settings | None = None,
    seed: int = 0,
    listeners: Sequence[Listener] = (),
    words: Collection[int] = (),
    names: Sequence[str] = (),
) -> Imputer:
    """Trains a filler on the observed values of a table, as `evenodds train fill-table` does.

    Args:
        x: (N, D), NaN where a value is missing; every column needs an observed value, N at least 2.
        settings: how; the defaults where None.
        seed: of the start and of all draws; the same seed gives the same filler on the same machine's CPU.
        listeners: such as one that shows how far the training is.
        words: the columns whose numbers stand for words, and have no order.
        names: of the columns, for messages; their numbers from 1 where none are given.
    """
    settings = settings or Settings()
    table = _table(x)
    if len(table) < 2 or np.isnan(table).all(0).any():
        raise BadInput("imputing needs 2 rows and an observed value in each column; leave empty columns out")
    run = Run(_config(settings, len(table), seed), _dataset(table, settings, words, names))
    every = [*run.listeners.values(), *listeners]
    train(run.game, run.feed, run.learner, run.engine, images=run.config.images, seed=seed, listeners=every)
    assert isinstance(run.task, Impute)
    return Imputer(run.dataset.units.common, run.task, run.sampler)


def imputer_of(session: Session) -> Imputer:
    """The filler of a run; BadInput of a run that fills no tables."""
    if not isinstance(session.task, Impute):
        raise BadInput("this run fills no tables; one of the recipe fill-table does")
    return Imputer(session.card.units.common, session.task, session.players["generator"])


def task_at_work(latent: int = LATENT, blocks: tuple[Block, ...] = ()) -> Impute:
    """The task of a filler that learns no more.

    Args:
        blocks: of its columns; see evenodds.data.tables.columns.Columns.blocks.
    """
    return Impute(Normal(latent + choices_in(blocks)), Contest(non_saturating), blocks=blocks)


def _config(s: Settings, rows: int, seed: int) -> Config:
    """The recipe with other settings."""
    named = ("low", "high", "fillings", "adversarial", "joint", "marginal", "mean")
    filler = ("width", "depth", "dropout", "neighbours")
    return with_settings(
        recipe(RECIPE),
        {
            "data": Part(IN_MEMORY),
            "images": s.rows or max(s.epochs * rows, 200_000),
            "batch": s.batch,
            "prior.size": s.latent,
            "discriminator.width": s.width,
            "learning_rate": s.rate,
            "optimizer.weight_decay": s.decay,
            "seed": seed,
            "held_out": 0.0,
            "device": "cpu",
            "watch": "off",
            **{f"task.{name}": getattr(s, name) for name in named},
            **{f"generator.{name}": getattr(s, name) for name in filler},
            "generator.memory": min(s.memory, rows),  # a longer one is taken for a large network
        },
    )


def _dataset(table: Table, settings: Settings, words: Collection[int], names: Sequence[str]) -> Dataset:
    """The rows of an array (N, D) as data whose empty cells are to be filled."""
    learned = Columns.of(table, settings.scale, words=words)
    names = names or [f"{k + 1}" for k in range(table.shape[1])]
    require_few_words([names[k] for k in learned.words], [learned.widths[k] for k in learned.words])
    columns = tuple(
        fitted(f"column {k + 1}", x, few=len(table) if k in words else settings.few) for k, x in enumerate(table.T)
    )
    low, high = zip(*(column.ends for column in columns), strict=True)
    units = Units(low, high, "float64", columns=columns, knots=learned.lines)
    return Dataset(torch.tensor(table), units, columns=tuple(column.name for column in columns), kind="table")


def _table(x: ArrayLike, columns: int | None = None) -> Table:
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
