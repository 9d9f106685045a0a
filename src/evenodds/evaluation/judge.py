"""An evaluation from end to end: every score with its interval, its floor and the fingerprint of how it was made."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.evaluation.copies import copies
from evenodds.evaluation.equilibrium import LOG4, duality_gap, fresh_discriminator, own_discriminator
from evenodds.evaluation.halves import Interval, Side, floors, intervals, wilson
from evenodds.evaluation.material import Material, gather
from evenodds.evaluation.measures import Measure, Scale, chosen, classes_of
from evenodds.evaluation.verdict import verdict
from evenodds.features.extract import together
from evenodds.find import find
from evenodds.game import mix
from evenodds.metrics.likelihood import parzen
from evenodds.metrics.manifold import precision_recall
from evenodds.metrics.path_length import path_length
from evenodds.probe import fit_probe
from evenodds.version import __version__

__all__ = ["SCHEMA", "Evaluation", "Examination", "evaluate", "examine", "judge", "read"]

SCHEMA = 1
LEAST = 4
"""Fewer items than this on a side give no score at all."""

Step = Callable[[str, int, int], None]
"""Is told what is being done, how far it is, and how far it goes."""


@dataclass(frozen=True)
class Evaluation:
    """What is known of a generator's quality: plain values, written and read as JSON."""

    content: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        """A part of the content: "subject", "scores", "fingerprint", "memorisation", "verdict", ..."""
        return self.content[name]

    def score(self, name: str) -> Interval | None:
        """A score and its interval; None where it was refused."""
        for score in self.content["scores"]:
            if score["name"] == name:
                return None if score["value"] is None else Interval(score["value"], score["low"], score["high"])
        raise BadInput(f"no score '{name}' here; there are {', '.join(s['name'] for s in self.content['scores'])}")


def read(path: Path) -> Evaluation:
    """An evaluation from a JSON file, or from the run's folder that holds one."""
    file = path / "evaluation.json" if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"no evaluation at {file}; make one with `evenodds evaluate`") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} is no evaluation: {error}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise BadInput(f"{file} is no evaluation of schema {SCHEMA}; evaluate again with this version")
    return Evaluation(content)


@dataclass(frozen=True)
class Examination:
    """Material with its features: what scores, copies and pictures are computed from."""

    material: Material
    extractor: Any
    real: Side
    fake: Side
    floor: Side
    train: Tensor | None
    """(T, F) features of the training items, where they are known."""


def evaluate(
    subject: Any,
    against: Any = None,
    *,
    metrics: Sequence[str] | None = None,
    features: str | None = None,
    train: Any = None,
    n: int = 10_000,
    seed: int = 0,
    checkpoint: str = "last",
    device: str = "auto",
    step: Step | None = None,
) -> Evaluation:
    """Judges a generator by real data that it was not trained on.

    Args:
        subject: a run's folder, a Session, or samples of any tool: a folder or zip of images, .npz, .npy, .csv, array.
        against: real data or a run whose data and split are taken; None for the data of the run that is judged.
        metrics: names of scores, and memorisation, equilibrium, duality_gap, likelihood; None for the usual ones.
        features: pixels, random, classifier, inception or dino; None: classifier for labelled images, random for
            others, pixels (the values themselves) for tables and toys.
        train: what the samples' generator was trained on, to look for copies; known for runs.
        n: at most so many samples and items of the reference.
        seed: of a run's samples and of every random choice.
        checkpoint: last, best, or a number of images.
        step: told of progress.
    """
    begun = time.perf_counter()
    chosen(metrics)  # a wrong name is said before time is spent
    say = step if step is not None else lambda what, done, total: None
    material = gather(
        subject,
        against,
        train=train,
        n=n,
        seed=seed,
        checkpoint=checkpoint,
        device=device,
        reading=lambda done, total: say("reading", done, total),
    )
    examination = examine(material, features, say)
    found = judge(examination, metrics, seed, say)
    return Evaluation({**found.content, "seconds": round(time.perf_counter() - begun, 2)})


