"""NumPy files, NumPy arrays and tensors."""

from __future__ import annotations

import math
import os
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.data.encoding import encode_conditions, encode_labels
from evenodds.data.folders.labels import negative
from evenodds.data.folders.splits import checked
from evenodds.data.pictures.ranges import Ranged, check_options, in_range, in_single, on_rounding
from evenodds.data.readers.held import as_numpy, items_as_numpy
from evenodds.data.scale import Scale
from evenodds.data.tables.cells import Parsed
from evenodds.data.tables.datasets import from_columns
from evenodds.data.tables.types import Types
from evenodds.data.units import Units
from evenodds.data.wording import count
from evenodds.errors import BadInput, unknown
from evenodds.files.memory import machine_bytes
from evenodds.files.regular import open_regular, size_of
from evenodds.files.zips import open_zip

__all__ = ["READS", "arrays", "from_array", "part_read", "read_arrays"]

READS = (".npy", ".npz")
"""The file names' endings for which `load` comes here."""

Array = NDArray[Any]
MOST_CHANNELS = 4
"""Of a picture as it is usual: where both sides of an array that may count channels are as short, either may."""
WIDEST = 256
"""Rows of more numbers are no table of columns with a meaning each."""


def arrays(
    path: str | os.PathLike[str],
    split: str = "train",
    layout: str = "auto",
    range: str | Sequence[float] = "auto",
    nodata: str | float = "auto",
    unlabelled: str | float | None = None,
    types: str | Mapping[str, str] = "auto",
    splits: str = "ignore",
) -> Dataset:
    """A .npy file of items, or a .npz file with `x` (and `y`, `c`), or `x_train`, `x_test` (and `y_train`, ...).

    `c` holds attributes or values (N, K) or (N,), and `c_names` their names, if they have any.

    Args:
        path: the file; never unpickled.
        split: "train", "test" or "all", for files with `x_train` and `x_test`.
        layout: see `from_array`. Ranges and classes are taken over the whole file, so that its splits agree.
        range, nodata, unlabelled, types: see `from_array`.
        splits: "respect" reads all and holds out x_test; "train" leaves it aside; "ignore" holds nothing out, and reads
            what `split` says.

    Raises:
        BadInput: the file cannot be read, lacks the arrays, or holds what `from_array` refuses.
    """
    path = Path(path)
    check_options(range, nodata)
    stored = read_arrays(path, _KEYS)
    split = part_read(split, splits)
    parts: list[str] = [key for key in ("x", "x_train", "x_test") if key in stored]
    parts = parts or (list(stored) if len(stored) == 1 else [])
    if not parts:
        raise BadInput(f"{path.name} needs an array named x or x_train, got {', '.join(stored) or 'none'}; rename one")
    chosen = [key for key in parts if split == "all" or key == f"x_{split}" or (key == parts[0] and split == "train")]
    if not chosen:
        raise BadInput(f"{path.name} has no array x_{split}, only {', '.join(stored)}; choose another split")
    try:
        y, c = (_beside(stored, parts, letter) for letter in "yc")
        names = [str(name) for name in stored["c_names"]] if "c_names" in stored else None
        joined = _joined([stored[key] for key in parts])
        whole, kept = _read(joined, y, layout, c, names, range, nodata, unlabelled, types)
    except BadInput as error:
        raise BadInput(f"{path.name}: {error}") from None
    if chosen == parts:
        if splits != "respect" or "x_test" not in parts[1:]:
            return whole
        tests = len(stored["x_test"])
        note = f"Held out are the {tests:,} of x_test, none is trained on; data.splits=ignore data.split=all mixes."
        apart = torch.from_numpy(kept >= len(joined) - tests)
        return replace(whole, apart=apart, report=(*whole.report, note))
    start = 0 if parts[0] == chosen[0] else len(stored[parts[0]])
    places = torch.from_numpy(kept)
    part = whole.take(((places >= start) & (places < start + len(stored[chosen[0]]))).nonzero().flatten())
    aside = [key for key in parts if key not in chosen]
    left = " and ".join(f"the {len(stored[key]):,} of {key}" for key in aside)
    note = f"Took {', '.join(chosen)}, and left {left} aside; data.split=all takes them all."
    if aside == ["x_test"]:
        note = f"Took {chosen[0]}, and left {left} aside; data.splits=respect holds them out, data.split=all takes all."
    return replace(part, report=(*_report(part), *whole.report[1:], note))


