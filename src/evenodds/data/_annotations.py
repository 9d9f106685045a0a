"""Images with regions that are described in JSON, as COCO's instances and labelme have them: maps are drawn of them."""

from __future__ import annotations

import base64
import binascii
import posixpath
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from evenodds.data._files import content
from evenodds.data._part_names import TEST, TRAIN
from evenodds.data._picture import MOST_PIXELS, DecodedImage, File, Unusable, most_bytes
from evenodds.data._placing import Pixels, Size
from evenodds.data._regions import Mask, counts_of, inside_polygon, of_runs
from evenodds.data._splits import names_part, part_of
from evenodds.data._wording import count, listed
from evenodds.data.palette import IGNORED
from evenodds.errors import BadInput
from evenodds.files.read import as_type, parse_json

__all__ = ["Annotated", "Drawing", "annotated"]

BACKGROUND = ("background", "_background_")
"""Names of what no region covers."""
VOID = ("__ignore__",)
"""Labels of regions that count as no class."""
_INSTANCES = "instances"  # How COCO calls the files of regions, beside those of captions and of key points.
_MOST_JSON = 1 << 30  # Bytes of a file that describes regions.
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


def annotated(root: Path, files: Sequence[File], others: Sequence[File], wanted: str | None = None) -> Annotated | None:
    """The images whose regions stand in files of JSON; None where there are no such files.

    Args:
        files: images.
        others: all other files.
        wanted: the only file of JSON to read, by the end of its path.

    Raises:
        BadInput: the wanted one is not there or holds no regions, files contradict each other, or no image is there.
    """
    documents = [file for file in others if file.name.lower().endswith(".json") and not _hidden(file.name)]
    if wanted is not None:
        documents = [file for file in documents if f"/{file.name}".endswith(f"/{_plain(wanted)}")]
        if len(documents) != 1:
            raise BadInput(f"{root.name} holds {len(documents)} files '{wanted}' of JSON; name one by its path in it")
    instances = [file for file in documents if PurePosixPath(file.name).name.lower().startswith(_INSTANCES)]
    read = [(file, kind) for file in instances or documents if (kind := _read(file, wanted is not None)) is not None]
    coco = [(file, one) for file, one in read if isinstance(one, _Coco)]
    labelme = [(file, one) for file, one in read if isinstance(one, _Labelme)]
    if wanted is not None and not read:
        raise BadInput(f"{wanted} is no JSON of regions as COCO (images, annotations, categories) or labelme write it")
    place = _Places(files)
    return _of_coco(root, coco, place) if coco else _of_labelme(root, labelme, place) if labelme else None


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _plain(path: str) -> str:
    return path.replace("\\", "/").removeprefix("./")


def _read(file: File, wanted: bool) -> _Coco | _Labelme | None:
    """What a file of JSON holds; None where it is of another kind, or damaged and not wanted."""
    try:
        value = parse_json(content(file, _MOST_JSON), file.name)
    except BadInput:
        if wanted:
            raise
        return None
    if isinstance(value, dict) and {"images", "annotations", "categories"} <= value.keys():
        return as_type(value, _Coco, file.name, "export it again")
    if isinstance(value, dict) and {"shapes", "imagePath"} <= value.keys():
        return as_type({**value, "imageData": None, "inside": bool(value.get("imageData"))}, _Labelme, file.name)
    return None


class _Places:
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
        plain, folder = _plain(name), posixpath.dirname(document)
        candidates = self.by_last.get(posixpath.basename(plain), [])
        beside = posixpath.normpath(posixpath.join(folder, plain))
        exact = [file for file in candidates if file.name == beside]
        ends = [file for file in candidates if f"/{file.name}".endswith(f"/{plain}")]
        near = [file for file in candidates if folder and file.name.startswith(f"{folder}/")]
        part = part_of(document)
        of_part = [file for file in candidates if part and part_of(file.name) == part]
        return next((few[0] for few in (exact, ends, of_part, near, candidates) if len(few) == 1), None)


def _of_parts(documents: Iterable[str]) -> dict[str, str]:
    """The part that each document is of, where some are to train on and some to test on."""
    parts = {name: part_of(name) for name in documents}
    told = {*parts.values()}
    return parts if told & {*TRAIN} and told & {*TEST} else dict.fromkeys(parts, "")


