"""A conditional run as a user meets it: classes are asked for by name, files come sorted by class."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import evenodds
from evenodds.apply.drawing import Point, between
from evenodds.cli import main
from evenodds.data.sources import load
from evenodds.errors import BadInput
from evenodds.evaluation.evaluate import evaluate
from evenodds.runs.session import Session
from evenodds.tasks.condition import Condition
from tests.short import AT_THE_END

SMALL = {
    "generator__width": 16,
    "discriminator__width": 16,
    "batch": 32,
    "device": "cpu",
    "task": "condition",
    **AT_THE_END,
    "held_out": 0.2,
}


@pytest.fixture(scope="module", params=["projection", "concatenation", "auxiliary"])
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Session:
    home = tmp_path_factory.mktemp("runs")
    images = (load_digits().images * 255 / 16).round().astype(np.uint8)
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    np.savez(home / "digits.npz", x=images, y=names[load_digits().target])
    way = {"task__way": request.param}
    return evenodds.fit(home / "digits.npz", "digits", out=home / "run", images=960, **SMALL, **way)


def test_a_loaded_run_samples_the_same_and_says_which_classes(session: Session) -> None:
    again = evenodds.load(session.folder)
    assert np.array_equal(again.sample(40, seed=2), session.sample(40, seed=2))
    labels, more = again.conditions.sampled_classes(40, seed=2), again.conditions.sampled_classes(300, seed=2)
    assert labels is not None
    assert more is not None
    assert np.array_equal(labels, more[:40])
    assert np.array_equal(again.sample(40, seed=2, y=labels.tolist()), again.sample(40, seed=2))


def test_classes_are_drawn_in_the_shares_of_the_data(session: Session) -> None:
    labels = session.conditions.sampled_classes(5000)
    counts = np.asarray(session.card.class_counts)
    assert np.abs(np.bincount(labels, minlength=10) / 5000 - counts / counts.sum()).max() < 0.02  # type: ignore[arg-type]


def test_asking_for_a_class_changes_the_samples_and_nothing_else(session: Session) -> None:
    three, four = (session.sample(20, seed=1, y=[k] * 20) for k in (3, 4))
    assert not np.array_equal(three, four)
    assert np.array_equal(three, session.sample(20, seed=1, y=[3] * 20))


def test_a_walk_leads_from_class_to_class_or_stays_in_one(session: Session) -> None:
    walk = session.walk(8, 2, seed=3)
    first, second = session.conditions.sampled_classes(2, 3)  # type: ignore[misc]
    of_class = {k: session.walk(8, 2, seed=3, c=session.conditions.to_model([int(k)])) for k in (first, second)}
    assert np.array_equal(walk[0], of_class[first][0])
    assert np.array_equal(walk[4], of_class[second][4])
    assert (first == second) == np.array_equal(walk, of_class[first])


def test_files_come_in_class_folders_and_arrays_with_names(session: Session, tmp_path: Path) -> None:
    words = ["sample", str(session.folder), "--folder", str(tmp_path / "f"), "--npz", str(tmp_path / "x.npz")]
    assert main([*words, "--per-class", "3", "--grid", str(tmp_path / "rows.png")]) == 0
    wide, high = Image.open(tmp_path / "rows.png").size
    assert high / wide == pytest.approx(len(session.card.classes) / 3, rel=0.03)  # a row for each class
    folders = {p.name: len(list(p.iterdir())) for p in (tmp_path / "f").iterdir() if p.is_dir()}
    assert folders == dict.fromkeys(session.card.classes, 3)
    assert {p.name for p in (tmp_path / "f").iterdir()} == {*folders, "labels.csv", ".evenodds.jsonl"}
    with np.load(tmp_path / "x.npz") as arrays:
        assert arrays["y"].tolist() == [name for name in session.card.classes for _ in range(3)]
    assert main([*words[:2], "--class", "seven", "-n", "5", "--npz", str(tmp_path / "7.npz")]) == 0
    with np.load(tmp_path / "7.npz") as arrays:
        assert arrays["y"].tolist() == ["seven"] * 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--class", "eleven"], "no class 'eleven'; did you mean 'seven'? known: eight, five"),
        (["--class", "one", "--per-class", "2"], "give one of them"),
        (["--per-class", "0"], "from 1 to"),
    ],
)
def test_bad_requests_get_one_line(
    words: list[str], said: str, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", str(session.folder), *words]) == 2
    assert said in capsys.readouterr().err


def test_the_discriminator_judges_by_class(session: Session) -> None:
    x = session.sample(6, y=[2] * 6)
    assert session.probability_real(x, [2] * 6).shape == (6,)
    if session.config.task.options["way"] != "auxiliary":
        assert not np.array_equal(session.probability_real(x, [2] * 6), session.probability_real(x, [5] * 6))
    with pytest.raises(BadInput, match="give y"):
        session.probability_real(x)


def test_an_evaluation_knows_the_classes_of_the_samples(session: Session) -> None:
    # Classifiers are trained on samples of one way: how a discriminator is told the class is nothing to them.
    trained = ["accuracy_score"] if session.config.task.options["way"] == "projection" else []
    found = evaluate(session, metrics=["kernel", "class_frechet", "equilibrium", "duality_gap", *trained], n=300)
    scores = {s["name"]: s for s in found["scores"]}
    assert all(scores[name]["value"] is not None for name in ("class_frechet", *trained))
    assert len(found["classes"]) == 10
    gap = found["equilibrium"]["duality_gap"]
    assert gap["gap"] >= 0
    assert gap["best_generator"] <= found["equilibrium"]["value"] + 0.5


def test_resuming_gives_the_bits_of_an_uninterrupted_run(session: Session, tmp_path: Path) -> None:
    data = session.config.data
    assert data is not None
    short = {"average_half_life": 0, "held_out": 0.02, "watch": "off"}
    options = {**SMALL, **short, "task__way": session.config.task.options["way"]}
    whole = evenodds.fit(data.name, "digits", out=tmp_path / "whole", images=320, decay="constant", **options)
    evenodds.fit(data.name, "digits", out=tmp_path / "parts", images=160, decay="constant", **options)
    rest = evenodds.resume(tmp_path / "parts", settings={"images": 320})
    for a, b in zip(whole.players["generator"].parameters(), rest.players["generator"].parameters(), strict=True):
        assert torch.equal(a, b)


def test_data_without_classes_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "ring", "--set", "task=condition", "--out", str(tmp_path / "run"), "--images", "500"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "needs data with at least 2 classes" in error
    assert error.splitlines()[-1].startswith("evenodds: error")


def test_an_unconditional_run_cannot_be_asked(tmp_path: Path) -> None:
    session = evenodds.fit(
        "digits",
        "digits",
        out=tmp_path / "run",
        task="generate",
        images=320,
        generator__width=8,
        device="cpu",
        **AT_THE_END,
    )
    assert session.conditions.sampled_classes(3) is None
    with pytest.raises(BadInput, match="not conditional"):
        session.sample(3, y=[0, 1, 2])
    assert main(["sample", str(tmp_path / "run"), "--class", "3"]) == 2


# --- values and attributes -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["values", "attributes"])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A run on 4x4 images whose left half is as bright, and whose right half as dark, as c says."""
    home = tmp_path_factory.mktemp("asked")
    rng = np.random.default_rng(0)
    c = rng.random((400, 2)) * [100, 1] + [50, 0] if request.param == "values" else rng.integers(0, 2, (400, 2))
    bright = (c - c.min(0)) / (c.max(0) - c.min(0)) * 200 + 20
    images = np.repeat(bright.round().astype(np.uint8), 2, 1)[:, None].repeat(4, 1)
    np.savez(home / "images.npz", x=images, c=c, c_names=np.array(["left", "right"]))
    small = {"generator": "mlp", "discriminator": "mlp", "generator__width": 32, "discriminator__width": 32}
    options = {"batch": 64, "device": "cpu", "task": "condition", "images": 14_400, **AT_THE_END, "held_out": 0.2}
    options["learning_rate"] = 0.005
    return evenodds.fit(home / "images.npz", "digits", out=home / "run", **small, **options)


