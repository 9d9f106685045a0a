"""Training speed: images per second of each network family and recipe against a naive loop of the same networks.

    python benchmarks/step.py                            # families and recipes, under 8 minutes
    python benchmarks/step.py --seconds 1 --only dcgan   # a part of it
    python benchmarks/step.py --only mlp digits color-32 --levers bfloat16 compiled "compiled, bfloat16" \\
        --seconds 2 --laps 2 --out benchmarks/results/step-compiled.json   # compiled moves; then with --only resnet

Cases that are not run keep what the file of results says of them.

The naive loop is what tutorials write: NCHW, a pass for real and a pass for fake, nothing frozen, `.item()` at every
step, Adam's defaults, memory as the C library manages it. "plain" is the package's own trainer in float32, moves in
turn, real and fake in passes of their own. Then each lever alone upon it, and all that can be played together.
"default" is what a run without settings plays: of a family the plain trainer, of a recipe what it says, bfloat16 where
`precision: auto` would take it. Families play non-saturating moves 1:1 without a penalty; recipes play their own loss,
penalty and average, without classes and views. All see the same networks,
data and batch. The naive loop of a recipe has its loss and its penalty, computed by torch's own double backward.

Every case is timed in a process of its own, with variants in turn, several laps each; the best lap counts, which a busy
machine disturbs least. Besides the clock, the processor time of each lap is measured: a machine that is shared divides
the first and not the second. Peaks of a convolution and of a product of matrices are measured in every process, in both
kinds of arithmetic.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.laps import Play, Rate, before_allocator, beside_naive, gflop, playing, shortest, warm
from common.stored import stored_results
from evenodds.data.dataset import Dataset
from evenodds.data.sources import load
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.config_files import recipe
from evenodds.runs.precision import GAIN

SMALL = {"generator.width": 32, "discriminator.width": 32}
PLAIN: dict[str, Any] = {
    "loss": "non_saturating",
    "penalty": None,
    "optimizer": {"name": "Adam", "betas": [0.5, 0.999]},
    "learning_rate": 2e-4,
    "average_half_life": 0,
    "decay": "constant",
    "prior.size": 64,
    "generator.width": 64,
    "discriminator.width": 64,
}
PLAIN_ROUNDS: dict[str, Any] = {"simultaneous": False, "precision": "float32", "fused": False}
FAMILIES: dict[str, dict[str, Any]] = {
    "dcgan": {"discriminator.norm": "spectral"},
    "mlp": {"generator": {"name": "mlp", "width": 512}, "discriminator": {"name": "mlp", "width": 512}},
    "resnet": {"generator": "resnet", "discriminator": "resnet", **SMALL},
    "modern": {"generator": "modern", "discriminator": "modern", **SMALL},
}
SHAPES = {"digits": (1, 8, 8), "gray-28": (1, 28, 28), "color-32": (3, 32, 32)}
LEVERS: dict[str, dict[str, Any]] = {
    "one pass": {"fused": True},
    "simultaneous": {"simultaneous": True},
    "bfloat16": {"precision": "bfloat16"},
    "penalty on a quarter": {"penalty_share": 0.25},
    "compiled": {"compile": True},
    "compiled, bfloat16": {"compile": True, "precision": "bfloat16"},
}
COMPILED = tuple(name for name, settings in LEVERS.items() if "compile" in settings)
ALL = ("one pass", "simultaneous", "bfloat16", "penalty on a quarter")
CASES = [*FAMILIES, *SHAPES]


def configured(case: str, **settings: Any) -> Config:
    """A family on 32 x 32 in colour, or a recipe."""
    base: dict[str, Any] = {"task": "generate", "views": [], "view_chance": "always", **PLAIN_ROUNDS}
    if case in FAMILIES:
        base |= {**PLAIN, **FAMILIES[case]}
    config = recipe(case if case in SHAPES else "color-32")
    return with_settings(config, {**base, "data": "in-memory", "watch": "off", "device": "cpu", **settings})


def material(case: str) -> Dataset:
    shape = SHAPES.get(case, (3, 32, 32))
    return load(np.random.default_rng(0).integers(0, 256, (4096, *shape), dtype=np.uint8))


def ours(case: str, data: Dataset, **settings: Any) -> tuple[Play, Run]:
    run = Run(configured(case, **settings), data)
    return playing(run), run


def naive(case: str, data: Dataset) -> Play:
    """The tutorial loop on networks like those of the case."""
    config = configured(case, channels_last=False)
    run = Run(config, data)
    g, d = run.game.players["generator"], run.game.players["discriminator"]
    copy = {name: value.detach().clone() for name, value in g.state_dict().items()}
    steps = _steps(config, run, g, d, copy)

    def play(rounds: int) -> None:
        for _ in range(rounds):
            next(steps)

    return play


def _steps(config: Config, run: Run, g: nn.Module, d: nn.Module, average: dict[str, Tensor]) -> Iterator[None]:
    latent, paired = config.prior.options["size"], config.loss.name == "relativistic_paired"
    adams = [torch.optim.Adam(player.parameters(), lr=2e-4, betas=(0.5, 0.999)) for player in (g, d)]
    step, every = 0, config.penalty_every
    while True:
        real = run.feed.at(step * config.batch)["x"].contiguous()
        fake = g(torch.randn(config.batch, latent))
        adams[1].zero_grad()
        if paired:
            due = step % every == 0
            seen, forged = real.requires_grad_(due), fake.detach().requires_grad_(due)
            on_real, on_fake = d(seen), d(forged)
            loss = F.softplus(on_fake - on_real).mean()
            if due:
                for on, x in ((on_real, seen), (on_fake, forged)):
                    (slope,) = torch.autograd.grad(on.sum(), x, create_graph=True)
                    loss = loss + every * 0.15 * slope.square().flatten(1).sum(1).mean()
            loss.backward()
        else:
            loss = F.softplus(-d(real)).mean()
            loss.backward()
            F.softplus(d(fake.detach())).mean().backward()
        adams[1].step()
        adams[0].zero_grad()
        fooled = F.softplus(d(real.detach()) - d(fake)) if paired else F.softplus(-d(fake))
        fooled.mean().backward()
        adams[0].step()
        if config.average_half_life:
            with torch.no_grad():
                for name, value in g.state_dict().items():
                    average[name].copy_(0.999 * average[name] + 0.001 * value if value.is_floating_point() else value)
        _ = loss.item(), fooled.mean().item()
        step += 1
        yield


def measure(case: str, seconds: float, laps: int, levers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Every variant of one case, lap by lap in turn."""
    data, variants, flops, failed, compilation = material(case), {}, {}, {}, {}
    # The naive loop is measured before the package keeps freed memory.
    rates: dict[str, Rate] = {"naive": Rate()}
    play = before_allocator(naive, case, data)
    cycle = configured(case).penalty_every if case in SHAPES else 1
    rounds = warm(play, cycle, seconds / laps)
    for _ in range(laps):
        rates["naive"].lap(play, rounds)
    wanted = {"plain": {}, **levers}
    together = {key: value for name in ALL if name in levers for key, value in levers[name].items()}
    for name, settings in {**wanted, **({"all": together} if together else {})}.items():
        try:
            play, run = ours(case, data, **settings)
            spent = processor_seconds()
            variants[name] = play, warm(play, cycle, seconds / laps)
            rates[name] = Rate()
            if name in COMPILED:
                spent, taken = processor_seconds() - spent, run.learner.compiled.seconds
                compilation[name] = {"seconds": round(taken), "processor_seconds": round(spent)}
            if name not in COMPILED:
                flops[name] = counted(case, data, cycle, **{k: v for k, v in settings.items() if k != "precision"})
            elif run.learner.compiled.reasons:
                failed[name] = "; ".join(dict.fromkeys(run.learner.compiled.reasons.values()))
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
    for _ in range(laps):
        for name, (play, rounds) in variants.items():
            rates[name].lap(play, rounds)
    if case in SHAPES:
        settings = of_recipe(case, rates)
        rates["default"], play = Rate(), ours(case, data, **settings)[0]
        rounds = warm(play, cycle, seconds / laps)
        for _ in range(laps):
            rates["default"].lap(play, rounds)
    else:
        rates["default"] = rates["plain"]
    found = table(configured(case).batch, rates, flops, failed)
    return {**found, "compilation": compilation} if compilation else found


