"""Ends a run after the round in which the user asked for it."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from evenodds.game.trainer import Stage

__all__ = ["Interrupt"]


@dataclass
class Interrupt:
    """Ctrl-C or SIGTERM ends the run after the current round, so that what is saved is whole; twice ends it now."""

    asked: bool = False
    _before: dict[int, Any] = field(default_factory=dict)

    def begin(self, stage: Stage) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def hear(self, stage: Stage) -> None:
        if self.asked:
            stage.stop = True

    def end(self, stage: Stage) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
