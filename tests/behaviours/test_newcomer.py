"""What somebody who has never seen evenodds stumbles on: toys, names, labels, and a machine that others use."""

from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

from evenodds.cli import main
from evenodds.data.checks import check
from evenodds.data.folders.labels import from_folders
from evenodds.data.readers.toys import mixture
from evenodds.data.sources import load, load_like
from evenodds.errors import unknown
from evenodds.evaluation import threads
from evenodds.runs.card import DataCard
from evenodds.runs.default_recipe import suited_recipe
from evenodds.runs.sample_picture import points_picture
from evenodds.show.pictures import cloud, parts_of

ROWS = "kind,weight,length\napple,150,7.1\npear,180,11.2\n,40,4.0\napple,151,7.3\n"


def test_of_a_long_choice_the_nearest_are_named() -> None:
    columns = [f"Cont {k}" for k in range(1, 58)]
    said = str(unknown("column", "cont7", columns))
    assert "did you mean 'Cont 7'? known: Cont 7, " in said
    assert said.endswith(" and 51 more")
    assert "known: Cont 1, Cont 2, Cont 3, Cont 4, Cont 5, Cont 6 and 51 more" in str(unknown("column", "Y", columns))
    assert str(unknown("loss", "b", ["c", "a"])) == "no loss 'b'; known: a, c"


@pytest.mark.parametrize("source", ["swiss_roll", "two_moons"])
def test_points_have_the_recipe_for_points(source: str) -> None:
    assert suited_recipe(source).name == "ring"


def test_points_that_are_equal_by_chance_are_no_duplicates() -> None:
    data = mixture(20_000)
    train, held_out = data.split(0.1, 0)
    assert len(torch.unique(data.x)) < len(data)
    assert not [line for line in check(data, train, held_out) if "repeat" in line or "too good" in line]


def test_a_picture_of_few_points_has_few_bars() -> None:
    assert [parts_of(n) for n in (1, 64, 10_000)] == [4, 8, 43]
    few = np.linspace(0, 1, 64)[:, None]
    assert (cloud(few, [0.0], [1.0])[0, 200] < 255).all()  # eight bars of eight, in place of gaps between lines


def test_a_picture_of_few_points_has_large_ones() -> None:
    for n, pixels in ((1, 16), (401, 4), (4_001, 1)):
        points = np.full((n, 2), 0.5)
        assert (cloud(points, [0.0, 0.0], [1.0, 1.0]) < 255).sum() == pixels


def test_points_are_shown_beside_the_data() -> None:
    for data in (mixture(500), load("two_moons", n=500)):
        card = DataCard("toy", data.shape, data.units)
        assert card.pictured == 10_000
        pixels = points_picture(card, data.x.numpy(), data.x.numpy())
        assert pixels.shape == ((3, 320, 640) if data.shape == (1,) else (1, 320, 641))
        assert len(np.unique(pixels)) > 2


@pytest.mark.parametrize("form", ["csv", "frame", "npz"])
def test_rows_are_read_back_with_their_class(form: str, tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text(ROWS)
    real = load(tmp_path / "real.csv", label="kind")
    samples = tmp_path / "samples.csv"
    samples.write_text("length,kind,weight\n7.0,plum,140\n11.0,apple,182\n4.4,,41\n")
    source: object = samples
    if form == "frame":
        source = pandas.read_csv(samples)
    if form == "npz":
        source = tmp_path / "samples.npz"
        x = np.array([["140", "7.0"], ["182", "11.0"], ["41", "4.4"]])
        np.savez(source, x=x, y=np.array(["plum", "apple", ""]))
    rows = load_like(source, real, "the samples")
    assert rows.y is not None
    assert [rows.classes[k] if k >= 0 else "" for k in rows.y.tolist()] == ["plum", "apple", ""]
    assert rows.x.tolist() == [[140, 7], [182, 11], [41, 4.4]]
    assert not [line for line in rows.report if "kind" in line]


def test_a_folder_of_unlabelled_images_is_no_class() -> None:
    names = ["a/1.png", "Unlabelled/2.png", "b/3.png"]
    said = from_folders(names)
    assert said.classes == ("Unlabelled", "a", "b")
    assert any("data.unlabelled=Unlabelled" in note for note in said.notes)
    labels = from_folders(names, "Unlabelled")
    assert labels.classes == ("a", "b")
    assert labels.y is not None
    assert labels.y.tolist() == [0, -1, 1]
    assert "Took the 1 image in Unlabelled as unlabelled." in labels.notes


def test_regions_beside_images_are_named(tmp_path: Path) -> None:
    for k in range(4):
        Image.fromarray(np.full((8, 8), 20 * k, np.uint8)).save(tmp_path / f"{k}.png")
    (tmp_path / "settings.json").write_text("{}")
    assert not [line for line in load(tmp_path).report if "train segment" in line]
    (tmp_path / "0.json").write_text("{}")
    assert [line for line in load(tmp_path).report if "train segment" in line]


def test_a_run_as_a_source_says_nothing_of_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("config.yaml", "data.json", "checkpoints"):
        (tmp_path / name).write_text("{}")
    assert main(["duplicates", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "whose pictures are no data; name a folder of images instead" in said
    assert "resume" not in said


def test_threads_are_measured_where_nobody_set_them(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with threads.fastest_threads("cpu", said.append):
        assert torch.get_num_threads() == 1
    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "fixed_by_user", lambda: False)
    monkeypatch.setattr(threads.torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(threads, "rates_by_threads", lambda play, numbers, seconds: {1: 9.0, 2: 1.0})
    with threads.fastest_threads("cpu", said.append):
        pass
    assert [line.partition(":")[0] for line in said] == ["threads=1"]
    monkeypatch.undo()
    torch.set_num_threads(before)
