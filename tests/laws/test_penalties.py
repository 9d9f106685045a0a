"""Penalties in closed form: for linear and quadratic scores, for invariant ones, and in expectation over the noise."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.parts.losses import adversarial, penalties
from evenodds.parts.losses.penalties import LeCam, Score

N, D = 5, 4
seeds = st.integers(0, 2**31)


class Scene:
    """Reals, fakes, a slope w and a symmetric curvature a, all random and in double precision."""

    def __init__(self, seed: int) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.real, self.fake, self.normal = torch.randn(3, N, D, generator=rng, dtype=torch.float64)
        self.uniform = torch.rand(N, 4, generator=rng, dtype=torch.float64)
        self.w = torch.randn(D, generator=rng, dtype=torch.float64, requires_grad=True)
        half = torch.randn(D, D, generator=rng, dtype=torch.float64)
        self.a = (half + half.T).requires_grad_()

    def linear(self, x: Tensor) -> Tensor:
        return x @ self.w

    def quadratic(self, x: Tensor) -> Tensor:
        return 0.5 * ((x @ self.a) * x).sum(1)


def smooth(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(D, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1), nn.Flatten(0)
    ).double()


# --- zero-centred ---


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_linear_score_pays_half_its_squared_slope(seed: int) -> None:
    s = Scene(seed)
    pays = (0.5 * s.w.square().sum()).expand(N)
    torch.testing.assert_close(penalties.r1(s.linear, s.real, s.fake), pays)
    torch.testing.assert_close(penalties.r2(s.linear, s.real, s.fake), pays)
    torch.testing.assert_close(penalties.r1_r2(s.linear, s.real, s.fake), 2 * pays)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_quadratic_score_pays_where_it_is_steep(seed: int) -> None:
    s = Scene(seed)
    at_real, at_fake = (0.5 * (x @ s.a).square().sum(1) for x in (s.real, s.fake))
    torch.testing.assert_close(penalties.r1(s.quadratic, s.real, s.fake), at_real)
    torch.testing.assert_close(penalties.r2(s.quadratic, s.real, s.fake), at_fake)
    torch.testing.assert_close(penalties.r1_r2(s.quadratic, s.real, s.fake), at_real + at_fake)


def test_penalty_gradient_of_a_linear_score_is_its_slope() -> None:
    s = Scene(0)
    (pull,) = torch.autograd.grad(penalties.r1(s.linear, s.real, s.fake).mean(), s.w)
    torch.testing.assert_close(pull, s.w.detach())


def test_penalty_gradient_of_a_quadratic_score() -> None:
    """d/da of 0.5 |a x|^2, with the score's own gradient (a + a^T) x / 2."""
    s = Scene(1)
    (pull,) = torch.autograd.grad(penalties.r2(s.quadratic, s.real, s.fake).sum(), s.a)
    gram = s.fake.T @ s.fake
    torch.testing.assert_close(pull, (0.5 * (s.a @ gram + gram @ s.a)).detach())


# --- one-centred ---


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_one_centred_penalties_of_a_linear_score(seed: int) -> None:
    s = Scene(seed)
    pays = (s.w.norm() - 1).square().expand(N)
    torch.testing.assert_close(penalties.gradient_penalty(s.linear, s.real, s.fake, uniform=s.uniform), pays)
    torch.testing.assert_close(penalties.dragan(s.linear, s.real, s.fake, normal=s.normal), pays)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_gradient_penalty_is_taken_on_the_line_from_fake_to_real(seed: int) -> None:
    s = Scene(seed)
    share = s.uniform[:, :1]
    place = share * s.real + (1 - share) * s.fake
    pays = ((place @ s.a).norm(dim=1) - 1).square()
    torch.testing.assert_close(penalties.gradient_penalty(s.quadratic, s.real, s.fake, uniform=s.uniform), pays)


@pytest.mark.parametrize("spread", [0.1, 0.5])
def test_dragan_is_taken_around_the_reals(spread: float) -> None:
    s = Scene(3)
    pays = (((s.real + spread * s.normal) @ s.a).norm(dim=1) - 1).square()
    torch.testing.assert_close(penalties.dragan(s.quadratic, s.real, s.fake, normal=s.normal, spread=spread), pays)


