"""Folders, archives and lists of images, as people have them: mixed sizes, mixed modes, some of them damaged."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch

from evenodds.data.dataset import Dataset
from evenodds.data.encoding import encode_labels
from evenodds.data.folders import archives, image_tables, lists
from evenodds.data.folders.files import Said, content, listing
from evenodds.data.folders.ignored import described, ignored
from evenodds.data.folders.kinds import PICTURES, decode_any
from evenodds.data.folders.labels import LABELS, NO_LABELS, Labels, from_folders, from_table, negative, untrained
from evenodds.data.folders.splits import checked, lists_in, to_read
from evenodds.data.folders.splits import splits as parted
from evenodds.data.items import Decoded, Part
from evenodds.data.pictures import numbers, video
from evenodds.data.pictures.opening import MOST_PIXELS, File
from evenodds.data.pictures.picture import DecodedImage, Frames
from evenodds.data.pictures.ranges import check_options
from evenodds.data.pictures.stack import Items, Stack, Way, arrayed, items
from evenodds.data.pictures.unread import on_memory, reads, unread
from evenodds.data.readers.pipeline import IMAGE, FileSet, Records, dataset, decoded, form_of, skipped, without
from evenodds.data.wording import count, listed
from evenodds.errors import BadInput, unknown
from evenodds.game.schedule import OnProgress

__all__ = ["READS", "images", "stack_of"]

_TABLES = (".csv", ".tsv", ".xlsx", ".parquet", ".npz", ".npy")
"""Endings of files by which a folder without images may be meant."""
READS = ("/", *archives.ENDINGS, *image_tables.ENDINGS, *lists.ENDINGS, *PICTURES, *video.ENDINGS)
"""The file names' endings for which `load` comes here; "/" is a folder."""


def images(
    path: str | os.PathLike[str],
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
    fit: str = "crop",
    labels: bool = True,
    unlabelled: str | float | None = None,
    column: str | None = None,
    label: str | None = None,
    root: str | os.PathLike[str] | None = None,
    splits: str = "respect",
    frames: str = "all",
    every: int | None = None,
    window: str | Sequence[float] | None = None,
    range: str | Sequence[float] = "auto",
    nodata: str | float = "auto",
    most_pixels: int = MOST_PIXELS,
    memory: str | None = None,
    progress: OnProgress | None = None,
) -> Dataset:
    """All images in a folder or an archive, or one image, in the order of their names. Nothing in them is executed.

    Args:
        path: the folder (searched through and through; one without images may hold tars and tables); the archive (zip
            or tar, never extracted; in a tar, labels may lie beside images as WebDataset has them); the table (Parquet
            or Arrow, with the bytes of images in a column); the text file with a path in each line, and a label behind
            it or none; or the image.
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
        column, label: of a table, Parquet or Arrow, those with the images and with the classes; label of labels.csv,
            too. None: the columns that are described or called so. Of a tar whose samples hold several images each,
            column is what stands behind the first dot of the names of those to read, such as "jpg".
        root: of a text file that lists paths, the folder at which they start, and out of which none may lead. None: its
            own.
        unlabelled: a label that stands for an unknown class, such as -1.
        splits: "respect" holds out what lies in folders such as test and val beside train, or what lists such as
            test.txt name, and nothing else; "ignore" reads all as one; "train" leaves such folders aside.
        frames: "all" or "first" of a file of several (TIFF, GIF, WebP, PNG, AVIF, DICOM, video). They are named
            "file.tif#0" and so on; those of one file are held out together.
        every: of how many frames of a video one is taken. None: one for each second, of videos that do not lie among
            images.
        window: of grey in DICOM files, its centre and width, such as "40,400", or "file" for that in the file: what
            lies within becomes 8 bits. None: the numbers, rescaled as the file says.
        range, nodata: of images of 16 bits, see `from_array`.
        most_pixels: a file with more is skipped before it is decoded: it would fill the memory.
        memory: bytes that decoded images may take, such as "1GB". Up to half of that they are held in memory; more are
            decoded when they are asked for, see docs/data.md. None: what the machine has.
        progress: told (files done, files in all) now and then.

    Returns:
        x (N, C, H, W) uint8, or int32 of 16 bits if all images are 16-bit grey. `report` tells what was skipped,
        resized and converted; hidden files and other kinds of files are ignored and counted. `groups` numbers the
        images that tiles are of.

    Raises:
        BadInput: an option that cannot be, or no usable image.
    """
    place, splits = Path(path), checked(splits)
    if frames not in ("all", "first"):
        raise unknown("choice of data.frames", frames, ("all", "first"))
    form = form_of(place, size, fit, most_pixels, channels, memory=memory)
    check_options(range, nodata)
    brought = numbers.Form(form.at_decoding, fit, form.most_pixels, _window(window), _every(every))
    endings, later = (PICTURES, video.ENDINGS) if every is None else ((*PICTURES, *video.ENDINGS), ())
    with listing(place, form.most_pixels, Said(endings, column, label, later, True, root, form.memory)) as there:
        files, others, sources, notes, _ = there
        kept, aside = to_read([file.name for file in files], splits)
        files = [files[k] for k in kept]
        above = _common([file.name for file in files])
        tables = [file for file in others if file.name in (LABELS, above + LABELS)][:1] if labels else []
        if not files:
            found = [line.removesuffix(".") for line in ignored(others, tables)]
            single = [file.name for file in others if file.name.lower().endswith(_TABLES)]
            advice = [f"to read a table, name it: {place / single[0]}"] if single and place.is_dir() else []
            raise BadInput("; ".join([f"{place.name} holds no images", *found, *advice]))
        (batch,) = decoded(
            place,
            [FileSet(files, "image")],
            lambda file: decode_any(file, brought, frames),
            form,
            IMAGE,
            progress,
            lazily=True,
        )
        records, strange = numbers.of_one_kind(batch.records)
        batch = replace(batch, records=records, skipped=[*batch.skipped, *strange])
        pictures = [picture for file in batch.records for picture in file.pictures]
        names = [file.name for file in batch.records for _ in file.pictures]
        parts = parted(names, splits, lists=lists_in(others, "main"))
        inner = above if tables and tables[0].name != LABELS else ""
        below = [[name.removeprefix(inner) for name in of] for of in ([one.name for one in pictures], names)]
        known = {file.name: file.label for file in files if file.label is not None} if labels else {}
        if known:
            annotated = _known([known.get(name, "") for name in names], sources, unlabelled)
        else:
            annotated = _labels(below[0], below[1], parts.names, tables, unlabelled, label) if labels else NO_LABELS
        close = there.kept() if batch.again is not None else nothing
    tiles = items([picture.name for picture in pictures], [picture.size for picture in pictures], batch.size, fit)
    stack, reading = stack_of(batch, tiles, channels, fit, range, nodata, close)
    several = [file.name for file in batch.records if len(file.pictures) > 1 and not file.note]
    patients = {file.group for file in batch.records if file.group}
    unusable = [name for file in batch.records for name in file.unusable]
    report = (
        f"Read {count(len(tiles.names) - len(stack.empty), 'image')} of {stack.summary}.",
        *listed("Took all frames of {}: {}; data.frames=first takes the first of each.", several),
        *notes,
        *numbers.remarks(batch.records),
        *([f"Images of one patient are held out together; there are {len(patients):,} of these."] if patients else []),
        *tiles.notes,
        *skipped(IMAGE, replace(batch, skipped=[*batch.skipped, *unusable])),
        *ignored(others, [*tables, *parts.lists]),
        *described(files, others),
        *stack.notes,
        *on_memory(batch.again, form.memory, stack.x),
        *parts.notes,
        *aside,
        *annotated.notes,
        *untrained(annotated, parts.apart),
    )
    made = dataset(tiles, stack, report, labels=annotated, apart=parts.apart, reads=reading)
    made = _grouped(made, batch.records, tiles)
    return without(made, stack.empty)


