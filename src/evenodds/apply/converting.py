"""A run that makes images of images, or maps of labels, at work on files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from evenodds.apply.answering import conversion_of
from evenodds.apply.ensemble import eightfold
from evenodds.apply.folder import Convert, Converted, convert_all, is_unreadable, many
from evenodds.apply.photo import Network, label_rows, notes_on, write_through
from evenodds.apply.tiling import Tiling
from evenodds.data._picture import DecodedImage, in_channels
from evenodds.data._placing import Pixels
from evenodds.data._png import png_rows
from evenodds.data.palette import Palette
from evenodds.errors import BadInput
from evenodds.files.lock import locked
from evenodds.files.outputs import Outputs
from evenodds.files.text import csv_text
from evenodds.files.write import write_text
from evenodds.game.listeners.milestone import EARLIER
from evenodds.game.processes import follows
from evenodds.runs.folders import held
from evenodds.runs.layers import numbers_per_pixel
from evenodds.runs.session import Session
from evenodds.show.pictures import legend
from evenodds.show.pictures import write as write_picture

__all__ = [
    "Options",
    "beside",
    "colours_by_value",
    "convert",
    "is_one",
    "maps_in",
    "mixed",
    "network_of",
    "outputs_of",
    "palette_of",
]

_TILE_BYTES = 400 << 20  # What a network may hold of one tile; beside it lie torch itself, the image and the result.
_LARGEST_TILE = 256  # Larger ones are slower on CPUs, whose caches they leave: 12 s a megapixel at 512, 6 at 256.
_LIVE = 3  # How many times the largest layer's input and output a network holds at once, about.


@dataclass(frozen=True)
class Options:
    """How a run is put to work.

    Args:
        mix: share of the network that an adversary taught, in [0, 1]; the rest is the network before it came. None:
            the run's final network.
        tile: longest side of what the network sees at once; None: what needs less than 400 MiB.
        again: make anew what is there.
        most_pixels: of an input; larger ones are skipped before they are decoded. None: 89,478,485.
        ensemble: answer by the mean of eight mirrored and turned images; not of runs that segment.
    """

    mix: float | None = None
    tile: int | None = None
    again: bool = False
    most_pixels: int | None = None
    ensemble: bool = False


def convert(
    session: Session,
    source: Path,
    out: Path,
    options: Options,
    step: Callable[[str, int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Converted:
    """Makes of an image, or of a folder or archive of images, what the run was trained to make; see `convert_all`.

    Files that this command did not write, or that were changed since, are not replaced; see evenodds.files.outputs.
    Images are written in their own kind and depth (see `photo.through`). Of runs that segment, `out` gets label maps in
    the values of the files that the run was trained on, with overlays and a legend: for a folder in labels/, overlays/
    and legend.png; for one image beside each other, NAME.png, NAME-overlay.png and NAME-legend.png.

    Raises:
        Busy: many images are written, and another process or thread writes to the folder; see evenodds.files.lock.
    """

    def hold(stack: ExitStack) -> Path:
        stack.enter_context(_holding(session.task.command, source, out))
        return out

    with held(hold):
        return _converted(session, source, out, options, step, say)


def _holding(command: str, source: Path, out: Path) -> AbstractContextManager[Any]:
    """Holds the folder to which many images are written; single images may be written to one folder at once."""
    is_folder = out.is_dir() or (not out.exists() and out.suffix.lower() != ".png")
    return locked(out, command) if many(source) and is_folder else nullcontext()


def _converted(
    session: Session,
    source: Path,
    out: Path,
    options: Options,
    step: Callable[[str, int, int], None] | None,
    say: Callable[[str], None] | None,
) -> Converted:
    """`convert`, where the folder is locked."""
    network, outputs = network_of(session, options.mix, options.tile), outputs_of(session, out)
    if options.ensemble:
        if conversion_of(session).labels:
            raise BadInput("labels have no mean: ensemble is for runs that make images")
        network = replace(network, apply=eightfold(network.apply))
    if not conversion_of(session).labels:
        work = _images(network, outputs)
        return convert_all(
            source, out, work, outputs, again=options.again, most_pixels=options.most_pixels, step=step, say=say
        )
    palette, legend_file = palette_of(session), beside(out, "legend.png")

    def further(target: Path) -> list[Path]:
        return [_overlay_of(target, out), legend_file, legend_file.with_suffix(".csv")]

    converted = convert_all(
        source,
        maps_in(out),
        _maps(network, palette, outputs, out),
        outputs,
        again=options.again,
        results=out,
        most_pixels=options.most_pixels,
        beside=further,
        step=step,
        say=say,
    )
    if converted.written and not follows():
        _write_legend(session, palette, legend_file, outputs)
    return converted


def is_one(out: Path) -> bool:
    """Whether a place for results is that of a single PNG file, and not a folder."""
    return out.suffix.lower() == ".png" and not out.is_dir()


def outputs_of(session: Session, out: Path) -> Outputs:
    """The files that a run writes for `out`, as recorded there."""
    folder, kind = (out.parent, "file") if is_one(out) else (out, "folder")
    advice = f"name another {kind} for the results, or move it away"
    return Outputs(folder, session.task.command, advice, is_unreadable)


def maps_in(out: Path) -> Path:
    """Where the maps of labels are, that are written for `out`."""
    return out if is_one(out) else out / "labels"


def beside(out: Path, name: str) -> Path:
    """A further file of the results: in the folder of the results, or beside a single file, with its name in front."""
    return out.with_name(f"{out.stem}-{name}") if is_one(out) else out / name


def _overlay_of(target: Path, out: Path) -> Path:
    """The overlay of a map that is written for `out`."""
    if is_one(out):
        return beside(out, "overlay.png")
    return out / "overlays" / target.relative_to(maps_in(out))


def network_of(session: Session, mix: float | None = None, tile: int | None = None) -> Network:
    """The run's network, ready for images; see `Options`."""
    task, conversion = session.task, conversion_of(session)
    generator = session.players["generator"] if mix is None else mixed(session, mix)

    def apply(x: Tensor) -> Tensor:
        on_device = x.to(session.device, memory_format=torch.channels_last)
        answer = task.answer({"generator": generator}, {"source": on_device})
        return answer["x"].cpu() if "x" in answer else answer["labels"][:, None].cpu()

    margin, multiple = getattr(generator, "margin", None), int(getattr(generator, "multiple", 1))
    side = tile if tile is not None else _affordable(generator, conversion.inputs, margin, multiple, session.device)
    tiling = Tiling(side, margin, conversion.scale, multiple)
    units = session.card.beside["source"].units if "source" in session.card.beside else session.card.units
    return Network(apply, conversion.inputs, conversion.outputs, tiling, conversion.restores, units)


