"""Residual in residual dense blocks, as in ESRGAN (Wang et al. 2018): large, for machines with an accelerator.

The defaults are the paper's network: 23 blocks of three dense blocks of five convolutions each, residuals scaled by
0.2, no normalisation. As in `residual`, all of it works at the size of the source, and what it makes is added to the
bicubic enlargement.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.parts.mappers._parts import SLOPE, check, conv
from evenodds.parts.mappers._sub_pixel import SubPixel

__all__ = ["Generator"]

RESIDUAL = 0.2
"""Factor on every residual, section 3.1."""


class Generator(SubPixel):
    """(N, inputs, H, W) -> (N, outputs, scale H, scale W), for any H and W.

    Args:
        inputs: channels of the source.
        outputs: channels of what is made.
        scale: 1 to 4.
        width: channels between dense blocks.
        growth: channels that each convolution of a dense block adds.
        blocks: how many, of three dense blocks each.
        chroma: full or source, as of `residual`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        scale: int = 1,
        width: int = 64,
        growth: int = 32,
        blocks: int = 23,
        chroma: str = "full",
    ) -> None:
        check(inputs, outputs, scale, (1, 2, 3, 4))
        if min(width, growth) < 1 or blocks < 0:
            raise BadInput(f"width, growth >= 1 and blocks >= 0 are needed, got {width}, {growth} and {blocks}")
        triples = (_Triple(width, growth) for _ in range(blocks))
        margin = 15 * blocks + 4
        super().__init__(inputs, outputs, scale, width, triples, margin, refined=True, chroma=chroma)


class _Triple(nn.Module):
    """Three dense blocks and a residual about them, Figure 4 of the paper."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(*(_Dense(width, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.dense(x)
        return x + RESIDUAL * change


class _Dense(nn.Module):
    """Five convolutions, each of which sees the input and what all before it made."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv(width + k * growth, growth if k < 4 else width, 0.1) for k in range(5))

    def forward(self, x: Tensor) -> Tensor:
        hidden = [x]
        for layer in self.layers[:-1]:
            hidden.append(F.leaky_relu(layer(torch.cat(hidden, 1)), SLOPE))
        change: Tensor = self.layers[-1](torch.cat(hidden, 1))
        return x + RESIDUAL * change
