"""Laws of learning without gradients, and of players that are no networks."""

import math

import pytest
import torch
from torch import Tensor, nn

from evenodds.game.engine import Local
from evenodds.game.learners import Evolution, Fit, Gradient
from evenodds.game.learners.evolution import ranks, raw
from evenodds.game.learners.fit import examples
from evenodds.game.optimizers import eager
from evenodds.game.rules import Batch, Costs, Game, Move, Players, Progress
from evenodds.game.schedule import cosine
from evenodds.game.trainer import train
from evenodds.parts.losses import adversarial, divergences
from evenodds.parts.losses.adversarial import minimax, non_saturating, wasserstein
from evenodds.parts.losses.penalties import r1
from evenodds.parts.nonneural.fitted import Classifier, Fitted, Witness
from evenodds.parts.nonneural.linear import Fourier, Linear, Polynomial
from evenodds.parts.nonneural.transformations import Affine, Gaussians
from evenodds.parts.priors import Normal
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate
from tests.games import Points, small_players, small_task

LOSSES = {name: getattr(m, name) for m in (adversarial, divergences) for name in m.__all__ if name.islower()}
EVEN = {"least_squares": 0.5, "kl": 1.0}  # the logit of even odds, where it is not 0


class Point(nn.Module):
    """A vector, and nothing else."""

    def __init__(self, *start: float) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor(start, dtype=torch.float64))


def estimates(function: nn.Module, start: tuple[float, ...], sigma: float, plays: int) -> Tensor:
    """(plays, D) estimates of the slope at `start`, unshaped."""
    players: Players = {"point": Point(*start), "function": function}
    place = players["point"].place
    learner = Evolution(
        {"point": torch.optim.SGD([place], lr=0.0)},
        sigma=sigma,
        pairs=4,
        at_once=8,
        shaping=raw,  # type: ignore[list-item]
    )
    move = Move("go", ("point",), lambda p, _: {"cost": p["function"](p["point"].place)})
    seen = []
    for _ in range(plays):
        learner.improve(move, players, {}, Local(), Progress(total=1))
        seen.append(place.grad.clone())  # type: ignore[union-attr, operator]
    return torch.stack(seen)


