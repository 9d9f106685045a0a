"""Every family encodes, pairs play with losses and penalties of all kinds; what plays is restored and answers."""

from __future__ import annotations

import copy
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenodds.apply.latent import directions, move, refine
from evenodds.errors import BadInput
from evenodds.game.checkpoint import PlayersState
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.rules import Game, Progress
from evenodds.game.trainer import train
from evenodds.parts.losses.adversarial import least_squares, non_saturating, relativistic_paired
from evenodds.parts.losses.penalties import finite_difference, gradient_penalty, r1_r2
from evenodds.parts.networks import mlp
from evenodds.parts.networks._joint import JointDiscriminator
from evenodds.parts.priors import Normal
from evenodds.parts.views import jitter
from evenodds.tasks.bidirectional import Bidirectional
from evenodds.tasks.contest import Contest
from evenodds.tasks.infer import Infer, encoder_options
from evenodds.tasks.invertible import Invertible
from tests.families import FAMILIES

LATENT, SEEN = 4, 8
PLACES = [(name, shape) for name in FAMILIES for shape in [(2, 9, 8), *([(5,)] if name == "mlp" else [])]]

every_place = pytest.mark.parametrize(("name", "shape"), PLACES)
with_or_without_spread = pytest.mark.parametrize("spread", [False, True], ids=["mean", "spread"])


class Noise:
    """Random items, a function of the position."""

    size = 6

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def at(self, position: int) -> dict[str, Tensor]:
        rng = torch.Generator().manual_seed(position)
        return {"x": 2 * torch.rand(self.size, *self.shape, generator=rng) - 1}


def players(name: str, shape: tuple[int, ...], spread: bool, judged: bool) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    family = import_module(f"evenodds.parts.networks.{name}")
    of = {
        "generator": family.Generator(LATENT, shape, width=8),
        "encoder": family.Discriminator(shape, width=8, **encoder_options(LATENT, spread)),
    }
    if judged:
        of_x = family.Discriminator(shape, width=8, outputs=SEEN)
        of["discriminator"] = JointDiscriminator(of_x, shape, LATENT, outputs=SEEN, width=8)
    return of


def learner(of: dict[str, nn.Module], movers: tuple[str, ...]) -> Gradient:
    return Gradient({name: torch.optim.Adam(of[name].parameters(), 1e-2, betas=(0.0, 0.99)) for name in movers})


def kept(of: dict[str, nn.Module]) -> dict[str, Tensor]:
    return copy.deepcopy(PlayersState(of).state().tensors)


def plays_restores_and_answers(
    task: Infer | Bidirectional | Invertible, of: dict[str, nn.Module], shape: tuple[int, ...], movers: tuple[str, ...]
) -> None:
    again, before, data = copy.deepcopy(of), kept(of), Noise(shape)
    adam, progress = learner(of, movers), Progress(total=100)
    train(Game(task, of), data, adam, Local(), images=2 * data.size, progress=progress)
    after = kept(of)
    assert all(value.isfinite().all() for value in after.values())
    for name in movers:
        mine = [f"{name}/{key}" for key, _ in of[name].named_parameters()]
        assert sum(not torch.equal(before[key], after[key]) for key in mine) > 0.7 * len(mine)
    # What was kept goes on as what was not interrupted.
    PlayersState(again).restore(copy.deepcopy(PlayersState(of).state()))
    other = learner(again, movers)
    other.restore(copy.deepcopy(adam.state()))
    for them, theirs in ((of, adam), (again, other)):
        train(Game(task, them), data, theirs, Local(), images=4 * data.size, progress=copy.copy(progress))
    resumed = kept(again)
    for key, value in kept(of).items():
        assert torch.equal(resumed[key], value), key
    answers(task, {name: player.eval() for name, player in of.items()}, data.at(0)["x"])


def answers(task: Infer | Bidirectional | Invertible, of: dict[str, nn.Module], x: Tensor) -> None:
    said = task.answer(of, {"x": x})
    assert set(said) == {"z", "reconstruction"} | ({"deviation"} if getattr(task, "spread", False) else set())
    assert said["z"].shape == (len(x), LATENT)
    assert not said["z"].requires_grad
    torch.testing.assert_close(task.answer(of, {"z": said["z"]})["x"], said["reconstruction"])
    assert said["reconstruction"].shape == x.shape
    assert {*said, "x"} == set(task.answer(of, {"x": x, "z": said["z"]}))
    if getattr(task, "spread", False):
        assert said["deviation"].shape == said["z"].shape
        assert (said["deviation"] > 0).all()


