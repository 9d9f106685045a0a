"""Small arithmetic that several rooms share: evenly spread indices, the luma of colours."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["LUMA", "evenly", "luma"]

LUMA = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in the luma of ITU-R BT.601 (1982)."""


def evenly(n: int, k: int) -> Tensor:
    """At most k of the indices 0 to n - 1, evenly spread and ascending, the first and the last among them.

    Returns:
        (min(n, k),) int64; all of them where k >= n. A single one is 0.
    """
    return torch.linspace(0, n - 1, min(n, k)).long()


def luma(x: Tensor) -> Tensor:
    """The luma of ITU-R BT.601, in the range of x.

    Args:
        x: (N, C, H, W): one channel, grey, which is returned as it is; or red, green, blue and what follows them.

    Returns:
        (N, 1, H, W).
    """
    if x.shape[1] == 1:
        return x
    red, green, blue = LUMA
    return red * x[:, :1] + green * x[:, 1:2] + blue * x[:, 2:3]
