"""What a server has done, in the text format of Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evenodds.server.bounds import Line

__all__ = ["Measured", "Meter"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
ROWS = (1, 2, 4, 8, 16, 32, 64)
GONE = 499
"""The status, in the figures alone, of a request whose client has gone."""


class Meter:
    """The figures of one server.

    Args:
        line: those who wait.
    """

    def __init__(self, line: Line) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "evenodds_requests", "Requests that were answered.", ("path", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "evenodds_request_seconds", "From a request to its answer.", ("path",), buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.rejected = Counter(
            "evenodds_rejected", "Requests that were refused, by status.", ("status",), registry=self.registry
        )
        self.dropped = Counter(
            "evenodds_dropped", "Requests whose client went before the answer.", registry=self.registry
        )
        self.pass_rows = Histogram(
            "evenodds_pass_rows", "Rows of requests in a pass.", buckets=ROWS, registry=self.registry
        )
        self.pass_requests = Histogram(
            "evenodds_pass_requests", "Requests that shared a pass.", buckets=ROWS, registry=self.registry
        )
        for name, about, read in (
            ("evenodds_waiting", "Requests that are taken and not answered.", lambda: line.waiting),
            ("evenodds_receiving", "Requests that are being received.", lambda: line.receiving),
            ("evenodds_queue_limit", "Requests that may wait.", lambda: line.bounds.queue),
        ):
            Gauge(name, about, registry=self.registry).set_function(read)

    def of_pass(self, requests: int, rows: int) -> None:
        """Takes down a pass."""
        self.pass_requests.observe(requests)
        self.pass_rows.observe(rows)

    def of_request(self, path: str, status: int, seconds: float) -> None:
        """Takes down a request."""
        self.requests.labels(path, str(status)).inc()
        self.seconds.labels(path).observe(seconds)
        if status == GONE:
            self.dropped.inc()
        elif status >= 400:
            self.rejected.labels(str(status)).inc()

    def text(self) -> bytes:
        """All figures."""
        return generate_latest(self.registry)


class Measured:
    """An ASGI application around another one, which takes down every request.

    Args:
        paths: that are told apart; all others are one, so that nobody makes up figures by the thousand.
    """

    def __init__(self, app: ASGIApp, meter: Meter, paths: frozenset[str]) -> None:
        self._app, self._meter, self._paths = app, meter, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), GONE

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._meter.of_request(path, status, time.perf_counter() - begun)
