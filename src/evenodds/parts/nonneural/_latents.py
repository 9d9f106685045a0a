"""What a mixture of copulas learns of rows: their latent classes, and of each the covariance of its latent numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt

import torch
from torch import Tensor

from evenodds.parts.choosing import Block, order_of, starts_of

__all__ = ["GRID", "Layout", "Seen", "drawn", "latent_classes", "shares_of"]

SWEEPS, KEPT = 44, 22
"""Turns in which latent numbers are drawn, and the last of them, whose covariances are averaged."""
STEPS = 60
"""Steps of expectation and maximisation."""
WEIGHT = 5.0
"""Rows of the whole table that a class is taken to have seen besides its own."""
FLOOR = 0.1
"""From this share of the cells on, the least number of a column is a choice beside its amounts."""
LEAST_SPREAD, RIDGE = 0.15, 1e-3
GRID = 512
"""Quantiles of an amount that are kept for each class."""


@dataclass(frozen=True)
class Layout:
    """What of a row is what: latent numbers are those of amounts, of choices, and of which amounts are the least."""

    amounts: list[int]
    """Columns of the row."""
    choices: list[tuple[int, int]]
    """The first column, and how many there are."""
    amount_of: list[int]
    """Of each choice the amount that its first one stands for; -1 where there is none."""
    block_of: list[int]
    """Of each choice."""
    order: Tensor
    """Of the row's columns among amounts and choices."""

    @property
    def beside(self) -> list[int]:
        """How many choices there are, where one of them is an amount."""
        return [count for (_, count), amount in zip(self.choices, self.amount_of, strict=True) if amount >= 0]

    @property
    def counts(self) -> list[int]:
        """How many choices there are; two of whether an amount is the least."""
        return [*(count for _, count in self.choices), *(2 for _ in self.amounts)]

    @property
    def size(self) -> int:
        """Latent numbers."""
        return len(self.amounts) + len(self.counts)

    @classmethod
    def of(cls, width: int, blocks: Sequence[Block]) -> Layout:
        blocks = blocks or [((0.0,), False, 0)] * width
        amounts, choices = starts_of(blocks)
        block_of = [number for number, (_, _, count) in enumerate(blocks) if count]
        before = [sum(bool(scores) for scores, _, _ in blocks[:number]) for number in block_of]
        amount_of = [k if blocks[number][0] else -1 for k, number in zip(before, block_of, strict=True)]
        return cls(amounts, choices, amount_of, block_of, order_of(amounts, choices))


@dataclass(frozen=True)
class Seen:
    """Rows: their amounts, which of these are known, and their choices."""

    layout: Layout
    amounts: Tensor
    """(N, A)."""
    known: Tensor
    """(N, A) bool."""
    codes: Tensor
    """(N, choices): which choice a cell is."""
    floors: Tensor
    """(A,) the least amount."""

    @classmethod
    def of(cls, layout: Layout, rows: Tensor, levels: Tensor) -> Seen:
        """Rows (N, D); `levels` (A, choices): where choices lie among the amounts."""
        amounts = rows[:, layout.amounts]
        known = torch.ones(amounts.shape, dtype=torch.bool)
        codes = [rows[:, at : at + count].argmax(1) for at, count in layout.choices]
        for k, amount in enumerate(layout.amount_of):
            if amount >= 0:
                place = torch.cat([torch.full((1,), torch.nan), levels[amount]])[codes[k]]
                amounts[:, amount] = torch.where(place.isnan(), amounts[:, amount], place)
                codes[k] = torch.where(place.isnan(), codes[k], 0)
                known[:, amount] = codes[k] == 0
        floors = amounts.where(known, torch.inf).amin(0)
        floors = floors.where(floors.isfinite(), 0)
        more = known & (amounts > floors)
        apart = (known & ~more).sum(0) >= FLOOR * known.sum(0)
        codes += list((more | ~(apart & known)).long().T)
        known = torch.where(apart, more, known)
        return cls(layout, amounts.double(), known, torch.stack(codes, 1), floors)

    def at(self, index: Tensor) -> Seen:
        """Some of the rows."""
        return replace(self, amounts=self.amounts[index], known=self.known[index], codes=self.codes[index])

    def varied(self) -> Tensor:
        """(L,) bool: the latent numbers that cells say anything of."""
        known = self.amounts.where(self.known, self.floors)
        amounts = self.known.any(0) & (known.amax(0) > known.amin(0))
        return torch.cat([amounts, self.codes.amax(0) > self.codes.amin(0)])

    def one_hot(self) -> Tensor:
        """(N, all choices)."""
        picks = [self.codes[:, k, None] == torch.arange(count) for k, count in enumerate(self.layout.counts)]
        return torch.cat([torch.zeros(len(self.codes), 0), *picks], 1).double()

    def cuts(self) -> Tensor:
        """(choices, C - 1) where the next choice begins, by their shares."""
        counts = self.layout.counts
        cuts = torch.full((len(counts), max(counts, default=2) - 1), torch.inf, dtype=torch.float64)
        for k, count in enumerate(counts):
            shares = torch.bincount(self.codes[:, k], minlength=count).double() / len(self.codes)
            cuts[k, : count - 1] = _scores(shares.cumsum(0)[:-1])
        return cuts

    def quantiles(self) -> Tensor:
        """(A, GRID) of the amounts that are known; their floor where none is."""
        made = self.floors.double()[:, None].repeat(1, GRID)
        places = (torch.arange(GRID, dtype=torch.float64) + 0.5) / GRID
        for k in range(len(made)):
            cells = self.amounts[self.known[:, k], k].sort().values
            if len(cells):
                made[k] = cells[(places * len(cells)).long()]
        return made

    def bounds(self) -> tuple[Tensor, Tensor]:
        """(N, L) each, between which latent numbers lie: the normal scores of ranks, as far as they are known."""
        low, high = (torch.full((len(self.codes), self.layout.size), end, dtype=torch.float64) for end in (-inf, inf))
        for k in range(len(self.floors)):
            known = self.known[:, k]
            _, place, counts = torch.unique(self.amounts[known, k], return_inverse=True, return_counts=True)
            tops = counts.cumsum(0).double() / max(1, int(known.sum()))
            low[known, k], high[known, k] = (
                _scores(tops - counts / max(1, int(known.sum())))[place],
                _scores(tops)[place],
            )
        cuts, a = self.cuts(), len(self.floors)
        for k in range(len(self.layout.counts)):
            ends = torch.cat([torch.tensor([-inf]).double(), cuts[k], torch.tensor([inf]).double()])
            low[:, a + k], high[:, a + k] = ends[self.codes[:, k]], ends[self.codes[:, k] + 1]
        return low, high


