"""What the commands share: the app that they join, flags that several of them have, and how words are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CoercionError, Parameter, Token, convert

import evenodds
from evenodds.errors import BadInput

__all__ = ["app", "listed_names", "numbers", "setting_values"]


def _stated(kind: Any, tokens: Sequence[Token]) -> Any:
    """The value of the words after a flag; an empty one is refused, which as a path would be the folder of work."""
    for token in tokens:
        if not token.value:
            flag = token.keyword or "a word of the command"
            raise CoercionError(msg=f"{flag} is empty, as a variable of the shell is that was not set.")
    return convert(kind, tokens)


app = App(
    name="evenodds",
    help="Train generative adversarial networks on your own data, and put them to work.",
    version=evenodds.__version__,
    help_format="plaintext",
    result_action="return_value",
    default_parameter=Parameter(converter=_stated),
    suppress_keyboard_interrupt=False,  # `main` says that a command was interrupted
)

Run = Annotated[Path, Parameter(help="The run folder.")]
RunData = Annotated[
    str | None,
    Parameter(
        name="--data", help="Where the data of the run lie now [default: where they were]; only the same are taken."
    ),
]
Device = Annotated[str, Parameter(name="--device", help="auto, cpu, cuda, mps.")]
Checkpoint = Annotated[str, Parameter(help="last, best (by the held-out score), or a number of images.")]
Json = Annotated[bool, Parameter(negative="", help="Print the result as JSON, and nothing else, on standard output.")]
Quiet = Annotated[bool, Parameter(help="No progress bar.")]
Switch = Annotated[bool, Parameter(negative="")]
Words = Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)]
Settings = Annotated[list[str] | None, Parameter(name="--set", negative="", consume_multiple=True)]


def setting_values(settings: list[str] | None) -> dict[str, Any]:
    """The `key=value` words of --set as a mapping; of two values of a key, the later one is taken."""
    words = [text.partition("=") for text in settings or []]
    for key, sign, _ in words:
        if not sign or not key:
            raise BadInput(f"--set takes key=value, got '{key}'; for example --set learning_rate=0.001")
    return {key.strip(): value for key, _, value in words}


def assignments(words: list[str] | None) -> dict[str, str]:
    """The `name=value` words of --given as a mapping."""
    from evenodds.files.misfit import shortened

    parts = [word.partition("=") for word in words or ()]
    for name, equals, value in parts:
        if not name or not equals:
            raise BadInput(f"--given takes name=value, got {shortened(name + equals + value)}; as in --given age=30")
    values: dict[str, str] = {}
    for name, _, value in parts:
        if values.setdefault(name.strip(), value) != value:
            raise BadInput(f"two values were given for '{name.strip()}', {values[name.strip()]} and {value}")
    return values


def numbers(words: list[str] | None) -> dict[str, float] | None:
    """The `name=number` words of --given as a mapping."""
    from evenodds.runs.values import numbers_by_name

    return None if words is None else numbers_by_name(words, "--given", "--given angle=30")


def listed_names(names: list[str] | None) -> list[str] | None:
    """Names that were written one by one or with commas between them; None stays None."""
    return None if names is None else [part for name in names for part in name.split(",") if part]
