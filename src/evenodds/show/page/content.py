"""What a report shows."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.errors import BadInput
from evenodds.show import pictures

__all__ = ["Content", "Picture"]

MAGIC = {"image/png": b"\x89PNG\r\n\x1a\n", "image/gif": b"GIF8"}


@dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Args:
        data: the bytes of a PNG or GIF file.
        caption: what it shows, read by everybody.
        alt: what it shows, for those who do not see it.
        kind: "image/png" or "image/gif".
        pixelated: whether enlarged pixels keep their edges, as small images want.

    Raises:
        BadInput: the bytes are not of that kind.
    """

    data: bytes
    caption: str
    alt: str
    kind: str = "image/png"
    pixelated: bool = True

    def __post_init__(self) -> None:
        if self.kind not in MAGIC or not self.data.startswith(MAGIC[self.kind]) or len(self.data) < 24:
            raise BadInput(f"a picture needs the bytes of a PNG or GIF file of its kind, got '{self.kind}'; use write")

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], caption: str, alt: str, pixelated: bool = True) -> Picture:
        """The picture of (C, H, W) uint8 pixels, as a PNG."""
        file = io.BytesIO()
        pictures.to_image(pixels).save(file, "PNG", optimize=True)
        return cls(file.getvalue(), caption, alt, "image/png", pixelated)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, from the file's header."""
        if self.kind == "image/png":
            return int.from_bytes(self.data[16:20], "big"), int.from_bytes(self.data[20:24], "big")
        return int.from_bytes(self.data[6:8], "little"), int.from_bytes(self.data[8:10], "little")

    @property
    def address(self) -> str:
        """The picture itself as a data: address."""
        return f"data:{self.kind};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True)
class Content:
    """All that a report knows. Whatever is empty or null is left out of the page.

    Args:
        title: of the page.
        subtitle: one line below it.
        evaluation: what `evenodds evaluate --json` prints, schema 1; may hold nulls everywhere.
        pictures: by key. "samples", "pairs_real" (real beside its nearest fake), "pairs_train" (samples above their
            nearest training neighbours), "suspects" and "walk" have their places; others are shown at the end.
        history: the lines of metrics.jsonl. "images" is the place on the axis; every key with a "/" is a term.
        settings: the run's configuration, nested plain values.
        environment: versions and machine, likewise.
        noun: what items of the data are called, in the plural.
        score_is: what the held-out score of the history means; empty where that is not known.
    """

    title: str
    subtitle: str = ""
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    noun: str = "images"
    score_is: str = ""
