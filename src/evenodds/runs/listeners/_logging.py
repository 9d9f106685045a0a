"""A run is logged elsewhere: its history, pictures and settings, in order, by a thread of its own."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from queue import Full, Queue
from typing import Any, ClassVar, Protocol, Self
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evenodds.errors import BadInput
from evenodds.files.extras import Missing, installed
from evenodds.files.names import below
from evenodds.files.read import read_json
from evenodds.files.text import visible
from evenodds.files.write import write_json
from evenodds.game.listeners.context import Order, RunContext
from evenodds.game.listeners.log import Log
from evenodds.game.trainer import Training
from evenodds.runs.anonymous import anonymous
from evenodds.version import __version__

__all__ = ["FOLDER", "Facts", "Logging", "Position", "Store", "new_id", "require_loggers"]

FOLDER = "logged"
"""In the run folder: how far each logger has come, and what stores keep there."""
PATIENCE = 30.0
"""Seconds for which the end of a run waits for a store."""
MOST = 20_000
"""Entries that wait for a store."""
NAME = re.compile(r"[^\w./ -]", re.ASCII)
"""What is no part of a name of figures in every store."""
NOTES = ("verdict", "remedy")


@dataclass(frozen=True)
class Position:
    """How far a run was logged.

    Args:
        id: of the logged run, as its store knows it.
        place: of the store, where that is not always the same.
        remedies: in force; a run that was changed and played again is another logged run.
        images: of the last entry; -1 before the first.
        names: of the entries there.
        pictures: images of the last picture; -1 before the first.
    """

    id: str = ""
    place: str = ""
    remedies: int = 0
    images: int = -1
    names: tuple[str, ...] = ()
    pictures: int = -1


@dataclass(frozen=True)
class Facts:
    """What a store is told of a run.

    Args:
        name: by which people know it.
        group: its name without remedies.
        folder: for files of the store.
        settings: by dotted name, without where the data lie; with the fingerprint of the data.
    """

    name: str
    group: str
    folder: Path
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, run: RunContext, folder: Path) -> Facts:
        """Those of a run that is played."""
        header, name = run.header, folder.resolve().name
        attempt = f"-remedy-{header['remedies']}" if header["remedies"] else ""
        about = {"data_fingerprint": header["data"], "evenodds": __version__, "score_is": header["score_is"] or "none"}
        settings = {**dict(_flat(anonymous(run.config).to_mapping())), **about}
        return cls(visible(name + attempt), visible(name), below(folder, FOLDER), settings)


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Plain values by dotted name; lists as text."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{inner}".removesuffix(".name"), one) for inner, one in _flat(value))
        else:
            yield key, value if isinstance(value, bool | int | float) else visible(value)


class Store(Protocol):
    """Where runs are logged. All calls come from one thread; what they raise ends the logging, and not the run."""

    def begin(self, facts: Facts, position: Position) -> Position:
        """Opens the logged run, a new one where the position has no id; the position with its id and place."""
        ...

    def figures(self, images: int, values: Mapping[str, float]) -> None:
        """Terms of the game, and scores with both ends of their intervals, after so many images."""
        ...

    def note(self, images: int, name: str, text: str) -> None:
        """A sentence: a verdict, or a remedy."""
        ...

    def picture(self, images: int, pixels: NDArray[np.uint8]) -> None:
        """Samples, or answers about held-out items, (H, W, 3)."""
        ...

    def end(self, finished: bool) -> None:
        """Closes the logged run; `finished`: whether it was played to its end."""
        ...


def require_loggers(names: Sequence[str]) -> None:
    """BadInput where the package of a logger is not installed."""
    there = installed() if names else {}
    for name in names:
        if name not in there:
            raise BadInput(f"log={name}: {Missing(name).reason}; or leave it out with --log none")


@dataclass
class Logging:
    """Hands what is new in the history of a run to a store, and what is new among its pictures.

    The listener reads what the history and the checkpoints hold already: it asks the game for nothing, and draws
    nothing, so that no bit depends on it.
    """

    name: ClassVar[str]
    forgets: ClassVar[bool] = False
    """Whether the store takes back what lies behind the place from which a run goes on."""
    patience: ClassVar[float] = PATIENCE
    order: ClassVar[Order] = Order.REPORT
    facts: Facts
    log: Log
    say: Callable[[str], None]
    store: Store
    remedies: int = 0
    position: Position = field(init=False, default_factory=Position)
    _worker: Worker = field(init=False)
    _read: int = field(init=False, default=0)
    _words: dict[str, str] = field(init=False, default_factory=dict)
    _said: bool = field(init=False, default=False)

    @classmethod
    def make_store(cls) -> Store:
        """The store."""
        raise NotImplementedError

    @classmethod
    def for_run(cls, run: RunContext) -> Self | None:
        """On where the settings name it, of a run that has a history."""
        log = run.listeners.get("log")
        if cls.name not in run.config.log or run.folder is None or not isinstance(log, Log):
            return None
        require_loggers([cls.name])
        return cls(Facts.of(run, run.folder), log, run.say, cls.make_store(), int(run.header["remedies"]))

    def begin(self, training: Training) -> None:
        path = self.facts.folder / f"{self.name}.json"
        try:
            self.position = read_position(path, self.remedies)
        except BadInput as error:
            self._tell(error)
        if self.forgets and self.position.images > training.progress.images:
            behind = training.progress.images - 1
            pictures = min(self.position.pictures, behind)
            self.position = replace(self.position, images=behind, names=(), pictures=pictures)
        self._worker = Worker(self.store, self.facts, self.position, path)
        self._read = 0
        self._hand_over()

    def after_round(self, training: Training) -> None:
        if self._worker.trouble is not None:
            self._tell(self._worker.trouble)
        elif len(self.log.lines) > self._read:
            self._hand_over()

    def end(self, training: Training) -> None:
        self._hand_over()
        done = self._worker.close(training.progress.images >= training.length, self.patience)
        if self._worker.trouble is not None:
            self._tell(self._worker.trouble)
        elif not done:
            self._tell(TimeoutError(f"not all was taken within {self.patience:g} s"))

    def _tell(self, trouble: BaseException) -> None:
        """Says once that the run is no longer logged."""
        if not self._said:
            self._said = True
            lines = [line.strip() for line in str(trouble).splitlines() if line.strip()]
            reason = visible(f"{type(trouble).__name__}: {lines[0][:200]}" if lines else type(trouble).__name__)
            self.say(f"{self.name} fails, and the run goes on without it ({reason})")

    def _hand_over(self) -> None:
        """Hands over the lines that are new, those of one place together, and the pictures that are new."""
        lines, self._read = self.log.lines[self._read :], len(self.log.lines)
        for images, group in groupby(lines, key=lambda line: int(line["images"])):
            self._entries(images, list(group))
        for images, path in _pictures(self.log.path.parent, self.position.pictures):
            self.position = replace(self.position, pictures=images)
            self._worker.put(self.position, _Picture(images, path))

    def _entries(self, images: int, lines: Sequence[Mapping[str, Any]]) -> None:
        """Hands over what the lines after so many images say, but for what was handed over before."""
        figures, notes = figures_of(lines), self._notes(lines)
        known = set(self.position.names) if images == self.position.images else set()
        if images < self.position.images:
            return
        figures = {name: value for name, value in figures.items() if name not in known}
        notes = {name: text for name, text in notes.items() if name not in known}
        if figures or notes:
            names = tuple(sorted({*known, *figures, *notes}))
            self.position = replace(self.position, images=images, names=names)
            self._worker.put(self.position, _Entry(images, figures, notes))

    def _notes(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """The verdict where it has become another one, and remedies."""
        notes = {}
        for line in lines:
            for name in NOTES:
                word = line.get(name)
                if word is not None and self._words.get(name) != word:
                    self._words[name] = word
                    notes[name] = visible(f"{word}: {line.get('why')}" if name == "verdict" else word)
        return notes


def read_position(path: Path, remedies: int) -> Position:
    """How far a run was logged under so many remedies; the beginning where it was not."""
    before = read_json(path, Position, "remove it, and the run is logged anew") if path.exists() else Position()
    return before if before.remedies == remedies else Position(remedies=remedies)


def figures_of(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The finite numbers of some lines of a history by name; those of later lines count."""
    found: dict[str, float] = {}
    for line in lines:
        for name, value in _flat({key: one for key, one in line.items() if key != "images"}):
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                found[NAME.sub("_", name)] = float(value)
    return found


