"""The endpoints on data: what lies in a folder, small pictures of it, and the whole of it read and checked."""

from __future__ import annotations

import asyncio
import csv
import itertools
import os
import threading
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from evenodds.data.folders.files import opened
from evenodds.data.peek import peek
from evenodds.data.pictures.opening import File
from evenodds.data.pictures.picture import decode
from evenodds.errors import BadInput, unknown
from evenodds.files.regular import open_regular
from evenodds.files.text import visible
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe as read_recipe
from evenodds.runs.default_recipe import suited_recipe
from evenodds.runs.find import names
from evenodds.runs.reading import open_data
from evenodds.server.pictures import Kept, thumbnail
from evenodds.studio.runs import studio_of
from evenodds.studio.state import Studio

__all__ = ["Galleries", "router"]

router = APIRouter(prefix="/api/data", tags=["data"])

SIDE = 96
"""Longest side of a thumbnail."""
MOST_LISTED = 500
"""Folders and files of a folder that are named."""
MOST_CLASSES = 200
MOST_FILES = 200_000
"""Files and folders that are looked through to show what is in a folder; larger ones can be trained on all the same."""
HEAD, ROWS, COLUMNS = 32 * 1024, 6, 64
"""Bytes of a table's file that are looked at; its lines and columns that are shown."""
KEPT = 8
"""Folders whose files are kept in mind."""
FRESH = 60.0
"""Seconds for which they are."""
MOST_PIXELS = 89_478_485
FILES = (".zip", ".tar", ".tar.gz", ".tgz", ".npz", ".npy", ".csv", ".tsv", ".xlsx", ".h5", ".hdf5", ".parquet", ".txt")
"""Endings of files that are data by themselves."""

PlaceText = Annotated[str, Query(max_length=4096, description="A path below the folders of the studio.")]


