"""Degradations: how a source is made of an image - smaller, noisy, blurred, compressed, grey, drawn, with parts hidden.

A degradation draws from a generator, on its device, for a whole batch at once, and reads nothing back. Images and
sources are (N, C, H, W) in [-1, 1]; what would leave that range is clipped, as it is when a picture is written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.arithmetic import LUMA, constant, luma
from evenodds.parts.masks import Boxes, Masks, OneOf, Strokes

__all__ = ["Blur", "Chain", "Degradation", "Downscale", "Edges", "Grey", "Hide", "Jpeg", "Noise", "Realistic"]

_BOXES_AND_STROKES = OneOf((Boxes(), Strokes()))


class Degradation(Protocol):
    """A distribution of sources, given an image."""

    @property
    def scale(self) -> int:
        """How many times smaller the source is, on each side."""
        ...

    def channels(self, of: int) -> int:
        """The channels of the source of an image with so many."""
        ...

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """The sources of a batch.

        Args:
            x: (N, C, H, W) float in [-1, 1]; H and W are multiples of `scale`.
            rng: on the device of x; each item has draws of its own.

        Returns:
            (N, channels(C), H / scale, W / scale) float in [-1, 1].
        """
        ...


class _SameShape:
    """The source has the shape of the image."""

    scale: ClassVar[int] = 1

    def channels(self, of: int) -> int:
        return of


class _OneChannel:
    """The source has the size of the image and one channel, made of its luma."""

    scale: ClassVar[int] = 1

    def channels(self, of: int) -> int:
        if of not in (1, 3, 4):
            raise BadInput(f"luma needs images with 1, 3 or 4 channels (grey, RGB, RGBA), got {of}; choose others")
        return 1


@dataclass(frozen=True)
class Downscale:
    """Smaller by bicubic interpolation with antialiasing: the source of super-resolution.

    Keys, "Cubic Convolution Interpolation for Digital Image Processing" (1981), eq. 15 (a = -1/2), its support
    widened by the scale, as Pillow does.

    Args:
        scale: how many times smaller; 1 or more.
    """

    scale: int = 4

    def __post_init__(self) -> None:
        if not isinstance(self.scale, int) or self.scale < 1:
            raise BadInput(f"scale must be a whole number, 1 or more, got {self.scale}")

    def channels(self, of: int) -> int:
        return of

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:
        height, width = _image(x)
        if height % self.scale or width % self.scale:
            raise BadInput(
                f"images of {height} x {width} cannot be {self.scale} times smaller; choose a size that "
                f"{self.scale} divides"
            )
        # With antialiasing torch takes a = -1/2, without it -3/4.
        size = (height // self.scale, width // self.scale)
        return F.interpolate(x, size, mode="bicubic", antialias=True).clamp(-1, 1)


@dataclass(frozen=True)
class Noise(_SameShape):
    """Gaussian noise, its standard deviation uniform in [low, high], one for each item.

    Args:
        low, high: in 8-bit levels, of which [-1, 1] has 255.
    """

    low: float = 5.0
    high: float = 50.0

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high:
            raise BadInput(f"noise needs 0 <= low <= high, got {self.low} and {self.high}")

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:
        _image(x)
        deviation = _uniform(self.low, self.high, x, rng) / 127.5
        return (x + deviation * torch.randn(x.shape, generator=rng, device=rng.device).to(x)).clamp(-1, 1)


@dataclass(frozen=True)
class Blur(_SameShape):
    """Blurred by a Gaussian, its standard deviation uniform in [low, high] pixels, one for each item.

    The image goes on mirrored beyond its borders, so that its mean is kept. The kernel ends at 4 times `high`.
    """

    low: float = 0.5
    high: float = 3.0

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high < math.inf:
            raise BadInput(f"blur needs 0 <= low <= high < inf, got {self.low} and {self.high}")

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:
        height, width = _image(x)
        reach = math.ceil(4 * self.high)
        sigma = _uniform(self.low, self.high, x, rng).clamp_min(1e-3)
        at = torch.arange(-reach, reach + 1, device=x.device)
        # No less than e^-60: weights that a float holds only as denormal numbers make products slow.
        weights = (-0.5 * (at / sigma).square()).clamp_min(-60).softmax(3).to(x)  # (N, 1, 1, 2 reach + 1)
        down, right = (_mirrored(side, reach, x.device) for side in (height, width))
        planes = x[:, :, down][..., right].flatten(0, 1)[None]
        # Every plane has the kernel of its item: one group each, along rows and then along columns.
        kernels, groups = weights.repeat_interleave(x.shape[1], 0), planes.shape[1]
        return (
            F.conv2d(F.conv2d(planes, kernels, groups=groups), kernels.mT, groups=groups).reshape(x.shape).clamp(-1, 1)
        )


@dataclass(frozen=True)
class Jpeg(_SameShape):
    """Compressed as JPEG, its quality a whole number that is uniform in [low, high], one for each item.

    ITU-T T.81 (1992): 8 x 8 cosine transform (A.3.3) and the tables of Annex K.1, scaled by quality as libjpeg does;
    YCbCr of JFIF, no chroma subsampling, nothing but rounding is lost. An image of 3 channels is RGB, a fourth, alpha,
    is kept; otherwise each channel is grey by itself. Values come back in whole 8-bit levels.

    Args:
        low, high: 1, the worst, to 100.
    """

    low: int = 30
    high: int = 95

    def __post_init__(self) -> None:
        if not 1 <= self.low <= self.high <= 100:
            raise BadInput(f"qualities of JPEG need 1 <= low <= high <= 100, got {self.low} and {self.high}")

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:
        _image(x)
        quality = _uniform(self.low, self.high + 1, x, rng).floor().clamp_max(self.high)
        if x.shape[1] == 4:
            return torch.cat((_compressed(x[:, :3], quality), x[:, 3:]), 1)
        return _compressed(x, quality)


@dataclass(frozen=True)
class Grey(_OneChannel):
    """The luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, in one channel: the source of colourising.

    Alpha, a fourth channel, is dropped.
    """

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:
        _image(x)
        self.channels(x.shape[1])
        return luma(x)


_ACROSS = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
"""Eight times the slope across, of Sobel and Feldman."""


@dataclass(frozen=True)
class Edges(_OneChannel):
    """A drawing of the edges, one channel: -1 where the luma is flat, to 1 where it jumps.

    2 tanh(gain |g|) - 1, with |g| the magnitude of Sobel and Feldman's gradient (1968) of the luma, in its change per
    pixel. The border is repeated beyond the image.
    """

    gain: float = 4.0

    def __post_init__(self) -> None:
        if not self.gain > 0:
            raise BadInput(f"the gain of edges must be above 0, got {self.gain}")

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:
        grey = F.pad(Grey()(x, rng), (1, 1, 1, 1), mode="replicate")
        across = constant(_ACROSS, x.device, x.dtype) / 8
        slope = F.conv2d(grey, torch.stack((across, across.T))[:, None])
        return 2 * (self.gain * slope.square().sum(1, keepdim=True).sqrt()).tanh() - 1


@dataclass(frozen=True)
class Hide:
    """Parts are hidden: 0 there, and one channel more that is 1 where the image is observed and -1 where it is hidden.

    That channel has the range of the image; beyond the border, where a convolution sees 0, it is neither.

    Args:
        masks: what is hidden; see evenodds.parts.masks.
    """

    masks: Masks = _BOXES_AND_STROKES
    scale: ClassVar[int] = 1

    def channels(self, of: int) -> int:
        return of + 1

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:
        _image(x)
        mask = self.masks(x.shape, rng).to(x)
        return torch.cat((x * mask, 2 * mask - 1), 1)


@dataclass(frozen=True)
class Chain:
    """One degradation after another; scales multiply and channels compose.

    Args:
        parts: the degradations, the first to be applied first.
    """

    parts: tuple[Degradation, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise BadInput("a chain needs degradations, got none; name one or more")

    @property
    def scale(self) -> int:
        return math.prod(part.scale for part in self.parts)

    def channels(self, of: int) -> int:
        for part in self.parts:
            of = part.channels(of)
        return of

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:
        for part in self.parts:
            x = part(x, rng)
        return x


@dataclass(frozen=True)
class Realistic:
    """Blurred, smaller, noisy and compressed, each at random: as pictures come from cameras and the web.

    The first order of Wang, Xie, Dong and Shan, "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure
    Synthetic Data" (2021), eq. 1, with round Gaussian kernels, bicubic interpolation and Gaussian noise alone.

    Args:
        scale: how many times smaller.
        blur: least and largest standard deviation, in pixels of the image.
        noise: least and largest standard deviation, in 8-bit levels.
        quality: least and best quality of JPEG.
    """

    scale: int = 4
    blur: Sequence[float] = (0.2, 3.0)
    noise: Sequence[float] = (1.0, 30.0)
    quality: Sequence[int] = (30, 95)

    def __post_init__(self) -> None:
        for name, pair in (("blur", self.blur), ("noise", self.noise), ("quality", self.quality)):
            if not isinstance(pair, Sequence) or len(pair) != 2:
                raise BadInput(f"{name} needs two numbers, the least and the most, as in [1, 30], got {pair!r}")
        self._parts()  # which check their ranges

    def channels(self, of: int) -> int:
        return of

    def __call__(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return self._parts()(x, rng)

    def _parts(self) -> Chain:
        return Chain((Blur(*self.blur), Downscale(self.scale), Noise(*self.noise), Jpeg(*self.quality)))


def _image(x: Tensor) -> tuple[int, int]:
    if x.dim() != 4:
        raise BadInput(f"degradations are of images (N, C, H, W), got the shape {tuple(x.shape)}")
    return x.shape[2], x.shape[3]


def _uniform(low: float, high: float, x: Tensor, rng: torch.Generator) -> Tensor:
    """(N, 1, 1, 1), a number for each item."""
    return low + (high - low) * torch.rand(len(x), 1, 1, 1, generator=rng, device=rng.device)


def _mirrored(side: int, reach: int, device: torch.device) -> Tensor:
    """The indices of a side that goes on mirrored by `reach` at both ends: ... 1 0 | 0 1 ..., however far."""
    at = torch.arange(-reach, side + reach, device=device) % (2 * side)
    return torch.minimum(at, 2 * side - 1 - at)


# ITU-T T.81, Annex K, tables K.1 (luma) and K.2 (chroma), row by row.
_LUMA_STEPS = """
     16  11  10  16  24  40  51  61    12  12  14  19  26  58  60  55
     14  13  16  24  40  57  69  56    14  17  22  29  51  87  80  62
     18  22  37  56  68 109 103  77    24  35  55  64  81 104 113  92
     49  64  78  87 103 121 120 101    72  92  95  98 112 100 103  99
