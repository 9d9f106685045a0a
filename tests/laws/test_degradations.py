"""What degradations do, in numbers that are known: deviations, variances, means, identities."""

import math

import pytest
import torch

from evenodds.game.seeds import mix
from evenodds.parts.degradations import Blur, Chain, Downscale, Edges, Grey, Hide, Jpeg, Noise, Realistic
from evenodds.parts.masks import Boxes


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(n: int, c: int, height: int, width: int) -> torch.Tensor:
    coarse = torch.rand(n, c, 4, 4, generator=seeded(mix(3))) * 1.6 - 0.8
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def test_noise_has_the_asked_deviation() -> None:
    x = torch.zeros(200, 1, 40, 40)
    one = Noise(20, 20)(x, seeded()) * 127.5
    assert float(one.mean()) == pytest.approx(0, abs=0.15)
    assert float(one.std()) == pytest.approx(20, rel=0.01)
    # Uniform in [10, 30], item by item: mean 20, variance 20^2 / 12.
    levels = (Noise(10, 30)(x, seeded()) * 127.5).flatten(1).std(1)
    assert 9 < float(levels.min()) < 12
    assert 28 < float(levels.max()) < 31.5
    assert float(levels.mean()) == pytest.approx(20, abs=1.5)
    assert float(levels.std()) == pytest.approx(20 / math.sqrt(12), rel=0.15)
    assert torch.equal(Noise(0, 0)(smooth(2, 3, 8, 8), seeded()), smooth(2, 3, 8, 8))


