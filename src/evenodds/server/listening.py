"""The server at a port: bound to this machine, patient with nobody who sends slowly."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from evenodds.errors import BadInput
from evenodds.server.access import Access, is_loopback, require_token

__all__ = ["Door", "serve"]

PATIENCE = 10.0
"""Seconds for the head of a request, from the first byte of the connection on."""
MOST_HEAD = 32 * 1024
"""Bytes of the head of a request."""
CONNECTIONS = 512
"""Connections at once; the one that has waited the longest without a request is closed for a new one."""


class Impatient(HttpToolsProtocol):
    """Closes a connection whose first request has no whole head after `PATIENCE` seconds, sooner where many wait.

    The head of a request has at most `MOST_HEAD` bytes, with what of its body came along.
    """

    _in_head = True
    _head = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._waiting = self.loop.call_later(PATIENCE, self._give_up)
        if len(self.connections) > CONNECTIONS:
            silent = [one for one in self.connections if isinstance(one, Impatient) and one.cycle is None]
            min(silent, key=lambda one: one._waiting.when(), default=self)._give_up()

    def data_received(self, data: bytes) -> None:
        if self._in_head and (taken := self._head + len(data)) > MOST_HEAD and not self._fits(data):
            self._head = taken
            self.transport.close()
            return
        self._head += len(data) if self._in_head else 0
        super().data_received(data)
        if self.cycle is not None:
            self._waiting.cancel()

    def on_message_begin(self) -> None:
        self._in_head, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._head = True, 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.cancel()
        super().connection_lost(exc)

    def _fits(self, data: bytes) -> bool:
        """Whether the head ends soon in these bytes, and the rest of them is of a body."""
        return self._head == 0 and b"\r\n\r\n" in data[:MOST_HEAD]

    def _give_up(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


@dataclass
class Door:
    """A port that is taken, and who may come in.

    Args:
        socket: that listens.
        host: as the user named it.
        access: with the names by which it is called.
    """

    socket: socket.socket
    host: str
    access: Access

    @staticmethod
    def taken(
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        called: Sequence[str] = (),
        closed: tuple[str, ...] = ("/api/",),
    ) -> Door:
        """Takes a port; 0 is any that is free.

        Args:
            called: further names that the header Host may say, with the port where there is one in it.
            closed: beginnings of the paths that need the token.

        Raises:
            BadInput: other machines would reach it and there is no token of the user's own; or it is in use.
        """
        require_token(host, token)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # The protocol is named: only then does asyncio send at once what is written (TCP_NODELAY). Else the body of an
        # answer waits for the word that its head has arrived, for some 40 ms.
        taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((host, port))
            taken.listen(512)
        except OSError as error:
            taken.close()
            raise BadInput(f"{host} port {port} cannot be taken: {error.strerror}; name another --port") from error
        port = taken.getsockname()[1]
        names = {"127.0.0.1", "localhost", "[::1]"} if is_loopback(host) else {host, "localhost", socket.gethostname()}
        hosts = frozenset({*(f"{name.lower()}:{port}" for name in names), *(name.lower() for name in called)})
        access = Access(hosts, port, literal=not is_loopback(host), closed=closed)
        return Door(taken, host, access if token is None else replace(access, token=token))

    @property
    def address(self) -> str:
        """The address of the first page, without the token."""
        host = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.access.port}/"

    @property
    def key(self) -> str:
        """The address with the token in its fragment, which browsers send to nobody."""
        return f"{self.address}#token={self.access.token}"


def configured(app: ASGIApp, grace: float = 3) -> uvicorn.Config:
    """How the server runs.

    Args:
        grace: seconds that requests have which were taken before it was asked to end.
    """
    return uvicorn.Config(
        app,
        http=Impatient,
        ws="none",
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=math.ceil(grace),
        proxy_headers=False,
    )


def serve(app: ASGIApp, door: Door, grace: float = 3) -> None:
    """Answers at a port until Ctrl-C or SIGTERM; see `configured`."""
    asyncio.run(uvicorn.Server(configured(app, grace)).serve(sockets=[door.socket]))
