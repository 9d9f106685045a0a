"""Down to coarse images and up again with what was seen on the way down beside it (Ronneberger et al. 2015, "U-Net").

For answers of the size of the source: labels, colours, what is hidden. Images are brought to a multiple of the
coarsest pixel by repeating their last rows and columns, and what was change of these is cut off again.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput, unknown
from evenodds.parts.mappers._parts import SLOPE, base, check, check_images, conv, in_rgb
from evenodds.parts.networks._levels import padded, start_alike, widths

__all__ = ["NORMS", "Generator"]

NORMS = ("none", "batch", "instance", "group")
LUMA = ("made", "source")
"""Where that of the answer comes from."""


class Generator(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, H, W), for any H and W.

    Args:
        inputs: channels of the source.
        outputs: channels of what is change.
        scale: 1; for larger answers see `residual`.
        width: channels of the finest level.
        growth: factor from a level to the next coarser one.
        cap: most channels of a level.
        depth: how often the image is halved.
        blocks: pairs of convolutions per level on each way.
        stem: 2 begins and ends with 2 x 2 pixels as one, for a quarter of the work; 1 with single ones.
        norm: none, batch, instance or group (8 channels each).
        skip: add the source to what is change, which then starts as the source: to take something away from images.
        luma: made; or source, of one channel, which is kept as the luma of the answer: the network makes two colours,
            which start at 0 (as Zhang et al. 2016, "Colorful image colorization", make them alone).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        scale: int = 1,
        width: int = 32,
        growth: float = 1.5,
        cap: int = 256,
        depth: int = 3,
        blocks: int = 1,
        stem: int = 1,
        norm: str = "batch",
        skip: bool = False,
        luma: str = "made",
    ) -> None:
        super().__init__()
        check(inputs, outputs, scale, (1,))
        if depth < 0 or blocks < 1 or stem not in (1, 2):
            raise BadInput(f"depth >= 0, blocks >= 1 and a stem of 1 or 2 are needed, got {depth}, {blocks}, {stem}")
        if norm not in NORMS:
            raise unknown("norm", norm, NORMS)
        if luma not in LUMA:
            raise unknown("luma", luma, LUMA)
        self.colours = luma == "source"
        if self.colours and ((inputs, outputs) != (1, 3) or skip):
            raise BadInput(
                f"luma=source makes 3 channels of 1, without skip, got {outputs} of {inputs}{' with it' * skip}; "
                "set generator.luma=made"
            )
        self.inputs, self.outputs, self.stem, self.skip = inputs, outputs, stem, skip
        self.multiple = stem * 2**depth
        """Of which H and W are best a multiple."""
        # A place of level k is stem * 2^k pixels wide, and each 3 x 3 reaches one place further; halving and doubling
        # move by less than a place of the coarser level.
        reach = [stem * 2**k * 2 * blocks * (2 if k < depth else 1) for k in range(depth + 1)]
        alone = norm in ("none", "batch")
        self.margin = sum(reach) + 2 * stem + self.multiple if alone else None
        """Pixels beyond a place that influence it; None where all do, through the norm."""
        channels_of = widths(width, growth, cap, depth + 1)
        self.enter = conv(inputs * stem**2, channels_of[0])
        self.down = nn.ModuleList(
            _level(channels_of[max(0, k - 1)], channels, blocks, norm) for k, channels in enumerate(channels_of)
        )
        self.coarse = nn.ModuleList(conv(channels_of[k + 1], channels_of[k], size=1) for k in range(depth))
        self.up = nn.ModuleList(_level(2 * channels_of[k], channels_of[k], blocks, norm) for k in range(depth))
        values = 2 if self.colours else outputs
        self.leave = conv(channels_of[0], values * stem**2, 0.0 if skip or self.colours else 0.5, size=3)
        start_alike(self.leave, stem**2)

    def forward(self, x: Tensor) -> Tensor:
        check_images(x, self.inputs)
        height, width = x.shape[2:]
        hidden = self.enter(F.pixel_unshuffle(padded(x, self.multiple), self.stem))
        passed = [self.down[0](hidden)]
        for level in self.down[1:]:
            passed.append(level(F.avg_pool2d(passed[-1], 2)))
        hidden = passed.pop()
        for coarse, level in zip(reversed(self.coarse), reversed(self.up), strict=True):
            finer = F.interpolate(coarse(hidden), scale_factor=2.0, mode="nearest")
            hidden = level(torch.cat([passed.pop(), finer], 1))
        change = F.pixel_shuffle(self.leave(hidden), self.stem)[:, :, :height, :width]
        if self.colours:
            return in_rgb(x, *change.chunk(2, 1))
        return base(x, self.outputs) + change if self.skip else change


def _level(inputs: int, outputs: int, blocks: int, norm: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for k in range(2 * blocks):
        layers += [conv(inputs if k == 0 else outputs, outputs), *_norm(norm, outputs), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


def _norm(norm: str, channels: int) -> list[nn.Module]:
    if norm == "none":
        return []
    if norm == "group":
        groups = next(g for g in range(max(1, channels // 8), 0, -1) if channels % g == 0)
        return [nn.GroupNorm(groups, channels)]
    return [nn.BatchNorm2d(channels) if norm == "batch" else nn.InstanceNorm2d(channels, affine=True)]
