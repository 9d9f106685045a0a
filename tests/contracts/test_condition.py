"""Every family conditions in every way, on images and, where it can, on vectors: plays, is restored, answers."""

from __future__ import annotations

import copy
import inspect
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.checkpoint import PlayersState
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.rules import Game, Progress
from evenodds.game.trainer import train
from evenodds.parts.losses.adversarial import hinge, non_saturating, relativistic_paired
from evenodds.parts.losses.penalties import gradient_penalty, r1_r2
from evenodds.parts.priors import Normal
from evenodds.parts.views import jitter
from evenodds.tasks._conditional import CONTRASTS, COSTS, WAYS
from evenodds.tasks.condition import Condition, discriminator_options
from evenodds.tasks.contest import Contest
from tests.families import FAMILIES
from tests.games import assert_resumes_exactly

LENGTH, LATENT = 3, 4
PLACES = [(name, shape) for name in FAMILIES for shape in [(2, 9, 8), *([(5,)] if name == "mlp" else [])]]

BY_CLASS = sorted({*CONTRASTS, "multi_hinge"})
every_way = pytest.mark.parametrize("way", sorted(set(WAYS) - set(BY_CLASS)))  # the others have its outputs, or fewer


class Labelled:
    """Random items with a label, one in four unknown, and with attributes and values; functions of the position."""

    size = 6

    def __init__(self, shape: tuple[int, ...], kind: str = "classes") -> None:
        self.shape, self.kind = shape, kind

    def at(self, position: int) -> dict[str, Tensor]:
        rng = torch.Generator().manual_seed(position)
        batch = {"x": 2 * torch.rand(self.size, *self.shape, generator=rng) - 1}
        if self.kind == "classes":
            return {**batch, "y": torch.randint(-1, LENGTH, (self.size,), generator=rng)}
        c = torch.rand(self.size, LENGTH, generator=rng)
        return {**batch, "c": c.round() if self.kind == "attributes" else 2 * c - 1}


def players(name: str, shape: tuple[int, ...], way: str, **options: Any) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    family = import_module(f"evenodds.parts.networks.{name}")
    seen = discriminator_options(way, shape, LENGTH)
    return {
        "generator": family.Generator(LATENT, shape, width=8, condition=LENGTH, **options),
        "discriminator": family.Discriminator(**seen, width=8),
    }


def learner(of: dict[str, nn.Module]) -> Gradient:
    return Gradient({name: torch.optim.Adam(p.parameters(), 1e-2, betas=(0.0, 0.99)) for name, p in of.items()})


def task(way: str, **options: Any) -> Condition:
    contest = options.pop("contest", Contest(relativistic_paired, r1_r2, 0.1, every=2, fused=True))
    return Condition(Normal(LATENT), contest, length=LENGTH, way=way, **options)


def plays_restores_and_answers(game: Condition, of: dict[str, nn.Module], data: Labelled) -> None:
    again = copy.deepcopy(of)
    before = copy.deepcopy(PlayersState(of).state().tensors)
    adam, progress = learner(of), Progress(total=100)
    train(Game(game, of), data, adam, Local(), images=2 * data.size, progress=progress)
    parameters = {f"{role}/{key}" for role, player in of.items() for key, _ in player.named_parameters()}
    after = PlayersState(of).state().tensors
    moved = [key for key in parameters if not torch.equal(before[key], after[key])]
    assert len(moved) > 0.7 * len(parameters)
    assert all(value.isfinite().all() for value in after.values())
    assert_resumes_exactly(game, (of, adam), (again, learner(again)), data, progress)
    of = {name: player.eval() for name, player in of.items()}
    z = torch.randn(4, LATENT)
    x = game.answer(of, {"z": z, "c": torch.eye(LENGTH)[[0, 1, 1, 2]]})["x"]
    assert x.shape == (4, *data.shape)
    assert not x.requires_grad
    if game.kind == "classes":
        torch.testing.assert_close(x, game.answer(of, {"z": z, "y": torch.tensor([0, 1, 1, 2])})["x"])
        assert not torch.equal(x, game.answer(of, {"z": z, "y": torch.full((4,), -1)})["x"])
    _, judge = game.conditioned(of, torch.eye(LENGTH)[[0, 1, 1, 2]])
    assert judge(x).shape == (4,)


