"""A mapper that works at the size of its source and enlarges at the end, by sub-pixel convolution (Shi et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.parts.mappers._parts import SLOPE, base, check_images, conv, enlarged

__all__ = ["SubPixel"]


class SubPixel(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, scale H, scale W): blocks with a skip about them, added to the bicubic base.

    The last convolution gives scale^2 values for each place and channel. It starts at zero, so that an untrained
    network is bicubic interpolation.

    Args:
        inputs, outputs, scale: checked already, see `check`.
        width: channels of the blocks.
        blocks: made one by one after the first convolution, so that the draws of the weights keep their order.
        margin: pixels of the source beyond a place that influence it.
        refined: whether one more convolution stands between the skip and the last one.
    """

    multiple = 1
    """Of which H and W are best a multiple."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        scale: int,
        width: int,
        blocks: Iterable[nn.Module],
        margin: int,
        refined: bool = False,
    ) -> None:
        super().__init__()
        self.inputs, self.outputs, self.scale, self.margin = inputs, outputs, scale, margin
        self.enter = conv(inputs, width)
        self.blocks = nn.Sequential(*blocks)
        self.close = conv(width, width)
        self.refine = conv(width, width) if refined else nn.Identity()
        self.leave = conv(width, outputs * scale**2, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        check_images(x, self.inputs)
        shallow = self.enter(x)
        hidden = F.leaky_relu(self.refine(shallow + self.close(self.blocks(shallow))), SLOPE)
        return enlarged(base(x, self.outputs), self.scale) + F.pixel_shuffle(self.leave(hidden), self.scale)
