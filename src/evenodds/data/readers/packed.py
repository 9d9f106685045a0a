"""Folders of shards with an index, as `evenodds pack` writes them: read by offset, in any order."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evenodds.data.dataset import Beside, Dataset
from evenodds.data.folders.kinds import decode_any
from evenodds.data.folders.labels import NO_LABELS, Labels
from evenodds.data.folders.splits import checked
from evenodds.data.items import Notes, Part
from evenodds.data.pictures.fitting import NOTES, RECORDS, noted, records_in, unfilled
from evenodds.data.pictures.numbers import Form as Brought
from evenodds.data.pictures.numbers import as_picture
from evenodds.data.pictures.opening import MOST_PIXELS, File
from evenodds.data.pictures.partners import Partners
from evenodds.data.pictures.picture import DecodedImage, Frames
from evenodds.data.pictures.placing import Size
from evenodds.data.pictures.ranges import check_options
from evenodds.data.pictures.stack import Items, items
from evenodds.data.pictures.unread import on_memory
from evenodds.data.readers.images import nothing, stack_of
from evenodds.data.readers.pairs import one_scale, pair_of, stacks_of
from evenodds.data.readers.pipeline import (
    IMAGE,
    PAIR,
    FileSet,
    Form,
    Records,
    Wanted,
    dataset,
    decoded,
    empty_in,
    form_of,
    skipped,
    without,
)
from evenodds.data.shard_index import INDEX, Shards, read_index
from evenodds.data.wording import count
from evenodds.errors import BadInput
from evenodds.game.schedule import OnProgress

__all__ = ["packed", "records_of"]


def packed(
    path: str | os.PathLike[str],
    layout: str = "images",
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
    source_channels: int | None = None,
    fit: str = "crop",
    labels: bool = True,
    splits: str = "respect",
    range: str | Sequence[float] = "auto",
    nodata: str | float = "auto",
    most_pixels: int = MOST_PIXELS,
    memory: str | None = None,
    progress: OnProgress | None = None,
) -> Dataset:
    """The items of a folder of shards, in the order and under the names in which they were packed.

    Args:
        path: the folder, with its index.
        layout: what was packed: "images", "pairs", or "maps".
        size, channels, fit: see `images.images`. Maps stay as large as they were packed.
        source_channels: of pairs, see `pairs.pairs`.
        labels: take the classes and conditions that were packed.
        splits: "respect" holds out what was held out when it was packed; "ignore" does not; "train" leaves it aside.
        range, nodata: of images of 16 bits, see `from_array`.
        most_pixels: see `images.images`.
        memory: see `images.images`.
        progress: told (items done, items in all) now and then.

    Raises:
        BadInput: the index or a shard is damaged, missing or of another time; the message names it.
    """
    folder, splits = Path(path), checked(splits)
    shards = read_index(folder)
    if shards.card.layout != layout:
        raise BadInput(f"{folder} holds {shards.card.layout}, and {layout} are wanted; name data of that kind")
    form = form_of(folder, size, fit, most_pixels, channels, source_channels, memory=memory)
    check_options(range, nodata)
    results = [_with_form(one, form) for one in records_of(shards)]
    there = shards.known.get("apart")
    if splits == "train" and there is not None:
        index = (~there).nonzero().flatten().tolist()
        shards, results = shards.taken(index, {}), [results[k] for k in index]
    wanted = Wanted((channels, source_channels), range, nodata, splits)
    token = NOTES.set(_notes(shards, results, form, (range, nodata) == ("auto", "auto")))
    try:
        made = (_images if layout == "images" else _pairs)(shards, form, wanted, labels, progress)
    finally:
        NOTES.reset(token)
    apart = made.apart if splits == "respect" and made.apart is not None and bool(made.apart.any()) else None
    return replace(made, apart=apart)


class _Job(NamedTuple):
    """An item, not read yet."""

    name: str
    number: int


def records_of(shards: Shards) -> list[Any]:
    """What items were decoded to when they were packed, without pixels."""
    try:
        records = records_in(shards.notes[RECORDS])
        kind = Frames if shards.card.layout == "images" else Partners
        if len(records) != len(shards.names) or not all(isinstance(one, kind) for one in records):
            raise ValueError("records")
        if any(isinstance(one, Frames) and len(one.pictures) != 1 for one in records):
            raise ValueError("records")
        return records
    except (LookupError, TypeError, ValueError, AttributeError, BadInput) as error:
        raise BadInput(f"{shards.folder / INDEX} is damaged; pack the data again: evenodds pack") from error


def _with_form(record: Any, form: Form) -> Any:
    """A record as it is decoded in this form: its pixels are brought to the size at once."""
    if form.at_decoding is None:
        return record
    height, width = form.at_decoding

    def brought(picture: DecodedImage, scale: int = 1) -> DecodedImage:
        shape = (height // scale, width // scale, picture.pixels.shape[2])
        return picture._replace(pixels=unfilled(picture.pixels.dtype.str, shape))

    if isinstance(record, Partners):
        scale = max(1, record.first.size[0] // max(1, record.second.size[0]))
        return record._replace(first=brought(record.first), second=brought(record.second, scale))
    return record._replace(pictures=[brought(one) for one in record.pictures])


def _notes(shards: Shards, results: list[Any], form: Form, all_numbers: bool) -> Notes:
    """What is noted of this reading, with what the index says, where it holds for this form."""
    notes = {} if (earlier := NOTES.get()) is None else earlier
    notes[RECORDS] = noted(results)
    sizes = {record.first.size if isinstance(record, Partners) else record.pictures[0].size for record in results}
    if all_numbers and form.fit != "tiles" and len(sizes) == 1 and form.size in (None, *sizes):
        for name, note in shards.notes.items():
            notes.setdefault(name, note)
    return notes


def _decode(shards: Shards, item: int, part: int, brought: Brought, numbers: bool) -> Frames | str:
    """A part of an item, decoded."""
    content, ending, name = shards.read(item, part), shards.ending(item, part), shards.names[item]
    if ending == "npy":
        values = _array(content)
        if values is None:
            return f"{name} (damaged)"
        return Frames(name, [as_picture(name, values, brought, colours=not numbers)], [])
    frames = decode_any(File(f"{name}.{ending}", lambda: BytesIO(content)), brought, "first")
    if isinstance(frames, str):
        return frames
    return frames._replace(name=name, pictures=[one._replace(name=name) for one in frames.pictures[:1]])


def _array(content: bytes) -> NDArray[Any] | None:
    """The numbers (H, W, C) of a .npy file; None where it is none, or shorter than it says."""
    stream = BytesIO(content)
    try:
        np.lib.format.read_magic(stream)
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        count = math.prod(shape)
        if len(shape) != 3 or dtype.kind not in "uif" or stream.tell() + count * dtype.itemsize != len(content):
            return None
        return np.frombuffer(content, dtype, count, stream.tell()).reshape(shape)
    except (ValueError, TypeError, EOFError, SyntaxError):
        return None


def _labels(shards: Shards, labels: bool) -> Labels:
    if not labels:
        return NO_LABELS
    return Labels(shards.known.get("y"), shards.card.classes, shards.known.get("c"), shards.card.conditions)


def _groups(shards: Shards, made: Dataset, tiles: Items) -> Dataset:
    groups = shards.known.get("groups")
    return made if groups is None else replace(made, groups=groups[tiles.owners])


def _from(shards: Shards) -> str:
    return f"from {count(len(shards.card.shards), 'shard')}"


def _images(shards: Shards, form: Form, wanted: Wanted, labels: bool, progress: OnProgress | None) -> Dataset:
    brought = Brought(form.at_decoding, form.fit, form.most_pixels)
    flags = [record.pictures[0].numbers for record in records_of(shards)]
    jobs = [_Job(name, k) for k, name in enumerate(shards.names)]

    def decode(job: _Job) -> Frames | str:
        return _decode(shards, job.number, 0, brought, flags[job.number])

    (batch,) = decoded(shards.folder, [FileSet(jobs, "image")], decode, form, IMAGE, progress, lazily=True)
    pictures = [file.pictures[0] for file in batch.records]
    tiles = items([one.name for one in pictures], [one.size for one in pictures], batch.size, form.fit)
    stack, reading = stack_of(batch, tiles, wanted.channels[0], form.fit, wanted.range, wanted.nodata, nothing)
    _require_all(batch, shards)
    report = (
        f"Read {count(len(tiles.names), 'image')} of {stack.summary}, {_from(shards)}.",
        *tiles.notes,
        *skipped(IMAGE, batch),
        *stack.notes,
        *on_memory(batch.again, form.memory, stack.x),
    )
    known, apart = _labels(shards, labels), shards.known.get("apart")
    made = _groups(shards, dataset(tiles, stack, report, labels=known, apart=apart, reads=reading), tiles)
    return without(made, stack.empty)


def _require_all(batch: Records[Any], shards: Shards) -> None:
    """BadInput where an item that was packed cannot be decoded, or is left out: labels would go to others."""
    if len(batch.records) < len(shards.names):
        why = (batch.skipped or ["some are smaller than a tile; give a smaller data.size"])[0]
        raise BadInput(f"{shards.folder}: not all items can be used: {why}")


def _pairs(shards: Shards, form: Form, wanted: Wanted, labels: bool, progress: OnProgress | None) -> Dataset:
    whole = Brought(None, form.fit, form.most_pixels)
    jobs = [_Job(name, k) for k, name in enumerate(shards.names)]
    maps = shards.card.layout == "maps"

    def side(job: _Job, part: int) -> DecodedImage | str:
        frames = _decode(shards, job.number, part, whole, False)
        return frames if isinstance(frames, str) else frames.pictures[0]

    def decode(job: _Job) -> Partners | str:
        return pair_of(job.name, side(job, 0), side(job, 1), form)

    if maps and form.size is not None and form.size != (stored := _size(shards)):
        here = stored[0] if stored[0] == stored[1] else "none"
        how = f"set size={here}, or pack them again with --size {form.size[0]},{form.size[1]}"
        raise BadInput(f"these maps were packed at {stored[0]} x {stored[1]}; {how}")
    (batch,) = decoded(shards.folder, [FileSet(jobs, "pair")], decode, form, PAIR, progress, lazily=True)
    scale, pairs, _ = one_scale(batch.records)
    _require_all(replace(batch, records=pairs), shards)
    tiles = items([one.name for one in pairs], [one.first.size for one in pairs], batch.size, form.fit, "pair")
    x, other, reading = stacks_of(batch, pairs, scale, tiles, form.fit, wanted, lambda: nothing)
    report = (
        f"Read {count(len(tiles.names), 'pair')} {_from(shards)}: images of {x.summary}, beside them {other.summary}.",
        *tiles.notes,
        *x.notes,
        *other.notes,
        *on_memory(batch.again, form.memory, x.x, other.x),
    )
    beside = {"source": Beside(other.x, other.units)}
    if maps:
        beside = {"labels": Beside(other.x[:, 0], palette=shards.card.palette)}
        if reading is not None:
            reading.parts = {"x": reading.parts["x"], "labels": _as_labels(reading.parts["source"])}
    known = _labels(shards, labels)
    made = dataset(tiles, x, report, beside, known, shards.known.get("apart"), reading)
    return without(_groups(shards, made, tiles), empty_in(x, other))


def _as_labels(part: Part) -> Part:
    """A part of one channel as (H, W)."""
    return Part(part.picture, lambda picture, piece: part.item(picture, piece)[..., 0])


def _size(shards: Shards) -> Size:
    size: Size = records_of(shards)[0].first.size
    return size
