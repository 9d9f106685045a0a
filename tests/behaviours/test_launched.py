"""A command that a launcher starts several times: one process speaks, and the others take part or end."""

import os
from pathlib import Path

import pytest

from evenodds.cli import main
from evenodds.files import terminal
from evenodds.files.process import LAUNCHED

ADDRESS = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As a launcher starts two processes; the number of this one is to be set."""
    monkeypatch.setattr(terminal, "_mute", False)
    for name, value in ADDRESS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_a_command_of_one_process_runs_in_the_first_alone(
    launched: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    launched.setenv("RANK", "1")
    assert main(["list", "recipes"]) == 0
    assert capsys.readouterr().out == ""
    launched.setenv("RANK", "0")
    for name, value in ADDRESS.items():
        launched.setenv(name, value)
    assert main(["list", "recipes"]) == 0
    assert "digits" in capsys.readouterr().out
    assert not [name for name in LAUNCHED if name in os.environ]  # so that it waits for nobody


@pytest.mark.parametrize("rank", [0, 1])
def test_a_command_line_that_is_wrong_is_said_once(
    launched: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: int
) -> None:
    launched.setenv("RANK", str(rank))
    assert main(["train", "digits", "--images", "many"]) == 2
    assert ("evenodds: error" in capsys.readouterr().err) == (rank == 0)


def test_a_run_that_torchrun_may_start_again_needs_a_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    assert main(["train", "ring", "--images", "64"]) == 2
    assert "name the folder with --out" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_run_that_torchrun_starts_again_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["train", "ring", "--quiet", "--out", str(tmp_path / "run"), "--images", "512", "--set", "device=cpu"]
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    assert main(words) == 0
    assert main(words) == 2
    assert "already holds a run" in capsys.readouterr().err
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert main(words) == 0
    assert "resuming at 512 of 512 points" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "needed"), [({"RANK": "0"}, "MASTER_ADDR, MASTER_PORT is not set"), ({**ADDRESS, "RANK": "2"}, "got '2'")]
)
def test_a_launcher_that_says_half_of_it_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    said: dict[str, str],
    needed: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"WORLD_SIZE": "2", **said}.items():
        monkeypatch.setenv(name, value)
    assert main(["train", "ring", "--images", "64"]) == 2
    assert needed in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
