"""choices.json: what was chosen before a run and on its way, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenodds.errors import BadInput
from evenodds.files.outputs import owned
from evenodds.files.read import read_json
from evenodds.files.write import write_json
from evenodds.runs.choosing import Choice

__all__ = ["FILE", "add_choice"]

FILE = "choices.json"


@dataclass(frozen=True)
class _Placed:
    """What says where in a run an entry was chosen; the rest is kept as it is."""

    setting: str
    images: int = 0


def add_choice(folder: Path, choice: Choice, say: Callable[[str], None]) -> None:
    """Adds what was chosen on the way, in place of what an attempt before chose for the setting there or later.

    Args:
        choice: its figures say after how many "images".
        say: gets a sentence where the file is damaged: then it stays as it is, and the run goes on.
    """
    path = folder / FILE
    try:
        entries = read_json(path, list[dict[str, Any]], "", list[_Placed]) if path.exists() else []
    except BadInput as error:
        say(f"{error}; {choice.setting}={choice.value} is not written there")
        return
    before = [
        entry for entry in entries
        if entry["setting"] != choice.setting or entry.get("images", 0) < choice.figures["images"]
    ]  # fmt: skip
    with owned(path, "train") as temporary:
        write_json(temporary, [*before, choice.to_json()])
