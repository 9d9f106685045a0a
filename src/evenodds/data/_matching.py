"""Files of two folders that belong together by their names. No file is opened here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from evenodds.data._picture import File
from evenodds.data._wording import count, listed
from evenodds.errors import BadInput

__all__ = ["Folders", "Match", "folders", "inside", "matched"]

_LISTED = 12  # Folders that a message lists.


class Folders(NamedTuple):
    """Two folders, and notes on the choice."""

    first: str
    second: str
    notes: list[str]


class Match(NamedTuple):
    """Two files of one name, not decoded yet."""

    name: str
    first: File
    second: File


def folders(
    root: Path,
    files: Sequence[File],
    usual: Sequence[tuple[str, str]],
    options: tuple[str, str],
    named: tuple[str | None, str | None],
) -> Folders:
    """The two folders that are meant.

    Args:
        files: the images below the root.
        usual: names of folders that lie side by side, the commonest first.
        options: what names the folders, e.g. ("sources", "targets").
        named: the names, which may be the ends of paths; both or neither.
    """
    paths = _paths(files)
    how = f"--set data.{options[0]}=NAME data.{options[1]}=NAME"
    first, second = _chosen(root, paths, usual, how, named)
    if first == second:
        raise BadInput(f"two different folders are needed, got '{first}' twice; {root.name} holds {_enumerated(paths)}")
    if first.startswith(f"{second}/") or second.startswith(f"{first}/"):
        raise BadInput(f"two folders beside each other are needed, got '{first}' and '{second}'; name others")
    aside = [file for file in files if not file.name.startswith((f"{first}/", f"{second}/"))]
    elsewhere = sorted({str(PurePosixPath(file.name).parent) for file in aside})
    note = f"Left aside {count(len(aside), 'image')} elsewhere, in {_enumerated(elsewhere)}; {how} reads others."
    return Folders(first, second, [note] if aside else [])


def _chosen(
    root: Path, paths: list[str], usual: Sequence[tuple[str, str]], how: str, named: tuple[str | None, str | None]
) -> tuple[str, str]:
    if named[0] is not None and named[1] is not None:
        return _named(root, named[0], paths), _named(root, named[1], paths)
    if named[0] is not None or named[1] is not None:
        raise BadInput(f"both folders are to be named, or neither: {how}; {root.name} holds {_enumerated(paths)}")
    candidates = next((both for names in usual if (both := _side_by_side(names, paths))), [])
    # Of train/ and test/ beside each other, what is to be trained on is meant.
    training = [both for both in candidates if "train" in both[0].lower()]
    candidates = training if len(candidates) > 1 else candidates
    if len(candidates) != 1:
        raise BadInput(f"which two folders of {root.name} belong together? Say {how}; it holds {_enumerated(paths)}")
    return candidates[0]


def _paths(files: Sequence[File]) -> list[str]:
    """All folders that hold images, directly or deeper."""
    return sorted({str(path) for file in files for path in PurePosixPath(file.name).parents} - {"."})


def _named(root: Path, name: str, paths: list[str]) -> str:
    folder = str(name).replace("\\", "/").strip("/")
    ends = [path for path in paths if path.endswith(f"/{folder}")]
    if folder in paths or len(ends) == 1:
        return folder if folder in paths else ends[0]
    if ends:
        raise BadInput(f"'{name}' may be {_enumerated(ends)} in {root.name}; name it with the folder above")
    raise BadInput(f"{root.name} has no folder '{name}' with images; it holds {_enumerated(paths)}")


def _side_by_side(names: tuple[str, str], paths: list[str]) -> list[tuple[str, str]]:
    at = [{PurePosixPath(path).parent: path for path in paths if _last(path) == name.lower()} for name in names]
    return [(path, at[1][parent]) for parent, path in at[0].items() if parent in at[1]]


def _last(path: str) -> str:
    return PurePosixPath(path).name.lower()


def _enumerated(paths: Sequence[str]) -> str:
    if not paths:
        return "no folders with images"
    more = f" and {len(paths) - _LISTED:,} more" if len(paths) > _LISTED else ""
    return ", ".join(path if path != "." else "the folder itself" for path in paths[:_LISTED]) + more


def inside(files: Sequence[File], folder: str) -> list[File]:
    """The files of a folder, and of those in it."""
    return [file for file in files if file.name.startswith(f"{folder}/")]


def matched(files: Sequence[File], first: str, second: str) -> tuple[list[Match], list[str]]:
    """The files of both folders whose names are equal but for their ending; notes on the others."""
    sides, twins = [], []
    for folder in (first, second):
        by_stem: dict[str, File] = {}
        for file in inside(files, folder):
            stem = str(PurePosixPath(file.name[len(folder) + 1 :]).with_suffix(""))
            if stem in by_stem:
                twins.append(file.name)
            by_stem.setdefault(stem, file)
        sides.append(by_stem)
    alone = [file.name for side, other in (sides, sides[::-1]) for stem, file in side.items() if stem not in other]
    if not sides[0].keys() & sides[1].keys():
        raise BadInput(
            f"no file in '{first}' has the name of one in '{second}' (but for the ending), e.g. {alone[0]} and "
            f"{alone[-1]}; give partners equal names"
        )
    matches = [Match(stem, sides[0][stem], sides[1][stem]) for stem in sorted(sides[0].keys() & sides[1].keys())]
    return matches, [
        *listed("Skipped {} without a partner: {}.", alone),
        *listed("Skipped {} whose name another has with another ending: {}.", twins),
    ]
