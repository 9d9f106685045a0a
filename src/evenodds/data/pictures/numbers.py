"""Pictures of other readers than Pillow: of any number of channels, depth and sign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from evenodds.data.pictures.opening import File, Unusable, check_pixels
from evenodds.data.pictures.picture import DecodedImage, Frames
from evenodds.data.pictures.placing import Pixels, Size, resized
from evenodds.data.pictures.ranges import in_single
from evenodds.data.wording import count, listed
from evenodds.files import memory

__all__ = ["Form", "Plane", "as_frames", "as_picture", "of_one_kind", "require_room"]

_COLOURS = {"uint8": (1, 3, 4), "uint16": (1, 3)}
"""Channels that are grey or colours, and not numbers of any kind."""


class Form(NamedTuple):
    """What a picture is brought to as soon as it is decoded."""

    size: Size | None
    fit: str
    most_pixels: int
    window: tuple[float, float] | str | None = None
    """Of grey in DICOM files: its centre and width, "file" for that in the file, None for none."""
    every: int | None = None
    """Of how many frames of a video one is taken; None for one in each second."""


class Plane(NamedTuple):
    """One picture of a file."""

    suffix: str
    """What follows the file's name where there are several, such as "12" or "t2z5"."""
    values: Pixels
    """(H, W, C), upright; NaN where there are no data."""
    colours: bool = True
    """Whether channels may be grey or colours, and the last of 4 alpha; else they are numbers, unless it is one."""


def as_picture(name: str, values: Pixels, form: Form, animated: bool = False, colours: bool = True) -> DecodedImage:
    """A picture of numbers (H, W, C) of any dtype: 8 and 16 bits stay as they are, others become float32.

    Args:
        colours: see `Plane`.

    Raises:
        Unusable: they are complex or infinite, or too many.
    """
    height, width, channels = values.shape
    check_pixels(height, width, form.most_pixels)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    numbers = channels not in _COLOURS.get(values.dtype.name, ()) or (channels > 1 and not colours)
    pixels, rounded = (values, 0.0) if values.dtype.name in _COLOURS else _in_single(values)
    if form.size:
        pixels = resized(pixels, form.size, form.fit, separate=numbers)
    pixels = np.ascontiguousarray(pixels)
    return DecodedImage(name, pixels, (height, width), animated=animated, numbers=numbers, rounded=rounded)


def _in_single(values: Pixels) -> tuple[Pixels, float]:
    """In single precision, and by how much values were changed at most."""
    if values.dtype.kind not in "biuf":
        raise Unusable(f"values of the kind {values.dtype}")
    single, rounded = in_single(values)
    if np.isinf(single).any():
        raise Unusable("infinite values, or such beyond single precision")
    return single, rounded


def as_frames(
    file: File, planes: Iterable[Plane], form: Form, which: str, unusable: Sequence[str] = (), note: str = ""
) -> Frames:
    """The pictures of a file, the first alone or all; a single one has the name of the file."""
    parts = list(planes)
    cut = which == "first" and len(parts) > 1
    parts = parts[:1] if cut else parts
    several = len(parts) > 1
    names = [f"{file.name}#{plane.suffix}" if several else file.name for plane in parts]
    pictures = [
        as_picture(name, plane.values, form, cut, plane.colours) for name, plane in zip(names, parts, strict=True)
    ]
    if not pictures:
        raise Unusable("no image in it")
    return Frames(file.name, pictures, [f"{file.name}#{one}" for one in unusable], note)


def require_room(needed: int) -> None:
    """`Unusable` where decoding a file needs more than half of the memory."""
    if needed > (most := memory.machine_bytes() // 2):
        raise Unusable(f"its numbers need {needed / 2**30:,.1f} GiB, over half of the memory ({most / 2**30:,.1f} GiB)")


def remarks(records: Sequence[Frames]) -> list[str]:
    """What is to be said of how files were read."""
    notes = dict.fromkeys(record.note for record in records if record.note)
    return [
        line
        for note in notes
        for line in listed(f"Of {{}} ({{}}): {note}.", [record.name for record in records if record.note == note])
    ]


def of_one_kind(records: Sequence[Frames]) -> tuple[list[Frames], list[str]]:
    """Those of the commonest kind, grey and coloured images or numbers in as many channels, and the names of others."""
    kinds = [_kind(record) for record in records]
    if len(set(kinds)) < 2:
        return list(records), []
    (usual, _), *_ = Counter(kinds).most_common(1)
    others = [f"{one.name} ({_named(kind)} among {_named(usual)})" for one, kind in _pairs(records, kinds, usual)]
    return [record for record, kind in zip(records, kinds, strict=True) if kind == usual], others


def _pairs(records: Sequence[Frames], kinds: Sequence[int], usual: int) -> list[tuple[Frames, int]]:
    return [(record, kind) for record, kind in zip(records, kinds, strict=True) if kind != usual]


def _kind(record: Frames) -> int:
    """How many channels of numbers; 0 of grey and coloured images."""
    first = record.pictures[0]
    return first.pixels.shape[2] if first.numbers else 0


def _named(kind: int) -> str:
    return f"{count(kind, 'channel')} of numbers" if kind else "grey or coloured images"
