"""The endpoints of `evenodds serve`: what one run answers, how it is, and what it has done."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from math import prod
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BeforeValidator, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from evenodds.apply import drawing
from evenodds.errors import BadInput
from evenodds.runs.strategies import Strategy, strategy_of
from evenodds.runs.values import numbers_by_name
from evenodds.server import answers
from evenodds.server.asking import Service
from evenodds.server.received import Asked, Received, received
from evenodds.server.replies import TYPES, form_of
from evenodds.server.tables import filled_rows, rows_of

__all__ = ["CONVERSIONS", "PATHS", "router"]

router = APIRouter()

CONVERSIONS = ("upscale", "translate", "segment")
PATHS = tuple(f"/v1/{name}" for name in ("sample", "encode", "classify", "fill", *CONVERSIONS))
"""Of what a run may be asked for."""
FORMS = {"image": ("png", "npz", "json"), "table": ("json", "csv", "npz", "png"), "toy": ("json", "csv", "npz", "png")}
"""In which samples are answered, by the kind of the data; the first where nothing is named."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _given(value: Any) -> Any:
    """Words name=number, as forms and query strings have them, as a mapping."""
    if not isinstance(value, str | list):
        return value
    return numbers_by_name([str(word) for word in _listed(value)], "given", "angle=30")


Seed = Annotated[int, Field(ge=0, lt=2**63, description="The same seed gives the same answer.")]


class Sample(Asked):
    """What samples are asked for."""

    count: Annotated[int, Field(ge=1, description="How many.")] = 1
    seed: Seed = 0
    class_: Annotated[str | None, Field(alias="class", max_length=1024, description="The class of all.")] = None
    classes: Annotated[
        list[str] | None, BeforeValidator(_listed), Field(description="The class of each, in place of `class`.")
    ] = None
    given: Annotated[
        dict[str, float] | None, BeforeValidator(_given), Field(description="A number for each attribute or value.")
    ] = None
    truncation: Annotated[float, Field(gt=0, le=1, description="Towards the middle; 1 is plain sampling.")] = 1.0
    columns: Annotated[int | None, Field(ge=1, le=256, description="Samples in a row of a picture.")] = None


class Items(Asked):
    """Pictures as `image`, or rows of a table as `rows`, a file; in JSON with `columns`."""

    files = ("image", "rows")

    rows: list[list[Any]] | None = None
    columns: list[str] | None = None


class Fill(Asked):
    """A picture as `image`, and as `mask` one of the same proportions that is white where it is to be filled in; or of
    a run that fills tables, `rows`: a file, or in JSON mappings of columns to values, null where nothing is known."""

    files = ("image", "mask", "rows")

    count: Annotated[int | None, Field(ge=1, description="How many fillings; else 4 of an image, 1 of rows.")] = None
    seed: Seed = 0
    strategy: Annotated[
        Strategy | None, Field(description="Of rows: mean, which errs least, or draw; else the mean of one filling.")
    ] = None
    rows: Annotated[list[Any] | None, Field(description="A mapping each; or a list, with `columns`.")] = None
    columns: list[str] | None = None


class Convert(Asked):
    """A picture as `image`."""

    files = ("image",)


class Translate(Convert):
    """A picture as `image`."""

    back: Annotated[
        bool,
        Field(description="A picture like the sources, of one like the targets: of a run that learned both ways."),
    ] = False


class Segment(Convert):
    """A picture as `image`."""

    overlay: Annotated[bool, Field(description="The picture in the colours of its classes, and not the map.")] = False


def _described(model: type[Asked]) -> dict[str, Any]:
    """How a request is sent, for openapi.json: what is parsed here is not seen by FastAPI."""
    schema, files = model.model_json_schema(), model.files
    texts = {
        name: {"type": "string", "description": "A file in base64.", "format": "byte"}
        for name in files
        if name != "rows"
    }
    binary = {name: {"type": "string", "format": "binary"} for name in files}
    content: dict[str, Any] = {
        "application/json": {"schema": {**schema, "properties": {**texts, **schema["properties"]}}}
    }
    if files:
        content["multipart/form-data"] = {"schema": {**schema, "properties": {**schema["properties"], **binary}}}
    if "image" in files and "mask" not in files:
        content["image/*"] = {"schema": {"type": "string", "format": "binary"}}
    if "rows" in files:
        content["text/csv"] = {"schema": {"type": "string"}}
    replies = {"content": {kind.partition(";")[0]: {} for kind in TYPES.values()}, "description": "The answer."}
    line = {"description": 'An error: {"error": "one line"}.'}
    statuses = {"200": replies, "400": line, "401": line, "404": line, "413": line, "429": line, "503": line}
    return {"requestBody": {"content": content}, "responses": statuses}


def _service(request: Request, name: str | None = None) -> Service:
    """What answers; a 404 where the run has no such answer."""
    service: Service = request.app.state.service
    if name is not None:
        try:
            service.offers.require(name)
        except BadInput as error:
            raise HTTPException(404, str(error)) from error
    return service


async def _with_files(service: Service, request: Request) -> Received:
    with service.line.received():
        return await received(request)


