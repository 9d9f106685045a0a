"""The trial: every arm on the same folds, seed by seed; finished cells are kept, so that it can be resumed."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evenodds.data.arrays import read_arrays
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.evaluation.trial.answer import compared, decided
from evenodds.evaluation.trial.arms import ARMS, SYNTHETIC, as_real, checked, learners_of, titled
from evenodds.evaluation.trial.classifiers import Classifier, Small
from evenodds.evaluation.trial.folds import Fold, Splitter, cross, digest, fold_of, hashes, labels, mean_overlap
from evenodds.evaluation.trial.inputs import GENERATOR, ArmInputs, Maker, sampled
from evenodds.evaluation.trial.plan import TrialPlan, planned
from evenodds.evaluation.trial.proof import Ledger, verify
from evenodds.evaluation.trial.share import INNER_BUDGET, USUAL_SHARE, chosen_shares, fixed_shares
from evenodds.files.lock import locked, unused
from evenodds.files.outputs import Outputs
from evenodds.files.read import read_json
from evenodds.files.write import replaced, write_json
from evenodds.game.seeds import mix
from evenodds.metrics.classification import calibration_error, class_scores
from evenodds.version import __version__

__all__ = ["SCHEMA", "trial"]

SCHEMA = 2
Step = Callable[[str, int, int], None]
Say = Callable[[str], None]


@dataclass
class _Setup:
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


def trial(
    data: Dataset,
    out: str | Path,
    maker: Maker,
    *,
    classifier: Classifier | None = None,
    seeds: int = 5,
    arms: Sequence[str] | None = None,
    splitter: Splitter | None = None,
    budget: float = 1800.0,
    plan: TrialPlan | None = None,
    ratio: float = 1.0,
    share: float | None = None,
    agreeing: bool = False,
    step: Step = lambda *_: None,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Tries all arms and says whether synthetic images help.

    Nothing that learns sees a test item: training folds are handed out through a ledger that hashes them, and
    `proof.verify` holds what was seen against the test folds before any answer is given.

    Args:
        data: labelled images, or a table with a label; unlabelled items are left out.
        out: folder of the cells, the result and its files; a trial that was interrupted there goes on.
        maker: of generators, see `arms.Maker`.
        classifier: that is to be helped; None for the small network.
        seeds: at least 2; each has a fold, first weights and a generator of its own.
        arms: names of `arms.ARMS`; None for all.
        splitter: of the folds; None for disjoint test parts, see `folds.cross`.
        budget: seconds, shared out by a measured plan.
        plan: fixes it instead.
        ratio: synthetic images of the largest class for each of its real ones; smaller classes get as many in all.
        share: of what the classifier sees of the class that lacks most, beside classical augmentation; 0: no synthetic
            images. None chooses it inside each training fold, see `share.chosen_shares`.
        agreeing: whether synthetic images must be what a small classifier takes them for.
        step: told what is done, seconds done and seconds in all, as planned.
        say: gets plain sentences.

    Returns:
        The content of trial.json.

    Raises:
        BadInput: the data cannot be tried, or the folder holds something else.
        Busy: another process or thread writes to the folder; see evenodds.files.lock.
    """
    folder, tested = Path(out), classifier or Small()
    with locked(folder, "trial", hint=", or name another folder with --out"):
        _possible(data, seeds, ratio, share)
        share = USUAL_SHARE if share is None and not getattr(maker, "trains", True) else share
        names, item_hashes = checked(arms), hashes(data)
        folds = [fold_of(data, splitter or cross(seeds), seed, item_hashes) for seed in range(seeds)]
        if mean_overlap(folds) > 0.9:
            raise BadInput(
                "the seeds test on the same images, which tells nothing of others; give each some of its own"
            )
        facts = {
            "schema": SCHEMA, "data": data.fingerprint(),
            "classifier": "small" if isinstance(tested, Small) else tested.name,
            "maker": getattr(maker, "name", type(maker).__name__), "seeds": seeds, "arms": names, "ratio": ratio,
            "share": share, "agreement": agreeing,
            "folds": digest([f"{k} {fold.train.tolist()} {fold.test.tolist()}" for k, fold in enumerate(folds)]),
        }  # fmt: skip
        fixed = _fixed(
            folder, facts, lambda: plan or planned(data.take(folds[0].train), tested, maker, budget, seeds, names)
        )
        if moved := sum(len(fold.moved) for fold in folds):
            say(
                f"{moved} test {items_of(data)} are identical to training {items_of(data)}; they were moved to the training items"
            )
        setup = _Setup(data, folder, maker, tested, fixed, ratio, share, agreeing, item_hashes)
        cells = _cells(setup, folds, names, step, say)
        return _result(setup, folds, facts, cells)


