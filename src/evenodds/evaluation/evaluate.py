"""An evaluation from end to end: every score with its interval, its floor and the fingerprint of how it was made."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from msgspec import Meta
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.evaluation.answers import judged_answers
from evenodds.evaluation.columns import of_table
from evenodds.evaluation.copies import copies
from evenodds.evaluation.equilibrium import LOG4, discriminator_report, duality_gap, fresh_discriminator, judges_items
from evenodds.evaluation.examination import Examination, Step, examine, inside
from evenodds.evaluation.findings import findings
from evenodds.evaluation.material import Material, gather, opened
from evenodds.evaluation.measures import chosen
from evenodds.evaluation.outside import outside
from evenodds.evaluation.own_features import FeaturesBy
from evenodds.evaluation.scores import accuracy_scores, classes, likelihood, path_length_score, scored
from evenodds.files.misfit import shortened
from evenodds.files.read import read_json
from evenodds.files.text import quoted
from evenodds.game.seeds import mix
from evenodds.metrics.intervals import Interval
from evenodds.runs.allowed import allowing, modules_in
from evenodds.runs.session import Session
from evenodds.version import __version__

__all__ = ["SCHEMA", "Evaluation", "assess", "evaluate", "evaluate_on", "read"]

SCHEMA = 1
AGAIN = "evaluate again with this version"


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


@dataclass(frozen=True)
class _ScoreFields:
    """What others read of a score."""

    name: str
    title: str
    better: Literal["lower", "higher", "middle"]
    value: float | None
    low: float | None
    high: float | None
    floor: float | None

    def __post_init__(self) -> None:
        if self.value is not None and (self.low is None or self.high is None):
            raise BadInput("a score with a value needs an interval")


@dataclass(frozen=True)
class _Compared:
    """What others read of an evaluation by name; the rest is kept as it is."""

    fingerprint: dict[str, str | float | bool | None]
    scores: list[_ScoreFields]
    sound: bool
    verdict: Annotated[list[str], Meta(min_length=1)]


def read(path: Path) -> Evaluation:
    """An evaluation from a JSON file, or from the run's folder that holds one."""
    file = path / "evaluation.json" if path.is_dir() else path
    if not os.path.lexists(file):
        raise BadInput(f"no evaluation at {file}; make one with `evenodds evaluate {quoted(path)}`")
    try:
        content = read_json(file, dict[str, Any], "", _Compared)
        if content.get("schema") != SCHEMA:
            raise BadInput(f"schema must be {SCHEMA}, got {shortened(content.get('schema'))}")
    except BadInput as error:
        raise BadInput(f"{file} is no evaluation: {error}; {AGAIN}") from error
    return Evaluation(content)


def evaluate(
    subject: Any,
    against: Any = None,
    *,
    metrics: Sequence[str] | None = None,
    features: FeaturesBy | None = None,
    data: Any = None,
    train: Any = None,
    n: int = 10_000,
    seed: int | None = None,
    checkpoint: str = "last",
    device: str = "auto",
    step: Step | None = None,
    allow: Sequence[str] = (),
    most_pixels: int | None = None,
) -> Evaluation:
    """Judges a generator by real data that it was not trained on.

    Args:
        subject: a run's folder, a Session, or samples of any tool: a folder or archive of images, .npz, .csv, array.
        against: real data or a run whose data and split are taken; None for the data of the run that is judged.
        metrics: names of scores, and memorisation, equilibrium, duality_gap, likelihood; None for the usual ones.
        features: pixels, random, classifier, pretrained, inception, clean or dino; None: classifier for labelled
            images, pretrained for other photographs where its weights are here, random for others, pixels (the values
            themselves) for tables and toys. Or your own: a function, a module, or "my_module:Name" of one, that makes
            (N, F) of x (N, C, H, W) or (N, D) in [-1, 1]; see docs/features.md.
        data: where the data of the run lie now; None for where they were. Only the same data are taken.
        train: what the samples' generator was trained on, to look for copies; known for runs.
        n: at most so many samples and items of the reference.
        seed: of a run's samples and of every random choice; 0 where None.
        checkpoint: last, best, or a number of images.
        step: told of progress.
        allow: modules of your own that the runs may import, e.g. ("my_module",); look at them first.
        most_pixels: of a picture among the samples and the data; larger ones are not decoded. None: 89,478,485.
    """
    with allowing(allow):
        return assess(
            subject,
            against,
            metrics,
            features,
            seed,
            step,
            run_data=data,
            train=train,
            n=n,
            checkpoint=checkpoint,
            device=device,
            most_pixels=most_pixels,
        )[0]


