"""Contents for reports: one like a real run's, and many that no page should break on."""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from evenodds.show import pictures
from evenodds.show.page import Content, Picture

EVIL = "<script>alert('&')</script><img src=\"https://example.org/x.png\" onerror=alert(1)>"
LONG = "a/very/deep/folder/of/chest-radiographs/" + "patient_without_any_break_in_the_name" * 5 + ".dcm.png"


def digits(n: int, start: int = 0) -> NDArray[np.uint8]:
    """(n, 1, 8, 8) uint8."""
    return _digits()[start : start + n].copy()


@cache
def _digits() -> NDArray[np.uint8]:
    images: NDArray[np.uint8] = (load_digits().images[:, None] * 15.9).astype(np.uint8)
    return images


def blurred(x: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """What a generator might have made of them."""
    noise = np.random.default_rng(seed).normal(0, 14, x.shape)
    return (x + noise).clip(0, 255).astype(np.uint8)


def film(frames: NDArray[np.uint8]) -> bytes:
    """An animated GIF."""
    first, *rest = [pictures.to_image(pictures.enlarge(frame, 128)) for frame in frames]
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=rest, duration=80, loop=0)
    return file.getvalue()


def some_pictures() -> dict[str, Picture]:
    return dict(_some_pictures())


@cache
def _some_pictures() -> dict[str, Picture]:
    real, train = digits(64), digits(12, 200)
    pairs = np.concatenate([np.stack([a, b]) for a, b in zip(real[:24], blurred(real[:24], 1), strict=True)])
    gradient = np.broadcast_to(np.linspace(0, 255, 200).astype(np.uint8), (3, 120, 200))
    copies = np.concatenate([blurred(train, 2), train])
    sheet = pictures.grid(blurred(real, 0), columns=8)
    return {
        "samples": Picture.of(sheet, "64 samples, drawn with seed 0, not selected.", "64 generated digits"),
        "pairs_real": Picture.of(
            pictures.grid(pairs, columns=12),
            "Real examples that were held out, each with the nearest sample at its right.",
            "Twenty-four pairs of digits",
        ),
        "pairs_train": Picture.of(
            pictures.grid(copies, columns=12),
            "Samples (above) and their nearest training examples (below).",
            "Two rows of twelve digits",
        ),
        "suspects": Picture.of(
            pictures.grid(copies[[0, 12, 1, 13, 2, 14]], columns=2), "The closest suspects.", "Three pairs of digits"
        ),
        "walk": Picture(film(real[:12]), "Neighbouring z give neighbouring pictures.", "Digits in turn", "image/gif"),
        "saliency": Picture.of(gradient, "What D looks at.", "It grows lighter to the right", pixelated=False),
    }


