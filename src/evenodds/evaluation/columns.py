"""A table column by column: how its samples are distributed, how columns go together, and what they are good for.

Distances are total variation, half the sum of the differences of shares: 0 of equal shares, 1 of none in common. For
them an amount is cut at the tenths of the real ones, so that every column is a handful of shares, an empty cell among
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from evenodds.data.dataset import Dataset
from evenodds.data.tables.rows import Column
from evenodds.evaluation.examination import Step
from evenodds.evaluation.material import Material
from evenodds.game.seeds import mix
from evenodds.metrics.probe import fit_probe

__all__ = ["of_table"]

PARTS = 10
MOST_PAIRS = 5
"""Pairs of columns that are named."""
TARGETS = 3
"""Columns that a classifier is to tell from the others."""
SHOWN = 100_000
"""Rows that a classifier sees."""
LEAST_SHARE = 0.02
"""A part of a column that is seldom has no weight as a target."""


def of_table(material: Material, seed: int, step: Step) -> dict[str, Any]:
    """What is measured of a table alone, by name; nothing of other data.

    Args:
        seed: of the classifiers.
        step: told of progress.

    Returns:
        "columns", see `columns`; "pairs", see `pairs`; "usefulness", see `usefulness`. The last two are None where
        there is a single column.
    """
    if material.rows is None:
        return {}
    step("columns", 0, 1)
    sides = Sides.of(material.real.units.columns, material.real.x, material.rows, material.floor.x)
    several = len(sides.columns) > 1
    return {
        "columns": columns(sides),
        "pairs": pairs(sides) if several else None,
        "usefulness": usefulness(material, sides, seed) if several else None,
    }


@dataclass(frozen=True)
class Sides:
    """The rows of the reference, of the samples and further real ones, and the parts that their cells are of.

    Args:
        made: (N, D) the samples in own units.
        real_parts, fake_parts, floor_parts: for each column (N, parts) one-hot.
    """

    columns: Sequence[Column]
    made: Tensor
    real_parts: Sequence[Tensor]
    fake_parts: Sequence[Tensor]
    floor_parts: Sequence[Tensor]

    @staticmethod
    def of(columns: Sequence[Column], real: Tensor, made: Tensor, floor: Tensor) -> Sides:
        """Amounts are cut as those of the reference are distributed."""
        cuts = [_cuts(column, real[:, k]) for k, column in enumerate(columns)]
        sides = [
            [_coded(column, side[:, k], cuts[k]) for k, column in enumerate(columns)] for side in (real, made, floor)
        ]
        return Sides(columns, made, *sides)


def columns(sides: Sides) -> list[dict[str, Any]]:
    """Each column's distance.

    Returns:
        For each column "name", "kind", "distance" of samples from the reference, "floor", that of further real rows,
        and "impossible", the share of cells that the column could not hold.
    """
    rows = []
    for k, column in enumerate(sides.columns):
        real, fake, floor = (part[k].mean(0) for part in (sides.real_parts, sides.fake_parts, sides.floor_parts))
        rows.append(
            {
                "name": column.name,
                "kind": column.kind,
                "distance": _variation(fake, real),
                "floor": _variation(floor, real),
                "impossible": float((~torch.from_numpy(column.allows(sides.made[:, k].numpy()))).double().mean()),
            }
        )
    return rows


def pairs(sides: Sides) -> dict[str, Any]:
    """How pairs of columns go together: the distance of their joint shares.

    Returns:
        "distance" and "floor", means over all pairs, and "worst", the pairs whose samples are furthest off: names,
        distance and floor.
    """
    found = sides.columns
    real, fake, floor = (_joint(side) for side in (sides.real_parts, sides.fake_parts, sides.floor_parts))
    ours, theirs = _by_block(fake[0] - real[0], real[1]), _by_block(floor[0] - real[0], real[1])
    first, second = torch.triu_indices(len(found), len(found), 1)
    distance, base = ours[first, second], theirs[first, second]
    order = (distance - base).argsort(descending=True)[:MOST_PAIRS]
    worst = [
        {
            "names": [found[int(first[k])].name, found[int(second[k])].name],
            "distance": float(distance[k]),
            "floor": float(base[k]),
        }
        for k in order
    ]
    return {"distance": float(distance.mean()), "floor": float(base.mean()), "worst": worst}


def usefulness(material: Material, sides: Sides, seed: int) -> list[dict[str, Any]]:
    """Columns told from the others by a classifier that learned from samples, and by one that learned from real rows.

    Both are tested on the reference. The columns are those whose parts hang together most with the other columns.

    Returns:
        For at most three columns "name", "trained_on_samples" and "trained_on_real", accuracies, and "chance", the
        share of the largest part.
    """
    n = min(len(material.fake), len(material.fitting))
    real, fitting = material.real, material.fitting.take(torch.arange(n))
    rows = []
    for k in _targets(sides, real):
        column = sides.columns[k]
        cuts = _cuts(column, material.real.x[:, k], 2)
        seen = [real.units.to_model(real.x), fitting.units.to_model(fitting.x), material.fake[:n]]
        x = [_without(one, real, k) for one in seen]
        own = [real.x, fitting.x, sides.made[:n]]
        y = [_coded(column, one[:, k], cuts).argmax(1) for one in own]
        classes = int(max(int(one.max()) for one in y)) + 1
        accuracies = []
        for at in (2, 1):
            probe = fit_probe(x[at], y[at], classes, seed=mix(seed, k), images=SHOWN)
            with torch.no_grad():
                accuracies.append(float((probe(x[0].float()).argmax(1) == y[0]).double().mean()))
        rows.append(
            {
                "name": column.name,
                "trained_on_samples": accuracies[0],
                "trained_on_real": accuracies[1],
                "chance": float(y[0].bincount().max() / len(y[0])),
            }
        )
    return rows


def _cuts(column: Column, values: Tensor, parts: int = PARTS) -> Tensor:
    """Where an amount is cut, into parts of equal shares as far as it goes."""
    if not column.knots:
        return torch.empty(0)
    amounts = values[~values.isnan() & ~torch.isin(values, torch.tensor(column.levels, dtype=values.dtype))]
    shares = torch.linspace(0, 1, parts + 1, dtype=torch.float64)[1:-1]
    return torch.unique(torch.quantile(amounts[: 1 << 20], shares)) if len(amounts) else torch.empty(0)


def _coded(column: Column, values: Tensor, cuts: Tensor) -> Tensor:
    """(N, parts) one-hot float64: the empty cell, each level, and each part of an amount."""
    levels = torch.tensor(column.levels, dtype=torch.float64)
    code = 1 + len(levels) + torch.bucketize(values.nan_to_num(), cuts.double())
    for k, level in enumerate(levels):
        code = torch.where(values == level, 1 + k, code)
    code = torch.where(values.isnan(), 0, code)
    return F.one_hot(code, 2 + len(levels) + len(cuts)).double()


def _variation(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().sum() / 2)


def _joint(codes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The joint shares of all parts of all columns, (B, B), and the column of each part, (B,)."""
    every = torch.cat(list(codes), 1)
    owner = torch.cat([torch.full((code.shape[1],), k) for k, code in enumerate(codes)])
    return every.T @ every / len(every), owner


