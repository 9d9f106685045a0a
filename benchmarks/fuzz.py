"""Any change to any file of a run: what ends in neither a result nor one line of error, at two levels.

Each seed draws a run of one of nine families of tasks, a change to its files (a value of another type at any place,
code, paths and control characters as names, other encodings, cut and flipped bytes, links, pipes and folders in the
place of files) and a command that loads the run.

    --level commands   the command is run on the changed folder
    --level readers    what evenodds reads the changed files with is called, without a command around it
    --level inputs     a command is run on data of the user's that were changed

It must end with status 0, or with status 2 and one line of error (a reader: return, or raise BadInput of one line);
within 10 s of work and 1 GiB; without importing, executing or changing anything outside the run and its results.

Each level goes on where its results in results/fuzz.json end; they are written as it goes. Seeds that fell
are written beside them; the tests play them again.

    python benchmarks/fuzz.py --level readers --count 1000000
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from tests.fuzz.cases import COMMANDS, Outcome, play  # noqa: E402
from tests.fuzz.inputs import INPUTS, play_inputs  # noqa: E402
from tests.fuzz.readers import READERS, Bench, play_readers  # noqa: E402
from tests.fuzz.runs import FAMILIES, train_runs  # noqa: E402

from evenodds.files.write import write_json  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "fuzz.json"
PATIENCE = 90
"""Seconds after which a process that says nothing is killed: its limits of its own come first."""
EXAMPLES = 3
"""Seeds that are kept of falls that look alike."""
Play = Callable[[int], Outcome]


@dataclass(frozen=True)
class Level:
    """A way to play seeds.

    Args:
        player: makes the player of a process, of the folder of trained runs and one to work in.
        block: seeds that one process plays, so that what one case leaves behind is bounded.
        flush: cases after which results are written.
    """

    player: Callable[[Path, Path], Play]
    block: int
    flush: int


def of_commands(home: Path, scratch: Path) -> Play:
    """Plays a command on a run that was changed."""
    return partial(play, home=home, scratch=scratch / "case")


def of_readers(home: Path, scratch: Path) -> Play:
    """Plays the readers of the files of a run that were changed."""
    warnings.simplefilter("ignore")
    return partial(play_readers, bench=Bench(home, Path(tempfile.mkdtemp(dir=scratch))))


def of_inputs(home: Path, scratch: Path) -> Play:
    """Plays a command on data of the user's that were changed."""
    return partial(play_inputs, home=home, scratch=scratch / "case")


LEVELS = {
    "commands": Level(of_commands, 200, 50),
    "inputs": Level(of_inputs, 200, 50),
    "readers": Level(of_readers, 50_000, 1000),
}


def played(level: Level, seeds: range, home: Path, scratch: Path) -> Iterator[Outcome]:
    """The outcome of each seed; a process that dies or hangs is the outcome of the seed that it played."""
    start = seeds.start
    while start < seeds.stop:
        for outcome in block(level, range(start, min(start + level.block, seeds.stop)), home, scratch):
            yield outcome
            start = outcome.seed + 1


def block(level: Level, seeds: range, home: Path, scratch: Path) -> Iterator[Outcome]:
    """Plays seeds in a process of their own, up to the first at which it ends."""
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ear)
        speak(mouth, level, seeds, home, scratch)
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


def speak(mouth: int, level: Level, seeds: range, home: Path, scratch: Path) -> NoReturn:
    """Plays seeds in a child and writes each outcome; it ends with its parent."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the parent says what was played
    try:
        player = level.player(home, scratch)
        with os.fdopen(mouth, "w") as pipe:
            for seed in seeds:
                pipe.write(json.dumps(asdict(player(seed))) + "\n")
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
    parser.add_argument("--level", choices=LEVELS, default="commands")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, help="the first seed [default: after the last that was played]")
    parser.add_argument("--home", type=Path, help="keep the trained runs in this folder")
    words = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        os.environ["EVENODDS_CACHE"] = f"{folder}/cache"
        home = words.home or Path(folder) / "home"
        if not (home / "runs").is_dir():
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                train_runs(home)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        first = words.seed if words.seed is not None else following(words.level)
        record(words.level, range(first, first + words.count), home, Path(folder))


MEMORY = Path("/dev/shm")
"""A file system in memory, where there is one."""


def record(name: str, seeds: range, home: Path, folder: Path) -> None:
    """Plays seeds of a level, writes what came of them, and prints each fall."""
    level, tally = LEVELS[name], Tally(name, seeds.start)
    try:
        for outcome in played(level, seeds, home, folder):
            tally.add(outcome)
            if tally.count % level.flush == 0:
                tally.flush()
    finally:
        tally.flush()
        print(tally.about())


@dataclass
class Tally:
    """What came of the cases of a level, up to here.

    Args:
        level: its name.
        first: the first seed.
    """

    level: str
    first: int
    count: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    start: float = field(default_factory=time.perf_counter)
    falls: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Counts an outcome; of falls that look alike, the first few seeds are kept."""
        self.count += 1
        self.outcomes["falls" if outcome.wrong else kind(outcome)] += 1
        self.slowest = max(self.slowest, outcome.seconds)
        if outcome.wrong:
            print(outcome, flush=True)
            what = alike(f"{outcome.wrong}; {outcome.error}")
            fall = {"level": self.level, "case": outcome.command, "change": outcome.mutation[:200], "what": what}
            entry = self.falls.setdefault(what, {**fall, "seeds": []})
            entry["seeds"] = [*entry["seeds"], outcome.seed][:EXAMPLES]

    def about(self) -> dict[str, Any]:
        """The figures."""
        seconds = round(time.perf_counter() - self.start)
        figures = {**self.outcomes, "slowest_seconds": round(self.slowest, 2), "seconds": seconds}
        return {"level": self.level, "first_seed": self.first, "count": self.count, **figures}

    def flush(self) -> None:
        """Writes the figures and falls to the results."""
        content = stored()
        others = [run for run in content["runs"] if (run["level"], run["first_seed"]) != (self.level, self.first)]
        known = [fall for fall in content["falls"] if (fall["level"], fall["what"]) not in self._keys()]
        content |= {"families": sorted(FAMILIES), "commands": list(COMMANDS), "readers": sorted(READERS)}
        content["inputs"] = list(INPUTS)
        write_json(RESULTS, {**content, "falls": [*known, *self.falls.values()], "runs": [*others, self.about()]})

    def _keys(self) -> set[tuple[str, str]]:
        return {(self.level, what) for what in self.falls}


def kind(outcome: Outcome) -> str:
    """What a case without a fault ended with."""
    if outcome.error in ("again", "read", "refused"):
        return outcome.error
    return "refused" if "error: " in outcome.error else "answered"


def alike(text: str) -> str:
    """A text without the numbers and paths that differ from case to case."""
    return re.sub(r"\d+", "0", re.sub(r"/[^\s:;,']*", "...", text))[:200]


def stored() -> dict[str, Any]:
    """What the results hold so far."""
    empty: dict[str, Any] = {"falls": [], "runs": []}
    return {**empty, **json.loads(RESULTS.read_text("utf-8"))} if RESULTS.is_file() else empty


def following(level: str) -> int:
    """The seed after the last that was played at a level."""
    return max((run["first_seed"] + run["count"] for run in stored()["runs"] if run["level"] == level), default=0)


if __name__ == "__main__":
    main()
