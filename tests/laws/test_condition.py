"""What holds for every game given c: which logit is best, where the truth stays at rest, what c may and may not do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.optimizers import eager
from evenodds.game.rules import Game
from evenodds.game.schedule import cosine
from evenodds.game.trainer import train
from evenodds.parts.losses import conditional
from evenodds.parts.losses.adversarial import hinge, non_saturating, relativistic_paired
from evenodds.parts.losses.penalties import finite_difference_r1, gradient_penalty, r1, r1_r2, r2
from evenodds.parts.networks import dcgan, mlp, modern, resnet
from evenodds.parts.priors import Normal
from evenodds.tasks._conditional import COSTS, WAYS, ConditionedDiscriminator, balanced, one_hot
from evenodds.tasks.condition import Condition, discriminator_options
from evenodds.tasks.contest import Contest

every_way = pytest.mark.parametrize("way", ["auxiliary", "concatenation", "projection", "projection_auxiliary"])


class First(nn.Module):
    """A generator whose z is x: (N, D + K) -> (N, D)."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns

    def forward(self, z: Tensor) -> Tensor:
        return z[:, : self.columns]


def task(length: int, way: str, loss: Any = non_saturating, **options: Any) -> Condition:
    of_contest = {name: options.pop(name) for name in ("penalty", "weight", "every", "fused") if name in options}
    return Condition(Normal(4), Contest(loss, **of_contest), length=length, way=way, **options)


def scores(way: str, columns: int, length: int, **options: Any) -> mlp.Discriminator:
    torch.manual_seed(0)
    return mlp.Discriminator(**discriminator_options(way, (columns,), length), **options)


# Projection


@pytest.mark.parametrize("family", [dcgan, mlp, modern, resnet])
def test_projection_is_equation_3(family: Any) -> None:
    """y^T V phi(x) + psi(phi(x)) with the rows of the last layer for psi and V; for an unknown y psi alone."""
    torch.manual_seed(0)
    net = family.Discriminator((1, 8, 8), width=8, outputs=4).double().eval()
    x, y = torch.rand(5, 1, 8, 8).double(), torch.tensor([0, 2, -1, 1, 2])
    out, phi = net(x, features=True)
    assert out.shape == (5, 4)
    weight, bias = net.logit.weight, net.logit.bias
    logits = ConditionedDiscriminator(net, one_hot(y, 3), "projection")(x)
    for i, label in enumerate(y.tolist()):
        expected = phi[i] @ weight[0] + bias[0]
        if label >= 0:
            expected = expected + weight[1 + label] @ phi[i] + bias[1 + label]
        torch.testing.assert_close(logits[i], expected)


# The best discriminator

P = torch.tensor([[5, 2, 1], [1, 3, 4]])  # p(x | c) in eighths
Q = torch.tensor([[2, 2, 4], [4, 3, 1]])  # q(x | c)


def enumerated(labelled: tuple[bool, bool] = (True, True)) -> dict[str, Tensor]:
    """A hand in which every x of {0, 1, 2} and c of {0, 1} occurs as often as p(x, c) and q(x, c) say."""
    x, z = (torch.cat([torch.eye(3).repeat_interleave(row, 0) for row in table]) for table in (P, Q))
    c = torch.eye(2).repeat_interleave(8, 0) * torch.tensor(labelled).repeat_interleave(8)[:, None]
    return {"x": x.double(), "z": z.double(), "c": c.double()}


