"""Pickled estimators name modules that have moved since; this finder imports them under their earlier names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from evenodds.runs.moved import MOVED, current

__all__ = ["MovedModules", "install"]


class MovedModules(MetaPathFinder, Loader):
    """Serves a moved module by a stand-in whose members are looked up in today's modules."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The stand-in's specification, or None where no module of that name has moved."""
        if current(fullname) == fullname and not any(name.startswith(f"{fullname}:") for name in MOVED):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        """Gives the stand-in its lookup."""
        earlier = module.__name__

        def member(name: str) -> Any:
            home, _, today = current(f"{earlier}:{name}").partition(":")
            if name.startswith("__") or home == earlier:
                raise AttributeError(f"module '{earlier}' has no attribute '{name}'")
            return getattr(import_module(home), today)

        module.__dict__["__getattr__"] = member


def install() -> None:
    """Adds the finder behind all others, once: a module that exists is never shadowed."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
