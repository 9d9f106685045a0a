"""A file of JSON lines that grows: what was appended is read, and nothing twice."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenodds.errors import BadInput
from evenodds.files.read import MOST_LINE, parse_json

__all__ = ["Tail"]

MOST = 2**27
"""Bytes of a file that are read."""
PART = 2**22
"""Bytes that are read at once."""
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass
class Tail:
    """The lines of a file so far. A last line without an end waits for its end; damaged lines are counted.

    A file that is another one than before (by inode), or shorter, is read from its beginning, and `lines` begins anew.

    Args:
        path: of the file, which need not be there yet.
        fits: whether a line is one of those that are meant.
    """

    path: Path
    fits: Callable[[dict[str, Any]], bool] = lambda line: True
    lines: list[dict[str, Any]] = field(default_factory=list)
    damaged: int = 0
    _identity: tuple[int, int] = (0, 0)
    _read: int = 0
    _begun: int = 0

    @property
    def identity(self) -> str:
        """Another one for another file, or one that was read again from its beginning."""
        return f"{self._identity[0]:x}-{self._identity[1]:x}-{self._begun}"

    def follow(self) -> bool:
        """Reads what is new; whether anything is. A file that cannot be read counts as none."""
        try:
            status = os.stat(self.path)
        except OSError:
            return self._begin((0, 0)) if self._identity != (0, 0) else False
        identity = (status.st_dev, status.st_ino)
        changed = self._begin(identity) if identity != self._identity or status.st_size < self._read else False
        if status.st_size > self._read and stat.S_ISREG(status.st_mode) and status.st_size <= MOST:
            return self._append(status.st_size) or changed
        return changed

    def taken(self) -> list[dict[str, Any]]:
        """The lines so far, which are then no longer kept here."""
        lines, self.lines = self.lines, []
        return lines

    def _begin(self, identity: tuple[int, int]) -> bool:
        """From the beginning of another file; whether anything was read of the one before."""
        had = self._read > 0
        self.lines, self.damaged, self._read, self._identity = [], 0, 0, identity
        self._begun += 1
        return had

    def _append(self, size: int) -> bool:
        before = len(self.lines) + self.damaged
        try:
            with open(os.open(self.path, _FLAGS), "rb") as file:
                file.seek(self._read)
                while self._read < size and (part := file.read(min(PART, size - self._read))):
                    whole = part.rpartition(b"\n")[0]
                    if not whole and len(part) < PART:
                        break
                    taken = len(whole) + 1 if whole or part.startswith(b"\n") else len(part)
                    self._take(part[:taken])
                    self._read += taken
                    file.seek(self._read)
        except OSError:
            return False
        return len(self.lines) + self.damaged > before

    def _take(self, content: bytes) -> None:
        for text in content.split(b"\n"):
            if not text.strip():
                continue
            try:
                line = parse_json(text, str(self.path)) if len(text) <= MOST_LINE else None
            except BadInput:
                line = None
            if isinstance(line, dict) and self.fits(line):
                self.lines.append(line)
            else:
                self.damaged += 1
