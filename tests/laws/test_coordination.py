"""Games and optimizers with known spectra; dials, gates and chances with known effects."""

import math
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evenodds.data.dataset import Dataset
from evenodds.data.readers.arrays import from_array
from evenodds.experimental.balance import MarginControl, Steps, Weighed, held_out_margin
from evenodds.experimental.densest import Densest, densest
from evenodds.experimental.extragradient import Extragradient
from evenodds.experimental.growing import Growing
from evenodds.experimental.learned import LearnedMixture
from evenodds.experimental.logan import Logan
from evenodds.experimental.lookahead import Lookahead
from evenodds.experimental.optimistic import OptimisticAdam
from evenodds.experimental.short_games import GRID, SPENT, chosen_penalty
from evenodds.experimental.top import TopWeights
from evenodds.game.dial import Chanced, Dial
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.listeners.adapt import Adapt
from evenodds.game.listeners.scheduled import Scheduled
from evenodds.game.rules import Batch, Costs, Game, Move, Players, Progress
from evenodds.game.trainer import Training
from evenodds.parts import views
from evenodds.parts.losses.adversarial import minimax, non_saturating, relativistic_paired
from evenodds.parts.losses.penalties import r1
from evenodds.parts.priors import Normal
from evenodds.pretrained import efficientnet_lite
from evenodds.runs.changes import with_settings
from evenodds.runs.choosing import mirrored
from evenodds.runs.config import Config
from evenodds.runs.config_files import recipe
from evenodds.runs.extras import build_extras
from evenodds.runs.listeners.leak import LeakTest
from evenodds.runs.values import Part
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate
from tests.games import small_players, small_task

RATE = 0.1


class Place(nn.Module):
    """One number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.tensor(value, dtype=torch.float64))


def bilinear(
    learner: type[Gradient], start: tuple[float, float], rounds: int, optimizer: Any, **options: Any
) -> Tensor:
    """(rounds + 1, 2): the places of min over x, max over y of x y; both move at once."""
    players = {"generator": Place(start[0]), "discriminator": Place(start[1])}

    def cost(players: Players, hand: Batch) -> Costs:
        x, y = players["generator"].at, players["discriminator"].at
        return Costs({"x": x * y.detach(), "y": -x.detach() * y})

    move = Move("both", ("generator", "discriminator"), cost)
    one = learner({name: optimizer(player.parameters()) for name, player in players.items()}, **options)
    path = [torch.tensor(start, dtype=torch.float64)]
    for number in range(rounds):
        one.improve(move, players, {}, Local(), Progress(10**6, number, number))
        path.append(torch.stack([players[name].at.detach().clone() for name in players]))
    return torch.stack(path)


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, RATE)


def test_simultaneous_descent_spirals_outwards_and_extragradient_inwards() -> None:
    """Each round multiplies the distance by sqrt(1 + r^2), or by sqrt(1 - r^2 + r^4)."""
    for learner, factor in (
        (Gradient, math.sqrt(1 + RATE**2)),
        (Extragradient, math.sqrt(1 - RATE**2 + RATE**4)),
    ):
        length = bilinear(learner, (1.0, 0.5), 20, sgd).norm(dim=1)
        torch.testing.assert_close(length[1:] / length[:-1], torch.full((20,), factor, dtype=torch.float64))


def test_extragradient_of_alternating_moves_is_that_of_simultaneous_ones() -> None:
    """All players look ahead from the same place, whichever move comes first."""
    players = {"generator": Place(1.0), "discriminator": Place(0.5)}
    moves = (
        Move("d", ("discriminator",), lambda p, h: Costs({"y": -p["generator"].at * p["discriminator"].at})),
        Move("g", ("generator",), lambda p, h: Costs({"x": p["generator"].at * p["discriminator"].at})),
    )
    learner = Extragradient({name: sgd(player.parameters()) for name, player in players.items()})
    for number in range(5):
        for move in moves:
            learner.improve(move, players, {}, Local(), Progress(10, number, number))
    here = torch.stack([player.at.detach() for player in players.values()])
    torch.testing.assert_close(here, bilinear(Extragradient, (1.0, 0.5), 5, sgd)[-1])


def test_lookahead_has_the_eigenvalue_of_its_theory() -> None:
    """1 - a + a v^k with v = 1 + i r, the round's; and what spirals out without it comes in."""
    k, a = 10, 0.5
    path = bilinear(Lookahead, (1.0, 0.5), 3 * k + 1, sgd, every=k, pull=a)
    z = torch.complex(path[:, 0], path[:, 1])
    # After k m rounds and the return, which comes with the next round's first move.
    factor = 1 - a + a * (1 + 1j * RATE) ** k
    once = 1 + 1j * RATE
    for m in (1, 2, 3):
        torch.testing.assert_close(z[m * k + 1], torch.tensor((1 + 0.5j) * factor**m * once, dtype=torch.complex128))
    assert abs(factor) < 1 < abs(once**k)


