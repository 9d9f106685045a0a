"""Few images: 100, 300 and 1,000 of Fashion-MNIST, without views, with fixed and with adaptive ones.

Recipe gray-28 on so many training images, with 1,000 others held out (900 for 100); judged by 4,000 test images that no
run has seen: kernel distance in random features with its interval, recall, and three figures of memorisation. Fixed
views act on each item with a chance of one half; which views is decided by the data. What the results file holds is not
done again.

    python benchmarks/small_data.py --budget 120s
    python benchmarks/small_data.py 100 --budget 120s --seeds 0
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import reference_classifier
from common.stored import stored_results
from coordination import RESULTS, Settings, one_thread, played
from evenodds.data.readers.arrays import from_array
from evenodds.errors import Diverged
from evenodds.files.write import write_json
from evenodds.metrics.features.extract import extract
from evenodds.metrics.features.random import Random
from evenodds.metrics.intervals import Side, intervals
from evenodds.metrics.kernel import kernel_distance
from evenodds.metrics.manifold import precision_recall
from evenodds.metrics.memorisation import authenticity, data_copying, suspects
from evenodds.runs.card import SPLIT_SEED
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.session import Session

HELD, JUDGED = 1000, 4000
ARMS: dict[str, Settings] = {
    "no views": {},
    "fixed": {"views": "auto", "view_chance": "fixed", "view_chance.chance": 0.5},
    "adaptive": {"views": "auto", "view_chance": "adaptive"},
    "adaptive, target 0.6": {"views": "auto", "view_chance": "adaptive", "view_chance.target": 0.6},
}


def features(images: Any) -> Tensor:
    """(N, 512) random features of (N, 28, 28) or (N, 1, 28, 28) uint8 images."""
    data = from_array(np.ascontiguousarray(images).reshape(-1, 28, 28))
    return extract(Random((1, 28, 28)), torch.as_tensor(data.batch(torch.arange(len(data)))["x"]))


def measured(session: Session, train: Any) -> dict[str, Any]:
    """What unseen images say of the samples, and whether these are copies of the training images."""
    test = reference_classifier.read("fashion_mnist")["x_test"]
    fake = features(session.sample(JUDGED, seed=1))
    held, known = features(test[:JUDGED]), features(train)

    def statistic(real: Side, made: Side) -> dict[str, float]:
        recall = float(precision_recall(real.features, made.features).recall)
        return {"kernel": float(kernel_distance(real.features, made.features)), "recall": recall}

    scores = intervals(statistic, Side(held, held), Side(fake, fake), pairs=4, seed=0)
    copied = suspects(fake, known, features(test[JUDGED : 2 * JUDGED]))
    c_t = data_copying(known, held, fake, rng=torch.Generator().manual_seed(0), cells=5).c_t
    honest, made = (float(authenticity(x, known).double().mean()) for x in (held, fake))
    chances = [line["views/chance"] for line in session.history() if line.get("views/chance") is not None]
    leaks = [line["views/leak"] for line in session.history() if line.get("views/leak") is not None]
    return {
        **{name: [round(v, 5) for v in (i.value, i.low, i.high)] for name, i in scores.items()},
        "suspected copies": round(copied.share, 4),
        "expected of honest samples": round(copied.expected, 4),
        "authenticity": round(made, 4),
        "authenticity of unseen images": round(honest, 4),
        "c_t": round(float(c_t), 2),
        "highest chance of views": max(chances, default=None),
        "last chance of views": chances[-1] if chances else None,
        "leak": leaks[-1] if leaks else None,
        "views": list(session.config.views),
    }


def one(n: int, settings: Settings, seed: int, budget: str) -> dict[str, Any]:
    """One run on n images of a shuffle that does not depend on the seed, with up to 1,000 more to hold out."""
    read, held = reference_classifier.read("fashion_mnist"), min(HELD, 9 * n)
    order = np.random.default_rng(0).permutation(len(read["x_train"]))[: n + held]
    x, y = read["x_train"][order], read["y_train"][order]
    folder, begun = Path(tempfile.mkdtemp()), time.perf_counter()
    try:
        np.savez(folder / "data.npz", x=x, y=y)
        # Batches of 32: with 100 images, one of 64 would be most of them.
        more = {"data": str(folder / "data.npz"), "held_out": held / (n + held), "seed": seed, "batch": 32}
        config = with_settings(recipe("gray-28"), {"device": "cpu", **more, **settings})
        session = played(config, budget, folder / "run")
        seconds = round(time.perf_counter() - begun, 1)
        index, _ = from_array(x, y).split(config.held_out, SPLIT_SEED)
        return {"seconds": seconds, "images": session.images, "trained on": len(index), **measured(session, x[index])}
    except Diverged as error:
        return {"seconds": round(time.perf_counter() - begun, 1), "failed": str(error)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, default=[100, 300, 1000])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--budget", default="120s")
    parser.add_argument("--out", type=Path, default=RESULTS / "small_data.json")
    arguments = parser.parse_args()
    one_thread()
    results = stored_results(arguments.out)
    for seed in arguments.seeds:
        for n in arguments.counts:
            for arm, settings in ARMS.items():
                key = f"{n} images, {arm}, seed {seed}"
                if key not in results:
                    results[key] = one(n, settings, seed, arguments.budget)
                    results["about"] = {"budget": arguments.budget, "torch": torch.__version__}
                    write_json(arguments.out, results)
                print(key, json.dumps(results[key]), flush=True)


if __name__ == "__main__":
    main()
