"""Theorems and closed forms that the metrics must obey."""

import math

import pytest
import torch
from torch import Tensor

from evenodds.metrics.divergence import histogram_divergence, jensen_shannon
from evenodds.metrics.frechet import frechet, frechet_of_moments
from evenodds.metrics.kernel import kernel_distance
from evenodds.metrics.modes import mode_coverage
from evenodds.metrics.neighbours import nearest, two_sample_accuracy
from evenodds.metrics.sliced import SlicedTo, sliced_wasserstein


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_frechet_of_gaussians_on_a_line() -> None:
    """(m_a - m_b)^2 + (s_a - s_b)^2."""
    value = frechet_of_moments(torch.tensor([1.0]), torch.tensor([[4.0]]), torch.tensor([-2.0]), torch.tensor([[25.0]]))
    assert float(value) == pytest.approx(9 + (2 - 5) ** 2, abs=1e-12)


def test_frechet_of_covariances_that_commute() -> None:
    """|m_a - m_b|^2 + sum (sqrt(l_i) - sqrt(k_i))^2 for covariances with the same eigenvectors."""
    turn, _ = torch.linalg.qr(normal(0, 6, 6))
    left, right = torch.tensor([0.0, 1, 2, 3, 4, 9]).double(), torch.tensor([5.0, 0, 2, 1, 16, 0.25]).double()
    shift = normal(1, 6)
    value = frechet_of_moments(shift, turn * left @ turn.T, torch.zeros(6), turn * right @ turn.T)
    expected = shift.square().sum() + (left.sqrt() - right.sqrt()).square().sum()
    assert float(value) == pytest.approx(float(expected), rel=1e-6)


def test_frechet_of_covariances_that_do_not_commute() -> None:
    """In the plane tr((A B)^1/2) = sqrt(tr(A B) + 2 sqrt(det(A B))), whatever A and B are."""
    a, b = torch.tensor([[2.0, 1], [1, 3]]).double(), torch.tensor([[5.0, -2], [-2, 1]]).double()
    assert float((a @ b - b @ a).abs().max()) > 1
    root = ((a @ b).trace() + 2 * (a @ b).det().sqrt()).sqrt()
    zero = torch.zeros(2)
    assert float(frechet_of_moments(zero, a, zero, b)) == pytest.approx(
        float(a.trace() + b.trace() - 2 * root), abs=1e-9
    )


def test_frechet_does_not_see_a_rotation_and_scales_with_the_square() -> None:
    a, b = normal(4, 50, 5), normal(5, 40, 5) * 2 + 1
    turn, _ = torch.linalg.qr(normal(6, 5, 5))
    assert float(frechet(3 * a @ turn, 3 * b @ turn)) == pytest.approx(9 * float(frechet(a, b)), rel=1e-9)


@pytest.mark.parametrize("n", [5, 20, 200])
def test_frechet_of_a_shift_is_its_square_even_for_few_rows(n: int) -> None:
    """Equal covariances leave |shift|^2; with 5 rows of 20 columns both are singular."""
    a, shift = normal(7, n, 20), normal(8, 20)
    assert float(frechet(a, a)) == pytest.approx(0, abs=1e-6)
    assert float(frechet(a, a + shift)) == pytest.approx(float(shift.square().sum()), abs=1e-6)


def test_frechet_of_samples_nears_that_of_their_distributions() -> None:
    """The excess is of order D^2 / N: 0.016 here."""
    a, b = normal(9, 4000, 4), normal(10, 4000, 4) * 2 + 0.5
    assert float(frechet(a, b)) == pytest.approx(4 * 0.25 + 4 * 1, abs=0.35)


def polynomial_discrepancy(shift: float) -> float:
    """MMD^2 of N(0, 1) and N(shift, 1) under (x y + 1)^3 = sum_k binomial(3, k) x^k y^k: a sum over moments."""
    moments = shift, 1 + shift**2, 3 * shift + shift**3
    return sum(math.comb(3, k) * (m - m0) ** 2 for k, m, m0 in zip((1, 2, 3), moments, (0, 1, 0), strict=True))


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_kernel_distance_is_unbiased(shift: float) -> None:
    """The mean over 1,500 draws of 6 and 9 rows; the biased statistic is 20 standard errors away."""
    a, b = normal(11, 1500, 6, 1), normal(12, 1500, 9, 1) + shift
    values = torch.stack([kernel_distance(x, y) for x, y in zip(a, b, strict=True)])
    error = float(values.std()) / math.sqrt(len(values))
    assert float(values.mean()) == pytest.approx(polynomial_discrepancy(shift), abs=3 * error)


