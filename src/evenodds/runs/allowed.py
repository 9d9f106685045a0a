"""Which modules of one's own may be imported: those that the user named in this very call, and no others.

What is loaded is data: a run folder or a recipe may come from a stranger. A name such as `my_module:Net` in it is
resolved only where the user allowed the module, on the command line (`--allow my_module`), in the Python call
(`allow=("my_module",)`) or in the environment (`EVENODDS_ALLOW=my_module,other`). A name that the user types in the
call, such as `--set generator=my_module:Net`, allows its module too.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import Any

from evenodds.errors import BadInput, unknown

__all__ = [
    "NotAllowed",
    "allowed",
    "allowing",
    "imported",
    "is_external",
    "line_of_own",
    "modules_in",
    "named",
    "require",
]

_TYPED: ContextVar[frozenset[str]] = ContextVar("modules that were allowed in this call", default=frozenset())
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_EXTERNAL = re.compile(rf"({_MODULE.pattern}):([^\W\d]\w*)")
_WITHIN = re.compile(rf"(?<![\w.:/\\])({_EXTERNAL.pattern})(?![\w.:/\\])")


class NotAllowed(BadInput):
    """A file names a module that the user did not allow. `module` is its name."""

    def __init__(self, what: str, name: str, where: str = "") -> None:
        self.module = name.partition(":")[0]
        super().__init__(
            f"{f'{where}: ' if where else ''}{what} '{name}' is code from outside evenodds, and files decide nothing "
            f"about code: look at it, then pass --allow {self.module} (in Python: allow=('{self.module}',), or "
            f"EVENODDS_ALLOW={self.module})"
        )


def is_external(name: str) -> bool:
    """Whether a name has the form `package.module:Member` and is outside evenodds."""
    match = _EXTERNAL.fullmatch(name)
    return match is not None and match[1].split(".")[0] != "evenodds"


def modules_in(typed: Any) -> set[str]:
    """The modules of all names `module:Member` in what the user typed: texts, also within lists and mappings."""
    if isinstance(typed, str):
        return {match[2] for match in _WITHIN.finditer(typed) if is_external(match[1])}
    if isinstance(typed, Mapping):
        return modules_in(list(typed.values()))
    if isinstance(typed, list | tuple):
        return set().union(*map(modules_in, typed))
    return modules_in([typed.name, typed.options]) if hasattr(typed, "options") else set()


def named(key: str, value: Any) -> Any:
    """A setting as a run writes it down: classes and functions, also within lists and mappings, are named
    `module:Name`.

    Args:
        key: of the setting, for the message.

    Raises:
        BadInput: no later process would find one by its name: a lambda, or what is defined within a function.

    Example:
        >>> from evenodds.parts.losses.adversarial import hinge
        >>> from evenodds.runs.allowed import named
        >>> named("loss", hinge)
        'evenodds.parts.losses.adversarial:hinge'
    """
    if isinstance(value, Mapping):
        return {name: named(key, one) for name, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(named(key, one) for one in value)
    if not inspect.isclass(value) and not inspect.isfunction(value):
        return value
    module, name = value.__module__, value.__qualname__
    if getattr(sys.modules.get(module), name, None) is not value:
        raise BadInput(
            f"{key} is written down by its name, and no other process finds {name} in {module}; define it at the top "
            "of a module, under that name"
        )
    return f"{module}:{name}"


@contextmanager
def allowing(modules: Iterable[str]) -> Iterator[None]:
    """Within it, these modules may be imported beside those that are allowed already.

    Raises:
        BadInput: one is not the name of a module.
    """
    modules = [modules] if isinstance(modules, str) else list(modules)
    for module in modules:
        if not isinstance(module, str) or not _MODULE.fullmatch(module):
            raise BadInput(f"--allow takes names of modules such as my_module or my_package.nets, got {module!r}")
    token = _TYPED.set(_TYPED.get() | set(modules))
    try:
        yield
    finally:
        _TYPED.reset(token)


def allowed() -> frozenset[str]:
    """The modules that may be imported here."""
    return _TYPED.get() | {name.strip() for name in os.environ.get("EVENODDS_ALLOW", "").split(",") if name.strip()}


def require(what: str, name: str, where: str = "") -> None:
    """NotAllowed where a name is outside evenodds and its module was not allowed.

    Args:
        what: what the name names, for the message.
        where: the file that it is in.
    """
    if is_external(name) and name.partition(":")[0] not in allowed():
        raise NotAllowed(what, name, where)


def imported(what: str, name: str) -> Any:
    """The class or function `module:Member`; the module must define it, or a module below the same package.

    Raises:
        NotAllowed: the module was not allowed.
        BadInput: it cannot be imported, or has no such class or function of its own.
    """
    match = _EXTERNAL.fullmatch(name)
    if match is None:
        raise BadInput(f"a {what} of one's own is named as my_module:Name, got {name[:80]!r}")
    require(what, name)
    module = next(one for one in allowed() if one == match[1])  # the name as the user typed it
    _IMPORTED.add(module.partition(".")[0])
    try:
        there = import_module(module)
    except Exception as error:
        line = line_of_own(error)
        why = f"{line}: {type(error).__name__}: {error}" if line else f"{error}; {_hint(module)}"
        raise BadInput(f"{what} '{name}' cannot be imported: {why}") from error
    if not hasattr(there, match[3]):
        public = [one for one, value in vars(there).items() if callable(value) and not one.startswith("_")]
        raise unknown(f"member of {module}", match[3], public)
    value = getattr(there, match[3])
    home = getattr(value, "__module__", None)
    if not inspect.isclass(value) and not inspect.isfunction(value):
        raise BadInput(f"{what} '{name}' must be a class or a function, got a {type(value).__name__}")
    if home != module and not str(home).startswith(f"{module}."):
        raise BadInput(f"{what} '{name}' is defined in {home}; name it as {home}:{value.__name__} and allow {home}")
    return value


def _hint(module: str) -> str:
    """What to do where a module is not found."""
    package, _, ending = module.rpartition(".")
    if ending == "py" and package:
        return f"leave .py out: {package}:Name names what is in {module}"
    return "is its folder on PYTHONPATH?" if os.getcwd() not in sys.path else "is it in this folder, or on PYTHONPATH?"


_IMPORTED: set[str] = set()
"""The modules of one's own that this process has imported, or their topmost packages."""


def line_of_own(error: BaseException) -> str:
    """The innermost line of imported code of one's own from which an error came: "my_parts.py, line 12, in my_loss".

    Empty where no such line was at work.
    """
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if str(frame.f_globals.get("__name__")).partition(".")[0] in _IMPORTED:
            return f"{Path(frame.f_code.co_filename).name}, line {line}, in {frame.f_code.co_name}"
    return ""
