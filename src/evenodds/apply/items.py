"""The items that a run is put to work on, and arrays that are written of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.dataset import Dataset
from evenodds.data.sources import load_like
from evenodds.errors import BadInput
from evenodds.files.outputs import owned
from evenodds.runs.allowed import allowing
from evenodds.runs.run_data import open_run_data, same_data
from evenodds.runs.session import Session

__all__ = ["facts_beside", "items", "write_arrays"]


def items(
    session: Session,
    source: Any = None,
    reading: Callable[[int, int], None] | None = None,
    most_pixels: int | None = None,
) -> Dataset:
    """Data in the shape that a run knows.

    Args:
        source: a folder, zip or single file of images, an array, ...; None for the data of the run.
        reading: told (files done, files in all).
        most_pixels: of a picture of the source; larger ones are not decoded. None: 89,478,485.

    Raises:
        BadInput: the data have another shape.
    """
    if source is None and session.config.data is None:
        raise BadInput("an exported file does not say where the data of its run are; name data behind it")
    if source is None:
        with allowing(session.allow):
            return open_run_data(session.config, session.card, None, reading, "name data behind the run")
    return load_like(source, session.card, "the items", reading, most_pixels)


def facts_beside(session: Session, data: Dataset, source: Any) -> dict[str, NDArray[Any]]:
    beside: dict[str, NDArray[Any]] = {}
    if data.y is not None:
        beside["y"] = np.asarray([*data.classes, ""])[data.y.numpy()]
    if data.names:
        beside["names"] = np.asarray(data.names)
    if source is None or same_data(session.card, data):
        beside["held_out"] = np.isin(np.arange(len(data)), session.card.held_out)
    return beside


def write_arrays(path: Path, command: str, arrays: dict[str, NDArray[Any]]) -> None:
    with owned(path, command) as temporary, temporary.open("wb") as file:  # of a path, numpy changes the name
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
