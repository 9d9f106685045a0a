"""Differences between ways of doing the same thing, seed by seed: their interval, and what may be said of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from evenodds.errors import BadInput

__all__ = ["Paired", "holm", "paired", "student_quantile", "student_tail"]


@dataclass(frozen=True)
class Paired:
    """The mean of paired differences, its interval, and the chance of one as large where there is none."""

    value: float
    low: float
    high: float
    p: float
    level: float
    """Of the interval, e.g. 0.95."""
    n: int


def paired(differences: Sequence[float], level: float = 0.95, overlap: float = 0.0) -> Paired:
    """Student's paired t (1908) of differences, one for each seed.

    Seeds whose test items overlap are not independent: with a share rho of test items in common, the variance of the
    mean is (1/n + rho / (1 - rho)) S^2, Nadeau and Bengio (2003), eq. 5; with disjoint test items it is S^2 / n.

    Args:
        differences: at least 2.
        level: of the interval, in (0, 1).
        overlap: rho, the mean share of test items that two seeds have in common, in [0, 1).
    """
    n = len(differences)
    if n < 2 or not 0 < level < 1 or not 0 <= overlap < 1:
        raise BadInput(
            f"paired differences need n >= 2, level in (0, 1), overlap in [0, 1), got {n}, {level}, {overlap}"
        )
    mean = math.fsum(differences) / n
    spread = math.fsum((d - mean) ** 2 for d in differences) / (n - 1)
    error = math.sqrt(spread * (1 / n + overlap / (1 - overlap)))
    if error < 1e-12:
        # Equal differences say how coarse the figure is, not how sure: the sign test is left (Dixon and Mood 1946).
        return Paired(mean, min(0.0, 2 * mean), max(0.0, 2 * mean), 2 * 0.5**n if mean else 1.0, level, n)
    reach = student_quantile(0.5 + level / 2, n - 1) * error
    return Paired(mean, mean - reach, mean + reach, 2 * student_tail(abs(mean) / error, n - 1), level, n)


def holm(p: Sequence[float], alpha: float = 0.05) -> list[float]:
    """For each of several comparisons, the level alpha at which Holm (1979) tests it.

    The smallest p is held against alpha / m, the next against alpha / (m - 1), and so on to the first that fails; the
    rest is held against the level of that one. A comparison is found, p < its level, exactly where the interval of
    1 - level leaves 0 out; the chance that any of m true zeros is found is at most alpha.
    """
    order = sorted(range(len(p)), key=lambda k: p[k])
    levels, step, failed = [0.0] * len(p), 0, False
    for place, k in enumerate(order):
        step = step if failed else place
        levels[k] = alpha / (len(p) - step)
        failed = failed or p[k] >= levels[k]
    return levels


def student_tail(t: float, freedom: int) -> float:
    """P(T > t) for t >= 0 and a whole number of degrees of freedom: Abramowitz and Stegun (1964), 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    term = total = 1.0
    if freedom % 2:
        term = total = math.cos(angle) if freedom > 1 else 0.0
        for k in range(3, freedom, 2):
            term *= square * (k - 1) / k
            total += term
        within = 2 / math.pi * (angle + sine * total)
    else:
        for k in range(2, freedom, 2):
            term *= square * (k - 1) / k
            total += term
        within = sine * total
    return max(0.0, (1 - within) / 2)


@lru_cache(maxsize=256)
def student_quantile(share: float, freedom: int) -> float:
    """The t >= 0 with P(T <= t) = share, for share in [0.5, 1): by bisection of `student_tail`."""
    low, high = 0.0, 1.0
    while student_tail(high, freedom) > 1 - share:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, freedom) > 1 - share else (low, middle)
    return (low + high) / 2
