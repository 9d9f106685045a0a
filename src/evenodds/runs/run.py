"""A run: from data and a recipe to a folder with everything in it, and on from there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from evenodds.data.checks import check
from evenodds.data.dataset import Dataset
from evenodds.data.sources import load as load_data
from evenodds.errors import BadInput, Diverged
from evenodds.files import write_json, write_text
from evenodds.game import checkpoint
from evenodds.game.arithmetic import evenly
from evenodds.game.history import Cells
from evenodds.game.listeners.deadline import Deadline
from evenodds.game.listeners.evaluate import Evaluate
from evenodds.game.listeners.interrupt import Interrupt
from evenodds.game.listeners.log import Log
from evenodds.game.listeners.save import Save, best_of
from evenodds.game.listeners.watch import Watch
from evenodds.game.rules import Progress
from evenodds.game.thresholds import FIRST_ROUNDS
from evenodds.game.trainer import Listener, Stage, train
from evenodds.game.verdict import Verdict
from evenodds.runs import remedy
from evenodds.runs.answering import sides
from evenodds.runs.assembly import Run
from evenodds.runs.build import IN_MEMORY, open_data
from evenodds.runs.choosing import is_open
from evenodds.runs.config import Config, Part, difference, from_mapping, read, with_settings
from evenodds.runs.config import recipe as read_recipe
from evenodds.runs.evidence import Evidence
from evenodds.runs.filling import fillings, sheet
from evenodds.runs.folders import as_seconds, environment, next_folder, placed, recipe_for
from evenodds.runs.planning import glance_interval, plan, settle, settle_task
from evenodds.runs.remedy import Remedy
from evenodds.runs.session import SPLIT_SEED, Session, load
from evenodds.show import pictures
from evenodds.tasks._paired import FromSource
from evenodds.tasks.fill import Fill

__all__ = ["fit", "resume", "start"]


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

    Raises:
        BadInput: the data cannot be read, a setting is unknown, or the folder holds a run already.

    Example:
        >>> import evenodds
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (64, 8, 8), dtype=np.uint8)  # (N, H, W)
        >>> session = evenodds.fit(images, out="my-run", images=256, generator__width=8, discriminator__width=8)
        >>> session.sample(10, seed=1).shape  # (n, C, H, W), the units of the data
        (10, 1, 8, 8)
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
    config, choices = settle_task(config, dataset, say)
    by_class = config.task.name == "condition" and dataset.c is None
    troubles = check(dataset, train_index, held_index, by_class=by_class, augmented=bool(config.views))
    for line in troubles:
        say(f"data: {line}")
    dataset = replace(dataset, report=(*dataset.report, *troubles))
    if is_open(config):
        left = budget - (time.perf_counter() - clock) if budget is not None else None
        config, more = settle(config, dataset, left, say)
        choices += more
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

    Example:
        >>> import evenodds
        >>> session = evenodds.fit("ring", "ring", out="my-run", images=512, watch="off")
        >>> evenodds.resume("my-run", settings={"images": 1024}).images
        1024
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
    asked = len(evidence.few["x"]), len(evidence.trained["x"])
    cells = Cells(evidence.names, evidence.due, *asked, ground_truth=evidence.known)

    def settled(stage: Stage) -> bool:
        now, end = (run.learner.rate(p) for p in (stage.progress, Progress(1, 1)))
        return stage.progress.round >= FIRST_ROUNDS and (now <= 0.25 or end >= now)

    every = glance_interval(config, config.images)
    return Watch(run.glance, every, cells, log, config.watch == "act", config.patience, settled, say)


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
            some = run.held_index[evenly(len(run.held_index), 6)]
            pictures.write(path, sides(session, run.dataset.batch(some)))
        return
    many = 4096 if run.dataset.kind != "image" else 64
    picture = session.picture(session.sample(many, seed=run.config.seed))
    pictures.write(path, picture)
