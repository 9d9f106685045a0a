"""Networks of the benchmark of few labels: those of Salimans et al. (2016) for MNIST, and one of convolutions."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["LATENT", "Convolutions", "FullyConnected", "Generator"]

LATENT, WIDTHS = 100, (1000, 500, 250, 250, 250)


class Normed(nn.Module):
    """A linear layer whose rows have length 1, times a gain (Salimans and Kingma 2016), which need not be learned."""

    def __init__(self, inputs: int, outputs: int, learned: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.1 * torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = nn.Parameter(torch.ones(outputs), requires_grad=learned)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, F.linear(x, self.weight), self.gain / self.weight.norm(dim=1))

    @torch.no_grad()
    def begin(self, x: Tensor) -> Tensor:
        """Gain and bias such that the answers to x have mean 0 and deviation 1; these answers."""
        return _begun(self, x, (0,))


class NormedConvolution(nn.Module):
    """The same of a convolution with padding that keeps the size before the stride; its gain is not learned."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.1 * torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = nn.Parameter(torch.ones(outputs), requires_grad=False)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * (self.gain / self.weight.flatten(1).norm(dim=1))[:, None, None, None]
        weight = weight.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, weight, self.bias, self.stride, self.weight.shape[2] // 2)

    @torch.no_grad()
    def begin(self, x: Tensor) -> Tensor:
        """Gain and bias such that each channel of the answers to x has mean 0 and deviation 1; these answers."""
        return _begun(self, x, (0, 2, 3))


def _begun(layer: Any, x: Tensor, over: tuple[int, ...]) -> Tensor:
    answers = layer(x)
    mean, deviation = answers.mean(over), answers.std(over) + 1e-6
    layer.gain.div_(deviation)
    layer.bias.copy_(-mean / deviation)
    begun: Tensor = layer(x)
    return begun


class FullyConnected(nn.Module):
    """x (N, 1, 28, 28) in [-1, 1] -> logits (N, 10): the paper's.

    Gaussian noise of 0.3 on pixels in [0, 1] and of 0.5 on each hidden layer, while training.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(Normed(a, b, False) for a, b in zip([784, *WIDTHS], WIDTHS, strict=False))
        self.logit = Normed(WIDTHS[-1], 10, True)

    def forward(self, x: Tensor, features: bool = False) -> Any:
        """Logits (N, 10); with `features` the pair (logits, features (N, 250))."""
        seen = noisy(self, (x.flatten(1) + 1) / 2, 0.3)
        for layer in self.hidden:
            answers = F.relu(layer(seen))
            seen = noisy(self, answers, 0.5)
        logits = self.logit(seen)
        return (logits, answers) if features else logits

    @torch.no_grad()
    def begin(self, x: Tensor) -> None:
        """Gains and biases by some images."""
        seen = noisy(self, (x.flatten(1) + 1) / 2, 0.3)
        for layer in self.hidden:
            seen = noisy(self, F.relu(layer.begin(seen)), 0.5)
        self.logit.begin(seen)


class Convolutions(nn.Module):
    """x (N, 1, 28, 28) in [-1, 1] -> logits (N, 10): three convolutions of stride 2 and a layer of 250.

    Gaussian noise of 0.3 on pixels in [0, 1] and of 0.5 on the last maps and the features, while training.

    Args:
        maps: of the three convolutions.
    """

    def __init__(self, maps: tuple[int, int, int] = (16, 48, 128)) -> None:
        super().__init__()
        plan = zip((1, *maps[:2]), maps, (5, 3, 3), strict=True)
        self.maps = nn.ModuleList(NormedConvolution(*layer, 2) for layer in plan)
        self.hidden = Normed(maps[-1] * 4 * 4, 250, False)
        self.logit = Normed(250, 10, True)

    def forward(self, x: Tensor, features: bool = False) -> Any:
        """Logits (N, 10); with `features` the pair (logits, features (N, 250))."""
        seen = self._first(x)
        for layer in self.maps:
            seen = F.relu(layer(seen))
        answers = F.relu(self.hidden(noisy(self, _flat(seen), 0.5)))
        logits = self.logit(noisy(self, answers, 0.5))
        return (logits, answers) if features else logits

    @torch.no_grad()
    def begin(self, x: Tensor) -> None:
        """Gains and biases by some images."""
        seen = self._first(x)
        for layer in self.maps:
            seen = F.relu(layer.begin(seen))
        answers = F.relu(self.hidden.begin(noisy(self, _flat(seen), 0.5)))
        self.logit.begin(noisy(self, answers, 0.5))

    def _first(self, x: Tensor) -> Tensor:
        return noisy(self, (x + 1) / 2, 0.3).contiguous(memory_format=torch.channels_last)


def _flat(maps: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H W C), as they lie in memory."""
    return maps.permute(0, 2, 3, 1).flatten(1)


class Generator(nn.Module):
    """z (N, 100) -> x: the paper's, two layers of 500 softplus units with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(a, 500, bias=False) for a in (LATENT, 500))
        self.norms = nn.ModuleList(nn.BatchNorm1d(500) for _ in range(2))
        self.out = Normed(500, 784, True)

    def forward(self, z: Tensor) -> Tensor:
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            z = F.softplus(norm(layer(z).float()))
        return torch.tanh(self.out(z) / 2).unflatten(1, (1, 28, 28))


POOL = torch.randn(1 << 22, generator=torch.Generator().manual_seed(0))
"""Normal numbers that are drawn once: fresh ones for every layer take an eighth of a round."""


def noisy(network: nn.Module, x: Tensor, deviation: float) -> Tensor:
    """x, and Gaussian noise of that deviation while the network is training: a stretch of the pool from anywhere."""
    if not network.training:
        return x
    start = int(torch.randint(len(POOL) - x.numel(), ()))
    return torch.add(x, POOL[start : start + x.numel()].view_as(x), alpha=deviation)
