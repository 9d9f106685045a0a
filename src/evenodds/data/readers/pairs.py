"""Images in pairs, one of each to be made from the other: two folders whose files have equal names, or two sets."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenodds.data.dataset import Beside, Dataset
from evenodds.data.folders.archives import ENDINGS as ARCHIVES
from evenodds.data.folders.files import Said
from evenodds.data.folders.files import listing as listed_in
from evenodds.data.folders.ignored import ignored
from evenodds.data.folders.kinds import PICTURES
from evenodds.data.folders.kinds import decode_first as decode
from evenodds.data.folders.matching import Chosen, Match, chosen, matched, refusal
from evenodds.data.folders.pair_roles import ROLES
from evenodds.data.folders.splits import checked, lists_in, to_read
from evenodds.data.folders.splits import splits as parted
from evenodds.data.items import Decoded, Part
from evenodds.data.pictures.fitting import Again
from evenodds.data.pictures.opening import MOST_PIXELS, guarded
from evenodds.data.pictures.partners import Partners, aligned, cropped, in_multiples, turned
from evenodds.data.pictures.picture import DecodedImage
from evenodds.data.pictures.placing import Size, resized
from evenodds.data.pictures.ranges import check_options
from evenodds.data.pictures.stack import Items, Stack, Way, arrayed, items
from evenodds.data.pictures.unread import Unread, on_memory, reads, unread
from evenodds.data.readers.halves import SIDES, alike, halves, side_of_sources, twice_as_wide
from evenodds.data.readers.pipeline import (
    PAIR,
    FileSet,
    Form,
    Listing,
    Records,
    Wanted,
    dataset,
    decoded,
    empty_in,
    form_of,
    skipped,
    without,
)
from evenodds.data.readers.unpaired import unpaired
from evenodds.data.wording import count, listed
from evenodds.errors import BadInput, unknown
from evenodds.game.schedule import OnProgress

__all__ = ["LAYOUTS", "READS", "one_scale", "pair_of", "pairs", "stacks_of"]

READS = ("/", *ARCHIVES)
"""The file names' endings for which `load` comes here, in these layouts."""
LAYOUTS: dict[str, dict[str, Any]] = {"pairs": {"paired": True}, "unpaired": {"paired": False}}
"""What files may be to each other that are read here, and the options that say so."""

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
    memory: str | None = None,
    progress: OnProgress | None = None,
) -> Dataset:
    """Two folders of images in a folder or an archive: x is to be made, and beside it "source" is what to make it from.

    Args:
        path: of what holds both folders.
        sources, targets: the folders, which may be nested ("train/A"), or patterns such as "A/*_x" or "*_x", whose star
            is what names of partners share. None: two folders that lie side by side under known names, those
            to test on too; or else files whose names differ by words of `ROLES`.
        size: of the targets, see `images`.
        channels, source_channels: of the targets and of the sources, see `images`.
        fit: see `images`; both of a pair are cut, resized or tiled alike.
        paired: files of equal names (but for endings, and words of `ROLES`) belong together. Both are of one size, or
            all targets are 2, 3 or 4 times as large as their sources, but for a rest, which is cropped. False: nothing
            belongs together, as cycle consistency wants it; the shorter set is repeated beside the longer one, photo
            by photo.
        beside: which half of each file is the source, where both of a pair lie side by side in one: "left" or "right".
            "auto": the left one, where no folders are told apart and all files are twice as wide as high; "none": no
            file is cut.
        splits: what to do with folders such as train and test within both, see `images`. Of sets without partners,
            what is to test on is left aside.
        range, nodata: of targets and of sources, see `from_array`.
        most_pixels: of a file, see `images`.
        memory: see `images`; of sets without partners, which are held in memory, it is of no effect.
        progress: told (pairs or files done, in all) now and then.

    Returns:
        Targets as x (N, C, H, W), see `images`, and sources (N, C', H / k, W / k) beside them. `report` tells which
        files have no partner, do not fit theirs or cannot be read; they are skipped.

    Raises:
        BadInput: an option that cannot be, folders that cannot be told, or no usable pair.
    """
    root, splits = Path(path), checked(splits)
    check_options(range, nodata)
    form = form_of(root, size, fit, most_pixels, channels, source_channels, memory=memory)
    if beside not in SIDES:
        raise unknown("side of data.beside", beside, SIDES)
    wanted = Wanted((channels, source_channels), range, nodata, splits)
    with listed_in(root, form.most_pixels, Said(PICTURES)) as there:
        files, others = there.files, there.others
        listing = Listing(root, files, others, there.kept)
        named = (sources, targets)
        cut = beside in ("left", "right") and named == (None, None)
        sides = None if cut else chosen(root, files, ROLES, named)
        if not paired and sides is not None:
            return unpaired(listing, sides, form, wanted, progress)
        if sides is not None:
            return _paired(listing, sides, form, wanted, progress)
        if paired and (side := beside if cut else side_of_sources(files, beside, form)):
            return _halved(listing, side, form, wanted, progress)
        hint = twice_as_wide(files, form) if paired and beside == "auto" else ""
        raise BadInput(f"{refusal(root, files, ROLES)}{hint}")


