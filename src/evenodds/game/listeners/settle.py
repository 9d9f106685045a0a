"""Players that leave something open at first settle it at a share of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from evenodds.game.listeners.context import Order, RunContext
from evenodds.game.trainer import Training

__all__ = ["Settle"]


@dataclass
class Settle:
    """Lets players settle what they have left open, once a share of the run is over.

    Args:
        players: by name. Each has `settles_at`, a share of the run; `settled`, a buffer that says whether it was done,
            so that a checkpoint knows; and `settle()`, which does it and gives what was settled, its value, and a
            sentence about it.
        say: gets that.
        note: gets what was settled, its value, the sentence, and the images of the run so far.
    """

    players: Mapping[str, Any]
    say: Callable[[str], None] = lambda line: None
    note: Callable[[str, Any, str, int], None] = lambda setting, value, reason, images: None
    open: dict[str, Any] = field(init=False, default_factory=dict)
    """Players that have something to settle still."""
    order: ClassVar[Order] = Order.CONTROL

    @classmethod
    def for_run(cls, run: RunContext) -> Self | None:
        """On where a player has something to settle."""
        players = {name: player for name, player in run.game.players.items() if hasattr(player, "settle")}
        return cls(players, run.say, run.note) if players else None

    def begin(self, training: Training) -> None:
        """What was settled before a resume is not settled again."""
        self.open = {name: player for name, player in self.players.items() if not player.settled}

    def after_round(self, training: Training) -> None:
        for name, player in list(self.open.items()):
            if training.progress.share >= player.settles_at:
                images, (what, value, reason) = training.progress.images, player.settle()
                self.say(f"at {images:,} {training.noun}: {reason}")
                self.note(f"{name}.{what}", value, reason, images)
                del self.open[name]

    def end(self, training: Training) -> None:
        """Nothing to close."""
