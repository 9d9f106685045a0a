"""Ranges: inputs whose numbers use a part of their type, or differ between channels, beside their twins of 8 bits.

- digits: scikit-learn's, enlarged to 28 x 28, as 8 bits and as 12 bits in 16-bit PNG files;
- bands: three channels of 0 to 1, 0 to 1 and 500 to 2,500 as float32, and each of them brought to 0 to 255;
- heights: the third channel with "no data" (-32768) in some pixels, and without, brought to 0 to 255.

    python benchmarks/ranges.py [--images 24k] [--seeds 0 1 2]

Scores are `evaluate`'s on random features, in the players' range, against items that the run held out. One thread.
What results/ranges.json holds already is not done again.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

import evenodds
from common.stored import stored_results
from evenodds.evaluation.evaluate import evaluate
from evenodds.files.write import write_json

RESULTS = Path(__file__).parent / "results" / "ranges.json"
METRICS = ("frechet", "kernel", "precision", "recall", "coverage", "two_sample_accuracy")
NO_DATA = -32768


def digits(folder: Path, factor: int, kind: type[np.unsignedinteger[Any]]) -> Path:
    """PNG files of enlarged digits of 8 bits, times a factor."""
    folder.mkdir()
    for k, small in enumerate(load_digits().images):
        image = Image.fromarray((small * 15.9).astype(np.uint8)).resize((28, 28), Image.Resampling.BICUBIC)
        Image.fromarray(np.asarray(image).astype(kind) * kind(factor)).save(folder / f"{k}.png")
    return folder


def fields() -> NDArray[np.float64]:
    """(600, 16, 16) of waves in [0, 1]."""
    a, b, c = np.random.default_rng(0).random((3, 600, 1, 1))
    y, x = np.mgrid[:16, :16] / 15
    return np.asarray(0.5 + 0.5 * np.sin(6 * (a * x + b * y) + 6 * c))


def saved(path: Path, x: NDArray[Any]) -> Path:
    np.save(path, x)
    return path


def eight_bits(x: NDArray[np.float64]) -> NDArray[np.uint8]:
    return (x * 255).round().astype(np.uint8)


def bands(path: Path) -> Path:
    field = fields()
    return saved(path, np.stack([field, 1 - field, 500 + 2000 * field], 3).astype(np.float32))


def heights(path: Path) -> Path:
    field = 500 + 2000 * fields()
    field[np.random.default_rng(1).random(field.shape) < 0.0005] = NO_DATA
    return saved(path, field.astype(np.float32))


INPUTS: dict[str, Callable[[Path], Path]] = {
    "digits, 8 bits": lambda folder: digits(folder / "eight", 1, np.uint8),
    "digits, 12 bits in 16": lambda folder: digits(folder / "twelve", 16, np.uint16),
    "bands, 8 bits": lambda folder: saved(
        folder / "b8.npy", eight_bits(np.stack([fields(), 1 - fields(), fields()], 3))
    ),
    "bands, float32": lambda folder: bands(folder / "bands.npy"),
    "heights, 8 bits": lambda folder: saved(folder / "h8.npy", eight_bits(fields())),
    "heights with no data": lambda folder: heights(folder / "heights.npy"),
}


def cell(name: str, images: str, seed: int) -> dict[str, Any]:
    """One input, one seed: scores, the verdict at the end, and the range of samples by channel."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = INPUTS[name](folder)
        session = evenodds.fit(
            str(data), "gray-28", out=folder / "run", images=images, batch=32, seed=seed, device="cpu", threads=1
        )
        found = evaluate(session, metrics=list(METRICS), features="random", n=1000)
        made = session.sample(500, seed=1)
        ends = [[float(made[:, k].min()), float(made[:, k].max())] for k in range(made.shape[1])]
    scores = {key: round(score.value, 4) for key in METRICS if (score := found.score(key)) is not None}
    return {**scores, "samples": ends}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", default="24k")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for seed in options.seeds:
        for name in INPUTS:
            key = f"{name}, {options.images}, seed {seed}"
            if key not in stored_results(RESULTS):
                found = cell(name, options.images, seed)
                write_json(RESULTS, {**stored_results(RESULTS), key: found})
                print(key, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