def part_read(split: str, splits: str) -> str:
    """Which arrays of a file with `x_train` and `x_test` are read: "train", "test" or "all"; see `arrays`."""
    if split not in ("train", "test", "all"):
        raise unknown("split", split, ("train", "test", "all"))
    return {"respect": "all", "train": "train", "ignore": split}[checked(splits)]


def from_array(
    x: Array | Tensor,
    y: Array | Tensor | Sequence[Any] | None = None,
    layout: str = "auto",
    c: Array | Tensor | None = None,
    c_names: Sequence[str] | None = None,
    range: str | Sequence[float] = "auto",
    nodata: str | float = "auto",
    unlabelled: str | float | None = None,
    types: str | Mapping[str, str] = "auto",
) -> Dataset:
    """A data set from memory.

    Args:
        x: (N, H, W), (N, H, W, C) or (N, C, H, W) images, or (N, D) rows. Images keep uint8 and uint16; other
            integers are kept as the smaller of the two that holds them.
        y: (N,) labels, whole numbers or words, unknown where empty or not a number; or (N, K), a single 1 in each row
            at the place of the class; or None.
        layout: "nhwc", "nchw", or "auto": the shorter one of the second and the last side counts channels, the
            last one of equal ones; it is said where either may (equal ones, or both at most 4).
        c: (N, K) or (N,) attributes, all 0 or 1, or values, by which items can be asked for.
        c_names: of these.
        range: of the numbers of images that become -1 and 1. "auto": 0 to 255 of 8 bits; of 16 bits, 0 to the highest
            number of as many bits as occur (12 bits: 4095), or the range that occurs where that is a small part; of
            floats, the range that occurs, without rare outliers, which are clipped; one for all channels, or one for
            each where they differ much. "full": all that 16 bits hold, or all that occurs. Or the two ends.
        nodata: the number in images that stands for no data: it is filled in from its neighbours and is no part of the
            range. "auto": one of the usual (-9999, -32768, 65535, ...) where it lies far from all others; "nan";
            "none" for no such number.
        unlabelled: a label that stands for an unknown class, such as -1.
        types: of the columns x0, x1, ... of rows, see `evenodds.data.readers.table.table`; more than 256 are taken as
            "plain".

    Raises:
        BadInput: a shape or dtype that fits none of these, or a value that is not finite (its place is named).
    """
    return _read(x, y, layout, c, c_names, range, nodata, unlabelled, types)[0]


def _read(
    x: Array | Tensor,
    y: Array | Tensor | Sequence[Any] | None,
    layout: str,
    c: Array | Tensor | None,
    c_names: Sequence[str] | None,
    wanted: str | Sequence[float],
    nodata: str | float,
    unlabelled: str | float | None,
    types: str | Mapping[str, str],
) -> tuple[Dataset, Array]:
    """The data set of `from_array`, and (n,) which of the items are in it."""
    values = items_as_numpy(x)
    if values.ndim not in (2, 3, 4):
        flat = f"; x.reshape{(-1, *values.shape[-3:])} makes one list of its images" if values.ndim > 4 else ""
        raise BadInput(f"x needs the shape (N, H, W), (N, H, W, C), (N, C, H, W) or (N, D), got {values.shape}{flat}")
    if layout not in ("auto", "nhwc", "nchw"):
        raise unknown("layout", layout, ("auto", "nhwc", "nchw"))
    _check_finite(values, str(nodata) == "nan" if values.ndim > 2 else types != "plain")
    labels, classes = (None, ()) if y is None else encode_labels(as_numpy(y), unlabelled)
    if labels is not None and len(labels) != len(values):
        raise BadInput(f"x and y need the same length, got {len(values)} and {len(labels)}")
    if values.ndim == 2:
        dataset = replace(_rows_of(values, types), y=labels, classes=classes)
    else:
        ranged = _in_units(_channels_first(values, layout), wanted, nodata)
        dataset = Dataset(_tensor(ranged.x), Units.of(ranged.scale), labels, classes)
    if c is not None:
        numbers, conditions = encode_conditions(as_numpy(c), c_names)
        if len(numbers) != len(values):
            raise BadInput(f"x and c need the same length, got {len(values)} and {len(numbers)}")
        dataset = replace(dataset, c=numbers, conditions=conditions)
    if values.ndim == 2:
        return replace(dataset, report=(*dataset.report, *negative(classes))), np.arange(len(values))
    kept = np.flatnonzero(ranged.kept)
    dataset = dataset if ranged.kept.all() else dataset.take(torch.from_numpy(kept))
    return replace(
        dataset, report=(*_report(dataset), *_on_layout(values.shape, layout), *ranged.notes, *negative(classes))
    ), kept


