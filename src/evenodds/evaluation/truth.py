"""What a run made of files, held against the truth where that is given: figures of each file and of all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from evenodds.apply.answering import conversion_of
from evenodds.apply.converting import is_one, maps_in, network_of
from evenodds.apply.folder import Job, jobs, many
from evenodds.apply.making import maker_of, palette_of
from evenodds.apply.photo import read
from evenodds.data.folders.files import file_at, opened
from evenodds.data.folders.pair_roles import ROLES as PAIRS
from evenodds.data.folders.sides import Side, alike
from evenodds.data.label_maps.map_file import read_map
from evenodds.data.label_maps.map_jobs import ROLES as MAPS
from evenodds.data.label_maps.map_jobs import colours_listed
from evenodds.data.palette import IGNORED, Colour
from evenodds.data.pictures.opening import File, checked_limit
from evenodds.data.pictures.picture import DecodedImage, required
from evenodds.errors import BadInput
from evenodds.evaluation.likeness import enlarged_rows, likeness, rows_of
from evenodds.evaluation.true_maps import Labels, TrueMaps
from evenodds.files.names import real
from evenodds.files.write import Place, replaced, write_text
from evenodds.metrics.segmentation import (
    boundary_scores,
    confusion,
    intersection_over_union,
    mean_boundary,
    mean_overlap,
    pixel_accuracy,
)
from evenodds.runs.session import Session

__all__ = ["TruthReport", "finite", "require_apart", "require_sizes", "scored"]

Row = dict[str, Any]


class Truths(NamedTuple):
    """What results are held against."""

    files: list[File]
    alone: bool = False  # Whether one file was named itself.
    by_colour: dict[Colour, int] = {}  # noqa: RUF012  The values of colours in maps, where a file says so.


@dataclass(frozen=True)
class TruthReport:
    """Figures of what was made."""

    kind: str
    """images or labels."""
    rows: list[Row]
    """Of each file."""
    total: Row
    """Of all: means over images; of labels, from the counts of all pixels."""
    notes: list[str] = field(default_factory=list)
    """What could not be held against the truth, and why."""
    report: list[str] = field(default_factory=list)
    """How the truth was read."""

    def write(self, path: Path, place: Place = replaced) -> Path:
        """Writes all of it as JSON, without what is not finite.

        Args:
            place: how the file takes the place of what is there.
        """
        content = {
            "kind": self.kind,
            "total": self.total,
            "files": self.rows,
            "notes": self.notes,
            "report": self.report,
        }
        with place(path) as temporary:
            write_text(temporary, json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        return path


def require_apart(out: Path, truth: Path) -> None:
    """BadInput where there is no truth, results would be written to it, or be held against themselves."""
    if not os.path.exists(truth):
        raise BadInput(f"no file or folder '{truth}' exists, against which the results would be held")
    folder, truth_place = real(out), real(truth)
    if is_one(out) and truth_place == folder:
        raise BadInput(f"nothing can be held against {truth}: it is the result itself; name another file for that")
    if is_one(out) and not many(truth):
        return
    if truth_place.is_relative_to(folder) or folder.is_relative_to(truth_place):
        raise BadInput(
            f"nothing can be held against {truth}: the results would lie with it, in {out}; name another folder"
        )


def require_sizes(session: Session, source: Path, out: Path, truth: Path, most_pixels: int | None = None) -> None:
    """BadInput, before anything is made, where no image of the truth has the name and the size of a result.

    Of labels, whose maps are brought to the size of the images, nothing is said.
    """
    if conversion_of(session).labels:
        return
    scale, limit = network_of(maker_of(session), tile=1).tiling.scale, checked_limit(most_pixels)
    wrong = ""
    with jobs(source, out, most_pixels=limit) as todo, _truths(truth, limit) as truths:
        names = [job.file.name for job in todo]
        for job, partner in zip(todo, _partners(names, truths, False), strict=True):
            if partner is None:
                wrong = wrong or f"{job.file.name} (no truth of that name)"
                continue
            real, before = read(partner, limit * (scale + 1) ** 2), read(job.file, limit)
            if not (isinstance(real, DecodedImage) and isinstance(before, DecodedImage)):
                return  # said of each file as it is made
            size = (before.size[0] * scale, before.size[1] * scale)
            if _fits(real.size, size, scale):
                return
            wrong = wrong or f"{job.file.name} ({_sizes(size, real.size)})"
    raise BadInput(f"nothing can be held against {truth}: {wrong}; name others with --against, or leave it out")


def _fits(real: tuple[int, int], size: tuple[int, int], scale: int) -> bool:
    """Whether the truth has the size of the result, or is larger by what has no source."""
    return all(0 <= larger - smaller < scale for larger, smaller in zip(real, size, strict=True))


def _sizes(size: tuple[int, int], real: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} is made, the truth is {real[0]} x {real[1]}"


def scored(
    session: Session,
    source: Path,
    out: Path,
    truth: Path,
    step: Callable[[str, int, int], None] | None = None,
    most_pixels: int | None = None,
) -> TruthReport:
    """Holds what `convert` has written against the truth.

    Args:
        source, out: as they were given to `convert`.
        truth: a folder or archive whose images have the names of the inputs, but for their endings; or one image. Of
            labels, several masks of an image, as `maps` reads them, are one map.
        most_pixels: of an input, as for `convert`.

    Returns:
        Of images, PSNR on Y and SSIM of Y, both without a border as wide as the scale as is the custom, beside those of
        the bicubic enlargement, or of the input itself; where nothing scales, PSNR of all colours too. Of labels,
        intersection over union of each class, its mean over the classes that occur, the boundary F-score of each class
        (the mean over the images that show its boundary) and its mean over classes, the accuracy of pixels and the
        confusion matrix, true classes by rows.
    """
    require_apart(out, truth)
    segments = conversion_of(session).labels
    results = maps_in(out) if segments else out
    limit = checked_limit(most_pixels)
    rows: list[Row] = []
    notes: list[str] = []
    with jobs(source, results, out, most_pixels=limit) as todo, _truths(truth, limit) as truths:
        names = [job.file.name for job in todo]
        partners: Sequence[Any] = _partners(names, truths, segments)
        if segments:
            maps = TrueMaps(session, truths.by_colour, limit)
            partners, compare = _true_labels(maps, names, truth, truths, partners), _label_comparison(session, limit)
        else:
            maps, compare = None, _image_comparison(session, limit)
        for k, job in enumerate(todo):
            if job.target.is_file():
                row = _row(job, partners[k], compare)
                if isinstance(row, str):
                    notes.append(row)
                else:
                    rows.append(row)
            if step is not None:
                step("against the truth", k + 1, len(todo))
    if not rows:
        raise BadInput(f"nothing can be held against {truth}: {notes[0] if notes else 'no image was made'}")
    if maps is not None:
        return TruthReport("labels", rows, _all_labels(session, rows), [*notes, *maps.notes], maps.report)
    return TruthReport("images", rows, _mean(rows), notes)


Comparison = Callable[[File, Any, Path], Row]
"""The figures of a source, its truth and what was made of it."""


def _row(job: Job, truth: Any, compare: Comparison) -> Row | str:
    """The figures of one file, or why there are none."""
    if truth is None:
        return f"{job.file.name} (no truth of that name)"
    try:
        return {"name": job.file.name, **compare(job.file, truth, job.target)}
    except BadInput as error:
        return f"{job.file.name} ({error})"


def _image_comparison(session: Session, most_pixels: int) -> Comparison:
    network = network_of(maker_of(session), tile=1)
    scale, baseline = network.tiling.scale, "input" if network.tiling.scale == 1 else "bicubic"

    def compare(source: File, truth: File, target: Path) -> Row:
        # The truth may be larger than the result, by what has no source.
        most = most_pixels * (scale + 1) ** 2
        real, result = required(read(truth, most), "the truth"), required(read(file_at(target), most), "the result")
        source_image = required(read(source, most_pixels), "the source")
        if not _fits(real.size, result.size, scale):
            raise BadInput(_sizes(result.size, real.size))
        channels = 3 if max(real.pixels.shape[2], result.pixels.shape[2]) >= 3 else 1
        # Sources are made of whole places: what is left of the truth at its lower and right ends has no source.
        y = rows_of(real, channels, result.size)
        # Of colours that the network does not see, as where it is to find them, the input has none either.
        blind = network.inputs < network.outputs
        before = enlarged_rows(rows_of(source_image, network.inputs if blind else channels), scale, channels)
        figures = likeness(rows_of(result, channels), y, scale)
        return figures | {f"{baseline}_{name}": value for name, value in likeness(before, y, scale).items()}

    return compare


def _true_labels(
    maps: TrueMaps, names: Sequence[str], truth: Path, truths: Truths, partners: Sequence[File | None]
) -> list[Labels | None]:
    """The true labels of each file: those of a map of its name, or of several masks that are called by it."""
    found = [file for file in partners if file is not None]
    whole = len(found) == len(names) and not maps.united_before  # "1_2.png" may be of another image than "1.png"
    if not truths.alone and not whole and 2 * len(found) < len(names) + len(truths.files):
        try:
            united = maps.united(names, truth, truths.files, named=not found)
        except BadInput:
            if not found:
                raise
            united = None
        if united is not None:
            return united
    maps.look_at(found)
    return [maps.of(file) if file is not None else None for file in partners]


def _label_comparison(session: Session, most_pixels: int) -> Comparison:
    palette, classes = palette_of(session), len(session.card.classes)

    def compare(source: File, labels: Labels, target: Path) -> Row:
        result = required(read_map(file_at(target), palette.by_colour(), most_pixels), "the result")
        real, made = labels(result.size), palette.to_classes(result.pixels[..., 0])
        y, x = torch.from_numpy(real).long(), torch.from_numpy(made).long()
        matrix = confusion(y, x, classes, ignore=IGNORED)
        boundary = boundary_scores(y[None], x[None], classes, ignore=IGNORED)
        return {
            "mean_iou": float(mean_overlap(matrix)),
            "boundary_f": float(mean_boundary(boundary)),
            "accuracy": float(pixel_accuracy(matrix)),
            "confusion": matrix.tolist(),
            "boundary": boundary[0].tolist(),
        }

    return compare


def _all_labels(session: Session, rows: list[Row]) -> Row:
    matrix = torch.stack([torch.tensor(row.pop("confusion")) for row in rows]).sum(0)
    boundary = torch.tensor([row.pop("boundary") for row in rows], dtype=torch.float64)
    overlap = intersection_over_union(matrix)
    occurs = matrix.sum(1) > 0
    return {
        "mean_iou": float(mean_overlap(matrix)),
        "boundary_f": float(mean_boundary(boundary)),
        "accuracy": float(pixel_accuracy(matrix)),
        "classes": list(session.card.classes),
        "iou": [float(value) if there else math.nan for value, there in zip(overlap, occurs, strict=True)],
        "boundary": boundary.nanmean(0).tolist(),
        "confusion": matrix.tolist(),
    }


def _mean(rows: list[Row]) -> Row:
    """Of finite values: an image that is the truth itself has no decibels, a grey one no colours."""
    means: Row = {}
    for name in dict.fromkeys(name for row in rows for name in row if name != "name"):
        values = [row[name] for row in rows if math.isfinite(row.get(name, math.nan))]
        means[name] = sum(values) / len(values) if values else math.nan
    return means


@contextmanager
def _truths(truth: Path, most_pixels: int) -> Iterator[Truths]:
    if not os.path.exists(truth):
        raise BadInput(f"no file or folder '{truth}' exists; give what the results are to be held against")
    if not many(truth):
        yield Truths([file_at(truth)], alone=True)
        return
    with opened(truth, most_pixels) as (files, others):
        yield Truths(files, False, colours_listed(others)[0])


def _partners(names: Sequence[str], truths: Truths, segments: bool) -> list[File | None]:
    """The truth of each file, by names that are equal but for their endings, or for words such as "_mask"."""
    if truths.alone:  # One image is held against one truth, whatever its name.
        return [*truths.files] * len(names)
    words = (MAPS if segments else PAIRS).words.all
    first, second = alike(names, [file.name for file in truths.files], (Side(), Side()), words)
    by_key = {second.key(file.name): file for file in reversed(truths.files)}
    return [by_key.get(key) if (key := first.key(name)) is not None else None for name in names]


def finite(content: Any) -> Any:
    """Plain values with None in the place of numbers that are not finite, as JSON has them."""
    if isinstance(content, Mapping):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
