"""Laws of the densities: they integrate to one, and their samples follow them."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from evenodds.data.readers.toys import DENSITIES, Density, Grid, Mixture1D, Ring, SwissRoll, TwoMoons
from evenodds.errors import BadInput

DENSITY = pytest.mark.parametrize("density", [make() for make in DENSITIES.values()], ids=list(DENSITIES))


@cache
def lattice(name: str) -> tuple[Tensor, Tensor]:
    """Points (K, D) and the probability (K,) of the cells around them.

    For Gaussians a sum over a lattice of step h errs by 2 exp(-2 (pi sigma / h)^2): 1e-8 at h = sigma.
    """
    density = DENSITIES[name]()
    step = min(density.sigmas) if isinstance(density, Mixture1D) else float(density.sigma)  # type: ignore[attr-defined]
    sides = zip(density.units.low, density.units.high, strict=True)
    lines = [torch.arange(low - 3 * step, high + 3 * step, step, dtype=torch.float64) for low, high in sides]
    points = torch.cartesian_prod(*lines).view(-1, len(lines))
    return points, density.log_prob(points).exp() * step ** len(lines)


@pytest.mark.parametrize("name", DENSITIES)
def test_the_density_integrates_to_one(name: str) -> None:
    assert abs(float(lattice(name)[1].sum()) - 1) < 1e-6


@pytest.mark.parametrize("name", DENSITIES)
def test_samples_follow_the_density(name: str) -> None:
    # By their characteristic functions, E cos(w x + phase), at frequencies from the whole shape down to the noise:
    # unlike the cells of a histogram, the lattice integrates them almost exactly.
    n, frequencies = 20_000, 60
    points, mass = lattice(name)
    rng = torch.Generator().manual_seed(1)
    samples = DENSITIES[name]().sample(n, rng)
    assert samples.dtype == torch.float64
    step = float((points[1:] - points[:-1]).abs().max(1).values.min())
    size = torch.logspace(-1, math.log10(1 / step), frequencies, dtype=torch.float64)
    w = torch.randn(points.shape[1], frequencies, generator=rng, dtype=torch.float64)
    w = w / w.norm(dim=0) * size
    phase = torch.rand(frequencies, generator=rng, dtype=torch.float64) * 2 * math.pi
    waves = (samples @ w + phase).cos()
    expected = mass @ (points @ w + phase).cos()
    deviations = (waves.mean(0) - expected) / (waves.std(0) / math.sqrt(n))
    assert deviations.abs().max() < 4.5  # Of 60 normal numbers, one in 2,500 sets has one beyond.
    assert 0.05 < deviations.square().mean() < 3  # Wide, as neighbouring frequencies go together.


@DENSITY
def test_samples_lie_in_the_units(density: Density) -> None:
    samples = density.sample(50_000, torch.Generator().manual_seed(0))
    model = density.units.to_model(samples.float())
    assert (model.abs() > 1).float().mean() < 1e-5
    assert model.amax() > 0.8  # The range is not wider than it needs to be.
    assert model.amin() < -0.8
    again = density.sample(50_000, torch.Generator().manual_seed(0))
    assert torch.equal(samples, again)


@pytest.mark.parametrize("density", [Ring(), Grid()])
def test_the_mean_log_probability_is_minus_the_entropy(density: Ring | Grid) -> None:
    x = density.sample(50_000, torch.Generator().manual_seed(0))
    entropy = math.log(len(density.modes)) + math.log(2 * math.pi * math.e * density.sigma**2)
    # The log-density of a plane Gaussian has variance 1.
    assert abs(float(density.log_prob(x).mean()) + entropy) < 5 / math.sqrt(50_000)


def test_modes_are_where_they_should_be() -> None:
    ring = Ring().modes
    assert ring.shape == (8, 2)
    assert torch.allclose(ring.norm(dim=1), torch.full((8,), 2.0, dtype=torch.float64))
    assert torch.allclose((ring - ring.roll(1, 0)).norm(dim=1), torch.tensor(4 * math.sin(math.pi / 8)).double())
    assert sorted(map(tuple, Grid().modes.tolist())) == [(a, b) for a in range(-4, 5, 2) for b in range(-4, 5, 2)]
    for density in (Ring(), Grid(), Mixture1D(sigmas=(0.1, 0.1, 0.1))):
        modes = density.modes.clone().requires_grad_()
        density.log_prob(modes).sum().backward()
        assert modes.grad is not None
        assert modes.grad.abs().max() < 1e-6
    assert TwoMoons().modes is None


def test_a_mixture_is_the_sum_of_its_parts() -> None:
    x = torch.linspace(-4, 5, 50, dtype=torch.float64)[:, None]
    density = Mixture1D((1, 3), (-1, 2), (0.5, 1))
    normal = torch.distributions.Normal
    expected = 0.25 * normal(-1, 0.5).log_prob(x).exp() + 0.75 * normal(2, 1).log_prob(x).exp()
    assert torch.allclose(density.log_prob(x).exp(), expected[:, 0])


@pytest.mark.parametrize("sigma", [0.05, 0.3])
def test_curves_agree_with_brute_force(sigma: float) -> None:
    # Independent of the panels: the midpoint rule with very many points on each smooth piece of the curve.
    x = torch.tensor([[0.0, 1.0], [0.5, 0.25], [1.0, -0.5], [2.0, 0.5], [-2.7, 0.3], [0.0, -1.1]], dtype=torch.float64)
    for density in (TwoMoons(sigma), SwissRoll(sigma)):
        u = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
        squared = (x[:, None] - density._curve(u)).square().sum(-1)
        brute = (-squared / (2 * sigma**2)).logsumexp(1) - math.log(100_000) - math.log(2 * math.pi * sigma**2)
        near = brute > -200
        assert torch.allclose(density.log_prob(x)[near], brute[near], atol=1e-5)


def test_the_curves_are_those_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    moons, _ = datasets.make_moons(300, noise=None, random_state=0)
    roll, _ = datasets.make_swiss_roll(300, noise=0.0, random_state=0)
    for density, points in ((TwoMoons(), moons), (SwissRoll(), roll[:, [0, 2]] / 5)):
        curve = density._curve(torch.linspace(0, 1 - 1e-9, 8_001, dtype=torch.float64))
        distance = torch.cdist(torch.from_numpy(points).double(), curve).amin(1)
        assert distance.max() < 3e-3
    ends = torch.tensor([0, 1], dtype=torch.float64)
    expected = torch.tensor([[0, -1.5 * math.pi / 5], [0, 4.5 * math.pi / 5]], dtype=torch.float64)
    assert torch.allclose(SwissRoll()._curve(ends), expected, atol=1e-9)


def test_densities_that_cannot_be_are_refused() -> None:
    for make in (
        lambda: Ring(sigma=0),
        lambda: Grid(side=0),
        lambda: TwoMoons(-1),
        lambda: Mixture1D((1,), (1, 2), (1,)),
    ):
        with pytest.raises(BadInput):
            make()


def test_more_points_than_fit_at_once_give_the_same() -> None:
    density = SwissRoll()
    x = density.sample(1200, torch.Generator().manual_seed(0))
    parts = torch.cat([density.log_prob(part) for part in x.tensor_split([1, 700])])
    assert torch.allclose(density.log_prob(x), parts)
