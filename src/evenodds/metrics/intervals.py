"""Intervals for any score of two sets, by comparing random halves of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.arithmetic import wilson
from evenodds.game.rules import mix

__all__ = ["Interval", "Side", "floors", "intervals", "student_quantile", "student_tail"]


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % confidence interval."""

    value: float
    low: float
    high: float

    @classmethod
    def around(cls, value: float, standard_error: float, quantile: float = 1.96) -> Interval:
        """value +- quantile * standard_error."""
        return cls(value, value - quantile * standard_error, value + quantile * standard_error)

    @classmethod
    def of_share(cls, successes: int, n: int) -> Interval:
        """The share of successes among n items, with Wilson's interval."""
        return cls(successes / n, *wilson(successes / n, n))


@dataclass(frozen=True)
class Side:
    """One of the two sets that are compared: what is known of its items, row by row."""

    x: Tensor
    """(N, C, H, W) or (N, D) in [-1, 1]."""
    features: Tensor
    """(N, F)."""
    probabilities: Tensor | None = None
    """(N, K) of the classes, where the features come with a classifier."""
    labels: Tensor | None = None
    """(N,) int64, -1 unknown."""

    def __len__(self) -> int:
        """The number of items."""
        return len(self.x)

    def join(self, other: Side) -> Side:
        """The items of both."""
        parts = {name: (getattr(self, name), getattr(other, name)) for name in ("probabilities", "labels")}
        both = {name: None if None in (a, b) else torch.cat([a, b]) for name, (a, b) in parts.items()}
        return Side(torch.cat([self.x, other.x]), torch.cat([self.features, other.features]), **both)

    def take(self, index: Tensor) -> Side:
        """Some of the items."""
        parts = ("probabilities", "labels")
        taken = {name: None if (part := getattr(self, name)) is None else part[index] for name in parts}
        return replace(self, x=self.x[index], features=self.features[index], **taken)


Statistic = Callable[[Side, Side], Mapping[str, float]]
"""(real, fake) -> named values."""


def intervals(statistic: Statistic, real: Side, fake: Side, pairs: int = 8, seed: int = 0) -> dict[str, Interval]:
    """Each value of the statistic with a 95 % interval for its sampling error.

    Both sets are cut into random halves, `pairs` times over; half the difference between the statistics of the two
    halves varies as the statistic of the whole does (the balanced half-samples of McCarthy 1969; Shao and Tu 1995,
    section 5.2): exactly so for means, and without the ties that a bootstrap gives to nearest neighbours. What a
    smaller n alone changes, such as the bias of the Fréchet distance, is the same in both halves and drops out. Where
    the statistic is degenerate, as the kernel distance of two equal distributions, the interval is too wide, by about
    1.4.

    Args:
        statistic: (real, fake) -> named values.
        real: the reference, at least 4 items.
        fake: what is compared with it, at least 4 items.
        pairs: how often the sets are halved; the interval is Student's with as many degrees of freedom.
        seed: of the halves.

    Returns:
        Name -> value and interval.

    Raises:
        BadInput: fewer than 1 pair, or whatever the statistic refuses.
    """
    if pairs < 1:
        raise BadInput(f"intervals need at least 1 pair of halves, got {pairs}")
    whole = statistic(real, fake)
    apart: dict[str, list[float]] = {name: [] for name in whole}
    for k in range(pairs):
        rng = torch.Generator().manual_seed(mix(seed, k))
        reals, fakes = _halves(len(real), rng), _halves(len(fake), rng)
        first, second = (statistic(real.take(r), fake.take(f)) for r, f in zip(reals, fakes, strict=True))
        for name in whole:
            apart[name].append((first[name] - second[name]) / 2)
    quantile = student_quantile(0.975, pairs)
    return {name: Interval.around(value, _size(apart[name]), quantile) for name, value in whole.items()}


