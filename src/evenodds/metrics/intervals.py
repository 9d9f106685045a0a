"""Intervals for any score of two sets, by comparing random halves of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from evenodds.game.rules import mix

__all__ = ["Interval", "Side", "floors", "halves", "intervals", "student", "wilson"]


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
        some = {name: None if (part := getattr(self, name)) is None else part[index] for name in parts}
        return replace(self, x=self.x[index], features=self.features[index], **some)


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
    """
    whole = statistic(real, fake)
    apart: dict[str, list[float]] = {name: [] for name in whole}
    for k in range(pairs):
        rng = torch.Generator().manual_seed(mix(seed, k))
        reals, fakes = halves(len(real), rng), halves(len(fake), rng)
        first, second = (statistic(real.take(r), fake.take(f)) for r, f in zip(reals, fakes, strict=True))
        for name in whole:
            apart[name].append((first[name] - second[name]) / 2)
    return {name: Interval.around(value, _size(apart[name]), student(pairs)) for name, value in whole.items()}


def floors(
    statistic: Statistic, real: Side, others: Side, n: int, deals: int = 8, seed: int = 0
) -> dict[str, Interval]:
    """Where each value falls when real items take the place of the samples: the mean, and the range of 95 %.

    Reference and other real items are shuffled together and dealt anew, as many to each side as are compared else: the
    permutation distribution of a two-sample test. One fixed pair of sets would carry its own luck, and sets that were
    split by class are more alike than independent draws are.

    Args:
        real: the reference.
        others: further real items, at least n.
        n: how many take the samples' place.
        deals: how often; the range is Student's with as many degrees of freedom less one.
    """
    everything = real.join(others)
    found: dict[str, list[float]] = {}
    for k in range(deals):
        order = torch.randperm(len(everything), generator=torch.Generator().manual_seed(mix(seed, k)))
        dealt = statistic(everything.take(order[: len(real)]), everything.take(order[len(real) : len(real) + n]))
        for name, value in dealt.items():
            found.setdefault(name, []).append(value)
    return {name: _range(values) for name, values in found.items()}


def _range(values: Sequence[float]) -> Interval:
    """The mean, and where 95 % of further values fall."""
    mean, n = sum(values) / len(values), len(values)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) * (1 + 1 / n))
    return Interval.around(mean, spread, student(n - 1))


def halves(n: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Two disjoint random halves of n rows, of equal size; with an odd n, one row is in neither."""
    order = torch.randperm(n, generator=rng)
    return iter((order[: n // 2], order[n // 2 : n // 2 * 2]))


def _size(differences: Sequence[float]) -> float:
    """Their root mean square: the mean of the differences is known to be 0."""
    return math.sqrt(sum(d * d for d in differences) / len(differences))


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, by Hill's (1970) expansion in 1 / freedom: within 0.5 % from 3 on."""
    z = 1.959964
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / freedom**k for k, term in enumerate(terms))


def wilson(successes: int, n: int, z: float = 1.959964) -> Interval:
    """A share with its 95 % interval (Wilson 1927): honest for 0 of n and for small n."""
    share, shrunk = successes / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / shrunk
    half = z / shrunk * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, min(share, middle - half), max(share, middle + half))
