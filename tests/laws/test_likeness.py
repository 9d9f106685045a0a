"""Figures of a picture by strips are those of the whole."""

import math

import numpy as np
import pytest
import torch

from evenodds.data.pictures.picture import DecodedImage
from evenodds.evaluation import likeness as by_strips
from evenodds.evaluation.likeness import enlarged_rows, likeness, rows_of
from evenodds.metrics.psnr import psnr, video_luma
from evenodds.metrics.ssim import ssim
from evenodds.parts.mappers._parts import enlarged

RNG = np.random.default_rng(0)


def picture(height: int, width: int, channels: int, kind: type = np.uint8) -> DecodedImage:
    pixels = RNG.integers(0, np.iinfo(kind).max, (height, width, channels), kind, endpoint=True)
    return DecodedImage("a.png", pixels, (height, width))


def whole(picture: DecodedImage) -> torch.Tensor:
    x = picture.pixels.astype(np.float32) / np.iinfo(picture.pixels.dtype).max * 2 - 1
    return torch.from_numpy(x).permute(2, 0, 1)[None]


@pytest.mark.parametrize("at_once", [1, 300, 1 << 20])
@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize(
    ("height", "width", "channels"), [(40, 31, 3), (33, 20, 1), (9, 50, 3), (50, 6, 1), (3, 60, 3)]
)
def test_strips_add_up(
    at_once: int, scale: int, height: int, width: int, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_strips, "_AT_ONCE", at_once)
    x, y = picture(height, width, channels), picture(height, width, channels, np.uint16)
    figures = likeness(rows_of(x, channels), rows_of(y, channels), scale)
    border = scale if scale > 1 and min(height, width) > 2 * scale + 3 else 0
    inner = slice(border, -border or None)
    assert figures["psnr"] == pytest.approx(float(psnr(whole(x), whole(y), border)), abs=1e-9)
    if min(height, width) < 4:
        assert math.isnan(figures["ssim"])
        return
    luminance = [video_luma(whole(one))[..., inner, inner] for one in (x, y)]
    assert figures["ssim"] == pytest.approx(float(ssim(*luminance)), abs=1e-12)
    assert ("colour_psnr" in figures) == (scale == 1 and channels == 3)
    if "colour_psnr" in figures:
        assert figures["colour_psnr"] == pytest.approx(float(psnr(whole(x), whole(y), colours=True)), abs=1e-9)


def test_equal_pictures_are_equal() -> None:
    x = rows_of(picture(20, 20, 3), 3)
    assert likeness(x, x, 1) == {"psnr": math.inf, "ssim": 1.0, "colour_psnr": math.inf}


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_rows_of_the_enlargement_are_those_of_the_whole(scale: int) -> None:
    source = picture(17, 12, 1)
    rows = enlarged_rows(rows_of(source, 1), scale, 3)
    assert rows.size == (17 * scale, 12 * scale)
    want = ((enlarged(whole(source).expand(-1, 3, -1, -1), scale).clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
    apart = np.abs(rows.take(np.arange(17 * scale)) - want.numpy())
    assert apart.max() <= 1.01 / 127.5
    assert (apart > 1e-6).mean() < 2e-3  # where a number lies between two levels
    for top, after in ((0, 1), (5, 9), (3, 17 * scale), (17 * scale - 2, 17 * scale)):
        part = rows.take(np.arange(top, after))
        assert part.shape == (1, 3, after - top, 12 * scale)
        assert np.abs(part - want[..., top:after, :].numpy()).max() <= 1.01 / 127.5


def test_only_a_strip_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_strips, "_AT_ONCE", 100)
    asked: list[int] = []
    x = rows_of(picture(200, 20, 3), 3)

    def take(at: np.ndarray) -> np.ndarray:
        asked.append(len(at))
        return x.take(at)

    likeness(by_strips.Rows(x.size, take), x, 1)
    assert max(asked) == 15  # Five rows, and ten that the window needs below them.
