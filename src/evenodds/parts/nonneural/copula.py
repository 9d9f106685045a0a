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

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.parts.choosing import Block
from evenodds.parts.nonneural._latents import GRID, Layout, Seen, drawn, latent_classes, shares_of

__all__ = ["Generator"]

ROWS = 25
"""There is at most one class for so many rows."""
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
        classes: latent classes, at most so many; fewer where the table has fewer than 25 rows for each.
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
    order: Tensor
    """Of the row's columns among amounts and choices."""
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
        self.layout = layout = Layout.of(shape[0], row_blocks)
        self.register_buffer("order", layout.order, persistent=False)
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
        return 1 + Layout.of(shape[0], blocks).size

    def forward(self, z: Tensor) -> Tensor:
        layout = self.layout
        label = z[:, self.latent :].argmax(1) if self.condition else torch.zeros_like(z[:, 0], dtype=torch.int64)
        which = label * self.classes + (shares_of(z[:, :1]) > self.chances.index_select(0, label)).sum(1)
        latents = torch.einsum("nl,kml->nkm", z[:, 1 : 1 + layout.size].float(), self.factors) + self.means
        latents = latents.gather(1, which[:, None, None].expand(-1, 1, layout.size)).squeeze(1)
        amounts, choices = torch.split(latents, [len(layout.amounts), len(layout.counts)], 1)
        picked = (choices[:, :, None] > self.cuts.index_select(0, which)).sum(2)
        picked, more = torch.split(picked, [len(layout.choices), len(layout.amounts)], 1)
        place = (shares_of(amounts) * GRID).long().clamp(0, GRID - 1)
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
        return torch.cat(parts, 1).index_select(1, self.order)

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
            raise BadInput("generator 'copula' follows classes, no attributes or values; take the recipe table")
        if labels is not None:
            rows, labels = rows[labels >= 0], labels[labels >= 0]
        rng = torch.Generator().manual_seed(seed)
        for k, amount in enumerate(self.layout.amount_of):
            if amount >= 0 and places:
                own = places[self.layout.block_of[k]]
                self.levels[amount, : len(own)] = torch.tensor(own)
        seen = Seen.of(self.layout, rows.detach().cpu(), self.levels.cpu())
        self.floors.copy_(seen.floors)
        covariance = drawn(seen, rng)[1]
        for label in range(max(1, self.condition)):
            chosen = torch.arange(len(rows)) if labels is None else (labels.cpu() == label).nonzero().flatten()
            if len(chosen):
                self._fit_label(label, seen.at(chosen), covariance, rng)

    def _fit_label(self, label: int, seen: Seen, covariance: Tensor, rng: torch.Generator) -> None:
        """Learns the rows of one label."""
        part = latent_classes(seen, max(1, min(self.classes, len(seen.codes) // ROWS)), rng)
        counts = torch.bincount(part, minlength=self.classes)
        self.chances[label] = (counts.double().cumsum(0) / len(part))[:-1]
        for k in counts.nonzero().flatten().tolist():
            inside, at = seen.at(part == k), label * self.classes + k
            self.means[at], within = drawn(inside, rng, covariance)
            self.factors[at] = torch.linalg.cholesky(within)
            self.cuts[at], self.quantiles[at] = inside.cuts(), inside.quantiles()
