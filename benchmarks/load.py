"""A run beside other busy processes: images per second by threads, and whether a budget is kept.

    python benchmarks/load.py [threads] [waiting] [budget] [--seconds 20]

`threads`: with 0, 2 and 4 other busy processes, a run on one thread, on all, and with threads=auto.
`waiting`: two threads by how long they spin before they sleep (GOMP_SPINCOUNT, OMP_WAIT_POLICY), and one thread.
`budget`: `--budget 60s` and `--budget 300s` while busy processes come and go.

All runs are `evenodds train gray-28` on random images, so that no data are needed; speed does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results" / "load.json"
BUSY = "while True: pass"
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
WAITING = {
    "ours": {},
    "default of the library": {"GOMP_SPINCOUNT": "300000"},
    "1000": {"GOMP_SPINCOUNT": "1000"},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
}


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but take time."""
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def command(data: Path, out: Path, *more: str) -> list[str]:
    settings = ["--set", "batch=64", *more]
    return [sys.executable, "-m", "evenodds", "train", "gray-28", "--data", str(data), "--out", str(out), *settings]


def environment(more: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in VARIABLES} | more


def rate(data: Path, seconds: float, settings: list[str], more: dict[str, str]) -> float:
    """Images per second of the rounds and all between them, the measuring of threads among it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        process = subprocess.Popen(
            [*command(data, out, *settings), "--images", "10M", "--watch", "off", "--quiet"],
            env=environment(more),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        last = _end(process, out / "metrics.jsonl", seconds)
    return last["images"] / last["seconds"]


def _end(process: subprocess.Popen[bytes], path: Path, seconds: float) -> dict[str, float]:
    """Where a run is that is ended after so many seconds: the last line of its history."""
    while not path.exists():
        time.sleep(0.2)
    time.sleep(seconds)
    process.terminate()  # it ends after the round, and writes where it is
    process.wait()
    last: dict[str, float] = json.loads(path.read_text().splitlines()[-1])
    return last


def threads(data: Path, seconds: float) -> dict[str, object]:
    """Images per second of one thread, all threads and threads=auto, by the number of busy processes."""
    rows = {}
    for count in (0, 2, 4):
        with busy(count):
            kinds = {"one": "threads=1", "all": f"threads={os.cpu_count()}", "auto": "threads=auto"}
            row = {name: round(rate(data, seconds, [setting], {}), 1) for name, setting in kinds.items()}
        rows[str(count)] = row | {"auto / one": round(row["auto"] / max(1e-9, row["one"]), 2)}
        print(count, rows[str(count)], flush=True)
    return rows


def waiting(data: Path, seconds: float) -> dict[str, object]:
    """Images per second of all threads by how they wait, by the number of busy processes."""
    rows = {}
    for count in (0, 2, 4):
        with busy(count):
            setting = [f"threads={os.cpu_count()}"]
            rows[str(count)] = {name: round(rate(data, seconds, setting, more), 1) for name, more in WAITING.items()}
        print(count, rows[str(count)], flush=True)
    return rows


def budget(data: Path, budgets: tuple[int, ...] = (60, 300)) -> dict[str, object]:
    """How long the whole command took, under processes that come and go."""
    rows = {}
    for seconds in budgets:
        rng, others = random.Random(seconds), list[subprocess.Popen[bytes]]()
        with tempfile.TemporaryDirectory() as folder:
            out, begun = Path(folder) / "run", time.perf_counter()
            process = subprocess.Popen(
                [*command(data, out), "--budget", f"{seconds}s", "--quiet"],
                env=environment({}),
                stderr=subprocess.PIPE,
                text=True,
            )
            while process.poll() is None:
                _come_and_go(rng, others)
                time.sleep(1)
            spent = time.perf_counter() - begun
            for other in others:
                other.kill()
                other.wait()
            assert process.stderr is not None
            said = process.stderr.read()
            last = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
        rows[str(seconds)] = {
            "seconds": round(spent, 1),
            "images": last["images"],
            "changes told": said.count("will fit the budget, not"),
        }
        print(seconds, rows[str(seconds)], flush=True)
    return rows


def _come_and_go(rng: random.Random, others: list[subprocess.Popen[bytes]]) -> None:
    """Once in about eight seconds a process begins or ends; there are at most four."""
    if rng.random() < 1 / 8:
        if others and (len(others) == 4 or rng.random() < 0.5):
            other = others.pop()
            other.kill()
            other.wait()
        else:
            others.append(subprocess.Popen([sys.executable, "-c", BUSY]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["threads", "waiting", "budget"])
    parser.add_argument("--seconds", type=float, default=20, help="of each run of threads and waiting")
    arguments = parser.parse_args()
    result = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "images.npy"
        np.save(data, np.random.default_rng(0).integers(0, 256, (2000, 28, 28), dtype=np.uint8))
        for part in arguments.parts:
            if part == "budget":
                result[part] = budget(data)
            else:
                result[part] = {"threads": threads, "waiting": waiting}[part](data, arguments.seconds)
            RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