def examine(material: Material, features: str | None = None, step: Step = lambda *_: None) -> Examination:
    """Extracts the features of all sides."""
    name = features or usual_features(material.real)
    extractor = _extractor(name, material, step)

    def side(what: str, x: Tensor, labels: Tensor | None) -> Side:
        def told(done: int, total: int) -> None:
            step(f"features of {what}", done, total)

        return Side(x, *together(extractor, x, progress=told), labels)

    real, floor = (side(what, _inside(d), d.y) for what, d in (("reference", material.real), ("floor", material.floor)))
    fake = side("samples", material.fake, material.fake_labels)
    train = side("training items", _inside(material.train), None).features if material.train is not None else None
    return Examination(material, extractor, real, fake, floor, train)


def usual_features(data: Dataset) -> str:
    """The features for a kind of data where none are named."""
    if data.kind != "image":
        return "pixels"
    return "classifier" if _teachable(data) else "random"


def _teachable(data: Dataset) -> bool:
    """Whether there are labels to learn from: two classes or more with ten items in the mean."""
    return data.y is not None and len(data.classes) > 1 and int((data.y >= 0).sum()) >= 10 * len(data.classes)


def _extractor(name: str, material: Material, step: Step) -> Any:
    maker = find("features", name)
    if name != "classifier":
        return maker(material.real.shape)
    fitting = material.fitting
    if not _teachable(fitting) or fitting.y is None:
        raise BadInput("features 'classifier' need labelled data: class folders, a y; or take --features random")
    from evenodds.features.classifier import trained

    def told(done: int, total: int) -> None:
        step("training the classifier of the features", done, total)

    return trained(_inside(fitting), fitting.y, fitting.classes, key=fitting.fingerprint(), progress=told)


def _inside(data: Dataset) -> Tensor:
    """All items in [-1, 1]."""
    return data.units.to_model(data.x)


def judge(
    examination: Examination, metrics: Sequence[str] | None = None, seed: int = 0, step: Step = lambda *_: None
) -> Evaluation:
    """Computes the scores of what was examined."""
    measures, extras = chosen(metrics)
    scores: list[dict[str, Any]] = []
    for k, (measure, scales) in enumerate(measures):
        step(", ".join(scale.title for scale in scales), k, len(measures))
        scores += _scored(measure, scales, examination, seed)
    if "accuracy_score" in extras:
        step("classification accuracy score", 0, 1)
        scores += _accuracy_scores(examination, seed)
    if "path_length" in extras:
        scores += [_path_length(examination, seed)]
    found = {
        "memorisation": copies(examination.material, examination.train, examination.fake, examination.real, seed)
        if "memorisation" in extras
        else None,
        "equilibrium": _equilibrium(examination, extras, seed, step)
        if {"equilibrium", "duality_gap"} & set(extras)
        else None,
        "likelihood": _likelihood(examination, seed) if "likelihood" in extras else None,
        "classes": _classes(examination),
    }
    content = {
        "schema": SCHEMA,
        "evenodds": __version__,
        "subject": {**examination.material.subject, "items": len(examination.fake)},
        "reference": examination.material.reference,
        "fingerprint": fingerprint(examination),
        "comparable": examination.extractor.comparable,
        "scores": scores,
        **found,
    }
    lines, sound = verdict(content)
    return Evaluation({**content, "verdict": lines, "sound": sound, "seconds": None})


def fingerprint(examination: Examination) -> dict[str, Any]:
    """All on which scores depend beside the generator: equal fingerprints, and only they, may be compared."""
    material, extractor = examination.material, examination.extractor
    return {
        "features": extractor.name,
        "weights": extractor.weights,
        "resize": extractor.resize,
        "samples_resized": material.resized,
        "reference": material.real.fingerprint(),
        "n_real": len(examination.real),
        "n_fake": len(examination.fake),
        "evenodds": __version__,
    }


