"""Images and their label maps: a class for each pixel, written as the index that it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageFile

from evenodds.data._files import ENDINGS, content, opened
from evenodds.data._labels import Labels
from evenodds.data._matching import Match, Roles, chosen, matched, refusal
from evenodds.data._partners import Partners, aligned, turned
from evenodds.data._picture import MOST_PIXELS, DecodedImage, File, Unusable, decode, guarded, orientation, upright
from evenodds.data._pipeline import PAIR, FileSet, Form, dataset, decoded, form_of, ignored, skipped
from evenodds.data._placing import Pixels, Size, nearest, resized
from evenodds.data._scheme import COLOURS, NAMES, coloured, listed_names, scheme
from evenodds.data._sides import Side, Words
from evenodds.data._splits import checked, lists_in, to_read
from evenodds.data._splits import splits as parted
from evenodds.data._stack import cut, items, stacked
from evenodds.data._wording import count
from evenodds.data.dataset import Beside, Dataset
from evenodds.data.palette import IGNORED, Colour
from evenodds.game.schedule import OnProgress

__all__ = ["LAYOUTS", "READS", "maps", "read_map"]

READS = (".zip", "/")
"""The file names' endings for which `load` comes here, in this layout."""
LAYOUTS: dict[str, dict[str, Any]] = {"maps": {}}
"""What files may be to each other that are read here, and the options that say so."""

FOLDERS = (
    ("images", "labels"),
    ("images", "masks"),
    ("images", "annotations"),
    ("images", "maps"),
    ("image", "label"),
    ("image", "mask"),
    ("imgs", "masks"),
    ("imgs", "labels"),
    ("img", "label"),
    ("img", "mask"),
    ("JPEGImages", "SegmentationClass"),
    ("JPEGImages", "SegmentationClassPNG"),
    ("leftImg8bit", "gtFine"),
    ("leftImg8bit", "gtCoarse"),
    ("train", "trainannot"),
    ("train", "train_labels"),
    ("train", "train_masks"),
    ("val", "valannot"),
    ("test", "testannot"),
)
"""Names of two folders side by side, images and maps, whatever their case."""
IMAGE_WORDS = ("image", "images", "img", "imgs", "im", "photo", "rgb", "sat", "leftimg8bit")
LABEL_WORDS: tuple[str, ...] = (
    "mask",
    "masks",
    "label",
    "labels",
    "seg",
    "segm",
    "segmentation",
    "annotation",
    "annot",
    "gt",
)
LABEL_WORDS += ("matte", "labelids", "labeltrainids", "gtfine_labelids", "gtfine_labeltrainids", "gtcoarse_labelids")
"""What names of files begin or end with that lie in one folder."""
_BY_ENDING = frozenset(product((".jpg", ".jpeg"), (".png", ".gif", ".bmp")))
ROLES = Roles(("images", "labels"), FOLDERS, Words(_BY_ENDING | frozenset(product(("", *IMAGE_WORDS), LABEL_WORDS))))
_LOSSY = ("JPEG", "MPO", "WEBP")
_WIDENED = {"L;2": 85, "L;4": 17}


