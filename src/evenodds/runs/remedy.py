"""What is changed when a run has gone wrong: one thing at a time, written down, and the way back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evenodds.errors import Diverged
from evenodds.files.read import read_json
from evenodds.files.write import write_json, write_json_lines
from evenodds.game import checkpoint
from evenodds.game.history import read_history
from evenodds.game.watch.verdict import Verdict
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.config_files import origin
from evenodds.runs.task_class import has_discriminator

__all__ = ["MOST", "Remedy", "applied", "back_to", "discard", "give_up", "prescribe", "read", "record"]

MOST = 3
"""Remedies that are tried before a run is given up."""
SLOWER = 0.2
"""What a remedy multiplies learning rates by."""
FILE = "remedies.json"


@dataclass(frozen=True)
class Remedy:
    """One change to a run."""

    at: int
    """Images at which the alarm was raised."""
    back_to: int
    """Images of the checkpoint that the run went back to; 0: it began anew."""
    word: str
    """The verdict."""
    why: str
    """Its reason."""
    settings: dict[str, Any]
    """What is changed, by key, as for --set."""
    noun: str = "images"
    """What is shown; runs from before say nothing of it."""

    def __str__(self) -> str:
        values = {k: f"{v:.3g}" if isinstance(v, float) else v for k, v in self.settings.items()}
        changes = ", ".join(f"{key}={value}" for key, value in values.items())
        where = f"{self.word} at {self.at:,} {self.noun} ({self.why})"
        return f"{where}: back to {self.back_to:,}, with {changes}"


def prescribe(config: Config, verdict: Verdict, at: int, back_to: int, noun: str = "images") -> Remedy:
    """The one thing to change next: first back to what the recipe has, which is known to play well, then slower.

    A contest without a penalty gets one: its recipe's, or R1 + R2, without which the equilibrium need not even attract
    (Mescheder et al. 2018). Learning rates above those of the recipe return to them. Otherwise all fall to a fifth.
    """
    recipe, contested = origin(config), has_discriminator(config)
    if config.penalty is None and contested:
        name = recipe.penalty.name if recipe is not None and recipe.penalty is not None else "r1_r2"
        return Remedy(at, back_to, verdict.word, verdict.why, {"penalty": name}, noun)
    rates: dict[str, float] = {"learning_rate": config.learning_rate}
    if config.discriminator_learning_rate is not None and contested:
        rates["discriminator_learning_rate"] = config.discriminator_learning_rate
    settings = {name: SLOWER * rate for name, rate in rates.items()}
    if recipe is not None and recipe.optimizer.name == config.optimizer.name:
        usual = {name: getattr(recipe, name) or recipe.learning_rate for name in rates}
        settings = {name: usual[name] for name, rate in rates.items() if rate > usual[name]} or settings
    return Remedy(at, back_to, verdict.word, verdict.why, settings, noun)


def back_to(folder: Path, since: int, remedies: Sequence[Remedy]) -> int:
    """Images of the newest checkpoint that was made while all was well; 0 where there is none.

    Where the last remedy went back there too, and to no avail, the one before it is taken.
    """
    healthy = [int(path.name) for path in checkpoint.listing(folder / "checkpoints") if int(path.name) <= since]
    if healthy and remedies and remedies[-1].back_to == healthy[-1]:
        healthy.pop()
    return healthy[-1] if healthy else 0


def applied(config: Config, remedies: Sequence[Remedy]) -> Config:
    """The configuration with all of them."""
    for remedy in remedies:
        config = with_settings(config, remedy.settings)
    return config


def read(folder: Path) -> list[Remedy]:
    """The remedies of a run so far."""
    path = folder / FILE
    return read_json(path, list[Remedy]) if os.path.lexists(path) else []


def record(folder: Path, remedies: Sequence[Remedy]) -> None:
    """Writes them down, before anything else is done: a run that is killed now still goes on with them."""
    write_json(folder / FILE, [asdict(remedy) for remedy in remedies])
    _note(folder / "metrics.jsonl", remedies[-1])


def _note(path: Path, one: Remedy) -> None:
    """A line in the history, at the place from which the run goes on; the time that was spent stays spent."""
    lines = read_history(path).values
    before = [line for line in lines if line["images"] <= one.back_to]
    here = {"images": one.back_to, "round": before[-1].get("round", 0) if before else 0}
    here |= {"seconds": lines[-1].get("seconds", 0.0) if lines else 0.0, "images_per_second": 0.0, "remedy": str(one)}
    write_json_lines(path, [*before, here])


def discard(folder: Path, remedies: Sequence[Remedy]) -> None:
    """Removes the checkpoints that were made after the point to which the last remedy went back, and before it."""
    if not remedies:
        return
    for path in checkpoint.listing(folder / "checkpoints"):
        if int(path.name) <= remedies[-1].back_to:
            continue
        try:
            in_force = checkpoint.read_header(path).remedies
        except checkpoint.Damaged:
            in_force = 0
        if in_force < len(remedies):
            checkpoint.remove(path)


def give_up(folder: Path, alarm: Verdict, remedies: Sequence[Remedy]) -> str:
    """Leaves the checkpoints from before the trouble alone, and says so; Diverged where there is none."""
    tried = "; ".join(f"{key}={value}" for one in remedies for key, value in one.settings.items())
    word = f"{alarm}; {len(remedies)} remedies did not help ({tried})"
    for path in checkpoint.listing(folder / "checkpoints"):
        if int(path.name) > alarm.since:
            checkpoint.remove(path)
    if not checkpoint.listing(folder / "checkpoints"):
        raise Diverged(f"{word}; no checkpoint was good: lower learning_rate, or look at the data")
    return f"given up: {word}; what was good is kept"
