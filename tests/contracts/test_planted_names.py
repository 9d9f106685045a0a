"""Names that a stranger wrote are data: in whatever encoding, they act on no terminal, and no command fails by them."""

import csv
import io
import json
import re
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import evenodds
from evenodds.cli import main, whole_app
from evenodds.cli.bar import Steps
from evenodds.data.sources import load as load_data
from evenodds.evaluation.trial.plan import TrialPlan
from evenodds.files.terminal import terminal
from evenodds.files.text import UNSEEN, csv_text, from_cell, visible

TITLE = "\x1b]0;stolen\x07"
CLASSES = [TITLE, "a\u202egnp", "[red]x[link=https:a]", "new\nline", "caf\udce9", "=1+1", "<script>b", "-x,y\"z'"]
COLUMNS = [TITLE, "=cmd|' ' A0", "a,b", 'say "x"', "two\nlines", "@x"]
TINY = {"images": 32, "batch": 16, "watch": "off", "device": "cpu", "save_share": 1.0, "evaluate_share": 1.0}
RNG = np.random.default_rng(0)


def picture(path: Path, shape: tuple[int, ...] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, shape, np.uint8)).save(path, "PNG")


def tells_nothing_to_the_terminal(text: str) -> None:
    assert not UNSEEN.search(text.replace("\n", ""))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of images in class folders of such names, with its data and its folder named like that too."""
    home = tmp_path_factory.mktemp("home") / f"caf\udce9{TITLE}"
    for label, name in enumerate(CLASSES):
        for k in range(6):
            picture(home / "data" / name / f"{k}\x1b[2J{label}\udce9.png")
    (home / "data" / "bad\x1b[31m.png").write_bytes(b"no image")
    options = {"task": "condition", "generator__width": 4, "discriminator__width": 4, "held_out": 0.3}
    evenodds.fit(home / "data", "gray-28", out=home / "run", size=8, **options, **TINY)
    return home


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("table")
    rows = [[*(f"{v:.6f}" for v in RNG.normal(size=len(COLUMNS))), CLASSES[k % 8]] for k in range(64)]
    (home / "t.csv").write_text(csv_text([[*COLUMNS, "label"], *rows]), encoding="utf-8")
    options = {"task": "condition", "generator__width": 4, "discriminator__width": 4, "data__label": "label"}
    evenodds.fit(home / "t.csv", "table", out=home / "run", **options, **TINY)
    return home


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("scenes")
    for k in range(6):
        picture(home / "data" / "images" / f"{k}\x1b[2J\udce9.png", (16, 16, 3))
        labels = Image.fromarray(RNG.integers(0, 3, (16, 16), np.uint8))
        (home / "data" / "labels").mkdir(exist_ok=True)
        labels.save(home / "data" / "labels" / f"{k}\x1b[2J\udce9.png", "PNG")
    (home / "data" / "classes.txt").write_text(f"{TITLE}\n=1+1\n[red]x\n", encoding="utf-8")
    options = {"generator__width": 4, "generator__depth": 2, "task__adversarial": 0.0}
    evenodds.fit(home / "data", "segment", out=home / "run", **options, **TINY)
    return home


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that upscale, translate and fill, with their pictures in a folder whose name and files are like that."""
    home = tmp_path_factory.mktemp("pictures") / f"caf\udce9{TITLE}"
    for k in range(6):
        picture(home / "data" / "[red]x" / f"{k}\x1b[2J\udce9.png", (16, 16, 3))
        picture(home / "large" / "[red]x" / f"{k}\x1b[2J\udce9.png", (32, 32, 3))
    (home / "data" / "bad\x1b[31m.png").write_bytes(b"no image")
    Image.fromarray(np.eye(16, dtype=np.uint8) * 255).save(home / "mask\x1b[2J\udce9.png", "PNG")
    small, judge = {"size": 16, "generator__width": 4, **TINY}, {"discriminator__width": 4}
    upscaling, denoising = {"generator__blocks": 1, **judge}, {"generator__depth": 2}
    mappers = {"upscale": ("upscale-x2", upscaling), "translate": ("denoise", denoising)}
    for name, (recipe, options) in mappers.items():
        evenodds.fit(home / "data", recipe, out=home / name, task__crop=16, **options, **small)
    evenodds.fit(home / "data", "fill-32", out=home / "fill", **judge, **small)
    return home


