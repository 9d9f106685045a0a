"""A discriminator of pairs (x, z), made of any family's discriminator of x."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput

__all__ = ["JointDiscriminator"]


class JointDiscriminator(nn.Module):
    """Pairs (N, size of x + latent) -> logits (N,): one network looks at x, one at z, a third at what both saw.

    The arrangement of Dumoulin et al. (2017), appendix A.

    Args:
        of_x: any family's Discriminator of x, built with `outputs` of at least 2: what it hands to the third.
        shape: of x, (D,) or (C, H, W).
        latent: length of z.
        outputs: those of of_x.
        width: units of each hidden layer that looks at z or at both.
    """

    def __init__(self, of_x: nn.Module, shape: Sequence[int], latent: int, *, outputs: int, width: int = 256) -> None:
        super().__init__()
        if outputs < 2:
            raise BadInput(f"of_x must hand on several numbers, got outputs={outputs}; build it with 64, say")
        self.shape, self.sizes = tuple(shape), [math.prod(shape), latent]
        self.of_x = of_x
        self.of_z = nn.Sequential(nn.Linear(latent, width), nn.LeakyReLU(0.2), nn.Linear(width, width))
        self.of_both = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Linear(outputs + width, width), nn.LeakyReLU(0.2), nn.Linear(width, 1)
        )

    def forward(self, both: Tensor) -> Tensor:
        if both.shape[1] != sum(self.sizes):
            raise BadInput(f"pairs of this discriminator are (N, {sum(self.sizes)}), got {tuple(both.shape)}")
        x, z = both[:, : self.sizes[0]], both[:, self.sizes[0] :]
        features = torch.cat([self.of_x(x.reshape(-1, *self.shape)), self.of_z(z)], 1)
        logits: Tensor = self.of_both(features)
        return logits.squeeze(1)
