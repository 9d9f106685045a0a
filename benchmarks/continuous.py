"""Values that were never shown: is p(x | c) right at a c that training left out?

toy: x on the line, c in [-1, 1], two bumps whose places, widths and weights are smooth functions of c. Training leaves
out -0.3 < c < -0.1 and 0.4 < c < 0.6. Jensen-Shannon divergence of 200,000 samples from the truth, in nats, in 100
cells, beside that of as many true samples, and that of the marginal p(x), which ignores c; and that of samples that a
discriminator rejects which is fitted for the generator as it is, as `sample --select budgeted --fit 1M` does.

digits: MNIST images turned by an angle in [-60, 60] degrees, which is c; training leaves out 10 to 25 degrees. How far
samples are turned is read from second moments, so nothing is fitted to read it: the long axis of 6,000 samples on
average is held against that of the 60,000 upright training images.

What results/continuous.json holds already is not done again.

    python benchmarks/continuous.py                 # on one thread, 3 seeds: toys of a minute, digits of 5 minutes
    python benchmarks/continuous.py toy --seeds 3
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import reference_classifier
from common.stored import stored_results
from evenodds import Game, Gradient, Local, train
from evenodds.apply.density_ratio import Steps, fit_ratio
from evenodds.apply.selecting import Target, budgeted
from evenodds.data.batches import Batches
from evenodds.data.readers.arrays import from_array
from evenodds.files.write import write_json
from evenodds.game.listeners.average import Average
from evenodds.game.rules import Progress
from evenodds.game.schedule import cosine
from evenodds.metrics.divergence import jensen_shannon
from evenodds.parts.losses.adversarial import non_saturating, relativistic_paired
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.networks import dcgan, mlp
from evenodds.parts.priors import Normal
from evenodds.show import pictures
from evenodds.tasks.condition import Condition, discriminator_options
from evenodds.tasks.contest import Contest
from inference import SHAPE, WIDTH, Clock

RESULTS = Path(__file__).parent / "results"
GAPS = ((-0.3, -0.1), (0.4, 0.6))
PLACES = {"seen": (-0.9, -0.6, -0.4, 0.0, 0.3, 0.75, 0.95), "unseen": (-0.25, -0.2, -0.15, 0.45, 0.5, 0.55)}
ANGLES = {"seen": (-60, -45, -30, -15, 0, 5, 30, 45, 60), "unseen": (13, 15, 17.5, 20, 22)}
LEFT_OUT, MOST = (10.0, 25.0), 60.0
READ = 6000
"""Samples at each angle."""


def bumps(c: Tensor, rng: torch.Generator) -> Tensor:
    """x (N, 1) given c (N, 1)."""
    first = torch.rand(c.shape, generator=rng) < 0.5 + 0.3 * c
    middle = torch.where(first, -0.45 + 0.3 * torch.sin(2 * c), 0.4 + 0.3 * c * c)
    width = torch.where(first, 0.08 + 0.04 * c, 0.1 - 0.03 * torch.cos(3 * c))
    return middle + width * torch.randn(c.shape, generator=rng)


class Bumps:
    """A feed without end, in which no c lies in a gap."""

    size = 1024

    def at(self, position: int) -> dict[str, Tensor]:
        rng = torch.Generator().manual_seed(position)
        c = 2 * torch.rand(2 * self.size, 1, generator=rng) - 1
        shown = torch.stack([(c <= low) | (c >= high) for low, high in GAPS]).all(0)[:, 0]
        c = c[shown][: self.size]
        return {"x": bumps(c, rng), "c": c}


def shares(x: Tensor) -> Tensor:
    return torch.histc(x.double().clamp(-1.5, 1.5), 100, -1.5, 1.5) / x.numel()


def toy(seed: int, minutes: float) -> dict[str, Any]:
    """Mean divergences at seen and unseen c."""
    torch.manual_seed(seed)
    contest = Contest(non_saturating, r1_r2, weight=2e-5, every=4, fused=True)
    task = Condition(Normal(4), contest, length=1, kind="values")
    players: dict[str, nn.Module] = {
        "generator": mlp.Generator(4, (1,), width=96, depth=3, condition=1),
        "discriminator": mlp.Discriminator(
            **discriminator_options("concatenation", (1,), 1), width=96, depth=3, gain=10.0
        ),
    }
    made = play(task, players, Bumps(), 60 * minutes, seed, 2e-3, start=0.0, half_life=80_000)
    begun = time.process_time()
    select, seconds = rejecting(task, players), time.process_time() - begun
    rng, n, results = torch.Generator().manual_seed(9), 200_000, {}
    marginal = shares(bumps(2 * torch.rand(n, 1, generator=rng) - 1, rng))
    for name, places in PLACES.items():
        lines = []
        for place in places:
            c = torch.full((n, 1), place)
            truth, again = shares(bumps(c, rng)), shares(bumps(c, rng))
            z = task.prior(n, rng)
            (kept, draws), (more_kept, more_draws) = (select(z, c[:1], rate) for rate in (0.8, 0.5))
            answers = (shares(task.answer(players, {"z": some, "c": c})["x"]) for some in (z, kept, more_kept))
            others = (*answers, again, marginal)
            lines.append([*(float(jensen_shannon(truth, other)) for other in others), draws, more_draws])
        means = [round(mean, 4) for mean in torch.tensor(lines).mean(0).tolist()]
        names = ("evenodds", "evenodds, rejected", "evenodds, rejected, rate 0.5", "true samples", "ignoring c")
        names += ("draws for each that is kept", "draws for each that is kept, rate 0.5")
        results[name] = dict(zip(names, means, strict=True))
    return {**results, "images": made, "seconds_of_the_fit": round(seconds, 1)}


def rejecting(
    task: Condition, players: dict[str, nn.Module]
) -> Callable[[Tensor, Tensor, float], tuple[Tensor, float]]:
    """Fits a discriminator for the generator as it is; what draws z anew where it rejects samples.

    It is given z, c (1, 1) and the least share to keep.
    """
    fitted = {"generator": players["generator"], "discriminator": deepcopy(players["discriminator"])}
    feed = Bumps()
    fit_ratio(task.value_task(), fitted, feed, Local(), 1_000_000)
    rng = torch.Generator().manual_seed(11)
    with torch.no_grad():  # new items, of which the fit saw none
        items = [feed.at(-1 - k) for k in range(20)]
        x, c = (torch.cat([item[name] for item in items]) for name in ("x", "c"))
        generator, discriminator = task.conditioned(fitted, c)
        steps = Steps.fitted(discriminator(x), discriminator(generator(task.prior(len(x), rng))), 100)

    def log_ratio(z: Tensor, c: Tensor | None) -> Tensor:
        assert c is not None
        generator, discriminator = task.conditioned(fitted, c)
        return steps(discriminator(generator(z)))

    def drawn(n: int, seed: int) -> Tensor:
        return task.prior(n, torch.Generator().manual_seed(seed))

    def select(z: Tensor, c: Tensor, rate: float) -> tuple[Tensor, float]:
        selection = budgeted(rate=rate)
        kept = selection(z, Target(task.prior, drawn, log_ratio), c)
        return kept, selection.drawn / len(z)

    return select


def play(
    task: Condition,
    players: dict[str, nn.Module],
    feed: Any,
    seconds: float,
    seed: int,
    rate: float,
    start: float = 0.3,
    half_life: int = 20_000,
) -> int:
    """Plays for so many seconds of processor time, puts the generator's average in its place; images shown.

    Args:
        rate: falls from the share `start` of the time on.
        half_life: of the generator's average, in images.
    """
    clock, average = Clock(seconds), Average(players, ("generator",), half_life_images=half_life)
    schedule = cosine(start, 0.02)
    adam = {name: torch.optim.Adam(p.parameters(), rate, betas=(0.0, 0.99), fused=True) for name, p in players.items()}
    engine = Local()
    engine.adopt(players)
    learner = Gradient(adam, lambda _: schedule(Progress(total=1000, images=round(1000 * clock.share()))))
    made = train(Game(task, players), feed, learner, engine, images=10**9, seed=seed, listeners=[average, clock])
    players["generator"] = average.copies["generator"]
    return made.images


def turned(x: Tensor, degrees: Tensor) -> Tensor:
    """(N, 1, H, W) in [-1, 1] turned counter-clockwise, black coming in."""
    angle = degrees * (math.pi / 180)
    rows = [[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]]
    matrix = torch.stack([torch.stack([*row, torch.zeros_like(angle)], 1) for row in rows], 1)
    return F.grid_sample(x + 1, F.affine_grid(matrix, list(x.shape), align_corners=False), align_corners=False) - 1


def leanings(x: Tensor) -> Tensor:
    """(N, 2): vectors at twice the angle of the long axis of each image's ink, the longer the thinner it is, up to 1.

    By second moments; turning an image counter-clockwise by an angle turns the vector by twice as much.

    Args:
        x: (N, 1, H, W) in [-1, 1] on a background of -1.
    """
    ink = (x[:, 0] + 1) / 2
    ink = ink / ink.sum((1, 2), keepdim=True).clamp(min=1e-3)
    place = torch.arange(x.shape[-1]) - (x.shape[-1] - 1) / 2
    across, down = ink.sum(1), ink.sum(2)
    mean_across, mean_down = across @ place, down @ place
    wide = across @ place.square() - mean_across.square()
    high = down @ place.square() - mean_down.square()
    both = torch.einsum("nij,i,j->n", ink, place, place) - mean_across * mean_down
    return torch.stack([wide - high, -2 * both], 1) / (wide + high).clamp(min=1e-3)[:, None]


def lean(vectors: Tensor) -> tuple[float, float]:
    """The angle in degrees of the mean of `leanings` (N, 2), in (-90, 90], and its standard error."""
    mean = vectors.mean(0)
    aside = vectors @ torch.stack([-mean[1], mean[0]]) / mean.square().sum()
    angle = math.degrees(math.atan2(float(mean[1]), float(mean[0]))) / 2
    return angle, math.degrees(float(aside.std())) / math.sqrt(len(vectors)) / 2


def off(vectors: Tensor, due: float) -> list[float]:
    """The lean less what is due, in degrees, its standard error, and the length of the mean vector."""
    angle, error = lean(vectors)
    return [round(number, 3) for number in ((angle - due + 90) % 180 - 90, error, float(vectors.mean(0).norm()))]


@torch.no_grad()
def drawn_leanings(
    task: Condition, players: dict[str, nn.Module], angle: float, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`leanings` of samples at an angle, and their order by the logit of the discriminator, the highest first."""
    ready = {name: player.eval() for name, player in players.items()}
    generator, discriminator = task.conditioned(ready, torch.full((1, 1), angle / MOST))
    vectors, logits = [], []
    for z in task.prior(READ, rng).split(500):
        made = generator(z)
        vectors.append(leanings(made))
        logits.append(discriminator(made))
    return torch.cat(vectors), torch.cat(logits).argsort(descending=True)


