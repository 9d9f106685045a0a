"""What evenodds says when the input cannot be used: one line with what was needed, what came, what to change."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

from evenodds.files.text import visible

__all__ = ["BadInput", "Diverged", "Lost", "Remark", "excerpt", "unknown"]


LONGEST = 80
"""Characters of a name that are shown."""
WHOLE, NEAREST = 40, 6
"""A choice of so many names is shown in full; of a larger one, such as the columns of a table, so many."""


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
    """The error for a name that nobody has, with the nearest match and the choice: of more than 40, the 6 nearest.

    Args:
        kind: what the name should name, in the singular, e.g. "penalty".
        name: the name that came.
        names: those that exist, in the order in which equally near ones are shown where they are many.

    Example:
        >>> print(unknown("column", "colour 7", [f"Colour {k}" for k in range(1, 60)]))
        no column 'colour 7'; did you mean 'Colour 7'? known: Colour 7, Colour 17, Colour 27, Colour 37, Colour 47, \
Colour 57 and 53 more
    """
    name = excerpt(name)
    choices = list(names)
    if len(choices) <= WHOLE:
        choices, more = sorted(choices), ""
    else:
        nearness = SequenceMatcher(None, b=name.lower(), autojunk=False)
        choices.sort(key=lambda choice: -_ratio(nearness, choice))
        choices, more = choices[:NEAREST], f" and {len(choices) - NEAREST:,} more"
    lower = {choice.lower(): choice for choice in reversed(choices)}
    near = get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    hint = f"; did you mean '{lower[near[0]]}'?" if near else ";"
    choice = f"known: {', '.join(choices)}{more}" if choices else "there are none; leave it out"
    return BadInput(f"no {kind} '{name}'{hint} {choice}")


def _ratio(nearness: SequenceMatcher[str], choice: str) -> float:
    """How near a name comes to the one that was asked for, in [0, 1], whatever its capitals."""
    nearness.set_seq1(choice.lower())
    return nearness.ratio()


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
