"""The network of the Fréchet inception distance, in the form whose scores are published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.metrics.features._items import check_colours, colours
from evenodds.metrics.features._probabilities import WithProbabilities
from evenodds.pretrained.state import digest, fill, find_weights, read_weights

__all__ = ["Inception"]

FILE = "pt_inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE}"

_PASS = 32
"""Images in memory at once: the widest layer takes 5.5 MB for each."""


class Inception(WithProbabilities):
    """2048 features of Inception v3 (Szegedy et al. 2016) as of 2015-12-05, and its 1008 class probabilities.

    FID (Heusel et al. 2017) is the Fréchet distance, KID (Binkowski et al. 2018) the kernel distance between the
    features, the averages over the last 8 x 8 places. The inception score (Salimans et al. 2016) takes the
    probabilities; as in its authors' code, they are computed without the bias of the last layer.

    Images are rounded to 8 bits, then resized to 299 x 299 as TensorFlow 1 did: bilinear, without half-pixel centres
    and without antialiasing, which published figures contain. Grey images are repeated to three channels.

    Args:
        shape: of one item, (1 or 3, H, W).
        state: named tensors, for weights of one's own; None to read the published file, see `find_weights`.

    Raises:
        BadInput: alpha or no image, no file, a wrong one, or tensors that do not fit.
    """

    name = "inception"
    resize = "8 bits, TensorFlow 1 bilinear to 299x299"
    published: ClassVar[str] = "published FID"
    side: ClassVar[int] = 299

    def __init__(self, shape: Sequence[int], *, state: Mapping[str, Tensor] | None = None) -> None:
        self.shape, self.comparable = check_colours(shape, self.name), ""
        if state is None:
            path = find_weights(self.name, FILE, SHA256, URL)
            self.comparable = self.published if path.name == FILE else ""
            state = read_weights(path)
        with torch.device("meta"):
            network = _Network()
        self.network = fill(network, state, self.name)
        self.weights = digest(self.network.state_dict())

    @torch.no_grad()
    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features and probabilities from one pass."""
        network = self.network.to(x.device)
        levels = colours(x, self.shape)
        parts = (levels[start : start + _PASS] for start in range(0, len(levels), _PASS))
        features: Tensor = torch.cat([network((self._resized(part) - 128) / 128) for part in parts])
        return features, F.linear(features, network.get_parameter("fc.weight")).softmax(1)

    def _resized(self, levels: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 255] -> (N, 3, 299, 299)."""
        return _resize(levels, self.side)


def _resize(x: Tensor, side: int = Inception.side) -> Tensor:
    """Bilinear as in TensorFlow 1: place i of the result is place i H / side of x, whatever comes after the last."""
    for dim in (3, 2):
        scale = torch.tensor(x.shape[dim], dtype=torch.float32) / side
        at = (torch.arange(side) * scale).to(x.device)
        low = at.long()
        high = (low + 1).clamp_max(x.shape[dim] - 1)
        share = (at - low).view(-1, 1) if dim == 2 else at - low
        x = torch.lerp(x.index_select(dim, low), x.index_select(dim, high), share.to(x.dtype))
    return x


Kernel = int | tuple[int, int]
Layer = tuple[str, int, Kernel] | tuple[str, int, Kernel, Kernel]
"""Name, outputs and kernel of a convolution; with two kernels, two convolutions of the same input side by side."""


class _Conv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: Kernel, stride: int = 1, padded: bool = True) -> None:
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        around = (height // 2, width // 2) if padded else (0, 0)
        self.conv = nn.Conv2d(inputs, outputs, (height, width), stride, around, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class _Mixed(nn.Module):
    """Chains of convolutions side by side, and a pool, followed by a convolution where `pooled` is not 0.

    Where the stride is 2, the last convolution of each chain takes it and is not padded.
    """

    def __init__(
        self,
        inputs: int,
        chains: Sequence[Sequence[Layer]],
        pool: Callable[[Tensor], Tensor],
        pooled: int = 0,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.chains: list[list[list[str]]] = []
        for chain in chains:
            channels = inputs
            self.chains.append([])
            for place, (name, outputs, *kernels) in enumerate(chain, 1):
                step = stride if place == len(chain) else 1
                names = [f"branch{name}{letter}" for letter in ("ab" if len(kernels) == 2 else [""])]
                for branch, kernel in zip(names, kernels, strict=True):
                    self.add_module(branch, _Conv(channels, outputs, kernel, step, padded=step == 1))
                self.chains[-1].append(names)
                channels = outputs
        self.branch_pool = _Conv(inputs, pooled, 1) if pooled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        for chain in self.chains:
            part = x
            for names in chain:
                part = torch.cat([self.get_submodule(name)(part) for name in names], 1)
            parts.append(part)
        return torch.cat([*parts, self.branch_pool(self.pool(x))], 1)


def _average(x: Tensor) -> Tensor:
    # TensorFlow divides by the places inside the image; at a border, zeros are not counted.
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _largest(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=1, padding=1)


def _halve(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=2)


def _block_35(inputs: int, pooled: int) -> _Mixed:
    fives: list[Layer] = [("5x5_1", 48, 1), ("5x5_2", 64, 5)]
    threes: list[Layer] = [("3x3dbl_1", 64, 1), ("3x3dbl_2", 96, 3), ("3x3dbl_3", 96, 3)]
    return _Mixed(inputs, [[("1x1", 64, 1)], fives, threes], _average, pooled)


def _block_35_to_17(inputs: int) -> _Mixed:
    threes: list[Layer] = [("3x3dbl_1", 64, 1), ("3x3dbl_2", 96, 3), ("3x3dbl_3", 96, 3)]
    return _Mixed(inputs, [[("3x3", 384, 3)], threes], _halve, stride=2)


def _block_17(inputs: int, inner: int) -> _Mixed:
    across, down = (1, 7), (7, 1)
    once: list[Layer] = [("7x7_1", inner, 1), ("7x7_2", inner, across), ("7x7_3", 192, down)]
    twice: list[Layer] = [("7x7dbl_1", inner, 1), ("7x7dbl_2", inner, down), ("7x7dbl_3", inner, across)]
    twice += [("7x7dbl_4", inner, down), ("7x7dbl_5", 192, across)]
    return _Mixed(inputs, [[("1x1", 192, 1)], once, twice], _average, 192)


def _block_17_to_8(inputs: int) -> _Mixed:
    threes: list[Layer] = [("3x3_1", 192, 1), ("3x3_2", 320, 3)]
    sevens: list[Layer] = [("7x7x3_1", 192, 1), ("7x7x3_2", 192, (1, 7)), ("7x7x3_3", 192, (7, 1)), ("7x7x3_4", 192, 3)]
    return _Mixed(inputs, [threes, sevens], _halve, stride=2)


def _block_8(inputs: int, pool: Callable[[Tensor], Tensor]) -> _Mixed:
    across, down = (1, 3), (3, 1)
    threes: list[Layer] = [("3x3_1", 384, 1), ("3x3_2", 384, across, down)]
    twice: list[Layer] = [("3x3dbl_1", 448, 1), ("3x3dbl_2", 384, 3), ("3x3dbl_3", 384, across, down)]
    return _Mixed(inputs, [[("1x1", 320, 1)], threes, twice], pool, 192)


class _Network(nn.Sequential):
    """(N, 3, 299, 299) about [-1, 1] -> (N, 2048). The names of its parts are those in the published file."""

    def __init__(self) -> None:
        super().__init__()
        layers = {
            "Conv2d_1a_3x3": _Conv(3, 32, 3, stride=2, padded=False),
            "Conv2d_2a_3x3": _Conv(32, 32, 3, padded=False),
            "Conv2d_2b_3x3": _Conv(32, 64, 3),
            "MaxPool_2": nn.MaxPool2d(3, 2),
            "Conv2d_3b_1x1": _Conv(64, 80, 1),
            "Conv2d_4a_3x3": _Conv(80, 192, 3, padded=False),
            "MaxPool_4": nn.MaxPool2d(3, 2),
            "Mixed_5b": _block_35(192, 32),
            "Mixed_5c": _block_35(256, 64),
            "Mixed_5d": _block_35(288, 64),
            "Mixed_6a": _block_35_to_17(288),
            "Mixed_6b": _block_17(768, 128),
            "Mixed_6c": _block_17(768, 160),
            "Mixed_6d": _block_17(768, 160),
            "Mixed_6e": _block_17(768, 192),
            "Mixed_7a": _block_17_to_8(768),
            "Mixed_7b": _block_8(1280, _average),
            # Not an average as in the paper: the published graph takes the largest value here.
            "Mixed_7c": _block_8(2048, _largest),
            "fc": nn.Linear(2048, 1008),
        }
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        for name, layer in self.named_children():
            x = layer(x) if name != "fc" else x.mean((2, 3))
        return x
