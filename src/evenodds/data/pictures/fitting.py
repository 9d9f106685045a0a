"""Whether decoded pictures fit into memory; those that do not are decoded again when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Generic, NamedTuple

import numpy as np
import torch

from evenodds.data.items import Notes
from evenodds.data.pictures.message import packed, unpacked
from evenodds.data.pictures.partners import Partners
from evenodds.data.pictures.picture import DecodedImage, Frames
from evenodds.data.pictures.placing import Pixels
from evenodds.data.pictures.queue import Job, Record, each
from evenodds.errors import BadInput
from evenodds.files import memory
from evenodds.game.schedule import OnProgress

__all__ = [
    "NOTES",
    "RECORDS",
    "Again",
    "Fitted",
    "fitting",
    "holds_nothing",
    "noted",
    "records_in",
    "unfilled",
    "unread_all",
    "without_pixels",
]

NOTES: ContextVar[Notes | None] = ContextVar("what an earlier reading found out of all items", default=None)
_NOTHING_HELD: ContextVar[bool] = ContextVar("whether all pictures are decoded when they are asked for", default=False)
RECORDS = "records"
"""The note that holds what pictures were decoded to, without their pixels."""


@contextmanager
def unread_all() -> Iterator[None]:
    """Within it, pictures that can be decoded again are not held in memory, however few they are."""
    token = _NOTHING_HELD.set(True)
    try:
        yield
    finally:
        _NOTHING_HELD.reset(token)


def holds_nothing() -> bool:
    """Whether this is within `unread_all`."""
    return _NOTHING_HELD.get()


class Again(NamedTuple):
    """What decodes pictures when they are asked for."""

    decode: Callable[[Any], Any]
    jobs: Mapping[str, Any]
    """By the name of what they are decoded to."""
    memory: int
    """See `items.Items`."""


class Fitted(NamedTuple, Generic[Job, Record]):
    """What jobs were decoded to, in their order."""

    results: Sequence[Record | str]
    jobs: Mapping[str, Job]
    room: int | None
    """Bytes that decoded pictures may take later on; None where the records hold them."""


def fitting(
    decode: Callable[[Job], Record | str],
    jobs: Sequence[Job],
    room: int | None,
    lazily: bool,
    progress: OnProgress | None,
) -> Fitted[Job, Record]:
    """Decodes all, and keeps the pixels as long as they take no more than half of the memory.

    The other half is for the one array that they become.

    Args:
        room: bytes that they may take; None for the machine's memory.
        lazily: whether they may be decoded again; else they are refused where they do not fit.

    Raises:
        BadInput: they do not fit, or cannot be told apart by their names.
    """
    limit = (memory.machine_bytes() if room is None else room) // 2
    room = room or limit
    limit = 0 if lazily and _NOTHING_HELD.get() else limit
    notes = NOTES.get()
    if lazily and notes is not None and RECORDS in notes and (known := _known(notes, len(jobs), limit)):
        return Fitted(known, _by_name(known, jobs), room)
    results: list[Any] = []
    used = number = 0
    for result in each(decode, jobs, progress):
        if not isinstance(result, str):
            number, used = number + 1, used + result.nbytes
            if used > limit and not lazily:
                raise BadInput(
                    f"{number:,} images already fill {limit / 2**30:.1f} GiB, half the memory; give a smaller size"
                )
            if used > limit and used - result.nbytes <= limit:
                results = [without_pixels(one) for one in results]
            result = without_pixels(result) if used > limit else result
        results.append(result)
    if used <= limit:
        return Fitted(results, {}, None)
    if notes is not None:
        notes.update({RECORDS: noted(results)})
    return Fitted(results, _by_name(results, jobs), room)


def _by_name(results: Sequence[Any], jobs: Sequence[Job]) -> dict[str, Job]:
    named = {result.name: job for result, job in zip(results, jobs, strict=True) if not isinstance(result, str)}
    if len(named) < sum(not isinstance(result, str) for result in results):
        raise BadInput("two files have one name, so that they cannot be read when asked for; raise data.memory")
    return named


def without_pixels(record: Any) -> Any:
    """A record that has the sizes and kinds of its pictures, and no pixels that take memory."""
    if isinstance(record, DecodedImage):
        return record._replace(pixels=unfilled(record.pixels.dtype.str, record.pixels.shape), profile=None)
    if isinstance(record, Partners):
        return record._replace(first=without_pixels(record.first), second=without_pixels(record.second))
    if isinstance(record, Frames):
        return record._replace(pictures=[without_pixels(one) for one in record.pictures])
    return record


@lru_cache(4096)
def unfilled(dtype: str, shape: tuple[int, ...]) -> Pixels:
    """An array that has a shape and a dtype, and takes no memory for values."""
    return np.broadcast_to(np.zeros((), np.dtype(dtype)), shape)


def noted(results: Sequence[Any]) -> torch.Tensor:
    """Records without pixels, or why there are none, as bytes."""
    message = packed([_over_pictures(one, _described) for one in results])
    return torch.frombuffer(bytearray(message), dtype=torch.uint8)


def _known(notes: Notes, number: int, limit: int) -> list[Any]:
    """The records of an earlier reading; none where they are of other files, or fit into memory."""
    records = records_in(notes[RECORDS])
    used = sum(one.nbytes for one in records if not isinstance(one, str))
    return records if len(records) == number and used > limit else []


def records_in(note: torch.Tensor) -> list[Any]:
    """What `noted` has made bytes of."""
    return [_over_pictures(one, _restored) for one in unpacked(note.numpy().tobytes())]


def _described(picture: DecodedImage) -> DecodedImage:
    kind: Any = (picture.pixels.dtype.str, picture.pixels.shape)
    return picture._replace(pixels=kind)


def _restored(picture: DecodedImage) -> DecodedImage:
    dtype, shape = picture.pixels
    return picture._replace(pixels=unfilled(dtype, tuple(shape)))


def _over_pictures(record: Any, change: Callable[[DecodedImage], DecodedImage]) -> Any:
    """A record with each of its pictures changed."""
    if isinstance(record, DecodedImage):
        return change(record)
    if isinstance(record, Partners):
        return record._replace(first=change(record.first), second=change(record.second))
    if isinstance(record, Frames):
        return record._replace(pictures=[change(one) for one in record.pictures])
    return record
