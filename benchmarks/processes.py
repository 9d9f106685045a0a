"""One game by one process, by several, and in micro-batches: is it the same, and is anything lost where one is killed?

Matrix: small runs of every task, of every kind of penalty and of every learner are played by one process, by two and
three processes (gloo), in micro-batches, and by two processes in micro-batches each, in float64; and in bfloat16. The
largest difference of any weight, buffer, average or term is noted. A batch has 13 items, which nobody shares evenly.

Counts: a run of two processes goes on by one, two and three.

Kills: a run of two processes under torchrun loses one of them, by SIGKILL, at a random moment. All must end within a
minute with one line, and the run that goes on must have the bits of one that nobody killed.

Machines: the same in two network namespaces that are joined by a veth pair, by torchrun with --nnodes 2: a run to its
end, and a resume. Needs iproute2 and root.

    python benchmarks/processes.py --work DIR
    python benchmarks/processes.py --work DIR --only kills
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.sliced import BY_HAND, CASES, float64, furthest, played  # noqa: E402

from evenodds.errors import BadInput  # noqa: E402
from evenodds.files.write import write_json  # noqa: E402
from evenodds.game import checkpoint, processes  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "processes.json"
WAYS = {
    "2 processes": (2, 1, ""), "3 processes": (3, 1, ""), "3 micro-batches": (1, 3, ""),
    "2 processes, 2 micro-batches": (2, 2, ""), "2 processes, shard_optimizer": (2, 1, "--shard"),
    "3 processes, shard_optimizer": (3, 1, "--shard"),
}  # fmt: skip
"""Processes, micro-batches of each, and whether the optimizers' state is shared."""
HALVES = ("plain", "lazy", "differences", "batch norm", "translate")
SETTINGS = [
    "images=6400", "batch=32", "device=cpu", "generator.width=8", "discriminator.width=8", "evaluate_share=0.5",
    "save_share=0.02", "precision=float32", "keep=3",
]  # fmt: skip
LINE = "evenodds: error: process "
LIMIT = 60.0
"""Seconds in which a run must end where a process is killed."""


