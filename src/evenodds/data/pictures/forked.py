"""Groups of work shared by forked processes, one per core, whose results come back in order.

A process inherits the work and all groups, computes every n-th of them and writes the results to a pipe. It ends when
the pipe is closed, so that none is left when this process dies. What a killed one did not do is done here.

The processes use Pillow and NumPy alone: OpenMP, and so torch, may not be used in a process that was forked.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple, NoReturn, TypeVar

from evenodds.data.pictures.message import packed, unpacked
from evenodds.files.process import cores

__all__ = ["can_fork", "forked"]

Job = TypeVar("Job")
Result = TypeVar("Result")

_LENGTH = 8  # Bytes that tell how long a message is.


def can_fork() -> bool:
    """Whether processes can be forked safely: on macOS, libraries of the system cannot be used after it."""
    return sys.platform == "linux"


class _Worker(NamedTuple):
    process: int
    results: BinaryIO


def forked(
    work: Callable[[Job], Result], groups: Sequence[Sequence[Job]], processes: int | None = None
) -> Generator[list[Result], None, None]:
    """The results of each group, in order.

    Args:
        work: is done in a forked process; what it gives comes here as a message, see `packed`.
        processes: how many; one per core where None.
    """
    count = min(processes or len(cores()), len(groups))
    workers: list[_Worker] = []
    try:
        for k in range(count):
            workers.append(_begun(work, groups[k::count], [worker.results for worker in workers]))
        for k, group in enumerate(groups):
            message = _received(workers[k % count].results)
            yield unpacked(message) if message else [work(job) for job in group]
    finally:
        for worker in workers:
            worker.results.close()
        for worker in workers:
            with suppress(ChildProcessError):
                os.waitpid(worker.process, 0)


def _begun(work: Callable[[Any], Any], groups: Sequence[Sequence[Any]], others: Sequence[BinaryIO]) -> _Worker:
    """A process that works on these groups."""
    receiving, sending = os.pipe()
    process = os.fork()
    if not process:
        _work(work, groups, sending, [receiving, *(other.fileno() for other in others)])
    os.close(sending)
    return _Worker(process, os.fdopen(receiving, "rb", buffering=1 << 20))


def _work(
    work: Callable[[Any], Any], groups: Sequence[Sequence[Any]], sending: int, not_needed: Sequence[int]
) -> NoReturn:
    """In the forked process: works, and ends without anything that belongs to the process that it was forked from."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the other one closes the pipe.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for descriptor in not_needed:
            os.close(descriptor)
        with os.fdopen(sending, "wb") as pipe:
            for group in groups:
                message = packed([work(job) for job in group])
                pipe.write(len(message).to_bytes(_LENGTH, "little"))
                pipe.write(message)
        status = 0
    finally:
        os._exit(status)


def _received(results: BinaryIO) -> bytes:
    """The next message; empty where the process ended before it was sent."""
    head = results.read(_LENGTH)
    length = int.from_bytes(head, "little")
    message = results.read(length) if len(head) == _LENGTH else b""
    return message if len(message) == length else b""
