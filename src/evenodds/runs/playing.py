"""A run is played to its end: attempts, alarms, and what goes back to a checkpoint with a remedy."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput, Diverged
from evenodds.game import checkpoint
from evenodds.game.checkpoint import best_of
from evenodds.game.exchange import agreed
from evenodds.game.listeners.context import interval
from evenodds.game.listeners.interrupt import Interrupt
from evenodds.game.listeners.together import Together
from evenodds.game.listeners.watch import Watch
from evenodds.game.processes import follows
from evenodds.game.rules import Progress
from evenodds.game.trainer import Listener, train
from evenodds.game.watch.verdict import Verdict
from evenodds.runs import remedy
from evenodds.runs.assembly import Record, Run
from evenodds.runs.config import Config
from evenodds.runs.following import (
    advise,
    agreed_remedies,
    agreed_states,
    agreed_verdict,
    on_first,
    require_same_data,
)
from evenodds.runs.remedy import Remedy
from evenodds.runs.room import with_room
from evenodds.runs.run_data import write_config
from evenodds.runs.session import Session, load
from evenodds.runs.threads import use_threads

__all__ = ["play"]


def play(
    config: Config,
    dataset: Dataset,
    folder: Path,
    listeners: Sequence[Listener] = (),
    say: Callable[[str], None] = lambda line: None,
    opening: Callable[[Run], None] = lambda run: None,
) -> Session:
    """Plays a run from its newest checkpoint, or anew, to its end, and leaves everything in its folder.

    Where the watch raises an alarm and may act, the run goes back to the last checkpoint before the trouble, changes
    one thing and plays on; after a few such tries it ends with what was good. Where the memory of the device is too
    small, it goes on from the last checkpoint in smaller micro-batches.

    Args:
        opening: called with the run, built and not yet played.
    """

    def attempted(smaller: Config) -> tuple[Outcome, Config]:
        def opened(run: Run) -> None:
            nonlocal opening
            opening(run)
            opening = _nothing
            if smaller is not config:
                write_config(folder, smaller)

        record = Record(folder, smaller, len(remedies), say, not follows())
        return attempt(smaller, dataset, record, remedies, listeners, opened), smaller

    while True:
        remedies = agreed_remedies(folder)
        on_first(partial(remedy.discard, folder, remedies))
        outcome, config = with_room(config, attempted, say)
        if outcome.alarm is None:
            if outcome.ends_process:  # all is saved: a script that was asked to end does not go on with what there is
                signal.raise_signal(outcome.ends_process)
            return outcome.session() if follows() else load(folder, device=outcome.device)
        if agreed(partial(given_up, folder, outcome.alarm, remedies, say)):
            best = not follows() and best_of(folder / "checkpoints")
            return outcome.session() if follows() else load(folder, "best" if best else "last")
        on_first(partial(go_back, folder, config, outcome.alarm, outcome.images, remedies, say, dataset.noun))
        opening = _nothing


def _nothing(run: Run) -> None:
    """The folder is written already."""


def given_up(folder: Path, alarm: Verdict, remedies: Sequence[Remedy], say: Callable[[str], None]) -> bool:
    """Whether there are no more remedies to try; it is said then."""
    if len(remedies) < remedy.MOST:
        return False
    say(remedy.give_up(folder, alarm, remedies))
    return True


def go_back(
    folder: Path,
    config: Config,
    alarm: Verdict,
    images: int,
    remedies: Sequence[Remedy],
    say: Callable[[str], None],
    noun: str,
) -> None:
    """Writes down one more remedy against an alarm that was raised after so many images, called `noun`."""
    back = remedy.back_to(folder, alarm.since, remedies)
    one = remedy.prescribe(remedy.applied(config, remedies), alarm, images, back, noun)
    say(str(one))
    remedy.record(folder, [*remedies, one])


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: with an alarm, or whole; after how many images; what was played."""

    alarm: Verdict | None
    images: int
    run: Run

    @property
    def device(self) -> str:
        """Where it was played."""
        return str(self.run.engine.device)

    @property
    def ends_process(self) -> int:
        """The signal that ends the process now that the run is saved; 0 for none."""
        interrupt = self.run.listeners.get("interrupt")
        return interrupt.ends_process if isinstance(interrupt, Interrupt) else 0

    def session(self) -> Session:
        """The game as it stands, for a process that follows another, which alone has the folder."""
        record = self.run.record
        return self.run.session(record.folder if record is not None else Path(), self.images)


def attempt(
    config: Config,
    dataset: Dataset,
    record: Record,
    remedies: Sequence[Remedy],
    listeners: Sequence[Listener],
    opening: Callable[[Run], None],
) -> Outcome:
    """Builds the run and plays it to its end or an alarm. Diverged is raised where nobody may act on it."""
    use_threads(config)
    run = Run(remedy.applied(config, remedies), dataset, record)
    require_same_data(dataset, run.train_index)
    _ = run.seen  # by all processes together
    on_first(lambda: opening(run))
    advise(record.folder)
    progress = restored(run, record)
    together, diverged = Together(interval(config, 1 / config.save_share), record.say), None
    try:
        train(
            run.game,
            run.feed,
            run.learner,
            run.engine,
            images=config.images,
            seed=config.seed,
            progress=progress,
            listeners=together.around([*run.listeners.values(), *listeners]),
        )
    except Diverged as error:
        diverged = error
        together.leave()
    alarm = agreed_verdict(lambda: alarm_of(run, diverged, config.watch == "act", progress.images))
    return Outcome(alarm, progress.images, run)


def alarm_of(run: Run, diverged: Diverged | None, act: bool, images: int) -> Verdict | None:
    """The alarm with which an attempt ended; `diverged` is raised where nobody may act on it."""
    if diverged is None:
        watch = run.listeners.get("watch")
        return watch.alarm if isinstance(watch, Watch) else None
    if not act:
        raise diverged
    return Verdict("diverged", str(diverged), True, images)


def restored(run: Run, record: Record) -> Progress:
    """The progress of the newest whole checkpoint, to which the run's parts are set, or a fresh one."""
    if not agreed(lambda: bool(checkpoint.listing(record.folder / "checkpoints"))):
        return Progress(total=record.config.images)
    states, last = agreed_states(record.folder / "checkpoints")
    try:
        checkpoint.restore(run.parts, states)
    except BadInput as error:
        raise BadInput(
            f"the checkpoint {last['path']} is not of this run: {error}; move it away to go on from the one before"
        ) from error
    if record.writes and not (record.folder / "samples" / f"{last['images']:012d}.png").is_file():
        run.picture(last["images"])  # killed between the checkpoint and its picture
    return Progress(record.config.images, last["images"], last["round"])
