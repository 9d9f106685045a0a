"""A run that fills in, at work on a table: its empty cells are filled, and all others stay as they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evenodds.apply.learned_columns import require_learned
from evenodds.apply.table_fillers import table_filler_of
from evenodds.data.tables.cells import Parsed
from evenodds.data.tables.frames import TABLES, parsed_like, read_frame, spelled_cells, spelled_flags
from evenodds.data.tables.opened import READS as TEXTS
from evenodds.data.tables.opened import Opened, open_table, parsed_cells, require_columns
from evenodds.data.tables.rewriting import Cells, with_cells
from evenodds.data.tables.rows import MOST_DECIMALS, Column, Values, unordered
from evenodds.data.tables.types import Types, placed_rows, spelled_as, without_absent
from evenodds.data.wording import count, some_names
from evenodds.errors import BadInput
from evenodds.files.lock import locked
from evenodds.files.misfit import shortened
from evenodds.files.outputs import Outputs
from evenodds.files.regular import NotRegular, refusal
from evenodds.files.text import csv_text
from evenodds.runs.imputing import Imputer, TableFiller
from evenodds.runs.strategies import DRAWS, Strategy, strategy_of

if TYPE_CHECKING:
    from evenodds.runs.session import Session

__all__ = ["Table", "fill_table", "rows_in"]


def fill_table(
    run: Session | TableFiller,
    source: Path | None = None,
    out: Path | None = None,
    n: int = 1,
    strategy: Strategy | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Fills the empty cells of a table; returns the files, one for each filling.

    Args:
        run: that learned to fill tables, or what a file fills tables by, see `evenodds.export.table_fillers`.
        source: text, a sheet of Excel or a Parquet table with the columns of the run's own; None for that one. What is
            filled in is spelled as the other cells of its column are, or as in the run's own where there are none.
        out: a folder, or the file of a single filling; None for `filled` in the run's folder, or beside the exported
            file. Text stays as it is but for the cells that are filled; what is no text is written as CSV.
        n: how many fillings.
        strategy: "mean", the mean of 64 draws, which errs least (of words the likeliest one); or "draw", which keeps
            the spread of columns. None: the mean of one filling, else draws.
        seed: the same one gives the same fillings; the first of more draws are those of fewer.
        say: told what was found and done.

    Raises:
        BadInput: the table has other columns, a word that the run has not seen or no empty cell; or a file of the
            user's would be replaced.
        Busy: another process or thread writes to the folder; see evenodds.files.lock.
    """
    filler = table_filler_of(run)
    how = strategy_of(strategy, n)
    path = filler.own() if source is None else source
    folder, names, stale = _places(path, filler.folder / "filled" if out is None else out, n)
    with locked(folder, "fill"):
        outputs = Outputs(folder, "fill", "name another folder with --out, or move it away")
        before = [one for one in outputs.earlier() if stale.fullmatch(one.name) and one.name not in names]
        outputs.require([*(folder / name for name in names), *before], [path])
        table = Table.read(path, filler)
        said = table.said(_HOW[how])
        made = table.filled(filler.imputer, n, how, seed)
        say(said)
        for name, content in zip(names, made, strict=True):
            with outputs.replaced(folder / name) as temporary:
                temporary.write_bytes(content)
        for one in before:
            outputs.remove(one)
    return [folder / name for name in names]


_HOW = {"mean": f"the mean of {DRAWS} draws (words: the likeliest)", "draw": "draws"}


def _places(source: Path, out: Path, n: int) -> tuple[Path, list[str], re.Pattern[str]]:
    """The folder, the names of the files, and how those of an earlier call may be called."""
    ending = source.suffix if source.suffix.lower() in TEXTS else ".csv"
    if out.suffix.lower() in TABLES and not out.is_dir():
        if n > 1:
            raise BadInput(
                f"{n} fillings need a folder, got --out {out}; name one, such as --out {out.with_suffix('')}"
            )
        if out.suffix.lower() not in TEXTS:
            raise BadInput(f"filled tables are written as text, got --out {out}; name {out.with_suffix('.csv')}")
        return out.parent, [out.name], re.compile("(?!)")
    names = [f"{source.stem}{ending}"] if n == 1 else [f"{source.stem}-{k}{ending}" for k in range(1, n + 1)]
    return out, names, re.compile(rf"{re.escape(source.stem)}(-\d+)?{re.escape(ending)}")


