"""Ends a run after the round in which the user asked for it."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, ClassVar, Self

from evenodds.game.listeners.context import Order, RunContext
from evenodds.game.trainer import Training

__all__ = ["Interrupt", "signals"]


@dataclass
class Interrupt:
    """Ctrl-C, SIGTERM or SIGHUP ends the run after the current round, so that what is saved is whole.

    A second Ctrl-C ends it now. SIGHUP comes when the terminal is closed, often twice; under nohup it stays ignored.
    """

    requested: int = 0
    """The signal that asked for the end; 0 for none."""
    _handlers: dict[int, Any] = field(default_factory=dict)
    order: ClassVar[Order] = Order.INTERRUPT

    @classmethod
    def for_run(cls, run: RunContext) -> Self | None:
        """On where an interrupted run can be kept, by this process or by another one."""
        return cls() if run.recorded else None

    def begin(self, training: Training) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in signals():
                self._handlers[number] = signal.signal(number, self._request)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = self.requested or number

    def after_round(self, training: Training) -> None:
        if self.requested:
            training.stop = True

    @property
    def ends_process(self) -> int:
        """The signal that asked, if it would have ended the process by itself, as in a script that calls `fit`."""
        return self.requested if self._handlers.get(self.requested) == signal.SIG_DFL else 0

    def end(self, training: Training) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)


def signals() -> list[int]:
    """The signals that ask for an orderly end here: not SIGHUP where it is ignored, as under nohup."""
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    heard = [] if hang_up is None or signal.getsignal(hang_up) == signal.SIG_IGN else [hang_up]
    return [signal.SIGINT, signal.SIGTERM, *heard]
