"""What evenodds says when the input cannot be used: one line with what was needed, what came, what to change."""

from collections.abc import Iterable
from difflib import get_close_matches

from evenodds.files.text import visible

__all__ = ["BadInput", "Diverged", "Lost", "Remark", "excerpt", "unknown"]


LONGEST = 80
"""Characters of a name that are shown."""


class BadInput(ValueError):
    """The user's input cannot be used. The message is one line: what was needed, what came, what to change.

    Example:
        >>> import evenodds
        >>> try:
        ...     evenodds.load("no/such/folder")
        ... except evenodds.BadInput as error:
        ...     print(error)
        no run at no/such/folder: there is no such folder; runs are made by `evenodds train`
    """

    def __str__(self) -> str:
        """The message; what names from files hold that acts on a terminal is shown in a visible form."""
        return visible(super().__str__())


def unknown(kind: str, name: str, names: Iterable[str]) -> BadInput:
    """The error for a name that nobody has, with the nearest match and the whole choice.

    Args:
        kind: what the name should name, in the singular, e.g. "penalty".
        name: the name that came.
        names: those that exist.
    """
    name = excerpt(name)
    choices = sorted(names)
    near = get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else ";"
    choice = f"known: {', '.join(choices)}" if choices else "there are none; leave it out"
    return BadInput(f"no {kind} '{name}'{hint} {choice}")


def excerpt(text: str) -> str:
    """A text that somebody wrote, short enough for a message."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


class Diverged(RuntimeError):
    """A run whose numbers are no longer finite. The message is one line."""


class Lost(RuntimeError):
    """A run of several processes of which one has ended or hangs. The message is one line.

    `told`: whether another process has said so.
    """

    def __init__(self, message: str, told: bool = False) -> None:
        super().__init__(message)
        self.told = told


class Remark(UserWarning):
    """What a user should know of an answer that is given all the same, as one line."""
