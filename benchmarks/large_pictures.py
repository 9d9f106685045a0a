"""Memory and time of `upscale` on large pictures: square, 16 bits, RGBA.

A small network (upscale-x2, 8 channels, one block), trained on 48 images of noise and edges, enlarges one picture of
each side in a process of its own, which may have at most so much memory. Read from the system: the most that was
resident (MiB) and the seconds of one core that were used, at the first sign of progress, when the first tile was done,
at the half, and at the end. With `--source`, the code of another checkout is measured, e.g. of an earlier one. The
figures are added to results/large_pictures.json.

    python benchmarks/large_pictures.py --work DIR
    python benchmarks/large_pictures.py --work DIR --source ../earlier/src --label before
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results" / "large_pictures.json"
SIDES = (1500, 3000, 9400)
OPTIONS = {"device": "cpu", "batch": 4, "images": 48, "size": 16, "task__crop": 16, "generator__width": 8}
OPTIONS |= {"generator__blocks": 1, "discriminator__width": 4}
GIB = 1 << 30


def picture(path: Path, side: int) -> Path:
    """Waves, with noise in the lower ten bits, and an edge in alpha."""
    from evenodds.data.pictures.png import png_rows

    rng = np.random.default_rng(0)
    x = np.arange(side)
    with png_rows(path, (side, side), 4, 16) as png:
        for y in range(side):
            waves = 30000 + 20000 * np.sin(x[:, None] / (40 + 13 * np.arange(4)) + y / 60)
            row = waves + rng.integers(0, 1024, (side, 4))
            row[:, 3] = np.where(x > y // 2, 65535, 0)
            png.add(row.clip(0, 65535).astype(np.uint16)[None])
    return path


def enlarge(run: Path, source: Path, target: Path, most: int, reading: float) -> None:
    """In a process of its own: enlarges, and prints what it took."""
    import torch

    from evenodds.apply.converting import Options, convert
    from evenodds.apply.making import maker_of
    from evenodds.runs.session import load

    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    torch.set_num_threads(1)
    session = load(run, "last", "cpu")
    begun, told = time.process_time(), {"before_mib": peak()}

    def step(what: str, done: int, total: int) -> None:
        share = done / total
        for name, more in (("first_sign", 0.0), ("first_tile", reading), ("half", 0.5)):
            if f"{name}_cpu_s" not in told and share > more:
                told.update({f"{name}_cpu_s": round(time.process_time() - begun, 1), f"{name}_mib": peak()})
                print(json.dumps(told), flush=True)

    converted = convert(maker_of(session), source, target, Options(), step)
    told |= {"end_cpu_s": round(time.process_time() - begun, 1), "peak_mib": peak(), "skipped": converted.skipped}
    print(json.dumps(told), flush=True)


def peak() -> int:
    """MiB that were resident at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def train(run: Path) -> None:
    """In a process of its own: the small network."""
    import torch

    import evenodds

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = np.where(np.arange(32)[:, None, None] > np.arange(32)[:, None], 200, 60) + rng.integers(0, 40, (48, 32, 32, 3))
    evenodds.fit(x.astype(np.uint8), "upscale-x2", out=run, **OPTIONS)


def called(source: Path, seconds: float, *words: object) -> list[str]:
    """The lines that this script prints in a process with the code of a checkout; those until its time was over."""
    command = [sys.executable, str(Path(__file__).resolve()), *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
    return output.splitlines()


def measured(arguments: argparse.Namespace, side: int) -> dict[str, Any]:
    work: Path = arguments.work
    source = work / f"{side}.png"
    if not source.is_file():
        picture(source, side)
    target, run, most = work / "large.png", work / f"run-{arguments.label}", int(arguments.gib * GIB)
    lines = called(arguments.source, arguments.seconds, "--enlarge", run, source, target, most, arguments.reading)
    figures: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    if "end_cpu_s" not in figures:
        figures["stopped_after_s"] = arguments.seconds
    elif target.is_file():
        figures["written_mib"] = target.stat().st_size >> 20
        target.unlink()
    return {"side": side, "limit_gib": arguments.gib, **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--source", type=Path, default=Path(__file__).resolve().parents[1] / "src")
    parser.add_argument("--label", default="now")
    parser.add_argument("--sides", type=int, nargs="+", default=list(SIDES))
    parser.add_argument("--gib", type=float, default=9.0)
    parser.add_argument("--seconds", type=float, default=1200.0)
    parser.add_argument("--reading", type=float, default=0.1, help="share of the progress that reading takes")
    parser.add_argument("--enlarge", nargs=5)
    parser.add_argument("--train", type=Path)
    arguments = parser.parse_args()
    if arguments.train:
        return train(arguments.train)
    if arguments.enlarge:
        run, source, target, most, reading = arguments.enlarge
        return enlarge(Path(run), Path(source), Path(target), int(most), float(reading))
    from evenodds.files.write import write_json

    arguments.work.mkdir(parents=True, exist_ok=True)
    if not (arguments.work / f"run-{arguments.label}").is_dir():
        called(arguments.source, arguments.seconds, "--train", arguments.work / f"run-{arguments.label}")
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for side in arguments.sides:
        results.setdefault(arguments.label, {})[str(side)] = measured(arguments, side)
        write_json(RESULTS, results)
        print(arguments.label, results[arguments.label][str(side)])
    return None


if __name__ == "__main__":
    main()
