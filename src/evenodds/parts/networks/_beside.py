"""What a discriminator may see beside its own features: those of a network that was trained on photographs.

Kumari, Zhang, Shechtman and Zhu, "Ensembling Off-the-shelf Models for GAN Training" (2022): small heads learn on frozen
features, which see the same views. Here their features join the discriminator's own before the last layer, so that one
logit, one loss and one penalty hold for both.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.pretrained.efficientnet_lite import NEEDED, RUNGS, is_here
from evenodds.pretrained.frozen import brought_to
from evenodds.pretrained.rungs import Rungs

__all__ = ["Heads", "heads"]

WIDTH = 32
"""Features of each rung."""


def heads(channels: int, side: int) -> Heads | None:
    """Heads that look at images of that side; None where it is 0."""
    if side == 0:
        return None
    if side < 32 or side % 32:
        raise BadInput(f"pretrained is the side at which images are looked at, a multiple of 32 or 0, got {side}")
    if channels not in (1, 3):
        raise BadInput(f"pretrained features need 1 or 3 channels, got {channels}; set discriminator.pretrained=0")
    return Heads(side)


class Heads(Rungs):
    """x (N, 1 or 3, H, W) in [-1, 1] -> (N, features).

    Args:
        side: at which images are looked at.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.first = nn.ModuleList(nn.Conv2d(channels, WIDTH, 1) for channels in RUNGS.values())
        self.second = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in RUNGS)
        self.features = WIDTH * len(RUNGS)
        if not is_here():
            raise BadInput(NEEDED)

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for rung, first, second in zip(self.maps(brought_to(self.side, x)), self.first, self.second, strict=True):
            hidden = F.leaky_relu(first(rung), 0.2)
            found.append(F.leaky_relu(second(hidden), 0.2).mean((2, 3)))
        return torch.cat(found, 1)
