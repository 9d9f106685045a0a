"""A network with random weights, the same for everyone: no file, no training, any number of channels."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics._rows import portions
from evenodds.metrics.features._items import check_items
from evenodds.pretrained.state import digest

__all__ = ["Random"]

_WIDTHS = (32, 64, 96, 20)
"""Channels of the four scales; the first three are averaged, the last keeps a layout of 4 x 4: 512 features."""
_GAIN = 4.0
"""Brings averages to order 1."""
_PORTION = 1 << 21
"""Numbers in the first scale of what a CPU computes at once: in its cache, which takes two thirds of the time."""
_FREQUENCIES = (1.0, 2.0, 4.0, 8.0)
"""Of the cosines for rows, 128 each, in radians per unit of root mean square."""


class Random:
    """512 features of a fixed network whose weights are drawn once from a seed.

    Images are resized to side x side, antialiased, and pass four scales of random 3 x 3 convolutions, each followed by
    the absolute value and halved by averaging, as in scattering networks (Bruna and Mallat 2013). Features are the
    spatial averages of the first three scales and, of the last, a layout of 4 x 4 places less their mean. Rows (D,) get
    cosines of random projections at four frequencies (Rahimi and Recht 2007).

    Distances between them grow with noise, blur and missing classes. They know no objects: for photographs a trained
    network sees more.

    Args:
        shape: of one item, (C, H, W) or (D,).
        seed: of the weights. They are the same bits on every machine.
        side: pixels to which images are resized, a multiple of 8 and at least 32.
    """

    name = "random"
    comparable = ""

    def __init__(self, shape: Sequence[int], *, seed: int = 0, side: int = 32) -> None:
        self.shape, self.side = tuple(shape), side
        if side < 32 or side % 8:
            raise BadInput(f"random features need a side of at least 32 that 8 divides, got {side}; 32 is usual")
        rng = torch.Generator().manual_seed(seed)
        self._tensors = _kernels(self.shape[0], rng) if len(self.shape) == 3 else _projection(self.shape[0], rng)
        self.weights = digest({str(number): tensor for number, tensor in enumerate(self._tensors)})
        self.resize = f"antialiased bilinear to {side}x{side}" if len(self.shape) == 3 else "none"

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """(N, C, H, W) or (N, D) in [-1, 1] -> (N, 512) float32 of order 1."""
        check_items(x, self.shape)
        self._tensors = [tensor.to(x.device) for tensor in self._tensors]
        if x.ndim != 4:
            return self._cosines(x.float())
        entries = _PORTION if x.device.type == "cpu" else sys.maxsize
        parts = portions(len(x), _WIDTHS[0] * self.side**2, entries)
        return torch.cat([self._scales(x[part].float()) for part in parts])

    def _scales(self, x: Tensor) -> Tensor:
        if x.shape[2:] != (self.side, self.side):
            x = F.interpolate(x, (self.side, self.side), mode="bilinear", antialias=True)
        x = _by_pixel(x)
        averages = []
        for kernel in self._tensors[:-1]:
            x = F.conv2d(x, kernel, padding=1).abs_()
            averages.append(x.mean((2, 3)))
            x = F.avg_pool2d(x, 2)
        layout = F.adaptive_avg_pool2d(F.conv2d(x, self._tensors[-1], padding=1).abs_(), 4).flatten(2)
        # Less their mean: what all items share would hide from the kernel distance how they differ.
        layout = layout - layout.mean(2, keepdim=True)
        return _GAIN * torch.cat((*averages, layout.flatten(1)), 1)

    def _cosines(self, x: Tensor) -> Tensor:
        directions, phases = self._tensors
        return math.sqrt(2) * torch.cos(x @ directions + phases)


def _by_pixel(x: Tensor) -> Tensor:
    """(N, C, H, W) as NHWC, which its strides say also of one channel: convolutions take two thirds of the time."""
    _, channels, height, width = x.shape
    strides = (channels * height * width, 1, channels * width, channels)
    return x.contiguous(memory_format=torch.channels_last).as_strided(x.shape, strides)


def _uniform(rng: torch.Generator, *shape: int) -> Tensor:
    # Not normal draws: these differ in the last bit between processors, and so would the digest.
    return 2 * torch.rand(shape, generator=rng) - 1


def _kernels(channels: int, rng: torch.Generator) -> list[Tensor]:
    inputs = (channels, *_WIDTHS)
    # Of variance 1 / (9 inputs), which keeps the mean square from scale to scale: absolute values lose none of it.
    return [
        _uniform(rng, outputs, inputs[number], 3, 3) * math.sqrt(3 / (9 * inputs[number]))
        for number, outputs in enumerate(_WIDTHS)
    ]


def _projection(columns: int, rng: torch.Generator) -> list[Tensor]:
    frequency = torch.tensor(_FREQUENCIES).repeat_interleave(128)
    directions = _uniform(rng, columns, 512) * math.sqrt(3 / columns) * frequency
    return [directions, _uniform(rng, 512) * math.pi]
