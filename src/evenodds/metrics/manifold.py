"""Whether fake examples lie among the real ones, and the real ones among the fake: balls around nearest neighbours."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics._rows import centred, column_means, matching, portions, squared_distances
from evenodds.metrics.neighbourhood import Neighbourhood

__all__ = [
    "DensityCoverage", "PrecisionRecall", "density_coverage", "density_coverage_of", "precision_recall",
    "precision_recall_of",
]  # fmt: skip

# Above the rounding of squared distances, so that a copy, and a distance equal to the radius, count as inside.
SLACK = 1e-12


class PrecisionRecall(NamedTuple):
    """What `precision_recall` finds.

    Attributes:
        precision: () float64 in [0, 1], the share of fake rows that lie among the real ones: are they realistic?
        recall: () float64 in [0, 1], the share of real rows that lie among the fake ones: is everything there?
    """

    precision: Tensor
    recall: Tensor


class DensityCoverage(NamedTuple):
    """What `density_coverage` finds.

    Attributes:
        density: () float64, at least 0: in how many real balls a fake row lies, over k. 1 is expected for equal
            distributions; above 1 where fake rows crowd where real ones are dense.
        coverage: () float64 in [0, 1], the share of real rows with a fake row in their ball.
    """

    density: Tensor
    coverage: Tensor


def precision_recall(real: Tensor, fake: Tensor, *, k: int = 3, entries: int = 1 << 22) -> PrecisionRecall:
    """Improved precision and recall: Kynkäänniemi et al. (2019), eqs. 1 - 3.

    Every row gets a ball up to its k-th nearest neighbour within its own set. Precision is the share of fake rows
    inside at least one real ball, recall the share of real rows inside at least one fake ball. A ball includes its
    rim: a copy is inside even where the radius is 0, as it is for a row with k copies in its own set.

    REAL FIRST, FAKE SECOND. Swapped inputs swap both scores, so that a collapsed generator shows a perfect recall.

    A single outlier with a large ball can raise either score much; `density_coverage` is the robust variant. Both
    scores rise with k and fall with the number of columns: compare only values from equal numbers of examples.

    Args:
        real: (N, D) features of real examples, N > k; computed in float64.
        fake: (M, D) features of fake examples, M > k.
        k: the neighbour that sets the radius, at least 1.
        entries: distances that are held in memory at once.

    Returns:
        PrecisionRecall(precision, recall).

    Raises:
        BadInput: no matrices, different D, N or M <= k, k < 1, or values that are not finite.
    """
    real, fake = _checked(real, fake, k)
    real_radii, fake_radii = _radii(real, k, entries), _radii(fake, k, entries)
    realistic = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    covered = []
    for part in portions(len(real), len(fake), entries):
        distances = squared_distances(real[part], fake, SLACK)
        realistic |= (distances <= real_radii[part, None]).any(0)
        covered.append((distances <= fake_radii).any(1))
    return PrecisionRecall(realistic.to(torch.float64).mean(), torch.cat(covered).to(torch.float64).mean())


def precision_recall_of(near: Neighbourhood, real: Tensor, fake: Tensor, *, k: int = 3) -> PrecisionRecall:
    """`precision_recall` (Kynkäänniemi et al. 2019) of some rows of a neighbourhood, from known neighbours.

    Args:
        near: all rows.
        real: (N,) int64, numbers of rows, N > k.
        fake: (M,) int64, numbers of other rows, M > k.
        k: the neighbour that sets the radius, at least 1.

    Returns:
        PrecisionRecall(precision, recall).

    Raises:
        BadInput: N or M <= k, k < 1.
    """
    _require_enough(len(real), len(fake), k)
    realistic = near.balls(real, near.radii(real, k), fake, SLACK).inside
    covered = near.balls(fake, near.radii(fake, k), real, SLACK).inside
    return PrecisionRecall(realistic.to(torch.float64).mean(), covered.to(torch.float64).mean())


def density_coverage(real: Tensor, fake: Tensor, *, k: int = 5, entries: int = 1 << 22) -> DensityCoverage:
    """Density and coverage: Naeem et al. (2020), section 3.

    Only real rows get balls, up to their k-th nearest real neighbour, rim included. Density counts the balls that hold
    each fake row; coverage is the share of balls that hold any. For equal distributions density is expected to be 1,
    and coverage 1 - (N - 1)...(N - k) / ((N + M - 1)...(N + M - k)), which is about 1 - 2^-k for N = M.

    REAL FIRST, FAKE SECOND. Swapped inputs give other scores, and nothing shows that they were swapped.

    Args:
        real: (N, D) features of real examples, N > k; computed in float64.
        fake: (M, D) features of fake examples, M > k.
        k: the neighbour that sets the radius, at least 1.
        entries: distances that are held in memory at once.

    Returns:
        DensityCoverage(density, coverage).

    Raises:
        BadInput: no matrices, different D, N or M <= k, k < 1, or values that are not finite.
    """
    real, fake = _checked(real, fake, k)
    radii = _radii(real, k, entries)
    balls, covered = radii.new_zeros(()), []
    for part in portions(len(real), len(fake), entries):
        inside = squared_distances(real[part], fake, SLACK) <= radii[part, None]
        balls += inside.sum()
        covered.append(inside.any(1))
    return DensityCoverage(balls / (k * len(fake)), torch.cat(covered).to(torch.float64).mean())


def density_coverage_of(near: Neighbourhood, real: Tensor, fake: Tensor, *, k: int = 5) -> DensityCoverage:
    """`density_coverage` (Naeem et al. 2020) of some rows of a neighbourhood, from known neighbours.

    Args:
        near: all rows.
        real: (N,) int64, numbers of rows, N > k.
        fake: (M,) int64, numbers of other rows, M > k.
        k: the neighbour that sets the radius, at least 1.

    Returns:
        DensityCoverage(density, coverage).

    Raises:
        BadInput: N or M <= k, k < 1.
    """
    _require_enough(len(real), len(fake), k)
    counts = near.balls(real, near.radii(real, k), fake, SLACK).counts.to(torch.float64)
    return DensityCoverage(counts.sum() / (k * len(fake)), (counts > 0).to(torch.float64).mean())


def _checked(real: Tensor, fake: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Both in float64 about the mean of the real rows, where squared distances keep their digits."""
    real, fake = matching(real, fake, names=("real", "fake"))
    _require_enough(len(real), len(fake), k)
    middle = column_means(real)
    return centred(real, middle), centred(fake, middle)


