"""How fast rounds are played one way and another."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from evenodds.game.exchange import agreed

__all__ = ["Way", "rates_in_turn"]

HOPELESS = 8.0
"""A way whose first round takes so many times that of the best is not compared further."""
Way = TypeVar("Way")
"""What names a way to play."""


def rates_in_turn(plays: Mapping[Way, Callable[[int], object]], seconds: float) -> dict[Way, float]:
    """Rounds per second of each way to play, measured in turn so that a passing load meets all of them.

    Args:
        plays: each plays so many rounds, the same ones in every call.
        seconds: about how long it takes; longer where a round does.
    """
    first = {way: _timed(play, 1) for way, play in plays.items()}
    compared = [way for way in plays if first[way] <= HOPELESS * min(first.values())]
    lap = max(1, int(seconds / 3 / sum(first[way] for way in compared)))
    spent, rounds = dict.fromkeys(compared, 0.0), 0
    while not rounds or sum(spent.values()) < seconds:
        for way in compared:
            spent[way] += _timed(plays[way], lap)
        rounds += lap
    return {way: rounds / spent[way] if way in spent else 1 / first[way] for way in plays}


def _timed(play: Callable[[int], object], rounds: int) -> float:
    """The seconds of so many rounds, by the clock of the first process."""
    begun = time.perf_counter()
    play(rounds)
    spent = max(1e-9, time.perf_counter() - begun)
    return agreed(lambda: spent)
