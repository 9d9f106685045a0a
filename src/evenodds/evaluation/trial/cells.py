"""The cells of a trial: one arm on one seed each; those on disk are read, the others are played and kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.data.readers.arrays import read_arrays
from evenodds.errors import BadInput
from evenodds.evaluation.trial.arms import ARMS, SYNTHETIC, as_real, learners_of, titled
from evenodds.evaluation.trial.classifiers import Classifier, Small
from evenodds.evaluation.trial.folds import Fold, hashes
from evenodds.evaluation.trial.inputs import GENERATOR, ArmInputs, Maker, sampled
from evenodds.evaluation.trial.plan import TrialPlan
from evenodds.evaluation.trial.proof import Ledger
from evenodds.evaluation.trial.share import INNER_BUDGET, chosen_shares, fixed_shares
from evenodds.files.read import read_json
from evenodds.files.write import replaced, write_json
from evenodds.game.seeds import mix
from evenodds.metrics.classification import calibration_error, class_scores

__all__ = ["Setup", "all_cells", "counts_of"]

Step = Callable[[str, int, int], None]
Say = Callable[[str], None]


@dataclass
class Setup:
    """What is fixed for all cells."""

    data: Dataset
    folder: Path
    maker: Maker
    tested: Classifier
    plan: TrialPlan
    ratio: float
    share: float | None
    agreeing: bool
    item_hashes: Sequence[str]

    @property
    def small(self) -> Small:
        return Small(steps=self.plan.steps)

    @property
    def classifier(self) -> Classifier:
        return self.small if isinstance(self.tested, Small) else self.tested


def all_cells(setup: Setup, folds: Sequence[Fold], names: Sequence[str], step: Step, say: Say) -> dict[str, list[Any]]:
    """Arm -> the cell of each seed; those on disk are read."""
    balanced = all(len(set(counts_of(setup.data, fold))) == 1 for fold in folds)
    names = [name for name in names if not as_real(name, balanced)]
    cells: dict[str, list[Any]] = {name: [] for name in names}
    firsts = next((name for name in names if name in SYNTHETIC), None)
    costs = {name: setup.plan.seconds(name, name == firsts) for name in names}
    total, done, clock, spent = len(folds) * sum(costs.values()), 0.0, time.perf_counter(), 0.0
    for seed, fold in enumerate(folds):
        inputs = _inputs(setup, fold, seed, [name for name in names if name in SYNTHETIC])
        for name in names:
            path = setup.folder / "cells" / f"seed-{seed}-{name}.json"
            cell = _stored_cell(path, len(setup.data.classes))
            step("trial", round(done), max(1, round(total)))
            cells[name].append(cell or _played(setup, fold, inputs, name, path))
            done += costs[name]
            spent += costs[name] if cell is None else 0.0
            say(
                _progress(
                    seed,
                    len(folds),
                    titled(name, setup.data.noun),
                    cells[name][-1],
                    (time.perf_counter() - clock),
                    spent,
                    total - done,
                )
            )
    step("trial", round(total), max(1, round(total)))
    return cells


@dataclass(frozen=True)
class _FigureFields:
    """What is read of the figures of a cell."""

    macro_f1: float
    accuracy: float
    balanced_accuracy: float
    calibration_error: float
    recalls: list[float | None]


@dataclass(frozen=True)
class _CellFields:
    """What is read of a cell that was played before."""

    figures: _FigureFields
    examples: int
    changes: list[str] | None
    share: float | None
    saw: dict[str, str]
    sets: dict[str, list[int]]
    synthetic_in_test: int


def _stored_cell(path: Path, classes: int) -> dict[str, Any] | None:
    """A cell that was played before; None where it was not, or its file is damaged: then it is played again."""
    try:
        cell = read_json(path, dict[str, Any], fields=_CellFields)
    except BadInput:
        return None
    return cell if len(cell["figures"]["recalls"]) == classes else None


def _progress(seed: int, seeds: int, title: str, cell: Any, passed: float, spent: float, left: float) -> str:
    """A line for each cell; the time left is the planned one, corrected by how the plan has fared so far."""
    pace = passed / spent if spent > 0 else 1.0
    score, rest = cell["figures"]["macro_f1"], _time(max(0.0, left * pace))
    return f"seed {seed + 1} of {seeds}, {title}: macro-F1 {score:.3f}; about {rest} left"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def counts_of(data: Dataset, fold: Fold) -> list[int]:
    assert data.y is not None
    return torch.bincount(data.y[fold.train], minlength=len(data.classes)).tolist()


def _inputs(setup: Setup, fold: Fold, seed: int, synthetic_arms: Sequence[str]) -> ArmInputs:
    train = setup.data.take(fold.train)

    def synthetic(inputs: ArmInputs) -> tuple[Tensor, Tensor]:
        return _synthetic(setup, inputs, seed)

    def inner(inputs: ArmInputs) -> tuple[Tensor, Tensor]:
        return sampled(inputs, setup.maker(inputs.fold, mix(seed, 23), INNER_BUDGET * setup.plan.budget))

    def choose(inputs: ArmInputs) -> Mapping[str, float]:
        return _chosen(setup, inputs, seed, inner, synthetic_arms)

    return ArmInputs(
        train,
        Ledger(setup.item_hashes),
        mix(seed, 21),
        setup.small,
        setup.classifier,
        setup.ratio,
        setup.agreeing,
        synthetic,
        choose,
        shares_given=None if setup.share is None else fixed_shares(setup.share),
    )


def _chosen(
    setup: Setup,
    inputs: ArmInputs,
    seed: int,
    inner: Callable[[ArmInputs], tuple[Tensor, Tensor]],
    arms: Sequence[str],
) -> Mapping[str, float]:
    """The synthetic shares of a seed: read where they are on disk, else chosen and written."""
    path = setup.folder / "cells" / f"seed-{seed}-shares.json"
    try:
        shares = read_json(path, dict[str, float])
    except BadInput:
        shares = {}
    if {*shares} != {*arms} or not all(0 <= share <= 1 for share in shares.values()):
        shares = chosen_shares(inputs, inner, arms)
        write_json(path, shares)
    return shares


def _synthetic(setup: Setup, inputs: ArmInputs, seed: int) -> tuple[Tensor, Tensor]:
    """The images of a seed's generator: read where they are on disk, else made and written."""
    fold = inputs.ledger.record(GENERATOR, inputs.fold)
    path = setup.folder / "cells" / f"seed-{seed}-synthetic.npz"
    units = fold.units
    if not _whole(path, fold):
        draw = setup.maker(fold, mix(seed, 22), setup.plan.budget)
        x, y = sampled(inputs, draw)
        pixels = np.asarray(units.to_data(x)).astype(units.dtype, copy=False)
        with replaced(path) as temporary:
            np.savez_compressed(temporary, x=pixels, y=y.numpy())
    elif setup.agreeing:
        _ = inputs.judge  # fitted for the record of what it has seen
    stored = read_arrays(path, ("x", "y"))
    x = torch.from_numpy(stored["x"].astype(np.int32) if stored["x"].dtype == np.uint16 else stored["x"])
    return units.to_model(x), torch.from_numpy(stored["y"])


