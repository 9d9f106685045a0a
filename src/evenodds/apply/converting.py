"""What makes images of images, or maps of labels, at work on files. torch is not imported here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from evenodds.apply.ensemble import eightfold
from evenodds.apply.folder import Convert, Converted, convert_all, is_unreadable, many
from evenodds.apply.photo import Network, label_rows, notes_on, write_through
from evenodds.apply.tiling import Tiling
from evenodds.data.palette import Palette
from evenodds.data.pictures.picture import DecodedImage, in_channels
from evenodds.data.pictures.placing import Pixels
from evenodds.data.pictures.png import png_rows
from evenodds.errors import BadInput
from evenodds.files.lock import locked
from evenodds.files.outputs import Outputs
from evenodds.files.text import csv_text
from evenodds.files.write import write_text
from evenodds.game.exchange import held
from evenodds.game.processes import follows
from evenodds.runs.maker import Maker
from evenodds.show.pictures import legend
from evenodds.show.pictures import write as write_picture

__all__ = [
    "Options",
    "beside",
    "convert",
    "is_one",
    "maps_in",
    "network_of",
    "outputs_of",
]

_TILE_BYTES = 400 << 20  # What a network may hold of one tile; beside it lie torch itself, the image and the result.
_LARGEST_TILE = 256  # Larger ones are slower on CPUs, whose caches they leave: 12 s a megapixel at 512, 6 at 256.
_LIVE = 3  # How many times the largest layer's input and output a network holds at once, about.


@dataclass(frozen=True)
class Options:
    """How it is put to work.

    Args:
        tile: longest side of what the network sees at once; None: what needs less than 400 MiB.
        again: make anew what is there.
        most_pixels: of an input; larger ones are skipped before they are decoded. None: 89,478,485.
        ensemble: answer by the mean of eight mirrored and turned images; not of runs that segment.
    """

    tile: int | None = None
    again: bool = False
    most_pixels: int | None = None
    ensemble: bool = False


def convert(
    maker: Maker,
    source: Path,
    out: Path,
    options: Options,
    step: Callable[[str, int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Converted:
    """Makes of an image, or of a folder or archive of images, what a network was trained to make; see `convert_all`.

    Files that this command did not write, or that were changed since, are not replaced; see evenodds.files.outputs.
    Images are written in their own kind and depth (see `photo.through`). Of labels, `out` gets maps in the values of
    the files that the network was trained on, with overlays and a legend: for a folder in labels/, overlays/ and
    legend.png; for one image beside each other, NAME.png, NAME-overlay.png and NAME-legend.png.

    Raises:
        Busy: many images are written, and another process or thread writes to the folder; see evenodds.files.lock.
    """

    def hold(stack: ExitStack) -> Path:
        stack.enter_context(_holding(maker.command, source, out))
        return out

    with held(hold):
        return _converted(maker, source, out, options, step, say)


def _holding(command: str, source: Path, out: Path) -> AbstractContextManager[Any]:
    """Holds the folder to which many images are written; single images may be written to one folder at once."""
    is_folder = out.is_dir() or (not out.exists() and out.suffix.lower() != ".png")
    return locked(out, command) if many(source) and is_folder else nullcontext()


def _converted(
    maker: Maker,
    source: Path,
    out: Path,
    options: Options,
    step: Callable[[str, int, int], None] | None,
    say: Callable[[str], None] | None,
) -> Converted:
    """`convert`, where the folder is locked."""
    network, outputs, palette = network_of(maker, options.tile), outputs_of(maker.command, out), maker.palette
    outputs.way = f"{maker.way}{' ensemble' * options.ensemble}"
    if options.ensemble:
        if palette is not None:
            raise BadInput("labels have no mean: ensemble is for runs that make images")
        network = replace(network, apply=eightfold(network.apply))
    if palette is None:
        work = _images(network, outputs)
        return convert_all(
            source, out, work, outputs, again=options.again, most_pixels=options.most_pixels, step=step, say=say
        )
    legend_file = beside(out, "legend.png")

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
        _write_legend(maker.classes, palette, legend_file, outputs)
    return converted


def is_one(out: Path) -> bool:
    """Whether a place for results is that of a single PNG file, and not a folder."""
    return out.suffix.lower() == ".png" and not out.is_dir()


def outputs_of(command: str, out: Path) -> Outputs:
    """The files that a command writes for `out`, as recorded there."""
    folder, kind = (out.parent, "file") if is_one(out) else (out, "folder")
    advice = f"name another {kind} for the results, or move it away"
    return Outputs(folder, command, advice, is_unreadable)


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


def network_of(maker: Maker, tile: int | None = None) -> Network:
    """The network, ready for images.

    Args:
        tile: see `Options`.
    """
    side = tile if tile is not None else _affordable(maker)
    tiling = Tiling(side, maker.margin, maker.scale, maker.multiple)
    return Network(maker.compute, maker.inputs, maker.outputs, tiling, maker.restores, maker.units)


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
            png_rows(target, picture.size, 1, palette=palette.colours_by_value, place=of) as of_map,
            png_rows(over, picture.size, 3, place=outputs.replaced) as of_overlay,
        ):
            top = 0
            for rows in label_rows(network, picture, progress):
                of_map.add(palette.to_file(rows)[..., None])
                of_overlay.add(overlaid(picture.pixels[top : top + len(rows)], palette.paint(rows)))
                top += len(rows)
        return [*notes_on(picture, same_colours=False), *_faded(network.tiling, picture)]

    return work


def overlaid(pixels: Pixels, colours: Pixels) -> Pixels:
    """(H, W, 3) uint8: the image (H, W, C) and the colours (H, W, 3) of its classes, half and half."""
    image = in_channels(pixels, 3).astype(np.uint32)
    if pixels.dtype == np.uint16:
        image //= 257
    return ((image + colours + 1) // 2).astype(np.uint8)


def _write_legend(names: Sequence[str], palette: Palette, path: Path, outputs: Outputs) -> None:
    """The classes in their colours, as a picture and as a table of name, value and colour beside it."""
    write_picture(path, legend(names, palette.colours), outputs.replaced)
    classes = zip(names, palette.values, palette.colours, strict=True)
    rows = [(name, value, f"#{bytes(colour).hex()}") for name, value, colour in classes]
    with outputs.replaced(path.with_suffix(".csv")) as temporary:
        write_text(temporary, csv_text([("class", "value", "colour"), *rows]))


def _faded(tiling: Tiling, picture: DecodedImage) -> list[str]:
    """What is to be notes_on of an image whose tiles do not join exactly."""
    if tiling.exact or max(picture.size) <= (tiling.side or 0):
        return []
    how = "" if tiling.margin is None else f" (--tile {4 * tiling.margin} is exact)"
    return [f"{{}} cut into tiles that fade into each other, about the same as the whole{how}"]


def _affordable(maker: Maker) -> int:
    """The side of a tile for which the network needs about as much memory as it may have.

    Where a network depends on all of the image, as large as that; else as large as pays, exact where that is possible.
    """
    most, margin = isqrt(int(_TILE_BYTES / (4 * _LIVE * max(1.0, maker.numbers_per_pixel)))), maker.margin
    return max(2 * maker.multiple, most if margin is None else min(most, max(_LARGEST_TILE, 4 * margin)))
