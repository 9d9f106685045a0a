"""Files that belong together by their folders and their names. No file of an image is opened here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from evenodds.data.folders.sides import Side, Words, alike, by_names, common
from evenodds.data.folders.splits import part_of
from evenodds.data.part_names import TEST, TRAIN
from evenodds.data.pictures.opening import File
from evenodds.data.wording import count, listed
from evenodds.errors import BadInput
from evenodds.files.text import quoted

__all__ = ["Chosen", "Match", "Roles", "Sides", "chosen", "inside", "matched", "refusal"]

_LISTED = 12  # Folders that a message lists.


class Roles(NamedTuple):
    """What two files that belong together are to each other."""

    options: tuple[str, str]
    """What names them, e.g. ("sources", "targets")."""
    folders: Sequence[tuple[str, str]]
    """Names of folders that lie side by side, the commonest first, whatever their case."""
    words: Words
    """In names of files."""

    def setting(self, first: object, second: object) -> str:
        """The settings that name both, for a shell."""
        both = zip(self.options, (first, second), strict=True)
        return "--set " + " ".join(quoted(f"data.{option}={value}") for option, value in both)


class Sides(NamedTuple):
    """Files of two roles."""

    first: Side
    second: Side
    part: str = ""  # Such as "test", where it lies above both.

    @property
    def both(self) -> tuple[Side, Side]:
        """The two."""
        return self.first, self.second


class Chosen(NamedTuple):
    """The files that are meant, and notes on the choice."""

    sides: list[Sides]
    notes: list[str]
    named: bool  # Whether the user named them.

    def where(self, role: int) -> str:
        """Where the first or the second ones lie, for sentences."""
        return " and ".join(f"'{one.both[role]}'" for one in self.sides)


class Match(NamedTuple):
    """Two files of one name, not decoded yet."""

    name: str
    first: File
    second: File


def chosen(root: Path, files: Sequence[File], roles: Roles, named: tuple[str | None, str | None]) -> Chosen | None:
    """The files of both roles; None where neither folders nor names tell them.

    Args:
        files: the images below the root.
        named: folders, which may be the ends of paths, or patterns such as "masks/*_mask"; both or neither.

    Raises:
        BadInput: what is named cannot be, or several are meant.
    """
    paths = _paths(files)
    if named != (None, None):
        sides = [Sides(*_named(root, roles, paths, named))]
    elif (sides := _by_folders(root, roles, paths)) == []:
        sides = _by_names(root, roles, files)
    if not sides:
        return None
    aside = [file for file in files if all(side.key(file.name) is None for one in sides for side in one.both)]
    elsewhere = sorted({str(PurePosixPath(file.name).parent) for file in aside})
    how = roles.setting("NAME", "NAME")
    note = f"Left aside {count(len(aside), 'image')} elsewhere, in {_enumerated(elsewhere)}; {how} reads others."
    return Chosen(sides, [note] if aside else [], named != (None, None))


def refusal(root: Path, files: Sequence[File], roles: Roles) -> BadInput:
    """That neither folders nor names tell which files belong together."""
    paths = _paths(files)
    if len(paths) > 1 or not files:
        how = roles.setting("NAME", "NAME")
        if len(paths) == 2 and not paths[1].startswith(f"{paths[0]}/"):
            how = f"{roles.setting(*paths)}, or the other way round"
        return BadInput(f"which two folders of {root.name} belong together? Say {how}; it holds {_enumerated(paths)}")
    what = " and ".join(roles.options)
    how = roles.setting("*_a", "*_b")
    return BadInput(
        f"nothing tells {what} apart among the {count(len(files), 'image')} of {root.name}, e.g. "
        f"{', '.join(file.name for file in files[:2])}; give them a folder each, or say how their names end, "
        f"e.g. {how}"
    )


def _by_folders(root: Path, roles: Roles, paths: list[str]) -> list[Sides]:
    candidates = next((both for names in roles.folders if (both := _side_by_side(names, paths))), [])
    if len(candidates) > 1:
        candidates = _of_parts(candidates) or [one for one in candidates if "train" in one.first.folder.lower()]
        if len({one.part for one in candidates}) != len(candidates) or not candidates:
            how = roles.setting("NAME", "NAME")
            raise BadInput(
                f"which two folders of {root.name} belong together? Say {how}; it holds {_enumerated(paths)}"
            )
    return candidates


def _side_by_side(names: tuple[str, str], paths: list[str]) -> list[Sides]:
    """Folders of these names in the same place; where "train" is a part of them, "test" in its place too."""
    both: list[Sides] = []
    for one in [names, *((_for(names, part)) for part in TEST if names[0].lower().startswith("train"))]:
        at = [{PurePosixPath(path).parent: path for path in paths if _last(path) == name.lower()} for name in one]
        both += [Sides(Side(path), Side(at[1][parent])) for parent, path in at[0].items() if parent in at[1]]
    return both if any(names[0].lower() == _last(one.first.folder) for one in both) else []


def _for(names: tuple[str, str], part: str) -> tuple[str, str]:
    return re.sub("train", part, names[0], flags=re.IGNORECASE), re.sub("train", part, names[1], flags=re.IGNORECASE)


def _of_parts(candidates: Sequence[Sides]) -> list[Sides]:
    """Candidates of which some are to train on and some to test on, as folders above or in them say; else none."""
    parts = [part_of(one.first.folder) for one in candidates]
    groups = {part.lower() in TRAIN for part in parts}
    if "" in parts or len(groups) < 2 or len(set(parts)) < len(parts):
        return []
    return [one._replace(part=part) for one, part in zip(candidates, parts, strict=True)]


def _by_names(root: Path, roles: Roles, files: Sequence[File]) -> list[Sides]:
    sides = by_names([file.name for file in files], roles.words)
    if len(sides) > 1:
        either = "; or ".join(roles.setting(*both) for both in sides[:3])
        raise BadInput(f"names of files in {root.name} tell several kinds of {roles.options[1]}; choose by {either}")
    return [Sides(*both) for both in sides]


def _paths(files: Sequence[File]) -> list[str]:
    """All folders that hold images, directly or deeper."""
    holding = {file.name.rpartition("/")[0] for file in files}
    return sorted(
        {str(path) for folder in holding for path in (PurePosixPath(folder), *PurePosixPath(folder).parents)} - {"."}
    )


def _named(root: Path, roles: Roles, paths: list[str], named: tuple[str | None, str | None]) -> tuple[Side, Side]:
    one, other = (part or ("*" if "*" in str(named) else None) for part in named)
    if one is None or other is None:
        how = roles.setting("NAME", "NAME")
        raise BadInput(f"both folders are to be named, or neither: {how}; {root.name} holds {_enumerated(paths)}")
    first, second = (_side(root, name, paths) for name in (one, other))
    if first == second:
        raise BadInput(f"two different folders are needed, got '{first}' twice; {root.name} holds {_enumerated(paths)}")
    if _within(first, second) or _within(second, first):
        raise BadInput(f"two folders beside each other are needed, got '{first}' and '{second}'; name others")
    return first, second


def _within(one: Side, other: Side) -> bool:
    """Whether all files of one side are of the other too."""
    return other == Side(other.folder) and bool(other.folder) and f"{one.folder}/".startswith(f"{other.folder}/")


def _side(root: Path, name: str, paths: list[str]) -> Side:
    text = str(name).replace("\\", "/").strip("/")
    folder, _, pattern = text.rpartition("/") if "*" in text else (text, "", "")
    if pattern.count("*") > 1 or "*" in folder:
        raise BadInput(f"'{name}' has more than one star; one stands for what names of partners share, as in masks/*_m")
    before, _, after = pattern.partition("*")
    return Side(_folder(root, folder, paths) if folder else "", before, after)


def _folder(root: Path, name: str, paths: list[str]) -> str:
    ends = [path for path in paths if path.endswith(f"/{name}")]
    if name in paths or len(ends) == 1:
        return name if name in paths else ends[0]
    if ends:
        raise BadInput(f"'{name}' may be {_enumerated(ends)} in {root.name}; name it with the folder above")
    raise BadInput(f"{root.name} has no folder '{name}' with images; it holds {_enumerated(paths)}")


def _last(path: str) -> str:
    return PurePosixPath(path).name.lower()


def _enumerated(paths: Sequence[str]) -> str:
    if not paths:
        return "no folders with images"
    more = f" and {len(paths) - _LISTED:,} more" if len(paths) > _LISTED else ""
    return ", ".join(path if path != "." else "the folder itself" for path in paths[:_LISTED]) + more


def inside(files: Sequence[File], sides: Sequence[Side]) -> list[File]:
    """The files of some sides."""
    return [file for file in files if any(side.key(file.name) is not None for side in sides)]


def matched(root: Path, files: Sequence[File], chosen: Chosen, roles: Roles) -> tuple[list[Match], list[str]]:
    """The files of both sides whose names are equal but for their ending and for words; notes on the others.

    Raises:
        BadInput: no file has a partner, or what names hold beside their numbers is not known to belong together.
    """
    matches: list[Match] = []
    alone: list[str] = []
    twins: list[str] = []
    notes: list[str] = []
    for given in chosen.sides:
        sides = _told(files, given, roles)
        first, second = _apart(*(side.files(files) for side in sides.both))
        shared = first.keys() & second.keys()
        above = f"{sides.part}/" if sides.part else ""
        matches += [Match(above + key, first[key][0], second[key][0]) for key in shared]
        for one, other in ((first, second), (second, first)):
            alone += [file.name for key in one.keys() - other.keys() for file in one[key]]
            twins += [file.name for key in shared for file in one[key][1:]]
        if shared and not (chosen.named and sides == given) and any(side != Side(side.folder) for side in sides.both):
            told, how = " and ".join(f"'{side}'" for side in sides.both), roles.setting("NAME", "NAME")
            notes.append(f"Took {told} as partners, by what names begin and end with; {how} takes others.")
    if not matches:
        raise _without_partners(root, files, chosen, roles)
    return sorted(matches, key=lambda match: match.name), [
        *notes,
        *listed("Skipped {} without a partner: {}.", sorted(alone)),
        *listed("Skipped {} whose name another has with another ending: {}.", sorted(twins)),
    ]


def _apart(first: dict[str, list[File]], second: dict[str, list[File]]) -> tuple[dict[str, list[File]], ...]:
    """Both without what is of the other too, where that is the narrower one."""
    taken = [{file.name for group in side.values() for file in group} for side in (first, second)]
    wide, narrow = (first, taken[1]) if len(taken[0]) > len(taken[1]) else (second, taken[0])
    rest = {key: kept for key, group in wide.items() if (kept := [file for file in group if file.name not in narrow])}
    return (rest, second) if wide is first else (first, rest)


def _told(files: Sequence[File], sides: Sides, roles: Roles) -> Sides:
    """The sides with the words that names begin or end with, where names without these are not equal."""
    if any(side != Side(side.folder) or not side.folder for side in sides.both):
        return sides
    names = [[file.name for file in inside(files, [side])] for side in sides.both]
    words = {*roles.words.all, *(_last(side.folder) for side in sides.both)} - {""}
    first, second = alike(names[0], names[1], sides.both, words)
    return sides._replace(first=first, second=second)


def _without_partners(root: Path, files: Sequence[File], chosen: Chosen, roles: Roles) -> BadInput:
    """That no names are equal; where they are, but for what all have in common, with the settings that say so."""
    both = [(side, [file.name for file in inside(files, [side])]) for side in chosen.sides[0].both]
    if not all(names for _, names in both):
        empty = next(side for side, names in both if not names)
        return BadInput(f"no image of {root.name} is in '{empty}'; {roles.setting('NAME', 'NAME')} names others")
    examples = " and ".join(names[0] for _, names in both)
    message = f"no file in '{both[0][0]}' has the name of one in '{both[1][0]}' (but for the ending), e.g. {examples}"
    sides = [common(names, side.folder) for side, names in both]
    keys = [{side.key(name) for name in names} for side, (_, names) in zip(sides, both, strict=True)]
    if keys[0] & keys[1] and all(side == Side(side.folder) != Side() for side, _ in both):
        return BadInput(f"{message}; if these belong together, {roles.setting(*sides)} says so; else give equal names")
    return BadInput(f"{message}; give partners equal names, or name what differs, as {roles.setting('*_a', '*_b')}")
