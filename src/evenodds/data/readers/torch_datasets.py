"""Data sets of PyTorch: what `torch.utils.data` calls map-style, of images or rows, with labels or without."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import replace
from typing import Any

import numpy as np
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset

from evenodds.data.dataset import Dataset
from evenodds.data.readers.arrays import from_array
from evenodds.data.readers.held import as_numpy
from evenodds.errors import BadInput

__all__ = ["from_torch", "is_torch"]


def is_torch(source: Any) -> bool:
    """Whether it is a data set of PyTorch."""
    return isinstance(source, TorchDataset)


def from_torch(
    source: Any,
    layout: str = "auto",
    range: str | Sequence[float] = "auto",
    nodata: str | float = "auto",
    unlabelled: str | float | None = None,
) -> Dataset:
    """The items of a data set of PyTorch, each asked for once: x, or a pair (x, label).

    Names of classes are those of its attribute `classes`, where it has one, as those of torchvision have.

    Args:
        source: map-style: it has a length, and items by number.
        layout, range, nodata, unlabelled: see `from_array`.

    Raises:
        BadInput: its items can only be gone through, or are neither images nor rows of one shape; or what `from_array`
            refuses.
    """
    if isinstance(source, IterableDataset) or not isinstance(source, Sized):
        raise BadInput(
            f"{type(source).__name__} has no items by number; give an array of what it yields: np.stack(...)"
        )
    if not len(source):
        raise BadInput(f"{type(source).__name__} has no items; give one that has")
    items = [source[k] for k in np.arange(len(source)).tolist()]  # type: ignore[index]
    pairs = isinstance(items[0], tuple | list)
    if pairs and len(items[0]) > 2:
        raise BadInput(f"items need to be x or (x, label), got {len(items[0])} parts; leave the others out")
    x = [as_numpy(one[0] if pairs else one) for one in items]
    shapes = list(dict.fromkeys(one.shape for one in x))
    if len(shapes) > 1:
        raise BadInput(
            f"items need one shape, got {shapes[0]} and {shapes[1]}; resize them in the data set's transform"
        )
    labels = [as_numpy(one[1]) for one in items] if pairs and len(items[0]) == 2 else None
    if labels is not None and labels[0].size != 1:
        raise BadInput(f"labels need to be one number or word each, got the shape {labels[0].shape}; leave them out")
    read = from_array(
        np.stack(x),
        None if labels is None else _named([label.item() for label in labels], getattr(source, "classes", None)),
        layout,
        range=range,
        nodata=nodata,
        unlabelled=unlabelled,
    )
    asked = f"Asked {type(source).__name__} for each of its {len(items):,} items once."
    return replace(read, report=(*read.report, asked))


def _named(labels: Sequence[Any], classes: Any) -> list[Any]:
    """Labels by name, where they number the names."""
    numbers = all(isinstance(label, int) and label >= 0 for label in labels)
    known = isinstance(classes, list | tuple) and all(isinstance(name, str) for name in classes)
    if not numbers or not known or max(labels) >= len(classes):
        return list(labels)
    return [classes[label] for label in labels]
