"""The endpoints on runs: the list, one run, its curves, its pictures, its report."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from evenodds.errors import BadInput
from evenodds.files.names import below
from evenodds.files.read import read_json
from evenodds.files.regular import NotRegular, read_regular
from evenodds.game import checkpoint
from evenodds.game.checkpoint import best_of
from evenodds.runs import remedy
from evenodds.runs.launching import Launched
from evenodds.runs.watching import RunView
from evenodds.studio.state import MOST_PROCESSES, Studio

__all__ = ["content_of", "router", "studio_of"]

router = APIRouter(prefix="/api", tags=["runs"])

MOST_PAGE = 64 * 2**20
"""Bytes of a report."""
SHEET_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"
"""Of a report, which may be a stranger's: it is shown, and can do nothing."""
RECENT = 24 * 3600.0
"""Seconds for which a process that has ended is listed."""
MOST_COLUMNS = 64
"""Terms of a history."""


def studio_of(request: Request) -> Studio:
    """The studio of an application."""
    studio: Studio = request.app.state.runs
    return studio


@router.get("/runs", summary="All runs, newest first")
async def runs(request: Request) -> Response:
    """Polled by pages: with If-None-Match and the last ETag the answer is 304 where nothing has changed."""
    studio = studio_of(request)
    tag = await asyncio.to_thread(studio.tag)
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    body = await asyncio.to_thread(_listed, studio)
    return Response(json.dumps(body), media_type="application/json", headers={"etag": tag, "cache-control": "no-cache"})


def _listed(studio: Studio) -> dict[str, Any]:
    """The runs, and processes that were started and have no run to show: not yet, or that ended before."""
    rows = [studio.row(view) for view in studio.watching.newest_first()]
    folders = {str(view.folder) for view in studio.watching.newest_first()}
    lately = time.time() - RECENT
    runs = [one for one in studio.processes()[:MOST_PROCESSES] if Path(one.folder).parent == studio.base]
    started = [one for one in runs if one.folder not in folders and one.since > lately]
    return {"base": str(studio.base), "runs": rows, "processes": [_process(studio, one) for one in started]}


def _process(studio: Studio, one: Launched) -> dict[str, Any]:
    folder = Path(one.folder)
    name = folder.relative_to(studio.base).as_posix() if folder.is_relative_to(studio.base) else folder.name
    return {"run": name, "command": one.command[0], "alive": one.alive, "since": one.since, "said": one.said()[-3:]}


@router.get("/runs/{run}", summary="One run as it stands")
async def one(request: Request, run: str) -> Response:
    """Figures, checkpoints, settings, remedies, changes of the verdict. With ETag, as the list."""
    studio = studio_of(request)
    version = await asyncio.to_thread(studio.tag)
    if request.headers.get("if-none-match") == version:
        return Response(status_code=304, headers={"etag": version})
    view = studio.view(run)
    body = await asyncio.to_thread(_described, studio, view)
    return JSONResponse(body, headers={"etag": version, "cache-control": "no-cache"})


def _described(studio: Studio, view: RunView) -> dict[str, Any]:
    said = next((p.said() for p in studio.processes() if Path(p.folder) == view.folder), [])
    return {
        **studio.row(view),
        "folder": str(view.folder),
        "snapshots": view.samples,
        "checkpoints": _checkpoints(view.folder),
        "settings": {} if view.config is None else view.config.to_mapping(),
        "verdicts": view.standing.changes,
        "remedies": _remedies(view.folder),
        "data": _data(view.folder),
        "damaged": view.damaged,
        "said": said,
    }


def _checkpoints(folder: Path) -> list[dict[str, Any]]:
    best, found = best_of(folder / "checkpoints"), []
    for path in checkpoint.listing(folder / "checkpoints"):
        try:
            header = checkpoint.read_header(path)
        except checkpoint.Damaged as error:
            found.append({"images": checkpoint.images_of(path), "trouble": error.reason})
            continue
        interval = list(header.score_interval or (None, None))
        figures = {"score": header.score, "interval": interval, "score_is": header.score_is}
        found.append({"images": checkpoint.images_of(path), "best": path == best, **figures})
    return found


def _remedies(folder: Path) -> list[str]:
    try:
        return [str(one) for one in remedy.read(folder)]
    except BadInput as error:
        return [str(error)]


def _data(folder: Path) -> dict[str, Any]:
    """What the run knows of its data, without what is long."""
    try:
        card = read_json(folder / "data.json", dict[str, Any])
    except (BadInput, OSError):
        return {}
    shown = ("kind", "shape", "classes", "class_counts", "columns", "items", "trained_on", "report", "place")
    return {key: card[key] for key in shown if key in card}


@router.get("/runs/{run}/history", summary="The curves of a run")
async def history(
    request: Request,
    run: str,
    since: Annotated[int, Query(ge=0, description="Lines that the page has already.")] = 0,
    part: Annotated[str, Query(max_length=64, description="The `part` of the answer that held them.")] = "",
) -> dict[str, Any]:
    """Lines by term: `images`, and a list of the same length for each term, null where it has no value.

    Only lines after `since` come, where they go on with `part`; else all, under another `part`.
    """
    studio = studio_of(request)
    curves = await asyncio.to_thread(studio.curves, run)
    lines, current = curves.lines, f"{studio.start}-{curves.identity}"
    first = since if part == current and since <= len(lines) else 0
    fresh = lines[first:]
    names = list(dict.fromkeys(name for line in fresh for name, value in line.items() if _is_number(value)))
    columns = {name: [_number(line.get(name)) for line in fresh] for name in names[:MOST_COLUMNS]}
    return {"part": current, "first": first, "lines": len(lines), "columns": columns}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float | None:
    return value if _is_number(value) else None


@router.get("/runs/{run}/snapshots/{images}", summary="The picture of samples at a checkpoint")
async def snapshot(request: Request, run: str, images: int) -> Response:
    """samples/<images>.png of the run folder."""
    view = studio_of(request).view(run)
    if images not in view.samples:
        raise BadInput(f"no samples were drawn at {images:,} {view.noun}; the run says which there are")
    content = await asyncio.to_thread(content_of, view.folder, f"samples/{images:012d}.png")
    return Response(content, media_type="image/png", headers={"cache-control": "private, max-age=3600"})


@router.get("/runs/{run}/report", summary="The report of a run, as a page")
async def report(request: Request, run: str) -> Response:
    """report.html of the run folder, under a policy by which it can do nothing but be read."""
    view = studio_of(request).view(run)
    content = await asyncio.to_thread(content_of, view.folder, "report.html")
    headers = {"content-security-policy": SHEET_POLICY, "x-frame-options": "SAMEORIGIN"}
    return Response(content, media_type="text/html; charset=utf-8", headers=headers)


def content_of(folder: Path, name: str) -> bytes:
    """The bytes of a file of a folder; BadInput where it is not a plain file inside, or too large to be shown."""
    path = below(folder, name)  # refuses links that lead out
    try:
        return read_regular(path, MOST_PAGE)
    except NotRegular as error:
        raise BadInput(f"{name} of {folder.name} cannot be shown: it is {error.reason}") from error
