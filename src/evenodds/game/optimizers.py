"""Optimizers of torch without its compiler, which is imported with the first of them and takes more than a second.

`torch.compile` must not look into some methods of an optimizer, and torch imports it to tell it so, whether it is used
or not. The steps of a game are never compiled: a compiled move ends with the slopes. Nor is a step announced to a
profiler where none listens: four announcements take a twentieth of a round of small networks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, TypeVar, cast

import torch
from torch.optim import Optimizer, optimizer

__all__ = ["eager"]

Kind = TypeVar("Kind", bound=type[Optimizer])

_HIDDEN = ("add_param_group", "load_state_dict", "state_dict")
"""Methods of `Optimizer` that torch hides from its compiler, with `zero_grad`."""
_HOOKS = [vars(optimizer).get(f"_global_optimizer_{when}_hooks", {}) for when in ("pre", "post")]
"""Those of the steps of all optimizers."""


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
    methods["zero_grad"] = _quiet_zero_grad
    if "differentiable" in inspect.signature(kind).parameters:
        methods["step"] = _quiet(_graded(inspect.unwrap(kind.step)))
    return type(kind.__name__, (kind,), {**methods, "__module__": kind.__module__, "__doc__": kind.__doc__})


def _graded(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step that is differentiated only where the optimizer was asked for it."""

    @wraps(step)
    def graded(self: Optimizer, closure: Callable[[], Any] | None = None) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return step(self, closure)

    return graded


def _quiet(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step that calls hooks and a profiler where there are any."""
    announced = Optimizer.profile_hook_step(step)

    @wraps(step)
    def quiet(self: Optimizer, closure: Callable[[], Any] | None = None) -> Any:
        hooks = (self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks, *_HOOKS)
        return (announced if any(hooks) or _profiled() else step)(self, closure)

    quiet.hooked = True  # type: ignore[attr-defined]  # or torch would announce it again
    return quiet


_zero_grad: Callable[..., None] = inspect.unwrap(Optimizer.zero_grad)


def _quiet_zero_grad(self: Optimizer, set_to_none: bool = True) -> None:
    """Optimizer.zero_grad."""
    if not set_to_none or _profiled():
        _zero_grad(self, set_to_none)
        return
    for group in self.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def _profiled() -> bool:
    return bool(torch.autograd._profiler_enabled())  # type: ignore[attr-defined]
