"""Images with regions that are described elsewhere, and the maps that are drawn of them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from evenodds.data.folders.splits import names_part, part_of
from evenodds.data.palette import IGNORED
from evenodds.data.part_names import TEST, TRAIN
from evenodds.data.pictures.opening import MOST_PIXELS, File, Unusable
from evenodds.data.pictures.picture import DecodedImage
from evenodds.data.pictures.placing import Pixels, Size
from evenodds.data.wording import count
from evenodds.errors import BadInput

__all__ = ["VOID", "Annotated", "Drawing", "Places", "Region", "collected", "named", "of_parts", "plain", "points_of"]

BACKGROUND = ("background", "_background_")
"""Names of what no region covers."""
VOID = ("__ignore__",)
"""Labels of regions that count as no class."""
_MOST_CLASSES = 254  # Beside the background and what is ignored.


class Region(NamedTuple):
    """Pixels of one label."""

    label: str | None  # None: what counts as no class.
    shape: Any  # Polygons; lengths of runs or a text of them; or a picture of a mask and where it lies.
    draw: Any  # (shape, size) -> Mask.


class Drawing(NamedTuple):
    """An image, and the regions in it."""

    name: str
    image: File
    size: Size | None  # (height, width) that the regions are for; None: that of the image.
    regions: list[Region]
    by_area: bool  # Whether smaller regions are drawn over larger ones; else later ones over earlier ones.

    def draw(self, image: Size, values: dict[str | None, int], most_pixels: int = MOST_PIXELS) -> DecodedImage | str:
        """The map of values (H, W, 1) int16; or why there is none.

        Args:
            image: (height, width) of the image.
            values: of labels.
        """
        size = self.size or image
        if size[0] * size[1] > most_pixels or min(size) < 1:
            return f"{self.name} (annotated for {size[0]:,} x {size[1]:,} pixels)"
        try:
            pixels = _drawn(self.regions, size, values, self.by_area)
        except Unusable as error:
            return f"{self.name} ({error})"
        return DecodedImage(self.name, pixels[..., None], size)


class Annotated(NamedTuple):
    """Images with regions."""

    drawings: list[Drawing]
    names: list[str]  # Of the values 0, 1, ...
    values: dict[str | None, int]  # Of labels in maps; None is what counts as no class.
    files: list[File]  # Of JSON that were read.
    notes: list[str]


class Places:
    """Image files by the names that annotations give them."""

    def __init__(self, files: Sequence[File]) -> None:
        self.by_last: dict[str, list[File]] = {}
        self.by_stem: dict[str, list[File]] = {}
        for file in files:
            path = PurePosixPath(file.name)
            self.by_last.setdefault(path.name, []).append(file)
            self.by_stem.setdefault(str(path.with_suffix("")), []).append(file)

    def beside(self, document: str) -> File | None:
        """The image that has the name of a document, but for the ending, in its folder."""
        few = self.by_stem.get(str(PurePosixPath(document).with_suffix("")), [])
        return few[0] if len(few) == 1 else None

    def of(self, name: str, document: str) -> File | None:
        """The file of a name, beside the document or elsewhere below what is read; None where none or several may be.

        Names that lead out of what is read are looked for within it.
        """
        path, folder = plain(name), posixpath.dirname(document)
        part = part_of(document)
        named = self.by_last.get(posixpath.basename(path), [])
        candidates = [file for file in named if _agree(part, part_of(file.name))]
        beside = posixpath.normpath(posixpath.join(folder, path))
        exact = [file for file in candidates if file.name == beside]
        ends = [file for file in candidates if f"/{file.name}".endswith(f"/{path}")]
        near = [file for file in candidates if folder and file.name.startswith(f"{folder}/")]
        of_part = [file for file in candidates if part and part_of(file.name) == part]
        return next((few[0] for few in (exact, ends, of_part, near, candidates) if len(few) == 1), None)


def _agree(part: str, other: str) -> bool:
    """Whether what is of one part may be of another: not where one is to train on, and one to test on."""
    return not part or not other or (part in TRAIN) == (other in TRAIN)


def of_parts(documents: Iterable[str]) -> dict[str, str]:
    """The part that each document is of, where some are to train on and some to test on."""
    parts = {name: part_of(name) for name in documents}
    told = {*parts.values()}
    return parts if told & {*TRAIN} and told & {*TEST} else dict.fromkeys(parts, "")


def named(file: File, part: str) -> str:
    path = PurePosixPath(file.name).with_suffix("")
    folders = [folder for folder in path.parts[:-1] if not (part and names_part(folder))]
    return "/".join([*([part] if part else []), *folders, path.name])


def plain(path: str) -> str:
    return path.replace("\\", "/").removeprefix("./")


def points_of(numbers: Any) -> Pixels:
    try:
        return np.asarray(numbers, np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        raise Unusable("points that are no numbers") from None


def collected(
    root: Path, files: list[File], drawings: dict[str, Drawing], labels: Sequence[str], notes: list[str]
) -> Annotated:
    if not drawings:
        raise BadInput(f"no image that {files[0].name} names is in {root.name}; {' '.join(notes[:1])}")
    classes = [label for label in labels if label.lower() not in BACKGROUND]
    if len(classes) > _MOST_CLASSES:
        raise BadInput(f"maps have at most {_MOST_CLASSES} classes beside the background, got {len(classes):,}")
    what = files[0].name if len(files) == 1 else f"{count(len(files), 'file')} of JSON"
    first = f"Drew maps of the regions in {what}: what none covers is the background."
    if 1 < len(files) < len(drawings):
        first = f"{first[:-1]}; data.labels={files[0].name} takes that file alone."
    order = sorted(drawings.values(), key=lambda drawing: drawing.name)
    values: dict[str | None, int] = {None: IGNORED} | dict.fromkeys(VOID, IGNORED) | dict.fromkeys(labels, 0)
    values |= {label: value for value, label in enumerate(classes, 1)}
    return Annotated(order, ["background", *classes], values, files, [first, *notes])


def _drawn(regions: Sequence[Region], size: Size, values: dict[str | None, int], by_area: bool) -> Pixels:
    """(H, W) int16: the value of each pixel."""
    masks = [(region.draw(region.shape, size), values[region.label]) for region in regions]
    if by_area:  # What is ignored lies below all others.
        masks.sort(key=lambda one: (one[1] != IGNORED, -int(one[0].sum())))
    pixels = np.zeros(size, np.int16)
    for mask, value in masks:
        pixels[mask] = value
    return pixels
