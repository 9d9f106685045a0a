"""What the scores say, in plain sentences, and whether they may be ranked at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["findings"]

BEYOND = 0.05
"""A channel of samples is off where it reaches further out of the data's range than this part of it ..."""
OFTEN = 0.001
"""... and this share of its values, or more, lie outside."""
APART = 0.05
"""A column is distributed in another way where its total variation is above that of real rows by this much."""
LOST = 0.03
"""Accuracy that a classifier may lose by learning from samples."""
MISSING = 0.2
"""A class is missing where its share of the samples is below this part of its share of the real items."""


def findings(content: Mapping[str, Any]) -> tuple[list[str], bool]:
    """The sentences, most important first, and whether the scores are sound.

    Scores of a generator that copies say nothing of what it has learned: real items score best. So they are declared
    unsound, and `compare` leaves them out of its ranking; likewise where whole classes are missing, and where values
    are such as the data never have.
    """
    serious = [*_copying(content["memorisation"]), *_missing(content["classes"]), *_outside(content.get("outside"))]
    serious += [*_impossible(content.get("columns")), *_seen(content)]
    lines = [*serious, *_coverage(content), *_quality(content), *_columns(content), *_closeness(content)]
    lines += _distance(content)
    return lines or ["nothing stands out: too little was measured"], not serious


def _copying(memorisation: Mapping[str, Any] | None) -> list[str]:
    if memorisation is None or "refused" in memorisation or memorisation["verdict"] == "no sign of copying":
        return []
    share, low, high, expected = (_percent(memorisation[key]) for key in ("share", "low", "high", "expected"))
    return [
        f"The generator copies: {share} of its samples are suspected copies of training items ({low} to {high}; honest "
        f"samples: {expected})."
    ]


def _seen(content: Mapping[str, Any]) -> list[str]:
    if not content.get("features_seen"):
        return []
    return [
        f"A player has learned on these features ({content['fingerprint']['features']}): scores on them flatter; "
        "judge by others too, such as --features random."
    ]


def _closeness(content: Mapping[str, Any]) -> list[str]:
    """No proof of copies: smooth samples lie closer to everything."""
    memorisation = content["memorisation"] or {}
    if memorisation.get("c_t", 0.0) >= -3:
        return []
    return [f"Samples lie closer to training items than held-out items do (C_T {memorisation['c_t']:.1f}, below -3)."]


def _missing(classes: list[Mapping[str, Any]] | None) -> list[str]:
    gone = [c["name"] for c in classes or [] if c["real_share"] > 0.01 and c["fake_share"] < MISSING * c["real_share"]]
    if not gone:
        return []
    return [
        f"{len(gone)} of {len(classes or [])} classes are missing or nearly so: {', '.join(gone[:12])}"
        f"{' ...' if len(gone) > 12 else ''}."
    ]


def _outside(channels: list[Mapping[str, Any]] | None) -> list[str]:
    off = [one for one in channels or [] if one["beyond"] > BEYOND and one["share"] >= OFTEN]
    if not off:
        return []
    ranges = "; ".join(
        f"channel {one['channel'] + 1} from {one['made_low']:.4g} to {one['made_high']:.4g}, real items from "
        f"{one['low']:.4g} to {one['high']:.4g} ({_percent(one['share'])} of the values lie outside)"
        for one in off[:4]
    )
    return [f"Samples have values that the data never have: {ranges}."]


def _impossible(columns: list[Mapping[str, Any]] | None) -> list[str]:
    off = [f"'{one['name']}' ({_percent(one['impossible'])})" for one in columns or [] if one["impossible"] >= OFTEN]
    return [f"Samples have cells that the data could not have, in {_first(off)}."] if off else []


def _columns(content: Mapping[str, Any]) -> list[str]:
    """The columns of a table that are distributed in another way, and what classifiers lose that learn from samples."""
    off = [one for one in content.get("columns") or [] if one["distance"] > one["floor"] + APART]
    off = sorted(off, key=lambda one: one["floor"] - one["distance"])
    named = [f"'{one['name']}' ({one['distance']:.2f}, real against real {one['floor']:.2f})" for one in off]
    lines = [f"Columns that are distributed in another way, by total variation: {_first(named)}."] if named else []
    for one in content.get("usefulness") or []:
        if one["trained_on_samples"] < one["trained_on_real"] - LOST:
            lines.append(
                f"A classifier of '{one['name']}' that learned from samples has {_percent(one['trained_on_samples'])} "
                f"accuracy on real rows, one that learned from real rows {_percent(one['trained_on_real'])}."
            )
    return lines


def _first(names: list[str], show: int = 6) -> str:
    return ", ".join(names[:show]) + (f" and {len(names) - show} more" if len(names) > show else "")


def _coverage(content: Mapping[str, Any]) -> list[str]:
    low = [s for s in _with_floor(content, ("recall", "coverage")) if s["high"] < 0.7 * s["floor"]]
    if not low:
        return []
    scores = ", ".join(f"{s['title'].lower()} {s['value']:.2f} where real data reach {s['floor']:.2f}" for s in low)
    return [f"Samples are less varied than the data: {scores}."]


def _quality(content: Mapping[str, Any]) -> list[str]:
    for s in _with_floor(content, ("precision",)):
        if s["high"] < 0.7 * s["floor"]:
            return [
                f"Many samples do not look like the data: precision {s['value']:.2f} where real data reach "
                f"{s['floor']:.2f}."
            ]
    return []


def _distance(content: Mapping[str, Any]) -> list[str]:
    """Which scores stand apart from real data, and how well the samples can be told from them."""
    apart: list[str] = []
    level: list[str] = []
    for s in _with_floor(content, ("frechet", "kernel", "two_sample_accuracy", "sliced_wasserstein")):
        (level if s["low"] <= s["floor_high"] and s["floor_low"] <= s["high"] else apart).append(s["title"])
    lines = []
    if apart:
        lines.append(f"Apart from real data, beyond the intervals: {', '.join(apart)}.")
    if level:
        lines.append(f"Not to be told from real data with so many items: {', '.join(level)}.")
    tests = [
        f"a nearest neighbour with {_percent(s['value'])} accuracy (real against real: {_percent(s['floor'])})"
        for s in _with_floor(content, ("two_sample_accuracy",))
    ]
    fresh = (content["equilibrium"] or {}).get("fresh")
    if fresh is not None:
        tests.append(
            f"a fresh discriminator with {_percent(fresh['accuracy'])}, which puts the Jensen-Shannon divergence at "
            f"{max(0.0, fresh['low']):.2f} nats or more (even odds: 0; without overlap: 0.69)"
        )
    return [*lines, f"Samples are told from held-out items by {' and by '.join(tests)}."] if tests else lines


def _with_floor(content: Mapping[str, Any], names: tuple[str, ...]) -> list[Mapping[str, Any]]:
    return [s for s in content["scores"] if s["name"] in names and s["value"] is not None and s["floor"] is not None]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"