def _require_enough(real: int, fake: int, k: int) -> None:
    """BadInput where a row lacks a k-th neighbour in its own set."""
    if k < 1:
        raise BadInput(f"'k' must be at least 1 neighbour, got {k}; 3 and 5 are usual")
    if min(real, fake) <= k:
        raise BadInput(
            f"{k} nearest neighbours need at least {k + 1} rows in each set, got {real} real and "
            f"{fake} fake; give more examples"
        )


def _radii(x: Tensor, k: int, entries: int) -> Tensor:
    """(N,) squared distances to the k-th nearest other row. Each distance is computed once, for both its rows."""
    nearest = x.new_full((len(x), k), torch.inf)
    tiles = list(portions(len(x), math.isqrt(entries), entries))
    for i, across in enumerate(tiles):
        for down in tiles[i:]:
            distances = squared_distances(x[across], x[down])
            if down == across:
                distances.fill_diagonal_(torch.inf)
            else:
                _keep_least(nearest[down], distances.T)
            _keep_least(nearest[across], distances)
    return nearest.amax(1)


def _keep_least(least: Tensor, more: Tensor) -> None:
    """Replaces each row of `least` by the least of it and of the same row of `more`."""
    k = least.shape[1]
    candidates = more.topk(min(k, more.shape[1]), largest=False).values
    least.copy_(torch.cat([least, candidates], 1).topk(k, largest=False).values)
