"""The options of the parts that a configuration names, checked when it is read and before anything is built of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evenodds.errors import BadInput, unknown
from evenodds.files.misfit import shortened
from evenodds.runs.find import KINDS, canonical, find, names
from evenodds.runs.options import NAMED, require_options
from evenodds.runs.values import Part

__all__ = ["require_no_rate", "require_part"]

PASSED = {"losses": 2, "penalties": 3, "optimizers": 1, "chances": 1, "learners": 2}
"""Arguments of the members of a kind that come before the options."""
OF_TASKS = ("discriminator_steps", "generator_steps", "simultaneous")
"""Settings of their own that a task is made with."""
ROLES = {"Generator": 2, "Discriminator": 1}
"""The classes of a family of networks, and arguments of each that come before its options: what it takes and makes."""


def require_part(key: str, kinds: Sequence[str], part: Part) -> None:
    """BadInput where an option of a part is unknown, of another type than declared, or out of its range.

    Names that nobody has are not refused here, nor are options of code of one's own: nothing is imported.

    Args:
        key: of the setting, for messages.
        kinds: in which the name is looked up. The options must fit one of the members of that name: a family of
            networks has several.
    """
    options = {name: value for name, value in part.options.items() if name not in NAMED}
    errors = []
    for kind in kinds:
        for maker in _makers(key, kind, part.name):
            error = _error(f"{key} '{part.name}'", maker, options, kind)
            if error is None:
                _require_degradations(key, part.options.get("degradation"))
                _require_masks(key, part.options.get("masks"))
                return
            errors.append(error)
    if errors:
        raise errors[0]


def require_no_rate(optimizer: Part) -> None:
    """BadInput where an optimizer is given a rate of its own, which the settings for it would replace."""
    if "lr" in optimizer.options:
        raise BadInput("optimizer.lr has no effect: rates are learning_rate and discriminator_learning_rate; set these")


def _error(what: str, maker: Callable[..., Any], options: Mapping[str, Any], kind: str) -> BadInput | None:
    """What is wrong with options; None where they fit."""
    try:
        require_options(what, maker, options, _passed(kind, maker), OF_TASKS if kind == "tasks" else ())
    except BadInput as error:
        return error
    return None


def _makers(key: str, kind: str, name: str) -> list[Callable[..., Any]]:
    """The classes and functions that options of a setting may be given to: of a family that of the player it is of."""
    if ":" in name or canonical(kind, name.partition(".")[0] if kind == "networks" else name) is None:
        return []
    if kind not in ("networks", "mappers", "fillers"):
        return [find(kind, name)]
    family = find(kind, name.partition(".")[0])
    classes = [getattr(family, role) for role in ROLES if hasattr(family, role)]
    return [one for one in classes if one.__name__.lower() == key] or classes


def _passed(kind: str, maker: Callable[..., Any]) -> int:
    if kind in ("networks", "mappers", "fillers"):
        return ROLES.get(maker.__name__, 0)
    return 0 if kind in ("losses", "penalties") and inspect.isclass(maker) else PASSED.get(kind, 0)


def _require_degradations(key: str, value: Any) -> None:
    """The same for the degradations of a task: a name, a mapping with a name, or several in a list."""
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, Mapping) and isinstance(one.get("name"), str):
            options = {name: inner for name, inner in one.items() if name != "name"}
            require_part(f"{key}.degradation", ("degradations",), Part(one["name"], options))
        elif isinstance(one, Mapping | int | float):
            raise BadInput(
                f"the degradation of {key} needs a name, as in {{name: noise, low: 10, high: 50}}, got {shortened(one)}"
            )


def _require_masks(key: str, value: Any) -> None:
    """The same for names of masks: with commas between them, or in a list."""
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, Mapping | int | float | list | tuple):
            raise BadInput(f"the masks of {key} need names, as in 'boxes,strokes', got {shortened(value)}")
        for name in map(str.strip, one.split(",") if isinstance(one, str) else ()):
            if canonical("masks", name) is None:
                raise BadInput(f"the masks of {key}: {unknown(KINDS['masks'][0], name, names('masks'))}")
