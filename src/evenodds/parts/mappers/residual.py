"""Residual blocks at the size of the source, sub-pixel convolution at the end: for super-resolution on small machines.

Blocks without normalisation as in EDSR (Lim et al. 2017, "Enhanced deep residual networks"), all of them at low
resolution; the last convolution gives scale^2 values for each place and channel (Shi et al. 2016, "sub-pixel"). It
starts at zero and adds to the bicubic enlargement of the source: an untrained network is bicubic interpolation, and
no checkerboard needs to be unlearned.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.parts.mappers._parts import SLOPE, check, conv
from evenodds.parts.mappers._sub_pixel import SubPixel

__all__ = ["Generator"]


class Generator(SubPixel):
    """(N, inputs, H, W) -> (N, outputs, scale H, scale W), for any H and W.

    Args:
        inputs: channels of the source.
        outputs: channels of what is made.
        scale: 1 to 4.
        width: channels of the blocks.
        blocks: how many.
        chroma: full; or source, which gives detail to luma alone, and adds colour at the resolution of the source: eyes
            see no finer one, photographs hold little of it, and an adversary draws dots of it.
    """

    def __init__(
        self, inputs: int, outputs: int, *, scale: int = 1, width: int = 32, blocks: int = 8, chroma: str = "full"
    ) -> None:
        check(inputs, outputs, scale, (1, 2, 3, 4))
        if width < 1 or blocks < 0:
            raise BadInput(f"width >= 1 and blocks >= 0 are needed, got {width} and {blocks}")
        residual = (Block(width, blocks) for _ in range(blocks))
        super().__init__(inputs, outputs, scale, width, residual, margin=2 * blocks + 3, chroma=chroma)


class Block(nn.Module):
    """x + W2 a(W1 x); W2 starts small, as one of many that add up (Fixup, Zhang et al. 2019)."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.first, self.second = conv(width, width), conv(width, width, (10 * max(1, blocks)) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.second(F.leaky_relu(self.first(x), SLOPE))
        return x + change
