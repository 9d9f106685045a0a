"""What is read of a run's folder without torch: whether it is one, and by how many processes it was played."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from evenodds.data.wording import items_of
from evenodds.errors import BadInput
from evenodds.files.names import is_there
from evenodds.files.read import read_json
from evenodds.files.text import quoted
from evenodds.runs.find import canonical

__all__ = ["ENCODER", "LEARNED_BESIDE", "RATIO", "Played", "is_run", "no_run", "noun_of", "processes_of", "require_run"]

ENCODER, RATIO = "encoder.safetensors", "ratio.safetensors"
LEARNED_BESIDE = (ENCODER, RATIO)
"""Files that commands leave beside a run: its encoder, and its discriminator fitted to select samples."""
MANY = 1000
"""Entries of a folder among which a run is looked for."""


def is_run(path: Any) -> bool:
    """Whether this is the folder of a run that was begun."""
    return isinstance(path, str | os.PathLike) and (Path(path) / "config.yaml").is_file()


def require_run(folder: str | Path) -> Path:
    """The folder; BadInput where it holds no run that was begun."""
    if not is_run(folder):
        raise no_run(folder)
    return Path(folder)


def no_run(place: str | Path) -> BadInput:
    """The error for a path where no run is: it says what is there instead, and what to name.

    A folder of runs, something in a run, data, and the name of a recipe are told from a run.
    """
    place = Path(place)
    if home := next((folder for folder in list(place.parents)[:2] if is_run(folder)), None):
        return BadInput(f"no run at {place}: it lies in one; name the folder of the run, {home}")
    if not is_there(str(place)):
        if recipe := canonical("recipes", str(place)):
            return BadInput(
                f"no run at {place}: this is the name of a recipe; runs are made by `evenodds train {recipe}`"
            )
        return BadInput(f"no run at {place}: there is no such folder; runs are made by `evenodds train`")
    if place.is_dir() and (runs := sorted(folder for folder in islice(place.iterdir(), MANY) if is_run(folder))):
        return BadInput(f"no run at {place}: it is a folder of runs; name one of them, such as {runs[-1]}")
    if not place.is_dir():
        return BadInput(
            f"no run at {place}: a run is a folder with a config.yaml, and evenodds opens no pickles; runs are made by "
            f"`evenodds train`, of data by `evenodds train --data {quoted(place)}`"
        )
    return BadInput(
        f"no run at {place}: it has no config.yaml; runs are made by `evenodds train`, of data by "
        f"`evenodds train --data {quoted(place)}`"
    )


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
