"""What an exported file says of itself, read without torch: as far as it is put to work, or shown, by numpy alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.palette import Palette
from evenodds.data.scale import Numbers, Scale
from evenodds.data.tables.columns import Knots
from evenodds.data.tables.rows import Column
from evenodds.data.wording import items_of
from evenodds.errors import unknown
from evenodds.export.entry import ADVICE, Entry, content_of
from evenodds.export.inside import read_model
from evenodds.files.read import as_type
from evenodds.files.text import number_text

__all__ = ["LICENCE", "FileCard", "FileUnits", "Words", "part_of", "read_file", "way_of"]

LICENCE = "not stated: ask those who trained it, and mind the licence of the data"


@dataclass(frozen=True)
class FileUnits(Scale):
    """Of the data, see evenodds.data.units.Units."""

    whole: tuple[bool, ...] = ()
    columns: tuple[Column, ...] = ()
    knots: tuple[Knots, ...] = ()

    def to_data(self, x: Numbers) -> NDArray[Any]:
        """(N, ...) in [-1, 1] -> own units; whole numbers are rounded and clipped."""
        values = super().to_data(x)
        if not self.whole:
            return values
        _, _, low, high = self.line(x.ndim)
        return np.clip(np.where(np.array(self.whole), values.round(), values), low, high)


@dataclass(frozen=True)
class Beside:
    """Of what lay beside the data's items."""

    units: FileUnits | None = None
    palette: Palette | None = None


@dataclass(frozen=True)
class Conditions:
    """Attributes or values that samples are asked for by."""

    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileCard:
    """What is known of the data; see evenodds.runs.card.DataCard."""

    kind: str
    shape: tuple[int, ...]
    units: FileUnits
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    delimiter: str = ","
    conditions: Conditions | None = None
    beside: Mapping[str, Beside] = field(default_factory=dict)
    fingerprint: str | None = None
    items: int = 0
    trained_on: int = 0
    class_counts: tuple[int, ...] = ()

    @property
    def noun(self) -> str:
        """What items are called, in the plural."""
        return items_of(self.kind)

    def class_number(self, name: str) -> int:
        """The number of a class; BadInput with the list where there is none of that name."""
        if name not in self.classes:
            raise unknown("class", name, self.classes)
        return self.classes.index(name)

    def cells(self, x: NDArray[Any]) -> NDArray[Any]:
        """Rows as they are: without words."""
        return x

    def texts(self, x: NDArray[Any]) -> list[list[str]]:
        """Rows as text."""
        return [[number_text(value) for value in row] for row in x]

    def eight_bit(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        """Images in own units as 8 bit."""
        levels: NDArray[Any] = ((self.units.to_model(x) + 1) * np.float32(127.5)).round()
        return np.asarray(np.clip(levels, 0, 255).astype(np.uint8))


@dataclass(frozen=True)
class Words:
    """What a file says of itself; see evenodds.export.about.About."""

    answers: str
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    card: FileCard
    config: Mapping[str, Any]
    version: str = ""
    run: str = ""
    images: int = 0
    multiple: int = 1
    margin: int | None = None
    numbers_per_pixel: float = 0.0
    licence: str = LICENCE
    settings: Mapping[str, str] | None = None
    back: bool = False
    kept_rows: int = 0


def part_of(config: Mapping[str, Any], key: str) -> tuple[str, Mapping[str, Any]]:
    """The name of a part in plain settings, and its options; "none" and no options where there is none."""
    value = config.get(key)
    if isinstance(value, Mapping):
        return str(value.get("name", "none")), {name: one for name, one in value.items() if name != "name"}
    return "none" if value is None else str(value), {}


def way_of(content: bytes) -> str:
    """The name of the way in which a file answers: twelve digits of its content's digest."""
    return hashlib.sha256(content).hexdigest()[:12]


def read_file(path: Path) -> tuple[Words, bytes]:
    """What a file says of itself, and its bytes.

    Raises:
        BadInput: it is no file that `evenodds export` wrote, or is damaged.
    """
    texts, content = read_model(path)
    return as_type(content_of(texts, str(path)), Words, str(path), ADVICE), content
