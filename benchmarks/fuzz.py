"""Any change to any file of a run, and any command on it: what ends in neither a result nor one line of error.

Each seed draws a run of one of seven families of tasks, a change to its files (a value of another type at any place,
code, paths and control characters as names, other encodings, cut and flipped bytes, links, pipes and folders in the
place of files) and a command that loads the run. A command must end with status 0, or with status 2 and one line of
error; within 10 s of work and 1 GiB; without importing, executing or changing anything outside the run and its results.

Seeds that fell are added to results/fuzz.json; the tests play them again.

    python benchmarks/fuzz.py --count 1000000 --seed 0
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from tests.fuzz.cases import COMMANDS, Outcome, play  # noqa: E402
from tests.fuzz.runs import FAMILIES, train_runs  # noqa: E402

from evenodds.files.write import write_json  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "fuzz.json"
BLOCK = 200
"""Seeds that one process plays, so that what one case leaves behind is bounded."""
PATIENCE = 90
"""Seconds after which a process that says nothing is killed: its limits of its own come first."""


def played(seeds: range, home: Path, scratch: Path) -> Iterator[Outcome]:
    """The outcome of each seed; a process that dies or hangs is the outcome of the seed that it played."""
    start = seeds.start
    while start < seeds.stop:
        for outcome in block(range(start, min(start + BLOCK, seeds.stop)), home, scratch):
            yield outcome
            start = outcome.seed + 1


def block(seeds: range, home: Path, scratch: Path) -> Iterator[Outcome]:
    """Plays seeds in a process of their own, up to the first at which it ends."""
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ear)
        speak(mouth, seeds, home, scratch)
    os.close(mouth)
    following = seeds.start
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    with os.fdopen(ear) as pipe:
        for line in lines(pipe):
            yield Outcome(**json.loads(line))
            following += 1
    _, status = os.waitpid(child, 0)
    if following < seeds.stop:
        yield Outcome(following, "unknown", "unknown", f"the process ended with {os.waitstatus_to_exitcode(status)}")


def speak(mouth: int, seeds: range, home: Path, scratch: Path) -> NoReturn:
    """Plays seeds in a child and writes each outcome; it ends with its parent."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the parent says what was played
    try:
        with os.fdopen(mouth, "w") as pipe:
            for seed in seeds:
                pipe.write(json.dumps(asdict(play(seed, home, scratch))) + "\n")
                pipe.flush()
        os._exit(0)
    finally:
        os._exit(1)


def lines(pipe: io.TextIOBase) -> Iterator[str]:
    """Lines as they come, each within the patience."""
    signal.alarm(PATIENCE)
    for line in pipe:
        signal.alarm(PATIENCE)
        yield line
    signal.alarm(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--home", type=Path, help="keep the trained runs in this folder")
    words = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EVENODDS_CACHE"] = f"{folder}/cache"
        home = words.home or Path(folder) / "home"
        if not (home / "runs").is_dir():
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                train_runs(home)
        counts: Counter[str] = Counter()
        start, slowest = time.perf_counter(), 0.0
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            for outcome in played(range(words.seed, words.seed + words.count), home, Path(folder) / "case"):
                counts["falls" if outcome.wrong else "refused" if "error: " in outcome.error else "answered"] += 1
                slowest = max(slowest, outcome.seconds)
                if outcome.wrong:
                    print(outcome, flush=True)
                    keep(outcome)
        finally:
            note(words.seed, counts, slowest, time.perf_counter() - start)


def stored() -> dict[str, object]:
    """What the results hold so far."""
    empty = {"regressions": [], "falls": [], "runs": []}
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else empty


def keep(outcome: Outcome) -> None:
    """Adds a seed that fell."""
    content = stored()
    if outcome.seed not in content["regressions"]:  # type: ignore[operator]
        content["regressions"] = sorted([*content["regressions"], outcome.seed])  # type: ignore[misc]
        fall = {"seed": outcome.seed, "command": outcome.command, "change": outcome.mutation[:200]}
        content["falls"] = [*content["falls"], {**fall, "what": (outcome.wrong + "; " + outcome.error)[:200]}]  # type: ignore[misc]
        write_json(RESULTS, content)


def note(seed: int, counts: Counter[str], slowest: float, seconds: float) -> None:
    """Adds what was played."""
    content = stored()
    about = {
        "first_seed": seed,
        "count": counts.total(),
        **counts,
        "slowest_seconds": round(slowest, 2),
        "seconds": round(seconds),
    }
    content |= {"families": sorted(FAMILIES), "commands": list(COMMANDS)}
    content["runs"] = [*content["runs"], about]  # type: ignore[misc]
    write_json(RESULTS, content)
    print(about)


if __name__ == "__main__":
    main()
