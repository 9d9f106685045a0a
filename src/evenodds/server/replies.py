"""Answers as they are sent: a picture, arrays, rows of a table, or JSON."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from evenodds.apply.drawing import Drawn
from evenodds.errors import BadInput
from evenodds.runs.sample_picture import sample_picture
from evenodds.server.pictures import encoded

__all__ = ["TYPES", "arrays", "csv", "form_of", "in_text", "picture", "plain", "samples"]

TYPES = {
    "png": "image/png",
    "npz": "application/zip",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
}
ACCEPTED = {
    "image/png": "png",
    "application/zip": "npz",
    "application/x-npz": "npz",
    "application/octet-stream": "npz",
    "application/json": "json",
    "text/csv": "csv",
}
"""What the header Accept may ask for."""
MOST_SHOWN = 256
"""Samples of one picture."""


def form_of(request: Request, asked: str | None, forms: Sequence[str]) -> str:
    """The form of an answer: as the request names it, or as Accept does; else the first of those there are."""
    if asked is not None:
        if asked not in forms:
            raise BadInput(f"format is one of {', '.join(forms)} here, got {asked[:20]}")
        return asked
    accepted = request.headers.get("accept", "")
    if not accepted.strip():
        return forms[0]
    for kind, _ in sorted((_with_weight(word) for word in accepted.split(",")[:32]), key=lambda pair: -pair[1]):
        if kind == "*/*" or (kind == "image/*" and "png" in forms):
            return forms[0] if kind == "*/*" else "png"
        if (form := ACCEPTED.get(kind)) in forms:
            return str(form)
    raise HTTPException(406, f"answers here are {', '.join(forms)}; name one as format, or in Accept")


def _with_weight(word: str) -> tuple[str, float]:
    kind, _, rest = word.partition(";")
    try:
        return kind.strip().lower(), float(rest.rpartition("q=")[2] or 1)
    except ValueError:
        return kind.strip().lower(), 1.0


def samples(drawn: Drawn, form: str, seed: int, columns: int | None = None) -> Response:
    """Samples: one picture of all, arrays, rows, or JSON with a picture for each."""
    card = drawn.session.card
    if form == "npz":
        return Response(drawn.npz(), media_type=TYPES["npz"])
    if form == "csv":
        return csv(drawn.csv())
    if form == "png":
        if len(drawn.x) > MOST_SHOWN:
            raise BadInput(f"a picture shows at most {MOST_SHOWN} samples, got {len(drawn.x)}; ask for npz, or fewer")
        least = 1 if card.kind == "image" else 384
        return picture(encoded(sample_picture(card, drawn.x, columns, least), "png"))
    told: dict[str, Any] = {"seed": seed}
    if card.kind != "image":
        names, rows = _rows(drawn)
        return JSONResponse({**told, "columns": names, "rows": rows})
    told["images"] = [in_text(encoded(image, "png")) for image in card.eight_bit(drawn.x)]
    if drawn.y is not None:
        told["classes"] = [card.classes[k] for k in drawn.y]
    if drawn.c is not None and card.conditions is not None:
        told["given"] = {name: plain(drawn.c[:, k]) for k, name in enumerate(card.conditions.names)}
    return JSONResponse(told)


def _rows(drawn: Drawn) -> tuple[list[str], list[list[Any]]]:
    """The names of the columns as a table's file has them, and its cells as JSON has them: numbers, texts, null."""
    card = drawn.session.card
    names = [str(name) for name in drawn.cells()[0]]
    values = dict(zip(card.columns, plain(card.cells(drawn.x).T), strict=False))
    if not card.columns:
        values = {f"x{k}": plain(column) for k, column in enumerate(drawn.x.T)}
    if drawn.c is not None and card.conditions is not None:
        values |= {name: plain(drawn.c[:, k]) for k, name in enumerate(card.conditions.names)}
    if drawn.y is not None:
        (label,) = [name for name in names if name not in values]
        values[label] = [card.classes[k] for k in drawn.y]
    return names, [list(row) for row in zip(*(values[name] for name in names), strict=True)]


def plain(value: Any) -> Any:
    """Arrays, numbers and dates as JSON has them; what is no number is null."""
    if isinstance(value, np.ndarray):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.isoformat() if isinstance(value, date | datetime | time) else value


def arrays(values: Mapping[str, NDArray[Any]]) -> Response:
    """Arrays by name, as an npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, **values)  # type: ignore[arg-type]
    return Response(file.getvalue(), media_type=TYPES["npz"])


def picture(content: bytes, **headers: str) -> Response:
    """A PNG file."""
    return Response(content, media_type=TYPES["png"], headers=headers)


def csv(text: str) -> Response:
    """Rows of a table."""
    return Response(text.encode("utf-8", "backslashreplace"), media_type=TYPES["csv"])


def in_text(content: bytes) -> str:
    """A file in base64."""
    return base64.b64encode(content).decode("ascii")
