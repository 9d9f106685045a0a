"""The endpoints that change something: start a run, stop it, go on with it, put it in the bin, have it judged."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from evenodds.errors import BadInput, unknown
from evenodds.runs.allowed import modules_in
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe as read_recipe
from evenodds.runs.default_recipe import suited_recipe
from evenodds.runs.effect import require_effect
from evenodds.runs.find import describe, names
from evenodds.runs.folders import as_seconds
from evenodds.runs.launching import discard, launch, launched, new_folder, stop
from evenodds.runs.session import Session
from evenodds.runs.settings_table import schema
from evenodds.server.loaded import Loaded
from evenodds.server.sampling import worker_of
from evenodds.studio.runs import studio_of
from evenodds.studio.state import Studio

__all__ = ["router"]

router = APIRouter(prefix="/api", tags=["start"])

MAIN = ("images", "size", "channels", "batch", "learning_rate", "task", "watch", "device")
"""Settings that are shown first."""
_KEY = re.compile(r"[a-z_]+(\.[a-z_]+)?")
_WITHOUT = ("data", "recipe", "seed")
"""Settings that the form asks for by themselves."""
_OF_DATA = ("data.label", "data.unlabelled", "data.column", "data.dataset", "data.splits")
"""Options of data that name no file, but what is inside."""


class Start(BaseModel):
    """A run to start."""

    model_config = ConfigDict(extra="forbid")

    recipe: Annotated[str, Field(max_length=64)]
    data: Annotated[str, Field(max_length=4096)] = ""
    budget: Annotated[str, Field(max_length=32)] = ""
    seed: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    settings: Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=64)] = {}


@router.get("/recipes", summary="The recipes")
async def recipes() -> list[dict[str, Any]]:
    """Name, what it is for, and the data that it brings, if any."""
    return await asyncio.to_thread(_recipes)


def _recipes() -> list[dict[str, Any]]:
    found = []
    for name, note in describe("recipes"):
        data = read_recipe(name).data
        found.append({"name": name, "note": note, "data": None if data is None else data.name})
    return found


@router.get("/settings", summary="The settings of a recipe, as --set takes them")
async def settings(recipe: Annotated[str, Query(max_length=64)] = "") -> list[dict[str, Any]]:
    """Key, the recipe's value, what it means, the words that it takes; the few that matter are marked `main`."""
    if recipe not in names("recipes"):
        raise unknown("recipe", recipe, names("recipes"))
    rows = await asyncio.to_thread(schema, read_recipe(recipe))
    return [{**row, "main": row["key"] in MAIN} for row in rows if row["key"] not in _WITHOUT]


@router.post("/runs", summary="Start a run", status_code=201)
async def start(request: Request, asked: Start) -> dict[str, Any]:
    """As `evenodds train` with the same words, as a process of its own that outlives the studio."""
    studio = studio_of(request)
    words = await asyncio.to_thread(_train_words, studio, asked)
    folder = await asyncio.to_thread(_begun, studio, asked.recipe, words)
    studio.again()
    return {"run": folder.name}


def _begun(studio: Studio, recipe: str, words: list[str]) -> Path:
    """The folder of a run that was started; where one failed before it wrote anything, the next takes its name."""
    with studio.starting:
        folder = new_folder(studio.base, recipe, (one for one in launched(studio.base) if one.alive))
        launch([*words, "--out", str(folder), "--quiet"], folder, studio.base)
    return folder


def _train_words(studio: Studio, asked: Start) -> list[str]:
    """The words of a command; BadInput for what it would refuse, as far as that is known before data are read."""
    if asked.recipe not in names("recipes"):
        raise unknown("recipe", asked.recipe, names("recipes"))
    data = studio.data(asked.data) if asked.data else None
    _require_plain(asked.settings)
    config = read_recipe(asked.recipe)
    config = with_settings(config, {**({"data": data} if data else {}), **asked.settings})
    require_effect(config, asked.settings)
    if config.data is None and data is None:
        raise BadInput(f"recipe '{asked.recipe}' needs data: name a folder")
    if asked.budget:
        as_seconds(asked.budget)
    words = ["train", asked.recipe]
    words += [f"--data={data}"] if data else []
    words += [f"--budget={asked.budget}"] if asked.budget else []
    words += [f"--seed={asked.seed}"] if asked.seed is not None else []
    for key, value in asked.settings.items():
        words += ["--set", f"{key}={value}"]
    return words


