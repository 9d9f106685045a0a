"""A run folder checked from end to end. Nothing in it is executed or changed, and it may be a stranger's."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from evenodds.data.wording import count, shape_of
from evenodds.errors import BadInput
from evenodds.files.finding import FAULT, FINE, NOTE, Finding
from evenodds.files.lock import NAME as LOCK
from evenodds.files.lock import holder_of
from evenodds.files.misfit import shortened
from evenodds.files.names import is_link
from evenodds.files.read import read_json
from evenodds.files.regular import open_regular, refusal
from evenodds.files.tensors import read_tensors
from evenodds.files.write import is_temporary
from evenodds.game import checkpoint
from evenodds.game.checkpoint import Header
from evenodds.game.history import read_history
from evenodds.runs import remedy
from evenodds.runs.allowed import NotAllowed
from evenodds.runs.card import DataCard, read_card
from evenodds.runs.changes import difference, with_settings
from evenodds.runs.config import Config, from_mapping, require_allowed
from evenodds.runs.config_files import read
from evenodds.runs.folder_facts import LEARNED_BESIDE, no_run
from evenodds.runs.folders import versions
from evenodds.runs.origin import Origin
from evenodds.runs.run_data import Elsewhere, data_place, open_run_data
from evenodds.runs.session import load
from evenodds.runs.values import ELSEWHERE, IN_MEMORY

__all__ = ["examine"]

_ABSENT = {IN_MEMORY: "in memory", ELSEWHERE: "not handed on with the run"}
"""Names of data that cannot be looked at, and where they were."""
MOST_ENTRIES = 10_000
"""Files and folders that are looked at."""
UNEXPECTED = (ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)
"""What a check may end with; each is a finding."""


def examine(
    folder: Path, data: Any = None, read_data: bool = True, reading: Callable[[int, int], None] | None = None
) -> list[Finding]:
    """All that is found in a run folder, file by file.

    Args:
        data: where the data of the run lie now; None for where they were.
        read_data: whether the data are read and compared with those that the run was trained on.
        reading: told (files done, files in all) while the data are read.

    Raises:
        BadInput: there is no such folder, or it holds no config.yaml.
    """
    if not (folder / "config.yaml").exists() and not is_link(folder / "config.yaml"):
        raise no_run(folder)
    return [*Examination(folder).findings(data, read_data, reading)]


@dataclass
class Examination:
    """The checks of one run folder; what an earlier one has read, later ones use."""

    folder: Path
    config: Config | None = None
    card: DataCard | None = None
    needs_external_code: bool = False

    @property
    def noun(self) -> str:
        """What items of the data are called."""
        return self.card.noun if self.card is not None else "items"

    def findings(self, data: Any, read_data: bool, reading: Any) -> Iterator[Finding]:
        """Those of every check, in order. A check that cannot be ended is a fault."""
        for place, check in self.checks(data, read_data, reading):
            yield from _ended(place, check)

    def checks(self, data: Any, read_data: bool, reading: Any) -> list[tuple[str, Callable[[], Iterator[Finding]]]]:
        """What is checked, in order, by the place in the folder; a check raises where it cannot be ended."""
        return [
            (".", self._entries),
            ("data.json", self._card),
            ("config.yaml", self._config),
            ("environment.json", self._environment),
            ("choices.json", partial(self._json, "choices.json", list[dict[str, Any]])),
            ("remedies.json", self._remedies),
            ("origin.json", partial(self._json, "origin.json", list[Origin])),
            ("evaluation.json", partial(self._json, "evaluation.json", dict[str, Any])),
            ("metrics.jsonl", self._history),
            ("checkpoints", self._checkpoints),
            *((name, partial(self._tensors, name)) for name in LEARNED_BESIDE),
            ("pictures", self._pictures),
            ("the data", partial(self._data, data, read_data, reading)),
        ]

    def _entries(self) -> Iterator[Finding]:
        """What lies in the folder that should not."""
        files = 0
        for place, _, names in os.walk(self.folder):
            for name in names:
                files += 1
                yield from _entry(Path(place, name), self.folder)
            if files > MOST_ENTRIES:
                yield Finding(NOTE, ".", f"it holds more than {MOST_ENTRIES:,} files; the others were not looked at")
                return
        holder = holder_of(self.folder)
        if holder is not None:
            yield Finding(NOTE, LOCK, f"held by {holder}, if that still runs; findings may be of a run that goes on")
        yield Finding(FINE, ".", f"{files:,} files")

    def _config(self) -> Iterator[Finding]:
        config = read(self.folder / "config.yaml")
        self.config = config
        try:
            require_allowed(config, "it")
            yield Finding(
                FINE, "config.yaml", f"recipe {config.recipe}, seed {config.seed}, {config.images:,} {self.noun}"
            )
        except NotAllowed as error:
            self.needs_external_code = True
            yield Finding(NOTE, "config.yaml", f"{error}; the players were not built")

    def _card(self) -> Iterator[Finding]:
        self.card = card = read_card(self.folder)
        columns = f"rows of {count(len(card.columns), 'column')}" if card.units.columns else ""
        classes = f", {len(card.classes)} classes" if card.classes else ""
        yield Finding(FINE, "data.json", f"{card.items:,} {columns or shape_of(card.kind, card.shape)}{classes}")
        if card.fingerprint is None:
            yield Finding(NOTE, "data.json", "no fingerprint of the data, so that others cannot be told from them")

    def _environment(self) -> Iterator[Finding]:
        path = self.folder / "environment.json"
        if not path.exists():
            yield Finding(NOTE, path.name, "not there: exact bits cannot be traced to versions")
            return
        there = read_json(path, dict[str, Any])
        others = [f"{name} {shortened(there[name])}, here {here!r}" for name, here in versions().items()
                  if there.get(name, here) != here]  # fmt: skip
        yield Finding(NOTE if others else FINE, path.name, f"made with {'; '.join(others)}" if others else "as here")

    def _json(self, name: str, kind: type[Any]) -> Iterator[Finding]:
        if (self.folder / name).exists() or is_link(self.folder / name):
            entries = len(read_json(self.folder / name, kind))
            yield Finding(FINE, name, f"{entries:,} {'entry' if entries == 1 else 'entries'}")

    def _remedies(self) -> Iterator[Finding]:
        remedies = remedy.read(self.folder)
        for one in remedies if self.config is not None else ():
            with_settings(self.config, one.settings)  # type: ignore[arg-type]
        if remedies:
            yield Finding(FINE, remedy.FILE, f"{len(remedies)} in force")

    def _history(self) -> Iterator[Finding]:
        name = "metrics.jsonl"
        if not (self.folder / name).exists():
            yield Finding(NOTE, name, "not there: there is no history to show")
            return
        lines = read_history(self.folder / name)
        if lines.damaged:
            yield Finding(FAULT, name, f"cannot read {count(lines.damaged, 'line')}, passed over: {lines.first}")
        yield from _inconsistent(name, lines.values, self.config, self.noun)
        yield Finding(FINE, name, count(len(lines.values), "line"))

    def _checkpoints(self) -> Iterator[Finding]:
        home = self.folder / "checkpoints"
        paths = checkpoint.listing(home)
        if not paths:
            yield Finding(NOTE, "checkpoints", "none yet: `evenodds resume` starts the run from the beginning")
        if is_link(home):
            yield Finding(NOTE, "checkpoints", "a link: no checkpoint is removed through it")
        for path in paths:
            yield from _ended(f"checkpoints/{path.name}", partial(self._checkpoint, path))

    def _checkpoint(self, path: Path) -> Iterator[Finding]:
        place, faulty = f"checkpoints/{path.name}", False
        states, header = checkpoint.load(path)
        for what in self._misfits(path, header):
            faulty = True
            yield Finding(FAULT, place, what)
        tensors = sum(len(state.tensors) for state in states.values())
        if self.config is not None and self.card is not None and not self.needs_external_code:
            load(self.folder, path.name, "cpu")
        if not faulty:
            yield Finding(FINE, place, f"{len(states)} parts, {tensors:,} tensors" + _score(header))

    def _misfits(self, path: Path, header: Header) -> Iterator[str]:
        """What a checkpoint says that the rest of the run does not."""
        if header.images != checkpoint.images_of(path):
            yield f"it is of {header.images:,} {self.noun}, its name says {checkpoint.images_of(path):,}"
        if not checkpoint.is_removable(path):
            yield "it is a link, or holds files that are not a checkpoint's"
        if self.card is not None and header.data and self.card.fingerprint not in (None, header.data):
            yield "it was trained on other data than data.json says (the fingerprints differ)"
        if self.config is not None and header.config:
            saved = from_mapping(header.config, "the checkpoint")
            yield from difference(replace(self.config, data=saved.data), saved)  # the place may change

    def _tensors(self, name: str) -> Iterator[Finding]:
        """A file that a command has left beside the run, if it is there."""
        path = self.folder / name
        if path.exists() or is_link(path):
            yield Finding(FINE, path.name, f"{len(read_tensors(path)):,} tensors")

    def _pictures(self) -> Iterator[Finding]:
        paths = [*self.folder.glob("*.png"), *self.folder.glob("*.gif"), *(self.folder / "samples").glob("*.png")]
        whole = 0
        for path in sorted(path for path in paths if not path.name.startswith("."))[:MOST_ENTRIES]:
            why = _unreadable(path)
            whole += not why
            if why:
                yield Finding(FAULT, path.relative_to(self.folder).as_posix(), why)
        if whole:
            yield Finding(FINE, "pictures", f"{whole:,} are whole")

    def _data(self, data: Any, read_data: bool, reading: Any) -> Iterator[Finding]:
        if self.config is None or self.card is None or self.config.data is None:
            return
        name = self.config.data.name
        if data is None and name in _ABSENT:
            yield Finding(NOTE, "the data", f"were {_ABSENT[name]}; they are not looked at")
        elif not read_data:
            yield Finding(NOTE, "the data", f"{data_place(self.config) or name} was not looked at")
        else:
            yield self._compared(data, reading)

    def _compared(self, data: Any, reading: Any) -> Finding:
        assert self.config is not None
        try:
            dataset = open_run_data(self.config, self.card, data, reading)
            return Finding(FINE, "the data", f"{len(dataset):,} {dataset.noun}, those that the run was trained on")
        except (Elsewhere, NotAllowed) as error:
            return Finding(NOTE, "the data", str(error))


def _ended(place: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of a check, and a fault where it ends with an error."""
    try:
        yield from check()
    except BadInput as error:
        yield Finding(FAULT, place, str(error))
    except UNEXPECTED as error:
        yield Finding(FAULT, place, f"it cannot be checked: {type(error).__name__}: {error}")


