"""The endpoints of the tools: a picture is enlarged, restored, translated, segmented, classified or filled in."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from torch import Tensor

from evenodds.apply.answering import conversion_of
from evenodds.apply.classified import told
from evenodds.apply.classifying import probabilities
from evenodds.apply.converting import Options, network_of, overlaid
from evenodds.apply.converting import convert as convert_files
from evenodds.apply.encoder import encoder_of, has_encoder
from evenodds.apply.filling import fillings
from evenodds.apply.hidden import hidden
from evenodds.apply.inversion import invert
from evenodds.apply.making import filler_of, maker_of, palette_of
from evenodds.apply.photo import labels, through
from evenodds.data.sources import load_like
from evenodds.errors import BadInput
from evenodds.evaluation.truth import finite, scored
from evenodds.files.text import quoted
from evenodds.game.arithmetic import eight_bit
from evenodds.runs.session import Session
from evenodds.runs.way_back import has_way_back, way_back
from evenodds.server.loaded import Worker
from evenodds.server.pictures import as_response, in_text
from evenodds.server.sampling import worker_of
from evenodds.server.uploads import MOST_PIXELS, Upload, Uploads

__all__ = ["router", "turned", "uploads_of"]

router = APIRouter(prefix="/api/runs/{run}", tags=["tools"])

MOST_RESULT = 64_000_000
"""Pixels of a result."""

Name = Annotated[str, Query(max_length=64, description="As POST /api/uploads named it.")]
Back = Annotated[bool, Query(description="The way back, of a run that learned both ways.")]


def uploads_of(request: Request) -> Uploads:
    """The uploads of an application."""
    uploads: Uploads = request.app.state.uploads
    return uploads


@router.get("/convert", summary="What the run makes of a picture that was sent")
async def convert(
    request: Request,
    run: str,
    upload: Name,
    back: Back = False,
    form: Annotated[Literal["webp", "png"], Query(alias="format")] = "webp",
    slot: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """As `evenodds upscale`, `translate` or `segment` of one file; of labels, an overlay."""
    sent = uploads_of(request)[upload]
    return await worker_of(request, run).ask(lambda session: _converted(turned(session, back), sent, form), slot)


def turned(session: Session, back: bool) -> Session:
    """The run, or its way back; BadInput where it has none."""
    if back and not has_way_back(session):
        raise BadInput(f"this run ({session.config.task.name}) has learned one way alone; leave `back` out")
    return way_back(session) if back else session


def _converted(session: Session, sent: Upload, form: str) -> Response:
    scale = conversion_of(session).scale
    if sent.height * sent.width * scale**2 > MOST_RESULT:
        raise BadInput(
            f"the result would have {sent.height * scale:,} x {sent.width * scale:,} pixels, at most "
            f"{MOST_RESULT:,} are made here; use `evenodds {session.task.command}`"
        )
    network, picture = network_of(maker_of(session)), sent.decoded()
    if conversion_of(session).labels:
        palette = palette_of(session)
        colours = palette.paint(labels(network, picture))
        x = np.moveaxis(overlaid(picture.pixels, colours), -1, 0)
    else:
        x = through(network, picture)
    if form == "webp" or x.shape[0] == 2:
        x = x[:1] if x.shape[0] == 2 else x
        x = (x // 257).astype(np.uint8) if x.dtype == np.uint16 else x
    return as_response(x, form, **{"x-scale": str(scale)})


@router.get("/scores", summary="What the run makes of a picture, held against the truth")
async def scores(request: Request, run: str, upload: Name, truth: Name, back: Back = False) -> dict[str, Any]:
    """As `--against` of one file: intersection over union of labels, PSNR and SSIM of images."""
    uploads = uploads_of(request)
    sent, true = uploads[upload], uploads[truth]
    return await worker_of(request, run).ask(lambda session: _scored(turned(session, back), sent, true))


def _scored(session: Session, sent: Upload, true: Upload) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="evenodds-") as name:
        source, truth = (Path(name) / part / "picture.png" for part in ("source", "truth"))
        for place, one in ((source, sent), (truth, true)):
            place.parent.mkdir()
            shutil.copyfile(one.path, place)
        convert_files(maker_of(session), source, Path(name) / "out.png", Options(most_pixels=MOST_PIXELS))
        report = scored(session, source, Path(name) / "out.png", truth, most_pixels=MOST_PIXELS)
    return {"kind": report.kind, "classes": list(session.card.classes), "total": finite(report.total)}


@router.get("/legend", summary="The classes of a run that segments, in their colours")
async def legend(request: Request, run: str) -> list[dict[str, str]]:
    """Name and colour of each."""

    def work(session: Session) -> list[dict[str, str]]:
        colours = palette_of(session).colours
        pairs = zip(session.card.classes, colours, strict=True)
        return [{"name": name, "colour": f"#{bytes(colour).hex()}"} for name, colour in pairs]

    return await worker_of(request, run).ask(work)


@router.get("/classes", summary="The class of a picture that was sent")
async def classes(request: Request, run: str, upload: Name) -> dict[str, Any]:
    """As `evenodds classify` of one file: its class, the probability of that, and those of all classes by name."""
    sent = uploads_of(request)[upload]
    work = worker_of(request, run)
    return await work.ask(lambda session: told(session.card.classes, probabilities(session, _item(session, sent)))[0])


def _item(session: Session, sent: Upload) -> Tensor:
    """A picture as an item (1, ...) of the run, in [-1, 1]."""
    with sent.as_image() as path:
        return load_like(str(path), session.card, "the picture").batch(torch.arange(1))["x"]


class Fill(BaseModel):
    """A picture with a hidden part."""

    model_config = ConfigDict(extra="forbid")

    upload: Annotated[str, Field(max_length=64)]
    mask: Annotated[str, Field(max_length=64, description="An upload of the same proportions: white is filled in.")]
    n: Annotated[int, Field(ge=1, le=16)] = 4
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


@router.post("/fill", summary="Fill in a part of a picture, several times")
async def fill(request: Request, run: str, asked: Fill) -> dict[str, Any]:
    """As `evenodds fill`: PNG files in base64, at the size of the run's images; the picture itself first."""
    uploads = uploads_of(request)
    sent, mask = uploads[asked.upload], uploads[asked.mask]
    return await worker_of(request, run).ask(lambda session: _filled(session, sent, mask, asked), "fill")


