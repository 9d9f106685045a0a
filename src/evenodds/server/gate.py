"""Stands before the application: refuses who may not ask, bounds what is sent, and says what pages may load."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import defaultdict
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evenodds.server.access import CHANGING, Access, Refusal

__all__ = ["UPLOADS", "Gate", "Limits"]

UPLOADS = "/api/uploads"
"""The endpoint that takes large bodies."""
POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
"""Of every response that does not say otherwise."""


@dataclass(frozen=True)
class Limits:
    """How much is taken.

    Args:
        body: bytes of a request.
        upload: bytes of an uploaded file.
        pause: seconds between two parts of a body.
        whole: seconds for all of it.
        changes: requests a second that change something; three times as many at once.
        uploads: the paths at which files are uploaded.
    """

    body: int = 64 * 1024
    upload: int = 64 * 2**20
    pause: float = 10.0
    whole: float = 60.0
    changes: float = 20.0
    uploads: tuple[str, ...] = (UPLOADS,)

    def of(self, path: str) -> int:
        """Bytes of a request to that path."""
        return self.upload if path in self.uploads else self.body


@dataclass
class Bucket:
    """Lets so many pass a second, and three times as many at once.

    Args:
        rate: a second.
    """

    rate: float
    _left: float = field(init=False)
    _at: float = field(init=False, default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._left = 3 * self.rate

    def passes(self) -> bool:
        """Whether one more may pass now."""
        now = time.monotonic()
        self._left, self._at = min(3 * self.rate, self._left + (now - self._at) * self.rate), now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Gate:
    """An ASGI application around another one.

    Args:
        access: who may ask.
        limits: how much.
    """

    def __init__(self, app: ASGIApp, access: Access, limits: Limits) -> None:
        self._app, self._access, self._limits = app, access, limits
        self._changes = Bucket(limits.changes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, _with_headers(send))
        # No other kind of connection is answered: a web socket is closed by the server.

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(refusal, send)
            return
        try:
            await self._app(scope, _Bounded(receive, self._limits.of(scope["path"]), self._limits), send)
        except Exception:  # whoever asked was told in one line
            if os.environ.get("EVENODDS_DEBUG"):
                raise

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers: dict[str, list[str]] = defaultdict(list)
        for name, value in scope["headers"]:
            headers[name.decode("latin-1").lower()].append(value.decode("latin-1"))
        client = (scope.get("client") or ("",))[0]
        if (refusal := self._access.refusal(scope["method"], scope["path"], headers, client)) is not None:
            return refusal
        limit = self._limits.of(scope["path"])
        lengths = headers.get("content-length", [])
        if any(not length.isdecimal() or int(length[:20]) > limit for length in lengths):
            return Refusal(413, _too_large(limit))
        if scope["method"] in CHANGING and not self._changes.passes():
            return Refusal(429, "too many requests at once; wait a second")
        return None


class _Bounded:
    """The body of a request as it comes in, up to a number of bytes, and not slower than it may be."""

    def __init__(self, receive: Receive, most: int, limits: Limits) -> None:
        self._receive, self._most, self._limits = receive, most, limits
        self._bytes, self._ends, self._more = 0, time.monotonic() + limits.whole, True

    async def __call__(self) -> Message:
        if not self._more:
            return await self._receive()  # it waits for the client to go
        wait = min(self._limits.pause, self._ends - time.monotonic())
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, wait))
        except TimeoutError as error:
            raise HTTPException(408, "the request came too slowly; send it again") from error
        if message["type"] == "http.request":
            self._more = bool(message.get("more_body"))
            self._bytes += len(message.get("body", b""))
            if self._bytes > self._most:
                raise HTTPException(413, _too_large(self._most))
        return message


def _too_large(limit: int) -> str:
    unit = f"{limit // 2**20} MiB" if limit >= 2**20 else f"{limit // 1024} KiB"
    return f"a request may have at most {unit} here; send less"


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", [])}
            more = [(name, value) for name, value in HEADERS.items() if name not in there]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return sending


async def _refuse(refusal: Refusal, send: Send) -> None:
    body = json.dumps({"error": refusal.line}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close")]  # what else was sent is not read
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