Words = list[str]
IMAGE_COMMANDS: dict[str, Words] = {
    "train": ["train", "gray-28", "--data", "{data}", "--out", "{new}", "--quiet", "--set", "size=8", "images=16",
              "batch=16", "generator.width=4", "discriminator.width=4", "task=condition"],
    "bench": ["bench", "gray-28", "--data", "{data}", "--seconds", "0.1", "--set", "size=8", "batch=4",
              "generator.width=4", "discriminator.width=4"],
    "resume": ["resume", "{run}", "--images", "48"],
    "show": ["show", "{run}"],
    "sample": ["sample", "{run}", "--folder", "{new}", "--per-class", "1"],
    "sample npz": ["sample", "{run}", "--npz", "{new}.npz"],
    "sample class": ["sample", "{run}", "--class", CLASSES[0], "-n", "2"],
    "no such class": ["sample", "{run}", "--class", "b\x1b[31m"],
    "augment": ["augment", "{run}", "--to", "{new}", "--per-class", "1", "--tries", "1", "--filters", "none"],
    "pack": ["pack", "{data}", "{new}"],
    "walk": ["walk", "{run}", "--steps", "4", "--out", "{new}.png"],
    "directions": ["directions", "{run}", "--how", "weights", "--out", "{new}.png"],
    "encode": ["encode", "{run}", "--images", "64", "--out", "{new}.npz"],
    "reconstruct": ["reconstruct", "{run}", "--images", "64", "--steps", "1", "--out", "{new}.png"],
    "evaluate": ["evaluate", "{run}", "--features", "pixels", "--metrics", "kernel", "memorisation"],
    "evaluate json": ["evaluate", "{run}", "--features", "pixels", "--metrics", "kernel", "--json"],
    "compare": ["compare", "{run}", "{run}/evaluation.json"],
    "compare json": ["compare", "{run}", "{run}/evaluation.json", "--json"],
    "report": ["report", "{run}", "--features", "pixels", "--metrics", "kernel", "memorisation"],
    "features": ["features", "{run}", "--out", "{new}.npz"],
    "export": ["export", "{run}", "--to", "pt2", "--out", "{new}.pt2"],
    "push": ["push", "{run}", "--to", "{new}", "--licence", "mit"],
    "no such list": ["pull", "{run}", "--to", "{new}"],
    "card": ["card", "{run}"],
    "card json": ["card", "{run}", "--json"],
    "list": ["list", "recipes"],
    "duplicates": ["duplicates", "{data}", "--size", "32", "--features", "random"],
    "doctor": ["doctor", "{run}"],
    "doctor json": ["doctor", "{run}", "--json"],
    "no such styles": ["mix", "{run}", "--class", CLASSES[0], "--out", "{new}.png"],
    "no such run": ["show", "{run}\x1b[31m"],
    "no such data": ["evaluate", "{run}", "--against", "{data}\x1b[31m"],
    "no such flag": ["show", "{run}", "--\x1b[31m"],
    "no such kind": ["list", "\x1b[31m"],
}  # fmt: skip
SINGLE = "{data}/[red]x/0\x1b[2J\udce9.png"
PICTURE_COMMANDS: dict[str, tuple[Words, int]] = {
    "upscale": (["upscale", "{home}/upscale", "{data}", "{new}"], 1),  # one file is no image
    "upscale --against": (
        ["upscale", "{home}/upscale", "{data}/[red]x", "{new}", "--against", "{home}/large/[red]x"],
        0,
    ),
    "upscale one": (["upscale", "{home}/upscale", SINGLE, "{new}.png"], 0),
    "translate": (["translate", "{home}/translate", "{data}", "{new}"], 1),
    "translate --against": (
        ["translate", "{home}/translate", "{data}/[red]x", "{new}", "--against", "{data}/[red]x"],
        0,
    ),
    "wrong command": (["translate", "{home}/upscale", "{data}", "{new}"], 2),
    "fill": (["fill", "{home}/fill", SINGLE, "--mask", "{home}/mask\x1b[2J\udce9.png", "-n", "2", "--out", "{new}"], 0),
    "no such mask": (["fill", "{home}/fill", SINGLE, "--mask", "{home}/\x1b[31m.png"], 2),
}
"""The words of each command, and its status."""


