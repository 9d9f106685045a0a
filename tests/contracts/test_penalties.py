"""What every penalty keeps, discovered by being there."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenodds.parts.losses import penalties

# All public penalties: functions, and classes whose objects are called in the same way.
MEMBERS: dict[str, Any] = {
    name: value
    for name, value in vars(penalties).items()
    if not name.startswith("_")
    and (inspect.isfunction(value) or inspect.isclass(value))
    and value.__module__ == penalties.__name__
}
STATELESS = sorted(name for name, value in MEMBERS.items() if inspect.isfunction(value))
SHAPES = {"mlp": (6,), "conv": (3, 9, 7)}
# Of whose remembered scores they make use, and how many forward passes they add.
ASKED: dict[str, tuple[set[str], int]] = {
    "r1": ({"real"}, 0),
    "r2": ({"fake"}, 0),
    "r1_r2": ({"real", "fake"}, 0),
    "LeCam": ({"real", "fake"}, 0),
    "consistency": ({"real"}, 1),
    "finite_difference_r1": ({"real"}, 1),
    "finite_difference_r2": ({"fake"}, 1),
    "finite_difference": ({"real", "fake"}, 2),
}

every_penalty = pytest.mark.parametrize("name", sorted(MEMBERS))
every_network = pytest.mark.parametrize("network", sorted(SHAPES))


class Memo:
    """A score that answers about the same tensor once, and keeps what it was asked."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.asked: list[Tensor] = []
        self.answers: list[tuple[Tensor, Tensor]] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.asked.append(x)
        for known, answer in self.answers:
            if known is x:
                return answer
        fresh: Tensor = self.network(x)
        self.answers.append((x, fresh))
        return fresh


def discriminator(kind: str) -> nn.Module:
    """Smooth, and without a last bias: a constant in the score is nothing that a slope could see."""
    torch.manual_seed(0)
    if kind == "mlp":
        return nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 1, bias=False), nn.Flatten(0))
    body = [nn.Conv2d(3, 4, 3, stride=2), nn.SiLU(), nn.Conv2d(4, 4, 3), nn.SiLU(), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(8, 1, bias=False), nn.Flatten(0))


