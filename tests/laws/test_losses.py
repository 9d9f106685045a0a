"""What the adversarial losses measure: divergences at the best discriminator, and finite costs far from it."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.errors import BadInput
from evenodds.game.engine import Local
from evenodds.game.rules import Game, Progress
from evenodds.game.trainer import Training
from evenodds.parts.losses import adversarial, distances, divergences
from evenodds.parts.losses.adversarial import Adversarial
from evenodds.parts.losses.boundary import BoundaryEquilibrium
from evenodds.parts.networks.mlp import Discriminator
from evenodds.parts.priors import Normal
from evenodds.runs.listeners.boundary import Boundary
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate

ATOMS = 6
seeds = st.integers(0, 2**31)
LOSSES: dict[str, Adversarial] = {
    name: getattr(module, name) for module in (adversarial, divergences) for name in module.__all__ if name.islower()
}


def distributions(seed: int) -> tuple[Tensor, Tensor]:
    """Two random distributions over the same few atoms, none of them rare."""
    rng = torch.Generator().manual_seed(seed)
    p, q = torch.randn(2, ATOMS, generator=rng, dtype=torch.float64).clamp(-2, 2).softmax(1)
    return p, q


def expected(loss: Adversarial, logits: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Both costs in expectation over independent real ~ p and fake ~ q, for one logit per atom."""
    real, fake = logits.repeat_interleave(len(q)), logits.repeat(len(p))
    chance = torch.outer(p, q).flatten()
    discriminator, generator = loss(real, fake)
    return (chance * discriminator).sum(), (chance * generator).sum()


def best_logits(loss: Adversarial, p: Tensor, q: Tensor) -> Tensor:
    """The logits that minimise the expected discriminator cost, by numerical optimisation."""
    logits = torch.zeros_like(p, requires_grad=True)
    search = torch.optim.LBFGS(
        [logits], max_iter=500, tolerance_grad=1e-11, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        search.zero_grad()
        cost = expected(loss, logits, p, q)[0]
        cost.backward()  # type: ignore[no-untyped-call]
        return cost

    search.step(closure)  # type: ignore[no-untyped-call]
    return logits.detach()


def kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p / q).log()).sum()


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    middle = (p + q) / 2
    return (kl(p, middle) + kl(q, middle)) / 2


# --- Goodfellow et al. (2014) ---


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_best_discriminator_measures_jensen_shannon(seed: int) -> None:
    p, q = distributions(seed)
    cost, generator = expected(adversarial.minimax, (p / q).log(), p, q)
    torch.testing.assert_close(-cost, 2 * jensen_shannon(p, q) - math.log(4))
    # The generator's cost is the part of the value -cost that it can change.
    real_part = (p * (p / (p + q)).log()).sum()
    torch.testing.assert_close(generator, 2 * jensen_shannon(p, q) - math.log(4) - real_part)