def _stem(file: File, part: str) -> str:
    path = PurePosixPath(file.name).with_suffix("")
    folders = [folder for folder in path.parts[:-1] if not (part and names_part(folder))]
    return "/".join([*([part] if part else []), *folders, path.name])


# --- COCO -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _CocoImage:
    id: int | str
    file_name: str
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class _CocoRegion:
    image_id: int | str
    category_id: int
    segmentation: Any = None
    iscrowd: int | None = 0


@dataclass(frozen=True)
class _CocoCategory:
    id: int
    name: str


@dataclass(frozen=True)
class _Coco:
    images: list[_CocoImage]
    annotations: list[_CocoRegion]
    categories: list[_CocoCategory]


def _of_coco(root: Path, documents: Sequence[tuple[File, _Coco]], places: _Places) -> Annotated:
    parts = _of_parts(file.name for file, _ in documents)
    categories: dict[int, str] = {}
    drawings: dict[str, Drawing] = {}
    absent: list[str] = []
    boxes = crowds = 0
    for file, coco in documents:
        for category in coco.categories:
            if categories.setdefault(category.id, category.name) != category.name:
                raise BadInput(
                    f"category {category.id} is '{categories[category.id]}' in one file and '{category.name}' in "
                    f"{file.name}; read one of them, --set data.labels={file.name}"
                )
        known = {category.id for category in coco.categories}
        regions: dict[int | str, list[Region]] = {image.id: [] for image in coco.images}
        for one in coco.annotations:
            if not one.segmentation or one.image_id not in regions or one.category_id not in known:
                boxes += 1
                continue
            crowds += bool(one.iscrowd)
            label = None if one.iscrowd else categories[one.category_id]
            regions[one.image_id].append(Region(label, one.segmentation, _coco_mask))
        for image in coco.images:
            place = places.of(image.file_name, file.name)
            if place is None:
                absent.append(image.file_name)
                continue
            name = _stem(place, parts[file.name])
            if name in drawings:
                raise BadInput(
                    f"{place.name} stands twice in files of JSON; read one of them, --set data.labels={file.name}"
                )
            size = (image.height, image.width) if image.height and image.width else None
            drawings[name] = Drawing(name, place, size, regions[image.id], True)
    notes = [
        *listed("Found no image for {} of the annotations: {}.", absent, what="name"),
        *([f"Left out {count(boxes, 'annotation')} without a region of an image that is there."] if boxes else []),
        *([f"Ignored are the pixels of {count(crowds, 'crowd')} (iscrowd)."] if crowds else []),
        "Where regions overlap, smaller ones lie over larger ones.",
    ]
    if boxes and not any(drawing.regions for drawing in drawings.values()):
        raise BadInput(f"annotations of {root.name} hold boxes alone, which tell no pixels; export them with polygons")
    names = list(dict.fromkeys(categories[k] for k in sorted(categories)))
    return _annotated(root, [file for file, _ in documents], drawings, names, notes)


def _coco_mask(shape: Any, size: Size) -> Mask:
    """Polygons [x1, y1, x2, y2, ...], or {"size": [height, width], "counts": lengths of runs or a text of them}."""
    if isinstance(shape, dict):
        if list(shape.get("size", ())) != list(size):
            raise Unusable(f"runs for {shape.get('size')}, but the image is annotated for {size[0]} x {size[1]}")
        counts = shape.get("counts")
        return of_runs(counts_of(counts) if isinstance(counts, str) else _whole(counts), size)
    if not isinstance(shape, list) or not all(isinstance(one, list) and len(one) % 2 == 0 for one in shape):
        raise Unusable("a region that is neither polygons nor runs")
    masks = [inside_polygon(_points(one), size) for one in shape]
    whole: Mask = np.logical_or.reduce(masks)
    return whole


def _whole(counts: Any) -> list[int]:
    if not isinstance(counts, list) or not all(type(one) is int for one in counts):
        raise Unusable("runs that are no whole numbers")
    return counts


