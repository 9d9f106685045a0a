"""Each score as plain values: value, interval and floor, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.evaluation.examination import Examination, inside
from evenodds.evaluation.measures import Measure, Scale, classes_of
from evenodds.game.seeds import mix
from evenodds.metrics.features.extract import together
from evenodds.metrics.intervals import Interval, Side, floors, intervals
from evenodds.metrics.likelihood import parzen
from evenodds.metrics.manifold import precision_recall
from evenodds.metrics.path_length import path_length
from evenodds.metrics.probe import fit_probe

__all__ = ["accuracy_scores", "classes", "likelihood", "path_length_score", "scored"]

LEAST = 4
"""Fewer items than this on a side give no score at all."""


def scored(measure: Measure, scales: list[Scale], examination: Examination, seed: int) -> list[dict[str, Any]]:
    """The scores of one measure: value, interval and floor, or the reason why not."""
    real, fake = examination.real, examination.fake
    n = {"n_real": len(real), "n_fake": len(fake)}
    try:
        _needed(measure, real, fake)
        pairs = 8 if real.features.shape[1] <= 1024 else 4
        values = intervals(measure.statistic, real, fake, pairs, mix(seed, 21))
        as_blind = examination.floor if fake.labels is not None else examination.floor.without_labels()
        lowest = floors(measure.statistic, real, as_blind, len(fake), pairs, mix(seed, 22))
    except BadInput as error:
        return [score(scale, None, None, n, str(error)) for scale in scales]
    return [score(s, values[s.name], lowest[s.name], n, _note(real, fake, s.name)) for s in scales]


def _needed(measure: Measure, real: Side, fake: Side) -> None:
    if min(len(real), len(fake)) < LEAST:
        raise BadInput(f"needs at least {LEAST} items on each side, got {len(real)} real, {len(fake)} generated")
    if measure.needs == "probabilities" and fake.probabilities is None:
        if fake.x.ndim != 4 and real.labels is None:
            raise BadInput("needs a classifier, and these items have no labels to learn one from; leave it out")
        also = " or inception" if fake.x.ndim == 4 else ""
        if real.labels is None:
            raise BadInput("needs a classifier; take --features inception, or data with labels")
        raise BadInput(f"needs a classifier; take --features classifier{also}")
    if measure.needs == "images" and fake.x.ndim != 4:
        raise BadInput("compares images; these are numbers")
    if measure.needs == "labels" and (real.labels is None or (fake.labels is None and fake.probabilities is None)):
        raise BadInput("needs labelled data, and samples that are labelled or a classifier to label them")


def score(
    scale: Scale, value: Interval | None, floor: Interval | None, n: Mapping[str, int], note: str = ""
) -> dict[str, Any]:
    """A score as plain values; without a value the note says why."""
    ends = dict.fromkeys(("value", "low", "high", "floor", "floor_low", "floor_high"))
    ends |= _ends(scale, value, ("value", "low", "high")) | _ends(scale, floor, ("floor", "floor_low", "floor_high"))
    return {"name": scale.name, "title": scale.title, **ends, "better": scale.better, **n, "note": note}


def _ends(scale: Scale, interval: Interval | None, names: tuple[str, str, str]) -> dict[str, Any]:
    if interval is None:
        return {}
    ends = (interval.value, max(interval.low, scale.least), min(interval.high, scale.most))
    return dict(zip(names, ends, strict=True))


def _note(real: Side, fake: Side, name: str) -> str:
    if name == "frechet" and min(len(real), len(fake)) <= real.features.shape[1]:
        return f"biased: fewer items than the {real.features.shape[1]:,} features; trust the kernel distance"
    if min(len(real), len(fake)) < 50:
        return "very few items"
    return ""


def accuracy_scores(examination: Examination, seed: int) -> list[dict[str, Any]]:
    """The classification accuracy score (Ravuri and Vinyals 2019): train on samples, test on real; and the reverse."""
    scales = (
        Scale("accuracy_score", "Accuracy on real of a classifier trained on samples", "higher"),
        Scale("reverse_accuracy_score", "Accuracy on samples of a classifier trained on real", "higher"),
    )
    real, fake, fitting = examination.real, examination.fake, examination.material.fitting
    counts = {"n_real": len(real), "n_fake": len(fake)}
    if fake.labels is None or real.labels is None or fitting.y is None:
        reason = "needs samples with labels (class folders, a y, or a conditional run) and labelled data"
        return [score(scale, None, None, counts, reason) for scale in scales]
    n, k = min(len(fake), len(fitting)), len(fitting.classes)
    place = examination.material.device
    by_fake = fit_probe(fake.x[:n].to(place), fake.labels[:n], k, seed=seed)
    by_real = fit_probe(inside(fitting)[:n].to(place), fitting.y[:n], k, seed=seed)
    floor = _accuracy(by_real, real.x, real.labels)
    values = (_accuracy(by_fake, real.x, real.labels), _accuracy(by_real, fake.x, fake.labels))
    return [score(scale, value, floor, counts) for scale, value in zip(scales, values, strict=True)]


@torch.no_grad()
def _accuracy(probe: torch.nn.Module, x: Tensor, y: Tensor) -> Interval:
    place = next(probe.parameters()).device
    guess = torch.cat([probe(part.to(place)).argmax(1).cpu() for part in torch.split(x, 1024)])
    labelled = y >= 0
    return Interval.of_share(int((guess == y)[labelled].sum()), max(1, int(labelled.sum())))


def path_length_score(examination: Examination, seed: int, pairs: int = 1000, eps: float = 1e-2) -> dict[str, Any]:
    """Perceptual path length (Karras et al. 2019, eq. 2) along the prior's own paths, in these features."""
    scale, session = Scale("path_length", "Perceptual path length form", "lower", 0), examination.material.session
    counts = {"n_real": 0, "n_fake": pairs}
    if session is None:
        return score(scale, None, None, counts, "needs a run: samples alone have no latent space")
    a, b = (session.prior(pairs, mix(seed, 31, k)) for k in (0, 1))
    t = torch.rand(pairs, generator=torch.Generator().manual_seed(mix(seed, 32)))
    between = session.latent.between
    ends = [torch.cat([between(a[i], b[i], (t[i] + e)[None]) for i in range(pairs)]) for e in (0.0, eps)]
    at, beyond = (
        together(examination.extractor, session.answer(z), device=examination.material.device)[0] for z in ends
    )
    steps = (beyond - at).double().square().sum(1) / eps**2
    value = float(path_length(at, beyond, eps))
    error = float(steps[steps <= steps.quantile(0.99)].std()) / pairs**0.5
    note = f"steps of {eps:g}; the lowest and highest 1 % are left out"
    return score(scale, Interval.around(value, error), None, counts, note)


