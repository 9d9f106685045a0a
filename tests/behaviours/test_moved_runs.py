"""A run goes on where its data lie now, where these are the same; else it is said in what they differ."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import evenodds
from evenodds.cli import main
from evenodds.data.sources import load as load_data
from evenodds.runs.card import read_card
from evenodds.runs.config_files import read
from evenodds.runs.run_data import differences, open_run_data

TINY = dict(images=64, batch=16, generator__width=4, discriminator__width=4, watch="off", average_half_life=0.0)
QUICK = ["--metrics", "kernel", "--features", "pixels", "-n", "20"]


def write_rows(path: Path, rows: int = 60, first: float = 0.0) -> None:
    numbers = np.random.default_rng(0).normal(size=(rows, 2))
    numbers[0, 0] = first
    text = "".join(f"{a:.6f},{b:.6f},{'xy'[k % 2]}\n" for k, (a, b) in enumerate(numbers))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a,b,label\n" + text, encoding="utf-8")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a run that was trained on them."""
    home = tmp_path_factory.mktemp("home")
    write_rows(home / "data" / "t.csv")
    evenodds.fit(home / "data" / "t.csv", "table", out=home / "runs" / "one", data__label="label", held_out=0.3, **TINY)
    return home


@pytest.fixture
def place(home: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(home, tmp_path / "copy"))


def test_the_path_in_config_yaml_begins_at_the_run(home: Path) -> None:
    text = (home / "runs" / "one" / "config.yaml").read_text("utf-8")
    assert "name: ../../data/t.csv" in text
    data = read(home / "runs" / "one" / "config.yaml").data
    assert data is not None
    assert data.name == str((home / "data" / "t.csv").resolve())


def test_a_run_that_moved_with_its_data_goes_on(place: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = home.with_name("away")
    home.rename(away)
    monkeypatch.chdir(place.parent)
    try:
        assert main(["resume", "copy/runs/one", "--images", "80", "--quiet"]) == 0
        assert main(["evaluate", "copy/runs/one", *QUICK]) == 0
    finally:
        away.rename(home)


def test_a_run_that_moved_alone_finds_data_that_stayed(home: Path, tmp_path: Path) -> None:
    run = shutil.copytree(home / "runs" / "one", tmp_path / "a" / "b" / "c" / "one")
    card, config = read_card(run), read(run / "config.yaml")
    assert len(open_run_data(config, card)) == 60


def test_absolute_paths_of_earlier_runs_stay(place: Path) -> None:
    config = place / "runs" / "one" / "config.yaml"
    config.write_text(config.read_text("utf-8").replace("../../data", str(place / "data")), "utf-8")
    assert main(["evaluate", str(place / "runs" / "one"), *QUICK]) == 0


@pytest.fixture
def lost(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose data are at new.csv, and nothing knows it."""
    card = json.loads((place / "runs" / "one" / "data.json").read_text("utf-8"))
    (place / "runs" / "one" / "data.json").write_text(json.dumps({**card, "place": None}), "utf-8")
    (place / "data").rename(place / "moved")
    monkeypatch.chdir(place)
    return place


COMMANDS = [["resume", "runs/one", "--quiet", "--images", "80"], ["evaluate", "runs/one", *QUICK],
            ["report", "runs/one", *QUICK], ["encode", "runs/one", "--images", "64"]]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_data_that_are_not_there_are_asked_for(
    words: list[str], lost: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "are not at" in error
    assert "--data" in error or "data behind the run" in error


@pytest.mark.parametrize("words", COMMANDS[:3], ids=lambda words: words[0])
def test_data_that_lie_elsewhere_are_named(words: list[str], lost: Path) -> None:
    assert main([*words, "--data", "moved/t.csv"]) == 0
    data = read(lost / "runs" / "one" / "config.yaml").data
    assert data is not None
    if words[0] == "resume":  # from now on they are found there
        assert data.name == str(lost / "moved" / "t.csv")
        assert data.options == {"label": "label"}
        assert main(["evaluate", "runs/one", *QUICK]) == 0


def test_the_same_in_python(lost: Path) -> None:
    assert evenodds.resume("runs/one", data="moved/t.csv", settings={"images": 80}).images == 80
    assert (
        evenodds.resume("runs/one", data=load_data("moved/t.csv", label="label"), settings={"images": 96}).images == 96
    )


@pytest.mark.parametrize(
    ("rows", "first", "said"),
    [(50, 0.0, "they are 50 items, not 60"), (60, 0.5, "the first that differs is item 1; 1 of 60 parts differ")],
)
def test_it_is_said_in_what_other_data_differ(
    rows: int, first: float, said: str, lost: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(lost / "other.csv", rows, first)
    for words in COMMANDS[:3]:
        assert main([*words, "--data", "other.csv"]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert "other.csv is not what the run was trained on" in error


def test_classes_and_columns_that_differ_are_named(home: Path) -> None:
    run = home / "runs" / "one"
    card, config = read_card(run), read(run / "config.yaml")
    data = open_run_data(config, card)
    assert differences(config, card, replace(data, classes=("x", "z"))) == ["class 'y' is missing", "class 'z' is new"]
    assert differences(config, card, replace(data, columns=("b", "a"))) == ["the column names are in another order"]
    assert data.y is not None
    flipped = differences(config, card, replace(data, y=data.y.new_zeros(60)))
    assert flipped[0].startswith("class 'x' has")


def test_data_names_a_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = str(home / "data" / "t.csv")
    assert main(["evaluate", table, "--against", table, "--data", table]) == 2
    assert "no run was named" in capsys.readouterr().err


def test_a_path_with_half_a_character_is_found_again(tmp_path: Path) -> None:
    table = tmp_path / "caf\udce9" / "t.csv"
    write_rows(table)
    session = evenodds.fit(table, "table", out=tmp_path / "run", data__label="label", held_out=0.3, **TINY)
    assert evenodds.resume(session.folder, settings={"images": 80}).images == 80


def test_a_place_of_another_system_is_asked_for(lost: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = lost / "runs" / "one" / "config.yaml"
    path.write_text(path.read_text("utf-8").replace("../../data/t.csv", "'C:\\data\\t.csv'"), "utf-8")
    assert main(["evaluate", "runs/one", *QUICK]) == 2
    assert "not at C:\\data\\t.csv; name data with --against, or say where" in capsys.readouterr().err
    assert main(["features", "runs/one"]) == 2
    assert "not at C:\\data\\t.csv; name data behind the run" in capsys.readouterr().err
