"""HDF5 files with images or rows in a data set, and their labels in another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data._ranges import check_options
from evenodds.data.arrays import from_array
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput, unknown
from evenodds.files.extras import named, needs
from evenodds.files.memory import machine_bytes
from evenodds.files.regular import open_regular

__all__ = ["READS", "h5"]

READS = (".h5", ".hdf5")
"""The file names' endings for which `load` comes here."""
_IMAGES = ("x", "images", "image", "data", "x_train", "train_x", "imgs", "frames", "volume")
_LABELS = ("y", "labels", "label", "targets", "target", "classes", "y_train", "train_y")
"""Names of data sets with images and with labels, the likeliest first."""
_MOST = 10_000  # Objects of a file that are looked at.
_LISTED = 12


def h5(
    path: str | os.PathLike[str],
    dataset: str | None = None,
    label: str | None = None,
    labels: bool = True,
    layout: str = "auto",
    range: str | Sequence[float] = "auto",
    nodata: str | float = "auto",
    unlabelled: str | float | None = None,
) -> Dataset:
    """An HDF5 file: a data set of numbers with 3 or 4 axes, and one of labels that is as long.

    Links to other files, data that lie in other files, and objects are not followed or read.

    Args:
        path: the file.
        dataset: the name of the data set with the images, such as "group/x"; or with rows, of 2 axes. None: the one of
            3 or 4 axes, or of several that called x, images or data.
        label: of that with the labels. None: one as long as the images that is called y, labels or targets.
        labels: false leaves these out.
        layout, range, nodata, unlabelled: see `from_array`.

    Raises:
        BadInput: the file cannot be read, holds no such data set or several, or what `from_array` refuses.
    """
    path = Path(path)
    check_options(range, nodata)
    with open_regular(path) as stream:
        try:
            with named(path.name), needs("h5"):
                import h5py
            with h5py.File(stream, "r") as file:
                found = dict(_numbers(h5py, file))
                name = _chosen(path, found, dataset)
                x = _read(path, name, found[name])
                other = _label(path, found, name, label) if labels else None
                y = None if other is None else _flat(_read(path, other, found[other]))
        except BadInput:
            raise
        except Exception as error:  # HDF5 fails in many ways on damaged files: OSError, KeyError, RuntimeError, ...
            raise BadInput(f"{path.name} is damaged or no HDF5 file; save it again") from error
    try:
        made = from_array(x, y, layout, range=range, nodata=nodata, unlabelled=unlabelled)
    except BadInput as error:
        raise BadInput(f"{path.name}, {name}: {error}") from None
    return replace(made, report=(*made.report, *_said(found, name, other)))


def _numbers(h5py: Any, group: Any, before: str = "", seen: list[int] | None = None) -> Iterator[tuple[str, Any]]:
    """The data sets with numbers or short words that lie in the file itself."""
    seen = [] if seen is None else seen
    for name in group:
        seen.append(0)
        if len(seen) > _MOST:
            return
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        one = group[name]
        if isinstance(one, h5py.Group) and before.count("/") < 16:
            yield from _numbers(h5py, one, f"{before}{name}/", seen)
        elif isinstance(one, h5py.Dataset) and _is_own(one):
            yield f"{before}{name}", one


def _is_own(one: Any) -> bool:
    """Whether a data set holds plain values, and holds them itself."""
    return one.dtype.kind in "biufS" and one.shape is not None and not one.is_virtual and not one.external


def _chosen(path: Path, found: Mapping[str, Any], dataset: str | None) -> str:
    """The name of the data set with the images."""
    if dataset is not None:
        if dataset.strip("/") not in found:
            raise unknown(f"data set of numbers in {path.name}", dataset, found)
        return dataset.strip("/")
    able = [name for name, one in found.items() if one.ndim in (3, 4) and one.dtype.kind in "biuf" and one.size]
    usual = [name for word in _IMAGES for name in able if _own_name(name) == word]
    if not able:
        there = ", ".join(f"{name} {one.shape}" for name, one in list(found.items())[:_LISTED]) or "none"
        raise BadInput(f"{path.name} needs a data set of numbers with 3 or 4 axes, got {there}; links are not followed")
    if len(able) > 1 and not usual:
        raise BadInput(f"{path.name} holds several data sets: {', '.join(able[:_LISTED])}; name one with data.dataset=")
    return usual[0] if usual else able[0]


def _label(path: Path, found: Mapping[str, Any], name: str, label: str | None) -> str | None:
    """The name of the data set with the labels; None where there is none."""
    if label is not None:
        if label.strip("/") not in found:
            raise unknown(f"data set of labels in {path.name}", label, found)
        return label.strip("/")
    able = [one for one in found if one != name and found[one].ndim and len(found[one]) == len(found[name])]
    able = [one for one in able if found[one].ndim <= 2 or found[one].size == len(found[name])]
    return next((one for word in _LABELS for one in able if _own_name(one) == word), None)


def _own_name(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _read(path: Path, name: str, one: Any) -> NDArray[Any]:
    needed = one.size * one.dtype.itemsize
    if needed > machine_bytes() // 2:
        gib = f"{needed / 2**30:,.1f} GiB"
        raise BadInput(f"{path.name}, {name} needs {gib}, over half of the memory; save a part of it")
    values: NDArray[Any] = one[()]
    return values


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    """Labels (N,) or (N, K), words as text; axes of length 1 do not count."""
    values = values.reshape(len(values), -1)
    values = values[:, 0] if values.shape[1] == 1 else values
    return np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values


def _said(found: Mapping[str, Any], name: str, label: str | None) -> list[str]:
    others = [one for one in found if one not in (name, label)]
    rest = f"; there are {', '.join(others[:_LISTED])}, too" if others else ""
    by = f", labels from {label}" if label is not None else ""
    return [f"Took the data set {name}{by}{rest}."]