def maps(
    path: str | os.PathLike[str],
    images: str | None = None,
    labels: str | None = None,
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
    ignore: int | str | None = None,
    names: Sequence[str] | str | None = None,
    fit: str = "crop",
    splits: str = "respect",
    range: str | Sequence[float] = "auto",
    nodata: str | float = "auto",
    most_pixels: int = MOST_PIXELS,
    progress: OnProgress | None = None,
) -> Dataset:
    """Images and, in a second folder under equal names (endings may differ), their maps of labels.

    Maps are grey or palette images without loss, 8 bits or fewer; the value or index of a pixel is its label, whatever
    the colour. In a folder or a zip file, the names of the classes may stand in classes.txt or labels.txt, one a line;
    the number of the line, from 0, is the value in the maps. Without names, the values that occur are the classes.
    Maps in RGB colours need a file colours.txt of lines `R G B name`, whose numbers are the values.

    Args:
        path: of what holds both folders.
        images, labels: the folders, which may be nested ("train/images"). None: two that lie side by side under names
            as in `FOLDERS`; of several such, the ones to train on.
        size, channels: of the images, see `images`.
        ignore: the value or the name of what counts as no class; "none" for nothing. None: 255 where it occurs (unless
            the values are 0 and 255, 0, 128 and 255, or multiples of 51, where it is a class like the others), and a
            class named void, unlabelled, unlabeled or ignore.
        names: of the values 0, 1, ... in the maps, in place of those in a file; in text, commas part them.
        fit: see `images`; a map goes with its image, by the nearest neighbour. What "pad" adds is ignored.
        splits: what to do with folders such as train and test within both, see `images`.
        range, nodata: of images, see `from_array`.
        most_pixels: of a file, see `images`.
        progress: told (pairs done, pairs in all) now and then.

    Returns:
        Images as x (N, C, H, W), see `images`; beside them "labels", 0 to K - 1 and 255 for what is ignored, with the
        palette that leads back to the values in the files; `classes`, the K names. `report` tells what was skipped.

    Raises:
        BadInput: an option that cannot be, folders that cannot be told, no usable pair, or values beyond all classes.
    """
    root, splits = Path(path), checked(splits)
    form = form_of(root, size, fit, most_pixels, channels)
    with opened(root, form.most_pixels) as (files, others):
        files, others = _with_masks(files, others)
        sides = chosen(root, files, ROLES, (images, labels))
        if sides is None:
            raise refusal(root, files, ROLES)
        matches, alone = matched(root, files, sides, ROLES)
        kept, aside = to_read([match.name for match in matches], splits, "pair")
        matches = [matches[k] for k in kept]
        lists = lists_in(others, "segmentation")
        key = _key(others, names)
        (batch,) = decoded(
            root, [FileSet(matches, "pair")], lambda match: _pair(match, key.by_colour, form), form, PAIR, progress
        )
    pictures = [pair.first for pair in batch.records]
    stems = [pair.name for pair in batch.records]
    files_of = {match.name: (match.first.name, match.second.name) for match in matches}
    parts = parted(stems, splits, "pair", lists, [files_of[stem] for stem in stems])
    tiles = items(stems, [one.size for one in pictures], batch.size, fit, "pair")
    stack = stacked(pictures, batch.size, channels, fit, wanted=range, nodata=nodata)
    values = _values([pair.second for pair in batch.records], len(tiles.names), batch.size, fit)
    palette = next((pair.second.palette for pair in batch.records if pair.second.palette), {})
    colours = palette | {value: colour for colour, value in key.by_colour.items()}
    classes = scheme(values, key.names, ignore, colours)
    number = count(len(classes.names), "class")
    report = (
        f"Read {count(len(tiles.names), 'image')} of {stack.summary}, with maps of {number}.",
        *tiles.notes,
        *key.notes,
        *classes.notes,
        *alone,
        *skipped(PAIR, batch),
        *turned(batch.records),
        *sides.notes,
        *parts.notes,
        *aside,
        *ignored(others, [*key.files, *parts.lists]),
        *stack.notes,
    )
    beside = {"labels": Beside(torch.from_numpy(classes.table[values]), palette=classes.palette)}
    return dataset(tiles, stack, report, beside, Labels(classes=classes.names), parts.apart)


def _with_masks(files: Sequence[File], others: Sequence[File]) -> tuple[list[File], list[File]]:
    """The files, and others of which some are images: those named as an image, with ".mask" behind."""
    images = [file for file in others if Path(file.name.lower()).suffix == ".mask" and Side().key(file.name[:-5])]
    masks = [file for file in images if file.name[:-5].lower().endswith(ENDINGS)]
    return [*files, *masks], [file for file in others if file not in masks]


class _Key(NamedTuple):
    """The names and colours of classes, before any map is read."""

    names: list[str] | None
    by_colour: dict[Colour, int]
    files: list[File]
    notes: list[str]


def _key(others: Sequence[File], names: Sequence[str] | str | None) -> _Key:
    listing, painted = _topmost(others, NAMES), _topmost(others, COLOURS)
    by_colour, colour_names = coloured(content(painted), painted.name) if painted else ({}, None)
    files = [painted] if painted else []
    notes = [f"Took colours from {painted.name}."] if painted else []
    if names is not None:
        in_order = names.split(",") if isinstance(names, str) else names
        return _Key([str(name).strip() for name in in_order], by_colour, files, notes)
    if listing:
        notes.append(f"Took the names of the classes from {listing.name}.")
        return _Key(listed_names(content(listing), listing.name), by_colour, [*files, listing], notes)
    return _Key(colour_names, by_colour, files, notes)


def _topmost(others: Sequence[File], names: Sequence[str]) -> File | None:
    candidates = [file for file in others if PurePosixPath(file.name).name.lower() in names]
    return min(candidates, key=lambda file: (file.name.count("/"), file.name), default=None)


