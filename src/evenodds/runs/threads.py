"""The number of threads of a run: how it is chosen, and where a choice is written down so that a resume plays alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from evenodds.errors import BadInput
from evenodds.files.read import read_json
from evenodds.game.engine import pick_device
from evenodds.game.exchange import agreed
from evenodds.game.threads import SECONDS, allowed_threads, candidates, fastest, fixed_by_user, rates_by_threads
from evenodds.runs import probing
from evenodds.runs.choices import FILE
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config
from evenodds.runs.probing import Ahead, Probe, in_words, rounded

__all__ = ["ThreadChoice", "choose_threads", "measured_rates", "read_thread_choices", "use_threads"]


@dataclass(frozen=True)
class ThreadChoice:
    """A number of threads that was measured to be the fastest.

    Args:
        images: after which it is played with.
        images_per_second: of the rounds, by number of threads.
        noun: what images of these data are called.
    """

    value: int
    images: int = 0
    images_per_second: dict[int, float] = field(default_factory=dict)
    noun: str = "images"

    @classmethod
    def of(cls, rates: Mapping[int, float], images: int, noun: str) -> ThreadChoice:
        """The fastest."""
        return cls(fastest(rates), images, rounded(rates), noun)

    @property
    def reason(self) -> str:
        """The rates in words."""
        rates = {f"with {number}": rate for number, rate in self.images_per_second.items()}
        return in_words(rates, self.noun, " by threads")

    def choice(self) -> Choice:
        """As choices.json has it."""
        rates = {str(number): rate for number, rate in self.images_per_second.items()}
        return Choice("threads", self.value, self.reason, {"images": self.images, "images_per_second": rates})


@dataclass(frozen=True)
class _Entry:
    """What is read of an entry of choices.json."""

    setting: str
    value: Any = None
    images: int = 0
    images_per_second: dict[str, float] = field(default_factory=dict)

    @property
    def rates(self) -> dict[int, float]:
        """By number of threads."""
        return {int(key): rate for key, rate in self.images_per_second.items() if key.isdecimal() and int(key)}


def read_thread_choices(folder: Path, say: Callable[[str], None] = lambda line: None) -> list[ThreadChoice]:
    """The numbers of threads that a run chose, by the images after which; none, and a sentence, of a damaged file."""
    if not (folder / FILE).exists():
        return []
    try:
        entries = [entry for entry in read_json(folder / FILE, list[_Entry]) if entry.setting == "threads"]
    except BadInput as error:
        say(f"{error}; the run goes on, but with other bits where its number of threads had changed")
        return []
    whole = [entry for entry in entries if isinstance(entry.value, int) and entry.value >= 1 and entry.images >= 0]
    choices = [ThreadChoice(entry.value, entry.images, entry.rates) for entry in whole]
    return sorted(choices, key=lambda choice: choice.images)


def use_threads(config: Config) -> None:
    """Sets the number of threads with which a run begins; nothing where it is left open."""
    if config.threads is not None:
        torch.set_num_threads(allowed_threads(config.threads))


def is_measurable(config: Config) -> bool:
    """Whether other numbers of threads can be faster: on a CPU, without compiled players."""
    return pick_device(config.device).type == "cpu" and not config.compile


def choose_threads(config: Config, ahead: Ahead, say: Callable[[str], None]) -> tuple[Config, list[Choice]]:
    """The configuration with the number of threads where it was left open, and the choice, if one was measured.

    It stays open where the run is shorter than 30 seconds. A number that the user set by the environment or by
    torch.set_num_threads is taken.
    """
    if config.threads is not None or not is_measurable(config):
        return config, []
    most = agreed(torch.get_num_threads)
    if most == 1 or agreed(fixed_by_user):
        return replace(config, threads=most), []
    if not ahead.takes(probing.WORTHWHILE, config):
        return config, []
    probe = ahead.probe(config)
    choice = ThreadChoice.of(measured_rates(probe, candidates(most)), 0, probe.noun)
    say(f"threads={choice.value}: {choice.reason}")
    return replace(config, threads=choice.value), [choice.choice()]


def measured_rates(probe: Probe, numbers: Sequence[int], seconds: float = SECONDS) -> dict[int, float]:
    """Images per second of the rounds that come next, with each number of threads.

    Args:
        seconds: about how long it takes.
    """
    with torch.random.fork_rng():
        rates = rates_by_threads(probe.play, numbers, seconds)
        return {number: rate * probe.images for number, rate in rates.items()}
