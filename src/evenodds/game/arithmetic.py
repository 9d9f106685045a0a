"""Small arithmetic that several rooms share: spread indices, fixed numbers, 8-bit values, luma, intervals of shares.

torch is imported where it is needed alone, as luma is of arrays of numpy too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["LUMA", "constant", "eight_bit", "evenly", "luma", "made_once", "wilson"]

LUMA = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in the luma of ITU-R BT.601 (1982)."""
Pixels = TypeVar("Pixels", "Tensor", NDArray[Any])
P = ParamSpec("P")
T = TypeVar("T")


def evenly(n: int, k: int) -> Tensor:
    """At most k of the indices 0 to n - 1, evenly spread and ascending, the first and the last among them.

    Returns:
        (min(n, k),) int64; all of them where k >= n. A single one is 0.
    """
    import torch

    return torch.linspace(0, n - 1, min(n, k)).long()


def made_once(make: Callable[P, T]) -> Callable[P, T]:
    """A function whose answers are made once: a round on an accelerator does not wait for them to be sent again.

    Args:
        make: answers by its arguments, which can be hashed, with tensors that nobody may change.
    """

    @lru_cache(maxsize=256)
    def answers(*args: P.args, **kwargs: P.kwargs) -> T:
        import torch

        with torch.inference_mode(False):
            return make(*args, **kwargs)

    @wraps(make)
    def answer(*args: P.args, **kwargs: P.kwargs) -> T:
        import torch

        if torch.compiler.is_compiling():
            return make(*args, **kwargs)
        # Where memory is counted, see evenodds.runs.peak, or a graph is exported, tensors hold no numbers, though they
        # may say that they are on the CPU.
        numbers = torch.empty(0)
        plain = type(numbers) is torch.Tensor and not numbers.is_meta
        return answers(*args, **kwargs) if plain else make(*args, **kwargs)  # type: ignore[arg-type]

    return answer


@made_once
def constant(values: Sequence[Any], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Fixed numbers on a device: the same tensor each time, which nobody may change.

    Args:
        values: tuples, of tuples where there are several axes.
    """
    import torch

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
