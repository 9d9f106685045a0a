"""A case: a command on a copy of a run folder that was changed, all drawn from one seed, and what must not happen."""

from __future__ import annotations

import hashlib
import io
import os
import re
import resource
import shutil
import signal
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from evenodds.cli import main
from tests.fuzz.mutations import mutate
from tests.fuzz.runs import FAMILIES
from tests.fuzz.watch import watched

__all__ = [
    "COMMANDS", "Outcome", "TooLong", "contents", "drawn", "laid_out", "limited", "play", "played", "worded",
]  # fmt: skip

SECONDS = 10
"""Of processor time that a command may take."""
PATIENCE = 60
"""Seconds that it may wait, on a machine that does other work too."""
MEMORY = 2**30
"""Bytes that it may ask for."""
SILENT = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that may not reach a terminal."""

JUDGED = ("--metrics", "kernel", "--features", "pixels", "-n", "40")
DRAWN = ("generate", "condition", "infogan", "logan")
CLASSES = ("condition",)
CONVERTED = {"upscale": "upscale", "translate": "translate", "segment": "segment", "cycle": "translate"}
"""The families whose runs convert images, and by which command."""
IMAGES = ("condition", "infogan", "logan")
COMMANDS: Mapping[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    # weight, families, words
    "show": (40, tuple(FAMILIES), ("show", "RUN")),
    "sample": (25, DRAWN, ("sample", "RUN", "-n", "2", "--device", "cpu")),
    "sample folder": (8, DRAWN, ("sample", "RUN", "-n", "2", "--folder", "OUT/f", "--npz", "OUT/x.npz")),
    "sample class": (8, CLASSES, ("sample", "RUN", "--per-class", "1", "--folder", "OUT/f", "--checkpoint", "best")),
    "walk": (6, IMAGES, ("walk", "RUN", "--steps", "2", "--stops", "1", "--device", "cpu")),
    "directions": (3, IMAGES, ("directions", "RUN", "--n", "1", "--how", "weights", "--device", "cpu")),
    "features": (3, IMAGES, ("features", "RUN", "DATA/classes.npz", "--device", "cpu")),
    "encode": (3, CLASSES, ("encode", "RUN", "DATA/classes.npz", "--images", "8", "--device", "cpu")),
    "evaluate": (6, (*DRAWN, "upscale"), ("evaluate", "RUN", *JUDGED, "--device", "cpu")),
    "against": (3, DRAWN, ("evaluate", "DATA/classes.npz", "--against", "RUN", *JUDGED)),
    "compare": (6, CLASSES, ("compare", "RUN", "GOOD")),
    "report": (3, IMAGES, ("report", "RUN", *JUDGED, "--device", "cpu")),
    "resume": (5, tuple(FAMILIES), ("resume", "RUN", "--images", "24", "--quiet", "--set", "device=cpu")),
    "augment": (3, CLASSES, ("augment", "RUN", "--to", "OUT/a", "--per-class", "1", "--filters", "none")),
    "trial": (
        1,
        CLASSES,
        ("trial", "--run", "RUN", "--seeds", "1", "--budget", "1s", "--out", "OUT/t", "--arms", "gan"),
    ),
    "fill": (5, ("fill",), ("fill", "RUN", "DATA/pictures/0.png", "--mask", "DATA/pictures/1.png", "-n", "1")),
    "convert": (12, tuple(CONVERTED), ("FAMILY", "RUN", "DATA/pictures/0.png", "OUT/0.png", "--device", "cpu")),
    "train": (4, tuple(FAMILIES), ("train", "RUN/config.yaml", "--images", "8", "--out", "OUT/r", "--quiet")),
    "doctor": (6, tuple(FAMILIES), ("doctor", "RUN")),
}
"""The commands that load a run, how often each is drawn, on runs of which families, and its words."""
STATUSES = {0, 2}
LARGEST = 2**26
"""Bytes of a file that is only told from others by its size."""


class TooLong(BaseException):
    """A command was stopped; no error handler of the command takes it for its own."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case: its command and mutation, and what was wrong; empty where all was well."""

    seed: int
    command: str
    mutation: str
    wrong: str
    error: str = ""
    """The last line on standard error."""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.command}: {self.mutation}: {self.wrong}: {self.error}"


def play(seed: int, home: Path, scratch: Path) -> Outcome:
    """Plays the case of a seed.

    Args:
        home: with the runs of tests.fuzz.runs.
        scratch: a folder that is removed and made anew.
    """
    rng, name, family = drawn(seed)
    template = COMMANDS[name][2]
    run = laid_out(home, scratch, family)
    mutation, _ = mutate(run, rng)
    words = [worded(word, family, home, scratch) for word in template]
    return played(seed, f"{name} of {family}", mutation, words, run, scratch)