def best(game: Condition, net: nn.Module, hand: dict[str, Tensor]) -> None:
    """Descends to the least cost."""
    players = {"generator": First(3), "discriminator": net}
    lbfgs = torch.optim.LBFGS(net.parameters(), max_iter=400, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def cost() -> Tensor:
        lbfgs.zero_grad()
        value = game.plain_cost(players, hand).total()
        torch.autograd.backward(value)
        return value

    lbfgs.step(cost)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(("way", "depth"), [("projection", 0), ("projection_auxiliary", 0), ("concatenation", 1)])
def test_the_best_logit_is_the_log_ratio_given_c(way: str, depth: int) -> None:
    """log p(x | c) / q(x | c), for affine projections too: on one-hot x these hold every function of x and c."""
    net = scores(way, 3, 2, depth=depth, width=32).double()
    best(task(2, way), net, enumerated())
    for c in range(2):
        logits = ConditionedDiscriminator(net, torch.eye(2)[c : c + 1], way)(torch.eye(3).double())
        torch.testing.assert_close(logits, (P[c] / Q[c]).log().double(), atol=2e-3, rtol=0)


@pytest.mark.parametrize("way", ["auxiliary", "projection_auxiliary"])
def test_the_best_auxiliary_outputs_are_the_classifier_of_real_and_fake(way: str) -> None:
    net = scores(way, 3, 2, depth=0).double()
    best(task(2, way), net, enumerated())
    out = net(torch.eye(3).double())
    if way == "auxiliary":  # the logit, which sees no c, is the log ratio of the marginals
        torch.testing.assert_close(out[:, 0], (P.sum(0) / Q.sum(0)).log().double(), atol=2e-3, rtol=0)
    both = (P + Q).double()
    torch.testing.assert_close(out[:, -2:].softmax(1), (both / both.sum(0)).T, atol=2e-3, rtol=0)


def test_items_of_unknown_class_are_judged_by_their_own_ratio() -> None:
    net = scores("projection", 3, 2, depth=0).double()
    best(task(2, "projection"), net, enumerated((True, False)))
    for c, given in ((0, torch.tensor([[1.0, 0.0]])), (1, torch.zeros(1, 2))):
        logits = ConditionedDiscriminator(net, given, "projection")(torch.eye(3).double())
        torch.testing.assert_close(logits, (P[c] / Q[c]).log().double(), atol=2e-3, rtol=0)


class Apart(nn.Module):
    """x = (1 + s) m_c + z with m_c = -1, 1: the truth at s = 0."""

    def __init__(self) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.zeros(1, dtype=torch.double))

    def forward(self, z: Tensor) -> Tensor:
        return z[:, :1] + (1 + self.s) * (z[:, 2:] - z[:, 1:2])


@every_way
def test_the_truth_is_at_rest_but_for_the_auxiliary_cost(way: str) -> None:
    """At p_g = p_data the best logits are flat. The auxiliary cost still drives overlapping classes apart."""
    net = scores(way, 1, 2, depth=0).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        if "auxiliary" in way:  # the best classifier of N(-1, 1) and N(1, 1): log odds 2 x
            net.logit.weight[-2:] = torch.tensor([[-1.0], [1.0]], dtype=torch.double)
    normal = torch.special.ndtri((torch.arange(4000).double() + 0.5) / 4000)
    c = torch.eye(2).double().repeat_interleave(4000, 0)
    hand = {"x": torch.zeros(8000, 1).double(), "z": normal.repeat(2)[:, None], "c": c}
    generator = Apart()
    game = task(2, way, auxiliary_weight=1.0)
    cost = game.generator_cost({"generator": generator, "discriminator": net}, hand).total()
    (slope,) = torch.autograd.grad(cost, generator.s)
    # d/ds E log(1 + exp(-2 (1 + s + n))) at s = 0
    expected = -2 * torch.sigmoid(-2 * (1 + normal)).mean() if "auxiliary" in way else torch.zeros(())
    torch.testing.assert_close(slope[0], expected.double(), atol=1e-9, rtol=1e-9)


# Penalties and passes


@pytest.mark.parametrize("way", ["concatenation", "projection"])
@pytest.mark.parametrize("penalty", [r1, r2, gradient_penalty, finite_difference_r1])
def test_a_penalty_sees_x_alone_change(way: str, penalty: Any) -> None:
    """An affine discriminator has one slope in x for each c; its slope in c is no part of it."""
    net = scores(way, 3, 2, depth=0)
    with torch.no_grad():
        net.logit.weight.copy_(torch.randn_like(net.logit.weight))
    game = task(2, way, penalty=penalty, weight=2.0)
    real = {"x": torch.randn(400, 3), "y": torch.arange(400) % 3 - 1}
    hand = {**game.deal(real, torch.Generator().manual_seed(0)), "z": torch.randn(400, 3)}
    c = one_hot(real["y"], 2)
    slopes = (
        net.logit.weight[:, :3].expand(400, 3)
        if way == "concatenation"
        else net.logit.weight[0] + c @ net.logit.weight[1:]
    )
    squared = slopes.square().sum(1)
    if penalty is finite_difference_r1:
        squared = (hand["normal"] * slopes).sum(1).square()
    expected = (squared.sqrt() - 1).square() if penalty is gradient_penalty else 0.5 * squared
    costs = game.penalised_cost({"generator": First(3), "discriminator": net}, hand)
    torch.testing.assert_close(costs["penalty"], 2 * expected.mean(), atol=1e-4, rtol=2e-3)
    assert not hand["c"].requires_grad


