"""Does the watch see what goes wrong, leave healthy runs alone, and know when to stop?

    python benchmarks/watch.py [faults collapse healthy verdicts stop] [--scale 1] [--only WORD]

faults    NaN planted in a gradient of G, of D, and in a batch: rounds until it was seen, whether every weight stayed
          finite, and whether the final score lies within the interval of the same run without the fault.
collapse  The ring without a penalty and with 20 times the learning rate, 10 seeds: when the alarm came, what was
          changed, and how many modes the run ends with.
healthy   20 runs of several data sets and networks with small budgets: alarms, and verdicts of something gone wrong.
verdicts  13 runs, healthy, flat, overfitted, collapsed, and with too strong a D: the last verdict. Beside it, whether
          the best checkpoint is as good as the best in hindsight, by items that neither training nor choice has seen.
stop      Runs with a patience of a fifth, 5 on a plateau and 12 that are short of one: the share of the images that is
          spared, whether the rest of the run reaches a score that is lower beyond the intervals, and whether the last
          fifth does, so that the run was still improving at its end.

Each run is a line of results/watch.json, and what is there already is not done again. `--scale` multiplies the lengths.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from common.stored import stored_results
from evenodds.data.dataset import Dataset
from evenodds.data.readers.toys import DENSITIES
from evenodds.data.sources import load
from evenodds.errors import Diverged
from evenodds.files.write import write_json
from evenodds.game import checkpoint
from evenodds.game.checkpoint import best_of
from evenodds.game.engine import Local
from evenodds.game.rules import Progress
from evenodds.game.trainer import Listener, train
from evenodds.game.watch.trend import plateau
from evenodds.metrics.modes import mode_coverage
from evenodds.runs import remedy
from evenodds.runs.assembly import Record, Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.held_out import held_out
from evenodds.runs.reading import open_data
from evenodds.runs.run import start
from evenodds.runs.session import Session
from evenodds.runs.session import load as load_run

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.faults import Plant, SpoiltFeed

RESULTS = Path(__file__).parent / "results"
FASHION = str(Path(__file__).parents[2] / "shared" / "data" / "fashion_mnist.npz")
TABLES = {n: str(Path(__file__).parents[2] / "shared" / "data" / f"{n}.csv") for n in ("letter", "spam")}
WRONG = ("D is winning", "D has memorised the training set", "collapsing", "diverged")
SMALL = {"generator.width": 16, "discriminator.width": 16}
MLP = {"generator": "mlp", "discriminator": {"name": "mlp", "activation": "leaky_relu"}}
Settings = Mapping[str, Any]


def play(
    name: str, images: float, settings: Settings, dataset: Dataset | None = None, listeners: tuple[Listener, ...] = ()
) -> tuple[Session | None, Path, str]:
    """A run in a folder of its own, and the error with which it ended, if one did."""
    folder = Path(tempfile.mkdtemp()) / "run"
    config = with_settings(recipe(name), {"device": "cpu", "images": int(images), **settings})
    try:
        session = start(config, out=folder, dataset=dataset, listeners=listeners)
        if session.images < config.images and not config.patience and len(remedy.read(folder)) < remedy.MOST:
            raise KeyboardInterrupt  # a run that was cut short says nothing, and is done again the next time
        return session, folder, ""
    except Diverged as error:
        return None, folder, str(error)


def lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in text]


def modes(session: Session, name: str = "ring") -> tuple[int, float]:
    """Modes found, and the share of samples within 3 sigma."""
    density: Any = DENSITIES[name]()
    share, good = mode_coverage(torch.as_tensor(session.sample(10_000, seed=1)), density.modes, density.sigma)
    return int((share > 0.2 / len(share)).sum()), round(float(good), 3)


# The parts: named runs ------------------------------------------------------------------------------------------------


def fault(kind: str, scale: float) -> dict[str, Any]:
    """One run of the ring with one fault in the middle."""
    config = with_settings(recipe("ring"), {"device": "cpu", "images": int(150_000 * scale), "watch": "off"})
    run = Run(config, load("ring"))
    middle = config.images // config.batch // 2
    player = {"G": "generator", "D": "discriminator"}.get(kind, "generator")
    plant = Plant(player, middle if kind in "GD" else -1)
    feed: Any = SpoiltFeed(run.feed, middle * config.batch) if kind == "batch" else run.feed
    assert run.average is not None
    listeners: list[Listener] = [run.average, plant]
    train(run.game, feed, run.learner, run.engine, images=config.images, seed=config.seed, listeners=listeners)
    seen = None if plant.seen is None else plant.seen if kind in "GD" else plant.seen - middle - 1
    return {"left_out": run.learner.guard.counted(), "seen": seen, "finite": plant.finite, **run.measure()}


def faults(scale: float) -> dict[str, Callable[[], dict[str, Any]]]:
    return {kind: lambda kind=kind: fault(kind, scale) for kind in ("none", "G", "D", "batch")}


def collapsed(seed: int, scale: float) -> dict[str, Any]:
    images = int(600_000 * scale)
    base = recipe("ring")
    settings = {"penalty": None, "learning_rate": 20 * base.learning_rate, "seed": seed, "watch": "act"}
    session, folder, error = play("ring", images, settings)
    tried = remedy.read(folder)
    results: dict[str, Any] = {
        "alarms": [round(one.at / images, 3) for one in tried],
        "remedies": [one.settings for one in tried],
        "why": [f"{one.word}: {one.why}" for one in tried],
        "error": error,
    }
    if session is not None:
        results |= dict(zip(("modes", "within_3_sigma"), modes(session), strict=True)) | {"images": session.images}
    shutil.rmtree(folder.parent)
    return results


def collapse(scale: float) -> dict[str, Callable[[], dict[str, Any]]]:
    return {f"seed {seed}": lambda seed=seed: collapsed(seed, scale) for seed in range(10)}


HEALTHY: dict[str, tuple[str, float, Settings]] = {
    **{f"ring, seed {k}": ("ring", 250e3, {"seed": k}) for k in range(3)},
    **{f"grid, seed {k}": ("grid", 400e3, {"seed": k}) for k in range(2)},
    "ring, batch 64": ("ring", 60e3, {"batch": 64}),
    "two moons": ("ring", 200e3, {"data": "two_moons"}),
    "swiss roll": ("ring", 200e3, {"data": "swiss_roll"}),
    "mixture, seed 0": ("mixture", 250e3, {}),
    "mixture, seed 1": ("mixture", 250e3, {"seed": 1}),
    "letter": ("table", 150e3, {"data": TABLES["letter"]}),
    "spam": ("table", 150e3, {"data": TABLES["spam"]}),
    **{f"digits, seed {k}": ("digits", 40e3, {**SMALL, "seed": k}) for k in range(2)},
    "digits, hinge": ("digits", 40e3, {**SMALL, "loss": "hinge"}),
    "digits, resnet": ("digits", 20e3, {"generator": "resnet", "discriminator": "resnet", **SMALL}),
    "digits, mlp": ("digits", 60e3, {**MLP}),
    "digits by class": ("digits", 40e3, {**SMALL, "task": "condition"}),
    "digits, non-saturating, constant rate": ("digits", 40e3, {**SMALL, "loss": "non_saturating", "decay": "constant"}),
    "Fashion-MNIST": ("gray-28", 25e3, {"data": FASHION, "generator.width": 12, "discriminator.width": 12}),
}


def watched(name: str, images: float, settings: Settings) -> dict[str, Any]:
    _, folder, error = play(name, images, {**settings, "watch": "warn"})
    told = [line for line in lines(folder) if "verdict" in line]
    bad = [
        f"{line['images'] / images:.2f} {line['verdict']}: {line['why']}" for line in told if line["verdict"] in WRONG
    ]
    shutil.rmtree(folder.parent)
    return {"wrong": bad[:3], "said_wrong": len(bad), "glances": len(told), "last": told[-1]["verdict"], "error": error}


def healthy(scale: float) -> dict[str, Callable[[], dict[str, Any]]]:
    return {key: lambda given=given: watched(given[0], scale * given[1], given[2]) for key, given in HEALTHY.items()}


FEW = {"held_out": 0.5, "save_share": 0.1}
STRONG = {"loss": "minimax", "penalty": None, "discriminator_learning_rate": 0.01, "learning_rate": 1e-4}
TEN = {"prior": "mixture", "prior.size": 32, "prior.components": 10, "prior.spread": 0.5}
"""With z of ten narrow parts the generator makes one image of each."""
WILD = {"penalty": None, "learning_rate": 0.06}
VERDICTS: dict[str, tuple[str, float, Settings, tuple[str, ...]]] = {
    "healthy: digits": ("digits", 25e3, {**SMALL}, ("improving",)),
    "healthy: ring": ("ring", 250e3, {}, ("improving", "flat")),
    "healthy: grid": ("grid", 400e3, {}, ("improving", "flat")),
    "flat: mixture": ("mixture", 500e3, {"decay": "constant"}, ("flat",)),
    "flat: two moons": ("ring", 500e3, {"data": "two_moons", "decay": "constant"}, ("flat",)),
    "flat: ring": ("ring", 700e3, {"decay": "constant"}, ("flat",)),
    "overfitted: 100 digits": ("digits", 100e3, {**SMALL, **FEW, "penalty": None}, (WRONG[1],)),
    "overfitted: 100 digits, seed 1": ("digits", 100e3, {**SMALL, **FEW, "penalty": None, "seed": 1}, (WRONG[1],)),
    "collapsed: ring, seed 0": ("ring", 100e3, WILD, ("collapsing",)),
    "collapsed: ring, seed 1": ("ring", 100e3, {**WILD, "seed": 1}, ("collapsing",)),
    "collapsed: digits, ten images": ("digits", 40e3, {**SMALL, **TEN}, ("collapsing",)),
    "D too strong: digits": ("digits", 40e3, {**SMALL, **STRONG}, ("D is winning", "collapsing")),
    "D too strong: ring": ("ring", 150e3, STRONG, ("D is winning", "collapsing")),
}


def parted(name: str, settings: Settings, few: bool) -> tuple[Dataset, Dataset]:
    """What the run gets, and further items for a scorer."""
    source = settings.get("data") or name
    data = load(source)
    if data.kind == "toy":
        return data, load(source, seed=1, n=5000)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return data.take(order[: 200 if few else len(data) - 400]), data.take(order[-400:])


def measured(name: str, images: float, settings: Settings, allowed: tuple[str, ...]) -> dict[str, Any]:
    data, further = parted(name, settings, "held_out" in settings)
    session, folder, error = play(name, images, {**settings, "watch": "warn", "keep": 100}, data)
    told = [line for line in lines(folder) if "verdict" in line]
    last = told[-1] if told else {"verdict": "diverged", "why": error}
    results = {"verdict": last["verdict"], "why": last["why"], "right": last["verdict"] in allowed, "error": error}
    results |= hindsight(folder, further) if session is not None else {}
    shutil.rmtree(folder.parent)
    return results


def hindsight(folder: Path, further: Dataset) -> dict[str, Any]:
    """Whether the best checkpoint is within the interval of the one that is best by items that nobody has seen."""
    scores = {}
    for path in checkpoint.listing(folder / "checkpoints"):
        session = load_run(folder, path.name.lstrip("0"), "cpu")
        scorer = held_out(session.task, further, torch.arange(len(further)), 7, Local())
        assert scorer is not None
        scores[path.name] = scorer.measure(session.players)
    best = best_of(folder / "checkpoints")
    assert best is not None
    top = min(scores.values(), key=lambda results: results["score"])
    chosen = scores[best.name]["score"]
    return {
        "chosen": chosen,
        "best": top["score"],
        "best_high": top["score_high"],
        "as_good": chosen <= top["score_high"],
    }


def verdicts(scale: float) -> dict[str, Callable[[], dict[str, Any]]]:
    return {
        key: lambda given=given: measured(given[0], scale * given[1], given[2], given[3])
        for key, given in VERDICTS.items()
    }


PLATEAU: dict[str, tuple[str, float, Settings]] = {
    "plateau: ring": ("ring", 800e3, {"decay": "constant"}),
    "plateau: ring, seed 1": ("ring", 800e3, {"decay": "constant", "seed": 1}),
    "plateau: mixture": ("mixture", 700e3, {"decay": "constant"}),
    "plateau: two moons": ("ring", 700e3, {"decay": "constant", "data": "two_moons"}),
    "plateau: swiss roll": ("ring", 700e3, {"decay": "constant", "data": "swiss_roll"}),
}
STEEP = {"decay": "constant"}
SLOW = {**STEEP, "learning_rate": 3e-4}
IMPROVING: dict[str, tuple[str, float, Settings]] = {
    **{f"improving: digits, seed {k}": ("digits", 16e3, {**SMALL, **STEEP, "seed": k}) for k in range(5)},
    "improving: digits, hinge": ("digits", 16e3, {**SMALL, **STEEP, "loss": "hinge"}),
    "improving: digits by class": ("digits", 16e3, {**SMALL, **STEEP, "task": "condition"}),
    "improving: digits, slowly": ("digits", 20e3, {**SMALL, **STEEP, "learning_rate": 5e-4}),
    **{
        f"improving: two moons, slowly, seed {k}": ("ring", 80e3, {**SLOW, "data": "two_moons", "seed": k})
        for k in range(2)
    },
    **{
        f"improving: Fashion-MNIST, seed {k}": ("gray-28", 14e3, {**HEALTHY["Fashion-MNIST"][2], **STEEP, "seed": k})
        for k in range(2)
    },
}
"""At constant rates, so that patience may end them at any time."""
SPAN = 0.2


def tired(name: str, images: float, settings: Settings) -> dict[str, Any]:
    """Where a patience of a fifth would end a run, and what is missed by it: the run is played on to see that."""
    session, folder, error = play(name, images, {**settings, "evaluate_share": 0.05, "watch": "warn"})
    assert session is not None, error
    history, config = lines(folder), session.config
    watch: Any = Run(config, open_data(config, None), Record(folder, config)).listeners["watch"]
    shutil.rmtree(folder.parent)
    said = {"still improving": later(history, round((1 - SPAN) * config.images))["beyond"]}
    for line in history:
        stage: Any = SimpleNamespace(progress=Progress(config.images, line["images"], line["round"]))
        seen = [one for one in history if one["images"] <= line["images"]]
        if "verdict" in line and watch.settled(stage) and plateau(seen, config.images, SPAN):
            results = later(history, line["images"] + 1)
            spared = round(1 - line["images"] / config.images, 3)
            return {**said, "spared": spared, **results, "missed": results["beyond"]}
    return {**said, "spared": 0.0, "missed": False}


def later(history: list[dict[str, Any]], images: int) -> dict[str, Any]:
    """By how much the lowest score from there on is below the lowest before, and whether beyond their intervals."""
    scored = [one for one in history if one.get("score") is not None]
    parts = [[one for one in scored if (one["images"] < images) == first] for first in (True, False)]
    if not all(parts):
        return {"best": None, "lower later by": 0.0, "margin": 0.0, "beyond": False}
    before, after = (min(part, key=lambda one: one["score"]) for part in parts)
    gain = before["score"] - after["score"]
    margin = 2 * math.hypot(*((one["score_high"] - one["score_low"]) / 3.92 for one in (before, after)))
    return {"best": before["score"], "lower later by": gain, "margin": margin, "beyond": gain > margin}


def stop(scale: float) -> dict[str, Callable[[], dict[str, Any]]]:
    every = {**PLATEAU, **IMPROVING}
    return {key: lambda given=given: tired(given[0], scale * given[1], given[2]) for key, given in every.items()}


PARTS = {"faults": faults, "collapse": collapse, "healthy": healthy, "verdicts": verdicts, "stop": stop}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[*PARTS], choices=[*PARTS])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", default="", help="runs whose name holds this word")
    parser.add_argument("--out", type=Path, default=RESULTS / "watch.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = stored_results(arguments.out)
    for part in arguments.parts:
        for name, go in PARTS[part](arguments.scale).items():
            key = f"{part}, scale {arguments.scale:g}"
            if name in results.get(key, {}) or arguments.only not in name:
                continue
            begun = time.process_time()
            result = go() | {"processor_seconds": round(time.process_time() - begun, 1)}
            results.setdefault(key, {})[name] = result
            write_json(arguments.out, results)
            print(part, name, json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
