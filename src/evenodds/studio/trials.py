"""The results of `evenodds trial`, where the studio may look: found, and read as what a stranger may have written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from evenodds.errors import BadInput
from evenodds.evaluation.trial.answer import FIGURES, PRIMARY
from evenodds.evaluation.truth import finite
from evenodds.files.read import read_json
from evenodds.files.text import visible
from evenodds.studio.state import Studio

__all__ = ["described", "trials"]

RESULT = "trial.json"
HOME = "trials"
"""The folder beside the data to which trials go where no other is named."""
MOST = 200


class Trials(dict[str, Path]):
    """Folders of trials by name."""

    def __missing__(self, name: str) -> Path:
        raise BadInput(f"no trial '{visible(name)[:80]}' here; see the list of trials")


def trials(studio: Studio) -> Trials:
    """The folders that hold a result, by name, the latest first; those of one name are numbered."""
    found = {path.resolve(): path for path in _candidates(studio) if _is_result(path / RESULT)}
    latest = sorted(found.values(), key=lambda path: -(path / RESULT).stat().st_mtime)[:MOST]
    named = Trials()
    for path in latest:
        name, number = path.name, 2
        while name in named:
            name, number = f"{path.name} ~ {number}", number + 1
        named[name] = path
    return named


def _candidates(studio: Studio) -> Iterator[Path]:
    """Folders in the folder of the runs and within their trials, and in `trials` of the folders for data."""
    for home in (studio.base, *(place / HOME for place in (studio.base, *studio.places.roots))):
        with suppress(OSError), os.scandir(home) as entries:
            yield from (Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))


def _is_result(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def described(name: str, folder: Path) -> dict[str, Any]:
    """What a trial found: its answer, its reasons, and each arm against real items alone; or why it cannot be read."""
    about = {"name": name, "folder": str(folder), "picture": (folder / "trial.png").is_file()}
    try:
        told: dict[str, Any] = finite(_told(read_json(folder / RESULT, dict[str, Any])))
    except BadInput as error:
        return {**about, "trouble": str(error)}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError):
        return {**about, "trouble": f"{RESULT} is no result of this version of `evenodds trial`"}
    return {**about, **told}


def _told(content: Mapping[str, Any]) -> dict[str, Any]:
    verdict, differences = content["verdict"], content["differences"]
    return {
        "answer": str(verdict["answer"]),
        "reasons": [str(line) for line in verdict["reasons"]],
        "recommended": str(verdict["recommended"]["title"]),
        "classifier": str(content["classifier"]),
        "items": _items(content.get("items", "images")),
        "classes": [visible(str(one)) for one in content["classes"]],
        "trained_on": sum(int(n) for n in content["train_counts"]),
        "tested_on": int(content["tested_on"][0]),
        "seeds": int(content["seeds"]),
        "figures": list(FIGURES.values()),
        "arms": [_arm(name, arm, differences) for name, arm in content["arms"].items()],
    }


def _items(name: Any) -> str:
    """What items are called; ValueError where a trial is of no such."""
    if name not in ("images", "rows"):
        raise ValueError(name)
    return str(name)


def _arm(name: str, arm: Mapping[str, Any], differences: Mapping[str, Any]) -> dict[str, Any]:
    """An arm with the means of its figures, and its difference in macro-F1 to real items alone."""
    means = [sum(float(one[figure]) for one in arm["figures"]) / len(arm["figures"]) for figure in FIGURES]
    test = differences.get(f"{name} - real")
    against = None if test is None else {key: float(test["figures"][PRIMARY][key]) for key in ("value", "low", "high")}
    return {"title": visible(str(arm["title"])), "means": means, "against": against}
