"""How much memory the machine has."""

from __future__ import annotations

import os

__all__ = ["machine_bytes"]


def machine_bytes() -> int:
    """The memory of this machine in bytes; 2^50 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 1 << 50