def torchrun(count: int, *words: object, more: Sequence[object] = ()) -> list[str]:
    """The command line of so many processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", count, *more]
    return [str(word) for word in (*launcher, *words)]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}


# --- matrix ----------------------------------------------------------------------------------------------------------


def play_all(folder: Path, accumulate: int, shard: bool) -> None:
    """Plays all cases, as one of the processes that were started, and leaves what the first one has."""
    torch.set_num_threads(1)
    processes.join()
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*CASES, *BY_HAND):
        with float64():
            leave(folder / f"{name}.safetensors", lambda name=name: played(name, accumulate, shard=shard))  # type: ignore[misc]
    for name in HALVES:
        leave(folder / f"{name}, bfloat16.safetensors", lambda name=name: played(name, accumulate, "bfloat16"))  # type: ignore[misc]


def leave(path: Path, play: Callable[[], Mapping[str, torch.Tensor]]) -> None:
    try:
        values = play()
    except BadInput as error:
        path.with_suffix(".txt").write_text(str(error), encoding="utf-8")
        return
    if not processes.follows():
        save_file({key: value.contiguous().clone() for key, value in values.items()}, path)


def matrix(work: Path) -> dict[str, dict[str, Any]]:
    """For each case the largest difference from one process, by way; or the line with which it was refused."""
    one = work / "one"
    run([sys.executable, __file__, "--play", one, "--accumulate", 1])
    table: dict[str, dict[str, Any]] = {path.stem: {} for path in sorted(one.glob("*.safetensors"))}
    for way, (count, accumulate, shard) in WAYS.items():
        folder = work / way.replace(" ", "-")
        run(torchrun(count, __file__, "--play", folder, "--accumulate", accumulate, *shard.split()))
        for name, row in table.items():
            there = folder / f"{name}.safetensors"
            refusal = there.with_suffix(".txt")
            row[way] = refusal.read_text("utf-8") if refusal.exists() else distance(one / there.name, there)
    return table


def distance(one: Path, other: Path) -> float:
    """The largest difference, but for D(x) and D(G(z)), which relative losses hold against the mean of a slice."""
    beliefs = ("term discriminator/real", "term discriminator/fake")
    mine, theirs = ({k: v for k, v in load_file(path).items() if not k.startswith(beliefs)} for path in (one, other))
    return furthest(mine, theirs)[0]


def run(words: Sequence[object], check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    done = subprocess.run(
        [str(word) for word in words], env=environment(), text=True, capture_output=True, timeout=1800, **options
    )
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.returncode}\n{done.stderr[-3000:]}")
    return done


# --- kills -----------------------------------------------------------------------------------------------------------


def train(out: Path) -> list[object]:
    return ["-m", "evenodds", "train", "digits", "--out", out, "--quiet", "--set", *SETTINGS]


def tensors(folder: Path) -> tuple[int, dict[str, torch.Tensor]]:
    """The images and the tensors of the newest checkpoint."""
    _, states, header, _ = checkpoint.newest(folder / "checkpoints")
    return header.images, {f"{part}/{k}": v for part, state in states.items() for k, v in state.tensors.items()}


def same(one: Path, other: Path) -> bool:
    """Whether the newest checkpoints of two runs are of the same images, with the same bits."""
    (images, mine), (others, theirs) = tensors(one), tensors(other)
    return images == others and mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


def kills(work: Path, times: int, seed: int) -> list[dict[str, Any]]:
    """What became of runs of which a process was killed."""
    whole, rng = work / "whole", random.Random(seed)
    if not whole.exists():
        run(torchrun(2, *train(whole)))
    trials = []
    for number in range(times):
        trials.append(killed(work, whole, number % 2, rng.uniform(0, 1)))
        print(json.dumps(trials[-1]), flush=True)
    return trials


def killed(work: Path, whole: Path, rank: int, share: float) -> dict[str, Any]:
    """Kills a process once a share of the run's checkpoints was written, and goes on."""
    out = work / "killed"
    shutil.rmtree(out, ignore_errors=True)
    launcher = subprocess.Popen(
        torchrun(2, *train(out)), env=environment(), text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while launcher.poll() is None and pictures(out) < share * pictures(whole):
        time.sleep(0.02)
    time.sleep(random.Random(f"{rank}{share}").uniform(0, 0.1))
    at = pictures(out)
    os.kill(workers(launcher.pid)[rank], signal.SIGKILL)
    begun = time.monotonic()
    _, said = launcher.communicate(timeout=300)
    seconds = time.monotonic() - begun
    lines = [line for line in said.splitlines() if line.startswith("evenodds: error:")]
    run(torchrun(2, "-m", "evenodds", "resume", out, "--quiet"))
    return {
        "process": rank,
        "checkpoints before": at,
        "seconds to the end": round(seconds, 1),
        "in time": seconds < LIMIT,
        "lines": [line.replace(str(out), "RUN") for line in lines],
        "one line that names it": len(lines) == 1 and lines[0].startswith(f"{LINE}{rank} of 2"),
        "same bits": same(whole, out),
    }


def pictures(folder: Path) -> int:
    """One for each checkpoint, and none is ever removed."""
    return len(list((folder / "samples").glob("[0-9]*.png")))


def workers(launcher: int) -> dict[int, int]:
    """The numbers of the processes that torchrun has started, by rank."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            words = (place / "environ").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        ranks = [int(word[5:]) for word in words if re.fullmatch(rb"RANK=\d+", word)]
        if parent == launcher and ranks:
            found[ranks[0]] = int(place.name)
    return found


# --- counts ----------------------------------------------------------------------------------------------------------


def counts(work: Path) -> dict[str, Any]:
    """A run of two that goes on from its oldest checkpoint by 1, 2 and 3, beside the one that went on by itself."""
    whole, rows = work / "whole", {}
    if not whole.exists():
        run(torchrun(2, *train(whole)))
    for count in (1, 2, 3):
        here = work / f"by-{count}"
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(whole, here)
        first, *later = checkpoint.listing(here / "checkpoints")
        for path in later:
            shutil.rmtree(path)
        words = ["-m", "evenodds", "resume", here, "--quiet"]
        run(torchrun(count, *words) if count > 1 else [sys.executable, *words])
        mine, theirs = tensors(here)[1], tensors(whole)[1]
        rows[str(count)] = {
            "resumed at": int(first.name),
            "same bits": same(whole, here),
            "largest difference": furthest(mine, theirs)[0],
            "environment.json": json.loads((here / "environment.json").read_text("utf-8"))["processes"],
        }
    return rows


# --- machines --------------------------------------------------------------------------------------------------------


@contextmanager
def machines() -> Iterator[tuple[str, str]]:
    """Two network namespaces, 10.77.0.1 and 10.77.0.2, which see each other by a veth pair and nothing else."""
    names = (f"eo{os.getpid()}a", f"eo{os.getpid()}b")
    with ExitStack() as stack:
        for name in names:
            run(["ip", "netns", "add", name])
            stack.callback(run, ["ip", "netns", "del", name], check=False)
        run(["ip", "link", "add", names[0], "type", "veth", "peer", "name", names[1]])
        for number, name in enumerate(names, 1):
            run(["ip", "link", "set", name, "netns", name])
            run(["ip", "-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", name])
            run(["ip", "-n", name, "link", "set", name, "up"])
            run(["ip", "-n", name, "link", "set", "lo", "up"])
        yield names


def on_both(names: Sequence[str], *words: object) -> list[str]:
    """Runs torchrun with --nnodes 2, a process on each machine; what each of them said."""
    begun = []
    for number, name in enumerate(names):
        nodes = ["--nnodes", 2, "--node-rank", number, "--master-addr", "10.77.0.1", "--master-port", 29577]
        command = ["ip", "netns", "exec", name, *torchrun(1, *words, more=nodes)]
        begun.append(
            subprocess.Popen(
                command,
                env={**environment(), "GLOO_SOCKET_IFNAME": name},
                text=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        )
    said = [process.communicate(timeout=900)[1] for process in begun]
    if any(process.returncode for process in begun):
        raise RuntimeError("\n".join(said)[-3000:])
    return said


def on_two_machines(work: Path) -> dict[str, Any]:
    """A run to its end and one that goes on from its middle; both beside the same on one machine."""
    whole, here = work / "whole", work / "machines"
    if not whole.exists():
        run(torchrun(2, *train(whole)))
    shutil.rmtree(here, ignore_errors=True)
    with machines() as names:
        on_both(names, *train(here))
        to_the_end = same(whole, here)
        middle = checkpoint.listing(here / "checkpoints")[0]
        for path in checkpoint.listing(here / "checkpoints")[1:]:
            shutil.rmtree(path)
        on_both(names, "-m", "evenodds", "resume", here, "--quiet")
    return {
        "bits of the run on one machine": to_the_end,
        "resumed at": int(middle.name),
        "resumed bits": same(whole, here),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("processes-work"))
    parser.add_argument("--only", choices=("matrix", "counts", "kills", "machines"))
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--play", type=Path)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--shard", action="store_true")
    options = parser.parse_args()
    if options.play is not None:
        play_all(options.play, options.accumulate, options.shard)
        return
    options.work.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Callable[[], Any]] = {
        "matrix": lambda: matrix(options.work),
        "counts": lambda: counts(options.work),
        "kills": lambda: kills(options.work, options.times, options.seed),
        "machines": lambda: on_two_machines(options.work),
    }
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for name, measure in parts.items():
        if options.only in (None, name):
            results[name] = measure()
            write_json(RESULTS, results)
            print(json.dumps({name: results[name]}, indent=1), flush=True)


if __name__ == "__main__":
    main()
