"""The index of a folder of shards: where each item lies, what it is, and a checksum of its bytes.

It is one safetensors file, `evenodds-index.safetensors`, beside the shards, which are plain tar files: whoever reads
them in order, as the package `webdataset` does, needs no index. It holds numbers and JSON alone, and a stranger may
have written it: names in it never lead out of the folder, and what it says is held against the shards.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evenodds.data.conditions import Conditions
from evenodds.data.items import Notes
from evenodds.data.palette import Palette
from evenodds.data.units import Units
from evenodds.errors import BadInput
from evenodds.files.misfit import shortened
from evenodds.files.read import as_type, parse_json
from evenodds.files.regular import open_regular, refusal
from evenodds.files.tensors import read_tensors_and_words, write_tensors

__all__ = ["INDEX", "Card", "Shards", "is_packed", "read_index", "write_index"]

INDEX = "evenodds-index.safetensors"
FORMAT = 1
"""Of the index; a later one is refused."""
PACK = "copy the folder again, or pack the data again: evenodds pack"
NOTE = "note "
"""Names of tensors that are notes on all items begin so."""
KNOWN = ("y", "c", "groups", "apart")
"""What is known of each item, if it is known of any."""


@dataclass(frozen=True)
class Card:
    """What is known of all shards, beside where items lie."""

    format: int
    layout: str
    """"images", "pairs" or "maps"."""
    shards: dict[str, int]
    """The size of each shard in bytes, by name."""
    endings: tuple[str, ...]
    """What names of members end with; the index says which."""
    classes: tuple[str, ...] = ()
    conditions: Conditions | None = None
    palette: Palette | None = None
    """Of maps."""
    units: dict[str, Units] = field(default_factory=dict)
    """Of the data that were packed, by part; of data that were in memory."""
    report: tuple[str, ...] = ()
    """What was found and changed while the data were packed."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        own = {"format": self.format, "layout": self.layout, "shards": self.shards, "endings": list(self.endings)}
        parts = {"conditions": self.conditions, "palette": self.palette}
        more = {name: part.to_json() for name, part in parts.items() if part is not None}
        units = {name: one.to_json() for name, one in self.units.items()}
        return {**own, **more, "classes": list(self.classes), "units": units, "report": list(self.report)}


@dataclass(frozen=True)
class Shards:
    """A folder of shards with its index.

    Args:
        names: of the items.
        places: (N, P, 5) int64, of each part of an item: the shard, the offset, the length, the CRC-32, the ending.
        known: see `KNOWN`.
        notes: on all items, as the reader that packed them found them.
    """

    folder: Path
    card: Card
    names: tuple[str, ...]
    places: Tensor
    known: Mapping[str, Tensor]
    notes: Notes

    def taken(self, index: Sequence[int], notes: Notes) -> Shards:
        """Some of the items."""
        places = torch.tensor(index, dtype=torch.int64)
        known = {name: value[places] for name, value in self.known.items()}
        names = tuple(self.names[k] for k in index)
        return Shards(self.folder, self.card, names, self.places[places], known, notes)

    def ending(self, item: int, part: int) -> str:
        """What the name of a member ends with, such as "jpg"."""
        return self.card.endings[int(self.places[item, part, 4])]

    def read(self, item: int, part: int) -> bytes:
        """The bytes of a part of an item. Safe in several threads and forked processes.

        Raises:
            BadInput: they are not those that were packed; the message names the shard and the item.
        """
        shard, offset, length, sum_, _ = self.places[item, part].tolist()
        name = list(self.card.shards)[shard]
        try:
            with open_regular(self.folder / name) as stream:
                stream.seek(offset)
                content = stream.read(length)
        except OSError as error:
            raise BadInput(f"{self.folder / name} cannot be read: {error.strerror or error}; {PACK}") from error
        if len(content) != length or zlib.crc32(content) != sum_:
            raise BadInput(
                f"{self.folder / name} is damaged, or was changed since its index was written: the bytes of "
                f"{shortened(self.names[item])} are others; {PACK}"
            )
        return content


def is_packed(folder: Path) -> bool:
    """Whether a folder holds shards with an index."""
    return (folder / INDEX).is_file()


def write_index(shards: Shards) -> None:
    """Writes the index of shards that are there."""
    blob, ends = _as_tensor(shards.names)
    tensors = {"places": shards.places, "names": blob, "name_ends": ends, **shards.known}
    tensors |= {f"{NOTE}{name}": note for name, note in shards.notes.items()}
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    text = json.dumps(shards.card.to_json())
    write_tensors(tensors, shards.folder / INDEX, {"card": text, "sum": str(_sum(tensors, text))})
    (shards.folder / INDEX).chmod(
        (shards.folder / next(iter(shards.card.shards))).stat().st_mode
    )  # who reads one, reads all


