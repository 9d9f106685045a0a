"""Work on many files: one queue, several threads where they pay, memory that is bounded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Protocol, TypeVar

from evenodds.data._picture import Size
from evenodds.errors import BadInput
from evenodds.files import memory
from evenodds.game.schedule import OnProgress

__all__ = ["Decoded", "bounded", "each"]

_GROUP = 32  # Files per piece of work, so that handing it over costs little.
_SMALL = 128 * 128  # Pixels per image up to which one thread is fastest.


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
    """The results in the order of the jobs, by one thread per core where that pays.

    Args:
        work: decodes one job, or says why it cannot.
        jobs: files, or what holds several.
        progress: told (jobs done, jobs in all).
    """
    first = [work(job) for job in jobs[:_GROUP]]
    areas = [result.size[0] * result.size[1] for result in first if not isinstance(result, str)]
    # Pillow decodes outside Python's lock, but around small images the threads only wait for it: 1.3 times slower.
    pool = ThreadPoolExecutor(os.cpu_count() if sum(areas) > _SMALL * len(areas) else 1)
    groups = [jobs[start : start + _GROUP] for start in range(_GROUP, len(jobs), _GROUP)]
    done = 0
    try:
        for results in chain([first], pool.map(lambda group: [work(job) for job in group], groups)):
            yield from results
            done += len(results)
            if progress:
                progress(done, len(jobs))
    finally:
        pool.shutdown(cancel_futures=True)


def bounded(results: Iterator[Record | str]) -> Iterator[Record | str]:
    """The results as they come; BadInput before what was decoded fills half the machine's memory."""
    number, used, limit = 0, 0, memory.machine_bytes() // 2  # The other half is for the one array that they become.
    for result in results:
        if not isinstance(result, str):
            number, used = number + 1, used + result.nbytes
            if used > limit:
                raise BadInput(
                    f"{number:,} images already fill {limit / 2**30:.1f} GiB, half the memory; give a smaller size"
                )
        yield result
