"""Both pictures of a pair side by side in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from evenodds.data.folders.kinds import decode_first as decode
from evenodds.data.pictures.opening import File, guarded
from evenodds.data.pictures.partners import Partners
from evenodds.data.pictures.picture import DecodedImage
from evenodds.data.pictures.placing import Pixels, resized
from evenodds.data.readers.pipeline import Form, Records
from evenodds.game.arithmetic import evenly

__all__ = ["SIDES", "alike", "halves", "side_of_sources", "twice_as_wide"]

SIDES = ("auto", "left", "right", "none")
"""Which half of a file may be the source."""
LOOKED_AT = 20
"""Files of which the size is looked at."""


def side_of_sources(files: Sequence[File], beside: str, form: Form) -> str:
    """The half that is the source; empty where files are not to be cut.

    Args:
        beside: the option of the reader: "auto" or "none".
    """
    shares = _twice_as_wide(files, form) if beside == "auto" else []
    return "left" if shares and all(shares) else ""


def _twice_as_wide(files: Sequence[File], form: Form) -> list[bool]:
    """Which of some files are twice as wide as high."""
    some = [files[k] for k in evenly(len(files), LOOKED_AT).tolist()] if files else []
    sizes = [guarded(file, lambda image: image.size, form.most_pixels) for file in some]
    return [not isinstance(size, str) and size[0] == 2 * size[1] for size in sizes]


def twice_as_wide(files: Sequence[File], form: Form) -> str:
    """What helps where most files, but not all, are twice as wide as high, as a part of a sentence."""
    wide = _twice_as_wide(files, form)
    if 2 * sum(wide) <= len(wide):
        return ""
    return (
        f"; {sum(wide)} of {len(wide)} files that were looked at are twice as wide as high: where both of a pair lie "
        "side by side in one file, --set data.beside=left cuts these and skips the others"
    )


def alike(batch: Records[Partners]) -> Records[Partners]:
    """The halves without those that are no squares, where most are."""
    odd = [pair for pair in batch.records if pair.size[0] != pair.size[1]]
    if not odd or 2 * len(odd) >= len(batch.records):
        return batch
    names = [
        f"{pair.name} ({pair.size[0]} x {2 * pair.size[1]}, not twice as wide as high as most are)" for pair in odd
    ]
    kept = [pair for pair in batch.records if pair.size[0] == pair.size[1]]
    return replace(batch, records=kept, skipped=[*batch.skipped, *names])


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
