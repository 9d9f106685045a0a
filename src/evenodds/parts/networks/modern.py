"""Residual blocks without normalisation, grouped convolutions and resampling without aliasing.

Huang, Gokaslan, Kuleshov and Tompkin, "The GAN is dead; long live the GAN! A Modern Baseline GAN" (2024), configuration
E: blocks of 1 x 1, grouped 3 x 3 and 1 x 1 convolutions with leaky rectifiers between them, started as in Fixup
(Zhang et al. 2019); a learned constant basis at one end, a learned pooling at the other. The paper pairs them with
the relativistic loss and both zero-centred penalties (R1 and R2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.parts.networks._conv import Conv2d
from evenodds.parts.networks._levels import (
    Down,
    Size,
    Up,
    beside_spread,
    check_batch,
    image_shape,
    level_sizes,
    strided,
    transposed,
    widths,
)
from evenodds.parts.networks._roles import Scores, head, input_length

__all__ = ["Block", "Discriminator", "Generator"]


class Generator(nn.Module):
    """z (N, latent) -> (N, C, H, W) in [-1, 1].

    Args:
        latent: length of z.
        shape: (C, H, W), H and W at least 4.
        width: channels of the finest level.
        growth: factor from a level to the next coarser one.
        cap: most channels of a level.
        blocks: residual blocks per level; one number for all, or one per level, finest first.
        expansion: hidden channels of a block per channel of its level; 2 in the paper.
        group: channels per group of the 3 x 3 convolutions; 16 in the paper, 1 is depthwise and fastest on a CPU.
        stem: 2 leaves the finest level to one transposed convolution, for a quarter of the work; 1 has blocks there.
        bottom: least side of the coarsest level.
        condition: length of c, which stands behind z: the input is then (N, latent + condition).
    """

    def __init__(
        self,
        latent: int,
        shape: Sequence[int],
        *,
        width: int = 32,
        growth: float = 2.0,
        cap: int = 256,
        blocks: int | Sequence[int] = 1,
        expansion: float = 2.0,
        group: int = 16,
        stem: int = 1,
        bottom: int = 4,
        condition: int = 0,
    ) -> None:
        super().__init__()
        channels, size = image_shape("modern", shape)
        sizes = _sizes_of_levels(size, bottom, stem)
        channels_of = widths(width, growth, cap, len(sizes))
        counts = _counts(blocks, len(sizes))
        self.basis = nn.Parameter(torch.randn(1, channels_of[-1], *sizes[-1]))
        self.mix = nn.Linear(input_length(latent, condition), channels_of[-1])
        nn.init.kaiming_normal_(self.mix.weight, nonlinearity="linear")
        nn.init.zeros_(self.mix.bias)
        layers: list[nn.Module] = []
        for level in range(len(sizes) - 1, -1, -1):
            layers += [Block(channels_of[level], expansion, group, sum(counts)) for _ in range(counts[level])]
            if level:
                layers += [_change(channels_of[level], channels_of[level - 1]), Up(sizes[level], sizes[level - 1])]
        self.layers = nn.Sequential(*layers)
        halves = sizes[0] != size
        self.paint = (
            transposed(channels_of[0], channels, sizes[0], size) if halves else nn.Conv2d(channels_of[0], channels, 1)
        )
        _start(self.paint)

    def forward(self, z: Tensor) -> Tensor:
        x = self.basis * self.mix(z)[:, :, None, None]
        image: Tensor = self.paint(self.layers(x))
        return image.tanh()


class Discriminator(Scores):
    """x (N, C, H, W) -> logits (N,).

    Args:
        shape: (C, H, W), H and W at least 4.
        width: channels of the finest level.
        growth: factor from a level to the next coarser one.
        cap: most channels of a level.
        blocks: residual blocks per level; one number for all, or one per level, finest first.
        expansion: hidden channels of a block per channel of its level; 2 in the paper.
        group: channels per group of the 3 x 3 convolutions; 16 in the paper, 1 is depthwise and fastest on a CPU.
        stem: 2 leaves the finest level to one strided convolution, for a quarter of the work; 1 has blocks there.
        bottom: least side of the coarsest level.
        minibatch_std: shows the last layer the spread of its batch (Karras et al. 2018); items then see one another.
        outputs: numbers per item; with more than one the logits are (N, outputs).
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        width: int = 32,
        growth: float = 2.0,
        cap: int = 256,
        blocks: int | Sequence[int] = 1,
        expansion: float = 2.0,
        group: int = 16,
        stem: int = 1,
        bottom: int = 4,
        minibatch_std: bool = False,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        channels, size = image_shape("modern", shape)
        self.shape, self.minibatch_std = (channels, *size), minibatch_std
        sizes = _sizes_of_levels(size, bottom, stem)
        channels_of = widths(width, growth, cap, len(sizes))
        counts = _counts(blocks, len(sizes))
        halves = sizes[0] != size
        self.stem = strided(channels, channels_of[0], size, sizes[0]) if halves else Conv2d(channels, channels_of[0], 1)
        _start(self.stem)
        layers: list[nn.Module] = []
        for level in range(len(sizes)):
            if level:
                layers += [Down(sizes[level - 1], sizes[level]), _change(channels_of[level - 1], channels_of[level])]
            layers += [Block(channels_of[level], expansion, group, sum(counts)) for _ in range(counts[level])]
        self.layers = nn.Sequential(*layers)
        features = channels_of[-1] + minibatch_std
        self.basis = nn.Parameter(torch.randn(1, features, *sizes[-1]) / math.sqrt(math.prod(sizes[-1])))
        self.logit = head(features, outputs)
        nn.init.kaiming_normal_(self.logit.weight, nonlinearity="linear")
        nn.init.zeros_(self.logit.bias)

    def features(self, x: Tensor) -> Tensor:
        check_batch(x, self.shape)
        features: Tensor = self.layers(self.stem(x))
        features = beside_spread(features) if self.minibatch_std else features
        return (features * self.basis).sum((2, 3))


