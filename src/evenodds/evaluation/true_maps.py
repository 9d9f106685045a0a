"""The true maps that segmentation is held against: one of each image, or several masks of it that are one map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.apply.making import palette_of
from evenodds.data.label_maps.map_file import read_map
from evenodds.data.label_maps.map_jobs import LABEL_WORDS, MASKED_FOLDERS
from evenodds.data.label_maps.several_masks import Several, inside, several
from evenodds.data.palette import IGNORED, Colour
from evenodds.data.pictures.opening import File
from evenodds.data.pictures.picture import DecodedImage, required
from evenodds.data.pictures.placing import Size
from evenodds.data.wording import count
from evenodds.errors import BadInput
from evenodds.game.arithmetic import evenly
from evenodds.runs.session import Session

__all__ = ["Labels", "TrueMaps"]

Labels = Callable[[Size], NDArray[np.uint8]]
"""The true labels (H, W) of an image of (height, width): 0 to K - 1, and 255 for what does not count."""
_LOOKED_AT = 20
"""True maps of which it is asked whether they are black and white."""
_IMAGES, _MASKS = MASKED_FOLDERS


class TrueMaps:
    """Reads true maps by the classes of a run, and notes what of them is none.

    Args:
        session: the run.
        by_colour: the values of colours in maps, where a file beside them says so.
        most_pixels: of a map.
    """

    def __init__(self, session: Session, by_colour: Mapping[Colour, int], most_pixels: int) -> None:
        self._palette = palette_of(session)
        self._classes = session.card.classes
        data = session.config.data
        self._one = data is not None and data.options.get("objects") == "one"
        self._named = data is not None and "names" in data.options
        self._colours = by_colour or self._palette.by_colour()
        self._most_pixels = most_pixels
        self.united_before = self._classes[0] == "background"
        """Whether the run may have learned from several masks of an image."""
        self._black_and_white = False
        self._strange: NDArray[np.int64] = np.zeros(256, np.int64)
        self._pixels = 0
        self.report: list[str] = []
        """How maps are read."""

    @property
    def notes(self) -> list[str]:
        """What of all that was read does not count."""
        share = float(self._strange.sum()) / max(1, self._pixels)
        values = [str(value) for value in np.flatnonzero(self._strange)]
        if not values:
            return []
        some = ", ".join(values[:6]) + (", ..." if len(values) > 6 else "")
        known = ", ".join(map(str, self._palette.values[:6])) + (", ..." if len(self._palette.values) > 6 else "")
        return [f"{share:.1%} of the pixels, as their values ({some}) are no class of the run ({known})"]

    def of(self, file: File) -> Labels:
        """The labels in a file."""
        return lambda size: self._read(file, size)

    def look_at(self, files: Sequence[File]) -> None:
        """Finds out whether the maps are of 0 and 255 alone, where those of the run had two other values."""
        if len(self._classes) != 2 or IGNORED in self._palette.values or self._one:
            return
        some = [files[k] for k in evenly(len(files), _LOOKED_AT).tolist()]
        read = [read_map(file, self._colours, self._most_pixels) for file in some]
        levels = [set(np.unique(one.pixels).tolist()) for one in read if isinstance(one, DecodedImage)]
        self._black_and_white = bool(levels) and set().union(*levels) == {0, IGNORED}
        if self._black_and_white:
            self.report.append(f"The true maps are of 0 and 255: 255 is taken as '{self._classes[1]}'.")

    def united(
        self, names: Sequence[str], truth: Path, files: Sequence[File], named: bool
    ) -> list[Labels | None] | None:
        """The labels of images that have several masks each; None where no image has.

        Args:
            names: of the images.
            truth: the folder or archive of the masks.
            files: in it.
            named: whether a class may be told by what masks are called; else they are numbered alone.
        """
        masks = [file for file in files if _below(file.name, _MASKS)]
        if masks and any(_below(file.name, _IMAGES) for file in files) and any(_below(name, _IMAGES) for name in names):
            pictures = [File(name, Path) for name in names]
        else:
            masks = [file._replace(name=f"masks/{_without(file.name, _MASKS)}") for file in masks or files]
            pictures = [File(f"images/{name}", Path) for name in names]
        objects = "one" if tuple(self._classes[1:]) == ("object",) or self._one else "auto"
        found = several(
            truth, [*pictures, *masks], MASKED_FOLDERS, LABEL_WORDS, objects, 1 if named and self.united_before else 2
        )
        if found is None or not (named or found.numbered):
            return None
        table = self._table(truth, found)
        self.report.append(
            f"United {count(sum(len(one.masks) for one in found.images), 'true mask')} of "
            f"{count(len(found.images), 'image')}, smaller ones over larger ones."
        )
        by_image = {one.image.name: one for one in found.images}
        matched = [by_image.get(picture.name) for picture in pictures]

        def labels(masks: Any) -> Labels:
            return lambda size: table[required(masks.draw(self._most_pixels, size), "the truth").pixels[..., 0]]

        return [labels(one) if one is not None else None for one in matched]

    def _table(self, truth: Path, found: Several) -> NDArray[np.uint8]:
        """The class in the run of each value in united masks."""
        names = found.names[1:]
        if names == ["object"] and len(self._classes) == 2:
            at = [1]
        elif set(names) <= set(self._classes[1:]):
            at = [self._classes.index(name) for name in names]
        elif self._named and len(names) == len(self._classes) - 1:
            at = list(range(1, len(self._classes)))  # the user has named them, in this order
            both = ", ".join(f"'{name}' is '{self._classes[k]}'" for k, name in zip(at, names, strict=True))
            self.report.append(f"Took masks in the order of their names: {both}.")
        else:
            strange = next(name for name in names if name not in self._classes[1:])
            raise BadInput(
                f"masks of {truth.name} are called such as '{strange}', which is no class of the run "
                f"({', '.join(self._classes)}); give them the names of its classes, or take them away"
            )
        return np.array([0, *at], np.uint8)

    def _read(self, file: File, size: Size) -> NDArray[np.uint8]:
        values = required(read_map(file, self._colours, self._most_pixels), "the truth").pixels[..., 0]
        if values.shape != size:
            raise BadInput(f"{size[0]} x {size[1]} was made, the truth is {values.shape[0]} x {values.shape[1]}")
        self._pixels += values.size
        if self._black_and_white or self._one:
            return np.asarray(values > 0, np.uint8)
        if self._palette.values == (0, IGNORED) and (within := inside(values)) is not None:
            return np.asarray(within, np.uint8)
        counted = np.bincount(values.ravel(), minlength=256)[:256]
        counted[[*self._palette.values, self._palette.ignored]] = 0
        self._strange += counted
        return self._palette.to_classes(values)


def _below(name: str, folders: Sequence[str]) -> bool:
    """Whether a file lies in a folder of one of these names."""
    known = {folder.lower() for folder in folders}
    return any(part.lower() in known for part in PurePosixPath(name).parts[:-1])


def _without(name: str, folders: Sequence[str]) -> str:
    """The name without the folder of one of these names that it begins with, if it does."""
    first, _, rest = name.partition("/")
    return rest if rest and first.lower() in {folder.lower() for folder in folders} else name
