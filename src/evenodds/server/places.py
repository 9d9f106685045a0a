"""The folders that a server may read from: what is asked for lies in one of them, links followed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evenodds.errors import BadInput
from evenodds.files.names import real
from evenodds.files.text import visible

__all__ = ["Places"]


@dataclass(frozen=True)
class Places:
    """Folders that were named when the server was started.

    Args:
        roots: absolute, their links followed.
    """

    roots: tuple[Path, ...]

    @staticmethod
    def of(folders: Sequence[Path]) -> Places:
        """The folders as they are now."""
        return Places(tuple(dict.fromkeys(real(folder) for folder in folders)))

    def allowed(self, text: str) -> Path:
        """The path that was asked for, its links followed.

        Args:
            text: absolute, or relative to the first folder.

        Raises:
            BadInput: it lies in none of the folders, or is not there. The message is the same in both cases: it says
                nothing about other folders.
        """
        if not self.roots:
            raise BadInput("this server was started without folders for data; start it with --data FOLDER")
        path = None
        if "\0" not in text and len(text) <= 4096:
            path = real(self.roots[0] / text)
        if path is None or not self.holds(path) or not path.exists():
            named = ", ".join(map(str, self.roots))
            raise BadInput(
                f"'{visible(text)[:200]}' is not in {named}; other folders are named with --data at the start"
            )
        return path

    def require_closed(self, path: Path) -> None:
        """BadInput where a link at or below a path leads out of the folders."""
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                inside = Path(folder) / name
                if inside.is_symlink() and not self.holds(inside):
                    raise BadInput(f"{visible(inside)} is a link that leads out of {visible(path)}; take it away first")

    def holds(self, path: Path) -> bool:
        """Whether a path, links followed, lies in one of the folders."""
        return any(real(path).is_relative_to(root) for root in self.roots)