def _paired(listing: Listing, sides: Chosen, form: Form, wanted: Wanted, progress: OnProgress | None) -> Dataset:
    every, notes = matched(listing.root, listing.files, sides, ROLES)
    kept, aside = to_read([match.name for match in every], wanted.splits, "pair")
    matches = [Match(every[k].name, every[k].second, every[k].first) for k in kept]
    matches, swapped = _larger_first(matches, sides, form)
    jobs = FileSet(matches, "pair")
    (batch,) = decoded(listing.root, [jobs], lambda match: _pair(match, form), form, PAIR, progress, lazily=True)
    scale = one_scale(batch.records)[0]
    times = "as large as" if scale == 1 else f"{scale} times as large as"
    source, target = (sides.where(role) for role in ((1, 0) if swapped else (0, 1)))
    files = {match.name: (match.first.name, match.second.name) for match in matches}
    how = f"targets from {target} {times} sources in {source}"
    return _together(listing, batch, how, [*notes, *aside, *sides.notes], form, wanted, files)


def _larger_first(matches: list[Match], sides: Chosen, form: Form) -> tuple[list[Match], bool]:
    """The matches with the larger image first, where names such as "1x4.png" tell a scale but not of which; if turned.

    A name of a user's own says which is which.
    """
    if sides.named or not any(re.search(r"x\d$", side.after) for one in sides.sides for side in one.both):
        return matches, False
    both = matches[0].first, matches[0].second
    target, source = (guarded(file, lambda image: image.width * image.height, form.most_pixels) for file in both)
    if target == source:
        one, other = (f"'{side}'" for side in sides.sides[0].both)
        ways = " or ".join(ROLES.setting(*both) for both in (sides.sides[0].both, sides.sides[0].both[::-1]))
        raise BadInput(
            f"images of {one} and {other} are of one size, so names do not tell the sources; choose by {ways}"
        )
    if isinstance(target, str) or isinstance(source, str) or target > source:
        return matches, False
    return [Match(match.name, match.second, match.first) for match in matches], True


def _together(
    listing: Listing,
    batch: Records[Partners],
    how: str,
    notes: Sequence[str],
    form: Form,
    wanted: Wanted,
    files: Mapping[str, Sequence[str]],
) -> Dataset:
    """The data set of decoded pairs.

    Args:
        how: where sources and targets are from, for the report.
        notes: on how they were found.
        files: the names of the files of each pair.
    """
    scale, pairs, others = one_scale(batch.records)
    size, fit = batch.size, form.fit
    targets = [pair.first for pair in pairs]
    stems = [pair.name for pair in pairs]
    parts = parted(stems, wanted.splits, "pair", lists_in(listing.others), [files.get(stem, ()) for stem in stems])
    tiles = items(stems, [target.size for target in targets], size, fit, "pair")
    x, source, reading = stacks_of(batch, pairs, scale, tiles, fit, wanted, listing.kept)
    empty = empty_in(x, source)
    report = (
        f"Read {count(len(tiles.names) - len(empty), 'pair')}: {how}.",
        f"Targets are {x.summary}; sources are {source.summary}.",
        *tiles.notes,
        *notes,
        *skipped(PAIR, batch),
        *turned(batch.records),
        *cropped(batch.records),
        *others,
        *parts.notes,
        *x.notes,
        *source.notes,
        *on_memory(batch.again, form.memory, x.x, source.x),
        *ignored(listing.others, parts.lists),
    )
    beside = {"source": Beside(source.x, source.units)}
    return without(dataset(tiles, x, report, beside, apart=parts.apart, reads=reading), empty)


