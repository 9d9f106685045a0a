"""Super-resolution, after SRGAN (Ledig et al. 2017) and ESRGAN (Wang et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.rules import Batch, Players
from evenodds.parts.degradations import Degradation, Downscale, Realistic
from evenodds.tasks._crops import piece_size
from evenodds.tasks._description import DataDescription
from evenodds.tasks._playable import NetworkSpec
from evenodds.tasks.translate import Translate

__all__ = ["Upscale", "combed"]

PLACES = 3
"""Of the source, along each side, whose sub-pixels are averaged."""


@dataclass(frozen=True, kw_only=True)
class Upscale(Translate):
    """Translate, with sources that are `scale` times smaller: a pixel stage, then an adversarial one.

    Args:
        scale: 2, 3 or 4.
        realistic: sources are blurred, noisy and compressed too, by random amounts, as photographs from elsewhere
            are; without it, they are bicubic reductions, for which the scores of papers are.
        comb: weight of the mean absolute error of `combed` images. It ends dots that repeat as the grid of the
            enlargement does: sub-pixel convolution (Shi et al. 2016) has weights for each sub-pixel, and one that
            differs from the others is contrast for a discriminator. It joins with that, and is 0 without one.
    """

    scale: int = 4
    realistic: bool = False
    comb: float = 0.0
    sees_source: bool = False
    turns: str = "all"
    command: ClassVar[str] = "upscale"
    of_discriminator: ClassVar[tuple[str, ...]] = (*Translate.of_discriminator, "comb")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.comb < 0:
            raise BadInput(f"comb is a weight of at least 0, got {self.comb}; 0 leaves it out")

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The network of each player, for items x of that shape."""
        least = PLACES * self.scale
        if self.comb and min(size := piece_size(shape, self.crop)) < least:
            pieces = " x ".join(map(str, size))
            raise BadInput(
                f"task.comb needs pieces of at least {least} x {least} pixels, got {pieces}; set task.comb=0"
            )
        return super().networks(shape)

    def late_costs(self, players: Players, output: Tensor, hand: Batch) -> dict[str, Tensor]:
        """The error that repeats as the grid does, beside the others."""
        costs = super().late_costs(players, output, hand)
        if self.comb and self.adversarial:
            costs["comb"] = self.comb * combed(output - hand["x"], self.scale).abs().mean()
        return costs

    @classmethod
    def layout(cls, options: Mapping[str, Any]) -> str:
        """Images alone."""
        return "images"

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """How sources are made."""
        scale, realistic = options.get("scale", cls.scale), options.get("realistic", cls.realistic)
        if "degradation" in options:
            raise BadInput("the task upscale makes its own sources; set task.scale and task.realistic")
        degradation: Degradation = Realistic(scale) if realistic else Downscale(scale)
        return {**super().suits(data, {"degradation": degradation}), "degradation": degradation, "scale": scale}


def combed(x: Tensor, scale: int) -> Tensor:
    """Means of x (N, C, H, W) over 3 x 3 pixels that lie `scale` apart: what repeats every `scale` pixels is left.

    A comb filter: it passes the multiples of 1/scale cycle a pixel in both directions, 0 among them, and what is near.

    Returns:
        (N, C scale^2, H / scale - 2, W / scale - 2): the sub-pixels as channels.

    Example:
        >>> import torch
        >>> dots = torch.zeros(1, 1, 12, 12)
        >>> dots[..., ::4, ::4] = 1
        >>> combed(dots, 4).flatten().tolist()
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    return F.avg_pool2d(F.pixel_unshuffle(x, scale), PLACES, 1)
