"""A run: from data and a recipe to a folder with everything in it, and on from there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evenodds import checkpoint, pictures, remedy
from evenodds.answering import sides
from evenodds.build import IN_MEMORY, build_engine, build_learner, build_players, build_task, open_data
from evenodds.checkpoint import PlayersState, Stateful
from evenodds.choosing import GRID, SHARE, Choice, chosen_penalty, chosen_views, densest, is_open
from evenodds.config import Config, Part, difference, from_mapping, read, with_settings
from evenodds.config import recipe as read_recipe
from evenodds.coordination import Steering, steered
from evenodds.data.checks import check
from evenodds.data.dataset import Batches, Dataset
from evenodds.data.sources import load as load_data
from evenodds.data.toys import DENSITIES
from evenodds.engine import Local
from evenodds.errors import BadInput, Diverged
from evenodds.evidence import Evidence
from evenodds.files import write_json, write_text
from evenodds.filling import fillings, sheet
from evenodds.folders import as_seconds, environment, next_folder, placed, recipe_for
from evenodds.game import Game, Progress
from evenodds.held_out import HeldOut, held_out
from evenodds.learners import Gradient
from evenodds.listeners.average import Average
from evenodds.listeners.deadline import Deadline
from evenodds.listeners.evaluate import Evaluate
from evenodds.listeners.interrupt import Interrupt
from evenodds.listeners.lap import Lap
from evenodds.listeners.log import Log
from evenodds.listeners.milestone import Milestone
from evenodds.listeners.save import Save, best_of
from evenodds.listeners.watch import Watch
from evenodds.remedy import Remedy
from evenodds.session import EARLIER, SPLIT_SEED, BesideCard, DataCard, Session, load
from evenodds.tasks._paired import FromSource
from evenodds.tasks._seats import Played
from evenodds.tasks.fill import Fill
from evenodds.tasks.generate import Generate
from evenodds.trainer import Listener, Stage, train
from evenodds.watching import Cells, Verdict

__all__ = ["Run", "as_seconds", "fit", "plan", "recipe_for", "resume", "start"]


GLANCES = 50
"""Glances that the watch takes over a run."""


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
    train_index, held_index = dataset.split(config.held_out, SPLIT_SEED)
    by_class = config.task.name == "condition" and dataset.c is None
    troubles = check(dataset, train_index, held_index, by_class=by_class, augmented=bool(config.views))
    for line in troubles:
        say(f"data: {line}")
    dataset = replace(dataset, report=(*dataset.report, *troubles))
    choices: list[Choice] = []
    if is_open(config):
        left = budget - (time.perf_counter() - clock) if budget is not None else None
        config, choices = settle(config, dataset, left, say)
    deadline = None
    if budget is not None:
        config, look = plan(config, dataset, budget - (time.perf_counter() - clock), say)
        deadline = Deadline(clock + budget, 2 * look, say)
    run = Run(config, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.yaml", config.to_yaml())
    write_json(folder / "data.json", run.card.to_json())
    write_json(folder / "environment.json", environment(run.engine))
    if choices:
        write_json(folder / "choices.json", [choice.to_json() for choice in choices])
    session = play(config, dataset, folder, listeners, say, deadline)
    if deadline is not None and session.images < config.images and deadline.total <= session.images:
        # By the clock it is complete: shorter than planned, with its decays played to their end.
        session.config = replace(config, images=session.images)
        write_text(folder / "config.yaml", session.config.to_yaml())
    return session


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
    remedies = remedy.read(folder)
    remedy.discard(folder, remedies)
    dataset = load_data(data) if data is not None else open_data(config, reading)
    if checkpoint.listing(folder / "checkpoints") or not remedies:  # a remedy may have gone back to the very beginning
        _, header, complaints = checkpoint.newest(folder / "checkpoints")
        for line in complaints:
            say(line)
        require_fit(config, dataset, header)
        say(f"resuming at {header['progress']['images']:,} of {config.images:,} images")
    for one in remedies:
        say(f"with the remedy: {one}")
    write_text(folder / "config.yaml", config.to_yaml())
    return play(config, dataset, folder, listeners, say)


def require_fit(config: Config, dataset: Dataset, header: Mapping[str, Any]) -> None:
    """BadInput where a checkpoint is of another configuration or of other data."""
    misfits = difference(config, from_mapping(header["config"], "the checkpoint"))
    if misfits:
        raise BadInput(f"the configuration does not fit the checkpoint: {'; '.join(misfits)}")
    if dataset.fingerprint() != header["data"]:
        raise BadInput("data: this is not what the run was trained on (its fingerprint differs)")


def play(
    config: Config,
    dataset: Dataset,
    folder: Path,
    listeners: Sequence[Listener] = (),
    say: Callable[[str], None] = lambda line: None,
    deadline: Deadline | None = None,
) -> Session:
    """Plays a run from its newest checkpoint, or anew, to its end, and leaves everything in its folder.

    Where the watch raises an alarm and may act, the run goes back to the last checkpoint before the trouble, changes
    one thing and plays on; after a few such tries it ends with what was good.
    """
    while True:
        remedies = remedy.read(folder)
        remedy.discard(folder, remedies)
        run = Run(remedy.applied(config, remedies), dataset)
        progress = restored(run, config, folder)
        alarm = attempt(run, config, folder, progress, remedies, [*([deadline] if deadline else []), *listeners], say)
        if alarm is None:
            return load(folder, device=str(run.engine.device))
        if len(remedies) == remedy.MOST:
            say(remedy.give_up(folder, alarm, remedies))
            return load(folder, "best" if best_of(folder / "checkpoints") else "last")
        back = remedy.back_to(folder, alarm.since, remedies)
        remedies.append(remedy.prescribe(run.config, alarm, progress.images, back))
        say(str(remedies[-1]))
        remedy.record(folder, remedies)


def restored(run: Run, config: Config, folder: Path) -> Progress:
    """The progress of the newest whole checkpoint, which the run's parts are set to, or a fresh one."""
    if not checkpoint.listing(folder / "checkpoints"):
        return Progress(total=config.images)
    states, header, _ = checkpoint.newest(folder / "checkpoints")
    checkpoint.restore(run.parts, states)
    return Progress(**{**header["progress"], "total": config.images})


