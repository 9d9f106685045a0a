"""The recipe `digits`, which `make demo` trains: can its discriminator be kept from learning the training images?

    python benchmarks/demo.py [names ...] [--seeds 0] [--work DIR] [--jobs 2]

Each run is `evenodds train digits` on one thread with a few settings changed. Scores are means over six draws of
samples against the items that the run held out. Written to benchmarks/results/demo.json. With --work a run that is
already there is not trained again.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evenodds.evaluation.evaluate import evaluate
from evenodds.files.write import write_json

RESULTS = Path(__file__).parent / "results"
EARLIER = (
    *("task=generate", "simultaneous=false", "prior.size=32", "generator.conditional_norm=false", "views=none"),
    *("view_chance=always", "penalty_weight=0.1", "penalty_every=4", "learning_rate=0.001", "batch=64"),
    *("average_half_life=0.02", "images=250k"),
)
"""The recipe before the search; the settings of all ways without "recipe" in their names are changes to it."""
FORMER = "view_chance.chance=0.7"
"""What the recipe had after the search."""


def earlier(*settings: str) -> list[str]:
    """The earlier recipe with some settings changed."""
    return [f"{key}={value}" for key, value in dict(one.split("=", 1) for one in (*EARLIER, *settings)).items()]


def fixed(chance: float) -> tuple[str, ...]:
    """Translations with that chance."""
    return "views=translation", "view_chance=fixed", f"view_chance.chance={chance}"


BY_CLASS = "task=condition"
BATCHES = (BY_CLASS, "generator.conditional_norm=true", "views=translation", "batch=256", "simultaneous=true")
FASTER = (*BATCHES, "learning_rate=0.003", "penalty_every=8")
LONG = (*FASTER, "prior.size=64", "average_half_life=0.03")
SMALLER = (*LONG, "batch=128", "learning_rate=0.002")
WAYS: dict[str, list[str]] = {
    "recipe, float32": ["precision=float32"],
    "recipe, float32, 225k": ["precision=float32", "images=225k"],
    "former recipe": ["precision=bfloat16", FORMER],
    "former recipe, float32": ["precision=float32", FORMER],
    "former recipe, average 0.03, 640k": ["precision=bfloat16", "average_half_life=0.03", "images=640k", FORMER],
    "former recipe, average 0.03": ["precision=bfloat16", "average_half_life=0.03", FORMER],
    "former recipe, 620k": ["precision=bfloat16", "images=620k", FORMER],
    "former recipe, 540k": ["precision=bfloat16", "images=540k", FORMER],
    "former recipe, penalty 1.75, chance 0.75": [
        "precision=bfloat16",
        "penalty_weight=1.75",
        "view_chance.chance=0.75",
    ],
    "former recipe, float32, average 0.03, 620k": [
        "precision=float32",
        "average_half_life=0.03",
        "images=620k",
        FORMER,
    ],
    "former recipe, float32, average 0.03, width 48, 640k": [
        "precision=float32",
        "average_half_life=0.03",
        "generator.width=48",
        "discriminator.width=48",
        "images=640k",
        FORMER,
    ],
    "former recipe, float32, average 0.03, D of width 48, 640k": [
        "precision=float32",
        "average_half_life=0.03",
        "discriminator.width=48",
        "images=640k",
        FORMER,
    ],
    "former recipe, float32, average 0.03, G of width 48, 640k": [
        "precision=float32",
        "average_half_life=0.03",
        "generator.width=48",
        "images=640k",
        FORMER,
    ],
    "earlier recipe": earlier(),
    "100k": earlier("images=100k"),
    "60k": earlier("images=60k"),
    "penalty 0.3": earlier("penalty_weight=0.3"),
    "translation": earlier("views=translation"),
    "translation, cutout": earlier("views=translation,cutout"),
    "translation, cutout, adaptive": earlier("views=translation,cutout", "view_chance=adaptive"),
    "by class, 100k": earlier(BY_CLASS, "images=100k"),
    "by class, 60k": earlier(BY_CLASS, "images=60k"),
    "by class, translation": earlier(BY_CLASS, "views=translation"),
    "by class, translation, simultaneous, 400k": earlier(
        BY_CLASS, "views=translation", "simultaneous=true", "images=400k"
    ),
    "by class, D of width 24, 150k": earlier(BY_CLASS, "discriminator.width=24", "images=150k"),
    "by class, D of width 32, translation 0.3, 150k": earlier(
        BY_CLASS, "discriminator.width=32", *fixed(0.3), "images=150k"
    ),
    "by class, translation 0.5, 180k": earlier(BY_CLASS, *fixed(0.5), "images=180k"),
    "by class, translation 0.5, 100k": earlier(BY_CLASS, *fixed(0.5), "images=100k"),
    "by class, translation 0.5, spread seen, 100k": earlier(
        BY_CLASS, *fixed(0.5), "discriminator.minibatch_std=true", "images=100k"
    ),
    "by class, batch 256, translation, 800k": earlier(
        BY_CLASS, "views=translation", "batch=256", "learning_rate=0.002", "images=800k"
    ),
    "by class, batches, 400k": earlier(*BATCHES, "learning_rate=0.002", "images=400k"),
    "by class, batches, penalty 0.5, 400k": earlier(
        *BATCHES, "learning_rate=0.002", "penalty_weight=0.5", "images=400k"
    ),
    "by class, batches, spread seen, 400k": earlier(
        *BATCHES, "learning_rate=0.002", "discriminator.minibatch_std=true", "images=400k"
    ),
    "by class, batches, rate 0.003, penalty 0.5, 800k": earlier(*FASTER, "penalty_weight=0.5", "images=800k"),
    "by class, batches, rate 0.003, penalty 0.5, chance 0.7, 800k": earlier(
        *FASTER, "penalty_weight=0.5", "images=800k", *fixed(0.7)
    ),
    "by class, batches, rate 0.003, penalty 0.5, chance 0.4, 800k": earlier(
        *FASTER, "penalty_weight=0.5", "images=800k", *fixed(0.4)
    ),
    "by class, batches, rate 0.003, penalty 1, chance 0.8, 600k": earlier(
        *FASTER, "penalty_weight=1", "images=600k", *fixed(0.8)
    ),
    "by class, batches, rate 0.003, penalty 2, chance 0.6, z of 64, 600k": earlier(
        *LONG, *fixed(0.6), "penalty_weight=2", "images=600k"
    ),
    "by class, batches, rate 0.003, penalty 2, chance 0.55, z of 64, 720k": earlier(
        *LONG, *fixed(0.55), "penalty_weight=2", "images=720k"
    ),
    "by class, batches of 128, penalty 1.5, chance 0.7, z of 64, 550k": earlier(
        *SMALLER, *fixed(0.7), "penalty_weight=1.5", "images=550k"
    ),
    "by class, batches of 128, penalty 1.5, chance 0.75, z of 64, 550k": earlier(
        *SMALLER, *fixed(0.75), "penalty_weight=1.5", "images=550k"
    ),
    "by class, batches of 128, penalty 2, chance 0.7, z of 64, 550k": earlier(
        *SMALLER, *fixed(0.7), "penalty_weight=2", "images=550k"
    ),
}
DRAWS = 6
SCORES = ("two_sample_accuracy", "kernel", "precision", "recall")


def trained(folder: Path, seed: int, settings: list[str]) -> float:
    """Trains where that was not done yet; the processor time that it took in user mode, in seconds."""
    kept = folder / "user_seconds.txt"
    if not kept.exists():
        words = ["train", "digits", "--seed", str(seed), "--device", "cpu", "--out", str(folder), "--quiet"]
        command = [sys.executable, "-m", "evenodds", *words, *(["--set", *settings] if settings else [])]
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
        kept.write_text(f"{usage.ru_utime:.1f}")
    return float(kept.read_text())


def scored(folder: Path) -> dict[str, float]:
    """The mean of each score, and the least and greatest of the first, over the draws of samples."""
    draws = [evaluate(folder, metrics=[*SCORES], seed=seed) for seed in range(DRAWS)]
    values = {name: [found.value for draw in draws if (found := draw.score(name))] for name in SCORES}
    means = {name: round(float(np.mean(values[name])), 4) for name in SCORES}
    return {
        **means,
        "accuracy_least": round(min(values[SCORES[0]]), 4),
        "accuracy_most": round(max(values[SCORES[0]]), 4),
    }


def one(work: Path, way: str, seed: int) -> dict[str, Any]:
    """The row of one run."""
    folder = work / f"{way.replace(', ', '-').replace(' ', '_')}-{seed}"
    seconds = trained(folder, seed, WAYS[way])
    history = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    preferred = [line["d_memory"] for line in history if "d_memory" in line][-5:]
    row = {
        "way": way,
        "seed": seed,
        "images": history[-1]["images"],
        "user_seconds": seconds,
        "verdict": [line["verdict"] for line in history if "verdict" in line][-1],
        "training_preferred": round(float(np.mean(preferred)), 3),
        **scored(folder),
    }
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*WAYS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    work = arguments.work or Path(tempfile.mkdtemp())
    path = RESULTS / "demo.json"
    rows = json.loads(path.read_text())["runs"] if path.exists() else []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        fresh = [*pool.map(lambda pair: one(work, *pair), product(arguments.names, arguments.seeds))]
    done = {(row["way"], row["seed"]): row for row in [*rows, *fresh]}
    ordered = sorted(done.values(), key=lambda row: ([*WAYS].index(row["way"]), row["seed"]))
    write_json(path, {"draws": DRAWS, "settings": WAYS, "runs": ordered})


if __name__ == "__main__":
    main()
