"""What a command does beside its work, by the audit events of Python: imports, processes, sockets, changes of files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

__all__ = ["PLANTED", "watched"]

PLANTED = ("antigravity", "evil", "this", "webbrowser", "turtle", "idlelib")
"""Modules that only a name in a file leads to."""
CALLS = (
    "ftplib.connect", "http.client.connect", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "os.system",
    "pickle.find_class", "pty.spawn", "shutil.make_archive", "smtplib.connect", "socket.bind", "socket.connect",
    "socket.getaddrinfo", "subprocess.Popen", "urllib.Request", "webbrowser.open",
)  # fmt: skip
"""Events that no command may cause."""
CHANGES = {
    "os.chmod": ((0, 2),), "os.chown": ((0, 3),), "os.link": ((1, 3),), "os.mkdir": ((0, 2),), "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)), "os.rmdir": ((0, 1),), "os.symlink": ((1, 2),), "os.truncate": ((0, 9),),
    "shutil.copyfile": ((1, 9),), "shutil.move": ((0, 9), (1, 9)), "shutil.rmtree": ((0, 1),),
}  # fmt: skip
"""Events that change files: where among their arguments each path is, and the folder to which it is relative."""


class _Watch:
    """What is watched now."""

    def __init__(self) -> None:
        self.places: tuple[str, ...] | None = None
        self.noted: list[str] = []
        self.run = ""

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook; it notes and never raises."""
        if self.places is None:
            return
        try:
            if wrong := self.wrong(event, arguments):
                self.noted.append(wrong)
        except Exception as error:
            self.noted.append(f"{event} could not be judged: {error!r}")

    def wrong(self, event: str, arguments: tuple[Any, ...]) -> str:
        """What is wrong with an event; empty where nothing is."""
        if event == "open":
            path, mode, flags = arguments
            return self.outside("open for writing", path) if _writes(mode, flags) else ""
        if event in CHANGES:
            paths = [_joined(arguments[k], arguments[d] if d < len(arguments) else -1) for k, d in CHANGES[event]]
            return next((text for path in paths if (text := self.outside(event, path))), "")
        if event == "import":
            name = str(arguments[0]).partition(".")[0]
            planted = name in PLANTED or (name not in _importable() and not _by_a_dependency())
            return f"import {arguments[0]}" if planted else ""
        if event == "exec":
            file = getattr(arguments[0], "co_filename", "")
            return f"exec of {file}" if file.startswith(self.run) else ""
        return f"{event}{arguments!r:.200}" if event in CALLS else ""

    def outside(self, event: str, path: Any) -> str:
        """The event, where its path lies outside the places that may be changed."""
        if isinstance(path, int) or path is None:
            return ""
        text = os.fsdecode(path)
        real = os.path.join(os.path.realpath(os.path.dirname(text) or "."), os.path.basename(text))
        real = os.path.realpath(text) if event == "open for writing" else real
        if real == os.devnull or "__pycache__" in real or not self.places:
            return ""
        return (
            "" if any(real == place or real.startswith(place + os.sep) for place in self.places) else f"{event} {real}"
        )


@cache
def _importable() -> frozenset[str]:
    """Top names of the modules of Python and of what is installed."""
    return frozenset({*sys.stdlib_module_names, *packages_distributions(), "evenodds", *sys.modules})


def _by_a_dependency() -> bool:
    """Whether what imports now is an installed package: these try modules that they can do without."""
    frame = sys._getframe()
    while frame is not None and (frame.f_code.co_filename == __file__ or "importlib" in frame.f_code.co_filename):
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None and "site-packages" in frame.f_code.co_filename


def _joined(path: Any, folder: Any) -> Any:
    """A path that may be relative to an open folder."""
    if isinstance(path, int) or not isinstance(folder, int) or folder < 0:
        return path
    return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))


def _writes(mode: Any, flags: Any) -> bool:
    changing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    return (isinstance(mode, str) and bool(set(mode) & set("wax+"))) or (
        isinstance(flags, int) and bool(flags & changing)
    )


@cache
def _hook() -> _Watch:
    """The one watch of this process: audit hooks stay to its end."""
    watch = _Watch()
    _importable()
    sys.addaudithook(watch.hear)
    return watch


@contextmanager
def watched(places: Sequence[Path], run: Path) -> Iterator[list[str]]:
    """Gives a list that fills with what is done that no command may do.

    Args:
        places: folders in which files may be changed.
        run: the folder of which nothing may be executed.
    """
    watch = _hook()
    watch.noted, watch.run = [], os.path.realpath(run)
    watch.places = tuple(os.path.realpath(place) for place in places)
    try:
        yield watch.noted
    finally:
        watch.places = None
