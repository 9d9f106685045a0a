"""The metrics beside independent implementations: torchmetrics, and the papers' definitions in plain numpy."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_confusion_matrix
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure
from torchmetrics.functional.segmentation import mean_iou
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from evenodds.metrics.frechet import frechet
from evenodds.metrics.inception_score import inception_score
from evenodds.metrics.kernel import kernel_distance, kernel_distance_blocks
from evenodds.metrics.manifold import density_coverage, precision_recall
from evenodds.metrics.psnr import psnr
from evenodds.metrics.segmentation import confusion, confusions, intersection_over_union, pixel_accuracy
from evenodds.metrics.ssim import ms_ssim, ssim

Matrix = NDArray[np.float64]

pytestmark = pytest.mark.filterwarnings("ignore:Metric .* will save all", "ignore:std\\(\\)")


class AsTheyCome(nn.Module):
    """Gives features for "images" that are features already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x


def features(n: int, m: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two sets with a decaying spectrum, nowhere negative as those of networks often are."""
    rng = torch.Generator().manual_seed(seed)
    scale = torch.arange(1.0, d + 1) ** -0.5
    real, fake = torch.randn(n, d, generator=rng), torch.randn(m, d, generator=rng)
    return (real * scale).relu(), (fake * scale * 1.2 + 0.1).relu()


@pytest.mark.parametrize(
    ("n", "m", "d"), [(600, 500, 32), (3000, 2500, 300), (50, 40, 64), (300, 40, 64), (20, 20, 20)]
)
def test_frechet_is_that_of_torchmetrics(n: int, m: int, d: int) -> None:
    real, fake = features(n, m, d)
    theirs = FrechetInceptionDistance(feature=AsTheyCome(d))
    theirs.update(real, real=True)
    theirs.update(fake, real=False)
    assert float(frechet(real, fake)) == pytest.approx(float(theirs.compute()), rel=1e-3)


@pytest.mark.parametrize(
    ("n", "m", "d"), [(15_000, 40, 300), (15_000, 301, 300), (7, 5, 20), (30, 7, 20), (21, 20, 20)]
)
def test_frechet_from_portions_is_that_of_whole_covariances(n: int, m: int, d: int) -> None:
    """Fewer rows than columns, more, or many in several portions: eigenvalues of A B, without any root."""
    real, fake = (x.double().numpy() for x in features(n, m, d))
    a, b = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(a @ b).real.clip(min=0)).sum()
    expected = ((real.mean(0) - fake.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * root
    assert float(frechet(torch.from_numpy(real), torch.from_numpy(fake))) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(("n", "d"), [(400, 64), (60, 200)])
def test_kernel_distance_is_that_of_torchmetrics(n: int, d: int) -> None:
    real, fake = features(n, n, d)
    theirs = KernelInceptionDistance(feature=AsTheyCome(d), subsets=1, subset_size=n)
    theirs.update(real, real=True)
    theirs.update(fake, real=False)
    assert float(kernel_distance(real, fake)) == pytest.approx(float(theirs.compute()[0]), rel=1e-3)


def test_kernel_blocks_are_means_of_those_of_torchmetrics() -> None:
    real, fake = features(400, 400, 64)
    values = []
    for a, b in zip(real.chunk(10), fake.chunk(10), strict=True):
        theirs = KernelInceptionDistance(feature=AsTheyCome(64), subsets=1, subset_size=40)
        theirs.update(a, real=True)
        theirs.update(b, real=False)
        values.append(theirs.compute()[0])
    found = kernel_distance_blocks(real, fake, size=40)
    assert found.blocks.tolist() == pytest.approx(torch.stack(values).tolist(), rel=1e-3)


@pytest.mark.parametrize("splits", [1, 10])
def test_inception_score_is_that_of_torchmetrics(splits: int) -> None:
    """They shuffle with the global generator; the same draw gives the same splits."""
    logits = 3 * torch.randn(500, 30, generator=torch.Generator().manual_seed(1))
    theirs = InceptionScore(feature=AsTheyCome(30), splits=splits)
    theirs.update(logits)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        mean, deviation = theirs.compute()
        torch.manual_seed(2)
        order = torch.randperm(500)
    ours = inception_score(logits[order].softmax(1), splits=splits)
    assert float(ours.mean) == pytest.approx(float(mean), rel=1e-3)
    if ours.standard_error is not None:
        assert float(ours.standard_error) * math.sqrt(splits) == pytest.approx(float(deviation), rel=1e-3)


def whole_windows(x: Matrix) -> Matrix:
    """Weighted means under every window of 11 x 11 that lies within the picture."""
    place = np.arange(-5, 6)
    window = np.exp(-(place[:, None] ** 2 + place**2) / (2 * 1.5**2))
    places = np.lib.stride_tricks.sliding_window_view(x, (11, 11))
    means: Matrix = np.einsum("ijkl,kl->ij", places, window / window.sum())
    return means


def test_ms_ssim_is_that_of_the_definition() -> None:
    """Three scales from 44 pixels on, statistics of every window one by one, for each of two pictures."""
    rng = torch.Generator().manual_seed(3)
    coarse = torch.randn(4, 1, 12, 13, generator=rng)
    x, noise = F.interpolate(coarse, size=(49, 52), mode="bicubic").tanh().double().chunk(2)
    y = (0.8 * x + 0.3 * noise).clamp(-1, 1)
    found = ms_ssim(x, y).tolist()
    shares = np.array([0.0448, 0.2856, 0.3001]) / (0.0448 + 0.2856 + 0.3001)
    for k in range(2):
        a, b, value = (x[k, 0].numpy() + 1) / 2, (y[k, 0].numpy() + 1) / 2, 1.0
        for scale, share in enumerate(shares):
            mean_a, mean_b = whole_windows(a), whole_windows(b)
            spread = whole_windows(a * a) - mean_a**2 + whole_windows(b * b) - mean_b**2
            similarity = (2 * (whole_windows(a * b) - mean_a * mean_b) + 0.03**2) / (spread + 0.03**2)
            if scale == 2:
                similarity *= (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
            value *= similarity.mean() ** share
            h, w = a.shape[0] // 2, a.shape[1] // 2
            a, b = (z[: 2 * h, : 2 * w].reshape(h, 2, w, 2).mean((1, 3)) for z in (a, b))
        assert found[k] == pytest.approx(value, rel=1e-9)
        assert 0.3 < value < 0.95


def distances(a: Matrix, b: Matrix) -> Matrix:
    return np.array([[math.dist(x, y) for y in b] for x in a])


def radii(x: Matrix, k: int) -> Matrix:
    return np.sort(distances(x, x), axis=1)[:, k]


@pytest.mark.parametrize(("n", "m", "d", "k"), [(60, 45, 3, 3), (40, 80, 30, 5), (30, 30, 2, 1)])
def test_balls_are_those_of_the_definitions(n: int, m: int, d: int, k: int) -> None:
    real, fake = features(n, m, d, seed=4)
    a, b = real.double().numpy(), fake.double().numpy()
    between = distances(a, b)
    in_real, in_fake = between <= radii(a, k)[:, None], between <= radii(b, k)
    found = (*precision_recall(real, fake, k=k), *density_coverage(real, fake, k=k))
    expected = in_real.any(0).mean(), in_fake.any(1).mean(), in_real.sum() / (k * m), in_real.any(1).mean()
    assert [float(x) for x in found] == pytest.approx([float(x) for x in expected], abs=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
def test_likeness_of_pictures_is_that_of_torchmetrics(channels: int) -> None:
    rng = torch.Generator().manual_seed(4)
    x = torch.rand(3, channels, 23, 31, generator=rng, dtype=torch.float64) * 2 - 1
    y = (x + torch.tensor([0.05, 0.3, 1.0]).view(3, 1, 1, 1) * torch.randn(x.shape, generator=rng)).clamp(-1, 1)
    a, b = (x + 1) / 2, (y + 1) / 2
    theirs = [peak_signal_noise_ratio(b[k], a[k], data_range=1.0) for k in range(3)]
    assert psnr(y, x, colours=True).tolist() == pytest.approx([float(value) for value in theirs], rel=1e-6)
    _, similar = structural_similarity_index_measure(b, a, data_range=1.0, return_full_image=True)
    # Theirs goes on, mirrored, beyond the picture; our windows lie within it, as the paper's did.
    within = similar[..., 5:-5, 5:-5].mean((1, 2, 3))
    assert ssim(y, x).tolist() == pytest.approx(within.tolist(), rel=1e-6)


def test_scores_of_labels_are_those_of_torchmetrics() -> None:
    rng = torch.Generator().manual_seed(5)
    real, noise = torch.randint(4, (2, 3, 9, 11), generator=rng)
    said = torch.where(torch.rand(real.shape, generator=rng) < 0.6, real, noise)
    # All four classes occur in each image, so that it does not matter what is made of absent ones.
    overlap = intersection_over_union(confusions(real, said, 4)).mean(1)
    theirs = mean_iou(said, real, num_classes=4, input_format="index")
    assert overlap.tolist() == pytest.approx(theirs.tolist(), rel=1e-6)
    real[torch.rand(real.shape, generator=rng) < 0.2] = 255
    matrix = confusion(real, said, 4)
    assert torch.equal(matrix, multiclass_confusion_matrix(said, real, 4, ignore_index=255))
    accuracy = multiclass_accuracy(said, real, 4, average="micro", ignore_index=255)
    assert float(pixel_accuracy(matrix)) == pytest.approx(float(accuracy), rel=1e-6)
