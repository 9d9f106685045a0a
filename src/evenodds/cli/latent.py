"""The commands on what a run has learned: walk, directions, encode, reconstruct, features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from evenodds.cli.allow import loads
from evenodds.cli.app import Checkpoint, Device, Run, app
from evenodds.cli.opening import RunOrModel, beside, is_alone, run_or_model
from evenodds.cli.ranges import SEEDS, EncoderImages, Pixels, Seed, real, whole
from evenodds.data.wording import count
from evenodds.errors import BadInput, unknown
from evenodds.files.terminal import result, say

__all__ = ["directions", "encode", "features", "reconstruct", "walk"]

Data = Annotated[
    str | None,
    Parameter(help="Folder, archive or list of images, array, or table [default: the data of the run]."),
]
Refinement = Annotated[int, whole(0, 10**6, help="Of refinement by descent in z.")]


@Parameter(name="*")
@dataclass(frozen=True)
class EncoderFlags:
    """The flags of commands that find the z of data by an encoder."""

    images: EncoderImages = None
    most_pixels: Pixels = None
    checkpoint: Checkpoint = "last"
    device: Device = "auto"


DEFAULTS = EncoderFlags()


@app.command
@loads
def walk(
    run: Run,
    *,
    out: Path | None = None,
    steps: Annotated[int, whole(1, 100_000)] = 48,
    stops: Annotated[int | None, whole(1, 100_000)] = None,
    seed: Annotated[int | None, SEEDS] = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    checkpoint: Checkpoint = "last",
    device: Device = "auto",
) -> None:
    """Walk through the latent space: a GIF, or a strip where the name ends in .png.

    Parameters
    ----------
    out
        The file to write [default: walk.gif in the run folder].
    steps
        Frames in all.
    stops
        Random points on the way; the walk closes [default: 4].
    seed
        Of the points [default: 0].
    from_
        An image to walk from, with --to; their z are found as by `evenodds encode`.
    to
        An image to walk to.
    """
    from evenodds.apply.encoding import walk_between_images
    from evenodds.apply.samples import require_picture_place, write_walk
    from evenodds.cli.bar import Bar
    from evenodds.runs.session import load

    session, path = load(run, checkpoint, device), out or run / "walk.gif"
    session.require_samples()
    require_picture_place(session, path, "walk", (from_, to))
    if from_ is not None or to is not None:
        if (stops, seed) != (None, None):
            raise BadInput("a walk between two images has no random points; leave --stops and --seed out")
        result(walk_between_images(session, from_, to, path, steps, (Bar("an encoder"),)))
        return
    result(write_walk(session, path, steps, 4 if stops is None else stops, seed or 0))


@app.command
@loads
def directions(
    run: Run,
    *,
    n: Annotated[int | None, whole(1, 65_536)] = None,
    how: str = "jacobian",
    by: Annotated[float | None, real(-(10**6), 10**6)] = None,
    class_: Annotated[str | None, Parameter(name="--class")] = None,
    move: Annotated[int | None, whole(1, 65_536)] = None,
    samples: Annotated[int | None, whole(1, 100_000)] = None,
    seed: Seed = 0,
    out: Path | None = None,
    checkpoint: Checkpoint = "last",
    device: Device = "auto",
) -> None:
    """Find the directions of z along which samples change most: a sheet with a row for each, or samples moved by one.

    Parameters
    ----------
    n
        How many directions, the strongest first [default: 8, or all where z is shorter].
    how
        jacobian (of the whole generator), weights (of its first layer), or codes: the categories and values of a run
        with a code, as of the recipe codes.
    by
        How far to go, in units of z; the sheet goes from -by to by [default: 3, or 1.5 for codes].
    class_
        Of a conditional run, the class within which to move [default: the first].
    move
        Number of a direction, from 1: draw samples above the same samples moved along it.
    samples
        How many of them [default: 16].
    seed
        Of the samples.
    out
        The picture to write [default: directions.png or moved.png in the run folder].
    """
    from evenodds.apply.direction_sheets import (
        directions_of,
        require_images,
        write_code_sheet,
        write_directions,
        write_moved,
    )
    from evenodds.apply.latent import HOWS
    from evenodds.apply.samples import require_picture_place
    from evenodds.runs.session import load

    session = load(run, checkpoint, device)
    session.require_samples()
    require_images(session)
    if how not in (*HOWS, "codes"):
        raise unknown("way to find directions", how, (*HOWS, "codes"))
    path = out or run / ("directions.png" if move is None else "moved.png")
    require_picture_place(session, path, "directions")
    if samples is not None and move is None:
        raise BadInput("--samples are moved along one direction; add --move 1, or leave --samples out")
    if how != "codes" and move is not None and n is not None:
        raise BadInput("--move names one direction, and --n is how many are drawn in a sheet; leave --n out")
    if how == "codes":
        if (move, n, class_) != (None, None, None):
            raise BadInput(
                "--how codes draws all categories and values in one sheet; leave --n, --move and --class out"
            )
        result(write_code_sheet(session, path, 1.5 if by is None else by, seed=seed))
        return
    by, c = 3.0 if by is None else by, None
    if class_ is not None:
        session.conditions.require_by_class()
        c = session.conditions.to_model(y=[session.card.class_number(class_)])
    if move is None:
        steps = directions_of(session, min(8, session.latent.size) if n is None else n, how, c)
        result(write_directions(session, path, steps, by, seed=seed, c=c))
        return
    direction = directions_of(session, move, how, c)[move - 1]
    result(write_moved(session, path, direction, by, 16 if samples is None else samples, seed, c))


@app.command
@loads
def encode(
    run: Path,
    data: Data = None,
    *,
    out: Path | None = None,
    steps: Refinement = 0,
    flags: EncoderFlags = DEFAULTS,
) -> None:
    """Find the z of data: by a network that learns it from the run's own samples at the first call.

    Parameters
    ----------
    run
        The run folder, where the network stays; or an .onnx file that encodes.
    out
        The .npz to write: z (N, latent), y and names where known [default: codes.npz in the run folder].
    """
    path = out or beside(run) / "codes.npz"
    if is_alone(run, flags.checkpoint, flags.device):
        if steps:
            raise BadInput("an exported encoder has no generator to refine z by; leave --steps at 0, or take the run")
        if flags.images is not None:
            raise BadInput("an exported encoder has learned all that it will; leave --images out")
        arrays = _read_alone("encode", run, data, path, flags.most_pixels)
        if arrays is not None:
            say(count(len(arrays["z"]), "item"))
            return result(path)
    from evenodds.apply.inversion import write_codes

    session, items, codes = _encoded("encode", run, data, path, steps, flags)
    write_codes(session, data, codes, items, path)
    say(f"{count(len(codes.z), 'item')}{_apart(codes.error)}")
    result(path)


def _apart(error: float | None) -> str:
    """How far the generator's answer is from the items; empty where that is not known."""
    return "" if error is None else f"; the generator's answer differs from them by {error:.3f} (root mean square)"


