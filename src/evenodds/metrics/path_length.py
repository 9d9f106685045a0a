"""How far features move when a latent code takes a small step (Karras et al. 2019, section 4.1)."""

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics._rows import matching

__all__ = ["path_length"]


def path_length(at: Tensor, beyond: Tensor, eps: float, *, trim: float = 0.01) -> Tensor:
    """The mean of |f(G(z_t+eps)) - f(G(z_t))|^2 / eps^2: Karras et al. (2019), eqs. 2 and 3, for any features f.

    The caller interpolates: along the sphere for normal latents (eq. 2) or straight for intermediate ones (eq. 3), at
    t and t + eps, with equal noise at both ends; eq. 2 draws t from [0, 1], its variant for endpoints takes t = 0.
    Lower is smoother. The published figures are those of one perceptual network and compare with no other features;
    they leave out the lowest and the highest 1 %.

    The difference of float32 features loses digits where eps is small: rounding alone adds about
    1e-14 * |f|^2 / eps^2, so compare that with the value.

    Args:
        at: (N, F) features at t; computed in float64.
        beyond: (N, F) features at t + eps, row by row those of `at`.
        eps: the step in t, above 0; 1e-4 in the paper.
        trim: the share of rows left out at each end, from 0 to below 0.5, rounded down to whole rows.

    Returns:
        () float64, at least 0, in squared units of the features.

    Raises:
        BadInput: no matrices, unequal shapes, values that are not finite, no step, or nothing left.
    """
    at, beyond = matching(at, beyond, names=("at", "beyond"))
    if len(at) != len(beyond):
        raise BadInput(f"'at' and 'beyond' must have the same rows, got {len(at)} and {len(beyond)}; pair them up")
    if not (eps > 0 and 0 <= trim < 0.5):
        raise BadInput(f"needed: eps > 0 and 0 <= trim < 0.5, got eps={eps} and trim={trim}; 1e-4 and 0.01 are usual")
    lengths = (beyond.to(torch.float64) - at.to(torch.float64)).square().sum(1) / eps**2
    out = int(trim * len(lengths))
    return lengths.sort().values[out : len(lengths) - out].mean()
