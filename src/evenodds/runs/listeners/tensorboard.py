"""A run logged for TensorBoard: event files in the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evenodds.runs.listeners._logging import Facts, Logging, Position, Store

__all__ = ["TensorBoard"]

BAND = {"held out": {"score": ["Margin", ["score", "score_low", "score_high"]]}}
"""The score is drawn with its interval, on the page Custom Scalars."""


class _Events:
    """Event files of torch.utils.tensorboard."""

    def begin(self, facts: Facts, position: Position) -> Position:
        from torch.utils.tensorboard import SummaryWriter

        fresh = position.images < 0
        folder = facts.folder if not position.remedies else facts.folder / f"remedy-{position.remedies}"
        # What lies behind the checkpoint from which a run goes on is hidden: it is logged again.
        self._writer: Any = SummaryWriter(str(folder), purge_step=None if fresh else position.images + 1)
        if fresh:
            rows = [f"| {name} | {value} |" for name, value in facts.settings.items()]
            self._writer.add_text("settings", "\n".join(["| setting | value |", "| --- | --- |", *rows]), 0)
            self._writer.add_custom_scalars(BAND)
        return replace(position, id="events")

    def figures(self, images: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, images)
        self._writer.flush()

    def note(self, images: int, name: str, text: str) -> None:
        self._writer.add_text(name, f"    {text}", images)
        self._writer.flush()

    def picture(self, images: int, pixels: NDArray[np.uint8]) -> None:
        self._writer.add_image("samples", pixels, images, dataformats="HWC")
        self._writer.flush()

    def end(self, finished: bool) -> None:
        self._writer.close()


@dataclass
class TensorBoard(Logging):
    """`log=tensorboard`: look with `tensorboard --logdir runs`."""

    name: ClassVar[str] = "tensorboard"
    forgets: ClassVar[bool] = True

    @classmethod
    def make_store(cls) -> Store:
        return _Events()
