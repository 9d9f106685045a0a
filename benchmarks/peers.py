"""Widely used GANs: images per second of their own loops against the same networks played here.

    python benchmarks/peers.py                  # all five, under 8 minutes on two idle cores
    python benchmarks/peers.py --only sngan     # one; those that are stored stay

Networks are written from what is published of them (common/peer_networks.py), and so are their loops: float32, NCHW,
PyTorch's Adam, their own loss and regularisers, and how often they play these.

    dcgan-64  PyTorch's tutorial: batch 128, one G(z) for both moves, passes for real and fake, five .item() a step
    dcgan-32  the much copied one: batch 64, G moves first, one G(z), two .item() a step
    sngan     batch 64, hinge, five moves of D to one of G, each with fakes of its own
    style     batch 32, R1 in every 16th round and path lengths of half a batch in every 4th, each with a step of its
              own, an average of G; opponents frozen
    r3        batch 32, relativistic pairs, R1 and R2 in every round, an average of G; opponents frozen

Here the same networks play with the same batch, loss and regularisers: "default" by the settings' own defaults, then
each lever alone. "lazy" plays the penalty in every 8th round only (of `style`, R1 on half of the batch), with the
weight that belongs to it. Path lengths are played on a whole batch in every 8th round: the same items. "as recipes" is
what the recipes for images play: real and fake in one pass, bfloat16 where it is faster, the penalty in every 8th
round. "all" adds simultaneous moves. The two oldest have batch norm in D, which bars one pass and simultaneous moves:
they would be another game. What cannot be played says why.

Each peer has a process of its own; variants take turns and the best of some laps counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.laps import Play, Rate, before_allocator, beside_naive, playing, warm
from common.stored import stored_results
from evenodds.data.sources import load
from evenodds.files.write import write_json
from evenodds.runs.allowed import allowing
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.precision import GAIN

MODULE = "common.peer_networks"
SHARED: dict[str, Any] = {"task": "generate", "device": "cpu", "watch": "off", "penalty": "none", "images": 10**9}
PEERS: dict[str, dict[str, Any]] = {
    "dcgan-64": {"networks": "Dcgan64", "side": 64, "prior.size": 100, "batch": 128, "average_half_life": 0},
    "dcgan-32": {"networks": "Dcgan32", "side": 32, "prior.size": 100, "batch": 64, "average_half_life": 0},
    "sngan": {
        "networks": "Sngan", "side": 32, "prior.size": 128, "batch": 64, "average_half_life": 0,
        "loss": "hinge", "discriminator_steps": 5,
    },
    "style": {
        "networks": "Style", "side": 32, "prior.size": 128, "batch": 32, "penalty": "r1", "penalty_weight": 1.0,
        "penalty_every": 16, "pathlength": 2.0, "pathlength.every": 8,
    },
    "r3": {
        "networks": "R3", "side": 32, "prior.size": 64, "batch": 32, "loss": "relativistic_paired",
        "penalty": "r1_r2", "penalty_weight": 0.15, "penalty_every": 1,
    },
}  # fmt: skip
LAZY: dict[str, dict[str, Any]] = {"style": {"penalty_share": 0.5}, "r3": {"penalty_every": 8}}
BATCH_NORM = ("dcgan-64", "dcgan-32")
"""Whose discriminator sees its batch, so that real and fake are not scored in one pass: it would be another game."""
LEVERS: dict[str, dict[str, Any]] = {
    "one pass": {"fused": True},
    "bfloat16": {"precision": "bfloat16"},
    "simultaneous": {"simultaneous": True},
}


def built(peer: str, **settings: Any) -> Run:
    """The game of a peer, here."""
    values = {key: value for key, value in PEERS[peer].items() if key not in ("networks", "side")}
    networks, side = PEERS[peer]["networks"], PEERS[peer]["side"]
    with allowing((MODULE,)):
        names = {p: f"{MODULE}:{networks}{p.capitalize()}" for p in ("generator", "discriminator")}
        config = with_settings(Config(), {**SHARED, **names, **values, **settings})
        images = np.random.default_rng(0).integers(0, 256, (1024, 3, side, side), dtype=np.uint8)
        return Run(config, load(images))


# The loops of the peers ----------------------------------------------------------------------------------------------


def naive(peer: str) -> Play:
    """The peer's own loop on its networks."""
    run = built(peer, channels_last=False)
    g, d = run.game.players["generator"], run.game.players["discriminator"]
    rounds = LOOPS[peer](run.config, g.train(), d.train(), reals(run))

    def play(number: int) -> None:
        for _ in range(number):
            next(rounds)

    return play


def reals(run: Run) -> Iterator[Tensor]:
    """Batches, NCHW."""
    position = 0
    while True:
        yield run.feed.at(position)["x"].contiguous()
        position += run.config.batch


def adams(g: nn.Module, d: nn.Module, rate: float, betas: tuple[float, float]) -> tuple[Any, Any]:
    return torch.optim.Adam(g.parameters(), rate, betas), torch.optim.Adam(d.parameters(), rate, betas)


