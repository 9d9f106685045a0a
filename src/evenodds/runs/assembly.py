"""The parts of a run, put together from its configuration and its data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.data.batches import Batches
from evenodds.data.dataset import Dataset
from evenodds.data.labelled import WithLabels
from evenodds.data.readers.toys import DENSITIES
from evenodds.errors import BadInput
from evenodds.game.arithmetic import evenly
from evenodds.game.checkpoint import PlayersState, Stateful
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.listeners.average import Average
from evenodds.game.listeners.context import Order
from evenodds.game.members import parameters_of
from evenodds.game.modes import at_rest
from evenodds.game.rules import Game
from evenodds.game.slices import own_rows
from evenodds.game.trainer import Feed, Listener, Training
from evenodds.game.watch.history import Cells
from evenodds.runs.beforehand import seen_beforehand
from evenodds.runs.build import build_engine, build_learner, build_players, build_task
from evenodds.runs.card import SPLIT_SEED, BesideCard, DataCard
from evenodds.runs.choices import add_choice
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config
from evenodds.runs.evidence import Evidence
from evenodds.runs.extras import Extra, build_extras
from evenodds.runs.find import find, make, names
from evenodds.runs.held_out import LEAST_TIMES, HeldOut, held_out, looks
from evenodds.runs.memory import require_round
from evenodds.runs.remembering import remember
from evenodds.runs.run_data import block_sums, data_place
from evenodds.runs.session import Session
from evenodds.runs.snapshot import write_snapshot
from evenodds.tasks._playable import Playable

__all__ = ["Record", "Run"]

FEW_LABELS = 0.5
"""The share of items with a label up to which each batch gets labelled ones beside it."""
LABELLED = 4
"""Items of a batch for each labelled one beside it."""


@dataclass(frozen=True)
class Record:
    """Where a run is written.

    Args:
        folder: of the run.
        config: as in its config.yaml: without remedies.
        remedies: how many are in force.
        say: gets plain sentences.
        writes: whether this process writes; another one does where not.
    """

    folder: Path
    config: Config
    remedies: int = 0
    say: Callable[[str], None] = lambda line: None
    writes: bool = True


@dataclass
class Run:
    """The parts of a run, assembled from its configuration and its data.

    Args:
        config: with remedies, if there are any.
        dataset: all items.
        record: None of a run that leaves no files.
    """

    config: Config
    dataset: Dataset
    record: Record | None = None
    engine: Local = field(init=False)
    task: Playable = field(init=False)
    game: Game = field(init=False)
    learner: Gradient = field(init=False)
    listeners: dict[str, Listener] = field(init=False, default_factory=dict)
    """All that take part, by name, in the order in which they are called."""
    extras: list[Extra] = field(init=False)
    selection: tuple[str, ...] = field(init=False, default=())
    """What was left out of the training items: sentences for the report."""

    def __post_init__(self) -> None:
        config = self.config
        self.engine = build_engine(config)
        self.task = build_task(config, self.dataset)
        self.task.require_parts()
        self._require_memory()
        players = build_players(config, self.task, self.dataset.shape, self.dataset.row_blocks)
        self.engine.adopt(players)  # moved before the optimizers and averages see the parameters
        self.game = Game(self.task, players)
        self.learner = build_learner(config, players, self.task.rates)
        self.extras = build_extras(config)
        self._split()
        remember(players.values(), self.dataset, self.train_index, config.seed)
        self._listen()

    def _require_memory(self) -> None:
        """BadInput where the memory does not hold a round, before any of it is asked for."""
        one = self.dataset.batch(torch.zeros(1, dtype=torch.int64))
        build = partial(build_players, self.config, self.task, self.dataset.shape, self.dataset.row_blocks)
        pieces = self.engine.size * self.engine.accumulate
        require_round(self.config, self.task, one, build, self.engine.device, pieces, self.dataset.once)

    def _split(self) -> None:
        """Training and held-out items."""
        config = self.config
        self.train_index, self.held_out_index = self.dataset.split(config.held_out, SPLIT_SEED)
        if len(self.train_index) < 1:
            raise BadInput(f"nothing is left to train on: {len(self.dataset)} items, held_out={config.held_out}")
        for extra in self.extras:
            self.train_index, sentences = extra.select(self.dataset, self.train_index)
            self.selection += sentences

    def _listen(self) -> None:
        """Asks every listener whether it takes part, in the order in which they are called."""
        kinds = sorted(names("listeners"), key=lambda name: find("listeners", name).order)
        early = [name for name in kinds if find("listeners", name).order <= Order.CONTROL]
        self._ask(early)
        for extra in self.extras:
            self.listeners |= extra.listeners(self)
        prior_listeners = getattr(self.task.prior, "listeners", dict)
        self.listeners |= prior_listeners()
        self._ask(kinds[len(early) :])

    def _ask(self, kinds: Sequence[str]) -> None:
        for name in kinds:
            listener = find("listeners", name).for_run(self)
            if listener is not None:
                self.listeners[name] = listener

    @property
    def average(self) -> Average | None:
        """The moving averages, the generator's among them."""
        average = self.listeners.get("average")
        return average if isinstance(average, Average) else None

    @property
    def folder(self) -> Path | None:
        """Where this process writes the run."""
        return self.record.folder if self.record is not None and self.record.writes else None

    @property
    def recorded(self) -> bool:
        """Whether the run is written down, by this process or by the one that it follows."""
        return self.record is not None

    @property
    def header(self) -> dict[str, Any]:
        """What a checkpoint says beside its parts: the configuration without remedies, the data, the score."""
        config, remedies = (self.record.config, self.record.remedies) if self.record is not None else (self.config, 0)
        score_is = self.scorer and self.scorer.score_is
        fingerprint = self.dataset.fingerprint()
        return {"config": config.to_mapping(), "data": fingerprint, "score_is": score_is, "remedies": remedies}

    @property
    def stages(self) -> tuple[float, ...]:
        """The shares of the run, beside 0, at which the moves of its rounds change."""
        return self.task.stages

    @property
    def averaged(self) -> tuple[str, ...]:
        """The players of which a moving average is kept."""
        return self.task.averaged

    @property
    def relative(self) -> bool:
        """Whether the loss compares logits of real and fake items."""
        return self.task.contest.relative

    @property
    def looks(self) -> int:
        """How often held-out figures are measured, at equal intervals."""
        return looks(self.config.evaluate_share, self.config.images, len(self.held_out_index))

    @property
    def scored(self) -> bool:
        """Whether enough items are held out for a score."""
        return self.scorer is not None

    @property
    def cells(self) -> Cells | None:
        """What the shares of a glance mean; None where there is no evidence."""
        evidence = self.evidence
        if evidence is None:
            return None
        sizes = len(evidence.few["x"]), len(evidence.trained["x"])
        fixed = "generator" in self.task.roles and not parameters_of(self.game.players["generator"])
        truth, noun = evidence.ground_truth, self.dataset.noun
        return Cells(evidence.names, evidence.due, *sizes, ground_truth=truth, fixed=fixed, noun=noun)

    def say(self, line: str) -> None:
        """Tells the user a sentence."""
        if self.record is not None:
            self.record.say(line)

    def note(self, setting: str, value: Any, reason: str, images: int) -> None:
        """Writes down what was settled after so many images, in choices.json."""
        if self.folder is not None:
            add_choice(self.folder, Choice(setting, value, reason, {"images": images}), self.say)

    def make(self, what: str, maker: Callable[..., Any], options: Mapping[str, Any], *fixed: Any) -> Any:
        """maker(*fixed, **options); BadInput that names the nearest option where one is unknown."""
        return make(what, maker, options, *fixed)

    def snapshot(self, training: Training) -> None:
        """Writes a picture of the game as it stands."""
        self.picture(training.progress.images)

    def picture(self, images: int) -> None:
        """Writes a picture of the game as it stands after so many images; a picture that fails never ends a run."""
        if self.folder is None:
            return
        try:
            players = self.at_work()
            with at_rest(*players.values()):
                session = self._session(self.folder, images, players)
                write_snapshot(session, self.dataset, self.held_out_index)
        except Exception as error:
            at = f"{images:,} {self.dataset.noun}"
            self.say(f"no picture at {at} ({type(error).__name__}: {error}); the run goes on")

    @property
    def sampler(self) -> nn.Module:
        """The generator whose samples are judged: its average, where there is one."""
        return self.average.copies["generator"] if self.average is not None else self.game.players["generator"]

    @property
    def feed(self) -> Feed:
        """Training batches by position."""
        config, engine, rows = self.config, self.engine, None
        if engine.size > 1 and self.task.deals_apart:
            rows = own_rows(config.batch, engine.rank, engine.size, engine.accumulate)
        batches = Batches(self.seen, self.train_index, config.batch, config.seed, engine.device, rows=rows)
        labelled = self._few_labelled
        if labelled is None:
            return batches
        size = -(-config.batch // LABELLED)
        return WithLabels(batches, self.seen, labelled, size, config.seed, engine.device)

    @property
    def _few_labelled(self) -> Tensor | None:
        """The training items that have a label, where a task learns labels and few have one; else None."""
        if not self.task.learns_labels or self.dataset.y is None:
            return None
        labelled = self.dataset.labelled(self.train_index)
        return labelled if len(labelled) <= FEW_LABELS * len(self.train_index) else None

    @cached_property
    def seen(self) -> Dataset:
        """The data as the players learn from them and are judged by."""
        return self.see(self.say)

    def see(self, say: Callable[[str], None]) -> Dataset:
        """Looks at the data beforehand, where that is possible; it is said, once for all runs of the same data."""
        labelled, held_out = self._few_labelled, self.held_out_index
        learned = self.train_index if labelled is None or self.task.looks_at == "all" else labelled
        judged = self.dataset.labelled(held_out) if self.task.learns_labels else held_out
        index, player = torch.cat([learned, judged]), self.game.players.get("discriminator")
        return seen_beforehand(self.task, player, self.dataset, index, self.config.views, self.engine, say)

    @property
    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        stateful = {name: one for name, one in self.listeners.items() if isinstance(one, Stateful)}
        return {"players": PlayersState(self.game.players), "learner": self.learner, **stateful}

    @property
    def card(self) -> DataCard:
        """What the run's folder says of the data."""
        d = self.dataset
        return replace(
            self.card_light,
            fingerprint=d.fingerprint(),
            blocks=tuple(block_sums(d)),
            place=data_place(self.config),
            items=len(d),
            trained_on=len(self.train_index),
            held_out=tuple(self.held_out_index.tolist()),
            class_counts=self._class_counts(),
            report=(*d.report, *self.selection),
            examples=self._examples(),
        )

    def _examples(self) -> tuple[tuple[float, ...], ...] | None:
        """What is known beside the class of at most 1,000 training items: samples are asked for like them."""
        if self.dataset.c is None:
            return None
        index = self.train_index[evenly(len(self.train_index), 1000)]
        return tuple(map(tuple, self.dataset.c[index].tolist()))

    def _class_counts(self) -> tuple[int, ...]:
        """Training items of each class."""
        if self.dataset.y is None:
            return ()
        labels = self.dataset.y[self.train_index]
        return tuple(torch.bincount(labels[labels >= 0], minlength=len(self.dataset.classes)).tolist())

    def session(self, folder: Path, images: int) -> Session:
        """The game as it stands, for sampling: copies, so that training is not disturbed."""
        return self._session(folder, images, {name: deepcopy(one).eval() for name, one in self.at_work().items()})

    def _session(self, folder: Path, images: int, players: Mapping[str, nn.Module]) -> Session:
        card = replace(self.card_light, class_counts=self._class_counts(), examples=self._examples())
        return Session(folder, self.config, card, self.task, players, self.engine.device, images)

    @property
    def card_light(self) -> DataCard:
        """The same without the counts and the fingerprint, which take time."""
        d = self.dataset
        beside = BesideCard.of(d.beside, len(d.classes))
        return DataCard(d.kind, d.shape, d.units, d.classes, d.columns, d.header, d.delimiter, d.conditions, beside)

    def measure(self) -> dict[str, float]:
        """Held-out figures of the game as it stands; none where too few items were held out."""
        if self.scorer is None:
            return {}
        players = self.at_work()
        with at_rest(*players.values()):
            return self.scorer.measure(players)

    def at_work(self) -> dict[str, nn.Module]:
        """The players that a user would get: averages where there are any. They go on playing: no copies."""
        return dict(self.game.players) | ({} if self.average is None else self.average.copies)

    @cached_property
    def scorer(self) -> HeldOut | None:
        """What measures the game by held-out items."""
        learned = self.train_index
        if self.config.images < LEAST_TIMES * len(learned):  # nothing is learned by heart so soon
            learned = learned[:0]
        return held_out(self.task, self.seen, self.held_out_index, learned, self.config.seed, self.engine)

    @cached_property
    def evidence(self) -> Evidence | None:
        """What the watch looks at; None where no samples are drawn or too few items are held out."""
        config = self.config
        if not self.task.draws or len(self.held_out_index) < 4:
            return None
        drawn = config.data.name if config.data is not None and not config.data.options else ""
        toy = drawn if self.dataset.kind == "toy" and drawn in DENSITIES else None
        place = self.engine.device
        return Evidence(self.dataset, self.task, self.train_index, self.held_out_index, config.seed, place, toy)

    def glance(self, closely: bool = True) -> dict[str, Any]:
        """Cheap signs of trouble in the game as it stands; nothing where there is no evidence.

        Args:
            closely: with all figures; see Evidence.glance.
        """
        if self.evidence is None:
            return {}
        players = dict(self.game.players)
        with at_rest(self.sampler, *players.values()):
            return self.evidence.glance(self.sampler, players, closely)
