"""Every family classifies with few labels, on images and, where it can, on vectors: plays, is restored, answers."""

from __future__ import annotations

import copy
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenodds.data.dataset import Dataset
from evenodds.data.labelled import WithLabels, draw_labels
from evenodds.data.units import Units
from evenodds.errors import BadInput
from evenodds.game.checkpoint import PlayersState
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.rules import Game, Progress
from evenodds.game.trainer import Feed, train
from evenodds.parts.losses.adversarial import hinge, non_saturating
from evenodds.parts.losses.penalties import r1
from evenodds.parts.priors import Normal
from evenodds.parts.views import translation
from evenodds.tasks.classify import Classify
from evenodds.tasks.contest import Contest
from tests.families import FAMILIES
from tests.games import assert_resumes_exactly

CLASSES, LATENT = 3, 4
NAMES = ("a", "b", "c")
PLACES = [(name, shape) for name in FAMILIES for shape in [(2, 9, 8), *([(5,)] if name == "mlp" else [])]]
EVERY_TERM = {
    "entropy": 0.3,
    "pull_away": 0.1,
    "noise": 0.1,
    "matching": "absolute",
    "consistency": 0.4,
    "threshold": 0.34,
    "shares": (0.5, 0.3, 0.2),
}


class Rare:
    """Random items, most without a label, or all; functions of the position."""

    size = 6

    def __init__(self, shape: tuple[int, ...], labels: bool = True) -> None:
        self.shape, self.labels = shape, labels

    def at(self, position: int) -> dict[str, Tensor]:
        rng = torch.Generator().manual_seed(position)
        x = 2 * torch.rand(self.size, *self.shape, generator=rng) - 1
        y = torch.randint(-1, CLASSES, (self.size,), generator=rng)
        return {"x": x, "y": y if self.labels else torch.full_like(y, -1)}


def labelled(shape: tuple[int, ...], size: int = 7, y: Tensor | None = None) -> WithLabels:
    """Random items, with five labelled ones."""
    x = torch.linspace(-1, 1, 5).view(5, *[1] * len(shape)).expand(5, *shape)
    data = Dataset(x, Units((-1,), (1,), "float32"), torch.arange(5) % CLASSES if y is None else y, NAMES)
    return WithLabels(Rare(shape), data, torch.arange(5), size)


def players(name: str, shape: tuple[int, ...], **options: Any) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    family = import_module(f"evenodds.parts.networks.{name}")
    return {
        "generator": family.Generator(LATENT, shape, width=8),
        "discriminator": family.Discriminator(shape, width=8, **{"outputs": CLASSES, **options}),
    }


def learner(of: dict[str, nn.Module]) -> Gradient:
    return Gradient({name: torch.optim.Adam(p.parameters(), 1e-2, betas=(0.5, 0.99)) for name, p in of.items()})


def task(**options: Any) -> Classify:
    of_contest = {name: options.pop(name) for name in ("loss", "penalty", "view", "fused") if name in options}
    contest = Contest(**{"loss": non_saturating, **of_contest})
    return Classify(**{"prior": Normal(LATENT), "contest": contest, "classes": CLASSES, **options})


