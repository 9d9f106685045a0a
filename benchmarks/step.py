"""Training speed: images per second of each network family against a naive loop of the same networks.

    python benchmarks/step.py [--device cpu] [--seconds 5]

The naive loop is what tutorials write: NCHW, a pass for real and a pass for fake, nothing frozen, `.item()` at every
step, Adam's defaults. Ours is the package's own trainer. Both play non-saturating moves 1:1 without a penalty on the
same networks, data and batch. Variants are timed in turn, several laps each, and the median lap counts; the
convolution peak of the machine is measured in the same run, so that the achieved share of it can be stated.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.rules import Game
from evenodds.game.trainer import Training, train
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.priors import Normal
from evenodds.runs.find import network
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate

LATENT, BATCH, SHAPE = 64, 64, (3, 32, 32)
FAMILIES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "mlp": ({"width": 512}, {"width": 512, "activation": "leaky_relu"}),
    "dcgan": ({"width": 64}, {"width": 64}),
    "resnet": ({"width": 32}, {"width": 32}),
    "modern": ({"width": 32}, {"width": 32}),
}


class Feed:
    """Batches of random uint8 images in memory, converted like real ones."""

    size = BATCH

    def __init__(self) -> None:
        self.x = torch.randint(0, 256, (4096, *SHAPE), dtype=torch.uint8)

    def at(self, position: int) -> dict[str, Tensor]:
        index = torch.arange(position, position + BATCH) % len(self.x)
        return {"x": self.x[index].float().div_(127.5).sub_(1)}


def make(family: str) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    g, d = FAMILIES[family]
    return {
        "generator": network(family, "Generator")(LATENT, SHAPE, **g),
        "discriminator": network(family, "Discriminator")(SHAPE, **d),
    }


def naive(players: dict[str, nn.Module], device: torch.device) -> Iterator[int]:
    """The tutorial loop; yields after each step."""
    g, d = (players[name].to(device) for name in ("generator", "discriminator"))
    adams = {name: torch.optim.Adam(p.parameters(), lr=2e-4, betas=(0.5, 0.999)) for name, p in players.items()}
    feed, step = Feed(), 0
    while True:
        real = feed.at(step * BATCH)["x"].to(device)
        fake = g(torch.randn(BATCH, LATENT, device=device))
        adams["discriminator"].zero_grad()
        on_real = F.softplus(-d(real)).mean()
        on_real.backward()
        on_fake = F.softplus(d(fake.detach())).mean()
        on_fake.backward()
        adams["discriminator"].step()
        adams["generator"].zero_grad()
        fooled = F.softplus(-d(fake)).mean()
        fooled.backward()
        adams["generator"].step()
        _ = on_real.item() + on_fake.item(), fooled.item()
        step += 1
        yield BATCH


class Clock:
    """A listener that ends the game after a number of rounds."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    def begin(self, training: Training) -> None: ...

    def after_round(self, training: Training) -> None:
        training.stop = training.progress.round >= self.rounds

    def end(self, training: Training) -> None:
        training.engine.read(training.terms)


def ours(family: str, engine: Local, fused: bool, simultaneous: bool = False) -> Callable[[int], None]:
    """A function that plays so many rounds of the package's own game."""
    players = make(family)
    engine.adopt(players)
    game = Game(Generate(Normal(LATENT), Contest(non_saturating, fused=fused), simultaneous=simultaneous), players)
    options = {"lr": 2e-4, "betas": (0.5, 0.999), "fused": True}
    learner = Gradient({name: torch.optim.Adam(p.parameters(), **options) for name, p in players.items()})  # type: ignore[arg-type]
    feed = Feed()
    return lambda rounds: train(game, feed, learner, engine, images=10**9, listeners=[Clock(rounds)]) and None


def lap(play: Callable[[int], None], rounds: int, device: torch.device) -> float:
    """Images per second."""
    wait(device)
    begun = time.perf_counter()
    play(rounds)
    wait(device)
    return rounds * BATCH / (time.perf_counter() - begun)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def flops_per_image(family: str, simultaneous: bool = False) -> float:
    """Floating-point operations of one round of ours, per image shown."""
    players, counter = make(family), FlopCounterMode(display=False)
    game = Game(Generate(Normal(LATENT), Contest(non_saturating), simultaneous=simultaneous), players)
    learner = Gradient({name: torch.optim.SGD(p.parameters(), lr=0.0) for name, p in players.items()})
    with counter:
        train(game, Feed(), learner, Local(), images=BATCH)
    return counter.get_total_flops() / BATCH


def peak(device: torch.device) -> float:
    """The best GFLOP/s of a 3x3 convolution of 64 to 256 channels, channels-last, of a few tried."""
    best = 0.0
    for channels, side in ((64, 32), (128, 16), (256, 8), (128, 32)):
        conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = torch.randn(BATCH, channels, side, side, device=device).to(memory_format=torch.channels_last)
        with torch.no_grad():
            for _ in range(3):
                conv(x)
            wait(device)
            begun, runs = time.perf_counter(), 10
            for _ in range(runs):
                conv(x)
            wait(device)
        flops = 2 * BATCH * side * side * channels * channels * 9 * runs
        best = max(best, flops / (time.perf_counter() - begun) / 1e9)
    return best


def measure(family: str, device: torch.device, seconds: float, laps: int, compiled: bool) -> dict[str, object]:
    """Every variant of one family, lap by lap in turn."""
    steps = naive(make(family), device)

    def play_naive(rounds: int) -> None:
        for _ in range(rounds):
            next(steps)

    variants: dict[str, Callable[[int], None]] = {"naive": play_naive}
    variants["ours"] = ours(family, Local(device), fused=False)
    variants["ours, fused passes"] = ours(family, Local(device), fused=True)
    variants["ours, simultaneous"] = ours(family, Local(device), fused=True, simultaneous=True)
    variants["ours, bfloat16"] = ours(family, Local(device, precision="bfloat16"), fused=True)
    both = Local(device, precision="bfloat16")
    variants["ours, simultaneous, bfloat16"] = ours(family, both, fused=True, simultaneous=True)
    if compiled:
        variants["ours, compiled"] = ours(family, Local(device, compile=True), fused=False)
    rounds = {}
    for name, play in variants.items():
        lap(play, 3, device)
        rounds[name] = max(2, int(seconds * lap(play, 3, device) / BATCH / laps))
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(laps):
        for name, play in variants.items():
            rates[name].append(lap(play, rounds[name], device))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    gflops = {name: flops_per_image(family, "simultaneous" in name) / 1e9 for name in middle if name != "naive"}
    return {
        "images_per_second": {name: round(value, 1) for name, value in middle.items()},
        "times_naive": {name: round(value / middle["naive"], 2) for name, value in middle.items()},
        "gflop_per_image": {name: round(value, 3) for name, value in gflops.items()},
        "gflop_per_second": {name: round(middle[name] * value, 1) for name, value in gflops.items()},
        "parameters": {name: sum(p.numel() for p in player.parameters()) for name, player in make(family).items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=10, help="per variant")
    parser.add_argument("--laps", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="a compiled variant too; needs a C++ compiler")
    parser.add_argument("--families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "step.json")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    result: dict[str, object] = {
        "setting": f"{BATCH} images of {SHAPE}, latent {LATENT}, Adam, no penalty, median of {arguments.laps} laps",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "convolution_peak_gflop_per_second": round(peak(device), 1),
    }
    for family in arguments.families:
        result[family] = measure(family, device, arguments.seconds, arguments.laps, arguments.compile)
        print(family, json.dumps(result[family], indent=1), flush=True)
    result["peak_memory_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
