"""How a run stands, as a few lines of words. Nothing is built, and torch is not loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from warnings import warn

from evenodds.data.wording import count, items_of, shape_of
from evenodds.errors import Remark
from evenodds.files.read import Lines, read_json
from evenodds.files.text import visible
from evenodds.game import checkpoint
from evenodds.game.checkpoint import best_of
from evenodds.game.history import last_verdict, read_history
from evenodds.runs import remedy
from evenodds.runs.config import Config, require_allowed
from evenodds.runs.config_files import read
from evenodds.runs.folder_facts import processes_of, require_run

__all__ = ["players_in_words", "summary"]


@dataclass(frozen=True)
class _Units:
    """What is read of the units in data.json."""

    columns: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class _Data:
    """What is read of data.json."""

    shape: list[int]
    units: _Units
    kind: str = "image"
    columns: list[str] = field(default_factory=list)
    items: int = 0
    trained_on: int = 0

    @property
    def noun(self) -> str:
        """What items are called."""
        return items_of(self.kind)


def summary(folder: Path) -> dict[str, str]:
    """What a run is and how it stands, by name, in the order in which it is shown.

    Raises:
        BadInput: there is no run in the folder, or no checkpoint of which the files are there at their full length; or
            the run names code of a module that is not allowed.
    """
    config = read(require_run(folder) / "config.yaml", with_parts=False)
    require_allowed(config, str(folder / "config.yaml"))
    header, complaints = checkpoint.newest_header(folder / "checkpoints")
    for complaint in complaints:
        warn(visible(complaint), Remark, stacklevel=2)
    data = read_json(folder / "data.json", _Data)
    history, remedies = read_history(folder / "metrics.jsonl"), remedy.read(folder)
    return (
        _identity(folder, remedy.applied(config, remedies), data)
        | _progress(folder, header.images, config.images, history.values, data.noun)
        | _processes(folder / "environment.json", data.noun)
        | _best(folder)
        | _watched(history.values, data.noun)
        | _damage(history)
        | {f"remedy {k}": str(one) for k, one in enumerate(remedies, 1)}
    )


def _identity(folder: Path, config: Config, data: _Data) -> dict[str, str]:
    """Recipe, data, players and what they play."""
    of = f"rows of {count(len(data.columns), 'column')}" if data.units.columns else shape_of(data.kind, data.shape)
    source = config.data.name if config.data else ""
    return {
        "run": str(folder),
        "recipe": f"{config.recipe}, seed {config.seed}",
        "data": f"{source}: {data.items:,} {of}, trained on {data.trained_on:,}",
        "players": players_in_words(config.task.options, config.generator.name, config.discriminator.name),
        "contest": f"{config.loss.name}, penalty {config.penalty.name if config.penalty else 'none'}",
    }


WEIGHTS = {"generator": "unsupervised", "discriminator": "adversarial"}
"""The option of a task that leaves out a player where it is 0."""


def players_in_words(options: Mapping[str, Any], generator: str, discriminator: str) -> str:
    """The families of those of both that play a task with these options."""
    named = {"generator": generator, "discriminator": discriminator}
    return ", ".join(f"{family} {role}" for role, family in named.items() if options.get(WEIGHTS[role]) != 0)


def _progress(
    folder: Path, images: int, length: int, history: Sequence[Mapping[str, Any]], noun: str
) -> dict[str, str]:
    """Length, speed and what is kept."""
    last = history[-1] if history else {}
    return {
        "progress": f"{images:,} of {max(images, length):,} {noun}",
        "speed": f"{last.get('images_per_second', 0):,.0f} {noun}/s, {last.get('seconds', 0):,.0f} s so far",
        "checkpoints": ", ".join(str(checkpoint.images_of(p)) for p in checkpoint.listing(folder / "checkpoints")),
    }


def _processes(path: Path, noun: str) -> dict[str, str]:
    """By how many processes the run was played; empty where it was always one, or where that is not known."""
    played = processes_of(path) or []
    words = [f"{one.processes}" + (f" from {one.images:,} {noun} on" if one.images else "") for one in played]
    return {"processes": ", ".join(words)} if any(one.processes != 1 for one in played) else {}


def _best(folder: Path) -> dict[str, str]:
    """The best checkpoint and its score; empty where none has a score."""
    best = best_of(folder / "checkpoints")
    if best is None:
        return {}
    header = checkpoint.read_header(best)
    low, high = header.score_interval or (None, None)
    within = f" ({low:.4f} to {high:.4f})" if low is not None and high is not None else ""
    return {"best": f"{checkpoint.images_of(best)}, score {header.score:.4f}{within}: {header.score_is or 'unknown'}"}


def _watched(lines: Sequence[Mapping[str, Any]], noun: str) -> dict[str, str]:
    """The last verdict, and the updates that were left out, of the lines of the history."""
    verdict = last_verdict(lines, noun)
    left_out: dict[str, int] = next((line["left_out"] for line in reversed(lines) if "left_out" in line), {})
    updates = ", ".join(f"{n:,} updates of '{name}' that were not finite" for name, n in left_out.items())
    return ({"verdict": verdict} if verdict else {}) | ({"left out": updates} if updates else {})


def _damage(history: Lines[dict[str, Any]]) -> dict[str, str]:
    """What of the history could not be read."""
    return {"history": history.complaint} if history.damaged else {}