def assess(
    subject: Any,
    against: Any = None,
    metrics: Sequence[str] | None = None,
    features: FeaturesBy | None = None,
    seed: int | None = None,
    step: Step | None = None,
    **opening: Any,
) -> tuple[Evaluation, Examination | None]:
    """The evaluation, and what it was computed on; see `evaluate` and, for the further arguments, `gather`.

    A run that fills tables is judged by cells that are hidden, and one that tells classes apart by held-out labels:
    there is no examination of samples then.
    """
    named = modules_in(features) if isinstance(features, str) else set[str]()
    with allowing(named.union(subject.allow if isinstance(subject, Session) else ())):
        return _assessed(subject, against, metrics, features, seed, step, opening)


def _assessed(
    subject: Any,
    against: Any,
    metrics: Sequence[str] | None,
    features: FeaturesBy | None,
    seed: int | None,
    step: Step | None,
    opening: Mapping[str, Any],
) -> tuple[Evaluation, Examination | None]:
    """`assess`, within what is allowed."""
    begun = time.perf_counter()
    extras = chosen(metrics)[1]  # a wrong name is said before time is spent
    say = step if step is not None else lambda what, done, total: None
    subject = opened(subject, opening.get("checkpoint", "last"), opening.get("device", "auto"))
    if isinstance(subject, Session) and subject.task.judged_by:
        typed = {"against": against, "metrics": metrics, "features": features, "seed": seed, **opening}
        found = {"schema": SCHEMA, "evenodds": __version__, **judged_answers(subject, typed, say)}
        return Evaluation({**found, "seconds": round(time.perf_counter() - begun, 2)}), None
    seed = 0 if seed is None else seed
    if opening.get("train") is not None and not {"memorisation", "duality_gap"} & set(extras):
        raise BadInput(
            "--train is searched for copies, which --metrics leaves out; add memorisation, or leave --train out"
        )
    material = gather(subject, against, seed=seed, reading=lambda done, total: say("reading", done, total), **opening)
    examination = examine(material, features, say)
    evaluation = evaluate_on(examination, metrics, seed, say)
    return Evaluation({**evaluation.content, "seconds": round(time.perf_counter() - begun, 2)}), examination


def evaluate_on(
    examination: Examination, metrics: Sequence[str] | None = None, seed: int = 0, step: Step = lambda *_: None
) -> Evaluation:
    """Computes the scores of what was examined."""
    content = {
        "schema": SCHEMA,
        "evenodds": __version__,
        "subject": {**examination.material.subject, "items": len(examination.fake)},
        "reference": examination.material.reference,
        "fingerprint": fingerprint(examination),
        "comparable": examination.extractor.comparable,
        "features_seen": _seen(examination),
        "scores": _scores(examination, metrics, seed, step),
        **_sections(examination, chosen(metrics)[1], seed, step),
    }
    lines, sound = findings(content)
    return Evaluation({**content, "verdict": lines, "sound": sound, "seconds": None})


def _seen(examination: Examination) -> bool:
    """Whether the discriminator of the run has learned on the features that its samples are judged by."""
    session = examination.material.session
    looked = 0 if session is None else session.config.discriminator.options.get("pretrained", 0)
    return bool(looked) and examination.extractor.name == "pretrained"


def _scores(examination: Examination, metrics: Sequence[str] | None, seed: int, step: Step) -> list[dict[str, Any]]:
    measures, extras = chosen(metrics)
    scores: list[dict[str, Any]] = []
    for k, (measure, scales) in enumerate(measures):
        step(", ".join(scale.title for scale in scales), k, len(measures))
        scores += scored(measure, scales, examination, seed)
    if "accuracy_score" in extras:
        step("classification accuracy score", 0, 1)
        scores += accuracy_scores(examination, seed)
    if "path_length" in extras:
        scores += [path_length_score(examination, seed)]
    return scores


def _sections(examination: Examination, extras: Sequence[str], seed: int, step: Step) -> dict[str, Any]:
    """What is measured beside scores, by name; None for what was left out."""
    material, train, fake, real = examination.material, examination.train, examination.fake, examination.real
    of_players = {"equilibrium", "duality_gap"} & set(extras)
    return {
        "memorisation": copies(material, train, fake, real, seed) if "memorisation" in extras else None,
        "equilibrium": _equilibrium(examination, extras, seed, step) if of_players else None,
        "likelihood": likelihood(examination) if "likelihood" in extras else None,
        "classes": classes(examination),
        "outside": outside(material),
        **of_table(material, seed, step),
    }


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


