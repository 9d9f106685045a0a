"""The files of a folder, an archive or a list: image files by name, and others. An archive is never extracted."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from evenodds.data.folders import lists
from evenodds.data.folders.archives import in_archive, is_archive
from evenodds.data.folders.image_tables import is_table, pictures
from evenodds.data.folders.row_groups import Room
from evenodds.data.folders.webdataset import apart, labelled, of_samples
from evenodds.data.pictures.dicom import is_dicom
from evenodds.data.pictures.opening import MOST_PIXELS, File, Unusable
from evenodds.errors import BadInput
from evenodds.files.outputs import RECORD
from evenodds.files.regular import NotRegular, open_regular, read_regular, refusal

__all__ = ["ENDINGS", "Listing", "Said", "content", "file_at", "listing", "opened", "walked"]

ENDINGS: tuple[str, ...] = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".tga")
ENDINGS += (".pgm", ".ppm", ".pbm", ".pnm", ".apng", ".avif", ".heic", ".heif", ".jxl")

RUN_FILES = {"config.yaml", "data.json", "checkpoints"}
"""What every run folder holds."""
_MOST_TEXT = 1 << 28  # Bytes of a file that is no image, such as labels.csv.
_HEAD = 132  # Bytes that tell what a file without an ending is.
_MOST_LABEL = 1 << 20  # Bytes of a file beside an image that holds its label.


class Listing(NamedTuple):
    """The files of a folder, an archive or a list."""

    files: list[File]
    """Image files by name, of which some may have a label."""
    others: list[File]
    labels: tuple[str, ...] = ()
    """Plain sentences on where their labels are from."""
    notes: tuple[str, ...] = ()
    """Others on what they are a part of."""
    archives: ExitStack = ExitStack()
    """What is open as long as files may be read."""

    def kept(self) -> Callable[[], None]:
        """Lets files be read beyond the listing, until what is given is called."""
        return self.archives.pop_all().close


class Said(NamedTuple):
    """What the user says of what files are in."""

    endings: tuple[str, ...] = ENDINGS
    """Of the names of image files."""
    column: str | None = None
    """Of a table, that with the images; of a tar of samples with several, the ending of one."""
    label: str | None = None
    """Of a table, that with the classes."""
    later: tuple[str, ...] = ()
    """Endings of files that are read where there are none of the others, or where they are named themselves."""
    dicom: bool = False
    """Whether files whose names have no ending are looked into."""
    root: str | os.PathLike[str] | None = None
    """Of a list, the folder at which its paths start; None for its own."""
    memory: int | None = None
    """Bytes that decoded images may take; None for the machine's memory."""
    room: Room | None = None
    """For the images of tables; None: it is found by the memory."""


_NOTHING = Said()


@contextmanager
def opened(
    root: Path, most_pixels: int = MOST_PIXELS, endings: tuple[str, ...] = ENDINGS
) -> Iterator[tuple[list[File], list[File]]]:
    """The image files by name, and all others, see `listing`."""
    with listing(root, most_pixels, Said(endings)) as found:
        yield found.files, found.others


@contextmanager
def listing(root: Path, most_pixels: int = MOST_PIXELS, said: Said = _NOTHING) -> Iterator[Listing]:
    """The files, as long as which are read Pillow's warnings are kept back.

    Args:
        root: a folder, an archive, a table, or an image, which then is the only one.
        most_pixels: of a picture; files in archives are unpacked up to the size that this allows.
        said: what the user says of it.

    Raises:
        BadInput: it is none of these, or an archive that unpacks to far more than it holds.
    """
    with warnings.catch_warnings(), ExitStack() as stack:
        # They (large images, odd metadata) would go to the terminal; what matters is in the report.
        warnings.simplefilter("ignore")
        yield _found(root, most_pixels, said._replace(room=Room(said.memory)), stack)._replace(archives=stack)


def _found(root: Path, most_pixels: int, said: Said, stack: ExitStack) -> Listing:
    if root.is_dir():
        _require_no_run(root)
        parts = _parted([File(name, partial(Path, path)) for name, path in walked(root)], said)
        return parts if parts.files else _from_shards(parts, root, most_pixels, said, stack)
    if reason := refusal(root):
        raise NotRegular(root, reason)
    if root.name.lower().endswith((*said.endings, *said.later)):
        return Listing([file_at(root)], [])
    return _in_one(root, root.name, most_pixels, said, stack)


def _require_no_run(folder: Path) -> None:
    """BadInput where a folder is a run of evenodds."""
    if set(os.listdir(folder)) >= RUN_FILES:
        raise BadInput(f"{folder} is a run, whose pictures are no data; name a folder of images instead")


def _in_one(root: Path, name: str, most_pixels: int, said: Said, stack: ExitStack) -> Listing:
    """The files in an archive, a table, whose rows begin with this name, or a list."""
    if root.name.lower().endswith(lists.ENDINGS):
        paths = lists.read_list(root, (*said.endings, *said.later), said.root)
        return Listing(paths.files, [], paths.notes)
    if is_table(root.name):
        table = pictures(root, name, said.column, said.label, said.room or Room(said.memory), stack)
        return Listing(table.files, [], table.labels, table.notes)
    files = stack.enter_context(in_archive(root, most_pixels))
    runs = _run_folders([file.name for file in files])
    files = [file for file in files if not file.name.startswith(runs)] + [File(run, _no_file) for run in runs]
    parts = _parted(files, said)
    if root.suffix.lower() == ".zip":
        return parts
    samples, notes = of_samples(parts.files, said.column)
    known, others, about = labelled(samples, parts.others, lambda file: content(file, _MOST_LABEL))
    return Listing(known, others, about, notes)