def plays_restores_and_answers(game: Classify, of: dict[str, nn.Module], data: Feed, shape: tuple[int, ...]) -> None:
    again, before = copy.deepcopy(of), copy.deepcopy(PlayersState(of).state().tensors)
    adam, progress = learner(of), Progress(total=100)
    train(Game(game, of), data, adam, Local(), images=2 * data.size, progress=progress)
    after = PlayersState(of).state().tensors
    assert all(value.isfinite().all() for value in after.values())
    for role in [role for move in game.moves() for role in move.movers]:
        player = of[role]
        moved = [
            not torch.equal(before[f"{role}/{key}"], after[f"{role}/{key}"]) for key, _ in player.named_parameters()
        ]
        assert sum(moved) > 0.7 * len(moved), role
    assert_resumes_exactly(game, (of, adam), (again, learner(again)), data, progress)
    said = game.answer({name: player.eval() for name, player in of.items()}, {"z": torch.randn(4, LATENT)})
    assert said["x"].shape == (4, *shape)
    said |= game.answer(of, {"x": said["x"]})
    assert said["y"].shape == said["real"].shape == (4,)
    assert said["y"].dtype == torch.int64
    assert ((said["real"] > 0) & (said["real"] < 1)).all()
    torch.testing.assert_close(said["probabilities"].sum(1), torch.ones(4))
    assert torch.equal(said["probabilities"].argmax(1), said["y"])
    assert not any(value.requires_grad for value in said.values())


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("name", "shape"), PLACES)
def test_every_family(name: str, shape: tuple[int, ...], fused: bool) -> None:
    data = labelled(shape)
    plays_restores_and_answers(task(fused=fused), players(name, shape), data, shape)


@pytest.mark.parametrize("own", [False, True], ids=["labels of the batch", "labelled items"])
@pytest.mark.parametrize(
    "options",
    [{"unsupervised": 0.0}, EVERY_TERM, {**EVERY_TERM, "fused": True}, {"view": translation, "fused": True}],
    ids=["plain", "terms", "fused", "view"],
)
def test_every_term(options: dict[str, Any], own: bool) -> None:
    shape = (1, 8, 8)
    data: Feed = labelled(shape) if own else Rare(shape)
    plays_restores_and_answers(task(**options), players("mlp", shape), data, shape)


def test_batch_norm_and_spread_of_a_batch() -> None:
    shape = (1, 8, 8)
    plays_restores_and_answers(task(), players("dcgan", shape, norm="batch"), Rare(shape), shape)
    plays_restores_and_answers(task(), players("mlp", shape, minibatch_std=True, dropout=0.3), Rare(shape), shape)


def test_a_batch_without_a_known_label_is_finite() -> None:
    shape = (5,)
    plays_restores_and_answers(task(), players("mlp", shape), Rare(shape, labels=False), shape)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"classes": 1}, "at least 2, got 1"),
        ({"matching": "square"}, "did you mean 'squared'"),
        ({"noise": -0.1}, "'noise' must be at least 0"),
        ({"unsupervised": -1.0}, "'unsupervised' must be at least 0"),
        ({"temperature": -1.0}, "'temperature' must be at least 0, got -1"),
        ({"shares": (0.5, 0.5)}, "'shares' must be 3 numbers above 0"),
        ({"shares": (0.5, 0.5, 0.0)}, "'shares' must be 3 numbers above 0"),
        ({"penalty": r1}, "set loss=non_saturating penalty=none"),
        ({"loss": hinge}, "set loss=non_saturating penalty=none"),
        ({"threshold": 1.0}, r"'threshold' must be in \[0, 1\), got 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], hint: str) -> None:
    with pytest.raises(BadInput, match=hint) as caught:
        task(**options)
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_is_refused() -> None:
    x, rng = torch.zeros(2, 5), torch.Generator()
    with pytest.raises(BadInput, match=r"needs 'y' \(N,\), -1 unknown, got x"):
        task().deal({"x": x}, rng)
    hand = task().deal({"x": x, "y": torch.tensor([0, -1])}, rng)
    with pytest.raises(BadInput, match="as many logits, got 1"):
        task().discriminator_cost(players("mlp", (5,), outputs=1), hand)
    with pytest.raises(BadInput, match="needs 'x' or 'z', got nothing"):
        task().answer(players("mlp", (5,)), {})
    with pytest.raises(BadInput, match="whose y is not -1"):
        labelled((5,), y=torch.tensor([0, 1, 2, 0, -1]))
    with pytest.raises(BadInput, match="size >= 1"):
        labelled((5,), size=0)
    with pytest.raises(BadInput, match="class 1 has 1 items, 2 were asked for"):
        draw_labels(torch.tensor([0, 0, 1]), 2, seed=0)