def test_one_centred_penalties_survive_a_flat_score() -> None:
    """A root has no slope at 0; the penalty of a flat score is 1 and pulls nowhere, instead of to NaN."""
    s = Scene(0)
    flat = torch.zeros(D, dtype=torch.float64, requires_grad=True)
    cost = penalties.gradient_penalty(lambda x: x @ flat, s.real, s.fake, uniform=s.uniform)
    torch.testing.assert_close(cost, torch.ones_like(cost))
    assert torch.autograd.grad(cost.sum(), flat)[0].isfinite().all()


# --- largest gradient, Wasserstein divergence ---


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_largest_gradient_is_one_number_for_all(seed: int) -> None:
    s = Scene(seed)
    place = s.uniform[:, :1] * s.real + (1 - s.uniform[:, :1]) * s.fake
    largest = (place @ s.a).square().sum(1).max()
    pays = penalties.largest_gradient(s.quadratic, s.real, s.fake, uniform=s.uniform)
    torch.testing.assert_close(pays, largest.expand(N))


def test_best_critic_of_the_wasserstein_divergence() -> None:
    """Of points a distance apart, f' = (distance / (k p))^(1 / (p - 1)) has the highest distance f' - k |f'|^p."""
    distance, k, power = 0.7, 2.0, 6.0
    real, fake = torch.full((N, 1), distance, dtype=torch.float64), torch.zeros(N, 1, dtype=torch.float64)
    uniform = torch.rand(N, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    slope = torch.tensor((distance / (k * power)) ** (1 / (power - 1)), dtype=torch.float64, requires_grad=True)

    def score(x: Tensor) -> Tensor:
        return slope * x[:, 0]

    cost = adversarial.wasserstein(score(real), score(fake))[0]
    penalty = penalties.wasserstein_divergence(score, real, fake, uniform=uniform, power=power)
    (pull,) = torch.autograd.grad((cost + k * penalty).mean(), slope)
    torch.testing.assert_close(pull, torch.zeros_like(pull), rtol=0, atol=1e-12)
    torch.testing.assert_close(penalty, (slope**power).expand(N))
    with pytest.raises(BadInput, match="power > 1"):
        penalties.wasserstein_divergence(score, real, fake, uniform=uniform, power=1.0)


# --- by differences ---


@settings(max_examples=20, deadline=None)
@given(seed=seeds, spread=st.floats(1e-3, 1))
def test_difference_of_a_linear_score_does_not_depend_on_the_spread(seed: int, spread: float) -> None:
    s = Scene(seed)
    pays = 0.5 * (s.normal @ s.w).square()
    for rule in (penalties.finite_difference_r1, penalties.finite_difference_r2):
        torch.testing.assert_close(rule(s.linear, s.real, s.fake, normal=s.normal, spread=spread), pays)
    both = penalties.finite_difference(s.linear, s.real, s.fake, normal=s.normal, spread=spread)
    torch.testing.assert_close(both, 2 * pays)


def draws(number: int, like: Tensor) -> Tensor:
    return torch.randn(number, *like.shape, generator=torch.Generator().manual_seed(7), dtype=like.dtype)


def test_difference_of_a_linear_score_is_r1_in_expectation() -> None:
    """Its mean is |w|^2 / 2 and its standard deviation sqrt(2) times that: a scaled chi square with one degree."""
    s, number = Scene(2), 200_000
    noise = draws(number, s.real[0])
    still = torch.zeros_like(noise)
    cost = penalties.finite_difference_r1(s.linear, still, still, normal=noise).detach()
    r1 = (0.5 * s.w.square().sum()).item()
    assert abs(cost.mean().item() - r1) < 4 * math.sqrt(2) * r1 / math.sqrt(number)
    assert abs(cost.std().item() / (math.sqrt(2) * r1) - 1) < 0.03


@pytest.mark.parametrize(
    ("by_difference", "exact"),
    [
        (penalties.finite_difference_r1, penalties.r1),
        (penalties.finite_difference_r2, penalties.r2),
        (penalties.finite_difference, penalties.r1_r2),
    ],
)
def test_difference_agrees_with_the_gradient_on_a_smooth_network(
    by_difference: Callable[..., Tensor], exact: Callable[[Score, Tensor, Tensor], Tensor]
) -> None:
    """Every item within five standard errors and the bias of order spread^2; and the pull on the parameters."""
    s, net, number = Scene(4), smooth(), 8_000
    noise = draws(number, s.real).flatten(0, 1)
    many = by_difference(net, s.real.repeat(number, 1), s.fake.repeat(number, 1), normal=noise).view(number, N)
    one = exact(net, s.real, s.fake)
    error = many.std(0) / math.sqrt(number)
    assert ((many.mean(0) - one).abs() < 5 * error + 1e-3 * one).all()
    weight = next(net.parameters())
    (pull,) = torch.autograd.grad(many.mean(), weight)
    (wanted,) = torch.autograd.grad(one.mean(), weight)
    assert (pull - wanted).norm() < 0.1 * wanted.norm()


def test_bias_of_the_difference_grows_with_the_square_of_the_spread() -> None:
    """For x'ax/2 at the origin, where the gradient is 0: E = spread^2 (tr(a)^2 + 2 tr(a^2)) / 8."""
    s, number = Scene(5), 200_000
    noise = draws(number, s.real[0])
    still = torch.zeros_like(noise)
    bias = (s.a.trace().square() + 2 * (s.a @ s.a).trace()).item() / 8
    for spread in (0.01, 0.2):
        cost = penalties.finite_difference_r1(s.quadratic, still, still, normal=noise, spread=spread).detach()
        assert math.isclose(cost.mean().item(), spread**2 * bias, rel_tol=0.05)


@pytest.mark.parametrize("spread", [0.0, -1.0, math.nan])
def test_a_spread_that_measures_nothing_is_refused(spread: float) -> None:
    s = Scene(0)
    for rule in (penalties.finite_difference, penalties.dragan):
        with pytest.raises(BadInput, match="spread > 0"):
            rule(s.linear, s.real, s.fake, normal=s.normal, spread=spread)


# --- consistency ---


def roll(x: Tensor, uniform: Tensor) -> Tensor:
    """Moves every item's values round by as many places as its uniform says: a permutation."""
    places = (torch.arange(D) + (uniform[:, :1] * D).long()) % D
    return x.gather(1, places)


def test_an_invariant_score_is_consistent() -> None:
    s = Scene(0)
    cost = penalties.consistency(lambda x: x.square().sum(1), s.real, s.fake, view=roll, uniform=s.uniform)
    torch.testing.assert_close(cost, torch.zeros_like(cost))


def test_consistency_of_a_linear_score_is_the_squared_move_along_its_slope() -> None:
    s = Scene(0)
    cost = penalties.consistency(
        s.linear, s.real, s.fake, view=lambda x, uniform: x + uniform[:, :D], uniform=s.uniform
    )
    torch.testing.assert_close(cost, (s.uniform[:, :D] @ s.w).square())


# --- LeCam ---


def test_lecam_ties_scores_to_the_average_of_the_other_side() -> None:
    s, lecam = Scene(0), LeCam(half_life_images=N)
    on_real, on_fake = s.linear(s.real).detach(), s.linear(s.fake).detach()
    for share in (1 / 2, 3 / 4, 7 / 8):  # one half-life per call, from 0 towards the same mean
        cost = lecam(s.linear, s.real, s.fake)
        anchors = share * on_real.mean(), share * on_fake.mean()
        torch.testing.assert_close(
            cost, (on_real - anchors[1]).square() + (on_fake - anchors[0]).square(), rtol=1e-5, atol=1e-5
        )


def test_lecam_forgets_by_images_and_not_by_calls() -> None:
    s = Scene(1)
    whole, parts = LeCam(half_life_images=20).double(), LeCam(half_life_images=20).double()
    x = s.real[:1].expand(6, D)  # one constant, so that only the count matters
    whole(s.linear, x, x)
    for part in x.split([1, 2, 3]):
        parts(s.linear, part, part)
    torch.testing.assert_close(whole.state_dict(), parts.state_dict())
    torch.testing.assert_close(whole.real_anchor, (1 - 0.5 ** (6 / 20)) * s.linear(x[:1]).detach().squeeze())


def test_lecam_does_not_move_in_evaluation_and_its_state_is_its_anchors() -> None:
    s, lecam = Scene(2), LeCam()
    lecam(s.linear, s.real, s.fake)
    saved = {name: value.clone() for name, value in lecam.state_dict().items()}
    lecam.eval()
    cost = lecam(s.linear, s.real, s.fake)
    torch.testing.assert_close(lecam.state_dict(), saved)
    again = LeCam().eval()
    again.load_state_dict(saved)
    torch.testing.assert_close(again(s.linear, s.real, s.fake), cost)
    assert set(saved) == {"real_anchor", "fake_anchor"}
    assert saved["real_anchor"] != 0


@pytest.mark.parametrize("seed", range(3))
def test_wasserstein_with_lecam_measures_the_lecam_divergence(seed: int) -> None:
    """Tseng et al. (2021), proposition 1: anchors at +-h and weight k give (1 - 2kh)^2 / 4k times sum (p-q)^2/(p+q)."""
    rng = torch.Generator().manual_seed(seed)
    p, q = torch.randn(2, 6, generator=rng, dtype=torch.float64).softmax(1)
    h, weight = 0.3, 0.2
    lecam = LeCam().double().eval()
    lecam.real_anchor.fill_(h)
    lecam.fake_anchor.fill_(-h)

    def cost(logits: Tensor) -> Tensor:
        """Expected over real ~ p and fake ~ q; an x is the number of its atom."""
        real, fake = torch.arange(6).repeat_interleave(6), torch.arange(6).repeat(6)
        unreduced = adversarial.wasserstein(logits[real], logits[fake])[0] + weight * lecam(
            logits.__getitem__, real, fake
        )
        value: Tensor = (torch.outer(p, q).flatten() * unreduced).sum()
        return value

    best = (1 - 2 * weight * h) / (2 * weight) * (p - q) / (p + q)
    divergence = ((p - q).square() / (p + q)).sum()
    value = -((1 - 2 * weight * h) ** 2) / (4 * weight) * divergence + 2 * weight * h**2
    torch.testing.assert_close(cost(best), value)
    assert all(cost(best + torch.randn(6, generator=rng, dtype=torch.float64)) > value for _ in range(5))


@pytest.mark.parametrize("images", [0, -1])
def test_lecam_refuses_a_half_life_of_nothing(images: int) -> None:
    with pytest.raises(BadInput, match="half_life_images > 0"):
        LeCam(half_life_images=images)


# --- lazy ---


@pytest.mark.parametrize("rule", [penalties.r1, penalties.r2, penalties.r1_r2])
@pytest.mark.parametrize("every", [2, 16])
def test_a_lazy_penalty_pulls_as_hard_on_average(rule: Callable[[Score, Tensor, Tensor], Tensor], every: int) -> None:
    """Karras et al. (2020), appendix B: weight * n in every n-th step has the mean gradient of weight in each step."""
    s, net, weight = Scene(6), smooth(), 0.7

    def mean_gradient(weights: list[float]) -> list[Tensor]:
        net.zero_grad()
        for step_weight in weights:
            cost = adversarial.non_saturating(net(s.real), net(s.fake))[0].mean()
            if step_weight:
                cost = cost + step_weight * rule(net, s.real, s.fake).mean()
            (cost / len(weights)).backward()  # type: ignore[no-untyped-call]
        return [p.grad.clone() for p in net.parameters() if p.grad is not None]

    lazy = mean_gradient([weight * every] + [0.0] * (every - 1))
    eager = mean_gradient([weight] * every)
    unpenalised = mean_gradient([0.0] * every)
    torch.testing.assert_close(lazy, eager, rtol=1e-9, atol=1e-12)
    assert not torch.allclose(lazy[0], unpenalised[0])
