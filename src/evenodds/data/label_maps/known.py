"""What is known of the maps of public data sets: names of the values, and which of them count as no class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from evenodds.data.palette import Colour

__all__ = ["Known", "known"]


class Known(NamedTuple):
    """Names of the values 0, 1, ..."""

    names: list[str]
    void: frozenset[int]  # The values that count as no class, beside 255.
    colours: dict[Colour, int]
    note: str


_CITYSCAPES = """
7 road 804080, 8 sidewalk F423E8, 11 building 464646, 12 wall 66669C, 13 fence BE9999, 17 pole 999999,
19 traffic light FAAA1E, 20 traffic sign DCDC00, 21 vegetation 6B8E23, 22 terrain 98FB98, 23 sky 4682B4,
24 person DC143C, 25 rider FF0000, 26 car 00008E, 27 truck 000046, 28 bus 003C64, 31 train 005064,
32 motorcycle 0000E6, 33 bicycle 770B20
"""
"""Cordts et al. (2016), The Cityscapes Dataset: the 19 classes of its benchmark, by the number in labelIds."""
_CITYSCAPES_VOID = (
    "unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground, , , parking, rail track, , , , "
    "guard rail, bridge, tunnel, , polegroup, , , , , , , , , , , caravan, trailer, , , "
)
_VOC = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
)
"""Everingham et al. (2010), The Pascal Visual Object Classes Challenge."""


def known(root: Path, maps: Sequence[str]) -> Known | None:
    """What is known of the values in maps of these names; None where they are of no data set that is known."""
    stems = [name.rpartition(".")[0] for name in maps]
    if all(re.search(r"_gt(Fine|Coarse)_labelIds$", stem) for stem in stems):
        return _cityscapes(by_id=True)
    if all(re.search(r"_gt(Fine|Coarse)_labelTrainIds$", stem) for stem in stems):
        return _cityscapes(by_id=False)
    if all(re.search(r"(^|/)VOC(20\d\d|devkit)/.*SegmentationClass", f"{root.resolve().name}/{name}") for name in maps):
        note = "Took the names of the 21 classes of Pascal VOC; data.names gives others."
        return Known(_VOC.split(), frozenset(), {}, note)
    return None


def _cityscapes(by_id: bool) -> Known:
    entries = [entry.split() for entry in _CITYSCAPES.split(",")]
    classes = {
        int(number) if by_id else k: (" ".join(words), _colour(hexadecimal))
        for k, (number, *words, hexadecimal) in enumerate(entries)
    }
    void = [name.strip() for name in _CITYSCAPES_VOID.split(",")] if by_id else []
    names = [classes[k][0] if k in classes else void[k] for k in range(max(classes) + 1)]
    colours = {colour: value for value, (_, colour) in classes.items()}
    note = "Took the 19 classes of Cityscapes; data.ignore=none takes all, data.names gives others."
    return Known(names, frozenset(range(len(names))) - classes.keys(), colours, note)


def _colour(hexadecimal: str) -> Colour:
    red, green, blue = bytes.fromhex(hexadecimal)
    return red, green, blue
