"""The data of a run as its task reads them: at the place that a configuration names, or in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from evenodds.data.dataset import Dataset
from evenodds.data.readers.frames import is_frame
from evenodds.data.sources import load as load_data
from evenodds.data.sources import options_of, reader_of
from evenodds.errors import BadInput
from evenodds.runs.config import AUTO_TASK, Config
from evenodds.runs.find import find
from evenodds.runs.options import require_options
from evenodds.runs.values import ELSEWHERE, IN_MEMORY, Part

__all__ = ["is_held", "layout_for", "layout_of", "open_data", "read_held"]


def open_data(config: Config, reading: Callable[[int, int], None] | None = None) -> Dataset:
    """The data that a configuration names, as its task wants them.

    Args:
        reading: told (files done, files in all) by sources that take long.
    """
    if config.data is None:
        raise BadInput(f"recipe '{config.recipe}' needs data: a folder or archive of images, an .npz or .csv file")
    if config.data.name == IN_MEMORY:
        raise BadInput("this run was fitted to data in memory; name a file of them with --data, in Python `data=` them")
    if config.data.name == ELSEWHERE:
        raise BadInput("the data of this run were not handed on with it; say where you have them with --data PLACE")
    shape = {"size": config.size, "channels": config.channels, "fit": config.fit}
    layout = layout_of(config.task)
    accepted = options_of(config.data.name, layout)  # an array has its own shape, a table none
    reshaping = {key: value for key, value in shape.items() if value is not None and key in accepted}
    if layout != "images" and "layout" in config.data.options:
        raise BadInput(f"recipe '{config.recipe}' reads its data as '{layout}'; leave data.layout out")
    options = {"layout": layout, **reshaping, **config.data.options}
    if isinstance(options.get("memory"), int):
        options["memory"] = str(options["memory"])  # bytes that were written as a number
    reader, passed = reader_of(config.data.name, layout)
    declared = {key: value for key, value in options.items() if key in accepted}  # others are refused by `load_data`
    require_options(f"data '{config.data.name}'", reader, declared, passed)
    dataset = load_data(config.data.name, progress=reading, **options)
    dataset.look_through(reading)
    return dataset


def layout_of(task: Part) -> str:
    """How the data of a task lie in files. A task that is left open is generate or condition: both read images."""
    layout: str = find("tasks", "generate" if task.name == AUTO_TASK else task.name).layout(task.options)
    return layout


def is_held(data: Any) -> bool:
    """Whether these are data themselves, in memory; not the place or the name of some."""
    return not isinstance(data, str | os.PathLike)


def layout_for(source: Any, task: Part) -> str:
    """How a source is read for a task: of what is in memory, a data frame alone may be read in several ways."""
    return layout_of(task) if is_frame(source) or not is_held(source) else "images"


def read_held(config: Config, data: Any) -> Dataset:
    """Data in memory, as the task of a configuration wants them.

    Args:
        config: whose `data` has the options of what reads them, if any.
        data: an array or tensor, a pair or a mapping of such, a data set, or a data frame.

    Raises:
        BadInput: they cannot be read, or an option is unknown.
    """
    layout, options = layout_for(data, config.task), {} if config.data is None else config.data.options
    if is_frame(data) and "layout" in options:
        raise BadInput(f"recipe '{config.recipe}' reads a data frame in one way; leave data.layout out")
    return load_data(data, **{"layout": layout, **options})  # of arrays, an option has this name too
