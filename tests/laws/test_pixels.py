"""Laws of scores of pixels: confusion matrices and what follows from them, signal-to-noise, structural similarity."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evenodds.errors import BadInput
from evenodds.metrics.psnr import psnr, video_luma
from evenodds.metrics.segmentation import (
    boundary_scores,
    confusion,
    confusions,
    intersection_over_union,
    mean_boundary,
    pixel_accuracy,
)
from evenodds.metrics.ssim import ssim


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(seed=st.integers(0, 1000), classes=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_matrices_of_images_add_up_and_count_every_known_pixel(seed: int, classes: int) -> None:
    real, said = torch.randint(classes, (2, 4, 5, 6), generator=rng(seed))
    real[torch.rand(real.shape, generator=rng(seed + 1)) < 0.3] = 255
    each = confusions(real, said, classes)
    assert torch.equal(each.sum(0), confusion(real, said, classes))
    assert int(each.sum()) == int((real != 255).sum())
    for row in range(classes):
        for column in range(classes):
            assert int(each[2, row, column]) == int(((real[2] == row) & (said[2] == column)).sum())


def test_overlap_by_hand() -> None:
    matrix = torch.tensor([[3, 1, 0], [2, 4, 0], [0, 0, 0]])
    overlap = intersection_over_union(matrix)
    assert overlap[:2].tolist() == pytest.approx([3 / 6, 4 / 7])
    assert math.isnan(float(overlap[2]))
    assert float(pixel_accuracy(matrix)) == pytest.approx(7 / 10)


def test_the_overlap_does_not_care_how_classes_are_numbered() -> None:
    real, said = torch.randint(4, (2, 500), generator=rng())
    order = torch.tensor([2, 0, 3, 1])
    before, after = (intersection_over_union(confusion(o[real], o[said], 4)) for o in (torch.arange(4), order))
    assert torch.allclose(before, after[order])


def test_chance_has_the_overlap_of_chance() -> None:
    """Labels drawn evenly and apart: p q / (p + q - p q) with p = q = 1/2."""
    real, said = torch.randint(2, (2, 200_000), generator=rng())
    assert intersection_over_union(confusion(real, said, 2)).tolist() == pytest.approx([1 / 3, 1 / 3], abs=0.01)


def test_accuracy_is_that_of_each_table_and_nothing_where_nothing_counts() -> None:
    matrix = torch.tensor([[3, 1, 0], [2, 4, 0], [0, 0, 0]])
    right = torch.diag(torch.tensor([5, 0, 2]))
    assert float(pixel_accuracy(right)) == 1
    both = torch.stack([pixel_accuracy(matrix), pixel_accuracy(right)])
    assert torch.equal(pixel_accuracy(torch.stack([matrix, right])), both)
    assert math.isnan(float(pixel_accuracy(torch.zeros(2, 2))))


def test_overlap_is_never_above_recall() -> None:
    matrix = torch.randint(50, (20, 5, 5), generator=rng())
    recall = matrix.diagonal(dim1=1, dim2=2) / matrix.sum(2)
    assert (intersection_over_union(matrix) <= recall + 1e-12).all()


def test_boundaries_within_the_tolerance_are_right_and_others_are_not() -> None:
    real = torch.zeros(1, 90, 120, dtype=torch.int64)  # a diagonal of 150 pixels
    real[:, 20:40, 20:50] = 1
    one = 1 / 150 + 1e-6
    assert boundary_scores(real, real, 2, tolerance=0).tolist() == [[1, 1]]
    assert boundary_scores(real, real.roll(1, 1), 2, tolerance=one).tolist() == [[1, 1]]
    assert boundary_scores(real, real.roll((1, 1), (1, 2)), 2, tolerance=one)[0, 1] < 1  # corners are 1.4 apart
    assert boundary_scores(real, real.roll(45, 1), 2, tolerance=one).tolist() == [[0, 0]]
    assert boundary_scores(real, torch.zeros_like(real), 2).tolist() == [[0, 0]]
    # Where classes meet is not which they are: the complement has no overlap, and the boundaries one pixel apart.
    assert intersection_over_union(confusion(real, 1 - real, 2)).tolist() == [0, 0]
    assert boundary_scores(real, 1 - real, 2, tolerance=0).tolist() == [[0, 0]]
    assert boundary_scores(real, 1 - real, 2, tolerance=one)[0].tolist() == pytest.approx([1, 1], abs=0.03)
    with pytest.raises(BadInput, match="maps must be"):
        boundary_scores(real, real[0], 2)


def test_boundaries_are_those_that_are_found_pixel_by_pixel() -> None:
    real = torch.randint(3, (2, 5, 7), generator=rng()).repeat_interleave(3, 1).repeat_interleave(2, 2)
    said = real.roll(1, 2)
    said[:, 2:5], real[:, :2], real[1][real[1] == 2] = 1, 255, 0
    for radius in (0.0, 1.0, 2.3, 6.0):
        found = boundary_scores(real, said, 3, tolerance=(radius + 1e-9) / math.hypot(15, 14))
        due = [[by_hand(*maps, k, radius) for k in range(3)] for maps in zip(real, said, strict=True)]
        assert torch.allclose(found, torch.tensor(due, dtype=torch.float64), equal_nan=True)
        assert math.isnan(due[1][2])
        means = [due[0][0] + due[1][0], due[0][1] + due[1][1], 2 * due[0][2]]
        assert float(mean_boundary(found)) == pytest.approx(sum(means) / 6)


def by_hand(real: torch.Tensor, said: torch.Tensor, k: int, radius: float) -> float:
    """The boundary F-score of class k, by all distances between pixels of its boundaries."""
    points = []
    for labels in (real, said.where(real != 255, 255)):
        around = torch.nn.functional.pad(labels, (1, 1, 1, 1), value=255)
        beside = torch.stack([around[1:-1, 2:], around[1:-1, :-2], around[2:, 1:-1], around[:-2, 1:-1]])
        points.append(((labels == k) & ((beside != k) & (beside != 255)).any(0)).nonzero().double())
    if not len(points[0]):
        return math.nan
    near = torch.cdist(*points) <= radius + 1e-9
    recall, precision = near.any(1).double().mean(), near.any(0).double().mean()
    return float((2 * precision * recall / (precision + recall).clamp(min=1e-12)).nan_to_num())


def test_labels_that_cannot_be_counted_are_refused() -> None:
    with pytest.raises(BadInput, match="equal sizes"):
        confusion(torch.zeros(2, 3).long(), torch.zeros(3, 2).long(), 2)
    for real, said in ((2, 0), (0, 2), (-1, 0), (0, 255)):
        with pytest.raises(BadInput, match=f"got {real} held against {said}"):
            confusion(torch.tensor([0, real]), torch.tensor([1, said]), 2)
    assert int(confusion(torch.tensor([0, 255]), torch.tensor([1, 255]), 2).sum()) == 1
    for score in (intersection_over_union, pixel_accuracy):
        with pytest.raises(BadInput, match="classes, classes"):
            score(torch.zeros(2, 3))


@pytest.mark.parametrize("deviation", [0.01, 0.1])
def test_noise_of_known_strength_has_its_signal_to_noise_ratio(deviation: float) -> None:
    x = torch.zeros(4, 1, 128, 128)
    ratio = psnr(x, x + deviation * torch.randn(x.shape, generator=rng()))
    assert ratio.tolist() == pytest.approx([20 * math.log10(2 / deviation)] * 4, abs=0.15)


def test_the_ratio_of_colours_is_that_of_their_luma_and_grey_has_its_own() -> None:
    x, y = torch.rand(2, 3, 3, 9, 9, generator=rng()) * 2 - 1
    assert torch.allclose(psnr(x, y), psnr(video_luma(x), video_luma(y)))
    ends = video_luma(torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)).flatten()
    assert ((ends + 1) * 127.5).tolist() == pytest.approx([16, 235], abs=1e-4)
    red = video_luma(torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1))
    assert float((red + 1) * 127.5) == pytest.approx(16 + 65.481, abs=1e-4)


def test_the_ratio_of_colours_takes_every_channel_alike() -> None:
    x = torch.zeros(1, 3, 4, 4)
    for channel in range(3):
        y = x.clone()
        y[:, channel] = 0.3
        assert float(psnr(x, y, colours=True)) == pytest.approx(10 * math.log10(4 / (0.09 / 3)))
    assert float(psnr(x, x)) == math.inf
    with pytest.raises(BadInput, match="N, C, H, W"):
        video_luma(x[0])


def test_what_lies_in_the_border_does_not_count() -> None:
    x = torch.zeros(1, 1, 8, 8)
    y = torch.ones(1, 1, 8, 8)
    y[..., 2:-2, 2:-2] = 0.2
    assert float(psnr(x, y, border=2)) == pytest.approx(20)
    with pytest.raises(BadInput, match="twice the border"):
        psnr(x, y, border=4)


def test_similarity_is_one_for_equals_symmetric_and_falls_with_noise() -> None:
    x = torch.rand(2, 3, 24, 24, generator=rng()) * 2 - 1
    noise = torch.randn(x.shape, generator=rng(1))
    worse = [ssim(x, (x + strength * noise).clamp(-1, 1)) for strength in (0.0, 0.1, 0.5)]
    assert torch.allclose(worse[0], torch.ones(2, dtype=torch.float64))
    assert (worse[0] > worse[1]).all()
    assert (worse[1] > worse[2]).all()
    assert torch.allclose(ssim(x, -x), ssim(-x, x))


def test_similarity_of_two_greys_is_the_ratio_of_their_luminance() -> None:
    """Wang et al. (2004), eq. 6: no structure, so (2 a b + C) / (a^2 + b^2 + C) with brightness in [0, 1]."""
    a, b, c = 0.25, 0.75, 0.01**2
    x, y = torch.full((1, 1, 12, 12), 2 * a - 1), torch.full((1, 1, 12, 12), 2 * b - 1)
    assert float(ssim(x, y)) == pytest.approx((2 * a * b + c) / (a * a + b * b + c), rel=1e-6)
