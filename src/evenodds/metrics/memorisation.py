"""Whether a generator repeats its training examples: sample by sample, and on the whole."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.arithmetic import wilson
from evenodds.metrics._rows import centred, column_means, matching, matrix, portions, squared_distances
from evenodds.metrics.neighbours import Searches, nearest, nearest_other, nearest_row

__all__ = ["CopyTest", "DataCopying", "Suspects", "authenticity", "data_copying", "suspects"]

_FAR = 1e6
# Features of one picture from two batches differ in their last digits: by this share of their length, in float32.
_ROUNDING = 2e-6
_ENTRIES = 1 << 22


class Suspects(NamedTuple):
    """What `suspects` finds.

    Attributes:
        ratio: (N,) float64 in [0, 1e6], distance to the nearest training row over that to the nearest held-out row. 1
            where both are 0, 0 for a copy.
        suspected: (N,) bool, ratio < threshold.
        train_distance: (N,) float64.
        train_index: (N,) int64, the nearest training row.
        held_out_distance: (N,) float64.
        threshold: in (0, 1].
        expected: the share of new real examples that the threshold accuses. Above `level` where real data repeat
            themselves, or are too few to show that quantile.
        expected_high: the most that it may be, given how many rows it was learnt from: the upper end of its 95 %
            interval (Wilson 1927). A share whose `low` lies above is no chance.
        share: the share of the samples that is suspected.
        low: lower end of its 95 % interval (Wilson 1927).
        high: upper end. The interval takes samples as independent: of a collapsed generator they are not.
    """

    ratio: Tensor
    suspected: Tensor
    train_distance: Tensor
    train_index: Tensor
    held_out_distance: Tensor
    threshold: float
    expected: float
    expected_high: float
    share: float
    low: float
    high: float


class DataCopying(NamedTuple):
    """What `data_copying` finds.

    Attributes:
        c_t: the mean of `cells` under `weights`. Below -3: samples lie nearer to the training rows than new real
            examples do, as copies would. Above 3: further off, as noisy samples do.
        cells: (K,) float64, one z-score per cell that was used, standard normal for an honest generator.
        weights: (K,) float64 with sum 1, the cells' shares of the held-out rows.
    """

    c_t: float
    cells: Tensor
    weights: Tensor


def suspects(
    fake: Tensor, train: Tensor, held_out: Tensor, *, level: float = 0.01, searches: Searches | None = None
) -> Suspects:
    """Accuses samples that lie much nearer to a training row than to any held-out row.

    Held-out rows are new examples, so their own ratios (nearest training row against nearest other held-out row) say
    how small a ratio honest samples reach; the threshold is the `level` quantile, as in conformal prediction (Vovk et
    al. 2005): the k-th smallest of n ratios with k = floor(level (n + 1)), which accuses a share of k / (n + 1). Sizes
    of the sets, dimension and density cancel out: a sample far from all data has a ratio near 1.

    - Fewer than 1 / level held-out rows cannot show that quantile. Training rows then help out, each against the others
      (2,000 of them, evenly spaced). If these too are fewer, the smallest ratio is the threshold.
    - Held-out rows that repeat a training row, up to float32, would leave no threshold under which a copy could fall.
      They are set aside, and their share is added to what is expected.
    - A copy is found if what was done to it is small against the distance between neighbouring rows: rounding to 8 bits
      is in 10 columns or more, hardly in 2. Moved by a pixel, a copy is far away in pixels (Theis et al. 2016); use
      features that do not see such moves.

    Args:
        fake: (N, D) generated rows; computed in float64.
        train: (M, D) rows that the generator was trained on, M >= 2.
        held_out: (H, D) rows of the same kind that it was not, H >= 2. What counts as new is how they were chosen: for
            several pictures of one patient, hold out patients.
        level: share of new real examples that may be accused, in (0, 0.5].
        searches: those of other tests of the same sets; None for new ones.

    Returns:
        Suspects(ratio, suspected, train_distance, train_index, held_out_distance, threshold, expected, expected_high,
        share, low, high).

    Raises:
        BadInput: no matrices, different D, too few rows, values that are not finite, a level out of range, or held-out
            rows all of which are training rows.
    """
    return CopyTest(train, held_out, level=level, searches=searches)(fake)


class CopyTest:
    """`suspects` for several sets of samples: the threshold, which real rows alone decide, is found once.

    Args:
        train: as for `suspects`, like the others.

    Example:
        >>> import torch
        >>> from evenodds.metrics.memorisation import CopyTest
        >>> rows = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
        >>> test = CopyTest(rows[:200], rows[200:300])
        >>> test(rows[:50]).share, test(rows[300:]).share <= 0.03
        (1.0, True)
    """

    def __init__(
        self, train: Tensor, held_out: Tensor, *, level: float = 0.01, searches: Searches | None = None
    ) -> None:
        if not 0 < level <= 0.5:
            raise BadInput(f"'level' must lie in (0, 0.5], got {level}; 0.01 is usual")
        self.train, self.held_out = matching(train, held_out, least=2, names=("train", "held_out"))
        self.level, self.searches = level, searches
        self._calibration: tuple[float, float, int] | None = None

    def __call__(self, fake: Tensor) -> Suspects:
        """What `suspects` finds among (N, D) generated rows."""
        fake, train = matching(fake, self.train, names=("fake", "train"))
        searches = self.searches or Searches()
        if self._calibration is None:
            self._calibration = _calibrated(train, self.held_out, self.level, searches)
        threshold, expected, n_honest = self._calibration
        distance, index = searches.nearest(fake, train)
        to_held_out, _ = searches.nearest(fake, self.held_out)
        ratio = _ratio(distance, to_held_out)
        suspected = ratio < threshold
        share = float(suspected.to(torch.float64).mean())
        low, high = wilson(share, len(fake))
        limit = wilson(expected, n_honest)[1]
        return Suspects(ratio, suspected, distance, index, to_held_out, threshold, expected, limit, share, low, high)


def authenticity(fake: Tensor, train: Tensor, searches: Searches | None = None) -> Tensor:
    """A sample is authentic if it lies further from its nearest training row than the nearest other training row does.

    The classifier of authenticity of Alaa et al. (2022). Needs no held-out rows, but its share (the mean) for honest
    samples is no fixed number: about one half, more in many columns. Compare it with that of held-out rows.

    Args:
        fake: (N, D) generated rows; computed in float64.
        train: (M, D) rows that the generator was trained on, M >= 2.
        searches: those of other tests of the same sets; None for new ones.

    Returns:
        (N,) bool.

    Raises:
        BadInput: no matrices, different D, too few rows, or values that are not finite.
    """
    train, fake = matching(matrix(train, "train", 2), fake, names=("train", "fake"))
    distance, index = (searches or Searches()).nearest(fake, train)
    is_nearest = torch.bincount(index, minlength=len(train)) > 0
    to_others = distance.new_zeros(len(train))
    to_others[is_nearest] = nearest_other(train, is_nearest.nonzero()[:, 0])
    return distance > to_others[index]


def data_copying(
    train: Tensor,
    held_out: Tensor,
    fake: Tensor,
    *,
    cells: int | None = None,
    rng: torch.Generator,
    searches: Searches | None = None,
) -> DataCopying:
    """C_T: are samples nearer to the training rows than held-out rows are, in the same part of the space?

    Meehan et al. (2020), section 3: k-means cuts the space into cells; in each, the distances of samples and of
    held-out rows to their nearest training row are compared by the z-score of Mann and Whitney (1947), with mid-ranks
    and the tie correction; C_T is the mean of the z-scores, weighted with the cells' shares of the held-out rows, over
    the cells with at least 20 samples (or samples / cells, if that is less).

    It sees that many samples lie a little too near, as of a generator that varies its training rows, and hardly that a
    twentieth are copies: `suspects` does. Among honest generators it varies less than a standard normal number, by
    sqrt(sum of weights^2).

    Args:
        train: (M, D) rows that the generator was trained on; computed in float64.
        held_out: (H, D) rows of the same kind that it was not.
        fake: (N, D) generated rows.
        cells: at least 1, for k-means; by default one for every 100 samples or held-out rows, whichever are fewer, from
            1 to 20. More of them see copying in one place only, with less force.
        rng: draws the first middles of the cells.
        searches: those of other tests of the same sets; None for new ones.

    Returns:
        DataCopying(c_t, cells, weights).

    Raises:
        BadInput: no matrices, different D, no rows, values that are not finite, no cell, or no held-out row in any cell
            with enough samples.
    """
    train, held_out = matching(train, held_out, names=("train", "held_out"))
    train, fake = matching(train, fake, names=("train", "fake"))
    count = min(max(1, min(len(held_out), len(fake)) // 100), 20) if cells is None else cells
    if count < 1:
        raise BadInput(f"'cells' must be at least 1, got {cells}; 1 to 20 are usual")
    middles = k_means(train, count, rng)
    searches = searches or Searches()
    real, fake_distances = searches.nearest(held_out, train)[0], searches.nearest(fake, train)[0]
    real_cell, fake_cell = nearest_row(held_out, middles), nearest_row(fake, middles)
    enough = max(1, min(20, len(fake) // count))
    scores, weights = [], []
    for cell in range(len(middles)):
        there, here = real[real_cell == cell], fake_distances[fake_cell == cell]
        if len(there) and len(here) >= enough:
            scores.append(_rank_score(there, here))
            weights.append(len(there))
    if not scores:
        raise BadInput(f"no cell of {count} has held-out rows and at least {enough} samples; take fewer cells")
    z, w = torch.stack(scores), real.new_tensor(weights) / sum(weights)
    return DataCopying(float((z * w).sum()), z, w)


def _ratio(to_train: Tensor, to_held_out: Tensor) -> Tensor:
    ratio = (to_train / to_held_out).clamp_max(_FAR)
    return torch.where((to_train == 0) & (to_held_out == 0), 1.0, ratio)


def _honest(x: Tensor, to_train: Tensor, to_held_out: Tensor) -> Tensor:
    """(N,) ratios of real rows x, exactly 0 for those that repeat a training row."""
    ratio = _ratio(to_train, to_held_out)
    # Either alone would take true neighbours for repetitions: many rows in one column lie as near as rounding, and
    # ratios are tiny in any cluster without held-out rows.
    repeated = (ratio < 1e-4) & (to_train <= _ROUNDING * torch.linalg.vector_norm(x.to(torch.float64), dim=1))
    return torch.where(repeated, 0.0, ratio)


def _calibrated(train: Tensor, held_out: Tensor, level: float, searches: Searches) -> tuple[float, float, int]:
    """The threshold, the share of new examples whose ratio lies below it, and from how many that is known."""
    others = nearest_other(held_out, _evenly(held_out, len(held_out)))
    honest = _honest(held_out, searches.nearest(held_out, train)[0], others)
    if not bool((honest > 0).any()):
        raise BadInput("every row of 'held_out' is a row of 'train' too; hold out rows that were not trained on")
    if int((honest > 0).sum()) + 1 < 1 / level:
        index = _evenly(train, 2000)
        stand_ins = _honest(train[index], nearest_other(train, index), nearest(train[index], held_out)[0])
        honest = torch.cat([honest, stand_ins])
    usual = honest[honest > 0].sort().values
    # Without the margin, floor(0.01 * 500) would be 4 on machines where the product rounds to less than 5.
    k = max(1, math.floor(level * (len(usual) + 1) + 1e-9))
    repeated = 1 - len(usual) / len(honest)
    return min(1.0, float(usual[k - 1])), repeated + (1 - repeated) * k / (len(usual) + 1), len(honest)


def _evenly(x: Tensor, most: int) -> Tensor:
    """Numbers of up to `most` rows of x, spread over all."""
    count = min(len(x), most)
    return torch.arange(count, device=x.device) * len(x) // count


def k_means(x: Tensor, k: int, rng: torch.Generator, rounds: int = 10) -> Tensor:
    """Up to k middles: seeded far apart (Arthur and Vassilvitskii 2007), then moved to their rows' means."""
    # Distances do not depend on the origin, their rounding does.
    shift = column_means(x)
    x = centred(x, shift)
    middles = x[_drawn(torch.ones_like(x[:, 0]), rng)][None]
    while len(middles) < k:
        apart = torch.cat([squared_distances(x[p], middles).amin(1) for p in portions(len(x), k, _ENTRIES)])
        if not bool((apart > 0).any()):
            break
        middles = torch.cat([middles, x[_drawn(apart, rng)][None]])
    for _ in range(rounds):
        cell = nearest_row(x, middles)
        count = torch.bincount(cell, minlength=len(middles))[:, None]
        means = torch.zeros_like(middles).index_add_(0, cell, x) / count.clamp_min(1)
        middles = torch.where(count > 0, means, middles)
    return middles + shift


def _drawn(weights: Tensor, rng: torch.Generator) -> int:
    """A row with probability in proportion to its weight."""
    total = weights.cumsum(0)
    level = torch.rand((), generator=rng, device=rng.device, dtype=torch.float64).to(total.device) * total[-1]
    return min(int(torch.searchsorted(total, level, right=True)), len(weights) - 1)


def _rank_score(a: Tensor, b: Tensor) -> Tensor:
    """z of Mann and Whitney's U for b above a; 0 where all are equal."""
    _, place, count = torch.unique(torch.cat([a, b]), return_inverse=True, return_counts=True)
    count = count.to(torch.float64)
    rank = (count.cumsum(0) - (count - 1) / 2)[place]
    n, m, total = len(a), len(b), len(a) + len(b)
    above = rank[n:].sum() - m * (m + 1) / 2 - n * m / 2
    ties = (count**3 - count).sum() / (total * (total - 1))
    variance = n * m / 12 * (total + 1 - ties)
    # Rounding may leave 1e-16 of a variance that is 0.
    return above / variance.sqrt() if float(variance) > 1e-9 else torch.zeros_like(above)
