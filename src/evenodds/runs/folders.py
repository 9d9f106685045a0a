"""What a run is called, where it lies, how long it may take, and what its bits depend on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

import evenodds
from evenodds.errors import BadInput
from evenodds.game.engine import Local
from evenodds.runs.build import IN_MEMORY
from evenodds.runs.config import Part
from evenodds.runs.find import names

__all__ = ["as_seconds", "environment", "next_folder", "placed"]


def placed(data: Part | None) -> Part | None:
    """A path made absolute, so that a run can be resumed from anywhere."""
    if data is None or data.name == IN_MEMORY or not Path(data.name).exists() or data.name in names("sources"):
        return data
    return Part(str(Path(data.name).resolve()), data.options)


def next_folder(base: Path, name: str) -> Path:
    """The first of base/name-1, base/name-2, ... that is free."""
    taken = {int(p.name.rpartition("-")[2]) for p in base.glob(f"{name}-*") if p.name.rpartition("-")[2].isdigit()}
    return base / f"{name}-{max(taken, default=0) + 1}"


def environment(engine: Local) -> dict[str, Any]:
    """What the bits of a run depend on, beside its configuration."""
    return {
        "evenodds": evenodds.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "device": str(engine.device),
        "threads": torch.get_num_threads(),
    }


def as_seconds(text: str | float | None) -> float | None:
    """A length of time such as 90, "90s", "10m", "2h"."""
    if text is None or isinstance(text, int | float):
        return None if text is None else float(text)
    factors = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in factors else (text, "s")
    try:
        value = float(number) * factors[unit]
    except ValueError:
        value = 0.0
    if not value > 0:
        raise BadInput(f"a budget is a length of time such as 60s, 10m or 2h; got '{text}'")
    return value
