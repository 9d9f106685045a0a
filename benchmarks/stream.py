"""Images per second that are delivered from shards, a folder, a Parquet table and memory; and the memory that it takes.

JPEG files of 32, 128 and 256 pixels are made of photographs in shared/data, in a temporary folder. Each way is measured
in a process of its own, with next to nothing kept as decoded: every image is decoded when it is asked for. Then a set
that is ten times as large as what may be kept is read from shards for a while, and the memory of the process is noted;
and the rounds of a recipe for each size are measured from memory: what players consume. Written to results/stream.json.
It takes some four minutes on two idle cores.

    python benchmarks/stream.py
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results" / "stream.json"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SOURCES = {32: "cifar10-jpeg-train.zip", 128: "clothing-128.zip", 256: "bsds500-train.zip"}
FILES = {32: 8000, 128: 3000, 256: 1000}
WAYS = ("memory", "shards", "folder", "parquet")
RECIPES = {32: "color-32", 128: "photos-128", 256: "photos-256"}
BATCH = 64
TIMES = 10
"""The decoded set is so many times as large as what may be kept of it."""


def pictures(side: int) -> Iterator[bytes]:
    """JPEG files without end: photographs, cropped to another square each time."""
    from PIL import Image

    with zipfile.ZipFile(SHARED / SOURCES[side]) as archive:
        names = [name for name in archive.namelist() if name.lower().endswith(".jpg")]
        for k, name in enumerate(cycle(names)):
            image = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
            room = min(image.size) - max(1, min(image.size) - k // len(names))
            box = (room, room, room + min(image.size) - room, min(image.size))
            stream = io.BytesIO()
            image.crop(box).resize((side, side), Image.Resampling.LANCZOS).save(stream, "JPEG", quality=90)
            yield stream.getvalue()


def made(work: Path, side: int, files: int) -> None:
    """The same files in a folder, in shards and in a table."""
    import pyarrow
    import pyarrow.parquet

    from evenodds.data.packing import pack

    folder = work / "folder"
    for k, content in enumerate(islice(pictures(side), files)):
        path = folder / "ab"[k % 2] / f"{k:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    pack(folder, work / "shards", shard="16MB")
    rows = [{"bytes": path.read_bytes(), "path": None} for path in sorted(folder.rglob("*.jpg"))]
    table = pyarrow.table({"image": rows, "label": ["ab"[k % 2] for k in range(files)]})
    pyarrow.parquet.write_table(table, work / "parquet.parquet", row_group_size=100)


def place(work: Path, way: str) -> Path:
    return {"memory": work / "folder", "parquet": work / "parquet.parquet"}.get(way, work / way)


def rss() -> float:
    """MiB that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def delivered(work: Path, way: str, seconds: float) -> dict[str, Any]:
    """In a process of its own: images per second, and the threads that decode."""
    from evenodds.data.batches import Batches
    from evenodds.data.items import threads
    from evenodds.data.sources import load

    begun = time.perf_counter()
    data = load(place(work, way), **({} if way == "memory" else {"memory": "1MB"}))
    assert (data.items is None) == (way == "memory")
    opened = time.perf_counter() - begun
    feed, images = Batches(data, None, BATCH, 0), 0
    feed.at(0)
    begun = time.perf_counter()
    for k in count(1):
        images += len(feed.at(k * BATCH)["x"])
        if (spent := time.perf_counter() - begun) >= seconds:
            return {"images_per_second": round(images / spent), "opening_s": round(opened, 2), "threads": threads()}
    raise AssertionError


def over_time(work: Path, seconds: float) -> dict[str, Any]:
    """In a process of its own: the memory of the process while a set is read that is ten times as large as is kept."""
    from evenodds.data.batches import Batches
    from evenodds.data.sources import load

    before = rss()
    data = load(work / "shards", memory="1MB")
    whole = len(data) * data.item_bytes
    memory = 2 * whole // TIMES  # half of it is for what is kept
    data = load(work / "shards", memory=f"{memory}B")
    assert data.items is not None
    feed, marks = Batches(data, None, BATCH, 0), list[dict[str, float]]()
    begun = time.perf_counter()
    for k in count():
        feed.at(k * BATCH)
        spent = time.perf_counter() - begun
        if spent >= len(marks) * seconds / 20:
            epochs = k * BATCH / len(data)
            marks.append({"s": round(spent, 1), "epochs": round(epochs, 2), "mib": round(rss(), 1)})
        if spent >= seconds:
            break
    return {
        "decoded_mib": round(whole / 2**20, 1),
        "kept_at_most_mib": round(memory / 2**21, 1),
        "mib_before": round(before, 1),
        "marks": marks,
    }


def consumed(work: Path, side: int, seconds: float) -> dict[str, Any]:
    """In a process of its own: images per second of the rounds of a recipe, from memory."""
    from evenodds.data.sources import load
    from evenodds.game.rules import Progress
    from evenodds.runs.assembly import Run
    from evenodds.runs.changes import with_settings
    from evenodds.runs.config_files import recipe
    from evenodds.runs.probing import Probe, rates_of

    data = load(work / "folder")
    chosen = {"precision": "float32", "simultaneous": False, "task": "generate", "views": "flip,translation,color"}
    config = with_settings(recipe(RECIPES[side]), {"device": "cpu", "size": side, **chosen})
    probe = Probe(Run(config, data), Progress(10**12))
    probe.play(1)
    return {"recipe": RECIPES[side], "images_per_second": round(rates_of({0: probe}, seconds)[0], 1)}


def apart(work: Path, what: str, side: int, seconds: float) -> Any:
    """What a process of its own finds out."""
    words = [sys.executable, __file__, "--measure", what, "--work", str(work), "--sides", str(side)]
    environment = {**os.environ, "EVENODDS_CACHE": str(work / "cache")}
    done = subprocess.run(
        [*words, "--seconds", str(seconds)], check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    return json.loads(done.stdout)


def measured(what: str, work: Path, side: int, seconds: float) -> Any:
    if what == "over time":
        return over_time(work, seconds)
    return consumed(work, side, seconds) if what == "consumed" else delivered(work, what, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=list(FILES), choices=list(FILES))
    parser.add_argument("--files", type=int, help="of each size [default: 8000, 3000 and 1000]")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each way")
    parser.add_argument("--work", type=Path, help="folder for what is made [default: a temporary one]")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--measure", choices=[*WAYS, "over time", "consumed"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.measure, options.work, options.sides[0], options.seconds)))
        return
    results: dict[str, Any] = {"setting": f"JPEG files of quality 90, batches of {BATCH}", "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        for side in options.sides:
            work = Path(folder) / str(side)
            made(work, side, options.files or FILES[side])
            ways = {way: apart(work, way, side, options.seconds) for way in WAYS}
            results[str(side)] = {**ways, "players": apart(work, "consumed", side, options.seconds)}
            if side == 128:
                results["memory over time"] = apart(work, "over time", side, 6 * options.seconds)
            print(side, json.dumps(results[str(side)]), flush=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