def _from_shards(folder: Listing, root: Path, most_pixels: int, said: Said, stack: ExitStack) -> Listing:
    """The files in all archives and tables of a folder without images; the folder itself where there are none."""
    shards = [file for file in folder.others if _is_shard(file.name)]
    parts = {shard.name: _in_one(root / shard.name, shard.name, most_pixels, said, stack) for shard in shards}
    labels = tuple(dict.fromkeys(note for part in parts.values() for note in part.labels))
    notes = tuple(dict.fromkeys(note for part in parts.values() for note in part.notes))
    rest = [file for file in folder.others if file not in shards and not (shards and _describes(file.name))]
    files = apart({name: part.files for name, part in parts.items()})
    return Listing(files, [*rest, *apart({name: part.others for name, part in parts.items()})], labels, notes)


def _is_shard(name: str) -> bool:
    """Whether it is one of the archives or tables in which data sets are handed on in parts."""
    return not _hidden(name) and (is_archive(name) or is_table(name))


def _describes(name: str) -> bool:
    """Whether it is what `datasets` writes beside its tables."""
    return name.rpartition("/")[2] in ("state.json", "dataset_info.json", "dataset_dict.json")


def _run_folders(names: Sequence[str]) -> tuple[str, ...]:
    """The run folders of evenodds in an archive, by their names with a slash behind."""
    inside: dict[str, set[str]] = {}
    for name in names:
        folders = name.split("/")
        for level, part in enumerate(folders[1:], 1):
            inside.setdefault("/".join(folders[:level]) + "/", set()).add(part)
    return tuple(sorted(folder for folder, parts in inside.items() if parts >= RUN_FILES))


def _no_file() -> Path:
    raise Unusable("a folder")


def walked(root: Path) -> Iterator[tuple[str, str]]:
    """The names of all files below a folder, relative to it and with slashes, and their paths.

    A run folder of evenodds counts as one, by its own name with a slash behind: its pictures are no data.
    """
    visited = set()  # Links to folders are followed, but never in a circle.
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        if {*folders, *names} >= RUN_FILES and Path(folder) != root:
            yield f"{Path(folder).relative_to(root).as_posix()}/", os.path.join(folder, "config.yaml")
            folders.clear()
            continue
        within = Path(folder).relative_to(root).as_posix()
        before, start = "" if within == "." else f"{within}/", os.path.join(folder, "")
        yield from [(before + name, start + name) for name in names if name != RECORD]


def file_at(path: Path, name: str | None = None) -> File:
    """The file of a path; only read if it is a regular one.

    Args:
        name: how messages call it; None: its name without the folder.
    """
    return File(path.name if name is None else name, lambda: path)


def content(file: File, most: int = _MOST_TEXT) -> bytes:
    """All of a file that is no image.

    Args:
        most: bytes that it may have.

    Raises:
        BadInput: it is larger, no regular file, or cannot be unpacked.
    """
    try:
        source = file.open()
        if isinstance(source, Path):
            return read_regular(source, most)
        with source as stream:
            unpacked = stream.read(most + 1)
    except Unusable as error:
        raise BadInput(f"{file.name} cannot be read: {error}") from error
    except BadInput:
        raise
    except Exception as error:  # Archives are damaged in many ways: BadZipFile, zlib.error, EOFError, ...
        raise BadInput(f"{file.name} in the archive is damaged; pack it again") from error
    if len(unpacked) > most:
        raise BadInput(f"{file.name} has more than {most:,} bytes, which is too large for text; is it the right file?")
    return unpacked


def _parted(files: Sequence[File], said: Said) -> Listing:
    """The image files, those that are read later where there are no others, and what is none of them."""
    files = sorted(files, key=lambda file: file.name)
    for endings in (said.endings, said.later):
        usable: list[File] = []
        others: list[File] = []
        for file in files:
            is_usable = file.name.lower().endswith(endings) and not _hidden(file.name)
            (usable if is_usable else others).append(file)
        if usable:
            return Listing(usable, others)
    found = [file._replace(kind="dicom") for file in files if _looks_like_dicom(file)] if said.dicom else []
    names = {file.name for file in found}
    return Listing(found, [file for file in files if file.name not in names])


def _looks_like_dicom(file: File) -> bool:
    """Whether a file without a usual ending is a DICOM file; such have numbers for names, often."""
    ending = file.name.rpartition("/")[2].rpartition(".")[2]
    if _hidden(file.name) or file.name.endswith("/") or ("." in file.name and not ending.isdecimal()):
        return False
    try:
        source = file.open()
        with open_regular(source) if isinstance(source, Path) else source as stream:
            return is_dicom(stream.read(_HEAD))
    except (BadInput, Unusable, OSError, ValueError):
        return False


def _hidden(name: str) -> bool:
    return name.startswith(".") or "/." in name or "/__MACOSX/" in f"/{name}/"
