"""Do synthetic images or rows help a classifier? The trial on six data sets.

Five seeds; images with the small classifier, the table with two of scikit-learn. Seeds share no item: each has
training items and test items of its own. Lengths are fixed, so that a slow machine gives the same figures later; every
finished cell is kept in the working folder, and a case whose result is there is not played again.

- fashion-10, -50, -500: so many images of each class of Fashion-MNIST; tested on 2,000 of its test images.
- mnist-imbalanced: 500 images of the digits 0 to 4, 5 of 5 to 9; tested on 2,000 test images.
- clothes-20: 20 photographs of each of 10 classes, 64 x 64; tested on a fifth of those that no seed trains on.
- spam-boosting, spam-logistic: 300 rows of one class of Spambase and 15 of the other; tested on a fifth of the rest.
  The file holds no label. UCI's has 1,813 rows of spam first, then 2,788 others, and so has this one: "george",
  column 27, is in 8 of the former and 772 of the latter. Each row is taken once.

`--base N` takes other seeds: other items, generators and first weights. Those of the results are 0.

    python benchmarks/trial.py                                # all cases, in this order
    python benchmarks/trial.py fashion-10 --work /tmp/trials
"""

import argparse
import csv
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

import reference_classifier
from evenodds.data.dataset import Dataset
from evenodds.data.readers.arrays import from_array
from evenodds.data.sources import load
from evenodds.evaluation.trial.classifiers import classifier
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
        counts: training items of each class.
        images: shown to each seed's generator in training; that for choosing the share sees a third of it.
    """

    dataset: str
    counts: tuple[int, ...]
    images: int = 0
    steps: int = 300
    ratio: float = 1.0
    classifier: str = "small"


CASES = {
    "fashion-10": Case("fashion_mnist", (10,) * 10, 20_000, ratio=4.0),
    "fashion-50": Case("fashion_mnist", (50,) * 10, 30_000, ratio=2.0),
    "mnist-imbalanced": Case("mnist", (500,) * 5 + (5,) * 5, 30_000),
    "fashion-500": Case("fashion_mnist", (500,) * 10, 30_000),
    "clothes-20": Case("clothing-128.zip", (20,) * 10, 6_000, ratio=4.0),
    "spam-boosting": Case("spam.csv", (300, 15), classifier="boosting"),
    "spam-logistic": Case("spam.csv", (300, 15), classifier="logistic"),
}
SPAM = 1813
"""Rows of spam at the head of Spambase."""


def everything(case: Case, home: Path) -> tuple[Dataset, Dataset]:
    """The items to train on, and those to test on; the same ones where the file does not part them."""
    if case.dataset.endswith(".zip"):
        data = load(str(home / case.dataset), size=64).in_memory("the photographs")
        return data, data
    if case.dataset.endswith(".csv"):
        rows = list(csv.reader((home / case.dataset).open(encoding="utf-8")))
        spam, others = (dict.fromkeys(map(tuple, part)) for part in (rows[1 : 1 + SPAM], rows[1 + SPAM :]))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "labelled.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow([*rows[0], "kind"])
                writer.writerows([*row, "spam"] for row in spam)
                writer.writerows([*row, "other"] for row in others)
            data = load(str(path), label="kind")
        return data, data
    read = reference_classifier.read(case.dataset)
    train, test = (from_array(read[f"x_{part}"], read[f"y_{part}"]) for part in ("train", "test"))
    return train, test


def opened(case: Case, home: Path, base: int) -> tuple[Dataset, Splitter]:
    """All items that any seed sees, and who sees which."""
    train, test = everything(case, home)
    rng = torch.Generator().manual_seed(base)
    assert train.y is not None
    assert test.y is not None
    order = torch.randperm(len(train), generator=rng)
    queues = [order[train.y[order] == label] for label in range(len(train.classes))]
    trains = [
        torch.cat([queue[seed * n : (seed + 1) * n] for queue, n in zip(queues, case.counts, strict=True)])
        for seed in range(SEEDS)
    ]
    if test is train:
        tests = torch.cat([_parts(queue[SEEDS * n :]) for queue, n in zip(queues, case.counts, strict=True)], 1)
    else:
        tests = torch.randperm(len(test), generator=rng)[: SEEDS * TESTED].view(SEEDS, TESTED)
    some, others = train.take(torch.cat(trains)), test.take(tests.flatten())
    assert some.y is not None
    assert others.y is not None
    data = replace(
        some, x=torch.cat([some.x, others.x]), y=torch.cat([some.y, others.y]), names=(), items=None, groups=None
    )
    size, first, of_seed = len(trains[0]), len(some), tests.shape[1]

    def split(_: Dataset, seed: int) -> tuple[Tensor, Tensor]:
        return torch.arange(seed * size, (seed + 1) * size), first + torch.arange(seed * of_seed, (seed + 1) * of_seed)

    return data, split


def _parts(queue: Tensor) -> Tensor:
    """What is left of a class, in a part for each seed."""
    return queue[: len(queue) // SEEDS * SEEDS].view(SEEDS, -1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--work", type=Path, default=Path("runs/trials"), help="where finished cells are kept")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(__file__).resolve().parents[2] / "shared" / "data",
        help="the folder of the files",
    )
    parser.add_argument("--base", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--arms", nargs="*", default=None)
    parser.add_argument("--no-agreement", dest="agreement", action="store_false")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.cases:
        case, stem = CASES[name], arguments.out / f"trial-{name}"
        if stem.with_suffix(".json").exists():
            continue
        data, splitter = opened(case, arguments.data, arguments.base)
        begun = time.process_time()
        plan = TrialPlan(case.steps, float(case.images))
        maker = ConditionalRun(settings={"device": "cpu"})
        content = trial(
            data, arguments.work / name, maker, classifier=classifier(case.classifier), seeds=arguments.seeds,
            splitter=splitter, plan=plan, ratio=case.ratio, arms=arguments.arms, agreeing=arguments.agreement,
            say=lambda line: print(line, flush=True),
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
