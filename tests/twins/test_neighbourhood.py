"""Statistics of subsets from neighbours that are known are those of the subsets alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evenodds.evaluation.measures import MEASURES, Measure
from evenodds.metrics.intervals import Interval, Side, floors, intervals
from evenodds.metrics.kernel import kernel_distance, kernel_distances, kernel_distances_among
from evenodds.metrics.manifold import (
    density_coverage,
    density_coverage_of,
    precision_recall,
    precision_recall_of,
)
from evenodds.metrics.neighbourhood import Neighbourhood
from evenodds.metrics.neighbours import nearest, nearest_other, two_sample_accuracy, two_sample_accuracy_of

SETS = {
    "alike": (0.0, 1.0),
    "apart": (3.0, 1.0),
    "collapsed": (0.5, 0.01),  # many more samples in a real ball than a list holds
    "spread": (0.0, 5.0),
}


def sets(name: str, columns: int = 6) -> list[Tensor]:
    """Real items, samples and further real items, far from 0."""
    rng = torch.Generator().manual_seed(len(name))
    shift, scale = SETS[name]
    real, fake, others = (torch.randn(n, columns, generator=rng) for n in (120, 150, 170))
    return [real + 4, fake * scale + shift + 4, others + 4]


@pytest.mark.parametrize("width", [2, 16, 400])
@pytest.mark.parametrize("name", SETS)
def test_subsets_by_known_neighbours_are_as_by_themselves(name: str, width: int) -> None:
    """Whatever the lists hold, whether the rows of a side come from one group or two, and groups at once or in turn."""
    groups, rng = sets(name), torch.Generator().manual_seed(0)
    x = torch.cat(groups).double()
    few, many = Neighbourhood(*groups, width=width, entries=1 << 12), Neighbourhood(groups[0], width=width)
    in_turn = many.beside(groups[1]).beside(groups[2])
    assert in_turn.small
    assert not few.small
    for half in (slice(None), slice(0, None, 2)):
        real = few.rows(0)[half]
        mixed = torch.cat([few.rows(0), few.rows(2)])[torch.randperm(290, generator=rng)]
        for a, b in ((real, few.rows(1)[half]), (mixed[:120][half], mixed[120:250][half])):
            left, right = x[a], x[b]
            alone = [*precision_recall(left, right), *density_coverage(left, right), two_sample_accuracy(left, right)]
            for near in (few, in_turn):
                known = [*precision_recall_of(near, a, b), *density_coverage_of(near, a, b)]
                known.append(two_sample_accuracy_of(near, a, b))
                assert [float(value) for value in known] == pytest.approx([float(value) for value in alone], abs=1e-12)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_kernel_distances_of_many_subsets_are_those_of_each(degree: int) -> None:
    groups, rng = sets("spread"), torch.Generator().manual_seed(1)
    x = torch.cat(groups)
    pairs = [(torch.arange(120), torch.arange(120, 270))]
    for _ in range(3):
        order = torch.randperm(len(x), generator=rng)
        pairs.append((order[:60], order[60:140]))
    each = [float(kernel_distance(x[a], x[b], degree=degree)) for a, b in pairs]
    for entries in (1 << 22, 1 << 10):
        values = kernel_distances(x, pairs, degree=degree, entries=entries)
        assert values.tolist() == pytest.approx(each, rel=1e-9, abs=1e-12)
    near = Neighbourhood(groups[0]).beside(groups[1]).beside(groups[2])
    values = kernel_distances_among(near, pairs, degree=degree)
    assert values.tolist() == pytest.approx(each, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", SETS)
def test_scores_with_a_common_neighbourhood_are_those_without(name: str) -> None:
    """Value, interval and floor of every score of features."""
    real, fake, others = (Side(group, group) for group in sets(name))
    near = Neighbourhood(real.features, fake.features, others.features)
    grouped = [side.among(near, group) for group, side in enumerate((real, fake, others))]
    for measure in (measure for measure in MEASURES if measure.needs == "features"):
        alone, known = (both(measure, *sides) for sides in ((real, fake, others), grouped))
        for a, b in zip(alone, known, strict=True):
            for score in a:
                ends = ((v.value, v.low, v.high) for v in (a[score], b[score]))
                assert next(ends) == pytest.approx(next(ends), rel=1e-7, abs=1e-9), score


def both(measure: Measure, real: Side, fake: Side, others: Side) -> list[dict[str, Interval]]:
    """Intervals and floors of a measure."""
    return [
        intervals(measure.statistic, real, fake, 2, 5),
        floors(measure.statistic, real, others, len(fake), 2, 6),
    ]


@pytest.mark.parametrize("case", ["plain", "far from 0", "equal rows", "nearly equal rows", "tiny", "an outlier"])
def test_the_nearest_row_by_float32_first_is_that_by_float64(case: str) -> None:
    """Also where float32 cannot tell which of two rows is nearer."""
    rng = torch.Generator().manual_seed(3)
    rows, x = (torch.randn(n, 40, generator=rng, dtype=torch.float64) for n in (2000, 300))
    if case == "far from 0":
        rows, x = rows + 1e6, x + 1e6
    if case in ("equal rows", "nearly equal rows"):
        rows[1000:] = rows[:1000] * (1 + 1e-9 * (case == "nearly equal rows"))
        x = rows[torch.randperm(2000, generator=rng)[:300]] + 1e-3 * x
    if case == "tiny":
        rows, x = rows * 1e-30, x * 1e-30
    if case == "an outlier":
        rows[7] *= 1e5
    distance, index = nearest(x, rows)
    between = torch.cdist(x, rows, compute_mode="donot_use_mm_for_euclid_dist")
    assert torch.allclose(distance, between.amin(1), rtol=1e-9, atol=0)
    assert torch.allclose(between.gather(1, index[:, None])[:, 0], between.amin(1), rtol=1e-9, atol=0)
    others = nearest_other(rows, torch.arange(0, 2000, 7))
    among = torch.cdist(rows[::7], rows, compute_mode="donot_use_mm_for_euclid_dist")
    among[torch.arange(len(among)), torch.arange(0, 2000, 7)] = torch.inf
    assert torch.allclose(others, among.amin(1), rtol=1e-9, atol=1e-12 * float(rows.abs().max()))
