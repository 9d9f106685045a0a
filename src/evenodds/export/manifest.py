"""A run that is handed on: a folder of its files with a list of their sums, which is checked before any is taken."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from evenodds.errors import BadInput, excerpt
from evenodds.files.misfit import shortened
from evenodds.files.names import below, is_link
from evenodds.files.read import read_json
from evenodds.files.regular import open_regular, sha256_of
from evenodds.files.write import write_json
from evenodds.runs.origin import Origin

__all__ = ["CARD", "NAME", "Entry", "Manifest", "copied", "described", "files_below", "read_manifest", "require_same"]
__all__ += ["write_manifest"]

NAME = "evenodds-run.json"
"""The file that lists the sums of all others."""
CARD = "README.md"
"""The page for people. Its owner may edit it on the hub: a change is said and not refused."""
FORMAT = "evenodds-run-1"
MOST_FILES = 10_000
IGNORED = (".git", ".gitattributes", ".cache")
"""What places keep beside the files of a run."""
SHAREABLE = re.compile(
    r"README\.md|(config|data|environment|choices|remedies|evaluation)\.(yaml|json)|metrics\.jsonl|\.evenodds\.jsonl|"
    r"(encoder|ratio)\.safetensors|(samples|answers|walk)\.png|walk\.gif|samples/[0-9]{1,18}\.png|"
    r"checkpoints/[0-9]{1,18}/(checkpoint\.json|[A-Za-z0-9_-]{1,60}\.safetensors)"
)
"""The names of files that are handed on, and no others are taken."""
ADVICE = "take a folder that `evenodds push` wrote"


@dataclass(frozen=True)
class Entry:
    """A file: its bytes, and the SHA-256 of its content in hexadecimal digits."""

    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if self.bytes < 0 or not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise BadInput(f"a file has its bytes and 64 hexadecimal digits, got {shortened(self.sha256)}")


@dataclass(frozen=True)
class Manifest:
    """What a run that is handed on says of itself.

    Args:
        evenodds: the version that wrote it.
        run: twelve digits that tell runs apart.
        images: real images seen.
        licence: as it was stated.
        past: where the run came from before.
        files: by name.
    """

    format: str
    evenodds: str
    run: str
    recipe: str
    images: int
    data_fingerprint: str
    licence: str
    past: tuple[Origin, ...] = ()
    files: dict[str, Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise BadInput(f"the format must be {FORMAT}, got {shortened(self.format)}; use a newer evenodds")
        if len(self.files) > MOST_FILES:
            raise BadInput(f"a run has at most {MOST_FILES:,} files, got {len(self.files):,}")
        for name in self.files:
            if not SHAREABLE.fullmatch(name):
                raise BadInput(f"'{excerpt(name)}' is no file of a run that is handed on")
        if "config.yaml" not in self.files or "data.json" not in self.files:
            raise BadInput("a run has config.yaml and data.json, and these are not listed")

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(entry.bytes for entry in self.files.values())


def described(folder: Path) -> dict[str, Entry]:
    """The sums of all files in a folder."""
    paths = {name: folder / name for name in sorted(files_below(folder)) if name != NAME}
    return {name: Entry(path.stat().st_size, sha256_of(path)) for name, path in paths.items()}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the list beside the files."""
    write_json(folder / NAME, asdict(manifest))


def read_manifest(path: Path, where: str) -> Manifest:
    """The list of a run that is handed on; BadInput where there is none.

    Args:
        path: of the file.
        where: the place that it is from, for messages.
    """
    if not os.path.lexists(path):
        raise BadInput(f"{where} holds no {NAME}, so it is no run that was handed on; {ADVICE}")
    return read_json(path, Manifest, ADVICE)


def files_below(folder: Path) -> Iterator[str]:
    """The names of files and links below a folder, with `/`, without what a place keeps for itself."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = [name for name in folders if here != folder or name not in IGNORED]
        linked = [name for name in folders if is_link(here / name)]
        for name in [*files, *linked]:
            if here != folder or name not in IGNORED:
                yield (here / name).relative_to(folder).as_posix()


def require_same(manifest: Manifest, names: set[str], where: str) -> None:
    """BadInput where files are missing or more than the list has; the first is named."""
    listed = {*manifest.files, NAME}
    for others, what in ((listed - names, "is missing"), (names - listed, "is not in its list of files")):
        others.discard(CARD)
        if others:
            more = f" (so it is with {len(others) - 1:,} more)" if len(others) > 1 else ""
            raise BadInput(f"{where}: '{excerpt(min(others))}' {what}{more}; nothing was taken: {RENEW}")


RENEW = "ask its owner to push it again"


def copied(manifest: Manifest, source: Path, target: Path, where: str, home: Path) -> Iterator[str]:
    """Copies the files of a run, each checked by its sum while it is copied; yields sentences on what is otherwise.

    Args:
        source: the folder with the files.
        home: the folder that no link in it may lead out of.
        target: an empty folder.

    Raises:
        BadInput: a file is not what the list says. What was copied before it is there.
    """
    for name, entry in manifest.files.items():
        path = below(target, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == CARD and not os.path.lexists(source / name):
            continue
        digest, size = _copy(_inside(source / name, home), path, entry.bytes if name != CARD else LARGEST_CARD)
        if (size, digest) == (entry.bytes, entry.sha256):
            continue
        if name != CARD:
            raise BadInput(
                f"{where}: {name} is not what was pushed (its SHA-256 or size differs); nothing was taken: {RENEW}"
            )
        yield f"{CARD} was edited after it was pushed, and is taken as it is"


LARGEST_CARD = 2**20
"""Bytes of a page."""
_PART = 2**20


def _inside(path: Path, home: Path) -> Path:
    """The path, which no link leads out of its home."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(home)):
        raise BadInput(f"{path} leads out of {home} by a link; nothing was taken")
    return path


def _copy(source: Path, target: Path, most: int) -> tuple[str, int]:
    """Copies a regular file of at most so many bytes, and one more; its digest and size."""
    digest, size = hashlib.sha256(), 0
    with open_regular(source) as reading, target.open("wb") as writing:
        while size <= most and (part := reading.read(_PART)):
            digest.update(part)
            writing.write(part)
            size += len(part)
    return digest.hexdigest(), size
