"""Commands killed at random moments, two writers at once, and disks that are too small: is anything lost or mixed?

Killed: train, resume, augment, evaluate, report and upscale of a folder get SIGKILL at a random moment; the seed is in
the results. What is left must be whole files (JSON that parses, pictures that open, checkpoints whose checksums hold,
pages that are closed), and the same command given again must end with the same result as a command that nobody killed,
without lock files or temporary files beside it.

Two at once: every pair of writers of one run, and of one target, starts together, and once more with the second in the
midst of the first. Each ends with status 0, or with status 2 and one line that says who is there; what is there
afterwards is what one of the two alone would have left.

Small disks: a run trains on file systems (tmpfs) of growing sizes; where none can be mounted, files are limited in size
instead (RLIMIT_FSIZE), and the results say so. It ends whole, or with one line on the disk; copied to a disk with room
and resumed, it has the same bits.

Results are written after each trial, beside those of other calls. The same line again goes on where it was stopped, and
trials with something wrong are tried again. A busy machine takes a small run (--small).

    python benchmarks/kill.py --work DIR --times 100 --disks 20
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evenodds.cli import main as command_line
from evenodds.files.lock import NAME
from evenodds.files.process import host_name
from evenodds.files.write import is_temporary, write_json
from evenodds.game import checkpoint

ROOT = Path(__file__).resolve().parents[1]
SEED = 0
THERE = "is there already"
REFUSED = ("is in use by", "already holds a run", THERE, "no run at", "no data source", "no checkpoint in")
"""What the second of two commands may say: somebody is there, the work is done, or the run has not begun yet."""
TEXTS = (".json", ".html", ".csv", ".jsonl")
TIMES = re.compile(rb'"seconds": [\d.]+|Measured in [^<]*')


@dataclass
class Trial:
    """One command that was disturbed, and what was wrong afterwards; nothing where all is well."""

    command: str
    disturbance: str
    wrong: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    """How the disturbed commands ended: the status, with the last line where it is not 0."""


@dataclass(frozen=True)
class Size:
    """Of the work that is disturbed.

    Args:
        name: for the results.
        train: words behind `train digits`.
        judged: words behind `evaluate RUN` and `report RUN`.
        pictures: how many are upscaled, and their height; they are a third wider.
        per_class: images by `augment`.
        samples: of `sample --folder`.
        crop: pixels of the crops that the run that upscales is trained on.
    """

    name: str
    train: list[object]
    judged: list[object]
    pictures: tuple[int, int]
    per_class: int
    samples: int
    crop: int


def size_of(small: bool, work: Path) -> Size:
    """The size of the work."""
    common = ["--seed", 3, "--quiet", "--set", "task=condition", "device=cpu"]
    if small:
        train = ["--images", 64, "--data", work / "data.npz", *common, "batch=8", *widths(4)]
        judged = ["-n", 40, "--metrics", "kernel", "--features", "pixels"]
        return Size("64 of 60 images of 8 x 8, by class, in 8 rounds", train, judged, (6, 18), 4, 30, 16)
    train = ["--images", 512, *common, "batch=32", *widths(8)]
    judged = ["-n", 128, "--metrics", "frechet", "--features", "random"]
    return Size("512 digits, by class, in 16 rounds", train, judged, (12, 60), 12, 200, 32)


def widths(width: int) -> list[object]:
    """Settings of both networks."""
    return [f"generator.width={width}", f"discriminator.width={width}"]


# --- processes -------------------------------------------------------------------------------------------------------


def started(words: Sequence[object], log: Path, limit: int | None = None) -> int:
    """The number of a process that runs a command and says to a file what it says; it is forked, with all imported.

    Args:
        limit: bytes that a file may have at most; None: no limit.
    """
    pid = os.fork()
    if pid:
        return pid
    status = 99
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write then fails with EFBIG
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        sys.stdout = sys.stderr = log.open("w", buffering=1, encoding="utf-8")
        status = command_line([str(word) for word in words])
    finally:
        os._exit(status)


def ended(pid: int) -> int:
    """The status of a process, once it has ended; negative: the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(words: Sequence[object], log: Path) -> int:
    """Runs a command to its end."""
    return ended(started(words, log))


