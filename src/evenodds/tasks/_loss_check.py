"""Whether a function can be the loss of a contest, found by asking it about four logits of each side."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput

__all__ = ["require_loss", "require_trained"]


def require_loss(
    loss: Callable[[Tensor, Tensor], Any], device: torch.device | str = "cpu", sloping: bool = True
) -> None:
    """BadInput where a loss does not give two costs, unreduced, that slope in the logits.

    Args:
        device: of the logits.
        sloping: whether slopes are needed, as backpropagation needs them.

    Example:
        >>> import torch
        >>> from evenodds.tasks._loss_check import require_loss
        >>> require_loss(lambda real, fake: -real.mean())
        Traceback (most recent call last):
        evenodds.errors.BadInput: loss '<lambda>' must return two tensors, the discriminator's cost and the \
generator's, got a Tensor
    """
    what = f"loss '{_name(loss)}'"
    try:
        with suppress(ValueError):  # what is compiled may say nothing about its arguments
            inspect.signature(loss).bind(None, None)
    except TypeError as error:
        raise BadInput(f"{what} is called with the logits of real and fake, as loss(real, fake): {error}") from error
    points = torch.linspace(-1, 1, 4, device=device)
    real, fake = (points.add(shift).requires_grad_() for shift in (0.3, -0.2))
    with torch.enable_grad():
        costs = loss(real, fake)
    if not isinstance(costs, tuple | list) or len(costs) != 2:
        came = f"{len(costs)} values" if isinstance(costs, tuple | list) else f"a {type(costs).__name__}"
        raise BadInput(f"{what} must return two tensors, the discriminator's cost and the generator's, got {came}")
    for side, cost, logits in zip(("discriminator", "generator"), costs, ((real, fake), (fake,)), strict=True):
        _require_cost(f"the {side}'s cost of {what}", cost, logits, sloping)


def require_trained(loss: Any, moved: bool) -> None:
    """BadInput where a loss has parameters that nothing trains.

    Args:
        moved: whether a move trains them.
    """
    if not moved and isinstance(loss, nn.Module) and any(p.requires_grad for p in loss.parameters()):
        raise BadInput(
            f"loss '{_name(loss)}' has parameters, which no move trains; make them options or buffers, or those that "
            "are to stay as they are .requires_grad_(False)"
        )


def _require_cost(what: str, cost: Any, logits: tuple[Tensor, ...], sloping: bool) -> None:
    if not isinstance(cost, Tensor):
        raise BadInput(f"{what} must be a tensor, got {type(cost).__name__}; compute it by torch alone")
    if cost.shape != (4,):
        came = "its mean or sum" if cost.dim() == 0 else f"{tuple(cost.shape)} for logits (4,)"
        raise BadInput(f"{what} must be one number for each item, (N,) like the logits, got {came}; leave it unreduced")
    if not cost.isfinite().all():
        raise BadInput(
            f"{what} is not finite at logits within -1.2 and 1.3; logits are any real numbers, so that a probability "
            "is real.sigmoid(), and its logarithm -softplus(-real)"
        )
    if not sloping:
        return
    slopes = torch.autograd.grad(cost.sum(), logits, allow_unused=True, retain_graph=True) if cost.requires_grad else ()
    if all(slope is None for slope in slopes):
        raise BadInput(f"{what} has no slope in the logits, so that nothing is learned by it; detach none of them")


def _name(loss: Any) -> str:
    """As its author named it."""
    function = loss.func if isinstance(loss, partial) else loss
    return str(getattr(function, "__name__", type(function).__name__))
