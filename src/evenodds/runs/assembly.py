"""The parts of a run, put together from its configuration and its data."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evenodds.data.dataset import Batches, Dataset
from evenodds.data.toys import DENSITIES
from evenodds.errors import BadInput
from evenodds.game.arithmetic import evenly
from evenodds.game.checkpoint import PlayersState, Stateful
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.listeners.average import Average
from evenodds.game.listeners.milestone import Milestone
from evenodds.game.rules import Game
from evenodds.game.trainer import Listener
from evenodds.runs.build import build_engine, build_learner, build_players, build_task
from evenodds.runs.choosing import densest
from evenodds.runs.config import Config
from evenodds.runs.coordination import Steering, steered
from evenodds.runs.evidence import Evidence
from evenodds.runs.held_out import HeldOut, held_out
from evenodds.runs.session import EARLIER, SPLIT_SEED, BesideCard, DataCard, Session
from evenodds.tasks._seats import Played
from evenodds.tasks.generate import Generate

__all__ = ["Run"]


@dataclass
class Run:
    """The parts of a run, assembled from its configuration and its data."""

    config: Config
    dataset: Dataset
    engine: Local = field(init=False)
    task: Played = field(init=False)
    game: Game = field(init=False)
    learner: Gradient = field(init=False)
    average: Average | None = field(init=False, default=None)
    steering: dict[str, Steering] = field(init=False)
    """What keeps the players in step, by name."""
    selection: tuple[str, ...] = field(init=False, default=())
    """What was left out of the training items: sentences for the report."""
    milestone: Milestone | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        config = self.config
        self.engine = build_engine(config)
        self.task = build_task(config, self.dataset)
        players = build_players(config, self.task, self.dataset.shape)
        self.engine.adopt(players)  # moved before the optimizers and averages see the parameters
        self.game = Game(self.task, players)
        self.learner = build_learner(config, players)
        if config.average_half_life > 0:
            half_life = config.average_half_life * config.images
            self.average = Average(players, ("generator",), half_life, config.average_ramp)
        for share in self.task.stages:
            self.milestone = Milestone(lambda: {EARLIER: self.at_work()["generator"]}, share)
        self.train_index, self.held_index = self.dataset.split(config.held_out, SPLIT_SEED)
        if len(self.train_index) < 1:
            raise BadInput(f"nothing is left to train on: {len(self.dataset)} items, held_out={config.held_out}")
        if config.densest < 1:
            self.train_index, sentence = densest(self.dataset, self.train_index, config.densest)
            self.selection = (sentence,)
        parts = (self.game, self.task, self.learner, self.engine, lambda: self.sampler)
        self.game, self.steering = steered(config, self.dataset, *parts, self.train_index, self.held_index)

    @property
    def sampler(self) -> nn.Module:
        """The generator whose samples are judged: its average, where there is one."""
        return self.average.copies["generator"] if self.average is not None else self.game.players["generator"]

    @property
    def feed(self) -> Batches:
        """Training batches by position."""
        return Batches(self.dataset, self.train_index, self.config.batch, self.config.seed)

    @property
    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        parts: dict[str, Stateful | None] = {
            "players": PlayersState(self.game.players),
            "learner": self.learner,
            "average": self.average,
            "milestone": self.milestone,
            **self.steering,
        }
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def keepers(self) -> list[Listener]:
        """The listeners that keep copies of players."""
        return [keeper for keeper in (self.average, self.milestone) if keeper is not None]

    @property
    def card(self) -> DataCard:
        """What the run's folder says of the data."""
        d = self.dataset
        more: dict[str, Any] = {
            "fingerprint": d.fingerprint(),
            "items": len(d),
            "trained_on": len(self.train_index),
            "held_out": self.held_index.tolist(),
            "class_counts": self._class_counts(),
            "report": [*d.report, *self.selection],
        }
        return replace(self.card_light, more={**more, **self._examples()})

    def _examples(self) -> dict[str, Any]:
        """What is known beside the class of at most 1,000 training items: samples are asked for like them."""
        if self.dataset.c is None:
            return {}
        some = evenly(len(self.train_index), 1000)
        return {"examples": self.dataset.c[self.train_index[some]].tolist()}

    def _class_counts(self) -> list[int]:
        """Training items of each class."""
        if self.dataset.y is None:
            return []
        known = self.dataset.y[self.train_index]
        return torch.bincount(known[known >= 0], minlength=len(self.dataset.classes)).tolist()

    def session(self, folder: Path, images: int) -> Session:
        """The game as it stands, for sampling: copies, so that training is not disturbed."""
        players = {name: deepcopy(player) for name, player in self.at_work().items()}
        card = replace(self.card_light, more={"class_counts": self._class_counts(), **self._examples()})
        return Session(folder, self.config, card, self.task, players, self.engine.device, images)

    @property
    def card_light(self) -> DataCard:
        """The same without the counts and the fingerprint, which take time."""
        d = self.dataset
        beside = BesideCard.of(d.beside, len(d.classes))
        return DataCard(d.kind, d.shape, d.units, d.classes, d.columns, d.conditions, beside)

    def measure(self) -> dict[str, float]:
        """Held-out figures of the game as it stands; none where too few items were held out."""
        return {} if self.judge is None else self.judge.measure(self.at_work())

    def at_work(self) -> dict[str, nn.Module]:
        """The players that a user would get: averages in place of those that have one, in evaluation mode."""
        averages = {} if self.average is None else self.average.copies
        others = {name: deepcopy(player) for name, player in self.game.players.items() if name not in averages}
        return {name: player.eval() for name, player in {**others, **averages}.items()}

    @cached_property
    def judge(self) -> HeldOut | None:
        """What measures the game by held-out items."""
        return held_out(self.task, self.dataset, self.held_index, self.config.seed, self.engine)

    @cached_property
    def evidence(self) -> Evidence | None:
        """What the watch looks at; None where no samples are drawn or too few items are held out."""
        config = self.config
        if not isinstance(self.task, Generate) or len(self.held_index) < 4:
            return None
        drawn = config.data.name if config.data is not None and not config.data.options else ""
        toy = drawn if self.dataset.kind == "toy" and drawn in DENSITIES else None
        place = self.engine.device
        return Evidence(self.dataset, self.task, self.train_index, self.held_index, config.seed, place, toy)

    def glance(self) -> dict[str, Any]:
        """Cheap signs of trouble in the game as it stands; nothing where there is no evidence."""
        if self.evidence is None:
            return {}
        return self.evidence.glance(deepcopy(self.sampler).eval(), self.game.players)
