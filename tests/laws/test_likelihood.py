"""Closed forms and invariances of the Parzen-window log-likelihood."""

import math

import pytest
import torch
from sklearn.neighbors import KernelDensity
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics.likelihood import log_densities, log_density, parzen


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("sigma", [0.03, 0.3, 3.0])
@pytest.mark.parametrize(("n", "m", "d"), [(40, 60, 1), (30, 200, 7), (20, 30, 200), (1, 5, 3), (5, 1, 3)])
def test_the_density_is_that_of_a_gaussian_kernel_estimate(n: int, m: int, d: int, sigma: float) -> None:
    points, samples = normal(0, n, d) + 1, normal(1, m, d)
    # One leaf: the bounds of several lose all digits in the tails.
    estimate = KernelDensity(bandwidth=sigma, leaf_size=1000).fit(samples.numpy())
    other = torch.from_numpy(estimate.score_samples(points.numpy()))
    assert torch.allclose(log_density(points, samples, sigma), other, rtol=1e-10, atol=1e-9)


def test_one_kernel_is_a_normal_density() -> None:
    """At distance r in D columns: -D/2 log(2 pi s^2) - r^2 / (2 s^2). Here r = 5, D = 3, s = 2."""
    found = log_density(torch.tensor([[3.0, 4.0, 7.0]]), torch.tensor([[0.0, 0.0, 7.0]]), 2.0)
    assert float(found) == pytest.approx(-1.5 * math.log(8 * math.pi) - 25 / 8, abs=1e-12)


def test_kernels_around_normal_samples_give_the_wider_normal() -> None:
    """E_s N(x; s, h^2) = N(x; 0, 1 + h^2) for s ~ N(0, 1)."""
    points, h = torch.linspace(-2, 2, 9).double()[:, None], 0.5
    found = log_density(points, normal(2, 100_000, 1), h)
    expected = -0.5 * math.log(2 * math.pi * (1 + h * h)) - points[:, 0].square() / (2 * (1 + h * h))
    assert torch.allclose(found, expected, atol=0.02)


def test_the_density_integrates_to_one() -> None:
    line = torch.linspace(-12, 12, 4801).double()
    mass = torch.trapezoid(log_density(line[:, None], normal(3, 50, 1), 0.2).exp(), line)
    assert float(mass) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-3, 255.0])
def test_scaled_data_lose_d_log_scale(scale: float) -> None:
    points, samples = normal(4, 30, 11), normal(5, 40, 11)
    found = log_density(points * scale, samples * scale, 0.4 * scale)
    assert torch.allclose(found, log_density(points, samples, 0.4) - 11 * math.log(scale), atol=1e-8)


def test_neither_a_shift_nor_the_portions_nor_repeated_samples_matter() -> None:
    points, samples = normal(6, 50, 5), normal(7, 70, 5)
    found = log_density(points, samples, 0.3)
    assert torch.allclose(log_density(points + 1e5, samples + 1e5, 0.3), found, atol=1e-6)
    assert torch.allclose(log_density(points, samples.repeat(3, 1), 0.3), found, atol=1e-9)
    for entries in (1, 100, 1 << 20):
        assert torch.allclose(log_density(points, samples, 0.3, entries=entries), found, rtol=1e-12)


def test_float32_pixels_lose_no_digits() -> None:
    """784 columns, distances of hundreds of sigmas: to 1e-9 of the sum written out with differences."""
    points, samples = (torch.rand(20, 784, generator=torch.Generator().manual_seed(s)) for s in (8, 9))
    apart = (points.double()[:, None] - samples.double()).square().sum(2)
    expected = torch.logsumexp(-apart / (2 * 0.05**2), 1) - math.log(20) - 392 * math.log(2 * math.pi * 0.05**2)
    assert torch.allclose(log_density(points, samples, 0.05), expected, rtol=1e-9)


def test_far_points_stay_finite() -> None:
    """exp of -10^9 is 0 in any precision, its logarithm is not needed."""
    found = log_density(torch.full((2, 784), 50.0), torch.rand(30, 784), 0.05)
    assert bool(found.isfinite().all())
    assert float(found.max()) < -1e8


def test_many_sigmas_are_each_one() -> None:
    points, samples, sigmas = normal(10, 9, 4), normal(11, 13, 4), [0.01, 1.0, 0.2]
    found = log_densities(points, samples, sigmas)
    assert found.shape == (3, 9)
    for row, sigma in zip(found, sigmas, strict=True):
        assert torch.equal(row, log_density(points, samples, sigma))


