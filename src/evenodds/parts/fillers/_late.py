"""What fillers have in common: a residual step, and noise that enters late, so that several fillings share the rest."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Residual", "several"]


class Residual(nn.Module):
    """x + W silu(V norm(x)) on (N, width), the identity at first."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm, self.drop = nn.LayerNorm(width), nn.Dropout(dropout)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.narrow(self.drop(F.silu(self.widen(self.norm(x)))))
        return x + change


def several(x: Tensor, z: Tensor) -> Tensor:
    """x (N, ...) once for each of the K fillings that z (K N, latent) asks for: (K N, ...)."""
    return x if len(x) == len(z) else x.repeat(len(z) // len(x), *[1] * (x.dim() - 1))
