"""Image to image: x follows from a source, after Isola et al. (2017), "Image-to-image translation"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.rules import Batch, Players
from evenodds.metrics.psnr import psnr
from evenodds.parts.degradations import Degradation
from evenodds.parts.losses.perceptual import Perceptual
from evenodds.parts.priors import Prior
from evenodds.pretrained.efficientnet_lite import NEEDED, is_here
from evenodds.tasks._crops import Piece, deal_piece, piece_size
from evenodds.tasks._description import DataDescription
from evenodds.tasks._image_to_image import Paired
from evenodds.tasks._playable import Conversion, NetworkSpec

__all__ = ["Translate"]

SHIFTS = 8
"""Places, along each side, from which a piece is looked at by pretrained features."""


@dataclass(frozen=True, kw_only=True)
class Translate(Paired):
    """A generator makes an image of another; pairs are given, or made by taking something away from whole images.

    Args:
        degradation: makes the source of x, anew at every deal; None: the data hold the sources.
        inputs: channels of the source; follows from the data.
        scale: how many times larger x is than its source; follows from the data.
        pixel: weight of the mean absolute difference from the truth.
        saturation: how much more a pixel weighs there for its chroma c, by the factor 1 + saturation c, where c is the
            mean distance of the true channels from their mean: the least difference is that of pale colours, as most
            pixels are pale (Zhang et al. 2016, "Colorful image colorization", section 2.2).
        perceptual: weight of the mean absolute difference in features of photographs (Johnson et al. 2016), for which
            the extra `evenodds[pretrained]` is needed; see evenodds.parts.losses.perceptual. It joins with the
            discriminator: a stage by pixels alone stays what it is.
    """

    degradation: Degradation | None = None
    inputs: int
    scale: int = 1
    pixel: float = 1.0
    saturation: float = 0.0
    perceptual: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("perceptual", "saturation"):
            if getattr(self, name) < 0:
                raise BadInput(f"{name} is a weight of at least 0, got {getattr(self, name)}; 0 leaves it out")
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

    @classmethod
    def idle(cls, options: Mapping[str, Any], prior: Prior | None) -> dict[str, str]:
        """Also the weight of saturated pixels, where no pixel counts."""
        unweighed = {} if options.get("pixel", cls.pixel) else {"saturation": "at pixel 0; set task.pixel=1"}
        return super().idle(options, prior) | unweighed

    def fixtures(self) -> dict[str, nn.Module]:
        """The perceptual cost, where it has a weight."""
        return {"perceptual": Perceptual()} if self.perceptual else {}

    def require_parts(self) -> None:
        """BadInput without the weights of the perceptual cost."""
        if self.perceptual and not is_here():
            raise BadInput(f"task.perceptual compares by features of photographs; {NEEDED}")

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The network of each player, for items x of that shape."""
        if self.perceptual:
            _require_seen(shape[0], piece_size(shape, self.crop))
        options = {"scale": self.scale} if self.scale > 1 else {}
        mapper = {"generator": NetworkSpec(self.generator_kind, (self.inputs, shape[0]), options)}
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
        return {"x": x, "source": source, **self.contest.deal(x, rng), **self._shifts(x, rng)}

    def _shifts(self, x: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """By how much of each piece is cut off before its features are taken.

        Their strides see a grid of pixels. Where it lies alike in all pieces, as that of an enlargement does, a
        generator learns a pattern on it.
        """
        if not self.perceptual:
            return {}
        shifts = torch.randint(SHIFTS, (2, len(x)), generator=rng, device=rng.device)
        return {"shift_down": shifts[0], "shift_right": shifts[1]}

    def late_costs(self, players: Players, output: Tensor, hand: Batch) -> dict[str, Tensor]:
        """The difference in features."""
        if not self.perceptual:
            return {}
        down, right = hand["shift_down"], hand["shift_right"]
        height, width = (side - SHIFTS + 1 for side in output.shape[2:])
        piece = Piece(down, right, down < 0, right < 0, None, height, width)  # none are turned
        apart = players["perceptual"](piece.of(output), piece.of(hand["x"]))
        return {"perceptual": self.perceptual * apart.mean()}

    def fit_costs(self, output: Tensor, hand: Batch) -> dict[str, Tensor]:
        """The mean absolute difference, of saturated pixels more."""
        if not self.pixel:
            return {}
        apart, truth = (output - hand["x"]).abs(), hand["x"]
        if self.saturation:
            chroma = (truth - truth.mean(1, keepdim=True)).abs().mean(1, keepdim=True)
            apart = apart * (1 + self.saturation * chroma)
        return {"pixel": self.pixel * apart.mean()}

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


def _require_seen(channels: int, size: Sequence[int]) -> None:
    """BadInput for pieces that features of photographs cannot look at."""
    if channels not in (1, 3):
        raise BadInput(f"task.perceptual needs images with 1 or 3 channels, got {channels}; set task.perceptual=0")
    least = 32 + SHIFTS - 1
    if min(size) < least:
        pieces = " x ".join(map(str, size))
        raise BadInput(
            f"task.perceptual needs pieces of at least {least} x {least} pixels, got {pieces}; raise task.crop"
        )
