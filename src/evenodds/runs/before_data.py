"""What is refused of a configuration before its data are read, which may take long."""

from __future__ import annotations

from evenodds.errors import BadInput
from evenodds.runs.build_contest import build_contest
from evenodds.runs.config import Config
from evenodds.runs.find import network
from evenodds.runs.task_class import task_class

__all__ = ["require_settings"]


def require_settings(config: Config) -> None:
    """BadInput where no data whatever make a game of these settings: what they say is known without any."""
    _require_generator(config)
    if "auto" not in config.views and config.penalty_weight is not None:  # else they are settled by the data
        build_contest(config)


def _require_generator(config: Config) -> None:
    """BadInput where the generator is of none of the families that the task plays."""
    if ":" in config.generator.name:
        return
    task = task_class(config)
    try:
        network(config.generator.name, task.generator_kind)
    except BadInput as error:
        raise BadInput(f"{error}{task.instead}") from error
