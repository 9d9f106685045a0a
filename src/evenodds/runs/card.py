"""The data card: what a run knows of its data without the data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.data.dataset import Beside, Conditions, Units
from evenodds.data.palette import Palette
from evenodds.errors import BadInput, unknown
from evenodds.game.arithmetic import eight_bit

__all__ = ["SPLIT_SEED", "BesideCard", "DataCard", "read_card"]

SPLIT_SEED = 0
"""Of the split into training and held-out items: a function of the data alone, so that runs of every seed are judged
by the same items."""


@dataclass(frozen=True)
class BesideCard:
    """The part of a data card on what lay beside each item; see evenodds.data.dataset.Beside."""

    shape: tuple[int, ...]
    units: Units | None = None
    palette: Palette | None = None

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

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> BesideCard:
        """Reads what to_json wrote."""
        units, palette = values.get("units"), values.get("palette")
        return BesideCard(
            tuple(values["shape"]), units and Units.from_json(units), palette and Palette.from_json(palette)
        )


@dataclass(frozen=True)
class DataCard:
    """What a run knows of its data without the data: enough to make samples in the data's own units."""

    kind: str
    """image, table or toy."""
    shape: tuple[int, ...]
    units: Units
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    conditions: Conditions | None = None
    """Attributes or values of each item, beside its class."""
    beside: Mapping[str, BesideCard] = field(default_factory=dict)
    """What lay beside each item, by name."""
    more: Mapping[str, Any] | None = None
    """Counts, fingerprint, held-out positions and the report of the intake."""

    @property
    def class_counts(self) -> list[int]:
        """Training items of each class; 1 each where the run has not counted them."""
        return (self.more or {}).get("class_counts") or [1] * len(self.classes)

    @property
    def condition_examples(self) -> list[list[float]]:
        """Attributes or values of at most 1,000 training items, in their own units."""
        return list((self.more or {})["examples"])

    @property
    def held_out(self) -> list[int]:
        """Positions of the items that were not trained on."""
        return list((self.more or {}).get("held_out", []))

    def class_number(self, name: str) -> int:
        """The number of a class; BadInput with the list where there is none of that name."""
        if name not in self.classes:
            raise unknown("class", name, self.classes)
        return self.classes.index(name)

    def to_model(self, x: NDArray[Any]) -> Tensor:
        """(N, ...) in the data's own units -> float32 in [-1, 1]."""
        return self.units.to_model(torch.as_tensor(x.astype(np.int32) if x.dtype == np.uint16 else x))

    def eight_bit(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        """Images in the data's own units as 8 bit, for showing."""
        return np.asarray(eight_bit(self.to_model(x)))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        names: dict[str, Any] = {"classes": list(self.classes), "columns": list(self.columns)}
        if self.conditions is not None:
            names["conditions"] = self.conditions.to_json()
        if self.beside:
            names["beside"] = {name: one.to_json() for name, one in self.beside.items()}
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            "units": self.units.to_json(),
            **names,
            **(self.more or {}),
        }

    @staticmethod
    def from_json(values: dict[str, Any]) -> DataCard:
        """Reads what to_json wrote."""
        v = dict(values)
        kind, shape, units = v.pop("kind"), tuple(v.pop("shape")), Units.from_json(v.pop("units"))
        classes, columns, named = tuple(v.pop("classes")), tuple(v.pop("columns")), v.pop("conditions", None)
        conditions = None if named is None else Conditions.from_json(named)
        beside = {name: BesideCard.from_json(one) for name, one in v.pop("beside", {}).items()}
        return DataCard(kind, shape, units, classes, columns, conditions, beside, v)


def read_card(folder: Path) -> DataCard:
    """What a run's folder says of its data."""
    try:
        return DataCard.from_json(json.loads((folder / "data.json").read_text()))
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{folder / 'data.json'} cannot be read: {error}") from error