def test_lookahead_keeps_fixed_points() -> None:
    assert float(bilinear(Lookahead, (0.0, 0.0), 12, sgd, every=3).abs().max()) == 0


def test_optimistic_steps_have_the_roots_of_their_recursion() -> None:
    """w' = w - 2 r g + r g_before; with eps that rules, Adam's direction is the slope: m^2 = m (1 - 2 i r) + i r."""
    eps = 1e9

    def optimizer(parameters: Any) -> torch.optim.Optimizer:
        return OptimisticAdam(parameters, lr=RATE * eps, betas=(0.0, 0.0), eps=eps)

    path = bilinear(Gradient, (1.0, 0.5), 30, optimizer)
    z, slope = torch.complex(path[:, 0], path[:, 1]), -1j  # x' = -y, y' = x: the slope of z is -i z
    torch.testing.assert_close(
        z[2:], z[1:-1] - 2 * RATE * slope * z[1:-1] + RATE * slope * z[:-2], rtol=1e-6, atol=1e-9
    )
    assert z[-1].abs() < z[1].abs()


@pytest.mark.parametrize(("ratio", "due"), [(1.0, (12, 12)), (4.0, (12, 3)), (0.25, (3, 12))])
def test_gated_moves_come_in_the_ratio_and_keep_their_lazy_share(ratio: float, due: tuple[int, int]) -> None:
    task = small_task(penalty=r1, every=3)
    moves = Steps(ratio).gate(task.moves())
    played = Counter(
        (move.movers[0], move.cost.__name__) for r in range(12) for move in moves if move.when(Progress(100, r, r))
    )
    of_d = played["discriminator", "penalised_cost"] + played["discriminator", "plain_cost"]
    assert (of_d, played["generator", "generator_cost"]) == due
    assert played["discriminator", "penalised_cost"] == of_d // 3


def test_the_margin_is_that_of_normal_scores() -> None:
    """D(x) = x, real N(1, 1), samples N(0, 1): P(real above sample) = Phi(1 / sqrt(2))."""
    players = {"generator": nn.Identity(), "discriminator": nn.Flatten(0)}
    real = {"x": 1 + torch.randn(2000, 1, generator=torch.Generator().manual_seed(0))}
    task = Generate(Normal(1), Contest(non_saturating))
    found = held_out_margin(task, players, real, (1,), torch.device("cpu"), 0)
    assert found == pytest.approx(math.erf(0.5), abs=0.04)


def training(**terms: Tensor) -> Training:
    players = small_players()
    return Training(Game(small_task(), players), {}, Local(), Progress(10_000), 0, dict(terms))


