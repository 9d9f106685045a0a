"""Text files of cells: how their characters are written, and what stands between the cells."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from evenodds.data.tables.cells import is_number
from evenodds.data.tables.encodings import OTHERS, known_encoding, wide_encoding
from evenodds.errors import BadInput
from evenodds.files.misfit import shortened
from evenodds.files.regular import open_regular

__all__ = ["Delimited", "delimited"]

_LONGEST_LINE = 1 << 24  # Characters.
_MOST_COLUMNS = 100_000
DELIMITERS = {"tab": "\t", "comma": ",", "semicolon": ";", "bar": "|", "space": " "}
"""Words for signs that a shell or YAML reads in another way."""
_SAID = re.compile(r"sep=([,;\t|])\s*", re.IGNORECASE)
"""A first line by which Excel is told what stands between cells."""


@dataclass(frozen=True)
class Delimited:
    """A file, how its characters are written, and what stands between its cells."""

    path: Path
    encoding: str
    delimiter: str = ","
    begins: int = 0
    """Lines above the table."""
    named: bool = False
    """Whether the user says how its characters are written."""
    held: bytes | None = field(default=None, repr=False)
    """All of the file, where it was read at once; None where it is opened each time that something is looked for."""

    @property
    def notes(self) -> list[str]:
        """What users should know of it."""
        if self.encoding == "utf-8-sig" or self.named:
            return []
        if self.encoding == OTHERS:
            return [f"{self.path.name} is no UTF-8: read as Windows-1252; data.encoding=cp1251, say, names another."]
        return [f"{self.path.name} is in {self.encoding[:6].upper()}."]

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The rows that are not blank, with their number in the file, from 1."""
        try:
            with self.opened() as file:
                for row, cells in enumerate(csv.reader(self._lines(file), delimiter=self.delimiter), 1):
                    if row <= self.begins:
                        continue
                    if len(cells) > _MOST_COLUMNS:
                        raise BadInput(f"{self.path.name}: row {row} has {len(cells):,} cells, over {_MOST_COLUMNS:,}")
                    if any(cell.strip() for cell in cells):
                        yield row, cells
        except UnicodeError as error:
            raise self._unreadable(error) from error
        except (OSError, csv.Error, TypeError) as error:
            raise BadInput(
                f"{self.path.name} cannot be read as text with '{self.delimiter}' between cells: {error}"
            ) from error

    def opened(self) -> TextIOWrapper:
        """The file as text."""
        return TextIOWrapper(_stream(self.path, self.held), encoding=self.encoding, newline="")

    def content(self) -> bytes:
        """All of the file."""
        with _stream(self.path, self.held) as file:
            return file.read()

    def _lines(self, file: TextIOWrapper) -> Iterator[str]:
        """The lines, none of which is longer than memory can hold."""
        number = 0
        while line := file.readline(_LONGEST_LINE + 1):
            number += 1
            if len(line) > _LONGEST_LINE:
                raise BadInput(f"{self.path.name}: line {number} has over {_LONGEST_LINE:,} characters; is it a table?")
            yield line

    def first_lines(self, count: int) -> list[str]:
        """The first lines that are not blank."""
        try:
            with self.opened() as file:
                return list(islice((line for line in self._lines(file) if line.strip()), count))
        except UnicodeError as error:
            raise self._unreadable(error) from error
        except OSError as error:
            raise BadInput(f"{self.path.name} cannot be read as text: {error}") from error

    def _unreadable(self, error: UnicodeError) -> BadInput:
        if not self.named and self.encoding == OTHERS:
            how = "name its code page, such as data.encoding=shift_jis, gbk, cp1251 or cp437, or save it in UTF-8"
            return BadInput(f"{self.path.name} is neither UTF-8, UTF-16 nor Windows-1252; {how}")
        return BadInput(f"{self.path.name} is not in {self.encoding}: {error}; name another data.encoding")


def delimited(path: Path, delimiter: str | None = None, encoding: str | None = None, held: bool = False) -> Delimited:
    """A text file, and what stands between its cells.

    Args:
        delimiter: a sign, or one of `DELIMITERS`; None finds out.
        encoding: how its characters are written; None finds out.
        held: whether all of it is read at once and kept, so that all that is looked for is of the same moment.
    """
    content = _content(path) if held else None
    name = _encoding(path, content) if encoding is None else known_encoding(encoding)
    text = Delimited(path, name, named=encoding is not None, held=content)
    if said := _SAID.fullmatch("".join(text.first_lines(1))):
        text, delimiter = replace(text, begins=1), delimiter or said[1]
    if delimiter is None:
        return replace(text, delimiter=_sniff(text))
    sign = DELIMITERS.get(delimiter.strip(), delimiter)
    if len(sign) != 1:
        raise BadInput(f"a delimiter is one sign, or one of {', '.join(DELIMITERS)}, got {shortened(delimiter)}")
    return replace(text, delimiter=sign)


def _stream(path: Path, held: bytes | None) -> BinaryIO:
    """A file, or what was read of it."""
    return open_regular(path) if held is None else BytesIO(held)


def _content(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read()
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read: {error}") from error


def _encoding(path: Path, held: bytes | None) -> str:
    """UTF-8, UTF-16 or UTF-32 where the file begins so, or Windows-1252 where it is no UTF-8 and has no null bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with _stream(path, held) as file:
            while block := file.read(1 << 20):
                if file.tell() == len(block) and (wide := wide_encoding(block)):
                    return wide
                if b"\0" in block:
                    raise BadInput(f"{path.name} needs text, got null bytes; save it as text in UTF-8")
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read: {error}") from error
    except UnicodeDecodeError:
        return OTHERS
    return "utf-8-sig"


def _sniff(text: Delimited) -> str:
    outside = [re.sub('"[^"]*"', "", line) for line in text.first_lines(2)]
    if text.path.suffix.lower() == ".tsv" and outside and "\t" in outside[0]:
        return "\t"
    for line in outside[::-1] if all(";" in line for line in outside) else ():
        if any(is_number(cell) for cell in line.split(";")):
            return ";"  # the commas stand before decimals
    return max(",;\t", key=outside[0].count) if outside else ","
