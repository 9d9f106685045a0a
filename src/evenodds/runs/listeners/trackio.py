"""A run logged by Trackio: in its local store, or where its own settings say."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evenodds.runs.listeners._logging import Facts, Logging, Position, Store, new_id

__all__ = ["Trackio"]

PROJECT = "evenodds"


class _Runs:
    """Runs of Trackio. What it prints is kept from standard output, which is for results."""

    def begin(self, facts: Facts, position: Position) -> Position:
        import trackio

        name = position.id or f"{facts.name}-{new_id()[:6]}"
        with redirect_stdout(StringIO()):
            self._run: Any = trackio.init(
                PROJECT,
                name=name,
                group=facts.group,
                config=dict(facts.settings),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        return replace(position, id=name)

    def figures(self, images: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=images)

    def note(self, images: int, name: str, text: str) -> None:
        self._run.log({name: text}, step=images)

    def picture(self, images: int, pixels: NDArray[np.uint8]) -> None:
        import trackio

        self._run.log({"samples": trackio.Image(pixels)}, step=images)

    def end(self, finished: bool) -> None:
        with redirect_stdout(StringIO()):
            self._run.finish()


@dataclass
class Trackio(Logging):
    """`log=trackio`: look with `trackio show`."""

    name: ClassVar[str] = "trackio"

    @classmethod
    def make_store(cls) -> Store:
        return _Runs()