@every_way
@pytest.mark.parametrize("loss", [relativistic_paired, hinge])
def test_one_pass_over_real_and_fake_is_two(way: str, loss: Any) -> None:
    def pull(fused: bool) -> tuple[dict[str, Tensor], list[Tensor]]:
        net = scores(way, 3, 2, width=8).double()
        game = task(2, way, loss, penalty=r1_r2, weight=0.5, fused=fused)
        rng = torch.Generator().manual_seed(0)
        real = {"x": torch.randn(9, 3, generator=rng).double(), "y": torch.arange(9) % 3 - 1}
        hand = {**game.deal(real, rng), "z": torch.randn(9, 3, generator=rng).double()}
        costs = game.penalised_cost({"generator": First(3), "discriminator": net}, hand)
        return costs, list(torch.autograd.grad(costs.total(), list(net.parameters())))

    (one, slopes), (two, others) = pull(True), pull(False)
    assert set(one) == {"adversarial", "penalty"} | ({"auxiliary"} if "auxiliary" in way else set())
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(slopes, others, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("way", ["concatenation", "projection"])
def test_simultaneous_moves_give_each_player_its_own_gradient(way: str) -> None:
    torch.manual_seed(1)
    players = {"generator": mlp.Generator(4, (3,), width=8, condition=2), "discriminator": scores(way, 3, 2, width=8)}
    game = task(2, way, simultaneous=True)
    hand = game.deal({"x": torch.randn(9, 3), "y": torch.arange(9) % 3 - 1}, torch.Generator().manual_seed(0))
    for name, cost in (("generator", game.generator_cost), ("discriminator", game.plain_cost)):
        parameters = list(players[name].parameters())
        own = torch.autograd.grad(cost(players, hand).total(), parameters)
        joint = torch.autograd.grad(game.simultaneous_cost(players, hand).total(), parameters)
        torch.testing.assert_close(joint, own, atol=1e-6, rtol=1e-4)


# The auxiliary cost


def test_auxiliary_costs() -> None:
    """Each is least where the answer is c, or the mean of c."""
    c = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    for kind, answer in (("classes", c.mean(0).log()), ("attributes", c.mean(0).logit()), ("values", c.mean(0))):
        said = answer.expand(4, 2).clone().requires_grad_()
        cost = COSTS[kind](said, c)
        (slope,) = torch.autograd.grad(cost, said)
        torch.testing.assert_close(slope.sum(0), torch.zeros(2), atol=1e-6, rtol=0)
        assert cost < COSTS[kind](said + 0.3 * torch.tensor([1.0, -1.0]), c)


def test_unknown_labels_do_not_enter_the_auxiliary_cost() -> None:
    net = scores("auxiliary", 3, 2, width=8)
    game, y = task(2, "auxiliary"), torch.tensor([0, 1, -1, 1, -1])
    x, z = torch.randn(2, 5, 3)
    players, known = {"generator": First(3), "discriminator": net}, y >= 0
    for cost in (game.plain_cost, game.generator_cost):
        whole = cost(players, {"x": x, "z": z, "c": one_hot(y, 2)})
        part = cost(players, {"x": x[known], "z": z[known], "c": one_hot(y[known], 2)})
        torch.testing.assert_close(whole["auxiliary"], part["auxiliary"])
        assert not torch.allclose(whole["adversarial"], part["adversarial"])
        assert cost(players, {"x": x, "z": z, "c": torch.zeros(5, 2)})["auxiliary"] == 0


# Contrasts and the hinge of all classes


def test_contrasts_are_the_papers_sums() -> None:
    """ContraGAN, eq. 8, and ReACGAN, eq. 6, item by item; items of no class are nowhere."""
    rng = np.random.default_rng(0)
    y, t = [0, 1, 1, -1, 2, 1], 0.7
    unit, proxies = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rng.normal(size=(2, 6, 4)))
    cosines = unit @ proxies[:3].T
    contrasts, cross_entropies = np.zeros(6), np.zeros(6)
    for i in (i for i in range(6) if y[i] >= 0):
        others = [k for k in range(6) if k != i and y[k] >= 0]
        own = np.exp(cosines[i, y[i]] / t)
        near, all_of_them = (
            own + sum(np.exp(unit[i] @ unit[k] / t) for k in chosen)
            for chosen in ([k for k in others if y[k] == y[i]], others)
        )
        contrasts[i] = -np.log(near / all_of_them)
        drawn = np.exp(min(cosines[i, y[i]] - 0.9, 0) / t)
        pushed = sum(np.exp(max(unit[i] @ unit[k] - 0.1, 0) / t) for k in others if y[k] != y[i])
        cross_entropies[i] = -np.log(drawn / (drawn + pushed))
    said, c = torch.tensor(np.concatenate([cosines, unit], 1)), one_hot(torch.tensor(y), 3).double()
    torch.testing.assert_close(conditional.contrastive(said, c, temperature=t), torch.tensor(contrasts))
    cost = conditional.data_to_data(said, c, temperature=t, most=0.9, least=0.1)
    torch.testing.assert_close(cost, torch.tensor(cross_entropies))