def examples(shape: tuple[int, ...], n: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    real, fake = torch.randn(2, n, *shape, generator=torch.Generator().manual_seed(n)).tanh().to(dtype)
    return real.clone(), fake.clone()


def make(name: str) -> Callable[..., Tensor]:
    """The penalty itself, or a fresh object of its class."""
    penalty: Callable[..., Tensor] = MEMBERS[name]() if inspect.isclass(MEMBERS[name]) else MEMBERS[name]
    return penalty


def parameters(penalty: Callable[..., Tensor]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(penalty.forward if isinstance(penalty, nn.Module) else penalty).parameters)


def draws(penalty: Callable[..., Tensor], real: Tensor) -> dict[str, Any]:
    """The random numbers and the view that the signature asks for, as a task would deal them."""
    rng = torch.Generator().manual_seed(3)
    dealt: dict[str, Any] = {
        "uniform": torch.rand(len(real), 4, generator=rng).to(real),
        "normal": torch.randn(real.shape, generator=rng).to(real),
        "view": lambda x, uniform: x * (1 + uniform[:, :1].view(-1, *[1] * (x.dim() - 1))),
    }
    asked = [
        name
        for name, parameter in parameters(penalty).items()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    ]
    assert set(asked) <= set(dealt), f"nobody deals {set(asked) - set(dealt)}"
    return {name: dealt[name] for name in asked}


def play(name: str, score: penalties.Score, real: Tensor, fake: Tensor) -> Tensor:
    penalty = make(name)
    return penalty(score, real, fake, **draws(penalty, real))


def test_discovery_finds_the_known_ones() -> None:
    known = {"r1", "r2", "r1_r2", "gradient_penalty", "dragan", "consistency", "finite_difference", "lecam"}
    assert known <= set(MEMBERS)


@every_penalty
def test_is_documented_and_public_and_takes_the_common_arguments(name: str) -> None:
    assert name in penalties.__all__
    assert inspect.getdoc(MEMBERS[name])
    assert list(parameters(make(name)))[:3] == ["score", "real", "fake"]


@every_penalty
@every_network
@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("n", [1, 4])
def test_values_are_unreduced_and_every_parameter_is_pulled(name: str, network: str, leaves: bool, n: int) -> None:
    net = discriminator(network)
    real, fake = (x.requires_grad_(leaves) for x in examples(SHAPES[network], n))
    cost = play(name, Memo(net), real, fake)
    assert cost.shape == (n,)
    assert cost.isfinite().all()
    assert (cost >= 0).all()
    cost.mean().backward()  # type: ignore[no-untyped-call]
    for place, parameter in net.named_parameters():
        assert parameter.grad is not None, place
        assert parameter.grad.isfinite().all(), place
        assert parameter.grad.any(), place


@every_penalty
@every_network
def test_values_do_not_depend_on_who_made_the_leaves(name: str, network: str) -> None:
    net = discriminator(network)
    real, fake = examples(SHAPES[network], 4)
    plain = play(name, Memo(net), real, fake)
    assert not real.requires_grad
    assert not fake.requires_grad
    with_leaves = play(name, Memo(net), real.requires_grad_(), fake.requires_grad_())
    torch.testing.assert_close(plain, with_leaves)


@pytest.mark.parametrize("name", sorted({*STATELESS} - {"largest_gradient"}))  # which is one number for all
@every_network
def test_items_do_not_depend_on_each_other(name: str, network: str) -> None:
    """Item i of a batch pays what it pays alone."""
    net = discriminator(network).double()
    real, fake = examples(SHAPES[network], 4, torch.float64)
    penalty = make(name)
    dealt = draws(penalty, real)
    alone = {key: value[2:3] if isinstance(value, Tensor) else value for key, value in dealt.items()}
    torch.testing.assert_close(
        penalty(net, real[2:3], fake[2:3], **alone), penalty(net, real, fake, **dealt)[2:3], rtol=1e-6, atol=1e-9
    )


@every_penalty
def test_double_precision_is_kept(name: str) -> None:
    real, fake = examples(SHAPES["mlp"], 3, torch.float64)
    assert play(name, discriminator("mlp").double(), real, fake).dtype == torch.float64


@every_penalty
def test_asks_about_no_tensor_twice_and_about_one_new_one_per_side_at_most(name: str) -> None:
    real, fake = (x.requires_grad_() for x in examples(SHAPES["mlp"], 3))
    score = Memo(discriminator("mlp"))
    play(name, score, real, fake)
    assert len(score.asked) == len(score.answers)
    assert len([x for x in score.asked if x is not real and x is not fake]) <= 2


@pytest.mark.parametrize("name", sorted(ASKED))
def test_scores_that_the_loss_has_needed_are_not_computed_again(name: str) -> None:
    """They ask about the caller's own tensors, once each; the zero-centred ones add no forward pass at all."""
    real, fake = (x.requires_grad_() for x in examples(SHAPES["mlp"], 3))
    score = Memo(discriminator("mlp"))
    score(real), score(fake)
    score.asked.clear()
    play(name, score, real, fake)
    asked = ["real" if x is real else "fake" if x is fake else "new" for x in score.asked]
    sides, forwards = ASKED[name]
    assert sorted(asked) == sorted([*sides, *["new"] * forwards])
    assert len(score.answers) == 2 + forwards


@every_penalty
def test_shares_one_backward_with_the_adversarial_cost(name: str) -> None:
    """The gradient of the sum is the sum of the gradients, though both use the same remembered scores."""

    def pull(adversarial: bool, penalised: bool) -> list[Tensor]:
        net = discriminator("mlp").double()
        real, fake = (x.requires_grad_() for x in examples(SHAPES["mlp"], 3, torch.float64))
        score = Memo(net)
        cost = (nn.functional.softplus(-score(real)) + nn.functional.softplus(score(fake))).mean() * adversarial
        if penalised:
            cost = cost + play(name, score, real, fake).mean()
        return list(torch.autograd.grad(cost, list(net.parameters())))

    parts = [a + b for a, b in zip(pull(True, False), pull(False, True), strict=True)]
    torch.testing.assert_close(pull(True, True), parts)