@pytest.mark.parametrize("name", ["minimax", "non_saturating", "logistic", "jensen_shannon"])
@pytest.mark.parametrize("seed", range(3))
def test_best_discriminator_is_the_share_of_the_data(name: str, seed: int) -> None:
    p, q = distributions(seed)
    best = best_logits(LOSSES[name], p, q).sigmoid()
    torch.testing.assert_close(best, p / (p + q), rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_best_least_squares_logit_is_the_share_of_the_data(seed: int) -> None:
    p, q = distributions(seed)
    best = best_logits(adversarial.least_squares, p, q)
    torch.testing.assert_close(best, p / (p + q), rtol=0, atol=1e-6)
    cost, _ = expected(adversarial.least_squares, best, p, q)
    torch.testing.assert_close(cost, (p * q / (p + q)).sum() / 2)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_even_odds_are_a_fixed_point(name: str) -> None:
    """Where p = q the discriminator's best answer is one constant, so the generator feels no preference."""
    p, _ = distributions(0)
    even = torch.full_like(p, {"least_squares": 0.5, "kl": 1.0}.get(name, 0.0), requires_grad=True)
    (pull,) = torch.autograd.grad(expected(LOSSES[name], even, p, p)[0], even)
    torch.testing.assert_close(pull, torch.zeros_like(p), rtol=0, atol=1e-12)


def test_only_the_non_saturating_generator_learns_when_found_out() -> None:
    fake = torch.tensor([-30.0, 0.0, 30.0], requires_grad=True)
    (saturating,) = torch.autograd.grad(adversarial.minimax(fake, fake)[1].sum(), fake)
    (driven,) = torch.autograd.grad(adversarial.non_saturating(fake, fake)[1].sum(), fake)
    torch.testing.assert_close(saturating, torch.tensor([0.0, -0.5, -1.0]), rtol=0, atol=1e-6)
    torch.testing.assert_close(driven, torch.tensor([-1.0, -0.5, 0.0]), rtol=0, atol=1e-6)


# --- hinge, wasserstein ---


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_best_hinge_measures_total_variation(seed: int) -> None:
    p, q = distributions(seed)
    best = (p - q).sign()
    cost, _ = expected(adversarial.hinge, best, p, q)
    torch.testing.assert_close(cost, 2 - (p - q).abs().sum())
    other = best + 3 * torch.randn(ATOMS, generator=torch.Generator().manual_seed(seed + 1), dtype=p.dtype)
    worse, generator = expected(adversarial.hinge, other, p, q)
    assert worse >= cost - 1e-12
    torch.testing.assert_close(generator, -(q * other).sum())  # linear: the hinge is the discriminator's alone


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_best_lipschitz_critic_measures_the_wasserstein_distance(seed: int) -> None:
    """On a line of unit steps: the best critic's slope is the sign of the difference of the cumulative masses."""
    p, q = distributions(seed)
    ahead = (q - p).cumsum(0)[:-1]
    critic = torch.cat([torch.zeros(1, dtype=p.dtype), ahead.sign().cumsum(0)])
    cost, generator = expected(adversarial.wasserstein, critic, p, q)
    torch.testing.assert_close(-cost, ahead.abs().sum())
    torch.testing.assert_close(generator, -(q * critic).sum())


# --- Nowozin et al. (2016) ---

DIVERGENCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kl": kl,
    "reverse_kl": lambda p, q: kl(q, p),
    "pearson": lambda p, q: ((p - q).square() / q).sum(),
    "squared_hellinger": lambda p, q: (p.sqrt() - q.sqrt()).square().sum(),
    "jensen_shannon": lambda p, q: 2 * jensen_shannon(p, q),
}
BEST: dict[str, Callable[[Tensor], Tensor]] = {
    "kl": lambda ratio: 1 + ratio.log(),
    "reverse_kl": lambda ratio: ratio.log(),
    "pearson": lambda ratio: 2 * (ratio - 1),
    "squared_hellinger": lambda ratio: ratio.log() / 2,
    "jensen_shannon": lambda ratio: ratio.log(),
}


def test_every_divergence_has_a_closed_form() -> None:
    assert set(DIVERGENCES) == set(BEST) == set(divergences.__all__)


@pytest.mark.parametrize("name", divergences.__all__)
@settings(max_examples=20, deadline=None)
@given(seed=seeds, size=st.floats(1e-3, 3))
def test_best_variational_logit_measures_the_divergence(name: str, seed: int, size: float) -> None:
    p, q = distributions(seed)
    best = BEST[name](p / q)
    bound = -expected(LOSSES[name], best, p, q)[0]
    torch.testing.assert_close(bound, DIVERGENCES[name](p, q), rtol=1e-9, atol=1e-12)
    away = size * torch.randn(ATOMS, generator=torch.Generator().manual_seed(seed), dtype=p.dtype)
    assert -expected(LOSSES[name], best + away, p, q)[0] < bound + 1e-12


