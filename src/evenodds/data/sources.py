"""Data by name, by path, or from memory."""

from __future__ import annotations

import inspect
import os
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from evenodds.data import readers
from evenodds.data.cache import through_cache
from evenodds.data.conditions import Conditions
from evenodds.data.dataset import Dataset
from evenodds.data.encoding import encode_labels
from evenodds.data.folders import image_tables
from evenodds.data.folders.archives import is_archive
from evenodds.data.part_names import SAMPLES, label_column
from evenodds.data.readers.arrays import from_array, read_arrays
from evenodds.data.readers.frames import frames, from_frame, is_frame
from evenodds.data.readers.gaps import frame_gaps
from evenodds.data.readers.held import parts_of
from evenodds.data.readers.packed import packed
from evenodds.data.readers.torch_datasets import from_torch, is_torch
from evenodds.data.shard_index import is_packed
from evenodds.data.tables.cells import Parsed, WordCells
from evenodds.data.tables.frames import parsed_frame
from evenodds.data.tables.opened import READS as TEXT_TABLES
from evenodds.data.tables.opened import parsed_table
from evenodds.data.tables.rows import Column
from evenodds.data.tables.types import Types, placed
from evenodds.data.units import STORED, Units
from evenodds.data.wording import listed, not_like, shape_words
from evenodds.errors import BadInput, unknown
from evenodds.files.misfit import shortened
from evenodds.files.regular import NotRegular, refusal
from evenodds.game.schedule import OnProgress

__all__ = ["AS_THEY_ARE", "LAYOUTS", "READERS", "SOURCES", "load", "load_like", "options_of", "reader_of"]

Source = Callable[..., Dataset]

AS_THEY_ARE = {"range": "full", "nodata": "none", "frames": "first"}
"""The options with which a file of images is one image, and no number is changed."""
_NEVER_OPENED = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".ckpt")
_ALIASES = {"mixture_1d": "mixture"}


def load(source: Any, progress: OnProgress | None = None, layout: str = "images", **options: Any) -> Dataset:
    """The data set that `source` names.

    Args:
        source: the name of a source ("digits", "ring", ...), a path (a folder, archive, list or table of images, a
            folder of shards, an image, .npy, .npz, .h5, .csv, .tsv, .xlsx), an array or tensor (see
            `arrays.from_array`), a pair (x, y) or a mapping of x, y, c and c_names, a data set of PyTorch, a data frame
            of pandas, or a data set, which is returned as it is.
        progress: told (files done, files in all) by sources that take long.
        layout: what the files of a path are to each other: "images", each for itself; "pairs" and "unpaired", see
            `pairs`; or "maps", see `maps`. An .npz file then holds, beside x, the array "source" or "labels". Of an
            array, "nhwc" or "nchw", see `arrays.from_array`.
        options: what the source itself takes, e.g. `size` for images, `label` for a table.

    Raises:
        BadInput: there is no such source or option, or the source refuses its content.
    """
    if layout not in LAYOUTS and layout != "images":
        # An option of arrays had this name first.
        if "layout" not in options_of(source):
            raise unknown("layout", layout, ["images", *LAYOUTS])
        options, layout = {**options, "layout": layout}, "images"
    function, arguments = _chosen(source, layout)
    options_taken = options_of(source, layout)
    for option in options:
        if option not in options_taken:
            raise _unknown_option(_name(function), option, [name for name in options_taken if name != "progress"])
    if "progress" not in options_taken:
        return function(*arguments, **options)
    read = partial(function, *arguments, **options, progress=progress)
    path = Path(*arguments)
    if path.is_dir() or is_archive(path.name) or (function is _READS_IMAGES and image_tables.is_table(path.name)):
        return through_cache(path, f"{_name(function)} as {layout}", options, read)
    return read()


class Like(Protocol):
    """What is known of items."""

    @property
    def kind(self) -> str:
        """image, table or toy."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one item, (C, H, W) or (D,)."""
        ...

    @property
    def units(self) -> Units:
        """Of their numbers."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Of a table, those that are learned."""
        ...

    @property
    def header(self) -> tuple[str, ...]:
        """Of a table, those of its file."""
        ...

    @property
    def conditions(self) -> Conditions | None:
        """What is known of each beside its class."""
        ...


