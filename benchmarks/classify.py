"""The recipes classify and classify-table: how much do items without a label help a classifier?

Each draw of a data set keeps so many labels of each class, as many of each; all other training items are shown without.
The same recipe is played with what it learns from items without a label, with agreement alone, and with the labels
alone; a logistic regression on the pixels or columns of the labelled items stands beside. Photographs of clothes are
told apart by `classify` and `classify-photos`, beside a logistic regression on the same frozen features; those of
CIFAR-10, of 32 x 32 pixels, by the latter two. Errors are of items that no arm has seen. A seed draws the labels and
the weights. What the file of results holds already is not played again.

    python benchmarks/classify.py
    python benchmarks/classify.py --data mnist --arms recipe --seeds 0
"""

import argparse
import time
from functools import cache
from hashlib import sha1
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

import evenodds
from common.stored import stored_results
from evenodds.apply.classifying import probabilities
from evenodds.data.labelled import draw_labels
from evenodds.data.units import Units
from evenodds.files.kept import caching
from evenodds.files.write import write_json
from evenodds.pretrained.embedding import Embedding
from reference_classifier import read

FILE = Path(__file__).parent / "results" / "classify.json"
DATA_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"
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
PHOTOS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "classify": ("classify", {"images": 24_000}),
    "classify-photos": ("classify-photos", {}),
    "shares known": ("classify-photos", {"task__shares": "true"}),
    "photos, labels alone": ("classify-photos", {"task__consistency": 0.0}),
    "regression on features": None,
}
"""The arms of photographs, each a recipe and what is set; the last learns from the features of `classify-photos`."""
LABELS = {"clothes-5": 5, "clothes-20": 20, "cifar10-20": 20, "cifar10-100": 100}
"""Labels of each class of photographs."""
OF_CIFAR = ("classify-photos", "photos, labels alone", "regression on features")
"""The arms of CIFAR-10."""
PHOTOS_SHOWN, PHOTOS_TESTED = 5_000, 2_000
"""Images of CIFAR-10 that are trained on, and judged by."""
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


Items = tuple[NDArray[Any], NDArray[Any]]


def read_photos(archive_name: str, most: int | None = None) -> Items:
    """(N, 3, H, W) uint8 and the class of each, in an order of their own; at most so many."""
    with ZipFile(DATA_FOLDER / archive_name) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith((".jpg", ".jpeg")))
        classes = np.unique([name.split("/")[-2] for name in names], return_inverse=True)[1]
        order = np.random.default_rng(0).permutation(len(names))[:most]
        x = [np.asarray(Image.open(BytesIO(archive.read(names[k]))).convert("RGB")) for k in order]
    return np.stack(x).transpose(0, 3, 1, 2), classes[order]


@cache
def photos(name: str) -> tuple[Items, Items]:
    """Those to train on, and those to judge by."""
    if name.startswith("cifar10"):
        return read_photos("cifar10-jpeg-train.zip", PHOTOS_SHOWN), read_photos("cifar10-jpeg-test.zip", PHOTOS_TESTED)
    x, y = read_photos("clothing-128.zip")
    return (x[1000:], y[1000:]), (x[:1000], y[:1000])


class Looked:
    """`Embedding` as it is, which looks at each image once over all runs; seconds count as if it did in each."""

    def __init__(self) -> None:
        self.known: dict[bytes, Tensor] = {}
        self.seconds, self.asked, self.look = 0.0, 0, Embedding.forward

    def __call__(self, embedding: Embedding, x: Tensor) -> Tensor:
        keys = [sha1(one.contiguous().numpy().tobytes()).digest() for one in x]
        new = [k for k, key in enumerate(keys) if key not in self.known]
        begun = time.process_time()
        if new:
            self.known |= dict(zip([keys[k] for k in new], self.look(embedding, x[new]), strict=True))
        self.seconds, self.asked = self.seconds + time.process_time() - begun, self.asked + len(x)
        return torch.stack([self.known[key] for key in keys])


LOOKED = Looked()


def error_of_photos(name: str, arm: str, seed: int) -> dict[str, Any]:
    """The share of wrong answers, and the seconds of processor time with those of looking at images."""
    (x, y), (x_test, y_test) = photos(name)
    few, arms = draw_labels(torch.from_numpy(y), LABELS[name], seed).numpy(), PHOTOS[arm]
    LOOKED.asked, looked, begun = 0, LOOKED.seconds, time.process_time()
    if arms is None:
        embedding, to_model = Embedding(128).eval(), Units((0.0,), (255.0,), "uint8").to_model
        with torch.no_grad():
            both = torch.cat([to_model(torch.from_numpy(x[few])), to_model(torch.from_numpy(x[few])).flip(3)])
            features, of_test = embedding(both).numpy(), embedding(to_model(torch.from_numpy(x_test))).numpy()
        said = LogisticRegression(max_iter=1000).fit(features, np.tile(y[few], 2)).predict(of_test)
    else:
        recipe, options = arms
        if options.get("task__shares"):
            options = options | {"task__shares": (np.bincount(y) / len(y)).round(4).tolist()}
        if recipe == "classify":  # which brings files to that size
            x, x_test = (reduced(part) for part in (x, x_test))
        labels = np.full(len(y), "", dtype="<U2")
        labels[few] = y[few].astype(str)
        common: dict[str, Any] = {"seed": seed, "threads": 1, "held_out": 0, "watch": "off", "precision": "float32"}
        with caching(False):  # what was seen is kept here alone
            session = evenodds.fit({"x": x, "y": labels}, recipe, **common, **options)
        classes = np.array(session.card.classes, int)
        said = classes[probabilities(session, session.card.to_model(x_test)).argmax(1)]
    spent = time.process_time() - begun - (LOOKED.seconds - looked)
    each_look = LOOKED.seconds / max(1, len(LOOKED.known))
    return {"error": round(float((said != y_test).mean()), 4), "seconds": round(spent + LOOKED.asked * each_look)}


def reduced(x: NDArray[Any]) -> NDArray[Any]:
    """Images of 128 x 128 in 32 x 32, by means of 4 x 4 pixels."""
    means = x.reshape(*x.shape[:2], 32, 4, 32, 4).mean((3, 5)).round().astype(np.uint8)
    return np.ascontiguousarray(means)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=[*DATA, *LABELS], default=[*DATA, *LABELS])
    parser.add_argument("--arms", nargs="+", choices=[*ARMS, *PHOTOS], default=[*ARMS, *PHOTOS])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=FILE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    setattr(Embedding, "forward", lambda embedding, x: LOOKED(embedding, x))  # noqa: B010
    for seed in arguments.seeds:
        for name in arguments.data:
            theirs = OF_CIFAR if name.startswith("cifar10") else tuple(PHOTOS if name in LABELS else ARMS)
            for arm in (one for one in arguments.arms if one in theirs):
                stored = stored_results(arguments.out)
                cells = stored.setdefault("cells", {}).setdefault(f"{name}, seed {seed}", {})
                if arm not in cells:
                    cells[arm] = (error_of_photos if name in LABELS else error)(name, arm, seed)
                    write_json(arguments.out, stored | {"torch": torch.__version__, "images": IMAGES})
                print(name, seed, arm, cells[arm], flush=True)


if __name__ == "__main__":
    main()
