"""A discriminator of patches (Isola et al. 2017, section 3.2.2): is each piece of an image real?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evenodds.parts.mappers._parts import SLOPE
from evenodds.parts.networks._conv import Conv2d
from evenodds.parts.networks._levels import check_batch, image_shape, widths
from evenodds.parts.networks._roles import Scores

__all__ = ["Discriminator"]


class Discriminator(Scores):
    """x (N, C, H, W) -> logits (N, P), one for each patch.

    Losses are averaged over patches; penalties are those of an item's mean logit. It has no norm, so that each item is
    scored on its own, as penalties on its gradient need.

    Args:
        shape: (C, H, W), H and W at least 4.
        width: channels after the first layer.
        growth: factor from a layer to the next.
        cap: most channels.
        layers: how often the image is halved, at most until a side is 2; each patch spans 5 * 2^layers - 2 pixels.
    """

    def __init__(
        self, shape: Sequence[int], *, width: int = 32, growth: float = 2.0, cap: int = 256, layers: int = 3
    ) -> None:
        super().__init__()
        channels, size = image_shape("patch", shape)
        self.shape = (channels, *size)
        count = max(1, min(layers, min(size).bit_length() - 2))
        levels = [channels, *widths(width, growth, cap, count)]
        halving = [Conv2d(levels[k], levels[k + 1], 4, 2, 1) for k in range(count)]
        self.layers = nn.ModuleList(map(_start, [*halving, Conv2d(levels[-1], levels[-1], 3, padding=1)]))
        self.logit = nn.Linear(levels[-1], 1)
        self.activation = nn.LeakyReLU(SLOPE)

    def features(self, x: Tensor) -> Tensor:
        """(N, P, F): what the last linear layer sees of each patch."""
        check_batch(x, self.shape)
        hidden = x
        for layer in self.layers:
            hidden = self.activation(layer(hidden))
        return hidden.flatten(2).transpose(1, 2)

    def forward(self, x: Tensor, features: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (N, P); with `features` the pair (logits, features (N, P, F))."""
        hidden = self.features(x)
        logits: Tensor = self.logit(hidden).squeeze(2)
        return (logits, hidden) if features else logits


def _start(conv: Conv2d) -> Conv2d:
    nn.init.kaiming_normal_(conv.weight, SLOPE)
    with torch.no_grad():
        conv.bias.zero_()  # type: ignore[union-attr]
    return conv
