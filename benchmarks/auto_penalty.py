"""Does `penalty_weight=auto` find a good weight? Against a sweep of five weights on three data sets.

Every run has the same time, of one thread by the clock of the processor; that of `auto` pays for its own short games
out of it. Two figures at its end, lower is better: the run's held-out score, which for images lies around 0 within a
wide interval where a run is good; and a distance that is never 0, with as many items as there are: Fréchet, in random
features, for images, sliced Wasserstein for the grid. What the results file holds is not done again.

    python benchmarks/auto_penalty.py --budget 120s
    python benchmarks/auto_penalty.py digits --budget 60s
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from common.stored import stored_results
from coordination import DATA, RESULTS, held_out, one, one_thread
from evenodds.evaluation.evaluate import evaluate
from evenodds.files.write import write_json
from evenodds.runs.session import Session

SETS: dict[str, tuple[str, dict[str, Any]]] = {
    "digits": ("digits", {}),
    "fashion": ("gray-28", {"data": str(DATA / "fashion_mnist.npz")}),
    "grid": ("grid", {}),
}
WEIGHTS: tuple[float | str, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, "auto")


def measured(session: Session) -> dict[str, Any]:
    """The score, a distance by more items, and the weight that was played with."""
    name, features = ("frechet", "random") if session.card.shape[1:] else ("sliced_wasserstein", "pixels")
    score = evaluate(session, metrics=[name], features=features, n=4000).score(name)
    assert score is not None
    distance = {"distance": score.value, "distance_low": score.low, "distance_high": score.high}
    return {**held_out(session), **distance, "weight": session.config.penalty_weight, "failed": False}


def verdict(rows: dict[str, Any]) -> str:
    """Auto beside the best of the sweep."""
    swept = {w: row["distance"] for w, row in rows.items() if w != "auto" and "distance" in row}
    if "distance" not in rows.get("auto", {}) or not swept:
        return "not complete"
    best = min(swept, key=lambda w: swept[w])
    auto = rows["auto"]
    ends = f"[{auto['distance_low']:.4g}, {auto['distance_high']:.4g}]"
    return (
        f"auto chose {auto['weight']:g}: {auto['distance']:.4g} {ends}; "
        f"best of the sweep {best}: {swept[best]:.4g}; ratio {auto['distance'] / swept[best]:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*SETS])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--budget", default="120s")
    parser.add_argument("--out", type=Path, default=RESULTS / "auto_penalty.json")
    arguments = parser.parse_args()
    one_thread()
    results = stored_results(arguments.out)
    for seed in arguments.seeds:
        for name in arguments.names:
            of, settings = SETS[name]
            rows = results.setdefault(f"{name}, seed {seed}", {})
            for weight in WEIGHTS:
                if str(weight) not in rows:
                    more = {**settings, "seed": seed, "penalty_weight": weight}
                    rows[str(weight)] = one(of, more, arguments.budget, measured)
                    results["about"] = {"budget": arguments.budget, "torch": torch.__version__}
                    write_json(arguments.out, results)
                print(name, seed, weight, json.dumps(rows[str(weight)]), flush=True)
            print(f"{name}, seed {seed}: {verdict(rows)}", flush=True)


if __name__ == "__main__":
    main()
