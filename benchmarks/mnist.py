"""MNIST on two cores: a recipe for so many seconds of wall-clock, judged by the features of an MNIST classifier.

python benchmarks/mnist.py gray-28 --budget 5m            # writes benchmarks/results/gray-28-mnist-5m.{json,png}
python benchmarks/mnist.py gray-28 --seed 2               # the same of another seed, in files of its own: ...-seed-2
python benchmarks/mnist.py mnist-2014 --budget 10m
python benchmarks/mnist.py gray-28 --budget 2m --set generator.width=48 --out /tmp/try --dry
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn.functional import one_hot

import reference_classifier
from evenodds.metrics.frechet import frechet
from evenodds.metrics.neighbours import two_sample_accuracy
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.folders import as_seconds
from evenodds.runs.run import start
from evenodds.show import pictures

RESULTS = Path(__file__).parent / "results"


@torch.no_grad()
def measured(x: np.ndarray, dataset: str = "mnist") -> dict[str, object]:
    """How (10000, 28, 28) uint8 samples compare with the 10,000 test images."""
    last = reference_classifier.network_of(dataset).last
    real, ours = test_features(dataset), reference_classifier.features(x, dataset=dataset)
    labels = torch.as_tensor(reference_classifier.read(dataset)["y_test"]).long()
    return {
        "frechet": round(float(frechet(ours, real)), 3),
        "two_sample_accuracy": round(float(two_sample_accuracy(real[:2000], ours[:2000])), 3),
        "class_share": one_hot(last(ours).argmax(1), 10).double().mean(0).mul(100).round(decimals=1).tolist(),
        "classifier_test_accuracy": round(float((last(real).argmax(1) == labels).double().mean()), 4),
    }


def test_features(dataset: str) -> torch.Tensor:
    """The features of the test images, kept beside the classifier."""
    path = reference_classifier.cached(dataset).with_suffix(".test.safetensors")
    if not path.exists():
        save_file(
            {"features": reference_classifier.features(reference_classifier.read(dataset)["x_test"], dataset=dataset)},
            path,
        )
    return load_file(path)["features"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--set", nargs="*", default=[], dest="settings")
    parser.add_argument("--dry", action="store_true", help="print only, write no result")
    arguments = parser.parse_args()
    data = Path(__file__).resolve().parents[2] / "shared" / "data" / f"{arguments.dataset}.npz"
    settings = dict(pair.split("=", 1) for pair in arguments.settings)
    config = with_settings(recipe(arguments.recipe), {"data": str(data), "seed": arguments.seed, **settings})
    folder = Path(tempfile.mkdtemp())
    begun = time.perf_counter()
    session = start(config, out=folder / "run", budget=as_seconds(arguments.budget))
    seconds = time.perf_counter() - begun
    x = session.sample(10_000, seed=1)[:, 0]
    result = {
        "recipe": arguments.recipe,
        "settings": settings,
        "budget": arguments.budget,
        "seconds": round(seconds, 1),
        "images": session.images,
        "images_per_second": round(session.images / seconds),
        "seed": arguments.seed,
        **measured(x, arguments.dataset),
        "parameters": {n: sum(p.numel() for p in player.parameters()) for n, player in session.players.items()},
        "config": {**session.config.to_mapping(), "data": f"{arguments.dataset}.npz"},
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    shown = ("images", "images_per_second", "seconds", "frechet", "two_sample_accuracy", "class_share")
    print(json.dumps({**settings, **{k: result[k] for k in shown}}), flush=True)
    if not arguments.dry:
        of_seed = f"-seed-{arguments.seed}" if arguments.seed else ""
        stem = RESULTS / f"{arguments.recipe}-{arguments.dataset}-{arguments.budget}{of_seed}"
        stem.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
        sheet = pictures.grid(x[:100, None], columns=10)
        Image.fromarray(sheet[0]).resize((sheet.shape[2] * 2, sheet.shape[1] * 2), Image.Resampling.NEAREST).save(
            stem.with_suffix(".png"), optimize=True
        )
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