@dataclass(frozen=True)
class Table:
    """A table to fill.

    Args:
        columns: of the run.
        places: of these in the table.
        x: (N, D) their numbers, NaN where a cell is empty.
        opened: of text, how it is written; None of a data frame.
        cells: of a data frame, its names and all its cells as text.
        left_out: names of columns that the run has not learned.
        notes: on what was taken for what.
    """

    path: Path
    columns: Sequence[Column]
    places: Sequence[int]
    x: Values
    opened: Opened | None
    cells: list[list[str]]
    left_out: Sequence[str]
    notes: Sequence[str]

    @staticmethod
    def read(path: Path, filler: TableFiller) -> Table:
        """Reads a table with the columns that were learned, in any order, and perhaps others."""
        columns, options, learned = filler.columns, filler.options, {column.name for column in filler.columns}
        _require_table(path)
        opened, cells, stored = None, list[list[str]](), set[str]()
        if path.suffix.lower() in TEXTS:
            opened = open_table(path, *_given(options), held=True)
            names = opened.columns
            require_columns(path.name, names, None, ())
            used = {column.name: "words" for column in columns if column.form == "words" and column.name in names}
            unused = {name: "none" for name in names if name not in learned}
            require_learned(path.name, columns, names)
            parsed = parsed_cells(opened, Types(by_name={**used, **unused}), like=columns)[0]
        else:
            frame = spelled_flags(read_frame(path, options.get("sheet", 0)), columns)
            names = [str(name) for name in frame.columns]
            require_learned(path.name, columns, names)
            parsed = parsed_like(frame, columns)
            stored = {name for name, dtype in zip(names, frame.dtypes, strict=True) if _is_stored(dtype)}
            cells = _texts(frame, names, columns, parsed)
        parsed, notes = without_absent(columns, parsed)
        x = placed_rows(columns, parsed, where=path.name)
        others = [name for name in names if name not in learned]
        columns = tuple(one if one.name in stored else spelled_as(one, parsed[one.name]) for one in columns)
        return Table(path, columns, [names.index(column.name) for column in columns], x, opened, cells, others, notes)

    @property
    def charset(self) -> str:
        """What characters of the written table are encoded by, as the web calls it."""
        encoding = "utf-8" if self.opened is None else self.opened.text.encoding
        return {"utf-8-sig": "utf-8", "cp1252": "windows-1252"}.get(encoding, encoding)

    def spelled(self) -> list[Column]:
        """The columns, which spell numbers with as many decimals as all of their cells have here."""
        rows = self.cells[1:]
        if self.opened is not None:
            rows = [cells for _, cells in self.opened.text.rows()][self.opened.header :]
        there = ~np.isnan(self.x)
        return [
            _as_written(column, (rows[row][at] for row in of.nonzero()[0].tolist()))
            for column, at, of in zip(self.columns, self.places, there.T, strict=True)
        ]

    @property
    def to_fill(self) -> NDArray[np.bool_]:
        """(N, D) which cells are filled: empty ones of rows that have a value."""
        empty = np.isnan(self.x)
        return empty & ~empty.all(1, keepdims=True)

    def said(self, how: str) -> str:
        """What is filled and what stays; BadInput where nothing can be.

        Args:
            how: it is filled.
        """
        empty, filled = np.isnan(self.x), self.to_fill
        if not empty.any():
            raise BadInput(
                f"{self.path.name} has no empty cell in the {count(len(self.columns), 'column')} that the run fills; "
                "name a table that has some"
            )
        if not filled.any():
            raise BadInput(f"{self.path.name} has empty cells in empty rows alone, of which nothing is known")
        parts = [
            *self.notes,
            f"Filled {count(int(filled.sum()), 'empty cell')} of {count(len(self.x), 'row')} by {how}: "
            f"{self._named(filled.T)}.",
        ]
        if whole := int(empty.all(1).sum()):
            parts.append(f"{count(whole, 'row')} without any value {'stays' if whole == 1 else 'stay'} as written.")
        if self.left_out:
            parts.append(f"Not filled, as not learned: {some_names(self.left_out)}.")
        return " ".join(parts)

    def _named(self, marked: NDArray[np.bool_]) -> str:
        """The columns in which cells are marked, and how many."""
        counts = [(column.name, int(of.sum())) for column, of in zip(self.columns, marked, strict=True)]
        return some_names([f"{shortened(name)} {many:,}" for name, many in counts if many], 6)

    def filled(self, imputer: Imputer, n: int, strategy: str, seed: int) -> list[bytes]:
        """The content of a file for each of n fillings."""
        fillings = imputer.fillings(self.x, n, strategy, seed, unordered(self.columns))
        many: list[dict[tuple[int, int], str]] = [{} for _ in fillings]
        for k, (column, spelled) in enumerate(zip(self.columns, self.spelled(), strict=True)):
            rows = self.to_fill[:, k].nonzero()[0]
            held = column if column.decimals == 0 else spelled  # 41.0 is a whole number
            for cells, filling in zip(many, fillings, strict=True):
                for row, value in zip(rows.tolist(), held.held(filling[rows, k]).tolist(), strict=True):
                    cells[row, self.places[k]] = spelled.text(value)
        return self.written(many)

    def written(self, many: Sequence[Cells]) -> list[bytes]:
        """The content of a file for each of several fillings."""
        if self.opened is not None:
            return with_cells(self.opened.text, self.opened.header, many)
        head, *rows = self.cells
        made = []
        for cells in many:
            filled = [[cells.get((k, at), cell) for at, cell in enumerate(row)] for k, row in enumerate(rows)]
            made.append(csv_text([head, *filled]).encode())
        return made


