"""Adversarial losses: (real, fake) logits -> (discriminator cost, generator cost), unreduced and stable.

All of them take real (N,) and fake (N,) logits of any finite size and return two tensors (N,); the caller averages.
The costs of minimax, non_saturating and logistic are written with softplus(x) = log(1 + exp(x)), which is finite
where log(1 - sigmoid(x)) is not. A discriminator that is at even odds everywhere answers 0, for least_squares 1/2.
"""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from evenodds.errors import BadInput

__all__ = [
    "Adversarial",
    "dual_contrastive",
    "energy",
    "hinge",
    "least_squares",
    "logistic",
    "minimax",
    "non_saturating",
    "relativistic_average",
    "relativistic_paired",
    "wasserstein",
]

Adversarial = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(real, fake) logits (N,) -> (discriminator, generator) cost (N,)."""


def minimax(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The zero-sum game of Goodfellow et al. (2014), eq. 1; its generator saturates where the fakes are found out.

    At the best discriminator the cost is 2 log 2 - 2 JSD(p, q), section 4.1.
    """
    # log(1 - D(G(z))), finite where the sigmoid rounds to 1.
    fake_cost = F.softplus(fake)
    return F.softplus(-real) + fake_cost, -fake_cost


def non_saturating(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Goodfellow et al. (2014), section 3: the generator maximises log D(G(z)), so that a bad one learns fastest."""
    return F.softplus(-real) + F.softplus(fake), F.softplus(-fake)


def logistic(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The non-saturating loss under the name that Karras et al. (2019) and much code after them use for it."""
    return non_saturating(real, fake)


def least_squares(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Mao et al. (2017), eq. 9: reals are regressed to 1 and fakes to 0, so the logit itself estimates p / (p + q)."""
    return 0.5 * ((real - 1).square() + fake.square()), 0.5 * (fake - 1).square()


def wasserstein(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Arjovsky et al. (2017), eqs. 2 and 3. A distance only for a Lipschitz critic: play it with a gradient penalty.

    The cost is linear and has no lower bound.
    """
    return fake - real, -fake


def hinge(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Lim and Ye (2017). The generator's cost is linear and has no lower bound."""
    return F.relu(1 - real) + F.relu(1 + fake), -fake


def energy(real: Tensor, fake: Tensor, *, margin: float = 1.0) -> tuple[Tensor, Tensor]:
    """Reals get low energy, fakes at least the margin: EBGAN, Zhao et al. (2017), eqs. 1 and 2.

    The energy is softplus(-logit), which is at least 0 as the paper's reconstruction error is. At the best
    discriminator the cost is the margin times 1 - TV(p, q), and the margin itself where p = q (theorem 1).

    Args:
        margin: above 0. Fakes of more energy cost the discriminator nothing.
    """
    if not margin > 0:
        raise BadInput(f"loss energy needs margin > 0, got {margin}; leave it out for the default 1")
    high = F.softplus(-fake)
    return F.softplus(-real) + F.relu(margin - high), high


def relativistic_paired(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Jolicoeur-Martineau (2018), section 4.1: is this real more real than this fake? Real i meets fake i.

    Only the differences matter: a constant added to all logits changes nothing.
    """
    lead = real - fake
    return F.softplus(-lead), F.softplus(lead)


def relativistic_average(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Jolicoeur-Martineau (2018), section 4.2: is this real more real than the average fake, and conversely?

    The averages are over the logits given; the contest gives those of all slices of a batch.
    """
    above, below = real - fake.mean(), fake - real.mean()
    return F.softplus(-above) + F.softplus(below), F.softplus(above) + F.softplus(-below)


def dual_contrastive(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Each real is told from all fakes, and each fake from all reals: Yu et al. (2021), section 3.

    log(1 + sum_j exp(fake_j - real_i)) + log(1 + sum_j exp(fake_i - real_j)). The generator minimises the same with
    real and fake exchanged, as the non-saturating game does. Only the differences matter. With one real and one fake
    each term is that of relativistic_paired.
    """

    def cost(high: Tensor, low: Tensor) -> Tensor:
        all_low, all_high = low.flatten().logsumexp(0), (-high).flatten().logsumexp(0)
        return F.softplus(all_low - high) + F.softplus(low + all_high)

    return cost(real, fake), cost(fake, real)
