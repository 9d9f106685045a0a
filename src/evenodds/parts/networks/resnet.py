"""Residual blocks, with batch normalisation in the generator and spectral normalisation in the discriminator.

Miyato, Kataoka, Koyama and Yoshida, "Spectral Normalization for Generative Adversarial Networks" (2018), appendix B.
The paper's networks for 32 x 32 are Generator(width=256, growth=1) and Discriminator(width=128, growth=1, flat=2,
bottom=8).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from evenodds.errors import BadInput
from evenodds.parts.networks._conv import Conv2d
from evenodds.parts.networks._levels import (
    Size,
    beside_spread,
    check_batch,
    image_shape,
    level_sizes,
    stride_of,
    widths,
)
from evenodds.parts.networks._roles import Scores, batch_norm, follow, followed, head, input_length

__all__ = ["Discriminator", "Generator"]


class Generator(nn.Module):
    """z (N, latent) -> (N, C, H, W) in [-1, 1].

    Batch normalisation needs more than one value per channel: in training mode a batch of 1 works because the
    coarsest level has at least 4 x 4 pixels, but the items of a batch influence one another.

    Args:
        latent: length of z.
        shape: (C, H, W), H and W at least 4.
        width: channels of the finest level.
        growth: factor from a level to the next coarser one; 1 in the paper's networks for 32 x 32.
        cap: most channels of a level.
        bottom: least side of the coarsest level.
        condition: length of c, which stands behind z: the input is then (N, latent + condition).
        conditional_norm: also lets the gain and bias of each normalisation follow c, where there is one (de Vries et
            al. 2017).
        self_modulation: also lets them follow z, and c where there is one (Chen et al. 2019).
    """

    def __init__(
        self,
        latent: int,
        shape: Sequence[int],
        *,
        width: int = 64,
        growth: float = 2.0,
        cap: int = 256,
        bottom: int = 4,
        condition: int = 0,
        conditional_norm: bool = False,
        self_modulation: bool = False,
    ) -> None:
        super().__init__()
        channels, size = image_shape("resnet", shape)
        sizes = level_sizes(size, bottom)
        channels_of = widths(width, growth, cap, len(sizes))
        self.bottom = (channels_of[-1], *sizes[-1])
        self.project = nn.Linear(input_length(latent, condition), math.prod(self.bottom))
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        self.first_followed, numbers = followed(latent, condition, conditional_norm, self_modulation)
        steps = range(len(sizes) - 1, 0, -1)
        blocks = [_UpBlock(channels_of[level], channels_of[level - 1], sizes[level - 1], numbers) for level in steps]
        self.blocks = nn.Sequential(*blocks)
        self.norm = batch_norm(channels_of[0], numbers)
        self.paint = _conv(channels_of[0], channels, 3)

    def forward(self, z: Tensor) -> Tensor:
        x, c = self.project(z).unflatten(1, self.bottom), z[:, self.first_followed :]
        for block in self.blocks:
            x = block(x, c)
        image: Tensor = self.paint(F.relu(follow(self.norm, x, c)))
        return image.tanh()


class Discriminator(Scores):
    """x (N, C, H, W) -> logits (N,).

    Args:
        shape: (C, H, W), H and W at least 4.
        width: channels of the finest level.
        growth: factor from a level to the next coarser one; 1 in the paper's networks for 32 x 32.
        cap: most channels of a level.
        bottom: least side of the coarsest level; 8 in the paper's networks for 32 x 32.
        flat: blocks on the coarsest level, which keep the size; 2 in the paper's networks for 32 x 32.
        minibatch_std: shows the last layer the spread of its batch (Karras et al. 2018); items then see one another.
        outputs: numbers per item; with more than one the logits are (N, outputs).
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        width: int = 64,
        growth: float = 2.0,
        cap: int = 256,
        bottom: int = 4,
        flat: int = 1,
        minibatch_std: bool = False,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        channels, size = image_shape("resnet", shape)
        if flat < 0:
            raise BadInput(f"flat counts blocks, got {flat}; give 0 or more")
        self.shape, self.minibatch_std = (channels, *size), minibatch_std
        sizes = level_sizes(size, bottom)
        # An image too small to be halved still gets the first block.
        flat = max(flat, len(sizes) == 1)
        channels_of = widths(width, growth, cap, max(1, len(sizes) - 1))
        channels_of = [channels, *channels_of, *channels_of[-1:] * flat]
        sizes += sizes[-1:] * flat
        strides = [stride_of(fine, coarse) for fine, coarse in pairwise(sizes)]
        self.blocks = nn.Sequential(
            *[_DownBlock(channels_of[i], channels_of[i + 1], stride, first=i == 0) for i, stride in enumerate(strides)]
        )
        self.logit = head(channels_of[-1] + minibatch_std, outputs)
        spectral_norm(self.logit)

    def features(self, x: Tensor) -> Tensor:
        check_batch(x, self.shape)
        features: Tensor = F.relu(self.blocks(x)).sum((2, 3))
        return beside_spread(features) if self.minibatch_std else features


class _UpBlock(nn.Module):
    """(N, inputs, h, w) -> (N, outputs, *size): normalise, rectify, enlarge, convolve; normalise, rectify, convolve."""

    def __init__(self, inputs: int, outputs: int, size: Size, condition: int) -> None:
        super().__init__()
        self.size = size
        self.norms = nn.ModuleList([batch_norm(inputs, condition), batch_norm(outputs, condition)])
        # A bias before a batch normalisation would be subtracted again.
        self.first = _conv(inputs, outputs, 3, bias=False)
        self.second = _conv(outputs, outputs, 3)
        self.skip = _conv(inputs, outputs, 1, gain=1.0, bias=False)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        branch = self.first(self._enlarge(F.relu(follow(self.norms[0], x, c))))
        change: Tensor = self.second(F.relu(follow(self.norms[1], branch, c)))
        # A 1 x 1 convolution commutes with repeating pixels, and is cheaper before it.
        return change + self._enlarge(self.skip(x))

    def _enlarge(self, x: Tensor) -> Tensor:
        return F.interpolate(x, size=self.size, mode="nearest")


class _DownBlock(nn.Module):
    """(N, inputs, h, w) -> (N, outputs, ...): rectify (not in the first block), convolve; rectify, convolve; shrink."""

    def __init__(self, inputs: int, outputs: int, stride: Size, *, first: bool) -> None:
        super().__init__()
        self.stride, self.rectify = stride, not first
        self.first = spectral_norm(_conv(inputs, outputs, 3))
        self.second = spectral_norm(_conv(outputs, outputs, 3))
        keeps = inputs == outputs and stride == (1, 1)
        self.skip = nn.Identity() if keeps else spectral_norm(_conv(inputs, outputs, 1, gain=1.0))

    def forward(self, x: Tensor) -> Tensor:
        branch = self.second(F.relu(self.first(F.relu(x) if self.rectify else x)))
        # A 1 x 1 convolution commutes with averaging, and is cheaper after it.
        skip: Tensor = self.skip(self._shrink(x))
        return skip + self._shrink(branch)

    def _shrink(self, x: Tensor) -> Tensor:
        return x if self.stride == (1, 1) else F.avg_pool2d(x, self.stride, ceil_mode=True)


def _conv(inputs: int, outputs: int, kernel: int, *, gain: float = math.sqrt(2), bias: bool = True) -> nn.Conv2d:
    conv = Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
    nn.init.xavier_uniform_(conv.weight, gain)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
