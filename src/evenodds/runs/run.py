"""A run: from data and a recipe to a folder with everything in it, and on from there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

from evenodds.data.checks import check
from evenodds.data.dataset import Dataset
from evenodds.files.lock import locked
from evenodds.files.names import below
from evenodds.files.outputs import owned
from evenodds.files.write import write_json
from evenodds.game import checkpoint
from evenodds.game.exchange import agreed, held
from evenodds.game.listeners.deadline import Deadline
from evenodds.game.processes import follows
from evenodds.game.rules import Progress
from evenodds.game.threads import kept_threads
from evenodds.game.trainer import Listener
from evenodds.runs import remedy
from evenodds.runs.accelerator import on_accelerator
from evenodds.runs.allowed import allowing, modules_in
from evenodds.runs.assembly import Run
from evenodds.runs.before_data import require_settings
from evenodds.runs.build import require_free_options, require_options_of_data
from evenodds.runs.card import SPLIT_SEED
from evenodds.runs.changes import with_settings
from evenodds.runs.choices import FILE
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config, require_allowed
from evenodds.runs.effect import require_effect
from evenodds.runs.find import find, network
from evenodds.runs.fitting import fitted_players
from evenodds.runs.folder_facts import require_run
from evenodds.runs.folders import base_of, claimed, environment, placed
from evenodds.runs.following import (
    agreed_card,
    agreed_config,
    agreed_remedies,
    company,
    on_first,
)
from evenodds.runs.launches import choose_launches
from evenodds.runs.listeners._logging import require_loggers
from evenodds.runs.own_parts import require_own_parts
from evenodds.runs.planning import plan, planned_looks, settle, settle_task
from evenodds.runs.playing import play
from evenodds.runs.precision import choose_precision
from evenodds.runs.probing import Ahead
from evenodds.runs.reading import open_data
from evenodds.runs.remembering import told
from evenodds.runs.resuming import looked_up, moved, note_processes, read_swept
from evenodds.runs.room import with_room
from evenodds.runs.run_data import open_run_data, write_config
from evenodds.runs.session import Session
from evenodds.runs.threads import choose_threads, use_threads
from evenodds.runs.transfer import require_kind, transfer

__all__ = ["resume", "start"]


def start(
    config: Config,
    *,
    out: str | Path | None = None,
    budget: float | None = None,
    most: int | None = None,
    dataset: Dataset | None = None,
    listeners: Sequence[Listener] = (),
    say: Callable[[str], None] = lambda line: None,
    reading: Callable[[int, int], None] | None = None,
    clock: float | None = None,
    source: Session | None = None,
) -> Session:
    """Starts a run and plays it to its end.

    Args:
        out: the run folder, which must not hold a run; `runs/<recipe>-<n>` where None. It is held while the run is
            played: no other process writes to it.
        budget: seconds to the end of the run; its length in images is planned from a measured rate.
        most: images that are played at most, however many fit into the budget; without one config.images alone counts.
        dataset: the data, where it is in memory; otherwise it is opened from config.data.
        listeners: further ones, such as a progress bar.
        say: gets plain sentences on what is found and done.
        reading: told (files done, files in all) while data are read.
        clock: when the budget began, by time.perf_counter; now where None.
        source: a run whose weights the players start from, see `transfer`.
    """
    clock = time.perf_counter() if clock is None else clock
    base = base_of(Path("runs"), None if config.data is None else config.data.name, out, say)
    with company(), claimed(config.recipe, out, base=base) as folder, kept_threads():
        return begun(config, folder, clock, budget, most, dataset, listeners, say, reading, source)


def begun(
    config: Config,
    folder: Path,
    clock: float,
    budget: float | None,
    most: int | None,
    dataset: Dataset | None,
    listeners: Sequence[Listener],
    say: Callable[[str], None],
    reading: Callable[[int, int], None] | None,
    source: Session | None = None,
) -> Session:
    """Plans and plays a run in a folder that this process holds; `clock`: when the budget began. See `start`."""
    require_loggers(config.log)
    require_settings(config)
    config = replace(config, data=placed(config.data))
    dataset = opened(config, dataset, say, reading)
    if source is not None:
        require_kind(source, config, dataset)
    config, choices = on_accelerator(config, len(dataset), dataset.shape, say)
    config, further = settle_task(config, dataset, say)
    choices += further
    dataset = checked(config, dataset, say)
    plan = with_room(config, lambda config: planned(config, dataset, choices, clock, budget, most, say), say)
    ending = [plan.deadline] if plan.deadline is not None and not follows() else []
    opening = partial(begin, folder=folder, plan=plan, source=source, say=say)
    session = play(plan.config, dataset, folder, [*ending, *listeners], say, opening)
    return shortened(session, plan.deadline)


def opened(
    config: Config,
    dataset: Dataset | None,
    say: Callable[[str], None],
    reading: Callable[[int, int], None] | None,
) -> Dataset:
    """The data, in memory already or read as the configuration names them; the report of the intake is said."""
    dataset = dataset if dataset is not None else open_data(config, reading)
    for line in dataset.report:
        say(line)
    return dataset


def checked(config: Config, dataset: Dataset, say: Callable[[str], None]) -> Dataset:
    """The data, with what is wrong with them in their report; BadInput where nothing can be learned from them.

    What would learn more of them is said too.
    """
    train_index, held_out_index = dataset.split(config.held_out, SPLIT_SEED)
    task, options = find("tasks", config.task.name), config.task.options
    augmentation = "" if config.views else task.augmentation(dataset.shape, options)
    if task.learns_labels:  # others tell nothing of how well it learns
        held_out_index = dataset.labelled(held_out_index)
    troubles = check(
        dataset,
        train_index,
        held_out_index,
        by_class=task.by_class(dataset, options),
        draws=task.draws,
        augmentation=augmentation,
        batch=config.batch,
        from_scratch=not _looks_beforehand(config),
    )
    for line in troubles:
        say(f"data: {line}")
    if better := task.better_networks(config.generator.name, config.discriminator.name, dataset.shape):
        say(better)
    require_options_of_data(config, dataset)
    return dataset.told(*troubles)


@dataclass(frozen=True)
class RunPlan:
    """What was decided before a run.

    Args:
        config: with its length and every setting that was left to the data.
        choices: the settings that the data decided.
        deadline: None without a budget.
    """

    config: Config
    choices: Sequence[Choice] = ()
    deadline: Deadline | None = None


def planned(
    config: Config,
    dataset: Dataset,
    choices: Sequence[Choice],
    clock: float,
    budget: float | None,
    most: int | None,
    say: Callable[[str], None],
) -> RunPlan:
    """Decides what was left open, and the length.

    Args:
        choices: those made so far.
        clock: when the budget began, by time.perf_counter.
        budget: seconds; None where the configuration says the length.
        most: images that are played at most, of those that fit into a budget.
    """
    left = agreed(lambda: budget - (time.perf_counter() - clock)) if budget is not None else None
    config, further = settle(config, dataset, left, say)
    if _looks_beforehand(config):  # those runs that only measure say nothing
        Run(config, dataset).see(say)
    ahead = Ahead(config, left, lambda config: Run(config, dataset), most)
    config, precision = choose_precision(config, ahead, say)
    config, threads = choose_threads(config, ahead, say)
    use_threads(config)
    config, launches = choose_launches(config, ahead, say)
    choices = [*choices, *further, *precision, *threads, *launches]
    if budget is None:
        return RunPlan(agreed_config(lambda: config), choices)
    spent = agreed(lambda: time.perf_counter() - clock)
    config, pause, paces = plan(config, dataset, budget - spent, say, spent, most)
    config = agreed_config(lambda: config)
    pauses = pause * planned_looks(config)
    return RunPlan(config, choices, Deadline(clock + budget, pause, say, pauses, paces, most or inf))


def _looks_beforehand(config: Config) -> bool:
    """Whether a discriminator begins with what was learned from others, and looks at the data before the run."""
    return bool(getattr(network(config.discriminator.name, "Discriminator"), "looks_beforehand", False))


def begin(run: Run, folder: Path, plan: RunPlan, source: Session | None, say: Callable[[str], None]) -> None:
    """Writes what is known of a run before it is played; its start too, where that is no draw of weights.

    Such a start, from another run or fitted to the data, is a checkpoint after 0 images, so that going on with the run
    never needs the other one, nor fits again.
    """
    require_free_options(run.config, run.task, run.dataset.shape)
    choices = [transfer(source, run)] if source is not None else []
    choices += fitted_players(run)
    for player in run.game.players.values():
        getattr(player, "require_weights", lambda: None)()  # before anything is written
    for line in (*(choice.reason for choice in choices), *told(run.game.players.values())):
        say(line)
    if choices:
        plan = replace(plan, choices=[*plan.choices, *choices])
        header = {**run.header, "progress": asdict(Progress(total=run.config.images))}
        checkpoint.save(below(folder, "checkpoints") / f"{0:012d}", run.parts, header)
    write(run, folder, plan)


def write(run: Run, folder: Path, plan: RunPlan) -> None:
    """Writes what is known of a run before it is played; config.yaml last: a folder that holds it is complete."""
    facts: dict[str, Any] = {"data.json": run.card.to_json(), "environment.json": environment(run.engine)}
    facts |= {FILE: [choice.to_json() for choice in plan.choices]} if plan.choices else {}
    for name, content in facts.items():
        with owned(folder / name, "train") as temporary:
            write_json(temporary, content)
    write_config(folder, plan.config)


def shortened(session: Session, deadline: Deadline | None) -> Session:
    """The session, its length that which fitted the deadline: by the clock the run is complete, decays and all."""
    if deadline is None or follows():
        return session
    complete = deadline.total <= session.images
    images = session.images if complete else max(deadline.total, session.config.images)
    if images != session.config.images:
        session.config = replace(session.config, images=images)
        write_config(session.folder, session.config)
    return session


def resume(
    folder: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    data: Any = None,
    allow: Sequence[str] = (),
    listeners: Sequence[Listener] = (),
    say: Callable[[str], None] = lambda line: None,
    reading: Callable[[int, int], None] | None = None,
) -> Session:
    """Goes on with a run where its newest whole checkpoint is: on the CPU, to the very bits of an uninterrupted run.

    A run that was killed before its first checkpoint starts from the beginning. What the killed process left behind is
    removed.

    Args:
        settings: changes to the configuration; only lengths, the device and what is kept may change.
        data: where the data lie now, if that is not where they were; or the same array or tensor again, where the run
            was fitted to one.
        allow: modules of your own that the run may import, e.g. ("my_module",); look at them first.

    Raises:
        BadInput: a field of the configuration, or the data, does not fit the checkpoint; the message names it. Or the
            run is still played, or written to, by a process, which the message names.

    Example:
        >>> import evenodds
        >>> session = evenodds.fit("ring", "ring", out="my-run", images=512, watch="off")
        >>> evenodds.resume("my-run", settings={"images": 1024}).images
        1024
    """
    with allowing(allow), allowing(modules_in(settings or {})), company(), held_run(folder) as held, kept_threads():
        return gone_on(held, settings or {}, data, listeners, say, reading)


@contextmanager
def held_run(folder: str | Path) -> Iterator[Path]:
    """The folder of a run, held while it goes on."""

    def hold(stack: ExitStack) -> Path:
        stack.enter_context(locked(require_run(folder), "resume"))
        return Path(folder)

    with held(hold) as here:
        yield here


def gone_on(
    folder: Path,
    settings: Mapping[str, Any],
    data: Any,
    listeners: Sequence[Listener],
    say: Callable[[str], None],
    reading: Callable[[int, int], None] | None,
) -> Session:
    """Goes on with a run whose folder this process holds; see `resume`."""
    saved = agreed_config(lambda: read_swept(folder))
    config, remedies = with_settings(saved, settings), agreed_remedies(folder)
    require_allowed(config, str(folder / "config.yaml"))
    require_effect(config, settings)
    require_loggers(config.log)
    require_allowed(remedy.applied(config, remedies), str(folder / "remedies.json"))
    on_first(lambda: remedy.discard(folder, remedies))
    card = agreed_card(folder)
    dataset = open_run_data(config, card, data, reading)
    if isinstance(data, str | Path):
        config = agreed_config(lambda: moved(folder, config, card, data))
    begins = agreed(lambda: looked_up(folder, config, saved, dataset, remedies, say))
    for applied in remedies:
        say(f"with the remedy: {applied}")
    on_first(lambda: write_config(folder, config))

    def opening(run: Run) -> None:
        require_own_parts(run)
        write(run, folder, RunPlan(config)) if begins else note_processes(folder, run)

    return play(config, dataset, folder, listeners, say, opening)
