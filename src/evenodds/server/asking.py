"""A request on its way to its answer: bounded in time, dropped when its client goes, its work kept off the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from evenodds.server.bounds import Line, NotNow
from evenodds.server.metering import GONE, Meter
from evenodds.server.offers import Offers
from evenodds.server.passes import Kind, Passes, Rows

__all__ = ["Aside", "Service"]

T = TypeVar("T")

PICTURES = 4
"""Pictures of any size that are at work at once, each in a thread."""


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@dataclass
class Service:
    """What the endpoints work with.

    Args:
        offers: what the run answers.
        line: those who wait.
        passes: of its networks.
    """

    offers: Offers
    line: Line
    passes: Passes
    meter: Meter
    about: dict[str, Any] = field(default_factory=dict)
    """What is said of the run."""
    _hands: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, initializer=_one_thread))
    _pictures: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(PICTURES, initializer=_one_thread))

    async def aside(self, work: Callable[[], T]) -> T:
        """Short work in another thread: what is sent is read, what was made is written."""
        return await asyncio.get_running_loop().run_in_executor(self._hands, work)

    async def picture(self, work: Callable[[Aside], T]) -> T:
        """Work on a picture of any size in another thread, which waits there for passes."""
        aside = Aside(self.passes, asyncio.get_running_loop())
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pictures, work, aside)
        finally:
            aside.end()

    async def answer(self, request: Request, work: Coroutine[Any, Any, Response], numbers: int = 0) -> Response:
        """The answer to a request, whose body is received.

        Args:
            numbers: of the answer.

        Raises:
            Full, TooMuch: it is not taken, see `Line.taken`.
            NotNow: it took too long.
        """
        try:
            with self.line.taken(numbers):
                begun = time.perf_counter()
                response = await self._watched(request, work)
                self.line.answered(time.perf_counter() - begun)
                return response
        finally:
            work.close()

    async def _watched(self, request: Request, work: Coroutine[Any, Any, Response]) -> Response:
        task, gone = asyncio.create_task(work), asyncio.create_task(_gone(request))
        try:
            await asyncio.wait({task, gone}, timeout=self.line.bounds.seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if gone.done():
                return Response(status_code=GONE)
            raise NotNow(f"the answer took longer than {self.line.bounds.seconds:g} s; ask for less, or later")
        finally:
            task.cancel()
            gone.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    def end(self) -> None:
        """Ends the threads."""
        self.passes.end()
        self._hands.shutdown(wait=False, cancel_futures=True)
        self._pictures.shutdown(wait=False, cancel_futures=True)


class Aside:
    """Work of one request in a thread of its own, which waits for passes."""

    def __init__(self, passes: Passes, loop: asyncio.AbstractEventLoop) -> None:
        self._passes, self._loop, self._ended = passes, loop, False
        self._asked: Future[Rows] | None = None

    def ask(self, kind: Kind, rows: Rows) -> Rows:
        """What is made of the rows; CancelledError where nobody waits for it any more."""
        if self._ended:
            raise CancelledError
        self._asked = asyncio.run_coroutine_threadsafe(self._passes.ask(kind, rows), self._loop)
        if self._ended:  # meanwhile
            self._asked.cancel()
        return self._asked.result()

    def end(self) -> None:
        """Nobody waits for it any more."""
        self._ended = True
        if self._asked is not None:
            self._asked.cancel()


async def _gone(request: Request) -> None:
    """Returns when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
