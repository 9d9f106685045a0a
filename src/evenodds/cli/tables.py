"""Evaluations as text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evenodds.files.text import aligned

if TYPE_CHECKING:
    from evenodds.evaluation.compare import Comparison
    from evenodds.evaluation.evaluate import Evaluation
    from evenodds.evaluation.truth import TruthReport

__all__ = ["class_table", "comparison_table", "evaluation_table", "truth_table"]

MOST_ROWS = 30
"""Images of which each has its line."""
WAYS = {"lower": "lower is better", "higher": "higher is better", "middle": "best: as the real data"}


def evaluation_table(evaluation: Evaluation) -> list[str]:
    """The verdict, the scores and what else was measured."""
    e = evaluation.content
    subject, reference = e["subject"], e["reference"]
    if "hidden" in e:
        return _hidden(e)
    if "told" in e:
        return _told(e)
    head = [
        f"{subject['path']}: {subject['items']:,} samples against {reference['items']:,} {reference['role']}",
        *subject.get("notes", ()),
        f"features: {_features(e)}"
        f" ({'compares with ' + e['comparable'] if e['comparable'] else 'does not compare with published figures'})",
        "",
        *e["verdict"],
        "",
    ]
    rows = [("", "value", "95 % interval", "real against real", ""), *map(_score, e["scores"])]
    refused = [f"{s['title']}: {s['note']}" for s in e["scores"] if s["value"] is None]
    parts = [_memorisation(e["memorisation"]), _equilibrium(e["equilibrium"]), _likelihood(e["likelihood"])]
    classes = _classes(e["classes"])
    return [*head, *aligned([row for row in rows if row]), *refused, *(x for x in parts if x), *classes]


def _hidden(e: Mapping[str, Any]) -> list[str]:
    """Of a run that fills tables: the verdict, the scores, and a line for each column."""
    subject, reference = e["subject"], e["reference"]
    head = f"{subject['path']}: {subject['items']:,} hidden cells of {reference['items']:,} {reference['role']}"
    scores = [(s["title"], f"{s['value']:.4g}", f"{s['low']:.4g} to {s['high']:.4g}", s["note"]) for s in e["scores"]]
    names = (
        "column",
        "kind",
        "cells",
        "error",
        "of the mean",
        "absolute",
        "of the median",
        "right",
        "of the commonest",
    )
    return [
        head, "", *e["verdict"], "", *aligned([("", "value", "95 % interval", ""), *scores]), "",
        "error: root mean squared error in the column's own units, dates in days and times in seconds; absolute: mean "
        "absolute error; beside them those of the column's mean, its median and its commonest word",
        *aligned([names, *map(_column, e["hidden"])]),
    ]  # fmt: skip


def _told(e: Mapping[str, Any]) -> list[str]:
    """Of a run that tells classes apart: the verdict, the scores, and a line for each class."""
    subject, reference = e["subject"], e["reference"]
    head = f"{subject['path']}: {subject['items']:,} {reference['role']}"
    scores = [(s["title"], f"{s['value']:.4g}", f"{s['low']:.4g} to {s['high']:.4g}", s["note"]) for s in e["scores"]]
    table = aligned([("", "value", "95 % interval", ""), *scores])
    return [head, "", *e["verdict"], "", *table, "", *class_table(e["told"])]


MOST_CLASSES = 40
"""Of which each has its line."""


def class_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each class: the items that are said to be of it, and how many of its own are found."""
    shares = [["-" if row[name] is None else f"{row[name]:.1%}" for name in ("found", "right")] for row in rows]
    body = [
        (row["name"], f"{row['answers']:,}", f"{row['tested']:,}", *two)
        for row, two in zip(rows[:MOST_CLASSES], shares, strict=False)
    ]
    more = len(rows) - MOST_CLASSES
    rest = [f"and {more:,} more classes"] if more > 0 else []
    return [*aligned([("class", "answers", "tested by", "found", "right"), *body]), *rest]


def _column(row: Mapping[str, Any]) -> tuple[str, ...]:
    errors = (
        "-" if row[name] is None else f"{row[name]:.4g}" for name in ("error", "of_mean", "absolute", "of_median")
    )
    shares = ("-" if row[name] is None else f"{row[name]:.0%}" for name in ("right", "of_commonest"))
    return row["name"], row["kind"], f"{row['cells']:,}", *errors, *shares


def _features(content: Mapping[str, Any]) -> str:
    """The name of the features; rows have no pixels."""
    name = str(content["fingerprint"]["features"])
    return "the values of the columns" if name == "pixels" and content["reference"]["kind"] != "image" else name


def _score(s: Mapping[str, Any]) -> tuple[str, ...] | None:
    if s["value"] is None:
        return None
    floor = "" if s["floor"] is None else f"{s['floor']:.4g} ({s['floor_low']:.4g} to {s['floor_high']:.4g})"
    note = f"{WAYS[s['better']]}{'; ' + s['note'] if s['note'] else ''}"
    return s["title"], f"{s['value']:.4g}", f"{s['low']:.4g} to {s['high']:.4g}", floor, note


