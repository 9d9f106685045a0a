"""Pictures without labels in the size, the channels and the depth of others, as one array, without torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from evenodds.data.folders.archives import is_archive
from evenodds.data.folders.files import Said, listing
from evenodds.data.folders.ignored import ignored
from evenodds.data.folders.kinds import PICTURES, decode_any
from evenodds.data.part_names import LABELS
from evenodds.data.pictures.numbers import Form, of_one_kind, remarks
from evenodds.data.pictures.opening import checked_limit
from evenodds.data.pictures.picture import Frames
from evenodds.data.pictures.stack import arrayed
from evenodds.data.scale import Scale
from evenodds.data.wording import count, listed, not_like
from evenodds.errors import BadInput

__all__ = ["Pictures", "pictures_like"]


class Pictures(NamedTuple):
    """What was read."""

    x: NDArray[Any]  # (N, C, H, W) in own units: uint8, int32 of 16 bits, or float32.
    scale: Scale
    names: tuple[str, ...]
    notes: tuple[str, ...]


def pictures_like(
    source: Path,
    shape: tuple[int, ...],
    scale: Scale,
    what: str,
    most_pixels: int | None = None,
    reading: Callable[[int, int], None] | None = None,
) -> Pictures | None:
    """As `evenodds.data.sources.load_like` of pictures; None of what may have labels, or is no picture.

    Args:
        source: a picture, or a folder or archive whose pictures lie in no further folders, with no labels beside them.
        shape: (C, H, W) that they are brought to.
        scale: of others of that shape.
        what: begins the message, e.g. "the items".
        reading: told (files done, files in all).

    Raises:
        BadInput: there is no such picture, nothing can be read, or the shape is another one.
    """
    kinds = source.name.lower().endswith(PICTURES)
    if kinds and not os.path.exists(source):
        raise BadInput(f"no file '{source}' exists; give a picture, or a folder or archive of pictures")
    if len(shape) != 3 or not os.path.exists(source) or not (source.is_dir() or kinds or is_archive(source.name)):
        return None
    limit = checked_limit(most_pixels)
    form = Form((shape[1], shape[2]), "crop", limit)
    with listing(source, limit, Said(PICTURES, dicom=True)) as there:
        files, others, sources, _, _ = there
        plain = not sources and all("/" not in one.name and one.label is None for one in files)
        if not files or not plain or any(one.name == LABELS for one in others):
            return None
        records: list[Frames] = []
        skipped: list[str] = []
        for k, file in enumerate(files):
            one = decode_any(file, form, "first")
            if isinstance(one, str):
                skipped.append(one)
            else:
                records.append(one)
            if reading is not None:
                reading(k + 1, len(files))
    records, strange = of_one_kind(records) if records else ([], [])
    skipped += strange
    if not records:
        raise BadInput(f"{source.name} holds no images that can be read: {'; '.join(skipped)}")
    pictures = [record.pictures[0] for record in records]
    made = arrayed(pictures, (shape[1], shape[2]), shape[0], "crop", wanted="full", nodata="none")
    if made.x.shape[1:] != shape:
        raise not_like(what, made.x.shape[1:], shape)
    notes = (
        f"Read {count(len(pictures), 'image')} of {made.summary}.",
        *remarks(records),
        *listed("Skipped {} that cannot be read: {}.", skipped, what="file"),
        *ignored(others),
        *made.notes,
    )
    own = scale if made.scale.dtype == scale.dtype != "uint8" else made.scale
    return Pictures(made.x, own, tuple(one.name for one in records), notes)
