"""Every prior: shape, reproducible draws, moments where it states them, paths that stay where its mass is."""

import math

import pytest
import torch

from evenodds.parts.priors import Mixture, Truncated
from evenodds.runs.find import find, names


@pytest.mark.parametrize("name", names("priors"))
def test_prior(name: str) -> None:
    prior = find("priors", name)(8)
    a = prior(4000, torch.Generator().manual_seed(1))
    b = prior(4000, torch.Generator().manual_seed(1))
    assert a.shape == (4000, prior.size)
    assert a.dtype == torch.float32
    assert torch.equal(a, b)
    assert not torch.equal(a, prior(4000, torch.Generator().manual_seed(2)))
    assert prior(1, torch.Generator().manual_seed(1)).shape == (1, prior.size)
    path = prior.between(a[0], a[1], torch.linspace(0, 1, 5))
    torch.testing.assert_close(path[0], a[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(path[-1], a[1], atol=1e-5, rtol=1e-4)
    same = prior.between(a[0], a[0], torch.linspace(0, 1, 5))
    torch.testing.assert_close(same, a[0].expand(5, prior.size), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "variance"), [("normal", 1.0), ("uniform", 1 / 3), ("spherical", 1.0)])
def test_moments(name: str, variance: float, rng: torch.Generator) -> None:
    z = find("priors", name)(16)(50_000, rng)
    assert z.mean(0).abs().max() < 5 * math.sqrt(variance / 50_000)
    torch.testing.assert_close(z.var(0), torch.full((16,), variance), rtol=0.04, atol=0)


def test_bounds(rng: torch.Generator) -> None:
    assert find("priors", "uniform")(4)(10_000, rng).abs().max() <= 1
    radius = find("priors", "spherical")(9)(1000, rng).norm(dim=1)
    torch.testing.assert_close(radius, torch.full((1000,), 3.0))


def test_truncated_is_the_conditional_normal(rng: torch.Generator) -> None:
    z = Truncated(2, limit=1.0)(200_000, rng)
    assert z.abs().max() <= 1
    # Variance of a normal conditioned on |z| < 1: 1 - 2 phi(1) / (Phi(1) - Phi(-1)).
    phi = math.exp(-0.5) / math.sqrt(2 * math.pi)
    assert float(z.var()) == pytest.approx(1 - 2 * phi / math.erf(1 / math.sqrt(2)), rel=0.01)


def test_mixture_has_its_parts(rng: torch.Generator) -> None:
    prior = Mixture(6, components=4, spread=0.05)
    nearest = torch.cdist(prior(8000, rng), prior.means())
    share = torch.bincount(nearest.argmin(1), minlength=4) / 8000
    torch.testing.assert_close(share, torch.full((4,), 0.25), atol=0.03, rtol=0)
    assert float(nearest.min(1).values.square().mean()) == pytest.approx(6 * 0.05**2, rel=0.05)