def test_the_hinge_of_all_classes_is_the_papers_and_that_of_one_class_is_the_hinge() -> None:
    rng = np.random.default_rng(0)
    real, fake, y = rng.normal(size=(5, 4)), rng.normal(size=(5, 4)), [0, 2, 1, 1, 0]
    c = one_hot(torch.tensor(y), 3).double()

    def short(scores: Any, k: int) -> float:
        return max(0.0, 1 - scores[k] + max(np.delete(scores, k)))

    discriminator = [short(a, k + 1) + short(b, 0) for a, b, k in zip(real, fake, y, strict=True)]
    costs = conditional.multi_hinge(torch.tensor(real), torch.tensor(fake), c)
    torch.testing.assert_close(costs[0], torch.tensor(discriminator))
    torch.testing.assert_close(costs[1], torch.tensor([short(b, k + 1) for b, k in zip(fake, y, strict=True)]))
    one = torch.ones(5, 1, dtype=torch.float64)
    cost, _ = conditional.multi_hinge(torch.tensor(real)[:, :2], torch.tensor(fake)[:, :2], one)
    difference = [torch.tensor(x[:, 1] - x[:, 0]) for x in (real, fake)]
    torch.testing.assert_close(cost, hinge(*difference)[0])


@pytest.mark.parametrize("way", ["contrastive", "data_to_data", "multi_hinge"])
def test_reals_are_the_discriminators_and_fakes_the_generators(way: str) -> None:
    """The wiring: which outputs each player pays for, in one pass over both sides or in two."""
    torch.manual_seed(0)
    net, y = scores(way, 3, 2, width=8), torch.tensor([0, 1, 1, 0, 1])
    x, z = torch.randn(2, 5, 3)
    players, c = {"generator": First(3), "discriminator": net}, one_hot(y, 2)
    hand = {"x": x, "z": z, "c": c}
    for fused in (False, True):
        game = task(2, way, hinge, fused=fused)
        mine, theirs = game.plain_cost(players, hand), game.generator_cost(players, hand)
        on_real, on_fake = net(x), net(z)
        if way == "multi_hinge":
            costs = [cost.mean() for cost in conditional.multi_hinge(on_real, on_fake, c)]
            torch.testing.assert_close([mine["adversarial"], theirs["adversarial"]], costs)
        else:
            sides = [WAYS[way](net, items, c)[1] for items in (x, z)]
            costs = [getattr(conditional, way)(side, c).mean() for side in sides]
            torch.testing.assert_close([mine["auxiliary"], theirs["auxiliary"]], costs)


# Balance


def test_balanced_classes_take_equal_shares_and_stay_what_they_are() -> None:
    """p(c) becomes uniform, p(x | c) stays, the unknown keep their share; real and fake have one c by construction."""
    rng = torch.Generator().manual_seed(0)
    y = torch.tensor([0] * 40 + [1] * 15 + [2] * 1 + [-1] * 8)[torch.randperm(64, generator=rng)]
    c, drawn = one_hot(y, 4), torch.zeros(64)
    for _ in range(2000):
        index = balanced(c, rng)
        assert index.shape == (64,)
        assert ((c[index].sum(0) - torch.tensor([56 / 3, 56 / 3, 56 / 3, 0.0])).abs() < 1).all()
        drawn += index.bincount(minlength=64) / 2000
    for label, share in ((0, 56 / 3 / 40), (1, 56 / 3 / 15), (2, 56 / 3), (-1, 1.0)):
        torch.testing.assert_close(drawn[y == label], torch.full((int((y == label).sum()),), share), atol=0.05, rtol=0)


