"""A run that is logged elsewhere is the same run, and is logged once, whatever becomes of it or of the logger."""

import json
import threading
from collections import defaultdict
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import evenodds
from evenodds.cli import main
from evenodds.game.history import read_history
from evenodds.game.listeners.log import Log
from evenodds.game.rules import Progress
from evenodds.game.trainer import Training
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.listeners import _logging
from evenodds.runs.listeners.tensorboard import TensorBoard
from evenodds.runs.run import start
from tests.loggers import Kept, history, installed

TINY = {"images": 512, "batch": 32, "generator.width": 8, "discriminator.width": 8, "watch": "warn", "device": "cpu"}
TINY |= {"save_share": 0.25, "evaluate_share": 0.25, "data.n": 4000}
SMALL = ["ring", "--quiet", "--set", *(f"{name}={value}" for name, value in TINY.items())]
STORES = ("mlflow", "wandb", "trackio")


@dataclass
class Stop:
    """Ends a process, as far as a listener can, in the midst of a run."""

    at: int

    def begin(self, training: Training) -> None:
        """Waits."""

    def after_round(self, training: Training) -> None:
        if training.progress.images >= self.at:
            raise SystemError("killed")

    def end(self, training: Training) -> None:
        """Nothing to close."""


def interrupted(folder: Path, log: Sequence[str], says: list[str]) -> None:
    """Plays a run that is killed behind its second checkpoint, and goes on with it to its end."""
    with pytest.raises(SystemError):
        start(with_settings(recipe("ring"), {**TINY, "log": list(log)}), out=folder, listeners=[Stop(352)])
    evenodds.resume(folder, say=says.append)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is not logged, and was not interrupted."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    start(with_settings(recipe("ring"), TINY), out=folder)
    return folder


def weights(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "checkpoints" / f"{512:012d}").glob("*.safetensors")}


@dataclass(frozen=True)
class Logged:
    """A run that was killed, resumed, and logged by all: its folder, what is said, and what stand-ins were told."""

    folder: Path
    says: list[str]
    told: dict[str, Kept]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    folder, says, printed = tmp_path_factory.mktemp("logged") / "run", list[str](), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        told = installed(patch)
        interrupted(folder, ("tensorboard", *STORES), says)
    assert printed.getvalue() == ""
    return Logged(folder, says, told)


def test_no_bit_of_a_run_that_is_logged_changes(plain: Path, logged: Logged) -> None:
    assert [line for line in logged.says if "fails" in line] == []
    assert weights(logged.folder) == weights(plain)
    assert history(logged.folder) == history(plain)


def test_event_files_hold_the_history_once(logged: Logged) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(logged.folder / "logged"), size_guidance=dict.fromkeys(("scalars", "images"), 0))
    events.Reload()
    scalars = {name: [event.step for event in events.Scalars(name)] for name in events.Tags()["scalars"]}
    assert scalars == history(logged.folder)
    assert {"score", "score_low", "score_high", "discriminator/adversarial"} < set(scalars)
    assert [event.step for event in events.Images("samples")] == [128, 256, 384, 512]
    settings = events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| generator.width | 8 |" in settings
    assert "data_fingerprint" in settings
    verdicts = [event.tensor_proto.string_val[0] for event in events.Tensors("verdict/text_summary")]
    assert verdicts[0].startswith(b"    starting: ")


@pytest.mark.parametrize("name", STORES)
def test_other_loggers_get_the_history_once_in_one_logged_run(name: str, logged: Logged) -> None:
    kept, steps = logged.told[name], defaultdict(list)
    for images, figure, _ in kept.points:
        steps[figure].append(images)
    assert dict(steps) == history(logged.folder)
    assert [images for images, _ in kept.pictures] == [128, 256, 384, 512]
    assert kept.notes[0][:2] == (0, "verdict")
    assert len({begun["id"] for begun in kept.begun}) == 1
    assert len(kept.begun) == 2
    assert kept.ends == (["KILLED", "FINISHED"] if name == "mlflow" else [0, 0])
    assert name == "mlflow" or kept.begun[0]["settings"]["generator.width"] == 8


def test_a_run_that_went_back_is_another_logged_run(tmp_path: Path) -> None:
    first = _logging.Position("a", images=500)
    (tmp_path / "x.json").write_text(json.dumps(vars(first)), "utf-8")
    assert _logging.read_position(tmp_path / "x.json", 0) == first
    assert _logging.read_position(tmp_path / "x.json", 1) == _logging.Position(remedies=1)


@dataclass
class Broken:
    """A store that fails, or hangs, at one of its calls."""

    how: str
    free: threading.Event

    def __getattr__(self, call: str) -> Any:
        def called(*values: Any) -> Any:
            if call == self.how.partition(" ")[0]:
                if self.how.endswith("hangs"):
                    self.free.wait(10)
                raise OSError("no space left\non device \x1b[31m")
            return values[-1]

        return called


@pytest.mark.parametrize("how", ["begin", "figures", "note", "picture", "end", "begin hangs", "figures hangs"])
def test_a_logger_that_fails_or_hangs_is_said_once(
    how: str, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TensorBoard, "patience", 0.02)
    free, says = threading.Event(), list[str]()
    facts = _logging.Facts("run", "run", tmp_path / "logged", {})
    log = Log(plain / "metrics.jsonl", 1)
    log.lines = list(read_history(log.path).values)
    logger = TensorBoard(facts, log, says.append, Broken(how, free))
    training: Any = SimpleNamespace(progress=Progress(512, 512, 16), length=512)
    logger.begin(training)
    logger.after_round(training)
    logger.end(training)
    free.set()
    assert len(says) == 1
    assert says[0].startswith("tensorboard fails, and the run goes on without it")
    assert "\x1b" not in says[0]


def test_a_logger_that_is_not_installed_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("evenodds.runs.listeners._logging.installed", dict)
    assert main(["train", *SMALL, "--log", "wandb", "--out", str(tmp_path / "run")]) == 2
    assert "pip install 'evenodds[wandb]'; or leave it out with --log none" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main(["train", *SMALL, "--log", "tensorbord", "--out", str(tmp_path / "run")]) == 2
    assert "did you mean 'tensorboard'?" in capsys.readouterr().err