def load_like(
    source: Any,
    like: Like,
    what: str,
    progress: OnProgress | None = None,
    most_pixels: int | None = None,
    several: bool = False,
) -> Dataset:
    """The data set that `source` names, in the shape and the units of others: files of images are brought to it.

    Of a table, the column with the class of the others holds that of each row, where there is one.

    Numbers are taken as they are, also those outside of the others' range. Where they are of another depth, 8 bits in
    place of 16 say, and in files of 8 bits, the range is that of their depth.

    Args:
        source: as for `load`.
        like: the others.
        what: begins the message, e.g. "the samples".
        progress: told (files done, files in all).
        most_pixels: of a picture in a file; larger ones are not decoded. None: 89,478,485.
        several: whether all frames of a file are items; else the first.

    Raises:
        BadInput: the shape is another one.
    """
    if len(like.shape) == 1:
        source = _table_of_samples(source)
    if like.units.columns:
        return _rows_like(source, like, what)
    if len(like.shape) == 1 and _is_text_table(source):
        return _in_units_of(_points(Path(source), like.shape[0], what), like.units, what)
    form: dict[str, Any] = {"size": like.shape[1:], "channels": like.shape[0]} if like.kind == "image" else {}
    form |= (
        AS_THEY_ARE
        | {"frames": "all" if several else "first"}
        | ({"most_pixels": most_pixels} if most_pixels is not None else {})
    )
    options_taken = options_of(source)
    options = {key: value for key, value in form.items() if key in options_taken}
    data = load(source, progress, **options)
    if data.shape != like.shape and "layout" in options_taken and sorted(data.shape) == sorted(like.shape):
        both = [load(source, progress, **options, layout=layout) for layout in ("nchw", "nhwc")]
        data = next((one for one in both if one.shape == like.shape), data)
    if data.shape != like.shape:
        raise not_like(what, data.shape, like.shape)
    return _in_units_of(data, like.units, what)


def _rows_like(source: Any, like: Like, what: str) -> Dataset:
    """A table with the columns of another, by their names, whatever their order; further columns are left out."""
    units, columns, label = like.units, like.units.columns, _label_of(like)
    labels: Any = None
    if is_frame(source):
        parsed = parsed_frame(source, Types(by_name={label: "words"}), columns)
    elif _is_text_table(source):
        parsed = parsed_table(Path(source), columns, [label] if label else [])
    elif (words := _words(source, len(columns))) is not None:
        parsed = {column.name: _read_as(column, cells) for column, cells in zip(columns, words.T, strict=True)}
        labels = read_arrays(Path(source), ["y"]).get("y")
    else:
        plain: dict[str, Any] = {"types": "plain"} if "types" in options_of(source) else {}
        rows = load(source, **plain)
        names = rows.columns or tuple(column.name for column in columns)
        if rows.x.ndim != 2 or rows.x.shape[1] != len(names):
            raise BadInput(
                f"{what} are {shape_words(rows.shape)}, and rows of {len(columns)} columns are needed; give such"
            )
        parsed = {name: Parsed.numbers(rows.x[:, k].numpy()) for k, name in enumerate(names)}
        labels = None if rows.y is None else np.array([*rows.classes, ""])[rows.y.numpy()]
    if label in parsed:
        cells = parsed.pop(label)
        labels = np.array([*cells.words, ""])[np.nan_to_num(cells.values, nan=-1).astype(int)]
    if missing := [column.name for column in columns if column.name not in parsed]:
        raise BadInput(f"{what} need the columns of the data, {shortened(missing[0])} is missing; name it so")
    x = np.stack([placed(column, parsed[column.name]) for column in columns], 1)
    names = tuple(column.name for column in columns)
    further = sorted(set(parsed) - set(names))
    notes = listed("Left out {} that the data do not have: {}.", further, what="column")
    report = (f"Read {len(x):,} rows of {len(columns)} columns.", *notes)
    y, classes = encode_labels(labels) if labels is not None and like.classes else (None, ())
    return Dataset(torch.from_numpy(x), units, y, classes, columns=names, kind="table", report=report)


