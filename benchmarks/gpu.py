"""On an accelerator: does everything run, what does a run from there give elsewhere, and how fast is it?

    python benchmarks/gpu.py checks     # every recipe and every way to steer, small: run, resume, read on the CPU
    python benchmarks/gpu.py commands   # the commands that read a run
    python benchmarks/gpu.py speed      # images/s: bfloat16, graphs, compiled moves, at three batches
    python benchmarks/gpu.py waits      # does the loop wait for the device?
    python benchmarks/gpu.py quality    # the batch for two cores against that for an accelerator, by the clock
    python benchmarks/gpu.py minutes    # four minutes of CIFAR-10, and of photographs of clothes: scores and pictures
    python benchmarks/gpu.py --dry      # all of them in their smallest form on the CPU: no figures, nothing is stored

Each takes less than 9 minutes. `speed`, `quality` and `minutes` go on where they ended: no cell is begun that would not
end within --limit; --again measures all of it again. What fails is named, and the exit status says so.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import evenodds
from common.laps import gflop, playing, shortest
from common.stored import stored_results
from evenodds.cli import main as evenodds_command
from evenodds.evaluation.evaluate import evaluate
from evenodds.files.write import write_json
from evenodds.game import checkpoint
from evenodds.game.trainer import Training, train
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.config_files import recipe
from evenodds.runs.reading import open_data
from evenodds.runs.run import resume, start
from evenodds.show import pictures

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
IMAGES, BATCH = 192, 16
SHORT = {"images": IMAGES, "batch": BATCH, "save_share": 0.5, "evaluate_share": 0.5}
DIGITS = {"generator.width": 8, "discriminator.width": 8}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ("ring", "grid", "mixture", "digits")},
    **{name: (name, {"data": "pictures"}) for name in ("gray-28", "color-32", "photos-128", "fill-32", "mnist-2014")},
    **{name: (name, {"data": "pictures"}) for name in ("denoise", "deblur", "colourise", "inpaint", "edges")},
    **{f"upscale-x{k}": (f"upscale-x{k}", {"data": "pictures"}) for k in (2, 3, 4)},
    "upscale, dense": ("upscale-x4", {"data": "pictures", "generator": {"name": "dense", "width": 16, "blocks": 1}}),
    "translate": ("translate", {"data": "pairs"}),
    "cycle": ("cycle", {"data": "pairs"}),
    "segment": ("segment", {"data": "maps"}),
    "table": ("table", {"data": "table.csv"}),
    **{task: ("digits", {"task": task, **DIGITS}) for task in ("condition", "logan")},
    "infogan": ("digits", {**DIGITS, "task": "infogan", "prior": {"name": "coded", "classes": 10}}),
    "resnet": ("digits", {"generator": "resnet", "discriminator": "resnet", **DIGITS}),
    "modern": ("color-32", {"data": "pictures", "generator": "modern", "discriminator": "modern", **DIGITS}),
    "WGAN-GP": ("digits", {**DIGITS, "loss": "wasserstein", "penalty": "gradient_penalty", "penalty_weight": 10.0}),
    "lookahead, balance by steps": ("digits", {**DIGITS, "learner": "lookahead", "balance": "steps", "top": 0.5}),
    "extra-gradient, balance by rate": ("digits", {**DIGITS, "learner": "extragradient", "balance": "rate"}),
    "optimistic, adaptive views": (
        "digits",
        {
            **DIGITS,
            "optimizer": "OptimisticAdam",
            "views": "translation",
            "view_chance": "adaptive",
            "balance": "penalty",
        },
    ),
    "learned z, instance selection": ("digits", {**DIGITS, "prior": "learned", "prior.size": 32, "densest": 0.7}),
    "bfloat16": ("color-32", {"data": "pictures", "precision": "bfloat16"}),
    "bfloat16, photos-128": ("photos-128", {"data": "pictures", "precision": "bfloat16"}),
    "compiled": ("digits", {**DIGITS, "compile": True, "penalty": None}),
    "graphs": ("color-32", {"data": "pictures", "graphs": True, "images": 1280}),
    "graphs, path lengths": ("digits", {**DIGITS, "generator": "style", "pathlength": 2.0, "graphs": True}),
    "watch acts": ("ring", {"penalty": None, "learning_rate": 0.06, "watch": "act", "images": 9600, "batch": 64}),
}
RECIPES = ("gray-28", "color-32", "photos-128")
WAITED = ("digits", "color-32", "photos-128", "ring", "condition", "denoise", "upscale-x4", "segment", "table")


@dataclass(frozen=True)
class Extent:
    """How much is played.

    Args:
        commands: those that are called; None for all.
        times: the batches of a recipe, in multiples; compiled moves, which take a minute, at the first alone.
        rounds: in which waits are counted.
        judged: samples of a quality.
        small: further settings of all recipes of images.
        backend: of compiled moves.
    """

    cases: tuple[str, ...] = tuple(CASES)
    commands: tuple[str, ...] | None = None
    recipes: tuple[str, ...] = RECIPES
    times: tuple[int, ...] = (1, 4, 16)
    waited: tuple[str, ...] = WAITED
    rounds: int = 50
    judged: int = 4000
    small: dict[str, Any] = field(default_factory=dict)
    backend: str = "inductor"


DRY = Extent(
    cases=("ring", "condition", "bfloat16", "graphs", "watch acts"),
    commands=("train", "sample", "evaluate"),
    recipes=("color-32",),
    times=(1,),
    waited=("digits", "table"),
    rounds=2,
    judged=60,
    small={"generator.width": 4, "discriminator.width": 4, "batch": 8, "images": 16},
    backend="aot_eager",
)


class Half:
    """Ends a run in its middle."""

    def begin(self, training: Training) -> None: ...

    def after_round(self, training: Training) -> None:
        training.stop = training.stop or training.progress.share >= 0.5

    def end(self, training: Training) -> None: ...


def make_data(folder: Path) -> None:
    """Smooth random pictures, pairs of them, maps of labels, and a table."""
    rng = np.random.default_rng(0)
    for k in range(48):
        small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        picture = small.resize((128, 128), Image.Resampling.BICUBIC)
        label = Image.fromarray((np.asarray(picture.convert("L")) // 86).astype(np.uint8))
        for part, image in {
            "pictures": picture,
            "pairs/source": picture.convert("L").convert("RGB"),
            "pairs/target": picture,
            "maps/images": picture,
            "maps/labels": label,
        }.items():
            path = folder / part / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    rows = rng.normal(size=(400, 3)).cumsum(1)
    np.savetxt(folder / "table.csv", rows, delimiter=",", header="a,b,c", comments="")


def configured(name: str, settings: dict[str, Any], data: Path, device: str) -> Config:
    given = {**SHORT, **settings, "device": device}
    if recipe(name).task.name == "auto":
        given = {"task": "generate", **given}
    if recipe(name).simultaneous is None:
        given = {"simultaneous": False, **given}
    if "data" in given:
        given["data"] = str(data / given["data"])
    return with_settings(recipe(name), given)


def check(name: str, settings: dict[str, Any], data: Path, device: str) -> dict[str, Any]:
    """One run, whole and in halves; then its newest checkpoint on the CPU."""
    config, work = configured(name, settings, data, device), Path(tempfile.mkdtemp())
    torch.use_deterministic_algorithms(
        True, warn_only=True
    )  # else a repetition differs, and hides whether a resume does
    begun = time.perf_counter()
    whole = start(config, out=work / "whole")
    seconds = time.perf_counter() - begun
    ends = [tensors(work / "whole")]
    assert all(torch.isfinite(x).all() for x in ends[0].values() if x.is_floating_point()), "not finite"
    if config.watch != "act":
        start(config, out=work / "halves", listeners=[Half()])
        resume(work / "halves")
        ends.append(tensors(work / "halves"))
    results: dict[str, Any] = {"seconds": round(seconds, 1)}
    if len(ends) == 2:
        assert ends[0].keys() == ends[1].keys(), "other tensors after a resume"
        results["resumed: most it differs"] = most(ends[0], ends[1])
    here = evenodds.load(work / "whole", device="cpu")
    if here.task.__class__.__name__ in ("Generate", "Condition", "Logan"):
        there, again = whole.sample(32, seed=3), here.sample(32, seed=3)
        results["samples: most they differ from the CPU's"] = float(
            np.abs(np.asarray(there, np.float64) - np.asarray(again, np.float64)).max()
        )
    return results


def commands(arguments: argparse.Namespace) -> dict[str, Any]:
    """The commands that read a run, and the estimators, one after the other."""
    work = Path(tempfile.mkdtemp())
    make_data(work)
    run, large, device = str(work / "run"), str(work / "upscale"), ["--device", arguments.device]
    small = [f"{key}={value}" for key, value in {**SHORT, **DIGITS, "task": "condition"}.items()]
    photos = [f"{key}={value}" for key, value in {**SHORT, "data": work / "pictures"}.items()]
    picture = str(work / "pictures/0.png")
    away = [*device, "--out", str(work / "trial")]
    told: dict[str, list[str]] = {
        "train": ["train", "digits", "--out", run, "--quiet", *device, "--set", *small],
        "sample": ["sample", run, "-n", "40", "--grid", str(work / "grid.png"), *device],
        "sample, langevin": ["sample", run, "-n", "40", "--select", "langevin", "--grid", str(work / "l.png"), *device],
        "sample, rejection": [
            "sample",
            run,
            "-n",
            "40",
            "--select",
            "rejection",
            "--grid",
            str(work / "r.png"),
            *device,
        ],
        "evaluate": ["evaluate", run, "-n", "500", *device],
        "report": ["report", run, "-n", "500", *device],
        "features": ["features", run, "--out", str(work / "f.npz"), *device],
        "encode": ["encode", run, "--out", str(work / "z.npz"), *device],
        "reconstruct": ["reconstruct", run, "--out", str(work / "again.png"), *device],
        "directions": ["directions", run, "--out", str(work / "d.png"), *device],
        "walk": ["walk", run, "--out", str(work / "w.png"), *device],
        "augment": ["augment", run, "--per-class", "3", "--to", str(work / "more"), *device],
        "trial": ["trial", "--data", "digits", "--seeds", "2", "--arms", "smote,gan", "--budget", "30s", *away],
        "train, upscale": ["train", "upscale-x2", "--out", large, "--quiet", *device, "--set", *photos],
        "upscale": ["upscale", large, picture, str(work / "larger.png"), *device],
        "upscale, tiles": ["upscale", large, picture, str(work / "tiles.png"), "--tile", "48", *device],
    }
    results: dict[str, Any] = {}
    for name, words in told.items():
        if arguments.extent.commands is not None and name not in arguments.extent.commands:
            continue
        begun = time.perf_counter()
        status = evenodds_command(words)
        results[name] = (
            {"seconds": round(time.perf_counter() - begun, 1)} if status == 0 else {"failed": f"status {status}"}
        )
        print(name, json.dumps(results[name]), flush=True)
    return results


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    _, states, _, _ = checkpoint.newest(folder / "checkpoints")
    return {f"{part}/{name}": value for part, state in states.items() for name, value in state.tensors.items()}


def most(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """The largest difference of two sets of players' tensors."""
    return max(
        float((a[k].double() - b[k].double()).abs().max()) for k in a if a[k].numel() and a[k].is_floating_point()
    )


