"""A run that fills tables, judged by cells that are observed and were hidden: errors beside simple ways to fill.

Of the rows that the run held out every fifth observed cell is hidden; where rows are few another fifth, until each was
hidden once. What the run fills in is held against them, beside the mean, the median and the commonest value of the
column among the rows that were learned from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evenodds.apply.imputer import imputer_of
from evenodds.data.dataset import Dataset
from evenodds.data.tables.rows import Column, Values, unordered
from evenodds.errors import BadInput
from evenodds.game.arithmetic import evenly
from evenodds.game.seeds import mix
from evenodds.metrics.intervals import Interval, Side, intervals
from evenodds.runs.card import SPLIT_SEED
from evenodds.runs.run_data import Reading, named_place, open_run_data
from evenodds.runs.session import Session
from evenodds.version import __version__

__all__ = ["judged"]

PARTS = 5
"""One of so many parts of the observed cells is hidden at a time."""
ENOUGH = 2000
"""Rows of which one part is enough."""
RANGE = 39
"""Draws whose range covers so many in 40, where they are drawn as the truth is."""
LEAST = 4
"""Rows, of which intervals can be told."""
NO_BETTER = 0.98
"""Of the error of a column's mean: a run that errs more than this is no better."""
NARROW, WIDE = 0.85, 0.995
"""Coverage of which it is said that fillings are too much alike, or too different."""
SCORES = (
    ("hidden_error", "Error of hidden numbers", "lower"),
    ("hidden_right", "Hidden words that are right", "higher"),
    ("hidden_covered", f"Hidden numbers within the range of {RANGE} draws", "middle"),
)


def judged(
    session: Session, data: Any = None, n: int = 10_000, seed: int = 0, reading: Reading | None = None
) -> dict[str, Any]:
    """What an evaluation says of a run that fills tables.

    Args:
        data: where the data of the run lie now; None for where they were.
        n: at most so many rows, spread over all that were held out.
        seed: of the cells that are hidden, and of the fillings.

    Raises:
        BadInput: the data are others, too few rows were held out, or no cell can be hidden.
    """
    every = open_run_data(session.config, session.card, data, reading)
    rest, held_out = every.split(session.config.held_out, SPLIT_SEED)
    if len(held_out) < LEAST:
        raise BadInput(
            f"a filler is judged by at least {LEAST} rows that were held out, got {len(held_out)}; train on more rows, "
            "or with held_out=0.2"
        )
    held_out = held_out[evenly(len(held_out), n)]
    cells = _Cells.of(session, every, rest, held_out, seed)
    rows = cells.rows()
    scores = cells.scores(seed)
    return {
        "subject": {
            "kind": "run", "path": str(session.folder), "items": int(cells.hidden.sum()),
            "images_seen": session.images, "seed": seed,
        },
        "reference": {
            "path": named_place(session.config, data), "kind": every.kind,
            "shape": list(every.x.shape[1:]), "items": len(cells.truth), "role": "held-out rows of the run",
        },
        "fingerprint": {
            "features": "hidden cells", "hidden": f"1/{PARTS}", "seed": seed,
            "reference": every.take(held_out).fingerprint(), "n_real": len(cells.truth), "n_fake": len(cells.truth),
            "evenodds": __version__,
        },
        "comparable": None,
        "features_seen": False,
        "scores": scores,
        **dict.fromkeys(("memorisation", "equilibrium", "likelihood", "classes", "outside")),
        "hidden": rows,
        "verdict": _verdict(rows, {score["name"]: score for score in scores}, int(cells.hidden.sum())),
        "sound": True,
    }  # fmt: skip


