"""The flag --allow, which all commands have that load a run or a recipe."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from functools import wraps
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from evenodds.cli.app import listed_names

__all__ = ["loads"]

T = TypeVar("T")

Allow = Annotated[
    list[str] | None,
    Parameter(
        name="--allow",
        negative="",
        help="A module of your own that the run or recipe may import, e.g. my_module; look at it first.",
    ),
]
TYPED = ("settings", "classifier", "select", "features")
"""Parameters of commands in which a name `module:Member` may be typed; it allows its module for the command."""


def loads(command: Callable[..., T]) -> Callable[..., T]:
    """The command with the flag --allow: for every command that loads a run or a recipe.

    Names of one's own are resolved only in modules that the command line or EVENODDS_ALLOW names.
    """

    @wraps(command)
    def loading(*arguments: Any, allow: list[str] | None = None, **flags: Any) -> T:
        from evenodds.runs.allowed import modules_in

        modules = {*(listed_names(allow) or []), *modules_in(list(_typed(flags)))}
        with importable(modules):
            return command(*arguments, **flags)

    signature = inspect.signature(command, eval_str=True)
    allow = inspect.Parameter("allow", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Allow)
    loading.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), allow]
    )
    loading.__annotations__ = {name: p.annotation for name, p in (*signature.parameters.items(), ("allow", allow))}
    return loading


def _typed(flags: Mapping[str, Any]) -> Iterator[Any]:
    """What was typed for parameters in TYPED, also for those that stand in a group of flags."""
    groups = [vars(value) for value in flags.values() if is_dataclass(value)]
    for group in (flags, *groups):
        yield from (group.get(name) for name in TYPED)


@contextmanager
def importable(modules: set[str]) -> Iterator[None]:
    """Within it, these modules may be imported; the working folder is then searched for them, after all others."""
    from evenodds.runs.allowed import allowing

    here = os.getcwd()
    added = bool(modules) and here not in sys.path
    if added:
        sys.path.append(here)
    try:
        with allowing(sorted(modules)):
            yield
    finally:
        if added:
            sys.path.remove(here)
