"""Memory that is freed stays with the process, so that tensors of the next round find it mapped.

The C library gives large blocks back to the system when they are freed, and the system clears the pages of every new
one. A round frees and takes the same tensors again and again: measured for the networks of benchmarks/step.py, rounds
without it take 8 to 11 % more time. What is computed stays the same. The process keeps the memory of its largest round.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache

__all__ = ["keep_freed_memory"]

LARGEST = 32 << 20
"""Bytes of the largest block that the C library lets stay; larger ones go back to the system."""
STEP = 64 << 20
"""Bytes by which the memory of the process grows."""
TRIM, TOP_PAD, MMAP = -1, -2, -3
"""Parameters of mallopt in glibc: what goes back from the end, the step, and from which size blocks are mapped."""
CHOSEN = ("MALLOC_", "GLIBC_TUNABLES")
"""Beginnings of environment variables by which the user has decided on the allocator."""


@cache
def keep_freed_memory() -> bool:
    """Asks the C library, once, to keep freed memory; whether it does so. Only glibc on Linux is asked."""
    mallopt = _mallopt()
    if mallopt is None or any(name.startswith(CHOSEN) for name in os.environ):
        return False
    values = ((TRIM, 2**31 - 1), (TOP_PAD, STEP), (MMAP, LARGEST))
    return all([bool(mallopt(parameter, value)) for parameter, value in values])


def _mallopt() -> ctypes._NamedFuncPointer | None:
    """The function of glibc; None where another C library runs."""
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  (musl has a mallopt that does nothing)
    except (AttributeError, OSError, TypeError):
        return None
    return library.mallopt
