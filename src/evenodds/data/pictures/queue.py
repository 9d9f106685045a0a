"""Work on many files: one queue, on all cores.

Pillow decodes outside Python's lock, so that threads share large images well. Around small ones they only wait for the
lock (two threads took 1.3 times as long as one), and processes share these.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from typing import Protocol, TypeVar

from evenodds.data.pictures.forked import can_fork, forked
from evenodds.data.pictures.placing import Size
from evenodds.files.process import cores
from evenodds.game.schedule import OnProgress

__all__ = ["Decoded", "Job", "Record", "each"]

_GROUP = 32  # Files per piece of work, so that handing it over costs little.
_SMALL = 128 * 128  # Pixels per image up to which threads are in each other's way.
_MANY = 2000  # Files from which on processes pay.


class Decoded(Protocol):
    """What a file, or several that belong together, became."""

    @property
    def name(self) -> str:
        """In messages and data sets."""
        ...

    @property
    def size(self) -> Size:
        """(height, width) as stored."""
        ...

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        ...


Job = TypeVar("Job")
Record = TypeVar("Record", bound=Decoded)


def each(
    work: Callable[[Job], Record | str], jobs: Sequence[Job], progress: OnProgress | None
) -> Iterator[Record | str]:
    """The results in the order of the jobs, by one thread or process per core where that pays.

    Args:
        work: decodes one job, or says why it cannot.
        jobs: files, or what holds several.
        progress: told (jobs done, jobs in all).
    """
    first = [work(job) for job in jobs[:_GROUP]]
    areas = [result.size[0] * result.size[1] for result in first if not isinstance(result, str)]
    large = sum(areas) > _SMALL * len(areas)
    groups = [jobs[start : start + _GROUP] for start in range(_GROUP, len(jobs), _GROUP)]
    by_processes = not large and len(jobs) >= _MANY and len(cores()) > 1 and can_fork()
    rest = forked(work, groups) if by_processes else _by_threads(work, groups, len(cores()) if large else 1)
    done = 0
    with closing(rest):
        for results in chain([first], rest):
            yield from results
            done += len(results)
            if progress:
                progress(done, len(jobs))


def _by_threads(
    work: Callable[[Job], Record | str], groups: Sequence[Sequence[Job]], threads: int
) -> Generator[list[Record | str], None, None]:
    pool = ThreadPoolExecutor(threads)
    try:
        yield from pool.map(lambda group: [work(job) for job in group], groups)
    finally:
        pool.shutdown(cancel_futures=True)
