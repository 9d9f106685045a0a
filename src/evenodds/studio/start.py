"""The studio put together: its endpoints, its page, and the port at which it answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from evenodds.errors import BadInput
from evenodds.server import sampling, uploads
from evenodds.server.access import Access
from evenodds.server.application import application
from evenodds.server.gate import Gate
from evenodds.server.kept_answers import KeptAnswers
from evenodds.server.loaded import Loaded
from evenodds.server.places import Places
from evenodds.studio import data, judging, runs, starting, tools
from evenodds.studio import folders as whole
from evenodds.studio.state import Studio

__all__ = ["STATIC", "studio"]

STATIC = Path(__file__).with_name("static")
"""The files of the page."""
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
page = APIRouter(include_in_schema=False)


def studio(access: Access, base: Path, folders: Sequence[Path] = (), device: str = "auto") -> Gate:
    """The application of the studio.

    Args:
        access: who may ask.
        base: the folder of the runs; it is made where it is not there.
        folders: that data may lie in; the folder of the runs is none of them by itself.
        device: where loaded runs are played.
    """
    if base.exists() and not base.is_dir():
        raise BadInput(f"runs lie in a folder, got the file {base}; name a folder")
    base.mkdir(parents=True, exist_ok=True)
    loaded, sent = Loaded(device=device), uploads.Uploads()
    state = {
        "runs": Studio(base.absolute(), Places.of(folders)),
        "loaded": loaded,
        "uploads": sent,
        "galleries": data.Galleries(),
        "files": {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.suffix in TYPES},
    }

    def closing() -> None:
        loaded.close()
        sent.close()

    rooms = (runs, judging, starting, data, sampling, tools, whole, uploads)
    routers = [*(room.router for room in rooms), page]

    def kept(app: ASGIApp) -> ASGIApp:
        return KeptAnswers(app, "/api/data/thumbnails/")

    return application("evenodds studio", access, routers, state, inner=kept, closing=closing)


@page.get("/")
async def first(request: Request) -> Response:
    """The page."""
    return _file(request, "index.html")


@page.get("/{name:path}")
async def file(request: Request, name: str) -> Response:
    """A file of the page: one of those that were there at the start, whatever is asked for."""
    return _file(request, name)


def _file(request: Request, name: str) -> Response:
    path: Path | None = request.app.state.files.get(name)
    if path is None:
        return Response("not found", 404, media_type="text/plain")
    kind = f"{TYPES[path.suffix]}; charset=utf-8"
    return Response(path.read_bytes(), media_type=kind, headers={"cache-control": "no-cache"})
