"""Several masks of one image, an object each: which files they are, and the map that they make together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from evenodds.data.folders.sides import stem_of
from evenodds.data.label_maps.map_file import read_map
from evenodds.data.label_maps.scheme import MIDDLE
from evenodds.data.palette import IGNORED
from evenodds.data.pictures.opening import File
from evenodds.data.pictures.picture import DecodedImage
from evenodds.data.pictures.placing import Pixels, Size
from evenodds.data.wording import count, listed
from evenodds.errors import BadInput

__all__ = ["OBJECTS", "Masks", "Several", "inside", "several"]

OBJECTS = ("auto", "names", "one")
"""What objects are: each name in masks a class, or all of one class."""
_DARK, _BETWEEN = 64, 0.2  # At most this part of a mask with soft edges is farther than that from 0 and 255.
_MOST_NAMES = 254
_NUMBERED = re.compile(r"(?P<name>\D*?)[_\-. ]*\d*")
"""A mark without digits, but for the number of the object at its end."""


class Masks(NamedTuple):
    """An image, and the masks of the objects in it."""

    name: str
    image: File
    masks: tuple[File, ...]
    values: tuple[int, ...]  # Of the masks, in the map.

    def draw(self, most_pixels: int, image: Size) -> DecodedImage | str:
        """The map of values (H, W, 1) int16, smaller objects over larger ones; or why there is none."""
        drawn: list[tuple[Pixels, int]] = []
        for file, value in zip(self.masks, self.values, strict=True):
            mask = read_map(file, None, most_pixels)
            if isinstance(mask, str):
                return mask
            if mask.size != image:
                return (
                    f"{file.name} (a mask of {mask.size[0]} x {mask.size[1]}, but an image of {image[0]} x {image[1]})"
                )
            if (within := inside(mask.pixels[..., 0])) is None:
                return f"{file.name} (more than two values, but it is one of several masks of an image)"
            drawn.append((within, value))
        pixels = np.zeros(image, np.int16)
        for within, value in sorted(drawn, key=lambda one: -int(one[0].sum())):
            pixels[within] = value
        return DecodedImage(self.name, pixels[..., None], image)


class Several(NamedTuple):
    """Images with several masks."""

    images: list[Masks]
    names: list[str]  # Of the values 0, 1, ...
    notes: list[str]
    numbered: bool  # Whether the masks of an image differ by numbers alone.


class _Place(NamedTuple):
    """Where a file lies, without its folder of images or of masks, and without its ending."""

    above: str
    below: str

    @property
    def name(self) -> str:
        return f"{self.above}/{self.below}" if self.above else self.below


def several(
    root: Path,
    files: Sequence[File],
    folders: tuple[Iterable[str], Iterable[str]],
    words: Iterable[str],
    objects: str,
    least: int = 2,
) -> Several | None:
    """The images with their masks, by folders and names; None where no image has so many as `least`.

    Args:
        folders: names of folders of images, and of masks.
        words: in names of masks.
        objects: one of `OBJECTS`; "auto": what masks are called, where it is words that several images share.

    Raises:
        BadInput: a mask may be of several images, or names do not say whether objects are of one class.
    """
    images, masks = _told_apart(files, folders)
    if not masks:
        images, masks = _by_words(files, words)
    of_image: dict[_Place, list[tuple[str, File]]] = {}
    for mask, (image, name) in _matched(root, images, masks, words).items():
        of_image.setdefault(image, []).append((name, masks[mask]))
    if max(map(len, of_image.values()), default=0) < least:
        return None
    classes = _classes(root, of_image, objects)
    value = {name: k for k, name in enumerate(classes, 1)}
    taken = [
        Masks(
            place.name,
            images[place],
            tuple(mask for _, mask in group),
            tuple(value.get(name or "object", 1) for name, _ in group),
        )
        for place, group in of_image.items()
    ]
    used = {file.name for one in taken for file in (one.image, *one.masks)}
    skipped = sorted(file.name for file in files if file.name not in used)
    numbered = {name for group in of_image.values() for name, _ in group} == {""}
    if classes:
        how = "what they are called is their class, smaller ones over larger ones; data.objects=one makes one class"
    else:
        how = "all are of one class" + ("" if numbered else "; data.objects=names makes a class of each name")
    note = f"United {count(sum(len(one.masks) for one in taken), 'mask')} of {count(len(taken), 'image')}: {how}."
    notes = [note, *listed("Skipped {} without a partner: {}.", skipped)]
    return Several(taken, ["background", *(classes or ["object"])], notes, numbered)


def inside(values: Pixels) -> np.ndarray | None:
    """(H, W) where the object is; None where there are more than two values, and no soft edges between 0 and 255."""
    levels = np.unique(values)
    if len(levels) <= 2:
        return np.asarray(values == levels[-1]) if levels[-1] > 0 else np.zeros(values.shape, bool)
    between = (values > _DARK) & (values < IGNORED - _DARK)
    soft = levels[-1] > IGNORED - _DARK and levels[0] < _DARK and float(between.mean()) <= _BETWEEN
    return np.asarray(values >= MIDDLE) if soft and len(levels) > 3 else None


def _place(name: str, folder: int | None) -> _Place:
    """The place of a file, of which one part of the path is a folder of images or masks."""
    parts = [*PurePosixPath(name).parts[:-1], stem_of(PurePosixPath(name).name)]
    if folder is None:
        return _Place("/".join(parts[:-1]), parts[-1])
    return _Place("/".join(parts[:folder]), "/".join(parts[folder + 1 :]))


def _told_apart(
    files: Sequence[File], folders: tuple[Iterable[str], Iterable[str]]
) -> tuple[dict[_Place, File], dict[_Place, File]]:
    """Images and masks by the names of their folders."""
    sides: tuple[dict[_Place, File], dict[_Place, File]] = ({}, {})
    known = [{name.lower() for name in names} for names in folders]
    for file in files:
        above = [part.lower() for part in PurePosixPath(file.name).parts[:-1]]
        at = next(((k, side) for k, part in enumerate(above) for side in (1, 0) if part in known[side]), None)
        if at is not None:
            sides[at[1]].setdefault(_place(file.name, at[0]), file)
    return sides


def _by_words(files: Sequence[File], words: Iterable[str]) -> tuple[dict[_Place, File], dict[_Place, File]]:
    """Images and masks in the same folders: masks have the name of an image, and a word or another ending behind."""
    every = {_place(file.name, None): file for file in files}
    tail = _tail(words)
    masks = {
        place: file
        for place, file in every.items()
        if any(
            (told := tail.fullmatch(place.below[cut:])) and told["word"]
            for cut in range(1, len(place.below))
            if _Place(place.above, place.below[:cut]) in every
        )
    }
    if not masks:
        masks = {place: file for place, file in every.items() if file.name.lower().endswith((".png", ".bmp", ".gif"))}
    return {place: file for place, file in every.items() if place not in masks}, masks


def _tail(words: Iterable[str]) -> re.Pattern[str]:
    """What stands behind the name of the image: a word or a sign, and what tells the object."""
    every = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(
        rf"(?P<sign>[_\-. ]+)?(?:(?P<word>{every})(?:[_\-. ]+|(?=\d)|$))?(?P<mark>.*)", re.IGNORECASE | re.DOTALL
    )


def _matched(
    root: Path, images: Mapping[_Place, File], masks: Mapping[_Place, File], words: Iterable[str]
) -> dict[_Place, tuple[_Place, str]]:
    """The image of each mask that has one, and what its object is called, by the way that most names follow.

    None where names differ by words for labels alone.

    Raises:
        BadInput: two ways fit as many of them, and mean different images.
    """
    tail = _tail(words)
    called: dict[tuple[_Place, str], _Place] = {}
    alone = Counter(place.above for place in images)
    single = {place.above: place for place in images if place.above and alone[place.above] == 1}
    ways: list[dict[_Place, tuple[_Place, str]]] = [{}, {}, {}, {}]
    for mask in masks:
        head, _, last = mask.below.rpartition("/")
        first, _, rest = mask.below.partition("/")
        if head and (image := _Place(mask.above, head)) in images:
            ways[0][mask] = image, _called(last)
        if rest and (image := _Place(mask.above, rest)) in images:
            ways[1][mask] = image, first
        for cut in range(len(mask.below), 0, -1):
            image = _Place(mask.above, mask.below[:cut])
            told = tail.fullmatch(mask.below[cut:]) if image in images else None
            if told is not None and (told["sign"] or told["word"] or not told["mark"]):
                if called.setdefault((image, told["mark"]), mask) != mask:
                    return {}  # "1_mask" and "1_seg" are two kinds of labels
                ways[2][mask] = image, _called(told["mark"])
                break
        if mask.above in single:
            ways[3][mask] = single[mask.above], _called(last)
    best, other = sorted(ways, key=_reach, reverse=True)[:2]
    for mask in (mask for mask in best if _reach(best) == _reach(other) and best[mask][0] != other[mask][0]):
        both = " or ".join(repr(images[way[mask][0]].name) for way in (best, other))
        raise BadInput(
            f"{masks[mask].name} of {root.name} may be a mask of {both}; name masks as their image, a sign and the "
            "object, such as masks/cat_1_0.png"
        )
    return best


def _reach(way: Mapping[_Place, tuple[_Place, str]]) -> tuple[int, int]:
    """How many masks have an image, and how many images have a mask."""
    return len(way), len({image for image, _ in way.values()})


def _called(mark: str) -> str:
    """What a mark says but for the number of the object; nothing where digits in it make it a number or a code."""
    name = _NUMBERED.fullmatch(mark)
    return name["name"].strip("_-. ").lower() if name else ""


def _classes(root: Path, of_image: Mapping[_Place, list[tuple[str, File]]], objects: str) -> list[str]:
    """The classes by their names, in order; none where all objects are of one."""
    images = Counter(name for group in of_image.values() for name in {name for name, _ in group})
    shared = len(of_image) == 1 or 2 * len(images) <= sum(images.values())
    if objects == "auto" and shared and "" in images and len(images) > 1:
        some = next(name for name in images if name)
        raise BadInput(
            f"some masks of {root.name} are numbered alone, others are called such as '{some}'; --set data.objects=one "
            "takes all for one class, data.objects=names each name for one"
        )
    if objects == "one" or (objects == "auto" and (set(images) == {""} or not shared)):
        return []
    if len(images) >= _MOST_NAMES:
        raise BadInput(f"masks of {root.name} have {len(images):,} names, over {_MOST_NAMES}; take data.objects=one")
    return sorted(name or "object" for name in images)
