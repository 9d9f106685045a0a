"""How near images are to the truth, pixel by pixel: the peak signal-to-noise ratio, as papers on super-resolution."""

from __future__ import annotations

import torch
from torch import Tensor

from evenodds.errors import BadInput

__all__ = ["luma", "psnr"]

_WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)
"""Of red, green and blue in the Y of ITU-R BT.601, whose range is 16 to 235 of 255."""
_MIDDLE = (16 + 235) / 255 - 1
"""Of that range, in [-1, 1]."""


def luma(x: Tensor) -> Tensor:
    """The Y of YCbCr (ITU-R BT.601) of x (N, 3, H, W) in [-1, 1]: (N, 1, H, W), from 16 to 235 of 255, as -1 to 1.

    Images of one channel, and what has more than three, are left as they are.
    """
    if x.shape[1] != 3:
        return x
    weights = torch.tensor(_WEIGHTS, dtype=x.dtype, device=x.device)
    return torch.einsum("nchw,c->nhw", x, weights)[:, None] + _MIDDLE


def psnr(x: Tensor, truth: Tensor, border: int = 0) -> Tensor:
    """(N,) decibels on Y: 10 log10(peak^2 / mean squared error), the peak being the range of [-1, 1].

    Args:
        x: (N, C, H, W) in [-1, 1].
        truth: like x.
        border: pixels to leave out on each side; as many as the scale, by custom in super-resolution.
    """
    if x.shape != truth.shape or min(x.shape[2:]) <= 2 * border:
        raise BadInput(
            f"images need one size, above twice the border; got {tuple(x.shape)}, {tuple(truth.shape)}, {border}"
        )
    inner = slice(border, -border or None)
    error = (luma(x) - luma(truth))[..., inner, inner].double().square().mean((1, 2, 3))
    return 10 * (4 / error).log10()
