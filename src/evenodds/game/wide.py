"""Numbers that a coarse arithmetic has made, where their digits count from here on."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["wide"]


def wide(x: Tensor) -> Tensor:
    """x in float32, or in float64 where it is that.

    Example:
        >>> import torch
        >>> from evenodds.game.wide import wide
        >>> [wide(torch.ones(1, dtype=kind)).dtype for kind in (torch.bfloat16, torch.float64)]
        [torch.float32, torch.float64]
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))
