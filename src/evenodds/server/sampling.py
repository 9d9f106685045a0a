"""The endpoints of one run at work: what it can be asked for, samples, points of its latent space, ways between."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from evenodds.apply import drawing
from evenodds.apply.classified import COMMAND as CLASSIFY
from evenodds.apply.direction_sheets import directions_of
from evenodds.apply.encoder import has_encoder
from evenodds.errors import BadInput
from evenodds.runs.sample_picture import sample_picture
from evenodds.runs.session import Session
from evenodds.runs.values import numbers_by_name
from evenodds.runs.way_back import has_way_back
from evenodds.server.loaded import Loaded, Worker
from evenodds.server.pictures import as_response
from evenodds.show import pictures

__all__ = ["Runs", "router", "worker_of"]

router = APIRouter(prefix="/api/runs/{run}", tags=["play"])

MOST = 4096
"""Samples of a request."""
MOST_SHOWN = 256
"""Samples of a picture."""
DIRECTIONS = 8
DRAWS = 4
"""Of z that directions are averaged over: fewer than `evenodds directions` takes, for somebody waits."""

Seed = Annotated[int, Query(ge=0, lt=2**63, description="The same seed gives the same samples.")]
Slot = Annotated[str, Query(max_length=64, description="Where the answer is shown; a later request there replaces it.")]
Checkpoint = Annotated[
    str, Query(pattern="^(last|best|[0-9]{1,16})$", description="last, best, or a number of images.")
]
Truncation = Annotated[float, Query(gt=0, le=1, description="Towards the middle of z; 1 is plain sampling.")]
ClassName = Annotated[str | None, Query(alias="class", max_length=1024, description="Of a conditional run.")]
Words = Annotated[list[str], Query(max_length=256, description="name=number, for each attribute or value.")]
Picture = Literal["webp", "png"]


class Runs(Protocol):
    """The runs that a server answers for, by name."""

    def folder(self, run: str) -> Path:
        """The folder of a run; BadInput where there is none of that name."""
        ...


def worker_of(request: Request, run: str, checkpoint: str = "last") -> Worker:
    """The worker of the run of that name."""
    runs: Runs = request.app.state.runs
    loaded: Loaded = request.app.state.loaded
    return loaded.of(runs.folder(run), checkpoint)


@router.get("/about", summary="What a run is, and what it can be asked for")
async def about(request: Request, run: str, checkpoint: Checkpoint = "last") -> dict[str, Any]:
    """The task, the data, and the controls that samples have."""
    return await worker_of(request, run, checkpoint).ask(_about)


def _about(session: Session) -> dict[str, Any]:
    card, task = session.card, session.task
    conversion = task.conversion(card.shape)
    conditions = card.conditions
    return {
        "task": session.config.task.name,
        "command": task.command,
        "images": session.images,
        "kind": card.kind,
        "noun": card.noun,
        "shape": list(card.shape),
        "classes": list(card.classes),
        "draws": session.draws_of_z_alone,
        "fills": "mask" in task.request_names and not card.has_gaps,
        "fills_tables": card.has_gaps,
        "classifies": task.command == CLASSIFY,
        "asked_by": session.conditions.kind,
        "conditions": [] if conditions is None else list(conditions.names),
        "binary": conditions is not None and conditions.binary,
        "ranges": [] if conditions is None else _ranges(session),
        "encoder": has_encoder(session),
        "latent": session.latent.size if session.draws else 0,
        "truncates": session.draws_of_z_alone
        and (hasattr(session.latent, "truncated") or hasattr(session.players["generator"], "truncated")),
        "converts": None
        if conversion is None
        else {
            "scale": conversion.scale,
            "labels": conversion.labels,
            "restores": conversion.restores,
            "back": has_way_back(session),
        },
    }


def _ranges(session: Session) -> list[list[float]]:
    """(low, high) of each attribute or value among the training items."""
    examples = np.asarray(session.card.examples or [])
    if not len(examples):
        return []
    return [[float(low), float(high)] for low, high in zip(examples.min(0), examples.max(0), strict=True)]


@router.get("/samples", summary="Samples as a picture, an array or rows")
async def samples(
    request: Request,
    run: str,
    n: Annotated[int, Query(ge=1, le=MOST)] = 16,
    seed: Seed = 0,
    class_: ClassName = None,
    given: Words = [],  # noqa: B006, FastAPI copies it
    truncation: Truncation = 1.0,
    select: Literal["budgeted", "rejection", "langevin"] | None = None,
    columns: Annotated[int | None, Query(ge=1, le=64)] = None,
    form: Annotated[Literal["webp", "png", "npz", "csv", "json"], Query(alias="format")] = "webp",
    checkpoint: Checkpoint = "last",
    slot: Slot = "",
) -> Response:
    """`evenodds sample` over HTTP: the same seed gives the same samples."""
    asked = drawing.Request(n, seed, class_, _numbers(given, "given") or None, truncation, select)
    if form in ("webp", "png") and n > MOST_SHOWN:
        raise BadInput(f"a picture shows at most {MOST_SHOWN} samples, got n={n}; ask for npz, or for fewer")

    def work(session: Session) -> Response:
        drawn = drawing.draw(session, asked if session.card.kind == "image" else _more(asked, form))
        name = f"{run}-seed-{seed}".encode("ascii", "replace").decode().replace('"', "_").replace("?", "_")
        if form == "npz":
            return _file(drawn.npz(), "application/zip", f"{name}.npz")
        if form == "csv":
            return _file(drawn.csv().encode(), "text/csv; charset=utf-8", f"{name}.csv")
        if form == "json":
            names, *rows = drawn.cells()
            return JSONResponse({"columns": names, "rows": rows})
        least = 1 if session.card.kind == "image" else 384
        return as_response(sample_picture(session.card, drawn.x, columns, least), form, **{"x-samples": str(n)})

    return await worker_of(request, run, checkpoint).ask(work, slot)


def _numbers(words: list[str], what: str) -> dict[str, float]:
    return numbers_by_name(words, what, "angle=30" if what == "given" else "2=-1.5")


def _more(asked: drawing.Request, form: str) -> drawing.Request:
    """Of rows, a picture shows the distributions of more than were asked for."""
    if form in ("npz", "csv", "json"):
        return asked
    return drawing.Request(2048, asked.seed, asked.class_, asked.given, asked.truncation, asked.select)


def _file(content: bytes, kind: str, name: str) -> Response:
    return Response(content, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})


def parsed_point(
    text: str, moves: list[str], truncation: float, class_: str | None, given: list[str], worker: Worker
) -> drawing.Point:
    """A point that is written as `seed`, `seed:index` or the name of a picture's z, with moves as `number=strength`."""
    seed, _, index = text.partition(":")
    steps = _numbers(moves, "moves")
    code = worker.codes.get(text)
    if code is None and text.startswith("z-"):
        raise BadInput("the z of this picture is no longer here; encode it again")
    if code is not None:
        seed, index = "0", "0"
    if not seed.isdecimal() or not (index or "0").isdecimal() or len(text) > 40:
        raise BadInput(f"a point is a seed, or seed:index, got '{text[:40]}'; as in 7:3")
    if not all(name.isdecimal() for name in steps):
        raise BadInput("moves are number=strength, numbers of directions from 1 on; as in 2=-1.5")
    numbers = {int(name[:9]): strength for name, strength in steps.items() if strength}
    asked = _numbers(given, "given") or None
    return drawing.Point(int(seed), int(index or 0), numbers, truncation, class_, asked, code)


