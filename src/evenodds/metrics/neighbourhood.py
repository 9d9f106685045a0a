"""The nearest neighbours of rows, found once, for statistics of many subsets of the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics._rows import centred, column_means, matching, portions, squared_distances

__all__ = ["Neighbourhood"]

WIDTH = 64
"""Neighbours that are kept of each row in each group. In a random half, the 5 nearest are among these, but for one row
in 1e10; what is not among them is computed anew."""


class _Nearest(NamedTuple):
    """The nearest rows of one group to each row of another, (N, K), the nearest first."""

    distance: Tensor
    """(N, K) float64, squared."""
    number: Tensor
    """(N, K) int64, rows of the neighbourhood."""
    reach: Tensor
    """(N,) float64: every row nearer than this is in the list; infinite where the list holds all rows."""


class _Balls(NamedTuple):
    """What `balls` finds."""

    counts: Tensor
    """(C,) int64: rows in each ball."""
    inside: Tensor
    """(M,) bool: rows that lie in any ball."""


class Neighbourhood:
    """Rows in groups, such as real and generated ones, and for each row its nearest others in each group.

    The statistics of nearest neighbours of random subsets ask for the same distances again and again: with 8 pairs of
    halves and 8 deals, 13 times over. Here each distance is computed once, and the nearest 64 of each row are kept.
    The answers are exact for every subset: where a list does not reach far enough, that row is compared with all.

    Args:
        groups: (N_g, D) each; computed in float64. Rows are numbered through all groups, in this order.
        width: neighbours that are kept of each row in each group; changes the time only.
        entries: distances that are held in memory at once.
    """

    def __init__(self, *groups: Tensor, width: int = WIDTH, entries: int = 1 << 22) -> None:
        self._groups, self._width, self._entries = groups, width, entries
        self._lists: dict[tuple[int, int], _Nearest] = {}
        self._products: dict[tuple[int, int], Tensor] = {}
        ends = torch.tensor([0, *(len(group) for group in groups)]).cumsum(0).tolist()
        self.spans = [slice(*span) for span in pairwise(ends)]

    def beside(self, group: Tensor) -> Neighbourhood:
        """The same groups and one more, (M, D). What was found out about the first ones is not found out again."""
        matching(self._groups[0], group, names=("real", "other"))
        near = Neighbourhood(*self._groups, group, width=self._width, entries=self._entries)
        groups = range(len(self._groups))
        near._lists = {(g, h): self._list(g, h) for g in groups for h in groups}
        near._products = dict(self._products)
        near.x = torch.cat([self.x, centred(group.to(self.x.device), self.middle)])
        near.middle = self.middle
        return near

    @property
    def small(self) -> bool:
        """Whether the products of all rows with all others may stay in memory."""
        return len(self.x) ** 2 <= self._entries

    def products(self, g: int, h: int) -> Tensor:
        """(N_g, N_h) float64: the products of rows of `x`; not to be changed. Kept, where the rows are few."""
        if (h, g) in self._products:
            return self._products[h, g].T
        products = self.x[self.spans[g]] @ self.x[self.spans[h]].T
        if self.small:
            self._products[g, h] = products
        return products

    def rows(self, group: int) -> Tensor:
        """(N_g,) int64: the numbers of a group's rows."""
        span = self.spans[group]
        return torch.arange(span.start, span.stop, device=self._groups[group].device)

    def features(self, rows: Tensor) -> Tensor:
        """(n, D): some rows as they came."""
        return torch.cat(self._groups)[rows]

    @cached_property
    def x(self) -> Tensor:
        """(N, D) float64: all rows, less the mean of the first group.

        Raises:
            BadInput: no matrices, different D, or values that are not finite.
        """
        first = self._groups[0]
        for other in self._groups[1:] or (first,):
            matching(first, other, names=("real", "other"))
        return torch.cat([centred(group.to(first.device), self.middle) for group in self._groups])

    @cached_property
    def middle(self) -> Tensor:
        """(D,) float64: the mean of the first group."""
        return column_means(self._groups[0])

    @cached_property
    def squares(self) -> Tensor:
        """(N,) float64: the squared length of each row."""
        squares: Tensor = torch.linalg.vector_norm(self.x, dim=1).square()
        return squares

    def radii(self, rows: Tensor, k: int) -> Tensor:
        """The squared distance from each of some rows to the k-th nearest other one of the same rows.

        Args:
            rows: (n,) int64, all different, n > k.
            k: at least 1.

        Returns:
            (n,) float64.
        """
        member, radii = self._mask(rows), self.x.new_empty(len(rows))
        for place, here, lists in self._parts(rows, member):
            candidates = torch.cat([_of(member, one, here) for one in lists], 1)
            if candidates.shape[1] < k:
                radii[place] = torch.inf
            else:
                radii[place] = candidates.kthvalue(k, 1).values
            reach = torch.stack([one.reach[here] for one in lists]).amin(0)
            self._again(radii, place, radii[place] > reach, rows, rows, k)
        return radii

    def nearest(self, rows: Tensor, among: Tensor) -> Tensor:
        """(n,) float64: the squared distance from each of some rows to the nearest other row among (m,) rows."""
        member, distances = self._mask(among), self.x.new_empty(len(rows))
        for place, here, lists in self._parts(rows, member):
            distances[place] = torch.stack([_of(member, one, here).amin(1) for one in lists]).amin(0)
            reach = torch.stack([one.reach[here] for one in lists]).amin(0)
            self._again(distances, place, distances[place] > reach, rows, among, 1)
        return distances

    def balls(self, centres: Tensor, radii: Tensor, rows: Tensor, slack: float) -> _Balls:
        """Which rows lie in balls, rims included.

        Args:
            centres: (C,) int64, rows in the middle.
            radii: (C,) float64, squared.
            rows: (M,) int64, other rows, all different.
            slack: see `squared_distances`.
        """
        member, hit = self._mask(rows), torch.zeros(len(self.x), dtype=torch.bool, device=self.x.device)
        counts = torch.zeros(len(centres), dtype=torch.int64, device=self.x.device)
        for place, here, lists in self._parts(centres, member):
            limit = radii[place] + slack * self.squares[centres[place]]
            whole = torch.stack([one.reach[here] for one in lists]).amin(0) > limit + slack * self.squares.max()
            for one in lists:
                index = one.number[here]
                inside = one.distance[here] - slack * self.squares[index] <= limit[:, None]
                inside &= member[index] & whole[:, None]
                counts[place] += inside.sum(1)
                hit[index[inside]] = True
            for part, far in self._far(centres, place, ~whole, rows, slack):
                inside = far <= radii[part, None]
                counts[part] = inside.sum(1)
                hit[rows[inside.any(0)]] = True
        return _Balls(counts, hit[rows])

    def _mask(self, rows: Tensor) -> Tensor:
        """(N,) bool: which of all rows these are."""
        return torch.zeros(len(self.x), dtype=torch.bool, device=self.x.device).index_fill_(0, rows, True)

    def _parts(self, rows: Tensor, member: Tensor) -> Iterator[tuple[Tensor, Tensor, list[_Nearest]]]:
        """For each group: the places of its rows among `rows`, their numbers in it, their lists in members' groups."""
        groups = [h for h, span in enumerate(self.spans) if bool(member[span].any())]
        for g, span in enumerate(self.spans):
            place = ((rows >= span.start) & (rows < span.stop)).nonzero().flatten()
            if len(place):
                yield place, rows[place] - span.start, [self._list(g, h) for h in groups]

    def _again(self, values: Tensor, place: Tensor, missing: Tensor, rows: Tensor, among: Tensor, k: int) -> None:
        """Computes the distance to the k-th nearest anew, where the lists do not reach that far."""
        for part, far in self._far(rows, place, missing, among, 0.0):
            far.masked_fill_(rows[part, None] == among, torch.inf)
            values[part] = far.topk(k, largest=False).values[:, -1]

    def _far(
        self, rows: Tensor, place: Tensor, missing: Tensor, among: Tensor, slack: float
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Portions of the places that are missing, with all squared distances from their rows."""
        place = place[missing]
        others = self.x[among] if len(place) else self.x[:0]
        for part in portions(len(place), len(among), self._entries):
            yield place[part], squared_distances(self.x[rows[place[part]]], others, slack)

    def _list(self, g: int, h: int) -> _Nearest:
        """The nearest rows of group h to each row of group g, found when they are first asked for."""
        if (g, h) not in self._lists:
            self._lists[g, h] = self._searched(g, h)
        return self._lists[g, h]

    def _between(self, g: int, h: int, part: slice) -> Tensor:
        """The squared distances from a part of the rows of group g to those of group h."""
        rows, among = self.spans[g], self.spans[h]
        if not self.small:
            return squared_distances(self.x[rows][part], self.x[among])
        lengths = self.squares[rows][part, None] + self.squares[among]
        return lengths.sub_(self.products(g, h)[part], alpha=2).clamp_min_(0)

    def _searched(self, g: int, h: int) -> _Nearest:
        rows, among = self.spans[g], self.spans[h]
        n, others = rows.stop - rows.start, among.stop - among.start - (rows == among)
        width = min(self._width, others)
        if width < 1:
            raise BadInput(f"nearest neighbours need at least 1 other row, got {others}; give more examples")
        # Written in place: small tensors that stay alive between large ones keep the allocator from reusing memory.
        distance, index = self.x.new_empty(n, width), torch.empty(n, width, dtype=torch.int64, device=self.x.device)
        for part in portions(n, others + 1, self._entries):
            between = self._between(g, h, part)
            if rows == among:
                between.diagonal(part.start).fill_(torch.inf)
            distance[part], index[part] = between.topk(width, largest=False)
        reach = torch.full_like(distance[:, 0], torch.inf) if width == others else distance[:, -1]
        return _Nearest(distance, index + among.start, reach)


def _of(member: Tensor, one: _Nearest, here: Tensor) -> Tensor:
    """(n, K): the distances in the lists of some rows, infinite for rows that are no members."""
    return torch.where(member[one.number[here]], one.distance[here], torch.inf)
