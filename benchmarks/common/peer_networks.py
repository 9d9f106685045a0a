"""Networks of widely used GANs, written from what is published of them; each takes the arguments of a family here.

`Dcgan64`: Radford et al. (2016) with the settings of the PyTorch tutorial, 64 x 64.
`Dcgan32`: the much copied one for 32 x 32 with upsampling, dropout and batch norm of momentum 0.8.
`Sngan`: Miyato et al. (2018), table 3: the standard network for 32 x 32, spectral norm in the discriminator.
`Style`: Karras et al. (2020), small: 4 mapping layers of 128, modulated convolutions with 128 to 32 channels, a
residual discriminator, equalised learning rates; without noise, the blur of the original, and minibatch spread.
`R3`: Huang et al. (2024), small: residual blocks of 1 x 1, grouped 3 x 3 and 1 x 1 convolutions without
normalisation, a learned constant basis, 128 to 32 channels, groups of 16.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from peer_dcgan import initialise, make_discriminator, make_generator

SIDES = (4, 8, 16, 32)
CHANNELS = (128, 128, 64, 32)
"""Of the levels of `Style` and `R3`, coarsest first."""


class Dcgan64Generator(nn.Module):
    def __init__(self, latent: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.layers = make_generator(shape[0]).apply(initialise)

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.layers(z[:, :, None, None])
        return image


class Dcgan64Discriminator(nn.Module):
    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.layers = make_discriminator(shape[0])[:-1].apply(initialise)  # logits: the sigmoid is in the cost

    def forward(self, x: Tensor) -> Tensor:
        logit: Tensor = self.layers(x)
        return logit.flatten()


class Dcgan32Generator(nn.Module):
    def __init__(self, latent: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.first = nn.Linear(latent, 128 * 8 * 8)
        self.layers = nn.Sequential(
            nn.BatchNorm2d(128),
            nn.Upsample(scale_factor=2), nn.Conv2d(128, 128, 3, 1, 1), nn.BatchNorm2d(128, 0.8), nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2), nn.Conv2d(128, 64, 3, 1, 1), nn.BatchNorm2d(64, 0.8), nn.LeakyReLU(0.2),
            nn.Conv2d(64, shape[0], 3, 1, 1), nn.Tanh(),
        )  # fmt: skip
        self.apply(initialise)

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.layers(self.first(z).view(-1, 128, 8, 8))
        return image


class Dcgan32Discriminator(nn.Module):
    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in ((shape[0], 16), (16, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(a, b, 3, 2, 1), nn.LeakyReLU(0.2), nn.Dropout2d(0.25)]
            layers += [nn.BatchNorm2d(b, 0.8)] if b > 16 else []
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 2 * 2, 1)).apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        logit: Tensor = self.layers(x)
        return logit.flatten()


class SnganGenerator(nn.Module):
    def __init__(self, latent: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.first = nn.Linear(latent, 512 * 4 * 4)
        layers: list[nn.Module] = [nn.BatchNorm2d(512), nn.ReLU()]
        for a, b in ((512, 256), (256, 128), (128, 64)):
            layers += [nn.ConvTranspose2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(64, shape[0], 3, 1, 1), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        image: Tensor = self.layers(self.first(z).view(-1, 512, 4, 4))
        return image


class SnganDiscriminator(nn.Module):
    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        sizes = (
            (shape[0], 64, 3),
            (64, 64, 4),
            (64, 128, 3),
            (128, 128, 4),
            (128, 256, 3),
            (256, 256, 4),
            (256, 512, 3),
        )
        for a, b, kernel in sizes:
            layers += [spectral_norm(nn.Conv2d(a, b, kernel, kernel // 2, 1)), nn.LeakyReLU(0.1)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), spectral_norm(nn.Linear(512 * 4 * 4, 1)))

    def forward(self, x: Tensor) -> Tensor:
        logit: Tensor = self.layers(x)
        return logit.flatten()


class Even(nn.Module):
    """A linear layer or a convolution with an equalised learning rate."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 0, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        sides = (outputs, inputs, kernel, kernel) if kernel else (outputs, inputs)
        self.weight = nn.Parameter(torch.randn(sides) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.rate, self.scale, self.kernel = rate, rate / math.sqrt(math.prod(sides[1:])), kernel

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight * self.scale, self.bias * self.rate
        return F.conv2d(x, weight, bias, padding=self.kernel // 2) if self.kernel else F.linear(x, weight, bias)


class Modulated(nn.Module):
    """A convolution whose input channels are scaled by w, and whose output channels are demodulated (section 2.2)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, demodulate: bool = True) -> None:
        super().__init__()
        self.style = Even(STYLES, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.demodulate = 1 / math.sqrt(inputs * kernel * kernel), demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style, weight = self.style(w), self.weight * self.scale
        x = F.conv2d(x * style[:, :, None, None], weight, padding=weight.shape[2] // 2)
        if self.demodulate:
            norm = (style.square() @ weight.square().sum((2, 3)).T + 1e-8).rsqrt()
            x = x * norm[:, :, None, None]
        return x + self.bias[:, None, None]


STYLES = 128


class StyleGenerator(nn.Module):
    def __init__(self, latent: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.mapping = nn.ModuleList(Even(a, STYLES, rate=0.01) for a in (latent, STYLES, STYLES, STYLES))
        self.constant = nn.Parameter(torch.randn(1, CHANNELS[0], 4, 4))
        before = (CHANNELS[0], *CHANNELS[:-1])
        self.first = nn.ModuleList(Modulated(a, b, 3) for a, b in zip(before, CHANNELS, strict=True))
        self.second = nn.ModuleList(Modulated(b, b, 3) for b in CHANNELS[1:])
        self.paint = nn.ModuleList(Modulated(b, shape[0], 1, demodulate=False) for b in CHANNELS)

    def forward(self, z: Tensor) -> Tensor:
        return self.synthesise(self.styles(z))

    def styles(self, z: Tensor) -> Tensor:
        """w of each level."""
        w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.mapping:
            w = F.leaky_relu(layer(w), 0.2) * math.sqrt(2)
        return w[:, None].expand(-1, len(CHANNELS), -1)

    def hand(self, z: Tensor) -> Tensor:
        """Four numbers of each item, by which path lengths deal their images."""
        return z[:, :4].detach().remainder(1)

    def synthesise(self, w: Tensor, hand: Tensor | None = None) -> Tensor:
        x, image = self.constant.expand(len(w), -1, -1, -1), None
        for level, side in enumerate(SIDES):
            x = F.interpolate(x, size=side, mode="bilinear") if level else x
            x = F.leaky_relu(self.first[level](x, w[:, level]), 0.2) * math.sqrt(2)
            if level:
                x = F.leaky_relu(self.second[level - 1](x, w[:, level]), 0.2) * math.sqrt(2)
            painted = self.paint[level](x, w[:, level])
            image = painted if image is None else F.interpolate(image, size=side, mode="bilinear") + painted
        assert image is not None
        return image


class StyleDiscriminator(nn.Module):
    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        channels = CHANNELS[::-1]
        self.first = Even(shape[0], channels[0], 1)
        pairs = list(pairwise(channels))
        self.one = nn.ModuleList(Even(a, a, 3) for a, _ in pairs)
        self.two = nn.ModuleList(Even(a, b, 3) for a, b in pairs)
        self.beside = nn.ModuleList(Even(a, b, 1) for a, b in pairs)
        self.look, self.flat, self.last = (
            Even(channels[-1], channels[-1], 3),
            Even(channels[-1] * 16, 128),
            Even(128, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.first(x), 0.2) * math.sqrt(2)
        for one, two, beside in zip(self.one, self.two, self.beside, strict=True):
            y = F.leaky_relu(one(x), 0.2) * math.sqrt(2)
            y = F.leaky_relu(two(F.avg_pool2d(y, 2)), 0.2) * math.sqrt(2)
            x = (y + beside(F.avg_pool2d(x, 2))) / math.sqrt(2)
        x = F.leaky_relu(self.look(x), 0.2).flatten(1)
        logit: Tensor = self.last(F.leaky_relu(self.flat(x), 0.2))
        return logit.flatten()


class Block(nn.Module):
    """A residual block: 1 x 1 to twice the channels, 3 x 3 in groups of 16, 1 x 1 back, which starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 2 * channels
        self.widen, self.look = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden // 16)
        self.narrow = nn.Conv2d(hidden, channels, 1, bias=False)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.narrow(F.leaky_relu(self.look(F.leaky_relu(self.widen(x), 0.2)), 0.2))
        return x + change


class R3Generator(nn.Module):
    def __init__(self, latent: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(1, CHANNELS[0], 4, 4))
        self.mix = nn.Linear(latent, CHANNELS[0])
        pairs = pairwise(CHANNELS)
        self.change = nn.ModuleList(nn.Conv2d(a, b, 1, bias=False) for a, b in pairs)
        self.blocks = nn.ModuleList(nn.Sequential(Block(b), Block(b)) for b in CHANNELS)
        self.paint = nn.Conv2d(CHANNELS[-1], shape[0], 1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.basis * self.mix(z)[:, :, None, None]
        for level, side in enumerate(SIDES):
            x = F.interpolate(self.change[level - 1](x), size=side, mode="bilinear") if level else x
            x = self.blocks[level](x)
        image: Tensor = self.paint(x)
        return image


class R3Discriminator(nn.Module):
    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        channels = CHANNELS[::-1]
        self.first = nn.Conv2d(shape[0], channels[0], 1)
        pairs = pairwise(channels)
        self.blocks = nn.ModuleList(nn.Sequential(Block(a), Block(a)) for a in channels)
        self.change = nn.ModuleList(nn.Conv2d(a, b, 1, bias=False) for a, b in pairs)
        self.basis = nn.Parameter(torch.randn(1, channels[-1], 4, 4) / 4)
        self.logit = nn.Linear(channels[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for level, blocks in enumerate(self.blocks):
            x = self.change[level - 1](F.avg_pool2d(x, 2)) if level else x
            x = blocks(x)
        logit: Tensor = self.logit((x * self.basis).sum((2, 3)))
        return logit.flatten()