def stacks_of(
    batch: Records[Partners],
    pairs: Sequence[Partners],
    scale: int,
    tiles: Items,
    fit: str,
    wanted: Wanted,
    kept: Callable[[], Callable[[], None]],
) -> tuple[Stack, Stack, Decoded | None]:
    """Targets and sources, and what reads both where they do not fit into memory."""
    ways = Way(batch.size, fit, scale), Way((batch.size[0] // scale, batch.size[1] // scale), fit)
    if batch.again is not None:
        return _unread(batch.again, pairs, ways, tiles, wanted, kept())
    targets, sources = [pair.first for pair in pairs], [pair.second for pair in pairs]
    x = arrayed(targets, ways[0].size, wanted.channels[0], fit, scale, "target", wanted.range, wanted.nodata).stack()
    source = arrayed(sources, ways[1].size, wanted.channels[1], fit, 1, "source", wanted.range, wanted.nodata).stack()
    return x, source, None


def _unread(
    again: Again,
    pairs: Sequence[Partners],
    ways: tuple[Way, Way],
    tiles: Items,
    wanted: Wanted,
    close: Callable[[], object],
) -> tuple[Stack, Stack, Decoded]:
    """Targets and sources without values, and what reads both."""

    def of(role: str, way: Way, channels: int | None, noun: str) -> Unread:
        def again_decoded(number: int) -> DecodedImage:
            picture: DecodedImage = getattr(again.decode(again.jobs[pairs[number].name]), role)
            return picture

        pictures = [getattr(pair, role) for pair in pairs]
        return unread(pictures, way, channels, noun, wanted.range, wanted.nodata, again_decoded, again.memory)

    x, making = of("first", ways[0], wanted.channels[0], "target")
    source, of_source = of("second", ways[1], wanted.channels[1], "source")
    parts = {
        "x": Part(lambda pair, _: pair.first, making.item),
        "source": Part(lambda pair, _: pair.second, of_source.item),
    }
    return x, source, reads(again, pairs, [1] * len(pairs), tiles, parts, close)


def _halved(listing: Listing, side: str, form: Form, wanted: Wanted, progress: OnProgress | None) -> Dataset:
    """Pairs of which both lie side by side in one file."""
    kept, aside = to_read([file.name for file in listing.files], wanted.splits, "pair")
    files = [listing.files[k] for k in kept]
    jobs = FileSet(files, "pair")
    (batch,) = decoded(listing.root, [jobs], lambda file: halves(file, side, form), form, PAIR, progress, lazily=True)
    other = "right" if side == "left" else "left"
    how = (
        f"the {side} half of each file is the source, the {other} one the target; data.beside={other} takes them the "
        "other way round, data.sources and data.targets name folders"
    )
    return _together(listing, alike(batch), how, aside, form, wanted, {})


def _pair(match: Match, form: Form) -> Partners | str:
    # Whole: JPEG files decoded at a fraction, each at its own, would not lie exactly over each other.
    first, second = (decode(file, None, form.fit, form.most_pixels) for file in (match.first, match.second))
    return pair_of(match.name, first, second, form)


def pair_of(name: str, first: DecodedImage | str, second: DecodedImage | str, form: Form) -> Partners | str:
    """A target and its source, decoded whole, in the form that is wanted; or why they cannot be used."""
    pair = aligned(name, first, second, lambda target, source: _scale(target, source) > 0)
    if isinstance(pair, str):
        return pair
    scale = _scale(pair.first.size, pair.second.size)
    if not scale:
        return (
            f"{name} (its target of {_sides(pair.first.size)} is not 1, 2, 3 or 4 times its source of "
            f"{_sides(pair.second.size)})"
        )
    if form.size and (form.size[0] % scale or form.size[1] % scale):
        return f"{name} (size {_sides(form.size)} is no multiple of {scale}, by which its target is larger)"
    pair = in_multiples(pair, scale)
    if not form.at_decoding:
        return pair
    target, source = pair.first, pair.second
    size, small = form.at_decoding, (form.at_decoding[0] // scale, form.at_decoding[1] // scale)
    return pair._replace(
        first=target._replace(pixels=np.ascontiguousarray(resized(target.pixels, size, form.fit, scale))),
        second=source._replace(pixels=np.ascontiguousarray(resized(source.pixels, small, form.fit))),
    )


def _sides(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


def _scale(large: Size, small: Size) -> int:
    """How many times larger, but for a rest of what has no source; 0 where that is no scale.

    Halves of places are rounded up or down, by the tool that made the smaller one.
    """

    def fits(k: int) -> bool:
        return all(one in (whole // k, -(-whole // k)) for whole, one in zip(large, small, strict=True))

    return next((k for k in _SCALES if fits(k)), 0)


def one_scale(pairs: list[Partners]) -> tuple[int, list[Partners], list[str]]:
    """The most common scale, the pairs that have it, and a note on the others."""
    scales = [_scale(pair.first.size, pair.second.size) for pair in pairs]
    (scale, _), *_ = sorted(Counter(scales).items(), key=lambda entry: (-entry[1], entry[0]))
    of_scale = [pair for pair, its in zip(pairs, scales, strict=True) if its == scale]
    others = [f"{pair.name} (x{its})" for pair, its in zip(pairs, scales, strict=True) if its != scale]
    return scale, of_scale, listed(f"Skipped {{}} not of the commonest scale x{scale}: {{}}.", others, what="pair")
