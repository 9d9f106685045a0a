"""Which files are of one role, by the folder in which they lie and by what their names begin and end with."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from itertools import product, takewhile
from typing import NamedTuple

from evenodds.data.folders.kinds import PICTURES
from evenodds.data.pictures.opening import File

__all__ = ["Side", "Words", "alike", "by_names", "common", "kinds", "stem_of"]

_ENDINGS = frozenset(PICTURES)
_LESS = {"labeltrainids": "labelids", "gtfine_labeltrainids": "gtfine_labelids"}
"""Words whose files are passed over where those of another word lie beside them."""


class Words(NamedTuple):
    """What names of files begin or end with, in lower case: pairs of words of partners."""

    pairs: frozenset[tuple[str, str]]
    """"" is a name without such a word, ".png" one with that ending."""

    def of(self, role: int) -> frozenset[str]:
        """The words of the first or the second of partners."""
        return frozenset(both[role] for both in self.pairs if both[role].strip(".") == both[role] != "")

    @property
    def all(self) -> frozenset[str]:
        """The words of either."""
        return self.of(0) | self.of(1)


class Side(NamedTuple):
    """Files of one role."""

    folder: str = ""  # Relative to what holds all; empty for everything.
    before: str = ""  # What names begin with.
    after: str = ""  # What they end with, before their ending or with it.

    def __str__(self) -> str:
        """As the options of readers name it: a folder, or a folder and a pattern."""
        pattern = f"{self.before}*{self.after}" if self.before or self.after or not self.folder else ""
        return "/".join(part for part in (self.folder, pattern) if part)

    def key(self, name: str) -> str | None:
        """What the name of a file shares with that of its partner; None of a file of another role."""
        if self.folder and not name.startswith(f"{self.folder}/"):
            return None
        head, slash, tail = name[len(self.folder) + bool(self.folder) :].rpartition("/")
        stem = stem_of(tail)
        whole = stem if stem.endswith(self.after) else tail
        core = whole[len(self.before) : len(whole) - len(self.after)]
        if not (whole.startswith(self.before) and whole.endswith(self.after)) or not (core or head):
            return None
        # In a folder for each pair, "1/image.png" and "1/mask.png", the folder is what names share.
        return head + slash + (stem_of(core) if self.after else core) if core else head

    def files(self, files: Iterable[File]) -> dict[str, list[File]]:
        """The files of this role by what their names share with those of partners."""
        by_key: dict[str, list[File]] = {}
        for file in files:
            if (key := self.key(file.name)) is not None:
                by_key.setdefault(key, []).append(file)
        return by_key


def stem_of(name: str) -> str:
    """A name without its ending."""
    dot = name.rfind(".")
    return name[:dot] if dot > 0 and name[dot:].lower() in _ENDINGS else name


def _ending(name: str) -> str:
    last = name.rpartition("/")[2]
    return last[last.rfind(".") :] if "." in last else ""


def kinds(names: Iterable[str], folder: str, words: Collection[str]) -> dict[Side, str]:
    """The sides below a folder whose files begin or end with a word, and that word; and the one of all files.

    Names of two endings, such as "1.jpg.png", end with the first of them as with a word.
    """
    every = frozenset(words)
    sides = {Side(folder, *around): word for name in names for around, word in _around(name, every)}
    there = {*sides.values()}
    twofold = {_ending(stem_of(name)) for name in names}
    sides |= {Side(folder, "", ending): ending for ending in twofold if ending.lower() in PICTURES}
    return {Side(folder): ""} | {side: word for side, word in sides.items() if _LESS.get(word) not in there}


def _around(name: str, words: frozenset[str]) -> Iterator[tuple[tuple[str, str], str]]:
    """What lies before and after the rest of a name, and the word in it."""
    stem = stem_of(name.rpartition("/")[2])
    if stem.lower() in words:
        yield (stem, ""), stem.lower()
    behind, ahead = _patterns(words)
    if at := behind.search(stem):
        yield ("", stem[at.start() :]), at["word"].lower()
    if at := ahead.match(stem):
        yield (at[0], ""), at["word"].lower()


@cache
def _patterns(words: frozenset[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """How names end and begin: a word, parted from the rest by a sign, a digit or a capital."""
    every = "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))
    edge = r"[_\-. ]+|(?<=\d)|(?<=[a-z])(?=[A-Z])|(?=[xX]\d)"
    return (
        re.compile(rf"(?<=.)(?:{edge})(?P<word>(?i:{every}))$"),
        re.compile(rf"(?P<word>(?i:{every}))(?:[_\-. ]+|(?=\d))(?=.)"),
    )


def by_names(names: Sequence[str], words: Words) -> list[tuple[Side, Side]]:
    """The two sides that names tell apart in one tree of folders; several where they do not tell which, none at worst.

    Of files whose names hold a word, at least half have a partner.
    """
    sides = kinds(names, "", words.all)
    endings = {_ending(name) for name in names}
    sides |= {Side("", "", ending): ending.lower() for ending in endings if ending.lower() in PICTURES}
    keys = {side: _keys(side, names) for side in sides}
    told = []
    for (first, one), (second, other) in product(sides.items(), repeat=2):
        shared = len(keys[first] & keys[second]) if (one, other) in words.pairs else 0
        if shared and 2 * shared >= min(len(keys[side]) for side in (first, second) if side != Side()):
            told.append((shared, first, second))
    most = max((shared for shared, *_ in told), default=0)
    return [(first, second) for shared, first, second in sorted(told, key=lambda one: -one[0]) if 2 * shared >= most]


def alike(
    firsts: Sequence[str], seconds: Sequence[str], sides: tuple[Side, Side], words: Collection[str]
) -> tuple[Side, Side]:
    """Two sides, with the words that their names begin or end with where names without these are not equal.

    Args:
        firsts, seconds: the names of files of both.
        words: that may stand there.
    """
    if 2 * len(_keys(sides[0], firsts) & _keys(sides[1], seconds)) >= min(len(firsts), len(seconds)):
        return sides
    first, second = (
        {side: _keys(side, names) for side in kinds(names, whole.folder, words)}
        for names, whole in zip((firsts, seconds), sides, strict=True)
    )
    return max(product(first, second), key=lambda both: (len(first[both[0]] & second[both[1]]), both == sides))


def _keys(side: Side, names: Iterable[str]) -> set[str]:
    return {key for name in names if (key := side.key(name)) is not None}


def common(names: Sequence[str], folder: str) -> Side:
    """The files of a folder by what all their names begin and end with, up to a number or behind a sign."""
    stems = [stem_of(name.rpartition("/")[2]) for name in names]
    return Side(folder, _common(stems), _common([stem[::-1] for stem in stems])[::-1])


def _common(stems: Sequence[str]) -> str:
    leads = {re.sub(r"\d.*", "", stem) for stem in stems}
    if len(leads) == 1 and leads != set(stems):
        return leads.pop()
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*stems, strict=False))
    return re.sub(r"[^_\-. ]*$", "", "".join(letters[0] for letters in alike))
