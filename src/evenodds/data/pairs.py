"""Images in pairs, one of each to be made from the other: two folders whose files have equal names, or two sets."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evenodds.data._couples import Couple, Folders, Match, alike, folders, inside, matched, read
from evenodds.data._files import checked, count, each, gathered, listed, opened
from evenodds.data._picture import File, Picture, Size, decode, resized
from evenodds.data._stack import Items, Stack, common_size, items, large_enough, stacked
from evenodds.data.dataset import Beside, Dataset
from evenodds.errors import BadInput

__all__ = ["LAYOUTS", "READS", "pairs"]

READS = (".zip", "/")
"""The file names' endings for which `load` comes here, in these layouts."""
LAYOUTS: dict[str, dict[str, Any]] = {"pairs": {"paired": True}, "unpaired": {"paired": False}}
"""What files may be to each other that are read here, and the options that say so."""

FOLDERS = (
    ("source", "target"),
    ("sources", "targets"),
    ("input", "target"),
    ("inputs", "targets"),
    ("input", "output"),
    ("input", "gt"),
    ("trainA", "trainB"),
    ("A", "B"),
    ("edges", "photo"),
    ("edges", "photos"),
    ("sketch", "photo"),
    ("noisy", "clean"),
    ("blur", "sharp"),
    ("blurred", "sharp"),
    ("degraded", "clean"),
    ("grey", "colour"),
    ("gray", "color"),
    ("low", "high"),
    ("LR", "HR"),
    ("before", "after"),
)
"""Names of two folders side by side, sources and targets, whatever their case."""
_SCALES = (1, 2, 3, 4)


