"""Evaluations beside each other, where they may be compared, and the reason where not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evenodds.errors import BadInput
from evenodds.evaluation.evaluate import Evaluation

__all__ = ["Comparison", "compare", "differences"]


@dataclass(frozen=True)
class Comparison:
    """Who stands where, by each score.

    Attributes:
        scores: for each score, its title, which way is better, and the evaluations from best to worst.
        left_out: name -> why it is not ranked.
    """

    scores: list[dict[str, Any]]
    left_out: dict[str, str]


def differences(first: Evaluation, second: Evaluation) -> list[str]:
    """The parts in which two fingerprints differ, each with both values."""
    a, b = first["fingerprint"], second["fingerprint"]
    return [f"{key}: {_short(a.get(key))} and {_short(b.get(key))}" for key in {**a, **b} if a.get(key) != b.get(key)]


def compare(evaluations: Mapping[str, Evaluation]) -> Comparison:
    """Ranks evaluations by every score that all of them have.

    Raises:
        BadInput: fewer than two, or fingerprints that differ; the message names the parts.
    """
    if len(evaluations) < 2:
        raise BadInput(f"a comparison needs at least two different evaluations, got {len(evaluations)}; name another")
    names = list(evaluations)
    for name in names[1:]:
        differ = differences(evaluations[names[0]], evaluations[name])
        if differ:
            raise BadInput(
                f"the scores of {names[0]} and {name} do not compare, their fingerprints differ in "
                f"{'; '.join(differ)}; evaluate both in the same way"
            )
    left_out = {name: e["verdict"][0] for name, e in evaluations.items() if not e["sound"]}
    ranked = {name: e for name, e in evaluations.items() if name not in left_out}
    return Comparison(_table(ranked), left_out) if ranked else Comparison([], left_out)


def _table(evaluations: Mapping[str, Evaluation]) -> list[dict[str, Any]]:
    rows = {name: {s["name"]: s for s in e["scores"] if s["value"] is not None} for name, e in evaluations.items()}
    shared = set.intersection(*(set(row) for row in rows.values()))
    first = next(iter(rows.values()))
    return [_ranking(score, {name: row[score] for name, row in rows.items()}) for score in first if score in shared]


def _ranking(score: str, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    first = next(iter(rows.values()))
    order = sorted(rows, key=lambda name: _distance(rows[name]))
    entries = []
    for place, name in enumerate(order):
        row = rows[name]
        tied = place > 0 and _overlap(row, rows[order[0]])
        entries.append({"name": name, **{k: row[k] for k in ("value", "low", "high")}, "with_the_best": tied})
    return {
        "name": score,
        "title": first["title"],
        "better": first["better"],
        "floor": first["floor"],
        "entries": entries,
    }


def _distance(row: Mapping[str, Any]) -> float:
    """What to sort by, best first."""
    if row["better"] == "middle":
        return float(abs(row["value"] - (row["floor"] if row["floor"] is not None else 0.5)))
    return float(row["value"] if row["better"] == "lower" else -row["value"])


def _overlap(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return bool(a["low"] <= b["high"] and b["low"] <= a["high"])


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:20]}..."