def _scored(measure: Measure, scales: list[Scale], examination: Examination, seed: int) -> list[dict[str, Any]]:
    """The scores of one measure: value, interval and floor, or the reason why not."""
    real, fake = examination.real, examination.fake
    n = {"n_real": len(real), "n_fake": len(fake)}
    try:
        _needed(measure, real, fake)
        pairs = 8 if real.features.shape[1] <= 1024 else 4
        values = intervals(measure.statistic, real, fake, pairs, mix(seed, 21))
        as_blind = examination.floor if fake.labels is not None else replace(examination.floor, labels=None)
        lowest = floors(measure.statistic, real, as_blind, len(fake), pairs, mix(seed, 22))
    except BadInput as error:
        return [score(scale, None, None, n, str(error)) for scale in scales]
    return [score(s, values[s.name], lowest[s.name], n, _note(real, fake, s.name)) for s in scales]


def _needed(measure: Measure, real: Side, fake: Side) -> None:
    if min(len(real), len(fake)) < LEAST:
        raise BadInput(f"needs at least {LEAST} items on each side, got {len(real)} real, {len(fake)} generated")
    if measure.needs == "probabilities" and fake.probabilities is None:
        raise BadInput("needs a classifier; take --features classifier or inception")
    if measure.needs == "images" and fake.x.ndim != 4:
        raise BadInput("compares images; these are rows of numbers")
    if measure.needs == "labels" and (real.labels is None or (fake.labels is None and fake.probabilities is None)):
        raise BadInput("needs labelled data, and samples that are labelled or a classifier to label them")


def score(
    scale: Scale, value: Interval | None, floor: Interval | None, n: Mapping[str, int], note: str = ""
) -> dict[str, Any]:
    """A score as plain values; without a value the note says why."""
    ends = dict.fromkeys(("value", "low", "high", "floor", "floor_low", "floor_high"))
    ends |= _ends(scale, value, ("value", "low", "high")) | _ends(scale, floor, ("floor", "floor_low", "floor_high"))
    return {"name": scale.name, "title": scale.title, **ends, "better": scale.better, **n, "note": note}


def _ends(scale: Scale, given: Interval | None, names: tuple[str, str, str]) -> dict[str, Any]:
    if given is None:
        return {}
    ends = (given.value, max(given.low, scale.least), min(given.high, scale.most))
    return dict(zip(names, ends, strict=True))


def _note(real: Side, fake: Side, name: str) -> str:
    if name == "frechet" and min(len(real), len(fake)) <= real.features.shape[1]:
        return f"biased: fewer items than the {real.features.shape[1]:,} features; trust the kernel distance"
    if min(len(real), len(fake)) < 50:
        return "very few items"
    return ""


def _accuracy_scores(examination: Examination, seed: int) -> list[dict[str, Any]]:
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
    by_fake = fit_probe(fake.x[:n], fake.labels[:n], k, seed=seed)
    by_real = fit_probe(_inside(fitting)[:n], fitting.y[:n], k, seed=seed)
    floor = _accuracy(by_real, real.x, real.labels)
    values = (_accuracy(by_fake, real.x, real.labels), _accuracy(by_real, fake.x, fake.labels))
    return [score(scale, value, floor, counts) for scale, value in zip(scales, values, strict=True)]


@torch.no_grad()
def _accuracy(probe: torch.nn.Module, x: Tensor, y: Tensor) -> Interval:
    guess = torch.cat([probe(part).argmax(1) for part in torch.split(x, 1024)])
    known = y >= 0
    return wilson(int((guess == y)[known].sum()), max(1, int(known.sum())))


def _path_length(examination: Examination, seed: int, pairs: int = 1000, eps: float = 1e-2) -> dict[str, Any]:
    """Perceptual path length (Karras et al. 2019, eq. 2) along the prior's own paths, in these features."""
    scale, session = Scale("path_length", "Perceptual path length form", "lower", 0), examination.material.session
    counts = {"n_real": 0, "n_fake": pairs}
    if session is None:
        return score(scale, None, None, counts, "needs a run: samples alone have no latent space")
    a, b = (session.prior(pairs, mix(seed, 31, k)) for k in (0, 1))
    t = torch.rand(pairs, generator=torch.Generator().manual_seed(mix(seed, 32)))
    between = session.task.prior.between
    ends = [torch.cat([between(a[i], b[i], (t[i] + e)[None]) for i in range(pairs)]) for e in (0.0, eps)]
    at, beyond = (together(examination.extractor, session.answer(z))[0] for z in ends)
    steps = (beyond - at).double().square().sum(1) / eps**2
    value = float(path_length(at, beyond, eps))
    error = float(steps[steps <= steps.quantile(0.99)].std()) / pairs**0.5
    note = f"steps of {eps:g}; the lowest and highest 1 % are left out"
    return score(scale, Interval.around(value, error), None, counts, note)


