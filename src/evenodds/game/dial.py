"""Numbers that are turned while a run goes on. What is played reads them on the device; a listener sets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput

__all__ = ["Chanced", "Dial", "View"]

View = Callable[[Tensor, Tensor], Tensor]
"""x (N, ...), uniform numbers (N, 4 per view) in [0, 1) -> x, differentiable."""


class Dial(nn.Module):
    """One number in a buffer: it is kept in checkpoints like a player, and read without a wait for the device.

    Reading it gives the tensor itself, so that turning it changes neither a graph nor a shape.
    """

    value: Tensor

    def __init__(self, value: float) -> None:
        """Starts at a value."""
        super().__init__()
        self.register_buffer("value", torch.tensor(float(value)))

    def forward(self) -> Tensor:
        """The value, a scalar tensor."""
        return self.value

    @torch.no_grad()
    def turn(self, value: float) -> None:
        """Sets it."""
        self.value.fill_(value)


class Chanced(nn.Module):
    """One view after the other, each of them for an item with some chance only (Karras et al. 2020, section 2.3).

    Below a chance of 0.8 the generator cannot hide a view among its samples: the unchanged items tell on it. Whether an
    item is changed comes from the dealt numbers, and the chance is a dial: turning it waits for no device.
    """

    def __init__(self, views: Sequence[View], chance: float = 0.0) -> None:
        """Holds the views.

        Args:
            views: in the order in which they act.
            chance: of each, in [0, 1].
        """
        super().__init__()
        if not 0 <= chance <= 1:
            raise BadInput(f"the chance of views lies in [0, 1], got {chance}")
        self.views, self.dial = tuple(views), Dial(chance)

    @property
    def dice(self) -> int:
        """Dealt numbers per item: five for each view."""
        return 5 * len(self.views)

    def forward(self, x: Tensor, uniform: Tensor) -> Tensor:
        """x (N, ...) and uniform (N, dice) -> x of the same shape."""
        if uniform.shape[1:] != (self.dice,):
            raise BadInput(f"these views need uniform (N, {self.dice}), got {tuple(uniform.shape)}; deal five per view")
        for view, dice in zip(self.views, torch.split(uniform, 5, 1), strict=True):
            hit = dice[:, 4] < self.dial()
            x = torch.where(hit.view(-1, *[1] * (x.dim() - 1)), view(x, dice[:, :4]), x)
        return x
