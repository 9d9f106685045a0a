"""The settings of a run without what is its owner's alone: where the data lie, and where the run is logged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from evenodds.files.names import is_there
from evenodds.runs.config import Config
from evenodds.runs.find import canonical
from evenodds.runs.values import ELSEWHERE, IN_MEMORY, Part

__all__ = ["anonymous"]


def anonymous(config: Config) -> Config:
    """The configuration as it may be shown to others: data keep the name of a source, and no path."""
    return replace(config, data=_placeless(config.data), log=())


def _placeless(data: Part | None) -> Part | None:
    """The data without their place, and without options that are places."""
    if data is None:
        return None
    options = {key: value for key, value in data.options.items() if not _is_place(value)}
    known = data.name == IN_MEMORY or canonical("sources", data.name) is not None
    return Part(data.name if known else ELSEWHERE, options)


def _is_place(value: Any) -> bool:
    """Whether an option is a path: an absolute one, one from here or from home, or one of something that is there."""
    if isinstance(value, list | tuple):
        return any(map(_is_place, value))
    if not isinstance(value, str) or not value:
        return False
    return Path(value).is_absolute() or value.startswith(("~", "./", "../", ".\\", "..\\")) or is_there(value)
