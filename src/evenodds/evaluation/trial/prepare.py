"""A trial is prepared: its data, and where its synthetic images come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenodds.data.dataset import Dataset
from evenodds.data.sources import load as load_data
from evenodds.data.sources import options_of
from evenodds.errors import BadInput
from evenodds.evaluation.trial.folds import Splitter, labels
from evenodds.evaluation.trial.generators import ConditionalRun, FinishedRun
from evenodds.evaluation.trial.inputs import Maker
from evenodds.game.trainer import Listener
from evenodds.runs.run_data import open_run_data
from evenodds.runs.session import load

__all__ = ["Prepared", "from_data", "from_run"]

Reading = Callable[[int, int], None]
"""Told (files done, files in all) while data are read."""


@dataclass(frozen=True)
class Prepared:
    """What a trial is played with.

    Args:
        data: labelled images.
        maker: of generators.
        splitter: of the folds; None for disjoint test parts.
    """

    data: Dataset
    maker: Maker
    splitter: Splitter | None = None


def from_data(
    source: str | None,
    recipe: str | None,
    settings: Mapping[str, Any],
    size: int | None,
    listeners: Callable[[], list[Listener]],
    reading: Reading | None = None,
    label: str | None = None,
) -> Prepared:
    """A trial that trains a generator on each training fold.

    Args:
        source: class folders, a zip of them, an .npz with x and y, or a table.
        recipe: of the generators; None for that of the images' size.
        settings: of the generators, by key.
        size: side in pixels to which images of folders are brought.
        listeners: makes further ones for each generator's training.
        label: of a table, the column that names the class.
    """
    if source is None:
        raise BadInput("a trial needs --data: class folders, a zip of them, an .npz with x and y, or a table")
    if "images" in settings:
        raise BadInput("the images of each generator follow from --budget; leave images out of --set")
    takes = options_of(source)
    if label is not None and "label" not in takes:
        raise BadInput(f"--label names a column of a table, and {source} is none; leave it out")
    if size is not None and "size" not in takes:
        raise BadInput(f"--size is of images of folders and archives, and {source} is no such; leave it out")
    options: dict[str, Any] = {} if size is None else {"size": size}
    options |= {} if label is None else {"label": label}
    data = load_data(source, reading, **options)
    if data.kind == "table" and data.y is None:
        raise BadInput("a trial of a table needs the column that names the class; add --label COLUMN")
    if data.kind == "image":
        labels(data)  # refused before all of them are read
    data = data.in_memory("the items of a trial")
    return Prepared(data, ConditionalRun(recipe, settings, listeners))


def from_run(
    run: Path, source: str | None, seeds: int, checkpoint: str, device: str, reading: Reading | None = None
) -> Prepared:
    """A trial of the items that a finished run makes, which tests on what that run held out.

    Args:
        source: the data of the run; None for those that its configuration names.
        seeds: how many parts the held-out items are split into.
    """
    session = load(run, checkpoint, device)
    data = open_run_data(session.config, session.card, source, reading).in_memory("the items of a trial")
    maker = FinishedRun(session)
    return Prepared(data, maker, maker.splitter(data, seeds))
