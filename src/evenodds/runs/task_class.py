"""The class of a run's task, and what it says before there are data."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from evenodds.errors import BadInput
from evenodds.runs.config import AUTO_TASK, Config
from evenodds.runs.find import find

__all__ = ["has_discriminator", "has_generator", "players_in_words", "task_class"]


def task_class(config: Config) -> Any:
    """The class of the task; of one that is left to the data, that of plain generation."""
    return find("tasks", "generate" if config.task.name == AUTO_TASK else config.task.name)


def has_generator(config: Config) -> bool:
    """Whether a generator takes part in the game."""
    return bool(task_class(config).has_generator(config.task.options))


def has_discriminator(config: Config) -> bool:
    """Whether a discriminator takes part in the game."""
    return bool(task_class(config).has_discriminator(config.task.options))


def players_in_words(task: str, options: Mapping[str, Any], generator: str, discriminator: str) -> str:
    """The families of those of both that play a task; of both where the task's class may not be imported."""
    named = {"generator": generator, "discriminator": discriminator}
    with suppress(BadInput):
        of_task = find("tasks", "generate" if task == AUTO_TASK else task)
        plays = {"generator": of_task.has_generator(options), "discriminator": of_task.has_discriminator(options)}
        named = {role: family for role, family in named.items() if plays[role]}
    return ", ".join(f"{family} {role}" for role, family in named.items())
