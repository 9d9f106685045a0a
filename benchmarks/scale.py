"""What a second process brings, what processes send each other, and what to expect of many devices.

Rounds: `color-32` on random images by one process and by two (gloo), each on a core of its own with one thread, with
the batch of the recipe and twice that. Both numbers of processes take turns, several times; the median counts.
All_reduce: tensors of several sizes, by two processes. State: the bytes that Adam keeps, with and without
shard_optimizer. Paper: efficiency at 8, 64 and 512 devices, by the time of an all_reduce of p devices,
2 (p - 1) / p * bytes / bandwidth + 2 log2(p) * latency, beside rounds of devices of a given speed.

    python benchmarks/scale.py                 # all, and writes the tables into scale.md
    python benchmarks/scale.py --seconds 1 --turns 1 --no-write    # does it run?
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

ROOT = Path(__file__).resolve().parents[1]

from evenodds.data.dataset import Dataset  # noqa: E402
from evenodds.data.units import Units  # noqa: E402
from evenodds.files.process import cores  # noqa: E402
from evenodds.files.write import write_json, write_text  # noqa: E402
from evenodds.game import processes  # noqa: E402
from evenodds.game.learners.sharded import Sharded  # noqa: E402
from evenodds.game.schedule import Progress  # noqa: E402
from evenodds.game.trainer import Training, play_round  # noqa: E402
from evenodds.runs.assembly import Run  # noqa: E402
from evenodds.runs.changes import with_settings  # noqa: E402
from evenodds.runs.config import Config  # noqa: E402
from evenodds.runs.config_files import recipe  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
PAGE = ROOT / "benchmarks" / "scale.md"
BEGIN, END = "<!-- tables: written by scale.py -->", "<!-- end of tables -->"
BATCH = 64
SETTINGS = {"task": "generate", "precision": "float32", "device": "cpu", "threads": 1, "held_out": 0}
SIZES = (2**12, 2**16, 2**20, 2**22, 2**24)
"""Bytes of the tensors that are added alone."""
DEVICES = (8, 64, 512)
NETWORKS = {"400 Gbit/s": 50e9, "100 Gbit/s": 12.5e9, "10 Gbit/s": 1.25e9}
"""Bytes a second that one device sends while it receives as many."""
LATENCY = 10e-6
"""Seconds of a step beside its bytes: an assumption."""
GPU: dict[str, Any] = {"images_per_second": 23952, "width": 64, "what": "an H200, width 64, bfloat16 (gpu.md)"}
HIDDEN = 0.1
"""The share of a round below which communication counts as hidden: nothing else goes on meanwhile."""


# --- what each process does ------------------------------------------------------------------------------------------


class Traffic:
    """Counts what this process hands to torch.distributed, and the time until it returns."""

    def __init__(self) -> None:
        self.bytes, self.calls, self.seconds = 0, 0, 0.0
        for name in ("all_reduce", "all_gather", "broadcast"):
            setattr(dist, name, self._counted(getattr(dist, name)))

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            tensor = arguments[1] if isinstance(arguments[0], list) else arguments[0]
            begun = time.perf_counter()
            done = call(*arguments, **options)
            self.seconds += time.perf_counter() - begun
            self.bytes, self.calls = self.bytes + tensor.nbytes, self.calls + 1
            return done

        return counted

    def taken(self) -> tuple[int, int, float]:
        """What was counted since the last call."""
        counts = self.bytes, self.calls, self.seconds
        self.bytes, self.calls, self.seconds = 0, 0, 0.0
        return counts


def data() -> Dataset:
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (1024, 3, 32, 32), generator=rng, dtype=torch.uint8)
    return Dataset(x, Units((0.0,), (255.0,), "uint8"))


def config_of(batch: int, shard: bool = False) -> Config:
    return with_settings(recipe("color-32"), {**SETTINGS, "batch": batch, "shard_optimizer": shard})


def rounds(batch: int, seconds: float, traffic: Traffic) -> dict[str, Any]:
    """Plays for so long, in whole periods of the lazy penalty, and says how it went."""
    config = config_of(batch)
    run = Run(config, data())
    players, every = run.engine.adopt(run.game.players), config.penalty_every
    learners = dict.fromkeys(run.game.players, run.learner)
    training = Training(run.game, learners, run.engine, Progress(total=10**9), config.seed)
    play_round(training, players, run.feed)
    for _ in range(every - 1):
        play_round(training, players, run.feed)
    traffic.taken()
    begun, played, over = time.perf_counter(), 0, False
    while not over:
        for _ in range(every):
            play_round(training, players, run.feed)
        played += every
        over = _agree(time.perf_counter() - begun >= seconds, traffic)
    spent = time.perf_counter() - begun
    count, calls, waited = traffic.taken()
    return {
        "batch": batch,
        "rounds": played,
        "images_per_second": played * config.batch * config.discriminator_steps / spent,
        "bytes_per_round": count / played,
        "calls_per_round": calls / played,
        "share_in_calls": waited / spent,
    }


def _agree(over: bool, traffic: Traffic) -> bool:
    """Whether the time is over by the clock of process 0; this exchange is not counted."""
    if processes.size() == 1:
        return over
    before, flag = (traffic.bytes, traffic.calls, traffic.seconds), torch.tensor(float(over))
    dist.broadcast(flag, 0)
    traffic.bytes, traffic.calls, traffic.seconds = before
    return bool(flag)


def added(size: int, seconds: float) -> dict[str, float]:
    """The median time of an all_reduce of so many bytes."""
    tensor, times = torch.zeros(size // 4), []
    until = time.perf_counter() + seconds
    while not _agree_simply(time.perf_counter() > until and len(times) >= 5):
        dist.barrier()
        begun = time.perf_counter()
        dist.all_reduce(tensor)
        times.append(time.perf_counter() - begun)
    return {"bytes": size, "seconds": statistics.median(times)}


def _agree_simply(over: bool) -> bool:
    flag = torch.tensor(float(over))
    dist.broadcast(flag, 0)
    return bool(flag)


def state_bytes(shard: bool) -> int:
    """What the optimizers of this process keep after a round."""
    run = Run(config_of(BATCH, shard), data())
    players = run.engine.adopt(run.game.players)
    training = Training(run.game, dict.fromkeys(run.game.players, run.learner), run.engine, Progress(total=10**9), 0)
    play_round(training, players, run.feed)
    optimizers = run.learner.optimizers.values()
    assert all(isinstance(one, Sharded) == (shard and processes.size() > 1) for one in optimizers)
    slots = [value for one in optimizers for kept in one.state.values() for value in kept.values()]
    return sum(value.nbytes for value in slots if isinstance(value, torch.Tensor) and value.dim())


def work(options: argparse.Namespace) -> None:
    """One of the processes: prints what process 0 measured."""
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    os.sched_setaffinity(0, {cores()[int(os.environ.get("RANK", 0)) % len(cores())]})
    traffic = Traffic()
    processes.join()
    facts: dict[str, Any] = {"rounds": [rounds(batch, options.seconds, traffic) for batch in (BATCH, 2 * BATCH)]}
    if processes.size() > 1 and options.more:
        facts["all_reduce"] = [added(size, options.seconds / 4) for size in SIZES]
        mine = torch.tensor([float(state_bytes(shard)) for shard in (False, True)], dtype=torch.float64)
        every = [torch.empty_like(mine) for _ in range(processes.size())]
        dist.all_gather(every, mine)
        facts["state_bytes"] = {"each": [int(x[0]) for x in every], "shared": [int(x[1]) for x in every]}
    if processes.rank() == 0:
        print(json.dumps(facts))
    sys.stdout.flush()
    os._exit(0)  # threads of gloo that are still there when Python ends abort the process now and then


# --- what starts them ------------------------------------------------------------------------------------------------


def started(count: int, seconds: float, more: bool) -> dict[str, Any]:
    """What process 0 of so many says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, __file__, "--work", "--seconds", str(seconds), *(["--more"] if more else [])]
    launched = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    children = [
        subprocess.Popen(
            command, env={**base, **(launched | {"RANK": str(rank)} if count > 1 else {})}, stdout=subprocess.PIPE
        )
        for rank in range(count)
    ]
    said = [child.communicate(timeout=600)[0] for child in children]
    if any(child.returncode for child in children):
        raise RuntimeError(f"a process of {count} failed")
    facts: dict[str, Any] = json.loads(said[0])
    return facts