def test_kernel_distance_of_degree_one_is_the_distance_of_means() -> None:
    """|mean_a - mean_b|^2 / D, less its bias (tr cov_a / N + tr cov_b / M) / D."""
    a, b = normal(13, 30, 3), normal(14, 20, 3) + 1
    plain = (a.mean(0) - b.mean(0)).square().sum()
    bias = a.var(0).sum() / 30 + b.var(0).sum() / 20
    assert float(kernel_distance(a, b, degree=1)) == pytest.approx(float(plain - bias) / 3, abs=1e-12)


def test_kernel_distance_of_the_written_sum() -> None:
    a, b = normal(15, 4, 2), normal(16, 3, 2)

    def k(x: Tensor, y: Tensor) -> float:
        return float(x @ y / 2 + 1) ** 3

    expected = (
        sum(k(a[i], a[j]) for i in range(4) for j in range(4) if i != j) / 12
        + sum(k(b[i], b[j]) for i in range(3) for j in range(3) if i != j) / 6
        - 2 * sum(k(x, y) for x in a for y in b) / 12
    )
    assert float(kernel_distance(a, b)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(1500, 1500), (2400, 600)])
def test_one_distribution_leaves_even_odds(n: int, m: int) -> None:
    assert float(two_sample_accuracy(normal(17, n, 3), normal(18, m, 3))) == pytest.approx(0.5, abs=0.05)


def test_disjoint_sets_are_told_apart_and_copies_deceive() -> None:
    real = normal(19, 60, 4)
    assert float(two_sample_accuracy(real, normal(20, 50, 4) + 100)) == 1.0
    assert float(two_sample_accuracy(real, real + 1e-9)) == 0.0


def test_two_sample_accuracy_leaves_one_out() -> None:
    """Points 0 | 1 1.5 | 10 10.1 on a line, real at 0, 1.5, 10: by hand nobody is right. Then 2 of 3 and 1 of 2."""
    real, fake = torch.tensor([[0.0], [1.5], [10.0]]), torch.tensor([[1.0], [10.1]])
    assert float(two_sample_accuracy(real, fake)) == 0.0
    real, fake = torch.tensor([[0.0], [0.1], [9.0]]), torch.tensor([[5.0], [8.0]])
    assert float(two_sample_accuracy(real, fake)) == pytest.approx((2 / 3 + 1 / 2) / 2, abs=1e-12)


def test_nearest_finds_where_each_row_came_from() -> None:
    b = normal(21, 200, 8)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(22))
    offset = torch.zeros(8, dtype=torch.float64)
    offset[3] = 0.01
    distance, index = nearest(b[order] + offset, b)
    assert torch.equal(index, order)
    assert torch.allclose(distance, torch.full_like(distance, 0.01), atol=1e-12)
    assert float(nearest(b, b)[0].max()) == 0.0


def test_nearest_keeps_its_digits_far_from_the_origin() -> None:
    b = normal(23, 50, 3) + 1e6
    assert torch.equal(nearest(b + 1e-6, b)[1], torch.arange(50))


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_sliced_wasserstein_of_a_shift(power: float) -> None:
    """Every slice moves by direction . shift."""
    a, shift, lines = normal(24, 70, 5), normal(25, 5), normal(26, 40, 5)
    expected = ((lines / lines.norm(dim=1, keepdim=True)) @ shift).abs().pow(power).mean() ** (1 / power)
    found = sliced_wasserstein(a, a + shift, directions=lines, power=power)
    assert float(found) == pytest.approx(float(expected), rel=1e-9)


def test_many_slices_of_a_shift_give_its_length_over_the_root_of_d() -> None:
    a, shift = normal(27, 5, 6), normal(28, 6)
    found = sliced_wasserstein(a, a + shift, directions=20_000, rng=torch.Generator().manual_seed(0))
    assert float(found) == pytest.approx(float(shift.norm()) / math.sqrt(6), rel=0.02)


def test_sliced_wasserstein_of_unequal_numbers_is_that_of_repeated_rows() -> None:
    """Repeating every row changes no distribution; the least common multiple makes the numbers equal."""
    a, b, lines = normal(29, 6, 3), normal(30, 4, 3), normal(31, 7, 3)
    same = sliced_wasserstein(a.repeat_interleave(2, 0), b.repeat_interleave(3, 0), directions=lines)
    assert float(sliced_wasserstein(a, b, directions=lines)) == pytest.approx(float(same), rel=1e-12)
    distance = SlicedTo(a, directions=lines)
    for other in (b, a, b[:1], b):  # its places are kept, whatever it is compared with
        assert torch.equal(distance(other), sliced_wasserstein(a, other, directions=lines))


