"""The endpoints on how good a run is: its scores, another run beside it, training images beside samples, trials."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from evenodds.evaluation.compare import compare
from evenodds.evaluation.evaluate import read
from evenodds.evaluation.resembling import FEATURES, Known, Resembling, known, resembling
from evenodds.evaluation.truth import finite
from evenodds.files.text import visible
from evenodds.game.arithmetic import eight_bit
from evenodds.runs.session import Session
from evenodds.server.loaded import Worker
from evenodds.server.pictures import in_text
from evenodds.server.sampling import Checkpoint, Seed, Slot, worker_of
from evenodds.studio.runs import content_of, studio_of
from evenodds.studio.trials import described, trials

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["judge"])

MOST_PAIRS = 48
LISTED = 24
"""Suspected copies of an evaluation that are named."""


@router.get("/compare", summary="The evaluations of two runs beside each other")
async def compared(
    request: Request, first: Annotated[str, Query(max_length=300)], second: Annotated[str, Query(max_length=300)]
) -> dict[str, Any]:
    """As `evenodds compare`: refused, with the reason, where they were not evaluated in the same way."""
    folders = {name: studio_of(request).folder(name) for name in (first, second)}
    ranked = await asyncio.to_thread(lambda: compare({name: read(folder) for name, folder in folders.items()}))
    return {"scores": ranked.scores, "left_out": ranked.left_out}


@router.get("/runs/{run}/evaluation", summary="The scores of a run, as its report has them")
async def evaluation(request: Request, run: str) -> dict[str, Any]:
    """evaluation.json of the run folder: the verdict, every score with its interval and floor, suspected copies."""
    folder = studio_of(request).folder(run)
    content = (await asyncio.to_thread(read, folder)).content
    shown = ("name", "title", "better", "value", "low", "high", "floor", "refused")
    scores = [{key: score.get(key) for key in shown} for score in content["scores"]]
    found = content.get("memorisation")
    copies = dict(found) if isinstance(found, Mapping) else {}
    listed = copies.get("suspects")
    copies["suspects"] = listed[:LISTED] if isinstance(listed, list) else []
    told: dict[str, Any] = finite(
        {"sound": content["sound"], "verdict": content["verdict"], "scores": scores, "copies": copies}
    )
    return told


@router.get("/runs/{run}/resembling", summary="Samples, each beside the training image nearest to it")
async def pairs(
    request: Request,
    run: str,
    n: Annotated[int, Query(ge=1, le=MOST_PAIRS)] = 12,
    seed: Seed = 0,
    order: Annotated[
        Literal["drawn", "closest"], Query(description="As the seed draws them, or the most suspected first.")
    ] = "drawn",
    checkpoint: Checkpoint = "last",
    slot: Slot = "",
) -> dict[str, Any]:
    """Nearest in random features, among at most 5,000 training images; pictures are PNG in base64.

    `share` of the `judged` samples are suspected copies: much nearer to a training image than to any that was held out.
    `expected_high` is what chance would do at most.
    """
    studio = studio_of(request)
    studio.require_own_data(studio.view(run))
    worker = worker_of(request, run, checkpoint)
    return await worker.ask(lambda session: _pairs(session, worker, n, seed, order == "closest"), slot)


def _pairs(session: Session, worker: Worker, n: int, seed: int, closest: bool) -> dict[str, Any]:
    about = worker.remember("known", lambda: known(session))
    if worker.kept.get("judged", (None,))[0] != seed:
        worker.kept["judged"] = seed, resembling(session, about, MOST_PAIRS, seed)
    found: Resembling = worker.kept["judged"][1]
    result = found.found
    return {
        "pairs": [_pair(about, found, k) for k in found.order(closest)[:n].tolist()],
        "share": result.share,
        "low": result.low,
        "high": result.high,
        "expected_high": result.expected_high,
        "copies": result.low > result.expected_high,
        "judged": len(found.x),
        "among": len(about.train),
        "trained_on": about.trained_on,
        "features": FEATURES,
    }


def _pair(about: Known, found: Resembling, k: int) -> dict[str, Any]:
    place, names = found.nearest[k : k + 1], about.train.names
    sample, training = (eight_bit(x[0]).numpy() for x in (found.x[k : k + 1], about.train.batch(place)["x"]))
    return {
        "sample": k,
        "file": visible(names[int(place)]) if names else None,
        "ratio": float(found.found.ratio[k]),
        "suspected": bool(found.found.suspected[k]),
        "pictures": [in_text(sample), in_text(training)],
    }


@router.get("/trials", summary="Trials of whether synthetic items help a classifier, the latest first")
async def listed(request: Request) -> list[dict[str, Any]]:
    """Those of `evenodds trial` below the folder of the runs, and in `trials/` of the folders for data."""
    studio = studio_of(request)
    return await asyncio.to_thread(lambda: [described(name, path) for name, path in trials(studio).items()])


@router.get("/trials/{name}/picture", summary="The differences of a trial with their intervals, as a picture")
async def picture(request: Request, name: str) -> Response:
    """trial.png of the trial's folder."""
    studio = studio_of(request)

    def work() -> bytes:
        return content_of(trials(studio)[name], "trial.png")

    return Response(await asyncio.to_thread(work), media_type="image/png")