@pytest.mark.parametrize("sigma", [1.0, 2.5])
def test_blur_of_a_point_is_a_gaussian(sigma: float) -> None:
    point = torch.zeros(1, 1, 41, 47)
    point[:, :, 20, 23] = 1
    spread = Blur(sigma, sigma)(point, seeded())[0, 0].double()
    down, right = (torch.arange(side) - side // 2 for side in spread.shape)
    assert float(spread.sum()) == pytest.approx(1, abs=1e-5)
    for share, at in ((spread.sum(1), down), (spread.sum(0), right)):
        assert float((share * at).sum()) == pytest.approx(0, abs=1e-5)
        assert float((share * at**2).sum()) == pytest.approx(sigma**2, rel=3e-3)
    peak = 1 / (2 * math.pi * sigma**2)
    assert float(spread[20, 23]) == pytest.approx(peak, rel=3e-3)


def test_blur_keeps_the_mean_of_every_plane() -> None:
    x = torch.rand(6, 3, 5, 18, generator=seeded()) * 2 - 1  # 12 pixels of reach: farther than the image is high
    blurred = Blur(0.2, 3)(x, seeded())
    assert torch.allclose(blurred.mean((2, 3)), x.mean((2, 3)), atol=1e-6)
    assert (blurred.var((2, 3)) < x.var((2, 3))).all()
    assert torch.allclose(Blur(0, 0)(x, seeded()), x, atol=1e-6)
    assert torch.allclose(Blur(0.1, 0.1)(x, seeded()), x, atol=1e-6), "a kernel that ends within its pixel"


def test_blurs_add_up_in_variance() -> None:
    x = torch.rand(2, 1, 20, 20, generator=seeded()) * 2 - 1
    twice = Chain((Blur(1.2, 1.2), Blur(1.6, 1.6)))(x, seeded())
    assert torch.allclose(twice, Blur(2, 2)(x, seeded()), atol=2e-3)


def test_jpeg_errs_more_at_lower_quality() -> None:
    x = smooth(4, 3, 20, 28)
    x = (x + 0.1 * torch.randn(x.shape, generator=seeded())).clamp(-1, 1)
    error = [
        float((Jpeg(quality, quality)(x, seeded()) - x).square().mean().sqrt()) * 127.5
        for quality in (100, 90, 70, 40, 15, 4)
    ]
    assert error == sorted(error)
    assert error[0] < 1.0, "at 100 every step is 1: only rounding, to 8 bits as well"
    assert error[-1] > 8 * error[0]


def test_jpeg_of_grey_is_exact_where_a_block_is_constant() -> None:
    level = torch.arange(0, 256, 5.0).view(-1, 1, 1, 1).expand(-1, 1, 9, 5)
    # Only the first coefficient, 8 (level - 128), is there; at 100 its step is 1.
    back = (Jpeg(100, 100)(level / 127.5 - 1, seeded()) + 1) * 127.5
    assert torch.allclose(back, level, atol=1e-4)
    # Its step is 16 at 50: rounded to a multiple of 16 / 8 = 2 levels.
    back = (Jpeg(50, 50)(level / 127.5 - 1, seeded()) + 1) * 127.5
    assert float((back - level).abs().max()) == pytest.approx(1, abs=1e-3)
    assert ((back - 128) % 2 < 1e-3).logical_or((back - 128) % 2 > 2 - 1e-3).logical_or(back > 254).all()


def test_jpeg_of_a_decoded_file_changes_little_and_alpha_is_kept() -> None:
    x = smooth(2, 4, 16, 16)
    once = Jpeg(60, 60)(x, seeded())
    again = Jpeg(60, 60)(once, seeded())
    assert torch.equal(once[:, 3:], x[:, 3:])
    assert (again - once).abs().mean() < 0.1 * (once - x)[:, :3].abs().mean()


def test_qualities_are_drawn_for_each_item() -> None:
    x = smooth(1, 1, 16, 16).expand(400, -1, -1, -1)
    found = Jpeg(10, 12)(x, seeded())
    kinds, counts = found.flatten(1).unique(dim=0, return_counts=True)
    assert len(kinds) == 3, "10, 11 and 12"
    assert ((counts > 100) & (counts < 170)).all()
    each = {Jpeg(quality, quality)(x[:1], seeded()).flatten() for quality in (10, 11, 12)}
    assert all(any(torch.equal(one, kind) for kind in kinds) for one in each)


def test_grey_of_grey_is_grey() -> None:
    x = smooth(3, 3, 6, 7)
    grey = Grey()(x, seeded())
    assert torch.equal(Grey()(grey, seeded()), grey)
    assert torch.allclose(Grey()(grey.expand(-1, 3, -1, -1), seeded()), grey, atol=1e-6)
    rgb = torch.eye(3).view(3, 3, 1, 1)
    assert torch.allclose(Grey()(rgb, seeded()).flatten(), torch.tensor([0.299, 0.587, 0.114]))


def test_edges_of_planes_and_steps() -> None:
    flat = torch.full((1, 3, 6, 6), 0.3)
    assert torch.equal(Edges()(flat, seeded()), -torch.ones(1, 1, 6, 6))
    # A plane with slopes a and b has the same gradient everywhere: 2 tanh(4 sqrt(a^2 + b^2)) - 1.
    a, b = 0.03, -0.04
    plane = (a * torch.arange(8.0)[:, None] + b * torch.arange(9.0))[None, None]
    inner = Edges()(plane, seeded())[..., 1:-1, 1:-1]
    assert torch.allclose(inner, torch.full_like(inner, 2 * math.tanh(4 * 0.05) - 1), atol=1e-5)
    step = torch.where(torch.arange(8) < 4, -1.0, 1.0).expand(1, 1, 8, 8)
    drawn = Edges()(step, seeded())[0, 0, 0]
    assert torch.allclose(drawn[3:5], torch.full((2,), 2 * math.tanh(4) - 1))
    assert (drawn[:3] == -1).all()
    assert torch.allclose(Edges()(step.mT, seeded()), Edges()(step, seeded()).mT), "rows and columns alike"


def test_hide_shows_what_is_observed_and_where() -> None:
    x = smooth(8, 3, 10, 12)
    source = Hide(Boxes(0.5, 0.5))(x, seeded())
    seen, mask = source[:, :3], source[:, 3:]
    assert torch.equal((mask + 1) / 2, Boxes(0.5, 0.5)(x.shape, seeded()))
    assert torch.equal(seen, torch.where(mask > 0, x, 0.0))


def test_chains_compose() -> None:
    chain = Chain((Downscale(2), Grey(), Downscale(3), Hide()))
    x = smooth(2, 3, 24, 36)
    assert chain.scale == 6
    assert chain.channels(3) == 2
    rng, own = seeded(4), seeded(4)
    by_hand = x
    for part in chain.parts:
        by_hand = part(by_hand, own)
    assert torch.equal(chain(x, rng), by_hand)
    assert torch.equal(Chain((chain,))(x, seeded(4)), by_hand), "a chain is a degradation"
    assert torch.equal(Chain((Noise(5, 5),))(x, seeded()), Noise(5, 5)(x, seeded()))


def test_realistic_without_any_loss_is_the_downscaled_image() -> None:
    x = smooth(3, 3, 24, 32)
    source = Realistic(2, blur=(0, 0), noise=(0, 0), quality=(100, 100))(x, seeded())
    assert (source - Downscale(2)(x, seeded())).abs().max() < 4 / 127.5
    assert torch.allclose(Downscale(2)(torch.full((1, 1, 8, 8), 0.4), seeded()), torch.tensor(0.4))