def ending(status: int, log: Path) -> str:
    """The status of a command, with what it said last where it was not done."""
    return f"{status}: {last_line(log)}" if status > 0 else str(status)


def last_line(log: Path) -> str:
    """What was said last, without the names of the machine and of the place of the work."""
    lines = log.read_text(encoding="utf-8").strip().splitlines() if log.is_file() else []
    line = lines[-1] if lines else ""
    return line.replace(str(log.parents[1]), "WORK").replace(f" on {host_name()},", " on HOST,")


# --- what must hold --------------------------------------------------------------------------------------------------


def broken(folder: Path) -> list[str]:
    """The files below a folder that are not whole; temporary ones and lock files do not count."""
    wrong = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_dir() or any(is_temporary(part) for part in parts) or is_lock(path.name):
            continue
        try:
            require_whole(path)
        except Exception as error:
            wrong.append(f"{path.relative_to(folder)} is not whole: {type(error).__name__} {error}")
    for path in checkpoint.listing(folder / "checkpoints"):
        try:
            checkpoint.load(path)
        except Exception as error:
            wrong.append(f"{path.name}: {error}")
    return wrong


def require_whole(path: Path) -> None:
    """Raises where a file is not whole."""
    if path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix in (".png", ".gif"):
        with Image.open(path) as image:
            image.load()
    elif path.suffix == ".html" and not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise ValueError("the page is not closed")
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            [arrays[name] for name in arrays]


def is_lock(name: str) -> bool:
    """Whether a file name is that of a lock."""
    return name.startswith(NAME) or (name.startswith(".") and name.endswith(".lock"))


def left_over(*folders: Path) -> list[str]:
    """Temporary files and lock files below folders."""
    paths = [path for folder in folders for path in folder.rglob("*")]
    return [f"{path.name} was left" for path in paths if is_temporary(path.name) or is_lock(path.name)]


def digest(path: Path) -> str:
    """Of all that a command leaves: of a run, its last players and learners, pictures and places in the history."""
    if (path / "checkpoints").is_dir():
        return digest_of_run(path)
    if path.is_file():
        return digest_of_file(path, path.parents[1])
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    texts = [f"{file.relative_to(path)} {digest_of_file(file, path.parent)}" for file in files]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def digest_of_file(path: Path, place: Path) -> str:
    """Of its content, without the name of the place and the seconds that the work took."""
    content = path.read_bytes()
    if path.suffix in TEXTS:
        content = TIMES.sub(b"", content.replace(os.fsencode(place), b""))
    return hashlib.sha256(content).hexdigest()


