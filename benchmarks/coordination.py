"""Which way of keeping the players in step is best? One table: 25 modes of a grid, then Fashion-MNIST.

Every arm has the same networks, data and time, which is one thread's by the clock of the processor. First each is
played without a penalty and with R1 + R2 on `grid`, 30 seconds a run; then the four best on Fashion-MNIST, 3 minutes a
run. Three seeds each. A run fails where it diverges or, on the grid, where modes are missing at the end. What the
results file holds is not done again.

    python benchmarks/coordination.py                              # both stages
    python benchmarks/coordination.py grid --budget 30s --seeds 0 1 2
    python benchmarks/coordination.py fashion --budget 180s --arms "1:1, r1_r2" "lookahead, r1_r2"
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.stored import stored_results
from evenodds.data.readers.toys import Grid
from evenodds.errors import Diverged
from evenodds.evaluation.evaluate import evaluate
from evenodds.files.write import write_json
from evenodds.metrics.modes import mode_coverage
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.config_files import recipe
from evenodds.runs.folders import as_seconds
from evenodds.runs.run import start
from evenodds.runs.session import Session

RESULTS = Path(__file__).parent / "results"
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
RATES = {"grid": 0.003, "gray-28": 0.002}
"""Learning rates of the recipes, which two time-scales are set around."""
Settings = dict[str, Any]


def ways(name: str) -> dict[str, Settings]:
    """The ways to coordinate, as settings of a recipe."""
    rate = RATES[name]
    return {
        "1:1": {},
        "5:1": {"discriminator_steps": 5},
        "TTUR": {"learning_rate": rate / 2, "discriminator_learning_rate": 2 * rate},
        "balance by rate": {"balance": "rate"},
        "balance by steps": {"balance": "steps"},
        "extra-gradient": {"learner": "extragradient"},
        "optimistic Adam": {"optimizer": "OptimisticAdam", "optimizer.betas": [0.0, 0.99]},
        "lookahead": {"learner": "lookahead"},
    }


def arms(name: str) -> dict[str, Settings]:
    """Each way without a penalty and with the recipe's, R1 + R2."""
    results = {}
    for way, settings in ways(name).items():
        results[f"{way}, plain"] = {**settings, "penalty": None, "penalty_every": 1}
        results[f"{way}, r1_r2"] = settings
    return results


def modes(session: Session) -> dict[str, Any]:
    """On the grid: modes found, the share of samples within 3 sigma of one, the held-out score."""
    density = Grid()
    share, close = mode_coverage(torch.as_tensor(session.sample(10_000, seed=1)), density.modes, density.sigma)
    covered = int((share > 0).sum())
    return {
        "modes": covered,
        "least share of its due": round(float(share.min() * len(share)), 3),
        "within 3 sigma": round(float(close), 4),
        **held_out(session),
        "failed": covered < len(share),
    }


def held_out(session: Session) -> dict[str, Any]:
    """The run's own held-out score at its end."""
    line = next(line for line in reversed(session.history()) if "score" in line)
    return {name: round(line[name], 6) for name in ("score", "score_low", "score_high")}


def fidelity(session: Session) -> dict[str, Any]:
    """On images: Fréchet distance, kernel distance, precision, recall and coverage in random features."""
    names = ["frechet", "kernel", "precision", "recall", "coverage"]
    result = evaluate(session, metrics=names, features="random", n=4000)
    results: dict[str, Any] = {}
    for name in names:
        score = result.score(name)
        assert score is not None
        results[name] = [round(value, 4) for value in (score.value, score.low, score.high)]
    # Far worse than any run that works, which lie below 0.1 times the distance of noise.
    return {**results, **held_out(session), "failed": results["coverage"][0] < 0.1}


def one_thread() -> None:
    """One thread, and budgets in seconds of the processor: whatever else runs, an arm gets what an idle core gives."""
    torch.set_num_threads(1)
    time.perf_counter = time.process_time  # the clock by which runs are planned and ended


