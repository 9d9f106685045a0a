"""The endpoints on whole folders of pictures: put through a run as a process of its own, and fetched as one archive."""

from __future__ import annotations

import asyncio
import re
import shutil
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
from evenodds.apply.classified import COMMAND as CLASSIFY
from evenodds.apply.classified import FILE
from evenodds.errors import BadInput
from evenodds.files.write import replaced
from evenodds.runs.launching import HOME, Launched, launch, launched, new_folder, stop
from evenodds.runs.session import Session
from evenodds.server.sampling import worker_of
from evenodds.server.uploads import Uploads
from evenodds.studio.runs import studio_of
from evenodds.studio.state import Studio
from evenodds.studio.tools import turned, uploads_of

__all__ = ["router"]

router = APIRouter(prefix="/api/runs/{run}/folders", tags=["tools"])

RESULTS = "results"
"""The folder beside the records that holds what was made of folders."""
MOST_BYTES = 8 * 2**30
"""Of an archive of results."""


_PERCENT = re.compile(r": (\d{1,3}) %$")
"""At the end of a line in which a process says how far it is."""


class Work(BaseModel):
    """A folder or archive to put through a run."""

    model_config = ConfigDict(extra="forbid")

    place: Annotated[str, Field(max_length=4096)]
    mask: Annotated[
        str, Field(max_length=4096, description="Of runs that fill in: a picture, or a folder of them, see `fill`.")
    ] = ""
    painted: Annotated[str, Field(max_length=64, description="In place of `mask`: an upload, for all pictures.")] = ""
    n: Annotated[int, Field(ge=1, le=16, description="Fillings of each picture.")] = 4
    back: Annotated[bool, Field(description="The way back, of a run that learned both ways.")] = False


@router.post("", summary="Put a folder of pictures through the run", status_code=202)
async def begin(request: Request, run: str, asked: Work) -> dict[str, Any]:
    """As `evenodds upscale`, `translate`, `segment`, `classify` or `fill` of a folder or an archive."""
    studio = studio_of(request)
    source = await asyncio.to_thread(studio.data_at, asked.place)
    command = await worker_of(request, run).ask(lambda session: _command(turned(session, asked.back)))
    out = await asyncio.to_thread(_begun, studio, studio.folder(run), source, command, asked, uploads_of(request))
    return {"name": out.name}


def _begun(studio: Studio, folder: Path, source: str, command: str, asked: Work, uploads: Uploads) -> Path:
    """The folder of results of work that was started. No two have one name, also before anything is written."""
    home = studio.base / HOME / RESULTS
    with studio.starting:
        out = new_folder(home, folder.name, launched(studio.base))
        words = [str(folder), source, str(out)]
        if command == "fill":
            mask = _mask(studio, uploads, asked, out)
            words = [str(folder), source, "--mask", mask, "-n", str(asked.n), "--out", str(out)]
        elif command == CLASSIFY:
            words = [str(folder), source, "--out", str(out / FILE)]
        words += ["--back"] if asked.back else []
        launch([command, *words], out, studio.base)
    return out


def _command(session: Session) -> str:
    """What the run does with a folder, as typed after `evenodds`; BadInput of runs that make nothing of pictures."""
    session.require_no_tables()
    if "mask" in session.task.request_names:
        return "fill"
    if session.task.command != CLASSIFY:
        conversion_of(session)
    return session.task.command


def _mask(studio: Studio, uploads: Uploads, asked: Work, out: Path) -> str:
    """The mask, or the folder of masks, of a folder of pictures; one that was painted is kept beside the results."""
    if not asked.painted:
        if not asked.mask:
            raise BadInput("what is to be filled in needs a mask: paint one, or name a picture or a folder of masks")
        return studio.data_at(asked.mask)
    path = out.with_name(f"{out.name}-mask.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    with uploads[asked.painted].as_image() as picture, replaced(path) as temporary:
        shutil.copyfile(picture, temporary)
    return str(path)


@router.get("", summary="The folders that were put through the run")
async def listed(request: Request, run: str) -> list[dict[str, Any]]:
    """Name, place, whether it is at work, how many files there are, and what it said last."""
    studio = studio_of(request)
    return await asyncio.to_thread(lambda: [_described(one) for one in _of_run(studio, run)])


def _described(one: Launched) -> dict[str, Any]:
    count = sum(1 for _ in _files(Path(one.folder)))
    said = one.said()
    percents = [int(found[1]) for line in said if (found := _PERCENT.search(line))]
    told = [line for line in said if not _PERCENT.search(line)]
    if one.command[0] == CLASSIFY and count:  # its one file is written last
        percents = [100]
    return {
        "name": Path(one.folder).name,
        "place": one.command[2],
        "alive": one.alive,
        "percent": percents[-1] if percents else None,
        "count": count,
        "said": told[-1] if told else "",
    }


def _of_run(studio: Studio, run: str) -> list[Launched]:
    home, folder = studio.base / HOME / RESULTS, str(studio.folder(run))
    mine = [one for one in studio.processes() if Path(one.folder).parent == home and len(one.command) >= 4]
    return [one for one in mine if one.command[1] == folder]


def _named(studio: Studio, run: str, name: str) -> Launched:
    """The work of that name; BadInput where there is none."""
    found = [one for one in _of_run(studio, run) if Path(one.folder).name == name]
    if not found:
        raise BadInput("no folder of that name was put through this run; see the list")
    return found[0]


@router.post("/{name}/stop", summary="Stop the work on a folder", status_code=202)
async def stop_work(request: Request, run: str, name: str) -> dict[str, Any]:
    """What is done stays. Begun again in a terminal with the same words, the command goes on with the rest."""
    studio = studio_of(request)
    one = await asyncio.to_thread(_named, studio, run, name)
    await asyncio.to_thread(stop, Path(one.folder), studio.base)
    return {"name": name}


@router.get("/{name}/zip", summary="What was made of a folder, as an archive")
async def archive(request: Request, run: str, name: str) -> Response:
    """A zip file of all results so far."""
    one = _named(studio_of(request), run, name)
    path = await asyncio.to_thread(_packed, Path(one.folder))
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
