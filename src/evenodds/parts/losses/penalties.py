"""Penalties on the discriminator: (score, real, fake) -> (N,), unweighted, nonnegative.

Every penalty takes `score`, x -> (N,) logits, and real and fake (N, ...) float in [-1, 1] of one shape, and returns
(N,) values that the caller averages and weighs. The caller's score remembers: asked again about the same tensor it
answers without a forward pass. So the zero-centred penalties differentiate score(real) and score(fake) themselves,
which the adversarial loss has needed already; where these tensors do not require gradients they make leaves of their
own. A penalty that needs random numbers names them: `uniform` (N, 4) in [0, 1), `normal` shaped like real.

Gradients with respect to x are taken of the sum of the scores: exact per item where the score of one item does not
depend on the others, that is, without batch normalisation.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.dial import View
from evenodds.game.slices import whole
from evenodds.game.wide import wide

__all__ = [
    "LeCam",
    "Score",
    "consistency",
    "dragan",
    "finite_difference",
    "finite_difference_r1",
    "finite_difference_r2",
    "gradient_penalty",
    "largest_gradient",
    "lecam",
    "r1",
    "r1_r2",
    "r2",
    "wasserstein_divergence",
]

Score = Callable[[Tensor], Tensor]
"""x (N, ...) -> logits (N,)."""


def r1(score: Score, real: Tensor, fake: Tensor) -> Tensor:
    """Half the squared gradient at the reals: Mescheder et al. (2018), eq. 9, without its weight gamma."""
    return 0.5 * _slopes(score, real).square().sum(1)


def r2(score: Score, real: Tensor, fake: Tensor) -> Tensor:
    """Half the squared gradient at the fakes: Mescheder et al. (2018), eq. 10, without its weight gamma."""
    return 0.5 * _slopes(score, fake).square().sum(1)


def r1_r2(score: Score, real: Tensor, fake: Tensor) -> Tensor:
    """r1 + r2, as in Huang et al. (2024), "The GAN is dead; long live the GAN!". Keeps modes that r1 alone loses."""
    leaves = _leaf(real), _leaf(fake)
    # One backward for both: where the score was computed in one pass over both, two would walk the whole graph twice.
    at_real, at_fake = torch.autograd.grad([score(x).sum() for x in leaves], leaves, create_graph=True)
    return 0.5 * (at_real.flatten(1).square().sum(1) + at_fake.flatten(1).square().sum(1))


def gradient_penalty(score: Score, real: Tensor, fake: Tensor, *, uniform: Tensor) -> Tensor:
    """(gradient norm - 1)^2 on the lines from fakes to reals: Gulrajani et al. (2017), eq. 3, without its weight.

    Args:
        uniform: (N, 4) float in [0, 1); column 0 is the share of the real.
    """
    return _one_centred(score, _between(real, fake, uniform))


def largest_gradient(score: Score, real: Tensor, fake: Tensor, *, uniform: Tensor) -> Tensor:
    """The largest squared gradient on the lines from fakes to reals: Lipschitz GANs, Zhou et al. (2019).

    It bounds the Lipschitz constant, which is a maximum and no mean. Every item bears the maximum of the whole batch.

    Args:
        uniform: (N, 4) float in [0, 1); column 0 is the share of the real.
    """
    squares = _slopes(score, _between(real, fake, uniform)).square().sum(1)
    return whole(squares).amax().expand(len(real))


def wasserstein_divergence(score: Score, real: Tensor, fake: Tensor, *, uniform: Tensor, power: float = 6.0) -> Tensor:
    """|gradient|^power on the lines from fakes to reals: WGAN-div, Wu et al. (2018), without its weight k.

    With loss=wasserstein the best discriminator measures the Wasserstein divergence, without a Lipschitz constraint.
    The paper takes power 6 and penalty_weight 2.

    Args:
        uniform: (N, 4) float in [0, 1); column 0 is the share of the real.
        power: the paper's p, above 1.
    """
    if not power > 1:
        raise BadInput(f"wasserstein_divergence needs power > 1, got {power}; leave it out for the paper's 6")
    norms: Tensor = torch.linalg.vector_norm(_slopes(score, _between(real, fake, uniform)), dim=1)
    return norms**power


def dragan(score: Score, real: Tensor, fake: Tensor, *, normal: Tensor, spread: float = 0.25) -> Tensor:
    """(gradient norm - 1)^2 around the reals: Kodali et al. (2017), without its weight.

    Args:
        normal: shaped like real, standard normal.
        spread: standard deviation of the noise in the units of x; the paper's c is its square.
    """
    return _one_centred(score, real.detach() + _positive(spread) * normal)


def consistency(score: Score, real: Tensor, fake: Tensor, *, view: View, uniform: Tensor) -> Tensor:
    """Squared change of the score of a real under a view that should not matter: Zhang et al. (2020), section 3.1.

    Args:
        view: x, uniform -> x, such as a flip or a small translation.
        uniform: (N, 4) float in [0, 1), handed to the view.
    """
    return (score(real) - score(view(real.detach(), uniform))).square()


def finite_difference_r1(score: Score, real: Tensor, fake: Tensor, *, normal: Tensor, spread: float = 0.01) -> Tensor:
    """r1 by a difference: (D(x) - D(x + e))^2 / (2 spread^2) with e normal; no double backward.

    For a score that is linear across `spread` its mean over the noise is r1, by E[(g.n)^2] = |g|^2; the relative
    error of the mean is of the order spread^2, and one draw scatters by sqrt(2) times its mean. The difference is taken
    in float32 at least. Scores that are computed below float32 round before it: raise the spread to about 0.1 for them.

    Args:
        normal: shaped like real, standard normal.
        spread: standard deviation of the noise in the units of x, above 0.
    """
    return _difference(score, real, normal, spread)


def finite_difference_r2(score: Score, real: Tensor, fake: Tensor, *, normal: Tensor, spread: float = 0.01) -> Tensor:
    """r2 by a difference, at the fakes; see finite_difference_r1."""
    return _difference(score, fake, normal, spread)


def finite_difference(score: Score, real: Tensor, fake: Tensor, *, normal: Tensor, spread: float = 0.01) -> Tensor:
    """r1_r2 by differences, at reals and fakes with the same noise; see finite_difference_r1."""
    return _difference(score, real, normal, spread) + _difference(score, fake, normal, spread)


class LeCam(nn.Module):
    """Ties the scores of reals to the average score of fakes and conversely: Tseng et al. (2021), section 3.2.

    Meant for little data. With the wasserstein loss and fixed anchors the game minimises a multiple of the LeCam
    divergence, sum of (p - q)^2 / (p + q) (their proposition 1). The two anchors are moving averages of the logits,
    start at 0, where even odds are, and are the object's state. In training mode each call moves them towards the
    logits of the batch, then measures.
    """

    real_anchor: Tensor
    fake_anchor: Tensor

    def __init__(self, *, half_life_images: int = 4_000) -> None:
        """Moves the anchors by half in that many reals; 4,000 is the paper's decay 0.99 per step of about 58."""
        super().__init__()
        if half_life_images <= 0:
            raise BadInput(f"lecam needs half_life_images > 0, got {half_life_images}; pass a number of images")
        self.half_life_images = half_life_images
        self.register_buffer("real_anchor", torch.zeros(()))
        self.register_buffer("fake_anchor", torch.zeros(()))

    def forward(self, score: Score, real: Tensor, fake: Tensor) -> Tensor:
        """(D(real) - anchor of fakes)^2 + (D(fake) - anchor of reals)^2, (N,)."""
        on_real, on_fake = score(real), score(fake)
        if self.training:
            all_real, all_fake = whole(on_real.detach()), whole(on_fake.detach())
            step = 1 - 0.5 ** (len(all_real) / self.half_life_images)
            self.real_anchor.lerp_(all_real.mean().to(self.real_anchor.dtype), step)
            self.fake_anchor.lerp_(all_fake.mean().to(self.fake_anchor.dtype), step)
        return (on_real - self.fake_anchor).square() + (on_fake - self.real_anchor).square()


