"""Items that are read when they are asked for: one protocol, whatever they lie in, and one way of decoding them.

Threads decode: Pillow works outside Python's lock, and beside a training loop of small networks a thread cost it no
more than a process did, which would have to send the pixels over.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.files.process import cores

__all__ = ["Decoded", "Items", "Notes", "Part", "Pending", "Taken", "as_images", "threads"]

AT_ONCE = 8
"""Items that one thread decodes before it takes the next."""
MOST_THREADS = 8
"""More of them wait for Python's lock."""

Pixels = NDArray[Any]
Notes = dict[str, Tensor]
"""What was found out of all items, by name, see `Dataset.facts`."""


class Pending(Protocol):
    """Items that are being read."""

    def done(self) -> bool:
        """Whether they are there."""
        ...

    def result(self) -> dict[str, Tensor]:
        """Them, by the name of the part: "x", and what lies beside it. Waits until they are there."""
        ...


class Items(Protocol):
    """Items that are read when they are asked for, each a function of its place alone."""

    @property
    def memory(self) -> int:
        """Bytes that decoded items may take, those that are kept and those that are looked at together."""
        ...

    @property
    def notes(self) -> Notes:
        """What was found out of all of them; more may be added."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...

    def start(self, index: Sequence[int]) -> Pending:
        """Begins to read items, in this order: each part (n, C, H, W), or (n, H, W) of labels, in own units.

        Raises:
            BadInput: of the result, where an item cannot be read; the message names it.
        """
        ...


class Taken:
    """Some of other items, in another order.

    Args:
        items: the others.
        index: (n,) int64 of them.
    """

    def __init__(self, items: Items, index: Tensor) -> None:
        self._items: Items = items._items if isinstance(items, Taken) else items
        self._index: Tensor = items._index[index] if isinstance(items, Taken) else index
        self.notes: Notes = {}

    @property
    def memory(self) -> int:
        return self._items.memory

    def __len__(self) -> int:
        return len(self._index)

    def start(self, index: Sequence[int]) -> Pending:
        return self._items.start(self._index[torch.tensor(index, dtype=torch.int64)].tolist())


class Part(NamedTuple):
    """One of the parts of an item, such as x."""

    picture: Callable[[Any, int], Any]
    """(what a job was decoded to, the number of the picture in it) -> the picture."""
    item: Callable[[Any, int], Pixels]
    """(a picture, the number of the piece of it) -> the item (H, W, C) or (H, W), as it is held."""


class Decoded:
    """Items that are decoded from files.

    Args:
        jobs: files, or several that belong together.
        decode: decodes one of them, or says why it cannot.
        places: (N, 3) int64: the job, the picture in what it is decoded to, and the piece of that picture.
        parts: what is made of a picture, by name.
        memory: see `Items`; half of it is for items that are kept as decoded, the first that are read. As an epoch has
            each item once, to keep the first serves as many as can be: the latest would be gone before their turn.
        notes: see `Items`.
        close: is called when nothing refers to the items any more.
        records: what each job is decoded to, without pixels, for those who pack them.
    """

    def __init__(
        self,
        jobs: Sequence[Any],
        decode: Callable[[Any], Any],
        places: Tensor,
        parts: Mapping[str, Part],
        memory: int,
        notes: Notes | None = None,
        close: Callable[[], object] = lambda: None,
        records: Sequence[Any] = (),
    ) -> None:
        self.jobs, self.decode, self.places, self.parts, self.memory = jobs, decode, places, parts, memory
        self.notes: Notes = {} if notes is None else notes
        self.records = records
        self._close, self._guard, self._left = close, Lock(), memory // 2
        self._kept: dict[int, dict[str, Pixels]] = {}
        # What Pillow says of odd files was said when they were listed; `warnings` cannot be silenced by thread.
        warnings.filterwarnings("ignore", module=r"PIL\.")

    def __del__(self) -> None:
        self._close()

    def __len__(self) -> int:
        return len(self.places)

    def start(self, index: Sequence[int]) -> Pending:
        chunks = [list(index[k : k + AT_ONCE]) for k in range(0, len(index), AT_ONCE)]
        return _Chunks([_pool().submit(self._read, chunk) for chunk in chunks])

    def _read(self, index: list[int]) -> dict[str, Pixels]:
        """Some items, by part: (n, ...) each."""
        items = {place: kept for place in index if (kept := self._kept.get(place)) is not None}
        missing = sorted({place for place in index if place not in items})
        for job, places in self._by_job(missing):
            items |= self._of_job(job, places)
        return {name: np.stack([items[place][name] for place in index]) for name in self.parts}

    def _by_job(self, index: list[int]) -> Iterator[tuple[int, list[int]]]:
        """The items of each file, so that it is decoded once."""
        jobs: dict[int, list[int]] = {}
        for place in index:
            jobs.setdefault(int(self.places[place, 0]), []).append(place)
        yield from jobs.items()

    def _of_job(self, job: int, index: list[int]) -> dict[int, dict[str, Pixels]]:
        record = self.decode(self.jobs[job])
        if isinstance(record, str):
            raise BadInput(f"{record}: it could be read when the data were listed; restore it, or start again without")
        items = {}
        for place in index:
            _, picture, piece = self.places[place].tolist()
            items[place] = {n: part.item(part.picture(record, picture), piece) for n, part in self.parts.items()}
            self._keep(place, items[place])
        return items

    def _keep(self, place: int, item: dict[str, Pixels]) -> None:
        size = sum(values.nbytes for values in item.values())
        with self._guard:
            if place not in self._kept and size <= self._left:
                self._left -= size
                self._kept[place] = {name: np.ascontiguousarray(values) for name, values in item.items()}


class _Chunks:
    """Items that are being read by threads, some by each."""

    def __init__(self, chunks: list[Future[dict[str, Pixels]]]) -> None:
        self._chunks = chunks

    def done(self) -> bool:
        return all(chunk.done() for chunk in self._chunks)

    def result(self) -> dict[str, Tensor]:
        chunks = [chunk.result() for chunk in self._chunks]
        return {name: as_images(np.concatenate([chunk[name] for chunk in chunks])) for name in chunks[0]}


def as_images(values: Pixels) -> Tensor:
    """(N, H, W, C) as (N, C, H, W), which lies in memory as before; labels (N, H, W) as they are."""
    tensor = torch.from_numpy(values)
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def threads() -> int:
    """How many threads decode."""
    return min(MOST_THREADS, len(cores()))


_pools: dict[int, ThreadPoolExecutor] = {}


def _pool() -> ThreadPoolExecutor:
    """The threads of this process; a process that was forked has none of the other's."""
    process = os.getpid()
    if process not in _pools:
        _pools.clear()
        _pools[process] = ThreadPoolExecutor(threads(), thread_name_prefix="decoding")
    return _pools[process]