def _rows_of(values: Array, types: str | Mapping[str, str]) -> Dataset:
    """A table of numbers without names; one that is as wide as a picture is taken as it is."""
    columns = {f"x{k}": Parsed.numbers(column) for k, column in enumerate(values.T)}
    wanted = Types.of("plain" if types == "auto" and len(columns) > WIDEST else types, list(columns))
    dataset = from_columns(columns, replace(wanted, all_kept=True), where="x")
    return replace(dataset, columns=(), header=())


def _report(dataset: Dataset) -> tuple[str, ...]:
    if dataset.kind == "table":
        return (f"Read {len(dataset):,} rows of {dataset.x.shape[1]} columns.",)
    channels, height, width = dataset.shape
    units = dataset.units
    return (
        f"Read {count(len(dataset), 'image')} of {height} x {width} (height x width) with {channels} "
        f"channel{'s' * (channels > 1)}, {units.dtype}, range {min(units.low):g} to {max(units.high):g}.",
    )


def read_arrays(path: Path, keys: Sequence[str]) -> dict[str, Array]:
    """The arrays of these names in a file, or its first two where none has one; never unpickled.

    Raises:
        BadInput: it is no such file, or its arrays do not fit into memory.
    """
    try:
        with open_regular(path) as stream:
            if stream.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
                _check_header(stream, size_of(stream))
                stream.seek(0)
                return {"x": np.lib.format.read_array(stream, allow_pickle=False)}
            with open_zip(stream, path.name) as archive:
                entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
                names = [key for key in entries if key in keys] or list(entries)[:2]
                _check_memory(sum(entries[key].file_size for key in names))
                return {key: _unpacked(archive, entries[key]) for key in names}
    except BadInput:
        raise
    except Exception as error:  # Damaged files fail in many ways: ValueError, BadZipFile, TokenError, zlib.error, ...
        reason = str(error).splitlines()[0][:200] if str(error) else "it is cut short"
        if "pickle" in reason:
            reason = "it holds Python objects or is no NumPy file; save plain numbers with np.savez(path, x=..., y=...)"
        raise BadInput(f"{path.name} cannot be read: {reason}") from error


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Array:
    with archive.open(entry) as stream:
        _check_header(stream, entry.file_size)
    with archive.open(entry) as stream:
        values: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return values


