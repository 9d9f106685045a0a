"""Intervals that hold what they promise, floors, fingerprints, and planted faults that must be seen."""

import functools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.data.readers.arrays import from_array
from evenodds.errors import BadInput
from evenodds.evaluation.compare import compare
from evenodds.evaluation.equilibrium import divergence_bound, fresh_discriminator, value
from evenodds.evaluation.evaluate import Evaluation, evaluate
from evenodds.metrics.frechet import frechet
from evenodds.metrics.intervals import Interval, Side, floors, intervals, student_quantile
from evenodds.metrics.kernel import kernel_distance

NAMES = ["frechet", "kernel", "precision", "recall", "density", "coverage", "two_sample_accuracy", "memorisation"]


def side(x: Tensor) -> Side:
    return Side(x, x)


def normal(n: int, d: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


@functools.cache
def digits() -> Dataset:
    found = load_digits()
    images = (found.images * 255 / 16).round().astype(np.uint8)
    return from_array(images, found.target)


@pytest.mark.parametrize("freedom", [3, 4, 8, 15])
def test_student_quantiles(freedom: int) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (480, 500)])
def test_wilson_interval(k: int, n: int) -> None:
    theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
    found = Interval.of_share(k, n)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_intervals_of_a_difference_of_means_are_the_textbook_ones() -> None:
    """Half-samples are exact for means: over many repetitions the interval holds the truth in about 95 %."""

    def difference(a: Side, b: Side) -> dict[str, float]:
        return {"d": float(b.x.mean() - a.x.mean())}

    held, widths = 0, []
    for seed in range(300):
        found = intervals(difference, side(normal(60, 1, 2 * seed)), side(normal(40, 1, 2 * seed + 1, 0.5)), seed=seed)
        held += found["d"].low <= 0.5 <= found["d"].high
        widths.append((found["d"].high - found["d"].low) / 2 / student_quantile(0.975, 8))
    assert 0.91 <= held / 300 <= 0.985
    assert np.mean(np.square(widths)) == pytest.approx(1 / 60 + 1 / 40, rel=0.12)


def test_intervals_of_distances_hold_their_mean() -> None:
    """95 % of intervals hold the mean of the score at the same n, for scores that are no means."""
    scores: dict[str, list[Any]] = {"frechet": [], "kernel": []}

    def both(a: Side, b: Side) -> dict[str, float]:
        return {"frechet": float(frechet(a.x, b.x)), "kernel": float(kernel_distance(a.x, b.x))}

    for seed in range(80):
        real, fake = side(normal(100, 4, 2 * seed)), side(normal(80, 4, 2 * seed + 1, 0.4))
        for name, found in intervals(both, real, fake, seed=seed).items():
            scores[name].append(found)
    for found in scores.values():
        mean = np.mean([one.value for one in found])
        held = np.mean([one.low <= mean <= one.high for one in found])
        assert 0.86 <= held <= 1.0
        spread = np.std([one.value for one in found])
        claimed = np.sqrt(np.mean([((one.high - one.low) / 2 / student_quantile(0.975, 8)) ** 2 for one in found]))
        assert 0.75 <= claimed / spread <= 1.6


def test_the_floor_is_where_real_data_fall() -> None:
    """New real data fall into the floor's range in about 95 %, and its mean is unbiased: 0 for the kernel distance."""

    def kernel(a: Side, b: Side) -> dict[str, float]:
        return {"k": float(kernel_distance(a.x, b.x))}

    inside, means = 0, []
    for seed in range(60):
        real, others, new = (side(normal(50, 3, 3 * seed + k)) for k in range(3))
        found = floors(kernel, real, others, 50, seed=seed)["k"]
        inside += found.low <= kernel(real, new)["k"] <= found.high
        means.append(found.value)
    assert 0.85 <= inside / 60 <= 1
    assert abs(np.mean(means)) < 3 * np.std(means) / math.sqrt(60) + 1e-3


def jensen_shannon_of_normals(shift: float) -> float:
    """By quadrature, in nats."""
    x = np.linspace(-12, 12 + shift, 200_001)
    p, q = stats.norm.pdf(x), stats.norm.pdf(x, shift)
    m = (p + q) / 2
    integrand = 0.5 * np.where(p > 0, p * np.log(p / m), 0) + 0.5 * np.where(q > 0, q * np.log(q / m), 0)
    return float(np.trapezoid(integrand, x))


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_best_discriminator_reads_off_the_divergence(shift: float) -> None:
    """log p/q of two Gaussians is known: with it the bound is the divergence itself, within its interval."""
    real, fake = normal(20_000, 1, 0)[:, 0], normal(20_000, 1, 1, shift)[:, 0]
    best = [shift**2 / 2 - shift * x for x in (real, fake)]
    found = divergence_bound(*best)
    assert found.low - 1e-9 <= jensen_shannon_of_normals(shift) <= found.high + 1e-9
    assert found.high - found.low < 0.02


def test_even_odds_have_the_value_of_the_equilibrium() -> None:
    found = value(torch.zeros(10), torch.zeros(20))
    assert found.value == pytest.approx(-math.log(4))


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_a_fresh_discriminator_bounds_the_divergence_from_below(shift: float) -> None:
    sets = [normal(800, 2, k) + torch.tensor([shift * (k % 2), 0.0]) for k in range(4)]
    found = fresh_discriminator(sets[0] / 5, sets[1] / 5, sets[2] / 5, sets[3] / 5)
    truth = jensen_shannon_of_normals(shift)
    assert found.bound.low <= truth + 0.01
    assert found.bound.value >= 0.75 * truth - 0.02  # and it is not an idle bound
    assert found.accuracy.low <= stats.norm.cdf(shift / 2) <= found.accuracy.high + 0.01


