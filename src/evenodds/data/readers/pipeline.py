"""The way from files to a data set, which all readers of images go.

A reader lists the files and says how one is decoded; then `decoded` reads them all and settles the size of an item,
`items` and `stacked` make the one array, and `dataset` puts it together with what lies beside it and the report.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple

import torch
from torch import Tensor

from evenodds.data.dataset import Beside, Dataset
from evenodds.data.folders.labels import NO_LABELS, Labels
from evenodds.data.items import Decoded
from evenodds.data.pictures.fitting import Again, fitting
from evenodds.data.pictures.opening import MOST_PIXELS, File, checked_limit
from evenodds.data.pictures.placing import Size
from evenodds.data.pictures.queue import Job, Record
from evenodds.data.pictures.stack import Items, Stack, common_size, large_enough
from evenodds.data.wording import count, listed
from evenodds.errors import BadInput, unknown
from evenodds.files.memory import as_bytes
from evenodds.game.schedule import OnProgress

__all__ = ["FITS", "IMAGE", "PAIR", "FileSet", "Form", "Kind", "Listing", "Records", "Wanted", "dataset", "decoded"]
__all__ += ["empty_in", "form_of", "skipped", "without"]

FITS = ("crop", "pad", "stretch", "tiles")


class Form(NamedTuple):
    """What the user wants an item to be."""

    size: Size | None  # (height, width); None: the most common one.
    fit: str
    most_pixels: int = MOST_PIXELS  # Of a picture in a file; larger ones are not decoded.
    memory: int | None = None  # Bytes that decoded pictures may take; None: what the machine has.

    @property
    def at_decoding(self) -> Size | None:
        """The size to which a picture can be brought as soon as it is decoded."""
        return None if self.fit == "tiles" else self.size


class Wanted(NamedTuple):
    """What the user wants of targets and of sources."""

    channels: tuple[int | None, int | None]
    range: str | Sequence[float]
    nodata: str | float
    splits: str


class Listing(NamedTuple):
    """What a folder or an archive holds."""

    root: Path
    files: Sequence[File]
    others: Sequence[File]
    kept: Callable[[], Callable[[], None]]
    """See `evenodds.data.folders.files.Listing.kept`."""


def form_of(
    root: Path,
    size: int | Sequence[int] | None,
    fit: str,
    most_pixels: int,
    *channels: int | None,
    memory: str | None = None,
) -> Form:
    """The options of a reader, checked.

    Args:
        memory: a size such as "1GB"; None for what the machine has.

    Raises:
        BadInput: there is no such path, or an option cannot be.
    """
    if not os.path.exists(root):
        raise BadInput(f"no file or folder '{root}' exists; give the path of a folder or archive of images")
    for number in channels:
        if number not in (None, 1, 3, 4):
            raise BadInput(f"images have 1 (grey), 3 (RGB) or 4 (RGB and alpha) channels, got {number}; choose one")
    if fit not in FITS:
        raise unknown("fit", fit, FITS)
    if size is None and fit == "tiles":
        raise BadInput("tiles need a size, e.g. 96, or (height, width); give one")
    room = None if memory is None else as_bytes("data.memory", memory, "1GB")
    if size is None:
        return Form(None, fit, checked_limit(most_pixels), room)
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or not all(isinstance(side, int) and 1 <= side <= 16384 for side in sides):
        raise BadInput(f"size needs a side or (height, width), each from 1 to 16384, got {size!r}")
    return Form((sides[0], sides[1]), fit, checked_limit(most_pixels), room)


class Kind(NamedTuple):
    """How messages call what is decoded."""

    noun: str
    file: str
    verb: str


IMAGE = Kind("image", "file", "read")
PAIR = Kind("pair", "pair", "used")


@dataclass(frozen=True)
class FileSet(Generic[Job]):
    """Files of one role."""

    jobs: Sequence[Job]
    noun: str
    """What one of them becomes, in the singular."""
    where: str = ""
    """In which folder they lie, for messages."""


@dataclass(frozen=True)
class Records(Generic[Record]):
    """A set of files, decoded."""

    records: list[Record]
    size: Size
    """(height, width) of an item."""
    skipped: list[str]
    """The names of files that cannot be used, with the reason."""
    small: list[str]
    """A note on what is too small for a tile."""
    again: Again | None = None
    """Decodes them when they are asked for; the records then have no pixels. None where they have them."""


def decoded(
    root: Path,
    sets: Sequence[FileSet[Job]],
    decode: Callable[[Job], Record | str],
    form: Form,
    kind: Kind,
    progress: OnProgress | None,
    lazily: bool = False,
) -> list[Records[Record]]:
    """Decodes sets of files in one queue; the first of them decides the size of an item where the form names none.

    Args:
        lazily: whether pictures that do not fit into memory can be decoded again when they are asked for.

    Raises:
        BadInput: no file of a set can be used, none holds a tile, or they do not fit into memory.
    """
    jobs = [job for of in sets for job in of.jobs]
    fitted = fitting(decode, jobs, form.memory, lazily, progress)
    parts = _parted(sets, fitted.results)
    again = Again(decode, fitted.jobs, fitted.room) if fitted.room is not None else None
    for of, (records, unusable) in zip(sets, parts, strict=True):
        if not records:
            every = count(len(of.jobs), kind.noun) + of.where
            raise BadInput(f"{root.name}: none of {every} can be {kind.verb}, e.g. {unusable[0]}")
    size = form.size or common_size([record.size for record in parts[0][0]])
    results = []
    for of, (records, unusable) in zip(sets, parts, strict=True):
        large, small = large_enough(records, size, form.fit, of.noun)
        results.append(Records(large, size, unusable, small, again))
    return results


def _parted(sets: Sequence[FileSet[Job]], results: Sequence[Record | str]) -> list[tuple[list[Record], list[str]]]:
    """The records of each set, and the names of what cannot be used."""
    places = [place for place, of in enumerate(sets) for _ in of.jobs]
    parts: list[tuple[list[Record], list[str]]] = [([], []) for _ in sets]
    for place, result in zip(places, results, strict=True):
        records, unusable = parts[place]
        if isinstance(result, str):
            unusable.append(result)
        else:
            records.append(result)
    return parts


def skipped(kind: Kind, *sets: Records[Record]) -> list[str]:
    """The notes on what was left out of these sets."""
    unusable = [name for of in sets for name in of.skipped]
    sentence = f"Skipped {{}} that cannot be {kind.verb}: {{}}."
    return [*listed(sentence, unusable, what=kind.file), *(note for of in sets for note in of.small)]


def empty_in(*stacks: Stack) -> Tensor:
    """The items of which one of these holds no data."""
    return torch.unique(torch.cat([stack.empty for stack in stacks]))  # type: ignore[no-any-return]


def without(made: Dataset, empty: Tensor) -> Dataset:
    """A data set without these items."""
    return (
        made.take(torch.isin(torch.arange(len(made)), empty, invert=True).nonzero().flatten()) if len(empty) else made
    )


def dataset(
    items: Items,
    stack: Stack,
    report: Sequence[str],
    beside: Mapping[str, Beside] | None = None,
    labels: Labels = NO_LABELS,
    apart: Tensor | None = None,
    reads: Decoded | None = None,
) -> Dataset:
    """The data set of a stack of items.

    Args:
        items: their names and groups, and the picture of each.
        stack: x, and its units.
        report: all notes.
        beside: what lies beside x, item by item.
        labels: of the pictures.
        apart: (pictures,) bool, those that are not trained on.
        reads: reads the items when they are asked for; None where they are in memory.
    """
    y, c, apart = (None if of is None else of[items.owners] for of in (labels.y, labels.c, apart))
    return Dataset(
        stack.x,
        stack.units,
        y,
        labels.classes,
        items.names,
        c=c,
        conditions=labels.conditions,
        beside=beside or {},
        groups=items.groups,
        report=tuple(report),
        apart=apart,
        items=reads,
    )
