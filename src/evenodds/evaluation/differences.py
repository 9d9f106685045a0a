"""Differences between ways of doing the same thing, seed by seed: their interval, and what may be said of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evenodds.errors import BadInput
from evenodds.metrics.intervals import student_quantile, student_tail

__all__ = ["PairedDifference", "holm_levels", "paired_difference"]


@dataclass(frozen=True)
class PairedDifference:
    """The mean of paired differences, its interval, and the chance of one as large where there is none."""

    value: float
    low: float
    high: float
    p: float
    level: float
    """Of the interval, e.g. 0.95."""
    n: int


def paired_difference(differences: Sequence[float], level: float = 0.95, overlap: float = 0.0) -> PairedDifference:
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
        return PairedDifference(mean, min(0.0, 2 * mean), max(0.0, 2 * mean), 2 * 0.5**n if mean else 1.0, level, n)
    reach = student_quantile(0.5 + level / 2, n - 1) * error
    return PairedDifference(mean, mean - reach, mean + reach, 2 * student_tail(abs(mean) / error, n - 1), level, n)


def holm_levels(p: Sequence[float], alpha: float = 0.05) -> list[float]:
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
