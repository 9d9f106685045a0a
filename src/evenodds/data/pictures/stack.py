"""Decoded pictures of mixed sizes, modes and depths as one array, and what had to be done to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evenodds.data.pictures.holes import SENTINELS
from evenodds.data.pictures.picture import DecodedImage, in_channels
from evenodds.data.pictures.placing import Pixels, Size, placed, resized
from evenodds.data.pictures.queue import Record
from evenodds.data.pictures.ranges import Range, Ranged, in_range, on_rounding
from evenodds.data.scale import Scale
from evenodds.data.wording import count, listed
from evenodds.errors import BadInput
from evenodds.files import memory

if TYPE_CHECKING:
    from torch import Tensor

    from evenodds.data.units import Units

__all__ = [
    "Arrayed", "Held", "Items", "Stack", "Way", "arrayed", "common_size", "corners", "cut", "depth_of", "done",
    "floors", "held_as", "items", "large_enough", "on_stack", "pieces", "ranged_of",
]  # fmt: skip


class Stack(NamedTuple):
    """Pictures as a data set holds them."""

    x: Tensor  # (N, C, H, W) uint8, int32 of 16 bits, or float32.
    units: Units
    summary: str  # How large they are, in words.
    notes: list[str]  # What had to be done.
    empty: Tensor  # (M,) int64: the items without any data.


class Arrayed(NamedTuple):
    """The same before they are tensors."""

    x: NDArray[Any]  # (N, C, H, W).
    scale: Scale
    summary: str
    notes: list[str]
    empty: NDArray[np.int64]

    def stack(self) -> Stack:
        """As a data set holds them, with the channels of a place side by side in memory."""
        import torch

        from evenodds.data.units import Units

        x = torch.from_numpy(np.moveaxis(self.x, 1, -1)).permute(0, 3, 1, 2)
        return Stack(x, Units.of(self.scale), self.summary, self.notes, torch.from_numpy(self.empty))


class Items(NamedTuple):
    """Which items pictures become."""

    names: tuple[str, ...]
    owners: Tensor  # (N,) int64: the picture of each.
    groups: Tensor | None  # The same, where pictures became several.
    notes: list[str]


def common_size(sizes: Sequence[Size]) -> Size:
    """The most common size; the one of middle area if several are equally common."""
    counts = Counter(sizes)
    most = max(counts.values())
    tied = sorted((size for size, n in counts.items() if n == most), key=lambda size: (size[0] * size[1], size))
    return tied[len(tied) // 2]


def corners(stored: Size, size: Size) -> list[tuple[int, int]]:
    """(top, left) of the fewest tiles that cover a picture of at least their size, evenly spread."""
    return list(product(_starts(stored[0], size[0]), _starts(stored[1], size[1])))


def _starts(length: int, side: int) -> list[int]:
    n = -(-length // side)
    return [round(k * (length - side) / max(1, n - 1)) for k in range(n)]


def cut(pixels: Pixels, size: Size, fit: str, grid: int = 1, separate: bool = False) -> list[Pixels]:
    """The items (*size, C) that a picture (H, W, C) becomes: itself, resized, or its tiles, which are views of it.

    With a grid, edges lie where they lie in the picture that is that much smaller; see `resized`.
    """
    if fit != "tiles":
        return [resized(pixels, size, fit, grid, separate)]
    small = (pixels.shape[0] // grid, pixels.shape[1] // grid), (size[0] // grid, size[1] // grid)
    at = [(top * grid, left * grid) for top, left in corners(*small)]
    return [pixels[top : top + size[0], left : left + size[1]] for top, left in at]


def large_enough(records: list[Record], size: Size, fit: str, noun: str = "image") -> tuple[list[Record], list[str]]:
    """Those from which a tile can be cut, and a note on the others; all, where none is to be cut."""
    if fit != "tiles":
        return records, []
    small = [record for record in records if not _holds(record.size, size)]
    if len(small) == len(records):
        most = max(min(record.size) for record in records)
        raise BadInput(
            f"none of {count(len(records), noun)} holds a tile of {size[0]} x {size[1]}; the largest size of a square "
            f"that one holds is {most}; give size={most} or less, or fit=crop"
        )
    sentence = f"Skipped {{}} smaller than a tile of {size[0]} x {size[1]}: {{}}."
    examples = [f"{record.name} ({record.size[0]} x {record.size[1]})" for record in small]
    return [record for record in records if _holds(record.size, size)], listed(sentence, examples, what=noun)


def _holds(stored: Size, tile: Size) -> bool:
    return stored[0] >= tile[0] and stored[1] >= tile[1]


def items(names: Sequence[str], sizes: Sequence[Size], size: Size, fit: str, noun: str = "image") -> Items:
    """The items that pictures of these names and sizes become."""
    import torch

    if fit != "tiles":
        return Items(tuple(names), torch.arange(len(names)), None, [])
    parts = [len(corners(stored, size)) for stored in sizes]
    owners = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor(parts))
    tiles = tuple(f"{name}#{k}" for name, n in zip(names, parts, strict=True) for k in range(n))
    note = (
        f"Cut {count(len(parts), noun)} into {count(len(tiles), 'tile')} that cover them; they overlap where they must."
    )
    return Items(tiles, owners, owners, [note])


def arrayed(
    pictures: Sequence[DecodedImage],
    size: Size,
    channels: int | None,
    fit: str,
    grid: int = 1,
    noun: str = "image",
    wanted: Range = "auto",
    nodata: str | float = "auto",
) -> Arrayed:
    """The items of all pictures as one array, in their order.

    Args:
        size: (height, width) of an item.
        channels: 1, 3 or 4; None: 1 if all are grey, else 3.
        fit: see `images`.
        grid: see `cut`.
        noun: what a picture is, in the singular.
        wanted, nodata: the range and the number for no data of 16 bits, see `arrays.from_array`.
    """
    way, held = Way(size, fit, grid), Held.of(pictures, channels, noun)
    n = sum(way.number(picture.size) for picture in pictures)
    needed = n * size[0] * size[1] * held.channels * held.dtype.itemsize
    if needed > (most := memory.machine_bytes()):
        raise BadInput(f"the {noun}s need {needed / 2**30:.1f} GiB, there are {most / 2**30:.1f}; give a smaller size")
    values = np.empty((n, *size, held.channels), held.dtype)
    clear = k = 0
    for picture in pictures:
        parts = pieces(picture, way)
        alpha = picture.pixels.shape[2] in (2, 4) and not held.numbers
        clear += alpha and any(bool((piece[..., -1] < 255).any()) for piece in parts)
        for piece in parts:
            values[k] = held_as(piece, held)
            k += 1
    notes = done(pictures, way, held, channels, clear, noun)
    ranged = ranged_of(values, pictures, way, depth_of(held), wanted, nodata, noun)
    return Arrayed(ranged.x, ranged.scale, way.summary(held), [*notes, *ranged.notes], np.flatnonzero(~ranged.kept))


class Way(NamedTuple):
    """How a picture becomes items: their size, see `images` for `fit` and `cut` for `grid`."""

    size: Size
    fit: str
    grid: int = 1

    def number(self, stored: Size) -> int:
        """How many items a picture of that size becomes."""
        return len(corners(stored, self.size)) if self.fit == "tiles" else 1

    def summary(self, held: Held) -> str:
        """How large items are, in words."""
        of = f"{self.size[0]} x {self.size[1]} (height x width)"
        return f"{of} with {count(held.channels, 'channel')}, {_BITS[depth_of(held)]}"


def pieces(picture: DecodedImage, way: Way) -> list[Pixels]:
    """The items that a picture becomes, with its own channels and depth."""
    return cut(picture.pixels, way.size, way.fit, way.grid, picture.numbers)


_BITS = {"uint8": "8 bits", "uint16": "16 bits", "float32": "numbers of 32 bits"}


class Held(NamedTuple):
    """How the pixels of all pictures are held."""

    dtype: np.dtype[Any]
    channels: int
    numbers: bool
    narrowed: int  # Pictures of 16 bits that are brought to 8.

    @staticmethod
    def of(pictures: Sequence[DecodedImage], channels: int | None, noun: str) -> Held:
        """By the kinds of all pictures, whose pixels need not be there."""
        have = Counter(picture.pixels.shape[2] for picture in pictures)
        if any(picture.numbers for picture in pictures):
            if len(have) > 1 or not all(picture.numbers for picture in pictures):
                raise BadInput(
                    f"the {noun}s are of several kinds: some hold numbers of any kind, some are grey or coloured, or "
                    "their channels are not as many; keep those of one kind"
                )
            (number,) = have
            return Held(np.result_type(*{picture.pixels.dtype for picture in pictures}), number, True, 0)
        deep = sum(picture.pixels.dtype == np.uint16 for picture in pictures)
        whole = deep == len(pictures)
        channels = channels or (3 if have[3] or have[4] else 1)
        return Held(np.dtype(np.uint16 if whole else np.uint8), channels, False, 0 if whole else deep)


def depth_of(held: Held) -> str:
    """The dtype of units."""
    return {"u1": "uint8", "u2": "uint16", "f4": "float32"}[held.dtype.str[1:]]


def held_as(piece: Pixels, held: Held) -> Pixels:
    """The pixels of an item, with the channels and the depth of all."""
    if held.numbers:
        return piece
    return in_channels(piece if piece.dtype == held.dtype else _narrowed(piece), held.channels)


def ranged_of(
    values: Pixels,
    pictures: Sequence[DecodedImage],
    way: Way,
    depth: str,
    wanted: Range,
    nodata: str | float,
    noun: str,
) -> Ranged:
    """The range of items (N, H, W, C); what padding added is no part of it, and gets the lowest number."""
    around = _around(pictures, way) if way.fit == "pad" and depth != "uint8" else None
    if around is not None and around.any():
        values[around] = floors(values, pictures, way)
    nodata = _gaps(values, nodata)
    first = np.moveaxis(values.astype(np.int32) if depth == "uint16" else values, -1, 1)
    ranged = in_range(first, depth, wanted, nodata, noun)
    if around is not None:
        _lowest_around(ranged.x, around, ranged)
    return ranged


def on_stack(
    values: Pixels,
    picture: DecodedImage,
    way: Way,
    ranged: Ranged,
    floor: NDArray[np.float64],
    nodata: str | float,
) -> Pixels:
    """An item (1, H, W, C) with the range that others were found to have, as it is held."""
    around = _around([picture], way) if way.fit == "pad" and ranged.scale.dtype != "uint8" else None
    if around is not None and around.any():
        values = values.copy()
        values[around] = floor
    if values.dtype == np.float32 and np.isnan(values).any():
        _gaps(values := values.copy(), nodata)
    first = np.moveaxis(values.astype(np.int32) if ranged.scale.dtype == "uint16" else values, -1, 1)
    x = ranged.applied(first)
    if around is not None:
        _lowest_around(x, around, ranged)
    return np.moveaxis(x, 1, -1)


def floors(values: Pixels, pictures: Sequence[DecodedImage], way: Way) -> NDArray[np.float64]:
    """(C,): the least number of each channel of items (N, H, W, C), without what padding added and what is no data."""
    around = _around(pictures, way) if way.fit == "pad" else np.zeros(values.shape[:3], np.bool_)
    inside = [values[..., k][~around] for k in range(values.shape[3])]
    there = [one[~np.isnan(one) & ~np.isin(one, list(SENTINELS))] for one in inside]
    return np.array([one.min() if one.size else 0 for one in there], np.float64)


def _gaps(values: Pixels, nodata: str | float) -> str | float:
    """What stands for no data, where items have NaN; these are given the number that the user named, in place."""
    if values.dtype != np.float32 or not (gap := np.isnan(values)).any():
        return nodata
    if nodata in ("auto", "none", "nan"):
        return "nan"  # which is no number, and so no data whatever numbers are
    values[gap] = float(nodata)
    return nodata


def _lowest_around(x: Pixels, around: NDArray[np.bool_], ranged: Ranged) -> None:
    """Gives what padding added to items (N, C, H, W) the lowest number of the range."""
    low = np.broadcast_to(np.asarray(ranged.scale.low, x.dtype), x.shape[1:2])
    np.copyto(x, low.reshape(1, -1, 1, 1), where=around[:, None])


def _around(pictures: Sequence[DecodedImage], way: Way) -> NDArray[np.bool_]:
    """(N, H, W): what padding added."""
    around = np.ones((len(pictures), *way.size), np.bool_)
    for k, picture in enumerate(pictures):
        _, inner, (top, left) = placed(picture.size, way.size, "pad", way.grid)
        around[k, top : top + inner[0], left : left + inner[1]] = False
    return around


def _narrowed(pixels: Pixels) -> Pixels:
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def done(
    pictures: Sequence[DecodedImage], way: Way, held: Held, wanted: int | None, clear: int, noun: str
) -> list[str]:
    """Plain sentences on what was done to pictures; `clear`: how many of them have transparent parts."""
    channels, size, fit = held.channels, way.size, way.fit
    other = [picture.size for picture in pictures if picture.size != size and fit != "tiles"]
    enlarged = sum(stored[0] < size[0] or stored[1] < size[1] for stored in other)
    grey = sum(picture.pixels.shape[2] < 3 for picture in pictures)
    of_colours = not held.numbers
    counts = {
        f"Resized {{}} to {size[0]} x {size[1]} (fit: {fit}; Lanczos).": len(other),
        f"Enlarged {{}} that had a side below {size[0]} x {size[1]}, which blurs.": enlarged,
        "Turned {} upright, as their EXIF data ask.": sum(picture.way_up > 1 for picture in pictures),
        "Repeated the grey of {} in all colour channels.": grey if channels > 1 and of_colours else 0,
        "Turned {} from colour to grey.": len(pictures) - grey if channels == 1 and of_colours else 0,
        "Laid {} with transparent parts over white; channels=4 keeps the alpha.": clear if channels < 4 else 0,
        "Reduced {} from 16 to 8 bits, as others have 8.": held.narrowed,
        "Read {} at 8 bits that have 16 bits per colour.": sum(picture.cut for picture in pictures),
        "Took the first frame of {} with several.": sum(picture.animated for picture in pictures),
    }
    if held.numbers and wanted not in (None, channels):
        each = count(channels, "channel")
        counts[f"Kept the {each} of {{}} that hold numbers; channels={wanted} is for grey and colours."] = len(pictures)
    done = [sentence.format(count(n, noun)) for sentence, n in counts.items() if n]
    return [*done, *on_rounding(max(picture.rounded for picture in pictures))]
