"""Stand-ins for packages that runs are logged by: they take what the packages take, and keep it."""

import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

__all__ = ["Kept", "history", "installed"]


@dataclass
class Kept:
    """What a package was told of one logged run."""

    begun: list[dict[str, Any]] = field(default_factory=list)
    points: list[tuple[int, str, float]] = field(default_factory=list)
    notes: list[tuple[int, str, str]] = field(default_factory=list)
    pictures: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    ends: list[Any] = field(default_factory=list)

    def take(self, images: int, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, str):
                self.notes.append((images, name, value))
            elif isinstance(value, np.ndarray):
                self.pictures.append((images, value.shape))
            else:
                self.points.append((images, name, float(value)))


def _wandb(kept: Kept) -> dict[str, Any]:
    class Run:
        def define_metric(self, name: str, step_metric: str | None = None) -> None:
            assert (name, step_metric) in (("images", None), ("*", "images"))

        def log(self, data: dict[str, Any], step: int | None = None, commit: bool | None = None) -> None:
            kept.take(data["images"], {name: value for name, value in data.items() if name != "images"})

        def finish(self, exit_code: int | None = None) -> None:
            kept.ends.append(exit_code)

    def init(
        *, project: str, id: str, name: str, group: str, dir: str, config: dict[str, Any], allow_val_change: bool,
        resume: str, reinit: str, settings: Any,
    ) -> Run:  # fmt: skip
        kept.begun.append({"id": id, "name": name, "settings": config})
        return Run()

    def settings(
        *, console: str, silent: bool, disable_git: bool, save_code: bool, init_timeout: float, finish_timeout: float
    ) -> Any:
        assert (console, disable_git, save_code) == ("off", True, False)
        return SimpleNamespace(silent=silent)

    return {"init": init, "Image": lambda pixels: pixels, "Settings": settings, "setup": lambda settings: None}


def _trackio(kept: Kept) -> dict[str, Any]:
    class Run:
        def log(self, metrics: dict[str, Any], step: int | None = None) -> None:
            assert step is not None
            kept.take(step, metrics)

        def finish(self) -> None:
            kept.ends.append(0)

    def init(
        project: str, name: str | None = None, group: str | None = None, config: dict[str, Any] | None = None,
        resume: str = "never", embed: bool = True, auto_log_gpu: bool | None = None, auto_log_cpu: bool | None = None,
    ) -> Run:  # fmt: skip
        print("* Trackio project initialized")
        kept.begun.append({"id": name, "name": group, "settings": config})
        return Run()

    return {"init": init, "Image": lambda pixels: pixels}


def _mlflow(kept: Kept) -> dict[str, Any]:
    class MlflowClient:
        def __init__(self, tracking_uri: str | None = None) -> None:
            self.uri = tracking_uri

        def get_experiment_by_name(self, name: str) -> Any:
            return None

        def create_experiment(self, name: str) -> str:
            return "1"

        def create_run(self, experiment_id: str, *, tags: dict[str, Any], run_name: str) -> Any:
            self.name = run_name
            return SimpleNamespace(info=SimpleNamespace(run_id="r1"))

        def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
            kept.begun.append({"id": run_id, "name": getattr(self, "name", None), "settings": {}})

        def log_batch(self, run_id: str, metrics: Any = (), params: Any = (), tags: Any = ()) -> None:
            assert len(params) <= 100
            for metric in metrics:
                kept.take(metric[3], {metric[0]: metric[1]})

        def set_tag(self, run_id: str, key: str, value: Any) -> None:
            """The latest note."""

        def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
            name, _, images = artifact_file.removesuffix(".txt").partition("/")
            kept.take(int(images), {name: text})

        def log_image(self, run_id: str, image: Any, *, key: str, step: int, synchronous: bool) -> None:
            kept.take(step, {key: image})

        def set_terminated(self, run_id: str, status: str | None = None) -> None:
            kept.ends.append(status)

    return {"MlflowClient": MlflowClient, "get_tracking_uri": lambda: "sqlite:///here/mlflow.db"}


def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Kept]:
    """Puts the stand-ins where the packages would be; what each is told, by name."""
    told = {}
    for name, make in (("mlflow", _mlflow), ("wandb", _wandb), ("trackio", _trackio)):
        told[name] = Kept()
        module = ModuleType(name)
        vars(module).update(make(told[name]))
        monkeypatch.setitem(sys.modules, name, module)
    there = dict.fromkeys((*told, "tensorboard"), "1.0")
    monkeypatch.setattr("evenodds.runs.listeners._logging.installed", lambda: there)
    entities = ModuleType("mlflow.entities")
    vars(entities).update(Metric=lambda *values: values, Param=lambda *values: values)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    return told


def history(folder: Path) -> dict[str, list[int]]:
    """At how many images each number of a history stands."""
    steps = defaultdict(set)
    for line in map(json.loads, (folder / "metrics.jsonl").read_text("utf-8").splitlines()):
        for name, value in line.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and name != "images":
                steps[name].add(line["images"])
    return {name: sorted(images) for name, images in steps.items()}
