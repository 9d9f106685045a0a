"""How fast the rounds of a run are on this machine, as they are and with each setting that can make them faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.engine import pick_device
from evenodds.game.learners.graphs import is_recordable
from evenodds.game.rules import Progress
from evenodds.game.threads import candidates, fastest, kept_threads
from evenodds.runs.accelerator import on_accelerator
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.planning import settle, settle_task
from evenodds.runs.probing import Probe, rates_of
from evenodds.runs.threads import is_measurable, measured_rates, use_threads

__all__ = ["Pace", "measure_paces", "recommended"]

SECONDS_PER_WAY = 2.0
START = Progress(10**12)
"""So far from its end that no rate or stage changes."""
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
    config = on_accelerator(config, len(dataset), dataset.shape, say)[0]
    config = settle(settle_task(config, dataset, say)[0], dataset, None, say)[0]
    config = replace(config, precision=config.precision or "float32")
    rates = _rates_by_threads(config, dataset, seconds)
    with kept_threads():
        use_threads(replace(config, threads=fastest(rates)) if rates else config)
        plain, *others = _paces(config, dataset, [Way({}), *ways(config, compiled)], seconds)
        plain = replace(plain, note=f"with threads={torch.get_num_threads()}")
    return [plain, *(Pace({"threads": number}, rate, SAME) for number, rate in rates.items()), *others]


def _rates_by_threads(config: Config, dataset: Dataset, seconds: float) -> dict[int, float]:
    """Images per second by number of threads; nothing where that number is given, or no other can be faster."""
    numbers = candidates(torch.get_num_threads())
    if config.threads is not None or len(numbers) < 2 or not is_measurable(config):
        return {}
    return measured_rates(Probe(Run(config, dataset), START), numbers, seconds * len(numbers))


def _paces(config: Config, dataset: Dataset, compared: Sequence[Way], seconds: float) -> list[Pace]:
    """The pace of each way, measured in turn."""
    probes: dict[int, Probe] = {}
    paces = [Pace(dict(way.settings), note=way.note) for way in compared]
    for k, pace in enumerate(paces):
        try:
            probes[k] = Probe(Run(with_settings(config, pace.settings), dataset), START)
            with torch.random.fork_rng():
                probes[k].play(2)  # the first rounds prepare much
        except BadInput as error:
            if not pace.settings:
                raise
            probes.pop(k, None)
            paces[k] = replace(pace, note=f"not played: {error}")
    rates = rates_of(probes, seconds * len(probes))
    return [replace(pace, images_per_second=rates.get(k, 0.0)) for k, pace in enumerate(paces)]


def ways(config: Config, compiled: bool) -> list[Way]:
    """The ways that are compared with a configuration."""
    other = "bfloat16" if config.precision == "float32" else "float32"
    return [
        Way({"fused": not config.fused}, SAME),
        Way({"precision": other}, "other rounding"),
        Way({"simultaneous": not config.simultaneous}, "another game: compare the samples"),
        *(Way({"batch": factor * config.batch}, "another game: rates and penalties belong to it") for factor in (2, 4)),
        *([Way({"graphs": True}, SAME)] if is_recordable(pick_device(config.device)) and not config.graphs else []),
        *([Way({"compile": True}, SAME)] if compiled else []),
    ]


def recommended(paces: Sequence[Pace]) -> dict[str, Any]:
    """The settings that made the run faster and leave the game what it is; nothing where none did."""
    plain = paces[0].images_per_second
    faster = [pace for pace in paces[1:] if pace.images_per_second >= GAIN * plain]
    kept = [pace for pace in faster if "threads" not in pace.settings and not pace.note.startswith("another game")]
    return {key: value for pace in kept for key, value in pace.settings.items()}