def test_balance_integrates_the_error_of_the_margin() -> None:
    class Kept:
        strength = 1.0

        def pull(self, strength: float) -> None:
            self.strength = strength

    lever, at = Kept(), training()
    balance = MarginControl(lever, lambda: 0.9, 100, target=0.5, gain=0.5, limit=4)
    for number in range(1, 41):
        at.progress.images = 50 * number
        balance.after_round(at)
        looks = number // 2
        assert lever.strength == pytest.approx(max(0.25, math.exp(-0.2 * looks)))


def test_the_chance_climbs_at_its_rate_falls_again_and_stops_at_the_cap() -> None:
    dial = Dial(0.0)
    adapt, at = Adapt(dial, images=1000, target=0.6, cap=0.7), training()
    at.fresh.add("discriminator/signs")
    adapt.begin(at)
    chances = []
    for number in range(1, 181):
        at.progress.images, at.progress.round = 10 * number, number
        at.terms["discriminator/signs"] = torch.tensor(0.9 if number <= 100 else 0.1)
        adapt.after_round(at)
        chances.append(float(dial.value))
    assert chances[39] == pytest.approx(0.4, abs=1e-5)  # 400 of 1,000 images
    assert max(chances) == pytest.approx(0.7)
    assert chances[139] == pytest.approx(0.3, abs=1e-5)
    assert min(chances) >= 0


@pytest.mark.parametrize("seldom", [1, 2, 3, 8])
def test_signs_of_a_discriminator_that_moves_seldom_are_counted_once(seldom: int) -> None:
    """Whatever the rounds in which it moves, each mean is of signs since the one before."""
    adapt, at = Adapt(Dial(0.0), images=1000, target=0.6), training()
    adapt.begin(at)
    means = []
    for number in range(1, 49):
        at.progress.images, at.progress.round = 10 * number, number
        at.fresh.clear()
        if number % seldom == 0:
            at.terms["discriminator/signs"] = torch.tensor(1.0 if number <= 24 else 0.0)
            at.fresh.add("discriminator/signs")
        adapt.after_round(at)
        if "views/overfitting" in at.terms:
            means.append(float(at.terms["views/overfitting"]))
    assert set(means) == {0.0, 1.0}
    assert means[-1] == 0.0


def test_each_view_changes_its_share_of_the_items(rng: torch.Generator) -> None:
    seen = Chanced([views.flip, views.flip_vertical], 0.3)
    x = torch.arange(4.0).view(1, 1, 2, 2).expand(20_000, 1, 2, 2)
    dealt = torch.rand(20_000, seen.dice, generator=rng)
    changed = (seen(x, dealt) != x).flatten(1).any(1).float().mean()
    assert float(changed) == pytest.approx(1 - 0.85**2, abs=0.01)  # a flip mirrors half of those that it is given
    seen.dial.turn(0)
    assert torch.equal(seen(x, dealt), x)
    seen.dial.turn(1)
    whole = views.compose([views.flip, views.flip_vertical])
    assert torch.equal(seen(x, dealt), whole(x, dealt.view(-1, 2, 5)[:, :, :4].reshape(-1, 8)))


def test_signs_of_a_relative_loss_do_not_depend_on_a_shift() -> None:
    contest = Contest(relativistic_paired, view=lambda x, uniform: x)
    real, fake = torch.tensor([3.0, 1.0, 2.0]), torch.tensor([0.0, 2.5, -1.0])
    found = [contest._beliefs(real + shift, fake + shift)["signs"] for shift in (0.0, -7.0)]
    assert found[0] == found[1] == pytest.approx(1 / 3)  # the middle is 1.25: two of three lie above
    plain = Contest(non_saturating, view=lambda x, uniform: x)
    assert float(plain._beliefs(real - 2.5, fake)["signs"]) == pytest.approx(-1 / 3)


