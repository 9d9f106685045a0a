"""A style-based generator: z becomes w, and w scales the channels of every convolution.

Karras, Laine, Aittala, Hellsten, Lehtinen and Aila, "Analyzing and Improving the Image Quality of StyleGAN" (2020):
modulation and demodulation (section 2.2), images that are summed over the levels (section 4.1), residual discriminator,
equalised learning rates (Karras et al. 2018, section 4.1). The penalty on path lengths is
`evenodds.experimental.path_length`. Left out: mixing while training. Here the image passes a tanh, and the
discriminator shrinks by convolutions of 4 x 4.

People edit in w: `styles` gives it for each level, `synthesise` makes images of it, `truncated` draws it to its mean.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.slices import whole
from evenodds.parts.networks._conv import conv2d
from evenodds.parts.networks._levels import (
    Down,
    Size,
    Up,
    beside_spread,
    check_batch,
    image_shape,
    level_sizes,
    stride_of,
    widths,
)
from evenodds.parts.networks._roles import Scores, head, input_length

__all__ = ["Discriminator", "Generator", "dealt_noise"]

MEMORY = 0.998
"""Of the mean of w, from a batch to the next."""


class Generator(nn.Module):
    """z (N, latent) -> (N, C, H, W) in [-1, 1].

    The noise of an image follows from its z: the same z gives the same image, in any batch.

    Args:
        latent: length of z.
        shape: (C, H, W), H and W at least 4.
        width: channels of the finest level.
        growth: factor from a level to the next coarser one.
        cap: most channels of a level.
        bottom: least side of the coarsest level.
        styles: length of w; 512 in the paper.
        mapping: layers from z to w; 8 in the paper.
        convolutions: of a level; 2 in the paper, 1 takes half the time.
        noise: adds noise to each convolution, with a strength that is learned.
        condition: length of c, which stands behind z: the input is then (N, latent + condition).

    Example:
        >>> import torch
        >>> from evenodds.parts.networks.style import Generator
        >>> net = Generator(6, (3, 32, 32), width=8, styles=16).eval()
        >>> w = net.styles(torch.randn(2, 6))  # (N, levels, styles), coarsest level first
        >>> mixed = torch.cat([w[:1, :2], w[1:, 2:]], 1)  # coarse levels of the first, fine ones of the second
        >>> w.shape, net.synthesise(mixed).shape
        (torch.Size([2, 4, 16]), torch.Size([1, 3, 32, 32]))
    """

    mean_style: Tensor

    def __init__(
        self,
        latent: int,
        shape: Sequence[int],
        *,
        width: int = 16,
        growth: float = 2.0,
        cap: int = 256,
        bottom: int = 4,
        styles: int = 128,
        mapping: int = 2,
        convolutions: int = 2,
        noise: bool = True,
        condition: int = 0,
    ) -> None:
        super().__init__()
        channels, size = image_shape("style", shape)
        if min(styles, mapping, convolutions) < 1:
            raise BadInput(f"style needs styles, mapping, convolutions >= 1, got {styles}, {mapping}, {convolutions}")
        sizes = level_sizes(size, bottom)
        channels_of = widths(width, growth, cap, len(sizes))
        self.latent: int = latent
        self.share: float | Tensor = 1.0
        lengths = [input_length(latent, condition), *[styles] * mapping]
        self.mapping = nn.ModuleList([_Linear(a, b, rate=0.01) for a, b in pairwise(lengths)])
        self.register_buffer("mean_style", torch.zeros(styles))
        self.constant = nn.Parameter(torch.randn(1, channels_of[-1], *sizes[-1]))
        places, levels = 0, []
        for level in range(len(sizes) - 1, -1, -1):
            coarse = min(level + 1, len(sizes) - 1)
            count = 1 if level == coarse else convolutions
            sides = channels_of[coarse], channels_of[level]
            levels.append(_Level(sides, sizes[coarse], sizes[level], channels, styles, count, places if noise else -1))
            places += count * math.prod(sizes[level])
        self.levels = nn.ModuleList(levels)
        phases = torch.randn(latent, 4, generator=torch.Generator().manual_seed(0))
        self.register_buffer("phases", phases / math.sqrt(latent), persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        return self.synthesise(self.styles(z), self.hand(z))

    def styles(self, z: Tensor) -> Tensor:
        """w of each level, coarsest first: z (N, latent + condition) -> (N, levels, styles)."""
        x, c = z[:, : self.latent], z[:, self.latent :]
        w = torch.cat([x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt(), c], 1)
        for layer in self.mapping:
            w = F.leaky_relu(layer(w), 0.2) * math.sqrt(2)
        if self.training:
            with torch.no_grad():
                mean = whole(w.detach()).mean(0)  # of all slices of the batch
                self.mean_style.lerp_(mean.to(self.mean_style), 1 - MEMORY)
        if isinstance(self.share, Tensor) or self.share != 1:
            w = torch.lerp(self.mean_style.to(w), w, self.share)
        return w[:, None].expand(-1, len(self.levels), -1)

    def hand(self, z: Tensor) -> Tensor:
        """(N, 4) numbers in [0, 1), by which the noise of each image is dealt: of a normal z they are uniform."""
        return _product(z[:, : self.latent].detach(), self.get_buffer("phases")).remainder(1)

    def synthesise(self, styles: Tensor, hand: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) of w (N, levels, styles); without a hand (N, 4) with the noise of one that is all 0."""
        hand = styles.new_zeros(len(styles), 4) if hand is None else hand
        x, image = self.constant.expand(len(styles), -1, -1, -1), None
        for number, level in enumerate(self.levels):
            x, image = level(x, image, styles[:, number], hand)
        assert image is not None
        pixels: Tensor = image.tanh()
        return pixels

    def truncated(self, factor: float | Tensor) -> Generator:
        """The same generator, whose w are drawn to their mean by a factor in (0, 1] (Karras et al. 2019, section B)."""
        drawn_in = copy.copy(self)
        drawn_in.share = factor
        return drawn_in


