"""Pictures that are decoded when they are asked for, as a stack that has a shape and a range, and no values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.data.items import Decoded, Part
from evenodds.data.pictures.fitting import NOTES, Again, holds_nothing
from evenodds.data.pictures.picture import DecodedImage
from evenodds.data.pictures.placing import Pixels
from evenodds.data.pictures.queue import Record
from evenodds.data.pictures.ranges import Range, Ranged
from evenodds.data.pictures.stack import (
    Held,
    Items,
    Stack,
    Way,
    depth_of,
    done,
    floors,
    held_as,
    on_stack,
    pieces,
    ranged_of,
)
from evenodds.data.units import Units
from evenodds.data.wording import count
from evenodds.errors import BadInput
from evenodds.game.arithmetic import evenly

__all__ = ["Making", "on_memory", "reads", "unread"]

_DTYPES = {"uint8": torch.uint8, "uint16": torch.int32, "float32": torch.float32}


@dataclass(frozen=True)
class Making:
    """What makes items of a decoded picture.

    Args:
        way: how it is cut or resized.
        held: how the pixels of all pictures are held.
        ranged: the range of all, with which numbers of more than 8 bits are clipped and filled in; None of 8 bits.
        floor: (C,) the least number of each channel, which stands where padding is until holes are filled in.
        nodata: as the user said.
    """

    way: Way
    held: Held
    ranged: Ranged | None
    floor: NDArray[np.float64]
    nodata: str | float

    def item(self, picture: DecodedImage, piece: int) -> Pixels:
        """(H, W, C): one of the items that a picture becomes."""
        values: Pixels = held_as(pieces(picture, self.way)[piece], self.held).astype(self.held.dtype, copy=False)
        if self.ranged is None:
            return values
        try:
            item: Pixels = on_stack(values[None], picture, self.way, self.ranged, self.floor, self.nodata)[0]
            return item
        except BadInput as error:
            raise BadInput(f"{picture.name} cannot be used: {error}") from error


class Unread(NamedTuple):
    """A stack without values, and what makes its items."""

    stack: Stack
    making: Making


def unread(
    pictures: Sequence[DecodedImage],
    way: Way,
    channels: int | None,
    noun: str,
    wanted: Range,
    nodata: str | float,
    decoded: Callable[[int], DecodedImage],
    memory: int,
) -> Unread:
    """As `stacked`, of pictures without pixels.

    Args:
        decoded: gives a picture with its pixels, by its number.
        memory: bytes of which a quarter may be used to find the range.
    """
    held = Held.of(pictures, channels, noun)
    n = sum(way.number(picture.size) for picture in pictures)
    depth = depth_of(held)
    shape = (n, held.channels, *way.size)
    units, notes, empty = Units((0.0,), (255.0,), "uint8"), list[str](), torch.empty(0, dtype=torch.int64)
    making = Making(way, held, None, np.zeros(held.channels), nodata)
    if depth != "uint8" or wanted not in ("auto", "full") or nodata not in ("auto", "none"):
        size = held.channels * way.size[0] * way.size[1] * _DTYPES[depth].itemsize
        some = evenly(len(pictures), max(1, memory // 4 // (size * max(1, n // len(pictures))))).tolist()
        values = [held_as(one, held) for k in some for one in pieces(decoded(k), way)]
        sample, named = np.stack(values).astype(held.dtype, copy=False), [pictures[k] for k in some]
        floor = floors(sample, named, way)
        ranged = ranged_of(sample, named, way, depth, wanted, nodata, noun)
        units, notes = Units.of(ranged.scale), ranged.notes
        if len(some) < len(pictures):
            notes = [
                *notes,
                f"The range is that of {len(some):,} of {count(len(pictures), noun)}, evenly spread.",
            ]
        else:
            empty = torch.from_numpy(np.flatnonzero(~ranged.kept))
        making = Making(way, held, ranged, floor, nodata)
    alpha = 0 if held.numbers else sum(picture.pixels.shape[2] in (2, 4) for picture in pictures)
    said = done(pictures, way, held, channels, 0, noun)
    if alpha and held.channels < 4:
        said.append(f"Laid {count(alpha, noun)} with an alpha channel over white; channels=4 keeps the alpha.")
    x = torch.empty(shape, dtype=_DTYPES[depth], device="meta")
    return Unread(Stack(x, units, way.summary(held), [*said, *notes], empty), making)


def reads(
    again: Again,
    records: Sequence[Record],
    counts: Sequence[int],
    items: Items,
    parts: dict[str, Part],
    close: Callable[[], object],
) -> Decoded:
    """What reads the items of records.

    Args:
        counts: the pictures of each record.
        items: which picture each item is of.
        close: of the archives that the files are in.
    """
    jobs = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    within = torch.cat([torch.arange(number) for number in counts])
    owners = items.owners
    firsts = torch.searchsorted(owners, owners)
    places = torch.stack([jobs[owners], within[owners], torch.arange(len(owners)) - firsts], 1)
    named = [again.jobs[record.name] for record in records]
    return Decoded(
        named, again.decode, places, parts, again.memory, NOTES.get(), close, records if holds_nothing() else ()
    )


def on_memory(again: Again | None, room: int | None, *values: Tensor) -> list[str]:
    """One line on which way was taken, where the user set the memory or it is too small.

    Args:
        room: what the user set.
        values: x, and what lies beside it; or their shapes alone.
    """
    needed = f"{sum(one.numel() * one.element_size() for one in values) / 2**20:,.1f} MiB as decoded"
    if holds_nothing():
        return []
    if again is None:
        return [] if room is None else [f"Held in memory: {needed}."]
    half = f"{again.memory // 2 / 2**20:,.1f} MiB"
    return [
        f"Read when asked for: {needed} are more than half of the memory for data; at most {half} of them are kept as "
        "decoded (data.memory)."
    ]
