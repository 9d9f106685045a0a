"""Text files that list images, a path in each line, with a label behind it or without one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from evenodds.data.pictures.opening import File, Unusable
from evenodds.errors import BadInput
from evenodds.files.names import real
from evenodds.files.read import decoded_text
from evenodds.files.regular import read_regular

__all__ = ["ENDINGS", "PathList", "read_list"]

ENDINGS = (".txt", ".lst")
"""Of the names of such files."""
_MOST_BYTES = 1 << 28
_MOST_LINES = 5_000_000


class PathList(NamedTuple):
    """The files of a list."""

    files: list[File]
    """Named as the list names them, with slashes."""
    notes: tuple[str, ...]
    """Plain sentences on their labels."""


def read_list(path: Path, endings: Sequence[str], root: str | os.PathLike[str] | None = None) -> PathList:
    """The images that a list names.

    A line is a path, or a path, a tab, a comma, a semicolon or spaces, and a label. Empty lines and those that begin
    with # do not count. Paths start at the folder of the list; none may lead out of it, on its own or by a link: a list
    may be a stranger's. With a `root` they start there, or at the list's folder so far as they then lie below the root.

    Args:
        endings: of the names of images: a path ends with the first of them that is followed by a label or nothing.
        root: the folder at which paths start, and below which all lie.

    Raises:
        BadInput: it is no text, or no line names an image.
    """
    folder = Path(root).expanduser() if root is not None else path.parent
    if not folder.is_dir():
        raise BadInput(f"data.root needs a folder, got '{folder}'; name the one at which the paths of the list start")
    lines = decoded_text(read_regular(path, _MOST_BYTES), path.name).splitlines()
    if len(lines) > _MOST_LINES:
        raise BadInput(f"{path.name} has {len(lines):,} lines, at most {_MOST_LINES:,} are read; part it")
    cut = re.compile(rf"(.*?({'|'.join(map(re.escape, endings))}))(?:\s*[\t,; ]\s*(.*))?", re.IGNORECASE)
    home = real(folder)
    pairs = [_parted(line.strip(), cut) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    pairs = list(dict.fromkeys(pairs))
    starts = list(dict.fromkeys((folder, path.parent)))
    files = [File(_name(text, home), _opener(text, starts, home), label) for text, label in pairs]
    if not files:
        raise BadInput(f"{path.name} lists no image; it needs one path in each line")
    labelled = any(label for _, label in pairs)
    if not labelled:
        return PathList([file._replace(label=None) for file in files], ())
    return PathList(files, (f"Took the labels behind the paths in {path.name}; data.labels=false leaves them out.",))


def _parted(line: str, cut: re.Pattern[str]) -> tuple[str, str]:
    """The path and the label of a line; a path that is no image's has none."""
    match = cut.fullmatch(line)
    return (match[1].strip("\"'"), (match[3] or "").strip("\"' ")) if match else (line, "")


def _name(text: str, home: Path) -> str:
    """How the image is called: relative to the folder where it lies below it."""
    plain = text.replace("\\", "/").removeprefix("./")
    return plain.removeprefix(f"{home.as_posix()}/")


def _opener(text: str, starts: Sequence[Path], home: Path) -> Callable[[], Path]:
    def find() -> Path:
        plain = text.replace("\\", "/")
        if PureWindowsPath(text).drive and os.name != "nt":
            raise Unusable("a path of another system")
        places = [start / PurePosixPath(plain) for start in starts]
        try:
            inside = [place for place in places if real(place).is_relative_to(home)]
        except BadInput:
            raise Unusable("no name of a file") from None
        if not inside:
            if len(starts) > 1:
                raise Unusable("it lies outside of data.root")
            raise Unusable("it lies outside of the list's folder; data.root=FOLDER names one in which all lie")
        return next((place for place in inside if place.exists()), inside[0])

    return find
