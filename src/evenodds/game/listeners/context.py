"""A run as its listeners see it, when each of them decides whether it takes part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from math import ceil
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from evenodds.game.checkpoint import Stateful
from evenodds.game.learners import Gradient
from evenodds.game.rules import Game, Progress
from evenodds.game.trainer import Listener, Training
from evenodds.game.watch.history import Cells

__all__ = ["Order", "RunContext", "generator_begins", "interval"]


class Order(IntEnum):
    """When a listener is called: each sees what those before it left."""

    AVERAGE = 0
    """Copies of players."""
    INTERRUPT = 10
    """Requests to end the run."""
    CONTROL = 20
    """What changes the game: views, curricula."""
    LOG = 30
    """The history."""
    EVALUATE = 40
    """Held-out figures."""
    WATCH = 50
    """The verdict on them."""
    SAVE = 60
    """Checkpoints."""
    REPORT = 70
    """What others are told of all that."""


class RunContext(Protocol):
    """What a listener may ask in `for_run`.

    A class of evenodds.game.listeners or evenodds.runs.listeners with `order` and a class method
    `for_run(run) -> Self | None` takes part in every run for which `for_run` gives one. Its name in checkpoints, where
    it has a state, is that of the class in lower case.
    """

    @property
    def config(self) -> Any:
        """Settings by name; see evenodds.runs.config.Config."""
        ...

    @property
    def folder(self) -> Path | None:
        """Where the run is written; None of a run that leaves no files."""
        ...

    @property
    def recorded(self) -> bool:
        """Whether the run is written down, by this process or by the one that it follows."""
        ...

    @property
    def game(self) -> Game:
        """The game."""
        ...

    @property
    def learner(self) -> Gradient:
        """What improves its players."""
        ...

    @property
    def listeners(self) -> Mapping[str, Listener]:
        """Those that take part, of an earlier order, by name."""
        ...

    @property
    def parts(self) -> Mapping[str, Stateful]:
        """What a checkpoint holds."""
        ...

    @property
    def header(self) -> Mapping[str, Any]:
        """JSON values that a checkpoint holds beside its parts."""
        ...

    @property
    def stages(self) -> tuple[float, ...]:
        """The shares of the run, beside 0, at which the moves of its rounds change."""
        ...

    @property
    def averaged(self) -> tuple[str, ...]:
        """The players of which a moving average is kept."""
        ...

    @property
    def relative(self) -> bool:
        """Whether the loss compares logits of real and fake items, so that they are fixed up to a shift only."""
        ...

    @property
    def looks(self) -> int:
        """How often held-out figures are measured, at equal intervals."""
        ...

    @property
    def scored(self) -> bool:
        """Whether enough items are held out for a score."""
        ...

    @property
    def cells(self) -> Cells | None:
        """What the shares of a glance mean; None where nothing can be glanced at."""
        ...

    def at_work(self) -> Mapping[str, nn.Module]:
        """The players that a user would get. They go on playing: no copies, and not in evaluation mode."""
        ...

    def measure(self) -> Mapping[str, float]:
        """Held-out figures of the game as it stands."""
        ...

    def glance(self, closely: bool = True) -> Mapping[str, Any]:
        """Cheap signs of trouble in the game as it stands; closely, with those that take longer."""
        ...

    def snapshot(self, training: Training) -> None:
        """Writes a picture of the game as it stands."""
        ...

    def say(self, line: str) -> None:
        """Tells the user a sentence."""
        ...

    def note(self, setting: str, value: Any, reason: str, images: int) -> None:
        """Writes down what was settled after so many images, beside what was chosen before the run."""
        ...

    def make(self, what: str, maker: Callable[..., Any], options: Mapping[str, Any], *fixed: Any) -> Any:
        """maker(*fixed, **options); BadInput that names the nearest option where one is unknown."""
        ...


def interval(config: Any, parts: float) -> int:
    """The images in one of so many equal parts of the run, and at least a batch."""
    return max(int(config.batch), int(config.images) // round(parts))


def generator_begins(run: RunContext) -> float:
    """The share of the run at which its stage begins in which the generator first moves; 0 where none does."""
    moves = [move for move in run.game.moves if "generator" in move.movers]
    shares = (share for share in (0.0, *run.stages) if any(m.when(Progress(MANY, ceil(share * MANY))) for m in moves))
    return next(shares, 0.0)


MANY = 10**12
"""Images of a run whose shares are exact."""
