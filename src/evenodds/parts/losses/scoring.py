"""Proper scoring rules for several drawn fillings: lowest in the mean where they are drawn from the true conditional.

For a distance of negative type, two draws x, x' and the truth y, the energy score E d(x, y) - 1/2 E d(x, x') is proper
(Gneiting and Raftery 2007, section 5.1; as the cost of a sampling network: Bouchacourt et al. 2016). The first term
alone would draw every filling to one best guess; the second pays for as much spread as the truth has. The mean over
the pairs of distinct draws makes the estimate unbiased for any number K >= 2 of them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from evenodds.errors import BadInput

__all__ = ["Distance", "joint", "marginal", "mean", "score"]

Distance = Callable[[Tensor, Tensor], Tensor]
"""(differences (P, N, ...), where (N, ...) 1 for entries that count and 0 for others) -> (P, N)."""


def joint(difference: Tensor, where: Tensor) -> Tensor:
    """Root mean square: the energy score of all entries together, least for their joint distribution alone."""
    return (_average(difference.square(), where) + 1e-12).sqrt()  # the root has no slope at 0


def marginal(difference: Tensor, where: Tensor) -> Tensor:
    """Mean absolute value: the continuous ranked probability score of each entry, blind to their dependence."""
    return _average(difference.abs(), where)


def mean(difference: Tensor, where: Tensor) -> Tensor:
    """Mean square: the score is then the squared error of the mean of all fillings, without charge for their spread.

    With two draws it is the product (x - y)(x' - y). Proper, not strictly: to be used beside one of the others.
    """
    return _average(difference.square(), where)


def score(fillings: Tensor, truth: Tensor, where: Tensor, distance: Distance) -> Tensor:
    """The energy score of each item.

    Args:
        fillings: (K, N, ...) independent draws, K >= 2.
        truth: (N, ...); finite, also where it does not count.
        where: (N, ...) float or of a shape that broadcasts to it; entries that count are 1. An item without any has
            score 0.

    Returns:
        (N,) scores in the units of the distance; negative where the spread exceeds twice the error.
    """
    if len(fillings) < 2:
        raise BadInput(f"an energy score needs at least 2 fillings of each item, got {len(fillings)}; raise `fillings`")
    where = where.expand_as(truth)
    one, other = torch.triu_indices(len(fillings), len(fillings), 1, device=fillings.device)
    spread = distance(fillings[one] - fillings[other], where).mean(0)
    return distance(fillings - truth, where).mean(0) - 0.5 * spread


def _average(values: Tensor, where: Tensor) -> Tensor:
    """(P, N, ...) -> (P, N): the mean over the entries that count."""
    return (values * where).flatten(2).sum(2) / where.flatten(1).sum(1).clamp_min(1)