def played(seed: int, name: str, mutation: str, words: list[str], run: Path, scratch: Path) -> Outcome:
    """Runs a command on what was changed.

    Args:
        name: of the case.
        run: the folder that the command may change, and of which nothing may be executed.
    """
    before = digest(scratch / "user")
    start = time.process_time()
    with watched((run, scratch / "out", Path(os.environ["EVENODDS_CACHE"])), scratch) as noted:
        status, out, err = executed(words, scratch / "here")
    wrong = [*misbehaved(status, out, err), *noted]
    if digest(scratch / "user") != before or list((scratch / "here").iterdir()):
        wrong.append("the user's files were changed")
    last = err.strip().splitlines()[-1:] or [""]
    return Outcome(seed, name, mutation, "; ".join(wrong), last[0][:300], time.process_time() - start)


def drawn(seed: int) -> tuple[Random, str, str]:
    """What a seed draws: a command, and a family of tasks; and the generator with which the change is drawn then."""
    rng = Random(seed)
    name = rng.choices(list(COMMANDS), [weight for weight, *_ in COMMANDS.values()])[0]
    return rng, name, rng.choice(COMMANDS[name][1])


def laid_out(home: Path, scratch: Path, family: str) -> Path:
    """Copies the run, and makes a folder for results, one of the user's, and one to work in."""
    if scratch.exists():
        shutil.rmtree(scratch)
    for folder in ("out", "here", "user/000000000001"):
        (scratch / folder).mkdir(parents=True)
    for path, content in contents(home / "runs" / family).items():
        copy = scratch / "run" / path
        if content is None:
            copy.mkdir(parents=True)
        else:
            copy.write_bytes(content)
    for name in ("mine.txt", "000000000001/mine.txt"):
        (scratch / "user" / name).write_text("mine", "utf-8")
    return scratch / "run"


@cache
def contents(run: Path) -> Mapping[str, bytes | None]:
    """The files of a run by path, and its folders, None, before what is in them."""
    paths = [run, *sorted(run.rglob("*"))]
    return {path.relative_to(run).as_posix(): path.read_bytes() if path.is_file() else None for path in paths}


def worded(word: str, family: str, home: Path, scratch: Path) -> str:
    """A word of a command with its paths."""
    places = {"RUN": scratch / "run", "OUT": scratch / "out", "DATA": home / "data", "GOOD": home / "runs/condition"}
    head, slash, rest = word.partition("/")
    return CONVERTED[family] if word == "FAMILY" else f"{places.get(head, head)}{slash}{rest}"


def executed(words: list[str], here: Path) -> tuple[int | str, str, str]:
    """Runs a command within its limits; its status, or how it was stopped, and what it wrote to its two streams."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", "strict") for _ in range(2)]
    back = Path.cwd()
    os.chdir(here)
    status: int | str
    try:
        with redirect_stdout(streams[0]), redirect_stderr(streams[1]), limited():
            status = main(words)
    except TooLong as error:
        status = str(error)
    except BaseException as error:
        status = f"raised {error!r}"
    finally:
        os.chdir(back)
    for stream in streams:
        with suppress(ValueError, OSError):
            stream.flush()
    out, err = (stream.buffer.getvalue().decode("utf-8", "replace") for stream in streams)  # type: ignore[attr-defined]
    return status, out, err


@contextmanager
def limited() -> Iterator[None]:
    """Limits of time and memory on what this process does within."""
    signals = {signal.SIGPROF: f"over {SECONDS} s of work", signal.SIGALRM: f"over {PATIENCE} s"}

    def stop(number: int, frame: object) -> None:
        raise TooLong(signals[signal.Signals(number)])

    heard = {number: signal.signal(number, stop) for number in signals}
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + MEMORY, hard))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        for number, handler in heard.items():
            signal.signal(number, handler)


def _address_space() -> int:
    """Bytes of the address space of this process."""
    if sys.platform != "linux":
        return 2**40
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def misbehaved(status: int | str, out: str, err: str) -> list[str]:
    """What is wrong with how a command ended and with what it said."""
    wrong = []
    lines = err.splitlines()
    errors = [k for k, line in enumerate(lines) if line.startswith("evenodds: error: ")]
    diverged = status == 3 and "diverged" in err
    partial = status == 1 and not errors and lines  # some files of many could not be done
    if status not in STATUSES and not diverged and not partial:
        wrong.append(f"status {status}")
    found = status == 2 and lines and re.fullmatch(r"[\d,]+ faults? found", lines[-1])  # what doctor was asked for
    if status == 2 and errors != [len(lines) - 1] and not found:
        wrong.append("not one line of error at the end")
    if "error: unexpected " in err or "Traceback" in err:
        wrong.append("unexpected")
    if SILENT.search(out) or SILENT.search(err):
        wrong.append("control characters")
    if max(map(len, lines), default=0) > 4000:
        wrong.append("a line without end")
    return wrong


def digest(folder: Path) -> str:
    """Of the names and contents of all files in a folder."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        one = path.lstat()
        what = os.readlink(path) if stat.S_ISLNK(one.st_mode) else "" if stat.S_ISDIR(one.st_mode) else one.st_size
        total.update(f"{path.relative_to(folder)}{stat.S_IFMT(one.st_mode)}{what}".encode(errors="surrogateescape"))
        total.update(path.read_bytes() if stat.S_ISREG(one.st_mode) and one.st_size < LARGEST else b"")
    return total.hexdigest()