def test_a_balanced_game_has_one_c_for_real_and_fake() -> None:
    """Rows stay together: x still belongs to its c. By c alone a discriminator cannot gain: at even odds it is flat."""
    y = torch.tensor([0] * 60 + [1] * 4)
    real = {"x": torch.stack([y.float(), torch.arange(64.0)], 1), "y": y}
    game = task(2, "concatenation", balance="classes")
    hand = game.deal(real, torch.Generator().manual_seed(0))
    assert torch.equal(hand["x"][:, 0].long(), hand["y"])
    assert torch.equal(hand["c"], one_hot(hand["y"], 2))
    assert abs(int(hand["y"].sum()) - 32) <= 1
    net = scores("concatenation", 2, 2, depth=0)
    with torch.no_grad():
        net.logit.weight.zero_()
        net.logit.bias.zero_()
    costs = game.plain_cost({"generator": First(2), "discriminator": net}, hand)
    (slope,) = torch.autograd.grad(costs.total(), net.logit.weight)
    torch.testing.assert_close(slope[:, 2:], torch.zeros(1, 2), atol=1e-6, rtol=0)
    assert slope[:, :2].abs().max() > 0.1


# Short games


class Feed:
    """Real data as a function of the position."""

    size = 128

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def at(self, position: int) -> dict[str, Tensor]:
        batch: dict[str, Tensor] = self.draw(self.size, torch.Generator().manual_seed(position))
        return batch


def played(game: Condition, columns: int, draw: Any, rounds: int) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    shapes = discriminator_options(game.way, (columns,), game.length)
    players: dict[str, nn.Module] = {
        "generator": mlp.Generator(game.prior.size, (columns,), width=64, condition=game.length),
        "discriminator": mlp.Discriminator(**shapes, width=64, gain=3.0),
    }
    adam = {
        name: eager(torch.optim.Adam)(p.parameters(), 3e-3, betas=(0.0, 0.99), fused=True)
        for name, p in players.items()
    }
    train(Game(game, players), Feed(draw), Gradient(adam, cosine(0.2, 0.05)), Local(), images=rounds * Feed.size)
    return players


@every_way
def test_samples_of_a_ring_land_on_the_mode_that_was_asked(way: str) -> None:
    angle, sigma = torch.arange(8) * math.pi / 4, 0.05
    centres = 0.8 * torch.stack([angle.cos(), angle.sin()], 1)

    def draw(n: int, rng: torch.Generator) -> dict[str, Tensor]:
        y = torch.randint(8, (n,), generator=rng)
        return {"x": centres[y] + sigma * torch.randn(n, 2, generator=rng), "y": y}

    game = task(8, way, relativistic_paired, penalty=r1_r2, weight=0.03, every=2, fused=True)
    players, y = played(game, 2, draw, 250), torch.arange(8).repeat(250)
    x = game.answer(players, {"z": game.prior(2000, torch.Generator().manual_seed(0)), "y": y})["x"]
    near = torch.linalg.vector_norm(x - centres[y], dim=1) < 4 * sigma
    assert near.float().mean() >= 0.9
    for k in range(8):
        assert 0.25 < x[y == k].std(0).mean() / sigma < 2


def test_values_that_were_never_seen_are_filled_in() -> None:
    """x = (c, c^2) + noise for c in [-1, 1] without [-0.2, 0.2]; asked within the gap."""
    sigma = 0.1

    def draw(n: int, rng: torch.Generator) -> dict[str, Tensor]:
        u = 2 * torch.rand(n, 1, generator=rng) - 1
        c = u.sign() * (0.2 + 0.8 * u.abs())
        return {"x": torch.cat([c, c.square()], 1) + sigma * torch.randn(n, 2, generator=rng), "c": c}

    game = task(1, "concatenation", relativistic_paired, kind="values", penalty=r1_r2, weight=0.03, every=2, fused=True)
    players = played(game, 2, draw, 600)
    for c in (-0.15, 0.0, 0.15):
        z = game.prior(2000, torch.Generator().manual_seed(0))
        x = game.answer(players, {"z": z, "c": torch.full((2000, 1), c)})["x"]
        assert torch.linalg.vector_norm(x.mean(0) - torch.tensor([c, c * c])) < 0.1
        assert ((x.std(0) / sigma > 0.4) & (x.std(0) / sigma < 1.6)).all()
