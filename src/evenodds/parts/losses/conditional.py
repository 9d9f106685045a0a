"""What a discriminator pays for its outputs about the class of items, unreduced.

c is (N, K), one-hot, or zeros where the class is not known. The contrasts compare the items of a batch by the cosines
of their features with those of other items, and with a proxy of each class, which is learned. Items of no class cost
nothing there, and no other item is compared with them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["contrastive", "data_to_data", "margin", "multi_hinge"]


def contrastive(outputs: Tensor, c: Tensor, *, temperature: float = 0.5) -> Tensor:
    """2C: near to the proxy and the items of one's class, far from all others. ContraGAN, Kang and Park (2020), eq. 8.

    Args:
        outputs: (N, K + F), the cosines with the proxies, and the features at length 1.
        temperature: of the cosines, the paper's t.

    Returns:
        (N,), at least 0.
    """
    own, pairs, others = _cosines(outputs, c)
    own, pairs = own / temperature, pairs / temperature
    return (_logsumexp(own, pairs, others) - _logsumexp(own, pairs, others * (c @ c.T))) * c.sum(1)


def data_to_data(
    outputs: Tensor, c: Tensor, *, temperature: float = 0.5, most: float = 0.98, least: float = 0.02
) -> Tensor:
    """D2D-CE: near to the proxy of one's class, far from items of other classes. ReACGAN, Kang et al. (2021), eq. 6.

    Cosines above `most` with the proxy and below `least` with items of other classes are good enough: items that are
    easy to tell pull no longer.

    Args:
        outputs: (N, K + F), the cosines with the proxies, and the features at length 1.
        temperature: of the cosines, the paper's tau.
        most, least: the paper's margins m_p and m_n.

    Returns:
        (N,), at least 0.
    """
    own, pairs, others = _cosines(outputs, c)
    drawn, pushed = (own - most).clamp(max=0) / temperature, (pairs - least).clamp(min=0) / temperature
    return (_logsumexp(drawn, pushed, others * (1 - c @ c.T)) - drawn) * c.sum(1)


def multi_hinge(real: Tensor, fake: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The hinge of K classes and of fakes as one more: Kavalerov et al. (2021), section 3.

    max(0, 1 - margin of the class) for reals, max(0, 1 - margin of being fake) for fakes; the generator minimises
    max(0, 1 - margin of the class that was asked for). With one class it is the hinge of the difference of the scores.

    Args:
        real: (N, 1 + K) scores of being fake, and of each class.
        fake: likewise.

    Returns:
        (discriminator, generator) cost (N,).
    """
    nothing = torch.zeros_like(c)
    return F.relu(1 - margin(real, c)) + F.relu(1 + margin(fake, nothing)), F.relu(1 - margin(fake, c))


def margin(scores: Tensor, c: Tensor) -> Tensor:
    """(N,) the score of the class less the highest of the others and of fakes; of any class less that of fakes.

    Args:
        scores: (N, 1 + K) of being fake, and of each class.
        c: zeros where any class will do.
    """
    known, far = c.sum(1), torch.finfo(scores.dtype).max
    best = torch.where(known > 0, (scores[:, 1:] * c).sum(1), scores[:, 1:].amax(1))
    rivals = torch.where((c > 0) | (known == 0)[:, None], -far, scores[:, 1:])
    return best - torch.cat([scores[:, :1], rivals], 1).amax(1)


def _cosines(outputs: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(N,) with the proxy of one's class, (N, N) with items, and (N, N) 1 for other items of a known class."""
    proxies, unit, known = outputs[:, : c.shape[1]], outputs[:, c.shape[1] :], c.sum(1)
    others = known[:, None] * known[None] * (1 - torch.eye(len(c), dtype=c.dtype, device=c.device))
    return (proxies * c).sum(1), unit @ unit.T, others


def _logsumexp(own: Tensor, pairs: Tensor, counted: Tensor) -> Tensor:
    """(N,) log of exp(own) and the sum of exp(pairs) over those that count."""
    return torch.cat([own[:, None], pairs.masked_fill(counted == 0, -torch.inf)], 1).logsumexp(1)
