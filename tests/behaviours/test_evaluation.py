"""Evaluate, compare and report as a user meets them: runs, folders, zips and arrays in; tables, JSON, a page out."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import evenodds
from evenodds.cli import main
from evenodds.errors import BadInput
from evenodds.evaluation.evaluate import evaluate, read
from evenodds.runs.session import Session
from tests.short import AT_THE_END

SMALL = {
    "task": "generate", "generator__width": 8, "discriminator__width": 8, "batch": 32, "device": "cpu", **AT_THE_END,
}  # fmt: skip
QUICK = ["--metrics", "kernel,precision,memorisation", "--features", "pixels"]


def array() -> NDArray[np.uint8]:
    return (load_digits().images * 255 / 16).round().astype(np.uint8)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    home = tmp_path_factory.mktemp("runs")
    np.savez(home / "digits.npz", x=array(), y=load_digits().target)
    return evenodds.fit(
        home / "digits.npz",
        "digits",
        out=home / "run",
        images=3200,
        **{**SMALL, "save_share": 0.2, "evaluate_share": 0.2},
    )


@pytest.fixture(scope="module")
def samples(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same samples as an array, a folder and a zip."""
    home = tmp_path_factory.mktemp("samples")
    words = ["sample", str(session.folder), "-n", "300", "--seed", "5"]
    assert main([*words, "--npz", str(home / "x.npz"), "--folder", str(home / "folder")]) == 0
    with zipfile.ZipFile(home / "x.zip", "w") as file:
        for path in sorted((home / "folder").glob("*.png")):
            file.write(path, path.name)
    return home


def printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(words) == 0
    return json.loads(capsys.readouterr().out)


