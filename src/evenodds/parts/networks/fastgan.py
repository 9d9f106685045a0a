"""Upsampling and convolution in place of transposed convolutions, and channels that coarse levels weigh.

Liu, Zhu, Song and Elgammal, "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis"
(2021). Left out: the decoders of the discriminator, its batch normalisation, which penalties on gradients do not allow
for, and the noise of the generator. Without transposed convolutions no pixel is reached by more weights than its
neighbours, which is what draws checkerboards (Odena, Dumoulin and Olah 2016).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.parts.networks._beside import heads
from evenodds.parts.networks._conv import Conv2d
from evenodds.parts.networks._levels import (
    Down,
    Size,
    beside_spread,
    check_batch,
    image_shape,
    level_sizes,
    start_weights,
    strided,
    widths,
)
from evenodds.parts.networks._roles import Scores, batch_norm, follow, followed, head, input_length

__all__ = ["Discriminator", "Generator"]

REACH = 3
"""Levels from one that weighs channels to the finer one whose channels are weighed: sides of 8 weigh those of 64."""


class Generator(nn.Module):
    """z (N, latent) -> (N, C, H, W) in [-1, 1].

    Batch normalisation needs more than one value per channel: in training mode a batch of 1 works because the
    coarsest level has at least 4 x 4 pixels, but the items of a batch influence one another.

    Args:
        latent: length of z.
        shape: (C, H, W), H and W at least 4.
        width: channels of the finest level.
        growth: factor from a level to the next coarser one.
        cap: most channels of a level.
        bottom: least side of the coarsest level.
        excitation: lets coarse levels weigh the channels of fine ones (section 3.1), where there are levels enough.
        gated: rectifies by gates, as the paper does, which take twice the channels of each convolution; or by ReLU.
        bilinear: enlarges by bilinear interpolation, as Karras et al. (2019) do, in place of repeated pixels.
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
        width: int = 16,
        growth: float = 2.0,
        cap: int = 256,
        bottom: int = 4,
        excitation: bool = True,
        gated: bool = False,
        bilinear: bool = False,
        condition: int = 0,
        conditional_norm: bool = False,
        self_modulation: bool = False,
    ) -> None:
        super().__init__()
        channels, size = image_shape("fastgan", shape)
        sizes = level_sizes(size, bottom)
        channels_of = widths(width, growth, cap, len(sizes))
        self.bottom = (channels_of[-1], *sizes[-1])
        self.first_followed, numbers = followed(latent, condition, conditional_norm, self_modulation)
        self.project = nn.Linear(input_length(latent, condition), math.prod(self.bottom), bias=False)
        self.first = _activated(channels_of[-1], False, numbers)
        steps = list(range(len(sizes) - 2, -1, -1))
        self.blocks = nn.ModuleList(
            [
                _UpBlock(channels_of[level + 1], channels_of[level], sizes[level], gated, bilinear, numbers)
                for level in steps
            ]
        )
        self.weighers = nn.ModuleDict(
            {
                str(level): _Excitation(channels_of[level + REACH], channels_of[level])
                for level in steps
                if excitation and level + REACH < len(sizes)
            }
        )
        self.paint = Conv2d(channels_of[0], channels, 3, padding=1)
        start_weights(self, 0.02)

    def forward(self, z: Tensor) -> Tensor:
        c = z[:, self.first_followed :]
        x = follow(self.first, self.project(z).unflatten(1, self.bottom), c)
        levels = [x]  # coarsest first
        for block in self.blocks:
            x = block(x, c)
            name = str(len(self.blocks) - len(levels))
            if name in self.weighers:
                x = x * self.weighers[name](levels[-REACH])
            levels.append(x)
        image: Tensor = self.paint(x)
        return image.tanh()


class Discriminator(Scores):
    """x (N, C, H, W) -> logits (N,).

    Args:
        shape: (C, H, W), H and W at least 4.
        width: channels of the finest hidden level, half the size of the image.
        growth: factor from a level to the next coarser one.
        cap: most channels of a level.
        bottom: least side of the coarsest level.
        minibatch_std: shows the last layer the spread of its batch (Karras et al. 2018); items then see one another.
        pretrained: side at which frozen features of photographs look at images too (Kumari et al. 2022), for which
            the extra `evenodds[pretrained]` is needed; 0 for none.
        outputs: numbers per item; with more than one the logits are (N, outputs).
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        width: int = 16,
        growth: float = 2.0,
        cap: int = 256,
        bottom: int = 4,
        minibatch_std: bool = False,
        pretrained: int = 0,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        channels, size = image_shape("fastgan", shape)
        self.shape, self.minibatch_std = (channels, *size), minibatch_std
        sizes = level_sizes(size, bottom)
        steps = list(pairwise(sizes)) or [(size, size)]
        sides = [channels, *widths(width, growth, cap, len(steps))]
        self.blocks = nn.Sequential(
            *[_DownBlock(sides[level], sides[level + 1], *step) for level, step in enumerate(steps)]
        )
        self.beside = heads(channels, pretrained)
        own = (sides[-1] + minibatch_std) * math.prod(sizes[-1])
        self.logit = head(own + (self.beside.features if self.beside is not None else 0), outputs)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, a=0.2)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def features(self, x: Tensor) -> Tensor:
        check_batch(x, self.shape)
        features: Tensor = self.blocks(x)
        features = (beside_spread(features) if self.minibatch_std else features).flatten(1)
        return features if self.beside is None else torch.cat([features, self.beside(x)], 1)


class _UpBlock(nn.Module):
    """(N, inputs, h, w) -> (N, outputs, *size): enlarge, convolve, normalise, rectify."""

    def __init__(self, inputs: int, outputs: int, size: Size, gated: bool, bilinear: bool, numbers: int) -> None:
        super().__init__()
        self.size, self.mode = size, "bilinear" if bilinear else "nearest"
        self.look = Conv2d(inputs, outputs * (1 + gated), 3, padding=1, bias=False)
        self.end = _activated(outputs * (1 + gated), gated, numbers)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return follow(self.end, self.look(F.interpolate(x, size=self.size, mode=self.mode)), c)


class _Excitation(nn.Module):
    """Weights in (0, 1) of the channels of a fine level, (N, outputs, 1, 1), from a coarse one (N, inputs, h, w)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, outputs, 4)
        self.mix = nn.Conv2d(outputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.leaky_relu(self.squeeze(F.adaptive_avg_pool2d(x, 4)), 0.1)
        weights: Tensor = self.mix(hidden)
        return weights.sigmoid()


class _DownBlock(nn.Module):
    """(N, inputs, *fine) -> (N, outputs, *coarse): two convolutions, beside smoothing and a 1 x 1 convolution."""

    def __init__(self, inputs: int, outputs: int, fine: Size, coarse: Size) -> None:
        super().__init__()
        self.shrink = strided(inputs, outputs, fine, coarse)
        self.look = Conv2d(outputs, outputs, 3, padding=1)
        self.smooth = Down(fine, coarse) if fine != coarse else nn.Identity()
        self.beside = Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch = F.leaky_relu(self.look(F.leaky_relu(self.shrink(x), 0.2)), 0.2)
        beside = F.leaky_relu(self.beside(self.smooth(x)), 0.2)
        return (branch + beside) * math.sqrt(0.5)


def _activated(channels: int, gated: bool, numbers: int) -> nn.Sequential:
    """Batch normalisation that may follow c, then ReLU, or gates that halve the channels."""
    return nn.Sequential(batch_norm(channels, numbers), nn.GLU(1) if gated else nn.ReLU())
