"""NumPy files that hold, beside x, what it is made from or a label for each of its pixels."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from evenodds.data.dataset import Beside, Dataset
from evenodds.data.label_maps.scheme import scheme
from evenodds.data.readers.arrays import arrays, from_array, part_read, read_arrays
from evenodds.errors import BadInput, unknown

__all__ = ["LAYOUTS", "READS", "beside"]

READS = (".npz",)
"""The file names' endings for which `load` comes here, in these layouts."""
LAYOUTS: dict[str, dict[str, Any]] = {
    "pairs": {"name": "source"},
    "unpaired": {"name": "source"},
    "maps": {"name": "labels"},
}
"""What arrays may be to each other that are read here, and the options that say so."""


def beside(
    path: str | os.PathLike[str],
    name: str,
    split: str = "train",
    ignore: int | str | None = None,
    splits: str = "ignore",
) -> Dataset:
    """A .npz file with `x` and `source`, or `x` and `labels`; or with `x_train`, `source_train` and so on.

    Args:
        path: the file; never unpickled.
        name: "source", images (N, H, W[, C]) as for `from_array`; or "labels", whole numbers (N, H, W) in [0, 255].
        split, splits: for files with `x_train` and `x_test`, see `arrays`.
        ignore: the value among labels that is no class, see `maps`.

    Raises:
        BadInput: the file cannot be read, lacks an array, or its arrays do not fit each other.
    """
    path = Path(path)
    if name not in ("source", "labels"):
        raise unknown("array beside x", name, ("source", "labels"))
    dataset, split = arrays(path, split, splits=splits), part_read(split, splits)
    if dataset.kind != "image":
        raise BadInput(f"{path.name}: x must be images (N, H, W) or (N, H, W, C) to have {name} beside them")
    stored = read_arrays(path, (name, f"{name}_train", f"{name}_test"))
    keys = [name] if name in stored else [key for key in stored if split == "all" or key == f"{name}_{split}"]
    values = [stored[key] for key in sorted(keys, reverse=True)]  # The training part first, as that of x.
    if not values or sum(map(len, values)) != len(dataset):
        lengths = " + ".join(str(len(part)) for part in values) or "none"
        raise BadInput(f"{path.name} needs an array '{name}' of {len(dataset)} items, as x has, got {lengths}")
    other = torch.cat([torch.as_tensor(part) for part in values]).numpy()
    if name == "source":
        return _with_source(path, dataset, other)
    if other.shape != (len(dataset), *dataset.shape[1:]) or other.dtype.kind not in "biu":
        want = (len(dataset), *dataset.shape[1:])
        raise BadInput(f"{path.name} needs labels {want} of whole numbers, got {other.shape} {other.dtype}")
    if other.min() < 0 or other.max() > 255:
        raise BadInput(f"{path.name}: labels must lie in [0, 255], got {other.min()} to {other.max()}")
    classes = scheme(other.astype("int16"), None, ignore, {})
    labels = Beside(torch.from_numpy(classes.table[other.astype("int16")]), palette=classes.palette)
    note = f"Their labels are of {len(classes.names)} classes."
    report = (*dataset.report, note, *classes.notes)
    # Labels of whole images have no place beside classes of pixels.
    return replace(dataset, y=None, classes=classes.names, beside={"labels": labels}, report=report)


def _with_source(path: Path, dataset: Dataset, values: Any) -> Dataset:
    try:
        source = from_array(values)
    except BadInput as error:
        raise BadInput(f"{path.name}, source: {error}") from None
    (height, width), sides = dataset.shape[1:], source.shape[1:]
    if source.kind != "image" or (height, width) not in [(k * sides[0], k * sides[1]) for k in (1, 2, 3, 4)]:
        raise BadInput(
            f"{path.name}: x must be 1, 2, 3 or 4 times as large as source, got {height} x {width} and "
            f"{' x '.join(map(str, sides)) or 'rows'}"
        )
    report = (*dataset.report, f"Sources are {sides[0]} x {sides[1]}, {source.units.dtype}.")
    return replace(dataset, beside={"source": Beside(source.x, source.units)}, report=report)