lecam = LeCam
"""The name under which configurations ask for it."""


def _between(real: Tensor, fake: Tensor, uniform: Tensor) -> Tensor:
    """A place on the line from each fake to its real, as a leaf."""
    share = uniform[:, 0].view(-1, *[1] * (real.dim() - 1))
    return torch.lerp(fake.detach(), real.detach(), share).requires_grad_()


def _slopes(score: Score, x: Tensor) -> Tensor:
    """d score / d x, (N, D) with a graph of its own, so that it can be minimised."""
    leaf = _leaf(x)
    (slopes,) = torch.autograd.grad(score(leaf).sum(), leaf, create_graph=True)
    return slopes.flatten(1)


def _leaf(x: Tensor) -> Tensor:
    """x itself where it requires a gradient, so that a score that remembers knows it."""
    return x if x.requires_grad else x.detach().requires_grad_()


def _one_centred(score: Score, x: Tensor) -> Tensor:
    # vector_norm, unlike a written-out root, has gradient 0 and not NaN where the slope vanishes.
    norms: Tensor = torch.linalg.vector_norm(_slopes(score, x.requires_grad_()), dim=1)
    return (norms - 1).square()


def _difference(score: Score, x: Tensor, normal: Tensor, spread: float) -> Tensor:
    step = _positive(spread)
    moved, still = wide(score(x.detach() + step * normal)), wide(score(x))
    return 0.5 * ((moved - still) / step).square()


def _positive(spread: float) -> float:
    if not spread > 0:
        raise BadInput(f"a penalty with noise needs spread > 0, got {spread}; leave it out for the default")
    return spread
