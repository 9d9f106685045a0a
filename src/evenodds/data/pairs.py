"""Images in pairs, one of each to be made from the other: two folders whose files have equal names, or two sets."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from evenodds.data._archives import ENDINGS as ARCHIVES
from evenodds.data._files import opened
from evenodds.data._halves import halves, side_of_sources
from evenodds.data._ignored import ignored
from evenodds.data._kinds import PICTURES
from evenodds.data._kinds import decode_first as decode
from evenodds.data._matching import Folders, Match, folders, inside, matched
from evenodds.data._partners import Partners, aligned, turned
from evenodds.data._picture import MOST_PIXELS, DecodedImage, File
from evenodds.data._pipeline import (
    IMAGE,
    PAIR,
    FileSet,
    Form,
    Records,
    dataset,
    decoded,
    form_of,
    skipped,
)
from evenodds.data._placing import Size, resized
from evenodds.data._ranges import check_options
from evenodds.data._splits import checked
from evenodds.data._splits import splits as parted
from evenodds.data._stack import Items, Stack, items, stacked
from evenodds.data._wording import count, listed
from evenodds.data.dataset import Beside, Dataset
from evenodds.game.schedule import OnProgress

__all__ = ["LAYOUTS", "READS", "pairs"]

READS = ("/", *ARCHIVES)
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
    beside: str = "auto",
    splits: str = "respect",
    range: str | Sequence[float] = "auto",
    nodata: str | float = "auto",
    most_pixels: int = MOST_PIXELS,
    progress: OnProgress | None = None,
) -> Dataset:
    """Two folders of images in a folder or an archive: x is to be made, and beside it "source" is what to make it from.

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
        beside: which half of each file is the source, where both of a pair lie side by side in one: "left" or "right".
            "auto": the left one, where no folders are told apart and all files are twice as wide as high; "none": no
            file is cut.
        splits: what to do with folders such as train and test within both, see `images`. Of sets without partners,
            what is to test on is left aside.
        range, nodata: of targets and of sources, see `from_array`.
        most_pixels: of a file, see `images`.
        progress: told (pairs or files done, in all) now and then.

    Returns:
        Targets as x (N, C, H, W), see `images`, and sources (N, C', H / k, W / k) beside them. `report` tells which
        files have no partner, do not fit theirs or cannot be read; they are skipped.

    Raises:
        BadInput: an option that cannot be, folders that cannot be told, or no usable pair.
    """
    root, splits = Path(path), checked(splits)
    check_options(range, nodata)
    form = form_of(root, size, fit, most_pixels, channels, source_channels)
    with opened(root, form.most_pixels, PICTURES) as (files, others):
        wanted = Wanted((channels, source_channels), range, nodata)
        side = side_of_sources(files, beside, FOLDERS, form) if paired and sources is None and targets is None else ""
        if side:
            data = _halved(root, files, side, form, wanted, splits, progress)
            return replace(data, report=(*data.report, *ignored(others)))
        chosen = folders(root, files, FOLDERS, ("sources", "targets"), (sources, targets))
        if paired:
            data = _paired(root, files, chosen, form, wanted, splits, progress)
        else:
            files, aside = _to_train_on(files, chosen, splits)
            data = _unpaired(root, files, chosen, form, wanted, progress)
            data = replace(data, report=(*data.report, *aside))
    return replace(data, report=(*data.report, *chosen.notes, *ignored(others)))


class Wanted(NamedTuple):
    """What the user wants of targets and of sources."""

    channels: tuple[int | None, int | None]
    range: str | Sequence[float]
    nodata: str | float


def _paired(
    root: Path,
    files: Sequence[File],
    chosen: Folders,
    form: Form,
    wanted: Wanted,
    splits: str,
    progress: OnProgress | None,
) -> Dataset:
    matches, alone = matched(files, chosen.second, chosen.first)
    (batch,) = decoded(root, [FileSet(matches, "pair")], lambda match: _pair(match, form), form, PAIR, progress)
    scale = _one_scale(batch.records)[0]
    times = "as large as" if scale == 1 else f"{scale} times as large as"
    how = f"targets from '{chosen.second}' {times} sources in '{chosen.first}'"
    return _together(batch, how, alone, form.fit, wanted, splits)


def _together(
    batch: Records[Partners], how: str, alone: Sequence[str], fit: str, wanted: Wanted, splits: str
) -> Dataset:
    """The data set of decoded pairs.

    Args:
        how: where sources and targets are from, for the report.
        alone: notes on files without a partner.
    """
    scale, pairs, others = _one_scale(batch.records)
    size = batch.size
    targets, sources = [pair.first for pair in pairs], [pair.second for pair in pairs]
    stems = [pair.name for pair in pairs]
    parts = parted(stems, splits, "pair")
    tiles = items(stems, [target.size for target in targets], size, fit, "pair")
    x = stacked(targets, size, wanted.channels[0], fit, scale, "target", wanted.range, wanted.nodata)
    small = size[0] // scale, size[1] // scale
    source = stacked(sources, small, wanted.channels[1], fit, 1, "source", wanted.range, wanted.nodata)
    report = (
        f"Read {count(len(tiles.names), 'pair')}: {how}.",
        f"Targets are {x.summary}; sources are {source.summary}.",
        *tiles.notes,
        *alone,
        *skipped(PAIR, batch),
        *turned(batch.records),
        *others,
        *parts.notes,
        *x.notes,
        *source.notes,
    )
    return dataset(tiles, x, report, {"source": Beside(source.x, source.units)}, apart=parts.apart)


def _halved(
    root: Path,
    files: Sequence[File],
    side: str,
    form: Form,
    wanted: Wanted,
    splits: str,
    progress: OnProgress | None,
) -> Dataset:
    """Pairs of which both lie side by side in one file."""
    (batch,) = decoded(root, [FileSet(files, "pair")], lambda file: halves(file, side, form), form, PAIR, progress)
    other = "right" if side == "left" else "left"
    how = (
        f"the {side} half of each file is the source, the {other} one the target; data.beside={other} takes them the "
        "other way round, data.sources and data.targets name folders"
    )
    return _together(batch, how, [], form.fit, wanted, splits)


def _pair(match: Match, form: Form) -> Partners | str:
    # Whole: JPEG files decoded at a fraction, each at its own, would not lie exactly over each other.
    first, second = (decode(file, None, form.fit, form.most_pixels) for file in (match.first, match.second))
    pair = aligned(match, first, second, lambda target, source: _scale(target, source) > 0)
    if isinstance(pair, str):
        return pair
    target, source = pair.first, pair.second
    scale = _scale(target.size, source.size)
    if not scale:
        return (
            f"{match.name} (its target of {_sides(target.size)} is not 1, 2, 3 or 4 times its source of "
            f"{_sides(source.size)})"
        )
    if form.size and (form.size[0] % scale or form.size[1] % scale):
        return f"{match.name} (size {_sides(form.size)} is no multiple of {scale}, by which its target is larger)"
    if not form.at_decoding:
        return pair
    size, small = form.at_decoding, (form.at_decoding[0] // scale, form.at_decoding[1] // scale)
    return pair._replace(
        first=target._replace(pixels=np.ascontiguousarray(resized(target.pixels, size, form.fit, scale))),
        second=source._replace(pixels=np.ascontiguousarray(resized(source.pixels, small, form.fit))),
    )


def _sides(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


def _scale(large: Size, small: Size) -> int:
    """How many times larger; 0 where that is no scale."""
    return next((k for k in _SCALES if large == (k * small[0], k * small[1])), 0)


def _one_scale(pairs: list[Partners]) -> tuple[int, list[Partners], list[str]]:
    """The most common scale, the pairs that have it, and a note on the others."""
    scales = [_scale(pair.first.size, pair.second.size) for pair in pairs]
    (scale, _), *_ = sorted(Counter(scales).items(), key=lambda entry: (-entry[1], entry[0]))
    of_scale = [pair for pair, its in zip(pairs, scales, strict=True) if its == scale]
    others = [f"{pair.name} (x{its})" for pair, its in zip(pairs, scales, strict=True) if its != scale]
    return scale, of_scale, listed(f"Skipped {{}} not of the commonest scale x{scale}: {{}}.", others, what="pair")


# --- sets without partners --------------------------------------------------------------------------------------------


def _to_train_on(files: Sequence[File], chosen: Folders, splits: str) -> tuple[list[File], list[str]]:
    """The files of sets without partners that are not kept for testing, and a note on the others."""
    kept: list[File] = []
    aside = 0
    for folder in (chosen.first, chosen.second):
        of_folder = inside(files, folder)
        parts = parted([file.name[len(folder) + 1 :] for file in of_folder], splits)
        apart = [False] * len(of_folder) if parts.apart is None else parts.apart.tolist()
        kept += [file for file, out in zip(of_folder, apart, strict=True) if not out]
        aside += sum(apart)
    note = f"Left aside {count(aside, 'image')} that are kept for testing; data.splits=ignore takes them too."
    return kept, [note] if aside else []


def _unpaired(
    root: Path, files: Sequence[File], chosen: Folders, form: Form, wanted: Wanted, progress: OnProgress | None
) -> Dataset:
    sets = [
        FileSet(inside(files, folder), noun, f" in '{folder}'")
        for folder, noun in ((chosen.second, "target"), (chosen.first, "source"))
    ]

    def decode_one(file: File) -> DecodedImage | str:
        return decode(file, form.at_decoding, form.fit, form.most_pixels)

    batches = decoded(root, sets, decode_one, form, IMAGE, progress)
    targets, sources = (len(of.records) for of in batches)
    (x, x_items), (source, source_items) = (
        _side(of, number, wanted, form.fit, files_of.noun)
        for of, number, files_of in zip(batches, wanted.channels, sets, strict=True)
    )
    x_index, source_index, groups = _beside_each_other(x_items.owners, source_items.owners)
    repeated = f"Repeated the {min(targets, sources):,} of the shorter set beside the longer one."
    report = (
        f"Read {count(targets, 'target')} from '{chosen.second}' and {count(sources, 'source')} from "
        f"'{chosen.first}', which do not belong together, as {count(len(x_index), 'item')}.",
        f"Targets are {x.summary}; sources are {source.summary}.",
        *x_items.notes,
        *source_items.notes,
        *([repeated] if sources != targets else []),
        *skipped(IMAGE, *batches),
        *x.notes,
        *source.notes,
    )
    data = Dataset(x.x, x.units, names=x_items.names).take(x_index)
    values = Dataset(source.x, source.units).take(source_index).x
    return replace(data, beside={"source": Beside(values, source.units)}, groups=groups, report=report)


def _side(
    batch: Records[DecodedImage], channels: int | None, wanted: Wanted, fit: str, noun: str
) -> tuple[Stack, Items]:
    pictures = batch.records
    tiles = items([picture.name for picture in pictures], [one.size for one in pictures], batch.size, fit, noun)
    return stacked(pictures, batch.size, channels, fit, 1, noun, wanted.range, wanted.nodata), tiles


def _beside_each_other(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Which item of either set (N,) int64 each item holds, and the groups that no photo leaves.

    Photo i of the longer set comes with photo i modulo M of the M of the shorter one; of both, every item is shown.

    Args:
        first: the photo of each item of one set, in order.
        second: of the other set.
    """
    sizes = [torch.bincount(owners).tolist() for owners in (first, second)]
    starts = [[0, *accumulate(of)] for of in sizes]
    fewer, more = sorted(len(of) for of in sizes)
    at: list[list[int]] = [[], []]
    groups: list[int] = []
    for photo in range(more):
        photos = [photo % len(of) for of in sizes]
        n = max(sizes[side][photos[side]] for side in (0, 1))
        for side in (0, 1):
            start, size = starts[side][photos[side]], sizes[side][photos[side]]
            at[side] += [start + k % size for k in range(n)]
        groups += [photo % fewer] * n
    # A single group could not be parted, and where each item is a group of its own nothing needs to be said.
    needed = 1 < fewer < len(groups)
    return torch.tensor(at[0]), torch.tensor(at[1]), torch.tensor(groups) if needed else None
