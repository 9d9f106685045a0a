"""CIFAR-10: the recipe `color-32` in float32 and in bfloat16, with and without a norm that follows the class.

    python benchmarks/color.py equal [--images 150k] [--seeds 0 1 2]   # equal images, one thread each
    python benchmarks/color.py clock [--budget 5m] [--seeds 0]         # the recipe as it was and as it is, by the clock

Adds to benchmarks/results/color.json; `clock` writes a grid of samples of each run beside it. Scores are `evaluate`'s,
on random features, of 4,000 samples against items that the run held out.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from evenodds.evaluation.evaluate import evaluate
from evenodds.runs.config import recipe, with_settings
from evenodds.runs.folders import as_seconds
from evenodds.runs.run import start
from evenodds.runs.session import Session
from evenodds.show import pictures

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "cifar10-jpeg-train.zip"
RESULTS = Path(__file__).parent / "results"
METRICS = ("frechet", "kernel", "precision", "recall", "coverage", "two_sample_accuracy")
PLAIN = {"fused": True, "precision": "float32", "generator.conditional_norm": False}
EQUAL: dict[str, dict[str, Any]] = {
    "float32": PLAIN,
    "bfloat16": {**PLAIN, "precision": "bfloat16"},
    "float32, conditional norm": {**PLAIN, "generator.conditional_norm": True},
    "bfloat16, conditional norm": {**PLAIN, "precision": "bfloat16", "generator.conditional_norm": True},
}
CLOCK: dict[str, dict[str, Any]] = {"as it was": {**PLAIN, "fused": False}, "recipe": {}}


def scores(session: Session) -> dict[str, float]:
    """Of 4,000 samples."""
    found = evaluate(session, metrics=list(METRICS), features="random", n=4000)
    return {name: round(score.value, 4) for name in METRICS if (score := found.score(name)) is not None}


def played(name: str, seed: int, settings: dict[str, Any], folder: Path, budget: float | None = None) -> Session:
    """The recipe with these settings."""
    usual = {"data": str(DATA), "seed": seed, "device": "cpu", "watch": "off", "evaluate_share": 1, "save_share": 1}
    config = with_settings(recipe("color-32"), {**usual, **settings})
    return start(config, out=folder / f"{name}-{seed}", budget=budget)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("equal", "clock"))
    parser.add_argument("--images", default="150k")
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    chosen = parser.parse_args()
    if not DATA.exists():
        raise SystemExit(f"{DATA.name} is not there: this benchmark needs the data beside the project")
    ways = EQUAL if chosen.what == "equal" else CLOCK
    path = RESULTS / "color.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    for seed in chosen.seeds:
        for name, settings in ways.items():
            rows.append(one(chosen, name, seed, settings))
            print(json.dumps(rows[-1]), flush=True)
            path.write_text(json.dumps(rows, indent=2) + "\n")


def one(chosen: argparse.Namespace, name: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """One run, scored."""
    with tempfile.TemporaryDirectory() as place:
        begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
        if chosen.what == "equal":
            torch.set_num_threads(1)
            options = {**settings, "images": chosen.images, "threads": 1}
            session = played(name, seed, options, Path(place))
        else:
            session = played(name, seed, settings, Path(place), as_seconds(chosen.budget))
            sheet = pictures.grid(session.sample(100, seed=1, y=list(np.repeat(range(10), 10))), columns=10)
            file = RESULTS / f"color-{name.replace(' ', '-')}-{chosen.budget}.jpg"
            image = Image.fromarray(np.moveaxis(sheet, 0, -1))
            image.resize((640, 640), Image.Resampling.NEAREST).save(file, quality=85)
        seconds, user = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
        row = {"what": chosen.what, "way": name, "seed": seed, "images": session.images}
        times = {"seconds": round(seconds, 1), "user_seconds": round(user, 1), "arithmetic": session.config.precision}
        return {**row, **times, **scores(session)}


if __name__ == "__main__":
    main()
