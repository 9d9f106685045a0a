"""How a run stands, as a few lines of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evenodds.files.read import Lines
from evenodds.game import checkpoint
from evenodds.game.listeners.log import read_history
from evenodds.game.listeners.save import best_of
from evenodds.runs import remedy
from evenodds.runs.folders import processes_of
from evenodds.runs.session import Session, load

__all__ = ["summary"]


def summary(folder: Path) -> dict[str, str]:
    """What a run is and how it stands, by name, in the order in which it is shown."""
    session, history = load(folder), read_history(folder / "metrics.jsonl")
    remedies = {f"remedy {k}": str(one) for k, one in enumerate(remedy.read(folder), 1)}
    return (
        _identity(session)
        | _progress(session, history.values)
        | _processes(folder / "environment.json")
        | _best(folder)
        | _watched(history.values[::-1])
        | _damage(history)
        | remedies
    )


def _identity(session: Session) -> dict[str, str]:
    """Recipe, data, players and what they play."""
    config = remedy.applied(session.config, remedy.read(session.folder))
    data, shape = session.card, " x ".join(map(str, session.card.shape))
    of = f"rows of {len(data.columns)} columns" if data.units.columns else f"of {shape}"
    source = config.data.name if config.data else ""
    return {
        "run": str(session.folder),
        "recipe": f"{config.recipe}, seed {config.seed}",
        "data": f"{source}: {data.items:,} {of}, trained on {data.trained_on:,}",
        "players": f"{config.generator.name} generator, {config.discriminator.name} discriminator",
        "contest": f"{config.loss.name}, penalty {config.penalty.name if config.penalty else 'none'}",
    }


def _progress(session: Session, history: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Length, speed and what is kept."""
    last = history[-1] if history else {}
    return {
        "progress": f"{session.images:,} of {session.config.images:,} images",
        "speed": f"{last.get('images_per_second', 0):,.0f} images/s, {last.get('seconds', 0):,.0f} s so far",
        "checkpoints": ", ".join(p.name.lstrip("0") for p in checkpoint.listing(session.folder / "checkpoints")),
    }


def _processes(path: Path) -> dict[str, str]:
    """By how many processes the run was played; empty where it was always one, or where that is not known."""
    played = processes_of(path) or []
    words = [f"{one.processes}" + (f" from {one.images:,} images on" if one.images else "") for one in played]
    return {"processes": ", ".join(words)} if any(one.processes != 1 for one in played) else {}


def _best(folder: Path) -> dict[str, str]:
    """The best checkpoint and its score; empty where none has a score."""
    best = best_of(folder / "checkpoints")
    if best is None:
        return {}
    header = checkpoint.read_header(best)
    low, high = header.score_interval or (None, None)
    within = f" ({low:.4f} to {high:.4f})" if low is not None and high is not None else ""
    return {"best": f"{best.name.lstrip('0')}, score {header.score:.4f}{within}: {header.score_is or 'unknown'}"}


def _watched(latest: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The last verdict, and the updates that were left out.

    Args:
        latest: the lines of the history, the last one first.
    """
    lines = {}
    verdict = next((line for line in latest if "verdict" in line), None)
    if verdict is not None:
        lines["verdict"] = f"{verdict['verdict']}, at {verdict['images']:,} images: {verdict.get('why') or 'unknown'}"
    left_out: dict[str, int] = next((line["left_out"] for line in latest if "left_out" in line), {})
    if left_out:
        lines["left out"] = ", ".join(f"{n:,} updates of '{name}' that were not finite" for name, n in left_out.items())
    return lines


def _damage(history: Lines[dict[str, Any]]) -> dict[str, str]:
    """What of the history could not be read."""
    return {"history": history.complaint} if history.damaged else {}