def _memorisation(m: Mapping[str, Any] | None) -> str:
    if m is None:
        return ""
    if "refused" in m:
        return f"Copies: not looked for: {m['refused']}"
    return (
        f"Copies: {m['verdict']}; suspected {m['share']:.2%} ({m['low']:.2%} to {m['high']:.2%}, honest "
        f"{m['expected']:.2%}); authenticity {m['authenticity']:.2f} (held-out {m['authenticity_floor']:.2f}); "
        f"C_T {m['c_t']:.1f}"
    )


def _three(value: float) -> str:
    """Three decimals, without the sign of a zero."""
    return f"{round(value, 3) + 0.0:.3f}"


def _equilibrium(q: Mapping[str, Any] | None) -> str:
    if q is None:
        return ""
    parts = []
    if q["accuracy"] is not None:
        parts.append(f"own discriminator: accuracy {q['accuracy']:.3f}, V = {q['value']:.3f} (even odds: -1.386)")
    if q["fresh"] is not None:
        f = q["fresh"]
        parts.append(
            f"fresh discriminator: accuracy {f['accuracy']:.3f}, JSD at least {_three(f['jsd'])} nats "
            f"({_three(f['low'])} to {_three(f['high'])}; real against real {_three(f['floor'])})"
        )
    if q["duality_gap"] is not None:
        parts.append(f"duality gap {q['duality_gap']['gap']:.3f}")
    return "Equilibrium: " + "; ".join([*parts, *q["notes"]])


def _likelihood(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None:
        return ""
    return (
        f"Parzen log-likelihood: {estimate['mean']:.1f} +- {estimate['standard_error']:.1f} nats, sigma "
        f"{estimate['sigma']:.3f} (real samples: {estimate['ceiling']:.1f} +- {estimate['ceiling_standard_error']:.1f})"
    )


def _classes(rows: Sequence[Mapping[str, Any]] | None) -> list[str]:
    if not rows:
        return []
    body = [
        (r["name"], f"{r['real_share']:.1%}", f"{r['fake_share']:.1%}", _number(r["precision"]), _number(r["recall"]))
        for r in rows
    ]
    return ["", *aligned([("class", "real", "samples", "precision", "recall"), *body])]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def comparison_table(comparison: Comparison) -> list[str]:
    """A table for each score, from best to worst."""
    lines = [f"{name} is not ranked: {why}" for name, why in comparison.left_out.items()]
    for score in comparison.scores:
        floor = "" if score["floor"] is None else f", real against real {score['floor']:.4g}"
        lines += ["", f"{score['title']} ({WAYS[score['better']]}{floor})"]
        lines += aligned(
            [
                (f"  {e['name']}", f"{e['value']:.4g}", f"{e['low']:.4g} to {e['high']:.4g}", _standing(k, e))
                for k, e in enumerate(score["entries"])
            ]
        )
    return lines if comparison.left_out else lines[1:]


def truth_table(scores: TruthReport) -> list[str]:
    """A line for each image and their mean; or for each class, and what it was taken for."""
    if scores.kind == "images":
        names = [name for name in scores.total if name.endswith(("psnr", "ssim"))]
        head = ("", *(name.replace("_", " ").replace("psnr", "PSNR").replace("ssim", "SSIM") for name in names))
        rows = [(row["name"], *(_figure(name, row.get(name, math.nan)) for name in names)) for row in scores.rows]
        mean = ("mean", *(_figure(name, scores.total[name]) for name in names))
        return aligned([head, *(rows if len(rows) <= MOST_ROWS else []), mean])
    total = scores.total
    shares = [_shares(row) for row in total["confusion"]]
    rows = [
        (str(k), name, *("-" if math.isnan(figure) else f"{figure:.1%}" for figure in figures), *share)
        for k, (name, *figures, share) in enumerate(
            zip(total["classes"], total["iou"], total["boundary"], shares, strict=True)
        )
    ]
    head = ("", "class", "IoU", "boundary F", *(str(k) for k in range(len(rows))))
    boundary = "-" if math.isnan(total["boundary_f"]) else f"{total['boundary_f']:.1%}"
    summary = f"mean IoU {total['mean_iou']:.1%}, boundary F {boundary}, accuracy of pixels {total['accuracy']:.1%}"
    rest = "of each class, its pixels in per cent by what they were taken for:"
    return [f"{summary}; {rest}", *aligned([head, *rows])]


def _figure(name: str, value: float) -> str:
    if not math.isfinite(value):
        return "equal" if value > 0 else "-"
    return f"{value:.2f} dB" if name.endswith("psnr") else f"{value:.4f}"


def _shares(counts: Sequence[int]) -> list[str]:
    """Of a class's pixels, in per cent."""
    return [f"{100 * count / max(1, sum(counts)):.0f}" if count else "." for count in counts]


def _standing(place: int, entry: Mapping[str, Any]) -> str:
    return "best" if place == 0 else "cannot be told from the best" if entry["with_the_best"] else "worse"