def some_history(lines: int = 240, images: int = 240_000, seed: int = 0) -> list[dict[str, Any]]:
    """A game that settles near even odds."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(1, lines + 1):
        t, noise = k / lines, rng.normal(0, 0.03, 4)
        apart = 0.45 * math.exp(-5 * t) + 0.05
        line: dict[str, Any] = {"images": images * k // lines, "round": k * 20, "seconds": round(200.4 * t, 3)}
        line |= {"images_per_second": 1200.0, "discriminator/adversarial": 1.386 - apart + noise[0]}
        if k % 4 == 0:
            line["discriminator/penalty"] = 0.02 + 6 * math.exp(-9 * t) * abs(1 + noise[1])
        real, fake = (min(0.999, max(0.001, p)) for p in (0.5 + apart + noise[2], 0.5 - apart + noise[3]))
        line |= {"discriminator/real": real, "discriminator/fake": fake}
        line["generator/adversarial"] = 0.69 + 2 * apart + 4 * noise[1]
        if k % max(1, lines // 12) == 0:
            score = 0.02 + 0.3 * math.exp(-6 * t) + abs(noise[0]) / 10
            line |= {"score": score, "score_low": score * 0.8, "score_high": score * 1.25}
        found.append(line)
    return found


def score(
    name: str, title: str, value: float, width: float, floor: float, better: str, note: str = ""
) -> dict[str, Any]:
    ends = {
        "low": value - width,
        "high": value + width,
        "floor_low": floor - width / 2,
        "floor_high": floor + width / 2,
    }
    shared = {"better": better, "n_real": 359, "n_fake": 1000, "note": note}
    return {"name": name, "title": title, "value": value, "floor": floor, **ends, **shared}


def some_scores() -> list[dict[str, Any]]:
    refused = {"value": None, "low": None, "high": None, "floor": None, "floor_low": None, "floor_high": None}
    reason = "needs samples with labels (class folders, a y, or a conditional run) and labelled data"
    shared = {"better": "higher", "n_real": 359, "n_fake": 1000, "note": reason}
    return [
        score("frechet", "Fréchet distance", 3.1871234, 0.3, 0.412, "lower", "biased below 2,048 items"),
        score("kernel", "Kernel distance", 0.00734, 0.0011, -0.000021, "lower"),
        score("precision", "Precision", 0.871, 0.03, 0.93, "higher"),
        score("recall", "Recall", 0.902, 0.03, 0.925, "higher"),
        score("density", "Density", 1.04, 0.06, 0.99, "higher"),
        score("coverage", "Coverage", 0.911, 0.03, 0.94, "higher"),
        score("two_sample_accuracy", "Nearest-neighbour two-sample accuracy", 0.611, 0.025, 0.498, "middle"),
        score("sliced_wasserstein", "Sliced Wasserstein distance", 0.0312, 0.004, 0.0198, "lower"),
        {"name": "accuracy_score", "title": "Accuracy on real of a classifier trained on samples", **refused, **shared},
    ]


def some_classes(collapsed: bool = False) -> list[dict[str, Any]]:
    fake = [0.104, 0.101, 0.094, 0.088, 0.112, 0.098, 0.101, 0.099, 0.102, 0.101]
    if collapsed:
        fake = [0.104, 0.121, 0.094, 0.0, 0.112, 0.018, 0.131, 0.119, 0.142, 0.159]
    found: list[dict[str, Any]] = [
        {"name": str(k), "real_share": 0.1 + (k % 3 - 1) / 200, "fake_share": share, "precision": 0.8 + k / 100}
        | {"recall": 0.94 - k / 50, "note": ""}
        for k, share in enumerate(fake)
    ]
    if collapsed:
        found[3] |= {"precision": None, "recall": None, "note": "36 real, 0 generated: too few"}
    return found


def some_suspects(n: int = 20, file: str = "3/digit-{}.png") -> list[dict[str, Any]]:
    return [
        {"sample": 17 + 41 * k, "training": 402 + 7 * k, "file": file.format(k) if k % 5 else None}
        | {"distance": 0.0113 * (k + 1), "held_out_distance": 1.42, "ratio": 0.0113 * (k + 1) / 1.42}
        for k in range(n)
    ]


def some_evaluation() -> dict[str, Any]:
    """Schema 1 with nothing left out."""
    calibration = [
        {"predicted": 0.05 + k / 10, "observed": 0.5 + 0.55 * (k / 10 - 0.45), "n": 12 + 40 * min(k, 9 - k)}
        for k in range(10)
    ]
    return {
        "schema": 1,
        "evenodds": "0.1.0",
        "subject": {"kind": "run", "path": "runs/digits-1", "items": 1000, "images_seen": 240_000, "seed": 0},
        "reference": {
            "path": "digits",
            "kind": "image",
            "shape": [1, 8, 8],
            "items": 359,
            "role": "held-out items of the run",
        },
        "fingerprint": {
            "features": "classifier",
            "weights": "sha256:" + "9f86d081884c7d65" * 4,
            "resize": "none",
            "reference": "56b699d4289e0018dffcdb5babf635a3ebbe444155423b388bfc1a8d78c44a86",
            "n_real": 359,
            "n_fake": 1000,
            "evenodds": "0.1.0",
            "options": {"neighbours": 5, "halves": 8},
        },
        "comparable": "",
        "scores": some_scores(),
        "classes": some_classes(),
        "memorisation": {
            "share": 0.018,
            "low": 0.0114,
            "high": 0.0283,
            "expected": 0.01,
            "suspects": some_suspects(),
            "authenticity": 0.902,
            "authenticity_floor": 0.884,
            "c_t": 0.31,
            "verdict": "no sign of copying",
            "n_train": 1438,
            "n_held_out": 359,
        },
        "equilibrium": {
            "value": -1.3412,
            "ideal": -math.log(4),
            "accuracy": 0.561,
            "accuracy_low": 0.531,
            "accuracy_high": 0.59,
            "calibration_error": 0.0871,
            "calibration": calibration,
            "fresh": {
                "jsd": 0.052,
                "low": 0.031,
                "high": 0.074,
                "floor": 0.0012,
                "floor_low": -0.011,
                "floor_high": 0.013,
            }
            | {"accuracy": 0.622, "n_fit": 500, "n_test": 300},
            "duality_gap": {"gap": 0.213, "best_discriminator": -1.14, "best_generator": -1.353, "images": 20_000},
            "notes": ["the loss sees only differences of logits: half of the items set D's level, the others judge it"],
        },
        "likelihood": {"mean": 225.13, "standard_error": 1.94, "sigma": 0.2, "samples": 10_000}
        | {"ceiling": 240.04, "ceiling_standard_error": 1.71},
        "verdict": [
            "No sign of copying and no collapse: the scores may be ranked.",
            "The samples can still be told from real data: a Fréchet distance of 3.19 against a floor of 0.412.",
        ],
        "sound": True,
        "seconds": 12.34,
    }


SETTINGS: dict[str, Any] = {
    "recipe": "digits",
    "data": "digits",
    "held_out": 0.2,
    "prior": {"name": "normal", "size": 32},
    "generator": {"name": "dcgan", "width": 64, "stages": [{"size": 4, "channels": 128}, {"size": 8, "channels": 64}]},
    "loss": "relativistic_paired",
    "penalty_weight": 0.1,
    "views": [],
    "fused": False,
    "optimizer": {"name": "Adam", "betas": [0.0, 0.99]},
    "learning_rate": 0.30000000000000004,
    "images": 240_000,
    "seed": 1234567,
    "decay": None,
}
ENVIRONMENT = {"evenodds": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu", "machine": "Linux x86_64", "threads": 2}


def realistic() -> Content:
    """A run on the digits, evaluated."""
    return Content(
        title="digits-1",
        subtitle="Recipe digits, 240,000 images, seed 0",
        evaluation=some_evaluation(),
        pictures=some_pictures(),
        history=some_history(),
        settings=SETTINGS,
        environment=ENVIRONMENT,
    )


def nulls(value: Any, depth: int = 0) -> Any:
    """The same with null in the place of everything that is not a mapping, from the second level on."""
    if isinstance(value, Mapping):
        return {key: nulls(one, depth + 1) for key, one in value.items()}
    return [nulls(one, depth + 1) for one in value] if isinstance(value, list) else None


def unsound() -> Content:
    """A collapsed generator that copies."""
    found = some_evaluation()
    lines = [
        "Not sound: the generator copies training items: 41.2 % of its samples, 1.00 % expected.",
        "2 of 10 classes are missing or nearly so: 3, 5.",
        "Low distances mean nothing here: do not rank them.",
    ]
    memory = found["memorisation"] | {"share": 0.412, "low": 0.38, "high": 0.44, "verdict": "copies of training items"}
    memory |= {"c_t": -14.2, "authenticity": 0.31}
    return replace(
        realistic(),
        evaluation={**found, "memorisation": memory, "verdict": lines, "sound": False}
        | {"classes": some_classes(collapsed=True)},
    )


def many_classes() -> Content:
    rng = np.random.default_rng(0)
    rows = [
        {"name": f"species {k}", "real_share": 0.01, "fake_share": max(0.0, 0.01 * rng.normal(1, 0.6))}
        | {"precision": rng.uniform(0.5, 1), "recall": rng.uniform(0.3, 1), "note": ""}
        for k in range(100)
    ]
    return replace(realistic(), evaluation={**some_evaluation(), "classes": rows})


def named(name: str) -> Content:
    """Everything that has a name has this one."""
    found = some_evaluation()
    found["scores"] = [{**one, "title": name, "name": name, "note": name} for one in found["scores"]]
    found["classes"] = [{**one, "name": name, "note": name} for one in found["classes"]]
    found["memorisation"] |= {"suspects": some_suspects(14, name.replace("{", "")), "verdict": name}
    found["subject"] = found["subject"] | {"path": name, "seed": name}
    found["reference"] = dict.fromkeys(found["reference"], name)
    found["fingerprint"] = {name: name, "options": {name: {name: [name]}}}
    found["equilibrium"]["notes"] = [name]
    found |= {"verdict": [name], "comparable": name, "evenodds": name}
    shown = {key: replace(one, alt=name, caption=name) for key, one in some_pictures().items()}
    settings = {name: name, "deep": {name: {name: {name: {name: name}}}}}
    history = [{**line, f"discriminator/{name}": 1.0, f"{name}/real": 0.5} for line in some_history(20)]
    return Content(name, name, found, shown | {name: shown["walk"]}, history, settings, settings)


def holed(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The history of a run that came apart, and was written by somebody else."""
    for k, line in enumerate(history):
        for j, name in enumerate([key for key in line if "/" in key or key.startswith("score")]):
            if (k + j) % 7 == 3:
                line[name] = (None, math.nan, math.inf, "nan", -math.inf)[(k + j) % 5]
    none: dict[str, Any] = {"images": None, "discriminator/real": 0.4}
    return [none, {}, *history, {"images": 250_000, "generator/lost": None}, {"images": math.nan, "a/b": 1}]


