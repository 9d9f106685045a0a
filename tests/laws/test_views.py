"""What each view does to an image, exactly."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.dial import View
from evenodds.parts import views

shares = st.floats(0, 1, exclude_max=True, width=32)


def deal(n: int, seed: int = 0) -> Tensor:
    return torch.rand(n, 4, generator=torch.Generator().manual_seed(seed))


def numbers(*values: float) -> Tensor:
    return torch.tensor([[*values, *[0.5] * (4 - len(values))]])


@pytest.mark.parametrize("name", sorted(set(views.__all__) - {"View", "compose", "cutout"}))
def test_one_half_changes_nothing(name: str) -> None:
    x = torch.randn(3, 4, 20, 28)
    assert torch.allclose(getattr(views, name)(x, torch.full((3, 4), 0.5)), x, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_brightness_shifts_the_mean_and_nothing_else_does(channels: int) -> None:
    x, uniform = torch.randn(50, channels, 8, 8), deal(50)
    shift = views.color(x, uniform).mean((1, 2, 3)) - x.mean((1, 2, 3))
    assert torch.allclose(shift, uniform[:, 0] - 0.5, atol=1e-6)


def test_contrast_scales_the_deviation() -> None:
    x, uniform = torch.randn(50, 1, 8, 8), deal(50)
    ratio = views.color(x, uniform).std((1, 2, 3)) / x.std((1, 2, 3))
    assert torch.allclose(ratio, uniform[:, 2] + 0.5, atol=1e-5)


def test_saturation_at_zero_leaves_grey() -> None:
    grey = views.color(torch.randn(1, 3, 8, 8), numbers(0.5, 0.0))
    assert grey.std(1).max() < 1e-6
    assert grey.std() > 0.1


def test_alpha_is_kept() -> None:
    x, uniform = torch.randn(5, 4, 8, 8), deal(5)
    y = views.color(x, uniform)
    assert torch.equal(y[:, 3], x[:, 3])
    assert torch.equal(y[:, :3], views.color(x[:, :3], uniform))


@pytest.mark.parametrize("view", [views.flip, views.flip_vertical])
def test_flip_is_an_involution(view: View) -> None:
    x, uniform = torch.randn(8, 2, 5, 6), deal(8)
    assert torch.equal(view(view(x, uniform), uniform), x)


def test_flip_mirrors_half_of_the_time() -> None:
    x = torch.arange(6.0).expand(1000, 1, 4, 6)
    mirrored = views.flip(x, deal(1000))[:, 0, 0, 0] == 5
    assert 0.45 < mirrored.float().mean() < 0.55
    assert torch.equal(views.flip_vertical(x, deal(1000)), x)


@given(down=shares, right=shares)
def test_translation_moves_a_point_to_the_known_place(down: float, right: float) -> None:
    x = torch.zeros(1, 1, 16, 24)
    x[..., 8, 12] = 1
    y = views.translation(x, numbers(down, right))
    row, column = 8 + math.floor(down * 5) - 2, 12 + math.floor(right * 7) - 3
    assert y[0, 0, row, column] == 1
    assert y.sum() == 1


def test_translation_moves_zeros_in_and_drops_what_leaves() -> None:
    x = torch.ones(1, 1, 16, 16)
    y = views.translation(x, numbers(0.999, 0.0))
    assert y[0, 0, :2].abs().max() == 0
    assert y[0, 0, :, -2:].abs().max() == 0
    assert y.sum() == 14 * 14


def test_translations_are_equally_likely() -> None:
    x = torch.zeros(5000, 1, 16, 16)
    x[..., 8, 8] = 1
    counts = views.translation(x, deal(5000)).sum((0, 1, 3))[6:11]
    assert counts.sum() == 5000
    assert (counts - 1000).abs().max() < 130  # 4.6 standard deviations


def test_cutout_removes_a_quarter_at_most_and_touches_nothing_else() -> None:
    x = torch.rand(300, 2, 12, 16) + 0.5
    y = views.cutout(x, deal(300))
    hole = y == 0
    assert torch.equal(y[~hole], x[~hole])
    assert torch.equal(hole[:, 0], hole[:, 1])
    rows, columns = hole[:, 0].any(2).sum(1), hole[:, 0].any(1).sum(1)
    assert torch.equal(hole[:, 0].sum((1, 2)), rows * columns), "a rectangle"
    assert (int(rows.max()), int(columns.max())) == (6, 8)
    assert (int(rows.min()), int(columns.min())) == (3, 4)
    middle = views.cutout(x[:1], numbers(0.5, 0.5))[0, 0] == 0
    assert middle[3:9, 4:12].all()
    assert middle.sum() == 48


def test_deformation_of_a_plane_is_the_plane_at_other_places() -> None:
    rows, columns = torch.meshgrid(torch.arange(15.0), torch.arange(21.0), indexing="ij")
    plane = (3 * rows - 2 * columns)[None, None]
    turned = views.deformation(plane, numbers(0.75))[0, 0]  # 10 degrees; half of the range moves down by 1/28 of a side
    inner = turned[5:10, 7:14]
    angle = math.radians(10)
    down = 3 * math.cos(angle) - 2 * -math.sin(angle) * 21 / 15
    right = 3 * math.sin(angle) * 15 / 21 - 2 * math.cos(angle)
    torch.testing.assert_close(inner.diff(dim=0), torch.full((4, 7), down))
    torch.testing.assert_close(inner.diff(dim=1), torch.full((5, 6), right))
    torch.testing.assert_close(turned[7, 10], plane[0, 0, 7, 10] - 3 * 15 / 28)
    assert torch.allclose(views.deformation(torch.ones(50, 2, 6, 5), deal(50)), torch.ones(()))


def test_strokes_are_thickened_and_thinned_by_a_pixel() -> None:
    x = torch.zeros(1, 1, 9, 9)
    x[..., 3:6, 3:6] = 1
    assert views.strokes(x, numbers(1.0)).sum() == 25
    assert views.strokes(x, numbers(0.0)).sum() == 1
    assert views.strokes(x, numbers(0.75)).sum() == 9 + 0.5 * 16


def test_jitter_is_uniform_with_the_given_deviation_and_independent_between_places() -> None:
    noise = views.jitter(torch.zeros(20000, 10), deal(20000), spread=0.1)
    assert noise.abs().max() <= 0.1 * math.sqrt(3) + 1e-6
    assert noise.mean(0).abs().max() < 4 * 0.1 / math.sqrt(20000)
    assert torch.allclose(noise.std(0), torch.tensor(0.1), rtol=0.02)
    assert (torch.corrcoef(noise.T) - torch.eye(10)).abs().max() < 4.5 / math.sqrt(20000)
    # Independent, not only uncorrelated: so are the squares.
    assert (torch.corrcoef(noise.square().T) - torch.eye(10)).abs().max() < 4.5 / math.sqrt(20000)


def test_jitter_of_an_image_is_that_of_its_pixels_in_a_row() -> None:
    x, uniform = torch.randn(3, 2, 4, 5), deal(3)
    assert torch.equal(views.jitter(x, uniform).flatten(1), views.jitter(x.flatten(1), uniform))


def test_compose_applies_in_order_with_numbers_of_their_own() -> None:
    x, uniform = torch.randn(3, 3, 8, 8), torch.cat((deal(3, 1), deal(3, 2)), 1)
    both = views.compose([views.color, views.cutout])
    assert torch.equal(both(x, uniform), views.cutout(views.color(x, uniform[:, :4]), uniform[:, 4:]))
    assert torch.equal(views.compose([])(x, torch.empty(3, 0)), x)
    with pytest.raises(BadInput, match="8"):
        both(x, uniform[:, :4])
