"""A run that is handed on, as a folder or by a hub, is the same run; what was changed on the way is refused."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import evenodds
from evenodds.cli import main
from evenodds.errors import BadInput
from evenodds.export import hub as hubs
from evenodds.export.manifest import NAME
from evenodds.runs.card import read_card
from evenodds.runs.session import load
from tests.hub import TOKEN, Hub, served

TINY = dict(images=64, batch=16, generator__width=4, discriminator__width=4, watch="off", save_share=0.5)
CLASSES = ("<b>x", "y|[z](q)")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a private name, with data and a run that was trained on them, and that run as it is handed on."""
    home = tmp_path_factory.mktemp("private")
    rng = np.random.default_rng(0)
    rows = [f"{a:.5f},{b:.5f},{CLASSES[k % 2]}" for k, (a, b) in enumerate(rng.normal(size=(60, 2)))]
    (home / "patients.csv").write_text("\n".join(["a,b,label", *rows]), encoding="utf-8")
    options = {"task": "condition", "data__label": "label", "held_out": 0.3, **TINY}
    evenodds.fit(home / "patients.csv", "table", out=home / "run", **options)
    (home / "run" / "notes.txt").write_text("mine", encoding="utf-8")
    (home / "run" / "samples.png").write_bytes(b"mine")
    (home / "run" / "report.html").write_text("with pictures of the data", encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def handed(home: Path) -> Path:
    assert main(["push", str(home / "run"), "--to", str(home / "handed"), "--licence", "cc-by-4.0"]) == 0
    return home / "handed"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_pulled_run_gives_the_same_bits_and_goes_on(home: Path, handed: Path, tmp_path: Path) -> None:
    assert main(["pull", str(handed), "--to", str(tmp_path / "pulled")]) == 0
    here, there = load(home / "run"), load(tmp_path / "pulled")
    assert np.array_equal(here.sample(20, seed=3), there.sample(20, seed=3))
    shutil.copytree(home / "run", tmp_path / "stayed")
    words = ["--images", "96", "--quiet", "--data", str(home / "patients.csv")]
    for name in ("stayed", "pulled"):
        assert main(["resume", str(tmp_path / name), *words]) == 0
    stayed, pulled = (files(tmp_path / name / "checkpoints" / f"{96:012d}") for name in ("stayed", "pulled"))
    assert {k: v for k, v in stayed.items() if k.endswith("s")} == {k: v for k, v in pulled.items() if k.endswith("s")}


def test_nothing_of_the_owner_is_handed_on(home: Path, handed: Path) -> None:
    content = files(handed)
    assert {name for name in content if "/" not in name} == {
        ".evenodds.jsonl", "README.md", "config.yaml", "data.json", "environment.json", NAME, "metrics.jsonl"
    }  # fmt: skip
    assert [name for name, value in content.items() if b"patients" in value or b"private" in value] == []
    card = read_card(handed)
    assert (card.place, card.blocks, card.report) == (None, (), ())


def test_without_data_of_its_own_a_resume_says_what_to_type(
    handed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", str(handed), "--to", str(tmp_path / "pulled")]) == 0
    assert main(["resume", str(tmp_path / "pulled"), "--images", "96"]) == 2
    assert "not handed on with it; say where you have them with --data PLACE" in capsys.readouterr().err


def test_the_page_and_the_card_name_the_run_its_data_and_the_version(
    handed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, about = (handed / "README.md").read_text("utf-8"), json.loads((handed / NAME).read_text("utf-8"))
    assert page.startswith("---\nlibrary_name: evenodds\nlicense: cc-by-4.0\n")
    for value in (about["run"], about["data_fingerprint"], about["evenodds"]):
        assert value in page
    assert "&lt;b&gt;x (" in page
    assert r"y\|\[z\](q) (" in page
    assert main(["pull", str(handed), "--to", str(tmp_path / "pulled")]) == 0
    assert main(["push", str(tmp_path / "pulled"), "--to", str(tmp_path / "again"), "--license", "mit"]) == 0
    capsys.readouterr()
    assert main(["card", str(tmp_path / "pulled"), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["licence"] == "cc-by-4.0"
    assert card["past"] == {"1": f"a folder: run {about['run']} after 64 rows, licence cc-by-4.0"}
    assert f"run {about['run']} after 64 rows" in (tmp_path / "again" / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "{new}"], "add --licence apache-2.0"),
        (["--to", "{new}", "--licence", "apache2"], "did you mean 'apache-2.0'"),
        (["--licence", "mit"], "OWNER/NAME on the hub, or --to DIR"),
        (["name", "--licence", "mit"], "for a folder, write --to DIR"),
        (["--to", "{run}", "--licence", "mit"], "is there already"),
        (["--to", "{new}", "--licence", "mit", "--with", "data"], "known: pictures, rows, values"),
    ],
)
def test_what_cannot_be_pushed(
    words: list[str], message: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"run": home / "run", "new": tmp_path / "new"}
    assert main(["push", str(home / "run"), *(word.format(**places) for word in words)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert message in said[0]
    assert not (tmp_path / "new").exists()


def renamed(folder: Path, name: str, other: str) -> None:
    """A list of files that names another one."""
    text = (folder / NAME).read_text("utf-8")
    (folder / NAME).write_text(text.replace(f'"{name}"', f'"{other}"'), "utf-8")


PLAYERS = f"checkpoints/{64:012d}/players.safetensors"
CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit": (lambda f: (f / PLAYERS).write_bytes((f / PLAYERS).read_bytes()[:-1] + b"\1"), PLAYERS),
    "longer": (lambda f: (f / "config.yaml").open("a").write("#"), "config.yaml"),
    "gone": (lambda f: (f / "data.json").unlink(), "data.json' is missing"),
    "more": (lambda f: (f / "checkpoints" / "run.py").write_text("1"), "'checkpoints/run.py' is not in its list"),
    "up": (lambda f: renamed(f, "metrics.jsonl", "../metrics.jsonl"), "'../metrics.jsonl' is no file of a run"),
    "code": (lambda f: renamed(f, "metrics.jsonl", "evenodds.py"), "'evenodds.py' is no file of a run"),
    "a link": (lambda f: (f / PLAYERS).unlink() or (f / PLAYERS).symlink_to(os.devnull), "by a link"),
    "no list": (lambda f: (f / NAME).unlink(), "take a folder that `evenodds push` wrote"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_named_and_refused(
    change: str, handed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(handed, tmp_path / "changed"))
    CHANGES[change][0](folder)
    assert main(["pull", str(folder), "--to", str(tmp_path / "pulled")]) == 2
    assert CHANGES[change][1] in capsys.readouterr().err
    assert not (tmp_path / "pulled").exists()


def test_a_page_that_was_edited_is_said_and_another_sum_refused(
    handed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(handed, tmp_path / "edited"))
    (folder / "README.md").write_text("mine", "utf-8")
    assert main(["pull", str(folder), "--to", str(tmp_path / "pulled"), "--sum", "0" * 64]) == 2
    assert "is not the run that was meant" in capsys.readouterr().err
    assert main(["pull", str(folder), "--to", str(tmp_path / "pulled")]) == 0
    assert "README.md was edited" in capsys.readouterr().err


# A hub ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hub(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub on this machine, which the library takes for the one of the user, with the run in it."""
    from huggingface_hub import constants

    with served() as hub, pytest.MonkeyPatch.context() as patch:
        place = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        cache = str(tmp_path_factory.mktemp("cache"))
        values = {"HF_HUB_CACHE": cache, "HF_HUB_DISABLE_XET": True, "ENDPOINT": hub.address}
        for name, value in {**values, "HUGGINGFACE_CO_URL_TEMPLATE": place}.items():
            patch.setattr(constants, name, value)
        patch.setenv("HF_ENDPOINT", hub.address)
        patch.setenv("HF_TOKEN", TOKEN)
        assert main(["push", str(home / "run"), "me/rows", "--licence", "mit", "--private"]) == 0
        yield hub


def test_a_hub_and_its_cache_give_the_same_run(
    home: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.chdir(tmp_path)
    assert hub.repositories["me/rows"].private
    assert main(["pull", "me/rows"]) == 0
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(hub.asked)
    assert main(["pull", "me/rows@main", "--to", "again"]) == 0
    assert len(hub.asked) == asked
    here = load(home / "run").sample(8, seed=1)
    for name in ("runs/rows", "again"):
        assert np.array_equal(load(name).sample(8, seed=1), here)
    origin = json.loads(Path("again/origin.json").read_text("utf-8"))[0]
    assert (origin["source"], origin["revision"]) == ("me/rows", hub.repositories["me/rows"].branches["main"])


def test_what_was_changed_on_a_hub_is_named_and_refused(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, whole = hub.files("me/rows"), dict(hub.files("me/rows"))
    for name, content, message in (
        ("config.yaml", whole["config.yaml"][:-1] + b"#", "config.yaml is not what was pushed"),
        ("config.yaml", b"", "config.yaml is not what was pushed (its size differs)"),
        ("model.bin", b"", "'model.bin' is not in its list"),
        (PLAYERS, None, f"'{PLAYERS}' is missing"),
    ):
        there.pop(name, None)
        there.update({name: content} if content is not None else {})
        commit = hub.repositories["me/rows"].commit("main", dict(there))
        assert main(["pull", "me/rows", "--to", str(tmp_path / "pulled")]) == 2
        assert message in capsys.readouterr().err
        there.clear()
        there.update(whole)
        del hub.repositories["me/rows"].commits[commit]
    hub.repositories["me/rows"].commit("main", whole)


def test_what_a_hub_refuses_is_one_line(
    home: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hub.repositories["me/rows"], "private", False)
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    for words, message in (
        (["push", str(home / "run"), "me/others", "--licence", "mit"], "log in with `hf auth login`"),
        (["push", str(home / "run"), "me/rows", "--licence", "mit", "--private"], "is there and public"),
        (["pull", "me/nothing"], "no me/nothing that you may see"),
        (["pull", "me/rows@v9"], "has no such revision"),
        (["pull", "./me/rows"], "no folder at './me/rows'"),
    ):
        assert main(words) == 2
        said = capsys.readouterr().err.splitlines()
        assert message in said[-1], said
        assert len(said) == 1


def test_a_second_push_keeps_what_is_not_its_own(home: Path, hub: Hub) -> None:
    session, there = load(home / "run"), hub.files("me/rows")
    there["model.bin"] = b""
    with pytest.raises(BadInput, match=r"'model\.bin', which `evenodds push` did not put there; nothing was pushed"):
        hubs.push(session, "me/rows", "mit")
    del there["model.bin"]
    old = json.loads(there[NAME])
    old["files"]["encoder.safetensors"] = old["files"]["README.md"]
    there |= {NAME: json.dumps(old).encode(), "encoder.safetensors": b"", "README.md": b"edited"}
    hub.repositories["me/rows"].commit("main", there)
    hubs.push(session, "me/rows", "mit")
    assert "encoder.safetensors" not in hub.files("me/rows")
    assert hub.files("me/rows")["README.md"] == b"edited"
