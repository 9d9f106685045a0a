"""Semantic segmentation on CamVid, 240 x 180: what an adversary, weights, views and pretrained features are worth.

The recipe segment learns from the 367 frames of the training part; judged on the 101 frames of the validation part by
the mean intersection over union of the 11 classes, whose counts are added up, and by the boundary F-score. Arms:

    plain        all pixels alike
    adversarial  that, with an adversarial term
    rare         no adversary, pixels of rare classes heavier
    bfloat16     that in bfloat16: the recipe, on a machine with the instructions for it
    pretrained   that with an encoder that was trained on ImageNet (the extra evenodds[pretrained]) and with views
    long         that for 32,000 images, whatever --images says: 15 minutes of two cores
    views        the U-Net with views, in what the processor multiplies faster
    dilated      that with another network, and with views

Each seed draws the weights, the order of the data and what is dealt. What results/segment.json holds already is not
done again; a run that is interrupted goes on from its folder, from which a run's further ways to answer are scored too.

    python benchmarks/segment.py --images 7200 --arms plain adversarial rare bfloat16
    python benchmarks/segment.py --images 8000 --arms pretrained
    python benchmarks/segment.py --arms long
    python benchmarks/segment.py --seeds 0 --arms dilated --images 4000 --out try
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import evenodds
from common.stored import stored_results
from evenodds.data.dataset import Dataset
from evenodds.data.palette import IGNORED
from evenodds.data.sources import load
from evenodds.files.write import write_json
from evenodds.game.arithmetic import evenly
from evenodds.metrics.intervals import student_quantile
from evenodds.metrics.segmentation import (
    boundary_scores,
    confusions,
    intersection_over_union,
    mean_boundary,
    mean_overlap,
    pixel_accuracy,
)
from evenodds.runs.session import Session
from evenodds.runs.snapshot import compared
from evenodds.show import pictures

RESULTS = Path(__file__).parent / "results"
DATA = Path(__file__).parents[2] / "shared/data/camvid-240x180.zip"
VIEWS = {"task__zoom": 1.5, "task__focus": 0.5, "task__jitter": 0.2}
ARMS: dict[str, dict[str, Any]] = {
    "plain": {"task__rare": 0.0, "precision": "float32"},
    "adversarial": {"task__adversarial": 0.01, "task__rare": 0.0, "precision": "float32"},
    "rare": {"precision": "float32"},
    "bfloat16": {"precision": "bfloat16"},
    "views": VIEWS,
    "pretrained": {"generator": {"name": "pretrained"}, "precision": "bfloat16", **VIEWS},
    "long": {"generator": {"name": "pretrained"}, "precision": "bfloat16", "images": 32_000, **VIEWS},
    "dilated": {"generator": {"name": "dilated"}, "precision": "bfloat16", **VIEWS},
}
LOOKS: dict[str, dict[str, Any]] = {"flips": {"flips": True}, "flips, larger": {"flips": True, "larger": 1.5}}
"""Ways to answer, beside that by the image alone; see evenodds.tasks.segment."""
PAIRS = [
    ("adversarial", "plain"),
    ("rare", "plain"),
    ("bfloat16", "rare"),
    ("pretrained", "bfloat16"),
    ("long", "pretrained"),
]


def measured(session: Session, truth: Dataset, **look: Any) -> dict[str, Any]:
    """The figures of a run on whole frames.

    Args:
        look: how it answers, one of LOOKS; nothing for each frame as it is.
    """
    classes = len(truth.classes)
    matrix, boundaries = torch.zeros(classes, classes, dtype=torch.int64), []
    task = replace(session.task, **look)
    for index in torch.arange(len(truth)).split(8):
        real = truth.batch(index)
        said = task.answer(session.players, {"source": real["x"]})["labels"]
        matrix += confusions(real["labels"], said, classes, IGNORED).sum(0)
        boundaries.append(boundary_scores(real["labels"], said, classes, IGNORED))
    boundary = torch.cat(boundaries)
    return {
        "mean_iou": float(mean_overlap(matrix)),
        "boundary_f": float(mean_boundary(boundary)),
        "accuracy": float(pixel_accuracy(matrix)),
        "iou": dict(zip(truth.classes, intersection_over_union(matrix).tolist(), strict=True)),
        "boundary": dict(zip(truth.classes, boundary.nanmean(0).tolist(), strict=True)),
        "confusion": matrix.tolist(),
    }


@contextmanager
def spending(path: Path) -> Iterator[dict[str, float]]:
    """Seconds that a run takes, with those of earlier pieces; they are kept where it is interrupted."""
    spent = json.loads(path.read_text()) if path.is_file() else {"seconds": 0.0, "processor_seconds": 0.0}
    begun, used = time.perf_counter(), time.process_time()
    try:
        yield spent
    finally:
        spent["seconds"] += time.perf_counter() - begun
        spent["processor_seconds"] += time.process_time() - used
        write_json(path, spent)


def played(arm: str, seed: int, arguments: argparse.Namespace, truth: Dataset) -> dict[str, Any]:
    """One run, and what it reached."""
    length = {"images": arguments.images} if arguments.images else {"budget": arguments.budget}
    settings = ARMS[arm] if "images" in ARMS[arm] else length | ARMS[arm]
    folder, seldom = arguments.runs / f"{arm}-{seed}", {"evaluate_share": 0.25, "save_share": 0.25}
    with spending(folder.with_suffix(".json")) as spent:
        if folder.is_dir():
            session = evenodds.resume(folder)
        else:
            session = evenodds.fit(str(DATA), "segment", out=folder, seed=seed, **seldom, **settings)
    if session.images < session.config.images:
        raise SystemExit(f"interrupted at {session.images} images; the same command goes on")
    figures = measured(session, truth)
    if seed == 0:
        some = truth.batch(evenly(len(truth), 5))
        pictures.write(arguments.out / f"segment-{arm}.jpg", compared(session, some))
    how = {"precision": session.config.precision, "threads": torch.get_num_threads()}
    return {**figures, "images": session.images, **spent, **how}


def looked(session: Session, truth: Dataset, known: dict[str, Any]) -> dict[str, Any]:
    """The figures of the ways to answer that are not known yet."""
    left = {name: measured(session, truth, **look) for name, look in LOOKS.items() if name not in known}
    return {name: {key: value for key, value in one.items() if key != "confusion"} for name, one in left.items()}


def difference(results: dict[str, Any], arm: str, other: str) -> str:
    """What an arm adds to another one, paired by seed."""
    seeds = [seed for seed in range(100) if all(f"{one}, seed {seed}" in results for one in (other, arm))]
    reached = [[results[f"{one}, seed {seed}"]["mean_iou"] for seed in seeds] for one in (arm, other)]
    gains = np.array(reached[0]) - np.array(reached[1])
    if len(gains) < 2:
        return f"{gains} (not two seeds)"
    spread = student_quantile(0.975, len(gains) - 1) * float(gains.std(ddof=1)) / math.sqrt(len(gains))
    return f"{gains.mean():+.4f} +- {spread:.4f} (95 %, {len(gains)} seeds)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--arms", nargs="*", default=["rare"], choices=[*ARMS])
    parser.add_argument("--budget", default="15m")
    parser.add_argument("--images", type=int, help="in place of a budget: the same length whatever else runs")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--runs", type=Path, default=Path("runs/segment"), help="an interrupted run goes on from there")
    arguments = parser.parse_args()
    for folder in (arguments.out, arguments.runs):
        folder.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "segment.json"
    results = stored_results(path)
    truth = load(str(DATA), layout="maps", images="val", labels="valannot")
    for seed in arguments.seeds:
        for arm in arguments.arms:
            key = f"{arm}, seed {seed}"
            if key not in results:
                results[key] = played(arm, seed, arguments, truth)
                write_json(path, results, default=str)
            folder = arguments.runs / f"{arm}-{seed}"
            if folder.is_dir() and not LOOKS.keys() <= results[key].keys():
                results[key] |= looked(evenodds.load(folder), truth, results[key])
                write_json(path, results, default=str)
            print(key, f"{results[key]['mean_iou']:.4f}", json.dumps(results[key]["iou"]), flush=True)
    for arm, other in PAIRS:
        print(f"{arm} beside {other}:", difference(results, arm, other))


if __name__ == "__main__":
    main()
