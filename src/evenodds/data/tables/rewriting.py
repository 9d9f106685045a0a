"""A table in a text file written anew with some cells changed: all else stays as it is, character by character."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence

from evenodds.data.tables.delimited import Delimited
from evenodds.errors import BadInput
from evenodds.files.text import to_cell

__all__ = ["Cells", "with_cells"]

Cells = Mapping[tuple[int, int], str]
"""The text of some cells by their row, from 0 behind the names of the columns, without blank ones, and their column."""
Span = tuple[int, int]
"""Where a cell begins and ends, quotation marks and all."""
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OF_MARK = dict(zip(_MARKS, ("utf-8", "utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"), strict=True))


def with_cells(text: Delimited, header: int, many: Sequence[Cells]) -> list[bytes]:
    """The content of the file with other cells, once for each of several.

    Args:
        header: rows that hold the names of the columns.
        many: cells that change; the same ones in each.

    Raises:
        BadInput: quotation marks stand where none can be kept, or a character has no form in the file's encoding.
    """
    mark, encoding, content = _decoded(text)
    rows = _rows(text, content)[header:]
    places = sorted(many[0]) if many else []
    spans = [rows[row][column] for row, column in places]
    kept = [content[a:b] for (_, a), (b, _) in zip([(0, 0), *spans], [*spans, (len(content), 0)], strict=True)]
    made = []
    for cells in many:
        written = [_spelled(cells[place], text.delimiter) for place in places]
        parts = [kept[0], *(part for pair in zip(written, kept[1:], strict=True) for part in pair)]
        try:
            made.append(mark + "".join(parts).encode(encoding))
        except UnicodeEncodeError as error:
            character = error.object[error.start]
            raise BadInput(
                f"{text.path.name} is in {encoding}, which has no {character!r} that a cell is filled with; save the "
                "table in UTF-8"
            ) from error
    return made


def _decoded(text: Delimited) -> tuple[bytes, str, str]:
    """The mark with which a file begins, the encoding of what follows, and that as text."""
    raw = text.content()
    encoding = "utf-8" if text.encoding == "utf-8-sig" else text.encoding
    mark = next((one for one in _MARKS if raw.startswith(one) and _OF_MARK[one].startswith(encoding)), b"")
    encoding = _OF_MARK.get(mark, encoding)
    return mark, encoding, raw[len(mark) :].decode(encoding)


def _rows(text: Delimited, content: str) -> list[list[Span]]:
    """The cells of each row that is not blank; BadInput where they are not those that are read."""
    read = [cells for _, cells in text.rows()]
    rows = [row for number, row in enumerate(_split(content, text.delimiter)) if number >= text.begins]
    rows = [row for row in rows if any(_plain(content[a:b]).strip() for a, b in row)]
    for row, cells in zip(rows, read, strict=False):
        if [_plain(content[a:b]) for a, b in row] != cells:
            line = content.count("\n", 0, row[0][0]) + 1
            raise BadInput(f"{text.path.name}: line {line} {_ODD}")
    if len(rows) != len(read):
        raise BadInput(f"{text.path.name}: the last line {_ODD}")
    return rows


_ODD = "has quotation marks that cannot be kept as they are; save the table anew"


def _split(content: str, delimiter: str) -> Iterator[list[Span]]:
    """The rows, blank ones too, as `csv.reader` parts them."""
    sign = re.escape(delimiter)
    cell = re.compile(rf'(?:"(?:[^"]|"")*"[^{sign}\r\n]*|[^{sign}\r\n]*)')
    at, row = 0, list[Span]()
    while at < len(content) or row:
        found = cell.match(content, at)
        assert found is not None  # an empty cell always is there
        row.append(found.span())
        at = found.end()
        if content.startswith(delimiter, at):
            at += 1
            continue
        yield row
        row = []
        at += 2 if content.startswith("\r\n", at) else 1


def _plain(cell: str) -> str:
    """The text of a cell without its quotation marks."""
    if not cell.startswith('"'):
        return cell
    end = re.match(r'"((?:[^"]|"")*)"?', cell)
    assert end is not None
    return end[1].replace('""', '"') + cell[end.end() :]


def _spelled(cell: str, delimiter: str) -> str:
    """A cell in quotation marks, where it needs them."""
    safe = to_cell(cell)
    if any(sign in safe for sign in (delimiter, '"', "\r", "\n")):
        doubled = safe.replace('"', '""')
        return f'"{doubled}"'
    return safe
