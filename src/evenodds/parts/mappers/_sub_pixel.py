"""A mapper that works at the size of its source and enlarges at the end, by sub-pixel convolution (Shi et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import unknown
from evenodds.parts.mappers._parts import SLOPE, base, check_images, conv, enlarged, in_rgb

__all__ = ["CHROMA", "SubPixel"]

CHROMA = ("full", "source")
"""Resolutions of colour: that of luma, or that of the source."""
_REACH = 2
"""Pixels that bicubic interpolation looks at beyond a place."""


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
        chroma: "source" adds colour at the resolution of the source, enlarged by bicubic interpolation, and detail to
            luma alone. Where there are not three outputs, or nothing is enlarged, all is full.
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
        chroma: str = "full",
    ) -> None:
        super().__init__()
        if chroma not in CHROMA:
            raise unknown("resolution of chroma", chroma, CHROMA)
        self.coarse = chroma == "source" and outputs == 3 and scale > 1
        self.inputs, self.outputs, self.scale = inputs, outputs, scale
        self.margin = margin + _REACH * self.coarse
        values = scale**2 + 2 if self.coarse else outputs * scale**2  # luma, and two colours
        self.enter = conv(inputs, width)
        self.blocks = nn.Sequential(*blocks)
        self.close = conv(width, width)
        self.refine = conv(width, width) if refined else nn.Identity()
        self.leave = conv(width, values, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        check_images(x, self.inputs)
        shallow = self.enter(x)
        hidden = F.leaky_relu(self.refine(shallow + self.close(self.blocks(shallow))), SLOPE)
        left = self.leave(hidden)
        change = self._joined(left) if self.coarse else F.pixel_shuffle(left, self.scale)
        return enlarged(base(x, self.outputs), self.scale) + change

    def _joined(self, left: Tensor) -> Tensor:
        """Red, green and blue of luma and colours."""
        return in_rgb(F.pixel_shuffle(left[:, :-2], self.scale), *enlarged(left[:, -2:], self.scale).chunk(2, 1))