@router.post("/v1/sample", summary="Samples", openapi_extra=_described(Sample), tags=["run"])
async def sample(request: Request) -> Response:
    """As `evenodds sample` draws them: one PNG of all, arrays (npz), JSON, rows of a table (CSV)."""
    service = _service(request, "sample")
    asked = (await received(request)).as_model(Sample)
    service.line.bounds.require_count(asked.count)
    card = service.offers.session.card
    form = form_of(request, asked.form, FORMS[card.kind])
    classes = None if asked.classes is None else tuple(asked.classes)
    drawn = drawing.Request(
        asked.count, asked.seed, asked.class_, asked.given, asked.truncation, classes=classes
    )  # fmt: skip
    work = answers.sampled(service, drawn, form, asked.columns)
    return await service.answer(request, work, asked.count * prod(card.shape))


@router.post("/v1/encode", summary="The z of pictures or rows", openapi_extra=_described(Items), tags=["run"])
async def encode(request: Request) -> Response:
    """As `evenodds encode` finds them: JSON or npz."""
    return await _of_items(request, "encode", answers.encoded)


@router.post("/v1/classify", summary="The class of pictures or rows", openapi_extra=_described(Items), tags=["run"])
async def classify(request: Request) -> Response:
    """As `evenodds classify` tells it, with the probability of each class: JSON or npz."""
    return await _of_items(request, "classify", answers.classified)


async def _of_items(
    request: Request, name: str, work: Callable[[Service, Received, str], Coroutine[Any, Any, Response]]
) -> Response:
    """What is said of pictures or rows."""
    service = _service(request, name)
    sent = await _with_files(service, request)
    form = form_of(request, sent.as_model(Items).form, ("json", "npz"))
    numbers = prod(service.offers.session.card.shape) * len(sent.files.get("image", [1]))
    return await service.answer(request, work(service, sent, form), numbers)


@router.post("/v1/fill", summary="Fillings of a picture or of rows", openapi_extra=_described(Fill), tags=["run"])
async def fill(request: Request) -> Response:
    """As `evenodds fill` makes them. Of a picture: one PNG with all beside each other, arrays (npz), or JSON. Of rows:
    JSON, or CSV where a CSV file was sent."""
    service = _service(request, "fill")
    sent = await _with_files(service, request)
    asked, card = sent.as_model(Fill), service.offers.session.card
    if card.has_gaps:
        return await _filled_rows(service, request, sent, asked)
    if "rows" in sent.files or sent.fields.keys() & {"rows", "columns", "strategy"}:
        raise BadInput("this run fills images and no rows; send `image` and `mask`")
    count = 4 if asked.count is None else asked.count
    service.line.bounds.require_count(count, "fillings")
    form = form_of(request, asked.form, FORMS["image"])
    work = answers.filled(service, sent, count, asked.seed, form)
    return await service.answer(request, work, count * prod(card.shape))


async def _filled_rows(service: Service, request: Request, sent: Received, asked: Fill) -> Response:
    """Fillings of rows."""
    if sent.files.keys() & {"image", "mask"}:
        raise BadInput("this run fills rows and no images; send `rows`")
    count, rows = asked.count or 1, rows_of(sent)
    strategy_of(asked.strategy, count)  # what cannot be is said before the work waits for its turn
    form_of(request, asked.form, ("csv",) if rows is None else ("json",))
    if rows is None and count > 1:
        raise BadInput("a CSV file has one filling; send the rows in JSON for several, or ask again with another seed")
    service.line.bounds.require_count(count * len(rows or ()), "filled rows")
    work = filled_rows(service, sent, rows, count, asked.strategy, asked.seed)
    return await service.answer(request, work, count * len(rows or ()) * len(service.offers.session.card.columns))


def _conversion(name: str, model: type[Convert], summary: str) -> Callable[[Request], Any]:
    """The endpoint of a run that makes images of images."""

    async def convert(request: Request) -> Response:
        service = _service(request, name)
        sent = await _with_files(service, request)
        asked = sent.as_model(model)
        back = isinstance(asked, Translate) and asked.back
        if back:
            service.offers.require_back()
        form = form_of(request, asked.form, FORMS["image"])
        overlay = isinstance(asked, Segment) and asked.overlay
        work = answers.converted(service, sent.one("image"), form, overlay, back)
        return await service.answer(request, work)

    convert.__doc__ = f"As `evenodds {name}` of one file: a PNG, an array (npz), or JSON."
    described = _described(model)
    router.post(f"/v1/{name}", name=name, summary=summary, openapi_extra=described, tags=["run"])(convert)
    return convert


_conversion("upscale", Convert, "A picture, enlarged")
_conversion("translate", Translate, "A picture, made into another")
_conversion("segment", Segment, "What each pixel of a picture shows")


@router.get("/v1/model", summary="What is served", tags=["about"])
async def model(request: Request) -> dict[str, Any]:
    """The card of the run, what it answers, how it can be asked, and the limits."""
    return _service(request).about


@router.get("/healthz", summary="Whether the server is alive", tags=["about"])
async def healthy() -> dict[str, str]:
    """Answers everybody, without the token."""
    return {"status": "ok"}


@router.get("/readyz", summary="Whether a request would be taken now", tags=["about"])
async def ready(request: Request) -> Response:
    """Status 503 while as many requests wait as may. Answers everybody, without the token."""
    full = _service(request).line.is_full
    return JSONResponse({"status": "full" if full else "ready"}, 503 if full else 200)


@router.get("/metrics", summary="What the server has done", tags=["about"])
async def metrics(request: Request) -> Response:
    """In the text format of Prometheus."""
    return Response(_service(request).meter.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