@functools.cache
def third() -> Dataset:
    """Enough digits where no score has to be exact."""
    return digits().take(torch.arange(0, 1797, 3))


def judged(x: Any, metrics: list[str] | None = None, features: str | None = None, **more: Any) -> Evaluation:
    return evaluate(x, digits(), metrics=metrics or NAMES, features=features or "random", **more)


@functools.cache
def half() -> tuple[Dataset, Dataset]:
    """The digits as an evaluation against them splits them: reference and the rest."""
    from evenodds.evaluation.material import gather

    data = digits()
    material = gather(data.take(torch.arange(8)), data)
    rest = torch.cat([material.floor.x, material.fitting.x])
    labels = torch.cat([material.floor.y, material.fitting.y])  # type: ignore[list-item]
    return material.real, replace(data, x=rest, y=labels)


def test_real_data_given_as_samples_are_at_the_floor() -> None:
    found = judged(half()[1])
    for s in found["scores"]:
        assert s["low"] <= s["floor_high"], s["name"]
        assert s["floor_low"] <= s["high"], s["name"]
    assert found["sound"]


def test_a_memoriser_is_called_one_and_is_not_ranked() -> None:
    """Training items score like real data; an honest, imperfect generator scores worse, and still comes first."""
    _, rest = half()
    noisy = (rest.x.float() + 40 * torch.randn(rest.x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 255)
    honest = replace(rest, x=noisy.to(torch.uint8))
    found = {name: judged(x, train=rest, n=300) for name, x in {"a": rest, "b": honest}.items()}
    kernel = {name: one.score("kernel") for name, one in found.items()}
    assert kernel["a"] is not None
    assert kernel["b"] is not None
    assert kernel["a"].value < kernel["b"].value  # the trap: by the score alone the memoriser wins
    assert not found["a"]["sound"]
    assert found["a"]["memorisation"]["share"] > 0.95
    assert "copies" in found["a"]["verdict"][0]
    assert found["b"]["sound"]
    ranking = compare(found)
    assert set(ranking.left_out) == {"a"}
    assert all(entry["name"] == "b" for score in ranking.scores for entry in score["entries"])


def test_missing_classes_show_in_recall_coverage_and_the_counts() -> None:
    _, rest = half()
    assert rest.y is not None
    found = judged(rest.take((rest.y < 5).nonzero().flatten()), features="classifier")
    scores = {s["name"]: s for s in found["scores"]}
    for name in ("recall", "coverage"):
        assert scores[name]["high"] < scores[name]["floor_low"]
    assert scores["precision"]["value"] > 0.8
    assert [c["name"] for c in found["classes"] if c["fake_share"] < 0.02] == list("56789")
    assert not found["sound"]
    assert "5 of 10 classes are missing" in found["verdict"][0]


def test_noise_shows_in_precision() -> None:
    _, rest = half()
    rng = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, rest.x.shape, generator=rng, dtype=torch.uint8)
    mixed = replace(rest, x=torch.cat([rest.x[: len(rest) // 2], noise[len(rest) // 2 :]]))
    scores = {s["name"]: s for s in judged(mixed)["scores"]}
    assert scores["precision"]["high"] < scores["precision"]["floor_low"]
    assert 0.3 < scores["precision"]["value"] < 0.65


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 10, 50])
def test_few_samples_give_a_wide_interval_or_a_reason(n: int) -> None:
    _, rest = half()
    metrics = [*NAMES, "ms_ssim", "sliced_wasserstein", "equilibrium"]
    found = evaluate(rest.take(torch.arange(n)), third(), metrics=metrics, features="random")
    for s in found["scores"]:
        if s["value"] is None:
            assert s["note"]
        else:
            assert all(math.isfinite(s[key]) for key in ("value", "low", "high", "floor", "floor_low", "floor_high"))
            assert s["low"] <= s["value"] <= s["high"]
    assert found["verdict"]


def test_other_features_samples_or_references_are_refused_with_the_part() -> None:
    _, rest = half()
    few, many = rest.take(torch.arange(100)), rest.take(torch.arange(200))
    found = {
        "few": judged(few, ["kernel"]),
        "many": judged(many, ["kernel"]),
        "pixels": judged(few, ["kernel"], "pixels"),
    }
    with pytest.raises(BadInput, match="n_fake: 100 and 200"):
        compare({"few": found["few"], "many": found["many"]})
    with pytest.raises(BadInput, match="features: random and pixels"):
        compare({"few": found["few"], "pixels": found["pixels"]})
    other = evaluate(few, rest, metrics=["kernel"], features="random", n=100)
    with pytest.raises(BadInput, match="reference"):
        compare({"few": found["few"], "other": other})


def test_the_same_evaluation_twice_is_the_same() -> None:
    _, rest = half()
    samples = rest.take(torch.arange(150))
    first, second = (evaluate(samples, third(), metrics=NAMES, features="random") for _ in range(2))
    assert {**first.content, "seconds": 0} == {**second.content, "seconds": 0}


def test_labelled_samples_train_a_classifier_for_real_data() -> None:
    """The classification accuracy score: near the floor for real samples, at chance for shuffled labels."""
    _, rest = half()
    assert rest.y is not None
    good = judged(rest, ["accuracy_score"])
    wrong = judged(replace(rest, y=rest.y[torch.randperm(len(rest))]), ["accuracy_score"])
    scores = [{s["name"]: s for s in e["scores"]} for e in (good, wrong)]
    assert scores[0]["accuracy_score"]["value"] > 0.9
    assert scores[1]["accuracy_score"]["value"] < 0.3
    assert scores[1]["reverse_accuracy_score"]["value"] < 0.3
