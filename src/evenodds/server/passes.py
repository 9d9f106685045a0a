"""Requests that wait together go through a network in one pass, and no answer depends on which others were there.

What a network makes of a row may differ in its last bits with the number of rows that it is given: libraries choose
other ways to multiply. All passes of a kind therefore have the same number of rows, filled up where fewer wait. Which
place a row has among them, and what lies in the others, changes no bit of its result.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kind", "Passes", "Rows"]

Rows = Mapping[str, NDArray[Any]]
"""Arrays by name, all of so many rows."""


@dataclass(frozen=True)
class Kind:
    """Rows that may share a pass.

    Args:
        key: what they have in common, such as the network and the shape of a row.
        compute: rows -> as many results.
        size: rows of a pass.
    """

    key: Hashable
    compute: Callable[[Rows], Rows] = field(compare=False)
    size: int = 1


@dataclass(eq=False)
class _Job:
    """Rows of one request, and what has been made of them."""

    kind: Kind
    rows: Rows
    result: asyncio.Future[Rows]
    begun: int = 0
    parts: list[Rows] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Rows that are not begun."""
        return _length(self.rows) - self.begun


class _Share(NamedTuple):
    """The rows of a job in one pass."""

    job: _Job
    rows: Rows


class Passes:
    """Computes rows in one thread, pass by pass, as long as somebody waits.

    A pass takes rows of those of one kind that have waited the longest. Who has rows left goes behind the others, so
    that a long request holds up a short one by one pass. A fault in a pass is that of its requests alone; the next pass
    goes on.

    Args:
        initializer: called in the thread, before its first pass.
        told: of each pass, how many requests and rows it had.
    """

    def __init__(
        self,
        initializer: Callable[[], None] = lambda: None,
        told: Callable[[int, int], None] = lambda requests, rows: None,
    ) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="evenodds-pass", initializer=initializer)
        self._told = told
        self._line: deque[_Job] = deque()
        self._playing: asyncio.Task[None] | None = None

    async def ask(self, kind: Kind, rows: Rows) -> Rows:
        """What is made of the rows. Who no longer waits for it is taken from the line."""
        job = _Job(kind, rows, asyncio.get_running_loop().create_future())
        self._line.append(job)
        if self._playing is None or self._playing.done():
            self._playing = asyncio.create_task(self._play())
        try:
            return await job.result
        finally:
            if job in self._line:
                self._line.remove(job)

    def __len__(self) -> int:
        return len(self._line)

    def end(self) -> None:
        """Ends the thread when its pass is over."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _play(self) -> None:
        while self._line:
            kind, shares = self._line[0].kind, self._taken()
            try:
                self._told(len(shares), sum(_length(share.rows) for share in shares))
            except Exception as error:
                _fail(shares, error)
                continue
            try:
                self._deal(shares, await self._computed(kind, [share.rows for share in shares]))
            except Exception as error:
                await self._apart(kind, shares, error)
            self._line.extend(share.job for share in shares if share.job.left and not share.job.result.done())

    def _taken(self) -> list[_Share]:
        """The rows of the next pass; their jobs leave the line."""
        kind, shares = self._line[0].kind, list[_Share]()
        room = kind.size
        for job in [job for job in self._line if job.kind.key == kind.key]:
            if room:
                rows = {name: value[job.begun : job.begun + room] for name, value in job.rows.items()}
                shares.append(_Share(job, rows))
                job.begun += _length(rows)
                room -= _length(rows)
                self._line.remove(job)
        return shares

    async def _computed(self, kind: Kind, parts: list[Rows]) -> Rows:
        packed = {name: _filled([part[name] for part in parts], kind.size) for name in parts[0]}
        return await asyncio.get_running_loop().run_in_executor(self._thread, kind.compute, packed)

    async def _apart(self, kind: Kind, shares: list[_Share], error: Exception) -> None:
        """A pass has failed: each request is computed alone, so that the fault of one is that of no other."""
        for share in shares:
            try:
                if len(shares) == 1:
                    raise error
                self._deal([share], await self._computed(kind, [share.rows]))
            except Exception as own:
                _fail([share], own)

    def _deal(self, shares: list[_Share], results: Rows) -> None:
        """Gives each job its results; it is answered when it has all."""
        at = 0
        for job, rows in shares:
            n = _length(rows)
            job.parts.append({name: value[at : at + n].copy() for name, value in results.items()})
            at += n
            if not job.left and not job.result.done():
                job.result.set_result({name: np.concatenate([part[name] for part in job.parts]) for name in results})


def _fail(shares: list[_Share], error: Exception) -> None:
    """Answers the requests of a pass with what went wrong in it."""
    for job, _ in shares:
        if not job.result.done():
            job.result.set_exception(error)


def _length(rows: Rows) -> int:
    return len(next(iter(rows.values())))


def _filled(parts: list[NDArray[Any]], size: int) -> NDArray[Any]:
    """The parts one after the other, and the first row again in the places that are left."""
    missing = size - sum(map(len, parts))
    return np.concatenate([*parts, np.repeat(parts[0][:1], missing, 0)])
