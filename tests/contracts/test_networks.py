"""Every family of networks, because it exists: a new file under networks/ is tested without a line here."""

import inspect
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from evenodds.errors import BadInput
from tests.families import FAMILIES

SHAPES = [(1, 8, 8), (3, 32, 32), (1, 28, 28), (4, 20, 28), (3, 27, 33), (1, 5, 4)]
LATENT = 6

# Options beside the defaults. What a family does not know is not asked of it.
OPTIONS: list[dict[str, Any]] = [
    {"stem": 2},
    {"group": 1, "blocks": 2},
    {"bottom": 7},
    {"depth": 0},
    {"growth": 1.0},
    {"cap": 8},
    {"init": 0.05},
    {"activation": "maxout", "dropout": 0.5, "dropout_input": 0.2},
    {"norm": "batch"},
    {"norm": "none"},
    {"flat": 0},
    {"minibatch_std": True},
]

PENALISED: list[dict[str, Any]] = [{}, {"stem": 2, "group": 2}, {"activation": "maxout"}, {"minibatch_std": True}]


def family(name: str) -> Any:
    return import_module(f"evenodds.parts.networks.{name}")


def known(options: list[dict[str, Any]], *players: str) -> list[Any]:
    """(family, player, option) for every option that the player has."""
    return [
        pytest.param(name, player, option, id=f"{name}-{player}-{json.dumps(option)}")
        for name in FAMILIES
        for player in players
        for option in options
        if set(option) <= set(inspect.signature(getattr(family(name), player)).parameters)
    ]


@pytest.fixture(autouse=True)
def _one_seed_one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def generator(name: str, shape: tuple[int, ...], **options: Any) -> nn.Module:
    net: nn.Module = family(name).Generator(LATENT, shape, **{"width": 8, **options})
    return net


def discriminator(name: str, shape: tuple[int, ...], **options: Any) -> nn.Module:
    net: nn.Module = family(name).Discriminator(shape, **{"width": 8, **options})
    return net


def images(n: int, shape: tuple[int, ...]) -> Tensor:
    return torch.rand(n, *shape) * 2 - 1


def one_step(net: nn.Module, x: Tensor) -> None:
    """Takes branches that start at zero away from there: before it, what lies behind them gets no gradient."""
    net(x).square().sum().backward()
    with torch.no_grad():
        for parameter in net.parameters():
            assert parameter.grad is not None
            parameter.sub_(0.01 * parameter.grad.sign())
    net.zero_grad()


def assert_all_learn(net: nn.Module) -> None:
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, f"{name} gets no gradient"
        assert parameter.grad.isfinite().all(), f"{name} gets a gradient that is not finite"
        assert parameter.grad.abs().max() > 0, f"{name} gets a gradient of zero"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FAMILIES)
def test_generator(name: str, shape: tuple[int, ...]) -> None:
    net = generator(name, shape)
    z = torch.randn(5, LATENT)
    one_step(net, z)
    x = net(z)
    assert x.shape == (5, *shape)
    assert x.dtype == torch.float32
    assert x.abs().max() <= 1
    assert x.std(0).max() > 0, "z must matter"
    (x * torch.randn_like(x)).sum().backward()
    assert_all_learn(net)
    assert net(z[:1]).shape == (1, *shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FAMILIES)
def test_discriminator(name: str, shape: tuple[int, ...]) -> None:
    net = discriminator(name, shape)
    x = images(5, shape)
    one_step(net, x)
    logits = net(x)
    assert logits.shape == (5,)
    assert logits.std() > 0, "x must matter"
    (logits * torch.randn(5)).sum().backward()
    assert_all_learn(net)
    assert net(x[:1]).shape == (1,)


@pytest.mark.parametrize("minibatch_std", [False, True])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 27, 33)])
@pytest.mark.parametrize("name", FAMILIES)
def test_several_outputs_and_the_features_below_them(name: str, shape: tuple[int, ...], minibatch_std: bool) -> None:
    """The last layer is linear in the features, for one output and for many; forward hands both out."""
    for outputs in (1, 4):
        net = discriminator(name, shape, outputs=outputs, minibatch_std=minibatch_std)
        x = images(5, shape)
        one_step(net, x)
        net.eval()
        logits, features = net(x, features=True)
        assert logits.shape == ((5,) if outputs == 1 else (5, outputs))
        assert features.dim() == 2
        assert torch.equal(net(x), logits)
        assert torch.equal(family(name).Discriminator.features(net, x), features)
        last = net.get_submodule("logit")
        affine = torch.nn.functional.linear(features, last.weight, last.bias)  # type: ignore[arg-type]
        torch.testing.assert_close(logits.view(5, outputs), affine, atol=1e-5, rtol=1e-4)
        net.zero_grad()
        (logits * torch.randn_like(logits)).sum().backward()
        assert_all_learn(net)


