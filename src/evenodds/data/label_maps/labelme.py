"""The regions of labelme: one file of JSON for each image, with shapes by label."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from evenodds.data.folders.files import content
from evenodds.data.label_maps.drawings import (
    VOID,
    Annotated,
    Drawing,
    Places,
    Region,
    collected,
    named,
    of_parts,
    points_of,
)
from evenodds.data.label_maps.regions import Mask, inside_polygon
from evenodds.data.pictures.opening import MOST_PIXELS, File, Unusable, most_bytes
from evenodds.data.pictures.placing import Size
from evenodds.data.wording import listed
from evenodds.files.read import parse_json

__all__ = ["Labelme", "of_labelme"]

_MOST_JSON = 1 << 28  # Bytes of a file of one image, which may hold the image.


@dataclass(frozen=True)
class _LabelmeShape:
    label: str
    points: list[list[float]]
    shape_type: str | None = "polygon"
    mask: str | None = None


@dataclass(frozen=True)
class Labelme:
    shapes: list[_LabelmeShape]
    imagePath: str | None
    inside: bool  # Whether the file holds the image, too.
    imageHeight: int | None = None
    imageWidth: int | None = None


_DRAWN = ("polygon", "rectangle", "circle", "mask")


def of_labelme(root: Path, documents: Sequence[tuple[File, Labelme]], places: Places) -> Annotated:
    parts = of_parts(file.name for file, _ in documents)
    drawings: dict[str, Drawing] = {}
    absent: list[str] = []
    thin: Counter[str] = Counter()
    for file, one in documents:
        place = places.of(one.imagePath or "", file.name) or places.beside(file.name) or _within(file, one)
        if place is None:
            absent.append(file.name)
            continue
        kinds = [shape.shape_type or "polygon" for shape in one.shapes]
        thin.update(kind for kind in kinds if kind not in _DRAWN)
        regions = [
            Region(shape.label, (kind, shape), _labelme_mask)
            for shape, kind in zip(one.shapes, kinds, strict=True)
            if kind in _DRAWN
        ]
        name = named(place, parts[file.name])
        size = (one.imageHeight, one.imageWidth) if one.imageHeight and one.imageWidth else None
        drawings[name] = Drawing(name, place, size, regions, False)
    names = sorted({str(region.label) for one in drawings.values() for region in one.regions} - {*VOID})
    notes = [
        *listed("Found no image for {} of labelme: {}.", absent),
        *(
            [f"Left out shapes without an area: {', '.join(f'{n} {kind}' for kind, n in thin.items())}."]
            if thin
            else []
        ),
        "Where regions overlap, later ones lie over earlier ones.",
    ]
    return collected(root, [file for file, _ in documents], drawings, names, notes)


def _within(file: File, one: Labelme) -> File | None:
    """The image within a file of labelme."""
    if not one.inside:
        return None
    return File(str(PurePosixPath(file.name).with_suffix(".png")), partial(_image_in, file))


def _image_in(file: File) -> BytesIO:
    data = parse_json(content(file, _MOST_JSON), file.name).get("imageData")
    return BytesIO(_unpacked(data))


def _unpacked(data: Any) -> bytes:
    if not isinstance(data, str) or len(data) > 4 * (most_bytes(MOST_PIXELS) // 3):
        raise Unusable("no image in it, or too large a one")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise Unusable("a damaged image in it") from None


def _labelme_mask(shape: tuple[str, _LabelmeShape], size: Size) -> Mask:
    kind, one = shape
    points = points_of(one.points)
    if kind == "polygon":
        return inside_polygon(points, size)
    if len(points) != 2:
        raise Unusable(f"a {kind} that has not two points")
    (left, top), (right, bottom) = points
    if kind == "rectangle":
        return inside_polygon([(left, top), (right, top), (right, bottom), (left, bottom)], size)
    if kind == "circle":
        turn, radius = np.linspace(0, 2 * np.pi, 257)[:-1], float(np.hypot(right - left, bottom - top))
        return inside_polygon(np.stack([left + radius * np.cos(turn), top + radius * np.sin(turn)], 1), size)
    return _pasted(one.mask, (round(top), round(left)), size)


def _pasted(text: str | None, corner: tuple[int, int], size: Size) -> Mask:
    """A mask that is a picture in a text, laid where it belongs."""
    with Image.open(BytesIO(_unpacked(text)), formats=("PNG",)) as picture:
        if picture.width > size[1] or picture.height > size[0]:
            raise Unusable("a mask that is larger than its image")
        small = np.asarray(picture.convert("L")) > 0
    mask = np.zeros(size, bool)
    top, left = (int(np.clip(at, 0, length)) for at, length in zip(corner, size, strict=True))
    part = mask[top : top + small.shape[0], left : left + small.shape[1]]
    part[:] = small[: part.shape[0], : part.shape[1]]
    return mask
