"""Missing values of a table: several fillings of each, drawn from what a filler learned of the table itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from evenodds.data.batches import Batches
from evenodds.data.dataset import Dataset
from evenodds.data.tables.columns import Columns, Table
from evenodds.data.units import Units
from evenodds.errors import BadInput
from evenodds.game.engine import Local, reseed
from evenodds.game.learners import Gradient
from evenodds.game.listeners.average import Average
from evenodds.game.optimizers import eager
from evenodds.game.rules import Game
from evenodds.game.schedule import cosine
from evenodds.game.seeds import mix
from evenodds.game.trainer import Listener, train
from evenodds.parts.fillers.rows import Generator
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.masks import Scattered
from evenodds.parts.networks.mlp import Discriminator
from evenodds.parts.priors import Normal
from evenodds.tasks.contest import Contest
from evenodds.tasks.fill import Fill

__all__ = ["Imputer", "Settings", "fit"]


@dataclass(frozen=True)
class Settings:
    """How a filler of tables is trained.

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
        rate, decay: the generator's learning rate, and its weight decay.
    """

    rows: int | None = None
    epochs: int = 60
    batch: int = 256
    scale: str = "standard"
    few: int = 20
    low: float = 0.05
    high: float = 0.5
    fillings: int = 4
    adversarial: float = 0.1
    joint: float = 1.0
    marginal: float = 1.0
    mean: float = 1.0
    latent: int = 32
    width: int = 256
    depth: int = 3
    dropout: float = 0.0
    memory: int = 20_000
    neighbours: int = 32
    rate: float = 1e-3
    decay: float = 1e-4


@dataclass(frozen=True)
class Imputer:
    """A filler that was fitted to a table. Made by `fit`."""

    columns: Columns
    task: Fill
    generator: nn.Module
    settings: Settings

    def impute(self, x: ArrayLike, draws: int = 1, seed: int = 0) -> Table:
        """Several fillings of a table: of the one that was fitted, or of others with its columns.

        Returns:
            (draws, N, D): x where observed, and draws where it is NaN, in the columns' own units, each within the
            range that was observed, and one of the values that occur where these are few. The same seed gives the same
            draws; the first of more draws are those of fewer. What a row gets does not depend on the other rows.
        """
        table = _table(x, len(self.columns.low))
        completed = self.columns.allowed(self._draws(table, draws, seed))
        return np.asarray(np.where(np.isnan(table), completed, table))

    def mean(self, x: ArrayLike, draws: int = 64, seed: int = 0) -> Table:
        """(N, D): x where observed, and elsewhere the mean of many fillings, which has the least squared error.

        A mean need not be a value that occurs: it is kept within the observed range of its column alone.
        """
        table = _table(x, len(self.columns.low))
        means = np.clip(self._draws(table, draws, seed).mean(0), self.columns.low, self.columns.high)
        return np.asarray(np.where(np.isnan(table), means, table))

    def _draws(self, table: Table, draws: int, seed: int, batch: int = 512) -> Table:
        if draws < 1:
            raise BadInput(f"imputing needs draws >= 1, got {draws}")
        common = self.columns.to_common(table)
        rngs = [torch.Generator().manual_seed(mix(seed, number)) for number in range(draws)]
        pools = torch.stack([self.task.prior(POOL, rng) for rng in rngs])
        rows = zip(torch.split(common, batch), torch.split(_places(table), batch), strict=True)
        parts = [self._fill(x, pools[:, at].flatten(0, 1)) for x, at in rows]
        return self.columns.to_units(torch.cat(parts, 1))

    def _fill(self, x: Tensor, z: Tensor) -> Tensor:
        """(n, D), (K n, latent) -> (K, n, D)."""
        # A row's own place in the memory is not needed: it has nothing there that the row has not.
        request = {"x": x, "mask": (~x.isnan()).float(), "z": z, "row": torch.full((len(x),), -1)}
        return self.task.answer({"generator": self.generator}, request)["x"].view(-1, *x.shape)


POOL = 4096
"""Draws of z for each filling; each row takes one by what it holds, so that it gets the same alone and among others."""


def _places(table: Table) -> Tensor:
    """(N,) int64: the place in the pool for each row (N, D)."""
    rows = np.ascontiguousarray(np.where(np.isnan(table), np.nan, table + 0.0))
    sums = [int.from_bytes(blake2b(row, digest_size=8).digest(), "little") % POOL for row in rows]
    return torch.tensor(sums, dtype=torch.int64)


def fit(
    x: ArrayLike,
    settings: Settings | None = None,
    seed: int = 0,
    listeners: Sequence[Listener] = (),
) -> Imputer:
    """Trains a filler on the observed values of a table.

    Args:
        x: (N, D), NaN where a value is missing; every column needs an observed value, N at least 2.
        settings: how; the defaults where None.
        seed: of the start and of all draws; the same seed gives the same filler on the same machine's CPU.
        listeners: such as one that shows how far the training is.
    """
    settings = settings or Settings()
    table = _table(x)
    if len(table) < 2 or np.isnan(table).all(0).any():
        raise BadInput("imputing needs 2 rows and an observed value in each column; leave empty columns out")
    columns = Columns.of(table, settings.scale, settings.few)
    common = columns.to_common(table)
    rows = settings.rows or max(settings.epochs * len(common), 200_000)
    place, players = _players(common, settings, seed)
    task = _task(settings)
    average = Average(players, ("generator",), half_life_images=rows / 50)
    feed = _Rows(common, place, settings.batch, seed)
    learner = _learner(players, settings)
    train(Game(task, players), feed, learner, Local(), images=rows, seed=seed, listeners=[average, *listeners])
    return Imputer(columns, task, average.copies["generator"], settings)


def _players(common: Tensor, settings: Settings, seed: int) -> tuple[Tensor, dict[str, nn.Module]]:
    """The place of each row in the memory, and the players, freshly initialised from the seed."""
    columns, memory = common.shape[1], min(settings.memory, len(common))
    index = torch.randperm(len(common), generator=torch.Generator().manual_seed(mix(seed, -2)))[:memory].sort().values
    place = torch.full((len(common),), -1)
    place[index] = torch.arange(memory)
    with torch.random.fork_rng():
        reseed(torch.get_default_device(), mix(seed, -1))
        generator = Generator(
            settings.latent,
            (columns,),
            width=settings.width,
            depth=settings.depth,
            dropout=settings.dropout,
            memory=memory,
            neighbours=min(settings.neighbours, memory - 1),
        )
        players: dict[str, nn.Module] = {"generator": generator}
        if settings.adversarial:
            players["discriminator"] = Discriminator((3 * columns,), width=settings.width)
    generator.remember(common[index], (~common[index].isnan()).float())
    return place, players


def _task(settings: Settings) -> Fill:
    return Fill(
        Normal(settings.latent),
        Contest(non_saturating, r1_r2, weight=0.1, every=4, fused=True),
        masks=Scattered(settings.low, settings.high),
        fillings=settings.fillings,
        adversarial=settings.adversarial,
        joint=settings.joint,
        marginal=settings.marginal,
        mean=settings.mean,
        beside=("row",),
    )


def _learner(players: dict[str, nn.Module], settings: Settings) -> Gradient:
    parts = list(players["generator"].parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parts if p.dim() > 1], "weight_decay": settings.decay},
        {"params": [p for p in parts if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizers: dict[str, torch.optim.Optimizer] = {
        "generator": eager(torch.optim.AdamW)(groups, settings.rate, betas=(0.9, 0.99), fused=True)
    }
    if "discriminator" in players:
        parameters = list(players["discriminator"].parameters())
        optimizers["discriminator"] = eager(torch.optim.Adam)(parameters, settings.rate, betas=(0.0, 0.99), fused=True)
    return Gradient(optimizers, cosine())


class _Rows:
    """A feed of the rows of a table (N, D) with NaN, each with its place in the memory, or -1."""

    def __init__(self, x: Tensor, place: Tensor, size: int, seed: int) -> None:
        self.x, self.observed, self.place, self.size = x.nan_to_num(0.0), (~x.isnan()).float(), place, size
        self.order = Batches(Dataset(self.x, Units((-1.0,), (1.0,), "float32"), kind="table"), None, size, seed)

    def at(self, position: int) -> dict[str, Tensor]:
        index = self.order.indices(position)
        return {"x": self.x[index], "observed": self.observed[index], "row": self.place[index]}


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
