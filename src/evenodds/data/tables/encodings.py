"""How the characters of a table are written."""

from __future__ import annotations

import codecs

from evenodds.errors import BadInput
from evenodds.files.misfit import shortened

__all__ = ["OTHERS", "known_encoding", "wide_encoding"]

OTHERS = "cp1252"
"""What is taken where nothing else fits: Windows-1252, of Western Europe."""
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""With how a file begins, the longer ones first."""
_USUAL = frozenset(",;\t\r\n .-0123456789")
"""Characters of which every table has many: each has a null byte in UTF-16."""
_MANY = 0.05


def known_encoding(name: str) -> str:
    """An encoding of text by the name that Python has for it; BadInput where there is none."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError, TypeError):
        found = None
    if found is None or not getattr(found, "_is_text_encoding", True):
        raise BadInput(
            f"no encoding {shortened(str(name))}; name one as Python calls it, such as utf-8, cp1251, shift_jis or gbk"
        )
    return found.name


def wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, by how the first bytes of a file look, with a mark or without one; None where it is neither."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if b"\0" not in head:
        return None
    shares = {name: _usual(head, name) for name in ("utf-16-le", "utf-16-be")}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] > _MANY else None


def _usual(head: bytes, name: str) -> float:
    """The share of characters that tables have many of; 0 where it is no such text."""
    try:
        text = codecs.getincrementaldecoder(name)().decode(head)
    except UnicodeDecodeError:
        return 0.0
    return sum(one in _USUAL for one in text) / max(1, len(text)) if "\0" not in text else 0.0