def _by_block(difference: Tensor, owner: Tensor) -> Tensor:
    """(D, D): half the sum of absolute differences within each pair of columns."""
    membership = F.one_hot(owner).double()
    return membership.T @ difference.abs() @ membership / 2


def _targets(sides: Sides, real: Dataset) -> list[int]:
    """The columns that go together most with another one, of those in which no part takes nearly all rows."""
    halves = [_coded(column, real.x[:, k], _cuts(column, real.x[:, k], 2)) for k, column in enumerate(sides.columns)]
    shares, owner = _joint(sides.real_parts)
    alone = torch.cat([code.mean(0) for code in sides.real_parts])
    strength = _by_block(shares - alone[:, None] * alone[None], owner).fill_diagonal_(0).amax(1)
    fit = torch.tensor([(code.mean(0) >= LEAST_SHARE).sum() > 1 for code in halves])
    order = torch.where(fit, strength, -1.0).argsort(descending=True)
    return [int(k) for k in order[:TARGETS] if fit[k]]


def _without(seen: Tensor, data: Dataset, k: int) -> Tensor:
    """(N, E) without what players see of column k."""
    widths = [column.width for column in data.units.columns]
    start = sum(widths[:k])
    return torch.cat([seen[:, :start], seen[:, start + widths[k] :]], 1)
