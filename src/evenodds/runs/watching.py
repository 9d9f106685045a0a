"""The runs below a folder as they stand: only what has changed since the last look is read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenodds.errors import BadInput
from evenodds.files.lock import NAME as LOCK
from evenodds.files.lock import Holder, holder_of
from evenodds.files.names import safe_name
from evenodds.files.tail import Tail
from evenodds.game.history import is_line
from evenodds.runs.config import Config
from evenodds.runs.config_files import read
from evenodds.runs.folder_facts import is_run, noun_of

__all__ = ["RunView", "Watching"]

DEEPEST = 3
"""Folders within each other in which runs are looked for."""
MOST_RUNS = 2000
MOST_CHANGES = 200
"""Changes of a verdict that are kept, the latest."""
POINTS = 60
"""Of a sparkline."""
AGAIN = 4.0
"""Seconds from one look for new runs to the next."""
PLAYING = ("train", "resume")


@dataclass
class Standing:
    """How a run stands, by the lines of its history so far; the lines themselves are not kept."""

    images: int = 0
    seconds: float = 0.0
    images_per_second: float = 0.0
    verdict: str | None = None
    why: str | None = None
    scores: list[tuple[int, float]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    """Lines at which the verdict became another one, and remedies."""

    def add(self, line: dict[str, Any]) -> None:
        """Takes one more line into account."""
        self.images, self.seconds = int(line["images"]), float(line.get("seconds", self.seconds))
        self.images_per_second = line.get("images_per_second") or self.images_per_second
        if line.get("score") is not None:
            self.scores.append((self.images, float(line["score"])))
        if "verdict" in line:
            self.verdict, self.why = line["verdict"], line.get("why")
        word = line.get("remedy") or line.get("verdict")
        if word is not None and (not self.changes or self.changes[-1]["word"] != word):
            kind = "remedy" if line.get("remedy") else "verdict"
            self.changes = self.changes[-MOST_CHANGES:]
            self.changes.append({"images": self.images, "kind": kind, "word": word, "why": line.get("why")})


@dataclass
class RunView:
    """A run as it stands.

    Args:
        folder: of the run.
        name: by which people know it.
    """

    folder: Path
    name: str
    standing: Standing = field(init=False, default_factory=Standing)
    config: Config | None = field(init=False, default=None)
    trouble: str = field(init=False, default="")
    """Why its configuration cannot be read."""
    noun: str = field(init=False, default="items")
    """What items of its data are called."""
    holder: Holder | None = field(init=False, default=None)
    samples: list[int] = field(init=False, default_factory=list)
    """Images at which a picture of samples was written."""
    files: frozenset[str] = field(init=False, default=frozenset())
    """The names of what is in the folder."""
    changed: float = field(init=False, default=0.0)
    """Seconds since 1970 of the last change."""
    _tail: Tail = field(init=False)
    _curves: Tail | None = field(init=False, default=None)
    _stamps: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._tail = Tail(self.folder / "metrics.jsonl", is_line)

    @property
    def damaged(self) -> int:
        """Lines of the history that could not be read."""
        return self._tail.damaged

    def curves(self) -> Tail:
        """All lines of the history, as they are now; kept until `forget`."""
        if self._curves is None:
            self._curves = Tail(self._tail.path, is_line)
        self._curves.follow()
        return self._curves

    def forget(self) -> None:
        """Lets the lines of the history go."""
        self._curves = None

    def look(self) -> bool:
        """Reads what has changed; whether anything has."""
        changed = self._followed()
        if self._moved("config.yaml"):
            changed = True
            self._configure()
        if self._moved("data.json"):
            changed = True
            self.noun = noun_of(self.folder)
        if self._moved(""):
            changed = True
            self.files = frozenset(_names(self.folder))
        if self._moved("samples"):
            changed = True
            self.samples = sorted(int(n[:-4]) for n in _names(self.folder / "samples") if _is_numbered(n))
        if self._moved("checkpoints"):
            changed = True
        changed = self._held() or changed
        self.changed = max(self._stamps.get(name, 0) for name in ("", "samples", "checkpoints", "config.yaml")) / 1e9
        return changed

    @property
    def state(self) -> str:
        """playing: a process trains it; working: a process does something else; finished; stopped."""
        if self.holder is not None:
            return "playing" if self.holder.command in PLAYING else "working"
        total = self.config.images if self.config is not None else 0
        return "finished" if total and self.images >= total else "stopped"

    @property
    def images(self) -> int:
        """Real images shown so far."""
        return self.standing.images

    def figures(self) -> dict[str, Any]:
        """What a list shows of the run, as plain values."""
        standing, config, speed = self.standing, self.config, self.standing.images_per_second
        total, playing = config.images if config is not None else 0, self.state == "playing"
        scores = standing.scores
        return {
            "state": self.state,
            "by": self.holder.command if self.holder is not None else None,
            "recipe": config.recipe if config is not None else None,
            "task": config.task.name if config is not None else None,
            "data": Path(config.data.name).name if config is not None and config.data is not None else None,
            "images": self.images,
            "noun": self.noun,
            "total": total,
            "seconds": standing.seconds,
            "images_per_second": speed,
            "left": (total - self.images) / speed if playing and speed and total > self.images else None,
            "verdict": standing.verdict,
            "why": standing.why,
            "scores": _thinned(scores, POINTS),
            "score": scores[-1][1] if scores else None,
            "best": min((score for _, score in scores), default=None),
            "samples": self.samples[-1] if self.samples else None,
            "report": "report.html" in self.files,
            "evaluated": "evaluation.json" in self.files,
            "changed": round(self.changed, 3),
            "trouble": self.trouble,
        }

    def _followed(self) -> bool:
        """Reads what is new in the history; whether anything is."""
        before = self._tail.identity
        changed = self._tail.follow()
        if self._tail.identity != before:
            self.standing = Standing()
        for line in self._tail.taken():
            self.standing.add(line)
        return changed

    def _configure(self) -> None:
        self.trouble = ""
        try:
            self.config = read(self.folder / "config.yaml")
        except (BadInput, OSError) as error:
            self.config, self.trouble = None, str(error)

    def _held(self) -> bool:
        """Looks at who holds the folder; whether it is another one than before."""
        holder = holder_of(self.folder) if os.path.lexists(self.folder / LOCK) else None
        if holder is not None and holder.process.alive() is False:
            holder = None
        changed, self.holder = holder != self.holder, holder
        return changed

    def _moved(self, name: str) -> bool:
        """Whether a file or folder has changed since the last look."""
        try:
            stamp = os.stat(self.folder / name).st_mtime_ns
        except OSError:
            stamp = 0
        changed = self._stamps.get(name, -1) != stamp
        self._stamps[name] = stamp
        return changed


class Watching:
    """All runs below some folders.

    Args:
        bases: the folders.
    """

    def __init__(self, bases: Sequence[Path]) -> None:
        self._bases = list(bases)
        self._views: dict[str, RunView] = {}
        self._sought = 0.0
        self.version = 0
        """Grows with every change."""

    def __getitem__(self, name: str) -> RunView:
        """The run of that name; BadInput where there is none: no path is made of what is asked for."""
        if name not in self._views:
            self.seek()
        if name not in self._views:
            raise BadInput(f"no run '{name[:80]}' in {', '.join(map(str, self._bases))}; see the list of runs")
        return self._views[name]

    def look(self) -> None:
        """Reads what has changed."""
        gone = not all(view.folder.is_dir() for view in self._views.values())
        if gone or time.monotonic() - self._sought > AGAIN:
            self.seek()
        if any([view.look() for view in self._views.values()]):
            self.version += 1

    def seek(self) -> None:
        """Looks for runs that are new, and for those that are gone."""
        self._sought = time.monotonic()
        found: dict[str, RunView] = {}
        there = {view.folder: view for view in self._views.values()}
        for base in self._bases:
            for folder in _runs(base, DEEPEST):
                name = safe_name(folder.relative_to(base).as_posix().replace("/", " ~ ") or base.name)
                while name in found:
                    name = f"{name}+"
                found[name] = there.get(folder) or RunView(folder, name)
                if len(found) >= MOST_RUNS:
                    break
        if [view.folder for view in found.values()] != [view.folder for view in self._views.values()]:
            self.version += 1
        self._views = found
        for view in found.values():
            if view not in there.values():
                view.look()

    def newest_first(self) -> list[RunView]:
        """The runs, those that are played first, then by their last change."""
        return sorted(self._views.values(), key=lambda view: (view.state != "playing", -view.changed))


def _runs(folder: Path, deepest: int) -> Iterator[Path]:
    """Run folders at and below a folder, without following links."""
    if is_run(folder):
        yield folder
        return
    if deepest == 0:
        return
    try:
        with os.scandir(folder) as entries:
            inside = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith("."))
    except OSError:
        return
    for name in inside:
        yield from _runs(folder / name, deepest - 1)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _is_numbered(name: str) -> bool:
    return name.endswith(".png") and name[:-4].isdecimal() and len(name) < 20


def _thinned(values: Sequence[Any], most: int) -> list[Any]:
    """At most so many values, evenly spread, the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(k * (len(values) - 1) / (most - 1))] for k in range(most)]
