"""What a run is called, where it lies, how long it may take, and what its bits depend on."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import torch

import evenodds
from evenodds.errors import BadInput
from evenodds.files.lock import NAME, Busy, lock_on, locked, unused
from evenodds.files.misfit import shortened
from evenodds.files.names import is_there, real, safe_name
from evenodds.files.outputs import Outputs, require_writable
from evenodds.game.engine import Local
from evenodds.game.exchange import held
from evenodds.runs.find import names
from evenodds.runs.folder_facts import Played
from evenodds.runs.values import ELSEWHERE, IN_MEMORY, Part

__all__ = [
    "as_seconds", "base_of", "claimed", "environment", "locked_folder", "next_folder", "outside", "placed", "versions",
]  # fmt: skip


def placed(data: Part | None) -> Part | None:
    """Paths made absolute, so that a run can be resumed from anywhere."""
    if data is None or data.name in (IN_MEMORY, ELSEWHERE) or not is_there(data.name) or data.name in names("sources"):
        return data
    start = data.options.get("root")  # of the paths in a list
    further = {"root": str(real(Path(start)))} if isinstance(start, str) else {}
    return Part(str(real(Path(data.name))), {**data.options, **further})


RUN_FILES = (
    "data.json", "environment.json", "choices.json", "remedies.json", "metrics.jsonl", "checkpoints", "samples",
    "logged",
)  # fmt: skip
"""What a run writes while it is played, beside config.yaml."""


def outside(base: Path, data: Any, say: Callable[[str], None] = lambda line: None) -> Path:
    """The folder for results, beside the folder of the data where it would lie in it: results are no data.

    Args:
        base: of the current folder, such as runs.
        data: what is read; only a folder counts.
        say: told where it is put beside.

    Raises:
        BadInput: it can only lie in the data.
    """
    home = _home(data)
    if home is None:
        return base
    if not real(base).is_relative_to(home) or os.fspath(data) in names("sources"):
        return base
    if home.parent == home or not os.access(home.parent, os.W_OK):
        raise BadInput(f"{base} would lie in the data, {home}, beside which nothing can be written; give --out FOLDER")
    if real(home.parent / base.name) == home:
        raise BadInput(f"{base} is the folder of the data, and results are no data; give --out FOLDER")
    beside = Path(os.path.relpath(home.parent / base.name))
    say(f"{base} would lie in the data: results are put beside it, in {beside} (--out FOLDER names another folder)")
    return beside


def base_of(
    base: Path, data: str | None, out: str | Path | None, say: Callable[[str], None] = lambda line: None
) -> Path:
    """The folder for results, see `outside`; just `base` where they go to `out`, which must not be the data themselves.

    Raises:
        BadInput: `out` is the folder of the data, among which results would be read as such the next time.
    """
    if out is None:
        return outside(base, data, say)
    if real(Path(out)) == _home(data):
        raise BadInput(f"{out} is the folder of the data, and results are no data; give --out another folder")
    return base


def _home(data: Any) -> Path | None:
    """The folder of the data, resolved; None where they are no folder."""
    there = isinstance(data, str | Path) and is_there(str(data)) and Path(data).is_dir()
    return real(Path(data)) if there else None


@contextmanager
def claimed(recipe: str, out: str | Path | None, command: str = "train", base: Path = Path("runs")) -> Iterator[Path]:
    """Holds the folder of a new run while it is written; see evenodds.files.lock.

    Args:
        out: the folder; the next free `<base>/<recipe>-<n>` where None.
        command: that holds it.
        base: of the folders of runs.

    Raises:
        BadInput: it is held by another process, holds a run, or holds files of the user's under names of a run's files.
    """

    def hold(stack: ExitStack) -> Path:
        named = Path(out) if out is not None else None
        require_writable(named or base, "name a folder elsewhere with --out")
        folder = stack.enter_context(locked_folder(named, base, recipe, command))
        if (folder / "config.yaml").exists():
            raise BadInput(f"{folder} already holds a run; resume it, or give another folder")
        outputs = Outputs(folder, "train", "name another folder with --out")
        outputs.require(folder / name for name in RUN_FILES)
        return folder

    with held(hold) as folder:
        yield folder


@contextmanager
def locked_folder(out: Path | None, base: Path, name: str, command: str) -> Iterator[Path]:
    """Holds the folder that was named, or the next free one, see `next_folder`."""
    if out is None:
        with next_folder(base, name, command) as folder:
            yield folder
        return
    with locked(out, command, hint=", or give another folder with --out"):
        yield out


@contextmanager
def next_folder(base: Path, name: str, command: str) -> Iterator[Path]:
    """Holds the first of base/name-1, base/name-2, ... that is free: two calls at once get two folders.

    The number is above all that are there. A folder in which a killed call left nothing but its lock is taken again.
    """
    name = safe_name(name)  # of a recipe or a file, which may be a stranger's
    numbers = _numbers(base, name)
    first = max(numbers, default=0) + 1
    left = [number for number in sorted(numbers) if _left(base / f"{name}-{number}")]
    for number in chain(left, count(first)):
        folder = base / f"{name}-{number}"
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(folder, command, new=number >= first))
            except (Busy, FileExistsError):
                continue
            if unused(folder):
                yield folder
                return


def _numbers(base: Path, name: str) -> set[int]:
    """Those of base/name-1, base/name-2, ... that are there."""
    pattern = re.compile(f"{re.escape(name)}-([0-9]{{1,9}})")
    matches = [pattern.fullmatch(path.name) for path in base.iterdir()] if base.is_dir() else []
    return {int(match[1]) for match in matches if match is not None}


def _left(folder: Path) -> bool:
    """Whether a call that was killed left nothing in a folder but its lock."""
    return (folder / NAME).is_file() and unused(folder) and lock_on(folder) is None


def environment(engine: Local) -> dict[str, Any]:
    """What the bits of a run depend on, beside its configuration: of processes, how many there are from when on."""
    facts = {**versions(), "device": str(engine.device), "threads": torch.get_num_threads()}
    return {**facts, "processes": [asdict(Played(0, engine.size))]}


def versions() -> dict[str, str]:
    """Of what runs here, and the kind of machine."""
    return {
        "evenodds": evenodds.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }


UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
}
"""Seconds of each unit of time."""
_LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-z]+)", re.IGNORECASE)
LONGEST = 10**9
"""Seconds of a budget: some 31 years."""


def as_seconds(length: str | float | None) -> float | None:
    """A length of time: a number of seconds, or words such as "90s", "10m", "10 min", "1h30m"; at most 10^9 seconds.

    Raises:
        BadInput: it is none, or words without a unit.
    """
    if length is None:
        return None
    value = _seconds(length) if isinstance(length, str) else float(length)
    if not 0 < value <= LONGEST:
        raise BadInput(f"a budget is a length of time such as 60s, 10m or 1h30m; got {shortened(length)}")
    return value


def _seconds(length: str) -> float:
    """Of words; 0 where they are no length of time."""
    text = length.strip()
    if re.fullmatch(r"\d+(\.\d+)?|\.\d+", text):
        number = shortened(text).strip("'")
        raise BadInput(f"a budget needs a unit: {number}s, {number}m or {number}h; got {number}")
    found = _LENGTH.findall(text)
    if not found or _LENGTH.sub("", text).strip() or any(unit.lower() not in UNITS for _, unit in found):
        return 0.0
    return sum(float(number) * UNITS[unit.lower()] for number, unit in found)