def _label_of(like: Like) -> str:
    """The column with the class of the rows; empty where they have none."""
    given = like.conditions.names if like.conditions is not None else ()
    return label_column(like.header, [*like.columns, *given]) if like.classes else ""


def _is_text_table(source: Any) -> bool:
    return isinstance(source, str | os.PathLike) and Path(source).suffix.lower() in TEXT_TABLES


def _table_of_samples(source: Any) -> Any:
    """The table in a folder of samples of rows, as `evenodds sample --folder` writes it; else the source itself."""
    if not isinstance(source, str | os.PathLike):
        return source
    table = Path(source) / SAMPLES
    return table if table.is_file() else source


def _words(source: Any, columns: int) -> NDArray[np.str_] | None:
    """(N, D) the cells in an .npz file, where they are spelled, as `evenodds sample --npz` writes them; else None."""
    if not isinstance(source, str | os.PathLike) or Path(source).suffix.lower() != ".npz":
        return None
    x = read_arrays(Path(source), ["x"]).get("x")
    return x if x is not None and x.dtype.kind == "U" and x.shape[1:] == (columns,) else None


def _read_as(column: Column, cells: NDArray[np.str_]) -> Parsed:
    words = WordCells(column.name, as_words=column.form == "words")
    words.add(cells.tolist())
    return words.parsed(column.style.point if column.form == "number" else "")


def _points(path: Path, size: int, what: str) -> Dataset:
    """Rows of numbers in a text file: its columns x0, x1, ..., or all where they have other names."""
    parsed = parsed_table(path)
    names = [f"x{k}" for k in range(size)]
    names = names if set(names) <= set(parsed) else list(parsed)
    if wordy := [name for name in names if parsed[name].form != "number"]:
        raise BadInput(f"{what} are to be numbers, and column {shortened(wordy[0])} holds words or dates; leave it out")
    if len(names) != size:
        raise not_like(what, (len(names),), (size,))
    return from_array(np.stack([parsed[name].values for name in names], 1))


def _in_units_of(data: Dataset, units: Units, what: str) -> Dataset:
    """The data in the units of others of their depth; files of 8 bits have the range of their depth, as all show it.

    Numbers of 64 bits, in which samples of points are written, are of the depth of those of 32.
    """
    if data.units.dtype == "float64" and units.dtype == "float32" and data.items is None:
        return replace(data, x=data.x.to(STORED[units.dtype]), units=units)
    if data.units.dtype != units.dtype or (data.names and units.dtype == "uint8"):
        return data
    low, high = float(data.x.min()), float(data.x.max())
    if units.dtype == "uint8" and not min(units.low) <= low <= high <= max(units.high):
        raise BadInput(
            f"{what} are uint8 in [{low:g}, {high:g}], the data in [{min(units.low):g}, {max(units.high):g}]; "
            "save them in the data's own units"
        )
    return replace(data, units=units)


def options_of(source: Any, layout: str = "images") -> list[str]:
    """The names of the options that a source takes in a layout."""
    function, arguments = _chosen(source, layout)
    fixed = function.keywords if isinstance(function, partial) else {}
    return [name for name in list(inspect.signature(function).parameters)[len(arguments) :] if name not in fixed]


def reader_of(source: Any, layout: str = "images") -> tuple[Source, int]:
    """The function that reads a source in a layout, and how many arguments come before its options."""
    function, arguments = _chosen(source, layout)
    return function, len(arguments)


