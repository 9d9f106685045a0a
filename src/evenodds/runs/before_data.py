"""What is refused of a configuration before its data are read, which may take long."""

from __future__ import annotations

from pathlib import Path

from evenodds.data.readers.frames import READS as SHEETS
from evenodds.data.readers.toys import DENSITIES
from evenodds.data.tables.opened import READS as TEXTS
from evenodds.data.wording import items_of
from evenodds.errors import BadInput
from evenodds.runs.build_contest import build_contest
from evenodds.runs.config import Config
from evenodds.runs.find import canonical, network
from evenodds.runs.task_class import task_class

__all__ = ["require_settings"]


def require_settings(config: Config) -> None:
    """BadInput where no data whatever make a game of these settings: what they say is known without any."""
    _require_generator(config)
    _require_kind(config)
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
    if task.families and (name := canonical("fillers", config.generator.name)) not in task.families:
        raise BadInput(
            f"task '{config.task.name}' is played with generator={task.families[0]}, got {name}{task.instead}"
        )


def _require_kind(config: Config) -> None:
    """BadInput where the name of the data says that they are of none of the kinds that the task is for."""
    task, data = task_class(config), config.data
    kind = None if data is None else _kind_named(data.name)
    if data is not None and kind is not None and kind not in task.kinds:
        raise BadInput(
            f"task '{config.task.name}' is for {' and '.join(map(items_of, task.kinds))}, and {data.name} holds "
            f"{items_of(kind)}{task.instead}"
        )


def _kind_named(name: str) -> str | None:
    """The kind of the data of that name; None where it is not known before they are read."""
    if name in DENSITIES:
        return "toy"
    return "table" if Path(name).suffix.lower() in (*TEXTS, *SHEETS) else None
