"""Runs logged by the real TensorBoard, MLflow, W&B (offline) and Trackio, and what is then read back from each.

A run of `ring` is killed behind its third checkpoint and goes on to its end. What each logger holds then is compared
with the history of the run: every number at every place, once. The weights are compared with those of a run that is
not logged. Then each store is put out of reach. The transcript is results/loggers.txt.

    python benchmarks/loggers.py --work DIR
"""

import argparse
import importlib.util
import json
import os
import re
import struct
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import evenodds
from evenodds.files.write import write_text
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.run import start

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.loggers import history  # noqa: E402

SETTINGS = {"images": 5120, "device": "cpu", "threads": 1}
KILLED = 2048
LOGGERS = ("tensorboard", "mlflow", "wandb", "trackio")
Found = dict[str, list[int]]
"""At how many images each number stands, as often as it does."""


class Stop:
    """Ends a process, as far as a listener can, in the midst of a run."""

    def begin(self, training: Any) -> None:
        """Waits."""

    def after_round(self, training: Any) -> None:
        if training.progress.images >= KILLED:
            raise SystemError("killed")

    def end(self, training: Any) -> None:
        """Nothing to close."""


def killed_and_resumed(folder: Path, logger: str) -> list[str]:
    """What is said of the logger while a run is played in two parts."""
    says: list[str] = []
    try:
        start(
            with_settings(recipe("ring"), {**SETTINGS, "log": logger}), out=folder, say=says.append, listeners=[Stop()]
        )
    except SystemError:
        evenodds.resume(folder, say=says.append)
    return [line for line in says if logger in line]


# What each store holds -----------------------------------------------------------------------------------------------


def from_tensorboard(folder: Path) -> tuple[Found, dict[str, Any]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "logged"), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    found = {name: [event.step for event in events.Scalars(name)] for name in tags["scalars"]}
    notes = [event.tensor_proto.string_val[0].decode().strip() for event in events.Tensors("verdict/text_summary")]
    pictures = [event.step for event in events.Images("samples")]
    settings = events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode().count("\n") - 1
    return found, {"logged runs": 1, "pictures": pictures, "notes": notes, "settings": settings}


def from_mlflow(folder: Path) -> tuple[Found, dict[str, Any]]:
    import mlflow

    client = mlflow.MlflowClient(json.loads((folder / "logged" / "mlflow.json").read_text())["place"])
    experiment = client.get_experiment_by_name("evenodds")
    runs = client.search_runs([experiment.experiment_id])
    run = runs[0]
    found = {key: [m.step for m in client.get_metric_history(run.info.run_id, key)] for key in run.data.metrics}
    images = (one.path for one in client.list_artifacts(run.info.run_id, "images"))
    pictures = sorted(int(match[1]) for path in images if (match := re.search(r"samples.step.(\d+).*\.png", path)))
    notes = [one.path for one in client.list_artifacts(run.info.run_id, "verdict")]
    facts = {"status": run.info.status, "verdict": run.data.tags["verdict"], "settings": len(run.data.params)}
    return found, {"logged runs": len(runs), "pictures": pictures, "notes": notes, **facts}


def records(path: Path) -> Iterator[bytes]:
    """The records of a file of W&B: 7 bytes, then blocks of 32 KiB with (checksum, length, type) before each part."""
    content, place, parts = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""