def test_json_is_all_that_goes_to_standard_output(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(["evaluate", str(session.folder), "--json", *QUICK], capsys)
    assert found["schema"] == 1
    assert {s["name"] for s in found["scores"]} == {"kernel", "precision"}
    assert found["reference"]["role"] == "held-out items of the run"
    assert found["memorisation"]["n_train"] == len(load_digits().images) - found["memorisation"]["n_held_out"]
    assert read(session.folder)["scores"] == found["scores"]


def test_arrays_folders_and_zips_of_the_same_samples_score_the_same(
    session: Session, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--against", str(session.folder), "--json", *QUICK]
    found = [printed(["evaluate", str(samples / name), *words], capsys) for name in ("x.npz", "folder", "x.zip")]
    assert found[0]["scores"] == found[1]["scores"] == found[2]["scores"]
    assert found[0]["fingerprint"] == found[2]["fingerprint"]
    # ... and as the run itself that drew them
    own = evaluate(session, metrics=["kernel"], features="pixels", n=300, seed=5)
    again = evaluate(samples / "x.npz", session.folder, metrics=["kernel"], features="pixels", n=300, seed=5)
    assert own["scores"] == again["scores"]
    # ... of whose settings and data alone is asked where it is named beside them
    bare = session.folder.with_name("bare")
    shutil.copytree(session.folder, bare, ignore=shutil.ignore_patterns("checkpoints"))
    usual: dict[str, Any] = {"features": "pixels", "n": 300, "seed": 5}
    by_name = evaluate(samples / "x.npz", bare, train=bare, metrics=["kernel", "memorisation"], **usual)
    assert by_name["scores"][0] == again["scores"][0]
    assert by_name["memorisation"]["n_train"] == session.card.trained_on


def test_the_table_says_what_was_compared(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--metrics", "kernel,class_frechet,memorisation,equilibrium"]  # the page of the report has all
    assert main(["evaluate", str(session.folder), "-n", "200", *few]) == 0
    out = capsys.readouterr().out
    for words in (
        "held-out items of the run",
        "95 % interval",
        "real against real",
        "Copies:",
        "Equilibrium:",
        "class",
    ):
        assert words in out
    assert "does not compare with published figures" in out


def test_comparing_ranks_or_says_which_part_differs(
    session: Session, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, scores = [], ["--metrics", "kernel,precision", "--features", "pixels"]
    better = array()[:300, None]  # real items: what no generator can beat
    np.savez(tmp_path / "better.npz", x=better)
    for k, path in enumerate((tmp_path / "better.npz", samples / "x.npz")):
        files.append(str(tmp_path / f"{k}.json"))
        assert main(["evaluate", str(path), "--against", str(session.folder), "--out", files[-1], *scores]) == 0
    capsys.readouterr()
    found = printed(["compare", *files, "--json"], capsys)
    kernel = next(s for s in found["scores"] if s["name"] == "kernel")
    assert [e["name"] for e in kernel["entries"]] == files
    assert [e["with_the_best"] for e in kernel["entries"]] == [False, False]
    assert session.config.data is not None
    words = ["--against", session.config.data.name, "--out", files[1], *scores]
    assert main(["evaluate", str(samples / "x.npz"), *words]) == 0
    capsys.readouterr()
    assert main(["compare", *files]) == 2
    error = capsys.readouterr().err
    assert "fingerprints differ in reference" in error
    assert error.count("\n") == 1


def test_samples_with_another_size_are_resized_and_the_fingerprint_says_so(
    session: Session, samples: Path, tmp_path: Path
) -> None:
    from PIL import Image

    (tmp_path / "big").mkdir()
    for k, path in enumerate(sorted((samples / "folder").glob("*.png"))[:20]):
        with Image.open(path) as image:
            image.resize((32, 32)).save(tmp_path / "big" / f"{k}.png")
    found = evaluate(tmp_path / "big", session.folder, metrics=["kernel"], features="pixels")
    assert found["fingerprint"]["samples_resized"] == "resized"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evaluate", "{samples}/x.npz"], "--against"),
        (["evaluate", "{samples}/none"], "no file or folder of this name exists"),
        (["evaluate", "{run}", "--metrics", "frechett"], "did you mean 'frechet'"),
        (["evaluate", "{run}", "--features", "incept"], "did you mean 'inception'"),
        (["evaluate", "{run}", "--features", "inception"], "6726825d"),
        (["evaluate", "{samples}/float.npz", "--against", "{run}"], "own units"),
        (["evaluate", "{samples}/rows.npz", "--against", "{run}"], "the samples are"),
        (["evaluate", "{samples}/nothing.npz", "--against", "{run}"], "nothing.npz"),
        (["compare"], "at least two"),
        (["compare", "{samples}/x.npz", "{run}"], "is no evaluation"),
        (["report", "{samples}/x.npz"], "a run is a folder"),
        (["evaluate", "{run}", "-n", "0"], "from 1 to"),
    ],
)
def test_bad_input_gets_one_line(
    words: list[str], said: str, session: Session, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(samples / "float.npz", x=np.random.default_rng(0).random((20, 1, 8, 8)))
    np.savez(samples / "rows.npz", x=np.zeros((20, 5), np.uint8))
    assert main([word.format(run=session.folder, samples=samples) for word in words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("against", ["the run", "images"])
def test_samples_of_another_kind_are_refused_before_data_are_read(
    against: str, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("data were read")

    (tmp_path / "rows.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    np.savez(tmp_path / "images.npz", x=array())
    for name in ("load_data", "load_like", "open_run_data"):
        monkeypatch.setattr(f"evenodds.evaluation.material.{name}", never)
    real = session.folder if against == "the run" else tmp_path / "images.npz"
    with pytest.raises(BadInput, match="the samples are rows of 2 numbers, and images of 8 x 8 with 1 channel are"):
        evaluate(tmp_path / "rows.csv", real)
    with pytest.raises(BadInput, match=r"the run makes \(1, 8, 8\), the data are \(2,\)"):
        evaluate(session, tmp_path / "rows.csv")


def test_real_data_without_the_classes_of_a_run_do_not_ask_its_discriminator(tmp_path: Path) -> None:
    """They fell over the missing labels, and over those of other classes silently."""
    x, y = array(), load_digits().target
    np.savez(tmp_path / "labelled.npz", x=x, y=y)
    run = evenodds.fit(
        tmp_path / "labelled.npz", "digits", out=tmp_path / "run", images=64, **SMALL | {"task": "condition"}
    )
    np.savez(tmp_path / "other.npz", x=x[:400], y=y[:400] % 2)
    np.savez(tmp_path / "same.npz", x=x[:400], y=y[:400])
    for real, asked in ((x[:400], False), (tmp_path / "other.npz", False), (tmp_path / "same.npz", True)):
        found = evaluate(run, real, metrics=["equilibrium"], features="pixels", n=40, data=tmp_path / "labelled.npz")
        said = [note for note in found["equilibrium"]["notes"] if "judges an item by its class" in note]
        assert (bool(said), found["equilibrium"]["value"] is None) == (not asked, not asked)


def test_the_report_is_one_page_with_the_verdict_first(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(session.folder), "-n", "200", "--features", "random"]) == 0
    page = (session.folder / "report.html").read_text()
    verdict = read(session.folder)["verdict"]
    assert page.index(verdict[0][:40]) < page.index("Fréchet distance</")
    assert page.count("data:image/png;base64,") >= 4
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert capsys.readouterr().out.split() == [str(session.folder / n) for n in ("report.html", "evaluation.json")]


def test_tables_and_toys_are_judged_by_their_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "ring", "--images", "2560", "--out", str(tmp_path / "ring"), "--quiet", "--device", "cpu"]
    small = ["generator.width=16", "discriminator.width=16", "data.n=4000"]
    assert main([*words, "--set", "save_share=1", "evaluate_share=1", *small]) == 0
    capsys.readouterr()
    found = printed(["evaluate", str(tmp_path / "ring"), "--json", "-n", "400", "--metrics", "kernel,ms_ssim"], capsys)
    assert found["fingerprint"]["features"] == "pixels"
    assert {s["name"]: s["note"] for s in found["scores"]}["ms_ssim"].startswith("compares images")
    assert main(["report", str(tmp_path / "ring"), "-n", "200"]) == 0
    capsys.readouterr()
    every = {s["name"]: s["note"] for s in read(tmp_path / "ring")["scores"]}
    assert {"kernel", "precision", "frechet"} < {*every}
    assert every["ms_ssim"].startswith("compares images")
    assert main(["show", str(tmp_path / "ring")]) == 0
    assert " points of 2 numbers, trained on " in capsys.readouterr().out
    for words, said in (
        (
            ["augment", "--to", str(tmp_path / "new"), "--per-class", "2"],
            "makes points; draw them with evenodds sample",
        ),
        (["mix"], "makes points; take a run of images whose generator is style"),
        (["walk", "--from", "a.png", "--to", "b.png"], "makes points; draw some: evenodds sample"),
    ):
        assert main([words[0], str(tmp_path / "ring"), *words[1:]]) == 2
        assert said in capsys.readouterr().err


def test_a_run_on_an_array_is_judged_with_that_array(tmp_path: Path) -> None:
    x = array()
    session = evenodds.fit(x, "digits", out=tmp_path / "run", images=320, **SMALL)
    with pytest.raises(BadInput, match="in memory"):
        evaluate(session, metrics=["kernel"])
    found = evaluate(session, x, metrics=["kernel", "memorisation"])
    assert found["reference"]["role"] == "held-out items of the run"
    assert found["memorisation"]["n_train"] == session.card.trained_on


def test_the_history_holds_held_out_figures_with_intervals(session: Session) -> None:
    lines = [line for line in session.history() if "score" in line]
    assert len(lines) >= 5
    assert all(line["score_low"] <= line["score"] <= line["score_high"] for line in lines)
    assert all(0 <= line["precision"] <= 1 and 0 <= line["recall"] <= 1 for line in lines)
    assert evenodds.load(session.folder, "best").images == min(lines, key=lambda line: line["score"])["images"]
