"""Small arithmetic that several rooms share: spread indices, 8-bit values, luma, the interval of a share.

torch is imported where it is needed alone, as luma is of arrays of numpy too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["LUMA", "constant", "eight_bit", "evenly", "luma", "wilson"]

LUMA = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in the luma of ITU-R BT.601 (1982)."""
Pixels = TypeVar("Pixels", "Tensor", NDArray[Any])


def evenly(n: int, k: int) -> Tensor:
    """At most k of the indices 0 to n - 1, evenly spread and ascending, the first and the last among them.

    Returns:
        (min(n, k),) int64; all of them where k >= n. A single one is 0.
    """
    import torch

    return torch.linspace(0, n - 1, min(n, k)).long()


@lru_cache(maxsize=256)
def constant(values: Sequence[Any], device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Fixed numbers on a device, kept: a round on an accelerator does not wait for them to be sent again.

    Args:
        values: tuples, of tuples where there are several axes.

    Returns:
        The same tensor each time, which nobody may change.
    """
    import torch

    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)


def eight_bit(x: Tensor) -> Tensor:
    """x in [-1, 1] as uint8 in [0, 255], rounded; what lies outside is clipped."""
    return ((x + 1) * 127.5).round().clamp(0, 255).byte()


def luma(x: Pixels) -> Pixels:
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


def wilson(share: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The interval of a share that was seen among n items (Wilson 1927): honest for 0 of n and for small n.

    Args:
        share: in [0, 1].
        n: at least 1.
        z: quantile of the normal distribution; the default gives 95 %.

    Returns:
        The lower and the upper end, in [0, 1].
    """
    shrunk = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / shrunk
    reach = z / shrunk * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # A share of 0 is the lower end exactly, and rounding must not lift it.
    return min(share, max(0.0, middle - reach)), max(share, min(1.0, middle + reach))
