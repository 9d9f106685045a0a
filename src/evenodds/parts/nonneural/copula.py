"""A generator of rows that is fitted, not trained: a mixture of Gaussian copulas with latent numbers for choices.

For tables of few rows and many columns, where a network that learns by gradients has too little to learn from. The
rows fall into latent classes, found by expectation and maximisation (Dempster et al. 1977) of a mixture whose columns
are independent within a class. Within a class each column has one latent normal number that says which choice a cell
is, where there are choices, and one of its amount, where it is an amount. Of an amount that a row does not have,
nothing is known. The latent numbers lie between bounds that the ranks of the cells give, and are drawn from their
distribution given all others of the row, in turns (Hoff 2007, "Extending the rank likelihood for semiparametric copula
estimation"); their covariance is the mean over the later turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf as INF
from math import sqrt

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.parts.choosing import Block

__all__ = ["Generator"]

SWEEPS, KEPT = 44, 22
"""Turns in which latent numbers are drawn, and the last of them, whose covariances are averaged."""
STEPS = 60
"""Steps of expectation and maximisation."""
WEIGHT = 5.0
"""Rows of the whole table that a class is taken to have seen besides its own."""
ROWS = 25
"""There is at most one class for so many rows."""
FLOOR = 0.1
"""From this share of the cells on, the least number of a column is a choice beside its amounts."""
LEAST_SPREAD, RIDGE = 0.15, 1e-3
GRID = 512
"""Quantiles of an amount that are kept for each class."""
MOST_CLASSES, MOST_COLUMNS = 256, 500
SURE = 1e4
"""A logit that no noise outweighs."""


class Generator(nn.Module):
    """z (N, latent) -> rows (N, D) as ChoosingGenerator takes them: amounts, and logits of which one is sure.

    The first number of z says the class of a row, those behind it become its latent numbers; what is left has no
    meaning. It has no parameters: `fit` learns all of it from rows, and a game with it is one of the discriminator
    alone.

    Args:
        latent: length of z, at least `numbers(shape, row_blocks)`.
        shape: (D,) of a row.
        classes: latent classes, at most so many; fewer where the table has less than 25 rows for each.
        condition: length of c, one-hot, which stands behind z; each label has latent classes of its own.
        row_blocks: that make up a row, see evenodds.parts.choosing; none: every number is an amount.

    Example:
        >>> rows = torch.randn(200, 1) * torch.tensor([1.0, 2.0])  # two columns, of which one follows the other
        >>> generator = Generator(Generator.numbers((2,)), (2,), classes=1)
        >>> generator.fit(rows)
        >>> made = generator(torch.randn(1000, Generator.numbers((2,))))
        >>> bool(torch.corrcoef(made.T)[0, 1] > 0.95)
        True
    """

    chances: Tensor
    """(labels, K - 1) the share of the rows up to a class; behind it, K counts the classes of all labels."""
    means: Tensor
    factors: Tensor
    """(K, L, L) the latent numbers' covariance, as its Cholesky factor."""
    cuts: Tensor
    """(K, choices, C - 1) where the next choice begins on a latent number."""
    quantiles: Tensor
    """(K, A, GRID) of amounts."""
    floors: Tensor
    """(A,) of amounts, their least number."""
    levels: Tensor
    """(A, choices) where the choices that are numbers lie among the amounts; not a number for others."""

    def __init__(
        self,
        latent: int,
        shape: Sequence[int],
        *,
        classes: int = 8,
        condition: int = 0,
        row_blocks: Sequence[Block] = (),
    ) -> None:
        super().__init__()
        if len(shape) != 1:
            raise BadInput(
                f"copula makes rows of a table, and these data are images {tuple(shape)}; take another generator"
            )
        if not 1 <= classes <= MOST_CLASSES:
            raise BadInput(f"copula needs classes in [1, {MOST_CLASSES}], got {classes}; 8 is usual")
        if shape[0] > MOST_COLUMNS:
            raise BadInput(
                f"copula relates all columns to each other, at most {MOST_COLUMNS:,} of them, got {shape[0]:,}; set "
                "generator=mlp"
            )
        self.layout = layout = _Layout.of(shape[0], row_blocks)
        self.latent, self.condition, self.classes = latent, condition, classes
        if latent < (needed := self.numbers(shape, row_blocks)):
            raise BadInput(f"copula needs z of at least {needed} numbers for such rows, got {latent}")
        amounts, size = len(layout.amounts), layout.size
        self.register_buffer("chances", torch.arange(1, classes).div(classes).repeat(max(1, condition), 1))
        classes *= max(1, condition)
        self.register_buffer("means", torch.zeros(classes, size))
        self.register_buffer("factors", torch.eye(size).repeat(classes, 1, 1))
        self.register_buffer("cuts", torch.zeros(classes, len(layout.counts), max(layout.counts, default=2) - 1))
        self.register_buffer("quantiles", torch.zeros(classes, amounts, GRID))
        self.register_buffer("floors", torch.zeros(amounts))
        self.register_buffer("levels", torch.full((amounts, max((1, *layout.beside)) - 1), torch.nan))

    @staticmethod
    def numbers(shape: Sequence[int], blocks: Sequence[Block] = ()) -> int:
        """The numbers of z that such rows need."""
        return 1 + _Layout.of(shape[0], blocks).size

    def forward(self, z: Tensor) -> Tensor:
        layout = self.layout
        label = z[:, self.latent :].argmax(1) if self.condition else z[:, 0].long() * 0
        which = label * self.classes + (_shares(z[:, :1]) > self.chances.index_select(0, label)).sum(1)
        latents = torch.einsum("nl,kml->nkm", z[:, 1 : 1 + layout.size].float(), self.factors) + self.means
        latents = latents.gather(1, which[:, None, None].expand(-1, 1, layout.size)).squeeze(1)
        amounts, choices = torch.split(latents, [len(layout.amounts), len(layout.counts)], 1)
        picked = (choices[:, :, None] > self.cuts.index_select(0, which)).sum(2)
        picked, more = torch.split(picked, [len(layout.choices), len(layout.amounts)], 1)
        place = (_shares(amounts) * GRID).long().clamp(0, GRID - 1)
        first = GRID * torch.arange(amounts.shape[1], device=z.device)
        made = self.quantiles.flatten(1).index_select(0, which).gather(1, first + place)
        made = torch.where(more > 0, made, self.floors)
        parts = [made]
        for k, (_, count) in enumerate(layout.choices):
            pick = picked[:, k, None] == torch.arange(count, device=z.device)
            if (amount := layout.amount_of[k]) >= 0:
                level = pick[:, :1] & (made[:, amount, None] == self.levels[amount, : count - 1])
                pick = torch.cat([pick[:, :1] & ~level.any(1, keepdim=True), pick[:, 1:] | level], 1)
            parts.append(SURE * pick)
        return torch.cat(parts, 1).index_select(1, layout.order.to(z.device))

    @torch.no_grad()
    def fit(
        self, rows: Tensor, seed: int = 0, places: Sequence[Sequence[float]] = (), labels: Tensor | None = None
    ) -> None:
        """Becomes the generator of rows like these; the same arguments, the same generator.

        Args:
            rows: (N, D) as players see them.
            seed: of what is drawn while it learns.
            places: of each block, where its choices lie among its amounts: a number that stands out by its share has a
                place in their order; nan of a choice that has none. Without, none has.
            labels: (N,) int64 in [0, condition), where c says them; rows of a negative one are left out.

        Raises:
            BadInput: c says something else than labels.
        """
        if self.condition and labels is None:
            raise BadInput("copula follows classes alone; name one column of them, or set generator=mlp")
        if labels is not None:
            rows, labels = rows[labels >= 0], labels[labels >= 0]
        rng = torch.Generator().manual_seed(seed)
        for k, amount in enumerate(self.layout.amount_of):
            if amount >= 0 and places:
                own = places[self.layout.block_of[k]]
                self.levels[amount, : len(own)] = torch.tensor(own)
        seen = _Seen.of(self.layout, rows.detach().cpu(), self.levels.cpu())
        self.floors.copy_(seen.floors)
        covariance = _drawn(seen, rng)[1]
        for label in range(max(1, self.condition)):
            chosen = torch.arange(len(rows)) if labels is None else (labels.cpu() == label).nonzero().flatten()
            if len(chosen):
                self._fit_label(label, seen.at(chosen), covariance, rng)

    def _fit_label(self, label: int, seen: _Seen, covariance: Tensor, rng: torch.Generator) -> None:
        """Learns the rows of one label."""
        part = _classes(seen, max(1, min(self.classes, len(seen.codes) // ROWS)), rng)
        counts = torch.bincount(part, minlength=self.classes)
        self.chances[label] = (counts.double().cumsum(0) / len(part))[:-1]
        for k in counts.nonzero().flatten().tolist():
            inside, at = seen.at(part == k), label * self.classes + k
            self.means[at], within = _drawn(inside, rng, covariance)
            self.factors[at] = torch.linalg.cholesky(within)
            self.cuts[at], self.quantiles[at] = inside.cuts(), inside.quantiles()


@dataclass(frozen=True)
class _Layout:
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
    def of(cls, width: int, blocks: Sequence[Block]) -> _Layout:
        amounts: list[int] = []
        choices: list[tuple[int, int]] = []
        amount_of: list[int] = []
        block_of: list[int] = []
        at = 0
        for number, (scores, _, count) in enumerate(blocks or [((0.0,), False, 0)] * width):
            if count:
                choices.append((at + bool(scores), count))
                amount_of.append(len(amounts) if scores else -1)
                block_of.append(number)
            if scores:
                amounts.append(at)
            at += bool(scores) + count
        written = [*amounts, *(start + k for start, count in choices for k in range(count))]
        return cls(amounts, choices, amount_of, block_of, torch.tensor(written, dtype=torch.int64).argsort())


@dataclass(frozen=True)
class _Seen:
    """Rows: their amounts, which of these are known, and their choices."""

    layout: _Layout
    amounts: Tensor
    """(N, A)."""
    known: Tensor
    """(N, A) bool."""
    codes: Tensor
    """(N, choices): which choice a cell is."""
    floors: Tensor
    """(A,) the least amount."""

    @classmethod
    def of(cls, layout: _Layout, rows: Tensor, levels: Tensor) -> _Seen:
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

    def at(self, index: Tensor) -> _Seen:
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
        low, high = (torch.full((len(self.codes), self.layout.size), end, dtype=torch.float64) for end in (-INF, INF))
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
            ends = torch.cat([torch.tensor([-INF]).double(), cuts[k], torch.tensor([INF]).double()])
            low[:, a + k], high[:, a + k] = ends[self.codes[:, k]], ends[self.codes[:, k] + 1]
        return low, high


# Latent classes ----------------------------------------------------------------------------------------------------


def _classes(seen: _Seen, most: int, rng: torch.Generator) -> Tensor:
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


def _drawn(seen: _Seen, rng: torch.Generator, prior: Tensor | None = None) -> tuple[Tensor, Tensor]:
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
    first, last = _shares(low), _shares(high)
    return _scores(first + (last - first) * torch.rand(low.shape, generator=rng, dtype=torch.float64))


def _scores(shares: Tensor) -> Tensor:
    scores: Tensor = torch.special.ndtri(shares.clamp(1e-7, 1 - 1e-7))
    return scores


def _shares(scores: Tensor) -> Tensor:
    """The standard normal distribution function, by an operator that ONNX has."""
    return 0.5 * (1 + (scores / sqrt(2)).erf())
