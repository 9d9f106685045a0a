"""The trial: every arm on the same folds, seed by seed; finished cells are kept, so that it can be resumed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.evaluation.trial.answer import compared, decided
from evenodds.evaluation.trial.arms import checked, titled
from evenodds.evaluation.trial.cells import Say, Setup, Step, all_cells, counts_of
from evenodds.evaluation.trial.classifiers import Classifier, Small
from evenodds.evaluation.trial.folds import (
    Fold,
    Splitter,
    cross,
    digest,
    fold_of,
    hashes,
    labels,
    mean_overlap,
)
from evenodds.evaluation.trial.inputs import Maker
from evenodds.evaluation.trial.plan import TrialPlan, planned
from evenodds.evaluation.trial.proof import Ledger, verify
from evenodds.evaluation.trial.share import USUAL_SHARE
from evenodds.files.lock import locked, unused
from evenodds.files.outputs import Outputs
from evenodds.files.read import read_json
from evenodds.files.text import quoted
from evenodds.files.write import write_json
from evenodds.game.threads import allowed_threads, kept_threads
from evenodds.version import __version__

__all__ = ["SCHEMA", "trial"]

SCHEMA = 2


def trial(
    data: Dataset,
    out: str | Path,
    maker: Maker,
    *,
    classifier: Classifier | None = None,
    seeds: int = 5,
    arms: Sequence[str] | None = None,
    splitter: Splitter | None = None,
    budget: float | None = None,
    plan: TrialPlan | None = None,
    ratio: float = 1.0,
    share: float | None = None,
    agreeing: bool = True,
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
        budget: seconds, shared out by a measured plan; None for half an hour, or more where the data need it.
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
    with locked(folder, "trial", hint=", or name another folder with --out"), kept_threads():
        _possible(data, seeds, ratio, share)
        share = USUAL_SHARE if share is None and not getattr(maker, "trains", True) else share
        names, item_hashes = checked(arms), hashes(data)
        folds = [fold_of(data, splitter or cross(seeds), seed, item_hashes) for seed in range(seeds)]
        if mean_overlap(folds) > 0.9:
            raise BadInput(
                f"the seeds test on the same {data.noun}, which tells nothing of others; give each some of its own"
            )
        facts = {
            "schema": SCHEMA, "data": data.fingerprint(),
            "classifier": "small" if isinstance(tested, Small) else tested.name,
            "maker": getattr(maker, "name", type(maker).__name__), "seeds": seeds, "arms": names, "ratio": ratio,
            "share": share, "agreement": agreeing,
            "folds": digest([f"{k} {fold.train.tolist()} {fold.test.tolist()}" for k, fold in enumerate(folds)]),
        }  # fmt: skip
        fixed = _fixed(
            folder, facts, lambda: plan or planned(data.take(folds[0].train), tested, maker, budget, seeds, names, say)
        )
        if fixed.threads:
            torch.set_num_threads(allowed_threads(fixed.threads))
        say(f"cells are kept in {folder}; the same command with --out {quoted(folder)} goes on with them")
        if moved := sum(len(fold.moved) for fold in folds):
            what = data.noun
            say(f"{moved} test {what} are identical to training {what}; they were moved to the training items")
        setup = Setup(data, folder, maker, tested, fixed, ratio, share, agreeing, item_hashes)
        cells = all_cells(setup, folds, names, step, say)
        return _result(setup, folds, facts, cells)


def _possible(data: Dataset, seeds: int, ratio: float, share: float | None) -> None:
    if data.kind not in ("image", "table") or min(data.shape[1:], default=4) < 4:
        raise BadInput(f"a trial is of images of 4 x 4 or more, or of a table, got {data.kind} {data.shape}")
    labels(data)
    if seeds < 2:
        raise BadInput(f"a trial needs at least 2 seeds to know an interval, got {seeds}; 5 are usual")
    if not ratio > 0:
        raise BadInput(f"the ratio of synthetic to real {data.noun} must be above 0, got {ratio}")
    if share is not None and not 0 <= share < 1:
        raise BadInput(f"the synthetic share must lie in [0, 1), got {share}; leave it out, and it is chosen")


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


# --- the result ------------------------------------------------------------------------------------------------------


def _result(
    setup: Setup, folds: Sequence[Fold], facts: Mapping[str, Any], cells: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    proof = _proof(setup, folds, cells)
    outputs = Outputs(setup.folder, "trial")
    outputs.put(setup.folder / "proof.json", lambda path: write_json(path, proof))
    if wrong := verify(proof, setup.data):
        leaked = f"test {setup.data.noun} have leaked"
        raise BadInput(f"no answer is given, since {leaked}: {'; '.join(wrong[:3])}")
    content = _content(setup, folds, facts, cells)
    outputs.put(setup.folder / "trial.json", lambda path: write_json(path, content))
    return content


def _content(
    setup: Setup, folds: Sequence[Fold], facts: Mapping[str, Any], cells: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    """All that is said: plain values."""
    figures = {name: [cell["figures"] for cell in row] for name, row in cells.items()}
    counts, overlap = counts_of(setup.data, folds[0]), mean_overlap(folds)
    tests = compared(figures, overlap)
    most = round((1 + setup.ratio) * max(counts))
    same = f"all classes are equally large, so it is the same as real {setup.data.noun} only"
    dropped = {name: same for name in facts["arms"] if name not in cells}
    return {
        "evenodds": __version__,
        **facts,
        "classifier": setup.classifier.name,
        "items": setup.data.noun,
        "classes": list(setup.data.classes),
        "train_counts": counts,
        "tested_on": [len(fold.test) for fold in folds],
        "moved": [list(fold.moved) for fold in folds],
        "test_overlap": overlap,
        "plan": {"steps": setup.plan.steps, "budget": setup.plan.budget},
        "arms": {
            name: {
                "title": titled(name, setup.data.noun),
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
            setup.data.noun,
            [cell["share"] for cell in cells.get("gan_classical", ())],
        ),
        "proof": {"file": "proof.json", "complaints": []},
    }


def _proof(setup: Setup, folds: Sequence[Fold], cells: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
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