def test_wasserstein_on_a_line_by_hand() -> None:
    """{0, 1} to {0, 0, 3}: on thirds and halves |0-0| 1/3, |0-0| 1/6, |1-0| 1/6, |1-3| 1/3."""
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [0.0], [0.0]])
    found = sliced_wasserstein(a, b, directions=torch.ones(1, 1), power=1)
    assert float(found) == pytest.approx(1 / 6 + 2 / 3, abs=1e-12)


def test_jensen_shannon_bounds() -> None:
    p = torch.rand(50, 7, generator=torch.Generator().manual_seed(32))
    q = torch.rand(50, 7, generator=torch.Generator().manual_seed(33))
    value = jensen_shannon(p, q)
    assert bool(((value > 0) & (value < math.log(2))).all())
    assert torch.equal(value, jensen_shannon(q, p))
    assert float(jensen_shannon(p, p).max()) == pytest.approx(0, abs=1e-12)
    apart = jensen_shannon(torch.tensor([1.0, 2, 0, 0]), torch.tensor([0.0, 0, 3, 1]))
    assert float(apart) == pytest.approx(math.log(2), abs=1e-12)


def test_jensen_shannon_is_the_information_about_the_source() -> None:
    """H(m) - (H(p) + H(q)) / 2; for (1, 0) and (1/2, 1/2), m = (3/4, 1/4), this is 3/2 log 2 - 3/4 log 3."""
    p, q = torch.tensor([7, 2, 1]).double() / 10, torch.tensor([1, 3, 6]).double() / 10

    def entropy(x: Tensor) -> Tensor:
        return -(x * x.log()).sum()

    expected = entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2
    assert float(jensen_shannon(p, q)) == pytest.approx(float(expected), abs=1e-12)
    by_hand = 1.5 * math.log(2) - 0.75 * math.log(3)
    assert float(jensen_shannon(torch.tensor([1.0, 0]), torch.tensor([0.5, 0.5]))) == pytest.approx(by_hand, abs=1e-12)


def test_histogram_divergence_loses_no_example() -> None:
    """Outliers count: half the examples below the range are a divergence, not nothing."""
    a = torch.tensor([0.1, 0.4, 0.6, 1.0])
    assert float(histogram_divergence(a, a.flip(0), 4, 0.0, 1.0)) == pytest.approx(0, abs=1e-12)
    assert float(histogram_divergence(a, a + 2, 4, 0.0, 1.0)) == pytest.approx(math.log(2), abs=1e-12)
    assert float(histogram_divergence(a - 5, a + 5, 4, 0.0, 1.0)) == pytest.approx(math.log(2), abs=1e-12)
    shares = jensen_shannon(torch.tensor([0.0, 4]), torch.tensor([2.0, 2]))
    half_out = torch.tensor([0.1, 0.1, -3.0, -3.0])
    assert float(histogram_divergence(torch.full((4,), 0.1), half_out, 1, 0.0, 1.0)) == pytest.approx(float(shares))


def test_histogram_divergence_of_one_distribution_is_its_stated_bias() -> None:
    a, b = normal(34, 300, 400), normal(35, 300, 200)
    mean = sum(float(histogram_divergence(x, y, 8, -1.5, 1.5)) for x, y in zip(a, b, strict=True)) / 300
    assert mean == pytest.approx(9 / 8 * (1 / 400 + 1 / 200), rel=0.1)


def test_mode_coverage_of_the_mixture_itself() -> None:
    """1 - exp(-9 / 2) of a round Gaussian in the plane lies within 3 sigma; each of 8 modes has an eighth of it."""
    angle = torch.arange(8, dtype=torch.float64) * (math.pi / 4)
    centres = torch.stack([angle.cos(), angle.sin()], 1)
    samples = centres.repeat(2500, 1) + 0.02 * normal(36, 20_000, 2)
    share, high_quality = mode_coverage(samples, centres, 0.02)
    good = 1 - math.exp(-4.5)
    assert float(high_quality) == pytest.approx(good, abs=4 * math.sqrt(good * (1 - good) / 20_000))
    assert torch.allclose(share, torch.full((8,), good / 8).double(), atol=0.002)


def test_mode_coverage_counts_each_good_sample_once() -> None:
    """Modes closer than their radii: a sample within both belongs to the nearer one."""
    centres = torch.tensor([[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]])
    samples = torch.tensor([[0.4, 0.0], [0.6, 0.0], [0.9, 0.0], [5.0, 5.0]])
    found = mode_coverage(samples, centres, sigma=1.0)
    assert found.share.tolist() == [0.25, 0.5, 0.0]
    assert float(found.high_quality) == 0.75


def test_jensen_shannon_bears_the_smallest_of_numbers() -> None:
    p, q = torch.tensor([0.5, 0.5, 0.0]).double(), torch.tensor([0.5, 0.5, 5e-324]).double()
    assert float(jensen_shannon(p, q)) < 1e-12
