"""The commands. Each reads its flags, calls one function of `run` or `session`, and says what it did."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

import evenodds
from evenodds.errors import BadInput

app = App(
    name="evenodds",
    help="Train generative adversarial networks on your own data, and put them to work.",
    version=evenodds.__version__,
    help_format="plaintext",
    result_action="return_value",
)

Settings = Annotated[list[str] | None, Parameter(name="--set", negative="", consume_multiple=True)]
Given = Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)]
Device = Annotated[str, Parameter(name="--device")]
WIDEST = 50
"""Samples in a row of a grid by class."""
Names = Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)]


def say(line: str) -> None:
    """A sentence to the user; standard output is for results."""
    print(line, file=sys.stderr, flush=True)


@app.command
def train(
    recipe: str | None = None,
    *,
    data: str | None = None,
    budget: str | None = None,
    images: str | None = None,
    seed: int | None = None,
    out: Path | None = None,
    device: str | None = None,
    watch: str | None = None,
    settings: Settings = None,
    quiet: bool = False,
) -> None:
    """Train on data; everything goes to a run folder.

    Parameters
    ----------
    recipe
        Name of a recipe (see: evenodds list recipes) or a YAML file [default: by the data; digits without any].
    data
        Folder or zip of images, .npz/.npy array, .csv table, or a source by name.
    budget
        Wall-clock time, e.g. 60s, 10m, 2h; the number of images is planned from a measured rate.
    images
        Length of the run in real images shown, e.g. 200k.
    seed
        Of everything that is random.
    out
        Run folder [default: runs/<recipe>-<n>].
    device
        auto, cpu, cuda, mps.
    watch
        off; warn: say how it goes; act: also go back and change something where it goes wrong [default: warn].
    settings
        Any setting: --set learning_rate=0.001 generator.width=32 (see: evenodds list settings).
    quiet
        No progress bar.
    """
    from evenodds.cli.bar import Bar, reading
    from evenodds.runs.config import recipe as named
    from evenodds.runs.config import with_settings
    from evenodds.runs.folders import as_seconds, recipe_for
    from evenodds.runs.run import start

    if budget is not None and images is not None:
        raise BadInput("--budget plans the number of images, so --images cannot be given with it; drop one")
    if recipe is None:
        recipe = recipe_for(data)
        say(f"no recipe was named: taking {recipe} (see: evenodds list recipes)")
    given = {"data": data, "images": images, "seed": seed, "device": device, "watch": watch}
    changes = {key: value for key, value in given.items() if value is not None} | parsed(settings)
    session = start(
        with_settings(named(recipe), changes),
        out=out,
        budget=as_seconds(budget),
        listeners=[] if quiet else [Bar()],
        say=say,
        reading=None if quiet else reading,
    )
    conclude(session)


@app.command
def resume(
    run: Path, *, images: str | None = None, watch: str | None = None, settings: Settings = None, quiet: bool = False
) -> None:
    """Go on with a run from its newest whole checkpoint.

    Parameters
    ----------
    run
        The run folder.
    images
        A new length of the run, e.g. 400k.
    watch
        off, warn or act, as for train.
    settings
        Other settings that may change on resume: device, keep, save_share, patience.
    quiet
        No progress bar.
    """
    from evenodds.cli.bar import Bar, reading
    from evenodds.runs.run import resume as go_on

    given = {"images": images, "watch": watch}
    session = go_on(
        run,
        settings={key: value for key, value in given.items() if value is not None} | parsed(settings),
        listeners=[] if quiet else [Bar()],
        say=say,
        reading=None if quiet else reading,
    )
    conclude(session)


@app.command
def sample(
    run: Path,
    *,
    n: Annotated[int, Parameter(name=["-n", "--number"])] = 64,
    grid: Path | None = None,
    folder: Path | None = None,
    npz: Path | None = None,
    class_: Annotated[str | None, Parameter(name="--class")] = None,
    per_class: int | None = None,
    given: Given = None,
    truncation: float = 1.0,
    select: str | None = None,
    steps: int | None = None,
    rate: float | None = None,
    seed: int = 0,
    checkpoint: str = "last",
    device: Device = "auto",
) -> None:
    """Draw samples: a picture of a grid, a folder of files, or an array.

    Parameters
    ----------
    run
        The run folder.
    n
        How many.
    grid
        One picture of all samples, with --per-class 2 to 50 a row for each class [default, where nothing else is asked
        for: samples.png in the run folder].
    folder
        One PNG per sample (a CSV file for tables).
    npz
        An array: key x in the data's own units, uint8 for 8-bit images, float32 for tables; key y of a conditional run.
    class_
        Of a conditional run, samples of this class only.
    per_class
        Of a conditional run, so many samples of every class; a folder then holds one folder for each.
    given
        Of a run that is conditional on values or attributes, a number for each: --given angle=30 thickness=2.
    truncation
        Factor on z, in (0, 1]: lower is truer to the data, and more alike; 1 is plain sampling.
    select
        Pick samples by the discriminator: rejection, or langevin (see: evenodds list selections).
    steps
        Of langevin, how far z walks [default: 100].
    rate
        Of rejection, the share of samples to keep [default: 0.2].
    seed
        The same seed gives the same samples.
    checkpoint
        last, best (by the held-out score), or a number of images.
    device
        auto, cpu, cuda, mps.
    """
    from evenodds.apply.samples import requested_labels, write_samples
    from evenodds.apply.selecting import sample as selected
    from evenodds.runs.session import load

    session = load(run, checkpoint, device)
    if grid is None and folder is None and npz is None:
        grid = run / "samples.png"
    y = requested_labels(session, n, class_, per_class, seed)
    options: dict[str, Any] = {name: value for name, value in (("steps", steps), ("rate", rate)) if value is not None}
    n = n if y is None else len(y)
    x = selected(session, n, seed, y, numbers(given), truncation=truncation, select=select, **options)
    columns = per_class if per_class is not None and 1 < per_class <= WIDEST else None
    for path in write_samples(session, x, y, grid=grid, folder=folder, npz=npz, columns=columns):
        print(path)


@app.command
def walk(
    run: Path,
    *,
    out: Path | None = None,
    steps: int = 48,
    stops: int = 4,
    seed: int = 0,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    checkpoint: str = "last",
    device: Device = "auto",
) -> None:
    """Walk through the latent space: a GIF, or a strip where the name ends in .png.

    Parameters
    ----------
    run
        The run folder.
    out
        The file to write [default: walk.gif in the run folder].
    steps
        Frames in all.
    stops
        Random points on the way; the walk closes.
    seed
        Of the points.
    from_
        An image to walk from, with --to; their z are found as by `evenodds encode`.
    to
        An image to walk to.
    checkpoint
        last, best, or a number of images.
    device
        auto, cpu, cuda, mps.
    """
    from evenodds.apply.samples import write_walk
    from evenodds.runs.session import load

    if from_ is not None or to is not None:
        from evenodds.cli.backwards import walk_between

        print(walk_between(load(run, checkpoint, device), from_, to, out or run / "walk.gif", steps))
        return
    print(write_walk(load(run, checkpoint, device), out or run / "walk.gif", steps, stops, seed))


@app.command
def evaluate(
    subject: Path,
    *,
    against: str | None = None,
    metrics: Names = None,
    features: str | None = None,
    n: Annotated[int, Parameter(name=["-n", "--number"])] = 10_000,
    train: str | None = None,
    seed: int = 0,
    checkpoint: str = "last",
    json: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    device: Device = "auto",
) -> None:
    """Judge a run, or samples of any tool, by real data: scores with intervals, floors and a fingerprint.

    Parameters
    ----------
    subject
        A run's folder; or samples: a folder or zip of images, an .npz with key x, .npy or .csv.
    against
        Real data, or a run whose data and split are taken [default: the held-out data of the run that is judged].
    metrics
        Names such as frechet kernel memorisation likelihood duality_gap, or all (see: evenodds list metrics).
    features
        pixels, random, classifier, inception or dino [default: classifier for labelled images, random for others].
    n
        At most so many samples, and so many items of real data.
    train
        The data that the samples' generator was trained on, to look for copies; known for runs.
    seed
        Of a run's samples.
    checkpoint
        last, best (by the held-out score), or a number of images.
    json
        Print the result as JSON, and nothing else, on standard output.
    out
        Write the result as JSON to this file [default for runs: evaluation.json in the run's folder].
    device
        auto, cpu, cuda, mps.
    """
    import json as to_json

    from evenodds.cli.bar import Steps
    from evenodds.cli.tables import evaluated
    from evenodds.evaluation.evaluate import evaluate as evaluation_of
    from evenodds.evaluation.material import is_run
    from evenodds.evaluation.report import write_evaluation

    with Steps() as step:
        result = evaluation_of(
            str(subject),
            against,
            metrics=split(metrics),
            features=features,
            train=train,
            n=n,
            seed=seed,
            checkpoint=checkpoint,
            device=device,
            step=step,
        )
    target = out if out is not None else subject / "evaluation.json" if is_run(subject) else None
    if target is not None:
        say(f"written: {write_evaluation(result, target)}")
    print(to_json.dumps(dict(result.content), indent=2, ensure_ascii=False) if json else evaluated(result))


@app.command
def compare(*evaluations: Path, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Rank evaluations by each score; those that were not made in the same way are refused, with the reason.

    Parameters
    ----------
    evaluations
        Files written by `evenodds evaluate --out`, or folders of runs that were evaluated.
    json
        Print the result as JSON, and nothing else, on standard output.
    """
    import json as to_json
    from dataclasses import asdict

    from evenodds.cli.tables import compared
    from evenodds.evaluation.compare import compare as rank
    from evenodds.evaluation.evaluate import read

    result = rank({str(path): read(path) for path in evaluations})
    print(to_json.dumps(asdict(result), indent=2, ensure_ascii=False) if json else compared(result))


@app.command
def report(
    run: Path,
    *,
    against: str | None = None,
    metrics: Names = None,
    features: str | None = None,
    n: Annotated[int, Parameter(name=["-n", "--number"])] = 10_000,
    seed: int = 0,
    checkpoint: str = "last",
    out: Path | None = None,
    device: Device = "auto",
) -> None:
    """Evaluate a run and write everything that is known of it as one self-contained page.

    Parameters
    ----------
    run
        The run folder.
    against
        As for evaluate.
    metrics
        As for evaluate.
    features
        As for evaluate.
    n
        As for evaluate.
    seed
        Of the samples.
    checkpoint
        last, best (by the held-out score), or a number of images.
    out
        The page [default: report.html in the run folder].
    device
        auto, cpu, cuda, mps.
    """
    from evenodds.cli.bar import Steps
    from evenodds.evaluation.report import report as write
    from evenodds.runs.session import load

    session = load(run, checkpoint, device)
    with Steps() as step:
        written = write(
            session, out, against=against, metrics=split(metrics), features=features, n=n, seed=seed, step=step
        )
    for path in written:
        print(path)


@app.command(name="list")
def list_(kind: str = "kinds") -> None:
    """List what can be named: losses, networks, recipes, sources, features, metrics, settings, ...

    Parameters
    ----------
    kind
        What to list.
    """
    from evenodds.runs.find import KINDS, describe

    if kind == "kinds":
        rows = [(plural, f"evenodds list {plural}") for plural in [*KINDS, "metrics", "settings"]]
    elif kind == "metrics":
        from evenodds.evaluation.measures import documented as metrics

        rows = metrics()
    elif kind == "settings":
        from evenodds.runs.config import documented

        rows = [(key, f"{note} [{default}]") for key, default, note in documented()]
    else:
        rows = describe(kind)
    width = max(len(name) for name, _ in rows)
    for name, note in rows:
        print(f"{name:<{width}}  {note}")


@app.command
def show(run: Path) -> None:
    """Show what a run is and how it stands.

    Parameters
    ----------
    run
        The run folder.
    """
    from evenodds.runs.summary import summary

    for name, value in summary(run).items():
        print(f"{name:<14}  {value}")


def parsed(settings: list[str] | None) -> dict[str, Any]:
    """`key=value` words as a mapping."""
    pairs = [text.partition("=") for text in settings or []]
    for key, sign, _ in pairs:
        if not sign or not key:
            raise BadInput(f"--set takes key=value, got '{key}'; for example --set learning_rate=0.001")
    return {key.strip(): value for key, _, value in pairs}


def numbers(given: list[str] | None) -> dict[str, float] | None:
    """`name=number` words as a mapping."""
    from evenodds.runs.values import as_number

    if given is None:
        return None
    found = {}
    for text in given:
        name, _, value = text.partition("=")
        number = as_number(value)
        if not name or number is None:
            raise BadInput(f"--given takes name=number, got '{text}'; for example --given angle=30")
        found[name.strip()] = float(number)
    return found


def split(names: list[str] | None) -> list[str] | None:
    """Names given one by one or with commas between them."""
    return None if names is None else [part for name in names for part in name.split(",") if part]


def conclude(session: Any) -> None:
    """Says where everything is and what to do next."""
    from evenodds.apply.finish import finish

    for path in finish(session):
        print(path)
    folder = session.folder
    verdict = next((line for line in reversed(session.history()) if "verdict" in line), None)
    if verdict is not None:
        say(f"how it went:   {verdict['verdict']}: {verdict['why']}")
    if session.images < session.config.images:
        say(f"stopped at {session.images:,} of {session.config.images:,} images; everything is saved")
        say(f"go on with:    {command()} resume {folder}")
        return
    say(f"done: {session.images:,} images; all files are in {folder}, explained in {folder / 'README.txt'}")
    say(f"its figures:   {command()} show {folder}")
    if not session.draws:
        say(f"put it to work: {command()} {session.command} {folder} IN OUT")
        return
    say(f"more samples:  {command()} sample {folder} -n 100 --grid more.png")
    say(f"how good it is: {command()} report {folder}")
    say(f"your own data: {command()} train gray-28 --data FOLDER --budget 10m")


def command() -> str:
    """What to type to run evenodds here: its name where the shell finds it, else what was typed."""
    if shutil.which("evenodds"):
        return "evenodds"
    return "python -m evenodds" if sys.argv[0].endswith("__main__.py") else sys.argv[0]
