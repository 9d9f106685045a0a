"""Random pieces of images, cut out alike of all that belongs together: image, source, labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evenodds.errors import BadInput, unknown

__all__ = ["TURNS", "Piece", "deal_piece", "piece_size"]

TURNS = ("none", "mirror", "all")
"""Symmetries under which pieces are dealt: none; left for right; or all eight of the square."""


@dataclass(frozen=True)
class Piece:
    """Where the pieces of a batch lie in their images, and how each is turned; see `deal_piece`."""

    top: Tensor
    left: Tensor
    upside_down: Tensor
    mirrored: Tensor
    transposed: Tensor | None
    height: int
    width: int

    def of(self, x: Tensor, scale: int = 1) -> Tensor:
        """The pieces of images (N, C, H, W), or of labels (N, H, W), whose sides are `scale` times those dealt for."""
        if x.dim() == 3:
            return self.of(x[:, None], scale)[:, 0]
        rows = _places(self.top * scale, self.height * scale, self.upside_down)
        columns = _places(self.left * scale, self.width * scale, self.mirrored)
        item = torch.arange(len(x), device=x.device)[:, None, None]
        piece = x.permute(0, 2, 3, 1)[item, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        if self.transposed is None:
            return piece
        return torch.where(self.transposed[:, None, None, None], piece.transpose(2, 3), piece)


def piece_size(shape: Sequence[int], crop: int | None) -> tuple[int, ...]:
    """(H, W) of the pieces of items (C, H, W): `crop` twice, or those of the whole image where it is None."""
    return tuple(shape[1:]) if crop is None else (crop, crop)


def deal_piece(x: Tensor, crop: int | None, turns: str, rng: torch.Generator) -> Piece:
    """A piece of each image, every place as likely; nothing is read back from the device.

    Args:
        x: (N, C, H, W) or (N, H, W).
        crop: the side of a piece; None: all of the image.
        turns: one of TURNS; "all" needs square pieces.
    """
    n, (height, width) = len(x), x.shape[-2:]
    if crop is not None and crop > min(height, width):
        size = f"{height} x {width}; set task.crop={min(height, width)} or less"
        raise BadInput(f"pieces of {crop} x {crop} do not fit into images of {size}")
    if turns not in TURNS:
        raise unknown("kind of turns", turns, TURNS)
    if turns == "all" and crop is None and height != width:
        how = f"task.crop={min(height, width)}, or task.turns=mirror"
        raise BadInput(f"images of {height} x {width} cannot be turned in every way; set {how}")
    high, wide = (height, width) if crop is None else (crop, crop)
    u = torch.rand(5, n, generator=rng, device=rng.device)
    top, left = (u[0] * (height - high + 1)).long(), (u[1] * (width - wide + 1)).long()
    mirrored = (u[2] < 0.5) & (turns != "none")
    upside_down = (u[3] < 0.5) & (turns == "all")
    return Piece(top, left, upside_down, mirrored, u[4] < 0.5 if turns == "all" else None, high, wide)


def _places(first: Tensor, length: int, reverse: Tensor) -> Tensor:
    """(N, length): the places of each piece along one side."""
    at = torch.arange(length, device=first.device)
    return first[:, None] + torch.where(reverse[:, None], length - 1 - at, at)