def checks(arguments: argparse.Namespace) -> dict[str, Any]:
    data, results = Path(tempfile.mkdtemp()), {}
    make_data(data)
    for case, (name, settings) in CASES.items():
        if arguments.only not in case or case not in arguments.extent.cases:
            continue
        try:
            results[case] = check(name, {**settings, **of_dry(arguments)}, data, arguments.device)
        except Exception as error:  # every case is tried, whatever the one before it did
            results[case] = {"failed": f"{type(error).__name__}: {error}"}
            traceback.print_exc()
        print(case, json.dumps(results[case]), flush=True)
    return results


def of_dry(arguments: argparse.Namespace) -> dict[str, Any]:
    """Lengths of checks where they are to be the smallest."""
    return {"images": 16, "batch": 8} if arguments.dry else {}


WAYS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "bfloat16": {"precision": "bfloat16"},
    "graphs": {"graphs": True},
    "graphs, bfloat16": {"graphs": True, "precision": "bfloat16"},
    "compiled": {"compile": True},
    "compiled, graphs, bfloat16": {"compile": True, "graphs": True, "precision": "bfloat16"},
}


def speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Images per second of the loop alone, after its first rounds; what is stored is not measured again."""
    begun, data = time.perf_counter(), Path(tempfile.mkdtemp())
    make_data(data)
    results = {k: v for k, v in stored_results(arguments.out).get("speed", {}).items() if isinstance(v, dict)}
    cells = [
        (way, name, times) for way in WAYS for name in arguments.extent.recipes for times in arguments.extent.times
    ]
    for way, name, times in [("as it is", "ring", 1), *cells]:
        batch = times * arguments.extent.small.get("batch", recipe(name).batch)
        cell = f"{name}, {way}, batch {batch}"
        left_out = ("compile" in WAYS[way] and times > 1) or time.perf_counter() - begun > arguments.limit
        if (cell in results and not arguments.again) or left_out:
            continue
        try:
            results[cell] = measured(name, {**arguments.extent.small, **WAYS[way], "batch": batch}, data, arguments)
        except Exception as error:  # the others are measured
            results[cell] = {"failed": f"{type(error).__name__}: {error}"}
        print(cell, json.dumps(results[cell]), flush=True)
        write_json(arguments.out, {**stored_results(arguments.out), "speed": results})
    return {"peaks_tflop_per_second": peaks(arguments.device), **results}


def measured(name: str, settings: dict[str, Any], data: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """One way to play a recipe."""
    given = {"precision": "float32", "simultaneous": False, **settings}
    given |= {} if name == "ring" else {"data": "pictures"}
    config = with_settings(configured(name, given, data, arguments.device), {"images": 10**9})
    run = Run(config, open_data(config))
    run.learner.compiled.backend = arguments.extent.backend
    began, clock = time.perf_counter(), Clock(arguments.seconds, warm=4 * config.penalty_every + 4)
    train(run.game, run.feed, run.learner, run.engine, images=config.images, listeners=[clock])
    rate = clock.rate * config.batch
    result = {"images_per_second": round(rate), "warm_seconds": round(clock.begun - began, 1)}
    result["gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2) if torch.cuda.is_available() else 0.0
    counted = Run(with_settings(config, {"compile": False, "graphs": False}), run.dataset)
    cycle = config.penalty_every
    result["tflop_per_second"] = round(rate * gflop(playing(counted), cycle) / cycle / config.batch / 1e3, 2)
    if run.engine.graphs:
        result |= {"replays": dict(run.learner.graphs.replays), "not_recorded": run.learner.graphs.reasons}
    if run.engine.compile:
        result |= {"compile_seconds": round(run.learner.compiled.seconds), "not_compiled": run.learner.compiled.reasons}
    return result


def peaks(device: str, side: int = 4096) -> dict[str, float]:
    """The best TFLOP/s of a product of matrices, in both kinds of arithmetic; small on a CPU."""
    side, best = side if device.startswith("cuda") else 512, {}
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.randn(side, side, device=device).to(dtype)

        def product(a: torch.Tensor = a) -> None:
            _ = a @ a
            wait()

        best[str(dtype).removeprefix("torch.")] = round(2 * side**3 / 1e12 / shortest(product), 2)
    return best


METRICS = ("frechet", "precision", "recall", "two_sample_accuracy")
QUALITY = {"gray-28": "mnist.npz", "color-32": "cifar10-jpeg-train.zip"}
MINUTES = {"color-32": "cifar10-jpeg-train.zip", "photos-128": "clothing-128.zip"}


def quality(arguments: argparse.Namespace) -> dict[str, Any]:
    """Recipes with their batch for two cores and with that for an accelerator: scores after the same seconds."""
    results = {k: v for k, v in stored_results(arguments.out).get("quality", {}).items() if isinstance(v, dict)}
    kinds = dict([*QUALITY.items()][: 1 if arguments.dry else None])
    for name, file in kinds.items():
        for way, settings in {"accelerator": {}, "as on two cores": {"accelerator": "none"}}.items():
            cell = f"{name}, {way}, {arguments.budget:.0f} s"
            if cell in results and not arguments.again:
                continue
            picture = f"gpu-{name}-{way.replace(' ', '-')}.jpg"
            results[cell] = by_the_clock(name, file, settings, arguments.budget, arguments, picture)
            print(cell, json.dumps(results[cell]), flush=True)
            write_json(arguments.out, {**stored_results(arguments.out), "quality": results})
    return results


def minutes(arguments: argparse.Namespace) -> dict[str, Any]:
    """What four minutes give: scores and pictures, one run a call where two do not fit in its limit."""
    begun = time.perf_counter()
    results = {k: v for k, v in stored_results(arguments.out).get("minutes", {}).items() if isinstance(v, dict)}
    for name, file in MINUTES.items():
        cell = f"{name}, {file}, {arguments.minutes:.0f} s"
        left = arguments.limit - (time.perf_counter() - begun)
        if (cell in results and not arguments.again) or left < 1.2 * arguments.minutes:
            continue
        results[cell] = by_the_clock(name, file, {}, arguments.minutes, arguments, f"gpu-{name}-minutes.jpg")
        print(cell, json.dumps(results[cell]), flush=True)
        write_json(arguments.out, {**stored_results(arguments.out), "minutes": results})
    return results


def by_the_clock(
    name: str, file: str, settings: dict[str, Any], seconds: float, arguments: argparse.Namespace, picture: str
) -> dict[str, Any]:
    """Scores of a run of a recipe after so many seconds; 100 samples as a picture beside the results."""
    place, extent = SHARED / file, arguments.extent
    if arguments.dry:
        place = arguments.out.parent / "pictures"
        make_data(place.parent)
    if not place.exists():
        return {"failed": f"{place} is not there"}
    config = with_settings(recipe(name), {"data": str(place), "device": arguments.device, **settings, **extent.small})
    budget = None if arguments.dry else seconds
    begun = time.perf_counter()
    session = start(config, out=Path(tempfile.mkdtemp()) / "run", budget=budget, say=print)
    taken = time.perf_counter() - begun
    found = evaluate(session, metrics=list(METRICS), features="random", n=extent.judged)
    scores = {name: round(score.value, 4) for name in METRICS if (score := found.score(name)) is not None}
    sheet = pictures.grid(session.sample(100, seed=1), columns=10)
    image = Image.fromarray(np.moveaxis(sheet, 0, -1).squeeze())
    image.save((arguments.out.parent if arguments.dry else RESULTS) / picture, quality=85)
    played = session.config
    chosen = {
        "batch": played.batch,
        "arithmetic": played.precision,
        "graphs": played.graphs,
        "compiled": played.compile,
    }
    return {"seconds": round(taken, 1), "images": session.images, **chosen, **scores}


class Clock:
    """Counts rounds per second once the first have passed."""

    def __init__(self, seconds: float, warm: int = 20) -> None:
        self.seconds, self.warm, self.rate, self.begun = seconds, warm, 0.0, 0.0

    def begin(self, training: Training) -> None: ...

    def after_round(self, training: Training) -> None:
        done = training.progress.round
        if done == self.warm:
            wait()
            self.begun = time.perf_counter()
        if done > self.warm and done % 10 == 0 and time.perf_counter() - self.begun > self.seconds:
            wait()
            self.rate = (done - self.warm) / (time.perf_counter() - self.begun)
            training.stop = True

    def end(self, training: Training) -> None: ...


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Sentinel:
    """Makes CUDA warn at every wait, once the first rounds have passed."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    def begin(self, training: Training) -> None: ...

    def after_round(self, training: Training) -> None:
        if training.progress.round == 10:
            debug("warn")
        training.stop = training.progress.round >= 10 + self.rounds

    def end(self, training: Training) -> None:
        debug("default")