def _pictures(folder: Path, after: int) -> list[tuple[int, Path]]:
    """The pictures of a run beyond so many images, by images."""
    paths = [path for path in (folder / "samples").glob("*.png") if path.stem.isdecimal() and len(path.stem) <= 18]
    return sorted((int(path.stem), path) for path in paths if int(path.stem) > after)


# Handing over --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    images: int
    figures: Mapping[str, float]
    notes: Mapping[str, str]

    def give(self, store: Store) -> None:
        if self.figures:
            store.figures(self.images, self.figures)
        for name, text in self.notes.items():
            store.note(self.images, name, text)


@dataclass(frozen=True)
class _Picture:
    images: int
    path: Path

    def give(self, store: Store) -> None:
        with Image.open(self.path) as image:
            store.picture(self.images, np.asarray(image.convert("RGB")))


class Worker:
    """The thread that talks to a store, so that a store that is slow or fails is in nobody's way.

    The position is written before each entry is given: after a kill an entry may be missing, and none is there twice.

    Args:
        path: of the file for the position.
    """

    def __init__(self, store: Store, facts: Facts, position: Position, path: Path) -> None:
        self._store, self._facts, self._path, self._begun = store, facts, path, position
        self._entries: Queue[tuple[Position, _Entry | _Picture] | bool] = Queue(MOST)
        self.trouble: BaseException | None = None
        """What the store has failed with."""
        self._late = False
        """Whether the run has ended meanwhile: what was not taken is for the next resume."""
        self._thread = threading.Thread(target=self._work, name=f"log {path.stem}", daemon=True)
        self._thread.start()

    def put(self, position: Position, entry: _Entry | _Picture) -> None:
        """Hands an entry over."""
        try:
            self._entries.put_nowait((position, entry))
        except Full:
            self.trouble = self.trouble or TimeoutError("it takes entries slower than they come")

    def close(self, finished: bool, patience: float) -> bool:
        """Lets the thread end; whether it has within so many seconds."""
        try:
            self._entries.put_nowait(finished)
        except Full:
            return False
        self._thread.join(patience)
        self._late = self._thread.is_alive()
        return not self._late

    def _work(self) -> None:
        try:
            begun = self._store.begin(self._facts, self._begun)
            write_json(self._path, asdict(begun))  # from here on it is known, also where the run is killed at once
            while not isinstance(item := self._entries.get(), bool):
                if self._late:
                    return
                position, entry = item
                write_json(self._path, asdict(replace(position, id=begun.id, place=begun.place)))
                entry.give(self._store)
            self._store.end(item)
        except BaseException as error:
            self.trouble = error


def new_id() -> str:
    """Of a logged run, where the store takes one."""
    return uuid4().hex[:16]
