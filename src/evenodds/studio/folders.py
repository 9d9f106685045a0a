"""The endpoints on whole folders of pictures: put through a run as a process of its own, and fetched as one archive."""

from __future__ import annotations

import asyncio
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from evenodds.apply.answering import conversion_of
from evenodds.errors import BadInput
from evenodds.runs.launching import HOME, Launched, launch, new_folder
from evenodds.runs.session import Session
from evenodds.server.sampling import worker_of
from evenodds.studio.runs import studio_of
from evenodds.studio.state import Studio

__all__ = ["router"]

router = APIRouter(prefix="/api/runs/{run}/folders", tags=["tools"])

RESULTS = "results"
"""The folder beside the records that holds what was made of folders."""
MOST_BYTES = 8 * 2**30
"""Of an archive of results."""


class Work(BaseModel):
    """A folder to put through a run."""

    model_config = ConfigDict(extra="forbid")

    place: Annotated[str, Field(max_length=4096)]


@router.post("", summary="Put a folder of pictures through the run", status_code=202)
async def begin(request: Request, run: str, asked: Work) -> dict[str, Any]:
    """As `evenodds upscale`, `translate` or `segment` of a folder or an archive."""
    studio = studio_of(request)
    source = await asyncio.to_thread(studio.data_at, asked.place)

    def named(session: Session) -> str:
        conversion_of(session)  # refuses runs that make nothing of pictures
        return session.task.command

    command = await worker_of(request, run).ask(named)
    folder = studio.folder(run)
    out = await asyncio.to_thread(new_folder, studio.base / HOME / RESULTS, folder.name)
    await asyncio.to_thread(launch, [command, str(folder), source, str(out)], out, studio.base)
    return {"name": out.name}


@router.get("", summary="The folders that were put through the run")
async def listed(request: Request, run: str) -> list[dict[str, Any]]:
    """Name, place, whether it is at work, how many files there are, and what it said last."""
    studio = studio_of(request)
    return await asyncio.to_thread(lambda: [_described(one) for one in _of_run(studio, run)])


def _described(one: Launched) -> dict[str, Any]:
    count = sum(1 for _ in _files(Path(one.folder)))
    said = (one.said() or [""])[-1]
    return {"name": Path(one.folder).name, "place": one.command[2], "alive": one.alive, "count": count, "said": said}


def _of_run(studio: Studio, run: str) -> list[Launched]:
    home, folder = studio.base / HOME / RESULTS, str(studio.folder(run))
    mine = [one for one in studio.processes() if Path(one.folder).parent == home and len(one.command) == 4]
    return [one for one in mine if one.command[1] == folder]


@router.get("/{name}/zip", summary="What was made of a folder, as an archive")
async def archive(request: Request, run: str, name: str) -> Response:
    """A zip file of all results so far."""
    found = [one for one in _of_run(studio_of(request), run) if Path(one.folder).name == name]
    if not found:
        raise BadInput("no folder of that name was put through this run; see the list")
    path = await asyncio.to_thread(_packed, Path(found[0].folder))
    after = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, media_type="application/zip", filename=f"{name}.zip", background=after)


def _packed(folder: Path) -> Path:
    """The files of a folder in an archive, in a temporary file; pictures are compressed already."""
    files = list(_files(folder))
    if sum(path.stat().st_size for path in files) > MOST_BYTES:
        raise BadInput(f"the results have more than {MOST_BYTES // 2**30} GiB; take them from {folder}")
    with tempfile.NamedTemporaryFile(prefix="evenodds-", suffix=".zip", delete=False) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
            for path in files:
                packed.write(path, path.relative_to(folder).as_posix())
        return Path(file.name)


def _files(folder: Path) -> Iterator[Path]:
    """The results in a folder: files that are no links, and not hidden."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and not path.is_symlink():
            yield path
