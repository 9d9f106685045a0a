"""Players given c: what a generator makes of z and c, and the ways for a discriminator to judge x by c.

c is (N, K) float. Whoever binds it to a player gets a player of the unconditional game: losses, penalties and views
then act on x alone, c being fixed, and every one of them plays the conditional game unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.game.slices import average, summed, whole
from evenodds.parts.losses import conditional

__all__ = [
    "CONTRASTS",
    "COSTS",
    "WAYS",
    "ConditionedDiscriminator",
    "ConditionedGenerator",
    "balanced",
    "contrast",
    "discriminator_options",
    "one_hot",
]

Answer = tuple[Tensor, Tensor | None]
"""Adversarial logits (n,), and what the discriminator says of c, (n, K), where it is asked."""


class ConditionedGenerator(nn.Module):
    """z (N, latent) -> x, for a c (N, K), or (1, K) for all, that is put behind z."""

    def __init__(self, generator: nn.Module, c: Tensor) -> None:
        super().__init__()
        self.generator, self.c = generator, c

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.generator(torch.cat([z, self.c.to(z.dtype).expand(len(z), -1)], 1))
        return x


class ConditionedDiscriminator(nn.Module):
    """x (n, ...) -> logits (n,), for a c (N, K). Item i is judged by c[i % N]: n is N, or 2N for real beside fake.

    Args:
        discriminator: built with `discriminator_options`.
        way: a key of WAYS.
    """

    def __init__(self, discriminator: nn.Module, c: Tensor, way: str) -> None:
        super().__init__()
        self.discriminator, self.c, self.way = discriminator, c, WAYS[way]
        self.condition_outputs: list[Tensor] = []
        """(n, K) outputs about c beside the logits, call by call, in the ways that have a cost for them."""

    def forward(self, x: Tensor) -> Tensor:
        logits, of_c = self.way(self.discriminator, x, self.c.repeat(len(x) // len(self.c), 1))
        self.condition_outputs += [] if of_c is None else [of_c]
        return logits


def concatenation(discriminator: nn.Module, x: Tensor, c: Tensor) -> Answer:
    """c joins x as further columns or constant planes: Mirza and Osindero (2014). Any function of x and c."""
    planes = c.to(x.dtype).view(*c.shape, *[1] * (x.dim() - 2)).expand(-1, -1, *x.shape[2:])
    return discriminator(torch.cat([x, planes], 1)), None


def projection(discriminator: nn.Module, x: Tensor, c: Tensor) -> Answer:
    """out[:, 0] + <c, out[:, 1:]>: Miyato and Koyama (2018), eq. 3, y^T V phi(x) + psi(phi(x)).

    The outputs are one linear layer W phi + b. Its row 0 is a linear psi, as in the paper's networks; rows 1 to K are
    V, one embedding for each class. The biases of these rows add c^T b, which the derivation holds as well: the
    log ratio of p(c) to q(c). No layer is missing. The logit is linear in c.
    """
    out: Tensor = discriminator(x)
    return out[:, 0] + (out[:, 1:] * c).sum(1), None


def auxiliary(discriminator: nn.Module, x: Tensor, c: Tensor) -> Answer:
    """out[:, 0] says whether x is real, out[:, 1:] which c it belongs to: Odena et al. (2017)."""
    out: Tensor = discriminator(x)
    return out[:, 0], out[:, 1:]


def projection_auxiliary(discriminator: nn.Module, x: Tensor, c: Tensor) -> Answer:
    """The logit of `projection` by out[:, : 1 + K], and out[:, 1 + K :], which say which c it belongs to."""
    out: Tensor = discriminator(x)
    length = c.shape[1]
    return out[:, 0] + (out[:, 1 : 1 + length] * c).sum(1), out[:, 1 + length :]


def compared(discriminator: nn.Module, x: Tensor, c: Tensor) -> Answer:
    """The logit; and the cosines of the features with the rows of the last layer, beside the features at length 1.

    The rows are the proxies of the classes: Kang and Park (2020), Kang et al. (2021).
    """
    out, features = discriminator(x, features=True)
    last: Any = discriminator.logit
    unit, proxies = F.normalize(features, dim=1), F.normalize(last.weight[1:], dim=1)
    return out[:, 0], torch.cat([unit @ proxies.T, unit], 1)


def multi_hinge(discriminator: nn.Module, x: Tensor, c: Tensor) -> Answer:
    """The margin of the class that was asked for over all others and over fakes: Kavalerov et al. (2021)."""
    out: Tensor = discriminator(x)
    return conditional.margin(out, c), out


WAYS: Mapping[str, Callable[[nn.Module, Tensor, Tensor], Answer]] = {
    "concatenation": concatenation,
    "projection": projection,
    "auxiliary": auxiliary,
    "projection_auxiliary": projection_auxiliary,
    "contrastive": compared,
    "data_to_data": compared,
    "multi_hinge": multi_hinge,
}
"""How a discriminator judges x (n, ...) by c (n, K)."""


def discriminator_options(way: str, shape: Sequence[int], length: int) -> dict[str, Any]:
    """What a discriminator is to be built with: the shape of what it sees, and its number of outputs.

    Args:
        shape: of x, (D,) or (C, H, W).
        length: K, of c.
    """
    if way == "concatenation":
        return {"shape": (shape[0] + length, *shape[1:]), "outputs": 1}
    return {"shape": tuple(shape), "outputs": 1 + (2 if way == "projection_auxiliary" else 1) * length}


def cross_entropy(logits: Tensor, c: Tensor) -> Tensor:
    """Scalar mean over the items whose class is known, for logits (n, K) and one-hot c; rows of zeros do not enter."""
    surprise, known = summed(-(c * logits.log_softmax(1)).sum()), summed(c.sum())
    return surprise / known.clamp(min=1)


def binary_cross_entropy(logits: Tensor, c: Tensor) -> Tensor:
    """Scalar mean over items and attributes, for logits (n, K) and c in {0, 1}."""
    return average(F.binary_cross_entropy_with_logits(logits, c.to(logits.dtype), reduction="none"))


def squared_error(estimates: Tensor, c: Tensor) -> Tensor:
    """Scalar mean over items and values, for estimates (n, K) of c."""
    return average((estimates - c).square())


COSTS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "classes": cross_entropy,
    "attributes": binary_cross_entropy,
    "values": squared_error,
}
"""What being wrong about c costs, by what c holds: one of K classes, K attributes of 0 or 1, or K values in [-1, 1]."""


CONTRASTS: Mapping[str, Callable[..., Tensor]] = {
    "contrastive": conditional.contrastive,
    "data_to_data": conditional.data_to_data,
}
"""What outputs about the class cost by the way, where items of a batch are compared."""


def contrast(way: str, outputs: Tensor, c: Tensor, temperature: float) -> Tensor:
    """Scalar mean over the items of the whole batch whose class is known, for outputs of `compared` and one-hot c."""
    all_outputs, all_c = whole(outputs), whole(c)
    return CONTRASTS[way](all_outputs, all_c, temperature=temperature).sum() / all_c.sum().clamp(min=1)


def one_hot(y: Tensor, classes: int) -> Tensor:
    """(N,) int64 -> (N, classes) float32; zeros where y is -1. Reads no values back from the device."""
    return (y[:, None] == torch.arange(classes, device=y.device)).float()


def balanced(c: Tensor, rng: torch.Generator) -> Tensor:
    """Indices (N,) of a batch in which all classes that are present take equal shares.

    An item is drawn with the chance 1 / number of its class, so x given c stays as it was, and only p(c) changes.
    Items of no class keep the share that they have. The sampling is systematic (Madow 1949): each class gets its share,
    rounded up or down.

    Args:
        c: (N, K) one-hot, or zeros where the class is not known.
    """
    groups = torch.cat([1 - c.sum(1, keepdim=True), c], 1)
    counts = groups.sum(0)
    present = (counts[1:] > 0).sum().clamp(min=1)
    shares = torch.cat([counts[:1], counts[1:].sum().expand(c.shape[1]) / present])  # in items; they sum to N
    order = groups.argmax(1).argsort(stable=True)
    reach = (groups @ (shares / counts.clamp(min=1)))[order].cumsum(0)
    at = torch.arange(len(c), device=c.device) + torch.rand(1, generator=rng, device=c.device)
    return order[torch.searchsorted(reach, at).clamp(max=len(c) - 1)]