@app.command
@loads
def reconstruct(
    run: Run,
    data: Annotated[
        str | None, Parameter(help="Folder or archive of images, or array [default: the data of the run].")
    ] = None,
    *,
    out: Path | None = None,
    steps: Refinement = 100,
    n: Annotated[int, whole(1, 100_000)] = 32,
    flags: EncoderFlags = DEFAULTS,
) -> None:
    """Draw images above what the generator makes of their z.

    Parameters
    ----------
    out
        The picture to write [default: reconstructions.png in the run folder].
    n
        At most so many, spread over the data.
    """
    from evenodds.apply.inversion import write_reconstructions

    path = out or run / "reconstructions.png"
    session, items, codes = _encoded("reconstruct", run, data, path, steps, flags, n)
    say(f"root mean squared difference {codes.error:.3f}, of values in [-1, 1]")
    result(write_reconstructions(session, items, codes, path))


def _encoded(
    command: str, run: Path, data: str | None, path: Path, steps: int, flags: EncoderFlags, n: int | None = None
) -> tuple[Any, Any, Any]:
    """The run, the items and their codes; BadInput where the command may not write to `path`."""
    from evenodds.apply.encoding import encoded
    from evenodds.apply.inversion import require_pictures
    from evenodds.apply.samples import require_not_the_data
    from evenodds.cli.bar import Bar, reading
    from evenodds.files.outputs import require_owned

    session = run_or_model(run, flags.checkpoint, flags.device, "encoder")
    session.require_samples()
    if command == "reconstruct":
        require_pictures(session)
        require_not_the_data(session, path.parent)
    require_owned(path, command, inputs=(data,))
    return session, *encoded(session, data, steps, flags.images, n, (Bar("an encoder"),), reading, flags.most_pixels)


@app.command
@loads
def features(
    run: RunOrModel,
    data: Data = None,
    *,
    out: Path | None = None,
    most_pixels: Pixels = None,
    checkpoint: Checkpoint = "last",
    device: Device = "auto",
) -> None:
    """Write what a run's discriminator sees in data: inputs for a classifier where labels are few.

    Parameters
    ----------
    out
        The .npz to write: features (N, F), y and names where known; of a run with a code (codes, infogan) also the
        category that is read in each item, its probabilities, and the values [default: features.npz in the run folder].
    """
    if is_alone(run, checkpoint, device):
        path = out or beside(run) / "features.npz"
        arrays = _read_alone("features", run, data, path, most_pixels)
        if arrays is not None:
            say(f"{count(len(arrays['features']), 'item')}, {arrays['features'].shape[1]:,} features each")
            return result(path)
    from evenodds.apply.features import write_features
    from evenodds.cli.bar import reading
    from evenodds.files.outputs import require_owned

    session = run_or_model(run, checkpoint, device, "discriminator")
    path = out or session.folder / "features.npz"
    require_owned(path, "features", inputs=(data,))
    n, length = write_features(session, data, path, reading, most_pixels)
    say(f"{count(n, 'item')}, {length:,} features each")
    result(path)


def _read_alone(
    command: str, run: Path, data: str | None, path: Path, most_pixels: int | None
) -> dict[str, Any] | None:
    """What an exported file says of pictures, written to `path`; None where it needs torch."""
    from evenodds.cli.bar import reading
    from evenodds.export.readers import read_pictures
    from evenodds.files.arrays import write_arrays
    from evenodds.files.outputs import require_owned

    require_owned(path, command, inputs=(data,))
    arrays = read_pictures(run, command, data, most_pixels, reading)
    if arrays is not None:
        write_arrays(path, command, arrays)
    return arrays
