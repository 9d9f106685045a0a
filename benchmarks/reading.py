"""Reading of many small JPEG files: by one process, by threads, by one process per core, and as kept before.

The JPEG copies of CIFAR-10 are unpacked to DIR/jpegs. Each way reads them in a process of its own. Written to
results/reading.json: the seconds of the clock and those of all cores for each way, and for what follows the reading.
With 50,000 files it takes some two minutes on two free cores.

    python benchmarks/reading.py --work DIR
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results" / "reading.json"
ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "cifar10-jpeg-train.zip"
WAYS = ("one process", "threads", "processes", "first, kept", "second, as kept")


def jpegs(folder: Path, files: int) -> Path:
    """The first files of the archive."""
    if not folder.is_dir():
        with zipfile.ZipFile(ARCHIVE) as archive:
            names = archive.namelist()
            archive.extractall(folder, names[:: max(1, len(names) // files)][:files])
    return folder


def core_seconds() -> float:
    """Of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(work: Callable[[], object]) -> dict[str, float]:
    clock, cores = time.perf_counter(), core_seconds()
    work()
    return {"clock_s": round(time.perf_counter() - clock, 2), "cores_s": round(core_seconds() - cores, 2)}


def read(folder: Path, way: str) -> None:
    """In a process of its own: reads, and prints what it took."""
    from evenodds.data.checks import check
    from evenodds.data.pictures import queue
    from evenodds.data.sources import load
    from evenodds.files.kept import caching

    if way in ("one process", "threads"):
        queue._MANY = sys.maxsize
    if way == "threads":
        queue._SMALL = 0
    held = []
    with caching("kept" in way):
        told: dict[str, object] = {"way": way, **timed(lambda: held.append(load(folder)))}
    data = held[0]
    told |= {"files": len(data), "fingerprint": data.fingerprint()[:16]}
    if way == WAYS[-1]:
        train, held_out = data.split(0.1, 0)
        told |= {"fingerprint_s": timed(data.fingerprint), "checks_s": timed(lambda: check(data, train, held_out))}
        told |= {"split_s": timed(lambda: data.split(0.1, 0))}
    print(json.dumps(told))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    work: Path = options.work.resolve()
    if options.way:
        read(work / "jpegs", options.way)
        return
    jpegs(work / "jpegs", options.files)
    time.sleep(2.5)  # Files that changed just now are not kept.
    environment = os.environ | {"EVENODDS_CACHE": str(work / "cache")}
    rows = []
    for way in WAYS:
        command = [sys.executable, __file__, "--work", str(work), "--way", way]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout))
        print(done.stdout.strip(), flush=True)
    assert len({row["fingerprint"] for row in rows}) == 1
    RESULTS.write_text(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
