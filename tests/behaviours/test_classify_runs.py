"""A classifier of few labels by commands: it learns, names classes, says how often it is right, and writes a table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import evenodds
from evenodds.apply.classifying import classify
from evenodds.cli import main
from evenodds.data.labelled import WithLabels
from evenodds.data.sources import load
from evenodds.errors import BadInput
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.reading import open_data
from evenodds.runs.run_data import read_settings
from tests.short import AT_THE_END
from tests.stand_ins import settled

RNG = np.random.default_rng(0)
CLASSES = ("=dark", "light <b>")
SMALL: dict[str, Any] = {
    "size": 8, "channels": 1, "generator__width": 4, "discriminator__width": 4, "views": (), "batch": 16,
    "images": 800, "watch": "off", "device": "cpu", "threads": 1, **AT_THE_END, "held_out": 0.25,
}  # fmt: skip


def picture(path: Path, light: bool) -> None:
    """Noise, dark or light."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(100 * light, 120 + 100 * light, (8, 8), np.uint8)).save(path)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photos`, of which few have a label, `new` photos, and a run."""
    folder = tmp_path_factory.mktemp("home")
    for k in range(80):
        place = CLASSES[k % 2] if k < 24 else "unlabelled"
        picture(folder / "photos" / place / f"{k}.png", bool(k % 2))
    for k in range(20):
        picture(folder / "new" / (CLASSES[k % 2] if k < 16 else "grey") / f"{k}.png", bool(k % 2))
    data = {"data__unlabelled": "unlabelled"}
    evenodds.fit(folder / "photos", "classify", out=folder / "run", **data, **SMALL)
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_it_names_the_classes_of_its_own_data(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", str(home / "run")]) == 0
    out, err = capsys.readouterr()
    rows = rows_of(home / "run" / "classes.csv")
    assert len(rows) == 80
    held_out = [row for row in rows if row["held_out"] == "1"]
    tested = [row for row in held_out if row["known"]]
    assert len(held_out) == 20
    assert {row["known"] for row in tested} == {"'=dark", CLASSES[1]}  # no spreadsheet computes a name
    right = np.mean([row["class"] == row["known"] for row in tested])
    assert right == 1
    assert "100.0% right" in err
    assert f"of {len(tested)} held-out items with a label." in err
    light = [row["class"] == CLASSES[1] for row in rows]
    truth = [int(Path(row["name"]).stem) % 2 == 1 for row in rows]
    assert np.mean(np.array(light) == truth) > 0.95  # those without a label, too
    assert out.splitlines()[0].split() == ["class", "answers", "tested", "by", "found", "right"]
    assert out.splitlines()[-1] == str(home / "run" / "classes.csv")


def test_of_other_data_all_labels_count_and_unknown_classes_are_told(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.csv"
    assert main(["classify", str(home / "run"), str(home / "new"), "--out", str(path)]) == 0
    err = capsys.readouterr().err
    assert "of 16 items with a label." in err
    assert "The run knows no 1 such class: grey; their items count as having no label." in err
    rows = rows_of(path)
    assert [row["held_out"] for row in rows] == [""] * 20
    for row in rows:
        shares = [float(row[f"p({name})"]) for name in CLASSES]
        assert sum(shares) == pytest.approx(1, abs=2e-4)
        assert max(shares) == float(row["probability"])


def test_the_class_of_one_image_is_printed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(home / "one.png", light=True)
    assert main(["classify", str(home / "run"), str(home / "one.png")]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{CLASSES[1]} ")
    assert "%, =dark " in out
    assert not err


def test_what_python_gets(home: Path) -> None:
    session = evenodds.load(home / "run")
    found = classify(session, home / "new")
    assert found.probabilities.shape == (20, 2)
    assert found.accuracy is not None
    share, low, high = found.accuracy
    assert low < share <= high
    assert found.strange == ("grey",)
    assert classify(session).held_out is not None


def test_scores_while_it_learns_are_of_held_out_labels(home: Path) -> None:
    lines = [json.loads(line) for line in (home / "run" / "metrics.jsonl").read_text().splitlines()]
    scores = [line for line in lines if "score" in line]
    assert scores[-1]["score"] == 0
    assert scores[-1]["score_low"] == 0
    assert scores[-1]["score_high"] <= 1
    assert scores[-1]["balanced_accuracy"] == 1
    assert read_settings(home / "run").card.class_counts == (9, 9)


def test_an_evaluation_says_of_held_out_labels_what_classify_says(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", str(home / "run"), "--out", str(home / "all.csv")]) == 0
    right = capsys.readouterr().err.split(" right ")[0].split()[-1]
    assert main(["report", str(home / "run")]) == 0
    content = json.loads((home / "run" / "evaluation.json").read_text())
    assert content["verdict"][0].startswith(f"{right} right (")
    tested = [row for row in rows_of(home / "all.csv") if row["held_out"] == "1" and row["known"]]
    assert content["subject"]["items"] == len(tested) == sum(map(sum, content["confusion"]))
    assert [row["tested"] for row in content["told"]] == [3, 3]
    page = (home / "run" / "report.html").read_text()
    assert "By class" in page
    assert "light &lt;b&gt;" in page
    assert main(["evaluate", str(home / "run")]) == 0
    assert "held-out items with a label" in capsys.readouterr().out


@pytest.mark.parametrize("few", [True, False])
def test_where_few_have_a_label_each_batch_has_labelled_ones_beside_it(home: Path, few: bool) -> None:
    changes = {name.replace("__", "."): value for name, value in SMALL.items()}
    more = {"data": str(home / "photos"), "data.unlabelled": "unlabelled"} if few else {"data": str(home / "new")}
    config = with_settings(recipe("classify"), {**changes, **more})
    dataset = open_data(config)
    feed = Run(settled(config, dataset), dataset).feed
    batch = feed.at(0)
    assert isinstance(feed, WithLabels) == few
    assert ("labelled_y" in batch) == few
    if few:
        assert (batch["labelled_y"] >= 0).all()
        assert len(batch["labelled_x"]) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sample", "{run}", "-n", "2"], "put it to work: evenodds classify"),
        (["evaluate", "{run}", "--metrics", "all"], "is judged by its held-out items that have a label"),
        (["evaluate", "{run}", "--seed", "1"], "have a label; other data are put to it by evenodds classify"),
        (["report", "{run}", "--seed", "0"], "leave --seed out"),
        (["evaluate", "{run}", "--most-pixels", "1000"], "leave --most-pixels out"),
        (["classify", "{run}", "--most-pixels", "1000"], "not of the data of the run, which are read as they were"),
        (["features", "{run}", "--most-pixels", "1000"], "not of the data of the run, which are read as they were"),
        (["segment", "{run}", "one.png", "two.png"], "put it to work with `evenodds classify`"),
        (["classify", "{run}/../photos", "{run}"], "`evenodds classify RUN DATA` takes the run first"),
    ],
)
def test_what_it_does_not_do_is_said(
    home: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format(run=home / "run") for word in words]) == 2
    assert said in capsys.readouterr().err


def test_data_without_classes_are_refused(home: Path, tmp_path: Path) -> None:
    for k in range(4):
        picture(tmp_path / "plain" / f"{k}.png", light=True)
    with pytest.raises(BadInput, match="learns from at least 2 classes, got 0"):
        evenodds.fit(tmp_path / "plain", "classify", **SMALL)
    assert load(tmp_path / "plain").y is None


def test_rows_of_a_table_are_told_by_their_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = RNG.normal(size=(60, 3)).round(3)
    kinds = np.where(x[:, 0] > 0, "up", "down")
    body = [f"{a},{b},{c},{kind if k < 30 else ''}" for k, ((a, b, c), kind) in enumerate(zip(x, kinds, strict=True))]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c,kind", *body]))
    (tmp_path / "new.csv").write_text("kind,c,b,a\n" + "\n".join(f",0,0,{value}" for value in (-2, 2)))
    options = {**SMALL, "data__label": "kind", "generator__width": 8, "discriminator__width": 32}
    options = {name: value for name, value in options.items() if name not in ("size", "channels", "views")}
    evenodds.fit(tmp_path / "t.csv", "classify-table", out=tmp_path / "run", **options | {"images": 2000})
    assert main(["classify", str(tmp_path / "run"), str(tmp_path / "new.csv"), "--out", str(tmp_path / "c.csv")]) == 0
    assert "No item has a label" in capsys.readouterr().err
    assert [row["class"] for row in rows_of(tmp_path / "c.csv")] == ["down", "up"]
