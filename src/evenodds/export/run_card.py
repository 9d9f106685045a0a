"""The card of a run: what its folder tells beside its settings and its data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenodds.export.card import facts_of, told
from evenodds.export.identity import changed_settings
from evenodds.export.words import LICENCE
from evenodds.files.read import read_json
from evenodds.game import checkpoint
from evenodds.game.checkpoint import best_of
from evenodds.game.history import last_verdict, read_history
from evenodds.runs import remedy
from evenodds.runs.origin import read_origins
from evenodds.version import __version__

if TYPE_CHECKING:
    from evenodds.runs.session import Session

__all__ = ["card_of", "evaluation_of", "of_folder", "score_rows"]


def card_of(session: Session, licence: str | None = None) -> dict[str, Any]:
    """What is known, as plain values by name: the run, its data, settings, scores, past, and what was exported.

    Args:
        session: a run, or a file that it was exported to.
        licence: under which it is handed on; that under which it came here where None.
    """
    from evenodds.export.about import About, run_id

    said = (getattr(player, "about", None) for player in session.players.values())
    about = next((about for about in said if isinstance(about, About)), None)
    if about is not None:
        return told(about, session.config.to_mapping(), changed_settings(session.config))
    config, settings = session.config.to_mapping(), changed_settings(session.config)
    facts = facts_of(run_id(session), __version__, config, settings, session.images, session.card)
    return facts | of_folder(session.folder, licence, session.card.noun)


def of_folder(folder: Path, licence: str | None, noun: str) -> dict[str, Any]:
    """What a run's folder tells beside its settings and its data.

    Args:
        licence: see `card_of`.
        noun: what items of its data are called.
    """
    evaluation, past = evaluation_of(folder), read_origins(folder)
    facts = {
        "made with": _environment(folder),
        "verdict": last_verdict(read_history(folder / "metrics.jsonl").values, noun),
        "remedies": {f"{k}": str(one) for k, one in enumerate(remedy.read(folder), 1)},
        "scores": _scores(folder, evaluation),
        "scores are from": _provenance(evaluation, noun),
        "memorisation": _memorisation(evaluation),
        "findings": {f"{k}": str(line) for k, line in enumerate(evaluation.get("verdict") or (), 1)},
        "past": {f"{k}": one.told(noun) for k, one in enumerate(past, 1)},
        "licence": licence or (past[-1].licence if past else LICENCE),
    }
    return {name: value for name, value in facts.items() if value not in ({}, "")}


def _environment(folder: Path) -> str:
    """Versions and the kind of machine."""
    path = folder / "environment.json"
    facts = read_json(path, dict[str, Any]) if path.is_file() else {}
    versions = [f"{name} {facts[name]}" for name in ("evenodds", "torch", "python") if name in facts]
    return ", ".join([*versions, *(str(facts[name]) for name in ("machine", "device") if name in facts)])


def evaluation_of(folder: Path) -> dict[str, Any]:
    """What `evenodds evaluate` or `report` found; empty where neither was asked."""
    path = folder / "evaluation.json"
    return read_json(path, dict[str, Any], "evaluate again") if path.is_file() else {}


def score_rows(folder: Path, evaluation: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Name, value with its interval, floor with its interval, and which way is better, of each score."""
    best = best_of(folder / "checkpoints")
    if best is not None:
        header = checkpoint.read_header(best)
        ends = header.score_interval or (None, None)
        yield f"held out: {header.score_is or 'unknown'}", _within(header.score, *ends), "", "lower"
    scores = evaluation.get("scores")
    for score in scores if isinstance(scores, list) else ():
        if isinstance(score, dict) and isinstance(score.get("value"), int | float):
            value = _within(score["value"], score.get("low"), score.get("high"))
            floor = _within(score.get("floor"), score.get("floor_low"), score.get("floor_high"))
            yield str(score.get("name")), value, floor, str(score.get("better", ""))


def _within(value: Any, low: Any, high: Any) -> str:
    """A figure with its interval; empty where there is none."""
    if not isinstance(value, int | float):
        return ""
    known = isinstance(low, int | float) and isinstance(high, int | float)
    return f"{value:.4g} ({low:.4g} to {high:.4g})" if known else f"{value:.4g}"


def _scores(folder: Path, evaluation: Mapping[str, Any]) -> dict[str, str]:
    """The held-out score of the best checkpoint, and what an evaluation found, in words."""
    return {
        name: ", ".join([value, *([f"floor {floor}"] if floor else []), *([f"better: {better}"] if better else [])])
        for name, value, floor, better in score_rows(folder, evaluation)
    }


def _provenance(evaluation: Mapping[str, Any], noun: str) -> str:
    """What scores rest on: only those with the same compare."""
    facts = evaluation.get("fingerprint")
    if not isinstance(facts, dict):
        return ""
    after = (evaluation.get("subject") or {}).get("images_seen")
    seen = f"after {after:,} {noun}; " if isinstance(after, int) else ""
    return seen + ", ".join(f"{name} {value}" for name, value in facts.items())


def _memorisation(evaluation: Mapping[str, Any]) -> str:
    """What was found on copies of training items."""
    facts = evaluation.get("memorisation")
    if not isinstance(facts, dict) or not isinstance(facts.get("share"), int | float):
        return "not measured: ask `evenodds report`, where the run draws samples"
    known = [name for name in ("share", "low", "high", "expected") if isinstance(facts.get(name), int | float)]
    shares = {name: f"{100 * facts[name]:.2g} %" for name in known}
    within = f" ({shares['low']} to {shares['high']})" if {"low", "high"} <= set(shares) else ""
    chance = f", by chance {shares['expected']}" if "expected" in shares else ""
    return f"{facts.get('verdict', 'unknown')}: {shares['share']} of samples are suspected copies{within}{chance}"
