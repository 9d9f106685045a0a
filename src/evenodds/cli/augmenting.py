"""The commands for whoever trains a classifier: augment, trial."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from evenodds.cli.commands import Device, Names, Settings, app, parsed, say, split

__all__ = ["augment", "trial"]


@app.command
def augment(
    run: Path,
    *,
    to: Path,
    per_class: int | None = None,
    balance: Annotated[bool, Parameter(negative="")] = False,
    filters: Names = None,
    tries: int = 50,
    seed: int = 0,
    checkpoint: str = "last",
    device: Device = "auto",
) -> None:
    """Write a folder of synthetic images by class, filtered and counted: data for any classifier.

    Whether they help a classifier is another question: ask `evenodds trial`.

    Parameters
    ----------
    run
        The run folder, of the task condition.
    to
        The folder to make: class folders, labels.csv, manifest.json.
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
    checkpoint
        last, best (by the held-out score), or a number of images.
    device
        auto, cpu, cuda, mps.
    """
    from evenodds.apply.augment import augment as write
    from evenodds.cli.bar import Steps
    from evenodds.runs.session import load

    session, names = load(run, checkpoint, device), split(filters)
    with Steps() as step:
        manifest = write(
            session,
            to,
            per_class=per_class,
            balance=balance,
            filters=[] if names == ["none"] else names,
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
    print(to)


@app.command
def trial(
    *,
    data: str | None = None,
    run: Path | None = None,
    classifier: str = "small",
    budget: str = "30m",
    seeds: int = 5,
    arms: Names = None,
    ratio: float = 1.0,
    agreement: Annotated[bool, Parameter(negative="")] = False,
    recipe: str | None = None,
    settings: Settings = None,
    size: int | None = None,
    out: Path | None = None,
    checkpoint: str = "last",
    device: Device = "auto",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Find out whether synthetic images help a classifier on your data: HELPS, NO EFFECT or HURTS, and why.

    Every way is tried on the same folds: real images only, class weights, random oversampling, classical augmentation,
    SMOTE, GAN images, GAN images + classical. Given again with the same --out, it goes on where it was stopped.

    Parameters
    ----------
    data
        Labelled images: class folders or a zip of them, or an .npz with x and y [default: those of the run].
    run
        A run to take the images from, in place of training a generator for each seed; only what it held out is
        tested on.
    classifier
        small (a convolutional network), sklearn (a random forest), or module:Name of your own with fit and
        predict_proba.
    budget
        Wall-clock time, e.g. 10m; shared over generators and classifiers by a measured plan.
    seeds
        Each has test images, first weights and a generator of its own.
    arms
        Some of weights oversampling classical smote gan gan_classical; real is always there [default: all].
    ratio
        Synthetic images for each real one of the largest class; smaller classes get as many in all.
    agreement
        Use only synthetic images that a small classifier, fitted to the training images, takes for their class.
    recipe
        Of the generators [default: by the images' size].
    settings
        Of the generators: --set generator.width=32.
    size
        Side in pixels to which images of folders are brought.
    out
        Folder of the result [default: trials/<data>-<n>].
    checkpoint
        Of the run.
    device
        Of the generators: auto, cpu, cuda, mps.
    json
        Print the result as JSON, and nothing else, on standard output.
    """
    import json as to_json

    from evenodds.cli.bar import Inner, Steps, reading
    from evenodds.data.sources import load, options_of
    from evenodds.errors import BadInput
    from evenodds.evaluation.trial.classifiers import classifier as named
    from evenodds.evaluation.trial.generators import ConditionalRun
    from evenodds.evaluation.trial.play import trial as play
    from evenodds.evaluation.trial.written import table, write
    from evenodds.runs.folders import as_seconds, next_folder

    if data is None and run is None:
        raise BadInput("a trial needs --data: class folders, a zip of them, or an .npz with x and y")
    tested = named(classifier)
    seconds, bar = as_seconds(budget) or 0.0, Steps()
    settled = {"device": device, **parsed(settings)}
    deal, maker = None, ConditionalRun(recipe, settled, lambda: [Inner(bar, "training a generator")])
    if run is not None:
        maker, items = _finished(run, data, checkpoint, device)
        deal = maker.deal(items, seeds)
    else:
        wished: dict[str, Any] = {} if size is None or "size" not in options_of(data) else {"size": size}
        items = load(data, reading, **wished)
    for line in items.report:
        say(line)
    folder = out or next_folder(Path("trials"), Path(data or run or "").stem)
    say(f"cells are kept in {folder}; the same command with --out {folder} goes on with them")
    with bar as step:
        result = play(
            items, folder, maker, classifier=tested, seeds=seeds, arms=split(arms), deal=deal, ratio=ratio,
            budget=seconds, agreeing=agreement, step=step, say=say,
        )  # fmt: skip
    for path in write(result, folder, items):
        say(f"written: {path}")
    print(to_json.dumps(result, indent=2) if json else table(result))


def _finished(run: Path, data: str | None, checkpoint: str, device: str) -> tuple[Any, Any]:
    """A finished run as a maker, and its data."""
    from evenodds.cli.bar import reading
    from evenodds.data.sources import load_like
    from evenodds.evaluation.trial.generators import FinishedRun
    from evenodds.runs.build import open_data
    from evenodds.runs.session import load

    session = load(run, checkpoint, device)
    items = open_data(session.config, reading) if data is None else load_like(data, session.card, "the data", reading)
    return FinishedRun(session), items