def _texts(
    frame: Any, names: Sequence[str], columns: Sequence[Column], parsed: Mapping[str, Parsed]
) -> list[list[str]]:
    """The names and the cells of a data frame as text: text as it is, numbers and dates as their columns spell them."""
    of = {column.name: column for column in columns}
    texts = []
    for k, name in enumerate(names):
        cells, column = frame.iloc[:, k], of.get(name)
        if column is not None and column.form == parsed[name].form and _is_stored(cells.dtype):
            texts.append([column.text(value) for value in parsed[name].values.tolist()])
        else:
            texts.append(spelled_cells(cells))
    return [list(names), *(list(row) for row in zip(*texts, strict=True))]


def _is_stored(dtype: Any) -> bool:
    """Whether cells of a data frame are numbers or dates, which nobody has spelled."""
    return getattr(dtype, "kind", "O") in "iufM"


def _as_written(column: Column, cells: Iterable[str]) -> Column:
    """The column with as many decimals as all of the cells are written with; as it is where they differ."""
    if column.form != "number" or column.decimals is None:
        return column
    behind = re.compile(rf"{re.escape(column.style.point)}(\d+)\D*$")
    digits = {len(found[1]) if (found := behind.search(cell)) else 0 for cell in cells}
    same = digits.pop() if len(digits) == 1 else 0
    return replace(column, decimals=same) if column.decimals < same <= MOST_DECIMALS else column


def rows_in(path: Path, filler: TableFiller, most: int) -> int:
    """How many rows a table in a text file has, which is read as those of a run are; counted up to `most`."""
    opened = open_table(path, *_given(filler.options))
    return sum(1 for _ in islice(opened.text.rows(), opened.header, opened.header + most))


def _given(options: Mapping[str, Any]) -> tuple[str | None, bool | None, str | None]:
    """What a run's data were said to have: the delimiter, whether there is a header, and the encoding."""
    return options.get("delimiter"), options.get("header"), options.get("encoding")


def _require_table(path: Path) -> None:
    """BadInput where there is no table of a kind that is read."""
    if not path.exists():
        raise BadInput(f"no table '{path}' exists; name one with the columns of the run, or none for the run's own")
    if path.is_file() and (reason := refusal(path)):
        raise NotRegular(path, reason)
    if path.is_dir() or path.suffix.lower() not in TABLES:
        raise BadInput(f"{path} is no table ({', '.join(TABLES)}), and this run fills tables; name one")
