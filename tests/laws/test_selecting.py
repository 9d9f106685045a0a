"""Rejection recovers the data for a known ratio of densities, Langevin walks sample a known energy."""

import math

import pytest
import torch
from torch import Tensor

from evenodds.apply.density_ratio import Calibration, calibration, fit_ratio
from evenodds.apply.rejection import acceptance, budgeted_highest
from evenodds.apply.selecting import Target, budgeted, diffuse, langevin, rejection, truncated
from evenodds.errors import BadInput
from evenodds.experimental.learned import Learned
from evenodds.game.engine import Local
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.networks import mlp
from evenodds.parts.priors import Coded, Mixture, Normal, Spherical, Uniform
from evenodds.runs.find import find, names
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate


def normal(ratio: float = 1.0, shift: float = 0.0) -> Target:
    """Samples N(0, 1); data N(shift, ratio^2) with the true log ratio, up to a constant."""

    def log_ratio(z: Tensor, c: Tensor | None) -> Tensor:
        where = shift if c is None else c[:, 0]
        return z[:, 0].square() / 2 - ((z[:, 0] - where) / ratio).square() / 2

    prior = Normal(1)
    return Target(prior, lambda n, seed: prior(n, torch.Generator().manual_seed(seed)), log_ratio)


@pytest.mark.parametrize("select", [rejection(rate=None), budgeted(rate=0.2)])
def test_rejection_recovers_the_data(select: rejection) -> None:
    """The highest ratio is exp(25 / 128) / 0.6 = 2.026: one of so many draws is kept, which a fifth allows."""
    known = normal(0.6, 0.5)
    z = select(known.draw(8000, 1), known)
    assert select.drawn / 8000 == pytest.approx(2.026, rel=0.05)
    assert select.kept == 8000
    assert float(z.mean()) == pytest.approx(0.5, abs=4 * 0.6 / math.sqrt(8000))
    assert float(z.std()) == pytest.approx(0.6, rel=0.04)
    quarter = 0.5 - 0.6 * 0.67449
    assert float((z < quarter).float().mean()) == pytest.approx(0.25, abs=0.02)


def test_rejection_given_c_recovers_the_data_of_each() -> None:
    known = normal(0.6)
    c = torch.tensor([[0.0], [0.6]]).repeat(3000, 1)
    z = rejection(rate=None)(known.draw(6000, 1), known, c)
    for value in (0.0, 0.6):
        assert float(z[c == value].mean()) == pytest.approx(value, abs=0.05)


@pytest.mark.parametrize(("rate", "near", "narrowest", "widest"), [(0.5, 0.02, 0.3, 1.0), (0.05, 0.005, 0.0, 0.29)])
def test_a_rate_is_kept_and_bends_less_or_more_than_the_data_do(
    rate: float, near: float, narrowest: float, widest: float
) -> None:
    """Where the exact share is 0.3, data have a deviation of 0.3 and samples one of 1."""
    known = normal(0.3)
    select = rejection(rate=rate)
    z = select(known.draw(4000, 1), known)
    draws = known.draw(20_000, 3)
    chance = acceptance(known.log_ratio(draws, None), select.highest, select.gamma)
    assert float(chance.mean()) == pytest.approx(rate, abs=near)
    assert narrowest < float(z.std()) < widest


def test_a_budget_keeps_its_share_and_all_that_is_rarer_than_the_data() -> None:
    """Where more is kept than the exact share, the density is that of min(p, m q), which is nearest to p."""
    known, rate = normal(0.3), 0.6
    select = budgeted(rate=rate, pilot=40_000)
    z = select(known.draw(20_000, 1), known)
    assert 20_000 / select.drawn == pytest.approx(rate, abs=0.01)
    edges = torch.linspace(-4, 4, 4001, dtype=torch.float64)
    q = (-edges.square() / 2).exp()
    p = (-(edges / 0.3).square() / 2).exp()
    kept = torch.minimum(p / math.exp(select.highest), q)
    assert float(kept.sum() / q.sum()) == pytest.approx(rate, abs=0.01)
    for share in (0.1, 0.25, 0.75, 0.9):
        quantile = float(edges[torch.searchsorted(kept.cumsum(0) / kept.sum(), share)])
        assert float((z < quantile).float().mean()) == pytest.approx(share, abs=0.012)
    assert budgeted_highest(torch.zeros(5), 1.0) == 0


