"""How many threads rounds are played with: measured, not assumed.

The threads of an operation wait for the last of them. Where other processes take a core, all wait for the thread that
has none: two threads on two busy cores can be a tenth as fast as one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from evenodds.files.process import cores
from evenodds.game.pace import rates_in_turn

__all__ = ["allowed_threads", "candidates", "fastest", "fixed_by_user", "kept_threads", "rates_by_threads"]

SECONDS = 1.5
"""Of one comparison."""
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables of the environment by which users set a number of threads."""


def physical_cores() -> int:
    """Cores, those that appear as several processors counted once; all processors where that is not known."""
    places = [Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list") for core in cores()]
    try:
        return len({place.read_text(encoding="ascii") for place in places})
    except (OSError, UnicodeError):
        return len(places)


def fixed_by_user() -> bool:
    """Whether the user set the number of threads, by a variable of the environment or torch.set_num_threads."""
    return any(name in os.environ for name in VARIABLES) or torch.get_num_threads() not in (
        len(cores()),
        physical_cores(),
    )


def allowed_threads(number: int) -> int:
    """The number, at most the processors and at most what a variable of the environment says."""
    limits = [int(text) for name in VARIABLES if (text := os.environ.get(name, "")).isdecimal() and int(text)]
    return min(number, len(cores()), *limits)


def candidates(most: int) -> tuple[int, ...]:
    """The numbers that are compared: one, half and all."""
    return tuple(sorted({1, most // 2 or 1, most}))


@contextmanager
def kept_threads() -> Iterator[None]:
    """The number of threads that is set inside is that of before afterwards."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def rates_by_threads(
    play: Callable[[int], object], numbers: Sequence[int], seconds: float = SECONDS
) -> dict[int, float]:
    """Rounds per second with each number of threads, measured in turn so that a passing load meets all of them.

    Args:
        play: plays so many rounds, the same ones in every call.
        seconds: about how long it takes; longer where a round does.
    """

    def with_threads(number: int) -> Callable[[int], object]:
        def played(rounds: int) -> object:
            torch.set_num_threads(number)
            return play(rounds)

        return played

    plays = {number: with_threads(number) for number in numbers}
    with kept_threads():
        plays[numbers[0]](1)  # the first round prepares much that the others use
        return rates_in_turn(plays, seconds)


def fastest(rates: Mapping[int, float]) -> int:
    """The number of threads with the highest rate; the lowest of equal ones."""
    return max(rates, key=lambda number: (rates[number], -number))