def _possible(data: Dataset, seeds: int, ratio: float, share: float | None) -> None:
    if data.kind not in ("image", "table") or min(data.shape[1:], default=4) < 4:
        raise BadInput(f"a trial is of images of 4 x 4 or more, or of a table, got {data.kind} {data.shape}")
    labels(data)
    if seeds < 2:
        raise BadInput(f"a trial needs at least 2 seeds to know an interval, got {seeds}; 5 are usual")
    if not ratio > 0:
        raise BadInput(f"the ratio of synthetic to real images must be above 0, got {ratio}")
    if share is not None and not 0 <= share < 1:
        raise BadInput(f"the synthetic share must lie in [0, 1), got {share}; leave it out, and it is chosen")


def items_of(data: Dataset) -> str:
    """What the data are, in words."""
    return "images" if data.kind == "image" else "rows"


def _fixed(folder: Path, facts: Mapping[str, Any], make: Callable[[], TrialPlan]) -> TrialPlan:
    """The plan that stands in the folder, or a new one; BadInput where the folder holds another trial."""
    path = folder / "plan.json"
    if os.path.lexists(path):
        stored = read_json(path, _Fixed, "name another folder with --out")
        misfits = [key for key, value in facts.items() if stored.facts.get(key) != value]
        if misfits:
            raise BadInput(f"{folder} holds a trial with other {', '.join(misfits)}; name another folder with --out")
        return stored.plan
    if not unused(folder):
        raise BadInput(f"{folder} is there already and holds no trial; name another folder with --out")
    plan = make()
    write_json(path, {"facts": facts, "plan": asdict(plan)})
    return plan


@dataclass(frozen=True)
class _Fixed:
    """What plan.json holds."""

    facts: dict[str, Any]
    plan: TrialPlan


# --- cells -----------------------------------------------------------------------------------------------------------


def _cells(setup: _Setup, folds: Sequence[Fold], names: Sequence[str], step: Step, say: Say) -> dict[str, list[Any]]:
    """Arm -> the cell of each seed; those on disk are read."""
    balanced = all(len(set(_counts(setup.data, fold))) == 1 for fold in folds)
    names = [name for name in names if not as_real(name, balanced)]
    cells: dict[str, list[Any]] = {name: [] for name in names}
    firsts = next((name for name in names if name in SYNTHETIC), None)
    costs = {name: setup.plan.seconds(name, name == firsts) for name in names}
    total, done, clock, spent = len(folds) * sum(costs.values()), 0.0, time.perf_counter(), 0.0
    for seed, fold in enumerate(folds):
        inputs = _inputs(setup, fold, seed)
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
                    titled(name, items_of(setup.data)),
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


def _counts(data: Dataset, fold: Fold) -> list[int]:
    assert data.y is not None
    return torch.bincount(data.y[fold.train], minlength=len(data.classes)).tolist()


