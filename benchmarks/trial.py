"""Do synthetic images help a small classifier? The trial on Fashion-MNIST with few images, and on imbalanced MNIST.

Five seeds, all arms, the small classifier. Seeds share no item: each has training images of its own from the first
60,000 and 2,000 of the 10,000 test images. "mnist-imbalanced" has 500 images of the digits 0 to 4 and 5 of 5 to 9. The
lengths are fixed, so that a slow machine gives the same figures later; every finished cell is kept in the working
folder, and a case whose result is there is not played again.

    python benchmarks/trial.py                                # all cases, in this order
    python benchmarks/trial.py fashion-10 --work /tmp/trials
"""

import argparse
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import reference_classifier
from evenodds.data.arrays import from_array
from evenodds.data.dataset import Dataset
from evenodds.evaluation.trial.folds import Splitter
from evenodds.evaluation.trial.generators import ConditionalRun
from evenodds.evaluation.trial.plan import TrialPlan
from evenodds.evaluation.trial.play import trial
from evenodds.evaluation.trial.written import write
from evenodds.files.write import write_json

RESULTS = Path(__file__).parent / "results"
SEEDS, TESTED = 5, 2000


@dataclass(frozen=True)
class Case:
    """What is tried.

    Args:
        counts: training images of each class.
        images: shown to each generator in training.
    """

    dataset: str
    counts: tuple[int, ...]
    images: int
    steps: int = 300
    ratio: float = 1.0


CASES = {
    "fashion-10": Case("fashion_mnist", (10,) * 10, 40_000, ratio=4.0),
    "fashion-50": Case("fashion_mnist", (50,) * 10, 40_000, ratio=2.0),
    "mnist-imbalanced": Case("mnist", (500,) * 5 + (5,) * 5, 60_000),
    "fashion-500": Case("fashion_mnist", (500,) * 10, 80_000),
}


def opened(case: Case) -> tuple[Dataset, Splitter]:
    """All images that any seed sees, and who sees which."""
    read = reference_classifier.read(case.dataset)
    every = [from_array(read[f"x_{part}"], read[f"y_{part}"]) for part in ("train", "test")]
    rng = torch.Generator().manual_seed(0)
    y = every[0].y
    assert y is not None
    order = torch.randperm(len(y), generator=rng)
    queues = [order[y[order] == label] for label in range(10)]
    trains = [
        torch.cat([queue[seed * n : (seed + 1) * n] for queue, n in zip(queues, case.counts, strict=True)])
        for seed in range(SEEDS)
    ]
    tests = torch.randperm(len(every[1]), generator=rng)[: SEEDS * TESTED].view(SEEDS, TESTED)
    some, others = every[0].take(torch.cat(trains)), every[1].take(tests.flatten())
    assert some.y is not None
    assert others.y is not None
    data = Dataset(torch.cat([some.x, others.x]), some.units, torch.cat([some.y, others.y]), some.classes)
    each, first = len(trains[0]), len(some)

    def split(_: Dataset, seed: int) -> tuple[Tensor, Tensor]:
        return torch.arange(seed * each, (seed + 1) * each), first + torch.arange(seed * TESTED, (seed + 1) * TESTED)

    return data, split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--work", type=Path, default=Path("runs/trials"), help="where finished cells are kept")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.cases:
        case, stem = CASES[name], arguments.out / f"trial-{name}"
        if stem.with_suffix(".json").exists():
            continue
        data, splitter = opened(case)
        begun = time.process_time()
        plan = TrialPlan(case.steps, float(case.images))
        content = trial(
            data, arguments.work / name, ConditionalRun(settings={"device": "cpu"}), seeds=SEEDS, splitter=splitter,
            plan=plan, ratio=case.ratio, say=lambda line: print(line, flush=True),
        )  # fmt: skip
        write(content, arguments.work / name, data)
        for ending in ("txt", "png"):
            shutil.copy(arguments.work / name / f"trial.{ending}", stem.with_suffix(f".{ending}"))
        if (arguments.work / name / "synthetic.png").exists():
            shutil.copy(arguments.work / name / "synthetic.png", arguments.out / f"trial-{name}-synthetic.png")
        seconds = round(time.process_time() - begun, 1)
        write_json(stem.with_suffix(".json"), {**content, "processor_seconds_of_this_call": seconds})
        print(stem.with_suffix(".txt").read_text())


if __name__ == "__main__":
    main()
