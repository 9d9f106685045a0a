"""A run: from data and a recipe to a folder with everything in it, and on from there."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import evenodds
from evenodds import checkpoint, pictures
from evenodds.answering import sides
from evenodds.build import IN_MEMORY, build_engine, build_learner, build_players, build_task, open_data
from evenodds.checkpoint import PlayersState, Stateful
from evenodds.choosing import GRID, SHARE, Choice, chosen_penalty, chosen_views, densest, is_open
from evenodds.config import Config, Part, difference, from_mapping, read, with_settings
from evenodds.config import recipe as read_recipe
from evenodds.coordination import Steering, steered
from evenodds.data.dataset import Batches, Dataset
from evenodds.data.sources import load as load_data
from evenodds.engine import Local
from evenodds.errors import BadInput
from evenodds.files import write_json, write_text
from evenodds.filling import fillings, sheet
from evenodds.find import names
from evenodds.game import Game, Progress
from evenodds.held_out import HeldOut, held_out
from evenodds.learners import Gradient
from evenodds.listeners.average import Average
from evenodds.listeners.evaluate import Evaluate
from evenodds.listeners.interrupt import Interrupt
from evenodds.listeners.log import Log
from evenodds.listeners.milestone import Milestone
from evenodds.listeners.save import Save
from evenodds.session import EARLIER, SPLIT_SEED, BesideCard, DataCard, Session, load
from evenodds.tasks._paired import FromSource
from evenodds.tasks._seats import Played
from evenodds.tasks.fill import Fill
from evenodds.trainer import Listener, Stage, train

__all__ = ["Run", "fit", "plan", "resume", "start"]


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
        some = torch.linspace(0, len(self.train_index) - 1, min(1000, len(self.train_index))).long()
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


def fit(data: Any, recipe: str | None = None, *, out: str | Path | None = None, **overrides: Any) -> Session:
    """Trains a generator on data.

    Args:
        data: an array or tensor ((N, H, W), (N, C, H, W) or (N, D)), a path, or the name of a source.
        recipe: see `evenodds list recipes`, or a YAML file; chosen by the data where None.
        out: the run folder; `runs/<recipe>-<n>` where None.
        overrides: settings by key; a dot in a key is written as two underscores, e.g. generator__width=32.
            `budget="60s"` plans the length by the clock.

    Returns:
        The trained session.
    """
    settings = {key.replace("__", "."): value for key, value in overrides.items()}
    budget = settings.pop("budget", None)
    seconds = as_seconds(budget)
    if isinstance(data, str | Path):
        config = read_recipe(recipe or recipe_for(str(data)))
        return start(with_settings(config, {"data": str(data), **settings}), out=out, budget=seconds)
    dataset = load_data(data)
    config = read_recipe(recipe or ("table" if dataset.kind == "table" else "gray-28"))
    config = with_settings(config, {**settings, "data": Part(IN_MEMORY)})
    return start(config, out=out, budget=seconds, dataset=dataset)


def start(
    config: Config,
    *,
    out: str | Path | None = None,
    budget: float | None = None,
    dataset: Dataset | None = None,
    listeners: Sequence[Listener] = (),
    say: Callable[[str], None] = lambda line: None,
    reading: Callable[[int, int], None] | None = None,
) -> Session:
    """Starts a run and plays it to its end.

    Args:
        out: the run folder, which must not hold a run; `runs/<recipe>-<n>` where None.
        budget: seconds from now to the end of the run; its length in images is planned from a measured rate.
        dataset: the data, where it is in memory; otherwise it is opened from config.data.
        listeners: further ones, such as a progress bar.
        say: gets plain sentences on what is found and done.
        reading: told (files done, files in all) while data are read.
    """
    clock = time.perf_counter()
    folder = Path(out) if out is not None else next_folder(Path("runs"), config.recipe)
    if (folder / "config.yaml").exists():
        raise BadInput(f"{folder} already holds a run; resume it, or give another folder")
    config = replace(config, data=placed(config.data))
    dataset = dataset if dataset is not None else open_data(config, reading)
    for line in dataset.report:
        say(line)
    choices: list[Choice] = []
    if is_open(config):
        left = budget - (time.perf_counter() - clock) if budget is not None else None
        config, choices = settle(config, dataset, left, say)
    if budget is not None:
        config = plan(config, dataset, budget - (time.perf_counter() - clock), say)
    run = Run(config, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.yaml", config.to_yaml())
    write_json(folder / "data.json", run.card.to_json())
    write_json(folder / "environment.json", environment(run.engine))
    if choices:
        write_json(folder / "choices.json", [choice.to_json() for choice in choices])
    return play(run, folder, Progress(total=config.images), listeners)


def resume(
    folder: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    data: Any = None,
    listeners: Sequence[Listener] = (),
    say: Callable[[str], None] = lambda line: None,
    reading: Callable[[int, int], None] | None = None,
) -> Session:
    """Goes on with a run where its newest whole checkpoint is: on the CPU, to the very bits of an uninterrupted run.

    Args:
        settings: changes to the configuration; only lengths, the device and what is kept may change.
        data: the same array or tensor again, where the run was fitted to one.

    Raises:
        BadInput: a field of the configuration, or the data, does not fit the checkpoint; the message names it.
    """
    folder = Path(folder)
    if not (folder / "config.yaml").is_file():
        raise BadInput(f"no run at {folder}: it has no config.yaml")
    config = with_settings(read(folder / "config.yaml"), settings or {})
    states, header, complaints = checkpoint.newest(folder / "checkpoints")
    for line in complaints:
        say(line)
    misfits = difference(config, from_mapping(header["config"], "the checkpoint"))
    if misfits:
        raise BadInput(f"the configuration does not fit the checkpoint: {'; '.join(misfits)}")
    run = Run(config, load_data(data) if data is not None else open_data(config, reading))
    if run.dataset.fingerprint() != header["data"]:
        raise BadInput("data: this is not what the run was trained on (its fingerprint differs)")
    checkpoint.restore(run.parts, states)
    done = Progress(**{**header["progress"], "total": config.images})
    say(f"resuming at {done.images:,} of {config.images:,} images")
    write_text(folder / "config.yaml", config.to_yaml())
    return play(run, folder, done, listeners)


def play(run: Run, folder: Path, progress: Progress, listeners: Sequence[Listener] = ()) -> Session:
    """Plays a run from where it is to its end, and leaves everything in its folder."""
    config, log = run.config, Log(folder / "metrics.jsonl", max(config_interval(run.config, 200), 1))
    evaluate = Evaluate(run.measure, config_interval(config, round(1 / config.evaluate_share)), log)
    save = Save(
        folder / "checkpoints",
        run.parts,
        config_interval(config, round(1 / config.save_share)),
        {
            "config": config.to_mapping(),
            "data": run.dataset.fingerprint(),
            "score_is": run.judge and run.judge.score_is,
        },
        evaluate.score if run.judge is not None else None,
        config.keep,
        lambda stage: on_saved(run, folder, stage),
    )
    everyone = [*run.keepers, Interrupt(), *run.steering.values(), log, evaluate, save, *listeners]
    train(
        run.game,
        run.feed,
        run.learner,
        run.engine,
        images=config.images,
        seed=config.seed,
        progress=progress,
        listeners=everyone,
    )
    return load(folder, device=str(run.engine.device))


def config_interval(config: Config, parts: int) -> int:
    """The images in one of so many parts of the run."""
    return max(config.batch, config.images // parts)


def on_saved(run: Run, folder: Path, stage: Stage) -> None:
    """Leaves a picture of always the same z beside each checkpoint."""
    session = run.session(folder, stage.progress.images)
    path = folder / "samples" / f"{stage.progress.images:012d}.png"
    if isinstance(run.task, Fill) and len(run.held_index):
        rng, x = torch.Generator().manual_seed(0), run.dataset.batch(run.held_index[:12])["x"]
        mask = run.task.masks(x.shape, rng)
        pictures.write(path, pictures.enlarge(sheet(session, x, mask, fillings(session, x, mask, 3)), 384))
        return
    if isinstance(run.task, FromSource):
        if len(run.held_index):
            some = run.held_index[torch.linspace(0, len(run.held_index) - 1, min(6, len(run.held_index))).long()]
            pictures.write(path, sides(session, run.dataset.batch(some)))
        return
    many = 4096 if run.dataset.kind != "image" else 64
    picture = session.picture(session.sample(many, seed=run.config.seed))
    pictures.write(path, picture)


def recipe_for(data: str | None) -> str:
    """The recipe to take where only the data were named."""
    if data is None:
        return "digits"
    if data in names("recipes"):  # a toy, or the digits
        return data
    kind = Path(data).suffix.lower()
    return {".csv": "table", ".tsv": "table", ".npz": "gray-28", ".npy": "gray-28"}.get(kind, "photos-128")


def placed(data: Part | None) -> Part | None:
    """A path made absolute, so that a run can be resumed from anywhere."""
    if data is None or data.name == IN_MEMORY or not Path(data.name).exists() or data.name in names("sources"):
        return data
    return Part(str(Path(data.name).resolve()), data.options)


def next_folder(base: Path, name: str) -> Path:
    """The first of base/name-1, base/name-2, ... that is free."""
    taken = {int(p.name.rpartition("-")[2]) for p in base.glob(f"{name}-*") if p.name.rpartition("-")[2].isdigit()}
    return base / f"{name}-{max(taken, default=0) + 1}"


def plan(config: Config, dataset: Dataset, seconds: float, say: Callable[[str], None] = lambda line: None) -> Config:
    """The configuration with as many images as fit into `seconds`, measured by playing a throw-away game."""
    begun = time.perf_counter()
    run = Run(replace(config, images=10**9), dataset)
    rate = _rate(run, max(1.0, min(6.0, 0.05 * seconds)))
    pause = time.perf_counter()
    run.measure()
    looks = (max(1 / config.save_share, 1 / config.evaluate_share) + 1) * (time.perf_counter() - pause + 0.2)
    left = seconds - (time.perf_counter() - begun) - looks
    # A machine is seldom as fast for minutes as it is for seconds: 5 % are kept back, as runs of 1 to 5 minutes showed.
    images = int(0.95 * rate * left) // config.batch * config.batch
    if images < 10 * config.batch:
        raise BadInput(
            f"a budget of {seconds:.0f} s leaves {max(0, images)} images at {rate:.0f} images/s, fewer than ten "
            "batches; give more time, a smaller network or a smaller batch"
        )
    say(f"measured {rate:,.0f} images/s: {images:,} images fit the budget; --images {images} repeats this run")
    return replace(config, images=images)


def settle(
    config: Config, dataset: Dataset, seconds: float | None, say: Callable[[str], None] = lambda line: None
) -> tuple[Config, list[Choice]]:
    """The configuration with the settings that were left to the data, and the choices that were made.

    Args:
        seconds: of the budget, if there is one; the games that choose a penalty are planned by it.
    """
    choices = []
    if "auto" in config.views:
        choices.append(chosen_views(dataset, dataset.split(config.held_out, SPLIT_SEED)[0]))
        say(f"views={','.join(choices[-1].value)}: {choices[-1].reason}")
        config = replace(config, views=tuple(choices[-1].value))
    if config.penalty_weight is None:
        length = config
        if seconds is not None:  # the games cost a quarter of the run that follows them
            length = plan(replace(config, penalty_weight=GRID[2]), dataset, seconds / (1 + SHARE))
        choices.append(chosen_penalty(replace(config, images=length.images), lambda c: _Trial(Run(c, dataset)), say))
        config = replace(config, penalty_weight=choices[-1].value)
    return config, choices


@dataclass
class _Trial:
    """A game that is played a while, and judged."""

    run: Run
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.progress = Progress(total=self.run.config.images)
        if len(self.run.held_index) < 4:
            raise BadInput("penalty_weight=auto judges by held-out items, of which there are none; set held_out=0.1")

    def advance(self, images: int) -> float:
        run = self.run
        train(
            run.game,
            run.feed,
            run.learner,
            run.engine,
            images=images,
            seed=run.config.seed,
            progress=self.progress,
            listeners=[*run.keepers, *run.steering.values()],
        )
        return run.measure()["score"]


def _rate(run: Run, seconds: float) -> float:
    """Images per second over a whole run, from a lap in each of its stages."""
    whole_penalties = run.config.penalty_every * max(1, -(-8 // run.config.penalty_every))
    starts = (0.0, *run.task.stages)
    spent = 0.0
    for start, end in zip(starts, (*run.task.stages, 1.0), strict=True):
        lap = _Lap(warm_up=2, rounds=whole_penalties, seconds=seconds / len(starts))
        there = Progress(total=10**9, images=round(start * 10**9))
        listeners = [*run.keepers, *run.steering.values(), lap]
        train(
            run.game, run.feed, run.learner, run.engine,
            images=10**9, seed=run.config.seed, progress=there, listeners=listeners,
        )  # fmt: skip
        spent += (end - start) / lap.rate
    return 1 / spent


@dataclass
class _Lap:
    """Measures images per second over whole cycles of rounds, then ends the game."""

    warm_up: int
    rounds: int
    seconds: float
    rate: float = 0.0
    _from: tuple[int, float] = (0, 0.0)

    def begin(self, stage: Stage) -> None:
        """Waits for the warm-up."""

    def hear(self, stage: Stage) -> None:
        now, done = time.perf_counter(), stage.progress.round - self.warm_up
        if done <= 0:
            self._from = (stage.progress.images, now)
        elif done % self.rounds == 0:
            stage.engine.read(stage.terms)
            self.rate = (stage.progress.images - self._from[0]) / (time.perf_counter() - self._from[1])
            stage.stop = now - self._from[1] >= self.seconds

    def end(self, stage: Stage) -> None:
        """Nothing to close."""


def environment(engine: Local) -> dict[str, Any]:
    """What the bits of a run depend on, beside its configuration."""
    return {
        "evenodds": evenodds.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "device": str(engine.device),
        "threads": torch.get_num_threads(),
    }


def as_seconds(text: str | float | None) -> float | None:
    """A length of time such as 90, "90s", "10m", "2h"."""
    if text is None or isinstance(text, int | float):
        return None if text is None else float(text)
    factors = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in factors else (text, "s")
    try:
        value = float(number) * factors[unit]
    except ValueError:
        value = 0.0
    if not value > 0:
        raise BadInput(f"a budget is a length of time such as 60s, 10m or 2h; got '{text}'")
    return value
