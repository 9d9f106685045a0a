"""Fully connected networks, for vectors and for images of any shape.

Goodfellow et al., "Generative Adversarial Nets" (2014), section 5: rectifier layers in the generator, maxout
layers (Goodfellow et al. 2013) and dropout in the discriminator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput, unknown
from evenodds.parts.networks._levels import beside_spread, check_batch
from evenodds.parts.networks._roles import Scores, head, input_length

__all__ = ["Discriminator", "Generator", "Maxout"]


class Generator(nn.Module):
    """z (N, latent) -> (N, *shape), for images in [-1, 1].

    Args:
        latent: length of z.
        shape: (D,) for vectors, (C, H, W) for images.
        width: units per hidden layer. The paper's network for MNIST has width 1200, depth 2 and init 0.05.
        depth: hidden layers of rectifiers; 0 makes the network affine.
        output: "tanh", "linear", or "auto": tanh for images, linear for vectors.
        init: weights start uniform in [-init, init], biases at 0; None leaves PyTorch's own start.
        condition: length of c, which stands behind z: the input is then (N, latent + condition).
    """

    def __init__(
        self,
        latent: int,
        shape: Sequence[int],
        *,
        width: int = 256,
        depth: int = 2,
        output: str = "auto",
        init: float | None = None,
        condition: int = 0,
    ) -> None:
        super().__init__()
        self.shape = _shape(shape)
        if output not in _OUTPUTS:
            raise unknown("output", output, _OUTPUTS)
        self.bounded = output == "tanh" or (output == "auto" and len(self.shape) == 3)
        sizes = [input_length(latent, condition), *[width] * depth]
        hidden = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(sizes[-1], math.prod(self.shape)))
        _start(self, init)

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.layers(z).view(-1, *self.shape)
        return x.tanh() if self.bounded else x


class Discriminator(Scores):
    """x (N, *shape) -> logits (N,).

    Args:
        shape: (D,) for vectors, (C, H, W) for images.
        width: units per hidden layer. The paper's network for MNIST has width 240, depth 2, activation "maxout",
            init 0.005, dropout_input 0.2 and dropout 0.5.
        depth: hidden layers; 0 makes the network affine.
        activation: "leaky_relu" (slope 0.2), "relu", or "maxout", the largest of `pieces` affine maps per unit.
        pieces: affine maps per maxout unit.
        dropout: share of hidden units dropped while training. Dropout draws from PyTorch's global generator.
        dropout_input: share of inputs dropped while training.
        noise: standard deviation of Gaussian noise added to x while training (instance noise, Sønderby et al. 2017;
            Arjovsky and Bottou 2017): the players then meet on p_data and p_g blurred by it, which overlap.
        gain: factor on x. Raise it for densities with details much finer than their range, which a network learns
            late (Rahaman et al. 2019); penalties on gradients see it too.
        minibatch_std: shows the last layer the spread of its batch (Karras et al. 2018); items then see one another.
        init: weights start uniform in [-init, init], biases at 0; None leaves PyTorch's own start.
        outputs: numbers per item; with more than one the logits are (N, outputs).
        code: above 0 the network is an autoencoder with so many units in its middle, as EBGAN (Zhao et al. 2017) and
            BEGAN (Berthelot et al. 2017) have it. The logit is then the one whose energy softplus(-logit) is the mean
            absolute error of the reconstruction. It is steep where that is small: play it without a gradient penalty.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        width: int = 256,
        depth: int = 2,
        activation: str = "leaky_relu",
        pieces: int = 5,
        dropout: float = 0.0,
        dropout_input: float = 0.0,
        noise: float = 0.0,
        gain: float = 1.0,
        minibatch_std: bool = False,
        init: float | None = None,
        outputs: int = 1,
        code: int = 0,
    ) -> None:
        super().__init__()
        self.shape = _shape(shape)
        if activation not in _ACTIVATIONS:
            raise unknown("activation", activation, _ACTIVATIONS)
        sizes = [math.prod(self.shape), *[width] * depth]
        layers = _dropout(dropout_input)
        for a, b in pairwise(sizes):
            layers += [*_hidden(activation, a, b, pieces), *_dropout(dropout)]
        self.layers = nn.Sequential(*layers)
        if noise < 0:
            raise BadInput(f"'noise' is a standard deviation of at least 0, got {noise}; 0.1 to 0.5 is usual")
        self.gain, self.minibatch_std, self.noise = gain, minibatch_std, noise
        self.logit = head(sizes[-1] + minibatch_std, outputs)
        if code < 0 or (code and (outputs > 1 or minibatch_std)):
            raise BadInput(
                f"an autoencoder has code >= 0, one output and no minibatch_std, got {code}, {outputs} outputs"
            )
        if code:
            decoder = [size for size in (code, *reversed(sizes[1:]))]
            self.logit = nn.Linear(sizes[-1], code)
            hidden = [layer for a, b in pairwise(decoder) for layer in _hidden(activation, a, b, pieces)]
            self.decoder = nn.Sequential(*hidden, nn.Linear(decoder[-1], sizes[0]))
        self.code = code
        _start(self, init)

    def features(self, x: Tensor) -> Tensor:
        check_batch(x, self.shape)
        if self.noise and self.training:
            x = x + self.noise * torch.randn_like(x)
        features: Tensor = self.layers(self.gain * x.flatten(1))
        return beside_spread(features) if self.minibatch_std else features

    def forward(self, x: Tensor, features: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        if not self.code:
            return super().forward(x, features)
        hidden = self.features(x)
        energy = (self.decoder(self.logit(hidden)) - x.flatten(1)).abs().mean(1).clamp(min=LEAST)
        # -log(exp(energy) - 1), finite where the exponential is not.
        logits = -(energy + (-(-energy).expm1()).log())
        return (logits, hidden) if features else logits


class Maxout(nn.Module):
    """(N, inputs) -> (N, units): each unit is the largest of `pieces` affine maps, Goodfellow et al. (2013)."""

    def __init__(self, inputs: int, units: int, pieces: int = 5) -> None:
        super().__init__()
        self.pieces = (pieces, units)
        self.affine = nn.Linear(inputs, pieces * units)

    def forward(self, x: Tensor) -> Tensor:
        affine: Tensor = self.affine(x)
        return affine.view(-1, *self.pieces).amax(1)


LEAST = 1e-6
"""Energy of an autoencoder below which its logit no longer grows."""
_OUTPUTS = ("auto", "tanh", "linear")
_ACTIVATIONS = ("leaky_relu", "relu", "maxout")


def _hidden(activation: str, inputs: int, units: int, pieces: int) -> list[nn.Module]:
    if activation == "maxout":
        return [Maxout(inputs, units, pieces)]
    return [nn.Linear(inputs, units), nn.LeakyReLU(0.2) if activation == "leaky_relu" else nn.ReLU()]


def _shape(shape: Sequence[int]) -> tuple[int, ...]:
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise BadInput(f"mlp needs a shape (D,) or (C, H, W) of positive sides, got {tuple(shape)}; reshape the data")
    return tuple(int(side) for side in shape)


def _dropout(share: float) -> list[nn.Module]:
    return [nn.Dropout(share)] if share else []


def _start(net: nn.Module, init: float | None) -> None:
    for layer in net.modules():
        if init is not None and isinstance(layer, nn.Linear):
            nn.init.uniform_(layer.weight, -init, init)
            nn.init.zeros_(layer.bias)