@every_way
@pytest.mark.parametrize(("name", "shape"), PLACES)
def test_every_family_in_every_way(name: str, shape: tuple[int, ...], way: str) -> None:
    plays_restores_and_answers(task(way), players(name, shape, way), Labelled(shape))


@every_way
@pytest.mark.parametrize("kind", sorted(COSTS))
def test_every_kind_in_every_way(kind: str, way: str) -> None:
    plays_restores_and_answers(task(way, kind=kind), players("mlp", (5,), way), Labelled((5,), kind))


@pytest.mark.parametrize("way", BY_CLASS)
def test_ways_by_class_play_classes_alone(way: str) -> None:
    contest = Contest(hinge, gradient_penalty, view=jitter)
    plays_restores_and_answers(task(way, contest=contest), players("mlp", (5,), way), Labelled((5,)))
    for options, hint in (({"kind": "values"}, "needs classes"), ({"simultaneous": True}, "simultaneous=false")):
        with pytest.raises(BadInput, match=hint):
            task(way, contest=contest, **options)


@every_way
@pytest.mark.parametrize(
    "options",
    [
        {"contest": Contest(non_saturating, gradient_penalty, view=jitter)},
        {"contest": Contest(non_saturating), "discriminator_steps": 2, "generator_steps": 2},
        {"contest": Contest(relativistic_paired, fused=True), "simultaneous": True},
        {"balance": "classes"},
    ],
    ids=["view", "steps", "simultaneous", "balance"],
)
def test_every_term_in_every_way(options: dict[str, Any], way: str) -> None:
    if "auxiliary" in way and "simultaneous" in options:
        with pytest.raises(BadInput, match="simultaneous"):
            task(way, **options)
        return
    plays_restores_and_answers(task(way, **options), players("mlp", (5,), way), Labelled((5,)))


@every_way
@pytest.mark.parametrize("name", FAMILIES)
def test_conditional_norms_play(name: str, way: str) -> None:
    generator = import_module(f"evenodds.parts.networks.{name}").Generator
    if "conditional_norm" in inspect.signature(generator).parameters:
        shape = (1, 8, 8)
        plays_restores_and_answers(task(way), players(name, shape, way, conditional_norm=True), Labelled(shape))


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"way": "projecton"}, "projection"),
        ({"kind": "class"}, "classes"),
        ({"balance": "class"}, "classes"),
        ({"length": 0}, "length >= 1"),
        ({"temperature": 0}, "temperature > 0"),
        ({"way": "multi_hinge"}, "loss=hinge"),
        ({"kind": "values", "balance": "classes"}, "balance to data"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], hint: str) -> None:
    with pytest.raises(BadInput, match=hint) as caught:
        Condition(Normal(LATENT), Contest(non_saturating), **{"length": LENGTH, **options})
    assert "\n" not in str(caught.value)


def test_batches_and_requests_without_a_fitting_c_are_refused() -> None:
    x, z, rng = torch.zeros(2, 5), torch.zeros(2, LATENT), torch.Generator()
    with pytest.raises(BadInput, match=r"labels 'y'.*got x"):
        task("projection").deal({"x": x}, rng)
    with pytest.raises(BadInput, match=r"'c' \(N, 3\), got x, y"):
        task("projection", kind="values").deal({"x": x, "y": torch.zeros(2).long()}, rng)
    with pytest.raises(BadInput, match=r"must be \(N, 3\), got \(2, 4\)"):
        task("projection").deal({"x": x, "c": torch.zeros(2, 4)}, rng)
    made = players("mlp", (5,), "projection")
    for request, hint in (
        ({"z": z, "y": torch.tensor([0, 3])}, r"\[0, 2\].*got \[0, 3\]"),
        ({"z": z, "y": torch.tensor([0])}, "one length, got 2 and 1"),
        ({"z": z}, "labels 'y'"),
    ):
        with pytest.raises(BadInput, match=hint):
            task("projection").answer(made, request)
