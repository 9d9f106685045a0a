"""Numbers that are turned while a run goes on. What is played reads them on the device; a listener sets them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Dial"]


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