def refused() -> Content:
    """Nobody knows what the generator was trained on."""
    return replace(realistic(), evaluation={**some_evaluation(), "memorisation": {"refused": "name it with --train"}})


def odd_types() -> Content:
    """Every part of the evaluation is of another kind than it should be."""
    found = some_evaluation()
    words: dict[str, Any] = dict.fromkeys(found, "a word")
    return Content(
        "odd", "", {**words, "scores": [None, 3, {"value": "x"}, {"value": True}], "classes": [{}], "sound": "yes"}
    )


AWKWARD: dict[str, Callable[[], Content]] = {
    "realistic": realistic,
    "nothing": lambda: Content("", ""),
    "empty evaluation": lambda: replace(realistic(), evaluation={}),
    "only an evaluation": lambda: Content("samples", "", some_evaluation()),
    "null sections": lambda: replace(realistic(), evaluation=dict.fromkeys(some_evaluation())),
    "null values": lambda: replace(realistic(), evaluation=nulls(some_evaluation())),
    "refused": refused,
    "unsound": unsound,
    "hundred classes": many_classes,
    "long names": lambda: named(LONG),
    "hostile names": lambda: named(EVIL),
    "control characters": lambda: named("a\x00b\x1b[31m\udcff\u202egnp.exe"),
    "holes": lambda: replace(realistic(), history=holed(some_history(60))),
    "one line": lambda: replace(realistic(), history=some_history(1, 1000)),
    "long history": lambda: replace(realistic(), history=some_history(10_000, 40_000_000)),
    "odd types": odd_types,
}
"""By name: what makes each of them awkward."""
