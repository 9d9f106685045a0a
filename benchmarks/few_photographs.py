"""Three hundred photographs: 30 of each of ten classes of clothes at 64 x 64, in equal processor time of one thread.

    python benchmarks/few_photographs.py [--ways "without classes" recipe] [--seconds 600] [--seeds 0] [--runs FOLDER]

Which 300 does not depend on the seed. A run holds some of them out itself, as anyone's run does. It is judged by 90
others of each class that it never saw: kernel distance of as many samples with its interval, recall, coverage, and the
share of suspected copies among the samples. Adds to benchmarks/results/few_photographs.json; each run also leaves a
sheet of samples beside it.
"""

import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from evenodds.metrics.features.extract import extract, extractor
from evenodds.metrics.intervals import Side, intervals
from evenodds.metrics.kernel import kernel_distance
from evenodds.metrics.manifold import density_coverage, precision_recall
from evenodds.metrics.memorisation import suspects
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.run import start
from evenodds.runs.session import Session
from photographs import DATA, RESULTS, play, sheet, timed

A_CLASS, JUDGED, SIZE = 30, 90, 64
WAYS: dict[str, dict[str, Any]] = {
    "without views and classes": {"views": "none", "task": "generate"},
    "without classes": {"task": "generate"},
    "recipe": {},
    "views of colour too": {"views": ["flip", "translation", "color"]},
    "views of colour too, adaptive": {"views": ["flip", "translation", "color"], "view_chance": "adaptive"},
    "pretrained": {"discriminator.pretrained": SIZE},
}


def parted(folder: Path) -> Tensor:
    """Writes 30 photographs of each class into folders; returns 90 others of each, (900, 3, 64, 64) in [-1, 1]."""
    with zipfile.ZipFile(DATA) as archive:
        others = []
        names = np.array(sorted(name for name in archive.namelist() if not name.endswith("/")))
        for each in sorted({name.split("/")[0] for name in names}):
            of_class = names[[name.startswith(f"{each}/") for name in names]]
            chosen = np.random.default_rng(0).permutation(of_class)
            archive.extractall(folder, [str(name) for name in chosen[:A_CLASS]])
            others += [archive.open(str(name)) for name in chosen[A_CLASS : A_CLASS + JUDGED]]
        return torch.stack([_pixels(Image.open(file)) for file in others])


def _pixels(image: Image.Image) -> Tensor:
    """A square photograph as the run reads it."""
    small = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return _scaled(np.moveaxis(np.array(small), 2, 0))


def _scaled(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels).float() / 127.5 - 1


def judged(session: Session, learned: Tensor, others: Tensor) -> dict[str, Any]:
    """What photographs that the run never saw say of its samples, by two kinds of features."""
    y = np.repeat(np.arange(10), JUDGED) if session.conditions.by_class else None
    fake = _scaled(session.sample(len(others), seed=1, y=y))
    found: dict[str, Any] = {}
    for name in ("random", "pretrained"):
        see = extractor(name)((3, SIZE, SIZE))
        made, real, known = (extract(see, items) for items in (fake, others, learned))
        found[name] = _scores(made, real) | {"copies": round(suspects(made, known, real).share, 4)}
    return found


def _scores(made: Tensor, real: Tensor) -> dict[str, Any]:
    def statistic(one: Side, other: Side) -> dict[str, float]:
        return {"kernel": float(kernel_distance(one.features, other.features))}

    kernel = intervals(statistic, Side(real, real), Side(made, made), pairs=4, seed=0)["kernel"]
    sides = precision_recall(real, made)
    return {
        "kernel": [round(value, 4) for value in (kernel.value, kernel.low, kernel.high)],
        "recall": round(float(sides.recall), 4),
        "precision": round(float(sides.precision), 4),
        "coverage": round(float(density_coverage(real, made).coverage), 4),
    }


def one(way: str, seed: int, seconds: float, images: int | None, runs: Path) -> dict[str, Any]:
    """One run on 300 photographs, scored."""
    torch.set_num_threads(1)
    photographs = runs / "photographs"
    others = parted(photographs)
    fixed = {"data": str(photographs), "seed": seed, "device": "cpu", "threads": 1, "precision": "bfloat16"}
    config, each = timed(with_settings(recipe("photos-64"), {**fixed, **WAYS[way]}), seconds, images)
    begun = time.process_time()
    session = start(config, out=runs / f"{way.replace(' ', '-')}-{seed}")
    spent = time.process_time() - begun
    sheet(session, session.folder / "sheet.jpg")
    files = sorted(photographs.rglob("*.jpg"))
    learned = torch.stack([_pixels(Image.open(file)) for file in files])
    row = {"way": way, "seed": seed, "images": session.images, "processor_seconds": round(spent, 1)}
    return {**row, "milliseconds_an_image": round(1000 * each, 2), **judged(session, learned, others)}


if __name__ == "__main__":
    play(str(__doc__), WAYS, one, 600, RESULTS / "few_photographs.json")
