"""Degradations beside Pillow's own: the same sources, up to rounding."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from evenodds.parts.degradations import Downscale, Grey, Jpeg


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def levels(x: Tensor) -> np.ndarray:
    """(1, C, H, W) in [-1, 1] -> (H, W, C) in [0, 255], not rounded."""
    return ((x[0].permute(1, 2, 0) + 1) * 127.5).numpy()


def picture(height: int, width: int, channels: int = 3, texture: float = 20.0) -> tuple[np.ndarray, Tensor]:
    """Smooth colours with a texture: (H, W, C) uint8, and the same in [-1, 1]."""
    coarse = torch.randn(1, channels, 5, 7, generator=seeded()) * 60 + 128
    wide = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    wide = wide + texture * torch.randn(wide.shape, generator=seeded(1))
    pixels = wide.round().clamp(0, 255)
    return pixels[0].permute(1, 2, 0).byte().numpy(), pixels / 127.5 - 1


@pytest.mark.parametrize(("scale", "size"), [(2, (32, 48)), (3, (33, 48)), (4, (32, 20)), (8, (64, 40))])
def test_downscale_is_bicubic_as_pillow_has_it(scale: int, size: tuple[int, int]) -> None:
    pixels, x = picture(*size, texture=60)
    ours = levels(Downscale(scale)(x, seeded()))
    small = (size[1] // scale, size[0] // scale)
    # In floats there is no rounding between rows and columns.
    for channel in range(3):
        plane = Image.fromarray(pixels[..., channel].astype(np.float32))
        theirs = np.asarray(plane.resize(small, Image.Resampling.BICUBIC)).clip(0, 255)
        assert np.abs(ours[..., channel] - theirs).max() < 2e-3
    # In 8 bits there is, and clipping: only where no value leaves the range are the results a level apart at most.
    pixels, x = picture(*size, texture=5)
    ours = levels(Downscale(scale)(x, seeded()))
    theirs = np.asarray(Image.fromarray(pixels).resize(small, Image.Resampling.BICUBIC)).astype(float)
    assert np.abs(ours.round() - theirs).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [5, 25, 49, 50, 75, 92, 100])
def test_jpeg_is_what_pillow_reads_back(quality: int, channels: int) -> None:
    pixels, x = picture(45, 60, channels)
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "JPEG", quality=quality, subsampling=0)
    theirs = np.asarray(Image.open(file)).reshape(pixels.shape).astype(float)
    ours = levels(Jpeg(quality, quality)(x, seeded()))
    assert np.abs(ours - ours.round()).max() < 1e-3, "8-bit levels"
    # Their transforms are of whole numbers: where a coefficient is near the middle of a step, 1 % of all, it may be
    # rounded to the other side, and then its block differs.
    apart, lost = deviation(ours, theirs), deviation(theirs, pixels)
    assert np.median(np.abs(ours - theirs)) < 0.5
    assert apart < max(0.25 * lost, 0.7)
    assert deviation(ours, pixels) == pytest.approx(lost, rel=0.02, abs=0.05)
    if quality < 100:
        for other in (quality - 1, quality + 1):
            assert apart < 0.6 * deviation(levels(Jpeg(other, other)(x, seeded())), theirs), "this quality, no other"


def deviation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.square(a - b).mean()))


def test_grey_is_the_luma_of_pillow() -> None:
    pixels, x = picture(16, 24)
    theirs = np.asarray(Image.fromarray(pixels).convert("L")).astype(float)
    assert np.abs(levels(Grey()(x, seeded()))[..., 0] - theirs).max() <= 0.51
