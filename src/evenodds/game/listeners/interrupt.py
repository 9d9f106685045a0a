"""Ends a run after the round in which the user asked for it."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, ClassVar, Self

from evenodds.game.listeners.context import Order, RunContext
from evenodds.game.trainer import Training

__all__ = ["Interrupt"]


@dataclass
class Interrupt:
    """Ctrl-C or SIGTERM ends the run after the current round, so that what is saved is whole; twice ends it now."""

    requested: bool = False
    _handlers: dict[int, Any] = field(default_factory=dict)
    order: ClassVar[Order] = Order.INTERRUPT

    @classmethod
    def for_run(cls, run: RunContext) -> Self | None:
        """On where there is a folder in which an interrupted run can be kept."""
        return cls() if run.folder is not None else None

    def begin(self, training: Training) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._request)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def after_round(self, training: Training) -> None:
        if self.requested:
            training.stop = True

    def end(self, training: Training) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
