"""Files of two folders that belong together by their names: found, matched, and kept aligned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from evenodds.data._files import count, each, gathered, listed
from evenodds.data._picture import File, Picture, Size, upright
from evenodds.data._stack import common_size, large_enough
from evenodds.errors import BadInput

__all__ = ["Couple", "Folders", "Match", "Read", "alike", "folders", "inside", "matched", "read"]

_SHOWN = 12  # Folders that a message lists.


class Folders(NamedTuple):
    """Two folders, and what is to be said of the choice."""

    first: str
    second: str
    said: list[str]


class Match(NamedTuple):
    """Two files of one name, not decoded yet."""

    name: str
    first: File
    second: File


class Couple(NamedTuple):
    """Two pictures that belong together."""

    name: str
    first: Picture  # Makes x.
    second: Picture  # Lies beside it.
    turned: bool = False  # One had no EXIF data and was turned as the other's ask.

    @property
    def size(self) -> Size:
        return self.first.size

    @property
    def nbytes(self) -> int:
        return self.first.nbytes + self.second.nbytes


class Read(NamedTuple):
    """Couples, the size of their first pictures, and what is to be said of the rest."""

    couples: list[Couple]
    size: Size
    said: list[str]


def folders(
    root: Path,
    files: Sequence[File],
    known: Sequence[tuple[str, str]],
    options: tuple[str, str],
    given: tuple[str | None, str | None],
) -> Folders:
    """The two folders that are meant.

    Args:
        files: the images below the root.
        known: names of folders that lie side by side, the commonest first.
        options: what names the folders, e.g. ("sources", "targets").
        given: the names, which may be the ends of paths; both or neither.
    """
    paths = _paths(files)
    how = f"--set data.{options[0]}=NAME data.{options[1]}=NAME"
    if given[0] is not None and given[1] is not None:
        chosen = _named(root, given[0], paths), _named(root, given[1], paths)
    elif given[0] is not None or given[1] is not None:
        raise BadInput(f"both folders are to be named, or neither: {how}; {root.name} holds {_shown(paths)}")
    else:
        found = next((found for couple in known if (found := _couples(couple, paths))), [])
        # Of train/ and test/ beside each other, what is to be trained on is meant.
        found = [couple for couple in found if "train" in couple[0].lower()] if len(found) > 1 else found
        if len(found) != 1:
            raise BadInput(f"which two folders of {root.name} belong together? Say {how}; it holds {_shown(paths)}")
        chosen = found[0]
    if chosen[0] == chosen[1]:
        raise BadInput(f"two different folders are needed, got '{chosen[0]}' twice; {root.name} holds {_shown(paths)}")
    if chosen[0].startswith(f"{chosen[1]}/") or chosen[1].startswith(f"{chosen[0]}/"):
        raise BadInput(f"two folders beside each other are needed, got '{chosen[0]}' and '{chosen[1]}'; name others")
    left = [file for file in files if not any(file.name.startswith(f"{folder}/") for folder in chosen)]
    others = sorted({str(PurePosixPath(file.name).parent) for file in left})
    said = (
        [f"Left aside {count(len(left), 'image')} elsewhere, in {_shown(others)}; {how} reads others."] if left else []
    )
    return Folders(chosen[0], chosen[1], said)


def _paths(files: Sequence[File]) -> list[str]:
    """All folders that hold images, directly or deeper."""
    return sorted({str(path) for file in files for path in PurePosixPath(file.name).parents} - {"."})


def _named(root: Path, name: str, paths: list[str]) -> str:
    wanted = str(name).replace("\\", "/").strip("/")
    ends = [path for path in paths if path.endswith(f"/{wanted}")]
    if wanted in paths or len(ends) == 1:
        return wanted if wanted in paths else ends[0]
    if ends:
        raise BadInput(f"'{name}' may be {_shown(ends)} in {root.name}; name it with the folder above")
    raise BadInput(f"{root.name} has no folder '{name}' with images; it holds {_shown(paths)}")


def _couples(names: tuple[str, str], paths: list[str]) -> list[tuple[str, str]]:
    at = [{PurePosixPath(path).parent: path for path in paths if _last(path) == name.lower()} for name in names]
    return [(path, at[1][parent]) for parent, path in at[0].items() if parent in at[1]]


def _last(path: str) -> str:
    return PurePosixPath(path).name.lower()


def _shown(paths: Sequence[str]) -> str:
    if not paths:
        return "no folders with images"
    more = f" and {len(paths) - _SHOWN:,} more" if len(paths) > _SHOWN else ""
    return ", ".join(path if path != "." else "the folder itself" for path in paths[:_SHOWN]) + more


def inside(files: Sequence[File], folder: str) -> list[File]:
    """The files of a folder, and of those in it."""
    return [file for file in files if file.name.startswith(f"{folder}/")]


def matched(files: Sequence[File], first: str, second: str) -> tuple[list[Match], list[str]]:
    """The files of both folders whose names are equal but for their ending; what is to be said of the others."""
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


def alike(first: Picture, second: Picture, fits: Callable[[Size, Size], bool]) -> tuple[Picture, Picture, bool]:
    """Both the same way up: where one lost the EXIF data that lay the other on its side, it is turned likewise.

    Sizes decide: what fits as it is was made from the upright picture. A square tells nothing; it counts as upright.
    """
    if fits(first.size, second.size):
        return first, second, False
    if first.way_up >= 5 and second.way_up == 1 and fits(first.size, second.size[::-1]):
        return first, _turned(second, first.way_up), True
    if second.way_up >= 5 and first.way_up == 1 and fits(first.size[::-1], second.size):
        return _turned(first, second.way_up), second, True
    return first, second, False


def _turned(picture: Picture, way_up: int) -> Picture:
    return picture._replace(pixels=upright(picture.pixels, way_up), size=picture.size[::-1], way_up=way_up)


def read(
    root: Path,
    matches: Sequence[Match],
    work: Callable[[Match], Couple | str],
    wanted: Size | None,
    fit: str,
    progress: Callable[[int, int], None] | None,
) -> Read:
    """The couples that `work` decodes."""
    couples, skipped = gathered(each(work, matches, progress))
    if not couples:
        raise BadInput(f"{root.name}: none of {count(len(matches), 'pair')} can be used, e.g. {skipped[0]}")
    size = wanted or common_size([couple.size for couple in couples])
    couples, small = large_enough(couples, size, fit, "pair")
    turned = count(sum(couple.turned for couple in couples), "picture")
    said = listed("Skipped {} that cannot be used: {}.", skipped, what="pair") + small
    if any(couple.turned for couple in couples):
        said.append(f"Turned {turned} without EXIF data as the partner's ask.")
    return Read(couples, size, said)