def _classes(examination: Examination) -> list[dict[str, Any]] | None:
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
            found = precision_recall(a, b)
            more = {"precision": float(found.precision), "recall": float(found.recall), "note": ""}
        except BadInput:
            more = {"precision": None, "recall": None, "note": f"{len(a)} real, {len(b)} generated: too few"}
        rows.append({**row, **more})
    return rows


def _likelihood(examination: Examination, seed: int) -> dict[str, Any]:
    """Parzen-window log-likelihood of the reference, as in the paper: values in [0, 1], sigma by cross-validation."""
    unit = [(x.flatten(1) + 1) / 2 for x in (examination.fake.x, examination.floor.x, examination.real.x)]
    fake, floor, real = unit
    n = min(len(fake), len(floor))
    fitting = (_inside(examination.material.fitting).flatten(1) + 1) / 2
    validation = fitting[:: max(1, len(fitting) // 1000)]
    found, ceiling = (parzen(samples[:n], validation, real) for samples in (fake, floor))
    return {
        "mean": float(found.mean),
        "standard_error": float(found.standard_error),
        "sigma": float(found.sigma),
        "samples": n,
        "ceiling": float(ceiling.mean),
        "ceiling_standard_error": float(ceiling.standard_error),
    }


def _equilibrium(examination: Examination, extras: Sequence[str], seed: int, step: Step) -> dict[str, Any]:
    """The game's own discriminator where there is one, a fresh one, and the duality gap where it was asked for."""
    material, session = examination.material, examination.material.session
    real, fake = examination.real.x, examination.fake.x
    found: dict[str, Any] = {"ideal": -LOG4, "notes": [], "duality_gap": None, "fresh": None}
    found |= dict.fromkeys(("value", "accuracy", "accuracy_low", "accuracy_high", "calibration_error", "calibration"))
    if session is not None:
        own = own_discriminator(session, real, fake)
        found |= {"value": own.value.value, "value_low": own.value.low, "value_high": own.value.high}
        found |= {"accuracy": own.accuracy.value, "notes": own.notes}
        found |= {"accuracy_low": own.accuracy.low, "accuracy_high": own.accuracy.high}
        found |= {"calibration_error": own.calibration_error, "calibration": own.calibration}
    if "equilibrium" in extras:
        try:
            found["fresh"] = _fresh(examination, seed, step)
        except BadInput as error:
            found["notes"] = [*found["notes"], f"no fresh discriminator: {error}"]
    if "duality_gap" in extras and session is not None and material.train is not None:
        step("duality gap", 0, 1)
        images = max(session.config.batch * 50, session.images // 20)
        z = session.prior(len(fake), mix(seed, 41))
        found["duality_gap"] = asdict(duality_gap(session, material.train, real, z, images, seed))
    return found


def _fresh(examination: Examination, seed: int, step: Step) -> dict[str, Any]:
    """A fresh discriminator of real against samples, beside one of real against real with as many items."""
    fake, floor, real = examination.fake.x, examination.floor.x, examination.real.x
    others = _inside(examination.material.fitting)
    n = min(len(fake), len(floor)) // 2
    m = min(len(fake) - n, len(others))

    def told(done: int, total: int) -> None:
        step("fresh discriminators", done, total)

    found = fresh_discriminator(floor[:n], fake[:n], real, fake[n : n + m], seed, told)
    null = fresh_discriminator(floor[:n], floor[n : 2 * n], real, others[:m], seed, told)
    return {
        "jsd": found.bound.value,
        "low": found.bound.low,
        "high": found.bound.high,
        "floor": null.bound.value,
        "floor_low": null.bound.low,
        "floor_high": null.bound.high,
        "accuracy": found.accuracy.value,
        "n_fit": found.fitted_on,
        "n_test": found.tested_on,
    }
