"""A table column by column: how its samples are distributed, how columns go together, and what they are good for.

Distances are total variation, half the sum of the differences of shares: 0 of equal shares, 1 of none in common. For
them an amount is cut at the tenths of the real ones, so that every column is a handful of shares, an empty cell among
them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from evenodds.data.dataset import Dataset
from evenodds.data.rows import Column
from evenodds.evaluation.material import Material
from evenodds.game.rules import mix
from evenodds.metrics.probe import fit_probe

__all__ = ["columns", "pairs", "usefulness"]

PARTS = 10
MOST_PAIRS = 5
"""Pairs of columns that are named."""
TARGETS = 3
"""Columns that a classifier is to tell from the others."""
SHOWN = 100_000
"""Rows that a classifier sees."""
LEAST_SHARE = 0.02
"""A part of a column that is seldom has no weight as a target."""


def columns(material: Material) -> list[dict[str, Any]] | None:
    """Each column's distance; None of data that are no table with columns.

    Returns:
        For each column "name", "kind", "distance" of samples from the reference, "floor", that of further real rows,
        and "impossible", the share of cells that the column could not hold.
    """
    if not material.real.units.columns:
        return None
    real, fake, floor = _values(material)
    rows = []
    for k, column in enumerate(material.real.units.columns):
        cuts = _cuts(column, real[:, k])
        shares = [_coded(column, side[:, k], cuts) for side in (real, fake, floor)]
        rows.append(
            {
                "name": column.name,
                "kind": column.kind,
                "distance": _variation(shares[1].mean(0), shares[0].mean(0)),
                "floor": _variation(shares[2].mean(0), shares[0].mean(0)),
                "impossible": float((~torch.from_numpy(column.allows(fake[:, k].numpy()))).double().mean()),
            }
        )
    return rows


def pairs(material: Material) -> dict[str, Any] | None:
    """How pairs of columns go together: the distance of their joint shares.

    Returns:
        "distance" and "floor", means over all pairs, and "worst", the pairs whose samples are furthest off: names,
        distance and floor. None where there is no pair of columns.
    """
    found = material.real.units.columns
    if len(found) < 2:
        return None
    real, fake, floor = (_joint(side) for side in _all_coded(material))
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


def usefulness(material: Material, seed: int) -> list[dict[str, Any]] | None:
    """Columns told from the others by a classifier that learned from samples, and by one that learned from real rows.

    Both are tested on the reference. The columns are those whose parts hang together most with the other columns.

    Returns:
        For at most three columns "name", "trained_on_samples" and "trained_on_real", accuracies, and "chance", the
        share of the largest part. None of data that are no table with two columns or more.
    """
    if len(material.real.units.columns) < 2:
        return None
    n = min(len(material.fake), len(material.fitting))
    sides = [material.real, _taken(material.fitting, n)]
    rows = []
    for k in _targets(material):
        column = material.real.units.columns[k]
        cuts = _cuts(column, material.real.x[:, k], 2)
        seen = [side.units.to_model(side.x) for side in sides] + [material.fake[:n]]
        x = [_without(one, material.real, k) for one in seen]
        own = [*(side.x for side in sides), _values(material)[1][:n]]
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


def _values(material: Material) -> tuple[Tensor, Tensor, Tensor]:
    """The reference, the samples and further real rows, (N, D) in own units."""
    assert material.rows is not None
    return material.real.x, material.rows, material.floor.x


def _taken(data: Dataset, n: int) -> Dataset:
    return data.take(torch.arange(n))


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


def _all_coded(material: Material) -> list[list[Tensor]]:
    """For each side, the codes of each column."""
    found = material.real.units.columns
    sides = _values(material)
    cuts = [_cuts(column, sides[0][:, k]) for k, column in enumerate(found)]
    return [[_coded(column, side[:, k], cuts[k]) for k, column in enumerate(found)] for side in sides]


def _joint(codes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The joint shares of all parts of all columns, (B, B), and the column of each part, (B,)."""
    every = torch.cat(codes, 1)
    owner = torch.cat([torch.full((code.shape[1],), k) for k, code in enumerate(codes)])
    return every.T @ every / len(every), owner


def _by_block(difference: Tensor, owner: Tensor) -> Tensor:
    """(D, D): half the sum of absolute differences within each pair of columns."""
    membership = F.one_hot(owner).double()
    return membership.T @ difference.abs() @ membership / 2


def _targets(material: Material) -> list[int]:
    """The columns that go together most with another one, of those in which no part takes nearly all rows."""
    found = material.real.units.columns
    halves = [
        _coded(column, material.real.x[:, k], _cuts(column, material.real.x[:, k], 2)) for k, column in enumerate(found)
    ]
    every = [
        _coded(column, material.real.x[:, k], _cuts(column, material.real.x[:, k])) for k, column in enumerate(found)
    ]
    shares, owner = _joint(every)
    alone = torch.cat([code.mean(0) for code in every])
    strength = _by_block(shares - alone[:, None] * alone[None], owner).fill_diagonal_(0).amax(1)
    fit = torch.tensor([(code.mean(0) >= LEAST_SHARE).sum() > 1 for code in halves])
    order = torch.where(fit, strength, -1.0).argsort(descending=True)
    return [int(k) for k in order[:TARGETS] if fit[k]]


def _without(seen: Tensor, data: Dataset, k: int) -> Tensor:
    """(N, E) without what players see of column k."""
    widths = [column.width for column in data.units.columns]
    start = sum(widths[:k])
    return torch.cat([seen[:, :start], seen[:, start + widths[k] :]], 1)
