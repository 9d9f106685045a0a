"""An exported file's inputs and outputs in [-1, 1], whatever they are in the file. torch is not imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.scale import Scale
from evenodds.errors import BadInput
from evenodds.export.entry import Entry
from evenodds.export.runtime import Runtime

__all__ = ["Computing"]

_EXACT = 1e-3
"""What bytes differ by, in [-1, 1], from the numbers that they stand for: a level is 2 / 255 at least."""


@dataclass(frozen=True)
class Computing:
    """A file that computes.

    Args:
        inputs, outputs: of the file.
        units: of the data, for what comes out as bytes.
        of_source: of what goes in as bytes.
    """

    runtime: Runtime
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    units: Scale
    of_source: Scale

    def __post_init__(self) -> None:
        names = [one.name for one in self.inputs]
        expected = [one.name for one in self.runtime.session.get_inputs()]
        if sorted(names) != sorted(expected):
            raise BadInput(f"the model takes {', '.join(expected)[:80]}, and its metadata say otherwise; export again")

    def __call__(self, **entries: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs, images in [-1, 1], for inputs by name, likewise."""
        outputs = self.runtime.compute({name: self._input(name, value) for name, value in entries.items()})
        bytes_ = [one.dtype == "uint8" and one.name != "labels" for one in self.outputs]
        return [
            self.units.to_model(value) if is_image else value for value, is_image in zip(outputs, bytes_, strict=False)
        ]

    def _input(self, name: str, value: NDArray[Any]) -> NDArray[Any]:
        entry = next(one for one in self.inputs if one.name == name)
        if entry.dtype != "uint8":
            return np.ascontiguousarray(value, entry.dtype)
        if name == "mask":
            return (value > 0).astype(np.uint8)
        content = self.of_source.to_data(value)
        if np.abs(self.of_source.to_model(content) - value).max() > _EXACT:  # as of 16 bits, or of the luma of colours
            raise BadInput(
                "this model takes images of 8 bits of its own kind, and this one has finer steps; export the run "
                "without --uint8"
            )
        return content
