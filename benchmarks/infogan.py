"""InfoGAN on MNIST: does the categorical code become the digit, without a label?

A code of 10 categories and 2 values beside 62 numbers of noise; `dcgan` of width 24 on both sides, as in gray-28.
Beside the paper: Q, which reads the code, is a network of its own with batch norm (`dcgan` of width 16), and has a
start. Both players see all images deformed at random (turned, sheared, scaled, moved, thinner or thicker strokes), so
that a category cannot stand for any of these.

1. Two starts of Q on real images alone, 40 of 300 seconds each: the categories that it reads in two views of an image
   should have much mutual information (Ji et al. 2019), with twice the weight on the entropy of the mean. Each start
   has 4 heads. The start goes on, for 60 seconds, whose best head has the most mutual information on 5,000 training
   images that were held out. Then the best head is kept. No label is read.
2. The game of InfoGAN for the rest of the time, where Q goes on with the same cost (`agreement`), at a weight that
   samples, of which the first are no digits, do not outweigh.

Categories are matched to digits one to one, so that most training images are right; the error is that on the 10,000
test images. Chen et al. (2016), section 7.2, have an error of 5 % in matching.

What results/infogan.json holds already is not done again.

    python benchmarks/infogan.py                       # 3 seeds of 5 minutes of processor time each, on one thread
    python benchmarks/infogan.py --seeds 100 --minutes 2 --out try
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional as F

import reference_classifier
from common.stored import stored_results
from evenodds import Game
from evenodds.data.batches import Batches
from evenodds.data.readers.arrays import from_array
from evenodds.files.write import write_json
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.listeners.average import Average
from evenodds.game.rules import Batch, Costs, Move, Players
from evenodds.game.schedule import Progress
from evenodds.game.trainer import train
from evenodds.parts.losses.adversarial import relativistic_paired
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.networks import dcgan
from evenodds.parts.priors import Coded
from evenodds.show import pictures
from evenodds.tasks.contest import Contest
from evenodds.tasks.infogan import InfoGAN, view_agreement
from inference import SHAPE, WIDTH, Clock, arrays

PRIOR = Coded(62, 10, 2)
AGREEMENT, BALANCE = 20.0, 4.0
STARTS, HEADS, READER_WIDTH = 2, 4, 16
START, LONGER = 40 / 300, 60 / 300
"""Shares of the time: each start, and the one that goes on."""
HELD_OUT = 5000
READER_RATE = 1e-4
"""In the game, where the others have 2e-3: at that rate it forgets its start at once."""
RESULTS = Path(__file__).parent / "results"


def deformed(x: Tensor, uniform: Tensor) -> Tensor:
    """Images turned by up to 20 degrees, sheared by up to 0.4, scaled by up to 1.2, moved by up to 2 pixels.

    Strokes become thinner or thicker by up to a pixel on each side.
    """
    turn, high, wide, shear, stroke, *shift = (2 * uniform.to(x) - 1).unbind(1)
    angle, high, wide, shear = turn * math.radians(20), (0.2 * high).exp(), (0.2 * wide).exp(), 0.4 * shear
    thick, thin = F.max_pool2d(x, 3, 1, 1), -F.max_pool2d(-x, 3, 1, 1)
    stroke = stroke[:, None, None, None]
    x = torch.where(stroke > 0, torch.lerp(x, thick, stroke.clamp(min=0)), torch.lerp(x, thin, -stroke.clamp(max=0)))
    sine, cosine, zero = angle.sin(), angle.cos(), torch.zeros_like(angle)
    one, about = torch.stack([wide * cosine, shear - sine, zero], 1), torch.stack([sine, high * cosine, zero], 1)
    grid = F.affine_grid(torch.stack([one, about], 1), list(x.shape), align_corners=False)
    grid = grid + torch.stack(shift, 1)[:, None, None] * (4 / x.shape[-1])
    return F.grid_sample(x + 1, grid, align_corners=False) - 1


@dataclass(frozen=True)
class Reading:
    """The reader alone: each head should read the same category in two views of a real image, and use all alike."""

    roles: tuple[str, ...] = ("reader",)

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        return {**real, "view": torch.rand(2, len(real["x"]), 7, generator=rng)}

    def moves(self) -> Sequence[Move]:
        return [Move("reader", self.roles, self.cost)]

    def cost(self, players: Players, hand: Batch) -> Costs:
        told = players["reader"](torch.cat([deformed(hand["x"], dice) for dice in hand["view"]]))
        return Costs({"agreement": -torch.stack([view_agreement(j, BALANCE) for j in joints(told)]).sum() / HEADS**0.5})

    def answer(self, players: Players, request: Batch) -> Batch:
        """(N, 10 HEADS) logits."""
        return {"logits": torch.cat([players["reader"](part) for part in request["x"].split(1000)])}


def joints(logits: Tensor) -> list[Tensor]:
    """The joint distribution of the categories read in two views, (10, 10) for each head, of logits (2 N, 10 heads)."""
    one, other = (half.unflatten(1, (-1, 10)).softmax(2).unbind(1) for half in logits.chunk(2))
    return [a.T @ b / len(a) for a, b in zip(one, other, strict=True)]


class WithReader(nn.Module):
    """x -> the logit of being real by one network, then the code by another, whose statistics stay as they are."""

    def __init__(self, discriminator: nn.Module, reader: nn.Module) -> None:
        super().__init__()
        self.discriminator, self.reader = discriminator, reader

    def train(self, mode: bool = True) -> "WithReader":
        super().train(mode)
        self.reader.eval()  # the first samples would spoil the statistics of batch norm
        return self

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.discriminator(x)[:, None], self.reader(x)], 1)


@dataclass
class Start:
    """A reader, its optimizer, and the mutual information of two views of held-out images by each head."""

    reader: nn.Module
    adam: torch.optim.Adam
    seed: int
    information: list[float]


@torch.no_grad()
def information(reader: nn.Module, x: Tensor) -> list[float]:
    """Of each head, on images (N, 1, 28, 28); no label is read."""
    rng = torch.Generator().manual_seed(9)
    views = torch.cat([deformed(x, torch.rand(len(x), 7, generator=rng)) for _ in range(2)])
    told = Reading().answer({"reader": reader.eval()}, {"x": views})["logits"]
    reader.train()
    return [round(float(view_agreement(joint)), 4) for joint in joints(told)]


def play_alone(start: Start, x: np.ndarray, held_out: Tensor, seconds: float, falls: bool, seed: int) -> None:
    """Plays Reading for so many seconds, at a rate that stays or falls, and then notes the mutual information."""
    clock, engine, players = Clock(seconds), Local(), {"reader": start.reader}
    engine.adopt(players)
    learner = Gradient({"reader": start.adam}, clock.rate if falls else steady)
    feed = Batches(from_array(x), None, 128, seed)
    train(Game(Reading(), players), feed, learner, engine, images=10**9, seed=seed, listeners=[clock])
    start.information = information(start.reader, held_out)


def steady(progress: Progress) -> float:
    return 1.0


def begin(x: np.ndarray, seconds: float, seed: int) -> tuple[nn.Module, list[Start]]:
    """The reader of 10 categories and 2 values that the game begins with; the starts as they were at the choice, and
    the chosen one after its longer run."""
    order = np.random.default_rng(seed).permutation(len(x))
    held_out = 2 * reference_classifier.prepared(x[order[:HELD_OUT]]) - 1
    x, starts = np.ascontiguousarray(x[order[HELD_OUT:]]), []
    for number in range(STARTS):
        torch.manual_seed(1000 * seed + number)
        reader = dcgan.Discriminator(SHAPE, width=READER_WIDTH, norm="batch", outputs=10 * HEADS)
        adam = torch.optim.Adam(reader.parameters(), 2e-3, betas=(0.9, 0.99))
        starts.append(Start(reader, adam, 1000 * seed + number, []))
        play_alone(starts[-1], x, held_out, START * seconds, False, starts[-1].seed)
    seen = deepcopy(starts)
    chosen = max(starts, key=lambda start: max(start.information))
    play_alone(chosen, x, held_out, LONGER * seconds, True, chosen.seed + 500)
    reader = deepcopy(chosen.reader)
    best, heads = int(np.argmax(chosen.information)), reader.logit
    reader.logit = nn.Linear(heads.in_features, PRIOR.classes + PRIOR.values)
    with torch.no_grad():
        reader.logit.weight[:10] = heads.weight[10 * best : 10 * best + 10]
        reader.logit.bias[:10] = heads.bias[10 * best : 10 * best + 10]
    return reader, [*seen, chosen]


def learn(
    x: np.ndarray, seconds: float, seed: int, weights: tuple[float, float]
) -> tuple[InfoGAN, dict[str, nn.Module], int, list[Start]]:
    """The task, its players after so many seconds in all (their averages), the images shown, and the starts."""
    begun = time.process_time()
    reader, starts = begin(x, seconds, seed)
    torch.manual_seed(seed)
    contest = Contest(relativistic_paired, r1_r2, weight=0.3, every=8, view=deformed, view_dice=7, fused=True)
    real = {"agreement": AGREEMENT, "balance": BALANCE}
    task = InfoGAN(PRIOR, contest, classes_weight=weights[0], values_weight=weights[1], **real)
    discriminator = dcgan.Discriminator(SHAPE, width=WIDTH, norm="none")
    generator = dcgan.Generator(PRIOR.size, SHAPE, width=WIDTH)
    players = {"generator": generator, "discriminator": WithReader(discriminator, reader)}
    reading = {"params": reader.parameters(), "lr": READER_RATE, "betas": (0.9, 0.99)}
    judging = [{"params": discriminator.parameters()}, reading]
    moved = {"generator": generator.parameters(), "discriminator": judging}
    adam = {name: torch.optim.Adam(parameters, 2e-3, betas=(0.0, 0.99)) for name, parameters in moved.items()}
    average = Average(players, ("generator", "discriminator"), half_life_images=10_000)
    engine, feed = Local(), Batches(from_array(np.ascontiguousarray(x)), None, 64, seed)
    engine.adopt(players)
    clock = Clock(seconds - (time.process_time() - begun))
    learner = Gradient(adam, clock.rate)
    made = train(Game(task, players), feed, learner, engine, images=10**9, seed=seed, listeners=[average, clock])
    return task, {name: copy.eval() for name, copy in average.copies.items()}, made.images, starts


def category(task: InfoGAN, players: dict[str, nn.Module], x: Tensor) -> Tensor:
    """(N,) which code made x."""
    return torch.cat([task.answer(players, {"x": part})["y"] for part in x.split(1000)])


def matched(told: dict[str, Tensor], real: dict[str, Tensor]) -> tuple[list[int], Tensor]:
    """The digit of each category, by the training images; and which test images (N,) are then right."""
    table = torch.zeros(10, 10, dtype=torch.int64)
    table.index_put_((told["train"], real["y_train"]), torch.tensor(1), accumulate=True)
    codes, digits = linear_sum_assignment(-table.numpy())
    digit_of = torch.as_tensor(digits)[torch.as_tensor(codes).argsort()]
    return digit_of.tolist(), digit_of[told["test"]] == real["y_test"]


def measured(task: InfoGAN, players: dict[str, nn.Module], real: dict[str, Tensor]) -> dict[str, Any]:
    """The error of matching, and for each code the digit that it stands for and its share of that digit."""
    told = {name: category(task, players, real[f"x_{name}"]) for name in ("train", "test")}
    digit_of, right = matched(told, real)
    z = PRIOR(2000, torch.Generator().manual_seed(5))
    back = (category(task, players, task.answer(players, {"z": z})["x"]) == z[:, 62:72].argmax(1)).float().mean()
    each = {str(k): round(float(right[real["y_test"] == k].float().mean()), 4) for k in range(10)}
    return {
        "error": round(1 - float(right.float().mean()), 4),
        "read_back": round(float(back), 4),
        "digit_of_code": digit_of,
        "right": each,
    }


@torch.no_grad()
def errors_of(start: Start, real: dict[str, Tensor]) -> list[float]:
    """Of each head."""
    players = {"reader": start.reader.eval()}
    logits = {name: Reading().answer(players, {"x": real[f"x_{name}"]})["logits"] for name in ("train", "test")}
    heads = range(0, 10 * HEADS, 10)
    told = [{name: part[:, k : k + 10].argmax(1) for name, part in logits.items()} for k in heads]
    return [round(1 - float(matched(one, real)[1].float().mean()), 4) for one in told]


@torch.no_grad()
def sheet(generator: nn.Module, digit_of: list[int]) -> np.ndarray:
    """8 rows with a column for each code, in the order of the digits; then 2 rows for each value, from -1 to 1."""
    z = PRIOR(10, torch.Generator().manual_seed(3))
    codes = torch.eye(10)[torch.tensor(digit_of).argsort()]
    rows = []
    for k in range(8):
        row = z[k].repeat(10, 1)
        row[:, 62:72] = codes
        rows.append(row)
    for k in range(4):
        row = z[k].repeat(10, 1)
        row[:, 62:72] = codes[(2, 4, 7, 8)[k]]
        row[:, 72:] = 0
        row[:, 72 + k // 2] = torch.linspace(-1.5, 1.5, 10)
        rows.append(row)
    made = torch.cat([generator(row) for row in rows])
    eight = ((made + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
    return pictures.enlarge(pictures.grid(eight, columns=10), 600)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12])
    parser.add_argument("--minutes", type=float, default=5.0, help="of processor time for each seed, starts included")
    parser.add_argument("--weights", type=float, nargs=2, default=(1.0, 0.1), help="of the classes and of the values")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "infogan.json"
    results = stored_results(path)
    real, read = arrays(), reference_classifier.read("mnist")
    for seed in arguments.seeds:
        key = f"{arguments.minutes:g} minutes, seed {seed}"
        if key not in results:
            begun, weights = time.process_time(), tuple(arguments.weights)
            task, players, images, starts = learn(read["x_train"], 60 * arguments.minutes, seed, weights)
            spent = round(time.process_time() - begun, 1)
            told = [{"information": start.information, "error": errors_of(start, real)} for start in starts]
            more = {"cpu_seconds": spent, "images": images, "torch": torch.__version__}
            results[key] = {**measured(task, players, real), "starts": told[:-1], "chosen": told[-1], **more}
            picture = sheet(players["generator"], results[key]["digit_of_code"])
            pictures.write(arguments.out / f"infogan-{seed}.png", picture)
            write_json(path, results)
        print(key, json.dumps(results[key]), flush=True)


if __name__ == "__main__":
    main()
