"""Optimizers of torch without its compiler, which is imported with the first of them and takes more than a second.

`torch.compile` must not look into some methods of an optimizer, and torch imports it to tell it so, whether it is used
or not. The steps of a game are never compiled: a compiled move ends with the slopes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, TypeVar, cast

import torch
from torch.optim import Optimizer

__all__ = ["eager"]

Kind = TypeVar("Kind", bound=type[Optimizer])

_HIDDEN = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
"""Methods of `Optimizer` that torch hides from its compiler."""


def eager(kind: Kind) -> Kind:
    """A class of optimizers that steps as `kind` does, with the same bits, and never imports the compiler.

    Args:
        kind: a class of torch.optim. Its methods may be wrapped; those that they wrap are called.

    Example:
        >>> import torch
        >>> from evenodds.game.optimizers import eager
        >>> adam = eager(torch.optim.Adam)([torch.nn.Parameter(torch.ones(1))], lr=1e-3)
        >>> isinstance(adam, torch.optim.Adam), type(adam).__name__
        (True, 'Adam')
    """
    return cast(Kind, _eager(kind))  # type: ignore[arg-type]  # classes are hashable


@cache
def _eager(kind: type[Optimizer]) -> type[Optimizer]:
    methods: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in _HIDDEN}
    if "differentiable" in inspect.signature(kind).parameters:
        methods["step"] = _graded(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {**methods, "__module__": kind.__module__, "__doc__": kind.__doc__})


def _graded(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step that is differentiated only where the optimizer was asked for it."""

    @wraps(step)
    def graded(self: Optimizer, closure: Callable[[], Any] | None = None) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return step(self, closure)

    return graded