def mixed(session: Session, share: float) -> nn.Module:
    """Network interpolation, Wang et al. (2018), section 3.4, eq. 4: (1 - share) of the weights of the generator as it
    was when its adversary entered, and share of its final ones."""
    if EARLIER not in session.players:
        raise BadInput(
            "this run has one network, so there is nothing to mix; runs whose adversary enters later have two "
            "(task.adversarial_from above 0, and trained beyond it)"
        )
    if not 0 <= share <= 1:
        raise BadInput(f"a mix lies in [0, 1], 0 the network before its adversary and 1 the final one, got {share:g}")
    before, after = session.players[EARLIER].state_dict(), session.players["generator"].state_dict()
    interpolated = deepcopy(session.players["generator"])
    lerped = {
        name: torch.lerp(before[name], value, share) if value.is_floating_point() else value
        for name, value in after.items()
    }
    interpolated.load_state_dict(lerped)
    return interpolated.eval()


def palette_of(session: Session) -> Palette:
    """What the classes are in files."""
    palette = session.card.beside["labels"].palette if "labels" in session.card.beside else None
    if palette is None:
        raise BadInput(f"{session.folder} does not say what its classes are in files; train it on files of labels")
    return palette


def _images(network: Network, outputs: Outputs) -> Convert:
    def work(picture: DecodedImage, target: Path, progress: Callable[[int, int], None]) -> list[str]:
        channels = write_through(target, network, picture, progress, partial(outputs.replaced, of=picture.name))
        same_colours = (channels < 3) == (picture.pixels.shape[2] < 3)
        return [*notes_on(picture, same_colours), *_faded(network.tiling, picture)]

    return work


