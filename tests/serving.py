"""A server of one run in this process, with clients that are let in."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.testclient import TestClient

import evenodds
from evenodds.server.access import Access
from evenodds.server.asking import Service
from evenodds.server.bounds import Bounds
from evenodds.server.listening import Door, configured
from evenodds.server.serving import CLOSED, serving
from tests.studio import HOST, TOKEN

BEARER = {"authorization": f"Bearer {TOKEN}"}


def server(run: Any, **bounds: Any) -> tuple[Any, Service]:
    """The application of a run, and what answers in it."""
    session = evenodds.load(run, device="cpu") if isinstance(run, Path) else run
    rows = bounds.pop("rows", None)
    app: Any = serving(session, Access(frozenset({HOST}), 8000, TOKEN, closed=CLOSED), Bounds(**bounds), rows, 1)
    return app, app._app._app.state.service


@contextmanager
def asked(run: Any, **bounds: Any) -> Iterator[TestClient]:
    """A client of a server, one request after the other."""
    with TestClient(server(run, **bounds)[0], f"http://{HOST}", headers=BEARER) as client:
        yield client


@contextmanager
def at_port(run: Any, grace: float = 10) -> Iterator[tuple[int, Service, uvicorn.Server]]:
    """A server at a port of this machine."""
    door = Door.taken(token=TOKEN, closed=CLOSED)
    app: Any = serving(run, door.access, threads=1)
    running = uvicorn.Server(configured(app, grace))
    thread = threading.Thread(target=lambda: asyncio.run(running.serve(sockets=[door.socket])))
    thread.start()
    while not running.started:
        time.sleep(0.005)
    try:
        yield door.access.port, app._app._app.state.service, running
    finally:
        running.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@asynccontextmanager
async def _client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", headers=BEARER) as client:
        yield client


def together(app: Any, play: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
    """What several requests at once come to."""

    async def playing() -> Any:
        async with _client(app) as client:
            return await play(client)

    return asyncio.run(playing())
