"""The kernel distance of two sides, and of many halves and deals of them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from evenodds.metrics.intervals import Pairs, Side
from evenodds.metrics.kernel import (
    kernel_distance,
    kernel_distance_blocks,
    kernel_distances,
    kernel_distances_among,
)
from evenodds.metrics.neighbourhood import Neighbourhood

__all__ = ["KernelStatistic"]

PRODUCTS = 1 << 34
"""Up to so many multiplications the kernel distance uses every pair; beyond, disjoint blocks of 1,000 rows."""


class KernelStatistic:
    """The kernel distance, of every pair of rows up to a number of products, and of blocks of rows beyond."""

    def __call__(self, real: Side, fake: Side) -> dict[str, float]:
        """Of one pair of sides."""
        if _products(real, fake) <= PRODUCTS:
            return {"kernel": float(kernel_distance(real.features, fake.features))}
        return {"kernel": float(kernel_distance_blocks(real.features, fake.features).mean)}

    def of_all(self, pairs: Pairs) -> list[Mapping[str, float]]:
        """Of each pair; subsets of one neighbourhood of which every pair of rows counts are taken at once."""
        sides = list(pairs)
        near = sides[0][0].near
        joint = [k for k, pair in enumerate(sides) if _within(near, *pair) and _products(*pair) <= PRODUCTS]
        values = dict(zip(joint, _kernels([sides[k] for k in joint]), strict=True))
        return [{"kernel": values[k]} if k in values else self(*pair) for k, pair in enumerate(sides)]


def _within(near: Neighbourhood | None, real: Side, fake: Side) -> bool:
    return near is not None and real.near is near and fake.near is near


def _kernels(sides: Sequence[tuple[Side, Side]]) -> list[float]:
    """The kernel distances of subsets of one neighbourhood."""
    if not sides:
        return []
    places = [real.neighbours(fake) for real, fake in sides]
    if places[0][0].small:
        return [float(value) for value in kernel_distances_among(places[0][0], [place[1:] for place in places])]
    used = torch.unique(torch.cat([rows for _, real, fake in places for rows in (real, fake)]))
    pairs = [(torch.searchsorted(used, real), torch.searchsorted(used, fake)) for _, real, fake in places]
    return [float(value) for value in kernel_distances(places[0][0].features(used), pairs)]


def _products(real: Side, fake: Side) -> int:
    """Multiplications of a kernel distance of all pairs of rows."""
    return len(real) * len(fake) * real.features.shape[1]
