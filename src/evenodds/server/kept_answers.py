"""Answers that are given again: small pictures, asked for by the hundred, without a look at the disk."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["KeptAnswers"]

LASTS = 5.0
"""Seconds for which an answer is given again."""
MOST = 4096
"""Answers that are kept."""
LARGEST = 32 * 1024
"""Bytes of an answer that is kept."""


@dataclass
class _Answer:
    """An answer as it is sent."""

    begin: Message
    body: Message
    until: float


class KeptAnswers:
    """An ASGI application around another one, which keeps the answers of one kind of request for some seconds.

    It stands behind the gate, so that only those are answered who may ask.

    Args:
        prefix: of the paths whose answers are kept.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix
        self._kept: OrderedDict[bytes, _Answer] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return
        key = scope["path"].encode("utf-8", "surrogateescape") + b"?" + scope["query_string"]
        answer = self._kept.get(key)
        if answer is not None and answer.until > time.monotonic():
            await send(answer.begin)
            await send(answer.body)
            return
        await self._app(scope, receive, self._keeping(key, send))

    def _keeping(self, key: bytes, send: Send) -> Send:
        begin: Message = {}

        async def keeping(message: Message) -> None:
            nonlocal begin
            if message["type"] == "http.response.start":
                begin = message
            elif begin.get("status") == 200 and not message.get("more_body") and len(message["body"]) <= LARGEST:
                self._kept[key] = _Answer(begin, message, time.monotonic() + LASTS)
                self._kept.move_to_end(key)
                while len(self._kept) > MOST:
                    self._kept.popitem(last=False)
            await send(message)

        return keeping
