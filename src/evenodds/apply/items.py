"""The items that a run is put to work on, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.dataset import Dataset
from evenodds.data.sources import load_like, options_of
from evenodds.errors import BadInput
from evenodds.runs.allowed import allowing
from evenodds.runs.run_data import open_run_data, same_data
from evenodds.runs.session import Session

__all__ = ["AT_ONCE", "BATCH", "facts_beside", "items"]

AT_ONCE = 2048
"""Items that are in memory at a time as a network sees them."""
BATCH = 256
"""Of them, those that a network sees at a time."""


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
        BadInput: the data have another shape, or are no files of pictures of which `most_pixels` would be a limit.
    """
    if most_pixels is not None and (source is None or "most_pixels" not in options_of(source)):
        whose = (
            "the data of the run, which are read as they were for it" if source is None else f"{source}, which has none"
        )
        raise BadInput(f"--most-pixels is of files of pictures that are named, and not of {whose}; leave it out")
    if source is None and session.config.data is None:
        raise BadInput("an exported file does not say where the data of its run are; name data behind it")
    if source is None:
        with allowing(session.allow):
            return open_run_data(session.config, session.card, None, reading, "name data behind the run")
    return load_like(source, session.card, "the items", reading, most_pixels)


def facts_beside(session: Session, data: Dataset, source: Any) -> dict[str, NDArray[Any]]:
    """Arrays of what is known of each item: y, names, and of the run's own data which items were held out.

    An exported file does not know which these are.
    """
    beside: dict[str, NDArray[Any]] = {}
    if data.y is not None:
        beside["y"] = np.asarray([*data.classes, ""])[data.y.numpy()]
    if data.names:
        beside["names"] = np.asarray(data.names)
    if session.config.data is not None and (source is None or same_data(session.card, data)):
        beside["held_out"] = np.isin(np.arange(len(data)), session.card.held_out)
    return beside
