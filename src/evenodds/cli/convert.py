"""The commands that take images and give back images: upscale, translate, segment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from evenodds.cli.allow import loads
from evenodds.cli.app import Checkpoint, Device, Switch, app
from evenodds.cli.opening import RunOrModel, is_alone, require_order, run_or_model
from evenodds.cli.ranges import Pixels, real, whole
from evenodds.errors import BadInput
from evenodds.files.process import is_follower
from evenodds.files.terminal import result, result_table, say

if TYPE_CHECKING:
    from evenodds.apply.folder import Converted
    from evenodds.runs.maker import Maker
    from evenodds.runs.session import Session

__all__ = ["Again", "segment", "translate", "upscale"]

Source = Annotated[Path, Parameter(help="An image; or a folder, searched through and through, or archive of images.")]
Out = Annotated[Path, Parameter(help="A PNG for one image; a folder for many, which keeps their names and folders.")]
Mix = Annotated[
    float | None,
    real(
        0,
        1,
        help="From 0, the network before its adversary came (least errors), to 1, the final one (most detail) "
        "[default: 1].",
    ),
]
TrueImages = Annotated[
    Path | None,
    Parameter(help="True images of the same names, to score the results by: PSNR, SSIM; written to scores.json."),
]
Again = Annotated[
    bool,
    Parameter(
        negative="",
        help="Make images anew that an earlier call wrote [default: leave them, so that an interrupted folder goes "
        "on]. Files that this command did not write, or that were changed since, are never replaced.",
    ),
]
Tile = Annotated[
    int | None,
    whole(
        1, 65_536, help="Longest side in pixels of what the network sees at once [default: what pays, below 400 MiB]."
    ),
]


Ensemble = Annotated[
    bool,
    Parameter(
        negative="",
        help="Answer by the mean of eight: of each image as it is, mirrored, and turned by quarters. Fewer errors, in "
        "eight times the time.",
    ),
]

Back = Annotated[
    bool,
    Parameter(
        negative="",
        help="Make images like the sources of images like the targets: of a run that learned both ways (train cycle).",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True)
class Flags:
    """The flags of a conversion of images to images, and what segmentation takes of them, or translation alone."""

    mix: Mix = None
    ensemble: Ensemble = False
    looks: Annotated[Mapping[str, Any], Parameter(show=False, parse=False)] = field(default_factory=dict)
    back: Annotated[bool, Parameter(show=False, parse=False)] = False
    against: TrueImages = None
    again: Again = False
    tile: Tile = None
    most_pixels: Pixels = None
    checkpoint: Checkpoint = "last"
    device: Device = "auto"


DEFAULTS = Flags()


@app.command
@loads
def upscale(run: RunOrModel, source: Source, out: Out, *, flags: Flags = DEFAULTS) -> int:
    """Enlarge an image, or all images of a folder or archive, by a run that learned it (train upscale-x4, say).

    Images keep their kind: grey stays grey, 16 bits stay 16, transparency stays. Status 1 says that some files could
    not be done; all others were.
    """
    return _converted("upscale", run, source, out, flags)


@app.command
@loads
def translate(run: RunOrModel, source: Source, out: Out, *, back: Back = False, flags: Flags = DEFAULTS) -> int:
    """Make an image of an image, or of all of a folder or archive, by a run that learned it (train denoise, say).

    Status 1 says that some files could not be done; all others were.
    """
    return _converted("translate", run, source, out, replace(flags, back=back))


@app.command
@loads
def segment(
    run: RunOrModel,
    source: Source,
    out: Path,
    *,
    flips: Switch = False,
    larger: Annotated[float, real(1, 4)] = 1.0,
    against: Path | None = None,
    again: Switch = False,
    tile: Tile = None,
    most_pixels: Pixels = None,
    checkpoint: Checkpoint = "last",
    device: Device = "auto",
) -> int:
    """Say what each pixel shows, in an image or all images of a folder or archive, by a run that learned it.

    Maps have the values of those that the run was trained on, and its colours as a palette. Status 1 says that some
    files could not be done; all others were.

    Parameters
    ----------
    out
        A PNG for one image, beside which its overlay and the legend are put; or a folder, which gets labels/ with the
        maps, overlays/ with the images in the colours of their classes, and legend.png.
    flips
        Answer by the mean of the probabilities for each image and for its mirror image: better maps, in twice the time.
    larger
        Answer by the mean with the probabilities for each image enlarged so many times, such as 1.5. Better maps of a
        run that learned with task.zoom, and worse ones of another.
    against
        True maps of the same names, or several masks of an image each, to score the results by: intersection over
        union, boundary F-score, accuracy and the confusion matrix; written to scores.json.
    again
        Make maps anew that an earlier call wrote [default: leave them, so that an interrupted folder goes on]. Files
        that this command did not write, or that were changed since, are never replaced.
    """
    flags = Flags(
        looks={**({"flips": True} if flips else {}), **({"larger": larger} if larger != 1 else {})},
        against=against,
        again=again,
        tile=tile,
        most_pixels=most_pixels,
        checkpoint=checkpoint,
        device=device,
    )
    return _converted("segment", run, source, out, flags)


def _converted(command: str, run: Path, source: Path, out: Path, flags: Flags) -> int:
    """Converts, prints what was written, and scores it where there are true files; 1 where files were skipped.

    Several processes share the files of a folder; the first one concludes.
    """
    require_order(run, source, f"{command} RUN IN OUT")
    if is_alone(run, flags.checkpoint, flags.device) and flags.against is None:
        from evenodds.export.makers import maker_in

        if flags.mix is not None:
            raise BadInput(f"{run} holds one network, so there is nothing to mix; take the run itself for --mix")
        maker = maker_in(run, command)
        if flags.back:
            raise _one_way(run)
        if flags.looks:
            raise BadInput(
                f"{run} answers with labels, which have no mean; take the run itself for --flips and --larger"
            )
        return _concluded(_written(maker, source, out, flags), out)
    from evenodds.runs.following import company

    with company("start the command again, it goes on with what is left"):
        session, converted = _written_by_all(command, run, source, out, flags)
    if is_follower():
        return 0
    status = _concluded(converted, out)
    if flags.against is not None and (converted.written or converted.there):
        _score(session, source, out, flags)
    return status


def _concluded(converted: Converted, out: Path) -> int:
    """Says what became of the files, and where they are; 1 where some were skipped."""
    for line in converted.summary(out):
        say(line)
    if not converted.written and not converted.there:
        return 1
    result(out if out.is_dir() or len(converted.written) != 1 else converted.written[0])
    return 1 if converted.skipped else 0


def _written(maker: Maker, source: Path, out: Path, flags: Flags) -> Converted:
    """What became of the files."""
    from evenodds.apply.converting import Options, convert
    from evenodds.cli.bar import Steps

    options = Options(flags.tile, flags.again, flags.most_pixels, flags.ensemble)
    with Steps() as step:
        return convert(maker, source, out, options, step, say)


def _one_way(file: Path) -> BadInput:
    from evenodds.export.words import read_file

    words, _ = read_file(file)
    if words.back:
        return BadInput(f"{file} holds the way back, and takes no other; leave --back out")
    return BadInput(
        f"{file} makes targets of sources alone; take the run itself for --back, or its way back as a file, which "
        "`evenodds export RUN --back` writes"
    )


def _written_by_all(command: str, run: Path, source: Path, out: Path, flags: Flags) -> tuple[Session, Converted]:
    """The run, and what became of the files."""
    from evenodds.apply.converting import beside, outputs_of
    from evenodds.apply.folder import many
    from evenodds.apply.making import maker_of
    from evenodds.apply.samples import require_not_the_data
    from evenodds.evaluation.truth import require_apart, require_sizes
    from evenodds.runs.way_back import way_back

    session = run_or_model(run, flags.checkpoint, flags.device, "generator")
    if flags.back and session.file is not None:
        raise _one_way(run)
    if session.task.command != command:
        task, right = session.config.task.name, session.task.command
        raise BadInput(f"{run} is a run of the task {task}; put it to work with `evenodds {right}`")
    if flags.back:
        session = way_back(session)
    require_not_the_data(session, out if many(source) else out.parent)
    if flags.against is not None:
        require_apart(out, flags.against)
        outputs_of(command, out).require([beside(out, "scores.json")], [source, flags.against])
        require_sizes(session, source, out, flags.against, flags.most_pixels)
    zoom = getattr(session.task, "zoom", 1.0)
    if flags.looks.get("larger", 1) > zoom:
        say(f"{run} has seen nothing enlarged more than {zoom:g} times, so its maps may be worse for it")
    return session, _written(maker_of(session, flags.mix, **flags.looks), source, out, flags)


def _score(session: Any, source: Path, out: Path, flags: Flags) -> None:
    from evenodds.apply.converting import beside, outputs_of
    from evenodds.cli.bar import Steps
    from evenodds.cli.tables import truth_table
    from evenodds.evaluation.truth import scored

    assert flags.against is not None
    with Steps() as step:
        scores = scored(session, source, out, flags.against, step, flags.most_pixels)
    for line in scores.report:
        say(line)
    for note in scores.notes:
        say(f"not scored: {note}")
    result_table(truth_table(scores))
    result(scores.write(beside(out, "scores.json"), outputs_of(session.task.command, out).replaced))
