"""What the studio knows: the runs below its folder as they stand, and the folders that data may lie in."""

from __future__ import annotations

import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenodds.errors import BadInput
from evenodds.files.tail import Tail
from evenodds.runs.find import names
from evenodds.runs.launching import Launched, launched
from evenodds.runs.watching import RunView, Watching
from evenodds.server.places import Places

__all__ = ["Studio"]

MOST_PROCESSES = 50
"""The latest, which are looked at."""
MOST_CURVES = 6
"""Histories that are kept in memory."""
PACE = 0.7
"""Seconds from one look at the runs to the next, however many pages ask."""


@dataclass
class Studio:
    """The studio behind its endpoints.

    Args:
        base: the folder of the runs.
        places: where data may lie.
    """

    base: Path
    places: Places
    watching: Watching = field(init=False)
    start: str = field(init=False, default_factory=lambda: secrets.token_hex(4))
    starting: threading.Lock = field(init=False, default_factory=threading.Lock)
    """Held from the look at what is there, or at work, until what follows from it is done: a process started, a run put
    in the bin."""
    _looked: float = field(init=False, default=0.0)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _launched: list[Launched] = field(init=False, default_factory=list)
    _seen: int = field(init=False, default=-1)
    _open: list[RunView] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.watching = Watching([self.base])

    def look(self) -> int:
        """Reads what has changed, at most once in `PACE` seconds; the number of changes so far."""
        with self._lock:
            if time.monotonic() - self._looked >= PACE:
                self.watching.look()
                self._looked = time.monotonic()
            return self.watching.version

    def again(self) -> None:
        """The next look is now, whenever the last one was, and it looks for new runs too."""
        with self._lock:
            self.watching.seek()
            self._looked = 0.0

    def view(self, run: str) -> RunView:
        """A run by its name; BadInput where there is none."""
        with self._lock:
            return self.watching[run]

    def folder(self, run: str) -> Path:
        """The folder of a run; BadInput where there is none of that name."""
        return self.view(run).folder

    def curves(self, run: str) -> Tail:
        """The history of a run as it is now; those of few runs are kept, the latest that were asked for."""
        with self._lock:
            view = self.watching[run]
            self._open = [*(one for one in self._open if one is not view), view]
            while len(self._open) > MOST_CURVES:
                self._open.pop(0).forget()
            return view.curves()

    def processes(self) -> list[Launched]:
        """What was started from here, by this start of the studio or by one before, the latest first."""
        home = self.base / ".studio"
        stamp = home.stat().st_mtime_ns if home.is_dir() else 0
        if stamp != self._seen:
            self._launched, self._seen = launched(self.base), stamp
        return self._launched

    def data(self, text: str) -> str:
        """Data that were named, as `evenodds train --data` takes them: a source by name, or an allowed path."""
        return text if text in names("sources") else self.data_at(text)

    def data_at(self, text: str) -> str:
        """An allowed path from which no link leads out of the folders."""
        path = self.places.allowed(text)
        self.places.require_closed(path)
        return str(path)

    def require_own_data(self, view: RunView) -> None:
        """BadInput where a run's configuration names data outside of the folders: it may be a stranger's."""
        data = view.config.data if view.config is not None else None
        if view.config is None:
            raise BadInput(view.trouble or "the run has no configuration")
        texts = [] if data is None else [data.name, *(str(v) for v in data.options.values() if isinstance(v, str))]
        for text in texts:
            if ("/" in text or "\\" in text) and not self.places.holds(Path(text)):
                raise BadInput(
                    f"the data of this run are in {text}, outside of the folders of this studio; start it with --data "
                    "that folder, or type the command in a terminal"
                )

    def row(self, view: RunView) -> dict[str, Any]:
        """A run as the list shows it; `job`: what a process that was started from here does for it now."""
        job = next((one for one in self.processes() if Path(one.folder) == view.folder and one.alive), None)
        working = None if job is None else {"command": job.command[0], "said": (job.said() or [""])[-1]}
        return {"run": view.name, "job": working, **view.figures()}

    def tag(self) -> str:
        """The version of what is known and of what processes say, as an ETag."""
        alive = [one for one in self.processes()[:MOST_PROCESSES] if one.alive]
        said = sum(os.stat(one.log).st_size for one in alive if os.path.exists(one.log))
        return f'"{self.start}-{self.look()}-{len(alive)}-{len(self.processes())}-{said}"'