def _whole(path: Path, fold: Dataset) -> bool:
    """Whether a file holds images like those of the fold, with a class for each."""
    try:
        stored = read_arrays(path, ("x", "y"))
        x, y = stored["x"], stored["y"]
    except (BadInput, KeyError):
        return False
    alike = x.dtype == fold.units.dtype and x.shape[1:] == tuple(fold.shape) and y.shape == x.shape[:1]
    return bool(alike and y.dtype == np.int64 and len(y) and 0 <= y.min() <= y.max() < len(fold.classes))


def _played(setup: Setup, fold: Fold, inputs: ArmInputs, name: str, path: Path) -> dict[str, Any]:
    """One cell: examples, a classifier, its figures on the test items."""
    begun = time.perf_counter()
    inputs.ledger.record("classifier", inputs.fold)
    examples = ARMS[name].build(inputs)
    predict = setup.classifier.fit(examples, inputs.classes, mix(inputs.seed, 7))
    test = setup.data.take(fold.test)
    assert test.y is not None
    figures = _figures(predict(test.units.to_model(test.x)), test.y)
    saw = {learner: inputs.ledger.saw[learner] for learner in learners_of(name, inputs)}
    cell = {
        "cell": path.stem, "arm": name, "figures": figures, "examples": len(examples.y),
        "changes": list(inputs.kinds) if "classical" in name else None,
        "share": inputs.shares[name] if name in SYNTHETIC else None,
        "saw": saw, "sets": {d: inputs.ledger.sets[d] for d in set(saw.values())},
        "synthetic_in_test": _coincide(inputs, test) if name in SYNTHETIC and inputs.shares[name] else 0,
        "seconds": round(time.perf_counter() - begun, 2),
    }  # fmt: skip
    write_json(path, cell)
    return cell


def _figures(probabilities: Tensor, truth: Tensor) -> dict[str, Any]:
    predicted = probabilities.argmax(1)
    _, recall, f1 = class_scores(predicted, truth, probabilities.shape[1])
    return {
        "macro_f1": float(f1.nanmean()),
        "accuracy": float((predicted == truth).double().mean()),
        "balanced_accuracy": float(recall.nanmean()),
        "calibration_error": float(calibration_error(probabilities, truth)),
        "recalls": [None if math.isnan(r) else r for r in recall.tolist()],
    }


def _coincide(inputs: ArmInputs, test: Dataset) -> int:
    """Synthetic images that are, value by value, test images: a generator that has seen them would make such.

    Rows of a table are few numbers, often whole ones, and meet by chance: they are not counted.
    """
    if test.kind != "image":
        return 0
    x, _ = inputs.generated
    synthetic = Dataset(inputs.fold.units.to_data(x), inputs.fold.units)
    return len(set(hashes(synthetic)) & set(hashes(test)))
