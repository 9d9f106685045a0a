"""The card of a run, or of a file that it was exported to: what is known of it, without names and places of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evenodds.export.about import LICENCE, About, run_id
from evenodds.files.read import read_json
from evenodds.game import checkpoint
from evenodds.game.listeners.save import best_of
from evenodds.runs.session import Session
from evenodds.version import __version__

__all__ = ["card_lines", "card_of"]


def card_of(session: Session) -> dict[str, Any]:
    """What is known, as plain values by name: the run, its data, settings, scores, and what was exported."""
    config = session.config
    about = _about(session)
    facts: dict[str, Any] = {
        "run": run_id(session) if about is None else about.run,
        "evenodds": __version__ if about is None else about.version,
        "recipe": config.recipe,
        "task": config.task.name,
        "trained on": f"{session.images:,} of {config.images:,} images, seed {config.seed}",
        "data": _data(session),
        "players": f"{config.generator.name} generator, {config.discriminator.name} discriminator",
        "contest": f"{config.loss.name}, penalty {config.penalty.name if config.penalty else 'none'}",
    }
    if about is not None:
        inputs, outputs = (", ".join(map(str, part)) for part in (about.inputs, about.outputs))
        facts |= {"answers": about.answers, "takes": inputs, "gives": outputs, "licence": about.licence}
    else:
        facts |= {"scores": _scores(session), "licence": LICENCE}
    return {name: value for name, value in facts.items() if value not in ({}, "", None)}


def _about(session: Session) -> About | None:
    """What an exported file says of itself; None of a run."""
    said = (getattr(player, "about", None) for player in session.players.values())
    return next((about for about in said if isinstance(about, About)), None)


def _data(session: Session) -> dict[str, Any]:
    """The data statement."""
    data = session.card
    facts: dict[str, Any] = {
        "fingerprint": data.fingerprint or "unknown",
        "kind": data.kind,
        "shape": " x ".join(map(str, data.shape)),
        "items": f"{data.items:,}, of which {data.trained_on:,} were trained on",
        "units": f"{data.units.dtype} from {min(data.units.low):g} to {max(data.units.high):g}",
    }
    if data.classes:
        counts = data.class_counts or ("?",) * len(data.classes)
        facts["classes"] = ", ".join(f"{name} ({count})" for name, count in zip(data.classes, counts, strict=True))
    if data.columns:
        facts["columns"] = ", ".join(data.columns)
    if data.conditions is not None:
        facts["conditions"] = ", ".join(data.conditions.names)
    return facts


def _scores(session: Session) -> dict[str, str]:
    """The held-out score of the best checkpoint, and what `evenodds evaluate` found."""
    facts = {}
    best = best_of(session.folder / "checkpoints")
    if best is not None:
        header = checkpoint.read_header(best)
        facts["held out"] = f"{header.score:.4f}: {header.score_is or 'unknown'}"
    path = session.folder / "evaluation.json"
    if path.is_file():
        evaluation = read_json(path, dict[str, Any], "evaluate again")
        facts |= dict(_evaluated(evaluation.get("scores")))
    return facts


def _evaluated(scores: Any) -> Iterator[tuple[str, str]]:
    for score in scores if isinstance(scores, list) else ():
        if isinstance(score, dict) and isinstance(score.get("value"), int | float):
            low, high = score.get("low"), score.get("high")
            known = isinstance(low, int | float) and isinstance(high, int | float)
            within = f" ({low:.4g} to {high:.4g})" if known else ""
            yield str(score.get("name")), f"{score['value']:.4g}{within}"


def card_lines(facts: Mapping[str, Any]) -> list[str]:
    """A card as lines of a page in Markdown."""
    lines = [f"# Run {facts['run']}", ""]
    for name, value in facts.items():
        if isinstance(value, Mapping):
            lines += [f"- {name}:", *(f"    - {key}: {one}" for key, one in value.items())]
        elif name != "run":
            lines.append(f"- {name}: {value}")
    return lines
