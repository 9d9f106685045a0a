"""Random views of an image and its map of labels: nearer or further, about rare classes, in other colours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from evenodds.data.palette import IGNORED
from evenodds.errors import BadInput
from evenodds.tasks._crops import deal_piece

__all__ = ["Scenes"]

_STRIDE = 3  # Centres are drawn among every third row and column: nine times as fast, and near enough.
_OFF = 0.3  # What a piece is drawn about lies within so much of its sides from its middle.


@dataclass(frozen=True)
class Scenes:
    """How pieces of images and their maps are dealt.

    Args:
        crop: side of the pieces; None: as large as the image.
        turns: symmetries of the pieces, see `_crops.TURNS`.
        zoom: a piece is enlarged by a factor in [1 / zoom, zoom], whose logarithm is drawn evenly; 1 for none. What
            lies beyond the image repeats its edge and has no label.
        focus: share of the pieces that lie about a pixel of a class that the image shows, each class as likely; others
            lie anywhere.
        jitter: largest change of brightness, contrast and saturation, as a share; a fourth of it of each channel.
    """

    crop: int | None
    turns: str
    zoom: float
    focus: float
    jitter: float

    def __post_init__(self) -> None:
        if not 1 <= self.zoom <= 8 or not 0 <= self.focus <= 1 or not 0 <= self.jitter <= 1:
            raise BadInput(
                "zoom must be in [1, 8], focus and jitter in [0, 1], got "
                f"{self.zoom:g}, {self.focus:g} and {self.jitter:g}; task.zoom=1 task.focus=0 task.jitter=0 are none"
            )

    def deal(self, source: Tensor, labels: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pieces of images (N, C, H, W) and of their labels (N, H, W) int64; nothing is read back from the device."""
        piece = deal_piece(source, self.crop, self.turns, rng)
        if self.zoom == 1 and not self.focus:
            source, labels = piece.of(source), piece.of(labels)
        else:
            grid = self._grid(labels, (piece.height, piece.width), rng)
            grid = torch.where(piece.mirrored[:, None, None, None], grid.flip(2), grid)
            grid = torch.where(piece.upside_down[:, None, None, None], grid.flip(1), grid)
            if piece.transposed is not None:
                grid = torch.where(piece.transposed[:, None, None, None], grid.transpose(1, 2), grid)
            source = F.grid_sample(source, grid, "bilinear", "border", align_corners=False)
            # IGNORED is 0 here, which is what lies beyond the image; numbers so small are exact in any float.
            beyond = (labels - IGNORED)[:, None].to(grid)
            labels = F.grid_sample(beyond, grid, "nearest", "zeros", align_corners=False)[:, 0].round().long() + IGNORED
        return (_jittered(source, self.jitter, rng) if self.jitter else source), labels

    def _grid(self, labels: Tensor, size: tuple[int, int], rng: torch.Generator) -> Tensor:
        """(N, h, w, 2): the place in the image, x and y from -1 to 1, that each pixel of a piece shows."""
        n, sides = len(labels), labels.shape[1:]
        u = torch.rand(7, n, generator=rng, device=rng.device)
        shrink = torch.exp((2 * u[0] - 1) * math.log(self.zoom))
        about = u[1] < self.focus
        lines = []
        for k, centre in enumerate(_places_of_classes(labels, u[2])):
            extent, side = size[k] * shrink, sides[k]
            anywhere = extent / 2 + (side - extent) * u[3 + k]
            middle = torch.where(about, centre + (2 * u[5 + k] - 1) * _OFF * extent, anywhere)
            low, high = _ordered(extent / 2, side - extent / 2)
            middle = torch.minimum(torch.maximum(middle, low), high)
            steps = (torch.arange(size[k], device=u.device) + 0.5) / size[k] - 0.5
            lines.append(2 * (middle[:, None] + extent[:, None] * steps) / side - 1)
        rows, columns = lines
        height, width = size
        return torch.stack([columns[:, None, :].expand(-1, height, -1), rows[:, :, None].expand(-1, -1, width)], -1)


def _ordered(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return torch.minimum(a, b), torch.maximum(a, b)


def _places_of_classes(labels: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column (N,) of a pixel of each map, each class in it as likely; the first where nothing has a label."""
    some = labels[:, _STRIDE // 2 :: _STRIDE, _STRIDE // 2 :: _STRIDE]
    some = some if some.numel() else labels
    flat = some.flatten(1)
    ones = torch.ones(flat.shape, dtype=u.dtype, device=u.device)
    counts = torch.zeros(len(flat), IGNORED + 1, dtype=u.dtype, device=u.device).scatter_add_(1, flat, ones)
    chances = torch.where(flat == IGNORED, 0.0, 1 / counts.gather(1, flat))
    below = chances.cumsum(1)
    at = (below < u[:, None] * below[:, -1:]).sum(1).clamp(max=flat.shape[1] - 1)
    step, first = (_STRIDE, _STRIDE // 2) if some is not labels else (1, 0)
    width = some.shape[2]
    return (at // width) * step + first + 0.5, (at % width) * step + first + 0.5


def _jittered(x: Tensor, most: float, rng: torch.Generator) -> Tensor:
    """Images (N, C, H, W) in [-1, 1] in other brightness, contrast, saturation and tint."""
    n, channels = x.shape[:2]
    u = most * (2 * torch.rand(3 + channels, n, 1, 1, 1, generator=rng, device=rng.device) - 1)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + u[0])
    middle = x.mean((1, 2, 3), keepdim=True)
    tint = u[3:, :, :, 0, 0].permute(1, 0, 2)[..., None] / 4
    return middle + (x - middle) * (1 + u[1]) + u[2] + tint
