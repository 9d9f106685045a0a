"""The answers of a run that fills tables: rows with their empty cells filled, in the form in which they were sent."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from starlette.responses import Response

from evenodds.apply.filling_rows import fill_rows
from evenodds.apply.filling_tables import Table, rows_in
from evenodds.errors import BadInput
from evenodds.files.text import visible
from evenodds.runs.imputing import TableFiller
from evenodds.runs.strategies import Strategy, strategy_of
from evenodds.server.asking import Aside, Service
from evenodds.server.received import Received

__all__ = ["filled_rows", "rows_of"]

NOTES = "Evenodds-Notes"
"""The header with what was taken for what in a file."""


def rows_of(received: Received) -> list[dict[str, Any]] | None:
    """The rows of a request, None where they are a CSV file; BadInput where there are none, or both."""
    rows, columns = received.fields.get("rows"), received.fields.get("columns")
    if "rows" in received.files:
        if rows is not None:
            raise BadInput("the rows came twice: send a CSV file with a line of names, or `rows` in JSON")
        received.one("rows")
        return None
    if not isinstance(rows, list) or not rows:
        raise BadInput('rows are needed: a CSV file, or in JSON {"rows": [{"age": 41, "city": null}]}')
    if isinstance(columns, list):
        if len({*map(str, columns)}) < len(columns):
            raise BadInput("`columns` has one name twice; rename one, so that no cell is lost")
        if any(not isinstance(row, list) or len(row) != len(columns) for row in rows):
            raise BadInput("all rows need as many cells as there are columns")
        return [dict(zip(map(str, columns), row, strict=True)) for row in rows]
    if not all(isinstance(row, dict) for row in rows):
        raise BadInput('rows need names of columns: {"rows": [{"age": 41, "city": null}]}, or `columns` beside them')
    return rows


async def filled_rows(
    service: Service,
    received: Received,
    rows: list[dict[str, Any]] | None,
    n: int,
    strategy: Strategy | None,
    seed: int,
) -> Response:
    """Fillings of rows, as `evenodds fill` makes them: JSON of rows in JSON, CSV of a CSV file.

    Args:
        rows: that were sent in JSON; None where they are a CSV file.
    """

    def work(aside: Aside) -> Response:
        filler = service.offers.table_filler(aside.ask)
        if rows is None:
            return _csv(service, received.one("rows"), filler, strategy, seed)
        made = fill_rows(filler, rows, n, strategy, seed)
        told = json.dumps({"seed": seed, "fillings": made.fillings, "notes": list(made.notes)})
        return Response(told, media_type="application/json")  # in ASCII: halves of characters stay as they came

    return await service.picture(work)


def _csv(service: Service, content: bytes, filler: TableFiller, strategy: Strategy | None, seed: int) -> Response:
    """One filling of a CSV file, which stays as it is written but for its empty cells."""
    with tempfile.TemporaryDirectory(prefix="evenodds-") as folder:
        path = Path(folder) / "rows.csv"
        path.write_bytes(content)
        bounds = service.line.bounds
        bounds.require_count(rows_in(path, filler, bounds.samples + 1), "rows", counted=False)
        table = Table.read(path, filler)
        (made,) = table.filled(filler.imputer, 1, strategy_of(strategy, 1), seed)
        said = visible(" ".join(table.notes)).encode("ascii", "backslashreplace").decode("ascii")
        headers = {NOTES: said} if said else {}
        return Response(made, media_type=f"text/csv; charset={table.charset}", headers=headers)
