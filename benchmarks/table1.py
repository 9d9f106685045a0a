"""The paper's Table 1 for MNIST, for its own networks and for our best recipe, beside what other scores say of both.

Trains `mnist-2014` and `gray-28` for the same wall-clock time each (or takes runs that are there), draws 10,000 samples
from each, and judges them by the Parzen protocol (see parzen.py; sigma on the run's held-out images) and by
`evenodds.evaluate` in the features of a classifier. What is finished is kept in the working folder and not done again.

    python benchmarks/table1.py --budget 20m --work /tmp/table1     # writes benchmarks/results/table1.{json,png}

With `--train RECIPE` only that run is made: two such commands side by side give each recipe one core.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import parzen
import reference_classifier
from evenodds.evaluation.evaluate import evaluate
from evenodds.files.write import write_json
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.folders import as_seconds
from evenodds.runs.run import start
from evenodds.runs.session import Session, load
from evenodds.show import pictures

RESULTS = Path(__file__).parent / "results"
RECIPES = ("mnist-2014", "gray-28")
SCORES = ("frechet", "kernel", "precision", "recall", "two_sample_accuracy", "memorisation")


def trained(name: str, budget: str, work: Path, data: Path) -> tuple[Session, float]:
    """The run of a recipe, and the seconds that it took; trained where it is not there yet."""
    folder, clock = work / name, work / f"{name}.seconds"
    if not clock.exists():
        begun = time.perf_counter()
        config = with_settings(recipe(name), {"data": str(data / "mnist.npz")})
        start(config, out=folder, budget=as_seconds(budget), say=lambda line: print(line, flush=True))
        clock.write_text(str(time.perf_counter() - begun))
    return load(folder), float(clock.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="20m")
    parser.add_argument("--work", type=Path, required=True, help="folder for runs; what is there is not done again")
    parser.add_argument("--train", choices=RECIPES, help="train this one only, and judge nothing yet")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.train:
        trained(arguments.train, arguments.budget, arguments.work, arguments.data)
        return
    arrays = reference_classifier.read("mnist", arguments.data)
    known, test = parzen.unit(arrays["x_train"], "x_train"), parzen.unit(arrays["x_test"], "x_test")
    subjects, runs, rows = {}, {}, []
    for name in RECIPES:
        session, seconds = trained(name, arguments.budget, arguments.work, arguments.data)
        subjects[name] = parzen.unit(session.sample(10_000, seed=1), name)
        found = evaluate(session, metrics=SCORES, features="classifier")
        rows.append(session.card.eight_bit(session.sample(20, seed=1)))
        runs[name] = {
            "seconds": round(seconds, 1),
            "images": session.images,
            "config": {**session.config.to_mapping(), "data": "mnist.npz"},
            "scores": found["scores"],
            "memorisation": {k: v for k, v in found["memorisation"].items() if k != "suspects"},
            "verdict": found["verdict"],
            "fingerprint": found["fingerprint"],
        }
    held = torch.zeros(len(known), dtype=torch.bool)
    held[json.loads((arguments.work / RECIPES[0] / "data.json").read_text())["held_out"]] = True
    lines = parzen.table({**parzen.baselines(known[~held], 0, 5), **subjects}, known[held], test)
    for name, run in runs.items():
        told = "  ".join(f"{s['name']} {s['value']:.4g} (floor {s['floor']:.3g})" for s in run["scores"])
        print(f"{name}: {run['images']:,} images in {run['seconds']:.0f} s; {told}")
    result = {"budget": arguments.budget, "published": parzen.PUBLISHED, "parzen": lines, "runs": runs}
    write_json(RESULTS / "table1.json", {**result, "torch": torch.__version__, "threads": torch.get_num_threads()})
    sheet = pictures.enlarge(pictures.grid(np.concatenate(rows), 20), 1120)
    Image.fromarray(sheet[0]).save(RESULTS / "table1.png", optimize=True)


if __name__ == "__main__":
    main()
