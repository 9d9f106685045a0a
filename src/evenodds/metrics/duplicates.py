"""Items that are nearly alike, as groups."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from evenodds.errors import BadInput

__all__ = ["Group", "near_duplicates"]

PAIRS = 1 << 22
"""Pairs of items whose likeness is in memory at once."""


@dataclass(frozen=True)
class Group:
    """Items each of which is alike to another one of them.

    Args:
        items: their numbers, ascending; at least two.
        least, most: cosines of the pairs that join them.
    """

    items: tuple[int, ...]
    least: float
    most: float


def near_duplicates(features: Tensor, threshold: float) -> list[Group]:
    """Groups of rows that are joined by pairs whose cosine is at least a threshold.

    Joined by chains, which is single linkage (Sneath 1957) cut at the threshold: the first and the last item of a group
    may be less alike than that.

    Args:
        features: (N, F), finite; a row of zeros is like no other.
        threshold: in (0, 1].

    Returns:
        The groups, the largest first, then by their first items.

    Raises:
        BadInput: no matrix, values that are not finite, or a threshold outside (0, 1].

    Example:
        >>> import torch
        >>> from evenodds.metrics.duplicates import near_duplicates
        >>> near_duplicates(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.01]]), 0.9)[0].items
        (0, 2)
    """
    if not 0 < threshold <= 1:
        raise BadInput(f"the threshold is a cosine in (0, 1], got {threshold:g}; 0.9 says nearly alike")
    if features.dim() != 2 or not bool(features.isfinite().all()):
        raise BadInput(f"near duplicates need finite features (N, F), got {tuple(features.shape)}")
    # Rounding must not part rows that are the same.
    unit, bound = F.normalize(features.double(), dim=1), threshold - 1e-9
    parent = list(range(len(unit)))
    pairs: list[tuple[int, float]] = []
    for rows in torch.split(torch.arange(len(unit)), max(1, PAIRS // max(1, len(unit)))):
        cosines = unit[rows] @ unit.T
        first, second = (cosines >= bound).nonzero(as_tuple=True)
        later = rows[first] < second
        first, second = first[later], second[later]
        for a, b, cosine in zip(rows[first].tolist(), second.tolist(), cosines[first, second].tolist(), strict=True):
            parent[_root(parent, b)] = _root(parent, a)
            pairs.append((a, min(1.0, cosine)))
    members: dict[int, list[int]] = {}
    for item in range(len(unit)):
        members.setdefault(_root(parent, item), []).append(item)
    joined: dict[int, list[float]] = {}
    for item, cosine in pairs:
        joined.setdefault(_root(parent, item), []).append(cosine)
    groups = [Group(tuple(members[root]), min(values), max(values)) for root, values in joined.items()]
    return sorted(groups, key=lambda group: (-len(group.items), group.items))


def _root(parent: list[int], item: int) -> int:
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item
