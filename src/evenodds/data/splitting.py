"""Which items are held out: of each class its share, groups as a whole, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.seeds import mix

__all__ = ["parted", "permutation"]


def parted(
    n: int, y: Tensor | None, groups: Tensor | None, apart: Tensor | None, held_out: float, seed: int
) -> tuple[Tensor, Tensor]:
    """The indices of n items to train on, and of those held out, see `Dataset.split`."""
    if not 0 <= held_out < 1:
        raise BadInput(f"the held-out share must lie in [0, 1), got {held_out:g}; 0.1 holds out a tenth")
    if apart is not None:
        return _of_mask(apart)
    if groups is not None:
        each, member = torch.unique(groups, return_inverse=True)
        if len(each) == 1:
            return _of_mask(torch.arange(n) >= n - _count(n, held_out))
        sizes = member.bincount(minlength=len(each)).tolist()
        chosen_groups = _nearest(permutation(len(each), seed, 0).tolist(), sizes, _count(n, held_out))
        return _of_mask(torch.isin(member, torch.tensor(chosen_groups, dtype=torch.int64)))
    count = _count(n, held_out)
    strata = _strata(n, y, held_out)
    quotas = [held_out * len(stratum) for stratum in strata]
    takes = [int(quota) for quota in quotas]
    # Largest remainders first, so that the shares add up to the count.
    by_remainder = sorted(range(len(strata)), key=lambda k: takes[k] - quotas[k])
    while (missing := count - sum(takes)) > 0:
        for k in [k for k in by_remainder if takes[k] < len(strata[k])][:missing]:
            takes[k] += 1
    chosen = torch.zeros(n, dtype=torch.bool)
    for k, (stratum, take) in enumerate(zip(strata, takes, strict=True)):
        chosen[stratum[permutation(len(stratum), seed, k)[:take]]] = True
    return _of_mask(chosen)


def _strata(n: int, y: Tensor | None, held_out: float) -> list[Tensor]:
    if y is None:
        return [torch.arange(n)]
    groups = [(y == label).nonzero().flatten() for label in np.unique(y.numpy()).tolist()]
    several = [group for group in groups if len(group) > 1 or int(y[group[0]]) < 0]
    if sum(map(len, several)) > _count(n, held_out):
        groups = several  # the only item of a class stays to train on
    large = [group for group in groups if held_out * len(group) >= 1]
    small = [group for group in groups if held_out * len(group) < 1]
    return [*large, torch.cat(small)] if small else large


def _of_mask(held_out: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) bool as the sorted indices of (others, held out)."""
    return (~held_out).nonzero().flatten(), held_out.nonzero().flatten()


def _nearest(order: Sequence[int], sizes: Sequence[int], wanted: int) -> list[int]:
    """Groups, in this order, of which each brings the number of items nearer to the one that is wanted.

    At least one where any is wanted, the smallest if need be, and never all.
    """
    if not wanted:
        return []
    taken: list[int] = []
    items = 0
    for group in order:
        if len(taken) < len(order) - 1 and abs(items + sizes[group] - wanted) < abs(items - wanted):
            taken.append(group)
            items += sizes[group]
    return taken or [min(order, key=lambda group: sizes[group])]


def _count(n: int, held_out: float) -> int:
    """How many of n are held out: at least one where any are and one is left, never all."""
    return min(n - 1, max(1, round(held_out * n))) if held_out > 0 else 0


def permutation(n: int, seed: int, number: int) -> Tensor:
    """(n,) int64: an order of n items, the `number`-th of a seed."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(mix(seed, number)))
