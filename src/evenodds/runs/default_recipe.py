"""The recipe to take where none is named: by the data."""

from __future__ import annotations

from pathlib import Path

from evenodds.data.dataset import Dataset
from evenodds.runs.find import canonical

__all__ = ["recipe_for"]

BY_SUFFIX = {
    ".csv": "table",
    ".tsv": "table",
    ".npz": "gray-28",
    ".npy": "gray-28",
    ".h5": "gray-28",
    ".hdf5": "gray-28",
}
"""Recipes for files, by the end of their name; folders and archives have that of photographs."""


def recipe_for(data: str | Dataset | None) -> str:
    """The name of a recipe.

    Args:
        data: a path or the name of a source, which is not opened; data in memory; or None for no data.
    """
    if data is None:
        return "digits"
    if isinstance(data, Dataset):
        return _by_shape(data.shape) if data.kind == "image" else "table"
    return canonical("recipes", data) or BY_SUFFIX.get(Path(data).suffix.lower(), "photos-128")


def _by_shape(shape: tuple[int, ...]) -> str:
    """The recipe for images (C, H, W) of that size."""
    channels, side = shape[0], max(shape[1:])
    if side <= 12:
        return "digits"
    return "photos-128" if side > 48 else "gray-28" if channels == 1 else "color-32"