def floors(
    statistic: Statistic, real: Side, others: Side, n: int, deals: int = 8, seed: int = 0
) -> dict[str, Interval]:
    """Where each value falls when real items take the place of the samples: the mean, and the range of 95 %.

    Reference and other real items are shuffled together and dealt anew, as many to each side as are compared else: the
    permutation distribution of a two-sample test (Good 2005). One fixed pair of sets would carry its own luck, and sets
    that were split by class are more alike than independent draws are.

    Args:
        statistic: (real, fake) -> named values.
        real: the reference.
        others: further real items, at least n.
        n: how many take the samples' place.
        deals: how often, at least 2; the range is Student's with as many degrees of freedom less one.
        seed: of the deals.

    Returns:
        Name -> mean and range.

    Raises:
        BadInput: fewer than 2 deals, or whatever the statistic refuses.
    """
    if deals < 2:
        raise BadInput(f"a floor needs at least 2 deals, got {deals}")
    everything = real.join(others)
    by_name: dict[str, list[float]] = {}
    for k in range(deals):
        order = torch.randperm(len(everything), generator=torch.Generator().manual_seed(mix(seed, k)))
        dealt = statistic(everything.take(order[: len(real)]), everything.take(order[len(real) : len(real) + n]))
        for name, value in dealt.items():
            by_name.setdefault(name, []).append(value)
    return {name: _range(values) for name, values in by_name.items()}


def _range(values: Sequence[float]) -> Interval:
    """The mean, and where 95 % of further values fall."""
    mean, n = sum(values) / len(values), len(values)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) * (1 + 1 / n))
    return Interval.around(mean, spread, student_quantile(0.975, n - 1))


def _halves(n: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Two disjoint random halves of n rows, of equal size; with an odd n, one row is in neither."""
    order = torch.randperm(n, generator=rng)
    return iter((order[: n // 2], order[n // 2 : n // 2 * 2]))


def _size(differences: Sequence[float]) -> float:
    """Their root mean square: the mean of the differences is known to be 0."""
    return math.sqrt(sum(d * d for d in differences) / len(differences))


def student_tail(t: float, freedom: int) -> float:
    """P(T > t) of Student's (1908) t: Abramowitz and Stegun (1964), 26.7.3 and 26.7.4.

    Args:
        t: at least 0.
        freedom: degrees of freedom, a whole number, at least 1.

    Returns:
        In [0, 0.5].

    Raises:
        BadInput: a negative t, or less than 1 degree of freedom.
    """
    if not t >= 0 or freedom < 1:
        raise BadInput(f"Student's t needs t >= 0 and freedom >= 1, got {t} and {freedom}")
    angle = math.atan(t / math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    if freedom % 2 == 0:
        return max(0.0, (1 - sine * _series(1.0, square, range(2, freedom, 2))) / 2)
    total = _series(math.cos(angle), square, range(3, freedom, 2)) if freedom > 1 else 0.0
    return max(0.0, (1 - 2 / math.pi * (angle + sine * total)) / 2)


def _series(first: float, square: float, steps: range) -> float:
    """The partial sums of 26.7.3 and 26.7.4: each term is the one before times square (k - 1) / k."""
    term = total = first
    for k in steps:
        term *= square * (k - 1) / k
        total += term
    return total


@lru_cache(maxsize=256)
def student_quantile(share: float, freedom: int) -> float:
    """The t with P(T <= t) = share of Student's (1908) t, by bisection of `student_tail`.

    Args:
        share: in [0.5, 1).
        freedom: degrees of freedom, a whole number, at least 1.

    Returns:
        At least 0.

    Raises:
        BadInput: a share out of range, or less than 1 degree of freedom.
    """
    if not 0.5 <= share < 1:
        raise BadInput(f"a quantile of Student's t needs a share in [0.5, 1), got {share}")
    low, high = 0.0, 1.0
    while student_tail(high, freedom) > 1 - share:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, freedom) > 1 - share else (low, middle)
    return (low + high) / 2
