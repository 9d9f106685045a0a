"""The data card: what a run knows of its data without the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.data.conditions import Conditions
from evenodds.data.dataset import Beside
from evenodds.data.palette import Palette
from evenodds.data.tables.rows import Block, cells_of, texts_of
from evenodds.data.units import Units
from evenodds.data.wording import items_of
from evenodds.errors import BadInput, unknown
from evenodds.files.misfit import shortened
from evenodds.files.read import read_json
from evenodds.files.text import number_text
from evenodds.game.arithmetic import eight_bit

__all__ = ["SPLIT_SEED", "BesideCard", "DataCard", "read_card"]

SPLIT_SEED = 0
"""Of the split into training and held-out items: a function of the data alone, so that runs of every seed are judged
by the same items."""
KINDS = ("image", "table", "toy")
MOST_ITEMS = 10**15
"""Of a class."""
MOST_NUMBERS = 2**24
"""Numbers of an item."""


@dataclass(frozen=True)
class BesideCard:
    """The part of a data card on what lay beside each item; see evenodds.data.dataset.Beside."""

    shape: tuple[int, ...]
    units: Units | None = None
    palette: Palette | None = None

    def __post_init__(self) -> None:
        _require_shape("shape", self.shape, len(self.shape) if 2 <= len(self.shape) <= 3 else 3)

    @staticmethod
    def of(beside: Mapping[str, Beside], classes: int) -> dict[str, BesideCard]:
        """One card for each; labels without values in files are their own values."""
        plain = Palette.plain(classes) if classes else None
        palettes = {name: one.palette or plain if one.units is None else None for name, one in beside.items()}
        return {name: BesideCard(one.shape, one.units, palettes[name]) for name, one in beside.items()}

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        parts = {"units": self.units, "palette": self.palette}
        return {"shape": list(self.shape), **{key: part.to_json() for key, part in parts.items() if part is not None}}


@dataclass(frozen=True)
class DataCard:
    """What a run knows of its data without the data: enough to make samples in the data's own units."""

    kind: str
    """image, table or toy."""
    shape: tuple[int, ...]
    units: Units
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    """The columns of a table in the order of its file, see `Dataset.header`."""
    delimiter: str = ","
    """Between the cells of the table's file."""
    conditions: Conditions | None = None
    """Attributes or values of each item, beside its class."""
    beside: Mapping[str, BesideCard] = field(default_factory=dict)
    """What lay beside each item, by name."""
    fingerprint: str | None = None
    """Of the data, see `Dataset.fingerprint`."""
    blocks: tuple[str, ...] = ()
    """Digests of blocks of the items, see `block_sums`."""
    place: str | None = None
    """Where the data were, see `data_place`."""
    items: int = 0
    trained_on: int = 0
    """How many of the items are trained on."""
    held_out: tuple[int, ...] = ()
    """Positions of the items that are not trained on."""
    class_counts: tuple[int, ...] = ()
    """Training items of each class; empty where they were not counted."""
    report: tuple[str, ...] = ()
    """What was found and changed while the data were read."""
    examples: tuple[tuple[float, ...], ...] | None = None
    """Attributes or values of at most 1,000 training items, in their own units; None where there are none."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown("kind of data", shortened(self.kind), KINDS)
        _require_shape("shape", self.shape, 3 if self.kind == "image" else 1)
        found = self.units.columns
        if found and (self.kind != "table" or self.shape != self.units.seen(self.shape)):
            raise BadInput(f"shape must be {list(self.units.seen(self.shape))} of a table, as the columns are")
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise BadInput(f"delimiter must be a sign that can stand between cells, got {shortened(self.delimiter)}")
        if found and self.columns and self.columns != tuple(column.name for column in found):
            raise BadInput("columns must be those of the units")
        if not self.units.columns and len(self.units.low) not in (1, self.shape[0]):
            raise BadInput(f"units must have 1 or {self.shape[0]} ranges, got {len(self.units.low)}")
        counts = self.class_counts
        if counts and (len(counts) != len(self.classes) or not 0 <= min(counts) <= max(counts) <= MOST_ITEMS):
            needed = f"a number from 0 to {MOST_ITEMS:,} for each of {len(self.classes)} classes"
            raise BadInput(f"class_counts must be {needed}")
        width = len(self.conditions.names) if self.conditions is not None else 0
        if any(len(row) != width for row in self.examples or ()):
            raise BadInput(f"examples must have {width} numbers each, one for each condition")

    @property
    def noun(self) -> str:
        """What items are called, in the plural."""
        return items_of(self.kind)

    @property
    def pictured(self) -> int:
        """How many samples a picture shows: 64 images; of points and rows, whose density is drawn, 10,000."""
        return 64 if self.kind == "image" else 10_000

    @property
    def row_blocks(self) -> tuple[Block, ...]:
        """The amounts and choices that make up a row of a table with columns; empty of other data."""
        return self.units.blocks

    @property
    def has_gaps(self) -> bool:
        """Whether items are rows of a table whose empty cells are to be filled."""
        return bool(self.units.knots)

    @property
    def class_shares(self) -> list[int]:
        """What classes are drawn in the shares of: training items of each; 1 each where these are not known."""
        return list(self.class_counts) if any(self.class_counts) else [1] * len(self.classes)

    @property
    def can_be_judged(self) -> bool:
        """Whether a generator can be judged by what was held out; True where it is not known how much that is."""
        others = self.items - len(self.held_out)
        return not self.items or (len(self.held_out) >= LEAST_HELD_OUT and others >= LEAST_OTHERS)

    def class_number(self, name: str) -> int:
        """The number of a class; BadInput with the list where there is none of that name."""
        if name not in self.classes:
            raise unknown("class", name, self.classes)
        return self.classes.index(name)

    def to_model(self, x: NDArray[Any]) -> Tensor:
        """(N, ...) in the data's own units -> float32 in [-1, 1]."""
        return self.units.to_model(torch.as_tensor(x.astype(np.int32) if x.dtype == np.uint16 else x))

    def cells(self, x: NDArray[Any]) -> NDArray[Any]:
        """(N, ...) in own units as users want it: cells of a table with words, dates or times; all else as it is."""
        return cells_of(self.units.columns, x) if self.units.columns else x

    def texts(self, x: NDArray[Any]) -> list[list[str]]:
        """The rows (N, D) of a table as its file spells them."""
        if self.units.columns:
            return texts_of(self.units.columns, x)
        return [[number_text(value) for value in row] for row in x]

    def eight_bit(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        """Images in the data's own units as 8 bit, for showing."""
        return np.asarray(eight_bit(self.to_model(x)))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values: dict[str, Any] = {
            "kind": self.kind,
            "shape": list(self.shape),
            "units": self.units.to_json(),
            "classes": list(self.classes),
            "columns": list(self.columns),
        }
        if self.header:
            values["header"] = list(self.header)
        if self.delimiter != ",":
            values["delimiter"] = self.delimiter
        if self.conditions is not None:
            values["conditions"] = self.conditions.to_json()
        if self.beside:
            values["beside"] = {name: one.to_json() for name, one in self.beside.items()}
        counted = {name: getattr(self, name) for name in COUNTED}
        return {
            **values,
            **{name: list(v) if isinstance(v, tuple) else v for name, v in counted.items() if v is not None},
        }


LEAST_HELD_OUT, LEAST_OTHERS = 2, 4
"""Items of which so many at least are held out, and not held out, where a generator is judged by them."""
COUNTED = ("fingerprint", "blocks", "place", "items", "trained_on", "held_out", "class_counts", "report", "examples")
"""What takes time to find out, in the order in which it is written."""


def _require_shape(name: str, shape: Sequence[int], length: int) -> None:
    """BadInput where a shape has another length, a side below 1, or more numbers than memory is asked for."""
    if len(shape) != length or min(shape) < 1 or math.prod(shape) > MOST_NUMBERS:
        needed = f"{length} {'number' if length == 1 else 'numbers'} from 1 to {MOST_NUMBERS:,} in all"
        raise BadInput(f"{name} must be {needed}, got {shortened(list(shape))}")


def read_card(folder: Path) -> DataCard:
    """What a run's folder says of its data.

    Raises:
        BadInput: data.json cannot be read; the message names the place in it.
    """
    return read_json(folder / "data.json", DataCard, "without it no sample can be made: restore it, or train again")
