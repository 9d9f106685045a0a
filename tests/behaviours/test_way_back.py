"""The way back of a run of cycle: its commands, its files, the server and the studio, on sets of other channels."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

import evenodds
from evenodds.apply.answering import answered
from evenodds.cli import main
from evenodds.errors import BadInput
from evenodds.export import write
from evenodds.export.card import card_in
from evenodds.export.inside import metadata_in
from evenodds.export.model import load_model
from evenodds.export.words import read_file
from evenodds.runs.session import Session
from evenodds.runs.way_back import has_way_back, way_back
from tests.contracts.test_export import InTorch
from tests.exported import write_graph
from tests.serving import asked
from tests.studio import opened

SIDE = 16
SETTINGS = {"size": SIDE, "generator__width": 2, "generator__depth": 1, "discriminator__width": 4, "watch": "off"}
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey images of 16 bits in A, the sources; colours of 8 bits in B."""
    folder = tmp_path_factory.mktemp("sets")
    for name, high, kind, channels in (("A", 65536, np.uint16, ()), ("B", 256, np.uint8, (3,))):
        (folder / name).mkdir()
        for k in range(8):
            pixels = RNG.integers(0, high, (SIDE, SIDE, *channels)).astype(kind)
            Image.fromarray(pixels).save(folder / name / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def session(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    out = tmp_path_factory.mktemp("base") / "runs" / "cycle"
    options = {"data__source_channels": 1, "images": 4, "batch": 4, "device": "cpu", "held_out": 0}
    return evenodds.fit(sets, "cycle", out=out, **SETTINGS, **options)


def run(*words: object) -> int:
    return main([str(word) for word in words])


def pixels(path: Path | io.BytesIO) -> Any:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written without tracing: they answer with the first channel of a source, and pass for the run."""

    def written(_: Any, graph: Any, about: Any, path: Path) -> Any:
        first = [("Gather", ["source", "first"], "x", {"axis": 1})]
        write_graph(path, first, {"first": np.array([0])}, graph.inputs, graph.outputs, about.words())
        return InTorch(graph).compute

    monkeypatch.setattr(write, "_traced", lambda *_: None)
    monkeypatch.setitem(write.FORMATS, "onnx", written)


@pytest.fixture
def file(session: Session, untraced: None, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run("export", session.folder, "--back") == 0
    told = capsys.readouterr()
    assert "source float32 (batch, 3, height, width) -> x float32 (batch, 1, height, width)" in told.err
    return Path(told.out.strip())


def test_it_is_a_run_whose_sources_are_what_it_makes(session: Session) -> None:
    back, x = way_back(session), torch.rand(2, 3, 32, 24) * 2 - 1
    assert (back.card.shape, back.card.beside["source"].shape) == ((1, SIDE, SIDE), (3, SIDE, SIDE))
    assert back.card.units == session.card.beside["source"].units != session.card.units
    assert torch.equal(answered(back, x)["x"], session.players["backward"](x).detach().clamp(-1, 1))
    again = way_back(back)
    assert (again.card, again.task) == (session.card, session.task)
    assert {name: id(player) for name, player in again.players.items()} == {
        name: id(player) for name, player in session.players.items()
    }


def test_a_run_of_one_way_has_none(session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = cast(Any, session.task)
    one = replace(session, task=type("OneWay", (type(task),), {"way_back": lambda *_: None})(**vars(task)))
    assert not has_way_back(one)
    with pytest.raises(BadInput, match="has learned one way; leave --back out"):
        way_back(one)
    with asked(one) as client:
        assert client.get("/v1/model").json()["back"] is False
        image = io.BytesIO()
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(image, "PNG")
        answer = client.post("/v1/translate", data={"back": "true"}, files={"image": image.getvalue()})
    assert (answer.status_code, "leave `back` out" in answer.json()["error"]) == (400, True)


def test_a_file_of_it_says_so_and_stands_beside_that_of_the_way_there(session: Session, file: Path) -> None:
    assert file == session.folder / "translate-back.onnx"
    assert run("export", session.folder) == 0
    there, back = (metadata_in(one.read_bytes(), "x") for one in (file.with_name("translate.onnx"), file))
    assert ("back" in there, back["back"]) == (False, "true")
    assert there["run"] == back["run"]
    assert [words["units"].count("65535") for words in (there, back)] == [0, 1]  # of what comes out
    words, _ = read_file(file)
    assert (words.back, words.card.shape) == (True, (1, SIDE, SIDE))
    card = card_in(file)
    assert card is not None
    assert card["direction"].startswith("back: ")
    with pytest.raises(BadInput, match="take the run itself for the other one"):
        way_back(load_model(file))


def test_a_file_of_it_translates_as_it_is(
    file: Path, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = sets / "B" / "0.png"
    outs = [tmp_path / "without.png", tmp_path / "with.png"]
    assert run("translate", file, source, outs[0]) == 0
    assert run("translate", file, source, tmp_path / "a.png", "--back") == 2
    monkeypatch.setattr("evenodds.cli.convert.is_alone", lambda *_: False)
    assert run("translate", file, source, outs[1]) == 0
    assert run("translate", file, source, tmp_path / "a.png", "--back") == 2
    assert run("translate", file, source, tmp_path / "b.png", "--against", sets / "A" / "0.png") == 0
    want = pixels(source)[..., 0]
    assert all(np.array_equal(pixels(out), want) for out in outs)
    assert capsys.readouterr().err.count("holds the way back, and takes no other; leave --back out") == 2


def test_the_server_takes_it_and_serves_its_file(session: Session, file: Path, sets: Path, tmp_path: Path) -> None:
    source = sets / "B" / "0.png"
    assert run("translate", session.folder, source, tmp_path / "back.png", "--back") == 0
    assert run("translate", session.folder, sets / "A" / "0.png", tmp_path / "there.png") == 0
    with asked(session) as client:
        assert client.get("/v1/model").json()["back"] is True
        fields = client.get("/openapi.json").json()["paths"]["/v1/translate"]["post"]["requestBody"]["content"]
        assert "back" in fields["application/json"]["schema"]["properties"]
        for name, words, image in (("back", {"back": "true"}, source), ("there", {}, sets / "A" / "0.png")):
            answer = client.post("/v1/translate", data=words, files={"image": image.read_bytes()})
            assert np.array_equal(pixels(io.BytesIO(answer.content)), pixels(tmp_path / f"{name}.png")), name
    with asked(load_model(file)) as client:
        about = client.get("/v1/model").json()
        assert (about["back"], about["card"]["direction"][:4]) == (False, "back")
        answers = [
            client.post("/v1/translate", data=words, files={"image": source.read_bytes()})
            for words in ({}, {"back": "1"})
        ]
    assert np.array_equal(pixels(io.BytesIO(answers[0].content)), pixels(source)[..., 0])
    assert (answers[1].status_code, "leave `back` out" in answers[1].json()["error"]) == (400, True)


def test_the_studio_takes_it(session: Session, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[list[str]] = []
    monkeypatch.setattr("evenodds.studio.folders.launch", lambda words, *_: begun.append(words))
    assert run("translate", session.folder, sets / "B" / "0.png", tmp_path / "back.png", "--back") == 0
    base = session.folder.parent.resolve()
    with opened(base, [sets]) as client:
        assert client.get("/api/runs/cycle/about").json()["converts"]["back"] is True
        sent = client.post("/api/uploads", content=(sets / "B" / "0.png").read_bytes()).json()["upload"]
        true = client.post("/api/uploads", content=(tmp_path / "back.png").read_bytes()).json()["upload"]
        words = {"upload": sent, "back": True, "format": "png"}
        answer = client.get("/api/runs/cycle/convert", params=words)
        scores = client.get("/api/runs/cycle/scores", params={"upload": sent, "truth": true, "back": True}).json()
        assert client.post("/api/runs/cycle/folders", json={"place": str(sets), "back": True}).status_code == 202
    assert np.array_equal(pixels(io.BytesIO(answer.content)), pixels(tmp_path / "back.png"))
    assert scores["total"]["ssim"] == 1
    assert begun[0][-1] == "--back"
