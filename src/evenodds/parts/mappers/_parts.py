"""What the families share: what they are asked for, and how they start."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.parts.exporting import is_exporting

__all__ = ["SLOPE", "base", "check", "check_images", "conv", "enlarged", "in_rgb", "normed", "unbiased"]

SLOPE = 0.2
"""Of leaky rectifiers below 0."""


def check(inputs: int, outputs: int, scale: int, scales: tuple[int, ...]) -> None:
    """Raises BadInput for what no network can be."""
    if inputs < 1 or outputs < 1:
        raise BadInput(f"images have at least 1 channel, got {inputs} in and {outputs} out")
    if scale not in scales:
        possible = ", ".join(map(str, scales))
        raise BadInput(f"this network enlarges {possible} times, got scale={scale}; `residual` and `dense` go up to 4")


def check_images(x: Tensor, inputs: int) -> None:
    """Raises BadInput unless x is (N, inputs, H, W). Reads no values, so it never waits for a device."""
    if x.dim() != 4 or x.shape[1] != inputs:
        raise BadInput(f"x must be (N, {inputs}, H, W), got {tuple(x.shape)}; bring the images to {inputs} channels")


def conv(inputs: int, outputs: int, gain: float = 1.0, size: int = 3) -> nn.Conv2d:
    """A convolution that keeps the size, started after He et al. (2015) times gain, biases at 0."""
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2)
    nn.init.kaiming_normal_(layer.weight, SLOPE)
    with torch.no_grad():
        layer.weight.mul_(gain)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def unbiased(inputs: int, outputs: int, size: int = 3, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A convolution for a norm to follow, which would subtract its bias; started after He et al. (2015)."""
    padding = dilation * (size // 2)
    layer = nn.Conv2d(inputs, outputs, size, stride, padding=padding, dilation=dilation, bias=False)
    nn.init.kaiming_normal_(layer.weight, SLOPE)
    return layer


def normed(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution, batch norm and a leaky rectifier."""
    return nn.Sequential(unbiased(inputs, outputs, size, stride), nn.BatchNorm2d(outputs), nn.LeakyReLU(SLOPE))


def base(x: Tensor, outputs: int) -> Tensor:
    """What an untrained network answers: the first channels of x, or its only one, repeated."""
    return x[:, :outputs] if x.shape[1] >= outputs else x[:, :1].expand(-1, outputs, -1, -1)


def in_rgb(luma: Tensor, blue: Tensor, red: Tensor) -> Tensor:
    """Red, green and blue of luma and two colours, (N, 1, H, W) each, by ITU-R BT.601 as JPEG files have it (JFIF)."""
    return torch.cat([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], 1)


def enlarged(x: Tensor, scale: int) -> Tensor:
    """x (N, C, H, W), bicubic with a = -1/2 (Keys 1981) at `scale` times its size: what image editors call bicubic."""
    if scale == 1:
        return x
    if is_exporting():
        return _enlarged_by_kernel(x, scale)
    size = (x.shape[2] * scale, x.shape[3] * scale)
    # Only with antialias does PyTorch take a = -1/2; on the way up there is nothing else to it. Processors have no such
    # kernel in bfloat16.
    return F.interpolate(x.float() if x.dtype is torch.bfloat16 else x, size, mode="bicubic", antialias=True)


def _enlarged_by_kernel(x: Tensor, scale: int) -> Tensor:
    """`enlarged` as a transposed convolution with a fixed kernel: ONNX has no antialiased resizing that is the same.

    Beyond the edges nothing is; the weights of what is within them add up to 1, as PyTorch has it.
    """
    reach = range(-2 * scale, 3 * scale)  # of a pixel, in pixels of the result, from its own first one
    weights = [_keys((at + 0.5) / scale - 0.5) for at in reach]
    line = torch.tensor(weights, dtype=x.dtype)
    kernel = torch.outer(line, line).expand(x.shape[1], 1, -1, -1)
    sums = F.conv_transpose2d(torch.ones_like(x[:1, :1]), kernel[:1], stride=scale)
    spread = F.conv_transpose2d(x, kernel, stride=scale, groups=x.shape[1]) / sums.clamp_min(1e-6)
    first, height, width = 2 * scale, x.shape[2] * scale, x.shape[3] * scale
    return spread[:, :, first : first + height, first : first + width]


def _keys(t: float) -> float:
    """The cubic convolution kernel with a = -1/2 (Keys 1981, eq. 15)."""
    t = abs(t)
    if t < 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0
