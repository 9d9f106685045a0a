"""What lies at a path, by the headers of some of its files: nothing is decoded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import ImageFile

from evenodds.data.folders.files import opened
from evenodds.data.pictures.opening import guarded
from evenodds.data.pictures.partners import Partners
from evenodds.data.readers.arrays import READS as ARRAYS
from evenodds.data.readers.images import READS as IMAGES
from evenodds.data.readers.packed import records_of
from evenodds.data.shard_index import is_packed, read_index
from evenodds.errors import BadInput
from evenodds.files.regular import open_regular, size_of
from evenodds.files.zips import open_zip
from evenodds.game.arithmetic import evenly

__all__ = ["Glimpse", "peek"]

LOOKED_AT = 64
"""Image files whose headers are read, spread evenly over the names."""
LINES = (".csv", ".tsv")
BEGINNING = 1 << 24
"""Bytes of a table whose lines are counted; a longer one has as many more."""
_GREY = ("1", "L", "LA", "La", "I", "F")


class Glimpse(NamedTuple):
    """What a source holds, as far as can be told at once."""

    items: int
    """Image files, items of an array, or about so many rows of a table."""
    shape: tuple[int, ...]
    """(C, H, W) of images, (D,) of rows. Of files: the most common size, and C = 1 where all are grey, else 3."""


def peek(path: str) -> Glimpse | None:
    """What lies at a path; None where it holds neither images nor an array nor lines of cells, or cannot be read.

    Example:
        >>> import numpy as np
        >>> from evenodds.data.peek import peek
        >>> np.save("x.npy", np.zeros((5, 28, 28), np.uint8))
        >>> peek("x.npy")
        Glimpse(items=5, shape=(1, 28, 28))
    """
    place = Path(path)
    ending = "/" if place.is_dir() else place.suffix.lower()
    try:
        if ending in ARRAYS:
            return _of_array(place)
        if ending in LINES:
            return _of_lines(place)
        if ending == "/" and is_packed(place):
            return _of_records(records_of(read_index(place)))
        return _of_images(place) if ending in IMAGES else None
    except (BadInput, OSError, ValueError, LookupError):
        return None  # whoever opens it says what is wrong with it


def _of_images(place: Path) -> Glimpse | None:
    with opened(place) as (files, _):
        some = [files[number] for number in evenly(len(files), LOOKED_AT).tolist()] if files else []
        forms = [form for file in some if not isinstance(form := guarded(file, _form), str)]
    if not forms:
        return None
    (height, width), _ = Counter(size for size, _ in forms).most_common(1)[0]
    return Glimpse(len(files), (1 if all(grey for _, grey in forms) else 3, height, width))


def _of_records(records: Sequence[Any]) -> Glimpse:
    """Of what was packed."""
    pictures = [one.first if isinstance(one, Partners) else one.pictures[0] for one in records]
    (height, width), _ = Counter(one.size for one in pictures).most_common(1)[0]
    channels = 1 if all(one.pixels.shape[2] < 3 for one in pictures) else 3
    return Glimpse(len(pictures), (channels, height, width))


def _of_lines(place: Path) -> Glimpse | None:
    """Of a table in lines, by the line breaks of its beginning and the delimiters of its first line."""
    with open_regular(place) as stream:
        first, beginning = stream.readline(), stream.read(BEGINNING)
        more = (size_of(stream) - len(first)) // max(1, len(beginning))
    lines = beginning.count(b"\n") * max(1, more)
    columns = 1 + max(first.count(mark) for mark in (b",", b";", b"\t"))
    return Glimpse(lines, (columns,)) if lines and columns > 1 else None


def _form(image: ImageFile.ImageFile) -> tuple[tuple[int, int], bool]:
    """(height, width), and whether it is grey."""
    return (image.height, image.width), image.mode.split(";")[0] in _GREY


def _of_array(place: Path) -> Glimpse | None:
    with open_regular(place) as stream:
        if place.suffix.lower() == ".npy":
            return _of_shape(_shape(stream))
        with open_zip(stream, place.name) as archive:
            names = archive.namelist()
            named = [name for name in ("x.npy", "x_train.npy") if name in names] or names[:1]
            with archive.open(named[0]) as entry:
                return _of_shape(_shape(entry))


def _shape(stream: IO[bytes]) -> tuple[int, ...]:
    """As the header of a .npy file says."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape: tuple[int, ...] = read(stream)[0]
    return shape


def _of_shape(shape: tuple[int, ...]) -> Glimpse | None:
    """Items as `from_array` takes them: the shorter one of the second and the last side counts channels."""
    if len(shape) not in (2, 3, 4) or not math.prod(shape):
        return None
    items, *sides = shape
    if len(sides) == 2:
        sides = [1, *sides]
    elif len(sides) == 3 and sides[2] <= sides[0]:
        sides = [sides[2], *sides[:2]]
    return Glimpse(items, tuple(sides))