def digest_of_run(folder: Path) -> str:
    """The newest checkpoint's tensors, every picture, and where the lines of the history are."""
    newest = checkpoint.listing(folder / "checkpoints")[-1]
    files = [*sorted(newest.glob("*.safetensors")), *sorted((folder / "samples").glob("[0-9]*.png"))]
    texts = [f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    texts += [f"{newest.name} {[(line['images'], 'score' in line, 'verdict' in line) for line in lines]}"]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


# --- commands --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Writer:
    """A command that writes.

    Args:
        words: of the command, given the run and the target.
        target: what it leaves, given the run and a folder for targets.
        again: the words that go on after a kill; None: the same.
    """

    words: Callable[[Path, Path], list[object]]
    target: Callable[[Path, Path], Path]
    again: Callable[[Path, Path], list[object]] | None = None


def of_run(name: str = "") -> Callable[[Path, Path], Path]:
    """A file of the run folder, or the folder itself."""
    return lambda run, place: run / name if name else run


def writers(work: Path) -> dict[str, Writer]:
    """The commands, by name."""
    upscaler, pictures = work / "upscaler", work / "pictures"
    size = size_of((work / "data.npz").is_file(), work)
    return {
        "train": Writer(lambda run, place: ["train", "digits", "--out", run, *size.train], of_run()),
        "resume": Writer(lambda run, place: ["resume", run, "--quiet"], of_run()),
        "augment": Writer(
            lambda run, place: [
                "augment",
                run,
                "--per-class",
                size.per_class,
                "--filters",
                "none",
                "--to",
                place / "images",
            ],
            lambda run, place: place / "images",
        ),
        "evaluate": Writer(lambda run, place: ["evaluate", run, *size.judged], of_run("evaluation.json")),
        "report": Writer(lambda run, place: ["report", run, *size.judged], of_run("report.html")),
        "upscale": Writer(
            lambda run, place: ["upscale", upscaler, pictures, place / "large"], lambda run, place: place / "large"
        ),
        "sample": Writer(
            lambda run, place: ["sample", run, "-n", size.samples, "--folder", place / "samples"],
            lambda run, place: place / "samples",
        ),
    }


def halved(whole: Path, folder: Path) -> None:
    """A copy of a run as it was about half way."""
    shutil.copytree(whole, folder)
    kept = checkpoint.listing(folder / "checkpoints")
    for path in kept[1:]:
        shutil.rmtree(path)
    for path in (folder / "samples").iterdir():
        if path.stem > kept[0].name:
            path.unlink()


def prepared(work: Path, small: bool) -> Path:
    """A run, one that upscales, and pictures for it; returns the run."""
    whole, upscaler, pictures = work / "whole", work / "upscaler", work / "pictures"
    rng = np.random.default_rng(0)
    pictures.mkdir(parents=True)
    if small:
        np.savez(work / "data.npz", x=rng.integers(0, 256, (60, 8, 8), np.uint8), y=np.arange(60) % 3)
    size = size_of(small, work)
    count, height = size.pictures
    for k in range(count):
        picture = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((height * 4 // 3, height))
        picture.save(pictures / f"{k}.png")
    (work / "logs").mkdir()
    short = ["--images", "64", "--quiet", "--set", "generator.width=4", "generator.blocks=1", "discriminator.width=4",
             "batch=4", f"size={size.crop}", f"task.crop={size.crop}", "device=cpu"]  # fmt: skip
    commands = [
        ["train", "upscale-x2", "--data", pictures, "--out", upscaler, *short],
        writers(work)["train"].words(whole, work),
    ]
    for k, words in enumerate(commands):
        log = work / "logs" / f"prepare-{k}.log"
        if run(words, log) != 0:
            raise SystemExit(log.read_text())
    return whole


def fresh(name: str, whole: Path, place: Path) -> Path:
    """A place with the run that a command works on."""
    folder = place / "run"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if name == "resume":
        halved(whole, folder)
    elif name not in ("train", "upscale"):
        shutil.copytree(whole, folder)
        for file in ("evaluation.json", "report.html"):
            (folder / file).unlink(missing_ok=True)
    return folder


# --- killed ----------------------------------------------------------------------------------------------------------


def references(work: Path, whole: Path) -> dict[str, tuple[str, float]]:
    """The digest of what each command leaves where nobody disturbs it, and its seconds."""
    expected = {}
    for name, writer in writers(work).items():
        place = work / "reference" / name
        folder, log, clock = fresh(name, whole, place), work / "logs" / f"reference-{name}.log", time.monotonic()
        if run(writer.words(folder, place), log) != 0:
            raise SystemExit(f"{name}: {log.read_text()}")
        expected[name] = (digest(writer.target(folder, place)), time.monotonic() - clock)
    return expected


def killed(name: str, work: Path, whole: Path, expected: tuple[str, float], number: int, rng: random.Random) -> Trial:
    """Kills a command, sometimes more than once, gives it again, and compares."""
    writer, place = writers(work)[name], work / "killed" / f"{number}-{name}"
    folder, log = fresh(name, whole, place), work / "logs" / f"killed-{number}.log"
    moments = [rng.uniform(0.0, expected[1]) for _ in range(rng.choice((1, 1, 2)))]
    trial = Trial(name, f"killed after {', '.join(f'{moment:.2f}' for moment in moments)} s")
    for moment in moments:
        pid = started(again(name, writer, folder, place), log)
        time.sleep(moment)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        trial.ended.append(ending(ended(pid), log))
        trial.wrong += broken(place)
    words = again(name, writer, folder, place)
    if words is not None and (status := run(words, log)) != 0 and THERE not in last_line(log):
        trial.wrong.append(f"status {status} when given again: {last_line(log)}")
    trial.wrong += broken(place) + left_over(place)
    if not trial.wrong and digest(writer.target(folder, place)) != expected[0]:
        trial.wrong.append("the result differs")
    if not trial.wrong:
        shutil.rmtree(place)
    return trial


def again(name: str, writer: Writer, folder: Path, place: Path) -> list[object]:
    """The words that go on: a run that was begun is resumed."""
    if name == "train" and (folder / "config.yaml").is_file():
        return ["resume", folder, "--quiet"]
    return writer.words(folder, place)


# --- two at once -----------------------------------------------------------------------------------------------------


def at_once(
    names: tuple[str, str], work: Path, whole: Path, expected: dict[str, tuple[str, float]], delay: float
) -> Trial:
    """Starts two commands on one run, the second so many seconds after the first."""
    place = work / "pairs" / "-".join(names)
    # The run is half played where one resumes it, not there where one trains it, else whole.
    trained = next((name for name in ("resume", "train") if name in names), None)
    folder = fresh(trained or "report", whole, place)
    trial = Trial(" and ".join(names), f"the second {delay:.2f} s after the first" if delay else "at once")
    logs = [work / "logs" / f"pair-{names[0]}-{names[1]}-{k}.log" for k in range(2)]
    pids = []
    for name, log in zip(names, logs, strict=True):
        time.sleep(delay if pids else 0.0)
        pids.append(started(writers(work)[name].words(folder, place), log))
    statuses = [ended(pid) for pid in pids]
    trial.ended = [ending(status, log) for status, log in zip(statuses, logs, strict=True)]
    for name, status, log in zip(names, statuses, logs, strict=True):
        line = last_line(log)
        if status != 0 and (status != 2 or not any(text in line for text in REFUSED)):
            trial.wrong.append(f"{name}: status {status}: {line}")
    if all(statuses):
        trial.wrong.append(f"neither of the two was done: {[last_line(log) for log in logs]}")
    trial.wrong += broken(place) + left_over(place)
    if trained is not None and not trial.wrong and digest(folder) != expected[trained][0]:
        trial.wrong.append("the run differs")
    for name in set(names) - {"train", "resume"}:
        path = writers(work)[name].target(folder, place)
        if not trained and not trial.wrong and digest(path) != expected[name][0]:
            trial.wrong.append(f"what {name} left differs")
    if not trial.wrong:
        shutil.rmtree(place)
    return trial


# --- small disks -----------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """A file system of so many bytes; False where none can be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def cramped(size: int, work: Path, expected: str) -> Trial:
    """Trains on a disk of so many bytes, copies what is there to one with room, and goes on."""
    disk, roomy, log = work / "disks" / str(size), work / "roomy" / str(size), work / "logs" / f"disk-{size}.log"
    words = writers(work)["train"].words
    for left in (disk, roomy):
        shutil.rmtree(left, ignore_errors=True)
    with small_disk(disk, size) as mounted:
        trial = Trial("train", f"a disk of {size:,} bytes" if mounted else f"files of {size:,} bytes at most")
        status = ended(started(words(disk / "run", disk), log, None if mounted else size))
        said = log.read_text(encoding="utf-8")
        trial.ended = [ending(status, log)]
        if status not in (0, 1) or "Traceback" in said or "unexpected" in said:
            trial.wrong.append(f"status {status}: {last_line(log)}")
        if (disk / "run").is_dir():
            trial.wrong += broken(disk / "run")
            shutil.copytree(disk / "run", roomy)
    begun = (roomy / "config.yaml").is_file()
    if run(["resume", roomy, "--quiet"] if begun else words(roomy, work), log) != 0:
        trial.wrong.append(f"not resumed: {last_line(log)}")
    elif digest(roomy) != expected:
        trial.wrong.append("the result differs")
    return trial


def sizes_of(count: int, whole: Path) -> list[int]:
    """Sizes of disks from a sixteenth of a run to three times as much, evenly on a logarithmic scale, in pages."""
    bytes_of_run = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    sizes = np.geomspace(bytes_of_run / 16, bytes_of_run * 3, count)
    return sorted({4096 * int(size // 4096) for size in sizes})


# --- all -------------------------------------------------------------------------------------------------------------


@dataclass
class Bench:
    """What all trials share: a place to work, a run, and what each command leaves undisturbed, with its seconds."""

    work: Path
    whole: Path
    expected: dict[str, tuple[str, float]]


def opened(work: Path, small: bool) -> Bench:
    """A new bench, or the one that an earlier call left."""
    left = work / "expected.json"
    if left.is_file():
        return Bench(work, work / "whole", {name: tuple(pair) for name, pair in json.loads(left.read_text()).items()})
    whole = prepared(work, small)
    bench = Bench(work, whole, references(work, whole))
    write_json(left, bench.expected)
    return bench


Trials = dict[str, Callable[[random.Random], Trial]]
"""What is to be tried, by name; each draws from a stream of its own."""


def kills(bench: Bench, times: int) -> Trials:
    """So many kills, shared by the commands in turn."""
    names = [name for name in writers(bench.work) if name != "sample"]

    def one(number: int, name: str) -> Callable[[random.Random], Trial]:
        return lambda rng: killed(name, bench.work, bench.whole, bench.expected[name], number, rng)

    return {f"kill {number}": one(number, names[number % len(names)]) for number in range(times)}


def pairs(bench: Bench, most: int, midst: bool) -> Trials:
    """So many pairs of writers in an order drawn once, together or the second in the midst of the first."""
    names = list(combinations_with_replacement(writers(bench.work), 2))
    random.Random(SEED).shuffle(names)

    def one(pair: tuple[str, str]) -> Callable[[random.Random], Trial]:
        def tried(rng: random.Random) -> Trial:
            first, second = rng.sample(pair, 2)
            delay = rng.uniform(0.0, 0.5 * bench.expected[first][1]) if midst else 0.0
            return at_once((first, second), bench.work, bench.whole, bench.expected, delay)

        return tried

    way = "midst" if midst else "together"
    return {f"pair {pair[0]} {pair[1]} {way}": one(pair) for pair in names[:most]}


def disks(bench: Bench, count: int) -> Trials:
    """Disks of so many sizes."""

    def one(size: int) -> Callable[[random.Random], Trial]:
        return lambda rng: cramped(size, bench.work, bench.expected["train"][0])

    return {f"disk {size}": one(size) for size in (sizes_of(count, bench.whole) if count else [])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder, or that of a call that was stopped")
    parser.add_argument("--times", type=int, default=100, help="kills, shared by the commands in turn")
    parser.add_argument("--pairs", type=int, default=28, help="at most so many pairs of writers")
    parser.add_argument("--disks", type=int, default=20)
    parser.add_argument("--small", action="store_true", help="a run of 64 images of 8 x 8 in place of 512 digits")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "kill.json")
    options = parser.parse_args()
    os.environ["EVENODDS_CACHE"] = str(options.work.resolve() / "cache")
    bench = opened(options.work.resolve(), options.small)
    trials = kills(bench, options.times) | pairs(bench, options.pairs, midst=False)
    trials |= disks(bench, options.disks) | pairs(bench, options.pairs, midst=True)
    done = played(bench, trials, options.out)
    print(f"{len(done)} disturbances, {sum(bool(trial['wrong']) for trial in done.values())} with something wrong")


def played(bench: Bench, trials: Trials, out: Path) -> dict[str, dict[str, Any]]:
    """Tries what an earlier call did not, or not well; results are written after each trial, beside those there."""
    run = size_of((bench.work / "data.npz").is_file(), bench.work).name
    left = bench.work / "trials.json"
    done: dict[str, dict[str, Any]] = json.loads(left.read_text()) if left.is_file() else {}
    seconds = {name: round(value[1], 2) for name, value in bench.expected.items()}
    for name, play in trials.items():
        if name in done and not done[name]["wrong"]:
            continue
        done[name] = {"run": run, **asdict(told(play(random.Random(f"{SEED} {name}"))))}
        write_json(left, done)
        content = json.loads(out.read_text()) if out.is_file() else {}
        content = {"seed": SEED, "seconds": {}, "trials": {}} | content
        content["seconds"][run] = seconds
        content["trials"] |= done
        write_json(out, content)
    return done


def told(trial: Trial) -> Trial:
    """Prints a trial."""
    print(f"{trial.command}, {trial.disturbance}: {'; '.join(trial.wrong) or 'all well'}", flush=True)
    return trial


if __name__ == "__main__":
    main()