def from_wandb(folder: Path) -> tuple[Found, dict[str, Any]]:
    from wandb.proto import wandb_internal_pb2 as proto

    found, notes, pictures, ids, settings = defaultdict(list), [], [], set(), 0
    files = sorted((folder / "logged" / "wandb").glob("offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime)
    for path in files:
        for content in records(path):
            record = proto.Record()
            record.ParseFromString(content)
            if record.HasField("run"):
                ids.add(record.run.run_id)
                settings = max(settings, len(record.run.config.update))
            items = {tuple(item.nested_key) or (item.key,): item.value_json for item in record.history.item}
            values = {"/".join(name): json.loads(value) for name, value in items.items()}
            pictures += [values["images"]] if any(name.startswith("samples/") for name in values) else []
            for name, value in values.items():
                if isinstance(value, str) and not name.startswith("samples/"):
                    notes.append(value)
                elif isinstance(value, int | float) and name != "images" and not name.startswith(("samples/", "_")):
                    found[name].append(values["images"])
    kept = len(list((folder / "logged" / "wandb").glob("offline-run-*/files/media/images/*.png")))
    facts = {"files": len(files), "pictures kept": kept, "settings": settings}
    return dict(found), {"logged runs": len(ids), "pictures": pictures, "notes": notes, **facts}


def from_trackio(folder: Path) -> tuple[Found, dict[str, Any]]:
    from trackio.sqlite_storage import SQLiteStorage

    name = json.loads((folder / "logged" / "trackio.json").read_text())["id"]
    found, notes, pictures = defaultdict(list), [], []
    for line in SQLiteStorage.get_logs("evenodds", name):
        for key, value in line.items():
            if key == "samples":
                pictures.append(line["step"])
            elif isinstance(value, str) and key in ("verdict", "remedy"):
                notes.append(value)
            elif isinstance(value, int | float) and key not in ("step", "timestamp"):
                found[key].append(line["step"])
    settings = len(SQLiteStorage.get_run_config("evenodds", name) or {})
    runs = len(SQLiteStorage.get_runs("evenodds"))
    return dict(found), {"logged runs": runs, "pictures": pictures, "notes": notes, "settings": settings}


READERS: dict[str, Callable[[Path], tuple[Found, dict[str, Any]]]] = {
    "tensorboard": from_tensorboard,
    "mlflow": from_mlflow,
    "wandb": from_wandb,
    "trackio": from_trackio,
}

# What is seen --------------------------------------------------------------------------------------------------------


def compared(found: Found, expected: Found) -> list[str]:
    """How what a store holds differs from the history."""
    doubled = sum(len(steps) - len(set(steps)) for steps in found.values())
    missing = sum(len(set(steps) - set(found.get(name, ()))) for name, steps in expected.items())
    more = sum(len(set(steps) - set(expected.get(name, ()))) for name, steps in found.items())
    total = sum(map(len, expected.values()))
    return [f"{total} numbers of {len(expected)} names: {missing} missing, {doubled} doubled, {more} more"]


def weights(folder: Path) -> dict[str, bytes]:
    last = folder / "checkpoints" / f"{SETTINGS['images']:012d}"
    return {path.name: path.read_bytes() for path in last.glob("*.safetensors")}


def seen(logger: str, work: Path, plain: Path) -> list[str]:
    """A run logged in two parts, and what is read back."""
    folder = work / logger
    said = killed_and_resumed(folder, logger)
    found, facts = READERS[logger](folder)
    same = weights(folder) == weights(plain)
    lines = [f"{logger} {version(logger)}", *compared(found, history(folder))]
    lines += [f"{name}: {value}" for name, value in facts.items()]
    return [*lines, f"weights as without it: {same}", f"said of it: {said or 'nothing'}"]


UNREACHABLE = {
    "tensorboard": {},
    "mlflow": {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"},
    "wandb": {"WANDB_MODE": "online", "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40},
    "trackio": {"TRACKIO_SERVER_URL": "http://127.0.0.1:9"},
}


FAILING = """
import sys
from torch.utils.tensorboard import SummaryWriter
def full(*_, **__):
    raise OSError(28, "No space left on device")
SummaryWriter.flush = full
from evenodds.cli import main
sys.exit(main())
"""
"""The command, with event files that fail as on a disk that is full."""


def unreachable(logger: str, work: Path, plain: Path) -> list[str]:
    """The same run where its store cannot be reached, or cannot be written to."""
    folder = work / f"{logger}-unreachable"
    words = ["train", "ring", "--quiet", "--out", str(folder), "--log", logger, "--set"]
    words += [f"{name}={value}" for name, value in SETTINGS.items()]
    how = ["-c", FAILING] if logger == "tensorboard" else ["-m", "evenodds"]
    done = subprocess.run(
        [sys.executable, *how, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **UNREACHABLE[logger]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if line.lower().startswith(logger)]
    same = weights(folder) == weights(plain)
    return [f"out of reach: status {done.returncode}, weights as without it: {same}", *(f"  {line}" for line in said)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    work = parser.parse_args().work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    os.environ |= {"WANDB_MODE": "offline", "TRACKIO_DIR": str(work / "store"), "WANDB_DIR": str(work)}
    start(with_settings(recipe("ring"), SETTINGS), out=work / "plain")
    lines = [f"evenodds {evenodds.__version__}, torch {version('torch')}, Python {sys.version.split()[0]}"]
    for logger in LOGGERS:
        if importlib.util.find_spec(logger) is None:
            lines += ["", f"{logger}: not installed"]
            continue
        lines += ["", *seen(logger, work, work / "plain"), *unreachable(logger, work, work / "plain")]
        print("\n".join(lines[-12:]), flush=True)
    write_text(ROOT / "benchmarks" / "results" / "loggers.txt", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
