"""What generated items must pass before they are used, and the drawing of them until enough have passed.

A filter is any callable (x (N, ...) in [-1, 1], label, rng) -> (N,) bool: which items of that class may stay. A filter
whose `prepare` exists is shown a first portion of the class before it judges any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from evenodds.apply.rejection import acceptance, log_odds
from evenodds.errors import BadInput
from evenodds.game.arithmetic import evenly
from evenodds.game.seeds import mix
from evenodds.metrics.memorisation import CopyTest
from evenodds.metrics.neighbours import nearest

__all__ = ["Agreement", "Copies", "Count", "Draw", "Duplicates", "Filter", "Rejection", "drawn_until"]

Filter = Callable[[Tensor, int, torch.Generator], Tensor]
Draw = Callable[[int, int, torch.Generator], Tensor]
"""(label, n, rng) -> (n, ...) in [-1, 1]: a generator that is asked for a class."""
Features = Callable[[Tensor], Tensor]
"""(N, ...) in [-1, 1] -> (N, F)."""


@dataclass(frozen=True)
class Agreement:
    """Keeps what a classifier takes for the class that was asked for.

    What it refuses lies near the border of two classes, right or wrong: the samples that stay are easier than the data.

    Args:
        probabilities: (N, ...) in [-1, 1] -> (N, K), of a classifier fitted to training items alone.
    """

    probabilities: Features

    def __call__(self, x: Tensor, label: int, rng: torch.Generator) -> Tensor:
        return torch.cat([self.probabilities(part).argmax(1) for part in torch.split(x, 1024)]) == label


@dataclass
class Rejection:
    """Discriminator rejection sampling, Azadi et al. (2019).

    Where the logit is log p(x) / q(x) up to a constant, keeping x with the chance exp(logit - M), M being its greatest
    value, turns samples of q into samples of p (section 3.1). M is taken from a first portion, as in their burn-in, and
    raised where a later logit exceeds it. The constant drops out, so that relativistic discriminators do as well.

    Args:
        logits: (x, label) -> (N,), the discriminator's.
        percentile: gamma of their eq. 8 is this percentile of the shifted logits of the first portion, so that a sample
            that lies there is kept with even odds; they take 80. None for gamma = 0, the exact rule.
    """

    logits: Callable[[Tensor, int], Tensor]
    percentile: float | None = 80.0
    most: dict[int, float] = field(default_factory=dict)
    gamma: dict[int, float] = field(default_factory=dict)

    def prepare(self, x: Tensor, label: int) -> None:
        """The burn-in: M and gamma of a class, from its first samples."""
        logits = self._all(x, label)
        self.most[label] = float(logits.max())
        odds = log_odds(logits, self.most[label])
        self.gamma[label] = 0.0 if self.percentile is None else float(odds.quantile(self.percentile / 100))

    def __call__(self, x: Tensor, label: int, rng: torch.Generator) -> Tensor:
        logits = self._all(x, label)
        self.most[label] = max(self.most[label], float(logits.max()))
        chance = acceptance(logits, self.most[label], self.gamma[label])
        return torch.rand(len(x), generator=rng, dtype=torch.float64) < chance

    def _all(self, x: Tensor, label: int) -> Tensor:
        return torch.cat([self.logits(part, label) for part in torch.split(x, 1024)]).double().cpu()


@dataclass(frozen=True)
class Copies:
    """Refuses what lies much nearer to a training item than to any held-out one: see `metrics.memorisation.suspects`.

    Of honest samples it refuses about 1 %, as of new real items.

    Args:
        features: of samples.
        train: (T, F) features of what the generator was trained on, by label.
        held_out: (H, F) of items of the same kind that it was not.
    """

    features: Features
    train: Mapping[int, Tensor]
    held_out: Mapping[int, Tensor]
    _tests: dict[int, CopyTest] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, x: Tensor, label: int, rng: torch.Generator) -> Tensor:
        if label not in self._tests:
            self._tests[label] = self._test(label)
        return ~self._tests[label](self.features(x)).suspected

    def _test(self, label: int) -> CopyTest:
        train, held_out = self.train[label], self.held_out[label]
        if len(train) < 2 or len(held_out) < 2:  # too few of this class to know what is near: all classes together
            train, held_out = (torch.cat([*part.values()]) for part in (self.train, self.held_out))
        return CopyTest(train, held_out)


@dataclass
class Duplicates:
    """Refuses what lies as near to another sample of its class as hardly any two training items of it do.

    Of two near samples the first stays. Near is at most the first percentile of the distances from training items to
    the nearest other one.

    Args:
        features: of samples.
        train: (T, F) features of training items, by label.
    """

    features: Features
    train: Mapping[int, Tensor]
    accepted: dict[int, Tensor] = field(default_factory=dict)

    def __call__(self, x: Tensor, label: int, rng: torch.Generator) -> Tensor:
        features, tolerance = self.features(x).double(), self._tolerance(label)
        # Against all earlier ones of the portion, kept or not: an order without a loop over items.
        alone = ~(torch.cdist(features, features) <= tolerance).tril(-1).any(1)
        earlier = self.accepted.get(label)
        if earlier is not None and len(earlier):
            alone &= nearest(features, earlier)[0] > tolerance
        self.accepted[label] = features[alone] if earlier is None else torch.cat([earlier, features[alone]])
        return alone

    def _tolerance(self, label: int) -> float:
        train = self.train[label].double()
        if len(train) < 2:
            return 0.0
        reference = train[evenly(len(train), 1000)]
        apart = torch.cdist(reference, train)
        # The item itself, and what repeats it in the data, lies at distance 0 and says nothing.
        apart = apart.masked_fill(apart <= 1e-6 * float(train.norm(dim=1).mean()), torch.inf).amin(1)
        distances = apart[apart.isfinite()]
        return float(distances.quantile(0.01)) if len(distances) else 0.0


@dataclass
class Count:
    """What became of the samples of a class: drawn = sum of refused + spare + written."""

    requested: int
    drawn: int = 0
    spare: int = 0
    """Passed, and were not needed."""
    written: int = 0
    passed: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As the manifest holds it, where `requested` has the key "asked"."""
        numbers = asdict(self)
        return {"asked": numbers.pop("requested"), **numbers}


