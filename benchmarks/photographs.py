"""Photographs: settings compared by equal processor time of one thread, and the recipes by the clock.

    python benchmarks/photographs.py --ways "as it was" dcgan [--seconds 360] [--seeds 0] [--runs FOLDER]

Adds to benchmarks/results/photographs.json; each run also leaves a sheet of samples, ten a class, beside it. A short
game measures the processor time (user and system) that an image takes, and the run is as long as fits into the time.
Scores are of 340 samples against the 340 photographs that the run held out.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from evenodds.evaluation.evaluate import evaluate
from evenodds.files.write import write_json
from evenodds.game.rules import Progress
from evenodds.game.trainer import train
from evenodds.metrics.features.extract import extract, extractor
from evenodds.metrics.frechet import frechet
from evenodds.metrics.manifold import precision_recall
from evenodds.metrics.memorisation import suspects
from evenodds.runs.assembly import Run
from evenodds.runs.card import SPLIT_SEED
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.config_files import recipe
from evenodds.runs.planning import settle, settle_task
from evenodds.runs.precision import choose_precision
from evenodds.runs.probing import Ahead
from evenodds.runs.reading import open_data
from evenodds.runs.run import start
from evenodds.runs.session import Session
from evenodds.show import pictures

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "clothing-128.zip"
RESULTS = Path(__file__).parent / "results"
METRICS = ("frechet", "kernel", "precision", "recall", "coverage", "two_sample_accuracy")

OLD: dict[str, Any] = {
    "size": 64, "task": "generate", "generator": {"name": "modern", "width": 32, "cap": 192, "stem": 2, "group": 1},
    "discriminator": {"name": "modern", "width": 32, "cap": 192, "stem": 2, "group": 1}, "penalty_weight": 1.0,
    "views": ["flip", "translation", "color"], "learning_rate": 0.001, "decay": {"name": "cosine", "start": 0.5,
    "end": 0.05}, "batch": 32, "average_half_life": 0.02, "fused": False, "penalty_every": 8, "simultaneous": False,
}  # fmt: skip
"""The recipe `photos-128` as it was, at 64 x 64."""
PLAIN: dict[str, Any] = {
    "size": 64, "task": {"name": "auto", "way": "projection"}, "penalty_weight": 0.3,
    "generator": {"name": "dcgan", "width": 16, "cap": 192},
    "discriminator": {"name": "dcgan", "width": 16, "cap": 192, "norm": "none"},
    "views": ["flip", "translation", "color"],
    "learning_rate": 0.002, "decay": {"name": "cosine", "start": 0.3, "end": 0.02}, "batch": 32,
    "average_half_life": 0.02, "fused": True, "penalty_every": 8, "simultaneous": "auto", "prior.size": 128,
}  # fmt: skip
"""The settings of `color-32` with narrower networks."""
UP: dict[str, Any] = {"name": "fastgan", "width": 8, "cap": 128}
STYLE: dict[str, Any] = {"name": "style", "width": 8, "cap": 128, "convolutions": 1}
DOWN: dict[str, Any] = {"name": "fastgan", "width": 16, "cap": 128}
HALF = {"precision": "bfloat16"}
TURN: dict[str, Any] = {**PLAIN, "generator": UP, **HALF, "simultaneous": False}
"""Moves in turn, in bfloat16."""
NAMED = {"task.way": "projection_auxiliary"}
FOLLOWING = {"generator.self_modulation": True}
RECIPE: dict[str, Any] = {"size": 64, "discriminator.width": 16}
"""Settings of the recipe `photos-64` in those of `photos-128`."""
WAYS: dict[str, dict[str, Any]] = {
    "as it was": OLD,
    "as it was, by class": {**OLD, "task": "auto"},
    "dcgan": PLAIN,
    "dcgan, wider": {**PLAIN, "generator.width": 24, "discriminator.width": 24},
    "up": {**PLAIN, "generator": UP},
    "up, bfloat16": {**PLAIN, "generator": UP, **HALF},
    "turn": TURN,
    "turn, lighter": {**TURN, "penalty_weight": 0.1},
    "turn, no color": {**TURN, "views": ["flip", "translation"]},
    "turn, adaptive views": {**TURN, "view_chance": "adaptive"},
    "turn, named": {**TURN, **NAMED},
    "turn, self-modulation": {**TURN, **FOLLOWING},
    "turn, self-modulation, named": {**TURN, **FOLLOWING, **NAMED},
    "turn, self-modulation, named, no color": {**TURN, **FOLLOWING, **NAMED, "views": ["flip", "translation"]},
    "turn, self-modulation, named, bilinear": {**TURN, **FOLLOWING, **NAMED, "generator.bilinear": True},
    "turn, self-modulation, named, no color, bilinear": {
        **TURN,
        **FOLLOWING,
        **NAMED,
        "generator.bilinear": True,
        "views": ["flip", "translation"],
    },
    "photos-128": {},
    "recipe, float32": {**RECIPE, "precision": "float32"},
    "recipe, bfloat16": {**RECIPE, "precision": "bfloat16"},
    "turn, conditional norm, named": {**TURN, "generator.conditional_norm": True, **NAMED},
    "up, gates": {**PLAIN, "generator": {**UP, "gated": True}},
    "up, no excitation": {**PLAIN, "generator": {**UP, "excitation": False}},
    "up, down": {**PLAIN, "generator": UP, "discriminator": DOWN},
    "up, pretrained": {**PLAIN, "generator": UP, "discriminator.pretrained": 64},
    "style": {**PLAIN, "generator": STYLE},
    "style, two convolutions": {**PLAIN, "generator": {**STYLE, "convolutions": 2}},
    "style, down": {**PLAIN, "generator": STYLE, "discriminator": DOWN},
    "style, all of its own": {**PLAIN, "generator": STYLE, "discriminator": {"name": "style", "width": 8, "cap": 128}},
    "dcgan, down": {**PLAIN, "discriminator": DOWN},
}


def timed(config: Config, seconds: float, images: int | None = None) -> tuple[Config, float]:
    """The configuration with the images, or as many as fit into the seconds of one thread; and what one image takes.

    An arithmetic that is left open is chosen here as a run of that length chooses it, and named.
    """
    dataset = open_data(config)
    config, _ = settle_task(config, dataset)
    config, _ = settle(config, dataset, None)
    config, _ = choose_precision(config, Ahead(config, seconds, lambda config: Run(config, dataset)), print)
    run, rounds = Run(replace(config, images=10**9), dataset), 4 * config.penalty_every
    each = 0.0
    for count in (config.penalty_every, rounds):
        begun = time.process_time()
        progress = Progress(count * config.batch)
        train(
            run.game, run.feed, run.learner, run.engine, images=count * config.batch, seed=0, progress=progress,
            listeners=[one for name, one in run.listeners.items() if name in ("average", "adapt")],
        )  # fmt: skip
        each = (time.process_time() - begun) / (count * config.batch)
    images = int(seconds / each) // config.batch * config.batch if images is None else images
    return replace(config, images=images), each


def scores(session: Session, features: str, n: int = 10_000) -> dict[str, float]:
    """Of so many samples, or as many as items are held out where these are fewer."""
    found = evaluate(session, metrics=list(METRICS), features=features, n=n)
    return {name: round(score.value, 4) for name in METRICS if (score := found.score(name)) is not None}


def judged(session: Session) -> dict[str, dict[str, float]]:
    """By features that no player has seen."""
    return {name: scores(session, name) for name in ("random", "pretrained")}


def against_half(session: Session) -> dict[str, float]:
    """Random features of half of all photographs, against as many samples and against the other half (the floor).

    And the share of the samples that are suspected copies of what the run learned from, by both kinds of features.
    """
    dataset = open_data(session.config)
    learned, held_out = dataset.split(session.config.held_out, SPLIT_SEED)
    half = len(dataset) // 2
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(1))
    made = torch.from_numpy(session.sample(half, seed=1)).float() / 127.5 - 1
    found = {}
    for name in ("random", "pretrained"):
        see = extractor(name)(tuple(made.shape[1:]))
        real, fake = extract(see, dataset.batch(torch.arange(len(dataset)))["x"]), extract(see, made)
        found[f"copies, {name}"] = suspects(fake, real[learned], real[held_out]).share
        if name == "random":
            one, other = real[order[:half]], real[order[half:]]
            found |= {"frechet": float(frechet(one, fake)), "floor": float(frechet(one, other))}
            found["recall"] = float(precision_recall(one, fake).recall)
    return {name: round(value, 4) for name, value in found.items()}


def sheet(session: Session, file: Path, a_class: int = 10) -> None:
    """A picture of samples: a row for each class, where there are classes."""
    classes = len(session.card.classes) if session.conditions.by_class else 0
    y = list(np.repeat(range(classes), a_class)) if classes else None
    drawn = session.sample(len(y) if y else 100, seed=1, y=y)
    Image.fromarray(np.moveaxis(pictures.grid(drawn, columns=10), 0, -1)).save(file, quality=90)


def one(way: str, seed: int, seconds: float, images: int | None, folder: Path) -> dict[str, Any]:
    """One run, scored."""
    torch.set_num_threads(1)
    fixed = {"data": str(DATA), "seed": seed, "device": "cpu", "threads": 1, "watch": "off"}
    rare = {"evaluate_share": 1, "save_share": 1}
    config, each = timed(with_settings(recipe("photos-128"), {**fixed, **rare, **WAYS[way]}), seconds, images)
    begun = time.process_time()
    session = start(config, out=folder / f"{way.replace(' ', '-').replace(',', '')}-{seed}")
    spent = time.process_time() - begun
    sheet(session, session.folder / "sheet.jpg")
    row = {"way": way, "seed": seed, "images": session.images, "processor_seconds": round(spent, 1)}
    row |= {"arithmetic": session.config.precision, "milliseconds_an_image": round(1000 * each, 2)}
    return {**row, **judged(session), "half": against_half(session)}


def play(
    description: str,
    ways: Mapping[str, Any],
    one: Callable[[str, int, float, int | None, Path], dict[str, Any]],
    seconds: float,
    results: Path,
) -> None:
    """The command line of a benchmark that gives each way its time or its images.

    `one` is called with way, seed, seconds, images, folder.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", nargs="+", default=list(ways), choices=list(ways))
    parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--images", type=int, help="so many for each way, in place of seconds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--results", type=Path, default=results)
    chosen = parser.parse_args()
    if not DATA.exists():
        raise SystemExit(f"{DATA.name} is not there: this benchmark needs the data beside the project")
    rows = json.loads(chosen.results.read_text()) if chosen.results.exists() else []
    with tempfile.TemporaryDirectory() as place:
        for seed in chosen.seeds:
            for way in chosen.ways:
                rows.append(one(way, seed, chosen.seconds, chosen.images, chosen.runs or Path(place)))
                print(json.dumps(rows[-1]), flush=True)
                write_json(chosen.results, rows)


if __name__ == "__main__":
    play(str(__doc__), WAYS, one, 360, RESULTS / "photographs.json")
