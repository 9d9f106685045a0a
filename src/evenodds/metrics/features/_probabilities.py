"""Extractors that come with a classifier: features and probabilities from one pass."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

__all__ = ["WithProbabilities"]


class WithProbabilities(ABC):
    """An extractor that says all by `both`: x (N, ...) in [-1, 1] -> features (N, F) and probabilities (N, K)."""

    def __call__(self, x: Tensor) -> Tensor:
        """x (N, ...) in [-1, 1] -> (N, F) float32."""
        return self.both(x)[0]

    def probabilities(self, x: Tensor) -> Tensor:
        """(N, K) float32; rows sum to 1."""
        return self.both(x)[1]

    @abstractmethod
    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features and probabilities from one pass, on the device of x, without gradients."""