class Block(nn.Module):
    """x + W3 a(W2 a(W1 x)) on (N, channels, H, W); W1, W3 are 1 x 1, W2 is 3 x 3 in groups, a a leaky rectifier.

    W3 starts at zero, so that the block starts as the identity; W1 and W2 start after He et al. (2015), made smaller
    by the fourth root of the number of blocks: L ** (-1 / (2 m - 2)) for m = 3 layers per block (Fixup).

    Args:
        channels: of input and output.
        expansion: hidden channels per channel, rounded up to whole groups.
        group: channels per group.
        blocks: residual blocks in the network, L above.
    """

    def __init__(self, channels: int, expansion: float, group: int, blocks: int) -> None:
        super().__init__()
        if group < 1 or expansion <= 0:
            raise BadInput(f"a block needs group >= 1 and expansion > 0, got {group} and {expansion}")
        groups = math.ceil(channels * expansion / group)
        hidden = groups * group
        self.widen = Conv2d(channels, hidden, 1)
        self.look = Conv2d(hidden, hidden, 3, padding=1, groups=groups)
        self.narrow = Conv2d(hidden, channels, 1, bias=False)
        self.activation = nn.LeakyReLU(0.2)
        gain = math.sqrt(2 / (1 + 0.2**2)) * blocks**-0.25
        _start(self.widen, gain)
        _start(self.look, gain)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.activation(self.look(self.activation(self.widen(x))))
        change: Tensor = self.narrow(hidden)
        return x + change


def _sizes_of_levels(size: Size, bottom: int, stem: int) -> list[Size]:
    """The sizes at which there are blocks, finest first; an image too small to be halved has one in any case."""
    if stem not in (1, 2):
        raise BadInput(f"stem must be 1 or 2, got {stem}; 2 halves the image at once")
    sizes = level_sizes(size, bottom)
    return sizes[1:] if stem == 2 and len(sizes) > 1 else sizes


def _counts(blocks: int | Sequence[int], levels: int) -> list[int]:
    counts = [blocks] * levels if isinstance(blocks, int) else [int(count) for count in blocks]
    if len(counts) != levels or min(counts) < 0:
        raise BadInput(f"blocks needs one number >= 0, or one for each of {levels} levels, finest first; got {blocks}")
    return counts


def _change(inputs: int, outputs: int) -> nn.Module:
    """From one level's channels to another's. Commutes with resampling, so it is done on the coarser level."""
    return nn.Identity() if inputs == outputs else _start(Conv2d(inputs, outputs, 1, bias=False))


def _start(conv: nn.Conv2d | nn.ConvTranspose2d, gain: float = 1.0) -> nn.Module:
    """Normal weights, so that outputs have gain ** 2 times the mean square of inputs (He et al. 2015); biases at 0."""
    kernel, stride = math.prod(conv.kernel_size), math.prod(conv.stride)
    # A pixel of a transposed convolution is reached by only one in `stride` entries of the kernel.
    terms = kernel / stride if isinstance(conv, nn.ConvTranspose2d) else kernel
    nn.init.normal_(conv.weight, 0.0, gain / math.sqrt(terms * conv.in_channels / conv.groups))
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
