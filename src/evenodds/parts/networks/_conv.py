"""Convolution whose gradient can be differentiated quickly, which penalties on gradients of the discriminator need.

PyTorch differentiates the gradient of a convolution group by group, in slices. But a convolution is linear in the
input and in the weight, so its gradients and all of theirs are three bilinear maps, and each has a fast kernel:

    y = output(x, w),    dL/dx = to_input(dL/dy, w),    dL/dw = to_weight(x, dL/dy).

The gradients of each are the other two. Measured on a CPU for `modern`, a pass with R1 takes 2.7 times as long as one
without, instead of 3.3 times with 16 channels per group and 4.9 times with one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

__all__ = ["Conv2d", "conv2d"]


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` with zero padding given in numbers; equal to it in every order of derivative."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = tuple(int(side) for side in self.padding)
        return conv2d(input, weight, bias, stride=self.stride, padding=padding, groups=self.groups)


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: tuple[int, ...],
    padding: tuple[int, ...] = (0, 0),
    groups: int = 1,
) -> Tensor:
    """`F.conv2d`: (N, C, H, W), (D, C / groups, h, w) and (D,) -> (N, D, ...)."""
    if torch.compiler.is_compiling() or not (torch.is_grad_enabled() and x.requires_grad):
        return F.conv2d(x, weight, bias, stride, padding, groups=groups)
    return _output(_cast(x), _cast(weight), None if bias is None else _cast(bias), _Geometry(stride, padding, groups))


class _Geometry(NamedTuple):
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    groups: int


class _Output(Function):
    """(x, w) -> y, plus a bias, whose gradient is a sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return F.conv2d(x, weight, bias, geometry.stride, geometry.padding, groups=geometry.groups)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, _ = ctx.needs_input_grad
        to_input = _to_input(grad, weight, x.detach(), ctx.geometry) if needs_x else None
        to_weight = _to_weight(x, grad, weight.detach(), ctx.geometry) if needs_weight else None
        return to_input, to_weight, grad.sum((0, 2, 3)) if needs_bias else None, None


class _ToInput(Function):
    """(dL/dy, w) -> dL/dx; `like` has the shape of x."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor, like: Tensor, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(grad, weight)
        ctx.geometry = geometry
        return _gradients(grad, like, weight, geometry, 0)

    @staticmethod
    def backward(ctx: Any, x: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        grad, weight = ctx.saved_tensors
        output = _output(x, weight, None, ctx.geometry) if ctx.needs_input_grad[0] else None
        to_weight = _to_weight(x, grad, weight.detach(), ctx.geometry) if ctx.needs_input_grad[1] else None
        return output, to_weight, None, None


class _ToWeight(Function):
    """(x, dL/dy) -> dL/dw; `like` has the shape of w."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grad: Tensor, like: Tensor, geometry: _Geometry) -> Tensor:
        ctx.save_for_backward(x, grad)
        ctx.geometry = geometry
        return _gradients(grad, x, like, geometry, 1)

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, grad = ctx.saved_tensors
        to_input = _to_input(grad, weight, x.detach(), ctx.geometry) if ctx.needs_input_grad[0] else None
        output = _output(x, weight, None, ctx.geometry) if ctx.needs_input_grad[1] else None
        return to_input, output, None, None


# PyTorch leaves `apply` untyped.
_output: Callable[[Tensor, Tensor, Tensor | None, _Geometry], Tensor] = _Output.apply
_to_input: Callable[[Tensor, Tensor, Tensor, _Geometry], Tensor] = _ToInput.apply
_to_weight: Callable[[Tensor, Tensor, Tensor, _Geometry], Tensor] = _ToWeight.apply


def _gradients(grad: Tensor, x: Tensor, weight: Tensor, geometry: _Geometry, which: int) -> Tensor:
    stride, padding, groups = geometry
    mask = [which == 0, which == 1, False]
    result: Tensor = torch.ops.aten.convolution_backward(
        grad, x, weight, None, stride, padding, (1, 1), False, (0, 0), groups, mask
    )[which]
    return result


def _cast(x: Tensor) -> Tensor:
    """What autocast would do to the arguments of a convolution; it does not see through a custom function."""
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x
