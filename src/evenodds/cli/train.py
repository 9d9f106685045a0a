"""The commands that train: train, resume."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from evenodds.cli.allow import loads
from evenodds.cli.app import Quiet, Run, RunData, Settings, Words, app, listed_names, typed_settings
from evenodds.cli.ranges import SEEDS, whole
from evenodds.errors import BadInput
from evenodds.files.process import is_follower
from evenodds.files.terminal import result, say
from evenodds.files.text import quoted

__all__ = ["next_steps", "resume", "train"]


Cache = Annotated[
    bool,
    Parameter(
        name="--cache",
        negative="--no-cache",
        help="Keep images of folders and archives as decoded, for the next run that reads them unchanged.",
    ),
]
Length = Annotated[int | None, whole(1, 10**15)]


@app.command
@loads
def train(
    recipe: str | None = None,
    *,
    data: str | None = None,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    budget: str | None = None,
    images: Length = None,
    seed: Annotated[int | None, SEEDS] = None,
    out: Path | None = None,
    device: str | None = None,
    watch: str | None = None,
    log: Words = None,
    settings: Settings = None,
    cache: Cache = True,
    quiet: Quiet = False,
) -> int:
    """Train on data; everything goes to a run folder.

    Parameters
    ----------
    recipe
        Name of a recipe (see: evenodds list recipes) or a YAML file [default: by the data; digits without any].
    data
        Folder, archive or list of images, .npz, .npy or .h5 array, .csv table, or a source by name.
    from_
        A run to start from: all of its weights that fit are taken, and it is said which. Without a recipe, that of the
        run is taken, with its size. The run itself stays as it is; `evenodds resume` goes on with one.
    budget
        Wall-clock time, e.g. 60s, 10m, 2h; the number of images is planned from a measured rate.
    images
        Length of the run in real images shown, e.g. 200k; with --budget, the most that it may be.
    seed
        Of everything that is random.
    out
        Run folder [default: runs/<recipe>-<n>; beside the data where that would lie in them].
    device
        auto, cpu, cuda, mps.
    watch
        off; warn: say how it goes; act: also go back and change something where it goes wrong [default: warn].
    log
        Where the run is logged beside its folder: tensorboard, mlflow, wandb, trackio, or several of them.
    settings
        Any setting: --set learning_rate=0.001 generator.width=32 (see: evenodds list settings).
    """
    clock = time.perf_counter()  # what follows, down to the last picture, is part of a budget
    from evenodds.files.kept import caching
    from evenodds.runs.changes import with_settings
    from evenodds.runs.config import require_allowed
    from evenodds.runs.config_files import recipe as read_recipe
    from evenodds.runs.default_recipe import suited_recipe
    from evenodds.runs.effect import require_effect
    from evenodds.runs.folder_facts import is_run
    from evenodds.runs.folders import as_seconds, base_of, claimed
    from evenodds.runs.following import company
    from evenodds.runs.run import start
    from evenodds.runs.session import load
    from evenodds.runs.transfer import continued, require_data

    flags = {"data": data, "images": images, "seed": seed, "device": device, "watch": watch, "log": _loggers(log)}
    typed = typed_settings(flags, settings)
    place = typed.get("data")
    if place is not None and is_run(place):
        raise BadInput(
            f"{place} is a run, whose pictures are no data; name a folder of images, or start from the run's weights "
            f"(--from {quoted(place)}), or go on with it: evenodds resume {quoted(place)}"
        )
    source = None if from_ is None else load(from_, device="cpu")
    if recipe is None and source is None:
        recipe, reason = suited_recipe(place, typed.get("device", "auto"))
        say(f"no recipe was named: taking {recipe} ({reason}; see: evenodds list recipes)")
    config = continued(source) if source is not None and recipe is None else read_recipe(recipe or "")
    config = with_settings(config, typed)
    if source is not None:
        require_data(config, source)
    require_allowed(config, recipe or str(from_))
    require_effect(config, typed)
    base = base_of(Path("runs"), None if config.data is None else config.data.name, out, say)
    seconds, most = as_seconds(budget), config.images if "images" in typed else None
    with company(), caching(cache, say):
        if restarted_run(out):
            return _gone_on(out or Path(), {}, None, quiet)
        with claimed(config.recipe, out, base=base) as folder:
            session = start(
                config, out=folder, budget=seconds, most=most, clock=clock, source=source, **_reports(quiet)
            )
            return conclude(session)


@app.command
@loads
def resume(
    run: Run,
    *,
    data: RunData = None,
    images: Length = None,
    watch: str | None = None,
    log: Words = None,
    settings: Settings = None,
    cache: Cache = True,
    quiet: Quiet = False,
) -> int:
    """Go on with a run from its newest whole checkpoint, or from its beginning where it was stopped before the first.

    Parameters
    ----------
    images
        A new length of the run, e.g. 400k.
    watch
        off, warn or act, as for train.
    log
        As for train; none, to log it no more [default: where it was logged].
    settings
        Other settings that may change on resume: device, keep, save_share, patience.
    """
    from evenodds.files.kept import caching
    from evenodds.runs.following import company

    changes = typed_settings({"images": images, "watch": watch, "log": _loggers(log)}, settings)
    with company(), caching(cache, say):
        return _gone_on(run, changes, data, quiet)


def _gone_on(run: Path, changes: dict[str, Any], data: str | None, quiet: bool) -> int:
    from evenodds.runs.run import held_run
    from evenodds.runs.run import resume as go_on

    with held_run(run) as folder:
        return conclude(go_on(folder, settings=changes, data=data, **_reports(quiet)))


def restarted_run(out: Path | None) -> bool:
    """Whether torchrun has started the command again, after a process was lost, and there is a run to go on with."""
    from evenodds.game.exchange import agreed

    again = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    if out is None and int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")):
        raise BadInput("--max-restarts goes on with the run in its folder; name the folder with --out")
    return bool(again and out is not None and agreed(lambda: (out / "config.yaml").is_file()))


def _loggers(names: list[str] | None) -> list[str] | None:
    """The names after --log; "none" is no logger, nothing is left as it was."""
    listed = listed_names(names)
    return [] if listed == ["none"] else listed


def _reports(quiet: bool) -> dict[str, Any]:
    """How a run reports on itself: sentences always, bars where they are wanted."""
    from evenodds.cli.bar import Bar, reading

    quiet = quiet or is_follower()
    return {"listeners": [] if quiet else [Bar()], "say": say, "reading": None if quiet else reading}


def conclude(session: Any) -> int:
    """Writes what a run leaves, and says where everything is and what to do next; 1 where something is missing."""
    from evenodds.apply.finish import finish

    if is_follower():  # the first process concludes
        return 0
    report = finish(session)
    for path in report.written:
        result(path)
    for failure in report.failures:
        say(f"not written:    {failure}")
    if report.failures:
        say(f"the trained run is whole; make what is missing again with: {command()} resume {quoted(session.folder)}")
    verdict = next((line for line in reversed(session.history()) if "verdict" in line), None)
    if verdict is not None:
        say(f"how it went:    {verdict['verdict']}: {verdict['why']}")
    for line in next_steps(session):
        say(line)
    return 1 if report.failures else 0


def next_steps(session: Any) -> list[str]:
    """Where the run stands, and the commands that fit it."""
    folder, named, noun = session.folder, quoted(session.folder), session.card.noun
    if session.images < session.config.images:
        return [
            f"stopped at {session.images:,} of {session.config.images:,} {noun}; everything is saved",
            f"go on with:     {command()} resume {named}",
        ]
    lines = [
        f"done: {session.images:,} {noun}; all files are in {folder}, explained in {folder / 'README.txt'}",
        f"its figures:    {command()} show {named}",
    ]
    if session.task.command != "sample":
        lines.append(f"put it to work: {command()} {session.at_work}")
    if not session.draws:
        return lines
    judged = [f"how good it is: {command()} report {named}"] if session.card.can_be_judged else []
    if session.card.kind == "table":
        return [*lines, f"more rows:      {command()} sample {named} -n 1000 --folder rows", *judged]
    from evenodds.runs.run_data import data_place

    own = data_place(session.config) is not None
    n = 100 if session.card.kind == "image" else session.card.pictured
    return [
        *lines,
        f"more samples:   {command()} sample {named} -n {n} --grid more.png",
        *judged,
        *([] if own else [f"your own data:  {command()} train --data FOLDER --budget 10m"]),
    ]


def command() -> str:
    """What to type to run evenodds here: its name where the shell finds it, else what was typed."""
    if shutil.which("evenodds"):
        return "evenodds"
    return "python -m evenodds" if sys.argv[0].endswith("__main__.py") else sys.argv[0]