class Stream(io.TextIOWrapper):
    """A strict text stream; a terminal where that is asked for."""

    def __init__(self, encoding: str, tty: bool = False) -> None:
        self.bytes, self.tty = io.BytesIO(), tty
        super().__init__(self.bytes, encoding=encoding, errors="strict", write_through=True)

    def isatty(self) -> bool:
        return self.tty

    @property
    def text(self) -> str:
        return self.bytes.getvalue().decode(self.encoding)


@pytest.fixture(params=["ascii", "utf-8"])
def encoding(request: pytest.FixtureRequest) -> str:
    """Of the standard streams; some lack characters."""
    return str(request.param)


def play(words: Words, home: Path, new: Path, encoding: str, status: int = 0) -> str:
    """What a command prints on standard output; both streams are checked."""
    places = {"home": home, "run": home / "run", "data": home / "data", "new": new}
    output, errors = Stream(encoding), Stream(encoding)
    with redirect_stdout(output), redirect_stderr(errors):
        assert main([word.format(**places) for word in words]) == status, errors.text
    assert output.text or errors.text
    for stream in (output, errors):
        tells_nothing_to_the_terminal(stream.text)
    return output.text


@pytest.mark.parametrize("name", IMAGE_COMMANDS)
def test_commands_of_images(name: str, images: Path, tmp_path: Path, encoding: str) -> None:
    new = tmp_path / "new\x1b[2J\udce9"
    out = play(IMAGE_COMMANDS[name], images, new, encoding, 2 if name.startswith("no such") else 0)
    if "--json" in IMAGE_COMMANDS[name]:
        content = json.loads(out)
        assert name != "evaluate json" or content["subject"]["path"] == str(images / "run")
    if name == "pack":
        packed, data = load_data(new), load_data(images / "data")
        assert (packed.names, packed.classes, packed.fingerprint()) == (data.names, data.classes, data.fingerprint())
    if name == "augment":
        data = load_data(new)
        assert data.classes == tuple(sorted(CLASSES))


@pytest.mark.parametrize("name", PICTURE_COMMANDS)
def test_commands_of_pictures(name: str, pictures: Path, tmp_path: Path, encoding: str) -> None:
    words, status = PICTURE_COMMANDS[name]
    new = tmp_path / "new\x1b[2J\udce9"
    play(words, pictures, new, encoding, status)
    files = {path.relative_to(new).as_posix() for path in new.rglob("[!.]*.png")}
    if name in ("upscale", "translate"):
        assert len(files) == 6
    if name.endswith("--against"):
        scores = json.loads((new / "scores.json").read_text("utf-8"))
        assert sorted(row["name"] for row in scores["files"]) == [f"{k}\x1b[2J\udce9.png" for k in range(6)]
    if name == "fill":
        assert files == {"filling-1.png", "filling-2.png", "fillings.png"}


@pytest.fixture(scope="module")
def classifier(images: Path) -> Path:
    small = {"size": 8, "channels": 1, "generator__width": 4, "discriminator__width": 4, **TINY}
    evenodds.fit(images / "data", "classify", out=images / "classifier", **small)
    return images / "classifier"


