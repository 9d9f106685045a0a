"""Ends a run whose folder another process has taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from evenodds.errors import BadInput
from evenodds.files.lock import Lock, lock_on
from evenodds.game.listeners.context import Order, RunContext
from evenodds.game.trainer import Training

__all__ = ["LostLock"]


@dataclass
class LostLock:
    """Ends the run, unsaved, where this process was not heard from for so long that another has taken its folder."""

    lock: Lock
    order: ClassVar[Order] = Order.INTERRUPT

    @classmethod
    def for_run(cls, run: RunContext) -> Self | None:
        """On where this process holds the folder of the run."""
        lock = lock_on(run.folder) if run.folder is not None else None
        return cls(lock) if lock is not None else None

    def begin(self, training: Training) -> None:
        """The folder was taken just now."""

    def after_round(self, training: Training) -> None:
        if self.lock.lost:
            raise BadInput(
                f"another process has taken {self.lock.path.parent} while this one was not heard from; "
                "what it writes now is left alone"
            )

    def end(self, training: Training) -> None:
        """Nothing to close."""
