"""Classical augmentation: images shifted, turned, resized, mirrored, rows jittered; and which the classes survive."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from evenodds.parts import views

__all__ = ["JITTER", "KINDS", "alike", "chosen", "copies", "kinds_of", "transformed"]

KINDS = ("shift", "rotation", "scale", "flip")
"""Of images; rows of tables have "jitter" alone."""
SHIFT, ANGLE, SCALE = 0.1, 12.0, 0.12
"""Most of a side, in degrees, of the size: so small that a person would give nearly every image the class it had."""
JITTER = 0.1
"""Of a column's standard deviation: of the normal noise that is added to a row."""

Right = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x, y to fit to, x to name) -> (M,) int64: the classes that a classifier fitted to the first names."""


def kinds_of(x: Tensor) -> tuple[str, ...]:
    """The changes that there are for images (N, C, H, W) or rows (N, D)."""
    return KINDS if x.ndim == 4 else ("jitter",)


def transformed(x: Tensor, kinds: Sequence[str], rng: torch.Generator) -> Tensor:
    """Each image (N, C, H, W) changed in every way of `kinds`, by amounts of its own; what comes in is the border's.

    Shift, turn and size are one affine map, resampled bilinearly once. "jitter" adds normal noise to rows (N, D), a
    smoothed bootstrap (Efron 1979; to balance classes, Menardi and Torelli 2014).
    """
    if x.ndim == 2:
        noise = torch.randn(x.shape, generator=rng) * x.std(0, correction=0)
        return x + JITTER * noise if "jitter" in kinds else x
    u = torch.rand(len(x), 5, generator=rng) * 2 - 1
    angle = u[:, 0] * math.radians(ANGLE) * ("rotation" in kinds)
    size = 1 / (1 + SCALE * u[:, 1] * ("scale" in kinds))
    move = 2 * SHIFT * u[:, 2:4] * ("shift" in kinds)
    # Coordinates of grid_sample span each side; the ratio of sides keeps a turn a turn where they differ.
    ratio = x.shape[2] / x.shape[3]
    cos, sin = size * angle.cos(), size * angle.sin()
    map_ = torch.stack([cos, -sin * ratio, move[:, 0], sin / ratio, cos, move[:, 1]], 1).view(-1, 2, 3)
    parts = []
    for part, m in zip(torch.split(x, 4096), torch.split(map_, 4096), strict=True):
        grid = F.affine_grid(m, list(part.shape), align_corners=False)
        parts.append(F.grid_sample(part, grid, padding_mode="border", align_corners=False))
    moved = torch.cat(parts) if any(kind in kinds for kind in KINDS[:3]) else x
    return views.flip(moved, ((u[:, 4:] + 1) / 2).expand(-1, 4)) if "flip" in kinds else moved


def copies(x: Tensor, y: Tensor, kinds: Sequence[str], total: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The images and changed ones: in all about `total`, at least two of each image, equally many of every class.

    Without any kind of change classes are filled up by images as they are, and by no more than that.
    """
    counts = torch.bincount(y)
    each = max(2 * int(counts.max()), total // int((counts > 0).sum())) if kinds else int(counts.max())
    index = []
    for label, count in enumerate(counts.tolist()):
        if count in (0, each):
            continue
        members = (y == label).nonzero().flatten()
        rounds = [members[torch.randperm(count, generator=rng)] for _ in range(-(-(each - count) // count))]
        index.append(torch.cat(rounds)[: each - count])
    if not index:
        return x, y
    changed = torch.cat(index)
    return torch.cat([x, transformed(x[changed], kinds, rng)]), torch.cat([y, y[changed]])


def alike(y: Tensor) -> Tensor:
    """(N,) weights of items of classes y (N,) by which every class weighs 1."""
    return (1.0 / torch.bincount(y))[y]


def chosen(x: Tensor, y: Tensor, named: Right, rng: torch.Generator) -> tuple[str, ...]:
    """The kinds of change that the classes survive, by training items alone.

    A classifier is fitted to one half with and without changed copies and names the other half, then the halves change
    places. A kind is dropped where the copies cost more items than they win by over one standard error of the
    difference, sqrt(won + lost) where classes are of one size (McNemar 1947): mirrored letters, say. Classes weigh
    alike, as in the scores of a trial, so that a frequent one does not decide for the rare ones.
    """
    order = torch.randperm(len(x), generator=rng)
    order = order[y[order].argsort(stable=True)]
    halves = order[::2], order[1::2]
    kinds = kinds_of(x)
    score, moved = dict.fromkeys(kinds, 0.0), dict.fromkeys(kinds, 0.0)
    for fit, check in (halves, halves[::-1]):
        weights = alike(y[check])
        plain = named(x[fit], y[fit], x[check]) == y[check]
        for kind in kinds:
            right = named(*copies(x[fit], y[fit], (kind,), 4 * len(fit), rng), x[check]) == y[check]
            won = weights * (right.double() - plain.double())
            score[kind] += float(won.sum())
            moved[kind] += float(won.square().sum())
    return tuple(kind for kind in kinds if score[kind] >= -(1 + 1e-9) * math.sqrt(moved[kind]))
