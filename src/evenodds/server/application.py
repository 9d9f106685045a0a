"""The application: endpoints of the routers that it is given, behind the gate, with errors as one line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from inspect import signature
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

import evenodds
from evenodds.errors import BadInput
from evenodds.files.lock import Busy
from evenodds.files.text import visible
from evenodds.server.access import SESSION, Access
from evenodds.server.bounds import Full, NotNow, Overloaded, Replaced, TooMuch
from evenodds.server.gate import Gate, Limits

__all__ = ["application"]

log = logging.getLogger(__name__)
"""Of faults of the server's own: one line each, on stderr where nobody has said otherwise."""

STATUSES: dict[type[BadInput], int] = {
    Busy: 409, Replaced: 409, TooMuch: 413, Full: 429, Overloaded: 503, NotNow: 503
}  # fmt: skip
"""Of errors that are not about what was sent, the closest kind first; others are 400."""


class Key(BaseModel):
    """What opens the server."""

    token: Annotated[str, Field(max_length=512)]


def application(
    title: str,
    access: Access,
    routers: Sequence[APIRouter],
    state: dict[str, Any],
    *,
    limits: Limits = Limits(),  # noqa: B008, it is frozen
    inner: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    closing: Callable[[], None] = lambda: None,
    described_at: str = "/api/openapi.json",
    cookies: bool = True,
) -> Gate:
    """An ASGI application that answers what its routers have, to those who may ask.

    Args:
        access: who may ask.
        state: what the endpoints find in `request.app.state`.
        inner: what stands between the gate and the endpoints.
        closing: called when the server ends.
        described_at: the path of the description of the endpoints.
        cookies: whether browsers may exchange the token for a cookie.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(closing)

    # Later versions of FastAPI would send figures to an endpoint of OpenTelemetry that the environment names.
    silent: dict[str, Any] = {"telemetry": {"auto_configure": False}}
    # Its own pages of documentation load scripts from elsewhere; openapi.json is shown by a page of the studio.
    app = FastAPI(
        title=title,
        version=evenodds.__version__,
        openapi_url=described_at,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        **(silent if "telemetry" in signature(FastAPI).parameters else {}),
    )
    for name, value in {**state, "access": access}.items():
        setattr(app.state, name, value)
    if cookies:
        app.add_api_route(SESSION, _open, methods=["POST"], status_code=204, tags=["access"], summary="Open the server")
    for router in routers:
        app.include_router(router)
    handlers: dict[type[Exception], Any] = {
        RequestValidationError: _misfit,
        HTTPException: _refused,
        BadInput: _bad_input,
        OSError: _denied,
        MemoryError: _failed,
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    return Gate(inner(app), access, limits)


async def _open(key: Key, request: Request) -> Response:
    """Gives a cookie for the token; the page takes it from the fragment of its address, which is sent to nobody."""
    access: Access = request.app.state.access
    client = request.client.host if request.client is not None else ""
    if not access.opens(key.token, client):
        raise HTTPException(401, "this is not the token of this start; open the address that was printed last")
    answer = Response(status_code=204)
    answer.set_cookie(access.cookie, access.secret, httponly=True, samesite="strict", path="/")
    return answer


def _line(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": " ".join(visible(text).split())}, status, headers)


async def _misfit(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first.get("loc", ())[1:])
    return _line(422, f"{place or 'the request'}: {first.get('msg', 'it cannot be read')}"[:400])


async def _refused(request: Request, error: HTTPException) -> Response:
    return _line(error.status_code, str(error.detail))


async def _bad_input(request: Request, error: BadInput) -> Response:
    status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 400)
    return _line(status, str(error), {"retry-after": str(error.retry_after)} if isinstance(error, Full) else None)


async def _denied(request: Request, error: OSError) -> Response:
    named = f": {error.filename}" if error.filename else ""
    return _line(500, f"{error.strerror or error}{named}")


async def _unexpected(request: Request, error: Exception) -> Response:
    said = f"unexpected {type(error).__name__}: {error}; EVENODDS_DEBUG=1 shows where"
    log.error("%s", " ".join(visible(f"{request.method} {request.url.path}: {said}").split()))
    return _line(500, said)


async def _failed(request: Request, error: MemoryError) -> Response:
    return _line(507, "out of memory; ask for less")
