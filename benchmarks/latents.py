"""Which z? Priors and uses of z while training, one table as of coordination.py; and ways to draw from a trained run.

First the arms on the grid of 25 modes, 30 seconds a run, then the four best on Fashion-MNIST, 3 minutes a run; three
seeds each. Then one run of Fashion-MNIST with a normal prior is drawn from with truncation, discriminator rejection
sampling and discriminator-driven Langevin sampling: precision against recall, in random features, with intervals.
What the results file holds is not done again.

    python benchmarks/latents.py
    python benchmarks/latents.py draws --budget 180s
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from common.stored import stored_results
from coordination import DATA, Settings, one_thread, options, played, stages
from evenodds.apply.selecting import sample
from evenodds.evaluation.evaluate import evaluate
from evenodds.files.write import write_json
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe

DRAWN = 4000
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    **{f"truncation {factor:g}": {"truncation": factor} for factor in (0.9, 0.8, 0.7, 0.5)},
    **{f"rejection, rate {rate:g}": {"select": "rejection", "rate": rate} for rate in (0.5, 0.2, 0.05)},
    **{f"langevin, {steps} steps": {"select": "langevin", "steps": steps} for steps in (10, 30, 100)},
}


def arms(name: str) -> dict[str, Settings]:
    """What is done with z, as settings of a recipe."""
    size = recipe(name).prior.options["size"]

    def prior(kind: str, **more: Any) -> Settings:
        return {"prior": kind, "prior.size": size, **{f"prior.{key}": value for key, value in more.items()}}

    return {
        "normal": {},
        "uniform": prior("uniform"),
        "mixture": prior("mixture"),
        "mixture, learned": prior("learned"),
        "truncation, growing": prior("growing"),
        "latent optimisation": {"task": "logan"},
        "top-k": {"top": 0.5},
        "densest 80 %": {"densest": 0.8},
    }


def draws(path: Path, budget: str) -> None:
    """Precision and recall of each way to draw from one run."""
    results = stored_results(path)
    rows = results.setdefault("draws", {})
    missing = [way for way in WAYS if way not in rows]
    if missing:
        with tempfile.TemporaryDirectory() as folder:
            settings = {"data": str(DATA / "fashion_mnist.npz"), "device": "cpu"}
            config = with_settings(recipe("gray-28"), settings)
            session = played(config, budget, Path(folder) / "run")
            for way in missing:
                x = sample(session, DRAWN, seed=1, **WAYS[way])
                names = ["precision", "recall", "kernel", "coverage"]
                result = evaluate(x[:, 0], session.folder, metrics=names, features="random", n=DRAWN)
                scores = {name: result.score(name) for name in names}
                rows[way] = {
                    name: [round(v, 4) for v in (score.value, score.low, score.high)]
                    for name, score in scores.items()
                    if score is not None
                }
                write_json(path, results)
                print(way, json.dumps(rows[way]), flush=True)
    picture(rows, path.with_name(f"{path.stem}-draws.png"))


def picture(rows: dict[str, Any], path: Path) -> None:
    """Precision against recall, a line for each family."""
    try:
        from matplotlib import pyplot
    except ImportError:
        print("no picture: pip install matplotlib")
        return
    figure, axes = pyplot.subplots(figsize=(5.2, 4.2), dpi=110)
    for family in ("truncation", "rejection", "langevin"):
        names = ["plain", *(way for way in rows if way.startswith(family))]
        recall, precision = ([rows[way][key][0] for way in names] for key in ("recall", "precision"))
        axes.plot(recall, precision, marker="o", label=family)
        for way, r, p in list(zip(names, recall, precision, strict=True))[1:]:
            axes.annotate(way.split()[-2] if "steps" in way else way.split()[-1], (r, p), fontsize=7)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    arguments = options(__doc__, ("grid", "fashion", "draws"), "latents.json").parse_args()
    stages(arguments, arms)
    if "draws" in arguments.stages:
        one_thread()
        draws(arguments.out, arguments.budget or "180s")


if __name__ == "__main__":
    main()