def processor_seconds() -> float:
    """Of this process and those that it waited for, such as the C++ compiler."""
    of = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in of)


def of_recipe(case: str, rates: Mapping[str, Rate]) -> dict[str, Any]:
    """How a recipe plays its rounds by default, on this machine."""
    config = recipe(case)
    faster = "bfloat16" in rates and rates["bfloat16"].clock * GAIN <= rates["plain"].clock
    precision = config.precision or ("bfloat16" if faster else "float32")
    return {"simultaneous": config.simultaneous is not False, "fused": config.fused, "precision": precision}


def counted(case: str, data: Dataset, cycle: int, **settings: Any) -> float:
    """GFLOP of a round, per image shown."""
    play, run = ours(case, data, **settings)
    return gflop(play, cycle) / cycle / run.config.batch


def table(
    batch: int, rates: Mapping[str, Rate], flops: Mapping[str, float], failed: Mapping[str, str]
) -> dict[str, Any]:
    """Rates of every variant, beside those of the naive loop."""
    return {
        **beside_naive(rates, batch, "times_naive"),
        "gflop_per_image": {name: round(value, 4) for name, value in flops.items()},
        "gflop_per_second": {name: round(batch / rates[name].clock * value, 1) for name, value in flops.items()},
        "not_played": dict(failed),
    }


