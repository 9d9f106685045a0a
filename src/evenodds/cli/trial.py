"""The command that tests whether synthetic images or rows help a classifier: trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from evenodds.cli.allow import loads
from evenodds.cli.app import Json, Settings, Words, app, listed_names, typed_settings
from evenodds.cli.ranges import real, whole
from evenodds.errors import BadInput
from evenodds.files.terminal import result_json, result_table, say

__all__ = ["trial"]


@Parameter(name="*")
@dataclass(frozen=True)
class Design:
    """The flags that say what is compared, and on what folds."""

    classifier: Annotated[
        str | None,
        Parameter(
            help="small (a network), of scikit-learn: sklearn (a random forest), boosting (of trees), logistic "
            "(regression), or module:Name of your own with fit and predict_proba [default: small; of tables boosting]."
        ),
    ] = None
    budget: Annotated[
        str | None,
        Parameter(
            help="Wall-clock time, e.g. 10m; shared over generators and classifiers by a measured plan [default: 30m, "
            "or more where the data need it]."
        ),
    ] = None
    seeds: Annotated[int, whole(2, 1_000, help="Each has test images, first weights and a generator of its own.")] = 5
    arms: Annotated[
        Words,
        Parameter(
            help="Some of weights oversampling classical smote gan gan_classical; real is always there [default: all]."
        ),
    ] = None
    ratio: Annotated[
        float,
        real(
            0,
            1_000,
            above=True,
            help="Synthetic images for each real one of the largest class; smaller classes get as many in all.",
        ),
    ] = 1.0
    share: Annotated[
        float | None,
        real(
            0,
            0.9,
            help="Synthetic part of what the classifier sees of the class that lacks most, beside classical "
            "augmentation [default: 0, 0.25 or 0.5, chosen inside the training images].",
        ),
    ] = None
    agreement: Annotated[
        bool,
        Parameter(
            help="Use only synthetic items that a small classifier, fitted to the training items and their changed "
            "copies, takes for their class."
        ),
    ] = True


@Parameter(name="*")
@dataclass(frozen=True)
class Generators:
    """The flags of the generators: of those that are trained, and of the run whose generator is taken."""

    recipe: Annotated[str | None, Parameter(help="Of the generators [default: by the images' size].")] = None
    settings: Annotated[Settings, Parameter(help="Of the generators: --set generator.width=32.")] = None
    label: Annotated[str | None, Parameter(help="Of a table: the column that names the class.")] = None
    size: Annotated[int | None, whole(1, 16_384, help="Side in pixels to which images of folders are brought.")] = None
    checkpoint: Annotated[str | None, Parameter(help="Of the run [default: last].")] = None
    device: Annotated[str, Parameter(help="Of the generators: auto, cpu, cuda, mps.")] = "auto"


DESIGN, GENERATORS = Design(), Generators()


@app.command
@loads
def trial(
    *,
    data: str | None = None,
    run: Path | None = None,
    design: Design = DESIGN,
    generators: Generators = GENERATORS,
    out: Path | None = None,
    json: Json = False,
) -> None:
    """Find out whether synthetic data help a classifier on your data: HELPS, NO EFFECT, HURTS or CANNOT TELL, and why.

    Every way is tried on the same folds: real images only, class weights, random oversampling, classical augmentation,
    SMOTE, GAN images, GAN images + classical. Given again with the same --out, it goes on where it was stopped.

    Parameters
    ----------
    data
        Labelled images: class folders or an archive of them, or an .npz with x and y; or a table, with --label
        [default: those of the run].
    run
        A run to take the images from, in place of training a generator for each seed; only what it held out is
        tested on.
    out
        Folder of the result [default: trials/<data>-<n>].
    """
    from evenodds.cli.bar import Inner, Steps, reading
    from evenodds.evaluation.trial.classifiers import classifier as classifier_named
    from evenodds.evaluation.trial.play import trial as play
    from evenodds.evaluation.trial.prepare import from_data, from_run
    from evenodds.evaluation.trial.written import table, write
    from evenodds.files.outputs import require_writable
    from evenodds.runs.folders import as_seconds, base_of, locked_folder

    require_writable(out if out is not None else Path("trials"), "name a folder elsewhere with --out")
    tested = None if design.classifier is None else classifier_named(design.classifier)
    seconds, bar = as_seconds(design.budget), Steps()
    if run is not None:
        _of_trained_generators(generators)
        checkpoint = generators.checkpoint or "last"
        prepared = from_run(run, data, design.seeds, checkpoint, generators.device, reading)
    else:
        if generators.checkpoint is not None:
            raise BadInput("--checkpoint is of a run whose generator is taken; add --run, or leave it out")
        device = None if generators.device == "auto" else generators.device
        values = {"device": "auto", **typed_settings({"device": device}, generators.settings)}
        prepared = from_data(
            data,
            generators.recipe,
            values,
            generators.size,
            lambda: [Inner(bar, "training a generator")],
            reading,
            generators.label,
        )
    if tested is None:
        tested = classifier_named("small" if prepared.data.kind == "image" else "boosting")
    for line in prepared.data.report:
        say(line)
    base = base_of(Path("trials"), data, out, say)
    with locked_folder(out, base, Path(data or run or "").stem, "trial") as folder, bar as step:
        content = play(
            prepared.data, folder, prepared.maker, classifier=tested, seeds=design.seeds,
            arms=listed_names(design.arms), splitter=prepared.splitter, ratio=design.ratio, budget=seconds,
            share=design.share, agreeing=design.agreement, step=step, say=say,
        )  # fmt: skip
        for path in write(content, folder, prepared.data):
            say(f"written: {path}")
    if json:
        result_json(content)
    else:
        result_table(table(content).split("\n"))


def _of_trained_generators(flags: Generators) -> None:
    """BadInput where a flag says how generators are trained, beside a run whose generator is taken."""
    values = {"--recipe": flags.recipe, "--set": flags.settings, "--label": flags.label, "--size": flags.size}
    if given := [flag for flag, value in values.items() if value is not None]:
        raise BadInput(f"{given[0]} trains a generator, and --run takes that of a run; leave one out")
