"""What is read of a run's folder without torch: whether it is one, and by how many processes it was played."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenodds.data.wording import items_of
from evenodds.errors import BadInput
from evenodds.files.read import read_json

__all__ = ["ENCODER", "LEARNED_BESIDE", "RATIO", "Played", "is_run", "noun_of", "processes_of", "require_run"]

ENCODER, RATIO = "encoder.safetensors", "ratio.safetensors"
LEARNED_BESIDE = (ENCODER, RATIO)
"""Files that commands leave beside a run: its encoder, and its discriminator fitted to select samples."""


def is_run(path: Any) -> bool:
    """Whether this is the folder of a run that was begun."""
    return isinstance(path, str | os.PathLike) and (Path(path) / "config.yaml").is_file()


def require_run(folder: str | Path) -> Path:
    """The folder; BadInput where it holds no run that was begun."""
    if not is_run(folder):
        raise BadInput(f"no run at {folder}: it has no config.yaml; runs are made by `evenodds train`")
    return Path(folder)


@dataclass(frozen=True)
class _Data:
    """What is read of data.json."""

    kind: str = ""


def noun_of(folder: Path) -> str:
    """What items of a run's data are called, in the plural; "items" where its data.json does not say of what kind."""
    try:
        return items_of(read_json(folder / "data.json", _Data).kind)
    except (BadInput, OSError):
        return items_of("")


@dataclass(frozen=True)
class Played:
    """By how many processes a run was played, from so many images on."""

    images: int = 0
    processes: int = 1


@dataclass(frozen=True)
class _Environment:
    """What is read of environment.json."""

    processes: list[Played] = field(default_factory=list)


def processes_of(path: Path) -> list[Played] | None:
    """By how many processes a run was played; empty where it says nothing of them, None where it cannot be read.

    Args:
        path: of environment.json.
    """
    try:
        return read_json(path, _Environment).processes if path.is_file() else []
    except BadInput:
        return None