def drawn_until(
    draw: Draw,
    label: int,
    n: int,
    filters: Mapping[str, Filter],
    seed: int,
    *,
    tries: int = 50,
    burn_in: int = 1000,
    portion: int = 1024,
    step: Callable[[int], None] = lambda have: None,
) -> tuple[list[Tensor], Count]:
    """Draws samples of a class until n have passed all filters, in their order.

    Args:
        filters: by name.
        seed: of all draws: the k-th portion of a class is always the same.
        tries: at most about so many draws for each one asked for, and at least 1,000 in all.
        burn_in: samples that `prepare` of a filter is shown; they are drawn apart and not used.
        portion: samples at a time, at most.
        step: told how many have passed.

    Returns:
        Portions that passed, n samples in all, or fewer where the bound was met; and what became of those drawn.
    """
    if n < 0 or tries < 1:
        raise BadInput(f"samples asked for must be at least 0 and tries at least 1, got {n} and {tries}")
    count = Count(n, passed=dict.fromkeys(filters, 0), refused=dict.fromkeys(filters, 0))
    preparing = [one for one in filters.values() if hasattr(one, "prepare")]
    if preparing and n:
        first = draw(label, burn_in, _rng(seed, label, -1))
        for one in preparing:
            one.prepare(first, label)
    portions: list[Tensor] = []
    most, have = max(1000, tries * n), 0
    while have < n and count.drawn < most:
        rate = max(have / count.drawn, 1 / tries) if count.drawn else 1.0
        size = min(portion, most - count.drawn, max(16, math.ceil(1.1 * (n - have) / rate)))
        rng = _rng(seed, label, len(portions))
        x = _sifted(draw(label, size, rng), label, filters, rng, count)
        count.drawn += size
        portions.append(x[: n - have])
        count.spare += len(x) - len(portions[-1])
        have += len(portions[-1])
        step(have)
    count.written = have
    return portions, count


def _sifted(x: Tensor, label: int, filters: Mapping[str, Filter], rng: torch.Generator, count: Count) -> Tensor:
    for name, one in filters.items():
        stays = one(x, label, rng) if len(x) else torch.ones(0, dtype=torch.bool)
        count.refused[name] += int((~stays).sum())
        x = x[stays]
        count.passed[name] += len(x)
    return x


def _rng(seed: int, label: int, portion: int) -> torch.Generator:
    return torch.Generator().manual_seed(mix(seed, label, portion))
