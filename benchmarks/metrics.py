"""Time and peak memory of the metrics at full size, beside torchmetrics.

    python benchmarks/metrics.py [--rows 50000] [--columns 2048] [--balls 10000] [--laps 3] [--threads 2]

Both get the same features: Gaussians with a decaying spectrum, no image and no network. Every candidate runs in a
process of its own, so that its peak memory is its own; that memory includes the library and the float32 inputs, the
time includes neither. torchmetrics is fed in batches of 1,000 rows and otherwise left at its defaults; the balls of
precision, recall, density and coverage, which it does not have, are compared with three whole `torch.cdist`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

Outcome = dict[str, float]
Candidate = Callable[[Tensor, Tensor], Outcome]
CLASSES, K, BATCH = 1008, 5, 1000


class AsTheyCome(nn.Module):
    """Features for "images" that are features already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x


def frechet_ours(real: Tensor, fake: Tensor) -> Outcome:
    from evenodds.metrics.frechet import frechet

    return {"value": float(frechet(real, fake))}


def frechet_theirs(real: Tensor, fake: Tensor) -> Outcome:
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=AsTheyCome(real.shape[1]))
    feed(metric, real, fake)
    return {"value": float(metric.compute())}


def kernel_ours(real: Tensor, fake: Tensor) -> Outcome:
    from evenodds.metrics.kernel import kernel_distance_blocks

    found = kernel_distance_blocks(real, fake)
    return {"value": float(found.mean), "standard_error": float(found.standard_error)}


def kernel_theirs(real: Tensor, fake: Tensor) -> Outcome:
    from torchmetrics.image.kid import KernelInceptionDistance

    metric = KernelInceptionDistance(feature=AsTheyCome(real.shape[1]))
    feed(metric, real, fake)
    mean, deviation = metric.compute()
    return {"value": float(mean), "deviation_of_subsets": float(deviation)}


def score_ours(logits: Tensor, _: Tensor) -> Outcome:
    from evenodds.metrics.inception_score import inception_score

    found = inception_score(logits.softmax(1))
    return {"value": float(found.mean), "deviation_of_splits": float(found.splits.std())}


def score_theirs(logits: Tensor, _: Tensor) -> Outcome:
    from torchmetrics.image.inception import InceptionScore

    metric = InceptionScore(feature=AsTheyCome(logits.shape[1]))
    for batch in logits.split(BATCH):  # type: ignore[no-untyped-call]
        metric.update(batch)
    mean, deviation = metric.compute()
    return {"value": float(mean), "deviation_of_splits": float(deviation)}


def balls_ours(real: Tensor, fake: Tensor) -> Outcome:
    from evenodds.metrics.manifold import density_coverage, precision_recall

    found = precision_recall(real, fake, k=K), density_coverage(real, fake, k=K)
    return {name: float(x) for scores in found for name, x in scores._asdict().items()}


def balls_plain(real: Tensor, fake: Tensor) -> Outcome:
    """Float32, all distances at once."""
    of_real, of_fake = (torch.cdist(x, x).topk(K + 1, largest=False).values[:, -1] for x in (real, fake))
    between = torch.cdist(real, fake)
    inside = between <= of_real[:, None]
    return {
        "precision": float(inside.any(0).double().mean()),
        "recall": float((between <= of_fake).any(1).double().mean()),
        "density": float(inside.sum() / (K * len(fake))),
        "coverage": float(inside.any(1).double().mean()),
    }


def feed(metric: nn.Module, real: Tensor, fake: Tensor) -> None:
    for x, is_real in ((real, True), (fake, False)):
        for batch in x.split(BATCH):  # type: ignore[no-untyped-call]
            metric.update(batch, real=is_real)  # type: ignore[operator]


CANDIDATES: dict[str, dict[str, Candidate]] = {
    "Fréchet distance": {"evenodds": frechet_ours, "torchmetrics": frechet_theirs},
    "kernel distance": {"evenodds": kernel_ours, "torchmetrics": kernel_theirs},
    "inception score": {"evenodds": score_ours, "torchmetrics": score_theirs},
    "precision, recall, density, coverage": {"evenodds": balls_ours, "torch.cdist": balls_plain},
}


def features(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """(rows, columns) float32 twice; standard deviations fall with the square root of the column's number."""
    rng = torch.Generator().manual_seed(0)
    scale = torch.arange(1.0, columns + 1) ** -0.5
    real, fake = torch.randn(rows, columns, generator=rng), torch.randn(rows, columns, generator=rng)
    return real.mul_(scale), fake.mul_(scale * 1.05).add_(0.01)


def logits(rows: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(rows, CLASSES, generator=rng).mul_(3)
    return x, x


def inputs(metric: str, options: argparse.Namespace) -> tuple[Tensor, Tensor]:
    if metric == "inception score":
        return logits(options.rows)
    return features(
        min(options.balls, options.rows) if metric.startswith("precision") else options.rows, options.columns
    )


def perform(metric: str, candidate: str, options: argparse.Namespace) -> dict[str, object]:
    """What one process measures."""
    warnings.simplefilter("ignore")
    real, fake = inputs(metric, options)
    # The first call of either side loads its library; a small one keeps that out of the time.
    CANDIDATES[metric][candidate](real[:200], fake[:200]) if candidate != "torchmetrics" else __import__("torchmetrics")
    before, seconds, outcome = peak(), [], {}
    for _ in range(options.laps):
        begun = time.perf_counter()
        outcome = CANDIDATES[metric][candidate](real, fake)
        seconds.append(time.perf_counter() - begun)
    return {
        "shape": list(real.shape),
        "seconds": round(statistics.median(seconds), 2),
        "memory_with_inputs_mb": before,
        "peak_memory_mb": peak(),
        **outcome,
    }


def peak() -> int:
    """The most memory that this process has held, in MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--columns", type=int, default=2048)
    parser.add_argument("--balls", type=int, default=10_000, help="rows for precision, recall, density and coverage")
    parser.add_argument("--laps", type=int, default=3, help="the median counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "metrics.json")
    parser.add_argument("--only", nargs=2, metavar=("METRIC", "CANDIDATE"), help="measure it in this process")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.only:
        print(json.dumps(perform(options.only[0], options.only[1], options)))
        return
    setting = {"torch": torch.__version__, "threads": options.threads, "cores": os.cpu_count(), "laps": options.laps}
    result: dict[str, object] = {"setting": setting}
    print(f"{'':38}{'':14}{'seconds':>9}{'peak MB':>9}  value")
    for metric, candidates in CANDIDATES.items():
        found = {}
        for name in candidates:
            command = [sys.executable, __file__, *sys.argv[1:], "--only", metric, name]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found[name] = json.loads(answer.splitlines()[-1])
            value = found[name].get("value", found[name].get("precision"))
            print(
                f"{metric:38}{name:14}{found[name]['seconds']:9.2f}{found[name]['peak_memory_mb']:9}  {value:.6g}",
                flush=True,
            )
        result[metric] = found
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
