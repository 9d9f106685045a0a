"""The recipes classify and classify-table: how much do items without a label help a classifier?

Each draw of a data set keeps so many labels of each class, as many of each; all other training items are shown without.
The same recipe is played with what it learns from items without a label, with agreement alone, and with the labels
alone; a logistic regression on the pixels or columns of the labelled items stands beside. Errors are of items that no
arm has seen. A seed draws the labels and the weights. What the file of results holds already is not played again.

    python benchmarks/classify.py
    python benchmarks/classify.py --data mnist --arms recipe --seeds 0
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import evenodds
from common.stored import stored_results
from evenodds.apply.classifying import probabilities
from evenodds.data.labelled import draw_labels
from evenodds.files.write import write_json
from reference_classifier import read

FILE = Path(__file__).parent / "results" / "classify.json"
SHOWN, TESTED = 10_000, 5_000
"""Images of MNIST and its like that are trained on, and judged by."""
DATA = {
    "mnist": ("classify", 10),
    "fashion_mnist": ("classify", 10),
    "digits": ("classify-table", 5),
    "cancer": ("classify-table", 10),
}
"""The recipe of each data set, and the labels of each class."""
ARMS: dict[str, dict[str, Any] | None] = {
    "recipe": {},
    "agreement alone": {"task__unsupervised": 0.0},
    "labels alone": {"task__unsupervised": 0.0, "task__consistency": 0.0},
    "logistic regression": None,
}
IMAGES = {"classify": 64_000, "classify-table": 60_000}
"""Items that each run shows."""


def items(name: str, seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """x and y to train on, x and y to judge by."""
    if name in ("mnist", "fashion_mnist"):
        arrays = read(name, None)
        x, y = arrays["x_train"][:SHOWN], arrays["y_train"][:SHOWN]
        return x, y.astype(int), arrays["x_test"][:TESTED], arrays["y_test"][:TESTED].astype(int)
    bunch = {"digits": load_digits, "cancer": load_breast_cancer}[name]()
    x, y = bunch.data.astype(np.float32), bunch.target.astype(int)
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = np.split(order, [int(0.7 * len(x))])
    return x[train], y[train], x[test], y[test]


def error(name: str, arm: str, seed: int) -> dict[str, Any]:
    """The share of wrong answers, and the seconds of processor time."""
    x, y, x_test, y_test = items(name, seed)
    recipe, each = DATA[name]
    few = draw_labels(torch.from_numpy(y), each, seed).numpy()
    options, begun = ARMS[arm], time.process_time()
    if options is None:
        flat = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        said = flat.fit(x[few].reshape(len(few), -1), y[few]).predict(x_test.reshape(len(x_test), -1))
    else:
        labels = np.full(len(y), "", dtype="<U2")
        labels[few] = y[few].astype(str)
        session = evenodds.fit(
            {"x": x, "y": labels},
            recipe,
            images=IMAGES[recipe],
            seed=seed,
            threads=1,
            held_out=0,
            watch="off",
            **options,
        )
        seen = x_test[:, None] if x_test.ndim == 3 else x_test
        classes = np.array(session.card.classes, int)
        said = classes[probabilities(session, session.card.to_model(seen)).argmax(1)]
    return {"error": round(float((said != y_test).mean()), 4), "seconds": round(time.process_time() - begun)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=DATA, default=[*DATA])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=[*ARMS])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=FILE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for seed in arguments.seeds:
        for name in arguments.data:
            for arm in arguments.arms:
                stored = stored_results(arguments.out)
                cells = stored.setdefault("cells", {}).setdefault(f"{name}, seed {seed}", {})
                if arm not in cells:
                    cells[arm] = error(name, arm, seed)
                    write_json(arguments.out, stored | {"torch": torch.__version__, "images": IMAGES})
                print(name, seed, arm, cells[arm], flush=True)


if __name__ == "__main__":
    main()
