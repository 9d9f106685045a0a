"""How much memory the machine has, and what is said where something needs more."""

from __future__ import annotations

import os
import re
from pathlib import Path

from evenodds.errors import BadInput

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["as_bytes", "machine_bytes", "require_room"]

UNLIMITED = 1 << 50
GROUPS = Path("/sys/fs/cgroup")
"""Where Linux shows the limits of groups of processes, such as those of a container."""
OF_THIS_PROCESS = Path("/proc/self/cgroup")
ADDRESSES = Path("/proc/self/statm")
"""Begins with the number of pages that this process has."""
SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", re.IGNORECASE)
FACTORS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def as_bytes(what: str, text: str, example: str) -> int:
    """A number of bytes as a person writes it: 256MB, 1.5GB, 2GiB, 64k; 1 KB is 1,000 and 1 KiB is 1,024.

    Args:
        what: needs it, for the message.
        example: of such a text, for the message.

    Raises:
        BadInput: it is none, or 0.

    Example:
        >>> from evenodds.files.memory import as_bytes
        >>> as_bytes("data.memory", "256MB", "1GB")
        256000000
    """
    match = SIZE.fullmatch(text) if len(text) <= 40 else None
    size = int(float(match[1]) * (1024 if match[3] else 1000) ** FACTORS[match[2].upper()]) if match else 0
    if not 0 < size < UNLIMITED:
        raise BadInput(f"{what} needs a size such as {example}, got {text[:40]!r}")
    return size


def machine_bytes() -> int:
    """The memory that this process may use, in bytes: the machine's, or less by a limit; 2^50 where nothing says."""
    return min(_physical(), _of_groups(), _of_process())


def require_room(what: str, needed: int, advice: str) -> None:
    """BadInput where something needs more bytes than this process may use.

    Args:
        what: needs them, for the message.
        advice: what to do then.
    """
    there = machine_bytes()
    if needed > there:
        raise BadInput(
            f"{what} needs {needed / 2**30:,.1f} GiB of memory, and this machine has {there / 2**30:,.1f}; {advice}"
        )


def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return UNLIMITED


def _of_process() -> int:
    """What the limit on the addresses of this process (ulimit -v) leaves."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0] if resource is not None else -1
    pages = next(iter(_lines(ADDRESSES)), "0").split()[0]
    return max(0, limit - int(pages) * resource.getpagesize()) if limit > 0 else UNLIMITED


def _of_groups() -> int:
    """The least limit of the groups that this process is in, by version 2 or 1 of them."""
    limits = [UNLIMITED]
    for line in _lines(OF_THIS_PROCESS):
        number, kinds, place = ([*line.split(":", 2), "", ""])[:3]
        if number == "0":
            limits += _upwards(GROUPS, place, "memory.max")
        elif "memory" in kinds.split(","):
            limits += _upwards(GROUPS / "memory", place, "memory.limit_in_bytes")
    return min(limits)


def _upwards(root: Path, place: str, name: str) -> list[int]:
    """The limits of a group and of all above it. A container may show its own group as the root."""
    folder = root / place.strip("/")
    texts = [line for group in (folder, *folder.parents) if group.is_relative_to(root) for line in _lines(group / name)]
    return [int(text) for text in texts if text.isdecimal()]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
