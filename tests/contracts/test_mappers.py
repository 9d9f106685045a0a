"""Every network from images to images, because it exists; and the discriminator of patches that goes with them."""

import inspect
import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

import evenodds
from evenodds.apply.features import features
from evenodds.errors import BadInput
from evenodds.evaluation.equilibrium import discriminator_report
from evenodds.game.arithmetic import luma
from evenodds.game.optimizers import eager
from evenodds.parts.losses import penalties
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.mappers import pretrained
from evenodds.parts.mappers._parts import enlarged
from evenodds.parts.mappers.patch import Discriminator
from evenodds.parts.mappers.unet import NORMS
from evenodds.pretrained.efficientnet_lite import EfficientNetLite
from evenodds.runs.find import find, names, network
from evenodds.runs.peak import on_meta
from evenodds.tasks.contest import Contest

FAMILIES = names("mappers")
SMALL: dict[str, dict[str, Any]] = {
    "residual": {"width": 8, "blocks": 2},
    "dense": {"width": 8, "growth": 4, "blocks": 1},
    "unet": {"width": 8, "depth": 2},
    "dilated": {"width": 4, "middle": 1, "blocks": 2},
    "pretrained": {"width": 12},
}
"""A family that is not here is tested with its defaults."""


@pytest.fixture(autouse=True)
def _one_seed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same draws for each test, and random weights in place of published ones."""
    monkeypatch.setattr(pretrained, "is_here", lambda: True)
    monkeypatch.setattr(pretrained, "published", EfficientNetLite)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def mapper(name: str, inputs: int, outputs: int, **options: Any) -> nn.Module:
    net: nn.Module = network(name, "Mapper")(inputs, outputs, **{**SMALL.get(name, {}), **options})
    return net


def scales(name: str) -> list[int]:
    """Those that a family knows."""
    found = []
    for scale in (1, 2, 3, 4):
        try:
            mapper(name, 1, 1, scale=scale)
            found.append(scale)
        except BadInput:
            pass
    return found


CASES = [(name, scale) for name in FAMILIES for scale in scales(name)]


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_any_size_and_any_channels_go_in_and_every_weight_learns(name: str, scale: int) -> None:
    for inputs, outputs, size in ((3, 3, (12, 16)), (1, 3, (7, 9)), (4, 2, (1, 1))):
        if (name, inputs) == ("pretrained", 4):  # it was trained on colours
            with pytest.raises(BadInput, match="1 or 3 channels, got 4; set generator=dilated"):
                mapper(name, inputs, outputs)
            continue
        net = mapper(name, inputs, outputs, scale=scale)
        x = torch.rand(4, inputs, *size) * 2 - 1
        # What starts at zero hides what lies behind it from the first gradient.
        for _ in range(2):
            net.zero_grad()
            made = net(x)
            (made * torch.randn_like(made)).sum().backward()
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter.add_(0.01 * torch.randn_like(parameter))
        assert made.shape == (4, outputs, scale * size[0], scale * size[1])
        without = [key for key, parameter in net.named_parameters() if parameter.grad is None]
        assert not without
        if size != (1, 1):
            assert all(parameter.grad.abs().max() > 0 for parameter in net.parameters() if parameter.grad is not None)
        assert net.eval()(x[:1]).shape == made[:1].shape


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_the_margin_is_how_far_a_pixel_reaches(name: str, scale: int) -> None:
    net = mapper(name, 1, 1, scale=scale).double().eval()
    if net.margin is None:  # all pixels do
        x = torch.rand(1, 1, 160, 160, dtype=torch.float64)
        x[..., 0, 0], other = 0.1, x.clone()
        other[..., 0, 0] = 0.9
        assert (net(x) - net(other)).abs()[..., -1, -1] > 0
        return
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.rand_like(parameter) + 0.1)  # positive weights: nothing cancels
            parameter.div_(max(1, parameter[0].numel()))
    side = 2 * int(net.margin) + 2 * int(net.multiple) + 1  # type: ignore[arg-type]
    side += -side % int(net.multiple)  # type: ignore[arg-type]
    x = torch.rand(1, 1, side, side, dtype=torch.float64)
    at, reached = side // 2, 0
    for corner in (0, int(net.multiple) - 1):  # type: ignore[arg-type]
        other = x.clone()
        other[0, 0, at + corner, at + corner] += 0.5
        changed = (net(other) - net(x)).abs()[0, 0] > 0
        away = (torch.arange(side * scale) // scale - at - corner).abs()
        reached = max(reached, int(away[changed.any(1)].max()), int(away[changed.any(0)].max()))
    assert reached <= net.margin
    assert 2 * reached >= net.margin  # a bound twice as far would cost more than it is worth


@pytest.mark.parametrize(("depth", "blocks", "stem"), [(0, 1, 2), (1, 2, 1), (2, 1, 2), (3, 1, 1), (2, 2, 2)])
def test_no_place_of_a_unet_sees_further_than_its_margin(depth: int, blocks: int, stem: int) -> None:
    """Each pixel of a column is changed in turn: what is out of reach is computed alike, bit for bit."""
    net = mapper("unet", 1, 1, width=4, depth=depth, blocks=blocks, stem=stem).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.rand_like(parameter) + 0.1)
            parameter.div_(max(1, parameter[0].numel()))
    margin, multiple = int(net.margin), int(net.multiple)  # type: ignore[arg-type]
    side = -(-(2 * margin + 3) // multiple) * multiple
    x = torch.rand(1, 1, side, multiple, dtype=torch.float64)
    others = x.repeat(side, 1, 1, 1)
    others[torch.arange(side), :, torch.arange(side)] += 1
    with torch.no_grad():
        changed = (net(others) - net(x)).abs().amax((1, 3)) > 0
    pixel, place = changed.nonzero().unbind(1)
    assert (pixel - place).abs().max() <= margin


@pytest.mark.parametrize("stem", [1, 2])
def test_a_unet_draws_no_checkerboard(stem: int) -> None:
    """A flat image stays flat away from its borders: at the start, and with single pixels whatever the weights."""
    net = mapper("unet", 2, 3, stem=stem).eval()
    x = torch.tensor([0.3, -0.6]).view(1, 2, 1, 1).expand(1, 2, 128, 128)
    far = int(net.margin)  # type: ignore[arg-type]
    for _ in range(2 if stem == 1 else 1):
        with torch.no_grad():
            inner = net(x)[..., far:-far, far:-far]
        assert inner.abs().max() > 1e-3
        assert torch.allclose(inner, inner[..., :1, :1].expand_as(inner), atol=1e-5)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))


@pytest.mark.parametrize("name", FAMILIES)
def test_options_are_plain_and_have_defaults(name: str) -> None:
    parameters = inspect.signature(network(name, "Mapper")).parameters
    assert list(parameters)[:2] == ["inputs", "outputs"]
    for option in list(parameters)[2:]:
        assert parameters[option].kind is inspect.Parameter.KEYWORD_ONLY
        json.dumps(parameters[option].default)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="channel"):
        mapper(name, 0, 1)
    with pytest.raises(BadInput, match="scale=7"):
        mapper(name, 1, 1, scale=7)
    with pytest.raises(BadInput, match="bring the images to 3 channels"):
        mapper(name, 3, 3)(torch.zeros(1, 1, 8, 8))


@pytest.mark.parametrize("name", FAMILIES)
def test_channels_last_changes_nothing(name: str) -> None:
    net, x = mapper(name, 3, 3).eval(), torch.rand(2, 3, 10, 12)
    before = net(x)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert torch.allclose(before, net(x.contiguous(memory_format=torch.channels_last)), atol=1e-5)


@pytest.mark.parametrize(("name", "scale"), [case for case in CASES if case[1] > 1])
def test_untrained_enlargement_is_bicubic(name: str, scale: int) -> None:
    """As Pillow's, to a grey value of 255, wherever no value leaves the range and is cut there."""
    x = torch.randint(60, 190, (1, 1, 9, 11), dtype=torch.uint8)
    mine = (mapper(name, 1, 1, scale=scale)(x / 127.5 - 1) + 1) * 127.5
    image = Image.fromarray(x[0, 0].numpy()).resize((11 * scale, 9 * scale), Image.Resampling.BICUBIC)
    theirs = torch.tensor(list(image.tobytes())).view(9 * scale, 11 * scale)
    assert (mine[0, 0] - theirs).abs().max() <= 1


