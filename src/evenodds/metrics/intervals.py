"""Intervals for any score of two sets, by comparing random halves of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.arithmetic import wilson
from evenodds.game.seeds import mix
from evenodds.metrics.neighbourhood import Neighbourhood

__all__ = [
    "Interval", "Joint", "Pairs", "Side", "Statistic", "floors", "intervals", "student_quantile",
    "student_tail",
]  # fmt: skip


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


class Side:
    """One of the two sets that are compared: what is known of its items, row by row.

    Args:
        x: (N, C, H, W) or (N, D) in [-1, 1].
        features: (N, F).
        probabilities: (N, K) of the classes, where the features come with a classifier.
        labels: (N,) int64, -1 unknown.
        near: the neighbourhood to which the features belong; None for one of their own, made when it is needed.
        rows: (N,) int64, the numbers of these items in it.
    """

    def __init__(
        self,
        x: Tensor,
        features: Tensor,
        probabilities: Tensor | None = None,
        labels: Tensor | None = None,
        near: Neighbourhood | None = None,
        rows: Tensor | None = None,
    ) -> None:
        self._items = {"x": x, "features": features, "probabilities": probabilities, "labels": labels, "rows": rows}
        self._index: Tensor | None = None
        self.near = near

    def __len__(self) -> int:
        """The number of items."""
        return len(self._needed("x") if self._index is None else self._index)

    @property
    def x(self) -> Tensor:
        """(N, C, H, W) or (N, D) in [-1, 1]."""
        return self._needed("x")

    @property
    def features(self) -> Tensor:
        """(N, F)."""
        return self._needed("features")

    @property
    def probabilities(self) -> Tensor | None:
        """(N, K), or None."""
        return self._part("probabilities")

    @property
    def labels(self) -> Tensor | None:
        """(N,) int64, or None."""
        return self._part("labels")

    @property
    def rows(self) -> Tensor | None:
        """(N,) int64, numbers of rows of `near`, or None."""
        return self._part("rows")

    def _part(self, name: str) -> Tensor | None:
        part = self._items[name]
        return part if part is None or self._index is None else part[self._index]

    def _needed(self, name: str) -> Tensor:
        part = self._part(name)
        assert part is not None
        return part

    def without_labels(self) -> Side:
        """The same items, their labels unknown."""
        return self._like({**self._items, "labels": None}, self._index)

    def among(self, near: Neighbourhood, group: int) -> Side:
        """The same items, their features those of a group of a neighbourhood."""
        side = self._like({**self._items, "rows": near.rows(group)}, self._index)
        side.near = near
        return side

    def join(self, other: Side) -> Side:
        """The items of both."""
        parts = {name: (self._part(name), other._part(name)) for name in self._items}
        both = {name: None if a is None or b is None else torch.cat([a, b]) for name, (a, b) in parts.items()}
        joined = self._like(both, None)
        joined.near = self.near if self.near is other.near else None
        return joined

    def take(self, index: Tensor) -> Side:
        """Some of the items; of each part they are picked when it is asked for."""
        return self._like(self._items, index if self._index is None else self._index[index])

    def neighbours(self, fake: Side) -> tuple[Neighbourhood, Tensor, Tensor]:
        """The neighbourhood of both sides and their rows in it: the one that they belong to, or a new one."""
        a, b = self.rows, fake.rows
        if self.near is not None and self.near is fake.near and a is not None and b is not None:
            return self.near, a, b
        near = Neighbourhood(self.features, fake.features)
        return near, near.rows(0), near.rows(1)

    def _like(self, items: Mapping[str, Tensor | None], index: Tensor | None) -> Side:
        side = Side.__new__(Side)
        side._items, side._index, side.near = dict(items), index, self.near
        return side


Statistic = Callable[[Side, Side], Mapping[str, float]]
"""(real, fake) -> named values."""
Pairs = Iterable[tuple[Side, Side]]


@runtime_checkable
class Joint(Protocol):
    """A statistic that takes less time for many pairs of subsets of the same items than for one after the other."""

    def __call__(self, real: Side, fake: Side) -> Mapping[str, float]:
        """Of one pair."""
        ...

    def of_all(self, pairs: Pairs) -> list[Mapping[str, float]]:
        """Of each pair, as if one by one."""
        ...


def _values(statistic: Statistic, pairs: Pairs) -> list[Mapping[str, float]]:
    """The statistic of each pair."""
    return statistic.of_all(pairs) if isinstance(statistic, Joint) else [statistic(*pair) for pair in pairs]


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
    whole, *halves = _values(statistic, [(real, fake), *_halved(real, fake, pairs, seed)])
    couples = list(zip(halves[::2], halves[1::2], strict=True))
    apart = {name: [(first[name] - second[name]) / 2 for first, second in couples] for name in whole}
    quantile = student_quantile(0.975, pairs)
    return {name: Interval.around(value, _size(apart[name]), quantile) for name, value in whole.items()}


def floors(
    statistic: Statistic, real: Side, others: Side, n: int, shuffles: int = 8, seed: int = 0
) -> dict[str, Interval]:
    """Where each value falls when real items take the place of the samples: the mean, and the range of 95 %.

    Reference and other real items are shuffled together and split anew, as many on each side as are compared else: the
    permutation distribution of a two-sample test (Good 2005). One fixed pair of sets would carry its own luck, and sets
    that were split by class are more alike than independent draws are.

    Args:
        statistic: (real, fake) -> named values.
        real: the reference.
        others: further real items, at least n.
        n: how many take the samples' place.
        shuffles: how many, at least 2; the range is Student's with as many degrees of freedom less one.
        seed: of the shuffles.

    Returns:
        Name -> mean and range.

    Raises:
        BadInput: fewer than 2 shuffles, or whatever the statistic refuses.
    """
    if shuffles < 2:
        raise BadInput(f"a floor needs at least 2 shuffles, got {shuffles}")
    everything = real.join(others)
    rngs = (torch.Generator().manual_seed(mix(seed, k)) for k in range(shuffles))
    orders = [torch.randperm(len(everything), generator=rng) for rng in rngs]
    cut, end = len(real), len(real) + n
    by_shuffle = _values(
        statistic, [(everything.take(order[:cut]), everything.take(order[cut:end])) for order in orders]
    )
    return {name: _range([values[name] for values in by_shuffle]) for name in by_shuffle[0]}


def _halved(real: Side, fake: Side, pairs: int, seed: int) -> Iterator[tuple[Side, Side]]:
    """For each of so many cuts of both sides into halves: the first halves, and the second halves."""
    for k in range(pairs):
        rng = torch.Generator().manual_seed(mix(seed, k))
        reals, fakes = _halves(len(real), rng), _halves(len(fake), rng)
        yield from ((real.take(r), fake.take(f)) for r, f in zip(reals, fakes, strict=True))


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
