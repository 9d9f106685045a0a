"""HTML that cannot be broken by what it shows: elements close themselves, and any plain text is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

from evenodds.files.text import visible

__all__ = ["Child", "Html", "element", "join", "paragraph", "plain"]


class Html(str):
    """Markup that is ready. Every other string is text, and is escaped when it enters an element."""

    __slots__ = ()


Child: TypeAlias = str | Html | Iterable["Child"] | None
VOID = frozenset({"br", "img", "link", "meta"})


def plain(text: object) -> str:
    """Text of which every character is seen, but for the ends of lines: control characters, turns of the direction and
    halves of characters from odd file names have forms such as `\\x1b`."""
    return "\n".join(map(visible, str(text).split("\n")))


def join(*children: Child) -> Html:
    """The children, one after the other; None is nothing."""
    return Html("".join(_ready(child) for child in children))


def element(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Html:
    """One element with its children.

    Args:
        name: of the tag.
        children: text, markup, or collections of them.
        attributes: with `_` for `-`, and `_` at the end of Python's own words (`class_`). None and False leave the
            attribute out, True writes it without a value.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    return Html(f"<{name}{written}>" if name in VOID else f"<{name}{written}>{join(*children)}</{name}>")


def paragraph(words: Child, class_: str | None = None) -> Html:
    """A paragraph."""
    return element("p", words, class_=class_)


def _ready(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    return escape(plain(child)) if isinstance(child, str) else join(*child)


def _attribute(key: str, value: str | int | bool | None) -> str:
    key = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {key}" if value is True else f' {key}="{escape(plain(value), quote=True)}"'