def _equilibrium(examination: Examination, extras: Sequence[str], seed: int, step: Step) -> dict[str, Any]:
    """The game's own discriminator where there is one, a fresh one, and the duality gap where it was asked for."""
    material, session = examination.material, examination.material.session
    real, fake = examination.real.x, examination.fake.x
    figures: dict[str, Any] = {"ideal": -LOG4, "notes": [], "duality_gap": None, "fresh": None}
    figures |= dict.fromkeys(("value", "accuracy", "accuracy_low", "accuracy_high", "calibration_error", "calibration"))
    if session is not None and not judges_items(session):
        game = f"the task '{session.config.task.name}' with loss '{session.config.loss.name}'"
        figures["notes"] = [f"{game} has no discriminator that judges items"]
    elif session is not None and not _same_conditions(session, material):
        kinds = "class" if session.conditions.by_class else session.conditions.kind
        figures["notes"] = [
            f"the discriminator of this run judges an item by its {kinds}, and the real data do not have those of the "
            "run; name data that do with --against, or leave --against out"
        ]
    elif session is not None:
        conditions = _conditions(session, material)
        of_run = discriminator_report(session, real, fake, conditions)
        figures |= {"value": of_run.value.value, "value_low": of_run.value.low, "value_high": of_run.value.high}
        figures |= {"accuracy": of_run.accuracy.value, "notes": of_run.notes}
        figures |= {"accuracy_low": of_run.accuracy.low, "accuracy_high": of_run.accuracy.high}
        figures |= {"calibration_error": of_run.calibration_error, "calibration": of_run.calibration}
    if "equilibrium" in extras:
        try:
            figures["fresh"] = _fresh(examination, seed, step)
        except BadInput as error:
            figures["notes"] = [*figures["notes"], f"no fresh discriminator: {error}"]
    responds = session is not None and judges_items(session) and session.task.value_task() is not None
    responds = responds and session is not None and _same_conditions(session, material)
    if "duality_gap" in extras and session is not None and responds and material.train is not None:
        step("duality gap", 0, 1)
        images = min(10_000, max(session.config.batch * 50, session.images // 20))
        z = session.prior(len(real), mix(seed, 41))
        figures["duality_gap"] = asdict(
            duality_gap(session, material.train, real, z, images, seed, _conditions(session, material)[0])
        )
    return figures


def _same_conditions(session: Session, material: Material) -> bool:
    """Whether the real items have the conditions that the players of the run were given, if they were given any."""
    real, card = material.real, session.card
    if session.conditions.kind is None:
        return True
    if session.conditions.by_class:
        return real.y is not None and real.classes == card.classes
    return real.conditions is not None and real.conditions == card.conditions


def _conditions(session: Session, material: Material) -> tuple[Tensor | None, Tensor | None]:
    """c of the reference and of the samples, where the run is conditional."""
    if session.conditions.kind is None:
        return None, None
    real = session.task.condition(material.real.batch(torch.arange(len(material.real))))
    return real, session.conditions.sampled(len(material.fake), material.subject["seed"])


def _fresh(examination: Examination, seed: int, step: Step) -> dict[str, Any]:
    """A fresh discriminator of real against samples, beside one of real against real with as many items."""
    fake, floor, real = examination.fake.x, examination.floor.x, examination.real.x
    others = inside(examination.material.fitting)
    n = min(len(fake), len(floor)) // 2
    m = min(len(fake) - n, len(others))

    def progress(done: int, total: int) -> None:
        step("fresh discriminators", done, total)

    place = examination.material.device
    fresh = fresh_discriminator(floor[:n], fake[:n], real, fake[n : n + m], seed, progress, place)
    null = fresh_discriminator(floor[:n], floor[n : 2 * n], real, others[:m], seed, progress, place)
    return {
        "jsd": fresh.bound.value,
        "low": fresh.bound.low,
        "high": fresh.bound.high,
        "floor": null.bound.value,
        "floor_low": null.bound.low,
        "floor_high": null.bound.high,
        "accuracy": fresh.accuracy.value,
        "n_fit": fresh.fitted_on,
        "n_test": fresh.tested_on,
    }
