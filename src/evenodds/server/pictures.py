"""Pictures as bytes for a browser: encoded in memory, thumbnails made once."""

from __future__ import annotations

import base64
import io
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.responses import Response

from evenodds.apply.photo import write
from evenodds.data.pictures.picture import DecodedImage
from evenodds.errors import unknown
from evenodds.show.pictures import to_image

__all__ = ["Kept", "as_png", "as_response", "encoded", "in_text", "thumbnail"]

TYPES = {"webp": "image/webp", "png": "image/png"}
MOST_KEPT = 64 * 2**20
"""Bytes of thumbnails in memory."""


def encoded(x: NDArray[Any], kind: str = "webp") -> bytes:
    """A picture (C, H, W) as a file: webp, without loss and fast, or png."""
    if kind not in TYPES:
        raise unknown("format of a picture", kind, TYPES)
    file = io.BytesIO()
    image = to_image(x)
    if kind == "webp":
        image.convert("RGBA" if x.shape[0] == 4 else "RGB").save(file, "WEBP", lossless=True, quality=0, method=0)
    else:
        image.save(file, "PNG", compress_level=3)
    return file.getvalue()


def in_text(x: NDArray[Any]) -> str:
    """A picture (C, H, W) as the base64 of a PNG file, for answers that hold several."""
    return base64.b64encode(encoded(x, "png")).decode("ascii")


def as_response(x: NDArray[Any], kind: str = "webp", **headers: str) -> Response:
    """A picture as the answer to a request."""
    return Response(encoded(x, kind), media_type=TYPES[kind], headers=headers)


def thumbnail(x: NDArray[Any], side: int) -> bytes:
    """A picture (H, W, C) of any depth as webp, no side longer than `side`; small ones stay as they are."""
    if x.dtype == np.uint16:
        x = (x // 257).astype(np.uint8)
    x = x[..., :1] if x.shape[2] == 2 else x[..., :4]
    image = Image.fromarray(x[..., 0] if x.shape[2] == 1 else x).convert("RGBA" if x.shape[2] == 4 else "RGB")
    image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=80, method=2)
    return file.getvalue()


class Kept:
    """Bytes by key, up to a number of bytes in all; what was asked for the longest ago goes first."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most, self._bytes = most, 0
        self._values: OrderedDict[Any, bytes] = OrderedDict()

    def get(self, key: Any, make: Callable[[], bytes]) -> bytes:
        """What is kept, made now where it is not."""
        value = self._values.get(key)
        if value is None:
            value = make()
            self._values[key] = value
            self._bytes += len(value)
            while self._bytes > self._most and len(self._values) > 1:
                self._bytes -= len(self._values.popitem(last=False)[1])
        else:
            self._values.move_to_end(key)
        return value


@contextmanager
def as_png(picture: DecodedImage) -> Iterator[Path]:
    """The picture as a PNG file, for readers that go by the ending of a name."""
    with tempfile.TemporaryDirectory(prefix="evenodds-") as folder:
        path = Path(folder) / "picture.png"
        write(path, np.moveaxis(picture.pixels, -1, 0))
        yield path