class Quadratic(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x[0] ** 2 + x[0] * x[1] + 0.5 * x[1] ** 2


class Cubic(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x**3).sum()


class Step(nn.Module):
    """Flat but for one step, as trees are: it has no gradient anywhere."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0).to(x.dtype).sum()


@pytest.mark.parametrize(
    ("function", "start", "sigma", "slope"),
    [
        (Quadratic(), (1.0, -2.0), 0.7, (2.0, -1.0)),
        (Cubic(), (0.5, -1.0), 0.6, (3 * 0.25 + 3 * 0.36, 3 + 3 * 0.36)),
        (Step(), (0.3,), 0.5, (math.exp(-(0.6**2) / 2) / math.sqrt(2 * math.pi) / 0.5,)),
    ],
    ids=["quadratic", "cubic", "step"],
)
def test_the_estimate_is_unbiased_for_the_slope_of_the_smoothed_cost(
    function: nn.Module, start: tuple[float, ...], sigma: float, slope: tuple[float, ...]
) -> None:
    seen = estimates(function, start, sigma, plays=1500)
    error = seen.std(0) / math.sqrt(len(seen))
    assert (error < 0.07 * torch.tensor(slope).abs()).all()  # otherwise the next line would let anything pass
    assert ((seen.mean(0) - torch.tensor(slope)).abs() < 4 * error).all()


def test_ranks_are_centred_share_ties_and_put_the_undefined_last() -> None:
    torch.testing.assert_close(ranks(torch.tensor([5.0, -1e9, 7.0])), torch.tensor([0.0, -0.5, 0.5]))
    torch.testing.assert_close(ranks(torch.tensor([1.0, 3.0, 3.0, 9.0])), torch.tensor([-0.5, 0.0, 0.0, 0.5]))
    torch.testing.assert_close(ranks(torch.ones(6)), torch.zeros(6))
    torch.testing.assert_close(ranks(torch.tensor([math.nan, 2.0, 1.0])), torch.tensor([0.5, 0.0, -0.5]))


def test_evolution_reaches_the_least_of_a_convex_cost_that_has_no_gradient() -> None:
    players: Players = {"point": Point(2.0, -3.0)}
    learner = Evolution({"point": torch.optim.Adam(players["point"].parameters(), 0.2)}, cosine(), sigma=0.1, pairs=8)
    target = torch.tensor([0.4, 0.7], dtype=torch.float64)
    move = Move("go", ("point",), lambda p, _: {"stairs": (20 * (p["point"].place - target).abs()).floor().sum()})
    for k in range(200):
        learner.improve(move, players, {}, Local(), Progress(total=200, images=k))
    torch.testing.assert_close(players["point"].place.detach(), target, atol=0.05, rtol=0)


@pytest.mark.parametrize(("weight", "ends"), [(0.0, (0.7, 1.5)), (1.0, (0.0, 0.05))])
def test_the_dirac_game_by_evolution_circles_and_with_r1_converges(weight: float, ends: tuple[float, float]) -> None:
    """Mescheder et al. (2018), sections 2 and 4: what holds of the gradients holds of their estimates."""

    class Origin:
        size = 1

        def at(self, position: int) -> Batch:
            return {"x": torch.zeros(1, 1)}

    players = {"generator": Affine(1, 1, spread=0.0), "discriminator": Linear(1)}
    nn.init.ones_(players["generator"].mean)  # type: ignore[arg-type]
    held = (players["generator"].factor, players["discriminator"].logit.bias)  # type: ignore[union-attr]
    for parameter in held:
        parameter.requires_grad_(False)  # type: ignore[union-attr, operator]
    game = Game(Generate(Normal(1), Contest(minimax, penalty=r1 if weight else None, weight=weight)), {**players})
    learners = {
        n: Evolution({n: torch.optim.SGD(p.parameters(), 0.4)}, sigma=0.05, pairs=4, shaping=raw)
        for n, p in players.items()
    }
    train(game, Origin(), learners, Local(), images=120)
    place = [float(p.detach()) for p in players["generator"].parameters() if p is not held[0]]
    place += [float(p.detach()) for p in players["discriminator"].parameters() if p is not held[1]]
    assert ends[0] <= math.hypot(*place) <= ends[1]


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_slope_of_every_loss_labels_the_rows(name: str) -> None:
    task = small_task(loss=LOSSES[name])
    players = small_players()
    hand = task.deal(Points().at(0), torch.Generator().manual_seed(0))
    found = examples(task.moves()[0], players, hand, Local(), "discriminator", EVEN.get(name, 0.0))
    torch.testing.assert_close(found.real, hand["x"])
    torch.testing.assert_close(found.fake, players["generator"](hand["z"]).detach())


def test_examples_are_seen_through_the_view() -> None:
    task = small_task(view=lambda x, u: x + 10 * u[:, :2], view_dice=4)
    hand = task.deal(Points().at(0), torch.Generator().manual_seed(0))
    found = examples(task.moves()[0], small_players(), hand, Local(), "discriminator", 0.0)
    torch.testing.assert_close(found.real, hand["x"] + 10 * hand["view"][0][:, :2])


def gaussians(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """N((0.5, 0), I / 4) and N((-0.5, 0.5), I / 4)."""
    rng = torch.Generator().manual_seed(seed)
    real, fake = (0.5 * torch.randn(n, 2, generator=rng) for _ in range(2))
    return real + torch.tensor([0.5, 0.0]), fake + torch.tensor([-0.5, 0.5])


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_a_fitted_logistic_regression_is_the_log_ratio_of_the_densities(share: float) -> None:
    """D* = p / (p + q), proposition 1 of Goodfellow et al. (2014): its logit is log p - log q, here 4x - 2y + 1/2."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    real, fake = gaussians(20_000, 0)
    player = Classifier(linear_model.LogisticRegression(C=1e6))
    player.fit(real, fake[: int(share * len(fake))])  # however many there are of each
    x = torch.cat(gaussians(500, 1))
    best = 4 * x[:, 0] - 2 * x[:, 1] + 0.5
    assert (player(x) - best).abs().max() < 0.4
    torch.testing.assert_close(player(x).mean(), best.mean(), atol=0.06, rtol=0)


@pytest.mark.parametrize("name", ["linear", "trees", "forest", "witness"])
def test_at_the_equilibrium_a_refitted_player_is_at_even_odds(name: str) -> None:
    ensemble, linear_model = (pytest.importorskip(f"sklearn.{room}") for room in ("ensemble", "linear_model"))
    player: Fitted = {
        "linear": lambda: Classifier(linear_model.LogisticRegression()),
        "trees": lambda: Classifier(ensemble.HistGradientBoostingClassifier(max_iter=10, max_leaf_nodes=4)),
        "forest": lambda: Classifier(ensemble.RandomForestClassifier(20, min_samples_leaf=200)),
        "witness": Witness,
    }[name]()
    x = gaussians(1000, 2)[0]
    assert float(player(x).abs().max()) == 0  # before it has seen anything
    player.fit(gaussians(4000, 0)[0], gaussians(4000, 1)[0])
    assert 0 < float((player(x).sigmoid() - 0.5).abs().mean()) < 0.03


def test_a_witness_on_its_own_examples_costs_minus_the_mean_discrepancy() -> None:
    real, fake = gaussians(50, 0)
    player = Witness((0.5,))
    player.fit(real, fake)
    cost = wasserstein(player(real), player(fake))[0].mean()

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-2 * (a[:, None] - b).square().sum(2)).mean()

    torch.testing.assert_close(-cost, kernel(real, real) + kernel(fake, fake) - 2 * kernel(real, fake))
    x = fake.clone().requires_grad_()
    assert torch.autograd.grad(player(x).sum(), x)[0].abs().min() > 0  # a generator can follow it