def _chosen(source: Any, layout: str) -> tuple[Source, tuple[Any, ...]]:
    """The function for this source, and its first argument where it takes one."""
    if isinstance(source, Dataset):
        return _itself, (source,)
    if layout != "images" and layout not in LAYOUTS:
        raise unknown("layout", layout, ["images", *LAYOUTS])
    readers = READERS if layout == "images" else LAYOUTS[layout]
    if layout == "gaps" and is_frame(source):
        return frame_gaps, (source,)
    if layout != "images" and (not isinstance(source, str | os.PathLike) or str(source) in SOURCES):
        what = str(source) if isinstance(source, str | os.PathLike) else "an array"
        if layout == "gaps":
            raise BadInput(f"{what} is no table with empty cells; give a path to one ({', '.join(sorted(readers))})")
        raise BadInput(f"{what} has nothing beside it, as '{layout}' need; give a path ({', '.join(sorted(readers))})")
    if not isinstance(source, str | os.PathLike):
        return _held(source)
    name = str(source).replace("-", "_")
    name = _ALIASES.get(name, name)
    if name in SOURCES:
        return SOURCES[name], ()
    path = Path(source).expanduser()
    ending = _ending(path, readers)
    if ending in _NEVER_OPENED:
        raise BadInput(f"{path.name} is not opened: {ending} files can run code; save arrays as .npz instead")
    if not os.path.exists(path):
        raise BadInput(f"{unknown('data source', str(source), SOURCES)}; and no file or folder of this name exists")
    ending = "/" if path.is_dir() else ending
    if ending == "/" and is_packed(path):
        return partial(packed, layout=layout), (path,)
    if ending != "/" and (reason := refusal(path)):
        raise NotRegular(path, reason)
    if ending not in readers:
        endings = ", ".join(sorted(readers))
        raise BadInput(f"{path.name} needs an ending that can be read ({endings}), got '{ending}'; convert it")
    if readers is READERS and ending == ".parquet" and not image_tables.has_images(path):
        return frames, (path,)
    return readers[ending], (path,)


def _held(source: Any) -> tuple[Source, tuple[Any, ...]]:
    """The function for a source in memory, and its first argument."""
    if is_frame(source):
        return from_frame, (source,)
    if is_torch(source):
        return from_torch, (source,)
    if (parts := parts_of(source)) is not None:
        x = parts.pop("x")
        return partial(from_array, **parts), (x,)
    return from_array, (source,)


def _ending(path: Path, readers: Mapping[str, Source]) -> str:
    """The longest end of a name that can be read, such as ".tar.gz"; else what stands behind its last dot."""
    known = [ending for ending in readers if path.name.lower().endswith(ending)]
    return max(known, key=len, default=path.suffix.lower())


def _itself(source: Dataset) -> Dataset:
    return source


def _name(function: Source) -> str:
    return str((function.func if isinstance(function, partial) else function).__name__)


def _unknown_option(source: str, option: str, options_taken: list[str]) -> BadInput:
    if not options_taken:
        return BadInput(f"the data source '{source}' takes no options, got '{option}'; leave it out")
    return unknown(f"option of the data source '{source}'", option, options_taken)


def _modules() -> list[Any]:
    names = sorted(info.name for info in pkgutil.iter_modules(readers.__path__))
    return [import_module(f"{readers.__name__}.{name}") for name in names]


def _sources(module: Any) -> dict[str, Source]:
    public = {name: getattr(module, name) for name in module.__all__}
    return {
        name: value
        for name, value in public.items()
        if inspect.isfunction(value) and inspect.signature(value).return_annotation in (Dataset, "Dataset")
    }


SOURCES: dict[str, Source] = {
    name: function
    for module in _modules()
    for name, function in _sources(module).items()
    if all(p.default is not p.empty for p in inspect.signature(function).parameters.values())
}
"""The sources that need no file: every public function in a module of `evenodds.data` that can be called bare."""

READERS: dict[str, Source] = {
    ending: getattr(module, module.__name__.rpartition(".")[2])
    for module in _modules()
    if not hasattr(module, "LAYOUTS")
    for ending in getattr(module, "READS", ())
}
"""The readers by the ending of the file name ("/" is a folder): the modules of `evenodds.data` that state `READS`."""

_READS_IMAGES = READERS["/"]

LAYOUTS: dict[str, dict[str, Source]] = {}
"""Likewise for each layout: the modules of `evenodds.data` that state `LAYOUTS`, with options that each fixes."""
for _module in _modules():
    for _layout, _fixed in getattr(_module, "LAYOUTS", {}).items():
        _read = partial(getattr(_module, _module.__name__.rpartition(".")[2]), **_fixed)
        LAYOUTS.setdefault(_layout, {}).update(dict.fromkeys(_module.READS, _read))