def _filled(session: Session, sent: Upload, mask: Upload, asked: Fill) -> dict[str, Any]:
    filler = filler_of(session)
    _, height, width = session.card.shape
    with sent.as_image() as path, mask.as_image() as marks:
        data = filler.read(str(path), None)
        x = data.scale.to_model(data.x)
        observed, note = hidden(marks, (height, width))
    filled = fillings(filler, x, observed, asked.n, asked.seed)
    kept = np.where(observed > 0, x, filled)
    pictures = [in_text(image) for image in eight_bit(torch.from_numpy(np.concatenate([x, *kept]))).numpy()]
    return {"source": pictures[0], "fillings": pictures[1:], "note": note, "height": height, "width": width}


@router.post("/reconstruct", summary="The z of a picture, and what the run makes of it")
async def reconstruct(request: Request, run: str, upload: Name) -> dict[str, Any]:
    """As `evenodds reconstruct` of one file. The run needs its encoder. `point` names the z for GET points."""
    sent = uploads_of(request)[upload]
    worker = worker_of(request, run)
    return await worker.ask(lambda session: _reconstructed(session, sent, worker), "reconstruct")


def _reconstructed(session: Session, sent: Upload, worker: Worker) -> dict[str, Any]:
    if not has_encoder(session):
        raise BadInput(
            f"this run has no encoder yet; learn it once, in minutes: evenodds encode {quoted(session.folder)}"
        )
    x = _item(session, sent)
    codes = invert(session, x, encoder_of(session), steps=100)
    assert codes.x is not None  # a run has its generator
    pictures = [in_text(image) for image in eight_bit(torch.cat([x, codes.x])).numpy()]
    named = {"z": codes.z[0].tolist(), "point": worker.name_code(codes.z, codes.c)}
    return {"source": pictures[0], "answer": pictures[1], "error": codes.error, **named}
