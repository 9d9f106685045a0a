"""What a request says: fields and pictures, of JSON, of a form, or of the body itself."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, TypeVar

from PIL import ImageFile
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from evenodds.apply.photo import read
from evenodds.data.pictures.opening import File, guarded
from evenodds.data.pictures.picture import DecodedImage
from evenodds.errors import BadInput, unknown
from evenodds.files.misfit import shortened
from evenodds.files.read import parse_json
from evenodds.server.bounds import TooMuch

__all__ = ["FILES", "Asked", "Received", "decoded", "received", "size_of"]

M = TypeVar("M", bound="Asked")

FILES = ("image", "mask", "rows")
"""Fields that are files: in JSON in base64, in forms as they are."""
MOST_SAID = 2**62
"""Pixels that a file may say it has, before that is looked at."""
MOST_PARTS = 64
"""Of a form."""


class Asked(BaseModel):
    """What all requests may say. `files`: the names of the files that come with one."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    files: ClassVar[tuple[str, ...]] = ()

    form: Annotated[str | None, Field(max_length=8, description="png, npz, json or csv; else as Accept says.")] = Field(
        None, alias="format"
    )


@dataclass(frozen=True)
class Received:
    """What a request says.

    Args:
        fields: by name; texts, numbers, lists and mappings.
        files: the bytes of each that was sent, by the name of its field.
    """

    fields: Mapping[str, Any]
    files: Mapping[str, list[bytes]] = field(default_factory=dict)

    def as_model(self, model: type[M]) -> M:
        """The fields as what an endpoint takes; BadInput where they, or the files, are others."""
        known = [one.alias or name for name, one in model.model_fields.items()]
        others = [name for name in [*self.files, *self.fields] if name not in (*known, *model.files)]
        if others:
            raise unknown("field", others[0], {*known, *model.files})
        try:
            return model.model_validate(dict(self.fields))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            own = first.get("ctx", {}).get("error")  # of a check of ours, which says what came
            got = "" if own or first["type"] == "missing" else f", got {shortened(first['input'])}"
            raise BadInput(f"{place or 'the request'}: {own or first['msg']}{got}"[:400]) from error

    def one(self, name: str) -> bytes:
        """The only file of that name."""
        files = self.files.get(name, [])
        if len(files) != 1:
            other = "as the body with Content-Type: text/csv" if name == "rows" else "in base64 in JSON"
            what = "file of rows" if name == "rows" else name
            raise BadInput(f"one {what} is needed, got {len(files)}; send it as a file of a form, or {other}")
        return files[0]


async def received(request: Request) -> Received:
    """What a request says, its query string included.

    Raises:
        BadInput: it cannot be read; nothing is said of what is missing.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    query = _merged(list(request.query_params.multi_items()))
    try:
        if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
            form = await _of_form(request)
            return Received({**form.fields, **query}, form.files)
        body = await request.body()
    except ClientDisconnect as error:
        raise BadInput("the connection ended before the request was whole; send it again") from error
    if kind == "application/json" or (not kind and body[:1] == b"{"):
        own = _of_json(body)
        return Received({**own.fields, **query}, own.files)
    if kind.startswith("image/") or kind == "application/octet-stream":
        return Received(query, {"image": [body]})
    if kind == "text/csv":
        return Received(query, {"rows": [body]})
    if not body:
        return Received(query)
    raise HTTPException(
        415, "send application/json, multipart/form-data, an image or text/csv, and say so in Content-Type"
    )


def _of_json(body: bytes) -> Received:
    value = parse_json(body, "the body")
    if not isinstance(value, dict):
        raise BadInput('the body must be a JSON object, as in {"seed": 1}')
    files = {}
    for name in FILES:
        if name in value and isinstance(value[name], str | list) and name != "rows":
            texts = value.pop(name)
            files[name] = [_bytes_of(text, name) for text in ([texts] if isinstance(texts, str) else texts)]
    return Received(value, files)


def _bytes_of(text: Any, name: str) -> bytes:
    if isinstance(text, str) and text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise BadInput(f"{name} must be a file in base64; as of: base64 -w0 FILE") from error


async def _of_form(request: Request) -> Received:
    files: dict[str, list[bytes]] = {}
    words: list[tuple[str, Any]] = []
    async with request.form(max_files=MOST_PARTS, max_fields=MOST_PARTS) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files.setdefault(name, []).append(await value.read())
            else:
                words.append((name, value))
    if texts := [name for name, _ in words if name in FILES]:
        raise BadInput(f"{texts[0]} is a file, got text; with curl: -F {texts[0]}=@FILE")
    if any(name.lstrip()[:1] == "{" for name, _ in words):  # what curl -d sends of JSON where no type is named
        raise HTTPException(415, "this is JSON: send it with the header Content-Type: application/json")
    return Received(_merged(words), files)


def _merged(words: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fields by name; what occurs several times is a list."""
    merged: dict[str, Any] = {}
    for name, value in words:
        before = merged.get(name)
        merged[name] = value if before is None else [*before, value] if isinstance(before, list) else [before, value]
    return merged


def decoded(content: bytes, what: str, most_pixels: int) -> DecodedImage:
    """A picture at its own depth.

    Raises:
        TooMuch: it has more pixels; they are not decoded.
        BadInput: it cannot be read.
    """
    height, width = size_of(content, what)
    if height * width > most_pixels:
        raise TooMuch(f"{what} has {height:,} x {width:,} pixels, at most {most_pixels:,} are taken here")
    frames = guarded(_file(content, what), _frames, MOST_SAID)
    if isinstance(frames, int) and frames > 1:
        raise BadInput(f"{what} has {frames:,} frames; send one of them, as a PNG, say")
    picture = read(_file(content, what), most_pixels)
    if isinstance(picture, str):
        raise BadInput(picture)
    return picture


def size_of(content: bytes, what: str) -> tuple[int, int]:
    """Height and width that a picture says it has; BadInput where it is none. Nothing is decoded."""
    size = guarded(_file(content, what), lambda image: image.size, MOST_SAID)
    if isinstance(size, str):
        raise BadInput(size)
    return size[1], size[0]


def _frames(image: ImageFile.ImageFile) -> int:
    """How many frames a picture has; the others of a camera's MPO are previews of the first."""
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def _file(content: bytes, what: str) -> File:
    return File(what, lambda: io.BytesIO(content))
