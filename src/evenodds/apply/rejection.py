"""The chance to keep a sample in rejection sampling by the discriminator.

DRS, Azadi et al. (2019); and under a budget of draws, OBRS, Verine et al. (2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

__all__ = ["acceptance", "budgeted_highest", "gamma_for", "log_odds"]


def acceptance(log_ratio: Tensor, highest: float, gamma: float = 0.0) -> Tensor:
    """The chance to keep each sample (Azadi et al. 2019, eqs. 6 to 8): sigmoid(F), F = `log_odds` - gamma.

    With gamma = 0 it is exp(log_ratio - highest): what is kept is distributed as the data where log_ratio is the true
    one and `highest` its maximum.

    Args:
        log_ratio: (N,) log p_data(x) / p_g(x), up to a constant: logits of the discriminator.
        highest: the maximum of the log ratio.
        gamma: the log odds that give even odds.

    Returns:
        (N,) float64 in [0, 1].
    """
    t = (log_ratio - highest).clamp(max=0).double()
    # sigmoid(F) = e^t / (e^t + e^gamma (1 - e^t)), which is finite at t = 0.
    odds = t.exp()
    return odds / (odds + math.exp(gamma) * -t.expm1()).clamp_min(1e-300)


def budgeted_highest(log_ratio: Tensor, rate: float) -> float:
    """The log ratio from which on all is kept, so that a share `rate` is; the maximum, where that keeps as many.

    min(1, exp(log_ratio - highest)) is the chance to keep a sample that brings what is kept nearest to the data, by any
    f-divergence, among those that keep as many (Verine et al. 2024, "Optimal Budgeted Rejection Sampling for Generative
    Models", theorem 3.1).

    Args:
        log_ratio: (N,) of samples of the generator.
        rate: the least share to keep, in (0, 1].

    Example:
        >>> import torch
        >>> from evenodds.apply.rejection import acceptance, budgeted_highest
        >>> ratio = torch.tensor([0.1, 1.0, 1.0, 100.0]).log()
        >>> highest = budgeted_highest(ratio, 0.775)  # what the data have a hundred times as often is kept as the rest
        >>> acceptance(ratio, highest).round(decimals=3).tolist()
        [0.1, 1.0, 1.0, 1.0]
    """
    low, high = float(log_ratio.min()), float(log_ratio.max())
    if float(acceptance(log_ratio, high).mean()) >= rate:
        return high
    return _halved(lambda highest: acceptance(log_ratio, highest), rate, low, high, 60)[0]


def gamma_for(log_ratio: Tensor, highest: float, rate: float) -> float:
    """The gamma at which so great a share of log ratios (N,) is kept on average; by halving."""
    return sum(_halved(lambda gamma: acceptance(log_ratio, highest, gamma), rate, -60.0, 60.0, 50)) / 2


def _halved(
    chances: Callable[[float], Tensor], rate: float, low: float, high: float, times: int
) -> tuple[float, float]:
    """The ends, halved so many times, between which the mean of chances falls below a rate."""
    for _ in range(times):
        middle = (low + high) / 2
        low, high = (middle, high) if float(chances(middle).mean()) > rate else (low, middle)
    return low, high


def log_odds(log_ratio: Tensor, highest: float) -> Tensor:
    """t - log(1 - exp(t)) with t = log_ratio - highest, (N,) float64; kept finite at the maximum."""
    t = (log_ratio - highest).double().clamp(max=-1e-8)
    return t - (-t.expm1()).log()