def _pair(match: Match, by_colour: Mapping[Colour, int], form: Form) -> Partners | str:
    # Whole: a JPEG file decoded at a fraction may be a pixel larger than that fraction of its map.
    first = decode(match.first, None, form.fit, form.most_pixels)
    second = read_map(match.second, by_colour, form.most_pixels)
    pair = aligned(match, first, second, lambda image, labels: image == labels)
    if isinstance(pair, str):
        return pair
    (height, width), (rows, columns) = pair.first.size, pair.second.size
    if (height, width) != (rows, columns):
        return f"{match.name} (an image of {height} x {width}, but a map of {rows} x {columns})"
    if not form.at_decoding:
        return pair
    return pair._replace(
        first=pair.first._replace(pixels=resized(pair.first.pixels, form.at_decoding, form.fit)),
        second=pair.second._replace(pixels=nearest(pair.second.pixels, form.at_decoding, form.fit)),
    )


def read_map(
    file: File, by_colour: Mapping[Colour, int] | None = None, most_pixels: int = MOST_PIXELS
) -> DecodedImage | str:
    """The values of a map of labels, (H, W, 1) int16, upright; or the file's name and why it cannot be used."""
    return guarded(file, lambda image: _map(file.name, image, by_colour or {}), most_pixels)


def _map(name: str, image: ImageFile.ImageFile, by_colour: Mapping[Colour, int]) -> DecodedImage:
    if image.format in _LOSSY:
        raise Unusable(f"{image.format} changes labels; save maps as PNG")
    values = _indices(image, by_colour)  # First: to ask for the orientation is to forget how the file holds its bits.
    way_up = orientation(image)
    values = upright(values, way_up)
    colours = np.array(image.getpalette("RGB") if image.mode == "P" else [], dtype=int).reshape(-1, 3).tolist()
    palette = {value: (red, green, blue) for value, (red, green, blue) in enumerate(colours)}
    pixels = np.ascontiguousarray(values.astype(np.int16))[..., None]
    return DecodedImage(name, pixels, (pixels.shape[0], pixels.shape[1]), way_up, palette=palette or None)


def _indices(image: Image.Image, by_colour: Mapping[Colour, int]) -> Pixels:
    """(H, W): the values in the file, not the colours for which they stand."""
    # Pillow widens grey of 2 and 4 bits to 8, so that white is white; labels are the numbers themselves.
    raw = " ".join(str(tile[3]) for tile in getattr(image, "tile", ()))
    widened = next((by for mode, by in _WIDENED.items() if mode in raw), 1)
    values = np.asarray(image)
    if image.mode in ("L", "P", "1"):
        return values // widened if image.mode == "L" else values
    if image.mode.startswith("I"):
        if values.min() < 0 or values.max() > IGNORED:
            raise Unusable(f"values of {values.min()} to {values.max()}, but labels lie in [0, 255]")
        return values
    if image.mode not in ("RGB", "RGBA", "LA"):
        raise Unusable(f"{image.mode} is no mode of label maps; save indices, 8-bit grey or palette")
    if image.mode in ("RGBA", "LA") and (values[..., -1] < 255).any():
        raise Unusable("transparent parts, of which no label is known")
    colour = values[..., :3] if image.mode != "LA" else values[..., :1]
    if by_colour and colour.shape[2] == 3:
        return _by_colour(colour, by_colour)
    if (colour != colour[..., :1]).any():
        raise Unusable("RGB colours, but a label is an index; save 8-bit grey or palette, or add a colours.txt")
    return colour[..., 0]


def _by_colour(pixels: Pixels, by_colour: Mapping[Colour, int]) -> Pixels:
    table = sorted((red << 16 | green << 8 | blue, value) for (red, green, blue), value in by_colour.items())
    codes = np.array([code for code, _ in table])
    painted = pixels.astype(int) @ np.array([1 << 16, 1 << 8, 1])
    at = np.searchsorted(codes, painted).clip(0, len(codes) - 1)
    if (strange := codes[at] != painted).any():
        raise Unusable(f"the colour {' '.join(map(str, pixels[strange][0]))} has no line in the file of colours")
    values: Pixels = np.array([value for _, value in table])[at]
    return values


def _values(maps: Sequence[DecodedImage], n: int, size: Size, fit: str) -> Pixels:
    """(N, H, W) int16: the values of all items, -1 of what was added to an image."""
    values = np.empty((n, *size), np.int16)
    k = 0
    for one in maps:
        for piece in cut(one.pixels, size, fit) if fit == "tiles" else [nearest(one.pixels, size, fit)]:
            values[k] = piece[..., 0]
            k += 1
    return values