def noise(config: Config) -> Tensor:
    return torch.randn(config.batch, config.prior.options["size"])


def tutorial(config: Config, g: nn.Module, d: nn.Module, data: Iterator[Tensor]) -> Iterator[None]:
    of_g, of_d = adams(g, d, 2e-4, (0.5, 0.999))
    criterion, ones, zeros = nn.BCELoss(), torch.ones(config.batch), torch.zeros(config.batch)
    while True:
        d.zero_grad()
        output = d(next(data)).sigmoid()
        cost_real = criterion(output, ones)
        cost_real.backward()
        mean = output.mean().item()
        fake = g(noise(config))
        output = d(fake.detach()).sigmoid()
        cost_fake = criterion(output, zeros)
        cost_fake.backward()
        mean += output.mean().item()
        of_d.step()
        g.zero_grad()
        output = d(fake).sigmoid()
        cost = criterion(output, ones)
        cost.backward()
        mean += output.mean().item()
        of_g.step()
        _ = mean, (cost_real + cost_fake).item(), cost.item()
        yield


def copied(config: Config, g: nn.Module, d: nn.Module, data: Iterator[Tensor]) -> Iterator[None]:
    of_g, of_d = adams(g, d, 2e-4, (0.5, 0.999))
    criterion, ones, zeros = nn.BCELoss(), torch.ones(config.batch), torch.zeros(config.batch)
    while True:
        real = next(data)
        of_g.zero_grad()
        fake = g(noise(config))
        cost = criterion(d(fake).sigmoid(), ones)
        cost.backward()
        of_g.step()
        of_d.zero_grad()
        both = (criterion(d(real).sigmoid(), ones) + criterion(d(fake.detach()).sigmoid(), zeros)) / 2
        both.backward()
        of_d.step()
        _ = cost.item(), both.item()
        yield


def spectral(config: Config, g: nn.Module, d: nn.Module, data: Iterator[Tensor]) -> Iterator[None]:
    of_g, of_d = adams(g, d, 2e-4, (0.5, 0.999))
    while True:
        for _ in range(config.discriminator_steps):
            real = next(data)
            of_d.zero_grad()
            fake = g(noise(config)).detach()
            cost = F.relu(1 - d(real)).mean() + F.relu(1 + d(fake)).mean()
            cost.backward()
            of_d.step()
        of_g.zero_grad()
        fooled = -d(g(noise(config))).mean()
        fooled.backward()
        of_g.step()
        _ = cost.item(), fooled.item()
        yield


def style(config: Config, g: Any, d: nn.Module, data: Iterator[Tensor]) -> Iterator[None]:
    of_g, of_d = adams(g, d, 2e-3, (0.0, 0.99))
    average = {name: value.detach().clone() for name, value in g.named_parameters()}
    step, mean, few = 0, torch.zeros(()), config.batch // 2
    while True:
        real = next(data)
        only(d, g)
        of_d.zero_grad()
        cost = F.softplus(d(g(noise(config)))).mean() + F.softplus(-d(real)).mean()
        cost.backward()
        of_d.step()
        if step % 16 == 0:
            of_d.zero_grad()
            (16 * squared_slope(d, real)).backward()
            of_d.step()
        only(g, d)
        of_g.zero_grad()
        fooled = F.softplus(-d(g(noise(config)))).mean()
        fooled.backward()
        of_g.step()
        if step % 4 == 0:
            of_g.zero_grad()
            w = g.styles(noise(config)[:few])
            image = g.synthesise(w)
            y = torch.randn_like(image) / (image.shape[2] * image.shape[3]) ** 0.5
            (slope,) = torch.autograd.grad((image * y).sum(), w, create_graph=True)
            lengths = slope.square().sum(2).mean(1).sqrt()
            mean = mean.lerp(lengths.mean().detach(), 0.01)
            (2 * 4 * (lengths - mean).square().mean()).backward()
            of_g.step()
        follow(average, g)
        _ = cost.item(), fooled.item()
        step += 1
        yield


def relativistic(config: Config, g: nn.Module, d: nn.Module, data: Iterator[Tensor]) -> Iterator[None]:
    of_g, of_d = adams(g, d, 2e-4, (0.0, 0.99))
    average = {name: value.detach().clone() for name, value in g.named_parameters()}
    while True:
        real = next(data)
        only(d, g)
        of_d.zero_grad()
        fake = g(noise(config)).detach()
        seen, forged = real.clone().requires_grad_(), fake.requires_grad_()
        on_real, on_fake = d(seen), d(forged)
        slopes = [
            torch.autograd.grad(on.sum(), x, create_graph=True)[0] for on, x in ((on_real, seen), (on_fake, forged))
        ]
        penalty = sum(slope.square().flatten(1).sum(1) for slope in slopes)
        cost = (F.softplus(on_fake - on_real) + 0.075 * penalty).mean()
        cost.backward()
        of_d.step()
        only(g, d)
        of_g.zero_grad()
        fooled = F.softplus(d(real) - d(g(noise(config)))).mean()
        fooled.backward()
        of_g.step()
        follow(average, g)
        _ = cost.item(), fooled.item()
        yield


