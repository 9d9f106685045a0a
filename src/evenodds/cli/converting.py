"""The commands that take image files and give back image files: upscale, segment, translate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from evenodds.cli.commands import Device, app, say
from evenodds.errors import BadInput

__all__ = ["segment", "translate", "upscale"]

Switch = Annotated[bool, Parameter(negative="")]


@app.command
def upscale(
    run: Path,
    source: Path,
    out: Path,
    *,
    mix: float | None = None,
    against: Path | None = None,
    again: Switch = False,
    tile: int | None = None,
    checkpoint: str = "last",
    device: Device = "auto",
) -> int:
    """Enlarge an image, or all images of a folder or zip file, by a run that learned it (train upscale-x4, say).

    Images keep their kind: grey stays grey, 16 bits stay 16, transparency stays. Status 1 says that some files could
    not be done; all others were.

    Parameters
    ----------
    run
        The run folder.
    source
        An image; or a folder, searched through and through, or zip file of images.
    out
        A PNG for one image; a folder for many, which keeps their names and folders.
    mix
        From 0, the network before its adversary came (least errors), to 1, the final one (most detail) [default: 1].
    against
        True images of the same names, to score the results by: PSNR, SSIM; written to scores.json.
    again
        Make images anew that are there already [default: leave them, so that an interrupted folder goes on].
    tile
        Longest side in pixels of what the network sees at once [default: what pays, below 400 MiB].
    checkpoint
        last, best (by the held-out score), or a number of images.
    device
        auto, cpu, cuda, mps.
    """
    return _converted("upscale", run, source, out, mix, against, again, tile, checkpoint, device)


@app.command
def translate(
    run: Path,
    source: Path,
    out: Path,
    *,
    mix: float | None = None,
    against: Path | None = None,
    again: Switch = False,
    tile: int | None = None,
    checkpoint: str = "last",
    device: Device = "auto",
) -> int:
    """Make an image of an image, or of all of a folder or zip file, by a run that learned it (train denoise, say).

    Status 1 says that some files could not be done; all others were.

    Parameters
    ----------
    run
        The run folder.
    source
        An image; or a folder, searched through and through, or zip file of images.
    out
        A PNG for one image; a folder for many, which keeps their names and folders.
    mix
        From 0, the network before its adversary came (least errors), to 1, the final one (most detail) [default: 1].
    against
        True images of the same names, to score the results by: PSNR, SSIM; written to scores.json.
    again
        Make images anew that are there already [default: leave them, so that an interrupted folder goes on].
    tile
        Longest side in pixels of what the network sees at once [default: what pays, below 400 MiB].
    checkpoint
        last, best (by the held-out score), or a number of images.
    device
        auto, cpu, cuda, mps.
    """
    return _converted("translate", run, source, out, mix, against, again, tile, checkpoint, device)


@app.command
def segment(
    run: Path,
    source: Path,
    out: Path,
    *,
    against: Path | None = None,
    again: Switch = False,
    tile: int | None = None,
    checkpoint: str = "last",
    device: Device = "auto",
) -> int:
    """Say what each pixel shows, in an image or all images of a folder or zip file, by a run that learned it.

    Maps have the values of those that the run was trained on, and its colours as a palette. Status 1 says that some
    files could not be done; all others were.

    Parameters
    ----------
    run
        The run folder.
    source
        An image; or a folder, searched through and through, or zip file of images.
    out
        A PNG for one image, beside which its overlay and the legend are put; or a folder, which gets labels/ with the
        maps, overlays/ with the images in the colours of their classes, and legend.png.
    against
        True maps of the same names, to score the results by: intersection over union, accuracy and the confusion
        matrix; written to scores.json.
    again
        Make maps anew that are there already [default: leave them, so that an interrupted folder goes on].
    tile
        Longest side in pixels of what the network sees at once [default: what pays, below 400 MiB].
    checkpoint
        last, best (by the held-out score), or a number of images.
    device
        auto, cpu, cuda, mps.
    """
    return _converted("segment", run, source, out, None, against, again, tile, checkpoint, device)


def _converted(
    command: str,
    run: Path,
    source: Path,
    out: Path,
    mix: float | None,
    against: Path | None,
    again: bool,
    tile: int | None,
    checkpoint: str,
    device: str,
) -> int:
    """Does the work; 1 where files were skipped, else 0."""
    from evenodds.apply.converting import Options, convert
    from evenodds.cli.bar import Steps
    from evenodds.runs.session import load

    session = load(run, checkpoint, device)
    if session.command != command:
        raise BadInput(
            f"{run} is a run of the task {session.config.task.name}; put it to work with `evenodds {session.command}`"
        )
    with Steps() as step:
        found = convert(session, source, out, Options(mix, tile, again), step, say)
    for line in found.summary(out):
        say(line)
    if not found.written and not found.there:
        return 1
    print(out if out.is_dir() or len(found.written) != 1 else found.written[0])
    if against is not None:
        _score(session, source, out, against)
    return 1 if found.skipped else 0


def _score(session: Any, source: Path, out: Path, against: Path) -> None:
    from evenodds.cli.bar import Steps
    from evenodds.cli.tables import held_against
    from evenodds.evaluation.truth import scored

    with Steps() as step:
        scores = scored(session, source, out, against, step)
    for note in scores.notes:
        say(f"not scored: {note}")
    print(held_against(scores))
    one = out.suffix.lower() == ".png" and not out.is_dir()
    print(scores.write(out.with_name(f"{out.stem}-scores.json") if one else out / "scores.json"))
