"""Does `penalty_weight=auto` find a good weight? Against a sweep of five weights on three data sets.

Every run has the same time, of one thread by the clock of the processor; that of `auto` pays for its own short games
out of it. The figure is the run's held-out score at its end, lower is better. What the results file holds is not done
again.

    python benchmarks/auto_penalty.py --budget 120s
    python benchmarks/auto_penalty.py digits --budget 60s
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from coordination import DATA, RESULTS, held_out, one, one_thread
from evenodds.files import write_json
from evenodds.session import Session

SETS: dict[str, tuple[str, dict[str, Any]]] = {
    "digits": ("digits", {}),
    "fashion": ("gray-28", {"data": str(DATA / "fashion_mnist.npz")}),
    "grid": ("grid", {}),
}
WEIGHTS: tuple[float | str, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, "auto")


def judged(session: Session) -> dict[str, Any]:
    """The score, and the weight that was played with."""
    return {**held_out(session), "weight": session.config.penalty_weight, "failed": False}


def verdict(rows: dict[str, Any]) -> str:
    """Auto beside the best of the sweep."""
    swept = {w: row["score"] for w, row in rows.items() if w != "auto" and "score" in row}
    if "score" not in rows.get("auto", {}) or not swept:
        return "not complete"
    best = min(swept, key=lambda w: swept[w])
    auto = rows["auto"]
    return (
        f"auto chose {auto['weight']:g}: {auto['score']:.5g} [{auto['score_low']:.5g}, {auto['score_high']:.5g}]; "
        f"best of the sweep {best}: {swept[best]:.5g}; ratio {auto['score'] / swept[best]:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*SETS])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--budget", default="120s")
    parser.add_argument("--out", type=Path, default=RESULTS / "auto_penalty.json")
    arguments = parser.parse_args()
    one_thread()
    found = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for seed in arguments.seeds:
        for name in arguments.names:
            of, settings = SETS[name]
            rows = found.setdefault(f"{name}, seed {seed}", {})
            for weight in WEIGHTS:
                if str(weight) not in rows:
                    more = {**settings, "seed": seed, "penalty_weight": weight}
                    rows[str(weight)] = one(of, more, arguments.budget, judged)
                    found["about"] = {"budget": arguments.budget, "torch": torch.__version__}
                    write_json(arguments.out, found)
                print(name, seed, weight, json.dumps(rows[str(weight)]), flush=True)
            print(f"{name}, seed {seed}: {verdict(rows)}", flush=True)


if __name__ == "__main__":
    main()
