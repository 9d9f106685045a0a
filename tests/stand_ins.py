"""Data of the kind that a recipe is for, the recipe as a run of it is built, and a network for the published one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evenodds.data.dataset import Beside, Dataset
from evenodds.data.readers.arrays import from_array
from evenodds.data.tables.columns import Columns
from evenodds.data.tables.rows import fitted
from evenodds.data.units import Units
from evenodds.pretrained import frozen
from evenodds.pretrained.efficientnet_lite import EfficientNetLite
from evenodds.runs.config import Config
from evenodds.runs.planning import settle, settle_task
from evenodds.runs.reading import layout_of, open_data


def data_for(config: Config, images: int) -> Dataset:
    """The data that a configuration names; else so many random images, or a table of 40 rows, with what lies beside."""
    layout, rng = layout_of(config.task), np.random.default_rng(0)
    if config.data is not None:
        dataset = open_data(config)
    elif layout == "gaps":
        dataset = rows_with_gaps(rng.normal(size=(40, 5)))
    elif config.size is not None or layout != "images":
        shape = (images, config.channels or 3, config.size or 36, config.size or 44)
        dataset = from_array(rng.integers(0, 256, shape, dtype=np.uint8))
    else:
        dataset = from_array(rng.normal(size=(40, 5)))
    if layout in ("pairs", "unpaired"):
        dataset = replace(dataset, beside={"source": Beside(dataset.x.flip(0), dataset.units)})
    if layout == "maps":
        labels = Beside((dataset.x[:, 0] % 3).contiguous())
        dataset = replace(dataset, beside={"labels": labels}, classes=("a", "b", "c"))
    if config.task.name == "classify":
        dataset = replace(dataset, y=torch.arange(len(dataset)) % 2, classes=("a", "b"))
    return dataset


def rows_with_gaps(x: NDArray[np.float64], share: float = 0.2) -> Dataset:
    """Rows (N, D) with such a share of empty cells to fill."""
    x = np.where(np.random.default_rng(1).random(x.shape) < share, np.nan, x)
    columns = tuple(fitted(f"column {k}", one, few=20) for k, one in enumerate(x.T, 1))
    low, high = zip(*(column.ends for column in columns), strict=True)
    units = Units(low, high, "float64", columns=columns, knots=Columns.of(x).lines)
    return Dataset(torch.from_numpy(x), units, columns=tuple(column.name for column in columns), kind="table")


def settled(config: Config, dataset: Dataset) -> Config:
    """The configuration with what it leaves to the data, as a run has it."""
    return settle(settle_task(config, dataset)[0], dataset, None)[0]


@contextmanager
def frozen_features(monkeypatch: pytest.MonkeyPatch, asking: ModuleType) -> Iterator[EfficientNetLite]:
    """A network with random weights in place of the published one, for a module that asks whether that is here."""
    torch.manual_seed(0)
    network = EfficientNetLite().eval().requires_grad_(False)
    monkeypatch.setattr(asking, "is_here", lambda: True)
    monkeypatch.setattr(frozen, "published", lambda: network)
    frozen._frozen.cache_clear()
    yield network
    frozen._frozen.cache_clear()