def _maps(network: Network, palette: Palette, outputs: Outputs, out: Path) -> Convert:
    def work(picture: DecodedImage, target: Path, progress: Callable[[int, int], None]) -> list[str]:
        over, of = _overlay_of(target, out), partial(outputs.replaced, of=picture.name)
        # The map is the first to be begun and the last to be whole.
        with (
            png_rows(target, picture.size, 1, palette=colours_by_value(palette), place=of) as of_map,
            png_rows(over, picture.size, 3, place=outputs.replaced) as of_overlay,
        ):
            top = 0
            for rows in label_rows(network, picture, progress):
                classes = torch.from_numpy(rows)
                of_map.add(palette.to_file(classes).numpy()[..., None])
                of_overlay.add(overlaid(picture.pixels[top : top + len(rows)], palette.paint(classes[None])[0].numpy()))
                top += len(rows)
        return [*notes_on(picture, same_colours=False), *_faded(network.tiling, picture)]

    return work


def colours_by_value(palette: Palette) -> Pixels:
    """(256, 3) uint8: the colour of each value in files."""
    return palette.paint(palette.to_classes(torch.arange(256))[None, None])[0, :, 0].T.contiguous().numpy()


def overlaid(pixels: Pixels, colours: Pixels) -> Pixels:
    """(H, W, 3) uint8: the image (H, W, C) and the colours (3, H, W) of its classes, half and half."""
    image = in_channels(pixels, 3).astype(np.uint32)
    if pixels.dtype == np.uint16:
        image //= 257
    return ((image + np.moveaxis(colours, 0, -1) + 1) // 2).astype(np.uint8)


def _write_legend(session: Session, palette: Palette, path: Path, outputs: Outputs) -> None:
    """The classes in their colours, as a picture and as a table of name, value and colour beside it."""
    write_picture(path, legend(session.card.classes, palette.colours), outputs.replaced)
    classes = zip(session.card.classes, palette.values, palette.colours, strict=True)
    rows = [(name, value, f"#{bytes(colour).hex()}") for name, value, colour in classes]
    with outputs.replaced(path.with_suffix(".csv")) as temporary:
        write_text(temporary, csv_text([("class", "value", "colour"), *rows]))


def _faded(tiling: Tiling, picture: DecodedImage) -> list[str]:
    """What is to be notes_on of an image whose tiles do not join exactly."""
    if tiling.exact or max(picture.size) <= (tiling.side or 0):
        return []
    how = "" if tiling.margin is None else f" (--tile {4 * tiling.margin} is exact)"
    return [f"{{}} cut into tiles that fade into each other, about the same as the whole{how}"]


def _affordable(network: nn.Module, inputs: int, margin: int | None, multiple: int, device: torch.device) -> int:
    """The side of a tile for which the network needs about as much memory as it may have.

    Where a network depends on all of the image, as large as that; else as large as pays, exact where that is possible.
    """
    per_pixel = numbers_per_pixel(network, inputs, multiple, device)
    most = isqrt(int(_TILE_BYTES / (4 * _LIVE * per_pixel)))
    return max(2 * multiple, most if margin is None else min(most, max(_LARGEST_TILE, 4 * margin)))
