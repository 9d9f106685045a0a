"""Planted faults on MNIST: does an evaluation see them? An honest generator beside a copier, a collapse, and noise.

The honest generator is a run of `gray-28` on MNIST, such as table1.py leaves in its working folder. Everything else is
made of its samples and its training images, and all are judged like samples of any tool, against the run's data.

    python benchmarks/planted.py /tmp/table1/gray-28      # writes benchmarks/results/planted.json
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evenodds.evaluation.compare import compare
from evenodds.evaluation.evaluate import evaluate
from evenodds.evaluation.material import gather
from evenodds.files.write import write_json
from evenodds.runs.card import SPLIT_SEED
from evenodds.runs.reading import open_data
from evenodds.runs.session import Session, load

RESULTS = Path(__file__).parent / "results"
SHOWN = ("frechet", "kernel", "precision", "recall", "coverage", "two_sample_accuracy")


def planted(session: Session, n: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(n, 1, 28, 28) uint8 of each kind, and which samples of "5 % copies" are copies."""
    data = open_data(session.config)
    training, _ = data.split(session.config.held_out, SPLIT_SEED)
    rng = np.random.default_rng(0)
    chosen = rng.permutation(training.numpy())[:n]
    copies, honest = np.ascontiguousarray(data.x[chosen].numpy()), session.sample(n, seed=1)
    replayed = rng.permutation(n) < n // 20
    some = np.where(replayed[:, None, None, None], copies, honest)
    noise = rng.integers(0, 256, honest.shape, dtype=np.uint8)
    noisy = np.where((rng.permutation(n) < n // 4)[:, None, None, None], noise, honest)
    kinds = {"honest": honest, "copies": copies, "5 % copies": some, "a quarter noise": noisy}
    return kinds, replayed


def half_of_the_classes(session: Session, n: int) -> np.ndarray:
    """Samples of the five first classes only, as a classifier sees them."""
    from evenodds.evaluation.examination import examine
    from evenodds.evaluation.measures import classes_of

    many = session.sample(3 * n, seed=2)
    examination = examine(gather(many, session.folder, n=len(many)), "classifier")
    kept = (classes_of(examination.fake) < 5).nonzero().flatten()[:n]
    return np.asarray(session.card.units.to_data(examination.fake.x[kept]).to(torch.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("-n", type=int, default=5_000)
    arguments = parser.parse_args()
    session = load(arguments.run)
    kinds, replayed = planted(session, arguments.n)
    kinds["half of the classes"] = half_of_the_classes(session, arguments.n // 2)
    found, result = {}, {}
    for name, x in kinds.items():
        found[name] = one = evaluate(x, arguments.run, metrics=[*SHOWN, "memorisation"], n=arguments.n)
        copies = one["memorisation"]
        result[name] = {
            "n": len(x),
            **{s["name"]: {k: s[k] for k in ("value", "low", "high", "floor")} for s in one["scores"]},
            "suspected": {k: copies[k] for k in ("share", "low", "high", "expected", "c_t", "verdict")},
            "sound": one["sound"],
            "verdict": one["verdict"],
        }
        told = "  ".join(f"{k} {v['value']:.3g}" for k, v in result[name].items() if k in SHOWN)
        print(
            f"{name:20} {told}  suspected {copies['share']:.2%}  sound {one['sound']}\n    {one['verdict'][0]}",
            flush=True,
        )
    result["5 % copies"]["found"] = traced(kinds["5 % copies"], replayed, arguments.run)
    same = {name: one for name, one in found.items() if len(kinds[name]) == arguments.n}
    result["compare"] = {"left_out": compare(same).left_out}
    print(result["5 % copies"]["found"], result["compare"])
    write_json(RESULTS / "planted.json", result)


def traced(x: np.ndarray, replayed: np.ndarray, run: Path) -> dict[str, Any]:
    """The share of the planted copies that is suspected, and that of the honest samples beside them."""
    from evenodds.evaluation.examination import examine
    from evenodds.metrics.memorisation import suspects

    examination = examine(gather(x, run, n=len(x)))
    assert examination.train is not None
    accused = suspects(examination.fake.features, examination.train, examination.real.features).suspected.numpy()
    return {"copies": float(accused[replayed].mean()), "honest": float(accused[~replayed].mean())}


if __name__ == "__main__":
    main()
