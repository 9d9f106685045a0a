"""What every adversarial loss keeps, discovered by being there."""

import inspect
import pkgutil
from importlib import import_module

import pytest
import torch

from evenodds.parts import losses
from evenodds.parts.losses import distances
from evenodds.parts.losses.adversarial import Adversarial
from evenodds.parts.losses.boundary import BoundaryEquilibrium
from evenodds.runs.find import names
from evenodds.tasks.contest import Contest


def members() -> dict[str, Adversarial]:
    """All public functions (real, fake), which may have options, of the modules in evenodds.parts.losses."""
    modules = [import_module(f"{losses.__name__}.{found.name}") for found in pkgutil.iter_modules(losses.__path__)]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and not name.startswith("_")
        and value.__module__ == module.__name__
        and list(inspect.signature(value).parameters)[:2] == ["real", "fake"]
        and all(p.kind is p.KEYWORD_ONLY for p in [*inspect.signature(value).parameters.values()][2:])
    }


def midway() -> BoundaryEquilibrium:
    """Its discriminator pays for fakes, as it does once the game has begun."""
    loss = BoundaryEquilibrium()
    loss.dial.turn(0.5)
    return loss


MEMBERS = {**members(), "boundary": midway()}
ORIENTED = sorted(set(MEMBERS) - set(distances.__all__))
every_loss = pytest.mark.parametrize("name", sorted(MEMBERS))
every_oriented_loss = pytest.mark.parametrize("name", ORIENTED)


def test_discovery_finds_the_known_ones() -> None:
    assert set(MEMBERS) == set(names("losses"))


@every_loss
def test_is_documented_and_public(name: str) -> None:
    loss = MEMBERS[name]
    assert loss.__doc__
    assert name in import_module(loss.__module__).__all__
    assert Contest(loss).oriented == (name in ORIENTED)


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("n", [1, 7])
def test_costs_are_unreduced_finite_and_of_the_same_kind(name: str, n: int, dtype: torch.dtype) -> None:
    real, fake = torch.randn(2, n, generator=torch.Generator().manual_seed(n)).to(dtype)
    for cost in MEMBERS[name](real, fake):
        assert cost.shape == (n,)
        assert cost.dtype == dtype
        assert cost.isfinite().all()


@every_oriented_loss
@pytest.mark.parametrize("n", [1, 7])
def test_gradients_reach_the_logits(name: str, n: int) -> None:
    """The discriminator's cost moves reals and fakes apart, the generator's raises every fake."""
    loss = MEMBERS[name]
    real, fake = (0.1 * torch.randn(2, n, generator=torch.Generator().manual_seed(n))).unbind()
    real, fake = real.requires_grad_(), fake.requires_grad_()
    discriminator, generator = loss(real, fake)
    on_real, on_fake = torch.autograd.grad(discriminator.sum(), (real, fake), retain_graph=True)
    (raises,) = torch.autograd.grad(generator.sum(), fake)
    assert (on_real < 0).all()
    assert on_fake.sum() > 0
    assert (raises < 0).all()


@every_oriented_loss
def test_patches_of_items_are_judged_like_items(name: str) -> None:
    """Logits (N, P) cost what N P items cost: nothing depends on which patch belongs to which item."""
    real, fake = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    for cost, flat in zip(MEMBERS[name](real, fake), MEMBERS[name](real.flatten(), fake.flatten()), strict=True):
        torch.testing.assert_close(cost, flat.view(4, 3))


@pytest.mark.parametrize("name", distances.__all__)
def test_a_distance_is_one_number_for_both_and_sees_all_features(name: str) -> None:
    real, fake = (x.requires_grad_() for x in torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)).unbind())
    discriminator, generator = MEMBERS[name](real, fake)
    assert generator.shape == (5,)
    assert torch.equal(discriminator, -generator)
    torch.testing.assert_close(MEMBERS[name](fake, real)[1].mean(), generator.mean())
    for slope in torch.autograd.grad(generator.mean(), (real, fake)):
        assert slope.all()
    contest = Contest(MEMBERS[name])
    assert (contest.relative, contest.compares, contest.log_ratio) == (True, True, False)


@every_loss
def test_leaves_its_arguments_alone_and_repeats(name: str) -> None:
    real, fake = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    before = real.clone(), fake.clone()
    first, second = MEMBERS[name](real, fake), MEMBERS[name](real, fake)
    torch.testing.assert_close((real, fake), before, rtol=0, atol=0)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
