"""The values themselves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from evenodds.metrics.features._items import check_items

__all__ = ["Pixels"]

_SIDE = 32


class Pixels:
    """The values themselves, flattened; images with a side above 32 are averaged over areas down to 32.

    They see each pixel in its place and nothing else: right for tables and toys, and for images only where nothing
    better is at hand.

    Args:
        shape: of one item, (C, H, W) or (D,).
    """

    name = "pixels"
    weights = "none"
    comparable = ""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self.size = tuple(min(side, _SIDE) for side in self.shape[1:])
        self.resize = "none" if self.size == self.shape[1:] else f"area to {self.size[0]}x{self.size[1]}"

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """(N, C, H, W) or (N, D) in [-1, 1] -> (N, F) float32, F at most 1024 C or D."""
        check_items(x, self.shape)
        x = x.float()
        return (x if self.resize == "none" else F.interpolate(x, self.size, mode="area")).flatten(1)
