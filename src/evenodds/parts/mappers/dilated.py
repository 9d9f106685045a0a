"""Few levels, and a thin end of residual blocks whose taps lie further and further apart (Yu and Koltun 2016).

For labels of small photographs: no place is coarser than 8 pixels, so that what is thin stays, and the dilations 1, 2,
4, 8 see as far as coarser levels would. Half the resolution is the finest level, beside which the answer is made, 2 x 2
pixels at once; that of single pixels would take most of the time. Skips are added (Chaurasia and Culurciello 2017,
"LinkNet").
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.parts.mappers._parts import SLOPE, check, check_images, conv, normed, unbiased
from evenodds.parts.networks._levels import padded, start_alike

__all__ = ["Generator"]

DILATIONS = (1, 2, 4, 8)
MULTIPLE = 8


class Generator(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, H, W), for any H and W.

    Args:
        inputs: channels of the source.
        outputs: channels of the answer.
        scale: 1; for larger answers see `residual`.
        width: channels at half the resolution.
        growth: factor from a level to the next coarser one.
        middle: residual blocks at a quarter of the resolution.
        blocks: residual blocks at an eighth, with dilations 1, 2, 4, 8, 1 and so on.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        scale: int = 1,
        width: int = 24,
        growth: float = 2.0,
        middle: int = 2,
        blocks: int = 4,
    ) -> None:
        super().__init__()
        check(inputs, outputs, scale, (1,))
        if width < 1 or not growth > 0 or middle < 0 or blocks < 0:
            raise BadInput(
                "width >= 1, growth > 0, middle >= 0 and blocks >= 0 are needed, got "
                f"{width}, {growth:g}, {middle}, {blocks}"
            )
        self.inputs, self.multiple = inputs, MULTIPLE
        dilations = [DILATIONS[k % len(DILATIONS)] for k in range(blocks)]
        # In places of 2, 4 and 8 pixels: what convolutions reach, and interpolation.
        self.margin = 2 * 3 + 4 * (2 + 2 * middle + 1) + 8 * (2 + sum(d + 1 for d in dilations)) + MULTIPLE
        """Pixels beyond a place that influence it."""
        fine, half, thin = (max(1, round(width * growth**k)) for k in range(3))
        self.enter = normed(4 * inputs, fine)
        self.to_half = nn.Sequential(normed(fine, half, stride=2), *(Residual(half) for _ in range(middle)))
        self.to_thin = nn.Sequential(normed(half, thin, stride=2), *(Residual(thin, d) for d in dilations))
        self.from_thin, self.from_half = conv(thin, half, size=1), conv(half, fine, size=1)
        self.up_half, self.up = normed(half, half), normed(fine, fine)
        self.leave = conv(fine, 4 * outputs, 0.5, size=1)
        start_alike(self.leave, 4)

    def forward(self, x: Tensor) -> Tensor:
        check_images(x, self.inputs)
        height, width = x.shape[2:]
        whole = padded(x, MULTIPLE)
        fine = self.enter(F.pixel_unshuffle(whole, 2))
        half = self.to_half(fine)
        thin = self.to_thin(half)
        half = self.up_half(half + doubled(self.from_thin(thin)))
        fine = self.up(fine + doubled(self.from_half(half)))
        return F.pixel_shuffle(self.leave(fine), 2)[:, :, :height, :width]


class Residual(nn.Module):
    """Two convolutions, the first one dilated, added to what came in."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.change = nn.Sequential(
            unbiased(channels, channels, dilation=dilation), nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE),
            unbiased(channels, channels), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.change(x), SLOPE)


def doubled(x: Tensor) -> Tensor:
    """x (N, C, H, W) at twice its size."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")
