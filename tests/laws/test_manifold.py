"""Theorems and closed forms of metrics on features: balls, blocks of rows, and what real against real must give."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics.frechet import frechet
from evenodds.metrics.kernel import kernel_distance, kernel_distance_blocks
from evenodds.metrics.manifold import density_coverage, precision_recall
from evenodds.metrics.neighbours import nearest, two_sample_accuracy
from evenodds.metrics.sliced import sliced_wasserstein

REAL = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
FAKE = torch.tensor([[-1.0], [2.5], [12.0], [12.5]])


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_balls_on_a_line_by_hand() -> None:
    """k = 1: real balls [-1, 1] [0, 2] [1, 5] [3, 11], fake balls [-4.5, 2.5] [-1, 6] [11.5, 12.5] [12, 13]."""
    assert [float(x) for x in precision_recall(REAL, FAKE, k=1)] == [2 / 4, 3 / 4]
    assert [float(x) for x in density_coverage(REAL, FAKE, k=1)] == [2 / 4, 2 / 4]


def test_larger_balls_on_a_line_by_hand() -> None:
    """k = 2: real balls [-3, 3] [-1, 3] [0, 6] [1, 13], which hold 2, 2, 1 and 3 fake rows of -1, 2.5, 12, 12.5."""
    assert [float(x) for x in precision_recall(REAL, FAKE, k=2)] == [1, 1]
    assert [float(x) for x in density_coverage(REAL, FAKE, k=2)] == [(2 + 2 + 1 + 3) / (2 * 4), 1]
    few = torch.tensor([[-3.0], [13.5], [3.0]])
    assert [float(x) for x in density_coverage(REAL, few, k=2)] == [pytest.approx((2 + 1 + 1 + 1) / (2 * 3)), 1]


@pytest.mark.parametrize("k", [1, 3, 5])
def test_real_given_as_fake_is_perfect(k: int) -> None:
    """Every ball holds its own row and k others."""
    real = normal(0, 90, 4)
    assert [float(x) for x in precision_recall(real, real, k=k)] == [1, 1]
    density, coverage = density_coverage(real, real, k=k)
    assert float(density) == pytest.approx((k + 1) / k, abs=1e-12)
    assert float(coverage) == 1


@pytest.mark.parametrize(("n", "m", "k"), [(20, 20, 5), (30, 10, 3), (8, 30, 1)])
def test_density_and_coverage_of_one_distribution(n: int, m: int, k: int) -> None:
    """Among the others of a real row, real and fake, any order is equally likely, whatever the distribution."""
    real, fake = normal(1, 800, n, 2).exp(), normal(2, 800, m, 2).exp()
    found = [density_coverage(a, b, k=k) for a, b in zip(real, fake, strict=True)]
    none = math.prod((n - i) / (n + m - i) for i in range(1, k + 1))
    for values, expected in (
        (torch.stack([x.density for x in found]), 1.0),
        (torch.stack([x.coverage for x in found]), 1 - none),
    ):
        error = float(values.std()) / math.sqrt(len(values))
        assert float(values.mean()) == pytest.approx(expected, abs=3 * error)


def test_swapped_inputs_swap_precision_and_recall() -> None:
    real, fake = normal(3, 70, 3), normal(4, 50, 3) * 0.7 + 0.5
    precision, recall = precision_recall(real, fake)
    assert precision != recall
    assert precision_recall(fake, real) == (recall, precision)


def test_a_collapse_is_precise_and_reaches_little() -> None:
    """50 copies of one real row: it alone lies in their balls, which have the radius 0."""
    real = normal(5, 200, 4)
    fake = real[17].repeat(50, 1)
    precision, recall = precision_recall(real, fake)
    assert float(precision) == 1
    assert float(recall) == 1 / 200
    assert 1 / 200 <= float(density_coverage(real, fake).coverage) < 0.1


def test_noise_is_not_precise() -> None:
    real, noise = normal(6, 200, 8), 10 * normal(7, 200, 8)
    assert float(precision_recall(real, noise).precision) < 0.02
    assert float(density_coverage(real, noise).density) < 0.02
    assert [float(x) for x in precision_recall(real, noise + 1e4)] == [0, 0]


def test_balls_without_radius_hold_copies_and_nothing_else() -> None:
    """5 copies of each real row, far from the origin; 6 fake rows are copies, 4 are close by."""
    places = normal(8, 4, 6) + 1000
    real = places.repeat_interleave(5, 0)
    fake = torch.cat([places[[0, 0, 1, 1, 1, 1]], places[[0, 1, 2, 3]] + 1e-3])
    assert float(precision_recall(real, fake, k=3).precision) == 0.6
    density, coverage = density_coverage(real, fake, k=4)
    assert float(density) == pytest.approx((2 + 4) * 5 / (4 * 10), abs=1e-12)
    assert float(coverage) == 0.5


def test_balls_keep_their_digits_far_from_the_origin() -> None:
    """Steps of 2^-20 about 2^20: squares differ from each other by one part in 2^80."""
    scale, offset = 2.0**-20, 2.0**20
    for metric in (precision_recall, density_coverage):
        assert metric(REAL.double() * scale + offset, FAKE.double() * scale + offset, k=1) == metric(REAL, FAKE, k=1)


def test_neighbours_keep_their_digits_far_from_the_origin() -> None:
    """The same steps: without centring, every row is as near as any other."""
    a, b = (x.double() * 2.0**-20 + 2.0**20 for x in (FAKE, REAL))
    distance, index = nearest(a, b)
    assert index.tolist() == [0, 2, 3, 3]
    assert (distance * 2.0**20).tolist() == [1, 0.5, 5, 5.5]
    assert two_sample_accuracy(b, a) == two_sample_accuracy(REAL, FAKE)


def test_balls_need_more_rows_than_neighbours() -> None:
    for metric in (precision_recall, density_coverage):
        metric(REAL, FAKE, k=3)
        for few in ((REAL, FAKE[:3]), (REAL[:3], FAKE)):
            with pytest.raises(BadInput, match="3 nearest neighbours need at least 4 rows"):
                metric(*few, k=3)


def gaussian_discrepancy(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """MMD^2 of two Gaussians under (x.y / D + 1)^3 = sum_k binomial(3, k) (x.y)^k / D^k.

    E (x.y)^k of independent x and y is the inner product of their k-th moment tensors.
    """

    def moments(m: Tensor, cov: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        second = cov + torch.outer(m, m)
        mixed = torch.einsum("i,jk->ijk", m, cov)
        third = torch.einsum("i,j,k->ijk", m, m, m) + mixed + mixed.permute(1, 0, 2) + mixed.permute(2, 1, 0)
        return m, second, third

    apart = [a - b for a, b in zip(moments(mean_a, cov_a), moments(mean_b, cov_b), strict=True)]
    d = len(mean_a)
    return math.fsum(math.comb(3, k) * float(t.square().sum()) / d**k for k, t in enumerate(apart, 1))


@pytest.mark.parametrize("apart", [0.0, 1.0])
def test_kernel_blocks_are_unbiased_with_an_honest_error(apart: float) -> None:
    """400 draws of 12 blocks of 10 and 15 rows. The error of their spread is 4 %."""
    turn, scale = normal(9, 3, 3), 1 + 0.3 * apart
    a = normal(10, 400, 120, 3) @ turn + 0.5
    b = (normal(11, 400, 180, 3) @ turn) * scale + 0.5 + 0.4 * apart
    found = [kernel_distance_blocks(x, y, size=10) for x, y in zip(a, b, strict=True)]
    means = torch.stack([x.mean for x in found])
    mean, cov = torch.full((3,), 0.5).double(), turn.T @ turn
    expected = gaussian_discrepancy(mean, cov, mean + 0.4 * apart, cov * scale**2)
    assert float(means.mean()) == pytest.approx(expected, abs=3 * float(means.std()) / 20)
    claimed = torch.stack([x.standard_error for x in found]).square().mean().sqrt()
    assert float(claimed) == pytest.approx(float(means.std()), rel=0.25)


def test_kernel_blocks_use_every_row_once_and_in_order() -> None:
    a, b = normal(12, 47, 3), normal(13, 32, 3) + 1
    found = kernel_distance_blocks(a, b, size=3)
    cuts = zip(a.tensor_split(10), b.tensor_split(10), strict=True)
    assert torch.allclose(found.blocks, torch.stack([kernel_distance(x, y) for x, y in cuts]), rtol=1e-4, atol=1e-6)
    assert found.mean == found.blocks.mean()
    assert float(found.standard_error) == pytest.approx(float(found.blocks.std()) / math.sqrt(10), rel=1e-12)


@pytest.mark.parametrize(
    ("n", "m", "size", "blocks"),
    [(4, 9, 1000, 2), (19, 19, 1000, 9), (400, 90, 1000, 10), (120, 150, 10, 12), (119, 150, 10, 11)],
)
def test_how_many_kernel_blocks(n: int, m: int, size: int, blocks: int) -> None:
    assert len(kernel_distance_blocks(normal(14, n, 2), normal(15, m, 2), size=size).blocks) == blocks


def test_kernel_blocks_keep_their_digits_far_from_the_origin() -> None:
    """Values around k = 10^15 that differ by 10^6: rounding of float32 rows would leave nothing."""
    a, b = normal(16, 100, 30) + 300, normal(17, 100, 30) + 300.01
    found = kernel_distance_blocks(a, b, size=10)
    plain = torch.stack([kernel_distance(x, y) for x, y in zip(a.chunk(10), b.chunk(10), strict=True)])
    assert float((found.blocks - plain).abs().max()) < 1e-3 * float(found.standard_error)


def slices(a: Tensor, b: Tensor) -> Tensor:
    return sliced_wasserstein(a, b, rng=torch.Generator().manual_seed(0))


# Each one so that less is better.
SCORES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "frechet": frechet,
    "kernel_distance": kernel_distance,
    "kernel_distance_blocks": lambda a, b: kernel_distance_blocks(a, b, size=20).mean,
    "sliced_wasserstein": slices,
    "precision": lambda a, b: -precision_recall(a, b).precision,
    "recall": lambda a, b: -precision_recall(a, b).recall,
    "density": lambda a, b: -density_coverage(a, b).density,
    "coverage": lambda a, b: -density_coverage(a, b).coverage,
}


@pytest.mark.parametrize("name", SCORES)
def test_real_examples_score_as_real_and_others_worse(name: str) -> None:
    """Real given as fake scores no worse than any of 20 fresh real sets, and a blurred and shifted one worse."""
    real, fresh = normal(18, 200, 5), normal(19, 20, 200, 5)
    level = torch.stack([SCORES[name](real, x) for x in fresh])
    assert float(SCORES[name](real, real)) <= float(level.min())
    assert float(SCORES[name](real, 0.5 * fresh[0] + 2)) > float(level.max())
