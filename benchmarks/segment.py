"""Semantic segmentation on CamVid, 240 x 180: does an adversarial term help?

The recipe segment learns from the 367 frames of the training part; judged by the mean intersection over union of the
11 classes on the 101 frames of the validation part, whose counts are added up. Arms: without an adversary, and with it,
all pixels alike; without one, pixels of rare classes heavier. Each seed draws the weights, the order of the data and
what is dealt; all arms of a seed begin alike.

What results/segment.json holds already is not done again.

    python benchmarks/segment.py                      # 3 arms, 3 seeds, 15 minutes each
    python benchmarks/segment.py --seeds 0 --arms plain --images 4000 --out try
"""

import argparse
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import evenodds
from common.stored import stored_results
from evenodds.apply.answering import answered
from evenodds.data.dataset import Dataset
from evenodds.data.palette import IGNORED
from evenodds.data.sources import load
from evenodds.files.write import write_json
from evenodds.game.arithmetic import evenly
from evenodds.metrics.intervals import student_quantile
from evenodds.metrics.segmentation import confusions, intersection_over_union, mean_overlap, pixel_accuracy
from evenodds.runs.session import Session
from evenodds.runs.snapshot import compared
from evenodds.show import pictures

RESULTS = Path(__file__).parent / "results"
DATA = Path(__file__).parents[2] / "shared/data/camvid-240x180.zip"
ARMS: dict[str, dict[str, Any]] = {
    "plain": {"task__adversarial": 0.0, "task__rare": 0.0},
    "adversarial": {"task__adversarial": 0.01, "task__rare": 0.0},
    "rare": {"task__adversarial": 0.0},
}


def measured(session: Session, truth: Dataset) -> dict[str, Any]:
    """The figures of a run on whole frames."""
    matrix = torch.zeros(len(truth.classes), len(truth.classes), dtype=torch.int64)
    for index in torch.arange(len(truth)).split(16):
        real = truth.batch(index)
        said = answered(session, real["x"])["labels"]
        matrix += confusions(real["labels"], said, len(truth.classes), IGNORED).sum(0)
    overlap = intersection_over_union(matrix)
    each = dict(zip(truth.classes, overlap.tolist(), strict=True))
    return {
        "mean_iou": float(mean_overlap(matrix)),
        "accuracy": float(pixel_accuracy(matrix)),
        "iou": each,
        "confusion": matrix.tolist(),
    }


def played(arm: str, seed: int, arguments: argparse.Namespace, truth: Dataset) -> dict[str, Any]:
    """One run, and what it reached."""
    length = {"images": arguments.images} if arguments.images else {"budget": arguments.budget}
    begun, used = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        session = evenodds.fit(str(DATA), "segment", out=Path(folder) / "run", seed=seed, **length, **ARMS[arm])
        figures = measured(session, truth)
        if seed == 0:
            some = truth.batch(evenly(len(truth), 5))
            pictures.write(arguments.out / f"segment-{arm}.jpg", compared(session, some))
    spent = {"seconds": time.perf_counter() - begun, "processor_seconds": time.process_time() - used}
    return {**figures, "images": session.images, **spent, "threads": torch.get_num_threads()}


def difference(results: dict[str, Any], arm: str) -> str:
    """What an arm adds to the plain one, paired by seed."""
    seeds = [seed for seed in range(100) if all(f"{one}, seed {seed}" in results for one in ("plain", arm))]
    gains = np.array([results[f"{arm}, seed {s}"]["mean_iou"] - results[f"plain, seed {s}"]["mean_iou"] for s in seeds])
    if len(gains) < 2:
        return f"{gains} (not two seeds)"
    spread = student_quantile(0.975, len(gains) - 1) * float(gains.std(ddof=1)) / math.sqrt(len(gains))
    return f"{gains.mean():+.4f} +- {spread:.4f} (95 %, {len(gains)} seeds)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--arms", nargs="*", default=[*ARMS], choices=[*ARMS])
    parser.add_argument("--budget", default="15m")
    parser.add_argument("--images", type=int, help="in place of a budget: the same length whatever else runs")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "segment.json"
    results = stored_results(path)
    truth = load(str(DATA), layout="maps", images="val", labels="valannot")
    for seed in arguments.seeds:
        for arm in arguments.arms:
            key = f"{arm}, seed {seed}"
            if key not in results:
                results[key] = played(arm, seed, arguments, truth)
                write_json(path, results, default=str)
            print(key, f"{results[key]['mean_iou']:.4f}", json.dumps(results[key]["iou"]), flush=True)
    for arm in [*ARMS][1:]:
        print(f"{arm} beside plain:", difference(results, arm))


if __name__ == "__main__":
    main()
