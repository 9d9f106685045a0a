"""What a run takes beside its rounds, and how long the commands around it take.

    python benchmarks/around.py [--part start runs evaluate report] [--seconds 60] [--processor] [--quick]

start     the wall time of commands and imports, the best of five.
runs      the share of a run's processor time that evaluations, glances, checkpoints and pictures take.
evaluate  10,000 samples of 28 x 28, and 1,000 of 128 x 128 x 3, with every usual score.
report    the report of a run of digits.

The items are smooth random images: times do not depend on what is on them. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "around.json"
COMMANDS: dict[str, tuple[list[str], float | None]] = {
    "evenodds --help": (["-m", "evenodds", "--help"], 0.25),
    "evenodds list": (["-m", "evenodds", "list"], 0.4),
    "evenodds list recipes": (["-m", "evenodds", "list", "recipes"], 0.4),
    "evenodds list losses": (["-m", "evenodds", "list", "losses"], 0.4),
    "evenodds show": (["-m", "evenodds", "show", "RUN"], 0.4),
    "import torch": (["-c", "import torch"], None),
    "import evenodds, all public names": (["-c", "import evenodds as e; [getattr(e, n) for n in e.__all__]"], None),
}
"""The words of each command, and the seconds that it may take."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=60, help="of each run")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that everything runs, and no times")
    parser.add_argument(
        "--processor", action="store_true", help="runs: seconds of the processor, where others use the machine too"
    )
    options = parser.parse_args()
    if options.processor:
        time.perf_counter = time.process_time  # type: ignore[assignment]
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() and not options.quick else {}
    with tempfile.TemporaryDirectory() as place:
        for part in options.part:
            results[part] = PARTS[part](Path(place), options)
            print(json.dumps({part: results[part]}, indent=1), flush=True)
    if not options.quick:
        RESULTS.write_text(json.dumps({"threads": threads(), **results}, indent=1) + "\n")


def threads() -> int:
    import torch

    return torch.get_num_threads()


def start(place: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The best wall time of each command."""
    folder = digits_run(place, 640)
    rows: dict[str, Any] = {}
    for name, (words, most) in COMMANDS.items():
        words = [str(folder) if word == "RUN" else word for word in words]
        rows[name] = {"seconds": round(min(timed(words) for _ in range(1 if options.quick else 5)), 3), "most": most}
    ratio = rows["import evenodds, all public names"]["seconds"] / rows["import torch"]["seconds"]
    return {"commands": rows, "import_over_torch": round(ratio, 3), "import_most": 1.15}


def timed(words: list[str]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - begun


def digits_run(place: Path, images: int) -> Path:
    """The folder of a run of digits."""
    import evenodds

    folder = place / f"digits-{images}"
    if not folder.exists():
        evenodds.fit("digits", "digits", out=folder, images=images)
    return folder


ROUNDS = "rounds"


class Watches:
    """Seconds of the processor spent in methods, by name; those within others are not counted twice."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._within = 0

    def resets(self, owner: Any, function: str) -> None:
        """Forgets all that was timed wherever owner.function is called: the rounds before a run, which plan it."""
        plain = getattr(owner, function)

        def anew(*arguments: Any, **more: Any) -> Any:
            self.seconds = {}
            return plain(*arguments, **more)

        setattr(owner, function, anew)

    def on(self, owner: Any, method: str, name: str) -> None:
        """Times every call of owner.method from now on."""
        plain = getattr(owner, method)

        def timed_call(*arguments: Any, **more: Any) -> Any:
            self._within += 1
            begun = time.process_time()
            try:
                return plain(*arguments, **more)
            finally:
                self._within -= 1
                if not self._within:
                    self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - begun

        setattr(owner, method, timed_call)


def runs(place: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The share of looks in runs of so many seconds, by processor time from the first round on."""
    import evenodds
    from evenodds.game import trainer
    from evenodds.game.listeners.evaluate import Evaluate
    from evenodds.game.listeners.log import Log
    from evenodds.game.listeners.save import Save
    from evenodds.game.listeners.watch import Watch
    from evenodds.runs import playing

    watches = Watches()
    for owner, method, name in (
        (Evaluate, "look", "evaluations"),
        (Watch, "look", "glances"),
        (Save, "save", "checkpoints and pictures"),
        (Log, "write", "history"),
    ):
        watches.on(owner, method, name)
    watches.on(trainer, "play_round", ROUNDS)
    watches.resets(playing, "attempt")
    items = 400 if options.quick else 10_000
    data = {"digits": "digits", "gray-28": images(items, 1, 28), "color-32": images(items, 3, 32)}
    rows = {}
    for recipe, source in data.items():
        session = evenodds.fit(source, recipe, out=place / recipe, budget=f"{options.seconds:g}s")
        whole = sum(watches.seconds.values())
        parts = {name: round(seconds / whole, 4) for name, seconds in watches.seconds.items() if name != ROUNDS}
        seconds = {"seconds": session.history()[-1]["seconds"], "of_the_processor": round(whole, 2)}
        rows[recipe] = {**seconds, "images": session.images, "shares": parts, "all": round(sum(parts.values()), 4)}
        print(json.dumps({recipe: rows[recipe]}), flush=True)
    return {"runs": rows, "most": 0.05}


def images(n: int, channels: int, side: int) -> Any:
    """(n, channels, side, side) uint8: smooth random images."""
    import torch
    import torch.nn.functional as F

    coarse = torch.randn(n, channels, 7, 7, generator=torch.Generator().manual_seed(side))
    return F.interpolate(coarse, (side, side), mode="bilinear").mul(60).add(128).clamp(0, 255).byte().numpy()


def evaluate(place: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of evaluations, by step."""
    sizes = {"10,000 of 28 x 28": (10_000, 1, 28), "1,000 of 128 x 128 x 3": (1000, 3, 128)}
    if options.quick:
        sizes = {"60 of 28 x 28": (60, 1, 28)}
    return {"evaluations": {name: evaluation(*size) for name, size in sizes.items()}, "most": 60}


def evaluation(n: int, channels: int, side: int) -> dict[str, Any]:
    """Of n samples against 2 n real items, with 2 n training items to look for copies."""
    from evenodds.evaluation.evaluate import evaluate as judged

    items = images(5 * n, channels, side)
    steps: dict[str, float] = {}
    last = [time.perf_counter(), "reading"]

    def step(what: str, done: int, total: int) -> None:
        now = time.perf_counter()
        steps[str(last[1])] = steps.get(str(last[1]), 0.0) + now - float(last[0])
        last[:] = [now, what]

    begun = time.perf_counter()
    judged(items[:n], items[n : 3 * n], train=items[3 * n :], n=n, step=step)
    step("end", 1, 1)
    return {"seconds": time.perf_counter() - begun, "steps": {name: round(t, 2) for name, t in steps.items()}}


def report(place: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a report."""
    import evenodds
    from evenodds.evaluation.report import report as written

    session = evenodds.load(digits_run(place, 640 if options.quick else 20_000))
    begun = time.perf_counter()
    written(session, n=60 if options.quick else 10_000)
    return {"seconds": time.perf_counter() - begun, "most": 30}


PARTS: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "start": start,
    "runs": runs,
    "evaluate": evaluate,
    "report": report,
}

if __name__ == "__main__":
    main()
