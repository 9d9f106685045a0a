"""Every command that writes for the user: it replaces what it wrote itself, and nothing else."""

import hashlib
import json
import re
import shutil
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import evenodds
from evenodds.apply.augment import augment
from evenodds.apply.converting import Options, convert
from evenodds.apply.filling import write_fillings
from evenodds.apply.filling_folders import fill_folder
from evenodds.apply.making import filler_of, maker_of
from evenodds.apply.samples import write_samples
from evenodds.cli import main
from evenodds.data.sources import load as load_data
from evenodds.evaluation.trial.play import trial
from evenodds.files.lock import Busy, locked, locked_beside
from evenodds.files.names import name_key
from evenodds.files.outputs import RECORD, Outputs, State
from evenodds.game import checkpoint

TINY = {"device": "cpu", "batch": 8, "images": 16, "evaluate_share": 1.0, "save_share": 1.0, "watch": "off"}
NETS = {"generator__width": 4, "discriminator__width": 4}
CLASSES = ("../../escaped", "/abs", "C:\\x", "0dog", "con", "cat", "Cat", "e\u0301", "\u00e9", "x" * 250, "a\tb")
RNG = np.random.default_rng(0)


def digests(folder: Path) -> dict[str, str]:
    """The digest of every file below a folder, by name; of links, where they lead."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def run(*words: object) -> int:
    return main([str(word) for word in words])


@dataclass
class Home:
    """Trained runs, and what they are put to work on."""

    digits: Path
    """Conditional on classes with odd names, of images of 8 x 8."""
    upscale: Path
    segment: Path
    fill: Path
    classify: Path
    scenes: Path
    images: Path
    large: Path
    """The images at twice their size."""
    mask: Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    root = tmp_path_factory.mktemp("home")
    x = RNG.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(root / "data.npz", x=x, y=np.array(CLASSES)[np.arange(60) % len(CLASSES)])
    evenodds.fit(root / "data.npz", "digits", out=root / "digits", task="condition", **TINY, **NETS)
    for name in ("images", "labels"):
        (root / "scenes" / name).mkdir(parents=True)
    (root / "large").mkdir()
    for k in range(8):
        image = Image.fromarray(RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        image.save(root / "scenes/images" / f"{k}.png")
        image.resize((32, 32)).save(root / "large" / f"{k}.png")
        Image.fromarray(RNG.integers(0, 2, (16, 16), dtype=np.uint8)).save(root / "scenes/labels" / f"{k}.png")
    maps = {"generator__width": 4, "generator__depth": 2, "task__adversarial": 0.0}
    evenodds.fit(root / "scenes", "segment", out=root / "segment", **TINY, **maps)
    crops = {"generator__blocks": 1, "task__crop": 16, "size": 16}
    evenodds.fit(root / "scenes/images", "upscale-x2", out=root / "upscale", **TINY, **NETS, **crops)
    evenodds.fit(root / "scenes/images", "fill-32", out=root / "fill", size=16, **TINY, **NETS)
    evenodds.fit(root / "data.npz", "classify", out=root / "classify", **TINY, **NETS)
    mask = np.zeros((16, 16), np.uint8)
    mask[4:9, 4:9] = 255
    Image.fromarray(mask).save(root / "mask.png")
    return Home(
        root / "digits", root / "upscale", root / "segment", root / "fill", root / "classify", root / "scenes",
        root / "scenes/images", root / "large", root / "mask.png",
    )  # fmt: skip


@dataclass(frozen=True)
class Writer:
    """A command that writes.

    Args:
        words: of the command, for the home and a folder `to`.
        writes: files that it writes in `to`, among others.
    """

    words: Callable[[Home, Path], list[object]]
    writes: tuple[str, ...]


def of(*words: str, writes: tuple[str, ...]) -> Writer:
    """A writer whose words have places for the home (`{digits}`) and the folder (`{to}`)."""
    return Writer(lambda home, to: [word.format(to=to, **vars(home)) for word in words], writes)


JUDGED = ("--features", "pixels", "--metrics", "kernel", "-n", "40")
WRITERS = {
    "sample --grid": of("sample", "{digits}", "-n", "3", "--grid", "{to}/g.png", writes=("g.png",)),
    "sample --npz": of("sample", "{digits}", "-n", "3", "--npz", "{to}/b.v2", writes=("b.v2",)),
    "sample --folder": of(
        "sample", "{digits}", "--per-class", "2", "--folder", "{to}", writes=("labels.csv", "0dog/000004.png")
    ),
    "walk": of("walk", "{digits}", "--steps", "4", "--out", "{to}/w.gif", writes=("w.gif",)),
    "directions": of("directions", "{digits}", "--n", "2", "--out", "{to}/d.png", writes=("d.png",)),
    "directions --move": of("directions", "{digits}", "--move", "1", "--out", "{to}/m.png", writes=("m.png",)),
    "encode": of("encode", "{digits}", "--images", "64", "--out", "{to}/z.npz", writes=("z.npz",)),
    "reconstruct": of(
        "reconstruct", "{digits}", "--images", "64", "--steps", "1", "--out", "{to}/r.png", writes=("r.png",)
    ),
    "classify": of("classify", "{classify}", "--out", "{to}/c.csv", writes=("c.csv",)),
    "features": of("features", "{digits}", "--out", "{to}/f.npz", writes=("f.npz",)),
    "evaluate": of("evaluate", "{digits}", *JUDGED, "--out", "{to}/e.json", writes=("e.json",)),
    "report": of("report", "{digits}", *JUDGED, "--out", "{to}/r.html", writes=("r.html",)),
    "fill": of(
        "fill", "{fill}", "{images}/0.png", "--mask", "{mask}", "-n", "2", "--out", "{to}",
        writes=("filling-1.png", "fillings.png"),
    ),
    "upscale": of("upscale", "{upscale}", "{images}", "{to}", "--again", writes=("0.png", "7.png")),
    "upscale one": of("upscale", "{upscale}", "{images}/0.png", "{to}/a.png", writes=("a.png",)),
    "upscale --against": of(
        "upscale", "{upscale}", "{images}", "{to}", "--against", "{large}", writes=("scores.json",)
    ),
    "segment": of(
        "segment", "{segment}", "{images}", "{to}", "--again",
        writes=("labels/0.png", "overlays/0.png", "legend.png", "legend.csv"),
    ),
    "segment one": of(
        "segment", "{segment}", "{images}/0.png", "{to}/a.png",
        writes=("a.png", "a-overlay.png", "a-legend.png", "a-legend.csv"),
    ),
    "segment --against": of(
        "segment", "{segment}", "{images}", "{to}", "--against", "{scenes}/labels", writes=("scores.json",)
    ),
}  # fmt: skip
FILES = [(name, file) for name, writer in WRITERS.items() for file in writer.writes]
CASES = [
    (name, file, kind)
    for name, file in FILES
    for kind in ("foreign", "changed", "link", "folder")
    if (file, kind) != ("a.png", "folder")  # then results go into that folder
]


@pytest.fixture(scope="module")
def written(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a writer after one call in a folder that had a file of the user's; made at the first request."""
    folders: dict[str, Path] = {}

    def folder_of(name: str) -> Path:
        if name not in folders:
            to = tmp_path_factory.mktemp("to") / "to"
            to.mkdir()
            (to / "mine.txt").write_text("mine")
            assert run(*WRITERS[name].words(home, to)) == 0
            folders[name] = to
        return folders[name]

    return folder_of


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_replaces_its_own_files(name: str, home: Home, written: Callable[[str], Path], tmp_path: Path) -> None:
    shutil.copytree(written(name), tmp_path / "to")
    before = digests(tmp_path)
    assert {f"to/{one}" for one in WRITERS[name].writes} <= before.keys()
    if name == "report":  # its evaluation goes to the run folder
        assert (home.digits / "evaluation.json").is_file()
    assert run(*WRITERS[name].words(home, tmp_path / "to")) == 0
    after = digests(tmp_path)
    assert before.keys() == after.keys()
    assert after["to/mine.txt"] == before["to/mine.txt"]