def test_a_weighed_penalty_is_the_penalty_times_its_dial(rng: torch.Generator) -> None:
    def score(x: Tensor) -> Tensor:
        return x.square().sum(1)

    real, fake = torch.randn(2, 5, 3, generator=rng)
    penalty = Weighed(r1)
    torch.testing.assert_close(penalty(score, real, fake), r1(score, real, fake))
    penalty.dial.turn(0.25)
    torch.testing.assert_close(penalty(score, real, fake), 0.25 * r1(score, real, fake))


# Distributions of z ------------------------------------------------------------------------------------------------


def generator_slope(top: Dial | None, simultaneous: bool = False) -> tuple[Tensor, Tensor]:
    players = small_players()
    task = Generate(Normal(3), Contest(minimax, fake_weights=None if top is None else TopWeights(top)))
    hand = task.deal({"x": torch.ones(8, 2)}, torch.Generator().manual_seed(0))
    cost = task.simultaneous_cost if simultaneous else task.generator_cost
    total = cost(players, hand).total()
    slopes = torch.autograd.grad(total, list(players["generator"].parameters()))
    return total.detach(), torch.cat([slope.flatten() for slope in slopes])


@pytest.mark.parametrize("simultaneous", [False, True])
def test_top_k_of_all_is_the_plain_cost_bit_for_bit(simultaneous: bool) -> None:
    for plain, top in zip(generator_slope(None, simultaneous), generator_slope(Dial(1.0), simultaneous), strict=True):
        assert torch.equal(plain, top)


def test_top_k_is_the_mean_over_the_most_real() -> None:
    contest = Contest(non_saturating, fake_weights=TopWeights(Dial(0.5)))
    logits = torch.tensor([0.3, -1.0, 2.0, 0.5])
    cost = contest.generator_costs(nn.Identity(), logits, logits, {}).total()
    torch.testing.assert_close(cost, nn.functional.softplus(-torch.tensor([2.0, 0.5])).mean())
    slopes = [generator_slope(Dial(0.5), simultaneous)[1] for simultaneous in (False, True)]
    torch.testing.assert_close(*slopes)  # with the minimax loss both moves have one slope


def test_a_turned_dial_follows_the_progress() -> None:
    prior, at = Growing(2, limit=1.0, until=0.5), training()
    turn = Scheduled(prior.dial, lambda progress: prior.inside(progress.share), "inside")
    turn.begin(at)
    z = prior(20_000, torch.Generator().manual_seed(0))
    assert z.abs().max() <= 1
    phi = math.exp(-0.5) / math.sqrt(2 * math.pi)
    assert float(z.var()) == pytest.approx(1 - 2 * phi / math.erf(1 / math.sqrt(2)), rel=0.03)
    at.progress.images = 5000
    turn.after_round(at)
    z = prior(20_000, torch.Generator().manual_seed(0))
    assert float(z.var()) == pytest.approx(1, rel=0.03)
    assert z.isfinite().all()


def test_a_learned_mixture_is_what_it_says(rng: torch.Generator) -> None:
    """Every part gets its share, with its own mean and width; the place within a part is standard normal."""
    torch.manual_seed(0)
    mixture = LearnedMixture(nn.Identity(), 3, components=4, spread=0.5)
    with torch.no_grad():
        mixture.means.copy_(10 * torch.arange(4.0)[:, None] + torch.arange(3.0))
    z = torch.randn(40_000, 3, generator=rng)
    x = mixture(torch.cat([z, torch.ones(40_000, 1)], 1)).detach()
    assert torch.equal(x[:, 3], torch.ones(40_000))  # a condition passes
    part = (x[:, 1] / 10).round().long().clamp(0, 3)
    torch.testing.assert_close(torch.bincount(part).float() / 40_000, torch.full((4,), 0.25), atol=0.01, rtol=0)
    within = (x[:, :3] - mixture.means.detach()[part]) / 0.5
    torch.testing.assert_close(within.T.cov(), torch.eye(3), atol=0.04, rtol=0)
    assert within.mean(0).abs().max() < 0.03
    assert within[:, 0].abs().max() > 3.5  # tails are there, in the coordinate that carries the part too


