"""What the convolutional families share: the sizes of their levels, and going up and down it without aliasing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.slices import playing_now, pooled
from evenodds.parts.networks._conv import Conv2d, conv2d

__all__ = [
    "Down",
    "Size",
    "Up",
    "beside_spread",
    "check_batch",
    "image_shape",
    "level_sizes",
    "padded",
    "start_alike",
    "start_weights",
    "stride_of",
    "strided",
    "transposed",
    "widths",
]

Size = tuple[int, int]
"""Height and width in pixels."""


def padded(x: Tensor, multiple: int) -> Tensor:
    """x (N, C, H, W) with its last row and column repeated until both sides are multiples."""
    more = (0, -x.shape[3] % multiple, 0, -x.shape[2] % multiple)
    return F.pad(x, more, mode="replicate") if any(more) else x


@torch.no_grad()
def start_alike(layer: nn.Conv2d, pixels: int) -> None:
    """Starts the outputs for the pixels of a place alike (Aitken et al. 2017): no checkerboard at the start."""
    layer.weight.copy_(layer.weight[::pixels].repeat_interleave(pixels, 0))


def image_shape(family: str, shape: Sequence[int]) -> tuple[int, Size]:
    """Splits (C, H, W) into channels and size.

    Raises:
        BadInput: where shape is not that of an image with C >= 1 and H, W >= 4.
    """
    if len(shape) != 3:
        raise BadInput(
            f"{family} needs images of shape (C, H, W), got {tuple(shape)}; use the networks of `mlp` for it"
        )
    channels, height, width = (int(side) for side in shape)
    if channels < 1 or min(height, width) < 4:
        raise BadInput(f"{family} needs C >= 1 and H, W >= 4, got {tuple(shape)}; pad the images or use `mlp`")
    return channels, (height, width)


def check_batch(x: Tensor, shape: Sequence[int]) -> None:
    """Raises BadInput unless x is (N, *shape). Reads no values, so it never waits for a device."""
    if tuple(x.shape[1:]) != tuple(shape):
        expected, actual = ", ".join(map(str, shape)), tuple(x.shape)
        raise BadInput(f"x must be (N, {expected}), got {actual}; resize the data or build the network for its shape")


def level_sizes(size: Size, bottom: int = 4) -> list[Size]:
    """The sizes of a pyramid, finest first. Each side is halved, rounding up, while it stays at least `bottom`.

    level_sizes((28, 28)) is [(28, 28), (14, 14), (7, 7), (4, 4)]; a side that has arrived waits for the other one.
    """
    if bottom < 1:
        raise BadInput(f"bottom must be at least 1, got {bottom}; 4 is usual")
    sizes = [size]
    while (step := (_halved(sizes[-1][0], bottom), _halved(sizes[-1][1], bottom))) != sizes[-1]:
        sizes.append(step)
    return sizes


def _halved(side: int, bottom: int) -> int:
    half = (side + 1) // 2
    return half if half >= bottom and half < side else side


def widths(width: int, growth: float, cap: int, count: int) -> list[int]:
    """Channels per level, finest first: width, width * growth, ..., never more than max(cap, width)."""
    if width < 1 or growth <= 0:
        raise BadInput(f"width >= 1 and growth > 0 are needed, got {width} and {growth}")
    return [max(1, min(round(width * growth**level), max(cap, width))) for level in range(count)]


def stride_of(fine: Size, coarse: Size) -> Size:
    """1 or 2 per side: how far the level `coarse` lies below the level `fine`."""
    return (1 if fine[0] == coarse[0] else 2), (1 if fine[1] == coarse[1] else 2)


class Down(nn.Module):
    """One level down through a binomial low-pass filter (Zhang 2019): (N, C, *fine) -> (N, C, *coarse).

    A side of even length is filtered with [1, 3, 3, 1] / 8, a side of odd length with [1, 2, 1] / 4 about its
    first, third, ..., last pixel. At the border the taps that remain are scaled up, so that constants stay constant.
    Measured on a CPU, a depthwise convolution costs a fifth of an antialiased `interpolate`.
    """

    kernel: Tensor
    border: Tensor

    def __init__(self, fine: Size, coarse: Size) -> None:
        super().__init__()
        self.stride = stride_of(fine, coarse)
        self.padding = (self.stride[0] - 1, self.stride[1] - 1)
        rows, columns = (_taps(side, stride) for side, stride in zip(fine, self.stride, strict=True))
        kernel = (rows[:, None] * columns)[None, None]
        # Padding beforehand would do as well, but it copies the finer image, and its derivatives leave channels-last.
        border = 1 / F.conv2d(torch.ones(1, 1, *fine), kernel, stride=self.stride, padding=self.padding)
        self.register_buffer("kernel", kernel, persistent=False)
        self.register_buffer("border", border, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.expand(channels, -1, -1, -1)
        return conv2d(x, kernel, stride=self.stride, padding=self.padding, groups=channels) * self.border


def _taps(side: int, stride: int) -> Tensor:
    taps = torch.tensor([1.0] if stride == 1 else [1.0, 2.0, 1.0] if side % 2 else [1.0, 3.0, 3.0, 1.0])
    return taps / taps.sum()


class Up(nn.Module):
    """One level up by linear interpolation: (N, C, *coarse) -> (N, C, *fine).

    The same binomial filters as `Down`, which PyTorch computes as bilinear interpolation: about pixel centres where
    the new side is even, between the corners where it is odd. Constants stay constant, affine images stay affine
    away from the border, and where both sides double the mean of the image is kept.
    """

    def __init__(self, coarse: Size, fine: Size) -> None:
        super().__init__()
        stride = stride_of(fine, coarse)
        odd = tuple(step == 2 and side % 2 == 1 for side, step in zip(fine, stride, strict=True))
        # A side that stays as it is is copied under either rule; only sides of unlike parity need a pass each.
        unlike = stride == (2, 2) and odd[0] != odd[1]
        self.passes = [((fine[0], coarse[1]), odd[0]), (fine, odd[1])] if unlike else [(fine, any(odd))]

    def forward(self, x: Tensor) -> Tensor:
        for size, corners in self.passes:
            x = F.interpolate(x, size=size, mode="bilinear", align_corners=corners)
        return x


def strided(inputs: int, outputs: int, fine: Size, coarse: Size, *, bias: bool = True) -> nn.Conv2d:
    """The convolution (N, inputs, *fine) -> (N, outputs, *coarse) from a level of a pyramid to the next coarser one."""
    stride = stride_of(fine, coarse)
    kernel = (stride[0] + 2, stride[1] + 2)
    return Conv2d(inputs, outputs, kernel, stride, _padding(fine, stride), bias=bias)


def transposed(inputs: int, outputs: int, coarse: Size, fine: Size, *, bias: bool = True) -> nn.ConvTranspose2d:
    """The transposed convolution (N, inputs, *coarse) -> (N, outputs, *fine), with the geometry of `strided`."""
    stride = stride_of(fine, coarse)
    kernel, padding = (stride[0] + 2, stride[1] + 2), _padding(fine, stride)
    # Padding of 2 would cut a row at both ends of an odd side; one is given back.
    extra = (padding[0] - 1, padding[1] - 1)
    return nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, extra, bias=bias)


def _padding(fine: Size, stride: Size) -> Size:
    """2 where a side is odd and halved: then (side + 4 - 4) // 2 + 1 is half the side, rounded up."""
    return 1 + (fine[0] % 2) * (stride[0] - 1), 1 + (fine[1] % 2) * (stride[1] - 1)


def beside_spread(x: Tensor) -> Tensor:
    """Appends one channel that holds the mean standard deviation over the batch, Karras et al. (2018), section 3.

    Args:
        x: (N, C, ...) float. With N = 1 the spread is zero.

    Returns:
        (N, C + 1, ...) float. Items of a batch now see one another: score real and fake items in batches of their own.
    """
    if playing_now() is None:
        variance = x.var(0, correction=0)
    else:  # over all slices of the batch
        total, rows = pooled(x.sum(0), len(x))
        variance = pooled((x - total / rows).square().sum(0), len(x))[0] / rows
    spread = (variance + 1e-8).sqrt().mean()
    return torch.cat((x, spread.expand_as(x[:, :1])), 1)


def start_weights(net: nn.Module, spread: float | None) -> None:
    """Weights normal with deviation `spread` (Radford et al. 2016, section 4), or by He et al. (2015); biases at 0."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if spread is None:
                nn.init.kaiming_normal_(layer.weight, a=0.2)
            else:
                nn.init.normal_(layer.weight, 0.0, spread)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