CONDITIONAL: list[dict[str, Any]] = [
    {}, {"conditional_norm": True}, {"self_modulation": True}, {"gated": True}, {"bilinear": True}
]  # fmt: skip


@pytest.mark.parametrize(("name", "player", "option"), known(CONDITIONAL, "Generator"))
def test_a_generator_follows_c(name: str, player: str, option: dict[str, Any]) -> None:
    net = generator(name, (3, 27, 33), condition=3, **option)
    z = torch.cat([torch.randn(5, LATENT), torch.eye(3)[torch.tensor([0, 1, 2, 2, 0])]], 1)
    one_step(net, z)
    x = net(z)
    assert x.shape == (5, 3, 27, 33)
    (x * torch.randn_like(x)).sum().backward()
    assert_all_learn(net)
    for _ in range(20):
        net(z)  # moves the statistics of norms to what is seen
    net.eval()
    one, other = (torch.cat([z[:1, :LATENT], c], 1) for c in torch.eye(3)[:2, None])
    assert not torch.allclose(net(one), net(other), atol=1e-4), "c must matter"
    torch.testing.assert_close(net(z)[:1], net(z[:1]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [p.values[0] for p in known(CONDITIONAL[1:2], "Generator")])
def test_a_conditional_norm_starts_as_the_plain_one_and_then_has_gains_for_each_c(name: str) -> None:
    """Two batches that differ in c alone: with c hidden from the first layer only the norms can tell them apart."""

    def blind() -> nn.Module:
        torch.manual_seed(0)
        net = generator(name, (1, 8, 8), condition=2, conditional_norm=True)
        with torch.no_grad():
            net.get_submodule("project").get_parameter("weight")[:, LATENT:] = 0
        return net

    z = torch.randn(6, LATENT)
    one, other = (torch.cat([z, c.expand(6, 2)], 1) for c in torch.eye(2))
    net = blind()
    assert torch.equal(net(one), net(other))
    with torch.no_grad():
        for key, parameter in net.named_parameters():
            if key.endswith("change"):
                parameter[:, 0] += 0.5
    assert not torch.allclose(net(one), net(other), atol=1e-3)
    torch.testing.assert_close(net(other), blind()(other))


@pytest.mark.parametrize("name", [p.values[0] for p in known(CONDITIONAL[2:3], "Generator")])
def test_norms_that_modulate_themselves_start_as_plain_ones_and_then_follow_z(name: str) -> None:
    """With z hidden from the first layer only the norms can tell two of them apart."""
    torch.manual_seed(0)
    net, z = generator(name, (1, 8, 8), self_modulation=True), torch.randn(6, LATENT).abs()
    with torch.no_grad():
        net.get_submodule("project").get_parameter("weight").zero_()
    assert torch.equal(*net(z)[:2])
    with torch.no_grad():
        for key, parameter in net.named_parameters():
            if key.endswith("change"):
                parameter[:, 0] += 0.5
    one, same, other = net(torch.stack([z[0], torch.cat([z[0, :1], z[1, 1:]]), z[1]]))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other, atol=1e-3)


def test_bilinear_interpolation_repeats_no_pixels() -> None:
    """Rows 1 and 2 of repeated pixels are alike before a convolution; so they are after one that looks at one pixel."""
    torch.manual_seed(0)
    alike = []
    for bilinear in (False, True):
        net = generator("fastgan", (1, 8, 8), bilinear=bilinear, excitation=False).eval()
        with torch.no_grad():
            for layer in net.modules():
                if isinstance(layer, nn.Conv2d):
                    layer.weight[:, :, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0.0
            x = net(torch.randn(2, LATENT))
        alike.append(torch.equal(x[:, :, ::2], x[:, :, 1::2]))
    assert alike == [True, False]


@pytest.mark.parametrize("name", FAMILIES)
def test_conditions_and_outputs_that_make_no_sense_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="outputs >= 1"):
        discriminator(name, (1, 8, 8), outputs=0)
    with pytest.raises(BadInput, match="length of c"):
        generator(name, (1, 8, 8), condition=-1)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_conditional_norm_without_a_condition_is_the_plain_one(name: str) -> None:
    if "conditional_norm" in inspect.signature(family(name).Generator).parameters:
        plain, conditional = (generator(name, (1, 8, 8), conditional_norm=norm).state_dict() for norm in (False, True))
        assert plain.keys() == conditional.keys()


@pytest.mark.parametrize(("name", "player", "option"), known(OPTIONS, "Generator", "Discriminator"))
def test_options_are_plain_and_work(name: str, player: str, option: dict[str, Any]) -> None:
    make, x = (generator, torch.randn(4, LATENT)) if player == "Generator" else (discriminator, images(4, (1, 12, 10)))
    net = make(name, (1, 12, 10), **json.loads(json.dumps(option)))
    one_step(net, x)
    y = net(x)
    assert y.shape == ((4, 1, 12, 10) if player == "Generator" else (4,))
    (y * torch.randn_like(y)).sum().backward()
    assert_all_learn(net)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_option_has_a_default_fit_for_json(name: str) -> None:
    for player, given in ((family(name).Generator, {"latent", "shape"}), (family(name).Discriminator, {"shape"})):
        parameters = inspect.signature(player).parameters
        assert given <= set(parameters)
        for option in set(parameters) - given:
            assert parameters[option].kind is inspect.Parameter.KEYWORD_ONLY
            json.dumps(parameters[option].default)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 27, 33)])
