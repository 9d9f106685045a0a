"""Frozen features of whole photographs inside a player, one row for each, which can be looked up beforehand."""

from __future__ import annotations

import torch
from torch import Tensor

from evenodds.pretrained.frozen import Frozen, brought_to

__all__ = ["Embedding"]

SCALE = 0.9
"""The root mean square of the features on photographs, by which they are divided."""
PASS = 32
"""Images that are looked at together: always so many, as others may round differently."""


class Embedding(Frozen):
    """x (N, 1 or 3, H, W) in [-1, 1] -> (N, 1280) of about unit size, for any H and W.

    Args:
        side: to which images are brought, a multiple of 32.
    """

    length = 1280

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        if self.carried is not None:
            return self._embedded(x)
        return torch.cat([self._embedded(part) for part in torch.split(x, PASS)])

    def _embedded(self, x: Tensor) -> Tensor:
        seen = brought_to(self.side, x).contiguous(memory_format=torch.channels_last)
        return self.network(x.device).embed(seen) / SCALE