def _inputs(setup: _Setup, fold: Fold, seed: int) -> ArmInputs:
    train = setup.data.take(fold.train)

    def synthetic(inputs: ArmInputs) -> tuple[Tensor, Tensor]:
        return _synthetic(setup, inputs, seed)

    def inner(inputs: ArmInputs) -> tuple[Tensor, Tensor]:
        return sampled(inputs, setup.maker(inputs.fold, mix(seed, 23), INNER_BUDGET * setup.plan.budget))

    def choose(inputs: ArmInputs) -> Mapping[str, float]:
        return _chosen(setup, inputs, seed, inner)

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
    setup: _Setup, inputs: ArmInputs, seed: int, inner: Callable[[ArmInputs], tuple[Tensor, Tensor]]
) -> Mapping[str, float]:
    """The synthetic shares of a seed: read where they are on disk, else chosen and written."""
    path = setup.folder / "cells" / f"seed-{seed}-shares.json"
    try:
        stored = read_json(path, _Shares)
    except BadInput:
        stored = _Shares(**chosen_shares(inputs, inner))
        write_json(path, asdict(stored))
    return asdict(stored)


@dataclass(frozen=True)
class _Shares:
    """What is on disk of the choice of a seed."""

    gan: float
    gan_classical: float


def _synthetic(setup: _Setup, inputs: ArmInputs, seed: int) -> tuple[Tensor, Tensor]:
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


def _played(setup: _Setup, fold: Fold, inputs: ArmInputs, name: str, path: Path) -> dict[str, Any]:
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


# --- the result ------------------------------------------------------------------------------------------------------


def _result(
    setup: _Setup, folds: Sequence[Fold], facts: Mapping[str, Any], cells: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    proof = _proof(setup, folds, cells)
    outputs = Outputs(setup.folder, "trial")
    outputs.put(setup.folder / "proof.json", lambda path: write_json(path, proof))
    if wrong := verify(proof, setup.data):
        raise BadInput(f"no answer is given, since test images have leaked: {'; '.join(wrong[:3])}")
    content = _content(setup, folds, facts, cells)
    outputs.put(setup.folder / "trial.json", lambda path: write_json(path, content))
    return content


def _content(
    setup: _Setup, folds: Sequence[Fold], facts: Mapping[str, Any], cells: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    """All that is said: plain values."""
    figures = {name: [cell["figures"] for cell in row] for name, row in cells.items()}
    counts, overlap = _counts(setup.data, folds[0]), mean_overlap(folds)
    tests = compared(figures, overlap)
    most = round((1 + setup.ratio) * max(counts))
    same = f"all classes are equally large, so it is the same as real {items_of(setup.data)} only"
    dropped = {name: same for name in facts["arms"] if name not in cells}
    return {
        "evenodds": __version__,
        **facts,
        "classifier": setup.classifier.name,
        "items": items_of(setup.data),
        "classes": list(setup.data.classes),
        "train_counts": counts,
        "tested_on": [len(fold.test) for fold in folds],
        "moved": [list(fold.moved) for fold in folds],
        "test_overlap": overlap,
        "plan": {"steps": setup.plan.steps, "budget": setup.plan.budget},
        "arms": {
            name: {
                "title": titled(name, items_of(setup.data)),
                "examples": [cell["examples"] for cell in row],
                "changes": [cell["changes"] for cell in row],
                "shares": [cell["share"] for cell in row],
                "figures": figures[name],
            }
            for name, row in cells.items()
        },
        "differences": tests,
        "verdict": decided(
            figures,
            tests,
            [most - n for n in counts],
            dropped,
            items_of(setup.data),
            [cell["share"] for cell in cells.get("gan_classical", ())],
        ),
        "proof": {"file": "proof.json", "complaints": []},
    }


def _proof(setup: _Setup, folds: Sequence[Fold], cells: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    ledger = Ledger(setup.item_hashes)
    seeds = []
    for seed, fold in enumerate(folds):
        for part in ("train", "test"):
            ledger.record(f"{seed} {part}", setup.data.take(getattr(fold, part)))
        arms = {
            name: {"saw": row[seed]["saw"], "synthetic_in_test": row[seed]["synthetic_in_test"]}
            for name, row in cells.items()
        }
        for row in cells.values():
            ledger.sets.update(row[seed]["sets"])
        sides = {part: ledger.saw[f"{seed} {part}"] for part in ("train", "test")}
        seeds.append({**sides, "moved": list(fold.moved), "arms": arms})
    return {"items": list(setup.item_hashes), "sets": ledger.sets, "seeds": seeds}
