"""InfoGAN on MNIST: does the categorical code become the digit, without a label?

The recipe `codes` as it is, at a fixed number of images: a code of 10 categories and 2 values beside 62 numbers of
noise, and a reader that settles the categories on real images within the run. No label is read. Categories are matched
to digits one to one, so that most training images are right; the error is that on the 10,000 test images. Chen et al.
(2016), section 7.2, have an error of 5 % in matching.

What results/infogan.json holds already is not done again.

    python benchmarks/infogan.py                       # 3 seeds of about 5 minutes of processor time, on one thread
    python benchmarks/infogan.py --seeds 100 --images 40k --out try
    python benchmarks/infogan.py --seeds 100 --set task.starts=1 --out try
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

import evenodds
import reference_classifier
from common.stored import stored_results
from evenodds.cli.app import setting_values
from evenodds.files.write import write_json
from evenodds.parts.priors import Coded
from evenodds.runs.session import Session
from evenodds.runs.values import as_number
from evenodds.show import pictures
from inference import arrays

IMAGES = 370_000
RESULTS = Path(__file__).parent / "results"


def category(session: Session, x: Tensor) -> Tensor:
    """(N,) which code made x, as the run reads it."""
    return torch.cat([session.reply({"x": part})["y"] for part in x.split(1000)])


def matched(told: dict[str, Tensor], real: dict[str, Tensor]) -> tuple[list[int], Tensor]:
    """The digit of each category, by the training images; and which test images (N,) are then right."""
    table = torch.zeros(10, 10, dtype=torch.int64)
    table.index_put_((told["train"], real["y_train"]), torch.tensor(1), accumulate=True)
    codes, digits = linear_sum_assignment(-table.numpy())
    digit_of = torch.as_tensor(digits)[torch.as_tensor(codes).argsort()]
    return digit_of.tolist(), digit_of[told["test"]] == real["y_test"]


def measured(session: Session, real: dict[str, Tensor]) -> dict[str, Any]:
    """The error of matching, and for each code the digit that it stands for and its share of that digit."""
    told = {name: category(session, real[f"x_{name}"]) for name in ("train", "test")}
    digit_of, right = matched(told, real)
    z = session.prior(2000, 5)
    back = (category(session, session.answer(z)) == z[:, 62:72].argmax(1)).float().mean()
    each = {str(k): round(float(right[real["y_test"] == k].float().mean()), 4) for k in range(10)}
    return {
        "error": round(1 - float(right.float().mean()), 4),
        "read_back": round(float(back), 4),
        "digit_of_code": digit_of,
        "right": each,
    }


@torch.no_grad()
def sheet(generator: nn.Module, digit_of: list[int]) -> np.ndarray:
    """8 rows with a column for each code, in the order of the digits; then 2 rows for each value, from -1.5 to 1.5."""
    z = Coded(62, 10, 2)(10, torch.Generator().manual_seed(3))
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
    parser.add_argument("--seeds", type=int, nargs="+", default=[13, 14, 15])
    parser.add_argument("--images", type=as_number, default=IMAGES, help="shown in each run")
    parser.add_argument("--set", nargs="+", default=[], help="settings beside those of the recipe")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "infogan.json"
    results = stored_results(path)
    real, x = arrays(), reference_classifier.read("mnist")["x_train"]
    settings = {key.replace(".", "__"): value for key, value in setting_values(arguments.set).items()}
    for seed in arguments.seeds:
        key = " ".join([f"{arguments.images:,} images, seed {seed}", *arguments.set])
        if key not in results:
            begun = time.process_time()
            with tempfile.TemporaryDirectory() as folder:
                alike: dict[str, Any] = {"images": arguments.images, "seed": seed, "device": "cpu", "threads": 1}
                session = evenodds.fit(x, "codes", out=Path(folder) / "run", **alike, **settings)
                if session.images < arguments.images:
                    raise SystemExit(f"interrupted after {session.images:,} images; nothing is stored")
                spent = round(time.process_time() - begun, 1)
                more = {"cpu_seconds": spent, "precision": session.config.precision, "torch": torch.__version__}
                results[key] = {**measured(session, real), **more}
                picture = sheet(session.players["generator"], results[key]["digit_of_code"])
            pictures.write(arguments.out / f"infogan-{seed}.png", picture)
            write_json(path, results)
        print(key, json.dumps(results[key]), flush=True)


if __name__ == "__main__":
    main()
