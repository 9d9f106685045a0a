"""Where evenodds keeps what it can make or fetch again."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """$EVENODDS_CACHE, else "evenodds" in the user's cache ($XDG_CACHE_HOME or ~/.cache). It may not exist yet."""
    if folder := os.environ.get("EVENODDS_CACHE"):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "evenodds"
