"""`evenodds augment`, as a user meets it."""

import json
from pathlib import Path

import numpy as np
import pytest

import evenodds
from evenodds.apply.augment import augment, balancing
from evenodds.cli import main
from evenodds.data.sources import load as load_data
from evenodds.errors import BadInput
from evenodds.files.names import safe_names
from evenodds.runs.session import Session
from tests.short import AT_THE_END

SMALL = {"generator__width": 8, "discriminator__width": 8, "device": "cpu", "prior__size": 6, **AT_THE_END}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    home, data = tmp_path_factory.mktemp("runs"), load_data("digits")
    np.savez(home / "few.npz", x=data.x[:400, 0].numpy(), y=data.y[:400].numpy())  # type: ignore[index]
    return evenodds.fit(str(home / "few.npz"), "digits", out=home / "run", images=2560, task="condition", **SMALL)


@pytest.fixture(scope="module")
def made(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("made") / "synthetic"
    words = ["augment", str(session.folder), "--to", str(to), "--per-class", "12", "--tries", "10"]
    assert main([*words, "--filters", "discriminator", "agreement,copies", "duplicates"]) == 0
    return to


def test_the_folder_reads_back_with_its_classes(made: Path, session: Session) -> None:
    manifest = json.loads((made / "manifest.json").read_text())
    data = load_data(made)
    assert len(data) == manifest["written"]
    assert data.classes == tuple(k for k in session.card.classes if manifest["classes"][k]["written"])
    assert data.shape == session.card.shape
    assert data.y is not None
    for label, name in enumerate(data.classes):
        names = [data.names[k] for k in (data.y == label).nonzero().flatten().tolist()]
        assert len(names) == manifest["classes"][name]["written"]
        assert all(one.startswith(f"{name}/") for one in names)


def test_the_manifest_says_how_it_was_made_and_adds_up(made: Path, session: Session) -> None:
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["filters"] == ["discriminator", "agreement", "copies", "duplicates"]
    assert manifest["images_seen"] == session.images
    assert manifest["data_fingerprint"] == session.card.fingerprint
    for count in manifest["classes"].values():
        assert count["drawn"] == sum(count["refused"].values()) + count["spare"] + count["written"]
        assert count["written"] <= count["asked"] == 12
        came = count["drawn"]
        for name in manifest["filters"]:
            assert came == count["passed"][name] + count["refused"][name]
            came = count["passed"][name]


def test_the_same_seed_gives_the_same_files(session: Session, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        augment(session, tmp_path / name, per_class=4, filters=[], seed=seed)
    files = {n: sorted(p for p in (tmp_path / n).rglob("*") if p.is_file()) for n in "abc"}
    assert [p.read_bytes() for p in files["a"]] == [p.read_bytes() for p in files["b"]]
    assert [p.read_bytes() for p in files["a"]] != [p.read_bytes() for p in files["c"]]
    assert len(files["a"]) == 42


def test_balance_brings_classes_to_the_largest(session: Session, tmp_path: Path) -> None:
    counts = session.card.class_counts
    manifest = augment(session, tmp_path / "made", balance=True, filters=[])
    written = [manifest["classes"][name]["written"] for name in session.card.classes]
    assert {a + b for a, b in zip(counts, written, strict=True)} == {max(counts)}
    assert balancing([5, 9, 1]) == [4, 0, 8]


def test_what_cannot_be_filled_is_said_and_the_rest_is_there(session: Session, tmp_path: Path) -> None:
    said: list[str] = []
    manifest = augment(session, tmp_path / "made", per_class=400, filters=["agreement"], tries=1, say=said.append)
    short = [name for name, count in manifest["classes"].items() if count["written"] < 400]
    assert len(short) == len(said) > 0
    assert "agreement refused" in said[0]
    assert len(load_data(tmp_path / "made")) == manifest["written"]


def test_folders_of_odd_classes_can_be_made_and_differ() -> None:
    odd = ["T-shirt/top", "a:b", "a?b", "..", "Fine", "fine", "ä b"]
    names = safe_names(odd)
    assert names[0] == "T-shirt_top"
    assert names[-1] == "ä b"
    assert len({name.lower() for name in names}) == len(odd)
    assert not any(set(name) & set('/\\:?*"<>|') or name.startswith(".") for name in names)


def test_odd_classes_come_back_as_they_are_called(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    y = np.array(["T-shirt/top", "bag"] * 30)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    session = evenodds.fit(
        str(tmp_path / "data.npz"), "digits", out=tmp_path / "run", images=128, task="condition", **SMALL
    )
    augment(session, tmp_path / "made", per_class=3, filters=["duplicates"])
    assert load_data(tmp_path / "made").classes == ("T-shirt/top", "bag")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "new"], "say how many"),
        (["--to", "new", "--per-class", "3", "--balance"], "one of the two"),
        (["--to", "new", "--per-class", "0"], "from 1 to"),
        (["--to", "new", "--per-class", "3", "--filters", "agrement"], "did you mean 'agreement'"),
        (["--to", "there", "--per-class", "3"], "left as it is"),
        (["--to", "new", "--per-class", "3", "--checkpoint", "77"], "no checkpoint '77'"),
    ],
)
def test_wrong_input_is_one_line(
    session: Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "precious.txt").write_text("x")
    assert main(["augment", str(session.folder), *words]) == 2
    assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert (tmp_path / "there" / "precious.txt").read_text() == "x"
    assert not (tmp_path / "new").exists()


def test_runs_that_cannot_are_refused(tmp_path: Path) -> None:
    plain = evenodds.fit("digits", "digits", out=tmp_path / "plain", images=64, task="generate", **SMALL)
    with pytest.raises(BadInput, match="not conditional on classes"):
        augment(plain, tmp_path / "made", per_class=3)
    wholly = evenodds.fit(
        "digits",
        "digits",
        out=tmp_path / "all",
        images=64,
        task="condition",
        **{**SMALL, "held_out": 0, "evaluate_share": None},
    )
    with pytest.raises(BadInput, match="needs held-out items"):
        augment(wholly, tmp_path / "made", per_class=3, filters=["copies"])
    changed = load_data("digits").take(load_data("digits").y.argsort())  # type: ignore[union-attr]
    with pytest.raises(BadInput, match="not what the run was trained on"):
        augment(wholly, tmp_path / "made", per_class=3, filters=["duplicates"], data=changed)
    hinge = evenodds.fit(
        "digits", "digits", out=tmp_path / "h", images=64, loss="hinge", penalty=None, task="condition", **SMALL
    )
    with pytest.raises(BadInput, match="log ratios"):
        augment(hinge, tmp_path / "made", per_class=3, filters=["discriminator"])
    assert not (tmp_path / "made").exists()
