"""Folders and zip files of images, as people have them: mixed sizes, mixed modes, some of them damaged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch

from evenodds.data._files import ENDINGS, content, opened
from evenodds.data._labels import LABELS, NO_LABELS, Labels, from_folders, from_table, untrained
from evenodds.data._picture import MOST_PIXELS, File, Frames, decode, decode_frames
from evenodds.data._pipeline import IMAGE, FileSet, Form, dataset, decoded, form_of, ignored, skipped
from evenodds.data._splits import checked, lists_in, to_read
from evenodds.data._splits import splits as parted
from evenodds.data._stack import items, stacked
from evenodds.data._wording import count, listed
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput, unknown
from evenodds.game.schedule import OnProgress

__all__ = ["READS", "images"]

READS = (".zip", "/", *ENDINGS)
"""The file names' endings for which `load` comes here; "/" is a folder."""
SEVERAL = (".tif", ".tiff", ".gif", ".webp")
"""Endings of files that may hold several images."""


def images(
    path: str | os.PathLike[str],
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
    fit: str = "crop",
    labels: bool = True,
    unlabelled: str | float | None = None,
    splits: str = "respect",
    frames: str = "all",
    range: str | Sequence[float] = "auto",
    nodata: str | float = "auto",
    most_pixels: int = MOST_PIXELS,
    progress: OnProgress | None = None,
) -> Dataset:
    """All images in a folder or a zip file, or one image, in the order of their names. Nothing is written or executed.

    Args:
        path: the folder (searched through and through), the zip file (read in memory, never extracted) or the image.
        size: side of a square, or (height, width). None: the size that they all have, else the most common one.
        channels: 1 grey, 3 RGB, 4 RGB and alpha. None: 1 if all are grey, else 3. Without alpha, what is transparent
            becomes white.
        fit: how an image of another size gets there, by Lanczos resampling: "crop" fills the size and cuts the rest
            off evenly, "pad" fits inside it with black around, "stretch" ignores the proportions. "tiles"
            resizes nothing: each image is cut into tiles of `size` that cover it, named "file.jpg#0" and so on;
            smaller images are skipped.
        labels: take what is known from labels.csv, where the folder holds one: a line with the names of the columns,
            which may lack, then lines `name,class`; or with numbers in further columns, attributes or values to ask for
            (commas, semicolons or tabs between). Else, if every image lies one folder deep (below what all have in
            common), the folders name the classes.
        unlabelled: a label that stands for an unknown class, such as -1.
        splits: "respect" holds out what lies in folders such as test and val beside train, or what lists such as
            test.txt name, and nothing else; "ignore" reads all as one; "train" leaves such folders aside.
        frames: "all" or "first" of a TIFF, GIF or WebP file of several. They are named "file.tif#0" and so on; those of
            one file are held out together.
        range, nodata: of images of 16 bits, see `from_array`.
        most_pixels: a file with more is skipped before it is decoded: it would fill the memory.
        progress: told (files done, files in all) now and then.

    Returns:
        x (N, C, H, W) uint8, or int32 of 16 bits if all images are 16-bit grey. `report` tells what was skipped,
        resized and converted; hidden files and other kinds of files are ignored and counted. `groups` numbers the
        images that tiles are of.

    Raises:
        BadInput: an option that cannot be, or no usable image.
    """
    root, splits = Path(path), checked(splits)
    if frames not in ("all", "first"):
        raise unknown("choice of data.frames", frames, ("all", "first"))
    form = form_of(root, size, fit, most_pixels, channels)
    with opened(root, form.most_pixels) as (files, others):
        kept, aside = to_read([file.name for file in files], splits)
        files = [files[k] for k in kept]
        above = _common([file.name for file in files])
        tables = [file for file in others if file.name in (LABELS, above + LABELS)][:1] if labels else []
        if not files:
            number = len(others) - len(tables)
            raise BadInput(f"{root.name} holds no images ({', '.join(ENDINGS)}), only {number} other files")
        (batch,) = decoded(
            root,
            [FileSet(files, "image")],
            lambda file: _frames(file, frames, form),
            form,
            IMAGE,
            progress,
        )
        pictures = [picture for file in batch.records for picture in file.pictures]
        names = [file.name for file in batch.records for _ in file.pictures]
        parts = parted(names, splits, lists=lists_in(others, "main"))
        inner = above if tables and tables[0].name != LABELS else ""
        below = [[name.removeprefix(inner) for name in of] for of in ([one.name for one in pictures], names)]
        annotated = _labels(below[0], below[1], parts.names, tables, unlabelled) if labels else NO_LABELS
    tiles = items([picture.name for picture in pictures], [picture.size for picture in pictures], batch.size, fit)
    stack = stacked(pictures, batch.size, channels, fit, wanted=range, nodata=nodata, may_be_empty=True)
    several = [file.name for file in batch.records if len(file.pictures) > 1]
    unusable = [name for file in batch.records for name in file.unusable]
    report = (
        f"Read {count(len(tiles.names), 'image')} of {stack.summary}.",
        *listed("Took all frames of {}: {}; data.frames=first takes the first of each.", several),
        *tiles.notes,
        *skipped(IMAGE, replace(batch, skipped=[*batch.skipped, *unusable])),
        *ignored(others, [*tables, *parts.lists]),
        *stack.notes,
        *parts.notes,
        *aside,
        *annotated.notes,
        *untrained(annotated, parts.apart),
    )
    made = dataset(tiles, stack, report, labels=annotated, apart=parts.apart)
    if several:
        made = replace(made, groups=torch.from_numpy(np.unique(names, return_inverse=True)[1])[tiles.owners])
    there = torch.isin(torch.arange(len(made)), stack.empty, invert=True)
    return made if bool(there.all()) else made.take(there.nonzero().flatten())


def _common(names: Sequence[str]) -> str:
    """The folders that all have in common, with a slash behind; empty where there is none."""
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    shared = takewhile(lambda level: len(set(level)) == 1, levels)
    return "".join(f"{level[0]}/" for level in shared)


def _frames(file: File, which: str, form: Form) -> Frames | str:
    """The frames of a file that are wanted, or its name and why it cannot be used."""
    if which == "all" and file.name.lower().endswith(SEVERAL):
        return decode_frames(file, form.at_decoding, form.fit, form.most_pixels)
    picture = decode(file, form.at_decoding, form.fit, form.most_pixels)
    return picture if isinstance(picture, str) else Frames(file.name, [picture], [])


def _labels(
    names: list[str], files: list[str], without_splits: list[str], tables: list[File], unlabelled: str | float | None
) -> Labels:
    return from_table(names, content(tables[0]), unlabelled, files) if tables else from_folders(without_splits)