@pytest.mark.parametrize("name", FAMILIES)
def test_items_of_a_discriminator_are_scored_on_their_own(name: str, shape: tuple[int, ...]) -> None:
    net = discriminator(name, shape).eval()
    x = images(4, shape)
    assert torch.allclose(net(x)[:1], net(x[:1]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 27, 33)])
@pytest.mark.parametrize("name", FAMILIES)
def test_channels_last_changes_nothing(name: str, shape: tuple[int, ...]) -> None:
    z, x = torch.randn(3, LATENT), images(3, shape)
    fake, score = generator(name, shape).eval(), discriminator(name, shape).eval()
    before = fake(z), score(x)
    fake.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    score.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    after = fake(z), score(x.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(before[0], after[0], atol=1e-5)
    assert torch.allclose(before[1], after[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_reload_is_equal(name: str, tmp_path: Path) -> None:
    shape = (3, 20, 28)
    z, x = torch.randn(3, LATENT), images(3, shape)
    for make, inputs in ((generator, z), (discriminator, x)):
        net = make(name, shape)
        one_step(net, inputs)
        net.eval()
        save_file({key: value.contiguous() for key, value in net.state_dict().items()}, tmp_path / "net.safetensors")
        again = make(name, shape).eval()
        assert not torch.equal(net(inputs), again(inputs))
        again.load_state_dict(load_file(tmp_path / "net.safetensors"))
        assert torch.equal(net(inputs), again(inputs))


@pytest.mark.parametrize(("name", "player", "option"), known(PENALISED, "Discriminator"))
def test_penalty_on_the_gradient(name: str, player: str, option: dict[str, Any]) -> None:
    """The gradient of |dD/dx|^2 along a direction is its difference quotient along it, in double precision."""
    shape = (1, 9, 12)
    net = discriminator(name, shape, **option).double()
    x = images(4, shape).double().requires_grad_()
    one_step(net, x)
    net.eval()  # spectral normalisation then holds still between two evaluations

    def penalty() -> Tensor:
        (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
        return slope.square().sum()

    parameters = [parameter for parameter in net.parameters() if parameter.dim() > 1]
    directions = [torch.randn_like(parameter) for parameter in parameters]
    value = penalty()
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    along = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None)
    step = 1e-7
    with torch.no_grad():
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.add_(step * direction)
    quotient = float((penalty() - value).detach()) / step
    assert value > 0
    assert along == pytest.approx(quotient, rel=1e-3, abs=1e-5 * float(value.detach()))


@pytest.mark.parametrize("shape", [(2,), (1, 3, 8), (0, 8, 8), (8, 8)])
@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"mlp"}))
def test_what_is_no_image_is_refused(name: str, shape: tuple[int, ...]) -> None:
    for make in (generator, discriminator):
        with pytest.raises(BadInput, match="mlp"):
            make(name, shape)


@pytest.mark.parametrize("name", FAMILIES)
def test_images_of_another_shape_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match=r"3, 8, 8"):
        discriminator(name, (1, 8, 8))(images(2, (3, 8, 8)))


def test_vectors() -> None:
    net = generator("mlp", (2,))
    assert net(torch.randn(4, LATENT)).shape == (4, 2)
    with torch.no_grad():
        assert net(1000 * torch.randn(64, LATENT)).abs().max() > 1, "linear, not tanh"
    assert generator("mlp", (2,), output="tanh")(1000 * torch.randn(64, LATENT)).abs().max() <= 1
    assert discriminator("mlp", (2,))(torch.randn(4, 2)).shape == (4,)


@pytest.mark.parametrize(
    ("name", "options", "hint"),
    [
        ("mlp", {"activation": "maxot"}, "maxout"),
        ("dcgan", {"norm": "spectrl"}, "spectral"),
        ("modern", {"stem": 3}, "stem"),
        ("modern", {"blocks": [1, 1]}, "levels"),
        ("modern", {"group": 0}, "group"),
        ("resnet", {"flat": -1}, "flat"),
        ("resnet", {"width": 0}, "width"),
        ("dcgan", {"bottom": 0}, "bottom"),
    ],
)
def test_options_that_make_no_sense_are_refused(name: str, options: dict[str, Any], hint: str) -> None:
    with pytest.raises(BadInput, match=hint) as caught:
        discriminator(name, (1, 28, 28), **options)
    assert "\n" not in str(caught.value)
