"""What nearest neighbours say about two sets of examples."""

from typing import Any

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics._rows import centred, column_means, matching, matrix, portions, squared_distances
from evenodds.metrics.neighbourhood import Neighbourhood

__all__ = ["Searches", "nearest", "nearest_other", "nearest_row", "two_sample_accuracy", "two_sample_accuracy_of"]


def nearest(a: Tensor, b: Tensor, *, entries: int = 1 << 22) -> tuple[Tensor, Tensor]:
    """For every row of a, the nearest row of b: shows whether generated examples are copies of training examples.

    Nearest in Euclidean distance, the first one among equals. Theis et al. (2016) show what this cannot show: a copy
    shifted by a pixel is far away in pixels, so give it features.

    Args:
        a: (N, D), the queries; computed in float64.
        b: (M, D), where to look.
        entries: distances that are held in memory at once.

    Returns:
        distance: (N,) float64, at least 0, exactly 0 for equal rows.
        index: (N,) int64, rows of b.

    Raises:
        BadInput: no matrices, different D, no rows, or values that are not finite.
    """
    a, b = matching(a, b)
    index = _rows_near(a, b, entries)
    # Written in place: small tensors that stay alive between large ones would keep the allocator from reusing memory.
    distance = torch.empty(len(a), dtype=torch.float64, device=a.device)
    for part in portions(len(a), len(b), entries):
        # Measured again between the rows as they came: centred ones round, and equal rows would be apart.
        distance[part] = torch.linalg.vector_norm(a[part].to(torch.float64) - b[index[part]].to(torch.float64), dim=1)
    return distance, index


def nearest_row(x: Tensor, among: Tensor, *, entries: int = 1 << 22) -> Tensor:
    """The cell of k-means (Lloyd 1982) that each row lies in: `nearest` without the distances, which take time.

    Args:
        x: (N, D), the queries; computed in float64.
        among: (M, D), where to look.
        entries: distances that are held in memory at once.

    Returns:
        (N,) int64, rows of `among`; the first one among equals.

    Raises:
        BadInput: no matrices, different D, no rows, or values that are not finite.
    """
    return _rows_near(*matching(x, among, names=("x", "among")), entries)


def _rows_near(a: Tensor, b: Tensor, entries: int) -> Tensor:
    middle = column_means(b)
    around = _Around(centred(b, middle))
    index = torch.empty(len(a), dtype=torch.int64, device=a.device)
    for part in portions(len(a), len(b), entries):
        index[part] = around.nearest(centred(a[part], middle))
    return index


class _Around:
    """Rows among which the nearest are looked for: in float32 first, and in float64 where that does not decide.

    The answers are those of float64. With D products of rows a and b, float32 is off by 2 (D + 8) u |a| |b| +
    8 u (|a|^2 + |b|^2) at most, u = 2^-24 (Higham 2002, section 3.1): a row that is nearer than all others by twice
    that is the nearest.

    Args:
        rows: (M, D) float64, centred.
    """

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        lengths: Tensor = torch.linalg.vector_norm(rows, dim=1)
        self._longest = float(lengths.max())
        # Beyond, squares may leave the range of float32; short searches gain nothing.
        self._coarse = rows.numel() >= 1 << 16 and 1e-8 < self._longest < 1e12
        if self._coarse:
            self._short, self._squares = rows.float(), lengths.square().float()

    def nearest(self, x: Tensor, itself: Tensor | None = None) -> Tensor:
        """(n,) int64: the nearest row to each of x (n, D) float64, the first among equals.

        Args:
            itself: (n,) int64, a row for each of x that does not count.
        """
        if not self._coarse:
            return self._exact(x, itself)
        distances = _without(torch.addmm(self._squares, x.float(), self._short.T, alpha=-2), itself)
        least, index = distances.min(1)
        limit = least + 2 * self._error(x).float()
        unsure = ((distances <= limit[:, None]).sum(1) != 1).nonzero().flatten()
        if len(unsure):
            index[unsure] = self._exact(x[unsure], None if itself is None else itself[unsure])
        return index

    def _exact(self, x: Tensor, itself: Tensor | None) -> Tensor:
        return _without(squared_distances(x, self.rows), itself).argmin(1)

    def _error(self, x: Tensor) -> Tensor:
        """(n,) how far a squared distance in float32 may be off."""
        lengths, unit = torch.linalg.vector_norm(x, dim=1), 2.0**-24
        products = 2 * (x.shape[1] + 8) * unit * lengths * self._longest
        error: Tensor = products + 8 * unit * (lengths.square() + self._longest**2)
        return error


