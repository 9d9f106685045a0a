"""Closed forms of the scores that see no real examples: classes, likeness of pictures, length of paths."""

import math

import pytest
import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics.inception_score import inception_score
from evenodds.metrics.path_length import path_length
from evenodds.metrics.ssim import WEIGHTS, diversity, ms_ssim


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def noise(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("splits", [1, 4])
def test_inception_score_of_a_classifier_that_knows_nothing(splits: int) -> None:
    score = inception_score(torch.full((40, 7), 1 / 7), splits=splits)
    assert float(score.mean) == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("classes", [1, 2, 10])
def test_inception_score_of_sure_and_balanced_classes_is_their_number(classes: int) -> None:
    score = inception_score(torch.eye(classes).repeat(20, 1), splits=5)
    assert float(score.mean) == pytest.approx(classes, rel=1e-12)
    assert float(score.standard_error or 0) == pytest.approx(0, abs=1e-12)


def test_inception_score_by_hand() -> None:
    """(1, 0) and (1/2, 1/2), whose mean is (3/4, 1/4): KL log 4/3 and (log 2/3 + log 2) / 2."""
    score = inception_score(torch.tensor([[1.0, 0.0], [0.5, 0.5]]), splits=1)
    assert float(score.mean) == pytest.approx(math.exp((math.log(4 / 3) + math.log(4 / 3) / 2) / 2), rel=1e-12)
    assert score.standard_error is None


def test_inception_score_of_unequal_splits() -> None:
    """7 rows in 3 splits: 3, 2 and 2. Sure rows score the exponential of their classes' entropy."""
    label = torch.tensor([0, 0, 1, 2, 2, 0, 3])
    score = inception_score(torch.eye(4)[label], splits=3)
    third = math.exp(math.log(3) - 2 / 3 * math.log(2))
    assert score.splits.tolist() == pytest.approx([third, 1, 2])
    spread = torch.tensor([third, 1, 2]).std()
    assert score.standard_error is not None
    assert float(score.standard_error) == pytest.approx(float(spread) / math.sqrt(3))


def test_inception_score_stays_finite_at_the_edge() -> None:
    tiny = torch.tensor([[1.0, 0.0, 5e-324], [0.0, 1.0, 0.0]], dtype=torch.float64)
    assert float(inception_score(tiny, splits=1).mean) == pytest.approx(2, rel=1e-12)


def test_inception_score_has_no_more_than_the_rows_can_show() -> None:
    p = (30 * normal(0, 60, 100)).softmax(1)
    score = inception_score(p)
    assert bool(((score.splits >= 1) & (score.splits <= 6 + 1e-9)).all())
    with pytest.raises(BadInput, match="at least 20 rows"):
        inception_score(p[:19])


@pytest.mark.parametrize("side", [4, 7, 10, 28, 180])
@pytest.mark.parametrize("channels", [1, 3])
def test_ms_ssim_of_equal_pictures_is_one_and_order_does_not_matter(side: int, channels: int) -> None:
    x, y = noise(1, 3, channels, side, side + 1), noise(2, 3, channels, side, side + 1)
    assert ms_ssim(x, x).tolist() == pytest.approx([1] * 3, abs=1e-12)
    near = (0.9 * x + 0.1 * y).clamp(-1, 1)
    assert torch.allclose(ms_ssim(x, near), ms_ssim(near, x), rtol=1e-12)
    assert bool((ms_ssim(x, near) > ms_ssim(x, y) + 0.1).all())


@pytest.mark.parametrize("side", [16, 32, 64, 200])
def test_ms_ssim_of_independent_noise_is_near_zero(side: int) -> None:
    """Not 0: averaging leaves coarse scales little contrast, where the constants count."""
    value = ms_ssim(noise(3, 10, 1, side, side), noise(4, 10, 1, side, side))
    assert 0 <= float(value.mean()) < 0.15


def test_ms_ssim_of_a_negative_is_zero() -> None:
    x = noise(5, 4, 1, 48, 48)
    assert ms_ssim(x, -x).tolist() == [0] * 4


@pytest.mark.parametrize(
    ("side", "scales"), [(4, 1), (21, 1), (22, 2), (43, 2), (44, 3), (87, 3), (88, 4), (175, 4), (176, 5), (300, 5)]
)
def test_ms_ssim_of_flat_pictures_is_their_luminance_at_the_coarsest_scale(side: int, scales: int) -> None:
    """Flat pictures have equal structure, so the exponent of the luminance shows how many scales there are."""
    grey, light = torch.zeros(1, 1, side, side + 5), torch.full((1, 1, side, side + 5), 0.5)
    exponent = WEIGHTS[scales - 1] / sum(WEIGHTS[:scales])
    luminance = (2 * 0.5 * 0.75 + 1e-4) / (0.5**2 + 0.75**2 + 1e-4)
    assert float(ms_ssim(grey, light)) == pytest.approx(luminance**exponent, rel=1e-12)
    assert float(ms_ssim(grey - 1, grey + 1)) == pytest.approx((1e-4 / (1 + 1e-4)) ** exponent, rel=1e-12)


def test_ms_ssim_of_less_contrast() -> None:
    """A fine checkerboard is equally bright in every window, so that s times its contrast gives 2 s / (1 + s^2)."""
    place = torch.arange(20)
    board = ((place[:, None] + place) % 2 * 2.0 - 1)[None, None]
    assert float(ms_ssim(board, board / 2)) == pytest.approx(2 * 0.5 / 1.25, rel=2e-3)


def test_diversity_of_a_collapse_is_one_and_of_two_pictures_is_their_likeness() -> None:
    rng = torch.Generator().manual_seed(6)
    x = noise(7, 30, 1, 16, 16)
    assert float(diversity(x[:1].repeat(30, 1, 1, 1), 40, rng)) == pytest.approx(1, abs=1e-12)
    assert float(diversity(x, 40, rng)) < 0.2
    # Never a picture with itself: each of 40 pairs is this one.
    assert float(diversity(x[:2], 40, rng)) == pytest.approx(float(ms_ssim(x[:1], x[1:2])), abs=1e-12)


def test_diversity_draws_every_pair_equally_often() -> None:
    """4 pictures, 3 of them equal: half of the pairs are of equal ones."""
    x = torch.ones(4, 1, 4, 4)
    x[3] = -1
    found = diversity(x, 20_000, torch.Generator().manual_seed(8))
    assert float(found) == pytest.approx(0.5, abs=3 * 0.5 / math.sqrt(20_000))


def test_path_length_of_a_linear_generator_seen_by_linear_features() -> None:
    """f(G(z)) = W z between z_0 and z_1: |W (z_1 - z_0)|^2 at every t, of expectation 2 |W|_F^2."""
    w, ends = normal(9, 6, 4), normal(10, 2, 4000, 4)
    t, eps = torch.rand(4000, 1, generator=torch.Generator().manual_seed(11), dtype=torch.float64), 1e-4
    at, beyond = (torch.lerp(ends[0], ends[1], x) @ w.T for x in (t, t + eps))
    exact = ((ends[1] - ends[0]) @ w.T).square().sum(1)
    found = float(path_length(at, beyond, eps, trim=0))
    assert found == pytest.approx(float(exact.mean()), rel=1e-6)
    assert found == pytest.approx(2 * float(w.square().sum()), abs=3 * float(exact.std()) / math.sqrt(4000))
    trimmed = exact.sort().values[40:-40].mean()
    assert float(path_length(at, beyond, eps)) == pytest.approx(float(trimmed), rel=1e-6)


def test_path_length_leaves_out_both_ends() -> None:
    """Squares of 0, 1, ..., 199 with 1 % off each end: 2 ... 197."""
    steps = torch.arange(200.0)[:, None]
    expected = sum(k * k for k in range(2, 198)) / 196 / 0.5**2
    assert float(path_length(torch.zeros(200, 1), steps.flip(0), 0.5)) == pytest.approx(expected, rel=1e-12)
    assert float(path_length(torch.zeros(99, 1), steps[:99], 1.0)) == pytest.approx(
        sum(k * k for k in range(99)) / 99, rel=1e-12
    )


def test_path_length_does_not_depend_on_the_step_of_a_straight_path() -> None:
    at, direction = normal(12, 50, 3), normal(13, 50, 3)
    values = [float(path_length(at, at + eps * direction, eps)) for eps in (1.0, 0.1, 1e-3)]
    assert values == pytest.approx([values[0]] * 3, rel=1e-9)