@with_or_without_spread
@every_place
def test_every_family_infers_and_the_generator_stays_as_it_is(name: str, shape: tuple[int, ...], spread: bool) -> None:
    of = players(name, shape, spread, judged=False)
    before = {key: value.clone() for key, value in of["generator"].state_dict().items()}
    plays_restores_and_answers(Infer(Normal(LATENT), spread), of, shape, ("encoder",))
    for key, value in of["generator"].state_dict().items():  # running statistics and spectral norms too
        assert torch.equal(value, before[key]), key
    assert all(parameter.grad is None for parameter in of["generator"].parameters())


def test_the_generator_is_left_in_the_mode_in_which_it_was() -> None:
    of = players("dcgan", (1, 8, 8), False, judged=False)
    task, real = Infer(Normal(LATENT)), {"x": torch.zeros(3, 1, 8, 8)}
    for mode in (True, False):
        of["generator"].train(mode)
        task.encoder_cost(of, task.deal(real, torch.Generator().manual_seed(0)))
        assert all(module.training is mode for module in of["generator"].modules())


ROLES = ("generator", "encoder", "discriminator")


@with_or_without_spread
@every_place
def test_every_family_plays_pairs(name: str, shape: tuple[int, ...], spread: bool) -> None:
    task = Bidirectional(Normal(LATENT), Contest(non_saturating), spread=spread)
    plays_restores_and_answers(task, players(name, shape, spread, judged=True), shape, ROLES)


@pytest.mark.parametrize("penalty", [gradient_penalty, r1_r2, finite_difference])
@pytest.mark.parametrize("loss", [non_saturating, least_squares, relativistic_paired])
def test_every_loss_and_penalty_plays_pairs(loss: Any, penalty: Any) -> None:
    contest = Contest(loss, penalty, 0.1, every=2, fused=loss is relativistic_paired)
    task = Bidirectional(Normal(LATENT), contest, discriminator_steps=2)
    plays_restores_and_answers(task, players("dcgan", (1, 8, 8), False, judged=True), (1, 8, 8), ROLES)


@pytest.mark.parametrize(("name", "shape"), [place for place in PLACES if place[0] in ("dcgan", "mlp")])
def test_images_and_vectors_play_both_directions(name: str, shape: tuple[int, ...]) -> None:
    of = players(name, shape, False, judged=False)
    of["discriminator"] = import_module(f"evenodds.parts.networks.{name}").Discriminator(shape, width=8)
    plays_restores_and_answers(Invertible(Normal(LATENT), Contest(relativistic_paired)), of, shape, ROLES)


def test_views_and_cycles_play_pairs_of_images_and_vectors() -> None:
    task = Bidirectional(Normal(LATENT), Contest(non_saturating, gradient_penalty, view=jitter), spread=True, cycle=0.5)
    for shape in ((1, 8, 8), (5,)):
        plays_restores_and_answers(task, players("mlp", shape, True, judged=True), shape, ROLES)


def test_a_plain_discriminator_takes_flat_pairs() -> None:
    of = {**players("mlp", (5,), False, judged=False), "discriminator": mlp.Discriminator((5 + LATENT,), width=8)}
    plays_restores_and_answers(Bidirectional(Normal(LATENT), Contest(relativistic_paired, r1_r2)), of, (5,), ROLES)


def test_what_does_not_fit_is_refused_in_one_line() -> None:
    of, task = players("mlp", (5,), False, judged=True), Infer(Normal(LATENT))
    net, prior, x, z = of["generator"], Normal(LATENT), torch.zeros(2, 5), torch.zeros(2, LATENT)
    for act, hint in (
        (lambda: task.answer(of, {"y": z}), "'x', 'z' or both, got y"),
        (lambda: Infer(prior, spread=True).answer(of, {"x": x}), "8 outputs, got 4"),
        (lambda: Bidirectional(prior, Contest(non_saturating), cycle=-1.0), "cycle"),
        (lambda: Infer(prior, reconstruction=-1.0), "reconstruction is a weight"),
        (lambda: Invertible(prior, Contest(non_saturating), latent=-1.0), "weights of at least 0, got -1.0 and 10.0"),
        (lambda: of["discriminator"](x), r"\(N, 9\), got \(2, 5\)"),
        (lambda: JointDiscriminator(nn.Identity(), (5,), LATENT, outputs=1), "outputs=1"),
        (lambda: refine(net, x, z[:1]), "one length, got 2 and 1"),
        (lambda: refine(net, x, z, steps=-1), "steps >= 0"),
        (lambda: directions(net, prior, 5), "n=5"),
        (lambda: directions(net, prior, 1, "weight"), "weights"),
        (lambda: directions(nn.Identity(), prior, 1, "weights"), "jacobian"),
        (lambda: directions(net, prior, 1, draws=0), "draws >= 1"),
        (lambda: move(z, torch.zeros(3), 1.0), r"\(4,\), got \(3,\)"),
    ):
        with pytest.raises(BadInput, match=hint) as caught:
            act()
        assert "\n" not in str(caught.value)
