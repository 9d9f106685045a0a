"""Messages of the package that propose something to type: where they stand, and what they are."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from evenodds.errors import BadInput
from tests.tools import trees

TYPED = re.compile(
    r"(?<![\w.'*/{-])[a-z_]+(?:\.[a-z_]+)*=(?=[^\s=])"  # a setting, or an argument in Python
    r"|(?<![\w-])--[a-z][a-z0-9-]+"  # a flag
    r"|\bevenodds [a-z{]+"  # a command
    r"|\bpip install"
)
GOT = re.compile(r"\b(?:got|it has) [^;]*")
"""What came is no advice."""
FILLED_IN = re.compile(r"\{[^{}]*\}")
NO_MESSAGE = re.compile(r"; charset=|filename=\"|<!doctype|^[a-z_]+=\{\}: |\{[a-z-]+:|width=device")
"""Types of contents, pages, and lines that say which value was chosen."""
SETTINGS_ALONE = re.compile(r"(data|task)\.[a-z]+=|(held_out|views)=")
"""What messages are put together of."""
DESCRIBED = frozenset({"help", "description"})
"""Arguments that say what a flag or a field is; `setting` takes such a text as well. Names in these exist:
test_advice_on_commands.py."""


class Message(NamedTuple):
    """A text with advice; {} stands for what is filled in."""

    text: str
    where: str


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def _below(node: Any) -> Iterator[ast.AST]:
    """What of a node may hold messages: no docstrings, no descriptions, and of a text what is filled in alone.

    Half a million nodes are asked: those that hold none are left out by their kinds.
    """
    kind = type(node)
    if kind is ast.JoinedStr:
        yield from (part.value for part in node.values if isinstance(part, ast.FormattedValue))
        return
    if kind is ast.Expr and type(node.value) is ast.Constant:
        return
    if kind is ast.Call and type(node.func) is ast.Name and node.func.id == "setting":
        return
    for name in kind._fields:
        value = getattr(node, name, None)
        if type(value) is list:
            yield from (
                one
                for one in value
                if isinstance(one, ast.AST) and not (type(one) is ast.keyword and one.arg in DESCRIBED)
            )
        elif isinstance(value, ast.AST) and type(value) not in (ast.Name, ast.Load, ast.Store):
            yield value


def _messages(tree: ast.AST) -> Iterator[tuple[str, int]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if type(node) is ast.Constant or type(node) is ast.JoinedStr:
            text = _text(node)
            if text is not None and (" " in text or SETTINGS_ALONE.match(text)):
                yield text, node.lineno
        waiting += _below(node)


@cache
def messages() -> tuple[Message, ...]:
    """All texts in the package that propose something to type, each once."""
    found: dict[str, str] = {}
    for path, tree in trees().items():
        for text, line in _messages(tree):
            if TYPED.search(GOT.sub("", text)) and not NO_MESSAGE.search(text):
                found.setdefault(text, f"{path}:{line}")
    return tuple(Message(text, where) for text, where in found.items())


def meant(part: str) -> list[str]:
    """The messages that are this text, or else have it in them."""
    texts = [message.text for message in messages()]
    return [part] if part in texts else [text for text in texts if part in text]


def told(part: str, output: str) -> None:
    """Requires that the message with this text in it, filled in, is in an output."""
    (message,) = meant(part)
    pattern = r"[\s\S]*?".join(map(re.escape, FILLED_IN.split(message)))
    assert re.search(pattern, output) is not None, (message, output)


Tried = Callable[..., None]
TRIED: dict[str, Tried] = {}
"""Tests in which messages are said and what they advise is done, by a part of each message."""


def on(*fragments: str) -> Callable[[Tried], Tried]:
    """Marks such a test."""

    def keep(test: Tried) -> Tried:
        TRIED.update(dict.fromkeys(fragments, test))
        return test

    return keep


def refused(call: Callable[[], object]) -> str:
    """Why a call is refused; empty where it is not."""
    try:
        call()
    except BadInput as error:
        return str(error)
    return ""
