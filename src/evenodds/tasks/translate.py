"""Image to image: x follows from a source, after Isola et al. (2017), "Image-to-image translation"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.rules import Batch, Players
from evenodds.metrics.psnr import psnr
from evenodds.parts.degradations import Degradation
from evenodds.tasks._crops import deal_piece
from evenodds.tasks._image_to_image import Paired
from evenodds.tasks._playable import Conversion, DataDescription, NetworkSpec

__all__ = ["Translate"]


@dataclass(frozen=True, kw_only=True)
class Translate(Paired):
    """A generator makes an image of another; pairs are given, or made by taking something away from whole images.

    Args:
        degradation: makes the source of x, anew at every deal; None: the data hold the sources.
        inputs: channels of the source; follows from the data.
        scale: how many times larger x is than its source; follows from the data.
        pixel: weight of the mean absolute difference from the truth.
    """

    degradation: Degradation | None = None
    inputs: int
    scale: int = 1
    pixel: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.pixel > 0 or (self.pixel == 0 and self.adversarial and not self.adversarial_from)):
            raise BadInput(f"pixel must be above 0, or 0 with an adversary from the start; got {self.pixel}; raise it")
        if self.crop is not None and self.crop % self.scale:
            raise BadInput(f"pieces of side {self.crop} cannot be {self.scale} times their source; set another crop")

    @classmethod
    def layout(cls, options: Mapping[str, Any]) -> str:
        """Images alone where their sources are made."""
        return "pairs" if options.get("degradation") is None else "images"

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """How many channels a source has, and how much smaller it is."""
        if len(data.shape) != 3:
            raise BadInput(f"images are made from images, got items of shape {data.shape}; give images")
        degradation = options.get("degradation")
        if degradation is not None:
            return {"inputs": degradation.channels(data.shape[0]), "scale": degradation.scale}
        if "source" not in data.beside:
            raise BadInput(
                "these data hold no sources to make images from; give two folders with equal names, such as source/ "
                "and target/, or a degradation, e.g. --set task.degradation=noise"
            )
        channels, *size = data.beside["source"].shape
        return {"inputs": channels, "scale": data.shape[1] // size[0]}

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The network of each player, for items x of that shape."""
        options = {"scale": self.scale} if self.scale > 1 else {}
        mapper = {"generator": NetworkSpec("Mapper", (self.inputs, shape[0]), options)}
        return mapper | self.discriminator_spec(shape[0] + self.inputs * self.sees_source, shape)

    def conversion(self, shape: Sequence[int]) -> Conversion:
        """An image x, which is a better version of its source where that is a degraded x."""
        return Conversion(self.inputs, shape[0], self.scale, restores=self.degradation is not None)

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """Pieces "x" with their "source", and the contest's draws."""
        if self.degradation is not None:
            x = self.piece(real["x"], rng).of(real["x"])
            source = self.degradation(x, rng)
        else:
            small = real["source"]
            crop = None if self.crop is None else self.crop // self.scale
            piece = deal_piece(small, crop, self.turns, rng)
            x, source = piece.of(real["x"], self.scale), piece.of(small)
        return {"x": x, "source": source, **self.contest.deal(x, rng)}

    def fit_costs(self, output: Tensor, hand: Batch) -> dict[str, Tensor]:
        """The mean absolute difference."""
        return {"pixel": self.pixel * F.l1_loss(output, hand["x"])} if self.pixel else {}

    def discriminator_inputs(self, output: Tensor, hand: Batch) -> tuple[Tensor, Tensor]:
        """As they are."""
        return hand["x"], output

    def request_for(self, real: Batch, rng: torch.Generator) -> Batch:
        """The source of each whole image."""
        return {"source": real["source"] if self.degradation is None else self.degradation(real["x"], rng)}

    def answer(self, players: Players, request: Batch) -> Batch:
        """Request "source" (N, C', H, W) in [-1, 1]; answers "x" (N, C, scale H, scale W) in [-1, 1]."""
        with torch.no_grad():
            return {"x": players["generator"](request["source"]).clamp(-1, 1)}

    def tally(self, real: Batch, answer: Batch) -> Tensor:
        """(N, 2): the mean squared error of each answer, and its peak signal-to-noise ratio in dB on Y."""
        error = (answer["x"] - real["x"]).square().mean((1, 2, 3))
        return torch.stack([error, psnr(answer["x"], real["x"]).to(error).clamp(max=100)], 1)

    def figures(self, tallies: Tensor) -> dict[str, float]:
        """ "score", the root mean squared error in [-1, 1], and the mean "psnr" of the images."""
        error, ratio = tallies.mean(0).tolist()
        return {"score": error**0.5, "psnr": ratio}

    @property
    def score_is(self) -> str:
        """What the score means."""
        return "root mean squared error, of values in [-1, 1]"

    @property
    def by_appearance(self) -> bool:
        """With an adversary."""
        return self.adversarial > 0
