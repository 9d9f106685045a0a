"""Where a run came from that somebody else handed on: a file in its folder, which the next to hand it on continues."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from evenodds.errors import BadInput
from evenodds.files.misfit import shortened
from evenodds.files.read import read_json
from evenodds.files.write import write_json

__all__ = ["FILE", "Origin", "read_origins", "write_origins"]

FILE = "origin.json"
MOST = 1000
"""Origins of a run."""


@dataclass(frozen=True)
class Origin:
    """A run that was pulled.

    Args:
        source: owner/name on a hub, or "a folder".
        revision: the commit; None of a folder.
        run: twelve digits that tell runs apart, as it was pulled.
        images: real items that it had seen.
        licence: as it was stated.
        version: of evenodds that pushed it.
        digest: SHA-256 of its manifest.
    """

    source: str
    revision: str | None
    run: str
    images: int
    data_fingerprint: str
    licence: str
    version: str
    digest: str

    def told(self, noun: str) -> str:
        """In words; `noun`: what items of the run's data are called."""
        at = f" at {self.revision[:12]}" if self.revision else ""
        return f"{self.source}{at}: run {self.run} after {self.images:,} {noun}, licence {self.licence}"


def read_origins(folder: Path) -> list[Origin]:
    """Where the run in a folder came from, the latest last; empty of a run that was begun here."""
    path = folder / FILE
    origins = (
        read_json(path, list[Origin], "remove it, and the run counts as begun here") if os.path.lexists(path) else []
    )
    if len(origins) > MOST:
        raise BadInput(f"{shortened(str(path))} has {len(origins):,} origins, at most {MOST:,} are read")
    return origins


def write_origins(folder: Path, origins: list[Origin]) -> None:
    """Writes them down."""
    write_json(folder / FILE, [asdict(origin) for origin in origins])