@dataclass
class Galleries:
    """The image files of folders that were looked at, and their thumbnails."""

    thumbnails: Kept = field(default_factory=Kept)
    _files: OrderedDict[Path, tuple[float, list[File], int]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    check: dict[str, Any] = field(default_factory=dict)
    """The state of the last check of data."""

    def files(self, place: Path) -> tuple[list[File], int]:
        """The image files of a folder, in the order of their names, and how many others there are."""
        with self._lock:
            known = self._files.get(place)
            if known is None or time.monotonic() - known[0] > FRESH:
                with opened(place) as (files, others):
                    known = (time.monotonic(), files, len(others))
                self._files[place] = known
                while len(self._files) > KEPT:
                    self._files.popitem(last=False)
            return known[1], known[2]


@router.get("", summary="What lies at a path")
async def look(request: Request, place: PlaceText = "") -> dict[str, Any]:
    """Folders inside, image files by number, their sizes, folders of classes, and the recipe that suits them.

    Without a place, the first folder of the studio is opened, and what is in its files is not looked at.
    """
    studio, galleries = studio_of(request), request.app.state.galleries
    path = studio.places.allowed(place) if place else studio.places.roots[0] if studio.places.roots else None
    if path is None:
        raise BadInput("this studio was started without folders for data; start it with --data FOLDER")
    return await asyncio.to_thread(_seen, studio, galleries, path, bool(place))


def _seen(studio: Studio, galleries: Galleries, path: Path, named: bool) -> dict[str, Any]:
    folders, files = _inside(path) if path.is_dir() else ([], [])
    above = path.parent if studio.places.holds(path.parent) else None
    found: dict[str, Any] = {
        "place": str(path),
        "above": None if above is None else str(above),
        "roots": [str(root) for root in studio.places.roots],
        "folders": folders,
        "files": files,
        "items": 0,
        "looked": named,
    }
    if not named:
        return found
    glimpse = None if (large := _holds_more(path, MOST_FILES)) else peek(str(path))
    is_file = path.is_file() and path.name.lower().endswith(FILES)
    if glimpse is None and not is_file:
        return {**found, "large": large}
    suited = suited_recipe(str(path))
    found |= {"recipe": suited.name, "reason": suited.reason, "data": str(path)}
    rows = _first_rows(path) if is_file else []
    if glimpse is None or rows:  # a table, say: it is read when it is checked, or trained on
        return {**found, "rows": rows}
    found |= {"items": glimpse.items, "shape": list(glimpse.shape)}
    if path.is_dir():
        images, others = galleries.files(path)
        counts = Counter(file.name.rpartition("/")[0] for file in images)
        classes = [{"name": visible(name) or ".", "count": counts[name]} for name in sorted(counts)[:MOST_CLASSES]]
        found |= {"pictures": len(images), "others": others, "classes": classes if len(counts) > 1 else []}
    return found


def _first_rows(path: Path) -> list[list[str]]:
    """The first lines of a table in a text file, cell by cell; empty of other files."""
    if path.suffix.lower() not in (".csv", ".tsv"):
        return []
    with open_regular(path) as file:
        text = file.read(HEAD).decode("utf-8-sig", "replace")
    lines = text.splitlines()[:ROWS]
    try:
        dialect: Any = csv.Sniffer().sniff("\n".join(lines), ",;\t")
    except csv.Error:
        dialect = csv.excel_tab if path.suffix.lower() == ".tsv" else csv.excel
    rows = itertools.islice(csv.reader(lines, dialect), ROWS)
    return [[visible(cell)[:80] for cell in row[:COLUMNS]] for row in rows]


def _holds_more(path: Path, most: int) -> bool:
    """Whether there are more files below a path than are looked through while somebody waits."""
    count = 0
    for _, folders, files in os.walk(path):
        count += len(files) + len(folders)
        if count > most:
            return True
    return False


def _inside(path: Path) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """The folders in a folder, and the files that may be data by themselves."""
    folders, files = [], []
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            line = {"name": visible(entry.name), "place": os.path.join(path, entry.name)}
            if entry.is_dir():
                folders.append(line)
            elif entry.name.lower().endswith(FILES):
                files.append(line)
    return folders[:MOST_LISTED], files[:MOST_LISTED]


@router.get("/thumbnails/{number}", summary="A small picture of an image file in a folder")
async def small(request: Request, number: int, place: PlaceText) -> Response:
    """The image file of that number, in the order of names, no side longer than 96 pixels."""
    studio, galleries = studio_of(request), request.app.state.galleries
    content = await asyncio.to_thread(_thumbnail, studio, galleries, place, number)
    return Response(content, media_type="image/webp", headers={"cache-control": "private, max-age=300"})


def _thumbnail(studio: Studio, galleries: Galleries, place: str, number: int) -> bytes:
    path = studio.places.allowed(place)
    if not path.is_dir():
        raise BadInput("pictures are shown of folders; unpack the archive, or start the run as it is")
    files, _ = galleries.files(path)
    if not 0 <= number < len(files):
        raise BadInput(f"there are {len(files):,} image files, numbered from 0; got {number}")
    file = files[number]
    where = file.open()
    if not isinstance(where, Path) or not studio.places.holds(where):
        raise BadInput("this file is a link to a place outside of the folders of this studio")
    status = where.stat()

    def make() -> bytes:
        picture = decode(file, None, "crop", MOST_PIXELS)
        if isinstance(picture, str):
            raise BadInput(picture)
        return thumbnail(picture.pixels, SIDE)

    return galleries.thumbnails.get((where, status.st_mtime_ns, status.st_size), make)


class Check(BaseModel):
    """Data to read, as a recipe wants them."""

    data: Annotated[str, Field(max_length=4096)]
    recipe: Annotated[str, Field(max_length=64)]


@router.post("/check", summary="Read all of the data, and say what was found", status_code=202)
async def check(request: Request, asked: Check) -> dict[str, Any]:
    """One check at a time; `GET /api/data/check` tells how far it is."""
    studio, galleries = studio_of(request), request.app.state.galleries
    data = await asyncio.to_thread(studio.data, asked.data)
    if asked.recipe not in names("recipes"):
        raise unknown("recipe", asked.recipe, names("recipes"))
    config = with_settings(read_recipe(asked.recipe), {"data": data})
    if galleries.check.get("state") == "reading":  # no other request comes in between
        raise BadInput("other data are being read; wait until that ends")
    galleries.check = {"state": "reading", "data": asked.data, "done": 0, "of": 0}
    threading.Thread(target=_check, args=(galleries, config), name="evenodds-check", daemon=True).start()
    return dict(galleries.check)


def _check(galleries: Galleries, config: Any) -> None:
    def reading(done: int, of: int) -> None:
        galleries.check |= {"done": done, "of": of}

    try:
        dataset = open_data(config, reading)
        counts = (
            [] if dataset.y is None else dataset.y[dataset.y >= 0].bincount(minlength=len(dataset.classes)).tolist()
        )
        classes = [{"name": visible(n), "count": k} for n, k in zip(dataset.classes, counts, strict=False)]
        found = {"items": len(dataset), "shape": list(dataset.shape), "classes": classes[:MOST_CLASSES]}
        galleries.check |= {"state": "read", **found, "report": [visible(line) for line in dataset.report]}
    except Exception as error:
        line = str(error) if isinstance(error, BadInput | OSError) else f"unexpected {type(error).__name__}: {error}"
        galleries.check |= {"state": "failed", "error": " ".join(line.split())}


@router.get("/check", summary="How far the check of data is")
async def checked(request: Request) -> dict[str, Any]:
    """state: reading, read or failed; empty where nothing was checked."""
    return dict(request.app.state.galleries.check)