def _without(distances: Tensor, itself: Tensor | None) -> Tensor:
    """The distances (n, M), infinite to one row each."""
    return distances if itself is None else distances.scatter_(1, itself[:, None], torch.inf)


class Searches:
    """`nearest`, with the answers kept: tests of the same sets share one search of each pair of sets."""

    def __init__(self) -> None:
        self._results: dict[tuple[Any, ...], tuple[Tensor, Tensor]] = {}
        self._sets: list[Tensor] = []  # kept alive, so that no other set gets their place in memory

    def nearest(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """See `nearest`; sets that lie at the same place in memory are the same, and must not change."""
        key = tuple((x.data_ptr(), tuple(x.shape), x.stride(), x.dtype) for x in (a, b))
        if key not in self._results:
            self._results[key] = nearest(a, b)
            self._sets += [a, b]
        return self._results[key]


def nearest_other(x: Tensor, which: Tensor, *, entries: int = 1 << 22) -> Tensor:
    """The distance from some rows of x to the nearest other row of x: 0 only where a row is repeated.

    Among generated examples small distances show that a few are made again and again, wherever these lie: the birthday
    test of Arora and Zhang (2018).

    Args:
        x: (N, D), N >= 2; computed in float64.
        which: (K,) int64, the rows that are asked for.
        entries: distances that are held in memory at once.

    Returns:
        (K,) float64, at least 0.

    Raises:
        BadInput: no matrix, fewer than 2 rows, or values that are not finite.
    """
    x = matrix(x, "x", least=2)
    around = _Around(centred(x, column_means(x)))
    # Filled instead of collected: small tensors kept between large ones that go leave holes, up to gigabytes of them.
    distances = around.rows.new_empty(len(which))
    for part in portions(len(which), len(x), entries):
        here = around.rows[which[part]]
        index = around.nearest(here, which[part])
        distances[part] = torch.linalg.vector_norm(here - around.rows[index], dim=1)
    return distances


def two_sample_accuracy(real: Tensor, fake: Tensor, *, entries: int = 1 << 22) -> Tensor:
    """How well the nearest other example tells real from fake: leave-one-out 1-nearest-neighbour accuracy.

    Lopez-Paz and Oquab (2017), with the classifier that Xu et al. (2018) recommend. About 0.5 where both
    sets come from one distribution, 1 where they are apart, below 0.5 where the fake examples are copies of the real
    ones. It is the mean of the accuracies on real and on fake rows, so 0.5 is even odds for unequal N and M too.

    Args:
        real: (N, D), N >= 2; computed in float64.
        fake: (M, D), M >= 2.
        entries: distances that are held in memory at once.

    Returns:
        () float64 in [0, 1].

    Raises:
        BadInput: no matrices, different D, too few rows, or values that are not finite.
    """
    real, fake = matching(real, fake, least=2, names=("real", "fake"))
    everything = torch.empty(len(real) + len(fake), real.shape[1], dtype=torch.float64, device=real.device)
    everything[: len(real)], everything[len(real) :] = real, fake
    everything -= everything.mean(0)
    is_real = torch.arange(len(everything), device=everything.device) < len(real)
    right = []
    for part in portions(len(everything), len(everything), entries):
        distances = squared_distances(everything[part], everything)
        itself = torch.arange(len(everything), device=everything.device)[part, None]
        distances.scatter_(1, itself, torch.inf)
        right.append(is_real[distances.argmin(1)] == is_real[part])
    rights = torch.cat(right).to(torch.float64)
    accuracy: Tensor = (rights[is_real].mean() + rights[~is_real].mean()) / 2
    return accuracy


def two_sample_accuracy_of(near: Neighbourhood, real: Tensor, fake: Tensor) -> Tensor:
    """`two_sample_accuracy` (Lopez-Paz and Oquab 2017) of some rows of a neighbourhood, from known neighbours.

    Args:
        near: all rows.
        real: (N,) int64, numbers of rows, N >= 2.
        fake: (M,) int64, numbers of other rows, M >= 2.

    Returns:
        () float64 in [0, 1].

    Raises:
        BadInput: too few rows.
    """
    if min(len(real), len(fake)) < 2:
        raise BadInput(f"a nearest other row needs 2 rows on each side, got {len(real)} and {len(fake)}; give more")
    on_real = near.nearest(real, real) <= near.nearest(real, fake)
    on_fake = near.nearest(fake, fake) < near.nearest(fake, real)
    accuracy: Tensor = (on_real.to(torch.float64).mean() + on_fake.to(torch.float64).mean()) / 2
    return accuracy
