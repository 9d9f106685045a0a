"""Planted controls of the trial: is a generator of noise never said to help, and one that hands out real images always?

On the digits, 5 training images of each class, five seeds, 20 repetitions with other folds; the arms are real
images only, SMOTE and the generator, which is then tested at the full 5 %. "oracle" hands
out real digits that are neither trained nor tested on; "noise" hands out uniform noise under the class asked for. Each
class gets as many synthetic images as `RATIO` says. What results/trial_controls.json holds is not done again.

    python benchmarks/trial_controls.py                    # both, 20 repetitions
    python benchmarks/trial_controls.py --repetitions 2 --out /tmp/try
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evenodds.apply.filters import Draw
from evenodds.data.dataset import Dataset
from evenodds.data.readers.digits import digits
from evenodds.evaluation.trial.folds import Splitter, hashes
from evenodds.evaluation.trial.plan import TrialPlan
from evenodds.evaluation.trial.play import trial
from evenodds.files.write import write_json

RESULTS = Path(__file__).parent / "results"
PER_CLASS, TESTED, SEEDS, RATIO = 5, 200, 5, 8.0


def parts(data: Dataset, repetition: int) -> tuple[Splitter, Tensor]:
    """Folds with disjoint test items, and the items that are tested on in none."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(repetition))
    tested, rest = order[: SEEDS * TESTED], order[SEEDS * TESTED :]
    assert data.y is not None
    labels = data.y

    def split(_: Dataset, seed: int) -> tuple[Tensor, Tensor]:
        some = rest[torch.randperm(len(rest), generator=torch.Generator().manual_seed(100 * repetition + seed))]
        train = torch.cat([some[labels[some] == k][:PER_CLASS] for k in range(len(data.classes))])
        return train.sort().values, tested[seed * TESTED : (seed + 1) * TESTED].sort().values

    return split, rest


class Noise:
    """Uniform noise, whatever the class."""

    name = "noise"

    def __call__(self, fold: Dataset, seed: int, budget: float) -> Draw:
        return lambda label, n, rng: torch.rand(n, *fold.shape, generator=rng) * 2 - 1


class Oracle:
    """Hidden real images: of the items given, those that the fold does not hold."""

    name = "oracle"

    def __init__(self, hidden: Dataset) -> None:
        self.hidden, self.known = hidden, hashes(hidden)

    def __call__(self, fold: Dataset, seed: int, budget: float) -> Draw:
        there = set(hashes(fold))
        free = self.hidden.take(torch.tensor([k for k, name in enumerate(self.known) if name not in there]))
        x, y = free.units.to_model(free.x), free.y
        assert y is not None

        def draw(label: int, n: int, rng: torch.Generator) -> Tensor:
            own = (y == label).nonzero().flatten()
            return x[own[torch.randint(len(own), (n,), generator=rng)]]

        return draw


MAKERS: dict[str, Callable[[Dataset], Any]] = {"noise": lambda hidden: Noise(), "oracle": Oracle}


def played(
    kind: str, repetition: int, data: Dataset, plan: TrialPlan, arms: list[str] | None = None, *, agreeing: bool = True
) -> dict[str, Any]:
    """One trial."""
    splitter, rest = parts(data, repetition)
    with tempfile.TemporaryDirectory() as folder:
        maker = MAKERS[kind](data.take(rest))
        return trial(
            data, Path(folder) / "t", maker, seeds=SEEDS, splitter=splitter, plan=plan, ratio=RATIO, arms=arms,
            agreeing=agreeing,
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path, data = arguments.out / "trial_controls.json", digits()
    found = json.loads(path.read_text()) if path.exists() else {"noise": [], "oracle": []}
    for kind in MAKERS:
        for repetition in range(len(found[kind]), arguments.repetitions):
            begun = time.process_time()
            content = played(kind, repetition, data, TrialPlan(steps=arguments.steps), ["smote", "gan"])
            tests = {name: test["figures"]["macro_f1"] for name, test in content["differences"].items()}
            shown = {name: [round(test[k], 4) for k in ("value", "low", "high")] for name, test in tests.items()}
            answer = content["verdict"]["answer"]
            row = {"answer": answer, "recommended": content["verdict"]["recommended"]["arm"], "differences": shown}
            found[kind].append({**row, "processor_seconds": round(time.process_time() - begun, 1)})
            write_json(path, found)
            print(kind, repetition, answer, shown["gan - real"], flush=True)
    for kind, rows in found.items():
        said = [row["answer"] for row in rows]
        print(kind, {answer: said.count(answer) for answer in ("HELPS", "NO EFFECT", "CANNOT TELL", "HURTS")})


if __name__ == "__main__":
    main()
