"""What a check of a run folder, or of an installation, found; nothing that may be broken is needed for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["FAULT", "FINE", "NOTE", "Finding", "sound"]

FINE, NOTE, FAULT = "fine", "note", "fault"


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Args:
        level: "fine"; "note": nothing is broken; "fault": something is, and a command may fail or mislead by it.
        place: the file or folder, relative to the run; or the part of the installation.
        what: a sentence without its end.
    """

    level: str
    place: str
    what: str


def sound(findings: Iterable[Finding]) -> bool:
    """Whether none of them is a fault."""
    return all(finding.level != FAULT for finding in findings)
