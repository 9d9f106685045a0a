"""A generator of rows: amounts, and choices among levels that are made in the generator itself.

A discriminator sees real rows whose choices are one-hot. A generator whose choices were shares would be known by that
alone; so it takes the greatest of its logits beside Gumbel noise, which is a draw of the softmax (Gumbel 1954;
Maddison et al. 2017, section 2.1), and gradients pass as through the softmax of temperature 0.5 (the straight-through
estimator of Jang et al. 2017, section 2.2). The noise is made of the first numbers of z: samples stay a function of z.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evenodds.parts.exporting import log_ndtr, searchsorted

__all__ = ["Block", "ChoosingGenerator", "choices_in", "in_rows", "log_shares", "order_of", "picked", "starts_of"]

Block = tuple[tuple[float, ...], bool, int]
"""A column of a table: the scores that its amount may have, in order (empty of choices alone); whether it has no
others; and how many choices follow (0 of an amount alone). Where both are there, the first choice is the amount."""


def choices_in(blocks: Sequence[Block]) -> int:
    """The choices of all blocks: so many numbers of z become noise."""
    return sum(choices for _, _, choices in blocks)


class ChoosingGenerator(nn.Module):
    """z (N, latent + choices) -> rows (N, E) of blocks.

    Args:
        generator: z (N, latent) -> (N, E). What stands behind z, such as a condition, is passed on to it.
        blocks: of a row, side by side.
        temperature: of the softmax that gradients pass through.

    Example:
        >>> blocks = [((-1.0, 0.0, 1.0), False, 0), ((), False, 3)]  # an amount, and a choice among three
        >>> rows = ChoosingGenerator(torch.nn.Linear(2, 4), blocks)(torch.randn(5, 2 + 3))
        >>> rows[:, 1:].sum(1)
        tensor([1., 1., 1., 1., 1.], grad_fn=<SumBackward1>)
    """

    amounts: Tensor
    ends: Tensor
    middles: Tensor
    scores: Tensor
    places: Tensor
    padded: Tensor
    inside: Tensor
    order: Tensor
    gate: Tensor
    exact: Tensor

    def __init__(self, generator: nn.Module, blocks: Sequence[Block], temperature: float = 0.5) -> None:
        super().__init__()
        self.generator, self.temperature = generator, temperature
        self.noise = choices_in(blocks)
        amounts, choices = starts_of(blocks)
        self._keep("amounts", torch.tensor(amounts, dtype=torch.int64))
        self._keep_scores([(scores, exact) for scores, exact, _ in blocks if scores])
        self._keep_choices(blocks, choices)
        self._keep("order", order_of(amounts, choices))

    def _keep(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)  # the data say it; a checkpoint need not

    def _keep_scores(self, amounts: Sequence[tuple[tuple[float, ...], bool]]) -> None:
        """The ends of each amount, and of those that have no other scores, these."""
        self._keep("ends", torch.tensor([[scores[0], scores[-1]] for scores, _ in amounts]).view(-1, 2))
        self._keep("exact", torch.tensor([exact for _, exact in amounts], dtype=torch.bool))
        longest = max((len(scores) for scores, exact in amounts if exact), default=1)
        grid = torch.zeros(len(amounts), longest)
        middles = torch.full((len(amounts), longest - 1), torch.inf)
        for k, (scores, exact) in enumerate(amounts):
            if exact:
                row = torch.tensor(scores)
                grid[k, : len(row)] = row
                middles[k, : len(row) - 1] = (row[1:] + row[:-1]) / 2
        self._keep("scores", grid)
        self._keep("middles", middles)

    def _keep_choices(self, blocks: Sequence[Block], choices: Sequence[tuple[int, int]]) -> None:
        """The places of choices, also in a row for each block, and of each amount the choice that says it is one."""
        padded, inside = in_rows([size for _, size in choices])
        self._keep("padded", padded)
        self._keep("inside", inside)
        self._keep("places", torch.tensor([at + k for at, size in choices for k in range(size)], dtype=torch.int64))
        gate, seen = [], 0
        for scores, _, size in blocks:
            if scores:
                gate.append(seen if size else -1)
            seen += size
        self._keep("gate", torch.tensor(gate, dtype=torch.int64))

    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.generator(z[:, self.noise :])
        picked = self._picked(y, z[:, : self.noise])
        amounts = self._amounts(y.index_select(1, self.amounts))
        if self.noise and len(self.gate):
            gates = torch.cat(
                [picked, picked.new_ones(len(picked), 1)], 1
            )  # the last, at -1, is that of an amount alone
            amounts = amounts * gates.index_select(1, self.gate % gates.shape[1])
        return torch.cat([amounts, picked], 1).index_select(1, self.order)

    def _picked(self, y: Tensor, noise: Tensor) -> Tensor:
        """(N, choices): 1 where a choice is taken, with the gradients of a softmax."""
        if not self.noise:
            return y[:, :0]
        return picked(y.index_select(1, self.places), noise, self.padded, self.inside, self.temperature)

    def _amounts(self, y: Tensor) -> Tensor:
        """(N, A) within their ends; the nearest score, with the gradients of the amount, where there are no others."""
        y = y.float().clamp(self.ends[:, 0], self.ends[:, 1])
        if not self.exact.numel() or self.scores.shape[1] == 1:
            return y
        at = searchsorted(self.middles, y.detach().T.contiguous())
        nearest = torch.where(self.exact[:, None], self.scores.gather(1, at), y.detach().T).T
        return y + (nearest - y).detach()


def in_rows(sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Choices of that many each, side by side, as a row for each: where the entries of the rows are, (W, longest), one
    behind all choices where there is none; and where the choices are among those of all rows, (C,)."""
    longest, number = max(sizes, default=1), sum(sizes)
    padded: list[list[int]] = []
    at = 0
    for size in sizes:
        padded.append([*range(at, at + size), *[number] * (longest - size)])
        at += size
    inside = [k * longest + j for k, size in enumerate(sizes) for j in range(size)]
    of_rows = torch.tensor(padded, dtype=torch.int64).view(len(sizes), longest)
    return of_rows, torch.tensor(inside, dtype=torch.int64)


