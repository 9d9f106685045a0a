"""Data as a folder of shards: uncompressed tar files, and an index by which items are read in any order."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.data.folders.files import content
from evenodds.data.folders.matching import Match
from evenodds.data.items import Decoded, threads
from evenodds.data.pictures.fitting import RECORDS, noted, records_in, unread_all, without_pixels
from evenodds.data.pictures.opening import File, most_bytes
from evenodds.data.pictures.partners import Partners
from evenodds.data.pictures.picture import DecodedImage, Frames
from evenodds.data.pictures.placing import Pixels
from evenodds.data.pictures.unread import Making
from evenodds.data.shard_index import FORMAT, Card, Shards, read_index, write_index
from evenodds.data.shard_writer import Keys, Writer
from evenodds.data.sources import load, options_of
from evenodds.errors import BadInput
from evenodds.files.lock import locked_beside
from evenodds.files.memory import as_bytes
from evenodds.files.names import is_link
from evenodds.files.write import replaced_folder

__all__ = ["Packed", "pack"]

SHARD = "256MB"
"""A shard, unless something else is said."""
MEMORY = "256MB"
"""Of what is decoded while packing."""
_LAYOUTS = ("images", "pairs", "maps")
SUFFIXES = {"images": ("",), "pairs": ("target.", "input."), "maps": ("image.", "labels.")}
"""What names of members have before their ending, for each part."""

Step = Callable[[str, int, int], None]


class Packed(NamedTuple):
    """What was packed."""

    folder: Path
    items: int
    shards: int
    size: int
    """Bytes of all shards."""
    report: tuple[str, ...]
    """What was found and changed, one plain sentence each."""


class _Item(NamedTuple):
    """The members that an item becomes, and what it is decoded to, without pixels."""

    members: list[tuple[str, bytes]]
    record: Any


def pack(
    source: Any,
    to: str | Path,
    *,
    size: int | Sequence[int] | None = None,
    shard: str = SHARD,
    layout: str = "images",
    step: Step = lambda *_: None,
    **options: Any,
) -> Packed:
    """Writes the items of data to shards, under the names that they have, with classes, conditions and splits.

    Without a size, files of one picture are packed as they are, byte for byte. All else becomes PNG, or .npy where
    numbers are no grey or colours of 8 bits, or grey of 16: pictures that are brought to a size, tiles, frames, halves.

    Args:
        source: a path, or the name of a source; see `sources.load`.
        to: the folder to make; it must not be there, or be empty.
        size: that pictures are brought to; None packs them as they are, so that any size can be trained on.
        shard: the most that one may take, such as "256MB"; an item that is larger gets one of its own.
        layout: "images", "pairs", or "maps", see `sources.load`.
        step: told what is done, how far it is and how far it goes.
        options: of the reader, e.g. channels=1.

    Raises:
        BadInput: the folder is not empty or lies in the data, or the data cannot be packed.

    Example:
        >>> import numpy as np
        >>> from evenodds.data.packing import pack
        >>> from evenodds.data.sources import load
        >>> np.save("x.npy", np.zeros((5, 8, 8), np.uint8))
        >>> pack("x.npy", "shards").items
        5
        >>> load("shards").shape
        (1, 8, 8)
    """
    most, target = as_bytes("--shard", shard, SHARD), Path(to)
    if layout not in _LAYOUTS:
        raise BadInput(f"data of the layout '{layout}' are not packed, but {', '.join(_LAYOUTS)}; train on the data")
    _require_free(source, target)
    given = {**options, "layout": layout} if layout != "images" else dict(options)
    given |= {} if size is None else {"size": size}
    given |= {"memory": MEMORY} if "memory" in options_of(source, layout) else {}
    with locked_beside(target, "pack"):
        with unread_all():
            data = load(source, lambda done, total: step("looking through files", done, total), **given)
        _require_packable(data, layout, given)
        with replaced_folder(target) as folder:
            shards = _written(data, folder, most, layout, size is not None or given.get("fit") == "tiles", step)
            write_index(shards)
            if _of_one_size(shards.notes[RECORDS], data):
                _note_facts(folder, layout, step)
            total = sum(shards.card.shards.values())
    return Packed(target, len(shards.names), len(shards.card.shards), total, data.report)


def _require_free(source: Any, target: Path) -> None:
    """BadInput where something is at the target, or it lies in the data."""
    if is_link(target) or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise BadInput(f"{target} is there already and is left as it is; name a folder that is not there")
    if (
        isinstance(source, str | Path)
        and Path(source).is_dir()
        and target.resolve().is_relative_to(Path(source).resolve())
    ):
        raise BadInput(f"{target} would lie in the data; name a folder beside {source}")


def _require_packable(data: Dataset, layout: str, options: Mapping[str, Any]) -> None:
    if data.kind != "image":
        raise BadInput("images are packed, and these data are rows; train on them as they are")
    if data.items is None and (
        data.units.dtype != "uint8" or data.units.line()["low"] + data.units.line()["high"] != [0, 255]
    ):
        raise BadInput("arrays and maps are packed where they have 8 bits; train on these as they are")
    if layout == "pairs" and any(units is not None and units.dtype == "float32" for units in _all_units(data)):
        raise BadInput("pairs of numbers are not packed, but pairs of grey or coloured images; train on the folder")
    if data.units.dtype != "uint8" and options.get("fit") == "pad" and "size" in options:
        raise BadInput("what padding adds to more than 8 bits cannot be told later; pack without --size, or crop")
    if {"range", "nodata", "window"} & set(options):
        raise BadInput("numbers are packed as they are; set data.range, data.nodata and the like when you train")


def _all_units(data: Dataset) -> list[Any]:
    return [data.units, *(one.units for one in data.beside.values())]


# Items ----------------------------------------------------------------------------------------------------------------


def _written(data: Dataset, folder: Path, most: int, layout: str, brought: bool, step: Step) -> Shards:
    """Writes all shards; their index is not written yet."""
    make = _maker(data, layout, brought)
    names, keys = data.names or tuple(f"{k:09d}" for k in range(len(data))), Keys()
    endings: dict[str, int] = {}
    places, records, sizes = [], [], dict[str, int]()
    writer = Writer(folder, most, sizes)
    try:
        for k, item in enumerate(_in_order(make, len(data))):
            beside = _facts(data, k)
            lies = writer.put(keys.of(names[k]), [*item.members, *beside])
            rows = [
                [*lie, endings.setdefault(_ending(suffix), len(endings))]
                for lie, (suffix, _) in zip(lies, item.members, strict=False)
            ]
            places.append(rows)
            records.append(_named(item.record, names[k]))
            if k % 64 == 63 or k + 1 == len(data):
                step("packing", k + 1, len(data))
    finally:
        writer.close()
    units = {} if data.items is not None else {"x": data.units}
    palette = data.beside["labels"].palette if layout == "maps" else None
    card = Card(FORMAT, layout, sizes, tuple(endings), data.classes, data.conditions, palette, units, data.report)
    known = {"y": data.y, "c": data.c, "groups": data.groups, "apart": data.apart}
    kept = {name: value for name, value in known.items() if value is not None}
    return Shards(folder, card, names, torch.tensor(places, dtype=torch.int64), kept, {RECORDS: noted(records)})


def _in_order(make: Callable[[int], _Item], n: int) -> Iterator[_Item]:
    """All items in their order; threads are some ahead."""
    with ThreadPoolExecutor(threads()) as pool:
        begun: deque[Future[_Item]] = deque()
        try:
            for k in range(n + 1):
                while begun and (k == n or len(begun) >= 4 * threads()):
                    yield begun.popleft().result()
                if k < n:
                    begun.append(pool.submit(make, k))
        finally:
            for future in begun:
                future.cancel()


def _maker(data: Dataset, layout: str, brought: bool) -> Callable[[int], _Item]:
    """What makes an item by its number."""
    suffixes = SUFFIXES[layout]
    if not isinstance(data.items, Decoded):
        whole = data.in_memory()

        def of_array(k: int) -> _Item:
            parts = [whole.x[k].permute(1, 2, 0).numpy()]
            for one in whole.beside.values():
                value = one.values[k]
                parts.append((value.permute(1, 2, 0) if value.ndim == 3 else value[..., None]).numpy())
            return _encoded([DecodedImage("", part, part.shape[:2]) for part in parts], suffixes, layout)

        return of_array
    reads = data.items
    return lambda k: _of_files(reads, k, layout, brought)


def _of_files(reads: Decoded, k: int, layout: str, brought: bool) -> _Item:
    """An item of files: as they are, or encoded anew."""
    job, number, piece = reads.places[k].tolist()
    known, files = reads.records[job], _files_of(reads.jobs[job])
    alone = not isinstance(known, Frames) or (len(known.pictures) == 1 and not known.unusable)
    if not brought and alone and len(files) == len(reads.parts) and not any(_is_dicom(file) for file in files):
        members = [
            (f"{suffix}{_ending(file.name)}", content(file, most_bytes(1 << 40)))
            for suffix, file in zip(SUFFIXES[layout], files, strict=True)
        ]
        return _Item(members, known)
    record = reads.decode(reads.jobs[job])
    if isinstance(record, str):
        raise BadInput(f"{record}: it could be read a moment ago; pack again when nothing changes the data")
    pictures = [part.picture(record, number) for part in reads.parts.values()]
    if brought:
        pictures = [
            _resized(part.item, picture, piece) for part, picture in zip(reads.parts.values(), pictures, strict=True)
        ]
    return _encoded(pictures, SUFFIXES[layout], layout)


def _files_of(job: Any) -> list[File]:
    """The files of a job; none where they are no pictures by themselves."""
    if isinstance(job, File):
        return [job]
    return [job.first, job.second] if isinstance(job, Match) else []


def _is_dicom(file: File) -> bool:
    """Whether a file may hold what is known of a patient, which is not packed."""
    return file.kind == "dicom" or file.name.lower().endswith((".dcm", ".dicom", ".ima"))


def _resized(item: Callable[[Any, int], Pixels], picture: DecodedImage, piece: int) -> DecodedImage:
    """A picture as an item, before the range of numbers is applied, which is that of all items."""
    making = item.__self__  # type: ignore[attr-defined]
    assert isinstance(making, Making)
    values = replace(making, ranged=None).item(picture, piece)
    return DecodedImage(picture.name, values, values.shape[:2], numbers=picture.numbers)


def _encoded(pictures: Sequence[DecodedImage], suffixes: Sequence[str], layout: str) -> _Item:
    """Pictures as PNG, or .npy where that cannot hold them."""
    members = []
    for suffix, picture in zip(suffixes, pictures, strict=True):
        ending, stored = _as_file(picture.pixels, picture.numbers)
        members.append((f"{suffix}{ending}", stored))
    plain = [
        without_pixels(one._replace(way_up=1, cut=False, animated=False, palette=None, mode="RGB")) for one in pictures
    ]
    plain = [one._replace(size=(one.pixels.shape[0], one.pixels.shape[1])) for one in plain]
    record = Frames("", [plain[0]], []) if layout == "images" else Partners("", plain[0], plain[1])
    return _Item(members, record)


def _as_file(pixels: Pixels, numbers: bool) -> tuple[str, bytes]:
    """The ending and the bytes of a file that holds pixels (H, W, C) without loss."""
    stream, channels = BytesIO(), pixels.shape[2]
    if not numbers and (pixels.dtype == np.uint8 or (pixels.dtype == np.uint16 and channels == 1)):
        flat = np.ascontiguousarray(pixels[..., 0] if channels == 1 else pixels)
        Image.fromarray(flat).save(stream, "PNG", compress_level=1)
        return "png", stream.getvalue()
    np.save(stream, np.ascontiguousarray(pixels), allow_pickle=False)
    return "npy", stream.getvalue()


def _named(record: Any, name: str) -> Any:
    """A record under the name of its item, and so its pictures."""
    if isinstance(record, Partners):
        return record._replace(
            name=name, first=record.first._replace(name=name), second=record.second._replace(name=name)
        )
    return record._replace(name=name, group="", pictures=[one._replace(name=name) for one in record.pictures])


def _facts(data: Dataset, k: int) -> list[tuple[str, bytes]]:
    """The members beside an item, as `webdataset` has them: the number of its class, and what else is known."""
    label = int(data.y[k]) if data.y is not None else -1
    members = [("cls", str(label).encode())] if label >= 0 else []
    if data.c is not None and data.conditions is not None:
        told: dict[str, Any] = dict(zip(data.conditions.names, data.c[k].tolist(), strict=True))
        told |= {"label": data.classes[label]} if label >= 0 else {}
        members.append(("json", json.dumps(told).encode()))
    return members


def _ending(name: str) -> str:
    """What stands behind the last dot."""
    return re.sub(r"[^a-z0-9]", "", name.rpartition(".")[2].lower())[:8] or "bin"


# What is known of all items -------------------------------------------------------------------------------------------


def _of_one_size(records: Tensor, data: Dataset) -> bool:
    """Whether all items were packed in the size that they have in the data."""
    sizes = {(one.first if isinstance(one, Partners) else one.pictures[0]).size for one in records_in(records)}
    return sizes == {tuple(data.x.shape[2:])}


def _note_facts(folder: Path, layout: str, step: Step) -> None:
    """Reads all shards once, which checks them, and adds what a run would have to find out before it starts."""
    step("checking", 0, 1)
    with unread_all():
        data = load(folder, layout=layout, memory=MEMORY)
    if data.items is None:
        raise BadInput(f"{folder} cannot be read as it was packed")
    _ = data.facts
    shards = read_index(folder)
    notes = {**shards.notes, **{name: note for name, note in data.items.notes.items() if name != RECORDS}}
    write_index(replace(shards, notes=notes))
    step("checking", 1, 1)