def _points(numbers: Any) -> Pixels:
    try:
        return np.asarray(numbers, np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        raise Unusable("points that are no numbers") from None


# --- labelme ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _LabelmeShape:
    label: str
    points: list[list[float]]
    shape_type: str | None = "polygon"
    mask: str | None = None


@dataclass(frozen=True)
class _Labelme:
    shapes: list[_LabelmeShape]
    imagePath: str | None
    inside: bool  # Whether the file holds the image, too.
    imageHeight: int | None = None
    imageWidth: int | None = None


_DRAWN = ("polygon", "rectangle", "circle", "mask")


def _of_labelme(root: Path, documents: Sequence[tuple[File, _Labelme]], places: _Places) -> Annotated:
    parts = _of_parts(file.name for file, _ in documents)
    drawings: dict[str, Drawing] = {}
    absent: list[str] = []
    thin: Counter[str] = Counter()
    for file, one in documents:
        place = places.of(one.imagePath or "", file.name) or places.beside(file.name) or _within(file, one)
        if place is None:
            absent.append(file.name)
            continue
        kinds = [shape.shape_type or "polygon" for shape in one.shapes]
        thin.update(kind for kind in kinds if kind not in _DRAWN)
        regions = [
            Region(shape.label, (kind, shape), _labelme_mask)
            for shape, kind in zip(one.shapes, kinds, strict=True)
            if kind in _DRAWN
        ]
        name = _stem(place, parts[file.name])
        size = (one.imageHeight, one.imageWidth) if one.imageHeight and one.imageWidth else None
        drawings[name] = Drawing(name, place, size, regions, False)
    names = sorted({str(region.label) for one in drawings.values() for region in one.regions} - {*VOID})
    notes = [
        *listed("Found no image for {} of labelme: {}.", absent),
        *(
            [f"Left out shapes without an area: {', '.join(f'{n} {kind}' for kind, n in thin.items())}."]
            if thin
            else []
        ),
        "Where regions overlap, later ones lie over earlier ones.",
    ]
    return _annotated(root, [file for file, _ in documents], drawings, names, notes)


def _within(file: File, one: _Labelme) -> File | None:
    """The image within a file of labelme."""
    if not one.inside:
        return None
    return File(str(PurePosixPath(file.name).with_suffix(".png")), partial(_image_in, file))


def _image_in(file: File) -> BytesIO:
    data = parse_json(content(file, _MOST_JSON), file.name).get("imageData")
    return BytesIO(_unpacked(data))


def _unpacked(data: Any) -> bytes:
    if not isinstance(data, str) or len(data) > 4 * (most_bytes(MOST_PIXELS) // 3):
        raise Unusable("no image in it, or too large a one")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise Unusable("a damaged image in it") from None


def _labelme_mask(shape: tuple[str, _LabelmeShape], size: Size) -> Mask:
    kind, one = shape
    points = _points(one.points)
    if kind == "polygon":
        return inside_polygon(points, size)
    if len(points) != 2:
        raise Unusable(f"a {kind} that has not two points")
    (left, top), (right, bottom) = points
    if kind == "rectangle":
        return inside_polygon([(left, top), (right, top), (right, bottom), (left, bottom)], size)
    if kind == "circle":
        turn, radius = np.linspace(0, 2 * np.pi, 257)[:-1], float(np.hypot(right - left, bottom - top))
        return inside_polygon(np.stack([left + radius * np.cos(turn), top + radius * np.sin(turn)], 1), size)
    return _pasted(one.mask, (round(top), round(left)), size)


def _pasted(text: str | None, corner: tuple[int, int], size: Size) -> Mask:
    """A mask that is a picture in a text, laid where it belongs."""
    with Image.open(BytesIO(_unpacked(text)), formats=("PNG",)) as picture:
        if picture.width > size[1] or picture.height > size[0]:
            raise Unusable("a mask that is larger than its image")
        small = np.asarray(picture.convert("L")) > 0
    mask = np.zeros(size, bool)
    top, left = (int(np.clip(at, 0, length)) for at, length in zip(corner, size, strict=True))
    part = mask[top : top + small.shape[0], left : left + small.shape[1]]
    part[:] = small[: part.shape[0], : part.shape[1]]
    return mask


# --- both -------------------------------------------------------------------------------------------------------------


def _annotated(
    root: Path, files: list[File], drawings: dict[str, Drawing], labels: Sequence[str], notes: list[str]
) -> Annotated:
    if not drawings:
        raise BadInput(f"no image that {files[0].name} names is in {root.name}; {' '.join(notes[:1])}")
    classes = [label for label in labels if label.lower() not in BACKGROUND]
    if len(classes) > _MOST_CLASSES:
        raise BadInput(f"maps have at most {_MOST_CLASSES} classes beside the background, got {len(classes):,}")
    what = files[0].name if len(files) == 1 else f"{count(len(files), 'file')} of JSON"
    first = f"Drew maps of the regions in {what}: what none covers is the background."
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
