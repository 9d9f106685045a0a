"""f-divergences as games: Nowozin et al. (2016), "f-GAN", tables 1, 2 and 6.

For logits v, with the output activation g_f and the convex conjugate f*, the discriminator minimises
-g_f(v_real) + f*(g_f(v_fake)), eq. 6, and the generator -f*(g_f(v_fake)). All functions take real (N,) and fake (N,)
logits and return two costs (N,), unreduced. The least expected discriminator cost is minus the divergence that the
function names, D(p || q) with p the data; it is reached at the logit given in each docstring, where u = p / q.

The exponentials of kl, reverse_kl and squared_hellinger are continued by their tangent beyond exp(10), so that values
and gradients stay finite. A density ratio that needs larger exponents, about 22,000, is not told apart from one that
does not. The costs of these three and of pearson are unbounded by nature, as are the divergences: expect large
gradients where p and q hardly overlap.
"""

import math

from torch import Tensor
from torch.nn import functional as F

__all__ = ["jensen_shannon", "kl", "pearson", "reverse_kl", "squared_hellinger"]


def kl(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of p log(p / q). Best logit 1 + log u; even odds at 1."""
    conjugate = _exp(fake - 1)
    return conjugate - real, -conjugate


def reverse_kl(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of q log(q / p). Best logit log u; even odds at 0."""
    # g_f(v) = -exp(-v) and f*(t) = -1 - log(-t), so f*(g_f(v)) = v - 1 needs no logarithm.
    conjugate = fake - 1
    return _exp(-real) + conjugate, -conjugate


def pearson(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Pearson's chi square, sum of (p - q)^2 / q. Best logit 2 (u - 1); even odds at 0."""
    conjugate = fake.square() / 4 + fake
    return conjugate - real, -conjugate


def squared_hellinger(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of (sqrt p - sqrt q)^2, in [0, 2]. Best logit (log u) / 2; even odds at 0."""
    # g_f(v) = 1 - exp(-v) and f*(t) = t / (1 - t), so f*(g_f(v)) = exp(v) - 1 needs no quotient.
    conjugate = _exp(fake) - 1
    return _exp(-real) - 1 + conjugate, -conjugate


def jensen_shannon(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Twice the Jensen-Shannon divergence, in [0, 2 log 2]: the minimax game with its value at even odds moved to 0.

    The paper's f generates 2 JSD, though its table calls it Jensen-Shannon. Best logit log u; even odds at 0.
    """
    # g_f(v) = log 2 - softplus(-v) and f*(t) = -log(2 - exp t), so f*(g_f(v)) = softplus(v) - log 2.
    conjugate = F.softplus(fake) - math.log(2)
    return F.softplus(-real) - math.log(2) + conjugate, -conjugate


_LIMIT = 10.0


def _exp(x: Tensor) -> Tensor:
    """exp(x), continued by its tangent beyond _LIMIT: convex, increasing and once differentiable."""
    bent = x.clamp(max=_LIMIT)
    return bent.exp() * (1 + x - bent)