def picked(logits: Tensor, noise: Tensor, padded: Tensor, inside: Tensor, temperature: float = 0.5) -> Tensor:
    """(N, C): 1 where a choice is drawn, else 0, with the gradients of a softmax.

    Args:
        logits: (N, C) of all choices, side by side.
        noise: (N, C) standard normal.
        padded, inside: see `in_rows`.
    """
    gumbel = -(-log_ndtr(noise.float())).log()
    noisy = _by_choice(logits.float() + gumbel, padded)
    shares = (noisy / temperature).softmax(2)
    with torch.no_grad():
        correction = -shares
        correction.scatter_add_(2, noisy.argmax(2, keepdim=True), correction.new_ones(1).expand(*shares.shape[:2], 1))
    return (shares + correction).flatten(1).index_select(1, inside)


def log_shares(logits: Tensor, padded: Tensor, inside: Tensor) -> Tensor:
    """(N, C): the logarithms of the probabilities of all choices, side by side; see `picked`."""
    return _by_choice(logits.float(), padded).log_softmax(2).flatten(1).index_select(1, inside)


def _by_choice(logits: Tensor, padded: Tensor) -> Tensor:
    """(N, C) -> (N, W, longest), minus infinity where there is none."""
    ended = torch.cat([logits, logits.new_full((len(logits), 1), -torch.inf)], 1)
    return ended.index_select(1, padded.flatten()).view(len(logits), *padded.shape)


def starts_of(blocks: Sequence[Block]) -> tuple[list[int], list[tuple[int, int]]]:
    """Where the amounts of a row are, and where its choices begin and how many there are."""
    amounts: list[int] = []
    choices: list[tuple[int, int]] = []
    at = 0
    for scores, _, size in blocks:
        if scores:
            amounts.append(at)
            at += 1
        if size:
            choices.append((at, size))
            at += size
    return amounts, choices


def order_of(amounts: Sequence[int], choices: Sequence[tuple[int, int]]) -> Tensor:
    """(E,) int64: where each column of a row is among all amounts and, behind them, all choices; see `starts_of`."""
    written = [*amounts, *(at + k for at, size in choices for k in range(size))]
    return torch.tensor(written, dtype=torch.int64).argsort()
