"""What once fell, by the change itself: seeds stand for other changes when the files of runs or the draws change."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz.cases import COMMANDS, Outcome, laid_out, played, worded
from tests.fuzz.readers import Untouched, answers, readers_of

__all__ = ["play_fall"]


def play_fall(fall: Mapping[str, Any], home: Path, scratch: Path) -> Outcome:
    """Makes the change that fell, and plays what reads the changed file, then the command that fell.

    Args:
        fall: `family`; `file`, the end of a path in the run; and what was done to it: `text`, `link` or `size` in its
            place, or at the `place` in what it holds a `value`, a `repeated` text, or nothing where it was `deleted`.
            `command`: a key of COMMANDS; the readers alone where there is none.
        home: with the runs of tests.fuzz.runs.
        scratch: a folder that is removed and made anew.
    """
    run = laid_out(home, scratch, fall["family"])
    path = next(path for path in sorted(run.rglob("*")) if path.as_posix().endswith(f"/{fall['file']}"))
    _change(path, fall)
    name = path.relative_to(run).as_posix()
    said = answers(readers_of({name}, 1), run, Untouched(home / "runs" / fall["family"]))
    wrong = "; ".join(what for answer, what in said if answer == "wrong")
    if wrong or "command" not in fall:
        return Outcome(-1, f"readers of {fall['family']}", str(fall)[:200], wrong)
    words = [worded(word, fall["family"], home, scratch) for word in COMMANDS[fall["command"]][2]]
    return played(-1, f"{fall['command']} of {fall['family']}", str(fall)[:200], words, run, scratch)


def _change(path: Path, fall: Mapping[str, Any]) -> None:
    if "text" in fall:
        path.write_bytes(fall["text"].encode("latin-1"))
    elif "link" in fall:
        path.unlink()
        path.symlink_to(fall["link"])
    elif "size" in fall:
        os.truncate(path, fall["size"])
    else:
        lines = path.read_text("utf-8").split("\n") if path.suffix == ".jsonl" else [path.read_text("utf-8")]
        k = next(k for k, line in enumerate(lines) if path.suffix != ".jsonl" or _at(json.loads(line), fall["place"]))
        lines[k] = json.dumps(_set(yaml.safe_load(lines[k]), fall))
        path.write_text("\n".join(lines), "utf-8")


def _at(value: Any, place: list[Any]) -> bool:
    """Whether a line has the place."""
    return place[0] in value


def _set(value: Any, fall: Mapping[str, Any]) -> Any:
    """The value, changed at the place."""
    new = fall["repeated"][0] * fall["repeated"][1] if "repeated" in fall else fall.get("value")
    *way, last = fall["place"]
    parent = value
    for step in way:
        parent = parent[step]
    if fall.get("renamed"):
        parent[new] = parent.pop(last)
    elif fall.get("deleted"):
        del parent[last]
    else:
        parent[last] = new
    return value
