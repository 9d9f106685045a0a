"""Table 1 of Goodfellow et al. (2014) for MNIST: Parzen-window log-likelihood of the test images, in nats.

Gaussian windows around 10,000 samples, sigma by cross-validation, mean and standard error over the 10,000 test images,
all values in [0, 1]. Published there: DBN 138 +- 2, stacked CAE 121 +- 1.6, deep GSN 214 +- 1.1, adversarial nets
225 +- 2; their sigma came from 10 values between 0.1 and 1, here from many, which can only help.

Sigma is chosen on the last 10,000 training images, as usual for MNIST. A generator that was trained on them too is
best judged on images that it has not seen: name its run's data.json with --card, and its held-out rows are taken.

    python benchmarks/parzen.py                                         # what real images reach, and what misleads
    python benchmarks/parzen.py --samples mine.npz other.npz:images     # (N, 28, 28) or alike; key x unless named
    python benchmarks/parzen.py --samples mine.npz --card runs/mnist-1/data.json --json table.json

What to read it against (Theis et al. 2016, table 1): 10,000 real images are NOT the best samples. The middles of
10,000 clusters, averages of a few images each, score higher than the data themselves (they found 313 against 243), so a
generator above the first line of the table is no better than the data: it is smoother. One image, the mean, is there
to show where the scale starts.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import reference_classifier
from evenodds.files.write import write_json
from evenodds.metrics.likelihood import parzen

COUNT = 10_000
PUBLISHED = {"DBN": (138, 2), "stacked CAE": (121, 1.6), "deep GSN": (214, 1.1), "adversarial nets": (225, 2)}


def unit(x: np.ndarray, name: str) -> Tensor:
    """uint8, or float in [0, 1] or [-1, 1], of 28 x 28 images -> float32 (N, 784) in [0, 1]."""
    rows = torch.from_numpy(np.ascontiguousarray(x)).flatten(1)
    if rows.shape[1] != 784:
        raise SystemExit(f"{name} must hold images of 28 x 28, got {tuple(x.shape)}")
    if rows.dtype == torch.uint8:
        return rows.float() / 255
    low, high = (float(extreme) for extreme in rows.aminmax())
    if not -1.001 <= low <= high <= 1.001:
        raise SystemExit(f"{name} must be uint8, or float in [0, 1] or [-1, 1], got {rows.dtype} in [{low}, {high}]")
    return (rows.float() + 1) / 2 if low < 0 else rows.float()


def samples(what: str) -> Tensor:
    """The images of `FILE.npz` or `FILE.npz:key`."""
    path, _, key = what.partition(".npz:")
    path, key = (path + ".npz", key) if key else (what, "x")
    with np.load(path, allow_pickle=False) as arrays:
        if key not in arrays:
            raise SystemExit(f"{path} has no '{key}'; it holds {', '.join(arrays)}: name one as {path}:NAME")
        return unit(arrays[key], what)[:COUNT]


def blurred(x: Tensor) -> Tensor:
    """Every pixel the mean of 3 x 3."""
    return F.avg_pool2d(x.view(-1, 1, 28, 28), 3, 1, 1).flatten(1)


def cluster_middles(x: Tensor, middles: Tensor, rounds: int) -> Tensor:
    """Lloyd's k-means from given middles, in float32: (K, D)."""
    for _ in range(rounds):
        lengths = middles.square().sum(1)
        cell = torch.cat([torch.addmm(lengths, part, middles.T, alpha=-2).argmin(1) for part in x.split(500)])
        count = torch.bincount(cell, minlength=len(middles))[:, None]
        means = torch.zeros_like(middles).index_add_(0, cell, x) / count.clamp_min(1)
        middles = torch.where(count > 0, means, middles)
    return middles


def baselines(train: Tensor, seed: int, rounds: int) -> dict[str, Tensor]:
    """Real images as samples, and three things made of them."""
    chosen = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:COUNT]]
    found = {"training images": chosen, "the same, blurred": blurred(chosen), "their mean": train.mean(0, keepdim=True)}
    if rounds:
        found[f"middles of {len(chosen):,} clusters"] = cluster_middles(train, chosen, rounds)
    return found


def table(subjects: dict[str, Tensor], validation: Tensor, test: Tensor) -> dict[str, dict[str, object]]:
    """One line for each, printed as it comes."""
    print(f"{'samples':40}{'number':>8}{'nats':>9}{'+-':>6}{'sigma':>8}{'s':>6}")
    lines: dict[str, dict[str, object]] = {}
    for name, x in subjects.items():
        begun = time.perf_counter()
        found = parzen(x, validation, test)
        seconds = time.perf_counter() - begun
        lines[name] = {
            "samples": len(x),
            "mean": round(found.mean, 2),
            "standard_error": round(found.standard_error, 2),
            "sigma": round(found.sigma, 4),
            "inside": found.inside,
            "seconds": round(seconds, 1),
        }
        edge = "" if found.inside else "  the best sigma lies outside all that were tried"
        shown = f"{found.mean:9.1f}{found.standard_error:6.1f}{found.sigma:8.4f}{seconds:6.0f}"
        print(f"{name:40}{len(x):8,}{shown}{edge}", flush=True)
    return lines


def main() -> dict[str, object]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", nargs="*", default=[], metavar="FILE.npz[:KEY]")
    parser.add_argument("--card", type=Path, help="data.json of the run that made the samples: names its held-out rows")
    parser.add_argument("--data", type=Path, help="folder with mnist.npz; default ../shared/data")
    parser.add_argument("--rounds", type=int, default=5, help="of k-means; 0 leaves this line, a minute, out")
    parser.add_argument("--only", action="store_true", help="the named samples without the lines to compare with")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the table here too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arrays = reference_classifier.read("mnist", arguments.data)
    known, test = unit(arrays["x_train"], "x_train"), unit(arrays["x_test"], "x_test")
    rows = (
        json.loads(arguments.card.read_text(encoding="utf-8"))["held_out"]
        if arguments.card
        else list(range(50_000, 60_000))
    )
    kept = torch.zeros(len(known), dtype=torch.bool)
    kept[rows] = True
    subjects = {} if arguments.only else baselines(known[~kept], arguments.seed, arguments.rounds)
    subjects |= {what: samples(what) for what in arguments.samples}
    result = {
        "protocol": {
            "test": len(test),
            "validation": f"{len(rows):,} training images, {'held out by the run' if arguments.card else 'the last'}",
            "range": [0, 1],
            "seed": arguments.seed,
        },
        "published": PUBLISHED,
        "scores": table(subjects, known[kept], test),
        "torch": torch.__version__,
    }
    if arguments.json:
        write_json(arguments.json, result)
    return result


if __name__ == "__main__":
    main()