# Latent classes ----------------------------------------------------------------------------------------------------


def latent_classes(seen: Seen, most: int, rng: torch.Generator) -> Tensor:
    """(N,) the likeliest class of each row."""
    picks, known = seen.one_hot(), seen.known.double()
    usual = (seen.amounts * known).sum(0) / known.sum(0).clamp_min(1)
    amounts = (seen.amounts - usual) * known
    amounts = amounts / (amounts.square().sum(0) / known.sum(0).clamp_min(1)).sqrt().clamp_min(LEAST_SPREAD)
    label = _nearest(torch.cat([amounts, picks - picks.mean(0)], 1), most, rng)
    share = torch.eye(most, dtype=torch.float64)[label]
    for _ in range(STEPS if most > 1 else 0):
        total, rows = share.sum(0), share.T @ known + WEIGHT
        mean = share.T @ amounts / rows
        variance = ((share.T @ amounts.square() + WEIGHT) / rows - mean.square()).clamp_min(LEAST_SPREAD**2)
        chance = (share.T @ picks + WEIGHT * picks.mean(0)) / (total[:, None] + WEIGHT)
        logs = total.clamp_min(1e-9).log() + picks @ chance.clamp_min(1e-9).log().T
        logs = logs - 0.5 * (known @ (variance.log() + mean.square() / variance).T)
        logs = logs - 0.5 * (amounts.square() @ (1 / variance).T) + amounts @ (mean / variance).T
        share = logs.softmax(1)
    return share.argmax(1)


def _nearest(points: Tensor, most: int, rng: torch.Generator) -> Tensor:
    """(N,) the nearest of so many means, in ten steps from rows far from each other (Arthur and Vassilvitskii 2007)."""
    centres = points[torch.randint(len(points), (1,), generator=rng)]
    while len(centres) < most:
        away = torch.cdist(points, centres).amin(1).square() + 1e-12
        centres = torch.cat([centres, points[torch.multinomial(away, 1, generator=rng)]])
    for _ in range(10):
        label = torch.cdist(points, centres).argmin(1)
        sums = torch.zeros_like(centres).index_add_(0, label, points)
        counts = torch.bincount(label, minlength=most)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp_min(1), centres)
    return label


# A copula ----------------------------------------------------------------------------------------------------------


def drawn(seen: Seen, rng: torch.Generator, prior: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean (L,) and covariance (L, L) of the latent numbers of rows; those that nothing is known of stand alone.

    Args:
        prior: a covariance that counts as much as one row for each latent number.
    """
    low, high = seen.bounds()
    n, kept = len(low), seen.varied().nonzero().flatten()
    mean, covariance = torch.zeros(low.shape[1]).double(), torch.eye(low.shape[1]).double()
    scaled = kept >= len(seen.floors)
    low, high, size, weight = low[:, kept], high[:, kept], len(kept), 0 if prior is None else len(kept)
    usual = covariance[kept][:, kept] if prior is None else prior[kept][:, kept]
    z, means, covariances = _between(low, high, rng), [], []
    for sweep in range(SWEEPS):
        middle = torch.where(scaled, 0.0, z.mean(0))
        around = z - z.mean(0)
        spread = (around.T @ around + weight * usual) / max(1, n - 1 + weight) + RIDGE * torch.eye(size).double()
        width = torch.where(scaled, spread.diagonal().sqrt(), 1.0)
        spread = spread / width.outer(width)
        if sweep >= SWEEPS - KEPT:
            means.append(middle)
            covariances.append(spread)
        precision = torch.linalg.inv(spread)
        for k in range(size):
            own = 1 / sqrt(float(precision[k, k]))
            others = (z - middle) @ precision[:, k] - (z[:, k] - middle[k]) * precision[k, k]
            place = middle[k] - others * own**2
            z[:, k] = place + own * _between((low[:, k] - place) / own, (high[:, k] - place) / own, rng)
    mean[kept] = torch.stack(means).mean(0)
    covariance[kept[:, None], kept] = torch.stack(covariances).mean(0)
    return mean, covariance


def _between(low: Tensor, high: Tensor, rng: torch.Generator) -> Tensor:
    """Draws of a normal number between bounds."""
    first, last = shares_of(low), shares_of(high)
    return _scores(first + (last - first) * torch.rand(low.shape, generator=rng, dtype=torch.float64))


def _scores(shares: Tensor) -> Tensor:
    scores: Tensor = torch.special.ndtri(shares.clamp(1e-7, 1 - 1e-7))
    return scores


def shares_of(scores: Tensor) -> Tensor:
    """The standard normal distribution function, by an operator that ONNX has."""
    return 0.5 * (1 + (scores / sqrt(2)).erf())
