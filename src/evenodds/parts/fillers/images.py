"""A filler for images of any size: down to a few pixels and up again with the details of the way down beside it.

The shape is that of Ronneberger et al. (2015), "U-Net", with the blocks of Huang et al. (2024) that `modern` has. z
enters at the bottom and on each level of the way up, so that several fillings of an image share the way down.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evenodds.parts.fillers._late import several
from evenodds.parts.networks._conv import Conv2d
from evenodds.parts.networks._levels import Down, Up, check_batch, image_shape, level_sizes, widths
from evenodds.parts.networks.modern import Block

__all__ = ["Generator"]


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
    ) -> None:
        super().__init__()
        channels, size = image_shape("a filler of images", shape)
        self.shape = (channels, *size)
        sizes = level_sizes(size, bottom)
        channels_of = widths(width, growth, cap, len(sizes))
        count, steps = 2 * blocks * len(sizes), range(len(sizes) - 1)
        self.enter = Conv2d(channels + 1, channels_of[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Sequential(*_blocks(c, blocks, expansion, group, count)) for c in channels_of)
        self.coarser = nn.ModuleList(
            nn.Sequential(Down(sizes[k], sizes[k + 1]), Conv2d(channels_of[k], channels_of[k + 1], 1)) for k in steps
        )
        self.bottom = (channels_of[-1], *sizes[-1])
        self.noise = nn.Linear(latent, channels_of[-1] * sizes[-1][0] * sizes[-1][1])
        self.up = nn.ModuleList(_Level(c, latent, *_blocks(c, blocks, expansion, group, count)) for c in channels_of)
        self.finer = nn.ModuleList(
            nn.Sequential(Conv2d(channels_of[k + 1], channels_of[k], 1), Up(sizes[k + 1], sizes[k])) for k in steps
        )
        self.leave = Conv2d(channels_of[0], channels, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor, z: Tensor) -> Tensor:
        check_batch(x, self.shape)
        hidden = self.enter(torch.cat([x, mask], 1))
        passed = [self.down[0](hidden)]
        for coarser, down in zip(self.coarser, self.down[1:], strict=True):
            passed.append(down(coarser(passed[-1])))
        hidden = self.up[-1](several(passed[-1], z) + self.noise(z).view(-1, *self.bottom), z)
        for k in reversed(range(len(self.finer))):
            hidden = self.up[k](self.finer[k](hidden) + several(passed[k], z), z)
        filled: Tensor = self.leave(hidden)
        return filled.tanh()


class _Level(nn.Module):
    """Blocks upon channels whose gain and bias follow z, after Perez et al. (2018); at first neither does."""

    def __init__(self, channels: int, latent: int, *blocks: nn.Module) -> None:
        super().__init__()
        self.follow = nn.Linear(latent, 2 * channels)
        self.blocks = nn.Sequential(*blocks)
        nn.init.normal_(self.follow.weight, 0.0, 0.1 * latent**-0.5)
        nn.init.zeros_(self.follow.bias)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        gain, bias = self.follow(z)[:, :, None, None].chunk(2, 1)
        y: Tensor = self.blocks(torch.addcmul(x + bias, gain, x))
        return y


def _blocks(channels: int, blocks: int, expansion: float, group: int, count: int) -> list[nn.Module]:
    return [Block(channels, expansion, group, count) for _ in range(blocks)]