def digits(seed: int, minutes: float) -> dict[str, Any]:
    """Errors of the angle at seen and unseen angles; writes the picture."""
    read = reference_classifier.read("mnist")
    x, test = (2 * reference_classifier.prepared(read[name]) - 1 for name in ("x_train", "x_test"))
    rng = torch.Generator().manual_seed(seed)
    degrees = torch.rand(len(x), generator=rng) * (2 * MOST - (LEFT_OUT[1] - LEFT_OUT[0])) - MOST
    degrees = torch.where(degrees > LEFT_OUT[0], degrees + LEFT_OUT[1] - LEFT_OUT[0], degrees)
    eight = ((turned(x, degrees) + 1) * 127.5).round().to(torch.uint8).contiguous()
    data = from_array(eight.numpy(), layout="nchw", c=degrees.numpy(), c_names=["angle"])
    torch.manual_seed(seed)
    prior = Normal(64)
    contest = Contest(relativistic_paired, r1_r2, weight=0.3, every=8, fused=True)
    task = Condition(prior, contest, length=1, kind="values")
    players: dict[str, nn.Module] = {
        "generator": dcgan.Generator(prior.size, SHAPE, width=WIDTH, condition=1),
        "discriminator": dcgan.Discriminator(
            width=WIDTH, norm="none", **discriminator_options("concatenation", SHAPE, 1)
        ),
    }
    images = play(task, players, Batches(data, None, 64, seed), 60 * minutes, seed, 2e-3)
    upright, results = lean(leanings(x))[0], {}
    for name, angles in ANGLES.items():
        lines = {}
        for angle in angles:
            vectors, order = drawn_leanings(task, players, angle, rng)
            which = {"samples": vectors, "the likeliest four fifths": vectors[order[: 4 * READ // 5]]}
            which["the likeliest half"] = vectors[order[: READ // 2]]
            lines[f"{angle:g}"] = {key: off(some, upright + angle) for key, some in which.items()}
        means = {key: round(sum(line[key][0] for line in lines.values()) / len(lines), 2) for key in which}
        results[name] = {"mean difference": means, "angles": lines}
    results["test images"] = off(leanings(test), upright)
    picture(task, players)
    return {**results, "images": images}


def picture(task: Condition, players: dict[str, nn.Module]) -> None:
    """Columns by angle from -60 to 60, 8 rows by z; a grey rim marks the angles that were never shown."""
    angles = torch.linspace(-MOST, MOST, 17)
    z = task.prior(8, torch.Generator().manual_seed(1)).repeat_interleave(17, 0)
    made = task.answer(players, {"z": z, "c": (angles / MOST).repeat(8)[:, None]})["x"]
    framed = F.pad(made, (2, 2, 2, 2), value=-1.0)
    unseen = ((angles > LEFT_OUT[0]) & (angles < LEFT_OUT[1])).repeat(8)
    rim = torch.ones_like(framed[0], dtype=torch.bool)
    rim[:, 1:-1, 1:-1] = False
    framed[unseen[:, None, None, None] & rim] = 0.6
    eight = ((framed + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
    pictures.write(RESULTS / "continuous.png", pictures.grid(eight, columns=17))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["toy", "digits"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[3, 4, 5])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "continuous.json"
    results = stored_results(path)
    plan = {"toy": (toy, 1.0), "digits": (digits, 5.0)}
    for name in arguments.names:
        measure, minutes = plan[name]
        for seed in arguments.seeds:
            key, begun = f"{name}, seed {seed}", time.process_time()
            if key not in results:
                seconds = {"minutes": minutes, "torch": torch.__version__}
                results[key] = {**measure(seed, minutes), **seconds}
                results[key]["processor_seconds"] = round(time.process_time() - begun, 1)
                write_json(path, results)
            print(key, json.dumps(results[key]), flush=True)


if __name__ == "__main__":
    main()
