"""The command that measures how fast a recipe trains."""

import json
from pathlib import Path

import pytest

from evenodds.cli import main
from evenodds.runs.bench import Pace, measure_paces, recommended, ways
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.reading import open_data


def test_every_setting_is_measured_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "ring", "--seconds", "0.1", "--json", "--set", "batch=32", "threads=1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recipe"] == "ring"
    measured = {key: pace["images_per_second"] for pace in found["paces"] for key in pace["settings"] or ["as it is"]}
    assert set(measured) == {"as it is", "fused", "precision", "simultaneous", "batch"}
    assert all(rate > 0 for key, rate in measured.items() if key != "simultaneous")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_played_says_why() -> None:
    config = with_settings(recipe("ring"), {"loss": "hinge", "threads": 1, "device": "cpu", "batch": 16})
    (row,) = (one for one in measure_paces(config, open_data(config), 0.02) if "simultaneous" in one.settings)
    assert row.images_per_second == 0
    assert row.note.startswith("not played: simultaneous moves need a loss that slopes")


def test_what_is_recommended_is_faster_and_keeps_the_game() -> None:
    config = with_settings(recipe("digits"), {"precision": "float32", "simultaneous": False, "fused": False})
    rates = {"fused": 104, "precision": 150, "simultaneous": 200, "batch": 300}
    paces = [Pace(dict(way.settings), rates[next(iter(way.settings))], way.note) for way in ways(config, False)]
    threads = [Pace({"threads": 2}, 100), Pace({"threads": 1}, 60)]
    assert recommended([Pace({}, 100), *threads, *paces]) == {"precision": "bfloat16"}


def test_a_command_that_is_wrong_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in ((["rings"], "did you mean 'ring'"), (["ring", "--set", "loss=hinje"], "'hinge'")):
        assert main(["bench", *words]) == 2
        error = capsys.readouterr().err.strip()
        assert said in error.splitlines()[-1]