def test_what_is_asked_for_is_drawn(asked: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = asked.task
    assert isinstance(task, Condition)
    assert (task.kind, task.way) in (("attributes", "projection"), ("values", "concatenation"))
    assert task.length == 2
    low, high = ("left=60", "left=140") if task.kind == "values" else ("left=0", "left=1")
    right = "right=0.5" if task.kind == "values" else "right=1"
    means = []
    for name, word in (("low", low), ("high", high)):
        out = tmp_path / f"{name}.npz"
        assert main(["sample", str(asked.folder), "-n", "64", "--npz", str(out), "--given", word, right]) == 0
        with np.load(out) as arrays:
            means.append(arrays["x"][..., :2].mean())
    capsys.readouterr()
    assert means[1] > means[0] + 60


def test_a_point_of_the_latent_space_follows_what_is_asked_for(asked: Session) -> None:
    numbers = [{"left": 60.0, "right": 0.5}, {"left": 140.0, "right": 0.5}]
    if asked.card.conditions is not None and asked.card.conditions.binary:
        numbers = [{"left": 0.0, "right": 1.0}, {"left": 1.0, "right": 1.0}]
    dark, light = (between(asked, Point(3, given=one), Point(3, given=one), [0.0]) for one in numbers)
    assert light[..., :2].mean() > dark[..., :2].mean() + 40


def test_samples_that_are_not_asked_for_follow_the_data(asked: Session) -> None:
    again = evenodds.load(asked.folder)
    assert np.array_equal(again.sample(300), asked.sample(300))
    c = again.conditions.sampled(300)
    assert c is not None
    assert c.shape == (300, 2)
    assert len(c.unique(dim=0)) > (100 if asked.card.conditions and not asked.card.conditions.binary else 3)
    assert evaluate(asked, metrics=["equilibrium", "duality_gap"], n=80)["equilibrium"]["duality_gap"]["gap"] >= 0
    assert asked.walk(8, 2).shape == (8, 1, 4, 4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--given", "left=1"], "right is missing"),
        (["--given", "left=1", "rihgt=1"], "did you mean 'right'"),
        (["--given", "left"], "name=number"),
        (["--class", "left"], "not conditional on classes"),
    ],
)
def test_what_cannot_be_given_is_said(
    asked: Session, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", str(asked.folder), *words]) == 2
    assert said in capsys.readouterr().err


def test_numbers_in_labels_csv_are_conditions(tmp_path: Path) -> None:
    for k in range(4):
        Image.fromarray(np.full((8, 8), 60 * k, np.uint8)).save(tmp_path / f"{k}.png")
    lines = ["file,class,angle,size"] + [f"{k}.png,{'ab'[k % 2]},{k - 1.5},{k}" for k in range(4)]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    data = load(tmp_path)
    assert data.classes == ("a", "b")
    assert data.conditions is not None
    assert data.conditions.names == ("angle", "size")
    assert data.batch(torch.arange(4))["c"][[0, 3]].tolist() == [[-1, -1], [1, 1]]
    assert data.take(torch.tensor([2])).c.tolist() == [[0.5, 2]]  # type: ignore[union-attr]
    (tmp_path / "labels.csv").write_text("\n".join([*lines[:-1], "3.png,b,,3"]))
    with pytest.raises(BadInput, match=r"'angle' of 3\.png must be a number, got ''"):
        load(tmp_path)


def test_columns_of_a_table_are_conditions(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("age,kind,height,smokes\n" + "".join(f"{k},a,{2 * k},{k % 2}\n" for k in range(8)))
    data = load(tmp_path / "t.csv", label="kind", given="age, smokes")
    assert data.columns == ("height",)
    assert data.conditions is not None
    assert (data.conditions.names, data.conditions.binary) == (("age", "smokes"), False)
    assert data.c is not None
    assert data.c[:, 0].tolist() == list(range(8))
    with pytest.raises(BadInput, match=r"no given column of t\.csv 'agee'; did you mean 'age'"):
        load(tmp_path / "t.csv", label="kind", given="agee")
    with pytest.raises(BadInput, match="got none"):
        load(tmp_path / "t.csv", label="kind", given="age,height,smokes")