def read_index(folder: Path) -> Shards:
    """The shards of a folder, each of which is there and as long as when it was packed.

    Raises:
        BadInput: the index is damaged or of a later version, or a shard is missing or of another length.
    """
    place = folder / INDEX
    tensors, words = read_tensors_and_words(place, PACK)
    try:
        value = parse_json(words["card"].encode(), str(place))
        if isinstance(value, dict) and isinstance(value.get("format"), int) and value["format"] > FORMAT:
            raise BadInput(f"{place} is of a later version of evenodds (format {value['format']}); install that one")
        if int(words["sum"]) != _sum(tensors, words["card"]):
            raise BadInput(f"{place} is damaged: its checksum is another one; {PACK}")
        card = as_type(value, Card, str(place), PACK)
        shards = _checked(folder, card, tensors)
    except BadInput:
        raise
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise BadInput(f"{place} is damaged, or no index of shards; {PACK}") from error
    for name, size in card.shards.items():
        _require_shard(folder, name, size)
    return shards


def _checked(folder: Path, card: Card, tensors: Mapping[str, Tensor]) -> Shards:
    """The shards that an index describes; ValueError where its parts do not fit each other."""
    places, names = tensors["places"], _as_names(tensors["names"], tensors["name_ends"])
    known = {name: tensors[name] for name in KNOWN if name in tensors}
    notes = {name.removeprefix(NOTE): tensors[name] for name in tensors if name.startswith(NOTE)}
    sizes = torch.tensor(list(card.shards.values()), dtype=torch.int64)
    parts = 1 if card.layout == "images" else 2
    if card.layout not in ("images", "pairs", "maps") or places.shape != (len(names), parts, 5) or not len(names):
        raise ValueError("places")
    shard, offset, length, _, ending = places.unbind(2)
    if int(places.min()) < 0 or int(shard.max()) >= len(sizes) or int(ending.max()) >= len(card.endings):
        raise ValueError("places")
    if bool((offset > sizes[shard]).any()) or bool((length > sizes[shard] - offset).any()):
        raise ValueError("places")
    dtypes = {"y": torch.int64, "c": torch.float32, "groups": torch.int64, "apart": torch.bool}
    if any(len(value) != len(names) or value.dtype != dtypes[name] for name, value in known.items()):
        raise ValueError("what is known of items")
    return Shards(folder, card, names, places, known, notes)


def _require_shard(folder: Path, name: str, size: int) -> None:
    """BadInput where a shard is not there, or not as long as it was."""
    if Path(name).name != name or name in ("", ".", "..") or "\\" in name:
        raise BadInput(f"{folder / INDEX} names a shard {shortened(name)}, which is no name of a file; {PACK}")
    if reason := refusal(folder / name):
        missing = "missing" if reason == "not there" else reason
        raise BadInput(f"the shard {folder / name} is {missing}, and the index names it; {PACK}")
    now = (folder / name).stat().st_size
    if now != size:
        raise BadInput(
            f"the shard {folder / name} has {now:,} bytes, and had {size:,} when its index was written: it was cut "
            f"short or changed; {PACK}"
        )


def _as_tensor(names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The bytes of all names, and where each ends."""
    encoded = [name.encode("utf-8", "surrogateescape") for name in names]
    ends = torch.tensor([len(one) for one in encoded], dtype=torch.int64).cumsum(0)
    return torch.frombuffer(bytearray(b"".join(encoded)), dtype=torch.uint8), ends


def _as_names(blob: Tensor, ends: Tensor) -> tuple[str, ...]:
    content, bounds = blob.numpy().tobytes(), [0, *ends.tolist()]
    if bounds != sorted(bounds) or bounds[-1] != len(content):
        raise ValueError("names")
    parts = pairwise(bounds)
    return tuple(content[first:last].decode("utf-8", "surrogateescape") for first, last in parts)


def _sum(tensors: Mapping[str, Tensor], text: str) -> int:
    """The CRC-32 of all that an index holds."""
    total = zlib.crc32(text.encode())
    for name in sorted(tensors):
        total = zlib.crc32(name.encode(), total)
        total = zlib.crc32(tensors[name].contiguous().numpy().reshape(-1).view("uint8").data, total)
    return total