def test_random_features_approximate_the_gaussian_kernel() -> None:
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    features = Fourier(3, count=20_000, bandwidth=1.5).features(x)
    kernel = torch.exp(-torch.cdist(x, x).square() / (2 * 1.5**2))
    assert 1e-4 < float((features @ features.T - kernel).abs().max()) < 5 / math.sqrt(20_000)


def test_a_polynomial_has_every_monomial_once() -> None:
    x, y = torch.tensor([[2.0, 3.0]]).double().T
    seen = Polynomial(2, 3).features(torch.tensor([[2.0, 3.0]]).double())[0]
    monomials = torch.cat([x**a * y**b for a in range(4) for b in range(4) if 1 <= a + b <= 3])
    torch.testing.assert_close(seen.sort().values, monomials.sort().values)


def test_a_mixture_has_its_weights_means_and_covariances() -> None:
    player = Gaussians(2, 3)
    shares, factor = torch.tensor([0.2, 0.3, 0.5]), torch.tensor([[0.3, 0.0], [0.2, 0.1]])
    with torch.no_grad():
        player.weights.copy_(shares.log())
        player.means.copy_(torch.tensor([[-9.0, 0.0], [0.0, 0.0], [9.0, 1.0]]))
        player.factors.copy_(factor)
        x = player(Normal(3)(200_000, torch.Generator().manual_seed(0)))
    part = (x[:, 0] / 9).round().long() + 1
    torch.testing.assert_close(part.bincount() / len(x), shares, atol=0.005, rtol=0)
    for k in range(3):
        torch.testing.assert_close(x[part == k].mean(0), player.means[k].detach(), atol=0.006, rtol=0)
        torch.testing.assert_close(x[part == k].T.cov(), factor @ factor.T, atol=0.003, rtol=0)


class Tilted:
    """N(m, C) in the plane."""

    size = 256
    mean = torch.tensor([0.3, -0.2])
    factor = torch.tensor([[0.4, 0.0], [0.25, 0.15]])

    def at(self, position: int) -> Batch:
        rng = torch.Generator().manual_seed(position)
        return {"x": self.mean + torch.randn(self.size, 2, generator=rng) @ self.factor.T}


def test_affine_against_a_parabola_finds_mean_and_covariance() -> None:
    """The least squares of both players: of degree 2, all that D can see of G are its first two moments."""
    players: dict[str, nn.Module] = {"generator": Affine(2, 2), "discriminator": Polynomial(2, 2)}
    game = Game(Generate(Normal(2), Contest(non_saturating, penalty=r1, weight=0.02)), players)
    rates = {"generator": 0.01, "discriminator": 0.05}
    adams = {n: eager(torch.optim.Adam)(p.parameters(), rates[n], betas=(0.0, 0.99)) for n, p in players.items()}
    train(game, Tilted(), Gradient(adams, cosine()), Local(), images=256 * 1000)
    generator = players["generator"]
    torch.testing.assert_close(generator.mean.detach(), Tilted.mean, atol=0.03, rtol=0)
    covariance = generator.factor @ generator.factor.T  # type: ignore[operator, union-attr]
    torch.testing.assert_close(covariance.detach(), Tilted.factor @ Tilted.factor.T, atol=0.03, rtol=0)


def test_a_move_of_costs_without_gradient_is_still_a_move() -> None:
    """Facts and several costs pass through as they are."""
    players: Players = {"point": Point(1.0)}
    learner = Evolution({"point": torch.optim.SGD(players["point"].parameters(), 0.1)}, pairs=1)
    move = Move(
        "go", ("point",), lambda p, _: Costs({"a": torch.ones(()), "b": torch.ones(())}, {"c": torch.zeros(())})
    )
    costs = learner.improve(move, players, {}, Local(), Progress(total=1))
    assert ({*costs}, {*costs.facts}) == ({"a", "b"}, {"c"})
    assert float(players["point"].place.detach()) == 1  # equal costs say nothing


def test_fit_keeps_a_window_of_the_latest_rows() -> None:
    player = Witness()
    learner = Fit({"discriminator": player}, rows=20, every=2)
    task, players = small_task(), {**small_players(), "discriminator": player}
    shown = []
    for k in range(6):
        hand = task.deal(Points().at(8 * k), torch.Generator().manual_seed(k))
        shown.append(hand["x"])
        learner.improve(task.moves()[0], players, hand, Local(), Progress(total=1))
    assert torch.equal(player.real, torch.cat(shown[:5])[-20:])  # plays 0, 2 and 4 fit; the last waits
    assert torch.equal(learner.waiting["discriminator"].real, shown[5])