@pytest.mark.parametrize("name", divergences.__all__)
def test_f_gan_is_zero_sum_in_the_fakes(name: str) -> None:
    """Discriminator and generator cost sum to -g_f(real): what one gains on a fake the other loses."""
    real, fake = torch.linspace(-5, 5, 21, dtype=torch.float64), torch.linspace(4, -6, 21, dtype=torch.float64)
    activation = {
        "kl": real,
        "reverse_kl": -(-real).exp(),
        "pearson": real,
        "squared_hellinger": 1 - (-real).exp(),
        "jensen_shannon": math.log(2) - (1 + (-real).exp()).log(),
    }[name]
    torch.testing.assert_close(torch.stack(LOSSES[name](real, fake)).sum(0), -activation)


@pytest.mark.parametrize("name", ["kl", "reverse_kl", "squared_hellinger"])
def test_guard_bends_the_exponential_only_beyond_its_limit(name: str) -> None:
    """Exact below 10, of constant slope above, and without a jump in value or slope between."""
    shift = 1.0 if name == "kl" else 0.0
    exponent = torch.tensor([-3.0, 9.0, 10 - 1e-6, 10 + 1e-6, 20.0], dtype=torch.float64, requires_grad=True)
    still = torch.zeros(5, dtype=torch.float64)
    cost = LOSSES[name](-exponent, still)[0] if name == "reverse_kl" else -LOSSES[name](still, exponent + shift)[1]
    (slope,) = torch.autograd.grad(cost.sum(), exponent)
    torch.testing.assert_close(slope[:3], exponent.detach()[:3].exp())
    torch.testing.assert_close(slope[3:], torch.full((2,), math.exp(10), dtype=torch.float64))
    rise = cost[3] - cost[2]
    torch.testing.assert_close(rise.detach(), slope[2] * 2e-6, rtol=1e-4, atol=1e-9)


# --- Jolicoeur-Martineau (2018) ---


def test_relativistic_losses_of_equal_logits_are_log_2() -> None:
    logits = torch.full((5,), 3.7, dtype=torch.float64)
    for cost in adversarial.relativistic_paired(logits, logits):
        torch.testing.assert_close(cost, torch.full_like(logits, math.log(2)))
    for cost in adversarial.relativistic_average(logits, logits):  # two terms each
        torch.testing.assert_close(cost, torch.full_like(logits, 2 * math.log(2)))