Moves = Annotated[list[str], Query(max_length=64, description="number=strength, along the first directions of z.")]
PointText = Annotated[str, Query(max_length=40, description="A seed, seed:index, or the z of a picture.")]


@router.get("/points", summary="Samples on the way from one point of the latent space to another")
async def points(
    request: Request,
    run: str,
    start: PointText = "0",
    end: PointText = "",
    share: Annotated[float, Query(ge=0, le=1)] = 0.0,
    frames: Annotated[int, Query(ge=0, le=128, description="0: one sample, at `share` of the way.")] = 0,
    moves: Moves = [],  # noqa: B006
    truncation: Truncation = 1.0,
    class_: ClassName = None,
    given: Words = [],  # noqa: B006
    form: Annotated[Literal["webp", "png", "gif"], Query(alias="format")] = "webp",
    checkpoint: Checkpoint = "last",
    slot: Slot = "",
) -> Response:
    """One sample, or the frames of a walk in one picture, eight in a row; a GIF of them goes there and back."""
    worker = worker_of(request, run, checkpoint)
    first = parsed_point(start, moves, truncation, class_, given, worker)
    last = parsed_point(end or start, moves, truncation, class_, given, worker)
    shares = [k / max(1, frames - 1) for k in range(frames)] if frames else [share]

    def work(session: Session) -> Response:
        if session.card.kind != "image":
            raise BadInput(f"points are shown of images; this run's data is a {session.card.kind}")
        steps = worker.remember("directions", lambda: _directions(session)) if first.moves else None
        x = session.card.eight_bit(drawing.between(session, first, last, shares, steps))
        if form == "gif":
            return _gif([*x, *x[-2:0:-1]], f"walk-{start}-{end}".replace(":", "."))
        return as_response(pictures.grid(x, 8 if frames else 1, gap=0), form)

    return await worker.ask(work, slot)


def _directions(session: Session) -> Any:
    return directions_of(session, min(DIRECTIONS, session.latent.size), draws=DRAWS)


def _gif(frames: list[Any], name: str) -> Response:
    with tempfile.TemporaryDirectory(prefix="evenodds-") as folder:
        path = pictures.animation(Path(folder) / "walk.gif", frames)
        return _file(path.read_bytes(), "image/gif", f"{name}.gif")