def only(mover: nn.Module, other: nn.Module) -> None:
    """The opponent is frozen."""
    mover.requires_grad_(True)
    other.requires_grad_(False)


def squared_slope(d: nn.Module, real: Tensor) -> Tensor:
    """R1 with weight 1."""
    x = real.clone().requires_grad_()
    (slope,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
    return 0.5 * slope.square().flatten(1).sum(1).mean()


@torch.no_grad()
def follow(average: dict[str, Tensor], g: nn.Module) -> None:
    """A moving average, a parameter at a time."""
    for name, value in g.named_parameters():
        average[name].mul_(0.999).add_(value, alpha=0.001)


LOOPS: Mapping[str, Any] = {
    "dcgan-64": tutorial,
    "dcgan-32": copied,
    "sngan": spectral,
    "style": style,
    "r3": relativistic,
}


# Measuring -----------------------------------------------------------------------------------------------------------


def measure(peer: str, seconds: float, laps: int) -> dict[str, Any]:
    """Every variant of one peer, lap by lap in turn."""
    cycle = {"style": 16}.get(peer, 1)
    variants: dict[str, tuple[Play, int]] = {}
    failed: dict[str, str] = {}
    play = before_allocator(naive, peer)
    rates = {"naive": Rate()}
    rounds = warm(play, cycle, seconds / laps)
    for _ in range(laps):
        rates["naive"].lap(play, rounds)

    def play_all(ways: Mapping[str, Mapping[str, Any]]) -> None:
        for name, settings in ways.items():
            try:
                play = playing(built(peer, **settings), ("average", "pathlength"))
                variants[name] = play, warm(play, cycle if "penalty_every" not in settings else 8, seconds / laps)
                rates[name] = Rate()
            except Exception as error:
                failed[name] = str(error)
        for _ in range(laps):
            for name in ways:
                if name in variants:
                    rates[name].lap(*variants[name])

    levers = {name: lever for name, lever in LEVERS.items() if name == "bfloat16" or peer not in BATCH_NORM}
    play_all({"default": {}, **levers, **({"lazy": LAZY[peer]} if peer in LAZY else {})})
    faster = rates["bfloat16"].processor * GAIN <= rates["default"].processor
    recipe = {**LAZY.get(peer, {}), **(LEVERS["bfloat16"] if faster else {}), **levers.get("one pass", {})}
    play_all({"as recipes": recipe})
    if peer not in BATCH_NORM:
        play_all({"all": {**recipe, **LEVERS["simultaneous"]}})
    images = PEERS[peer]["batch"] * PEERS[peer].get("discriminator_steps", 1)
    return {
        **beside_naive(rates, images, "times"),
        "as_recipes": recipe,
        "not_played": failed,
    }


COLUMNS = ("default", *LEVERS, "lazy", "as recipes", "all")


def table(results: Mapping[str, Any]) -> str:
    """Rates of the peers' loops, and how many times as fast each variant is, by the clock and by the processor."""
    lines = []
    for rates, times, title in (
        ("images_per_second", "times", "by the clock"),
        ("images_per_processor_second", "times_by_processor", "by the processor"),
    ):
        lines += [
            "",
            f"| {title} | its own loop, images/s | {' | '.join(COLUMNS)} |",
            "|---" * (len(COLUMNS) + 2) + "|",
        ]
        for peer, one in results.items():
            cells = [f"{one[times][name]:.2f}" if name in one[times] else "" for name in COLUMNS]
            lines.append(f"| `{peer}` | {one[rates]['naive']:,.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3, help="per variant, at least a round per lap")
    parser.add_argument("--laps", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[*PEERS], choices=[*PEERS])
    parser.add_argument("--peer", choices=[*PEERS], help="this one, in this process")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "peers.json")
    arguments = parser.parse_args()
    if arguments.peer:
        print(json.dumps(measure(arguments.peer, arguments.seconds, arguments.laps)))
        return
    results = stored_results(arguments.out)
    for peer in arguments.only:
        words = [sys.executable, __file__, "--peer", peer]
        words += ["--seconds", str(arguments.seconds), "--laps", str(arguments.laps)]
        told = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
        on = {"torch": torch.__version__, "threads": torch.get_num_threads(), "cores": os.cpu_count()}
        on["load_average"] = os.getloadavg()[0]  # of all processes: by the clock it should be the threads
        results[peer] = {**json.loads(told.splitlines()[-1]), **on}
        print(peer, json.dumps(results[peer], indent=1), flush=True)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(arguments.out, results)
    print(table({peer: results[peer] for peer in PEERS if peer in results}))


if __name__ == "__main__":
    main()