def test_classes(images: Path, classifier: Path, tmp_path: Path, encoding: str) -> None:
    new = tmp_path / "new\x1b[2J\udce9"
    play(["classify", str(classifier), "{data}", "--out", "{new}.csv"], images, new, encoding)
    with Path(f"{new}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {from_cell(row["known"]) for row in rows} == set(CLASSES)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in [*row, *row.values()] if cell)


def test_a_trial(images: Path, tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evenodds.evaluation.trial.play.planned", lambda *_: TrialPlan(steps=2))
    new = tmp_path / "new\x1b[2J\udce9"
    words = ["trial", "--run", "{run}", "--seeds", "2", "--arms", "gan", "--out", "{new}"]
    play(words, images, new, encoding)
    content = json.loads(play([*words, "--json"], images, new, encoding))
    assert content["classes"] == sorted(CLASSES)
    for name in ("trial.txt", "README.txt"):
        tells_nothing_to_the_terminal((new / name).read_text("utf-8"))


def test_every_command_was_tried() -> None:
    tables = [*IMAGE_COMMANDS.values(), *(words for words, _ in PICTURE_COMMANDS.values())]
    tried = {words[0] for words in tables} | {
        "classify",
        "segment",
        "trial",
        "serve",
        "studio",
    }  # servers: tests/browser, tests/behaviours
    assert tried >= {name for name in whole_app() if not name.startswith("-")}


def test_a_table_that_is_sampled_has_its_columns(table: Path, tmp_path: Path, encoding: str) -> None:
    play(["sample", "{run}", "--folder", "{new}", "-n", "20"], table, tmp_path, encoding)
    with (tmp_path / "samples.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [
        cell for cell in cells if cell[:1] in "=+@\t" or (cell.startswith("-") and not re.match(r"-[\d.]", cell))
    ]
    data = load_data(tmp_path / "samples.csv", label="label")
    assert list(data.columns) == COLUMNS
    assert set(data.classes) <= set(CLASSES)


def test_maps_of_classes(scenes: Path, tmp_path: Path, encoding: str) -> None:
    words = ["segment", "{run}", "{data}/images", "{new}", "--against", "{data}/labels"]
    play(words, scenes, tmp_path / "new", encoding)
    with (tmp_path / "new" / "legend.csv").open(encoding="utf-8", newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["class", TITLE, "'=1+1", "[red]x"]
    scores = json.loads((tmp_path / "new" / "scores.json").read_text("utf-8"))
    assert sorted(row["name"] for row in scores["files"]) == [f"{k}\x1b[2J\udce9.png" for k in range(6)]


class Tags(HTMLParser):
    """What a page loads and runs."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += [tag] * (tag == "script") + [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]


def test_the_report_runs_and_loads_nothing(images: Path, tmp_path: Path, encoding: str) -> None:
    play([*IMAGE_COMMANDS["report"], "--out", "{new}"], images, tmp_path / "page.html", encoding)
    text = (tmp_path / "page.html").read_text("utf-8")
    tags = Tags()
    tags.feed(text)
    assert not tags.scripts
    assert all(address.startswith(("data:", "#")) for address in tags.addresses)
    assert not UNSEEN.search(text.replace("\n", ""))
    assert visible("caf\udce9") in text


def on_a_terminal(draw: Callable[[], None]) -> str:
    """What is drawn on a terminal in ASCII, without the codes by which rich moves the cursor and colours."""
    stream = Stream("ascii", tty=True)
    with redirect_stderr(stream):
        draw()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.text)


def test_bars_draw_text_and_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw() -> None:
        with Steps() as step:
            step(f"[red]caf\u00e9\udce9{TITLE}", 1, 2)
            step.progress.refresh()

    monkeypatch.setenv("TERM", "xterm-256color")
    text = on_a_terminal(draw)
    assert "[red]caf" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_warnings_are_sentences(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings(), terminal():
        warnings.simplefilter("always")
        warnings.showwarning(UserWarning(TITLE), UserWarning, "a.py", 1)
    assert capsys.readouterr().err == f"UserWarning: {visible(TITLE)}\n"