@pytest.mark.parametrize(("name", "file", "kind"), CASES)
def test_a_writer_leaves_what_is_the_users(
    name: str,
    file: str,
    kind: str,
    home: Home,
    written: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    to = tmp_path / "to"
    if kind == "changed":
        shutil.copytree(written(name), to)
        users_own(to / file)
    elif kind == "foreign":
        users_own(to / file)
    elif kind == "folder":
        (to / file).mkdir(parents=True)
        users_own(to / file / "inner.png")
    else:
        users_own(tmp_path / "elsewhere" / "precious.png")
        (to / file).parent.mkdir(parents=True, exist_ok=True)
        (to / file).symlink_to(tmp_path / "elsewhere" / "precious.png")
    before = digests(tmp_path)
    assert run(*WRITERS[name].words(home, to)) == 2
    assert digests(tmp_path) == before
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("evenodds: error: ")
    assert file in said
    assert "left as it is: name another" in said or "by a link" in said


def users_own(path: Path) -> None:
    """Writes a file of the user's: an image where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(RNG.integers(0, 256, (16, 16), dtype=np.uint8)).save(path)
    else:
        path.write_text("the user's own")


# --- what is special to some -----------------------------------------------------------------------------------------


def test_samples_of_odd_classes_stay_in_their_folder_and_lead_back(home: Home, tmp_path: Path) -> None:
    to = tmp_path / "deep" / "to"
    assert run("sample", home.digits, "--per-class", 1, "--folder", to) == 0
    assert run("augment", home.digits, "--per-class", 1, "--filters", "none", "--to", tmp_path / "deep" / "made") == 0
    assert {path.name for path in tmp_path.iterdir()} == {"deep"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"to", "made"}
    card = evenodds.load(home.digits).card
    assert set(card.classes) == set(CLASSES)
    for folder in ("to", "made"):
        data = load_data(tmp_path / "deep" / folder)
        assert set(data.classes) == set(CLASSES)
        keys = {name_key(path.name) for path in (tmp_path / "deep" / folder).iterdir() if path.is_dir()}
        assert len(keys) == len(CLASSES)
    record = [json.loads(line) for line in (to / RECORD).read_text().splitlines()]
    assert {line["of"] for line in record if line["file"].endswith(".png")} == set(CLASSES)


def test_a_shorter_call_leaves_no_older_samples(home: Home, tmp_path: Path) -> None:
    users_own(tmp_path / "to" / "999999.png")
    for n in (6, 3):
        assert run("sample", home.fill, "-n", n, "--folder", tmp_path / "to") == 0
    assert {path.name for path in (tmp_path / "to").glob("*.png")} == {
        *(f"{k:06d}.png" for k in range(3)),
        "999999.png",
    }
    users_own(tmp_path / "to" / "000002.png")
    before = digests(tmp_path)
    assert run("sample", home.fill, "-n", 2, "--folder", tmp_path / "to") == 2
    assert digests(tmp_path) == before


def test_an_array_has_the_name_that_was_asked_for(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("b.v2", "plain", "x.npz"):
        assert run("sample", home.digits, "-n", 2, "--npz", tmp_path / name) == 0
        assert capsys.readouterr().out.split() == [str(tmp_path / name)]
        assert np.load(tmp_path / name)["x"].shape == (2, 1, 8, 8)
    assert {path.name for path in tmp_path.iterdir()} == {"b.v2", "plain", "x.npz", RECORD}


def test_samples_do_not_join_the_data_of_the_run(home: Home) -> None:
    for words in (("sample", "--folder"), ("augment", "--per-class", 1, "--filters", "none", "--to")):
        session = home.digits if words[0] == "augment" else home.fill
        before = digests(home.images)
        assert run(words[0], session, *words[1:], home.images / "new") == (2 if session == home.fill else 0)
        shutil.rmtree(home.images / "new", ignore_errors=True)
        assert digests(home.images) == before
    for command, flag in (("sample", "--grid"), ("walk", "--out"), ("directions", "--out")):
        for name in ("new.png", "deep/new.png"):
            assert run(command, home.fill, flag, home.images / name) == 2
    assert digests(home.images) == before


def test_a_link_that_leads_nowhere_is_no_folder(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "to").symlink_to(tmp_path / "gone")
    for place in ("to", "to/deep"):
        for words in (("sample", home.digits, "--folder"), ("train", "digits", "--out")):
            assert run(*words, tmp_path / place) == 2
            assert f"{tmp_path / 'to'}, a link that leads nowhere; name a" in capsys.readouterr().err


def test_what_came_to_the_folder_of_augment_meanwhile_stays(home: Home, tmp_path: Path) -> None:
    to, done = tmp_path / "to", []

    def step(what: str, made: int, total: int) -> None:
        if not done:
            users_own(to / "precious.png")
        done.append(made)

    with pytest.raises(evenodds.BadInput, match="came to"):
        augment(evenodds.load(home.digits), to, per_class=1, filters=[], step=step)
    assert [path.name for path in to.iterdir()] == ["precious.png"]
    assert (tmp_path / "to-2" / "labels.csv").is_file()


def test_labels_by_hand_are_neither_replaced_nor_compared_with_themselves(home: Home, tmp_path: Path) -> None:
    scenes = tmp_path / "scenes"
    shutil.copytree(home.scenes, scenes)
    before = digests(tmp_path)
    for more in ([], ["--again"], ["--against", scenes / "labels"], ["--against", scenes / "labels", "--again"]):
        assert run("segment", home.segment, scenes / "images", scenes, *more) == 2
        assert digests(tmp_path) == before


def test_truth_is_no_folder_of_results(home: Home, tmp_path: Path) -> None:
    large = tmp_path / "large"
    shutil.copytree(home.large, large)
    before = digests(tmp_path)
    for out in (large, large / "inner", tmp_path):
        for more in ([], ["--again"]):
            assert run("upscale", home.upscale, home.images, out, "--against", large, *more) == 2
    assert run("upscale", home.upscale, home.images / "0.png", large / "0.png", "--against", large / "0.png") == 2
    assert run("upscale", home.upscale, home.images / "0.png", large / "new.png", "--against", large) == 2
    assert digests(tmp_path) == before


def test_an_input_is_not_overwritten_by_an_overlay(home: Home, tmp_path: Path) -> None:
    assert run("segment", home.segment, home.images / "0.png", tmp_path / "a.png") == 0
    before = digests(tmp_path)
    assert run("segment", home.segment, tmp_path / "a-overlay.png", tmp_path / "a.png") == 2  # it wrote both itself
    assert digests(tmp_path) == before
    fill = ("fill", home.fill, home.images / "0.png", "--mask", home.mask, "-n", 2, "--out", tmp_path)
    assert run(*fill) == 0
    before = digests(tmp_path)
    assert run(*fill[:2], tmp_path / "filling-2.png", *fill[3:]) == 2
    assert run(*fill[:2], tmp_path / "filling-2.png", *fill[3:6], 1, *fill[7:]) == 2  # which would be removed
    assert digests(tmp_path) == before


@pytest.mark.parametrize("damage", [b"", b"\x89PNG\r\n\x1a\n and no more", None])
def test_a_folder_goes_on_where_results_are_whole(
    damage: bytes | None, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("upscale", home.upscale, home.images, out) == 0
    before, content = digests(out), (out / "1.png").read_bytes()
    (out / "1.png").write_bytes(content[: len(content) // 2] if damage is None else damage)
    users_own(out / "2.png")
    mine = digests(out)["2.png"]
    capsys.readouterr()
    assert run("upscale", home.upscale, home.images, out) == 0
    said = capsys.readouterr().err
    assert "1 image written" in said
    assert "7 were there already, 1 of them changed since" in said
    after = digests(out)
    assert after["2.png"] == mine
    assert {name: one for name, one in after.items() if name not in ("2.png", RECORD)} == {
        name: one for name, one in before.items() if name not in ("2.png", RECORD)
    }
    assert run("upscale", home.upscale, home.images, out, "--again") == 2
    assert digests(out) == after


def test_results_of_earlier_versions_and_other_commands_are_left(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("upscale", home.upscale, home.images, out) == 0
    (out / RECORD).unlink()  # earlier versions wrote none
    before = digests(tmp_path)
    assert run("upscale", home.upscale, home.images, out) == 2
    assert run("fill", home.fill, home.images / "0.png", "--mask", home.mask, "--out", out) == 0
    (out / "0.png").unlink()
    (out / "filling-1.png").rename(out / "0.png")
    assert run("upscale", home.upscale, home.images, out) == 2
    assert {name: one for name, one in digests(tmp_path).items() if name in before and name != "out/0.png"} == {
        name: one for name, one in before.items() if name != "out/0.png"
    }


def test_inputs_of_one_name_have_results_of_their_own(home: Home, tmp_path: Path) -> None:
    names = ("a.png", "A.PNG", "a.jpg", "a.jpg.png", "e\u0301.png", "\u00e9.png", "con.png", "b:c.png", "d/a.png")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for k, name in enumerate((*names, "../out.png", "/abs.png")):
            archive.writestr(zipfile.ZipInfo(name), (home.images / f"{k % 8}.png").read_bytes())
    assert run("upscale", home.upscale, tmp_path / "in.zip", tmp_path / "out") == 1  # one is hidden, one skipped
    assert {path.name for path in tmp_path.iterdir()} == {"in.zip", "out"}
    made = [path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png")]
    assert len(made) == len({name_key(name) for name in made}) == len(names)
    record = [json.loads(line) for line in (tmp_path / "out" / RECORD).read_text().splitlines()]
    assert {line["of"] for line in record} == set(names)


def test_a_recipe_names_no_place(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (home.fill / "config.yaml").read_text().replace("recipe: fill-32", "recipe: ../../escaped")
    assert "recipe: ../../escaped" in text
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    (tmp_path / "deep" / "r.yaml").write_text(text)
    for _ in range(2):
        assert run("train", "r.yaml", "--data", home.images, "--images", 16, "--quiet") == 0
    assert {path.name for path in tmp_path.iterdir()} == {"deep"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"r.yaml", "runs"}
    assert len(list((tmp_path / "deep" / "runs").iterdir())) == 2


def test_a_run_does_not_start_over_files_of_the_user(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    users_own(tmp_path / "out" / "data.json")
    before = digests(tmp_path)
    assert run("train", home.fill / "config.yaml", "--images", 16, "--out", tmp_path / "out") == 2
    assert "data.json is there already" in capsys.readouterr().err
    assert {name: one for name, one in digests(tmp_path).items() if name in before} == before


@dataclass
class GoneOn:
    """A run that was resumed, the names of the user's files in it, and the digests before it was resumed."""

    folder: Path
    users: set[str]
    before: dict[str, str]


@pytest.fixture(scope="module")
def gone_on(home: Home, tmp_path_factory: pytest.TempPathFactory) -> GoneOn:
    folder = tmp_path_factory.mktemp("gone-on") / "run"
    new = {"notes.txt", "more/samples/0.png"}
    for name in new:
        users_own(folder / name)
    assert run("train", home.fill / "config.yaml", "--images", 16, "--out", folder, "--quiet") == 0
    later = {"README.txt", "samples.png", "samples/mine.png", "checkpoints/mine.txt"}
    for name in later:
        users_own(folder / name)
    before = digests(folder)
    assert run("resume", folder, "--images", 32, "--quiet") == 0
    return GoneOn(folder, new | later, before)


def test_what_the_user_changed_in_a_run_stays(gone_on: GoneOn) -> None:
    after = digests(gone_on.folder)
    assert {name: after[name] for name in gone_on.users} == {name: gone_on.before[name] for name in gone_on.users}
    assert {"README-2.txt", "samples-2.png"} <= after.keys()
    assert "history-2.svg" not in after


def test_a_configuration_is_written_anew_only_where_it_says_something_else(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(home.fill, folder)
    config = folder / "config.yaml"
    lines = ["# my notes", "", *config.read_text("utf-8").splitlines(), "# the end"]
    config.write_text("\r\n".join(lines), encoding="utf-8", newline="")
    before = config.read_bytes()
    evenodds.resume(folder, settings={"images": 16})
    assert config.read_bytes() == before
    evenodds.resume(folder, settings={"images": 24})
    assert "images: 24" in config.read_text("utf-8").splitlines()


def test_data_that_moved_before_the_first_checkpoint_are_told_once_more(home: Home, tmp_path: Path) -> None:
    folder, data = tmp_path / "run", tmp_path / "moved"
    shutil.copytree(home.fill, folder)
    shutil.copytree(home.images, data)
    shutil.rmtree(folder / "checkpoints")
    (folder / "metrics.jsonl").unlink()
    assert evenodds.resume(folder, data=data).images == 16
    assert Outputs(folder, "train").state(folder / "data.json") is State.WRITTEN
    assert json.loads((folder / "data.json").read_text("utf-8"))["place"] == str(data)


RUN_FILE = re.compile(r"config\.yaml|metrics\.jsonl|(checkpoints|samples)/\d{12}(/[a-z_.]+|\.png)|\.evenodds\.jsonl")
"""The files of a run by docs/run-folder.md, without those in the record."""


def test_every_file_of_a_run_is_in_the_record_or_under_a_name_of_the_run(gone_on: GoneOn) -> None:
    after = digests(gone_on.folder)
    recorded = {json.loads(line)["file"] for line in (gone_on.folder / RECORD).read_text("utf-8").splitlines()}
    assert {"data.json", "environment.json", "history.svg", "samples.png", "README.txt"} <= recorded
    assert not [name for name in after.keys() - gone_on.users - recorded if not RUN_FILE.fullmatch(name)]


FOLDER_FUNCTIONS: dict[str, Callable[[Home, Path], object]] = {
    "fit": lambda home, to: evenodds.fit(home.images, "fill-32", out=to, size=16, **TINY, **NETS),
    "convert to images": lambda home, to: convert(maker_of(evenodds.load(home.upscale)), home.images, to, Options()),
    "convert to maps": lambda home, to: convert(maker_of(evenodds.load(home.segment)), home.images, to, Options()),
    "write_fillings": lambda home, to: write_fillings(
        filler_of(evenodds.load(home.fill)), home.images / "0.png", home.mask, to
    ),
    "fill_folder": lambda home, to: fill_folder(filler_of(evenodds.load(home.fill)), home.images, home.mask, to),
    "write_samples": lambda home, to: write_samples(evenodds.load(home.fill), np.zeros((2, 3, 16, 16)), folder=to),
    "augment": lambda home, to: augment(evenodds.load(home.digits), to, per_class=1, filters=[]),
    "trial": lambda home, to: trial(
        load_data(home.digits.parent / "data.npz"), to, lambda *_: lambda *_: torch.zeros(1), seeds=2
    ),
}
"""Every function that writes a folder of files."""


@pytest.mark.parametrize("name", FOLDER_FUNCTIONS)
def test_a_folder_has_one_writer_also_without_the_command_line(name: str, home: Home, tmp_path: Path) -> None:
    ready, done = threading.Event(), threading.Event()

    def other() -> None:
        with locked(tmp_path / "to", "other"), locked_beside(tmp_path / "to", "other"):
            ready.set()
            done.wait(60)

    thread = threading.Thread(target=other)
    thread.start()
    try:
        assert ready.wait(60)
        with pytest.raises(Busy, match=r"to is in use by `evenodds other` \(process \d+ on "):
            FOLDER_FUNCTIONS[name](home, tmp_path / "to")
    finally:
        done.set()
        thread.join()
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_resumed_has_one_writer(home: Home, tmp_path: Path) -> None:
    shutil.copytree(home.fill, tmp_path / "run")
    errors: list[BaseException] = []

    def other() -> None:
        try:
            evenodds.resume(tmp_path / "run")
        except Busy as error:
            errors.append(error)

    with locked(tmp_path / "run", "train"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(errors) == 1


def test_pruning_leaves_links_and_files_of_the_user(home: Home, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    shutil.copytree(home.fill, folder)
    (folder / "checkpoints").rename(elsewhere)
    for number in (1, 2, 3):
        (elsewhere / f"{number:012d}").mkdir()
        users_own(elsewhere / f"{number:012d}" / "precious.png")
    (folder / "checkpoints").symlink_to(elsewhere)
    before = digests(tmp_path)
    assert run("resume", folder, "--images", 64, "--set", "keep=1", "--quiet") == 2
    assert digests(elsewhere) == {
        name.removeprefix("elsewhere/"): one for name, one in before.items() if name.startswith("elsewhere/")
    }
    (folder / "checkpoints").unlink()
    elsewhere.rename(folder / "checkpoints")
    (folder / "checkpoints" / "000000000004").symlink_to(tmp_path)
    users_own(next((folder / "checkpoints").glob("*16")) / "notes.txt")
    kept = {name: one for name, one in digests(folder).items() if "precious" in name or "notes" in name}
    assert run("resume", folder, "--images", 64, "--set", "keep=1", "save_share=0.25", "--quiet") == 0
    assert kept.items() <= digests(folder).items()
    assert (folder / "checkpoints" / "000000000004").is_symlink()
    whole = [path.name for path in checkpoint.listing(folder / "checkpoints") if (path / "checkpoint.json").is_file()]
    assert "000000000064" in whole
    assert "000000000032" not in whole  # pruned, as it was the run's alone


def test_a_record_of_a_stranger_gives_nothing_away(home: Home, tmp_path: Path) -> None:
    users_own(tmp_path / "precious.png")
    digest = hashlib.sha256((tmp_path / "precious.png").read_bytes()).hexdigest()
    out = tmp_path / "out"
    out.mkdir()
    lines = [
        {"file": name, "by": "sample --folder", "bytes": 1, "sha256": digest} for name in ("../precious.png", "/x")
    ]
    (out / RECORD).write_text("".join(json.dumps(line) + "\n" for line in [*lines, 3, {"file": 1}]) + "{not json\n")
    before = digests(tmp_path)
    assert run("sample", home.fill, "-n", 2, "--folder", out) == 0
    assert digests(tmp_path)["precious.png"] == before["precious.png"]
    (out / RECORD).unlink()
    (out / RECORD).symlink_to(tmp_path / "precious.png")
    assert run("sample", home.fill, "-n", 2, "--folder", out) == 2
    assert digests(tmp_path)["precious.png"] == before["precious.png"]
