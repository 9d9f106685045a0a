"""Distributions of masks: which part of an item is observed. Each draws from a generator, on its device.

A mask is 1 where a value is observed and 0 where it is hidden. Images have one mask for all channels, (N, 1, H, W);
rows have one for each column, (N, D). Every draw reads nothing back from the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.arithmetic import constant

__all__ = ["Boxes", "Everything", "Halves", "Masks", "OneOf", "Scattered", "Strokes"]


class Masks(Protocol):
    """A distribution over subsets."""

    def __call__(self, shape: Sequence[int], rng: torch.Generator) -> Tensor:
        """Masks for items of a shape.

        Args:
            shape: of the items, (N, C, H, W) or (N, D).

        Returns:
            (N, 1, H, W) or (N, D) float, 1 observed and 0 hidden, on rng's device.
        """
        ...


@dataclass(frozen=True)
class Scattered:
    """Each pixel or entry is hidden by itself, at a rate drawn for the item: uniform in [low, high]."""

    low: float = 0.05
    high: float = 0.95

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise BadInput(f"rates need 0 <= low <= high <= 1, got {self.low} and {self.high}")

    def __call__(self, shape: Sequence[int], rng: torch.Generator) -> Tensor:
        shape = _mask_shape(shape)
        rate = torch.rand(shape[0], *[1] * (len(shape) - 1), generator=rng, device=rng.device)
        u = torch.rand(shape, generator=rng, device=rng.device)
        return (u >= self.low + (self.high - self.low) * rate).float()


@dataclass(frozen=True)
class Everything:
    """All is hidden: the filler then draws from the joint distribution, as a generator does."""

    def __call__(self, shape: Sequence[int], rng: torch.Generator) -> Tensor:
        return torch.zeros(_mask_shape(shape), device=rng.device)


@dataclass(frozen=True)
class Boxes:
    """A box of an image is hidden; each side is a share of the image's in [low, high]; all is uniform."""

    low: float = 0.25
    high: float = 0.75

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high <= 1:
            raise BadInput(f"sides of boxes need 0 < low <= high <= 1, got {self.low} and {self.high}")

    def __call__(self, shape: Sequence[int], rng: torch.Generator) -> Tensor:
        n, height, width = _image("boxes", shape)
        u = torch.rand(4, n, 1, generator=rng, device=rng.device)
        rows = self._interval(height, u[0], u[1])
        columns = self._interval(width, u[2], u[3])
        return 1 - (rows[:, None, :, None] & columns[:, None, None, :]).float()

    def _interval(self, side: int, length: Tensor, place: Tensor) -> Tensor:
        """(N, side) bool, true within an interval of whole pixels, at least one."""
        pixels = ((self.low + (self.high - self.low) * length) * side).round().clamp_min(1)
        first = (place * (side - pixels + 1)).floor()
        at = torch.arange(side, device=length.device)
        return (at >= first) & (at < first + pixels)


@dataclass(frozen=True)
class Halves:
    """The left, right, upper or lower half of an image is hidden, each as likely."""

    def __call__(self, shape: Sequence[int], rng: torch.Generator) -> Tensor:
        n, height, width = _image("halves", shape)
        side = torch.randint(4, (n, 1, 1, 1), generator=rng, device=rng.device)
        down = (torch.arange(height, device=rng.device) >= height // 2)[:, None].expand(height, width)
        right = (torch.arange(width, device=rng.device) >= width // 2).expand(height, width)
        return torch.stack((down, ~down, right, ~right))[side[:, 0, 0, 0]][:, None].float()


@dataclass(frozen=True)
class Strokes:
    """A polyline with a thick brush is hidden, as where a picture was scratched or written on.

    Args:
        corners: of the polyline, uniform in the image; 2 or more.
        low, high: radius of the brush as a share of the shorter side, uniform between both.
    """

    corners: int = 4
    low: float = 0.04
    high: float = 0.12

    def __post_init__(self) -> None:
        if self.corners < 2 or not 0 < self.low <= self.high:
            raise BadInput(f"strokes need corners >= 2, 0 < low <= high, got {self.corners}, {self.low}, {self.high}")

    def __call__(self, shape: Sequence[int], rng: torch.Generator) -> Tensor:
        n, height, width = _image("strokes", shape)
        size = constant((height, width), rng.device, torch.float32)
        corners = torch.rand(n, self.corners, 2, generator=rng, device=rng.device) * size
        u = torch.rand(n, 1, 1, generator=rng, device=rng.device)
        radius = (self.low + (self.high - self.low) * u) * min(height, width)
        centres = torch.stack(_centres(height, width, rng.device), -1)  # (H, W, 2)
        reach = _to_polyline(centres, corners)
        # Even the finest brush covers a pixel: half a diagonal reaches the centre that is nearest to any point.
        return (reach > radius.clamp_min(0.71)).float()[:, None]


@dataclass(frozen=True)
class OneOf:
    """Each item's mask comes from one of several distributions, drawn for it by their weights.

    Args:
        parts: the distributions.
        weights: how often each is drawn, up to a factor; equally often where None.
    """

    parts: tuple[Masks, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        weights = self.weights
        if not self.parts or (
            weights is not None and (len(weights) != len(self.parts) or not min(weights) >= 0 < sum(weights))
        ):
            raise BadInput(
                f"a mixture needs parts and as many weights >= 0, not all 0, got {len(self.parts)} and {weights}"
            )

    def __call__(self, shape: Sequence[int], rng: torch.Generator) -> Tensor:
        drawn = torch.stack([part(shape, rng) for part in self.parts])
        weights = self.weights or [1.0] * len(self.parts)
        reach = constant(tuple(accumulate(weights)), rng.device, torch.float32)
        u = torch.rand(shape[0], generator=rng, device=rng.device)
        part = torch.searchsorted(reach / reach[-1], u, right=True).clamp_max(len(self.parts) - 1)
        return drawn[part, torch.arange(shape[0], device=rng.device)]


def _mask_shape(shape: Sequence[int]) -> tuple[int, ...]:
    if len(shape) not in (2, 4):
        raise BadInput(f"masks are for items of shape (N, C, H, W) or (N, D), got {tuple(shape)}; reshape the data")
    return (shape[0], 1, *shape[2:]) if len(shape) == 4 else tuple(shape)


def _image(kind: str, shape: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != 4:
        raise BadInput(f"{kind} are masks of images (N, C, H, W), got the shape {tuple(shape)}; use Scattered for rows")
    return shape[0], shape[2], shape[3]


def _centres(height: int, width: int, device: torch.device) -> tuple[Tensor, ...]:
    down, right = (torch.arange(side, device=device) + 0.5 for side in (height, width))
    return torch.meshgrid(down, right, indexing="ij")


def _to_polyline(points: Tensor, corners: Tensor) -> Tensor:
    """(H, W, 2) points, (N, corners, 2) -> (N, H, W) distance to the nearest point of the polyline."""
    start, way = corners[:, :-1, None, None], corners.diff(dim=1)[:, :, None, None]
    to = points - start
    share = ((to * way).sum(-1) / way.square().sum(-1).clamp_min(1e-12)).clamp(0, 1)
    return (to - share[..., None] * way).square().sum(-1).amin(1).sqrt()
