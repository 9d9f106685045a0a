"""What the commands share: the app that they join, flags that several of them have, and how words are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CoercionError, Parameter, Token, convert

import evenodds
from evenodds.errors import BadInput

__all__ = ["app", "listed_names", "numbers", "setting_values", "typed_settings"]


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
    from evenodds.files.misfit import shortened

    values: dict[str, Any] = {}
    for text in settings or []:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise BadInput(f"--set takes key=value, got {shortened(text)}; for example --set learning_rate=0.001")
        values[key.strip()] = value
    return values


def typed_settings(flags: Mapping[str, Any], settings: list[str] | None) -> dict[str, Any]:
    """The settings that were typed, as flags or after --set; BadInput where one was typed in both ways.

    Args:
        flags: by the key of the setting; None where a flag was not typed.
    """
    written, values = {key: value for key, value in flags.items() if value is not None}, setting_values(settings)
    for key in written.keys() & values.keys():
        raise BadInput(f"--{key} is the setting {key}, which stands after --set too; leave one of them out")
    return written | values


def assignments(words: list[str] | None) -> dict[str, str]:
    """The `name=value` words of --given as a mapping."""
    from evenodds.runs.values import texts_by_name

    return texts_by_name(words or [], "--given", "--given age=30")


def numbers(words: list[str] | None) -> dict[str, float] | None:
    """The `name=number` words of --given as a mapping."""
    from evenodds.runs.values import numbers_by_name

    return None if words is None else numbers_by_name(words, "--given", "--given angle=30")


def listed_names(names: list[str] | None) -> list[str] | None:
    """Names that were written one by one or with commas between them; None stays None."""
    return None if names is None else [part for name in names for part in name.split(",") if part]
