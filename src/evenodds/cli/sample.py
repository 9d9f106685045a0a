"""The commands that draw samples: sample, augment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from evenodds.cli.allow import loads
from evenodds.cli.app import Checkpoint, Device, RunData, Switch, Words, app, assignments, listed_names, numbers
from evenodds.cli.opening import RunOrModel, run_or_model, without_torch
from evenodds.cli.ranges import Number, Seed, real, whole
from evenodds.errors import BadInput
from evenodds.files.terminal import result, say

if TYPE_CHECKING:
    from evenodds.export.alone import Alone
    from evenodds.runs.session import Session

__all__ = ["augment", "sample"]

PerClass = Annotated[int | None, whole(1, 10**6)]
IN_FILES = 64
"""Samples in a folder or an array, where their number was left open."""
WIDEST = 50
"""Samples in a row of a grid by class."""


@app.command
@loads
def sample(
    run: RunOrModel,
    *,
    n: Number = None,
    grid: Path | None = None,
    folder: Path | None = None,
    npz: Path | None = None,
    class_: Annotated[str | None, Parameter(name="--class")] = None,
    per_class: PerClass = None,
    given: Words = None,
    truncation: Annotated[float, real(0, 1, above=True)] = 1.0,
    select: str | None = None,
    steps: Annotated[int | None, whole(0, 10**6)] = None,
    rate: Annotated[float | None, real(0, 1, above=True)] = None,
    fit: Annotated[int | None, whole(1, 10**12)] = None,
    data: RunData = None,
    seed: Seed = 0,
    checkpoint: Checkpoint = "last",
    device: Device = "auto",
) -> None:
    """Draw samples: a picture of a grid, a folder of files, or an array.

    Parameters
    ----------
    n
        How many [default: 64; of points and rows in a picture alone, which shows their density, 10,000].
    grid
        One picture of all samples, with --per-class 2 to 50 a row for each class [default, where nothing else is asked
        for: samples.png in the run folder].
    folder
        One PNG per sample (a CSV file for tables). Samples of an earlier call there are replaced; of other files none
        is touched.
    npz
        An array, in a file of exactly this name: key x in the data's own units, uint8 for 8-bit images, float64 for
        tables of numbers, text for others; key y of a conditional run.
    class_
        Of a conditional run, samples of this class only.
    per_class
        Of a conditional run, so many samples of every class; a folder then holds one folder for each, and labels.csv
        with the true names of the classes.
    given
        Of a run that is conditional on values or attributes, a number for each: --given angle=30 thickness=2. Of a
        table, what some columns are to hold: --given city=Bonn age=30..40; rows are drawn until enough have it.
    truncation
        Factor on z, or on w of a style-based generator, in (0, 1]: lower is truer to the data, and more alike; 1 is
        plain sampling.
    select
        Pick samples by the discriminator: budgeted, rejection or langevin (see: evenodds list selections).
    steps
        Of langevin, how far z walks [default: 100].
    rate
        Of rejection, the share of samples to keep [default: 0.2]; of budgeted, the least share [default: 0.8].
    fit
        With --select, first fit the discriminator on so many real images, such as 1M, against fresh samples, while the
        generator stays as it is: its logits become log ratios of densities. Kept in the run folder.
    seed
        The same seed gives the same samples.
    """
    options = {name: value for name, value in (("steps", steps), ("rate", rate)) if value is not None}
    if fit is None and data is not None:
        raise BadInput("--data says where the data lie that --fit reads; add --fit 1M, or leave --data out")
    if fit is not None and select is None:
        raise BadInput("--fit is for samples that the discriminator selects; add --select budgeted, or leave it out")
    if select is not None:
        from evenodds.runs.find import find
        from evenodds.runs.options import accepts

        takes = accepts(find("selections", select))  # what is not there is said before anything is fitted
        for name in options:
            if name not in takes:
                raise BadInput(f"--select {select} takes no --{name}; leave --{name} out")
    places = {"grid": grid, "folder": folder, "npz": npz}
    plain = given is None and select is None and not options
    model = without_torch(run, truncation, checkpoint, device) if plain else None
    if model is not None:
        samples = _drawn_without_torch(model, truncation)
        wanted = _wanted(samples.session, n, seed, class_, per_class, places)
    else:
        session = run_or_model(run, checkpoint, device, "generator")
        session.require_samples()
        wanted = _wanted(session, n, seed, class_, per_class, places, given is not None)
        samples = _drawn(session, given, wanted.y, fit, data, {"truncation": truncation, "select": select, **options})
    _write(samples, wanted)


def _fitted(session: Session, images: int, data: str | None) -> Session:
    from evenodds.apply.density_ratio import ratio_of
    from evenodds.cli.bar import Bar

    return ratio_of(session, images, data, listeners=(Bar(),), say=say)


@dataclass(frozen=True)
class _Samples:
    """What draws samples, and how.

    Args:
        session: a run, or what stands in for it without torch.
        draw: (n, seed, classes) -> samples and, of runs that are conditional on values, these in their own units.
    """

    session: Session
    draw: Callable[[int, int, Sequence[int] | None], tuple[Any, Any]]


def _drawn_without_torch(model: Alone, truncation: float) -> _Samples:
    def draw(n: int, seed: int, y: Sequence[int] | None) -> tuple[Any, None]:
        return model.numbers(n, seed, y, truncation), None

    return _Samples(cast("Session", model), draw)


def _drawn(
    session: Session,
    given: list[str] | None,
    y: Sequence[int] | None,
    fit: int | None,
    data: str | None,
    options: Mapping[str, Any],
) -> _Samples:
    """What draws the samples; what cannot be drawn is refused before a discriminator is fitted for them."""
    from evenodds.apply.asked_rows import RowFilter, matching_rows
    from evenodds.apply.selecting import require_drawable
    from evenodds.apply.selecting import sample as selected

    if given is not None and session.conditions.by_class:
        raise BadInput(
            f"this run makes {'rows' if session.card.units.columns else 'samples'} by class: ask for one with --class "
            f"'{session.card.classes[0]}'; --given is for runs on values, or on tables with --set task=generate"
        )
    by_row = given is not None and session.conditions.kind is None and bool(session.card.units.columns)
    if given is not None and not by_row and session.conditions.kind is None:
        session.conditions.to_model(given={})  # says that nothing can be asked for
    asked = None if by_row else numbers(given)
    if by_row:
        RowFilter.of(session.card.units.columns, assignments(given))
    require_drawable(session, y, asked, **options)
    if fit is not None:
        session = _fitted(session, fit, data)

    def draw(n: int, seed: int, y: Sequence[int] | None) -> tuple[Any, Any]:
        def some(count: int, seed: int) -> Any:
            return selected(session, count, seed, y, asked, say=say, **options)

        x = matching_rows(session, n, seed, assignments(given), some) if by_row else some(n, seed)
        return x, session.conditions.in_own_units(n, seed, y, asked)

    return _Samples(session, draw)


@dataclass(frozen=True)
class _Wanted:
    """What is asked for: how many samples, of which classes, and where they are to be written."""

    n: int
    seed: int
    y: list[int] | None
    per_class: int | None
    places: Mapping[str, Path | None]


def _wanted(
    session: Session,
    n: int | None,
    seed: int,
    name: str | None,
    per_class: int | None,
    places: Mapping[str, Path | None],
    asked: bool = False,
) -> _Wanted:
    """BadInput, before any work, where it cannot be drawn or written.

    Args:
        n: None where it was left open: as many as a picture shows, in files 64.
        asked: whether samples have to hold what was given, so that many may be drawn for each.
        name: of the only class.
        per_class: how many of each.
    """
    from evenodds.apply.samples import requested_labels, require_places

    if not any(places.values()):
        places = {"grid": session.folder / "samples.png"}
    require_places(session, **places)
    in_files = asked or places.get("folder") or places.get("npz")
    count = n if n is not None else IN_FILES if in_files else session.card.pictured
    y = requested_labels(session, count, name, per_class, seed)
    if n is not None and per_class is not None:
        raise BadInput("--per-class says how many samples there are, and so does -n; give one of the two")
    return _Wanted(count if y is None else len(y), seed, y, per_class, places)


def _write(samples: _Samples, wanted: _Wanted) -> None:
    """Draws samples, writes them where they are asked for, and prints the places."""
    from evenodds.apply.samples import write_samples

    session, y, per_class, places = samples.session, wanted.y, wanted.per_class, wanted.places
    x, c = samples.draw(wanted.n, wanted.seed, y)
    columns = per_class if per_class is not None and 1 < per_class <= WIDEST else None
    for path in write_samples(session, x, y, **places, columns=columns, c=c):
        result(path)
    if places.get("folder") is not None and session.card.kind == "image" and session.card.units.dtype == "float32":
        say("the pictures show the numbers in 8 bits; --npz FILE keeps them as they are")


@app.command
@loads
def augment(
    run: Path,
    *,
    to: Path,
    per_class: PerClass = None,
    balance: Switch = False,
    filters: Words = None,
    data: RunData = None,
    tries: Annotated[int, whole(1, 10**6)] = 50,
    seed: Seed = 0,
    checkpoint: Checkpoint = "last",
    device: Device = "auto",
) -> None:
    """Write a folder of synthetic images by class, filtered and counted: data for any classifier.

    Whether they help a classifier is another question: ask `evenodds trial`.

    Parameters
    ----------
    run
        The run folder, of the task condition.
    to
        The folder to make: class folders, labels.csv, manifest.json. It must not be there, or be empty.
    per_class
        So many images of every class.
    balance
        As many as each class lacks against the largest.
    filters
        discriminator agreement copies duplicates, or none [default: the last three].
    tries
        At most so many draws for each image that is asked for.
    seed
        The same seed gives the same files.
    """
    from evenodds.apply.augment import augment as write
    from evenodds.cli.bar import Steps
    from evenodds.runs.session import load

    session, names = load(run, checkpoint, device), listed_names(filters)
    session.require_samples()
    with Steps() as step:
        manifest = write(
            session,
            to,
            per_class=per_class,
            balance=balance,
            filters=[] if names == ["none"] else names,
            data=data,
            seed=seed,
            tries=tries,
            checkpoint=checkpoint,
            step=step,
            say=say,
        )
    for name in manifest["filters"]:
        passed, refused = (sum(c[what][name] for c in manifest["classes"].values()) for what in ("passed", "refused"))
        say(f"{name}: {passed:,} passed, {refused:,} refused")
    say(f"{manifest['written']:,} images in {len(manifest['classes'])} classes; how they were made: {to}/manifest.json")
    result(to)
