"""What a code costs, whom it moves, and that it finds what sets the data apart."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.optimizers import eager
from evenodds.game.rules import Game, Progress
from evenodds.game.schedule import cosine
from evenodds.game.trainer import train
from evenodds.parts.losses.adversarial import non_saturating, relativistic_paired
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.networks.mlp import Discriminator, Generator
from evenodds.parts.priors import Coded
from evenodds.parts.views import strokes
from evenodds.tasks._coded import view_agreement
from evenodds.tasks._reader import Reader
from evenodds.tasks.codes import Codes
from evenodds.tasks.contest import Contest
from evenodds.tasks.infogan import InfoGAN, discriminator_options

PRIOR = Coded(2, 4, 1)


class Linear(nn.Module):
    """x (N, 3) -> (N, 6), and it remembers of how many it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.asked = nn.Linear(3, 6), 0

    def forward(self, x: Tensor) -> Tensor:
        self.asked += len(x)
        out: Tensor = self.layer(x)
        return out


def players() -> dict[str, Any]:
    torch.manual_seed(0)
    return {"generator": nn.Linear(7, 3), "discriminator": Linear()}


def dealt(task: InfoGAN) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return dict(task.deal({"x": torch.randn(8, 3, generator=rng)}, rng))


def test_the_code_costs_its_surprise_on_fakes_alone() -> None:
    for fused in (False, True):
        for loss in (non_saturating, relativistic_paired):
            task = InfoGAN(PRIOR, Contest(loss, fused=fused), classes_weight=0.7, values_weight=0.3)
            both = players()
            hand = dealt(task)
            out = both["discriminator"].layer(both["generator"](hand["z"]))
            category = hand["z"][:, 2:6].argmax(1)
            surprise = 0.7 * F.cross_entropy(out[:, 1:5], category)
            squared = 0.3 * 0.5 * (out[:, 5] - hand["z"][:, 6]).square().mean()
            for cost in (task.plain_cost, task.generator_cost):
                found = cost(both, hand)
                torch.testing.assert_close(found["classes"], surprise)
                torch.testing.assert_close(found["values"], squared)
            plain = task.plain_cost(both, {**hand, "x": 3 * hand["x"]})
            torch.testing.assert_close(plain["classes"], surprise)


def test_nothing_is_asked_twice() -> None:
    task, both = InfoGAN(PRIOR, Contest(non_saturating)), players()
    task.plain_cost(both, dealt(task))
    assert both["discriminator"].asked == 16
    task.generator_cost(both, dealt(task))
    assert both["discriminator"].asked == 24


def test_the_code_moves_generator_and_reader_and_the_penalty_sees_the_logit_alone() -> None:
    task, both = InfoGAN(PRIOR, Contest(non_saturating, r1_r2)), players()
    hand = dealt(task)
    task.generator_cost(both, hand)["classes"].backward()
    assert both["generator"].weight.grad.abs().sum() > 0
    both = players()
    task.penalised_cost(both, hand)["penalty"].backward()
    weight = both["discriminator"].layer.weight.grad
    assert weight[0].abs().sum() > 0
    assert weight[1:].abs().sum() == 0
    both = players()
    task.plain_cost(both, hand)["classes"].backward()
    weight = both["discriminator"].layer.weight.grad
    assert weight[1:5].abs().sum() > 0
    assert weight[[0, 5]].abs().sum() == 0


def test_consistency_asks_reals_twice_and_balances_them() -> None:
    contest = Contest(non_saturating, view=lambda x, uniform: 2 * x, view_dice=1)
    task, both = InfoGAN(PRIOR, contest, consistency=0.5, balance=3.0), players()
    hand = dealt(task)
    found = task.plain_cost(both, hand)["consistency"]
    calm = both["discriminator"].layer(hand["x"])[:, 1:5].softmax(1)
    viewed = both["discriminator"].layer(2 * hand["x"])[:, 1:5].log_softmax(1)
    mean = viewed.exp().mean(0)
    torch.testing.assert_close(found, 0.5 * (-(calm * viewed).sum(1).mean() + 3 * (mean * mean.log()).sum()))
    task = InfoGAN(PRIOR, contest, agreement=0.5, balance=3.0)
    joint = (calm[:, :, None] * viewed.exp()[:, None]).mean(0)
    joint = (joint + joint.T) / 2
    gained = 3 * -(joint.sum(1) * joint.sum(1).log()).sum() + (joint * joint.log()).sum()
    torch.testing.assert_close(task.plain_cost(both, hand)["agreement"], -0.5 * gained)
    found.backward()
    assert both["generator"].weight.grad is None
    assert "consistency" not in task.generator_cost(both, hand)
    value = task.value_task()  # has no view
    assert value is not None
    assert [set(move.cost(both, hand)) for move in value.moves()] == [{"adversarial", "classes", "values"}] * 2


