"""HDF5 files with images or rows in a data set, and their labels in another."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.dataset import Dataset
from evenodds.data.folders.splits import checked
from evenodds.data.part_names import TEST, TRAIN
from evenodds.data.pictures.ranges import check_options
from evenodds.data.readers.arrays import from_array
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
_LONGEST = 200  # Characters of a label.


def h5(
    path: str | os.PathLike[str],
    dataset: str | None = None,
    label: str | None = None,
    labels: bool = True,
    layout: str = "auto",
    range: str | Sequence[float] = "auto",
    nodata: str | float = "auto",
    unlabelled: str | float | None = None,
    splits: str = "respect",
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
        splits: of x_train and x_test, or train/x and test/x: "respect" holds the latter out, "ignore" does not, and
            "train" leaves it aside.

    Raises:
        BadInput: the file cannot be read, holds no such data set or several, or what `from_array` refuses.
    """
    path = Path(path)
    check_options(range, nodata)
    checked(splits)
    with open_regular(path) as stream:
        try:
            with named(path.name), needs("h5"):
                import h5py
            with h5py.File(stream, "r") as file:
                found = dict(_numbers(h5py, file))
                name = _chosen(path, found, dataset)
                tests = _tests(found, name) if dataset is None and label is None and splits != "train" else []
                sets = [name, *tests]
                x = [_read(path, one, found[one]) for one in sets]
                beside = [_label(path, found, one, label) if labels else None for one in sets]
                others = [one for one in beside if one is not None]
                # All have labels, or none has.
                y = [_labels(path, one, found[one]) for one in others] if len(others) == len(sets) else []
        except BadInput:
            raise
        except Exception as error:  # HDF5 fails in many ways on damaged files: OSError, KeyError, RuntimeError, ...
            raise BadInput(f"{path.name} is damaged or no HDF5 file; save it again") from error
    try:
        whole, labelled = np.concatenate(x), np.concatenate(y) if y else None
        held_out = np.arange(len(whole)) >= len(x[0])
        # It goes along as what is given does, and so stays with its items where some are left out.
        made = from_array(whole, labelled, layout, c=held_out, range=range, nodata=nodata, unlabelled=unlabelled)
    except BadInput as error:
        raise BadInput(f"{path.name}, {name}: {error}") from None
    assert made.c is not None
    apart = made.c[:, 0] > 0 if tests and splits == "respect" else None
    report = (*made.report, *_said(found, sets, others, apart is not None))
    return replace(made, c=None, conditions=None, apart=apart, report=report)


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
        elif isinstance(one, h5py.Dataset) and _is_own(h5py, one):
            yield f"{before}{name}", one


def _is_own(h5py: Any, one: Any) -> bool:
    """Whether a data set holds plain values, or a list of words, and holds them itself."""
    plain = one.dtype.kind in "biufS" or (h5py.check_string_dtype(one.dtype) is not None and one.ndim == 1)
    return plain and one.shape is not None and not one.is_virtual and not one.external


def _chosen(path: Path, found: Mapping[str, Any], dataset: str | None) -> str:
    """The name of the data set with the images."""
    if dataset is not None:
        if dataset.strip("/") not in found:
            raise unknown(f"data set of numbers in {path.name}", dataset, found)
        return dataset.strip("/")
    able = [name for name, one in found.items() if one.ndim in (3, 4) and one.dtype.kind in "biuf" and one.size]
    able.sort(key=lambda name: _part(name)[1] == "test")
    usual = [name for word in _IMAGES for name in able if _own_name(name) == word]
    if not able:
        there = ", ".join(f"{name} {one.shape}" for name, one in list(found.items())[:_LISTED]) or "none"
        raise BadInput(f"{path.name} needs a data set of numbers with 3 or 4 axes, got {there}; links are not followed")
    usual = usual or [able[0]] * (len({_part(name)[0] for name in able}) == 1)  # parts of one
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
    able = [one for one in able if _part(one)[1] == _part(name)[1]]
    return next((one for word in _LABELS for one in able if word in (_own_name(one), _own_name(_part(one)[0]))), None)


def _part(name: str) -> tuple[str, str]:
    """The name of a data set without the part of the data that it names, and which it is: train, test or ""."""
    words = re.split("([/_])", name)
    for k, word in enumerate(words):
        for part, called in (("train", TRAIN), ("test", TEST)):
            if word.lower() in called:
                return "".join([*words[:k], *words[k + 1 :]]).strip("/_").replace("//", "/"), part
    return name, ""


def _tests(found: Mapping[str, Any], name: str) -> list[str]:
    """The data sets that are to test what learns from this one: of its name and of the shape of its items."""
    of, part = _part(name)
    shape = found[name].shape[1:]
    likely = [one for one in found if _part(one) == (of, "test") and found[one].shape[1:] == shape]
    return [one for one in likely if found[one].dtype == found[name].dtype] if part == "train" else []


def _own_name(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _read(path: Path, name: str, one: Any) -> NDArray[Any]:
    needed = one.size * one.dtype.itemsize
    if needed > machine_bytes() // 2:
        gib = f"{needed / 2**30:,.1f} GiB"
        raise BadInput(f"{path.name}, {name} needs {gib}, over half of the memory; save a part of it")
    values: NDArray[Any] = one[()]
    return values


def _labels(path: Path, name: str, one: Any) -> NDArray[Any]:
    if one.dtype.kind != "O":
        return _flat(_read(path, name, one))
    # A few at a time: each may be as long as the file.
    step, words = max(1, min(4096, (1 << 28) // max(1, path.stat().st_size))), list[str]()
    for k in range(0, len(one), step):
        words += [value.decode("utf-8", "replace")[:_LONGEST] for value in one[k : k + step]]
    return np.array(words)


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    """Labels (N,) or (N, K), words as text; axes of length 1 do not count."""
    values = values.reshape(len(values), -1)
    values = values[:, 0] if values.shape[1] == 1 else values
    return np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values


def _said(found: Mapping[str, Any], sets: Sequence[str], labels: Sequence[str], respected: bool) -> list[str]:
    name, *tests = sets
    others = [one for one in found if one not in (*sets, *labels)]
    rest = f"; there are {', '.join(others[:_LISTED])}, too" if others else ""
    rest += ", which data.dataset and data.label name" if others else ""
    by = f", labels from {labels[0]}" if labels else ""
    items = f"{sum(len(found[one]) for one in tests):,} items of {', '.join(tests)}"
    held_out = (
        f"Held out are {items}, none is trained on; data.splits=train leaves them aside, data.splits=ignore mixes."
    )
    mixed = f"Took what lies in {', '.join(tests)} to train on too, as data.splits=ignore asks."
    return [f"Took the data set {name}{by}{rest}.", *([held_out if respected else mixed] if tests else [])]
