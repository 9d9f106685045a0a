"""Images and their label maps: a class for each pixel, written as the index that it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evenodds.data.dataset import Beside, Dataset
from evenodds.data.folders.archives import ENDINGS as ARCHIVES
from evenodds.data.folders.files import opened
from evenodds.data.folders.ignored import ignored
from evenodds.data.folders.kinds import PICTURES
from evenodds.data.folders.kinds import decode_first as decode
from evenodds.data.folders.labels import Labels
from evenodds.data.folders.splits import checked, lists_in, to_read
from evenodds.data.folders.splits import splits as parted
from evenodds.data.label_maps.map_file import LOSSY
from evenodds.data.label_maps.map_jobs import Key, MapJob, found
from evenodds.data.label_maps.scheme import MIDDLE, scheme
from evenodds.data.label_maps.several_masks import OBJECTS
from evenodds.data.palette import IGNORED
from evenodds.data.pictures.opening import MOST_PIXELS
from evenodds.data.pictures.partners import Partners, aligned, turned
from evenodds.data.pictures.picture import DecodedImage
from evenodds.data.pictures.placing import Pixels, Size, nearest, resized
from evenodds.data.pictures.ranges import check_options
from evenodds.data.pictures.stack import arrayed, cut, items
from evenodds.data.readers.pipeline import PAIR, FileSet, Form, Records, dataset, decoded, form_of, skipped, without
from evenodds.data.wording import count
from evenodds.errors import BadInput, unknown
from evenodds.game.schedule import OnProgress

__all__ = ["LAYOUTS", "READS", "maps"]

READS = ("/", *ARCHIVES)
"""The file names' endings for which `load` comes here, in this layout."""
_OBJECT = ("background", "object")
_FEW = 4
"""Of fewer maps or values it is not asked whether they are numbers of objects."""
LAYOUTS: dict[str, dict[str, Any]] = {"maps": {}}
"""What files may be to each other that are read here, and the options that say so."""


def maps(
    path: str | os.PathLike[str],
    images: str | None = None,
    labels: str | None = None,
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
    ignore: int | str | None = None,
    names: Sequence[str] | str | None = None,
    objects: str = "auto",
    fit: str = "crop",
    splits: str = "respect",
    range: str | Sequence[float] = "auto",
    nodata: str | float = "auto",
    most_pixels: int = MOST_PIXELS,
    progress: OnProgress | None = None,
) -> Dataset:
    """Images and their maps of labels, under equal names but for endings and words such as "_mask", or drawn from JSON.

    Maps are grey or palette images without loss, 8 bits or fewer; the value or index of a pixel is its label, whatever
    the colour. In a folder or an archive, the names of the classes may stand in classes.txt or labels.txt, one a line;
    the number of the line, from 0, is the value in the maps. Without names, the values that occur are the classes.
    Maps in at most 64 RGB colours have a class for each, in the order of R, G and B; a file colours.txt of lines
    `R G B name`, whose numbers are the values, names them. Of Cityscapes and Pascal VOC the classes are known. Regions
    of COCO's and labelme's JSON are drawn. Several masks of an image, as "cat_1_mask_0.png" or "masks/cat_1/0.png",
    make one map.

    Args:
        path: of what holds both folders.
        images, labels: the folders, which may be nested ("train/images"), or patterns such as "masks/*_m" or "*_m",
            whose star is what names of partners share; as labels, a file of JSON too. None: two folders that lie side
            by side under known names, those to test on too; files whose names differ by known words; or JSON.
        size, channels: of the images, see `images`.
        ignore: the value or the name of what counts as no class; "none" for nothing. None: 255 where it occurs (unless
            the values are 0 and 255, 0, 128 and 255, or multiples of 51, where it is a class like the others), and a
            class named void, unlabelled, unlabeled or ignore.
        names: of the values 0, 1, ... in the maps, in place of those in a file; in text, commas part them.
        objects: of several masks of an image, an object each: "one" class, or a class for each of the "names" that they
            have beside that of the image. "auto": names, where they are words that images share. Of other maps, "one"
            takes all values above 0 for one class.
        fit: see `images`; a map goes with its image, by the nearest neighbour. What "pad" adds is ignored.
        splits: what to do with folders such as train and test within both, see `images`.
        range, nodata: of images, see `from_array`.
        most_pixels: of a file, see `images`.
        progress: told (pairs done, pairs in all) now and then.

    Returns:
        Images as x (N, C, H, W), see `images`; beside them "labels", 0 to K - 1 and 255 for what is ignored, with the
        palette that leads back to the values in the files; `classes`, the K names. `report` tells what was skipped.

    Raises:
        BadInput: an option that cannot be, folders that cannot be told, no usable pair, or values beyond all classes.
    """
    root, splits = Path(path), checked(splits)
    check_options(range, nodata)
    if objects not in OBJECTS:
        raise unknown("way of data.objects", objects, OBJECTS)
    form = form_of(root, size, fit, most_pixels, channels)
    with opened(root, form.most_pixels, PICTURES) as (files, others):
        every, key, notes = found(root, files, others, (images, labels), names, form.most_pixels, objects)
        if ignore is not None and key.judged:  # what is ignored is no longer what the public data ignore
            key = key._replace(notes=[])
        kept, aside = to_read([job.name for job in every], splits, "pair")
        jobs = [every[k] for k in kept]
        (batch,) = decoded(root, [FileSet(jobs, "pair")], lambda job: _pair(job, form), form, PAIR, progress)
        batch, unjudged = _judged(batch, key)
        stems = [pair.name for pair in batch.records]
        files_of = {job.name: job.files for job in jobs}
        lists = lists_in(others, "segmentation")
        parts = parted(stems, splits, "pair", lists, [files_of[stem] for stem in stems])
    pictures = [pair.first for pair in batch.records]
    lossy = _lossy([pair.second for pair in batch.records])
    tiles = items(stems, [one.size for one in pictures], batch.size, fit, "pair")
    stack = arrayed(pictures, batch.size, channels, fit, wanted=range, nodata=nodata).stack()
    values = _values([pair.second for pair in batch.records], len(tiles.names), batch.size, fit)
    single = objects == "one" and key.names != [*_OBJECT]
    values, key = (np.minimum(values, 1), key._replace(names=[*_OBJECT])) if single else (values, key)
    numbers = [] if key.names or objects != "auto" else _numbered(values)
    palette = next((pair.second.palette for pair in batch.records if pair.second.palette), {})
    colours = palette | {value: colour for colour, value in (key.colours | key.by_colour).items()}
    classes = scheme(values, key.names, ignore, colours, key.void)
    number = count(len(classes.names), "class")
    report = (
        f"Read {count(len(tiles.names) - len(stack.empty), 'image')} of {stack.summary}, with maps of {number}.",
        *tiles.notes,
        *key.notes,
        *classes.notes,
        *numbers,
        *lossy,
        *notes,
        *skipped(PAIR, batch),
        *turned(batch.records),
        *parts.notes,
        *unjudged,
        *aside,
        *ignored(others, [*key.files, *parts.lists]),
        *stack.notes,
    )
    beside = {"labels": Beside(torch.from_numpy(classes.table[values]), palette=classes.palette)}
    return without(dataset(tiles, stack, report, beside, Labels(classes=classes.names), parts.apart), stack.empty)


