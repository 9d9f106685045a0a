"""Folders and zip files of images, as people have them: mixed sizes, mixed modes, some of them damaged."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from evenodds.data._files import ENDINGS, checked, content, each, gathered, listed, opened
from evenodds.data._labels import LABELS, Known, labelled
from evenodds.data._picture import decode
from evenodds.data._stack import common_size, items, large_enough, stacked
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput

__all__ = ["READS", "images"]

READS = (".zip", "/", *ENDINGS)
"""The file names' endings for which `load` comes here; "/" is a folder."""

_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def images(
    path: str | os.PathLike[str],
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
    fit: str = "crop",
    labels: bool = True,
    progress: Callable[[int, int], None] | None = None,
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
            then lines `name,class`; or with numbers in further columns, attributes or values to ask for. Else, if every
            image lies one folder deep (below what all have in common), the folders name the classes.
        progress: told (files done, files in all) now and then.

    Returns:
        x (N, C, H, W) uint8, or int32 of 16 bits if all images are 16-bit grey. `report` tells what was skipped,
        resized and converted; hidden files and other kinds of files are ignored and counted. `groups` numbers the
        images that tiles are of.

    Raises:
        BadInput: an option that cannot be, or no usable image.
    """
    root = Path(path)
    wanted = checked(root, size, channels, fit)
    with opened(root) as (files, others):
        tabled = [file for file in others if file.name == LABELS and labels]
        ignored = [file.name for file in others if file not in tabled]
        if not files:
            raise BadInput(f"{root.name} holds no images ({', '.join(ENDINGS)}), only {len(ignored)} other files")
        decoded = None if fit == "tiles" else wanted
        pictures, skipped = gathered(each(lambda file: decode(file, decoded, fit), files, progress))
        if not pictures:
            raise BadInput(f"{root.name}: none of {len(files)} images can be read, e.g. {skipped[0]}")
        target = wanted or common_size([picture.size for picture in pictures])
        pictures, small = large_enough(pictures, target, fit)
        names = [picture.name for picture in pictures]
        known = labelled(names, content(tabled[0])) if tabled else _classes(names, labels)
    stack = stacked(pictures, target, channels, fit)
    parts = items(names, [picture.size for picture in pictures], target, fit)
    report = [
        f"Read {len(parts.names):,} images of {stack.read}.",
        *parts.said,
        *listed("Skipped {} that cannot be read: {}.", skipped),
        *small,
        *listed("Ignored {} hidden or not images: {}.", ignored),
        *stack.said,
        *known.said,
    ]
    y, c = (None if of is None else of[parts.owners] for of in (known.y, known.c))
    return Dataset(
        stack.x,
        stack.units,
        y,
        known.classes,
        parts.names,
        c=c,
        conditions=known.conditions,
        groups=parts.groups,
        report=tuple(report),
    )


def _classes(names: list[str], labels: bool) -> Known:
    """Labels from the folders, if they are classes."""
    if not labels:
        return _nothing()
    parts = [name.split("/") for name in names]
    while all(len(part) > 1 for part in parts) and len({part[0] for part in parts}) == 1:
        parts = [part[1:] for part in parts]
    if all(len(part) == 1 for part in parts):
        return _nothing()
    if any(len(part) != 2 for part in parts):
        return _nothing("The folders are not one level deep, so they name no classes.")
    if {part[0].lower() for part in parts} <= _SPLITS:
        return _nothing("The folders name splits, not classes; all of them were read.")
    classes = tuple(sorted({part[0] for part in parts}))
    number = {name: k for k, name in enumerate(classes)}
    y = torch.tensor([number[part[0]] for part in parts])
    said = f"Took {len(classes)} folders as classes; labels=false leaves them out."
    return Known(y, classes, None, None, [said])


def _nothing(*said: str) -> Known:
    return Known(None, (), None, None, list(said))
