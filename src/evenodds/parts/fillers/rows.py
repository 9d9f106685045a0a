"""A filler for the rows of a table, which looks up rows that are alike beside what it has learned.

A column of words is one entry for each of its words, so that rows have E entries of D columns; E is D without words.

The look-up is a nearest-neighbour rule whose distances are learned through a soft vote (Goldberger et al. 2004), on
the entries that two rows both have; a network that attends to other rows of the table is that of Kossen et al. (2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.parts.choosing import Block
from evenodds.parts.fillers._late import Residual, several
from evenodds.parts.row_entries import entries_of

__all__ = ["Generator", "Neighbours"]


LEAST_SHARE = 0.01
"""Of a word that no row has which is alike."""
GRID, REACH, HEAVIEST = 2**8, 2**6, 2**10
"""Steps of a deviation, deviations and the greatest weight by which rows are found at work: of so many, sums over 2,000
entries are exact in float64."""


class Generator(nn.Module):
    """(x (N, E), mask (N, E), z (K N, latent), row (N,) or None) -> (K N, E): K fillings of each row.

    Columns are best scaled to mean 0 and deviation 1. Of a column of words the answer is a logit for each. A first
    part, without z, says where the fillings have their centre; a second one, which z enters, how they spread. So K
    fillings cost much less than K times one.

    Args:
        latent: length of z.
        shape: (E,).
        width: units per layer.
        depth: residual steps before z enters.
        late: residual steps afterwards.
        dropout: share of hidden units dropped while training, before z enters.
        memory: most rows that can be looked up; 0 for none. Give them to `remember`.
        neighbours: how many of them vote.
        row_blocks: of the columns; empty where each is a number. See evenodds.parts.choosing.
    """

    def __init__(
        self,
        latent: int,
        shape: Sequence[int],
        *,
        width: int = 256,
        depth: int = 3,
        late: int = 1,
        dropout: float = 0.0,
        memory: int = 0,
        neighbours: int = 32,
        row_blocks: Sequence[Block] = (),
    ) -> None:
        super().__init__()
        if len(shape) != 1 or shape[0] < 1:
            raise BadInput(f"a filler of rows needs a shape (D,), got {tuple(shape)}; use the one of images for images")
        entries, columns = shape[0], len(row_blocks) or shape[0]
        self.shape, self.memory = (entries,), memory
        self.blocks = tuple(row_blocks)
        self.neighbours = (
            Neighbours(columns, memory, min(neighbours, memory), row_blocks=row_blocks) if memory else None
        )
        self.enter = nn.Linear((2 if memory else 1) * (entries + columns), width)
        self.trunk = nn.Sequential(*[Residual(width, dropout) for _ in range(depth)])
        self.centre = nn.Linear(width, entries)
        self.noise, self.gate = nn.Linear(latent, width), nn.Linear(width, width)
        self.late = nn.Sequential(*[Residual(width) for _ in range(late)])
        self.spread = nn.Linear(width, entries)
        _start(self.centre)
        _start(self.spread, 0.3)
        nn.init.ones_(self.gate.bias)

    def remember(self, x: Tensor, observed: Tensor, rows: Tensor | None = None) -> None:
        """Sets the rows that are looked up.

        Args:
            x: (n, E), at most `memory` of them; of any value where observed (n, E) is 0.
            rows: (n,) int64, increasing: the number of each, by which `row` names it; None for 0, 1, 2 and so on.
        """
        most = 0 if self.neighbours is None else self.memory
        if not 1 <= len(x) <= most or x.shape[1:] != self.shape:
            columns = self.shape[0]
            raise BadInput(
                f"this filler remembers at most {most:,} rows of {columns:,} entries, got {tuple(x.shape)}; raise "
                "`memory`"
            )
        assert self.neighbours is not None
        rows = torch.arange(len(x)) if rows is None else rows
        self.neighbours.replace(torch.where(observed > 0, x, 0.0), self._by_column(observed), rows)

    def _by_column(self, mask: Tensor) -> Tensor:
        """(N, E) -> (N, D)."""
        return entries_of(self.blocks, mask.device).by_column(mask) if self.blocks else mask

    def forward(self, x: Tensor, mask: Tensor, z: Tensor, row: Tensor | None = None) -> Tensor:
        centre, hidden = self._centre(x, mask, row)
        # A gate, as how much noise there is, and of which kind, follows what is observed.
        mixed = torch.addcmul(several(hidden, z), several(self.gate(hidden), z), self.noise(z))
        change: Tensor = self.spread(self.late(mixed))
        return several(centre, z) + change

    def fillings(self, x: Tensor, mask: Tensor, z: Tensor) -> Tensor:
        """z (N, K, latent) -> (N, K, E): as `forward`, of rows that are not in the memory; what is exported."""
        centre, hidden = self._centre(x, mask, None)
        mixed = hidden[:, None] + self.gate(hidden)[:, None] * self.noise(z)
        change: Tensor = self.spread(self.late(mixed))
        return centre[:, None] + change

    def _centre(self, x: Tensor, mask: Tensor, row: Tensor | None) -> tuple[Tensor, Tensor]:
        """(N, E) where fillings have their centre, and (N, width) what their spread follows."""
        shown = self._by_column(mask)
        inputs = [squashed(x), shown]
        vote = torch.zeros_like(x)
        if self.neighbours is not None:
            vote, disagreement = self.neighbours(x, shown, row)
            inputs += [squashed(vote), disagreement]
        hidden = self.trunk(self.enter(torch.cat(inputs, 1)))
        if self.blocks:  # of words, rows that are alike vote with their shares
            numbers = entries_of(self.blocks, vote.device).numbers
            vote = torch.where(numbers, vote, (vote.clamp_min(0) + LEAST_SHARE).log())
        return vote + self.centre(hidden), hidden


class Neighbours(nn.Module):
    """(x (N, E), mask (N, D)) -> what rows alike have, (N, E), and how much they disagree, (N, D).

    The nearest rows are found by one learned weight per column; then each column has its own distances among them,
    as other columns tell of each. Where columns are many, several in a row share theirs.

    Of rows that are equally near, as many are where columns are words, those that come first are taken. At work their
    distances are sums of whole numbers, which no order of adding changes: a row has the same neighbours alone, among
    others and in an exported file. Training takes distances in float32, which are faster.
    """

    kind: Tensor
    """(D,) int64 which of the distances each column has."""
    table: Tensor
    """(n, E) the rows that are looked up, 0 where nothing is known."""
    known: Tensor
    """(n, D) 1 where there is a value, else 0."""
    rows: Tensor
    """(n,) int64 the number of each row, increasing."""
    carried: Tensor | None
    """See `carry`."""

    def __init__(self, columns: int, rows: int, count: int, kinds: int = 64, row_blocks: Sequence[Block] = ()) -> None:
        super().__init__()
        kinds = min(kinds, columns)
        self.blocks = tuple(row_blocks)
        self.count = count
        self.weights = nn.Parameter(torch.zeros(kinds, columns))
        self.sharpness = nn.Parameter(torch.full((kinds, 1), -0.7))
        self.register_buffer("kind", torch.arange(columns) * kinds // columns, persistent=False)
        self.register_buffer("table", torch.zeros(rows, sum(max(1, size) for *_, size in row_blocks) or columns))
        self.register_buffer("known", torch.zeros(rows, columns))
        self.register_buffer("rows", torch.arange(rows))
        self.register_buffer("carried", None, persistent=False)

    def replace(self, table: Tensor, known: Tensor, rows: Tensor) -> None:
        """Sets the rows that are looked up; their number may be another one than before."""
        self.table, self.known, self.rows = (
            new.to(old) for new, old in ((table, self.table), (known, self.known), (rows, self.rows))
        )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        table = state_dict.get(prefix + "table")
        if table is not None and table.shape[1:] == self.table.shape[1:]:  # how many is part of it
            # What was stored before rows had numbers is at work only, where none is its own neighbour.
            numbers = state_dict.setdefault(prefix + "rows", torch.full((len(table),), -2))
            known = state_dict.get(prefix + "known", table)
            if len(known) == len(numbers) == len(table):
                self.replace(*(torch.empty_like(one) for one in (table, known, numbers)))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, x: Tensor, mask: Tensor, row: Tensor | None) -> tuple[Tensor, Tensor]:
        nearest = self._search(x, mask, row)
        values, observed = self.table[nearest], self.known[nearest]  # (N, count, D)
        both = observed * mask[:, None]
        squares = both * self._summed((values - x[:, None]).square())
        weights = self.weights.exp().T
        far = _distance(squares @ weights, both @ weights, weights.sum(0)) * self.sharpness.exp().T
        far = far[..., self.kind].masked_fill(observed == 0, torch.finfo(far.dtype).max)  # finite: none may know
        votes = (-far).softmax(1) * observed
        total = votes.sum(1) + 1e-3
        vote = (self._spread(votes) * values).sum(1) / self._spread(total)
        apart = votes * self._summed((values - vote[:, None]).square())
        return vote, (apart.sum(1) / total + 1e-4).sqrt()

    def _summed(self, of_entries: Tensor) -> Tensor:
        """(..., E) -> (..., D): the sum over the entries of each column."""
        if not self.blocks:
            return of_entries
        there = entries_of(self.blocks, of_entries.device)
        summed = of_entries.new_zeros(*of_entries.shape[:-1], len(self.blocks))
        return summed.index_add(-1, there.column, of_entries)

    def _spread(self, of_columns: Tensor) -> Tensor:
        """(..., D) -> (..., E)."""
        return entries_of(self.blocks, of_columns.device).by_entry(of_columns) if self.blocks else of_columns

    @torch.no_grad()
    def _search(self, x: Tensor, mask: Tensor, row: Tensor | None) -> Tensor:
        """(N, count) int64: places of the nearest rows, but not of the row itself, whose number is row (N,), or -1."""
        exact = not self.training and x.device.type != "mps"  # which has no float64
        far = self._far_exactly(x, mask) if exact else self._far(x, mask)
        if row is not None:
            at = torch.searchsorted(self.rows, row).clamp_max(len(self.rows) - 1)
            own = (self.rows[at] == row)[:, None]
            far.scatter_(1, at[:, None], torch.where(own, torch.inf, far.gather(1, at[:, None])))
        return far.topk(max(1, min(self.count, len(self.table) - 1)), largest=False).indices

    def _far(self, x: Tensor, mask: Tensor) -> Tensor:
        """(N, n) distances of rows (N, E), (N, D) from those that are looked up."""
        weights = self.weights.exp().mean(0)
        mine = weights * mask
        squares = (mine * self._summed(x.square())) @ self.known.T
        of_entries = self._spread(mine)
        squares = torch.addmm(squares, 2 * of_entries * x, self.table.T, alpha=-1)
        squares = squares.addmm_(of_entries, self.table.square().T)
        return _distance(squares, mine @ self.known.T, weights.sum())

    def _far_exactly(self, x: Tensor, mask: Tensor) -> Tensor:
        """(N, n) float64: the order of `_far`, and among rows that are equally far the order in which they are kept."""
        weights, known = self.whole_weights().double(), self.known.double()
        x, table = _on_grid(x), _on_grid(self.table)
        mine = weights * mask.double()
        of_entries = self._spread(mine)
        squares = (mine * self._summed(x.square())) @ known.T
        squares = torch.addmm(squares, 2 * of_entries * x, table.T, alpha=-1)
        squares = squares.addmm_(of_entries, table.square().T)
        far = _distance(squares / GRID**2, mine @ known.T, weights.sum())
        # Numbers of float32, and behind their last digit the place.
        return far.float().double().mul_(1 + torch.arange(len(table), device=x.device).double() * 2.0**-45)

    def whole_weights(self) -> Tensor:
        """(D,): the weights by which rows are found, in whole numbers of which the greatest is `HEAVIEST`."""
        if self.carried is not None:
            return self.carried
        weights = self.weights.exp().mean(0)
        return (weights / weights.max() * HEAVIEST).round().clamp_min(1)

    def carry(self) -> None:
        """Keeps what has to be the same, to the last digit, wherever the filler is exported to."""
        with torch.no_grad():
            self.carried = self.whole_weights()


def _distance(squares: Tensor, weight: Tensor, whole: Tensor) -> Tensor:
    """Weighted squared differences over the columns that two rows both have, made up to the whole weight.

    A fiftieth of the whole weight counts as 2, the mean for strangers: rows with little in common are no neighbours.
    """
    few = 0.02 * whole
    return (squares + 2 * few) / (weight + few) * whole


def _on_grid(x: Tensor) -> Tensor:
    """Whole numbers of steps, float64."""
    return (x.double() * GRID).round().clamp(-REACH * GRID, REACH * GRID)


def squashed(x: Tensor) -> Tensor:
    """Long tails brought in: linear about 0, logarithmic from a few deviations on."""
    return 3 * torch.asinh(x / 3)


def _start(layer: nn.Linear, size: float = 0.0) -> None:
    with torch.no_grad():
        layer.weight.mul_(size)
    nn.init.zeros_(layer.bias)
