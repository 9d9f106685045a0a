"""The chance to keep a sample in discriminator rejection sampling (DRS, Azadi et al. 2019)."""

from __future__ import annotations

import math

from torch import Tensor

__all__ = ["acceptance", "log_odds"]


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


def log_odds(log_ratio: Tensor, highest: float) -> Tensor:
    """t - log(1 - exp(t)) with t = log_ratio - highest, (N,) float64; kept finite at the maximum."""
    t = (log_ratio - highest).double().clamp(max=-1e-8)
    return t - (-t.expm1()).log()
