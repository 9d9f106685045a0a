"""What a page sends for a run to work on: bounded, streamed to files of names of our own, decoded in a thread."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from evenodds.apply.photo import read
from evenodds.data.folders.files import file_at
from evenodds.data.pictures.picture import DecodedImage
from evenodds.errors import BadInput
from evenodds.server.gate import UPLOADS
from evenodds.server.pictures import as_png, as_response

__all__ = ["Upload", "Uploads", "router"]

router = APIRouter(tags=["tools"])

MOST_FILES = 16
"""Uploads that are kept; the oldest goes first."""
MOST_BYTES = 256 * 2**20
"""Of all that are kept."""
MOST_PIXELS = 24_000_000
"""Of an uploaded picture; what has more is not decoded."""
AT_ONCE = 2
"""Pictures that are decoded at once."""


@dataclass(frozen=True)
class Upload:
    """A picture that was sent."""

    path: Path
    size: int
    height: int
    width: int

    def decoded(self) -> DecodedImage:
        """The picture at its own depth; BadInput where it cannot be read."""
        picture = read(file_at(self.path, "the picture"), MOST_PIXELS)
        if isinstance(picture, str):
            raise BadInput(picture)
        return picture

    @contextmanager
    def as_image(self) -> Iterator[Path]:
        """The picture as a PNG file, for readers that go by the ending of a name."""
        with as_png(self.decoded()) as path:
            yield path


class Uploads:
    """The pictures that were sent, in a folder that goes with the server."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="evenodds-uploads-")
        self._folder = Path(self._home.name)
        self._there: OrderedDict[str, Upload] = OrderedDict()
        self._turn = asyncio.Semaphore(AT_ONCE)

    def __getitem__(self, name: str) -> Upload:
        """The upload of that name; BadInput where it is gone."""
        if name not in self._there:
            raise BadInput("this picture is no longer here; send it again")
        self._there.move_to_end(name)
        return self._there[name]

    async def add(self, request: Request) -> str:
        """Takes the body of a request as a picture; returns the name that it has here."""
        name = secrets.token_urlsafe(18)
        path = self._folder / f"{name}.upload"
        try:
            size = 0
            with path.open("xb") as file:
                async for part in request.stream():
                    size += len(part)
                    file.write(part)
            async with self._turn:
                upload = await asyncio.to_thread(_looked_at, path, size)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._there[name] = upload
        self._forget()
        return name

    def close(self) -> None:
        """Removes all."""
        self._home.cleanup()

    def _forget(self) -> None:
        while len(self._there) > MOST_FILES or sum(one.size for one in self._there.values()) > MOST_BYTES:
            self._there.popitem(last=False)[1].path.unlink(missing_ok=True)


def _looked_at(path: Path, size: int) -> Upload:
    upload = Upload(path, size, 0, 0)
    height, width = upload.decoded().pixels.shape[:2]
    return Upload(path, size, height, width)


@router.post(UPLOADS, summary="Send a picture, as the body of the request", status_code=201)
async def send(request: Request) -> dict[str, Any]:
    """Keeps a picture for the tools: at most 64 MiB and 24 million pixels. Its name on your disk is not sent."""
    uploads: Uploads = request.app.state.uploads
    try:
        name = await uploads.add(request)
    except ClientDisconnect as error:
        raise BadInput("the connection ended before the picture was whole; send it again") from error
    upload = uploads[name]
    return {"upload": name, "height": upload.height, "width": upload.width}


@router.get(UPLOADS + "/{name}", summary="A picture that was sent, as browsers show it")
async def shown(request: Request, name: str) -> Response:
    """In 8 bits, as webp: of TIFF and other files that browsers do not read themselves."""
    uploads: Uploads = request.app.state.uploads
    return await asyncio.to_thread(_as_shown, uploads[name])


def _as_shown(upload: Upload) -> Response:
    pixels = upload.decoded().pixels
    eight = (pixels // 257).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    return as_response(np.moveaxis(eight[..., :1] if eight.shape[2] == 2 else eight, -1, 0))
