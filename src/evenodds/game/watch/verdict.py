"""The verdict on a run: one of eight words, and the reason."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WORDS", "Verdict"]

WORDS = (
    "starting",
    "improving",
    "flat",
    "D is winning",
    "D has memorised the training set",
    "collapsing",
    "augmentation leaks",
    "diverged",
)
"""Every verdict that there is, from the mildest."""


@dataclass(frozen=True)
class Verdict:
    """How a run goes, and why."""

    word: str
    why: str
    alarm: bool = False
    """Whether to go on is of no use: the run should go back."""
    since: int = 0
    """Images up to which all was well, where it is not."""

    def __str__(self) -> str:
        return f"{self.word}: {self.why}"
