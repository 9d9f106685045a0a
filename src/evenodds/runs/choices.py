"""choices.json: what was chosen before a run and on its way, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evenodds.files.outputs import owned
from evenodds.files.read import read_json
from evenodds.files.write import write_json
from evenodds.runs.choosing import Choice

__all__ = ["FILE", "add_choice"]

FILE = "choices.json"


def add_choice(folder: Path, choice: Choice) -> None:
    """Adds what was chosen on the way, in place of what an attempt before chose for the setting there or later.

    Args:
        choice: its figures say after how many "images".
    """
    path = folder / FILE
    entries = read_json(path, list[dict[str, Any]]) if path.exists() else []
    before = [
        entry for entry in entries
        if entry.get("setting") != choice.setting or entry.get("images", 0) < choice.figures["images"]
    ]  # fmt: skip
    with owned(path, "train") as temporary:
        write_json(temporary, [*before, choice.to_json()])
