"""What is computed in another way while a network is exported: by operators that ONNX has, to the same numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["is_exporting", "log_ndtr", "searchsorted"]

_ERFC = (
    -1.26551223,
    1.00002368,
    0.37409196,
    0.09678418,
    -0.18628806,
    0.27886807,
    -1.13520398,
    1.48851587,
    -0.82215223,
    0.17087277,
)
"""Of log erfc(t) + t^2 - log k in powers of k = 1 / (1 + t / 2), t >= 0: a Chebyshev fit (Press et al. 1992, section
6.2), with a relative error of erfc below 1.2e-7."""


def is_exporting() -> bool:
    """Whether torch.export traces what is computed; before torch 2.7 that is not said."""
    return bool(getattr(torch.compiler, "is_exporting", lambda: False)())


def log_ndtr(x: Tensor) -> Tensor:
    """`torch.special.log_ndtr`: the logarithm of the standard normal distribution function."""
    if not is_exporting():
        exact: Tensor = torch.special.log_ndtr(x)
        return exact
    t = x.abs() / math.sqrt(2)
    k = 1 / (1 + 0.5 * t)
    power = torch.zeros_like(t)
    for coefficient in reversed(_ERFC):
        power = power * k + coefficient
    log_tail = k.log() - t * t + power - math.log(2)  # of the smaller side
    return torch.where(x < 0, log_tail, (1 - log_tail.exp()).log())


def searchsorted(ends: Tensor, values: Tensor) -> Tensor:
    """`torch.searchsorted` of values (A, N) among ends (A, L), ascending in each row."""
    if not is_exporting():
        return torch.searchsorted(ends, values)
    return (ends[:, None, :] < values[:, :, None]).sum(2)
