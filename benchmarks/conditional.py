"""Samples of a class that is asked for: MNIST and Fashion-MNIST, so many minutes of wall-clock each.

An independent classifier (benchmarks/reference_classifier.py) says how often a sample is of the class that was asked
for, and how diverse the samples of a class are: the mean distance of two samples of one class in the classifier's
features, over that of two test images of this class. Samples are 1,000 of each class; the intervals are those of a
share of 10,000.

What results/conditional.json holds already is not done again.

    python benchmarks/conditional.py --datasets mnist --budget 5m --seeds 0 1 2
    python benchmarks/conditional.py --datasets mnist --budget 2m --set task.way=auxiliary --out /tmp/try
"""

import argparse
import json
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import reference_classifier
from common.stored import stored_results
from evenodds.files.write import write_json
from evenodds.metrics.frechet import frechet
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.folders import as_seconds
from evenodds.runs.run import start
from evenodds.show import pictures
from mnist import test_features

RESULTS = Path(__file__).parent / "results"
PER_CLASS = 1000


def spread(features: Tensor) -> float:
    """The mean distance of two of them."""
    return float(torch.pdist(features).mean())


@torch.no_grad()
def measured(x: np.ndarray, asked: np.ndarray, dataset: str) -> dict[str, object]:
    """How (N, 28, 28) uint8 samples of the classes that were asked for compare with the test images."""
    last, arrays = reference_classifier.network_of(dataset).last, reference_classifier.read(dataset)
    truth = torch.as_tensor(arrays["y_test"]).long()
    real, fake, labels = (
        test_features(dataset),
        reference_classifier.features(x, dataset=dataset),
        torch.as_tensor(asked),
    )
    right = (last(fake).argmax(1) == labels).double()
    shares = [float(right[labels == k].mean()) for k in range(10)]
    diversity = [spread(fake[labels == k]) / spread(real[truth == k]) for k in range(10)]
    half = 1.96 * float(right.std()) / len(right) ** 0.5
    return {
        "agreement": round(float(right.mean()), 4),
        "agreement_half_interval": round(half, 4),
        "agreement_by_class": [round(share, 3) for share in shares],
        "diversity": round(float(np.mean(diversity)), 3),
        "diversity_by_class": [round(ratio, 3) for ratio in diversity],
        "frechet": round(float(frechet(fake, real)), 3),
        "classifier_test_accuracy": round(float((last(real).argmax(1) == truth).double().mean()), 4),
    }


def played(dataset: str, seed: int, arguments: argparse.Namespace) -> tuple[dict[str, object], np.ndarray]:
    """One data set: the figures, and ten samples of each class."""
    data = Path(__file__).resolve().parents[2] / "shared" / "data" / f"{dataset}.npz"
    settings = {"task": "condition", **dict(pair.split("=", 1) for pair in arguments.settings)}
    config = with_settings(recipe("gray-28"), {"data": str(data), "seed": seed, **settings})
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        session = start(config, out=Path(folder) / "run", budget=as_seconds(arguments.budget))
    seconds = time.perf_counter() - begun
    asked = np.repeat(np.arange(10), PER_CLASS)
    x = session.sample(len(asked), seed=1, y=asked.tolist())[:, 0]
    result = {
        "settings": settings,
        "seconds": round(seconds, 1),
        "images": session.images,
        **measured(x, asked, dataset),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    return result, x.reshape(10, PER_CLASS, 28, 28)[:, :10].reshape(100, 1, 28, 28)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="+", default=["mnist", "fashion_mnist"])
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="a picture is written for 0")
    parser.add_argument("--set", nargs="*", default=[], dest="settings")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "conditional.json"
    results = stored_results(path)
    for dataset, seed in product(arguments.datasets, arguments.seeds):
        key = f"{dataset}, {arguments.budget}, seed {seed}"
        if key not in results:
            results[key], shown = played(dataset, seed, arguments)
            write_json(path, results)
            if not seed:
                picture = arguments.out / f"conditional-{dataset}-{arguments.budget}.png"
                pictures.write(picture, pictures.enlarge(pictures.grid(shown, columns=10), 560))
        print(key, json.dumps(results[key]), flush=True)


if __name__ == "__main__":
    main()