@pytest.mark.parametrize("name", ["residual", "dense"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_colour_at_the_resolution_of_the_source_has_no_finer_detail(name: str, scale: int) -> None:
    """Of what is added: luma is rough from pixel to pixel, colour far less; and there is nothing at the start."""
    net, x = mapper(name, 3, 3, scale=scale, chroma="source").double().eval(), torch.rand(2, 3, 12, 12).double()
    assert torch.allclose(net(x), enlarged(x, scale))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        red, green, blue = (net(x) - enlarged(x, scale)).unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    finest = [
        float((part[..., 1:] - part[..., :-1]).diff().square().mean() / part.var()) for part in (luma, blue - luma)
    ]
    assert finest[1] < 0.1 * finest[0]
    assert net.margin == mapper(name, 3, 3, scale=scale).margin + 2  # type: ignore[operator]
    grey = mapper(name, 1, 1, scale=scale, chroma="source")
    assert grey.state_dict().keys() == mapper(name, 1, 1, scale=scale).state_dict().keys()
    assert grey.leave.out_channels == scale**2  # type: ignore[union-attr]
    with pytest.raises(BadInput, match="did you mean 'source'"):
        mapper(name, 3, 3, scale=scale, chroma="sourc")


@pytest.mark.parametrize("norm", NORMS)
def test_norms_of_the_unet(norm: str) -> None:
    net = mapper("unet", 3, 2, norm=norm, stem=2)
    assert net(torch.rand(2, 3, 14, 10)).shape == (2, 2, 14, 10)
    assert (net.margin is None) == (norm in ("instance", "group"))
    with pytest.raises(BadInput, match="instance"):
        mapper("unet", 3, 3, norm="instanc")


def test_a_pretrained_encoder_is_tuned_by_its_share_of_a_step_and_needs_no_extra_once_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, x = EfficientNetLite(), torch.rand(2, 3, 32, 48) * 2 - 1
    monkeypatch.setattr(pretrained, "published", lambda: deepcopy(whole))
    net = mapper("pretrained", 3, 2, frozen=3, rate=0.25)
    due, found = whole(x)[:3], net.encoder(x, (3, 5, 11))  # type: ignore[operator]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(due, found, strict=True))
    net(x).square().mean().backward()
    before = {name: layer.weight * layer.rate for name, layer in layers(net.encoder)}
    eager(torch.optim.Adam)(net.parameters(), 0.01, eps=1e-30).step()
    for name, layer in layers(net.encoder):
        change = (layer.weight * layer.rate - before[name]).abs().max().item()
        learns = name.startswith("blocks") and int(name.split(".")[1]) >= 3
        assert change == pytest.approx(0.0025 if learns else 0, rel=1e-2)
    block: Any = net.encoder.blocks[3]  # type: ignore[union-attr,index]
    with torch.autocast("cpu", torch.bfloat16):
        wide = block.widen(torch.rand(2, 24, 9, 9))
        assert (wide.dtype, block.look(wide).dtype) == (torch.bfloat16, torch.float32)  # slow otherwise
    monkeypatch.setattr(pretrained, "is_here", lambda: False)
    other = mapper("pretrained", 3, 2, frozen=3, rate=0.25)
    with pytest.raises(BadInput, match=r"pip install 'evenodds\[pretrained\]'"):
        other(x)
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    with pytest.raises(BadInput, match=r"pip install 'evenodds\[pretrained\]'"):
        evenodds.fit(images, "denoise", out=tmp_path / "run", images=8, batch=4, generator="pretrained", device="cpu")
    assert not (tmp_path / "run").exists()
    other.load_state_dict(net.state_dict())
    assert torch.equal(other.eval()(x), net.eval()(x))


@pytest.mark.parametrize("name", FAMILIES)
def test_memory_is_counted_on_networks_without_values(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def published() -> EfficientNetLite:
        network = EfficientNetLite()
        assert len(network.stem.weight.detach().numpy()) == 32  # its values are looked at
        return network

    monkeypatch.setattr(pretrained, "published", published)
    with torch.device("meta"):
        first = mapper(name, 3, 2)
    for net in (first, on_meta(lambda: mapper(name, 3, 2))):
        assert {one.untyped_storage().device.type for one in (*net.parameters(), *net.buffers())} == {"meta"}


def layers(net: Any) -> list[tuple[str, Any]]:
    return [(name, part) for name, part in net.named_modules() if isinstance(part, nn.Conv2d)]


def test_a_unet_that_takes_something_away_starts_by_taking_nothing() -> None:
    x = torch.rand(2, 3, 9, 9)
    assert torch.equal(mapper("unet", 3, 3, skip=True)(x), x)


def test_a_unet_that_gives_colours_keeps_the_luma_and_starts_grey() -> None:
    net, x = mapper("unet", 1, 3, luma="source"), torch.rand(2, 1, 9, 9)
    assert torch.allclose(net(x), x.expand(-1, 3, -1, -1))
    nn.init.normal_(net.leave.weight)
    made = net(x)
    assert float((made - x).detach().abs().mean()) > 0.1
    assert torch.allclose(luma(made), x, atol=1e-5)
    for inputs, outputs, options in ((3, 3, {}), (1, 1, {}), (1, 3, {"skip": True}), (1, 3, {"luma": "none"})):
        with pytest.raises(BadInput, match="luma"):
            mapper("unet", inputs, outputs, **{"luma": "source", **options})


# --- patches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 36), (5, 4, 7)])
def test_a_discriminator_of_patches(shape: tuple[int, ...]) -> None:
    net = find("networks", "patch").Discriminator(shape, width=8)
    x = torch.rand(5, *shape) * 2 - 1
    logits, features = net(x, features=True)
    assert logits.shape == features.shape[:2]
    assert torch.allclose(F.linear(features, net.logit.weight, net.logit.bias)[..., 0], logits)
    assert torch.allclose(net(x)[:1], net(x[:1]), atol=1e-6)
    logits.square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in net.parameters())
    with pytest.raises(BadInput, match="resize the data"):
        net(torch.zeros(1, 9, *shape[1:]))


def test_a_patch_spans_as_many_pixels_as_it_says() -> None:
    """5 * 2^layers - 2: halvings by 4 x 4, then one 3 x 3."""
    for layers in (1, 2, 3):
        net = Discriminator((1, 64, 64), width=4, layers=layers)
        x = torch.zeros(1, 1, 64, 64, requires_grad=True)
        side = 64 // 2**layers
        middle = net(x).view(side, side)[side // 2, side // 2]
        (slope,) = torch.autograd.grad(middle, x)
        assert int((slope[0, 0] != 0).any(1).sum()) == 5 * 2**layers - 2


@pytest.mark.parametrize("penalty", [penalties.r1, penalties.r1_r2, penalties.gradient_penalty, penalties.dragan])
def test_penalties_of_patches_are_those_of_their_mean(penalty: Any) -> None:
    """As if the discriminator gave one logit, the mean: otherwise they would grow with the square of the patches."""

    class Mean(nn.Module):
        def __init__(self, patches: nn.Module) -> None:
            super().__init__()
            self.patches = patches

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.patches(x)
            return logits.mean(1)

    net = Discriminator((1, 12, 12), width=8, layers=2)
    real, fake = torch.rand(2, 3, 1, 12, 12).unbind()
    contest = Contest(non_saturating, penalty)
    hand = contest.deal(real, torch.Generator().manual_seed(0))
    costs = [contest.discriminator_costs(judge, real, fake, hand, True)["penalty"] for judge in (net, Mean(net))]
    assert float(costs[0].detach()) == pytest.approx(float(costs[1].detach()), rel=1e-5)
    assert net(real).shape[1] == 9


def test_penalties_of_linear_patches_in_closed_form() -> None:
    """D_p(x) = w_p x with one w_p for each patch: r1 is half the square of the mean w, for every item."""
    w = torch.randn(6, 4)
    judge = nn.Linear(4, 6, bias=False)
    judge.weight.data.copy_(w)
    real, fake = torch.randn(2, 3, 4).unbind()
    costs = Contest(non_saturating, penalties.r1).discriminator_costs(judge, real, fake, {}, True)
    assert float(costs["penalty"].detach()) == pytest.approx(0.5 * float(w.mean(0).square().sum()), rel=1e-5)


def test_simultaneous_moves_refuse_patches() -> None:
    net, x = Discriminator((1, 8, 8), width=4), torch.rand(2, 1, 8, 8)
    with pytest.raises(BadInput, match="one logit for each item") as caught:
        Contest(non_saturating).simultaneous_costs(net, x, x.clone().requires_grad_(), {})
    assert "\n" not in str(caught.value)


def test_a_run_with_a_discriminator_of_patches_is_a_run(tmp_path: Path) -> None:
    """Wherever one number for each item is expected there is one."""
    options = {"generator__width": 8, "discriminator": {"name": "patch", "width": 8, "layers": 1}, "batch": 16}
    data = torch.randint(256, (40, 1, 8, 8), dtype=torch.uint8).numpy()
    session = evenodds.fit(data, "digits", out=tmp_path / "run", images=32, device="cpu", **options)
    judged = session.probability_real(session.sample(3))
    assert judged.shape == (3,)
    seen = torch.rand(5, 1, 8, 8)
    given = features(session, seen)
    logit = session.players["discriminator"].get_submodule("logit")
    mean = F.linear(torch.from_numpy(given), logit.weight, logit.bias)[:, 0]  # type: ignore[arg-type]
    with torch.no_grad():
        assert torch.allclose(mean, session.players["discriminator"](seen).mean(1), atol=1e-5)
    own = discriminator_report(session, seen, torch.rand(4, 1, 8, 8))
    assert 0 <= own.accuracy.value <= 1
