"""A filler for images of any size: down to a few pixels and up again with the details of the way down beside it.

The shape is that of Ronneberger et al. (2015), "U-Net", with the blocks of Huang et al. (2024) that `modern` has. z
enters at the bottom and on each level of the way up, so that several fillings of an image share the way down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.errors import BadInput, unknown
from evenodds.parts.fillers._late import several
from evenodds.parts.fillers._membrane import stretched
from evenodds.parts.networks._conv import Conv2d
from evenodds.parts.networks._levels import Down, Up, check_batch, image_shape, level_sizes, padded, start_alike, widths
from evenodds.parts.networks.modern import Block

__all__ = ["STARTS", "Generator"]

STARTS = ("nothing", "membrane")
BEND = 0.95
"""What the membrane is multiplied by, so that the slope of tanh is not lost where it is black or white."""
FAR = 4.0
"""Levels of the pyramid, up to 16 pixels, over which what is added to the membrane grows to its full size."""


class Generator(nn.Module):
    """(x (N, C, H, W), mask (N, 1, H, W), z (K N, latent)) -> (K N, C, H, W) in [-1, 1]: K fillings of each image.

    Args:
        latent: length of z.
        shape: (C, H, W), H and W at least 4.
        width: channels of the finest level.
        growth: factor from a level to the next coarser one.
        cap: most channels of a level.
        blocks: residual blocks per level on each way.
        expansion: hidden channels of a block per channel of its level.
        group: channels per group of the 3 x 3 convolutions.
        bottom: least side of the coarsest level.
        stem: 2 takes 2 x 2 pixels as one place, for a quarter of the work on the finest level; 1 has places of a pixel.
        start: "membrane" shows the network the harmonic interpolation of what is observed, and adds to it, the more the
            farther from what is observed; "nothing" does without.
        maps: channels of noise of each level, which z is mapped to; 0 leaves z the gains and biases of a level.
    """

    def __init__(
        self,
        latent: int,
        shape: Sequence[int],
        *,
        width: int = 32,
        growth: float = 2.0,
        cap: int = 256,
        blocks: int = 1,
        expansion: float = 2.0,
        group: int = 16,
        bottom: int = 4,
        stem: int = 1,
        start: str = "nothing",
        maps: int = 0,
    ) -> None:
        super().__init__()
        channels, size = image_shape("a filler of images", shape)
        if stem not in (1, 2):
            raise BadInput(f"stem must be 1 or 2, got {stem}; 2 takes 2 x 2 pixels as one place")
        if start not in STARTS:
            raise unknown("start", start, STARTS)
        self.shape, self.stem, self.start = (channels, *size), stem, start
        size = (-(-size[0] // stem), -(-size[1] // stem))
        seen = channels + 1 + (channels + 1 if start == "membrane" else 0)
        sizes = level_sizes(size, bottom)
        channels_of = widths(width, growth, cap, len(sizes))
        count, steps = 2 * blocks * len(sizes), range(len(sizes) - 1)
        self.enter = Conv2d(seen * stem**2, channels_of[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Sequential(*_blocks(c, blocks, expansion, group, count)) for c in channels_of)
        self.coarser = nn.ModuleList(
            nn.Sequential(Down(sizes[k], sizes[k + 1]), Conv2d(channels_of[k], channels_of[k + 1], 1)) for k in steps
        )
        self.bottom = (channels_of[-1], *sizes[-1])
        self.noise = nn.Linear(latent, channels_of[-1] * sizes[-1][0] * sizes[-1][1])
        self.up = nn.ModuleList(
            _Level(c, latent, (maps, *side), *_blocks(c, blocks, expansion, group, count))
            for c, side in zip(channels_of, sizes, strict=True)
        )
        self.finer = nn.ModuleList(
            nn.Sequential(Conv2d(channels_of[k + 1], channels_of[k], 1), Up(sizes[k + 1], sizes[k])) for k in steps
        )
        self.leave = Conv2d(channels_of[0], channels * stem**2, 3, padding=1)
        with torch.no_grad():
            if stem > 1:
                start_alike(self.leave, stem**2)
                nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]
            if start == "membrane":
                self.leave.weight.mul_(0.3)

    def forward(self, x: Tensor, mask: Tensor, z: Tensor) -> Tensor:
        check_batch(x, self.shape)
        seen = [x, mask]
        if self.start == "membrane":
            with torch.no_grad():
                filled, far = stretched(x, mask)
                reach = (far / FAR).clamp_max(1)
            seen += [filled, reach]
        hidden = self.enter(self._places(torch.cat(seen, 1)))
        passed = [self.down[0](hidden)]
        for coarser, down in zip(self.coarser, self.down[1:], strict=True):
            passed.append(down(coarser(passed[-1])))
        hidden = self.up[-1](several(passed[-1], z) + self.noise(z).view(-1, *self.bottom), z)
        for k in reversed(range(len(self.finer))):
            hidden = self.up[k](self.finer[k](hidden) + several(passed[k], z), z)
        change = F.pixel_shuffle(self.leave(hidden), self.stem)[:, :, : x.shape[2], : x.shape[3]]
        if self.start == "membrane":
            # In what tanh is taken of: the answer starts near the membrane and stays in [-1, 1].
            change = torch.addcmul(several((BEND * filled).atanh(), z), several(reach, z), change)
        return change.tanh()

    def _places(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, stem**2 C, ceil(H / stem), ceil(W / stem)); the last row and column are repeated."""
        return F.pixel_unshuffle(padded(x, self.stem), self.stem)


class _Level(nn.Module):
    """Blocks upon channels whose gain and bias follow z, after Perez et al. (2018); at first neither does."""

    def __init__(self, channels: int, latent: int, noise: tuple[int, int, int], *blocks: nn.Module) -> None:
        super().__init__()
        self.shape = noise
        if noise[0]:
            self.noise, self.mix = nn.Linear(latent, math.prod(noise)), Conv2d(noise[0], channels, 1)
        self.follow = nn.Linear(latent, 2 * channels)
        self.blocks = nn.Sequential(*blocks)
        nn.init.normal_(self.follow.weight, 0.0, 0.1 * latent**-0.5)
        nn.init.zeros_(self.follow.bias)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        gain, bias = self.follow(z)[:, :, None, None].chunk(2, 1)
        if self.shape[0]:
            bias = bias + self.mix(self.noise(z).view(-1, *self.shape))
        y: Tensor = self.blocks(torch.addcmul(x + bias, gain, x))
        return y


def _blocks(channels: int, blocks: int, expansion: float, group: int, count: int) -> list[nn.Module]:
    return [Block(channels, expansion, group, count) for _ in range(blocks)]