def peaks() -> dict[str, float]:
    """The best GFLOP/s of a 3 x 3 convolution and of a product of matrices, in both kinds of arithmetic."""
    best: dict[str, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        a = torch.randn(1024, 1024).to(dtype)
        best[f"gemm_{name}"] = 2 * 1024**3 / 1e9 / shortest(lambda a=a: a @ a)
        best[f"convolution_{name}"] = max(_convolution(64, 32, dtype), _convolution(128, 16, dtype))
    return {name: round(value, 1) for name, value in best.items()}


@torch.no_grad()
def _convolution(channels: int, side: int, dtype: torch.dtype) -> float:
    conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False).to(dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(64, channels, side, side).to(dtype, memory_format=torch.channels_last)
    return 2 * 64 * side * side * channels * channels * 9 / 1e9 / shortest(lambda: conv(x))


def alone(case: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """A case in a process of its own."""
    words = [sys.executable, __file__, "--case", case]
    words += ["--seconds", str(arguments.seconds), "--laps", str(arguments.laps)]
    words += ["--levers", *arguments.levers]
    told = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(told.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4, help="per variant")
    parser.add_argument("--laps", type=int, default=4)
    usual = [name for name in LEVERS if name not in COMPILED]
    parser.add_argument("--levers", nargs="*", default=usual, choices=[*LEVERS], help="compiled ones take minutes more")
    parser.add_argument("--only", nargs="*", default=CASES, choices=CASES)
    parser.add_argument("--case", choices=CASES, help="this one, in this process")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "step.json")
    arguments = parser.parse_args()
    if arguments.case:
        levers = {name: value for name, value in LEVERS.items() if name in arguments.levers}
        if arguments.case in FAMILIES:
            levers.pop("penalty on a quarter", None)
        result = measure(arguments.case, arguments.seconds, arguments.laps, levers)
        print(json.dumps({**result, "peaks_gflop_per_second": peaks()}))
        return
    whole: dict[str, Any] = {
        **stored_results(arguments.out),
        "setting": f"families: 64 images of 3 x 32 x 32, no penalty; recipes: their own; best of {arguments.laps} laps",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }
    for case in arguments.only:
        whole[case] = alone(case, arguments)
        print(case, json.dumps(whole[case], indent=1), flush=True)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(whole, indent=2) + "\n")


if __name__ == "__main__":
    main()