def _check_header(stream: IO[bytes], size: int) -> None:
    """Refuses a .npy file of so many bytes whose header claims more than these, before memory is asked for."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("pickled objects")
    needed, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if needed > there:
        raise ValueError(f"its array of {shape} needs {needed:,} bytes, but {there:,} are there; save it again")
    _check_memory(needed)


def _check_memory(needed: int) -> None:
    if needed > machine_bytes() // 2:
        raise BadInput(f"its arrays need {needed / 2**30:.1f} GiB, over half of the memory; save a part of them")


def _beside(stored: Mapping[str, Array], parts: list[str], letter: str) -> Array | None:
    """What stands beside the parts of x: their y or c."""
    keys = [letter + key[1:] for key in parts]
    have = [key for key in keys if key in stored]
    if not have:
        return None
    if have != keys:
        missing = next(key for key in keys if key not in have)
        raise BadInput(f"there is {have[0]} but nothing named {missing}; give it to all parts or to none")
    return _joined([stored[key] for key in keys])


def _joined(parts: list[Array]) -> Array:
    if len(parts) == 1:
        return parts[0]
    if len({part.shape[1:] for part in parts}) > 1:
        raise BadInput(f"x_train and x_test need items of one shape, got {parts[0].shape} and {parts[1].shape}")
    return np.concatenate(parts)


def _tensor(values: Array) -> Tensor:
    """The values as they lie in memory, which torch cannot have where a side is mirrored; they are only read."""
    forward = np.ascontiguousarray(values) if min(values.strides) < 0 else values
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(forward)


def _check_finite(values: Array, but_nan: bool = False) -> None:
    if values.dtype.kind in "US":
        raise BadInput(
            f"x needs numbers, got dtype {values.dtype}; convert it with .astype(float), or give rows of words as .csv"
        )
    if values.dtype.kind != "f":
        return
    if not (finite := np.isfinite(values) | (np.isnan(values) if but_nan else False)).all():
        at = tuple(int(k) for k in np.argwhere(~finite)[0])
        advice = "; or take data.nodata=nan" if np.isnan(values[at]) and values.ndim > 2 else ""
        raise BadInput(f"x must be finite, got {values[at]} at {list(at)}; remove or fill in such items{advice}")
    if (most := float(np.nanmax(np.abs(values), initial=0.0))) > float(np.finfo(np.float32).max):
        raise BadInput(f"x must fit in single precision, got a value of size {most:g}; divide it by 1e10")


def _channels_first(values: Array, layout: str) -> Array:
    if values.ndim == 3:
        return values[:, None]
    if layout == "nhwc" or (layout == "auto" and values.shape[3] <= values.shape[1]):
        return np.moveaxis(values, 3, 1)
    return values


def _on_layout(shape: tuple[int, ...], layout: str) -> list[str]:
    """What was taken to count channels, where the sides of an array leave it open."""
    if len(shape) == 3:
        if max(shape) > MOST_CHANNELS and min(shape[0], shape[2]) in (3, 4):
            sides = f"grey {'image' if shape[0] == 1 else 'images'} of {shape[1]} x {shape[2]}"
            return [f"Took {shape} as {shape[0]:,} {sides}; one image in colours is x[None], of four sides."]
        return []
    first, last = shape[1], shape[3]
    if layout != "auto" or (first != last and max(first, last) > MOST_CHANNELS):
        return []
    taken, other = ("last", "nchw") if last <= first else ("first", "nhwc")
    left = "second" if taken == "last" else "last"
    side = f"the {taken if taken == 'last' else 'second'} side of {shape} to count channels"
    return [f"Took {side}; data.layout={other} takes the {left} one."]


def _in_units(values: Array, wanted: str | Sequence[float], nodata: str | float) -> Ranged:
    """Images (N, C, H, W) as they are kept, and their range."""
    kind = values.dtype
    low, high = (values.min(), values.max()) if kind.kind in "iu" else (0, 0)
    every = np.ones(len(values), bool)
    if kind.kind == "b":
        return Ranged(values.astype(np.uint8), Scale((0.0,), (1.0,), "uint8"), every, [])
    if kind == np.uint8 or (kind.kind in "iu" and kind != np.uint16 and low >= 0 and high <= 255):
        return in_range(values.astype(np.uint8, copy=False), "uint8", wanted, nodata)
    if kind.kind in "iu" and low >= 0 and high <= 65535:
        return in_range(values.astype(np.int32), "uint16", wanted, nodata)
    single, rounded = in_single(values)
    ranged = in_range(single, "float32", wanted, nodata)
    return ranged._replace(notes=[*on_rounding(rounded), *ranged.notes])


_KEYS = ("x", "y", "c", "x_train", "y_train", "c_train", "x_test", "y_test", "c_test", "c_names")