def debug(mode: str) -> None:
    """Whether CUDA warns at every wait, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.set_sync_debug_mode(mode)


def waits(arguments: argparse.Namespace) -> dict[str, Any]:
    """How often rounds wait for the device, and where."""
    data, results = Path(tempfile.mkdtemp()), {}
    make_data(data)
    for case in arguments.extent.waited:
        name, settings = CASES[case]
        config = with_settings(configured(name, settings, data, arguments.device), {"images": 10**9})
        run = Run(config, open_data(config))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train(
                run.game,
                run.feed,
                run.learner,
                run.engine,
                images=10**9,
                listeners=[*run.listeners.values(), Sentinel(arguments.extent.rounds)],
            )
        told = [f"{Path(w.filename).name}:{w.lineno}" for w in caught if "synchroniz" in str(w.message)]
        results[case] = {f"waits in {arguments.extent.rounds} rounds": len(told), "where": sorted(set(told))}
        print(case, json.dumps(results[case]), flush=True)
    return results


PARTS = {
    "checks": checks,
    "commands": commands,
    "speed": speed,
    "waits": waits,
    "quality": quality,
    "minutes": minutes,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[*PARTS], choices=[*PARTS])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", default="", help="checks whose name holds this")
    parser.add_argument("--seconds", type=float, default=3.0, help="per measurement of speed")
    parser.add_argument("--limit", type=float, default=480.0, help="seconds of `speed` and of `minutes`")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of each run of `quality`")
    parser.add_argument("--minutes", type=float, default=240.0, help="seconds of each run of `minutes`")
    parser.add_argument("--dry", action="store_true", help="everything in its smallest form on the CPU")
    parser.add_argument("--again", action="store_true", help="measure what is stored again")
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu.json")
    arguments = parser.parse_args()
    arguments.extent = DRY if arguments.dry else Extent()
    if arguments.dry:
        arguments.device, arguments.seconds, arguments.out = "cpu", 0.2, Path(tempfile.mkdtemp()) / "gpu.json"
    results = stored_results(arguments.out)
    on = torch.cuda.get_device_name() if arguments.device.startswith("cuda") else platform.processor()
    for part in arguments.parts:
        results[part] = {"device": on, "torch": torch.__version__, **PARTS[part](arguments)}
        write_json(arguments.out, results)
    return int(
        any("failed" in one for part in arguments.parts for one in results[part].values() if isinstance(one, dict))
    )


if __name__ == "__main__":
    raise SystemExit(main())