def test_a_discriminator_that_is_fitted_selects_the_data() -> None:
    """Samples N(0, 1), data N(0.7, 0.7^2): their true log ratio is a parabola."""

    class Data:
        size = 256

        def at(self, position: int) -> dict[str, torch.Tensor]:
            rng = torch.Generator().manual_seed(position)
            return {"x": 0.7 + 0.7 * torch.randn(self.size, 1, generator=rng)}

    torch.manual_seed(0)
    task = Generate(Normal(1), Contest(non_saturating))
    players = {"generator": torch.nn.Identity(), "discriminator": mlp.Discriminator((1,), width=32)}
    fit_ratio(task, players, Data(), Local(), 50_000, rate=5e-3)
    known = normal(0.7, 0.7)
    target = Target(Normal(1), known.draw, lambda z, c: players["discriminator"](z))
    z = budgeted(rate=None)(known.draw(8000, 1), target)
    assert float(z.mean()) == pytest.approx(0.7, abs=0.05)
    assert float(z.std()) == pytest.approx(0.7, rel=0.05)
    real = Data().at(10**7)["x"]
    found = calibration(players["discriminator"](real), players["discriminator"](known.draw(256, 9)))
    assert found.slope == pytest.approx(1, abs=4 * found.error)


def test_what_a_fitted_discriminator_cannot_do_is_told_apart() -> None:
    apart = calibration(torch.rand(200) + 1, -torch.rand(200) - 1)  # every sample is told from data
    assert "nearly every sample" in apart.doubt
    assert "nearly every sample" in Calibration(4.9, 1638.8, 0.44, 179).doubt  # as far as few items tell
    assert "no better than chance" in Calibration(0.0, 5773.5, 0.0, 15).doubt
    assert "overfitted" in Calibration(0.3, 0.05, 0.01, 5000).doubt
    assert "too few samples" in Calibration(2.9, 0.1, 0.3, 5000).doubt
    assert not Calibration(1.1, 0.05, 0.02, 5000).doubt


def test_acceptance_is_that_of_the_paper() -> None:
    """sigmoid(t - log(1 - e^t) - gamma), and e^t without gamma."""
    logits = torch.tensor([-3.0, -1.0, -0.1, 0.0], dtype=torch.float64)
    torch.testing.assert_close(acceptance(logits, 0.0), logits.exp())
    gamma = 0.7
    paper = (logits[:3] - torch.log(-torch.expm1(logits[:3])) - gamma).sigmoid()
    torch.testing.assert_close(acceptance(logits, 0.0, gamma)[:3], paper)
    assert float(acceptance(logits, 0.0, gamma)[3]) == 1
    torch.testing.assert_close(acceptance(logits + 5, 5.0, gamma), acceptance(logits, 0.0, gamma))


def test_langevin_walks_sample_a_known_energy() -> None:
    """|z|^2 / 2 - b z: the mean is b, the variance 1 / (1 - step / 4), exactly so for any step."""
    b, step = torch.tensor([1.0, -0.5]), 0.4
    z = diffuse(torch.zeros(20_000, 2), lambda at: at @ b, 60, step, seed=1)
    torch.testing.assert_close(z.mean(0), b, atol=0.03, rtol=0)
    torch.testing.assert_close(z.var(0), torch.full((2,), 1 / (1 - step / 4)), atol=0.04, rtol=0)


@pytest.mark.parametrize("name", names("losses"))
def test_it_is_known_which_losses_find_the_ratio_of_densities(name: str) -> None:
    """Nowozin et al. (2016), table 6: for squared Hellinger it is half the logarithm, for Pearson the ratio itself."""
    others = {"hinge", "least_squares", "wasserstein", "pearson", "squared_hellinger", "energy", "boundary"}
    distances = {"kernel", "cramer"}
    loss = find("losses", name)
    contest = Contest(loss() if isinstance(loss, type) else loss)
    assert contest.log_ratio == (name not in others | distances)


def test_langevin_needs_a_normal_prior() -> None:
    with pytest.raises(BadInput, match="needs a normal prior"):
        langevin()(torch.zeros(2, 1), Target(Uniform(1), lambda n, seed: torch.zeros(n, 1), lambda z, c: z[:, 0]))


def test_truncation(rng: torch.Generator) -> None:
    z = torch.randn(50, 6, generator=rng)
    for prior in (Normal(6), Uniform(6), Spherical(6), Mixture(6), Learned(6), Coded(3, 2, 1)):
        assert truncated(prior, z, 1.0) is z
    torch.testing.assert_close(truncated(Normal(6), z, 0.7), 0.7 * z)
    torch.testing.assert_close(truncated(Coded(3, 2, 1), z, 0.5), torch.cat([z[:, :3] / 2, z[:, 3:]], 1))
    mixture = Mixture(6, components=3, spread=0.1)
    drawn = mixture(50, rng)
    near = torch.cdist(truncated(mixture, drawn, 0.5), mixture.means()).amin(1)
    torch.testing.assert_close(near, torch.cdist(drawn, mixture.means()).amin(1) / 2, atol=1e-4, rtol=1e-3)
    with pytest.raises(BadInput, match="on a sphere"):
        truncated(Spherical(6), z, 0.7)
