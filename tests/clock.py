"""A clock that moves only when a test says so: what depends on time is then the same on every machine."""

from collections.abc import Callable
from typing import Any

import pytest

from evenodds.game.learners import Gradient


class Clock:
    """In place of time.perf_counter."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def costs(self, monkeypatch: pytest.MonkeyPatch, home: type, method: str, seconds: float) -> None:
        """Every call of that method takes so many seconds of this clock."""
        real: Callable[..., Any] = getattr(home, method)

        def timed(*arguments: Any, **options: Any) -> Any:
            self.now += seconds
            return real(*arguments, **options)

        monkeypatch.setattr(home, method, timed)

    def costs_of_moves(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        """Every move of a game takes so many seconds of this clock."""
        self.costs(monkeypatch, Gradient, "improve", seconds)
