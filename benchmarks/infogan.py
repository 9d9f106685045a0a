"""InfoGAN on MNIST: does the categorical code become the digit, without a label?

A code of 10 categories and 2 values beside 62 numbers of noise; `dcgan` of width 24 on both sides, as in gray-28. The
discriminator's further outputs say which category a real test image has. Beside the paper: the discriminator sees all
images deformed at random (turned, sheared, scaled, moved, thinner or thicker strokes), so that a category cannot stand
for any of these, and what it reads in a deformed real image should be what it reads in it as it is (`consistency`),
while all categories stay in use as often (`balance`, with the weight of Hu et al. 2017).
Categories are matched to digits one to one, so that most training images are right; the error is that on the 10,000
test images. Chen et al. (2016), section 7.2, have an error of 5 % in matching.

What results/infogan.json holds already is not done again.

    python benchmarks/infogan.py                       # 3 seeds of 5 minutes of processor time each, on one thread
    python benchmarks/infogan.py --seeds 1 --minutes 2 --out try
"""

import argparse
import json
import math
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
from evenodds.data.arrays import from_array
from evenodds.data.batches import Batches
from evenodds.files.write import write_json
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.listeners.average import Average
from evenodds.game.trainer import train
from evenodds.parts.losses.adversarial import relativistic_paired
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.networks import dcgan
from evenodds.parts.priors import Coded
from evenodds.show import pictures
from evenodds.tasks.contest import Contest
from evenodds.tasks.infogan import InfoGAN, discriminator_options
from inference import SHAPE, WIDTH, Clock, arrays

PRIOR = Coded(62, 10, 2)
CONSISTENCY, BALANCE = 0.5, 4.0
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


def learn(
    feed: Batches, seconds: float, seed: int, weights: tuple[float, float]
) -> tuple[InfoGAN, dict[str, nn.Module], int]:
    """The task, its players after so many seconds (the generator's average), and the images shown."""
    torch.manual_seed(seed)
    contest = Contest(relativistic_paired, r1_r2, weight=0.3, every=8, view=deformed, view_dice=7, fused=True)
    real = {"consistency": CONSISTENCY, "balance": BALANCE}
    task = InfoGAN(PRIOR, contest, classes_weight=weights[0], values_weight=weights[1], **real)
    players = {
        "generator": dcgan.Generator(PRIOR.size, SHAPE, width=WIDTH),
        "discriminator": dcgan.Discriminator(SHAPE, width=WIDTH, norm="none", **discriminator_options(PRIOR)),
    }
    adam = {name: torch.optim.Adam(p.parameters(), 2e-3, betas=(0.0, 0.99)) for name, p in players.items()}
    clock, average = Clock(seconds), Average(players, ("generator", "discriminator"), half_life_images=10_000)
    engine = Local()
    engine.adopt(players)
    learner = Gradient(adam, clock.rate)
    made = train(Game(task, players), feed, learner, engine, images=10**9, seed=seed, listeners=[average, clock])
    return task, {name: copy.eval() for name, copy in average.copies.items()}, made.images


def category(task: InfoGAN, players: dict[str, nn.Module], x: Tensor) -> Tensor:
    """(N,) which code made x."""
    return torch.cat([task.answer(players, {"x": part})["y"] for part in x.split(1000)])


def measured(task: InfoGAN, players: dict[str, nn.Module], real: dict[str, Tensor]) -> dict[str, Any]:
    """The error of matching, and for each code the digit that it stands for and its share of that digit."""
    told = {name: category(task, players, real[f"x_{name}"]) for name in ("train", "test")}
    table = torch.zeros(10, 10, dtype=torch.int64)
    table.index_put_((told["train"], real["y_train"]), torch.tensor(1), accumulate=True)
    codes, digits = linear_sum_assignment(-table.numpy())
    digit_of = torch.as_tensor(digits)[torch.as_tensor(codes).argsort()]
    right = digit_of[told["test"]] == real["y_test"]
    z = PRIOR(2000, torch.Generator().manual_seed(5))
    back = (category(task, players, task.answer(players, {"z": z})["x"]) == z[:, 62:72].argmax(1)).float().mean()
    each = {str(k): round(float(right[real["y_test"] == k].float().mean()), 4) for k in range(10)}
    return {
        "error": round(1 - float(right.float().mean()), 4),
        "read_back": round(float(back), 4),
        "digit_of_code": digit_of.tolist(),
        "right": each,
    }


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
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=5.0, help="of processor time for each seed")
    parser.add_argument("--weights", type=float, nargs=2, default=(1.0, 0.1), help="of the classes and of the values")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "infogan.json"
    results = stored_results(path)
    real, read = arrays(), reference_classifier.read("mnist")
    for seed in range(arguments.seeds):
        key = f"{arguments.minutes:g} minutes, seed {seed}"
        if key not in results:
            feed = Batches(from_array(np.ascontiguousarray(read["x_train"])), None, 64, seed)
            task, players, images = learn(feed, 60 * arguments.minutes, seed, tuple(arguments.weights))
            results[key] = {**measured(task, players, real), "images": images, "torch": torch.__version__}
            pictures.write(
                arguments.out / f"infogan-{seed}.png", sheet(players["generator"], results[key]["digit_of_code"])
            )
            write_json(path, results)
        print(key, json.dumps(results[key]), flush=True)


if __name__ == "__main__":
    main()