def measured(seconds: float, turns: int) -> dict[str, Any]:
    """Medians over the turns."""
    told: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    for turn in range(turns):
        for count, all_facts in told.items():
            all_facts.append(started(count, seconds, turn == 0))
            print(count, json.dumps(all_facts[-1]["rounds"]), flush=True)
    facts = {f"{count}": [medians([one["rounds"][k] for one in told[count]]) for k in (0, 1)] for count in told}
    return {"rounds": facts, **{name: told[2][0][name] for name in ("all_reduce", "state_bytes")}}


def medians(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


# --- on paper --------------------------------------------------------------------------------------------------------


def parameters(width: int | None) -> int:
    """Of both players of color-32."""
    changes = {} if width is None else {"generator.width": width, "discriminator.width": width}
    players = Run(with_settings(config_of(BATCH), changes), data()).game.players
    return sum(p.numel() for player in players.values() for p in player.parameters())


def exchanged(devices: int, size: float, bandwidth: float, calls: float) -> float:
    """Seconds of so many calls with so many bytes together.

    Double binary trees (Sanders, Speck and Traff 2009), as NCCL has them, send the bytes of a ring in fewer steps.
    """
    return 2 * (devices - 1) / devices * size / bandwidth + calls * 2 * math.ceil(math.log2(devices)) * LATENCY


def on_paper(size: float, calls: float, images_per_second: float) -> list[dict[str, Any]]:
    """Efficiency and the batch at which communication hides, for devices of a speed.

    Args:
        size: bytes of a round.
        calls: in so many calls.
    """
    rows = []
    for network, bandwidth in NETWORKS.items():
        for devices in DEVICES:
            spent = exchanged(devices, size, bandwidth, calls)
            efficiency = {n: 1 / (1 + spent * images_per_second / n) for n in (16, 64, 256)}
            hides = int(-(-spent * images_per_second * (1 - HIDDEN) / HIDDEN // 1))
            rows.append({"network": network, "devices": devices, "efficiency": efficiency, "hides": hides})
    return rows


def paper(rounds: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """For cores as they were measured, and for a GPU."""
    core, both = rounds["1"][0]["images_per_second"], rounds["2"][0]
    size, calls = both["bytes_per_round"], both["calls_per_round"]
    larger = size * parameters(GPU["width"]) / parameters(None)
    fast = float(GPU["images_per_second"])
    return {
        f"On paper, {size / 1e6:.1f} MB in {calls:.0f} calls a round, cores at {core:.0f} images/s": on_paper(
            size, calls, core
        ),
        f"On paper, {larger / 1e6:.1f} MB in {calls:.0f} calls a round, {fast:,.0f} images/s: {GPU['what']}": on_paper(
            larger, calls, fast
        ),
    }


# --- the page --------------------------------------------------------------------------------------------------------


def tables(results: Mapping[str, Any]) -> str:
    one, two = results["rounds"]["1"], results["rounds"]["2"]
    lines = ["| processes | batch | images/s | efficiency | bytes a round | calls a round | share of time in calls |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for count, row, against in ((1, one[0], None), (1, one[1], None), (2, two[0], one[0]), (2, two[1], one[0])):
        gain = "" if against is None else f"**{row['images_per_second'] / 2 / against['images_per_second']:.2f}**"
        lines.append(
            f"| {count} | {row['batch']:.0f} | {row['images_per_second']:.0f} | {gain} | "
            f"{row['bytes_per_round']:,.0f} | {row['calls_per_round']:.1f} | {row['share_in_calls']:.0%} |"
        )
    lines += ["", "An all_reduce alone, two processes, gloo:", "", "| bytes | ms | MB/s |", "|---|---|---|"]
    for row in results["all_reduce"]:
        lines.append(f"| {row['bytes']:,} | {1e3 * row['seconds']:.2f} | {row['bytes'] / row['seconds'] / 1e6:.0f} |")
    state = results["state_bytes"]
    lines += [
        "",
        "What Adam keeps, in bytes, on each of two processes:",
        "",
        "| | process 0 | process 1 |",
        "|---|---|---|",
    ]
    for words, key in (("as it is", "each"), ("`shard_optimizer=true`", "shared")):
        lines.append(f"| {words} | {state[key][0]:,} | {state[key][1]:,} |")
    for title, rows in results["paper"].items():
        lines += ["", f"{title}:", ""]
        lines += ["| network | devices | efficiency at 16, 64, 256 images each | communication hides from |"]
        lines += ["|---|---|---|---|"]
        for row in rows:
            shares = ", ".join(f"{value:.0%}" for value in row["efficiency"].values())
            lines.append(f"| {row['network']} | {row['devices']} | {shares} | {row['hides']:,} images each |")
    return "\n".join(lines)


def written(results: Mapping[str, Any]) -> None:
    """Puts the tables into the page, between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    write_text(PAGE, f"{before}{BEGIN}\n\n{tables(results)}\n\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--no-write", action="store_true", help="print the tables only")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--more", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return
    results = measured(options.seconds, options.turns)
    results["paper"] = paper(results["rounds"])
    if options.no_write:
        print(tables(results))
        return
    write_json(RESULTS, results)
    written(results)


if __name__ == "__main__":
    main()