def test_latent_optimisation_is_the_damped_natural_step() -> None:
    """G(z) = z, D(x) = a x: the slope is a everywhere, the step rate * a / (damping + |a|^2)."""
    a = torch.tensor([2.0, -1.0, 0.5, 3.0])
    players = {"generator": nn.Identity(), "discriminator": nn.Sequential(nn.Linear(4, 1, bias=False), nn.Flatten(0))}
    with torch.no_grad():
        players["discriminator"][0].weight.copy_(a)  # type: ignore[index]
    task = Logan(Normal(4), Contest(non_saturating), rate=0.9, damping=5.0, share=0.5)
    z, moving = torch.zeros(2, 4), torch.tensor([2.0, -1.0, 0, 0])
    torch.testing.assert_close(task.moved(players, z)[0], 0.9 * moving / (5 + 5))
    steps = replace(task, share=1.0).moved(players, 100 * z)
    assert steps.norm(dim=1).max() <= 0.9 / (2 * math.sqrt(5))
    still = replace(task, rate=0.0)
    hand = still.deal({"x": torch.ones(8, 4)}, torch.Generator().manual_seed(0))
    plain = Generate(Normal(4), still.contest)
    assert torch.equal(still.generator_cost(players, hand).total(), plain.generator_cost(players, hand).total())


# What the data decide ----------------------------------------------------------------------------------------------


