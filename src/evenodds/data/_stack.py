"""Decoded pictures of mixed sizes, modes and depths as one array, and what had to be done to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from evenodds.data._picture import DecodedImage, in_channels
from evenodds.data._placing import Pixels, Size, resized
from evenodds.data._queue import Record
from evenodds.data._ranges import Range, in_range
from evenodds.data._wording import count, listed
from evenodds.data.dataset import Units
from evenodds.errors import BadInput
from evenodds.files import memory

__all__ = ["Items", "Stack", "common_size", "corners", "cut", "items", "large_enough", "stacked"]


class Stack(NamedTuple):
    """Pictures as a data set holds them."""

    x: Tensor  # (N, C, H, W) uint8, or int32 of 16 bits.
    units: Units
    summary: str  # How large they are, in words.
    notes: list[str]  # What had to be done.
    empty: Tensor  # (M,) int64: the items without any data.


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


def cut(pixels: Pixels, size: Size, fit: str, grid: int = 1) -> list[Pixels]:
    """The items (*size, C) that a picture (H, W, C) becomes: itself, resized, or its tiles, which are views of it.

    With a grid, edges lie where they lie in the picture that is that much smaller, see `resized`.
    """
    if fit != "tiles":
        return [resized(pixels, size, fit, grid)]
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
    if fit != "tiles":
        return Items(tuple(names), torch.arange(len(names)), None, [])
    parts = [len(corners(stored, size)) for stored in sizes]
    owners = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor(parts))
    tiles = tuple(f"{name}#{k}" for name, n in zip(names, parts, strict=True) for k in range(n))
    note = (
        f"Cut {count(len(parts), noun)} into {count(len(tiles), 'tile')} that cover them; they overlap where they must."
    )
    return Items(tiles, owners, owners, [note])


def stacked(
    pictures: Sequence[DecodedImage],
    size: Size,
    channels: int | None,
    fit: str,
    grid: int = 1,
    noun: str = "image",
    wanted: Range = "auto",
    nodata: str | float = "auto",
    may_be_empty: bool = False,
) -> Stack:
    """The items of all pictures as one array, in their order.

    Args:
        size: (height, width) of an item.
        channels: 1, 3 or 4; None: 1 if all are grey, else 3.
        fit: see `images`.
        grid: see `cut`.
        noun: what a picture is, in the singular.
        wanted, nodata: the range and the number for no data of 16 bits, see `arrays.from_array`.
        may_be_empty: whether the caller leaves out items without any data; else they are refused.
    """
    kinds = Counter(picture.pixels.shape[2] for picture in pictures)
    channels = channels or (3 if kinds[3] or kinds[4] else 1)
    deep = sum(picture.pixels.dtype == np.uint16 for picture in pictures)
    dtype: type[Any] = np.uint16 if deep == len(pictures) else np.uint8
    n = sum(len(corners(picture.size, size)) for picture in pictures) if fit == "tiles" else len(pictures)
    needed = n * size[0] * size[1] * channels * np.dtype(dtype).itemsize
    if needed > (most := memory.machine_bytes()):
        raise BadInput(f"the {noun}s need {needed / 2**30:.1f} GiB, there are {most / 2**30:.1f}; give a smaller size")
    values = np.empty((n, *size, channels), dtype)
    clear = k = 0
    for picture in pictures:
        pieces = cut(picture.pixels, size, fit, grid)
        clear += picture.pixels.shape[2] in (2, 4) and any(bool((piece[..., -1] < 255).any()) for piece in pieces)
        for piece in pieces:
            values[k] = in_channels(piece if piece.dtype == dtype else _narrowed(piece), channels)
            k += 1
    whole = dtype is np.uint16
    bits = f"{count(channels, 'channel')}, {16 if whole else 8} bits"
    summary = f"{size[0]} x {size[1]} (height x width) with {bits}"
    notes = _done(pictures, size, channels, fit, clear, 0 if whole else deep, noun)
    first = np.moveaxis(values.astype(np.int32) if whole else values, -1, 1)
    ranged = in_range(first, "uint16" if whole else "uint8", wanted, nodata, noun)
    empty = torch.from_numpy(np.flatnonzero(~ranged.kept))
    if len(empty) and not may_be_empty:
        raise BadInput(f"{count(len(empty), noun)} without any data, the first at {int(empty[0]) + 1}; remove them")
    x = torch.from_numpy(np.moveaxis(ranged.x, 1, -1)).permute(0, 3, 1, 2)
    return Stack(x, ranged.units, summary, [*notes, *ranged.notes], empty)


def _narrowed(pixels: Pixels) -> Pixels:
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _done(
    pictures: Sequence[DecodedImage], size: Size, channels: int, fit: str, clear: int, narrowed: int, noun: str
) -> list[str]:
    other = [picture.size for picture in pictures if picture.size != size and fit != "tiles"]
    enlarged = sum(stored[0] < size[0] or stored[1] < size[1] for stored in other)
    grey = sum(picture.pixels.shape[2] < 3 for picture in pictures)
    counts = {
        f"Resized {{}} to {size[0]} x {size[1]} (fit: {fit}; Lanczos).": len(other),
        f"Enlarged {{}} that had a side below {size[0]} x {size[1]}, which blurs.": enlarged,
        "Turned {} upright, as their EXIF data ask.": sum(picture.way_up > 1 for picture in pictures),
        "Repeated the grey of {} in all colour channels.": grey if channels > 1 else 0,
        "Turned {} from colour to grey.": len(pictures) - grey if channels == 1 else 0,
        "Laid {} with transparent parts over white; channels=4 keeps the alpha.": clear if channels < 4 else 0,
        "Reduced {} from 16 to 8 bits, as others have 8.": narrowed,
        "Read {} at 8 bits that have 16 bits per colour.": sum(picture.cut for picture in pictures),
        "Took the first frame of {} with several.": sum(picture.animated for picture in pictures),
    }
    return [sentence.format(count(n, noun)) for sentence, n in counts.items() if n]