class Discriminator(Scores):
    """x (N, C, H, W) -> logits (N,).

    Args:
        shape: (C, H, W), H and W at least 4.
        width: channels of the finest level.
        growth: factor from a level to the next coarser one.
        cap: most channels of a level.
        bottom: least side of the coarsest level.
        minibatch_std: shows the last layers the spread of its batch, as the paper does; items then see one another.
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
        outputs: int = 1,
    ) -> None:
        super().__init__()
        channels, size = image_shape("style", shape)
        self.shape, self.minibatch_std = (channels, *size), minibatch_std
        sizes = level_sizes(size, bottom)
        channels_of = widths(width, growth, cap, len(sizes))
        self.stem = _Conv(channels, channels_of[0], (1, 1))
        self.blocks = nn.ModuleList(
            [_DownBlock(*sides, *steps) for sides, steps in zip(pairwise(channels_of), pairwise(sizes), strict=True)]
        )
        self.last = _Conv(channels_of[-1] + minibatch_std, channels_of[-1], (3, 3))
        self.join = _Linear(channels_of[-1] * math.prod(sizes[-1]), channels_of[-1])
        self.logit = head(channels_of[-1], outputs)
        nn.init.normal_(self.logit.weight, 0.0, channels_of[-1] ** -0.5)
        nn.init.zeros_(self.logit.bias)

    def features(self, x: Tensor) -> Tensor:
        check_batch(x, self.shape)
        x = _rectified(self.stem(x))
        for block in self.blocks:
            x = block(x)
        x = beside_spread(x) if self.minibatch_std else x
        return _rectified(self.join(_rectified(self.last(x)).flatten(1)))


class _Level(nn.Module):
    """(N, inputs, *coarse), the image so far (N, C, *coarse) or None, w -> (N, outputs, *fine), (N, C, *fine)."""

    def __init__(
        self, sides: tuple[int, int], coarse: Size, fine: Size, channels: int, styles: int, count: int, places: int
    ) -> None:
        super().__init__()
        self.enlarge = Up(coarse, fine) if coarse != fine else nn.Identity()
        pixels = math.prod(fine)
        self.convolutions = nn.ModuleList(
            [
                _Styled(sides[min(k, 1)], sides[1], 3, styles, fine, -1 if places < 0 else places + k * pixels)
                for k in range(count)
            ]
        )
        self.paint = _Modulated(sides[1], channels, 1, styles, demodulated=False)
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor, image: Tensor | None, w: Tensor, hand: Tensor) -> tuple[Tensor, Tensor]:
        x = self.enlarge(x)
        for layer in self.convolutions:
            x = layer(x, w, hand)
        painted = self.paint(x, w) + self.bias
        return x, painted if image is None else painted + self.enlarge(image)


class _Modulated(nn.Module):
    """A convolution whose weights are scaled by w: s_i of input i, and so that outputs have unit variance (eq. 1, 3).

    Scaling the inputs and the outputs is the same, and one convolution for all items of a batch.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, styles: int, *, demodulated: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.gain = 1 / math.sqrt(inputs * kernel**2)
        self.style = _Linear(styles, inputs, bias=1.0)
        self.padding, self.demodulated = (kernel // 2, kernel // 2), demodulated

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        scale, weight = self.style(w), self.weight * self.gain
        y = conv2d(x * scale[:, :, None, None], weight, stride=(1, 1), padding=self.padding)
        if not self.demodulated:
            return y
        size = scale.square() @ weight.square().sum((2, 3)).T
        demodulated: Tensor = y * (size + 1e-8).rsqrt()[:, :, None, None]
        return demodulated


class _Styled(_Modulated):
    """A modulated convolution, noise, a bias, and a leaky rectifier; `places`: of noise before these, -1 for none."""

    def __init__(self, inputs: int, outputs: int, kernel: int, styles: int, size: Size, places: int) -> None:
        super().__init__(inputs, outputs, kernel, styles)
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.size = size
        if places >= 0:
            self.strength = nn.Parameter(torch.zeros(()))
            # Place i of a hand u is (k_i u) mod 1: uniform, and of any two places independent, where no two of the
            # integer vectors k_i are parallel (Joffe 1974); drawn once, so that neighbours have nothing in common.
            rng = torch.Generator().manual_seed(1 + places)
            steps = torch.randint(1, 64, (4, math.prod(size)), generator=rng).float()
            self.register_buffer("steps", steps, persistent=False)

    def forward(self, x: Tensor, w: Tensor, hand: Tensor) -> Tensor:  # type: ignore[override]
        y = super().forward(x, w) + self.bias
        if "strength" in self._parameters:
            noise = dealt_noise(hand, self.get_buffer("steps"))
            y = y + self.strength * noise.view(-1, 1, *self.size).to(y)
        return _rectified(y)


class _DownBlock(nn.Module):
    """(N, inputs, *fine) -> (N, outputs, *coarse): two convolutions, beside smoothing and a 1 x 1 convolution."""

    def __init__(self, inputs: int, outputs: int, fine: Size, coarse: Size) -> None:
        super().__init__()
        stride = stride_of(fine, coarse)
        padding = tuple(1 + (side % 2) * (step - 1) for side, step in zip(fine, stride, strict=True))
        self.first = _Conv(inputs, inputs, (3, 3))
        self.second = _Conv(inputs, outputs, (stride[0] + 2, stride[1] + 2), stride, padding)
        self.smooth = Down(fine, coarse)
        self.beside = _Conv(inputs, outputs, (1, 1), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        branch = _rectified(self.second(_rectified(self.first(x))))
        beside: Tensor = self.beside(self.smooth(x))
        return (branch + beside) * math.sqrt(0.5)


class _Linear(nn.Module):
    """(N, inputs) -> (N, outputs), with weights of unit variance that are scaled when they are used."""

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.gain, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain, self.bias * self.rate)


class _Conv(nn.Module):
    """A convolution with weights of unit variance that are scaled when they are used."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Size,
        stride: Size = (1, 1),
        padding: tuple[int, ...] | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, *kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain, self.stride = 1 / math.sqrt(inputs * math.prod(kernel)), stride
        self.padding = (kernel[0] // 2, kernel[1] // 2) if padding is None else padding

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight * self.gain, self.bias, stride=self.stride, padding=self.padding)


def dealt_noise(hand: Tensor, steps: Tensor) -> Tensor:
    """(N, places): uniform, of mean 0 and variance 1, from hands (N, 4) by whole steps (4, places)."""
    return (_product(hand, steps).remainder(1) - 0.5) * math.sqrt(12)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """The product in float32 at least, whatever is played in: what is left of a division by 1 needs its digits."""
    kind = torch.promote_types(a.dtype, torch.float32)
    with torch.autocast(a.device.type, enabled=False):
        return a.to(kind) @ b.to(kind)


def _rectified(x: Tensor) -> Tensor:
    """A leaky rectifier that keeps the mean square."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2 / (1 + 0.2**2))
