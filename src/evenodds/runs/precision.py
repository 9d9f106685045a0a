"""Whether a run computes in float32 or in bfloat16, where its configuration leaves that open: measured before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from evenodds.game.pace import rates_in_turn
from evenodds.game.rules import Progress
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config
from evenodds.runs.probing import is_long, played

if TYPE_CHECKING:
    from evenodds.runs.assembly import Run

__all__ = ["choose_precision"]

SECONDS = 1.5
"""Of the comparison."""
GAIN = 1.05
"""So many times as fast bfloat16 must be: less is not worth its rounding, and a busy machine would decide by chance."""


def choose_precision(
    config: Config, seconds: float | None, make: Callable[[Config], Run], say: Callable[[str], None]
) -> tuple[Config, list[Choice]]:
    """The configuration with the arithmetic where it was left open, and the choice, if one was measured.

    It is float32 in a run of less than 30 seconds, and of compiled moves, which are not measured.

    Args:
        seconds: of the budget; None where the configuration says the length.
        make: builds a run once more, to be thrown away.
    """
    if config.precision is not None:
        return config, []
    plain = replace(config, precision="float32")
    if config.compile or not is_long(plain, seconds, lambda: make(plain)):
        return plain, []
    runs = {name: make(replace(config, precision=name)) for name in ("float32", "bfloat16")}
    start = Progress(config.images)
    with torch.random.fork_rng():
        for run in runs.values():
            played(run, start, 2)  # with a penalty and without one: the first rounds prepare much
        plays = {name: _playing(run, start) for name, run in runs.items()}
        rates = rates_in_turn(plays, SECONDS)
    choice = _choice({name: rate * config.batch for name, rate in rates.items()})
    say(f"precision={choice.value}: {choice.reason}")
    return replace(config, precision=choice.value), [choice]


def _playing(run: Run, start: Progress) -> Callable[[int], object]:
    """Plays so many rounds from the start."""
    return lambda rounds: played(run, start, rounds)


def _choice(rates: dict[str, float]) -> Choice:
    """The faster arithmetic, by images per second."""
    value = "bfloat16" if rates["bfloat16"] >= GAIN * rates["float32"] else "float32"
    words = ", ".join(f"{rate:,.0f} in {name}" for name, rate in rates.items())
    figures = {"images_per_second": {name: round(rate, 1) for name, rate in rates.items()}}
    return Choice("precision", value, f"images per second: {words}", figures)
