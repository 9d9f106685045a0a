"""Two sets of images of which none belong together, as cycle consistency wants them."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import torch
from torch import Tensor

from evenodds.data.dataset import Beside, Dataset
from evenodds.data.folders.ignored import ignored
from evenodds.data.folders.kinds import decode_first as decode
from evenodds.data.folders.matching import Chosen, inside
from evenodds.data.folders.splits import to_read
from evenodds.data.part_names import TEST
from evenodds.data.pictures.opening import File
from evenodds.data.pictures.picture import DecodedImage
from evenodds.data.pictures.stack import Items, Stack, arrayed, items
from evenodds.data.readers.pipeline import (
    IMAGE,
    FileSet,
    Form,
    Listing,
    Records,
    Wanted,
    decoded,
    skipped,
    without,
)
from evenodds.data.wording import count
from evenodds.game.schedule import OnProgress

__all__ = ["unpaired"]


def unpaired(listing: Listing, chosen: Chosen, form: Form, wanted: Wanted, progress: OnProgress | None) -> Dataset:
    """The data set of sources and targets of which none belong together; see `evenodds.data.readers.pairs.pairs`."""
    (of_sources, of_targets), aside = _to_train_on(listing, chosen, wanted.splits)
    if wanted.splits != "ignore":
        chosen = chosen._replace(sides=[side for side in chosen.sides if side.part not in TEST])
    sets = [
        FileSet(of_targets, "target", f" in {chosen.where(1)}"),
        FileSet(of_sources, "source", f" in {chosen.where(0)}"),
    ]

    def decode_one(file: File) -> DecodedImage | str:
        return decode(file, form.at_decoding, form.fit, form.most_pixels)

    batches = decoded(listing.root, sets, decode_one, form, IMAGE, progress)
    targets, sources = (len(of.records) for of in batches)
    (x, x_items), (source, source_items) = (
        _side(of, number, wanted, form.fit, files_of.noun)
        for of, number, files_of in zip(batches, wanted.channels, sets, strict=True)
    )
    x_index, source_index, groups = _beside_each_other(x_items.owners, source_items.owners)
    repeated = f"Repeated the {min(targets, sources):,} of the shorter set beside the longer one."
    report = (
        f"Read {count(targets, 'target')} from {chosen.where(1)} and {count(sources, 'source')} from "
        f"{chosen.where(0)}, which do not belong together, as {count(len(x_index), 'item')}.",
        f"Targets are {x.summary}; sources are {source.summary}.",
        *x_items.notes,
        *source_items.notes,
        *([repeated] if sources != targets else []),
        *skipped(IMAGE, *batches),
        *x.notes,
        *source.notes,
        *aside,
        *chosen.notes,
        *ignored(listing.others),
    )
    data = Dataset(x.x, x.units, names=x_items.names).take(x_index)
    values = Dataset(source.x, source.units).take(source_index).x
    made = replace(data, beside={"source": Beside(values, source.units)}, groups=groups, report=report)
    lost = torch.isin(x_index, x.empty) | torch.isin(source_index, source.empty)
    return without(made, lost.nonzero().flatten())


def _to_train_on(listing: Listing, sides: Chosen, splits: str) -> tuple[list[list[File]], list[str]]:
    """The files of two sets without partners that are not kept for testing, and a note on the others."""
    sets: list[list[File]] = [[], []]
    aside = 0
    for one in sides.sides:
        for kept, side in zip(sets, one.both, strict=True):
            files = inside(listing.files, [side])
            names = ["/".join(part for part in (one.part, side.key(file.name)) if part) for file in files]
            places = range(len(names)) if splits == "ignore" else to_read(names, "train")[0]
            # What lies above both is a part of its own: of a single folder "test", nothing tells that it is one.
            places = [] if splits != "ignore" and one.part in TEST else places
            kept += [files[k] for k in places]
            aside += len(files) - len(places)
    note = f"Left aside {count(aside, 'image')} that are kept for testing; data.splits=ignore takes them too."
    return sets, [note] if aside else []


def _side(
    batch: Records[DecodedImage], channels: int | None, wanted: Wanted, fit: str, noun: str
) -> tuple[Stack, Items]:
    pictures = batch.records
    tiles = items([picture.name for picture in pictures], [one.size for one in pictures], batch.size, fit, noun)
    return arrayed(pictures, batch.size, channels, fit, 1, noun, wanted.range, wanted.nodata).stack(), tiles


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
