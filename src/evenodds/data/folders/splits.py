"""Folders and lists that part data into what is trained on and what is kept for testing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import torch
from torch import Tensor

from evenodds.data.folders.files import content
from evenodds.data.folders.kinds import PICTURES
from evenodds.data.part_names import TEST, TRAIN
from evenodds.data.pictures.opening import File
from evenodds.data.wording import count, listed
from evenodds.errors import unknown

__all__ = ["WAYS", "Splits", "bare", "checked", "lists_in", "names_part", "part_of", "splits", "to_read"]

WAYS = ("respect", "ignore", "train")
"""What may be done with such folders."""
_YEAR = re.compile(r"(?P<part>[a-z]+)[_-]?(19|20)\d\d", re.IGNORECASE)
_WORD = re.compile(rf"(?<![a-z])({'|'.join(sorted(TRAIN + TEST, key=len, reverse=True))})(?![a-z])")
_MOST_LIST = 1 << 26  # Bytes of a list.


class Splits(NamedTuple):
    """The parts of some files."""

    names: list[str]  # Of the files, without the folder that names the part.
    apart: Tensor | None  # (N,) bool: which are not trained on; None where nothing says so.
    notes: list[str]
    lists: Sequence[File] = ()  # Of which use was made.


def checked(way: str) -> str:
    """The option of a reader; BadInput where it is none of `WAYS`."""
    if way not in WAYS:
        raise unknown("way of data.splits", way, WAYS)
    return way


def splits(
    names: Sequence[str],
    way: str,
    noun: str = "image",
    lists: Sequence[File] = (),
    others: Sequence[Sequence[str]] = (),
) -> Splits:
    """The parts that folders name, at one level of all paths: "train/cat/1.png" and "test/cat/2.png", "A/train/1.png".

    Where no folders do, those that lists such as train.txt and test.txt name.

    Args:
        names: paths with slashes.
        way: "respect" keeps what lies in folders such as test and val apart; "ignore" reads all as one, and so does
            "train", of which nothing else was to be read, see `to_read`.
        noun: what a file becomes, in the singular.
        lists: the lists beside the files.
        others: further names of each, which lists may hold.
    """
    paths = [name.split("/") for name in names]
    level = _level(paths)
    if level is None:
        return _by_lists(names, way, noun, lists, others)
    roles = [level.role(path) for path in paths]
    cut = [level.without(path) if role else path for path, role in zip(paths, roles, strict=True)]
    rest = ["/".join(path) for path in cut]
    apart = torch.tensor([role == "test" for role in roles])
    tests = {_part(path, level.at) for path, role in zip(paths, roles, strict=True) if role == "test"}
    where = ", ".join(sorted(tests))
    if way != "respect":
        return Splits(rest, None, [f"Took what lies in {where} to train on too, as data.splits=ignore asks."])
    held = _held(int(apart.sum()), noun)
    return Splits(rest, apart, [f"{held} of {where}, none is trained on; data.splits=ignore mixes."])


def _held(number: int, noun: str) -> str:
    return f"Held out {'is' if number == 1 else 'are'} the {count(number, noun)}"


def to_read(names: Sequence[str], way: str, noun: str = "image") -> tuple[list[int], list[str]]:
    """The places of the names that are to be read, and a note on the others: with "train", all but those to test on."""
    every = list(range(len(names)))
    paths = [name.split("/") for name in names]
    level = _level(paths) if way == "train" else None
    if level is None:
        return every, []
    kept = [k for k in every if level.role(paths[k]) != "test"]
    aside = count(len(names) - len(kept), noun)
    return kept, [f"Left aside {aside} that are kept for testing, as data.splits=train asks."]


def part_of(folder: str) -> str:
    """The part that a path names, such as "test" in "data/testA"; empty where it names none, or several."""
    words = {
        word for one in folder.split("/") for word in _WORD.findall(re.sub("([a-z])([A-Z])", r"\1 \2", one).lower())
    }
    return words.pop() if len(words) == 1 else ""


def names_part(folder: str) -> bool:
    """Whether a folder is called like a part."""
    return _plain(folder) in TRAIN + TEST


class _Level(NamedTuple):
    """Where in all paths folders name the parts."""

    at: int
    rests: frozenset[str]  # What their names have beside the words for the parts, such as "_set".

    def role(self, path: Sequence[str]) -> str:
        """Of what lies there: train, test, or nothing."""
        role, rest = _role_of(_part(path, self.at))
        return role if rest in self.rests else ""

    def without(self, path: list[str]) -> list[str]:
        """A path without the folder that names its part, and without one in it that is called the same."""
        twice = _part(path, self.at) == _part(path, self.at + 1)
        return path[: self.at] + path[self.at + 1 + twice :]


def _level(paths: Sequence[Sequence[str]]) -> _Level | None:
    """At which level some folders are to train on and others, called alike, are not; files elsewhere are trained on."""
    for level in range(max((len(path) for path in paths), default=1) - 1):
        roles = {_role_of(folder) for folder in {_part(path, level) for path in paths}}
        rests = [{rest for role, rest in roles if role == one} for one in ("train", "test")]
        if shared := frozenset(rests[0] & rests[1]):
            return _Level(level, shared)
    return None


def _role_of(folder: str) -> tuple[str, str]:
    """Whether a folder is called like a part, train or test, and what else is in its name: "seg_test"."""
    if (plain := _plain(folder)) in TRAIN + TEST:
        return ("train" if plain in TRAIN else "test"), ""
    text = re.sub("([a-z])([A-Z])", r"\1 \2", folder).lower()
    words = _WORD.findall(text)
    if len(words) != 1:
        return "", ""
    return ("train" if words[0] in TRAIN else "test"), _WORD.sub("", text)


def _part(path: Sequence[str], level: int) -> str:
    """The folder of a path at a level; empty where it has none."""
    return path[level] if level < len(path) - 1 else ""


def _plain(folder: str) -> str:
    """A folder as `TRAIN` and `TEST` have it: in lower case, without a year behind."""
    at = _YEAR.fullmatch(folder)
    return (at["part"] if at else folder).lower()


# --- lists ------------------------------------------------------------------------------------------------------------


def lists_in(files: Iterable[File], prefer: str = "") -> list[File]:
    """The files that list what to train on and what to test on, such as train.txt and fold1_test.txt.

    Args:
        prefer: where some lie in a folder of this name, in lower case, these alone are lists.
    """
    lists = [file for file in files if file.name.lower().endswith((".txt", ".lst")) and _role(file)]
    of_kind = [file for file in lists if prefer in PurePosixPath(file.name.lower()).parent.parts]
    return of_kind or lists


def _role(file: File) -> str:
    words = {*_WORD.findall(PurePosixPath(file.name).stem.lower())}
    return "" if len(words) != 1 else "train" if words & {*TRAIN} else "test"


def _by_lists(
    names: Sequence[str], way: str, noun: str, lists: Sequence[File], others: Sequence[Sequence[str]]
) -> Splits:
    plain = Splits(list(names), None, [])
    test = [file for file in lists if _role(file) == "test"]
    if not test or way != "respect":
        return plain
    index = _Index([[name, *more] for name, more in zip(names, others or [()] * len(names), strict=True)])
    places = {file.name: index.of(content(file, _MOST_LIST)) for file in lists}
    apart = set().union(*(places[file.name] for file in test))
    if not apart or len(apart) == len(names):
        return plain
    held, word = _held(len(apart), noun), "lists" if len(test) == 1 else "list"
    where = ", ".join(sorted(file.name for file in test)[:5])
    notes = [f"{held} that {where} {word}, none is trained on; data.splits=ignore mixes."]
    unlisted = sorted({*range(len(names))} - set().union(*places.values()))
    if len(lists) > len(test):
        notes += listed("Trained on, too, are {} that no list names: {}.", [names[k] for k in unlisted], what=noun)
    mask = torch.zeros(len(names), dtype=torch.bool)
    mask[sorted(apart)] = True
    return Splits(list(names), mask, notes, lists)


class _Index:
    """Which items the lines of a list name: the end of a path will do, with an ending or without."""

    def __init__(self, names: Sequence[Sequence[str]]) -> None:
        self.whole: dict[str, set[int]] = {}
        self.ends: dict[str, set[int]] = {}
        for k, every in enumerate(names):
            for name in {bare(one) for one in every}:
                self.whole.setdefault(name, set()).add(k)
                for end in _ends(name):
                    self.ends.setdefault(end, set()).add(k)

    def of(self, text: bytes) -> set[int]:
        """The items that a list names, one in each line; what follows behind a space or a comma does not count."""
        places: set[int] = set()
        for line in text.decode("utf-8-sig", "replace").splitlines():
            for entry in (line.strip(), *re.split(r"[\s,;]", line.strip(), maxsplit=1)[:1]):
                if entry and (there := self._of(bare(entry))):
                    places |= there
                    break
        return places

    def _of(self, entry: str) -> set[int]:
        if entry in self.ends:
            return self.ends[entry]
        return next((self.whole[end] for end in _ends(entry) if end in self.whole), set())


def _ends(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[k:]) for k in range(len(parts))]


def bare(name: str) -> str:
    """A path with slashes, without what leads nowhere and without the ending of an image."""
    path = name.strip("\"'").replace("\\", "/").removeprefix("./").strip("/")
    stem, dot, ending = path.rpartition(".")
    return stem if dot and f".{ending.lower()}" in PICTURES else path
