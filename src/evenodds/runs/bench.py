"""How fast the rounds of a run are on this machine, as they are and with each setting that can make them faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.engine import pick_device
from evenodds.game.pace import rates_in_turn
from evenodds.game.rules import Progress
from evenodds.game.threads import candidates, kept_threads
from evenodds.runs.assembly import Run
from evenodds.runs.config import Config, with_settings
from evenodds.runs.planning import settle, settle_task
from evenodds.runs.probing import played

__all__ = ["Pace", "measure_paces", "recommended"]

SECONDS_PER_WAY = 2.0
SAME = "the same result to the last digits"
GAIN = 1.05
"""So many times as fast a setting must be to be recommended."""


@dataclass(frozen=True)
class Way:
    """A way to play the rounds of a run.

    Args:
        settings: what it changes.
        note: what that means for the result.
    """

    settings: Mapping[str, Any]
    note: str = ""


@dataclass(frozen=True)
class Pace:
    """How fast a way is.

    Args:
        settings: as they are written after --set; none of the run as it is.
        images_per_second: 0 where it cannot be played.
        note: what the setting means for the result, or why it cannot be played.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    images_per_second: float = 0.0
    note: str = ""

    @property
    def words(self) -> str:
        """The settings as they are typed."""
        return " ".join(f"{key}={str(value).lower()}" for key, value in self.settings.items()) or "as it is"


def measure_paces(
    config: Config,
    dataset: Dataset,
    seconds: float = SECONDS_PER_WAY,
    compiled: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> list[Pace]:
    """Images per second of the rounds of a run, as it is (the first) and with each setting changed alone.

    What is left open is settled first. Nothing is written, and the runs are thrown away.

    Args:
        seconds: for each way, about.
        compiled: compiled moves too, which takes minutes.
        say: gets a sentence where something was left open.

    Raises:
        BadInput: the run cannot be built as it is.
    """
    config = settle(settle_task(config, dataset, say)[0], dataset, None, say)[0]
    config = replace(config, precision=config.precision or "float32")
    rates = _rates(config, dataset, _numbers_of_threads(config), seconds)
    others = _rates(replace(config, threads=_fastest(rates)), dataset, ways(config, compiled), seconds)
    best = max(rates, key=lambda pace: pace.images_per_second)
    if not best.settings:
        return [*rates, *others]
    return [replace(best, settings={}, note=f"with {best.words}"), *rates, *others]


def _numbers_of_threads(config: Config) -> list[Way]:
    """The numbers of threads that are compared; the run as it is where that number is given, or a GPU computes."""
    most = torch.get_num_threads()
    if config.threads is not None or most == 1 or pick_device(config.device).type != "cpu":
        return [Way({})]
    return [Way({"threads": number}, SAME) for number in candidates(most)]


def _fastest(paces: Sequence[Pace]) -> int | None:
    """The number of threads of the fastest of these."""
    best = max(paces, key=lambda pace: pace.images_per_second)
    number: int | None = best.settings.get("threads")
    return number


def _rates(config: Config, dataset: Dataset, compared: Sequence[Way], seconds: float) -> list[Pace]:
    """The pace of each way, measured in turn."""
    plays: dict[int, Callable[[int], object]] = {}
    paces = [Pace(dict(way.settings), note=way.note) for way in compared]
    with kept_threads(), torch.random.fork_rng():
        for k, pace in enumerate(paces):
            try:
                plays[k] = _prepared(Run(with_settings(config, pace.settings), dataset))
            except BadInput as error:
                if "threads" in pace.settings or not pace.settings:
                    raise
                paces[k] = replace(pace, note=f"not played: {error}")
        rates = rates_in_turn(plays, seconds * len(plays)) if plays else {}
    batches = [pace.settings.get("batch", config.batch) for pace in paces]
    return [replace(pace, images_per_second=rates.get(k, 0.0) * batches[k]) for k, pace in enumerate(paces)]


def ways(config: Config, compiled: bool) -> list[Way]:
    """The ways that are compared with a configuration."""
    other = "bfloat16" if config.precision == "float32" else "float32"
    return [
        Way({"fused": not config.fused}, SAME),
        Way({"precision": other}, "other rounding"),
        Way({"simultaneous": not config.simultaneous}, "another game: compare the samples"),
        *(Way({"batch": factor * config.batch}, "another game: rates and penalties belong to it") for factor in (2, 4)),
        *([Way({"compile": True}, SAME)] if compiled else []),
    ]


def _prepared(run: Run) -> Callable[[int], object]:
    """Plays rounds of a run from its start; two were played, since the first ones prepare much."""
    threads = run.config.threads or torch.get_num_threads()
    start = Progress(10**12)

    def play(rounds: int) -> object:
        torch.set_num_threads(threads)
        return played(run, start, rounds)

    play(2)
    return play


def recommended(paces: Sequence[Pace]) -> dict[str, Any]:
    """The settings that made the run faster and leave the game what it is; nothing where none did."""
    plain = paces[0].images_per_second
    faster = [pace for pace in paces[1:] if pace.images_per_second >= GAIN * plain]
    kept = [pace for pace in faster if "threads" not in pace.settings and not pace.note.startswith("another game")]
    return {key: value for pace in kept for key, value in pace.settings.items()}
