"""Which images have a map of labels, where it is, and what is known of its values before any is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from evenodds.data.folders.files import ENDINGS, content
from evenodds.data.folders.matching import Roles, chosen, matched, refusal
from evenodds.data.folders.sides import Side, Words
from evenodds.data.label_maps.annotations import annotated
from evenodds.data.label_maps.drawings import Annotated, Drawing
from evenodds.data.label_maps.known import known
from evenodds.data.label_maps.map_file import colours_in, read_map
from evenodds.data.label_maps.scheme import COLOURS, NAMES, coloured, listed_names
from evenodds.data.label_maps.several_masks import Several, several
from evenodds.data.palette import Colour
from evenodds.data.part_names import TEST, TRAIN
from evenodds.data.pictures.opening import File
from evenodds.data.pictures.picture import DecodedImage
from evenodds.data.pictures.placing import Size
from evenodds.errors import BadInput

__all__ = ["LABEL_WORDS", "MASKED_FOLDERS", "Found", "Key", "MapJob", "colours_listed", "found"]

FOLDERS: tuple[tuple[str, str], ...] = (
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
FOLDERS += tuple(product(("images", "imgs", *IMAGE_WORDS, "photos", "pictures"), ("masks", "labels", *LABEL_WORDS)))
"""Names of two folders side by side, images and maps, whatever their case."""
MASKED_FOLDERS = (
    tuple(dict.fromkeys(first for first, _ in FOLDERS if first not in (*TRAIN, *TEST))),
    tuple(dict.fromkeys(second for _, second in FOLDERS)),
)
"""Names of folders of images, and of maps."""
_BY_ENDING = frozenset(product((".jpg", ".jpeg"), (".png", ".gif", ".bmp")))
ROLES = Roles(("images", "labels"), FOLDERS, Words(_BY_ENDING | frozenset(product(("", *IMAGE_WORDS), LABEL_WORDS))))


class MapJob(NamedTuple):
    """An image and its map, not decoded yet."""

    name: str
    image: File
    draw: Callable[[Size], DecodedImage | str]  # The map, for an image (height, width).
    files: tuple[str, ...]  # The names of both files.


class Key(NamedTuple):
    """What is known of the values of maps."""

    names: list[str] | None = None
    by_colour: dict[Colour, int] = {}  # noqa: RUF012
    files: list[File] = []  # noqa: RUF012
    notes: list[str] = []  # noqa: RUF012
    void: frozenset[int] = frozenset()  # Values that count as no class, beside 255.
    colours: dict[Colour, int] = {}  # noqa: RUF012
    judged: bool = False  # Whether only maps that hold a class are of use.


class Found(NamedTuple):
    """Images with maps."""

    jobs: list[MapJob]
    key: Key
    notes: list[str]


def found(
    root: Path,
    files: Sequence[File],
    others: Sequence[File],
    named: tuple[str | None, str | None],
    names: Sequence[str] | str | None,
    most_pixels: int,
    objects: str = "auto",
) -> Found:
    """The images that have a map: in a file of their own by folders and names, or described in JSON, or several masks.

    Args:
        files: images.
        others: all other files.
        named: folders or patterns of both; or None and a file of JSON.
        names: of the values, see `maps`.
        objects: what several masks of an image are, see `maps`.

    Raises:
        BadInput: nothing tells which, or what is named is not there.
    """
    images, rest = _with_masks(files, others)
    document = str(named[1]) if str(named[1]).lower().endswith(".json") else None
    if document is not None and named[0] is not None:
        files = [file for file in files if f"/{file.name}".find(f"/{str(named[0]).strip('/')}/") >= 0]
    united = (
        partial(several, root, images, MASKED_FOLDERS, LABEL_WORDS, objects) if named == (None, None) else lambda: None
    )
    try:
        sides = chosen(root, images, ROLES, named) if document is None else None
        if sides is None and (drawn := annotated(root, files, others, document)) is not None:
            return _of_drawings(drawn, names, most_pixels)
        if sides is None:
            raise refusal(root, files, ROLES)
        matches, notes = matched(root, images, sides, ROLES)
    except BadInput:
        if (masks := united()) is None:
            raise
        return _of_several(masks, names, most_pixels)
    if 2 * len(matches) < len(images) and (masks := _numbered(united)) is not None:
        return _of_several(masks, names, most_pixels)
    key = _key(root, rest, names, [match.second for match in matches], most_pixels)
    jobs = [
        MapJob(
            match.name,
            match.first,
            partial(_from_file, match.second, key.by_colour, most_pixels),
            (match.first.name, match.second.name),
        )
        for match in matches
    ]
    return Found(jobs, key, [*notes, *sides.notes])


def _from_file(file: File, by_colour: dict[Colour, int], most_pixels: int, _: Size) -> DecodedImage | str:
    return read_map(file, by_colour, most_pixels)


def _numbered(united: Callable[[], Several | None]) -> Several | None:
    """Several masks of images that differ by numbers alone, as "1.png" and "1_1.png"; others may be other maps."""
    try:
        masks = united()
    except BadInput:
        return None
    return masks if masks is not None and masks.numbered else None


def _of_several(masks: Several, names: Sequence[str] | str | None, most_pixels: int) -> Found:
    jobs = [
        MapJob(one.name, one.image, partial(one.draw, most_pixels), tuple(f.name for f in (one.image, *one.masks)))
        for one in masks.images
    ]
    return Found(jobs, Key(_in_order(names) or masks.names), masks.notes)


def _in_order(names: Sequence[str] | str | None) -> list[str] | None:
    """Names of values that a user gives."""
    in_order = names.split(",") if isinstance(names, str) else names
    return [str(name).strip() for name in in_order] if in_order is not None else None


def _of_drawings(drawn: Annotated, names: Sequence[str] | str | None, most_pixels: int) -> Found:
    values = drawn.values
    words = _in_order(names) or drawn.names
    jobs = [
        MapJob(one.name, one.image, partial(_drawn, one, values, most_pixels), (one.image.name,))
        for one in drawn.drawings
    ]
    return Found(jobs, Key(words, files=drawn.files), drawn.notes)


def _drawn(drawing: Drawing, values: dict[str | None, int], most_pixels: int, image: Size) -> DecodedImage | str:
    return drawing.draw(image, values, most_pixels)


def _with_masks(files: Sequence[File], others: Sequence[File]) -> tuple[list[File], list[File]]:
    """The files, and others of which some are images: those named as an image, with ".mask" behind."""
    images = [file for file in others if Path(file.name.lower()).suffix == ".mask" and Side().key(file.name[:-5])]
    masks = [file for file in images if file.name[:-5].lower().endswith(ENDINGS)]
    return [*files, *masks], [file for file in others if file not in masks]


def _key(root: Path, others: Sequence[File], names: Sequence[str] | str | None, maps: Sequence[File], most: int) -> Key:
    listing = _topmost(others, NAMES)
    by_colour, colour_names, painted = colours_listed(others)
    files = [painted] if painted else []
    notes = [f"Took colours from {painted.name}."] if painted else []
    if painted is None and (colours := colours_in(maps, most)):
        by_colour = {colour: value for value, colour in enumerate(colours)}
        colour_names = [f"colour {red} {green} {blue}" for red, green, blue in colours]
        how = "in the order of R, G and B; a colours.txt of lines `R G B name` names them"
        notes.append(f"The maps are painted in {len(colours)} colours: each counts as a class, {how}.")
        listing = None  # It does not say which name is of which colour.
    if (in_order := _in_order(names)) is not None:
        return Key(in_order, by_colour, files, notes)
    if listing:
        notes.append(f"Took the names of the classes from {listing.name}.")
        return Key(listed_names(content(listing), listing.name), by_colour, [*files, listing], notes)
    if not by_colour and (public := known(root, [file.name for file in maps])):
        return Key(public.names, {}, [], [public.note], public.void, public.colours, bool(public.void))
    return Key(colour_names, by_colour, files, notes)


def colours_listed(others: Sequence[File]) -> tuple[dict[Colour, int], list[str] | None, File | None]:
    """The values of colours and their names in a file such as colours.txt, and that file, if any."""
    painted = _topmost(others, COLOURS)
    return (*coloured(content(painted), painted.name), painted) if painted else ({}, None, None)


def _topmost(others: Sequence[File], names: Sequence[str]) -> File | None:
    candidates = [file for file in others if PurePosixPath(file.name).name.lower() in names]
    return min(candidates, key=lambda file: (file.name.count("/"), file.name), default=None)