def stack_of(
    batch: Records[Frames],
    tiles: Items,
    channels: int | None,
    fit: str,
    wanted: str | Sequence[float],
    nodata: str | float,
    close: Callable[[], object],
) -> tuple[Stack, Decoded | None]:
    """The images as one array; or without values, and what reads them, where they do not fit into memory."""
    again = batch.again
    if again is None:
        pictures = [picture for file in batch.records for picture in file.pictures]
        return arrayed(pictures, batch.size, channels, fit, wanted=wanted, nodata=nodata).stack(), None
    counts = [len(file.pictures) for file in batch.records]
    of = [(file, k) for file in batch.records for k in range(len(file.pictures))]

    def again_decoded(number: int) -> DecodedImage:
        file, k = of[number]
        picture: DecodedImage = again.decode(again.jobs[file.name]).pictures[k]
        return picture

    pictures = [file.pictures[k] for file, k in of]
    stack, making = unread(
        pictures, Way(batch.size, fit), channels, "image", wanted, nodata, again_decoded, again.memory
    )
    x = Part(lambda record, k: record.pictures[k], making.item)
    return stack, reads(again, batch.records, counts, tiles, {"x": x}, close)


def nothing() -> None:
    """Closes nothing."""


def _grouped(made: Dataset, records: Sequence[Frames], tiles: Items) -> Dataset:
    """The data set with the groups of what is held out together: of one file, or of one patient."""
    groups = [file.group or file.name for file in records for _ in file.pictures]
    if len(set(groups)) == len(groups):
        return made
    return replace(made, groups=torch.from_numpy(np.unique(groups, return_inverse=True)[1])[tiles.owners])


def _every(number: int | None) -> int | None:
    """The option `every`, checked."""
    if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
        raise BadInput(f"data.every needs a whole number of at least 1, got {number!r}; 30 takes one frame of 30")
    return number


def _window(given: str | Sequence[float] | None) -> tuple[float, float] | str | None:
    """The option `window`, checked."""
    if given is None or given == "file":
        return given
    try:
        ends = [float(one) for one in (given.split(",") if isinstance(given, str) else given)]
    except (TypeError, ValueError):
        ends = []
    if len(ends) != 2 or not all(map(math.isfinite, ends)) or ends[1] <= 0:
        raise BadInput(f"data.window needs file, or a centre and a width such as 40,400, got {given!r}")
    return ends[0], ends[1]


def _common(names: Sequence[str]) -> str:
    """The folders that all have in common, with a slash behind; empty where there is none."""
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    shared = takewhile(lambda level: len(set(level)) == 1, levels)
    return "".join(f"{level[0]}/" for level in shared)


def _known(words: Sequence[str], notes: Sequence[str], unlabelled: str | float | None) -> Labels:
    """The labels that what the files are in names, one for each image."""
    y, classes = encode_labels(words, unlabelled)
    if not classes:
        return NO_LABELS
    return Labels(y, classes, notes=(*notes, *negative(classes)))


def _labels(
    names: list[str],
    files: list[str],
    without_splits: list[str],
    tables: list[File],
    unlabelled: str | float | None,
    label: str | None,
) -> Labels:
    if tables:
        return from_table(names, content(tables[0]), unlabelled, files, label)
    if label is not None:
        raise BadInput(f"data.label={label} names a column of {LABELS}, and none is there; leave it out")
    return from_folders(without_splits, unlabelled)
