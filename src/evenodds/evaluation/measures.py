"""The scores: functions of two sides, with what each is called and which way is better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evenodds.errors import BadInput, unknown
from evenodds.metrics.frechet import frechet
from evenodds.metrics.inception_score import inception_score
from evenodds.metrics.intervals import Side, Statistic
from evenodds.metrics.kernel_statistic import KernelStatistic
from evenodds.metrics.manifold import density_coverage_of, precision_recall_of
from evenodds.metrics.neighbours import two_sample_accuracy_of
from evenodds.metrics.sliced import sliced_wasserstein
from evenodds.metrics.ssim import diversity

__all__ = ["MEASURES", "Measure", "Scale", "chosen", "classes_of", "documented"]


@dataclass(frozen=True)
class Scale:
    """What a score is called and how it is read."""

    name: str
    title: str
    better: str
    """lower, higher, or middle: nearest to that of real data."""
    least: float = -math.inf
    most: float = math.inf


@dataclass(frozen=True)
class Measure:
    """One or more scores that are computed together."""

    statistic: Statistic
    scales: tuple[Scale, ...]
    needs: str = "features"
    """features, probabilities, images, or labels."""
    usual: bool = True
    """Whether it is computed where nothing is chosen."""


def _frechet(real: Side, fake: Side) -> dict[str, float]:
    return {"frechet": float(frechet(real.features, fake.features))}


def _precision_recall(real: Side, fake: Side) -> dict[str, float]:
    result = precision_recall_of(*real.neighbours(fake))
    return {"precision": float(result.precision), "recall": float(result.recall)}


def _density_coverage(real: Side, fake: Side) -> dict[str, float]:
    result = density_coverage_of(*real.neighbours(fake))
    return {"density": float(result.density), "coverage": float(result.coverage)}


def _two_sample(real: Side, fake: Side) -> dict[str, float]:
    return {"two_sample_accuracy": float(two_sample_accuracy_of(*real.neighbours(fake)))}


def _sliced(real: Side, fake: Side) -> dict[str, float]:
    rng = torch.Generator().manual_seed(0)  # the same directions for every pair of sets
    return {"sliced_wasserstein": float(sliced_wasserstein(real.features, fake.features, rng=rng))}


def _inception_score(real: Side, fake: Side) -> dict[str, float]:
    assert fake.probabilities is not None
    return {"inception_score": float(inception_score(fake.probabilities, splits=1).mean)}


def _diversity(real: Side, fake: Side) -> dict[str, float]:
    rng = torch.Generator().manual_seed(0)
    # Time goes with the pixels, and larger pictures are compared at more places each.
    pairs = min(1000, max(100, 1000 * 64**2 // fake.x[0, 0].numel()))
    return {"ms_ssim": float(diversity(fake.x, pairs, rng))}


def _class_frechet(real: Side, fake: Side, least: int = 8) -> dict[str, float]:
    """The mean over classes of the Fréchet distance within a class."""
    ours, theirs = classes_of(real), classes_of(fake)
    values = []
    for label in sorted(set(ours.tolist()) - {-1}):
        a, b = real.features[ours == label], fake.features[theirs == label]
        if len(a) < least or len(b) < least:
            raise BadInput(
                f"class number {label} has {len(a)} real and {len(b)} generated items; at least {2 * least} of each"
                " are needed; give more"
            )
        values.append(frechet(a, b))
    return {"class_frechet": float(torch.stack(values).mean())}


def classes_of(side: Side) -> Tensor:
    """(N,) int64: the labels where they are known, else what the classifier sees."""
    if side.labels is not None:
        return side.labels
    assert side.probabilities is not None
    return side.probabilities.argmax(1)


MEASURES: tuple[Measure, ...] = (
    Measure(_frechet, (Scale("frechet", "Fréchet distance", "lower", 0),)),
    Measure(KernelStatistic(), (Scale("kernel", "Kernel distance", "lower"),)),
    Measure(
        _precision_recall,
        (Scale("precision", "Precision", "higher", 0, 1), Scale("recall", "Recall", "higher", 0, 1)),
    ),
    Measure(
        _density_coverage,
        (Scale("density", "Density", "middle", 0), Scale("coverage", "Coverage", "higher", 0, 1)),
    ),
    Measure(_two_sample, (Scale("two_sample_accuracy", "Nearest-neighbour two-sample accuracy", "middle", 0, 1),)),
    Measure(_sliced, (Scale("sliced_wasserstein", "Sliced Wasserstein distance", "lower", 0),)),
    Measure(_inception_score, (Scale("inception_score", "Inception score form", "higher", 1),), "probabilities"),
    Measure(_diversity, (Scale("ms_ssim", "MS-SSIM between samples", "middle", -1, 1),), "images"),
    Measure(
        _class_frechet, (Scale("class_frechet", "Fréchet distance within classes", "lower", 0),), "labels", usual=False
    ),
)

EXTRAS: Mapping[str, str] = {
    "accuracy_score": "Accuracy on real of a classifier trained on labelled samples, and the reverse",
    "path_length": "Perceptual path length form, of a run",
    "memorisation": "Suspected copies, authenticity, C_T test",
    "equilibrium": "The game's discriminator, and the divergence that a fresh one finds",
    "duality_gap": "What either player of a run gains by a best response",
    "likelihood": "Parzen-window log-likelihood",
}
"""What is computed in another way than from two matrices, but chosen alike."""
USUAL_EXTRAS = ("memorisation", "equilibrium", "duality_gap")


def documented() -> list[tuple[str, str]]:
    """Each name with its title; an asterisk marks those that are usual."""
    scores = [(scale.name, scale.title + " *" * m.usual) for m in MEASURES for scale in m.scales]
    extras = [(name, title + " *" * (name in USUAL_EXTRAS)) for name, title in EXTRAS.items()]
    return [*scores, *extras, ("*", "computed where none is named")]


def chosen(selection: Sequence[str] | None) -> tuple[list[tuple[Measure, list[Scale]]], list[str]]:
    """The measures to compute, each with the scores that were asked for, and the extras.

    Args:
        wanted: names of scores and extras; "all" for all, None for the usual ones.
    """
    score_names = [scale.name for measure in MEASURES for scale in measure.scales]
    usual = [scale.name for measure in MEASURES if measure.usual for scale in measure.scales]
    every = [*score_names, *EXTRAS]
    names = [*usual, *USUAL_EXTRAS] if selection is None else every if list(selection) == ["all"] else selection
    for name in names:
        if name not in every:
            raise unknown("metric", name, [*every, "all"])
    measures = [(measure, [scale for scale in measure.scales if scale.name in names]) for measure in MEASURES]
    return [(measure, scales) for measure, scales in measures if scales], [name for name in EXTRAS if name in names]
