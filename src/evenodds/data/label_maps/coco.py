"""The regions of COCO's instances (Lin et al. 2014, Microsoft COCO): polygons and lengths of runs, by category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evenodds.data.label_maps.drawings import Annotated, Drawing, Places, Region, collected, named, of_parts, points_of
from evenodds.data.label_maps.regions import Mask, counts_of, inside_polygon, of_runs
from evenodds.data.pictures.opening import File, Unusable
from evenodds.data.pictures.placing import Size
from evenodds.data.wording import count, listed
from evenodds.errors import BadInput

__all__ = ["Coco", "of_coco"]


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
class Coco:
    images: list[_CocoImage]
    annotations: list[_CocoRegion]
    categories: list[_CocoCategory]


def of_coco(root: Path, documents: Sequence[tuple[File, Coco]], places: Places) -> Annotated:
    parts = of_parts(file.name for file, _ in documents)
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
            name = named(place, parts[file.name])
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
    return collected(root, [file for file, _ in documents], drawings, names, notes)


def _coco_mask(shape: Any, size: Size) -> Mask:
    """Polygons [x1, y1, x2, y2, ...], or {"size": [height, width], "counts": lengths of runs or a text of them}."""
    if isinstance(shape, dict):
        if list(shape.get("size", ())) != list(size):
            raise Unusable(f"runs for {shape.get('size')}, but the image is annotated for {size[0]} x {size[1]}")
        counts = shape.get("counts")
        return of_runs(counts_of(counts) if isinstance(counts, str) else _whole(counts), size)
    if not isinstance(shape, list) or not all(isinstance(one, list) and len(one) % 2 == 0 for one in shape):
        raise Unusable("a region that is neither polygons nor runs")
    masks = [inside_polygon(points_of(one), size) for one in shape]
    whole: Mask = np.logical_or.reduce(masks)
    return whole


def _whole(counts: Any) -> list[int]:
    if not isinstance(counts, list) or not all(type(one) is int for one in counts):
        raise Unusable("runs that are no whole numbers")
    return counts