def _lossy(maps: Sequence[DecodedImage]) -> list[str]:
    """A note on maps in files that change labels; BadInput where these tell no two labels apart."""
    lossy = [one for one in maps if one.mode == LOSSY]
    if lossy and not any(bool(one.pixels.any()) for one in lossy):
        raise BadInput(f"{lossy[0].name} and others: JPEG and WebP change labels; save maps as PNG")
    what = "in files that change labels, such as JPEG"
    note = f"Took {count(len(lossy), 'map')} {what}, as black and white: from {MIDDLE} on a pixel counts as 255."
    return [note] if lossy else []


def _numbered(values: Pixels) -> list[str]:
    """A note on values that seem to number objects, as most occur in one map alone."""
    maps = sum((np.bincount(np.unique(one[one > 0]), minlength=256) for one in values), np.zeros(256, np.int64))
    there, alone = int((maps > 0).sum()), int((maps == 1).sum())
    if len(values) < _FEW or there < _FEW or 2 * alone < there:
        return []
    how = "as numbers of objects do; data.objects=one takes all above 0 for one class"
    return [f"{alone} of {there} values occur in one map alone, {how}."]


def _judged(batch: Records[Partners], key: Key) -> tuple[Records[Partners], list[str]]:
    """The pairs whose maps hold a class, where maps without any are usual; a note on the others."""
    none = np.array(sorted({*key.void, IGNORED}))
    kept = [pair for pair in batch.records if not (key.judged and np.isin(pair.second.pixels, none).all())]
    note = f"Left out {count(len(batch.records) - len(kept), 'pair')} whose maps hold no class, as they are not given."
    return (batch, []) if len(kept) in (0, len(batch.records)) else (replace(batch, records=kept), [note])


def _pair(job: MapJob, form: Form) -> Partners | str:
    # Whole: a JPEG file decoded at a fraction may be a pixel larger than that fraction of its map.
    first = decode(job.image, None, form.fit, form.most_pixels)
    second = job.draw(first.size) if not isinstance(first, str) else ""
    pair = aligned(job.name, first, second, lambda image, labels: image == labels)
    if isinstance(pair, str):
        return pair
    (height, width), (rows, columns) = pair.first.size, pair.second.size
    if (height, width) != (rows, columns):
        return f"{job.name} (an image of {height} x {width}, but a map of {rows} x {columns}; bring both to one size)"
    if not form.at_decoding:
        return pair
    return pair._replace(
        first=pair.first._replace(pixels=resized(pair.first.pixels, form.at_decoding, form.fit)),
        second=pair.second._replace(pixels=nearest(pair.second.pixels, form.at_decoding, form.fit)),
    )


def _values(maps: Sequence[DecodedImage], n: int, size: Size, fit: str) -> Pixels:
    """(N, H, W) int16: the values of all items, -1 of what was added to an image."""
    values = np.empty((n, *size), np.int16)
    k = 0
    for one in maps:
        for piece in cut(one.pixels, size, fit) if fit == "tiles" else [nearest(one.pixels, size, fit)]:
            values[k] = piece[..., 0]
            k += 1
    return values
