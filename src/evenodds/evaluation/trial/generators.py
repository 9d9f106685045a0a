"""Generators for a trial: a conditional run on each training fold, or a run that is there and has seen no test item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from evenodds.apply.augment import sample_class
from evenodds.apply.filters import Draw
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.evaluation.trial.folds import Splitter
from evenodds.game.trainer import Listener, train
from evenodds.runs.assembly import Run
from evenodds.runs.card import SPLIT_SEED
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config, require_allowed
from evenodds.runs.config_files import recipe
from evenodds.runs.default_recipe import recipe_for
from evenodds.runs.effect import require_effect
from evenodds.runs.fitting import fitted_players
from evenodds.runs.planning import plan, settle
from evenodds.runs.session import Session
from evenodds.runs.values import IN_MEMORY, Part

__all__ = ["ConditionalRun", "FinishedRun"]

FEW = 2000
"""Training items up to which the discriminator sees images through views, lest it learn them by heart."""


@dataclass(frozen=True)
class ConditionalRun:
    """Trains a generator given the class on each training fold, all classes alike in each batch.

    Args:
        named: a recipe; None for that of the images' size.
        settings: by key, see `config.with_settings`.
        listeners: makes further ones for each run, such as a progress bar.
    """

    named: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    listeners: Callable[[], list[Listener]] = list

    @property
    def name(self) -> str:
        """For the record."""
        settings = "".join(f", {key}={value}" for key, value in self.settings.items())
        return f"conditional run, recipe {self.named or 'by size'}{settings}"

    def planned(self, fold: Dataset, seconds: float) -> float:
        """The budget in images that takes so many seconds, by a measured lap; 0 where nothing is trained."""
        config = self.config(fold, 0)
        if fold.kind == "table" and fitted_players(Run(config, fold)):
            return 0.0
        return plan(config, fold, seconds)[0].images

    def __call__(self, fold: Dataset, seed: int, budget: float) -> Draw:
        config = replace(self.config(fold, seed), images=max(1, int(budget)))
        run = Run(config, fold)
        if fitted_players(run):  # a generator that is fitted learns nothing from a game
            return partial(sample_class, run.session(Path(), 0))
        everyone = [*run.listeners.values(), *self.listeners()]
        train(run.game, run.feed, run.learner, run.engine, images=config.images, seed=seed, listeners=everyone)
        return partial(sample_class, run.session(Path(), config.images))

    def config(self, fold: Dataset, seed: int) -> Config:
        """The configuration for a fold."""
        chosen = recipe(self.named or recipe_for(fold))
        usual = {
            "task": "condition", "task.balance": "classes", "held_out": 0.0, "seed": seed, "size": None,
            "channels": None, "data": Part(IN_MEMORY),
        }  # fmt: skip
        if fold.kind == "image" and len(fold) <= FEW and not chosen.views and "views" not in self.settings:
            usual["views"] = ("translation", "cutout")
        config = with_settings(chosen, {**usual, **self.settings})
        require_allowed(config, f"recipe {chosen.recipe}")
        require_effect(config, self.settings)
        return settle(config, fold, None)[0]


@dataclass(frozen=True)
class FinishedRun:
    """A run that is there; its own training part is the training fold, its held-out part is tested on."""

    session: Session
    trains = False
    """It has seen all of every fold, so that no share can be chosen by a part that it has not."""

    @property
    def name(self) -> str:
        """For the record."""
        return f"run {self.session.folder.name} at {self.session.images} {self.session.card.noun}"

    def planned(self, fold: Dataset, seconds: float) -> float:
        """Nothing is left to train."""
        return 0.0

    def __call__(self, fold: Dataset, seed: int, budget: float) -> Draw:
        return partial(sample_class, self.session)

    def splitter(self, data: Dataset, seeds: int) -> Splitter:
        """Every seed trains on what the run was trained on, and tests on a part of its own of what it held out.

        Raises:
            BadInput: the data are not those of the run, or it held too little out, so that no test would be honest.
        """
        card = self.session.card
        self.session.conditions.require_by_class("it cannot help any", however=False)
        if card.fingerprint != data.fingerprint():
            raise BadInput(
                f"this run was trained on other data, so nothing shows that it has not seen the test {card.noun}"
            )
        trained, held_out = data.split(self.session.config.held_out, SPLIT_SEED)
        if list(card.held_out) != held_out.tolist():
            raise BadInput("data.json of this run names other held-out items than its settings do; train it again")
        if len(held_out) < 4 * seeds:
            raise BadInput(
                f"this run held {len(held_out)} {card.noun} out, and {seeds} seeds need {4 * seeds} at "
                "least; give fewer --seeds, or the data (--data) in place of the run, and generators are trained "
                f"without the test {card.noun}"
            )
        order = held_out[torch.randperm(len(held_out), generator=torch.Generator().manual_seed(17))]
        return lambda _, seed: (data.labelled(trained), data.labelled(order[seed::seeds].sort().values))
