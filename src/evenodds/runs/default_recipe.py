"""The recipe to take where none is named: by the data, and by the machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from evenodds.data.dataset import Dataset
from evenodds.data.peek import Glimpse, peek
from evenodds.errors import BadInput
from evenodds.files.names import is_there
from evenodds.game.engine import pick_device
from evenodds.runs.find import canonical

__all__ = ["Suited", "recipe_for", "suited_recipe"]

BY_SUFFIX = {
    ".csv": "table",
    ".tsv": "table",
    ".xlsx": "table",
    ".npz": "gray-28",
    ".npy": "gray-28",
    ".h5": "gray-28",
    ".hdf5": "gray-28",
}
"""Recipes for files, by the end of their name, where nothing more can be told of them."""
MANY = 5000
"""Photographs that the largest recipe is taken for; fewer are shown too often before its networks have learned."""

ROWS, COLUMNS = 100, 200
"""Rows for each column from which on a network learns more of them than a fitted generator, which is for tables of at
most so many columns."""


class Suited(NamedTuple):
    """A recipe, and why it is taken."""

    name: str
    reason: str


def recipe_for(data: str | Dataset | None, device: str = "auto") -> str:
    """The name of a recipe, see `suited_recipe`."""
    return suited_recipe(data, device).name


def suited_recipe(data: str | Dataset | None, device: str = "auto") -> Suited:
    """The recipe for data: grey and small colour images at their own size, photographs at that of the machine.

    Args:
        data: a path, of which some headers are read, or the name of a source; data in memory; or None for no data.
        device: that the run would be played on, as the setting of that name.
    """
    if data is None:
        return Suited("digits", "no data were named")
    if isinstance(data, Dataset):
        columns = (len(data.units.columns),) if data.units.columns else data.shape
        return _for_items(Glimpse(len(data), columns), device)
    if (named := canonical("recipes", data)) and canonical("sources", data):
        return Suited(named, f"it is the recipe for {data}")
    if canonical("sources", data) and not is_there(data):
        return Suited("ring", f"for points of the plane, as {data} draws them")
    if named and not is_there(data):
        raise BadInput(
            f"'{data}' is a recipe, and data are a path or a source; type `evenodds train {named} --data PATH`"
        )
    seen = peek(data)
    if seen is not None:
        return _for_items(seen, device)
    ending = Path(data).suffix.lower()
    return Suited(BY_SUFFIX.get(ending, "photos-64"), f"for {ending} files" if ending in BY_SUFFIX else "by default")


def _for_items(seen: Glimpse, device: str) -> Suited:
    """The recipe for items of that shape; rows of numbers in arrays are a table."""
    many = f"{seen.items:,} {'row' if len(seen.shape) == 1 else 'image'}{'s' if seen.items != 1 else ''}"
    if len(seen.shape) == 1:
        few = seen.items < ROWS * seen.shape[0] and seen.shape[0] <= COLUMNS
        return Suited("small-table" if few else "table", f"for {many} of {seen.shape[0]:,} columns")
    (channels, height, width), side = seen.shape, max(seen.shape[1:])
    of = f"for {many} of {height} x {width}, {'grey' if channels == 1 else 'in colour'}"
    if side <= 12:
        return Suited("digits", of)
    if side <= 48:
        return Suited("gray-28" if channels == 1 else "color-32", of)
    return _photographs(side, seen.items, of, device)


def _photographs(side: int, items: int, of: str, device: str) -> Suited:
    """By what the machine can learn in minutes, see docs/photographs.md."""
    place = pick_device(device).type
    if place == "cpu":
        return Suited("photos-64", f"{of}, on a CPU{_larger((128, 256), side)}")
    size = 256 if side >= 192 and items >= MANY else 128 if side >= 96 else 64
    return Suited(f"photos-{size}", f"{of}, on {place}{_larger([s for s in (128, 256) if s > size], side)}")


def _larger(sizes: Sequence[int], side: int) -> str:
    """What else could be taken."""
    names = [f"photos-{size}" for size in sizes if size <= 1.5 * side]
    return f"; for larger pictures, in more time: {', '.join(names)}" if names else ""
