"""Every degradation, because it exists; and how they are named and put together."""

from typing import Any

import pytest
import torch

from evenodds.errors import BadInput
from evenodds.parts.degradations import Blur, Chain, Degradation, Downscale, Hide, Jpeg, Noise, Realistic
from evenodds.parts.masks import Boxes, Halves, OneOf
from evenodds.runs.build_contest import build_degradation
from evenodds.runs.find import find, names

NAMES = names("degradations")
SHAPES = [(5, 3, 16, 24), (1, 1, 8, 4), (2, 4, 12, 20)]
DETERMINED = {"downscale", "edges", "grey"}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=seeded(9)) * 2 - 1


def test_types_and_combinators_are_not_listed() -> None:
    assert {"downscale", "realistic", "noise", "blur", "jpeg", "grey", "edges", "hide"} <= set(NAMES)
    assert not {"degradation", "chain"} & set(NAMES)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_degradation(name: str, shape: tuple[int, ...]) -> None:
    make: Degradation = build_degradation(name)
    x = images(*shape)
    kept = x.clone()
    source = make(x, seeded())
    n, c, height, width = shape
    assert source.shape == (n, make.channels(c), height // make.scale, width // make.scale)
    assert source.dtype == x.dtype
    assert source.isfinite().all()
    assert source.abs().max() <= 1 + 1e-6
    assert torch.equal(x, kept), "the image is the target: it stays as it is"
    assert torch.equal(source, make(x, seeded())), "all randomness comes from rng"
    last = make(x.contiguous(memory_format=torch.channels_last), seeded())
    assert torch.allclose(last, source, atol=2 / 255 if name in ("jpeg", "realistic") else 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_each_item_has_draws_of_its_own(name: str) -> None:
    make = build_degradation(name)
    source = make(images(1, 3, 16, 16).expand(6, -1, -1, -1), seeded())
    alike = all(torch.allclose(source[0], other, atol=1e-6) for other in source[1:])
    assert alike == (name in DETERMINED)
    assert torch.equal(source, make(images(1, 3, 16, 16).expand(6, -1, -1, -1), seeded(1))) == (name in DETERMINED)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_read_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("a value is read back: that waits for the device")

    make, x = build_degradation(name), images(2, 3, 16, 16)
    with monkeypatch.context() as patch:
        for reader in ("item", "tolist", "numpy", "cpu", "nonzero", "__bool__", "__int__", "__float__", "__index__"):
            patch.setattr(torch.Tensor, reader, refused)
        make(x, seeded())
        with pytest.raises(AssertionError, match="read back"):
            bool(x.sum() > 0)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="images"):
        build_degradation(name)(torch.zeros(3, 4), seeded())


def test_built_from_names_and_options() -> None:
    assert build_degradation("Noise") == Noise()
    assert build_degradation({"name": "noise", "low": 10, "high": 20}) == Noise(10, 20)
    parts: list[Any] = ["blur", {"name": "downscale", "scale": 2}]
    assert build_degradation(parts) == Chain((Blur(), Downscale(2)))
    assert build_degradation("blur, jpeg") == Chain((Blur(), Jpeg()))
    assert build_degradation({"name": "hide", "masks": "boxes,halves"}) == Hide(OneOf((Boxes(), Halves())))
    assert build_degradation({"name": "realistic", "noise": [0, 5]})(images(1, 3, 8, 8), seeded()).shape[2] == 2
    assert find("degradations", "jpeg") is Jpeg


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("nois", "did you mean 'noise'"),
        ({"name": "noise", "lo": 3}, "option of degradation 'noise' 'lo'"),
        ({"low": 3}, "needs a name"),
        (3, "needs a name"),
        ([], "none"),
        (["blur", None], "needs a name"),
        ({"name": "hide", "masks": "boxs"}, "did you mean 'boxes'"),
        ({"name": "hide", "masks": 3}, "masks need names"),
        ({"name": "noise", "low": "much"}, "low must be a number"),
        ({"name": "noise", "low": 9, "high": 3}, "low <= high"),
        ({"name": "blur", "low": -1}, "low <= high"),
        ({"name": "jpeg", "high": 101}, "100"),
        ({"name": "downscale", "scale": 0}, "whole number"),
        ({"name": "downscale", "scale": 1.5}, "whole number"),
        ({"name": "edges", "gain": 0}, "above 0"),
        ({"name": "realistic", "quality": [0, 5]}, "100"),
        ({"name": "realistic", "blur": [1]}, "two numbers"),
        ({"name": "realistic", "blur": 2.0}, "blur must be a list"),
    ],
)
def test_what_makes_no_sense_is_refused(value: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        build_degradation(value)
    assert "\n" not in str(caught.value)


def test_images_that_do_not_fit_are_refused() -> None:
    for make in (Downscale(4), Realistic(4)):
        with pytest.raises(BadInput, match="4 times smaller"):
            make(images(1, 3, 16, 18), seeded())
    for name in ("grey", "edges"):
        with pytest.raises(BadInput, match="channels"):
            build_degradation(name)(images(1, 2, 8, 8), seeded())