def attempt(
    run: Run,
    config: Config,
    folder: Path,
    progress: Progress,
    remedies: Sequence[Remedy],
    listeners: Sequence[Listener],
    say: Callable[[str], None],
) -> Verdict | None:
    """Plays until the end or an alarm, which is returned. Diverged is raised where nobody may act on it."""
    log = Log(folder / "metrics.jsonl", max(config_interval(config, 200), 1))
    evaluate = Evaluate(run.measure, config_interval(config, round(1 / config.evaluate_share)), log)
    watch = watching(run, run.evidence, log, say) if config.watch != "off" and run.evidence is not None else None
    score_is = run.judge and run.judge.score_is
    header = {"config": config.to_mapping(), "data": run.dataset.fingerprint(), "score_is": score_is}
    save = Save(
        folder / "checkpoints",
        run.parts,
        config_interval(config, round(1 / config.save_share)),
        {**header, "remedies": len(remedies)},
        evaluate.score if run.judge is not None else None,
        config.keep,
        lambda: watch is None or watch.alarm is None,
        lambda stage: on_saved(run, folder, stage),
    )
    watches: list[Listener] = [watch] if watch is not None else []
    for listener in listeners:
        if watch is not None and hasattr(listener, "news"):
            listener.news = lambda: watch.verdict.word
    everyone = [*run.keepers, Interrupt(), *run.steering.values(), log, evaluate, *watches, save, *listeners]
    try:
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
    except Diverged as error:
        if config.watch != "act":
            raise
        return Verdict("diverged", str(error), True, progress.images)
    return watch.alarm if watch is not None else None


def watching(run: Run, evidence: Evidence, log: Log, say: Callable[[str], None]) -> Watch:
    """The watch over a run."""
    config = run.config
    cells = Cells(evidence.names, evidence.due, len(evidence.few["x"]), len(evidence.trained["x"]))

    def settled(stage: Stage) -> bool:
        now, end = (run.learner.rate(p) for p in (stage.progress, Progress(1, 1)))
        return now <= 0.5 or end >= now

    every = glance_interval(config, config.images)
    return Watch(run.glance, every, cells, log, config.watch == "act", config.patience, settled, say)


def glance_interval(config: Config, images: int) -> int:
    """Images from one glance to the next: a fiftieth of the run, and at least 10 rounds."""
    return max(10 * config.batch * config.discriminator_steps, images // GLANCES)


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


def plan(
    config: Config, dataset: Dataset, seconds: float, say: Callable[[str], None] = lambda line: None
) -> tuple[Config, float]:
    """The configuration with as many images as fit into `seconds`, measured by playing a throw-away game.

    Returns:
        It, and the seconds that one evaluation with a checkpoint takes.
    """
    begun = time.perf_counter()
    run = Run(replace(config, images=10**9), dataset)
    rate = _rate(run, max(1.0, min(6.0, 0.05 * seconds)))
    pause = time.perf_counter()
    run.measure()
    if time.perf_counter() - pause < 0.05 * seconds:  # the first prepares much that the others find done
        pause = time.perf_counter()
        run.measure()
    look = time.perf_counter() - pause + 0.2
    looks = (max(1 / config.save_share, 1 / config.evaluate_share) + 1) * look
    left = seconds - (time.perf_counter() - begun) - looks
    # A machine is seldom as fast for minutes as it is for seconds: 5 % are kept back, as runs of 1 to 5 minutes showed.
    images = int(0.95 * with_glances(run, rate, left)) // config.batch * config.batch
    if images < 10 * config.batch:
        raise BadInput(
            f"a budget of {seconds:.0f} s leaves {max(0, images)} images at {rate:.0f} images/s, fewer than ten "
            "batches; give more time, a smaller network or a smaller batch"
        )
    say(f"measured {rate:,.0f} images/s: {images:,} images fit the budget; --images {images} repeats this run")
    return replace(config, images=images), look


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
            length, _ = plan(replace(config, penalty_weight=GRID[2]), dataset, seconds / (1 + SHARE))
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
        lap = Lap(warm_up=2, rounds=whole_penalties, seconds=seconds / len(starts))
        there = Progress(total=10**9, images=round(start * 10**9))
        listeners = [*run.keepers, *run.steering.values(), lap]
        train(
            run.game, run.feed, run.learner, run.engine,
            images=10**9, seed=run.config.seed, progress=there, listeners=listeners,
        )  # fmt: skip
        spent += (end - start) / lap.rate
    return 1 / spent


def with_glances(run: Run, rate: float, seconds: float) -> float:
    """Images that fit into `seconds` at a rate of images per second, when the watch glances as often as it does."""
    if run.config.watch == "off" or run.evidence is None or seconds <= 0:
        return rate * seconds
    run.glance()
    begun = time.perf_counter()
    run.glance()
    spent = time.perf_counter() - begun
    often = seconds / (1 / rate + spent / glance_interval(run.config, 0))
    return max(rate * (seconds - GLANCES * spent), often)