@dataclass(frozen=True)
class _Cells:
    """Cells of rows (N, D) that were hidden, and what is filled in.

    Args:
        learned: the rows that the run learned from.
        hidden: (N, D) which cells were hidden.
        means: the run's best guess, numbers by the mean of fillings and words by the commonest.
        draws: (RANGE, N, D).
    """

    columns: Sequence[Column]
    learned: Values
    truth: Values
    hidden: NDArray[np.bool_]
    means: Values
    draws: Values

    @staticmethod
    def of(session: Session, every: Dataset, rest: torch.Tensor, index: torch.Tensor, seed: int) -> _Cells:
        """Hides cells of the rows of index, and fills them."""
        columns, truth = every.units.columns, every.x[index].numpy()
        part = np.random.default_rng(mix(seed, 17)).integers(0, PARTS, truth.shape)
        times = min(PARTS, -(-ENOUGH // len(truth)))
        hidden = (part < times) & ~np.isnan(truth)
        if not hidden.any():
            raise BadInput("the rows that were held out have no observed cell that could be hidden")
        imputer, means, draws = imputer_of(session), truth.copy(), np.repeat(truth[None], RANGE, 0)
        words = unordered(columns)
        for k in range(times):
            shown = np.where(part == k, np.nan, truth)
            means = np.where(part == k, imputer.mean(shown, seed=seed, unordered=words), means)
            draws = np.where(part == k, imputer.impute(shown, RANGE, mix(seed, 18)), draws)
        return _Cells(columns, every.x[rest].numpy(), truth, hidden, means, draws)

    def rows(self) -> list[dict[str, Any]]:
        """For each column "name", "kind" and "cells", those that were hidden; and of numbers "error", the root mean
        squared error of the run, "of_mean", that of the column's mean, "absolute" and "of_median", mean absolute
        errors; of words "right", the share, and "of_commonest", that of the commonest word. Dates are in days, times in
        seconds."""
        return [self._row(k, column) for k, column in enumerate(self.columns)]

    def _row(self, k: int, column: Column) -> dict[str, Any]:
        at, learned = self.hidden[:, k], self.learned[:, k][~np.isnan(self.learned[:, k])]
        row: dict[str, Any] = {"name": column.name, "kind": column.kind, "cells": int(at.sum())}
        figures = dict.fromkeys(("error", "of_mean", "absolute", "of_median", "right", "of_commonest"))
        if not at.any() or not len(learned):
            return row | figures
        truth, guess = self.truth[at, k], self.means[at, k]
        if column.form == "words":
            of = {"right": _share(guess == truth), "of_commonest": _share(truth == _commonest(learned))}
        else:
            of = {
                "error": _root(guess - truth), "of_mean": _root(learned.mean() - truth),
                "absolute": float(np.abs(guess - truth).mean()),
                "of_median": float(np.abs(np.median(learned) - truth).mean()),
            }  # fmt: skip
        return row | figures | of

    def scores(self, seed: int) -> list[dict[str, Any]]:
        """Over all columns, each number in standard deviations of its column, with intervals."""
        wordy = np.array([column.form == "words" for column in self.columns])
        deviation = np.array([max(float(np.nanstd(column)), 1e-300) for column in self.learned.T])
        middle = np.nan_to_num(np.nanmean(self.learned, 0))
        # Constant columns say nothing; their deviation is 0.
        numbers = self.hidden & ~wordy & (np.nanstd(self.learned, 0) > 0)
        words = self.hidden & wordy
        square = np.where(numbers, ((self.means - self.truth) / deviation) ** 2, 0.0)
        of_mean = np.where(numbers, ((middle - self.truth) / deviation) ** 2, 0.0)
        inside = numbers & (self.draws.min(0) <= self.truth) & (self.truth <= self.draws.max(0))
        right = words & (self.means == self.truth)
        counted = (square, of_mean, inside, numbers, right, words)
        tallies = torch.from_numpy(np.stack([one.sum(1, dtype=np.float64) for one in counted], 1))
        side = Side(tallies, tallies)
        found = intervals(lambda _, tally: _figures(tally.features), side, side, pairs=8, seed=seed)
        notes = {
            "hidden_error": "1: errs as the column's mean does",
            "hidden_right": f"commonest word: {_of_commonest(self.rows()):.0%}" if words.any() else "",
            "hidden_covered": f"due: {1 - 2 / (RANGE + 1):.0%}",
        }
        there = {"hidden_error": numbers.any(), "hidden_right": words.any(), "hidden_covered": numbers.any()}
        return [
            _score(name, title, better, found[name], notes[name], len(tallies))
            for name, title, better in SCORES
            if there[name]
        ]


def _figures(tallies: torch.Tensor) -> dict[str, float]:
    square, of_mean, inside, numbers, right, words = tallies.sum(0).tolist()
    return {
        "hidden_error": math.sqrt(square / of_mean) if of_mean else 0.0,
        "hidden_right": right / max(1.0, words),
        "hidden_covered": inside / max(1.0, numbers),
    }


def _score(name: str, title: str, better: str, found: Interval, note: str, n: int) -> dict[str, Any]:
    due = 1 - 2 / (RANGE + 1) if better == "middle" else None
    low, high = max(0.0, found.low), found.high if better == "lower" else min(1.0, found.high)
    return {
        "name": name, "title": title, "better": better, "value": found.value, "low": low, "high": high,
        "floor": due, "floor_low": due, "floor_high": due, "n_real": n, "n_fake": n, "note": note,
    }  # fmt: skip


def _verdict(rows: Sequence[dict[str, Any]], scores: dict[str, dict[str, Any]], hidden: int) -> list[str]:
    """What the figures say, most important first."""
    parts = []
    if (error := scores.get("hidden_error")) is not None:
        ends = f"{error['low']:.2f} to {error['high']:.2f}"
        parts.append(f"numbers err {error['value']:.2f} times as much as their columns' means would ({ends})")
    if (right := scores.get("hidden_right")) is not None:
        parts.append(f"{right['value']:.0%} of the words are right ({right['note']})")
    lines = [f"Of {hidden:,} cells that were hidden, {' and '.join(parts)}."] if parts else []
    useless = [
        f"'{row['name']}'"
        for row in rows
        if (row["error"] is not None and row["error"] > NO_BETTER * row["of_mean"])
        or (row["right"] is not None and row["right"] <= row["of_commonest"])
    ]
    if useless:
        more = f" and {len(useless) - 6:,} more" if len(useless) > 6 else ""
        lines.append(f"No better than the column's mean or its commonest word: {', '.join(useless[:6])}{more}.")
    covered = scores.get("hidden_covered")
    if covered is not None and not NARROW <= covered["value"] <= WIDE:
        far, much = ("too much alike", "little") if covered["value"] < NARROW else ("too different", "much")
        lines.append(
            f"Draws are {far}: the range of {RANGE} holds {covered['value']:.0%} of the hidden numbers, where "
            f"{covered['floor']:.0%} are due; several fillings then show too {much} of what is not known."
        )
    return lines


def _of_commonest(rows: Sequence[dict[str, Any]]) -> float:
    """The share of hidden words that are the commonest of their column."""
    of = [(row["of_commonest"], row["cells"]) for row in rows if row["of_commonest"] is not None]
    return float(sum(share * cells for share, cells in of) / max(1, sum(cells for _, cells in of)))


def _commonest(values: Values) -> float:
    distinct, counts = np.unique(values, return_counts=True)
    return float(distinct[counts.argmax()])


def _root(differences: Values) -> float:
    return float(np.sqrt((differences**2).mean()))


def _share(where: NDArray[np.bool_]) -> float:
    return float(where.mean())