def _entry(path: Path, folder: Path) -> Iterator[Finding]:
    """What is wrong with a file as such."""
    place = path.relative_to(folder).as_posix()
    if is_temporary(path.name):
        yield Finding(NOTE, place, "left by a process that was killed, or in work; the next one that writes removes it")
    elif is_link(path):
        inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
        yield Finding(NOTE if inside else FAULT, place, "a link" + ("" if inside else " that leads out of the folder"))
    elif reason := refusal(path):
        yield Finding(FAULT, place, f"it is {reason}, and only regular files are read")


def _inconsistent(name: str, lines: Sequence[Mapping[str, Any]], config: Config | None, noun: str) -> Iterator[Finding]:
    """Where the history runs backwards, says an interval twice, or is longer than the run."""
    images = [line["images"] for line in lines]
    back = next((k for k in range(1, len(images)) if images[k] < images[k - 1]), None)
    if back is not None:
        yield Finding(FAULT, name, f"it runs backwards, from {images[back - 1]:,} to {images[back]:,} {noun}")
    alike = Counter((line["images"], tuple(sorted(line))) for line in lines)
    twice = next((key[0] for key, n in alike.items() if n > 1), None)
    if twice is not None:
        yield Finding(FAULT, name, f"it says the interval at {twice:,} {noun} more than once")
    if config is not None and images and max(images) > config.images + config.batch:
        yield Finding(FAULT, name, f"it goes to {max(images):,} {noun}, the run has {config.images:,}")


def _score(header: Header) -> str:
    return f", score {header.score:.4f}" if header.score is not None else ""


def _unreadable(path: Path) -> str:
    """Why a picture is not whole; empty where it is."""
    try:
        with open_regular(path) as stream, Image.open(stream, formats=["PNG", "GIF"]) as image:
            image.verify()
    except (BadInput, *UNEXPECTED, SyntaxError, Image.DecompressionBombError) as error:
        return f"the picture cannot be read: {' '.join(str(error).split())[:200]}"
    return ""
