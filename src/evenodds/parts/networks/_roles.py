"""What every family's two roles have in common: a discriminator's head, and the place where c enters a generator."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.errors import BadInput

__all__ = ["ConditionalNorm", "Scores", "batch_norm", "follow", "followed", "head", "input_length"]


class Scores(nn.Module):
    """A discriminator: one linear layer, `logit`, upon `features`.

    What wraps a player, DistributedDataParallel say, sees calls of forward alone. So forward also hands out the
    features: whoever needs them asks forward, and a subclass writes `features` only.
    """

    logit: nn.Linear
    looks_beforehand: ClassVar[bool] = False
    """Whether it has an `embedding`, a network that has learned from others and looks at items before a run."""

    def features(self, x: Tensor) -> Tensor:
        """(N, F): what the last linear layer sees of x (N, ...)."""
        raise NotImplementedError

    def forward(self, x: Tensor, features: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (N,), or (N, outputs) where there are several; with `features` the pair (logits, features (N, F))."""
        hidden = self.features(x)
        logits: Tensor = self.logit(hidden)
        logits = logits.squeeze(1) if logits.shape[1] == 1 else logits
        return (logits, hidden) if features else logits


class ConditionalNorm(nn.Module):
    """Batch normalisation of (N, channels, H, W) whose gain and bias follow c (N, condition).

    de Vries et al. (2017), section 4: gain + W c and bias + V c. One gain and bias per class, as Dumoulin et al.
    (2017) have it, is the same for a one-hot c. W and V start at 0, so that c tells nothing apart at first. Where z
    stands before c, this is self-modulation (Chen et al. 2019, "On self modulation for generative adversarial
    networks", eq. 2) by a linear map.
    """

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.common = nn.Parameter(torch.cat([torch.ones(channels), torch.zeros(channels)]))
        self.change = nn.Parameter(torch.zeros(2 * channels, condition))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        gain, bias = F.linear(c, self.change, self.common)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(bias, gain, self.norm(x))


def batch_norm(channels: int, condition: int) -> nn.Module:
    """Batch normalisation, which follows c where its length `condition` is above 0."""
    return ConditionalNorm(channels, condition) if condition else nn.BatchNorm2d(channels)


def follow(layer: nn.Module, x: Tensor, c: Tensor) -> Tensor:
    """The layer of x, or of x and c where it follows c; of a sequence, its layers one after another."""
    if isinstance(layer, nn.Sequential):
        for one in layer:
            x = follow(one, x, c)
        return x
    y: Tensor = layer(x, c) if isinstance(layer, ConditionalNorm) else layer(x)
    return y


def followed(latent: int, condition: int, conditional_norm: bool, self_modulation: bool) -> tuple[int, int]:
    """Where in a generator's input begins what its norms follow, and how many numbers that is: c, z and c, or none."""
    if self_modulation:
        return 0, input_length(latent, condition)
    return latent, condition * conditional_norm


def input_length(latent: int, condition: int) -> int:
    """The length of a generator's input: z, with c behind it."""
    if condition < 0:
        raise BadInput(f"condition is the length of c, at least 0; got {condition}")
    return latent + condition


def head(features: int, outputs: int) -> nn.Linear:
    """The last layer of a discriminator."""
    if outputs < 1:
        raise BadInput(f"a discriminator needs outputs >= 1, got {outputs}; 1 is the logit of being real")
    return nn.Linear(features, outputs)