@pytest.mark.parametrize("name", ["relativistic_paired", "relativistic_average", "dual_contrastive"])
@settings(max_examples=20, deadline=None)
@given(seed=seeds, shift=st.floats(-50, 50))
def test_relativistic_losses_depend_on_differences_only(name: str, seed: int, shift: float) -> None:
    real, fake = torch.randn(2, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    for plain, shifted in zip(LOSSES[name](real, fake), LOSSES[name](real + shift, fake + shift), strict=True):
        torch.testing.assert_close(plain, shifted)


@pytest.mark.parametrize("name", ["relativistic_paired", "relativistic_average"])
def test_relativistic_players_change_places_with_their_examples(name: str) -> None:
    real, fake = torch.randn(2, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    discriminator, generator = LOSSES[name](real, fake)
    torch.testing.assert_close(LOSSES[name](fake, real)[0], generator)
    assert not torch.allclose(discriminator, generator)


def test_paired_cost_is_the_logistic_cost_of_the_lead() -> None:
    real, fake = torch.randn(2, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(adversarial.relativistic_paired(real, fake)[0], -F.logsigmoid(real - fake))


# --- far from the optimum ---


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_values_and_gradients_are_finite_for_extreme_logits(name: str) -> None:
    sizes = torch.tensor([-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4])
    real = sizes.repeat_interleave(len(sizes)).requires_grad_()
    fake = sizes.repeat(len(sizes)).requires_grad_()
    for cost in LOSSES[name](real, fake):
        slopes = torch.autograd.grad(cost.sum(), (real, fake), allow_unused=True, retain_graph=True)
        assert cost.isfinite().all()
        assert all(slope.isfinite().all() for slope in slopes if slope is not None)


@pytest.mark.parametrize("name", ["minimax", "non_saturating", "logistic", "hinge", "relativistic_paired"])
def test_a_confident_right_answer_costs_nothing_and_a_wrong_one_its_size(name: str) -> None:
    """The stable forms keep what log(sigmoid) rounds away."""
    sure = torch.tensor([1e4])
    right, wrong = LOSSES[name](sure, -sure)[0], LOSSES[name](-sure, sure)[0]
    torch.testing.assert_close(right, torch.zeros(1), rtol=0, atol=1e-6)
    torch.testing.assert_close(wrong, torch.tensor([2e4]), rtol=1e-3, atol=0)


# --- energies: Zhao et al. (2017), Berthelot et al. (2017) ---


@settings(max_examples=10, deadline=None)
@given(seeds, st.floats(0.3, 3))
def test_best_energies_measure_total_variation(seed: int, margin: float) -> None:
    """Energy 0 where the data are denser and the margin elsewhere; theorem 1: the margin itself where p = q."""
    p, q = distributions(seed)
    energies = torch.where(p >= q, 1e-9, margin)
    cost, _ = expected(partial(adversarial.energy, margin=margin), -energies.expm1().log(), p, q)
    torch.testing.assert_close(cost, margin * (1 - (p - q).abs().sum() / 2))
    other = 3 * torch.randn(ATOMS, generator=torch.Generator().manual_seed(seed), dtype=p.dtype)
    assert expected(partial(adversarial.energy, margin=margin), other, p, q)[0] >= cost - 1e-6
    with pytest.raises(BadInput, match="margin > 0"):
        adversarial.energy(p, q, margin=0)


def test_the_energy_of_an_autoencoder_is_its_error() -> None:
    """softplus(-logit) is the mean absolute error, small or large; so the costs are those of Zhao et al., eqs. 1, 2."""
    torch.manual_seed(0)
    net = Discriminator((6,), width=8, code=2).double()
    real, fake = (x.double() for x in (torch.randn(5, 6), 60 * torch.randn(5, 6)))
    errors = [(net.decoder(net.logit(net.features(x))) - x).abs().mean(1) for x in (real, fake)]
    discriminator, generator = adversarial.energy(net(real), net(fake), margin=50.0)
    torch.testing.assert_close(generator, errors[1])
    torch.testing.assert_close(discriminator, errors[0] + (50 - errors[1]).clamp(min=0))
    nn.init.zeros_(net.decoder[-1].weight)
    nn.init.zeros_(net.decoder[-1].bias)
    at_rest = torch.zeros(2, 6).double().requires_grad_()
    logits = net(at_rest)
    torch.testing.assert_close(F.softplus(-logits), torch.full_like(logits, 1e-6))
    assert all(slope.isfinite().all() for slope in torch.autograd.grad(logits.sum(), [*net.decoder.parameters()]))
    for options in ({"code": -1}, {"code": 2, "outputs": 3}):
        with pytest.raises(BadInput, match="one output"):
            Discriminator((6,), **options)


def test_the_share_of_fakes_holds_their_energy_at_the_diversity() -> None:
    """Section 3.4: k <- k + rate (diversity L(x) - L(G(z))), in [0, 1]; still where the energies have that ratio."""
    loss, reals = BoundaryEquilibrium(diversity=0.5, images=64), 16
    game = Game(Generate(Normal(2), Contest(loss)), {name: nn.Identity() for name in ("generator", "discriminator")})
    training = Training(game, {}, Local(), Progress(total=10_000), 0)
    control, plain = Boundary(loss), 0.0
    control.begin(training)
    for real, fake in [(1.0, 0.2), (1.0, 0.5), (0.8, 0.9), (9.0, 0.1), (9.0, 0.1), (0.1, 30.0)]:
        logits = [torch.full((reals,), -math.log(math.expm1(energy))) for energy in (real, fake)]
        discriminator, generator = (cost.mean() for cost in loss(*logits))
        torch.testing.assert_close(discriminator, torch.tensor(real - plain * fake))
        training.terms |= {"discriminator/adversarial": discriminator, "generator/adversarial": generator}
        training.progress.images += reals
        control.after_round(training)
        plain = min(1.0, max(0.0, plain + reals / 64 * (0.5 * real - fake)))
        torch.testing.assert_close(loss.dial.value, torch.tensor(plain))
        torch.testing.assert_close(training.terms["boundary/convergence"], torch.tensor(real + abs(0.5 * real - fake)))


# --- Yu et al. (2021) ---


def test_dual_contrastive_is_the_cross_entropy_of_finding_one_among_the_others() -> None:
    real, fake = np.random.default_rng(0).normal(size=(2, 5))
    plain = [
        -np.log(np.exp(r) / (np.exp(r) + np.exp(fake).sum())) - np.log(np.exp(-f) / (np.exp(-f) + np.exp(-real).sum()))
        for r, f in zip(real, fake, strict=True)
    ]
    discriminator, generator = adversarial.dual_contrastive(torch.tensor(real), torch.tensor(fake))
    torch.testing.assert_close(discriminator, torch.tensor(plain))
    torch.testing.assert_close(adversarial.dual_contrastive(torch.tensor(fake), torch.tensor(real))[0], generator)


# --- distances: Binkowski et al. (2018), Bellemare et al. (2017) ---


def mean_over_samples(loss: Adversarial, places: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """The expected generator cost over all samples of two reals ~ p and two fakes ~ q on atoms at these places."""
    index = torch.cartesian_prod(*[torch.arange(len(p))] * 4)
    chance = p[index[:, 0]] * p[index[:, 1]] * q[index[:, 2]] * q[index[:, 3]]
    costs = torch.func.vmap(lambda x: loss(x[:2], x[2:])[1].mean())(places[index])
    return (chance * costs).sum()


def rational_quadratic(x: Tensor) -> Tensor:
    squares = (x[:, None] - x[None]).square().sum(-1)
    return torch.stack([(1 + squares / (2 * a)) ** -a for a in (0.2, 0.5, 1, 2, 5)]).sum(0)


@pytest.mark.parametrize("name", ["kernel", "cramer"])
def test_sample_distances_and_their_gradients_are_unbiased_and_zero_iff_equal(name: str) -> None:
    """Samples of two suffice for the true distance in the mean, which those of Wasserstein do not (theorem 1)."""
    p, q = (x[:4] / x[:4].sum() for x in distributions(3))
    places = torch.tensor([-1.0, 0.2, 0.5, 2.0], dtype=torch.float64, requires_grad=True)
    loss = getattr(distances, name)
    if name == "kernel":
        true = (p - q) @ rational_quadratic(places[:, None]) @ (p - q)
    else:  # twice the integral of the squared difference of the distribution functions
        true = 2 * ((p - q).cumsum(0)[:-1].square() * places.diff()).sum()
    estimate = mean_over_samples(loss, places, p, q)
    torch.testing.assert_close(estimate, true)
    torch.testing.assert_close(*(torch.autograd.grad(x, places)[0] for x in (estimate, true)))
    assert true > 1e-3
    assert mean_over_samples(loss, places, p, p).abs() < 1e-12


def test_features_are_told_apart_though_no_single_one_is() -> None:
    """Corners of a square, across for reals and for fakes: each coordinate alone has one distribution."""
    real, fake = torch.tensor([[[0.0, 0], [1, 1]], [[0, 1], [1, 0]]], dtype=torch.float64).repeat(1, 50, 1).unbind()
    for loss in (distances.kernel, distances.cramer):
        assert loss(real, fake)[1].mean() > 0.05
        assert loss(real[:, 0], fake[:, 0])[1].mean() < 0.05