def pictures(n: int, seed: int, mirror: bool) -> Dataset:
    """Random blobs; the left side is brighter, and every other image is mirrored where `mirror`."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 1, 12, 12, generator=rng) * 100 + torch.linspace(80, 0, 12)
    turned = torch.rand(n, generator=rng) < 0.5 * mirror
    x = torch.where(turned[:, None, None, None], x.flip(3), x)
    return from_array(x.to(torch.uint8).numpy(), layout="nchw")


def test_symmetry_is_tested_exactly() -> None:
    """Symmetric data give p-values that are uniform; one-sided ones are told apart; few images never pass."""
    index = torch.arange(100)
    assert mirrored(pictures(100, 0, mirror=False), index, 3) < 0.01
    found = [mirrored(pictures(60, seed, mirror=True), torch.arange(60), 3, draws=99) for seed in range(40)]
    assert sum(p < 0.05 for p in found) <= 7  # binomial of 40 with 0.05: more has a chance of 0.003
    assert 0.3 < sum(found) / 40 < 0.7
    assert mirrored(pictures(20, 0, mirror=True), torch.arange(20), 3) == 0


def test_the_densest_share_of_a_gaussian_is_its_middle(rng: torch.Generator) -> None:
    x = torch.randn(3000, 2, generator=rng) * torch.tensor([1.0, 5.0])
    kept, _ = densest(from_array(x.numpy()), torch.arange(3000), 0.5)
    inside = (x / torch.tensor([1.0, 5.0])).square().sum(1) < 2 * math.log(2)  # half of the mass, a chi-square of 2
    mask = torch.zeros(3000, dtype=torch.bool)
    mask[kept] = True
    assert len(kept) == 1500
    assert float((mask == inside).float().mean()) > 0.95


@pytest.mark.parametrize(
    ("here", "side", "name", "said"),
    [(True, 64, "pretrained", ""), (False, 64, "random", r"evenodds\[pretrained\]"), (True, 32, "random", "")],
)
def test_a_run_names_the_features_that_its_items_were_chosen_by(
    here: bool, side: int, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(efficientnet_lite, "is_here", lambda: here)
    config, lines = with_settings(recipe("photos-64"), {"densest": 0.5}), []
    photographs = from_array(np.zeros((4, 3, side, side), np.uint8))
    settled, choices = Densest(0.5).settle(config, photographs, None, lines.append)
    assert settled.extras == (Part("densest", {"share": 0.5, "features": name}),)
    assert re.search(f"densest.features={name}.*{said}", lines[0])
    assert choices[0].value == name
    assert build_extras(settled)[0].settle(settled, photographs, None, lines.append) == (settled, [])


@pytest.mark.parametrize(("interval", "chosen"), [(0.1, 0.3), (5.0, 0.03)])
def test_halving_finds_the_best_weight_where_it_is_clearly_better_and_spends_its_share(
    interval: float, chosen: float
) -> None:
    shown: dict[float, int] = {}

    class Trial:
        def __init__(self, config: Config) -> None:
            assert config.penalty_weight is not None
            self.weight = config.penalty_weight

        def advance(self, images: int) -> dict[str, float]:
            shown[self.weight] = images
            score = abs(math.log(self.weight / 0.3)) if self.weight > 0.01 else float("nan")
            return {"score": score, "score_low": score - interval, "score_high": score + interval}

    config = Config(data=Part("digits"), penalty=Part("r1"), penalty_weight=None, images=130_000, batch=1)
    choice = chosen_penalty(config, 0.03, Trial)
    assert choice.value == chosen
    assert set(shown) == set(GRID)
    assert sum(shown.values()) == SPENT * 1250 == 130_000 // 8


def test_no_weight_is_chosen_by_games_of_a_few_rounds() -> None:
    def never(config: Config) -> Any:
        raise AssertionError("a game was played")

    config = Config(data=Part("digits"), penalty=Part("r1"), penalty_weight=None, images=300_000, batch=64)
    choice = chosen_penalty(config, 0.3, never)
    assert choice.value == 0.3
    assert "180 rounds" in choice.reason


def test_a_usual_weight_that_diverges_is_not_kept_and_stands_for_its_neighbour() -> None:
    class Trial:
        def __init__(self, config: Config) -> None:
            assert config.penalty_weight is not None
            self.weight = config.penalty_weight

        def advance(self, images: int) -> dict[str, float]:
            score = float("nan") if self.weight == 0.02 else self.weight
            return {"score": score, "score_low": score, "score_high": score}

    config = Config(data=Part("digits"), penalty=Part("r1"), penalty_weight=None, images=130_000, batch=1)
    choice = chosen_penalty(config, 0.02, Trial)
    assert choice.value == 0.01
    assert [row["weight"] for row in choice.figures["tried"]] == [0.01, 0.02, 0.1, 0.3, 1.0, 3.0]


def test_a_leak_is_seen(rng: torch.Generator) -> None:
    """Samples that are data do not leak; the same through a view do."""
    x = (torch.rand(600, 1, 8, 8, generator=rng) * 60 + 190).to(torch.uint8)  # bright, so that moved images have edges
    data = from_array(x.numpy(), layout="nchw")
    held = data.batch(torch.arange(300, 600))["x"]

    class Copies(nn.Module):
        def __init__(self, images: Tensor) -> None:
            super().__init__()
            self.images = images

        def forward(self, z: Tensor) -> Tensor:
            return self.images[: len(z)]

    view = Chanced([views.cutout], 0.5)
    changed = views.cutout(held, torch.rand(300, 4, generator=rng))
    task = Generate(Normal(2), Contest(non_saturating, view=view, view_dice=view.dice))
    leak = LeakTest(data, task, view, lambda: Copies(held.flip(0)), torch.arange(300), torch.arange(300, 600), 0,
                torch.device("cpu"), 200_000)  # fmt: skip
    assert abs(leak.measure()["views/leak"]) < 0.1
    leak.sampler = lambda: Copies(changed)
    assert leak.measure()["views/leak"] > 0.7
    assert replace(leak).detector is leak.detector  # another run of the same data
    short = replace(leak, images=1)
    others = [short, replace(short, seed=1), replace(short, view=Chanced([views.flip], 0.5))]
    assert len({id(one.detector) for one in (leak, *others)}) == 4
