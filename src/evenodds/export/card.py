"""The card of a run, or of a file that it was exported to: what is known of it, without names and places of files.

Of a file it is read without torch; what a run's folder tells is in `evenodds.export.run_card`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenodds.export.words import FileCard, Words, part_of, read_file
from evenodds.runs.summary import players_in_words

if TYPE_CHECKING:
    from evenodds.export.about import About
    from evenodds.runs.card import DataCard

__all__ = ["card_in", "card_lines", "facts_of", "told"]


def card_in(path: Path) -> dict[str, Any] | None:
    """What an exported file says of itself, as plain values by name; None of files from before, which need torch.

    Raises:
        BadInput: it is no file that `evenodds export` wrote, or is damaged.
    """
    words, _ = read_file(path)
    return None if words.settings is None else told(words, words.config, words.settings)


KEPT = "rows of the data, which the filler looks up: hand the run, and files exported of it, on as you would them"


def told(about: About | Words, config: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """What a file says of itself, as plain values by name."""
    inputs, outputs = (", ".join(map(str, part)) for part in (about.inputs, about.outputs))
    facts = facts_of(about.run, about.version, config, settings, about.images, about.card)
    way = {"direction": "back: images like the sources of the run, of images like its targets"} if about.back else {}
    return facts | {"answers": about.answers, **way, "takes": inputs, "gives": outputs, "licence": about.licence}


def facts_of(
    run: str,
    version: str,
    config: Mapping[str, Any],
    settings: Mapping[str, str],
    images: int,
    data: DataCard | FileCard,
) -> dict[str, Any]:
    """What is known of a run and of what was exported alike.

    Args:
        run: see `evenodds.export.about.run_id`.
        version: of evenodds, that wrote it.
        config: the settings, as plain values.
        settings: those that are shown.
        images: real images that the players had seen.
    """
    named = {key: part_of(config, key)[0] for key in ("task", "generator", "discriminator", "loss", "penalty")}
    facts: dict[str, Any] = {
        "run": run,
        "evenodds": version,
        "recipe": config.get("recipe"),
        "task": named["task"],
        "trained on": f"{images:,} of {max(images, config.get('images', 0)):,} {data.noun}, seed {config.get('seed')}",
        "data": _data(data) | ({"kept": KEPT} if named["task"] == "impute" else {}),
        "players": players_in_words(part_of(config, "task")[1], named["generator"], named["discriminator"]),
        "contest": f"{named['loss']}, penalty {named['penalty']}",
        "settings": dict(settings),
    }
    return {name: value for name, value in facts.items() if value not in ({}, "", None)}


def _data(data: DataCard | FileCard) -> dict[str, Any]:
    """The data statement."""
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


def card_lines(facts: Mapping[str, Any]) -> list[str]:
    """A card as lines of a page in Markdown."""
    lines = [f"# Run {facts['run']}", ""]
    for name, value in facts.items():
        if isinstance(value, Mapping):
            lines += [f"- {name}:", *(f"    - {key}: {one}" for key, one in value.items())]
        elif name != "run":
            lines.append(f"- {name}: {value}")
    return lines