"""
_CHROMA_STEPS = """
     17  18  24  47  99  99  99  99    18  21  26  66  99  99  99  99
     24  26  56  99  99  99  99  99    47  66  99  99  99  99  99  99
     99  99  99  99  99  99  99  99    99  99  99  99  99  99  99  99
     99  99  99  99  99  99  99  99    99  99  99  99  99  99  99  99
"""


def _compressed(x: Tensor, quality: Tensor) -> Tensor:
    """(N, C, H, W) in [-1, 1] and (N, 1, 1, 1) in 1, ..., 100 -> what is read back of a JPEG file."""
    colour = x.shape[1] == 3
    levels = ((x + 1) * 127.5).round()
    planes = _to_ycc(levels) if colour else levels - 128
    planes = _quantised(planes, _steps(quality, colour)).round().clamp(-128, 127)
    levels = _to_rgb(planes) if colour else planes + 128
    return levels.round().clamp(0, 255) / 127.5 - 1


def _quantised(planes: Tensor, steps: Tensor) -> Tensor:
    """(N, C, H, W) in [-128, 127], with the cosine transform of each 8 x 8 block rounded to whole steps."""
    height, width = planes.shape[2:]
    down, right = (torch.arange(-(-side // 8) * 8, device=planes.device) for side in (height, width))
    # Blocks that reach beyond the image repeat its border.
    planes = planes[:, :, down.clamp_max(height - 1)][..., right.clamp_max(width - 1)]
    blocks = planes.reshape(*planes.shape[:2], len(down) // 8, 8, len(right) // 8, 8)
    blocks = blocks.transpose(3, 4).flatten(4)  # (N, C, rows, columns, 64)
    transform = _cosines(planes)
    blocks = (blocks @ transform.T / steps).round() * steps @ transform
    planes = blocks.view(*blocks.shape[:4], 8, 8).transpose(3, 4).flatten(4).flatten(2, 3)
    return planes[:, :, :height, :width]


def _cosines(like: Tensor) -> Tensor:
    """(64, 64), orthogonal: the two-dimensional transform of a block (A.3.3) as one product."""
    at = torch.arange(8, device=like.device, dtype=like.dtype)
    rows = ((2 * at + 1) * at[:, None] * (math.pi / 16)).cos() / 2
    rows[0] /= math.sqrt(2)
    return torch.kron(rows, rows)


def _steps(quality: Tensor, colour: bool) -> Tensor:
    """(N, 3 or 1, 1, 1, 64): the tables scaled by quality, as libjpeg's documentation of `jpeg_set_quality` says."""
    tables = (_LUMA_STEPS, _CHROMA_STEPS, _CHROMA_STEPS) if colour else (_LUMA_STEPS,)
    base = constant(tuple(tuple(map(int, table.split())) for table in tables), quality.device, torch.float32)
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)[..., None]
    return ((base[:, None, None] * percent + 50) / 100).floor().clamp(1, 255)


def _to_ycc(rgb: Tensor) -> Tensor:
    """JFIF: 8-bit RGB -> luma - 128, blue and red differences, whole numbers in [-128, 127]."""
    y = luma(rgb)
    return torch.cat((y - 128, (rgb[:, 2:] - y) / 1.772, (rgb[:, :1] - y) / 1.402), 1).round().clamp(-128, 127)


def _to_rgb(ycc: Tensor) -> Tensor:
    y, blue, red = (ycc[:, :1] + 128, ycc[:, 1:2], ycc[:, 2:])
    r, b = y + 1.402 * red, y + 1.772 * blue
    of_red, of_green, of_blue = LUMA
    return torch.cat((r, (y - of_red * r - of_blue * b) / of_green, b), 1)
