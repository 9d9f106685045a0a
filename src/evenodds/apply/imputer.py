"""What fills the empty cells of tables by a network: trained here on the table itself, or of a run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from evenodds.data.dataset import Dataset
from evenodds.data.readers.gaps import FEW
from evenodds.data.scale import Numbers
from evenodds.data.tables.columns import Columns, Table, require_few_words
from evenodds.data.tables.rows import fitted
from evenodds.data.units import Units
from evenodds.errors import BadInput
from evenodds.game.trainer import Listener, train
from evenodds.parts.choosing import Block, choices_in
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.priors import Normal
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.config_files import recipe
from evenodds.runs.imputing import Imputer, Rows, TableFiller, as_table, no_table
from evenodds.runs.run_data import data_of
from evenodds.runs.session import Session
from evenodds.runs.values import IN_MEMORY, Part
from evenodds.tasks.contest import Contest
from evenodds.tasks.impute import Impute

__all__ = ["LATENT", "Settings", "fit", "imputer_of", "imputer_with", "table_filler", "task_at_work"]

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
    table = as_table(x)
    if len(table) < 2 or np.isnan(table).all(0).any():
        raise BadInput("imputing needs 2 rows and an observed value in each column; leave empty columns out")
    run = Run(_config(settings, len(table), seed), _dataset(table, settings, words, names))
    every = [*run.listeners.values(), *listeners]
    train(run.game, run.feed, run.learner, run.engine, images=run.config.images, seed=seed, listeners=every)
    assert isinstance(run.task, Impute)
    return imputer_with(run.dataset.units.common, run.task, run.sampler)


def imputer_of(session: Session) -> Imputer:
    """The filler of a run; BadInput of a run that fills no tables."""
    if not isinstance(session.task, Impute):
        raise BadInput("this run fills no tables; one of the recipe fill-table does")
    return imputer_with(session.card.units.common, session.task, session.players["generator"])


def table_filler(session: Session) -> TableFiller:
    """A run as what fills tables."""
    options = {} if session.config.data is None else session.config.data.options
    columns = session.card.units.columns
    return TableFiller(session.folder, columns, imputer_of(session), lambda: _own(session), options)


def _own(session: Session) -> Path:
    """The path of the table that a run learned; BadInput of an exported file, which does not say it."""
    if session.file is not None:
        raise no_table(session.file)
    return data_of(session.config, session.card, "name a table with the same columns: evenodds fill RUN TABLE.csv")


def imputer_with(columns: Columns, task: Impute, generator: nn.Module) -> Imputer:
    """What fills tables by a network.

    Args:
        task: answers requests by the network, see `evenodds.tasks.impute.Impute.answer`.
    """

    def ask(request: Rows) -> Rows:
        place = next(generator.parameters()).device
        tensors = {name: torch.from_numpy(one).to(place) for name, one in request.items()}
        answer = task.answer({"generator": generator}, tensors)
        return {name: one.cpu().numpy() for name, one in answer.items()}

    def prior(n: int, seed: int) -> Numbers:
        return task.prior(n, torch.Generator().manual_seed(seed)).numpy()

    return Imputer(columns, ask, prior, task.prior.size, network=generator)


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
