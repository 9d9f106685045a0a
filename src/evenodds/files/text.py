"""Text that a stranger may have written, made harmless: for a terminal, for JSON on a terminal, for a spreadsheet."""

from __future__ import annotations

import codecs
import csv
import json
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any, Literal

__all__ = ["aligned", "csv_text", "encodable", "from_cell", "from_utf8", "json_text", "quoted", "to_cell", "to_utf8"]
__all__ += ["number_text", "reason_of", "visible"]

UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0 and C1 controls, ESC among them
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u3164\uffa0"  # without a width, or blank
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # without a width, turning the direction, ending lines
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # without a width: tags and others
    "\ud800-\udfff]"  # halves of characters: bytes of file names that are not UTF-8
)
"""Characters that act on a terminal, or that nobody sees."""
_CURRENCY = "$€£¥₹₽₩₺₴¢"
NUMBER = re.compile(
    rf"[+-]?[{_CURRENCY}]?\s?(\d[\d.,'\u2019\s]*|\.\d+)(e[+-]?\d+)?\s?[{_CURRENCY}%‰°]?|[+-]?(inf|nan)", re.IGNORECASE
)
"""A number, perhaps with signs between its digits and of currency or percent: nothing to compute."""
FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How cells begin that a spreadsheet may compute, or that stand for such a cell."""
HALF = re.compile(r"(\\*)([\ud800-\udfff]|u[dD][89a-fA-F][0-9a-fA-F]{2})")
HALF_WRITTEN = re.compile(r"(\\+)(u[dD][89a-fA-F][0-9a-fA-F]{2})")
QUOTED = re.compile("[;\t\r]")
"""Characters at which some spreadsheets cut a cell that is not in quotes."""


def number_text(value: float) -> str:
    """A number in as few digits as it takes to read the same one again; nine are enough for single precision.

    Args:
        value: a float, or a number of NumPy.

    Example:
        >>> number_text(2e30), number_text(0.1 + 0.2)
        ('2e+30', '0.30000000000000004')
    """
    short = f"{value:.9g}"
    return short if type(value)(float(short)) == value or value != value else repr(float(value))


def visible(text: object) -> str:
    """One line in which every character is seen: ESC becomes `\\x1b`, a newline `\\n`, a bidi override `\\u202e`.

    Other characters stay. The result is its own visible form.
    """
    return UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), str(text))


def reason_of(error: BaseException) -> str:
    """What a library could not do, as one line in which every character is seen: the kind of error and its words."""
    return f"{type(error).__name__}: {visible(' '.join(str(error).split())[:200])}"


def encodable(text: str, encoding: str | None) -> str:
    """The text with a backslash form such as `\\xe9` for each character that the encoding lacks; None is UTF-8."""
    name = encoding or "utf-8"
    return text.encode(name, "backslashreplace").decode(name)


def json_text(content: Any, encoding: str | None = "utf-8") -> str:
    """Indented JSON of the same content, of which every character is seen; ASCII where the encoding is not UTF-8."""
    narrow = codecs.lookup(encoding or "utf-8").name != "utf-8"
    text = json.dumps(content, indent=2, ensure_ascii=narrow)
    return "\n".join(UNSEEN.sub(_json_escape, line) for line in text.split("\n"))


def _json_escape(match: re.Match[str]) -> str:
    return "\\u007f" if match[0] == "\x7f" else json.dumps(match[0])[1:-1]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of visible text, their columns as wide as the widest entry."""
    cells = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def csv_text(rows: Iterable[Iterable[object]], delimiter: str = ",") -> str:
    """Rows as CSV, all text in them as `to_cell` gives it; `from_cell` of what a CSV reader gives is the same text."""
    cells = [[to_cell(value) if isinstance(value, str) else value for value in row] for row in rows]
    cut = any(QUOTED.search(cell) for row in cells for cell in row if isinstance(cell, str))
    table = StringIO()
    quoting: Literal[0, 1] = csv.QUOTE_ALL if cut else csv.QUOTE_MINIMAL
    csv.writer(table, delimiter=delimiter, lineterminator="\n", quoting=quoting).writerows(cells)
    return table.getvalue()


def to_cell(text: str) -> str:
    """The text as a cell that no spreadsheet computes and that has a form in UTF-8; numbers stay as they are.

    What begins with = + - @, a tab, CR or LF, or their wide forms, gets an apostrophe before it. Halves of characters
    get a backslash form such as `\\udce9`.
    """
    whole = to_utf8(text)
    return f"'{whole}" if FORMULA.match(whole) and not NUMBER.fullmatch(whole) else whole


def from_cell(cell: str) -> str:
    """The text of which `to_cell` made this cell; other cells are their own text."""
    whole = cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
    return from_utf8(whole)


def to_utf8(text: str) -> str:
    """The text with a backslash form such as `\\udce9` for each half of a character, which UTF-8 cannot hold."""
    return HALF.sub(_escaped_half, text)


def from_utf8(text: str) -> str:
    """The text of which `to_utf8` made this."""
    return HALF_WRITTEN.sub(_whole_half, text)


def _escaped_half(match: re.Match[str]) -> str:
    slashes, half = match.groups()
    if len(half) == 1:
        return f"{slashes * 2}\\u{ord(half):04x}"
    return slashes * 2 + half


def _whole_half(match: re.Match[str]) -> str:
    slashes, half = match.groups()
    backslashes = slashes[: len(slashes) // 2]
    return backslashes + (chr(int(half[1:], 16)) if len(slashes) % 2 else half)


def quoted(path: str | os.PathLike[str]) -> str:
    """A path as it is typed in a shell: in quotes where it needs them."""
    text = os.fspath(path)
    if os.name == "nt":
        return f'"{text}"' if " " in text else text
    return shlex.quote(text)