def test_agreement_is_the_mutual_information_of_two_views() -> None:
    joint = torch.rand(3, 3, generator=torch.Generator().manual_seed(0))
    joint = (joint + joint.T) / (joint + joint.T).sum()
    independent = joint.sum(1)[:, None] * joint.sum(0)
    torch.testing.assert_close(view_agreement(joint), (joint * (joint / independent).log()).sum())
    torch.testing.assert_close(view_agreement(independent), torch.tensor(0.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(view_agreement(torch.eye(3) / 3), torch.tensor(3.0).log(), atol=1e-5, rtol=0)


def test_codes_settle_on_real_images_before_the_game_begins() -> None:
    contest = Contest(non_saturating, r1_r2, every=2, view=strokes)
    task = Codes(Coded(2, 3, 1), contest, heads=2, chosen=0.25, begins=0.5)
    played = {
        share: [
            (move.name, move.cost.__name__) for move in task.moves() if move.when(Progress(1000, int(1000 * share)))
        ]
        for share in (0, 0.3, 0.6)
    }
    assert played[0] == [("reader", "starting_cost")]
    assert played[0.3] == [("reader", "chosen_cost")]
    assert [name for name, _ in played[0.6]] == ["discriminator", "generator", "reader"]
    rates = [task.rates["reader"](Progress(1000, images)) for images in (0, 250, 375, 500, 1000)]
    torch.testing.assert_close(torch.tensor(rates), torch.tensor([1, 1, 0.525, 0.05, 0.05]))
    learner = Gradient({"reader": torch.optim.SGD([nn.Parameter(torch.ones(()))], lr=2.0)}, lambda progress: 0.5)
    learner.factors = dict(task.rates)
    learner._set_rate("reader", Progress(1000, 750))
    assert math.isclose(learner.optimizers["reader"].param_groups[0]["lr"], 2 * 0.5 * 0.05)


def test_the_reader_reads_by_the_best_head_of_the_best_start_with_the_statistics_of_real_images() -> None:
    torch.manual_seed(0)
    reader = Reader((1, 16, 16), classes=3, values=1, starts=2, heads=2, width=4)
    x = torch.randn(6, 1, 16, 16)
    before = reader.networks[1].state_dict()
    for _ in range(400):
        reader.note(1, torch.stack([torch.full((3, 3), 1 / 9), torch.eye(3) / 3]))
    torch.testing.assert_close(reader.information[1], torch.tensor([0.0, math.log(3)]), atol=0.01, rtol=0)
    assert reader.settle()[:2] == ("start", 2)
    assert reader.settled
    kept = {key: value.clone() for key, value in reader.networks[0].state_dict().items()}
    assert all(torch.equal(value, before[key]) for key, value in kept.items())
    assert any("running_mean" in key for key in kept)
    read = reader.train()(x)
    assert all(torch.equal(value, kept[key]) for key, value in reader.networks[0].state_dict().items())
    torch.testing.assert_close(read[:, :3], reader.eval().readings(x, 0)[:, 1])


def test_codes_have_equal_shares_and_uniform_values() -> None:
    z = Coded(3, 4, 2)(4002, torch.Generator().manual_seed(0))
    counts = z[:, 3:7].sum(0)
    assert counts.max() - counts.min() <= 1
    assert z[:, 3:7].sum(1).eq(1).all()
    assert z[:, 7:].abs().max() <= 1
    torch.testing.assert_close(z[:, 7:].var(0), torch.full((2,), 1 / 3), atol=0.02, rtol=0)
    assert (z[:10, 3:7].argmax(1) != torch.arange(10) % 4).any()  # in no order


class Clusters:
    """Four clouds at the corners of a square."""

    size = 64

    def at(self, position: int) -> dict[str, Tensor]:
        rng = torch.Generator().manual_seed(position)
        y = torch.randint(4, (self.size,), generator=rng)
        corners = 0.7 * torch.tensor([[1.0, 1.0], [1, -1], [-1, 1], [-1, -1]])
        return {"x": corners[y] + 0.08 * torch.randn(self.size, 2, generator=rng), "y": y}


def test_the_category_finds_the_clusters() -> None:
    prior = Coded(4, 4, 0)
    torch.manual_seed(0)
    task = InfoGAN(prior, Contest(non_saturating, r1_r2, weight=0.1, every=4, fused=True))
    both = {
        "generator": Generator(prior.size, (2,), width=32),
        "discriminator": Discriminator((2,), width=32, **discriminator_options(prior)),
    }
    adam = {
        name: eager(torch.optim.Adam)(player.parameters(), 3e-3, betas=(0.0, 0.99), fused=True)
        for name, player in both.items()
    }
    train(Game(task, both), Clusters(), Gradient(adam, cosine()), Local(), images=64 * 400)
    batch = Clusters().at(10**6)
    told = task.answer(both, batch)["y"]
    table = torch.zeros(4, 4).index_put_((told, batch["y"]), torch.ones(()), accumulate=True)
    assert table.max(1).values.sum() / 64 > 0.9
    assert len(table.argmax(1).unique()) == 4
    assert math.isclose(float(task.answer(both, batch)["probabilities"].sum()), 64, rel_tol=1e-4)
