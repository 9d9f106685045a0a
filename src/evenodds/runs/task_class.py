"""The class of a run's task, and what it says before there are data."""

from __future__ import annotations

from typing import Any

from evenodds.runs.config import AUTO_TASK, Config
from evenodds.runs.find import find

__all__ = ["has_discriminator", "has_generator", "task_class"]


def task_class(config: Config) -> Any:
    """The class of the task; of one that is left to the data, that of plain generation."""
    return find("tasks", "generate" if config.task.name == AUTO_TASK else config.task.name)


def has_generator(config: Config) -> bool:
    """Whether a generator takes part in the game."""
    return bool(task_class(config).has_generator(config.task.options))


def has_discriminator(config: Config) -> bool:
    """Whether a discriminator takes part in the game."""
    return bool(task_class(config).has_discriminator(config.task.options))