def one(config_of: str, settings: Mapping[str, Any], budget: str, measure: Callable[[Session], dict[str, Any]]) -> Any:
    """One run, measured and thrown away. A budget is a time such as 30s, or a number of images such as 64000images."""
    folder, begun = Path(tempfile.mkdtemp()), time.perf_counter()
    try:
        config = with_settings(recipe(config_of), {"device": "cpu", **settings})
        session = played(config, budget, folder / "run")
        seconds = round(time.perf_counter() - begun, 1)
        return {"seconds": seconds, "images": session.images, **measure(session)}
    except Diverged as error:
        return {"seconds": round(time.perf_counter() - begun, 1), "failed": True, "why": str(error)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def played(config: Config, budget: str, out: Path) -> Session:
    """A run within a budget; KeyboardInterrupt where it was stopped before both its end and that of its budget."""
    counted, begun = budget.endswith("images"), time.perf_counter()
    config = replace(config, images=int(budget.removesuffix("images"))) if counted else config
    seconds = None if counted else as_seconds(budget)
    session = start(config, out=out, budget=seconds)
    used_up = seconds is not None and time.perf_counter() - begun > 0.9 * seconds
    if session.images < session.config.images and not used_up:
        raise KeyboardInterrupt
    return session


def table(
    path: Path,
    stage: str,
    chosen: Mapping[str, Settings],
    seeds: Sequence[int],
    run: Callable[[Settings], dict[str, Any]],
) -> dict[str, Any]:
    """Plays what the file lacks of a stage, arm by arm within each seed, and writes it down run by run."""
    results = stored_results(path)
    rows = results.setdefault(stage, {})
    for seed in seeds:
        for name, settings in chosen.items():
            if str(seed) not in rows.setdefault(name, {}):
                rows[name][str(seed)] = run({**settings, "seed": seed})
                results["about"] = {"torch": torch.__version__, "threads": torch.get_num_threads()}
                write_json(path, results)
                print(stage, name, seed, json.dumps(rows[name][str(seed)]), flush=True)
    return dict(rows)


def summary(rows: Mapping[str, Any], key: str) -> list[tuple[str, float, float, float]]:
    """Arm, mean of a figure over its seeds, half its range, share of failed runs; the best first, failures last."""
    results = []
    for name, by_seed in rows.items():
        values = [v[0] if isinstance(v, list) else v for row in by_seed.values() if (v := row.get(key)) is not None]
        failed = float(np.mean([bool(row["failed"]) for row in by_seed.values()]))
        mean, spread = (float(np.mean(values)), float(np.ptp(values)) / 2) if values else (float("inf"), 0.0)
        results.append((name, mean, spread, failed))
    return sorted(results, key=lambda row: (row[3], row[1]))


def show(rows: Mapping[str, Any], key: str) -> None:
    """The table as text."""
    print(f"\n{'':28} {key:>10} {'+-':>9} {'failed':>7}")
    for name, mean, spread, failed in summary(rows, key):
        print(f"{name:28} {mean:10.4f} {spread:9.4f} {failed:7.0%}")


def options(description: str | None, stages: Sequence[str], out: str) -> argparse.ArgumentParser:
    """The arguments that the tables share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", default=[*stages], help=f"of {', '.join(stages)}")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--arms", nargs="*", help="only these")
    parser.add_argument("--budget", help="of a run, in place of the stage's own")
    parser.add_argument("--best", type=int, default=4, help="arms of the grid that go on to Fashion-MNIST")
    parser.add_argument("--out", type=Path, default=RESULTS / out)
    return parser


def stages(arguments: argparse.Namespace, arms: Callable[[str], dict[str, Settings]]) -> None:
    """The grid with all arms, then Fashion-MNIST with the best of them, or with those that are named."""
    one_thread()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    best = arguments.arms
    if "grid" in arguments.stages:
        chosen = {name: value for name, value in arms("grid").items() if not arguments.arms or name in arguments.arms}
        budget = arguments.budget or "30s"
        rows = table(arguments.out, "grid", chosen, arguments.seeds, lambda s: one("grid", s, budget, modes))
        show(rows, "score")
    if "fashion" in arguments.stages:
        if not best:
            rows = json.loads(arguments.out.read_text())["grid"]
            best = [name for name, *_ in summary(rows, "score")][: arguments.best]
        data = {"data": str(DATA / "fashion_mnist.npz")}
        chosen = {name: {**value, **data} for name, value in arms("gray-28").items() if name in best}
        budget = arguments.budget or "180s"
        rows = table(arguments.out, "fashion", chosen, arguments.seeds, lambda s: one("gray-28", s, budget, fidelity))
        show(rows, "frechet")


if __name__ == "__main__":
    stages(options(__doc__, ("grid", "fashion"), "coordination.json").parse_args(), arms)
