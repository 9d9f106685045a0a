"""Strided convolutions, batch normalisation and nothing else, for images of any size and number of channels.

Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks" (2016). Kernels of 4 with stride 2 and, where the side of a level is odd, one more row or column of
padding, so that every size is met exactly and nothing is cut off afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from evenodds.errors import unknown
from evenodds.parts.networks._beside import heads
from evenodds.parts.networks._levels import (
    Size,
    beside_spread,
    check_batch,
    image_shape,
    level_sizes,
    start_weights,
    strided,
    transposed,
    widths,
)
from evenodds.parts.networks._roles import Scores, batch_norm, follow, followed, head, input_length

__all__ = ["Discriminator", "Generator"]


class Generator(nn.Module):
    """z (N, latent) -> (N, C, H, W) in [-1, 1].

    Batch normalisation needs more than one value per channel: in training mode a batch of 1 works because the
    coarsest level has at least 4 x 4 pixels, but the items of a batch influence one another.

    Args:
        latent: length of z.
        shape: (C, H, W), H and W at least 4.
        width: channels of the finest hidden level, half the size of the image; 128 in the paper.
        growth: factor from a level to the next coarser one.
        cap: most channels of a level; 1024 in the paper.
        bottom: least side of the coarsest level.
        condition: length of c, which stands behind z: the input is then (N, latent + condition).
        conditional_norm: also lets the gain and bias of each normalisation follow c, where there is one (de Vries et
            al. 2017).
        self_modulation: also lets them follow z, and c where there is one (Chen et al. 2019).
    """

    def __init__(
        self,
        latent: int,
        shape: Sequence[int],
        *,
        width: int = 64,
        growth: float = 2.0,
        cap: int = 512,
        bottom: int = 4,
        condition: int = 0,
        conditional_norm: bool = False,
        self_modulation: bool = False,
    ) -> None:
        super().__init__()
        channels, size = image_shape("dcgan", shape)
        steps = _steps(size, bottom)
        outputs = [channels, *widths(width, growth, cap, len(steps))]
        self.bottom = (outputs[-1], *steps[-1][1])
        length = input_length(latent, condition)
        self.first_followed, numbers = followed(latent, condition, conditional_norm, self_modulation)
        self.project = nn.Linear(length, math.prod(self.bottom), bias=False)
        layers: list[nn.Module] = []
        for level in range(len(steps) - 1, -1, -1):
            fine, coarse = steps[level]
            layers += [batch_norm(outputs[level + 1], numbers), nn.ReLU(inplace=True)]
            layers += [transposed(outputs[level + 1], outputs[level], coarse, fine, bias=level == 0)]
        self.layers = nn.Sequential(*layers)
        start_weights(self, 0.02)

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.project(z).unflatten(1, self.bottom)
        return follow(self.layers, x, z[:, self.first_followed :]).tanh()


class Discriminator(Scores):
    """x (N, C, H, W) -> logits (N,).

    Args:
        shape: (C, H, W), H and W at least 4.
        width: channels of the finest hidden level, half the size of the image; 128 in the paper.
        growth: factor from a level to the next coarser one.
        cap: most channels of a level; 1024 in the paper.
        bottom: least side of the coarsest level.
        norm: "spectral" (Miyato et al. 2018), "batch", the paper's, on all but the first layer, or "none". Under
            "batch" the items of a batch influence one another, which penalties on gradients do not allow for.
        minibatch_std: shows the last layer the spread of its batch (Karras et al. 2018); items then see one another.
        dropout: share of the features that are dropped while training, each for itself, before the last layer.
        pretrained: side at which frozen features of photographs look at images too (Kumari et al. 2022), for which
            the extra `evenodds[pretrained]` is needed; 0 for none.
        outputs: numbers per item; with more than one the logits are (N, outputs).
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        width: int = 64,
        growth: float = 2.0,
        cap: int = 512,
        bottom: int = 4,
        norm: str = "spectral",
        minibatch_std: bool = False,
        dropout: float = 0.0,
        pretrained: int = 0,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        channels, size = image_shape("dcgan", shape)
        if norm not in _NORMS:
            raise unknown("norm", norm, _NORMS)
        self.shape, self.minibatch_std = (channels, *size), minibatch_std
        steps = _steps(size, bottom)
        sides = [channels, *widths(width, growth, cap, len(steps))]
        layers: list[nn.Module] = []
        for level, (fine, coarse) in enumerate(steps):
            normed = norm == "batch" and level > 0
            layers += [strided(sides[level], sides[level + 1], fine, coarse, bias=not normed)]
            layers += [nn.BatchNorm2d(sides[level + 1])] if normed else []
            layers += [nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        last = steps[-1][1]
        self.beside = heads(channels, pretrained)
        own = (sides[-1] + minibatch_std) * last[0] * last[1]
        self.drop = nn.Dropout(dropout)
        self.logit = head(own + (self.beside.features if self.beside is not None else 0), outputs)
        start_weights(self, 0.02 if norm == "batch" else None)
        if norm == "spectral":
            for layer in [*self.layers, self.logit]:
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    spectral_norm(layer)

    def features(self, x: Tensor) -> Tensor:
        check_batch(x, self.shape)
        features: Tensor = self.layers(x)
        features = (beside_spread(features) if self.minibatch_std else features).flatten(1)
        seen: Tensor = self.drop(features if self.beside is None else torch.cat([features, self.beside(x)], 1))
        return seen


def _steps(size: Size, bottom: int) -> list[tuple[Size, Size]]:
    """The steps from level to level, finest first; an image too small to be halved has one step that keeps its size."""
    sizes = level_sizes(size, bottom)
    return list(pairwise(sizes)) or [(size, size)]


_NORMS = ("spectral", "batch", "none")
