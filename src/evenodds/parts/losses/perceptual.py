"""How far images are from the truth in what a network trained on photographs sees of them."""

from __future__ import annotations

import torch
from torch import Tensor

from evenodds.pretrained.rungs import Rungs

__all__ = ["Perceptual"]


class Perceptual(Rungs):
    """The mean absolute difference of frozen features: the perceptual cost of Johnson et al. (2016), eq. 2.

    The features are four maps of EfficientNet-Lite0, at strides of 4, 8, 16 and 32, each divided by its root mean
    square on photographs, so that all weigh alike (features differ in scale: Zhang et al. 2018, "The unreasonable
    effectiveness of deep features as a perceptual metric", section 3). The difference is absolute instead of squared,
    as in ESRGAN (Wang et al. 2018, section 3.3). The truth has no slope.
    """

    def forward(self, made: Tensor, truth: Tensor) -> Tensor:
        """made, truth (N, 1 or 3, H, W) in [-1, 1], H and W at least 32 -> (N,); 0 where they are equal."""
        with torch.no_grad():
            seen = self.maps(truth)
        apart = [(a - b).abs().flatten(1).mean(1) for a, b in zip(self.maps(made), seen, strict=True)]
        return torch.stack(apart).mean(0)
