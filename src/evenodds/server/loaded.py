"""Runs in memory: a thread for each, the least recently used one is let go, and a later request replaces an earlier."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from evenodds.runs.session import Session, load
from evenodds.server.bounds import Overloaded, Replaced

__all__ = ["Loaded", "Worker"]

T = TypeVar("T")

MOST_RUNS = 3
"""Runs in memory at once."""
MOST_CODES = 32
"""Pictures whose z are kept, of each run."""
MOST_WAITING = 64
"""Requests that wait for a run."""


@dataclass
class Worker:
    """One run in memory, whose requests are answered one after the other by a thread of its own.

    Args:
        folder: of the run.
        checkpoint: its name: last, best, or a number of images.
        device: where it is played.
    """

    folder: Path
    checkpoint: str
    device: str = "auto"
    kept: dict[Any, Any] = field(default_factory=dict)
    """What is computed once for the run, such as its directions; it goes where the players change."""
    codes: dict[str, tuple[Tensor, Tensor | None]] = field(default_factory=dict)
    """z and c of pictures that were encoded, by the names that they have here."""
    _thread: ThreadPoolExecutor = field(init=False)
    _slots: dict[str, Future[Any]] = field(init=False, default_factory=dict)
    _session: Session | None = field(init=False, default=None)
    _stamp: int = field(init=False, default=-1)
    waiting: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="evenodds-run")

    async def ask(self, work: Callable[[Session], T], slot: str = "") -> T:
        """What `work` makes of the run, in the run's thread.

        Args:
            slot: where the answer is shown. What waits for the same place is dropped.

        Raises:
            Replaced: it was dropped.
            Overloaded: too many requests wait.
            BadInput: the run cannot be loaded.
        """
        if self.waiting >= MOST_WAITING:
            raise Overloaded(f"{self.waiting} requests wait for this run already; ask again in a moment")
        if slot and (before := self._slots.get(slot)) is not None:
            before.cancel()
        future = self._thread.submit(lambda: work(self._current()))
        if slot:
            self._slots[slot] = future
        self.waiting += 1
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if future.cancelled():
                raise Replaced("a later request has taken the place of this one") from None
            raise
        finally:
            self.waiting -= 1
            if slot and self._slots.get(slot) is future:
                del self._slots[slot]

    def remember(self, key: Any, make: Callable[[], T]) -> T:
        """What was made for that key, made now where it was not yet; in the run's thread only."""
        if key not in self.kept:
            self.kept[key] = make()
        value: T = self.kept[key]
        return value

    def name_code(self, z: Tensor, c: Tensor | None) -> str:
        """A name for the z (1, latent) and c of a picture; the oldest of many is forgotten."""
        name = f"z-{secrets.token_urlsafe(12)}"
        self.codes[name] = (z, c)
        while len(self.codes) > MOST_CODES:
            del self.codes[next(iter(self.codes))]
        return name

    def end(self) -> None:
        """Ends the thread when it has answered what it works on."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _current(self) -> Session:
        """The run, read again where its checkpoints are others than when it was read."""
        try:
            stamp = (self.folder / "checkpoints").stat().st_mtime_ns
        except OSError:
            stamp = 0
        if self._session is None or stamp != self._stamp:
            self._session = None
            self.kept.clear()
            self.codes.clear()
            self._session, self._stamp = load(self.folder, self.checkpoint, self.device), stamp
        return self._session


class Loaded:
    """The runs in memory.

    Args:
        most: of them; the one that was asked the longest ago is let go, among those that nobody waits for.
        device: where they are played.
    """

    def __init__(self, most: int = MOST_RUNS, device: str = "auto") -> None:
        self._most, self._device = most, device
        self._workers: OrderedDict[tuple[Path, str], Worker] = OrderedDict()

    def __len__(self) -> int:
        return len(self._workers)

    def of(self, folder: Path, checkpoint: str = "last") -> Worker:
        """The worker of a run; Overloaded where more runs are asked for at once than are kept in memory."""
        key = (folder, checkpoint)
        busy = sum(one.waiting > 0 for one in self._workers.values())
        if key not in self._workers and busy >= self._most:
            raise Overloaded(f"{busy} runs are at work already; ask again in a moment")
        worker = self._workers.get(key) or Worker(folder, checkpoint, self._device)
        self._workers[key] = worker
        self._workers.move_to_end(key)
        idle = [other for other, one in self._workers.items() if one.waiting == 0 and other != key]
        for other in idle[: max(0, len(self._workers) - self._most)]:
            self._workers.pop(other).end()
        return worker

    def drop(self, folder: Path) -> None:
        """Lets a run go."""
        for key in [key for key in self._workers if key[0] == folder]:
            self._workers.pop(key).end()

    def close(self) -> None:
        """Lets all runs go."""
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()
