"""From the figures of all cells to an answer (HELPS, NO EFFECT, HURTS, CANNOT TELL, NOT TRIED), why, and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evenodds.evaluation.differences import holm_levels, paired_difference
from evenodds.evaluation.trial.arms import ARMS, titled

__all__ = ["FIGURES", "PRIMARY", "SMALL_EFFECT", "answer", "compared", "decided"]

PRIMARY = "macro_f1"
FIGURES = {
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "calibration_error": "calibration error (lower is better)",
}
SMALL_EFFECT = 0.01
"""A difference of macro-F1 that hardly anyone would care for: an interval within it says that there is no effect."""
NOT_TRIED = "NOT TRIED"
"""The answer where the arm of synthetic items alone was left out: nothing is known of them."""
QUESTIONS = {"gan": "real", "gan_classical": "classical"}
"""What synthetic images add: on their own, and on top of classical augmentation."""

Cells = Mapping[str, Sequence[Mapping[str, Any]]]
"""Arm -> the figures of each seed."""


def compared(cells: Cells, overlap: float) -> dict[str, Any]:
    """What synthetic images add, and each other arm against real images only.

    The primary figure has intervals at the levels of Holm's procedure in each of two families, what was asked
    (QUESTIONS) and all else, so that the chance of any false finding in a family is at most 5 %; the other figures have
    plain 95 % intervals, for reading.
    """
    questions = [pair for pair in QUESTIONS.items() if {*pair} <= {*cells}]
    others = [(arm, "real") for arm in cells if arm != "real" and (arm, "real") not in questions]
    levels: dict[tuple[str, str], float] = {}
    for family in (questions, others):
        tests = [paired_difference(_differences(cells, *pair, PRIMARY), overlap=overlap) for pair in family]
        levels |= dict(zip(family, holm_levels([test.p for test in tests]), strict=True))
    comparisons: dict[str, Any] = {}
    for (arm, other), level in levels.items():
        figures = {name: paired_difference(_differences(cells, arm, other, name), overlap=overlap) for name in FIGURES}
        figures[PRIMARY] = paired_difference(_differences(cells, arm, other, PRIMARY), 1 - level, overlap)
        comparisons[f"{arm} - {other}"] = {
            "figures": {name: asdict(value) for name, value in figures.items()},
            "recalls": [_recall(cells, arm, other, k, overlap) for k in range(len(cells[arm][0]["recalls"]))],
        }
    return comparisons


def _differences(cells: Cells, arm: str, other: str, name: str) -> list[float]:
    return [a[name] - b[name] for a, b in zip(cells[arm], cells[other], strict=True)]


def _recall(cells: Cells, arm: str, other: str, k: int, overlap: float) -> dict[str, Any] | None:
    """The difference in the recall of class k, over the seeds that tested it."""
    both = [(a["recalls"][k], b["recalls"][k]) for a, b in zip(cells[arm], cells[other], strict=True)]
    differences = [a - b for a, b in both if a is not None and b is not None]
    return asdict(paired_difference(differences, overlap=overlap)) if len(differences) > 1 else None


def answer(test: Mapping[str, Any]) -> str:
    """What an interval of the primary figure says: no effect only where it leaves no room for one worth having."""
    if test["low"] > 0:
        return "HELPS"
    if test["high"] < 0:
        return "HURTS"
    return "NO EFFECT" if max(-test["low"], test["high"]) <= SMALL_EFFECT else "CANNOT TELL"


def _why(test: Mapping[str, Any], seeds: int, items: str) -> str:
    size = f"{test['value']:+.3f} in macro-F1 ({test['low']:+.3f} to {test['high']:+.3f}, {seeds} seeds)"
    why = {
        "NO EFFECT": ": no difference worth having",
        "CANNOT TELL": f": the interval is wide; more {items} or seeds would narrow it",
    }
    return size + why.get(answer(test), "")


def decided(
    cells: Cells,
    tests: Mapping[str, Any],
    target: Sequence[int],
    dropped: Mapping[str, str],
    items: str = "images",
    shares: Sequence[float] = (),
) -> dict[str, Any]:
    """The answer, its reasons as sentences, and the recommended mix.

    Args:
        tests: of `compared`.
        target: synthetic images of each class, without classical augmentation.
        dropped: arms that were not tried, and why.
        items: "images" or "rows".
        shares: of each seed, what is synthetic of the class that lacks most, beside classical augmentation.
    """
    seeds = len(cells["real"])
    primary = {name: test["figures"][PRIMARY] for name, test in tests.items()}
    reasons, verdict = [], NOT_TRIED
    if "gan - real" in primary:
        verdict = answer(primary["gan - real"])
        reasons.append(
            f"Synthetic {items} added, against real {items} only: {_why(primary['gan - real'], seeds, items)}."
        )
    else:
        reasons.append(f"Synthetic {items} added, against real {items} only: not tried; add gan to --arms.")
    if "gan_classical - classical" in primary:
        test = primary["gan_classical - classical"]
        reasons.append(f"On top of classical augmentation: {answer(test)}, {_why(test, seeds, items)}.")
    best = _recommended(cells, primary)
    others = {arm: primary[f"{arm} - real"] for arm in cells if arm not in ("real", "gan", "gan_classical")}
    reasons += [
        f"{_capital(titled(arm, items))}: {answer(test)}, {_why(test, seeds, items)}." for arm, test in others.items()
    ]
    reasons += [f"{_capital(titled(arm, items))}: not tried, {why}." for arm, why in dropped.items()]
    if shares:
        listed = ", ".join(f"{share:.0%}" for share in shares)
        reasons.append(f"Share of synthetic {items} beside classical augmentation, by seed: {listed}.")
    mix = {"gan": f"{sum(target):,}", "gan_classical": _share(shares)}.get(best, "none")
    return {
        "answer": verdict,
        "figure": FIGURES[PRIMARY],
        "reasons": reasons,
        "recommended": {
            "arm": best,
            "title": titled(best, items),
            "mix": mix,
            "synthetic_per_class": list(target) if best == "gan" else [0] * len(target),
        },
        "method": (
            f"paired Student t over {seeds} seeds; those of macro-F1 at the levels of Holm's procedure, once over what "
            f"synthetic {items} add and once over all else (any false finding: at most 5 % each); others plain 95 %"
        ),
    }


def _share(shares: Sequence[float]) -> str:
    """The share to take: that of the middle seed."""
    return f"{sorted(shares)[len(shares) // 2]:.0%} of what the classifier sees" if shares else "some"


def _capital(title: str) -> str:
    return title[0].upper() + title[1:]


def _recommended(cells: Cells, primary: Mapping[str, Mapping[str, Any]]) -> str:
    """Among the arms that help, the simplest that cannot be told from the best; else real images only."""
    helping = [arm for arm in cells if arm != "real" and primary[f"{arm} - real"]["low"] > 0]
    if not helping:
        return "real"
    best = max(helping, key=lambda arm: math.fsum(cell[PRIMARY] for cell in cells[arm]))
    near = [arm for arm in helping if arm == best or _reaches(_differences(cells, arm, best, PRIMARY))]
    return min(near, key=lambda arm: ARMS[arm].simple)


def _reaches(differences: Sequence[float]) -> bool:
    """Whether the 95 % interval of the differences is not all below 0."""
    return paired_difference(differences).high >= 0
