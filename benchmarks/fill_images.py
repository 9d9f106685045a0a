"""Hidden parts of images: are several fillings better than one, and do they spread as they should?

The recipe fill-32 on MNIST (28 x 28) and CIFAR-10 (32 x 32), judged on 1,000 test images with two kinds of masks:
"scattered" hides each pixel with a chance of 50 to 90 %, "box" a box with half of each side. Errors are root mean
squares over hidden values in [-1, 1]: of one filling, of the mean of 8 as `evenodds fill` makes them, in pairs of
opposed noise, and of 8 independent ones, of the mean training image, of the one of 10,000 training images that is
nearest in what is observed, and of harmonic inpainting, which solves Laplace's equation. Independent fillings that are
draws from p(hidden | observed) are exchangeable with the truth: the mean of 8 then has (8 + 1) / (2 * 8) of the squared
error of one, and the truth is neither the least nor the greatest of n fillings and itself in (n - 1) / (n + 1) of all
cases, ties being broken by chance and all rounded to 8 bits. What counts as a pixel is up to the data: those whose
deviation over 10,000 training images is above 0.1.

What results/fill_images.json holds already is not done again.

    python benchmarks/fill_images.py --minutes 6 mnist
    python benchmarks/fill_images.py --minutes 8 cifar10
    python benchmarks/fill_images.py mnist --set task.joint=2 --out try
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import reference_classifier
from common.stored import stored_results
from evenodds.data.dataset import Dataset
from evenodds.data.readers.arrays import from_array
from evenodds.data.sources import load
from evenodds.files.write import write_json
from evenodds.game.arithmetic import evenly
from evenodds.game.trainer import train
from evenodds.parts.masks import Boxes, Masks, Scattered
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.show import pictures
from inference import Clock

RESULTS = Path(__file__).parent / "results"
MASKS: dict[str, Masks] = {"scattered": Scattered(0.5, 0.9), "box": Boxes(0.5, 0.5)}
JUDGED, FILLINGS, RANGE, VARIES = 1000, 8, 39, 0.1


def opened(name: str) -> tuple[Dataset, Tensor]:
    """The training data, and 1,000 test images in [-1, 1]."""
    if name == "mnist":
        read = reference_classifier.read("mnist")
        test = from_array(np.ascontiguousarray(read["x_test"][:JUDGED]))
        return from_array(np.ascontiguousarray(read["x_train"])), test.batch(torch.arange(JUDGED))["x"]
    home = Path(__file__).parents[2] / "shared" / "data"
    train_data, test = (load(home / f"cifar10-jpeg-{part}.zip") for part in ("train", "test"))
    spread = evenly(len(test), JUDGED)  # files come class by class
    order = torch.randperm(len(train_data), generator=torch.Generator().manual_seed(0))
    return train_data.take(order), test.batch(
        spread[torch.randperm(JUDGED, generator=torch.Generator().manual_seed(0))]
    )["x"]


def learned(data: Dataset, seconds: float, seed: int, settings: dict[str, str]) -> tuple[Run, int]:
    """The run after so many seconds of processor time, and the images shown."""
    fixed = {"size": None, "images": 10**9, "held_out": 0, "average_half_life": 5e-6, "seed": seed, "device": "cpu"}
    run = Run(with_settings(recipe("fill-32"), {**fixed, **settings}), data)
    clock = Clock(seconds)
    run.learner.rate = clock.rate
    assert run.average is not None
    made = train(run.game, run.feed, run.learner, run.engine, images=10**9, seed=seed, listeners=[run.average, clock])
    return run, made.images


def filled(run: Run, x: Tensor, mask: Tensor, n: int, opposed: bool = True) -> Tensor:
    """(n, N, C, H, W); by pairs of opposed noise, as `evenodds fill` makes them, or independent of each other."""
    assert run.average is not None
    rng, players = torch.Generator().manual_seed(7), {"generator": run.average.copies["generator"]}
    parts = []
    for some, hidden in zip(x.split(100), mask.split(100), strict=True):
        z = run.task.prior(n * len(some), rng).view(n, len(some), -1)
        if opposed:
            z[1::2] = -z[: n - n % 2 : 2]
        made = run.task.answer(players, {"x": some, "mask": hidden, "z": z.flatten(0, 1)})["x"]
        parts.append(made.view(n, *some.shape))
    return torch.cat(parts, 1)


def nearest(train_x: Tensor, x: Tensor, mask: Tensor) -> Tensor:
    """The training image that is nearest in what is observed of each x."""
    flat, nearest = train_x.flatten(1), []
    for some, shown in zip(x.split(100), mask.expand_as(x).split(100), strict=True):
        a, m = some.flatten(1), shown.flatten(1)
        distance = m @ flat.square().T - 2 * (m * a) @ flat.T  # up to what is the same for all training images
        nearest.append(train_x[distance.argmin(1)])
    return torch.cat(nearest)


def harmonic(x: Tensor, mask: Tensor, steps: int = 500) -> Tensor:
    """Hidden pixels are the mean of their four neighbours; borders are mirrored."""
    kernel = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0.0]]).expand(x.shape[1], 1, 3, 3) / 4
    filled = torch.where(mask > 0, x, 0.0)
    for _ in range(steps):
        around = F.conv2d(F.pad(filled, (1, 1, 1, 1), mode="replicate"), kernel, groups=x.shape[1])
        filled = torch.where(mask > 0, x, around)
    return filled


def eight_bit(x: Tensor) -> Tensor:
    return ((x + 1) * 127.5).round().clamp(0, 255)


def covered(made: Tensor, x: Tensor) -> Tensor:
    """(N, C, H, W): the chance that x is neither first nor last among the fillings (n, N, C, H, W), ties by chance."""
    made, x = eight_bit(made), eight_bit(x)
    alike = 1 / ((made == x).sum(0) + 1)
    return 1 - alike * (made >= x).all(0) - alike * (made <= x).all(0)


def errors(run: Run, data: Dataset, x: Tensor, masks: Masks) -> dict[str, Any]:
    """All figures for one kind of mask."""
    mask = masks(x.shape, torch.Generator().manual_seed(11))
    hidden = (1 - mask).expand_as(x)
    made, some = filled(run, x, mask, RANGE, opposed=False), data.batch(torch.arange(10_000))["x"]
    guesses = {
        "one filling": made[0],
        f"mean of {FILLINGS}": filled(run, x, mask, FILLINGS).mean(0),
        f"mean of {FILLINGS} independent": made[:FILLINGS].mean(0),
        "mean image": some.mean(0).expand_as(x),
        "nearest image": nearest(some, x, mask),
        "harmonic": harmonic(x, mask),
    }
    squares = {name: ((guess - x).square() * hidden).flatten(1).sum(1) for name, guess in guesses.items()}
    count = hidden.sum()
    rms = {name: round(float((square.sum() / count).sqrt()), 4) for name, square in squares.items()}
    gain = (squares["one filling"] - squares[f"mean of {FILLINGS}"]) / hidden.flatten(1).sum(1)
    half = 1.96 * float(gain.std()) / len(gain) ** 0.5
    ratio = float(squares[f"mean of {FILLINGS} independent"].sum() / squares["one filling"].sum())
    varied = (hidden > 0) & (some.std(0) > VARIES)
    shares = {n: round(float(covered(made[:n], x)[varied].mean()), 4) for n in (FILLINGS, RANGE)}
    return {
        "error": rms,
        "gain of the mean in squared error": [round(float(gain.mean()) + s * half, 4) for s in (-1, 0, 1)],
        "ratio of squared errors, due 0.5625": round(ratio, 4),
        "covered by 8, due 0.7778": shares[FILLINGS],
        "covered by 39, due 0.95": shares[RANGE],
        "share of pixels that counts": round(float(varied.sum() / count), 4),
    }  # fmt: skip


def picture(run: Run, x: Tensor, path: Path) -> None:
    """Ten columns, five with each mask: the image, what is shown of it, four fillings, the mean of 8."""
    kinds = [masks(x[:5].shape, torch.Generator().manual_seed(3)) for masks in MASKS.values()]
    some, mask = x[:10], torch.cat(kinds)
    made = filled(run, some, mask, FILLINGS)
    rows = torch.cat([some, torch.where(mask > 0, some, torch.zeros(()) + 0.1), *made[:4], made.mean(0)])
    eight = eight_bit(rows).to(torch.uint8).numpy()
    pictures.write(path, pictures.enlarge(pictures.grid(eight, columns=10), 600))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=["mnist", "cifar10"])
    parser.add_argument("--minutes", type=float, default=6.0, help="of processor time")
    parser.add_argument("--set", nargs="*", default=[], dest="settings", help="of the recipe, for a trial; see --out")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "fill_images.json"
    results = stored_results(path)
    settings = dict(pair.split("=", 1) for pair in arguments.settings)
    for name in arguments.names:
        key = f"{name}, {arguments.minutes:g} minutes"
        if key not in results:
            data, x = opened(name)
            begun = time.process_time()
            run, images = learned(data, 60 * arguments.minutes, 0, settings)
            spent = round(time.process_time() - begun, 1)
            with torch.no_grad():
                results[key] = {kind: errors(run, data, x, masks) for kind, masks in MASKS.items()}
                picture(run, x, arguments.out / f"fill-{name}.png")
            results[key] |= {"images": images, "processor_seconds": spent, "torch": torch.__version__}
            write_json(path, results)
        print(key, json.dumps(results[key]), flush=True)


if __name__ == "__main__":
    main()