def classes(examination: Examination) -> list[dict[str, Any]] | None:
    """Share, precision and recall of each class."""
    real, fake = examination.real, examination.fake
    if real.labels is None or (fake.labels is None and examination.extractor.name != "classifier"):
        return None
    ours, theirs = real.labels, classes_of(fake)
    rows = []
    for k, name in enumerate(examination.material.real.classes):
        a, b = real.features[ours == k], fake.features[theirs == k]
        row = {"name": name, "real_share": len(a) / max(1, int((ours >= 0).sum())), "fake_share": len(b) / len(fake)}
        try:
            result = precision_recall(a, b)
            more = {"precision": float(result.precision), "recall": float(result.recall), "note": ""}
        except BadInput:
            more = {"precision": None, "recall": None, "note": f"{len(a)} real, {len(b)} generated: too few"}
        rows.append({**row, **more})
    return rows


def likelihood(examination: Examination) -> dict[str, Any]:
    """Parzen-window log-likelihood of the reference, as in the paper: values in [0, 1], sigma by cross-validation."""
    unit = [(x.flatten(1) + 1) / 2 for x in (examination.fake.x, examination.floor.x, examination.real.x)]
    fake, floor, real = unit
    n = min(len(fake), len(floor))
    fitting = (inside(examination.material.fitting).flatten(1) + 1) / 2
    validation = fitting[:: max(1, len(fitting) // 1000)]
    density, ceiling = (parzen(samples[:n], validation, real) for samples in (fake, floor))
    return {
        "mean": float(density.mean),
        "standard_error": float(density.standard_error),
        "sigma": float(density.sigma),
        "samples": n,
        "ceiling": float(ceiling.mean),
        "ceiling_standard_error": float(ceiling.standard_error),
    }
