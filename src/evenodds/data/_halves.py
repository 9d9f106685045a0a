"""Both pictures of a pair side by side in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from evenodds.data._kinds import decode_first as decode
from evenodds.data._partners import Partners
from evenodds.data._picture import DecodedImage, File, guarded
from evenodds.data._pipeline import Form
from evenodds.data._placing import Pixels, resized
from evenodds.errors import unknown
from evenodds.game.arithmetic import evenly

__all__ = ["halves", "side_of_sources"]

SIDES = ("auto", "left", "right", "none")
"""Which half of a file may be the source."""
LOOKED_AT = 20
"""Files of which the size is looked at."""


def side_of_sources(files: Sequence[File], beside: str, usual: Sequence[tuple[str, str]], form: Form) -> str:
    """The half that is the source; empty where files are not to be cut.

    Args:
        beside: the option of the reader: one of `SIDES`.
        usual: names of folders that lie side by side; where some do, files are not cut.
    """
    if beside not in SIDES:
        raise unknown("side of data.beside", beside, SIDES)
    if beside != "auto":
        return "" if beside == "none" else beside
    names = {part.lower() for file in files for part in PurePosixPath(file.name).parent.parts}
    if not files or any(source.lower() in names and target.lower() in names for source, target in usual):
        return ""
    some = [files[k] for k in evenly(len(files), LOOKED_AT).tolist()]
    sizes = [guarded(file, lambda image: image.size, form.most_pixels) for file in some]
    return "left" if all(not isinstance(size, str) and size[0] == 2 * size[1] for size in sizes) else ""


def halves(file: File, side: str, form: Form) -> Partners | str:
    """The target and the source of a file, or its name and why it cannot be used.

    Args:
        side: "left" or "right", where the source is.
    """
    whole = decode(file, None, form.fit, form.most_pixels)
    if isinstance(whole, str):
        return whole
    width = whole.size[1]
    if width % 2:
        return f"{file.name} (a width of {width}, which has no two halves)"
    left, right = (_half(whole, part, form) for part in np.split(whole.pixels, 2, axis=1))
    target, source = (right, left) if side == "left" else (left, right)
    return Partners(str(PurePosixPath(file.name).with_suffix("")), target, source)


def _half(whole: DecodedImage, pixels: Pixels, form: Form) -> DecodedImage:
    brought = resized(pixels, form.at_decoding, form.fit) if form.at_decoding else pixels
    return whole._replace(pixels=np.ascontiguousarray(brought), size=(whole.size[0], whole.size[1] // 2))