@pytest.mark.parametrize("spread", [0.2, 0.25, 0.3, 0.35, 0.4])
def test_one_sample_is_fitted_by_the_root_mean_square_distance(spread: float) -> None:
    """The likeliest sigma of one kernel is sqrt(mean r^2 / D); it is found to half a step of 10^(1/100)."""
    sample, validation = normal(12, 1, 50), normal(12, 1, 50) + spread * normal(13, 30, 50)
    best = math.sqrt(float((validation - sample).square().mean()))
    found = parzen(sample, validation, normal(14, 9, 50))
    assert found.inside
    assert found.sigma == pytest.approx(best, rel=0.0117)


def test_sigma_is_the_best_of_all_tried_and_test_rows_have_no_say() -> None:
    samples, validation, test = normal(15, 60, 3), normal(16, 50, 3), normal(17, 40, 3) + 5
    found = parzen(samples, validation, test)
    best = int(found.validation.argmax())
    assert found.sigma == float(found.sigmas[best])
    assert 0 < best < len(found.sigmas) - 1
    assert torch.equal(found.sigmas, found.sigmas.sort().values)
    assert torch.allclose(found.validation, log_densities(validation, samples, found.sigmas.tolist()).mean(1))
    own = log_density(test, samples, found.sigma)
    assert found.mean == pytest.approx(float(own.mean()), abs=1e-9)
    assert found.standard_error == pytest.approx(float(own.std()) / math.sqrt(40), abs=1e-9)


@pytest.mark.parametrize("scale", [0.01, 255.0])
def test_a_grid_that_misses_the_best_sigma_is_continued(scale: float) -> None:
    samples, validation, test = (normal(s, 50, 3) * scale for s in (18, 19, 20))
    found, usual = parzen(samples, validation, test), parzen(samples / scale, validation / scale, test / scale)
    assert found.inside
    assert found.sigma == pytest.approx(usual.sigma * scale, rel=0.03)
    own = parzen(samples, validation, test, sigmas=[scale * 2, scale * 1.8])
    assert own.inside
    assert own.sigma == pytest.approx(usual.sigma * scale, rel=0.1)
    assert bool((own.sigmas.log().diff() - math.log(2 / 1.8)).abs().max() < 1e-9)


def test_validation_rows_among_the_samples_are_told() -> None:
    """Every validation row is a sample: the narrower the kernels, the likelier, without end."""
    samples = normal(21, 20, 4)
    found = parzen(samples, samples[:7], normal(22, 5, 4))
    assert not found.inside
    assert math.isfinite(found.mean)


def test_a_single_sigma_is_taken_as_it_is() -> None:
    samples, test = normal(23, 20, 4), normal(24, 2, 4)
    found = parzen(samples, normal(25, 1, 4), test, sigmas=[0.7])
    assert (found.sigma, found.inside, found.sigmas.tolist()) == (0.7, False, [0.7])


def test_samples_of_the_distribution_are_likelier_than_others() -> None:
    test, validation = normal(26, 200, 5), normal(27, 200, 5)
    scores = [parzen(x, validation, test).mean for x in (normal(28, 500, 5), normal(28, 500, 5) + 1)]
    assert scores[0] > scores[1] + 0.5


@pytest.mark.parametrize("sigmas", [[], [0.0], [0.1, -1.0], [math.nan], [math.inf]])
def test_sigmas_that_are_none_are_refused(sigmas: list[float]) -> None:
    with pytest.raises(BadInput, match=r"sigma above 0, got .*; "):
        parzen(normal(0, 3, 2), normal(1, 3, 2), normal(2, 3, 2), sigmas=sigmas)


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        (((3, 2), (3, 2), (1, 2)), "test"),
        (((3, 2), (3, 3), (3, 2)), "validation"),
        (((0, 2), (3, 2), (3, 2)), "samples"),
        (((3, 2), (0, 2), (3, 2)), "validation"),
        (((3, 2), (3, 2), (3, 3)), "test"),
    ],
)
def test_sets_that_do_not_go_together_are_refused(shapes: tuple[tuple[int, int], ...], name: str) -> None:
    with pytest.raises(BadInput, match=rf"'{name}'.*; "):
        parzen(*(torch.zeros(shape) for shape in shapes))