def pairs(
    path: str | os.PathLike[str],
    sources: str | None = None,
    targets: str | None = None,
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
    source_channels: int | None = None,
    fit: str = "crop",
    paired: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Two folders of images in a folder or a zip file: x is to be made, and beside it "source" is what to make it from.

    Args:
        path: of what holds both folders.
        sources, targets: the folders, which may be nested ("train/A"). None: two that lie side by side under names as
            in `FOLDERS`; of several such, the ones to train on.
        size: of the targets, see `images`.
        channels, source_channels: of the targets and of the sources, see `images`.
        fit: see `images`; both of a pair are cut, resized or tiled alike.
        paired: files of equal names (endings may differ) belong together. Both are of one size, or all targets are
            2, 3 or 4 times as large as their sources. False: nothing belongs together, as cycle consistency wants it;
            the shorter set is repeated beside the longer one, photo by photo.
        progress: told (pairs or files done, in all) now and then.

    Returns:
        Targets as x (N, C, H, W), see `images`, and sources (N, C', H / k, W / k) beside them. `report` tells which
        files have no partner, do not fit theirs or cannot be read; they are skipped.

    Raises:
        BadInput: an option that cannot be, folders that cannot be told, or no usable pair.
    """
    root = Path(path)
    wanted = checked(root, size, channels, fit)
    checked(root, size, source_channels, fit)
    with opened(root) as (files, others):
        chosen = folders(root, files, FOLDERS, ("sources", "targets"), (sources, targets))
        make = _paired if paired else _unpaired
        dataset = make(root, files, chosen, wanted, (channels, source_channels), fit, progress)
    ignored = listed("Ignored {} hidden or not images: {}.", [file.name for file in others])
    return replace(dataset, report=(*dataset.report, *chosen.said, *ignored))


Progress = Callable[[int, int], None] | None
Channels = tuple[int | None, int | None]


def _paired(
    root: Path,
    files: Sequence[File],
    chosen: Folders,
    wanted: Size | None,
    channels: Channels,
    fit: str,
    progress: Progress,
) -> Dataset:
    matches, alone = matched(files, chosen.second, chosen.first)
    couples, size, said = read(root, matches, lambda match: _pair(match, wanted, fit), wanted, fit, progress)
    scale, couples, others = _one_scale(couples)
    small = size[0] // scale, size[1] // scale
    first, second = [couple.first for couple in couples], [couple.second for couple in couples]
    parts = items([couple.name for couple in couples], [one.size for one in first], size, fit, "pair")
    x = stacked(first, size, channels[0], fit, scale, "target")
    source = stacked(second, small, channels[1], fit, 1, "source")
    times = "as large as" if scale == 1 else f"{scale} times as large as"
    read_them = [
        f"Read {count(len(parts.names), 'pair')}: targets from '{chosen.second}' {times} sources in '{chosen.first}'.",
        f"Targets are {x.read}; sources are {source.read}.",
    ]
    report = (*read_them, *parts.said, *alone, *said, *others, *x.said, *source.said)
    beside = {"source": Beside(source.x, source.units)}
    return Dataset(x.x, x.units, names=parts.names, beside=beside, groups=parts.groups, report=report)


def _pair(match: Match, wanted: Size | None, fit: str) -> Couple | str:
    # Whole: JPEG files decoded at a fraction, each at its own, would not lie exactly over each other.
    target, source = decode(match.first, None, fit), decode(match.second, None, fit)
    if isinstance(target, str) or isinstance(source, str):
        return target if isinstance(target, str) else str(source)
    target, source, turned = alike(target, source, lambda large, small: _scale(large, small) > 0)
    scale = _scale(target.size, source.size)
    if not scale:
        return (
            f"{match.name} (its target of {_sides(target.size)} is not 1, 2, 3 or 4 times its source of "
            f"{_sides(source.size)})"
        )
    if wanted and (wanted[0] % scale or wanted[1] % scale):
        return f"{match.name} (size {_sides(wanted)} is no multiple of {scale}, by which its target is larger)"
    if wanted and fit != "tiles":
        small = wanted[0] // scale, wanted[1] // scale
        target = target._replace(pixels=np.ascontiguousarray(resized(target.pixels, wanted, fit, scale)))
        source = source._replace(pixels=np.ascontiguousarray(resized(source.pixels, small, fit)))
    return Couple(match.name, target, source, turned)


def _sides(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


def _scale(large: Size, small: Size) -> int:
    """How many times larger; 0 where that is no scale."""
    return next((k for k in _SCALES if large == (k * small[0], k * small[1])), 0)


def _one_scale(couples: list[Couple]) -> tuple[int, list[Couple], list[str]]:
    """The most common scale, the couples that have it, and what is to be said of the others."""
    scales = [_scale(couple.first.size, couple.second.size) for couple in couples]
    (scale, _), *_ = sorted(Counter(scales).items(), key=lambda found: (-found[1], found[0]))
    kept = [couple for couple, own in zip(couples, scales, strict=True) if own == scale]
    left = [f"{couple.name} (x{own})" for couple, own in zip(couples, scales, strict=True) if own != scale]
    return scale, kept, listed(f"Skipped {{}} not of the commonest scale x{scale}: {{}}.", left, what="pair")


# --- sets without partners --------------------------------------------------------------------------------------------


def _unpaired(
    root: Path,
    files: Sequence[File],
    chosen: Folders,
    wanted: Size | None,
    channels: Channels,
    fit: str,
    progress: Progress,
) -> Dataset:
    decoded = None if fit == "tiles" else wanted
    asked = [(file, folder) for folder in (chosen.second, chosen.first) for file in inside(files, folder)]
    first = len(inside(files, chosen.second))
    found = gathered(each(lambda one: decode(one[0], decoded, fit), asked, progress))
    pictures, skipped = found
    targets = [picture for picture in pictures if picture.name.startswith(f"{chosen.second}/")]
    sources = [picture for picture in pictures if not picture.name.startswith(f"{chosen.second}/")]
    for some, folder, n in ((targets, chosen.second, first), (sources, chosen.first, len(asked) - first)):
        if not some:
            raise BadInput(f"{root.name}: none of {count(n, 'image')} in '{folder}' can be read, e.g. {skipped[0]}")
    size = wanted or common_size([picture.size for picture in targets])
    targets, few = large_enough(targets, size, fit, "target")
    sources, fewer = large_enough(sources, size, fit, "source")
    sides = [_side(targets, size, channels[0], fit, "target"), _side(sources, size, channels[1], fit, "source")]
    (x, named), (source, other) = sides
    at, beside_at, groups = _beside_each_other(named.owners, other.owners)
    shorter = min(len(targets), len(sources))
    report = (
        f"Read {count(len(targets), 'target')} from '{chosen.second}' and {count(len(sources), 'source')} from "
        f"'{chosen.first}', which do not belong together, as {count(len(at), 'item')}.",
        f"Targets are {x.read}; sources are {source.read}.",
        *named.said,
        *other.said,
        *(
            [f"Repeated the {shorter:,} of the shorter set beside the longer one."]
            if len(sources) != len(targets)
            else []
        ),
        *listed("Skipped {} that cannot be read: {}.", skipped),
        *few,
        *fewer,
        *x.said,
        *source.said,
    )
    dataset = Dataset(x.x, x.units, names=named.names).take(at)
    beside = {"source": Beside(Dataset(source.x, source.units).take(beside_at).x, source.units)}
    return replace(dataset, beside=beside, groups=groups, report=report)


def _side(pictures: list[Picture], size: Size, channels: int | None, fit: str, what: str) -> tuple[Stack, Items]:
    parts = items([picture.name for picture in pictures], [picture.size for picture in pictures], size, fit, what)
    return stacked(pictures, size, channels, fit, 1, what), parts


def _beside_each_other(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Which item of either set (N,) int64 each item holds, and the groups that no photo leaves.

    Photo i of the longer set comes with photo i modulo M of the M of the shorter one; of both, every item is shown.

    Args:
        first: the photo of each item of one set, in order.
        second: of the other set.
    """
    counts = [torch.bincount(owners) for owners in (first, second)]
    starts = [torch.cumsum(n, 0) - n for n in counts]
    fewer = min(len(counts[0]), len(counts[1]))
    at: list[list[int]] = [[], []]
    groups: list[int] = []
    for photo in range(max(len(counts[0]), len(counts[1]))):
        own = [photo % len(n) for n in counts]
        n = max(int(counts[side][own[side]]) for side in (0, 1))
        for side in (0, 1):
            at[side] += [int(starts[side][own[side]]) + k % int(counts[side][own[side]]) for k in range(n)]
        groups += [photo % fewer] * n
    # A single group could not be parted, and where each item is a group of its own nothing needs to be said.
    needed = 1 < fewer < len(groups)
    return torch.tensor(at[0]), torch.tensor(at[1]), torch.tensor(groups) if needed else None
