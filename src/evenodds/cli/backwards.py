"""The commands that start from items: features, encode, reconstruct, directions, fill."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from evenodds.cli.commands import Device, app, say
from evenodds.errors import BadInput

__all__ = ["directions", "encode", "features", "fill", "reconstruct"]


@app.command
def features(
    run: Path, data: str | None = None, *, out: Path | None = None, checkpoint: str = "last", device: Device = "auto"
) -> None:
    """Write what a run's discriminator sees in data: inputs for a classifier where labels are few.

    Parameters
    ----------
    run
        The run folder.
    data
        Folder or zip of images, .npz/.npy array, .csv table [default: the data of the run].
    out
        The .npz to write: features (N, F), y and names where known [default: features.npz in the run folder].
    checkpoint
        last, best (by the held-out score), or a number of images.
    device
        auto, cpu, cuda, mps.
    """
    from evenodds.apply.inference import write_features
    from evenodds.cli.bar import reading
    from evenodds.runs.session import load

    path = out or run / "features.npz"
    n, length = write_features(load(run, checkpoint, device), data, path, reading)
    say(f"{n:,} items, {length:,} features each")
    print(path)


@app.command
def encode(
    run: Path,
    data: str | None = None,
    *,
    out: Path | None = None,
    steps: int = 0,
    images: str = "200k",
    checkpoint: str = "last",
    device: Device = "auto",
) -> None:
    """Find the z of data: by a network that learns it from the run's own samples at the first call.

    Parameters
    ----------
    run
        The run folder; the network stays there.
    data
        Folder or zip of images, .npz/.npy array, .csv table [default: the data of the run].
    out
        The .npz to write: z (N, latent), y and names where known [default: codes.npz in the run folder].
    steps
        Of refinement by descent in z.
    images
        Samples of the generator that the network learns from.
    checkpoint
        last, best, or a number of images.
    device
        auto, cpu, cuda, mps.
    """
    from evenodds.apply.inference import write_codes

    session, held, codes = _codes(run, data, steps, images, checkpoint, device)
    path = out or run / "codes.npz"
    write_codes(session, data, codes, held, path)
    say(f"{len(codes.z):,} items; the generator's answer differs from them by {codes.error:.3f} (root mean square)")
    print(path)


@app.command
def reconstruct(
    run: Path,
    data: str | None = None,
    *,
    out: Path | None = None,
    steps: int = 100,
    n: int = 32,
    images: str = "200k",
    checkpoint: str = "last",
    device: Device = "auto",
) -> None:
    """Draw images above what the generator makes of their z.

    Parameters
    ----------
    run
        The run folder.
    data
        Folder or zip of images, .npz/.npy array [default: the data of the run].
    out
        The picture to write [default: reconstructions.png in the run folder].
    steps
        Of refinement by descent in z.
    n
        At most so many, spread over the data.
    images
        Samples of the generator that the encoder learns from.
    checkpoint
        last, best, or a number of images.
    device
        auto, cpu, cuda, mps.
    """
    from evenodds.apply.inference import write_reconstructions

    session, held, codes = _codes(run, data, steps, images, checkpoint, device, n)
    say(f"root mean squared difference {codes.error:.3f}, of values in [-1, 1]")
    print(write_reconstructions(session, held, codes, out or run / "reconstructions.png"))


@app.command
def directions(
    run: Path,
    *,
    n: int | None = None,
    how: str = "jacobian",
    by: float | None = None,
    class_: Annotated[str | None, Parameter(name="--class")] = None,
    move: int | None = None,
    samples: int = 16,
    seed: int = 0,
    out: Path | None = None,
    checkpoint: str = "last",
    device: Device = "auto",
) -> None:
    """Find the directions of z along which samples change most: a sheet with a row for each, or samples moved by one.

    Parameters
    ----------
    run
        The run folder.
    n
        How many directions, the strongest first [default: 8, or all where z is shorter].
    how
        jacobian (of the whole generator), weights (of its first layer), or codes: the categories and values of a run
        of the task infogan.
    by
        How far to go, in units of z; the sheet goes from -by to by [default: 3, or 1.5 for codes].
    class_
        Of a conditional run, the class within which to move [default: the first].
    move
        Number of a direction, from 1: draw samples above the same samples moved along it.
    samples
        How many of them.
    seed
        Of the samples.
    out
        The picture to write [default: directions.png or moved.png in the run folder].
    checkpoint
        last, best, or a number of images.
    device
        auto, cpu, cuda, mps.
    """
    from evenodds.apply.inference import directions_of, write_code_sheet, write_directions, write_moved
    from evenodds.runs.session import load

    session = load(run, checkpoint, device)
    if how == "codes" and (move, n, class_) == (None, None, None):
        print(write_code_sheet(session, out or run / "directions.png", 1.5 if by is None else by, seed=seed))
        return
    by, c = 3.0 if by is None else by, None
    if class_ is not None:
        c = session.condition(y=[session.class_number(class_)])
    if move is None:
        found = directions_of(session, min(8, session.latent.size) if n is None else n, how, c)
        print(write_directions(session, out or run / "directions.png", found, by, seed=seed, c=c))
        return
    if move < 1 or samples < 1:
        raise BadInput(f"--move counts directions from 1 and --samples is at least 1, got {move} and {samples}")
    chosen = directions_of(session, move, how, c)[move - 1]
    print(write_moved(session, out or run / "moved.png", chosen, by, samples, seed, c))


@app.command
def fill(
    run: Path,
    image: str,
    *,
    mask: str,
    n: Annotated[int, Parameter(name=["-n", "--number"])] = 4,
    seed: int = 0,
    out: Path | None = None,
    checkpoint: str = "last",
    device: Device = "auto",
) -> None:
    """Fill in the hidden part of an image, several times: what is observed stays as it is.

    Parameters
    ----------
    run
        The run folder, of the task fill (evenodds train fill-32 --data FOLDER).
    image
        The image; it is brought to the size of the run's images.
    mask
        An image of the same proportions, white where it is to be filled in.
    n
        How many different fillings.
    seed
        The same seed gives the same fillings.
    out
        Folder for one PNG each and a sheet of all [default: filled in the run folder].
    checkpoint
        last, best, or a number of images.
    device
        auto, cpu, cuda, mps.
    """
    from evenodds.apply.filling import write_fillings
    from evenodds.runs.session import load

    written, report = write_fillings(load(run, checkpoint, device), image, mask, out or run / "filled", n, seed)
    for line in report:
        say(line)
    for path in written:
        print(path)


def walk_between(session: Any, first: str | None, last: str | None, path: Path, steps: int) -> Path:
    """A walk from the z of one image to that of another."""
    import torch

    from evenodds.apply.inference import encoder_of, items
    from evenodds.apply.inference import walk_between as walk
    from evenodds.cli.bar import Bar

    if first is None or last is None:
        raise BadInput("a walk between two images needs both --from and --to; give the other one too")
    ends = [items(session, name).batch(torch.arange(1))["x"] for name in (first, last)]
    return walk(session, ends[0], ends[1], path, steps, encoder_of(session, listeners=(Bar(),)))


def _codes(
    run: Path, data: str | None, steps: int, images: str, checkpoint: str, device: str, n: int | None = None
) -> tuple[Any, Any, Any]:
    """The session, the items and their codes."""
    import torch

    from evenodds.apply.inference import conditions_of, encoder_of, items, read_backwards
    from evenodds.cli.bar import Bar, reading
    from evenodds.game.arithmetic import evenly
    from evenodds.runs.session import load
    from evenodds.runs.values import as_number

    length = as_number(images)
    if not isinstance(length, int) or length < 1:
        raise BadInput(f"--images needs a whole number such as 50000 or 50k, got '{images}'")
    session = load(run, checkpoint, device)
    held = items(session, data, reading)
    if n is not None and n < len(held):
        held = held.take(evenly(len(held), n))
    encoder = encoder_of(session, length, (Bar(),))
    x = held.batch(torch.arange(len(held)))["x"]
    return session, held, read_backwards(session, x, encoder, steps, conditions_of(session, held))