def _require_plain(settings: dict[str, str]) -> None:
    """BadInput for settings that name code, or files: these are named where the studio is started, or not at all."""
    for key, value in settings.items():
        if not _KEY.fullmatch(key) or (key.partition(".")[0] in _WITHOUT and key not in _OF_DATA):
            raise BadInput(f"'{key[:60]}' is no setting that can be given here; data, recipe and seed have fields")
        if modules_in(value) or "/" in value or "\\" in value or not value.isprintable():
            raise BadInput(f"{key} takes no path and no code of one's own here; use the command line for those")


@router.post("/runs/{run}/stop", summary="Stop a run, as Ctrl-C does", status_code=202)
async def stop_run(request: Request, run: str) -> dict[str, Any]:
    """The round is finished and a checkpoint is written; the run can go on later."""
    studio = studio_of(request)
    known = [Path(one.folder) for one in studio.processes() if one.alive and Path(one.folder).name == run]
    folder = known[0] if known else studio.folder(run)
    await asyncio.to_thread(stop, folder, studio.base)
    return {"run": run}


@router.post("/runs/{run}/resume", summary="Go on with a run", status_code=202)
async def resume_run(
    request: Request, run: str, images: Annotated[int | None, Query(ge=1, le=10**15)] = None
) -> dict[str, Any]:
    """As `evenodds resume`; `images`: another length of the run."""
    return await _work(request, run, "resume", "--quiet", *([f"--images={images}"] if images is not None else []))


@router.post("/runs/{run}/evaluate", summary="Judge a run, and write its report", status_code=202)
async def evaluate_run(
    request: Request, run: str, n: Annotated[int, Query(ge=16, le=10**6)] = 10_000
) -> dict[str, Any]:
    """As `evenodds report`."""
    await worker_of(request, run).ask(Session.require_samples)
    return await _work(request, run, "report", "-n", str(n))


@router.post("/runs/{run}/encoder", summary="Learn the encoder of a run", status_code=202)
async def learn_encoder(
    request: Request, run: str, images: Annotated[int, Query(ge=1, le=10**9)] = 200_000
) -> dict[str, Any]:
    """As `evenodds encode`, which learns it from so many of the run's own samples, and encodes the data of the run."""
    return await _work(request, run, "encode", f"--images={images}")


async def _work(request: Request, run: str, command: str, *words: str) -> dict[str, Any]:
    """Starts a command on a run, whose data the studio may read; BadInput where a process is at work on it."""
    studio, view = studio_of(request), studio_of(request).view(run)
    studio.require_own_data(view)
    await asyncio.to_thread(_begun_on, studio, view.folder, [command, str(view.folder), *words])
    return {"run": run}


def _begun_on(studio: Studio, folder: Path, words: list[str]) -> None:
    """Of two that ask at once, the later is refused."""
    with studio.starting:
        if any(one.alive and Path(one.folder) == folder for one in studio.processes()):
            raise BadInput(f"a process works on {folder.name} already; wait until it ends, or stop it")
        launch(words, folder, studio.base)


@router.delete("/runs/{run}", summary="Put a run in the bin")
async def discard_run(request: Request, run: str, sure: Annotated[str, Query(max_length=300)] = "") -> dict[str, Any]:
    """It is moved to the folder .trash beside the runs. `sure` is the name of the run once more."""
    studio = studio_of(request)
    folder = studio.folder(run)
    if sure != run:
        raise BadInput("to put a run in the bin, its name is needed twice, the second time as `sure`")
    loaded: Loaded = request.app.state.loaded
    loaded.drop(folder)
    place = await asyncio.to_thread(_discarded, studio, run)
    return {"bin": str(place.relative_to(studio.base))}


def _discarded(studio: Studio, run: str) -> Path:
    """Where the run is now. Of two that ask at once, the later finds none."""
    with studio.starting:
        place = discard(studio.folder(run), studio.base)
        studio.again()
    return place


@router.get("/suited", summary="The recipe that suits data")
async def suited(request: Request, data: Annotated[str, Query(max_length=4096)]) -> dict[str, Any]:
    """Its name, and why."""
    place = await asyncio.to_thread(studio_of(request).data, data)
    found = await asyncio.to_thread(suited_recipe, place)
    return {"recipe": found.name, "reason": found.reason}
