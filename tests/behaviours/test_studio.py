"""The studio's endpoints: runs as they stand, curves, samples as the command draws them, runs that are started."""

import asyncio
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
import zipfile
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

import evenodds
from evenodds.apply.classifying import classify
from evenodds.apply.encoder import encoder_of
from evenodds.cli import main
from evenodds.data.dataset import Dataset
from evenodds.data.units import Units
from evenodds.errors import BadInput
from evenodds.evaluation import resembling as resembling_module
from evenodds.evaluation.resembling import Known, resembling
from evenodds.evaluation.trial.answer import FIGURES, PRIMARY
from evenodds.files.lock import locked
from evenodds.files.process import of_number
from evenodds.files.tail import Tail
from evenodds.files.write import write_json
from evenodds.metrics.features.extract import extract
from evenodds.runs import launching
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.find import find
from evenodds.runs.watching import RunView, Watching
from evenodds.server.bounds import Overloaded, Replaced
from evenodds.server.loaded import Loaded, Worker
from evenodds.studio import data as studio_data
from evenodds.studio import folders, starting, state
from evenodds.studio.start import STATIC
from tests.studio import opened, run_folder

PARTS = ("overview", "play", "tools", "settings", "report")
"""The views of a run."""
KINDS = {
    "state": ("playing", "working", "finished", "stopped"),
    "tab": PARTS,
    "better": ("lower", "higher", "middle"),
    "noun": ("images", "rows", "points", "items"),
    "term": ("score_low", "score_high", "spread", "distance", "apart", "d_fake", "d_memory", "real", "fake"),
}
"""Words of the page whose names are put together."""


@pytest.fixture(autouse=True)
def _at_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The studio looks at the runs whenever it is asked."""
    monkeypatch.setattr(state, "PACE", 0.0)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("studio") / "runs"
    run_folder(base)
    run_folder(base, "inner/rows", "table")
    return base


@pytest.fixture(scope="module")
def client(base: Path) -> Iterator[TestClient]:
    with opened(base) as client:
        yield client


def picture(answer: Any) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


# Runs as they stand ---------------------------------------------------------------------------------------------------


def test_runs_are_listed_wherever_they_were_started(client: TestClient, base: Path) -> None:
    answer = client.get("/api/runs")
    rows = {row["run"]: row for row in answer.json()["runs"]}
    assert set(rows) == {"digits-1", "inner ~ rows"}
    digits = rows["digits-1"]
    assert {row["noun"] for row in rows.values()} == {"images", "rows"}
    assert (digits["recipe"], digits["images"], digits["state"]) == ("digits", 2048, "finished")
    assert digits["verdict"] == "starting"
    assert digits["scores"][-1] == [2048, digits["score"]]
    again = client.get("/api/runs", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_one_run_says_what_it_is(client: TestClient) -> None:
    run = client.get("/api/runs/digits-1").json()
    assert [(one["images"], one["best"]) for one in run["checkpoints"]] == [(2048, True)]
    assert run["settings"]["recipe"] == "digits"
    assert run["data"]["shape"] == [1, 8, 8]
    assert [one["word"] for one in run["verdicts"]] == ["starting"]
    compared = client.get("/api/compare", params={"first": "digits-1", "second": "inner ~ rows"})
    assert "evenodds evaluate" in compared.json()["error"]
    assert "no run 'digits-2'" in client.get("/api/runs/digits-2").json()["error"]


def test_curves_come_once_and_then_what_is_new(client: TestClient, base: Path) -> None:
    first = client.get("/api/runs/digits-1/history").json()
    assert first["columns"]["images"][-1] == 2048
    assert all(len(values) == first["lines"] for values in first["columns"].values())
    line = json.dumps({"images": 2100, "score": 1.5, "score_low": 1.0, "score_high": 2.0})
    history = base / "digits-1" / "metrics.jsonl"
    before = history.read_text(encoding="utf-8")
    history.write_text(f"{before}{line}\n", encoding="utf-8")
    more = client.get("/api/runs/digits-1/history", params={"since": first["lines"], "part": first["part"]}).json()
    assert (more["first"], more["columns"]["score"], more["columns"]["images"]) == (first["lines"], [1.5], [2100])
    history.unlink()
    history.write_text(before, encoding="utf-8")  # as a resume does
    anew = client.get("/api/runs/digits-1/history", params={"since": more["lines"], "part": more["part"]}).json()
    assert (anew["first"], anew["lines"]) == (0, first["lines"])


def test_a_growing_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines"
    tail = Tail(path)
    assert not tail.follow()
    path.write_bytes(b'{"a": 1}\n{"a": 2')
    assert tail.follow()
    assert not tail.follow()  # a line without an end waits
    with path.open("ab") as file:
        file.write(b'}\nnonsense\n[]\n{"a": NaN}\n')
    assert tail.follow()
    assert (tail.lines, tail.damaged) == ([{"a": 1}, {"a": 2}], 3)
    with monkeypatch.context() as patch:
        patch.setattr("os.open", lambda *_: pytest.fail("the file was read though nothing was appended"))
        assert not tail.follow()
    identity = tail.identity
    path.write_bytes(b'{"a": 3}\n')
    assert tail.follow()
    assert tail.lines == [{"a": 3}]
    assert tail.identity != identity
    os.replace(path, tmp_path / "other")
    assert tail.follow()
    assert tail.lines == []


def test_a_run_that_is_held_is_playing(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    view = RunView(folder, "digits-1")
    assert view.look()
    assert not view.look()
    with locked(folder, "train"):
        assert view.look()
        assert view.state == "playing"
    assert view.look()
    assert view.state == "finished"


def test_runs_come_and_go(tmp_path: Path) -> None:
    watching = Watching([tmp_path])
    with pytest.raises(BadInput, match="no run 'a'"):
        watching["a"]
    run_folder(tmp_path, "a")
    version = watching.version
    assert watching["a"].images == 2048
    place = launching.discard(tmp_path / "a", tmp_path)
    watching.seek()
    assert watching.version > version
    assert watching.newest_first() == []
    assert place.parent == tmp_path / ".trash"
    assert (place / "config.yaml").is_file()


# Play -----------------------------------------------------------------------------------------------------------------


def test_samples_are_those_of_the_command(client: TestClient, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.npz"
    folder = str(base / "digits-1")
    assert main(["sample", folder, "-n", "5", "--seed", "3", "--npz", str(out), "--device", "cpu"]) == 0
    answer = client.get("/api/runs/digits-1/samples", params={"n": 5, "seed": 3, "format": "npz"})
    with np.load(out) as said, np.load(io.BytesIO(answer.content)) as sent:
        assert set(said) == set(sent)
        assert all(np.array_equal(said[name], sent[name]) for name in said)
    shown = picture(client.get("/api/runs/digits-1/samples", params={"n": 4, "columns": 2}))
    assert shown.size == (17, 17)


def test_rows_are_shown_and_sent(client: TestClient) -> None:
    about = client.get("/api/runs/inner ~ rows/about").json()
    assert (about["kind"], about["noun"], about["draws"]) == ("table", "rows", True)
    assert picture(client.get("/api/runs/inner ~ rows/samples")).size[0] > 100
    rows = client.get("/api/runs/inner ~ rows/samples", params={"n": 3, "format": "csv"}).text.splitlines()
    cells = client.get("/api/runs/inner ~ rows/samples", params={"n": 3, "format": "json"}).json()
    assert [",".join(row) for row in (cells["columns"], *cells["rows"])] == rows
    assert len(rows) == 4


def test_a_point_is_its_sample_and_a_way_leads_from_one_to_the_other(client: TestClient, base: Path) -> None:
    def at(**words: Any) -> Any:
        answer = client.get("/api/runs/digits-1/points", params={"format": "png", **words})
        return np.asarray(picture(answer))

    grid = client.get("/api/runs/digits-1/samples", params={"n": 8, "seed": 5, "format": "npz"})
    with np.load(io.BytesIO(grid.content)) as sent:
        sample = sent["x"][6, 0]
    start = at(start="5:6")
    card = evenodds.load(base / "digits-1", device="cpu").card
    assert np.array_equal(start, card.eight_bit(sample[None, None])[0, 0])
    assert np.array_equal(start, at(start="5:6", end="9:1", share=0))
    assert np.array_equal(at(start="9:1"), at(start="5:6", end="9:1", share=1))
    assert not np.array_equal(start, at(start="5:6", moves="1=3"))
    assert client.get("/api/runs/digits-1/points", params={"given": "left=1"}).status_code == 400  # by nothing
    walk = at(start="5:6", end="9:1", frames=10)
    assert walk.shape == (16, 64)
    assert np.array_equal(walk[:8, :8], start)
    film = picture(
        client.get("/api/runs/digits-1/points", params={"start": "1", "end": "2", "frames": 4, "format": "gif"})
    )
    assert getattr(film, "n_frames", 1) >= 2


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("samples?truncation=0", "truncation"),
        ("samples?n=300", "at most 256"),
        ("samples?class=nobody", "class"),
        ("samples?given=x", "name=number"),
        ("points?start=x", "as in 7:3"),
        ("points?start=1&moves=99%3D1", "1 to"),
        ("points?start=1&moves=a%3D1", "moves"),
        ("samples?checkpoint=..", "checkpoint"),
        ("convert?upload=x", "no longer here"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(client: TestClient, path: str, words: str) -> None:
    answer = client.get(f"/api/runs/digits-1/{path}")
    assert answer.status_code in (400, 422)
    assert words in answer.json()["error"]


def test_the_latest_request_wins_and_too_many_are_refused(base: Path) -> None:
    async def play() -> list[Any]:
        loaded = Loaded(most=1, device="cpu")
        worker, go = loaded.of(base / "digits-1"), threading.Event()
        first = asyncio.create_task(worker.ask(lambda session: go.wait(5), "place"))
        await asyncio.sleep(0.01)
        waiting = [asyncio.create_task(worker.ask(lambda session, k=k: k, "place")) for k in range(5)]
        other = asyncio.create_task(worker.ask(lambda session: "other", "elsewhere"))
        await asyncio.sleep(0.01)
        with pytest.raises(Overloaded):
            loaded.of(base / "inner" / "rows")
        go.set()
        answers = await asyncio.gather(first, *waiting, other, return_exceptions=True)
        loaded.of(base / "inner" / "rows")
        assert len(loaded) == 1  # the first is let go
        loaded.close()
        return answers

    answers = asyncio.run(play())
    assert [type(one) for one in answers[1:5]] == [Replaced] * 4
    assert (answers[0], answers[5:]) == (True, [4, "other"])


def test_a_run_is_read_again_when_it_has_other_checkpoints(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)

    async def seen() -> tuple[int, int]:
        loaded = Loaded(device="cpu")
        worker = loaded.of(folder)
        ids = [await worker.ask(id) for _ in range(2)]
        assert ids[0] == ids[1]
        os.rename(folder / "checkpoints" / "000000002048", folder / "checkpoints" / "000000004096")
        images = await worker.ask(lambda session: id(session))
        loaded.close()
        return ids[0], images

    before, after = asyncio.run(seen())
    assert before != after


def test_a_picture_is_encoded_and_moved_from_there(tmp_path: Path) -> None:
    run_folder(tmp_path)
    with opened(tmp_path) as client:
        sheet = client.get("/api/runs/digits-1/samples", params={"n": 1, "seed": 2, "format": "png"})
        sent = client.post("/api/uploads", content=sheet.content).json()["upload"]
        refused = client.post("/api/runs/digits-1/reconstruct", params={"upload": sent})
        assert "evenodds encode" in refused.json()["error"]
        encoder_of(evenodds.load(tmp_path / "digits-1", device="cpu"), 128)
        made = client.post("/api/runs/digits-1/reconstruct", params={"upload": sent}).json()
        at = client.get("/api/runs/digits-1/points", params={"start": made["point"], "format": "png"})
        session = evenodds.load(tmp_path / "digits-1", device="cpu")
        right = session.card.eight_bit(session.render(torch.tensor([made["z"]])))
        assert np.array_equal(np.asarray(picture(at)), right[0, 0])
        assert np.abs(_png(made["answer"]).astype(int) - right[0, 0]).max() <= 16  # which has the data's 17 steps
        moved = client.get("/api/runs/digits-1/points", params={"start": made["point"], "end": "1:0", "share": 0.5})
        assert moved.status_code == 200
        gone = client.get("/api/runs/digits-1/points", params={"start": "z-nothing"})
        assert "encode it again" in gone.json()["error"]


def _png(base64: str) -> Any:
    return np.asarray(Image.open(io.BytesIO(b64decode(base64))))


# Start ----------------------------------------------------------------------------------------------------------------


def test_a_table_is_shown_and_its_class_column_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []
    monkeypatch.setattr(
        launching.subprocess, "Popen", lambda words, **more: told.append(words) or _Ended(more["start_new_session"])
    )
    table = tmp_path / "data" / "people.csv"
    table.parent.mkdir()
    table.write_text("age;<b>;group\n1;2;a\n", encoding="utf-8")
    with opened(tmp_path / "runs", [table.parent]) as client:
        seen = client.get("/api/data", params={"place": str(table)}).json()
        assert (seen["recipe"], seen["rows"]) == ("small-table", [["age", "<b>", "group"], ["1", "2", "a"]])
        body = {"recipe": "table", "data": seen["data"], "settings": {"data.label": "group", "task": "condition"}}
        assert client.post("/api/runs", json=body).status_code == 201
        body["settings"] = {"data.name": "group"}
        assert "no setting" in client.post("/api/runs", json=body).json()["error"]
    assert told[0][6:10] == ["--set", "data.label=group", "--set", "task=condition"]


def test_the_settings_are_those_of_set(client: TestClient) -> None:
    rows = client.get("/api/settings", params={"recipe": "digits"}).json()
    assert {row["key"] for row in rows if row["main"]} >= {"batch", "learning_rate", "images"}
    loss = next(row for row in rows if row["key"] == "loss")
    assert (loss["value"], "hinge" in loss["words"]) == ("relativistic_paired", True)
    words = {row["key"]: str(row["value"]) for row in rows if not isinstance(row["value"], dict | list)}
    assert with_settings(recipe("digits"), {k: v for k, v in words.items() if v != "None"}) == recipe("digits")


def test_a_run_is_started_as_the_command_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []
    monkeypatch.setattr(
        launching.subprocess, "Popen", lambda words, **more: told.append(words) or _Ended(more["start_new_session"])
    )
    (tmp_path / "data").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "data" / "a.png")
    with opened(tmp_path / "runs", [tmp_path / "data"]) as client:
        body = {"recipe": "digits", "data": str(tmp_path / "data"), "budget": "10m", "seed": 4}
        answer = client.post("/api/runs", json={**body, "settings": {"batch": "8", "loss": "hinge"}})
        assert answer.json() == {"run": "digits-1"}
        assert "needs a unit" in client.post("/api/runs", json={**body, "budget": "10"}).json()["error"]
        assert "known:" in client.post("/api/runs", json={"recipe": "photos"}).json()["error"]
    words = told[0][3:]
    place = str((tmp_path / "data").resolve())
    assert words[:5] == ["train", "digits", f"--data={place}", "--budget=10m", "--seed=4"]
    assert words[5:9] == ["--set", "batch=8", "--set", "loss=hinge"]
    assert words[9:11] == ["--out", str(tmp_path / "runs" / "digits-1")]


class _Ended:
    """A process that was not started."""

    def __init__(self, own_session: bool) -> None:
        assert own_session
        self.pid = os.getpid()

    def poll(self) -> int:
        return 0


def _late(work: Any) -> Any:
    """What two that ask at once both wait for, before either goes on."""
    return lambda *words, **more: time.sleep(0.2) or work(*words, **more)


def test_of_two_that_ask_at_once_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_folder(tmp_path)
    (tmp_path / "data").mkdir()
    for owner, name in ((studio_data, "open_data"), (state.Studio, "data"), (starting, "discard")):
        monkeypatch.setattr(owner, name, _late(getattr(owner, name)))
    process = _late(lambda _, start_new_session, **more: _Ended(start_new_session))
    with opened(tmp_path, [tmp_path / "data"]) as client, ThreadPoolExecutor(2) as pool:

        def at_once(method: str, path: str, **more: Any) -> list[Any]:
            answers = pool.map(lambda _: client.request(method, f"/api/{path}", **more), range(2))
            return sorted(answers, key=lambda answer: answer.status_code)

        with monkeypatch.context() as patch:
            patch.setattr(launching.subprocess, "Popen", process)
            begun = at_once("POST", "runs/digits-1/resume")
        checked = at_once("POST", "data/check", json={"data": str(tmp_path / "data"), "recipe": "digits"})
        gone = at_once("DELETE", "runs/digits-1", params={"sure": "digits-1"})
    for answers, words in ((begun, "already"), (checked, "are being read"), (gone, "no run 'digits-1'")):
        assert [answers[0].is_success, answers[1].status_code] == [True, 400]
        assert words in answers[1].json()["error"]
    assert len(list((tmp_path / ".trash").iterdir())) == 1


WORK = r"""
import time
from evenodds.cli.signals import Ended, orderly_end

try:
    with orderly_end():
        print("\033[2Kat work", flush=True)
        time.sleep(60)
except Ended as signal:
    print("evenodds:", signal)
"""


def test_a_process_is_found_again_and_asked_to_end(tmp_path: Path) -> None:
    """By another studio than the one that started it."""
    folder = run_folder(tmp_path)
    command = [sys.executable, "-c", WORK]
    log = tmp_path / ".studio" / "digits-1-train-1.log"
    log.parent.mkdir()
    with log.open("wb") as out, subprocess.Popen(command, stdout=out) as child:
        record = {"process": asdict(of_number(child.pid)), "folder": str(folder), "command": ["train"], "log": "/etc/x"}
        write_json(log.with_suffix(".json"), {**record, "since": time.time()})
        with opened(tmp_path) as client:
            while not log.read_bytes():
                time.sleep(0.01)
            assert client.get("/api/runs").json()["runs"][0]["job"] == {"command": "train", "said": "at work"}
            assert "already" in client.post("/api/runs/digits-1/resume").json()["error"]
            assert client.post("/api/runs/digits-1/stop").status_code == 202
            assert child.wait(10) == 0
            assert client.get("/api/runs/digits-1").json()["said"] == [
                "at work",
                "stopped by the user; what is done stays",
            ]
            assert client.get("/api/runs").json()["runs"][0]["job"] is None
            assert "nothing to stop" in client.post("/api/runs/digits-1/stop").json()["error"]
            assert "twice" in client.delete("/api/runs/digits-1").json()["error"]
            assert client.delete("/api/runs/digits-1", params={"sure": "digits-1"}).json()["bin"].startswith(".trash/")
            assert client.get("/api/runs").json()["runs"] == []
    assert list(log.parent.iterdir()) == []


# Data and tools -------------------------------------------------------------------------------------------------------


def test_data_are_looked_at_and_checked(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for k in range(6):
            Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(tmp_path / "data" / name / f"{k}.png")
    (tmp_path / "data" / "b" / "broken.png").write_bytes(b"x")
    (tmp_path / "data" / "notes.txt").write_text("x", encoding="utf-8")
    with opened(tmp_path / "runs", [tmp_path / "data"]) as client:
        assert client.get("/api/data").json()["items"] == 0  # nothing is chosen before somebody chooses
        seen = client.get("/api/data", params={"place": str(tmp_path / "data")}).json()
        assert (seen["items"], seen["shape"], seen["pictures"], seen["others"]) == (13, [1, 8, 8], 13, 1)
        assert [(one["name"], one["count"]) for one in seen["classes"]] == [("a", 6), ("b", 7)]
        assert (seen["recipe"], seen["above"]) == ("digits", None)
        assert picture(client.get("/api/data/thumbnails/0", params={"place": seen["place"]})).size == (8, 8)
        asked = {"data": seen["place"], "recipe": seen["recipe"]}
        assert client.post("/api/data/check", json=asked).status_code == 202
        while (found := client.get("/api/data/check").json())["state"] == "reading":
            time.sleep(0.02)
    assert (found["state"], found["items"]) == ("read", 12)
    assert any("broken.png" in line for line in found["report"])


def test_pictures_are_enlarged_as_the_command_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, started, stopped = (tmp_path / "runs").resolve(), list[list[str]](), list[Path]()
    monkeypatch.setattr(folders, "stop", lambda folder, base: stopped.append(folder))
    monkeypatch.setattr(
        launching.subprocess,
        "Popen",
        lambda words, **more: started.append(words[3:]) or _Ended(more["start_new_session"]),
    )
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 3, 16, 16), dtype=np.uint8)
    settings = {"task__crop": 16, "size": None, "generator__width": 8, "generator__blocks": 1, "watch": "off"}
    evenodds.fit(images, "upscale-x2", out=tmp_path / "runs" / "up", images=8, batch=4, device="cpu", **settings)
    Image.fromarray(np.moveaxis(images[0], 0, -1)).save(tmp_path / "in.png")
    assert main(["upscale", str(tmp_path / "runs" / "up"), str(tmp_path / "in.png"), str(tmp_path / "out.png")]) == 0
    with opened(base, [tmp_path]) as client:
        about = client.get("/api/runs/up/about").json()
        assert about["converts"] == {"scale": 2, "labels": False, "restores": True, "back": False}
        sent = client.post("/api/uploads", content=(tmp_path / "in.png").read_bytes()).json()
        assert (sent["height"], sent["width"]) == (16, 16)
        shown = picture(client.get(f"/api/uploads/{sent['upload']}"))
        assert np.array_equal(np.asarray(shown), np.moveaxis(images[0], 0, -1))
        answer = client.get("/api/runs/up/convert", params={"upload": sent["upload"], "format": "png"})
        true = client.post("/api/uploads", content=(tmp_path / "out.png").read_bytes()).json()["upload"]
        scores = client.get("/api/runs/up/scores", params={"upload": sent["upload"], "truth": true}).json()
        (base / ".studio" / "results" / "up-1").mkdir(parents=True)
        assert client.post("/api/runs/up/folders", json={"place": str(tmp_path)}).json() == {"name": "up-2"}
        assert client.post("/api/runs/up/folders", json={"place": str(tmp_path)}).json() == {"name": "up-3"}
        (base / ".studio" / "results" / "up-2").mkdir()
        (base / ".studio" / "results" / "up-2" / "a.png").write_bytes(b"x")
        next((base / ".studio").glob("up-2-*.log")).write_text("in: 20 %\nskipped b\nin: 40 %\n", encoding="utf-8")
        told = client.get("/api/runs/up/folders").json()
        packed = zipfile.ZipFile(io.BytesIO(client.get("/api/runs/up/folders/up-2/zip").content))
        assert client.get("/api/runs/up/folders/..%2f..%2fup/zip").status_code in (400, 404)
        ended = client.post("/api/runs/up/folders/up-2/stop")
        assert "no folder of that name" in client.post("/api/runs/up/folders/up-9/stop").json()["error"]
    out = base / ".studio" / "results"
    assert started == [["upscale", str(base / "up"), str(tmp_path), str(out / name)] for name in ("up-2", "up-3")]
    assert stopped == [base / ".studio" / "results" / "up-2"]
    assert ended.status_code == 202
    assert [(one["name"], one["count"], one["percent"], one["said"]) for one in told] == [
        ("up-3", 0, None, ""),
        ("up-2", 1, 40, "skipped b"),
    ]
    assert packed.namelist() == ["a.png"]
    assert (scores["kind"], scores["total"]["ssim"]) == ("images", 1.0)  # it is held against itself
    assert np.array_equal(np.asarray(picture(answer)), np.asarray(Image.open(tmp_path / "out.png")))


def test_pictures_are_classified_as_the_command_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, started = (tmp_path / "runs").resolve(), list[list[str]]()
    monkeypatch.setattr(
        launching.subprocess,
        "Popen",
        lambda words, **more: started.append(words[3:]) or _Ended(more["start_new_session"]),
    )
    images = np.random.default_rng(0).integers(0, 256, (12, 3, 8, 8), dtype=np.uint8)
    small = {"generator__width": 4, "discriminator__width": 4, "batch": 4, "device": "cpu", "watch": "off"}
    labels = np.array(["b <i>", "a"] * 6)
    session = evenodds.fit((images, labels), "classify", out=base / "few", images=8, **small)
    Image.fromarray(np.moveaxis(images[0], 0, -1)).save(tmp_path / "in.png")
    true = classify(session, str(tmp_path / "in.png")).probabilities[0]
    with opened(base, [tmp_path]) as client:
        about = client.get("/api/runs/few/about").json()
        assert (about["classifies"], about["draws"], about["converts"], about["fills"]) == (True, False, None, False)
        sent = client.post("/api/uploads", content=(tmp_path / "in.png").read_bytes()).json()["upload"]
        said = client.get("/api/runs/few/classes", params={"upload": sent}).json()
        assert list(said["probabilities"]) == ["a", "b <i>"]
        assert np.allclose(list(said["probabilities"].values()), true, atol=1e-5)
        assert said["probability"] == said["probabilities"][said["class"]] == max(said["probabilities"].values())
        assert client.post("/api/runs/few/folders", json={"place": str(tmp_path)}).json() == {"name": "few-1"}
        assert client.get("/api/runs/few/folders").json()[0]["percent"] is None
        out = base / ".studio" / "results" / "few-1" / "classes.csv"
        out.parent.mkdir(parents=True)
        out.write_text("name,class\n", encoding="utf-8")
        assert client.get("/api/runs/few/folders").json()[0]["percent"] == 100
        assert "draws no samples" in client.post("/api/runs/few/evaluate").json()["error"]
        body = {"recipe": "classify", "data": str(tmp_path), "settings": {"data.unlabelled": "unlabelled"}}
        assert client.post("/api/runs", json=body).status_code == 201
        run_folder(base)
        refused = client.get("/api/runs/digits-1/classes", params={"upload": sent})
        assert "tells no classes apart" in refused.json()["error"]
    assert started[0] == ["classify", str(base / "few"), str(tmp_path), "--out", str(out)]
    assert started[1][3:5] == ["--set", "data.unlabelled=unlabelled"]


def test_a_folder_to_fill_in_takes_the_painted_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, started = (tmp_path / "runs").resolve(), list[list[str]]()
    monkeypatch.setattr(
        launching.subprocess,
        "Popen",
        lambda words, **more: started.append(words[3:]) or _Ended(more["start_new_session"]),
    )
    monkeypatch.setattr(Worker, "ask", _answering("fill"))
    run_folder(base)
    mask = io.BytesIO()
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(mask, "PNG")
    with opened(base, [tmp_path]) as client:
        at = "/api/runs/digits-1/folders"
        assert "needs a mask" in client.post(at, json={"place": str(tmp_path)}).json()["error"]
        assert "is not in" in client.post(at, json={"place": str(tmp_path), "mask": "/etc"}).json()["error"]
        sent = client.post("/api/uploads", content=mask.getvalue()).json()["upload"]
        assert client.post(at, json={"place": str(tmp_path), "painted": sent, "n": 2}).status_code == 202
    kept = base / ".studio" / "results" / "digits-1-1-mask.png"
    assert np.array_equal(np.asarray(Image.open(kept)), np.eye(8) * 255)
    run, out = str(base / "digits-1"), str(kept.with_name("digits-1-1"))
    assert started == [["fill", run, str(tmp_path), "--mask", str(kept), "-n", "2", "--out", out]]


def _answering(answer: Any) -> Any:
    async def ask(*_: Any) -> Any:
        return answer

    return ask


# Judge ----------------------------------------------------------------------------------------------------------------


def test_samples_stand_beside_training_images(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resembling_module, "MOST_LEARNED", 200)
    found = client.get("/api/runs/digits-1/resembling", params={"n": 5, "order": "closest"}).json()
    ratios = [one["ratio"] for one in found["pairs"]]
    assert ratios == sorted(ratios)
    assert (found["judged"], found["among"], found["trained_on"]) == (256, 200, 1438)
    assert not found["copies"]
    sample = next(one for one in client.get("/api/runs/digits-1/resembling").json()["pairs"] if one["sample"] == 3)
    grid = picture(client.get("/api/runs/digits-1/samples", params={"n": 4, "columns": 4, "format": "png"}))
    assert np.array_equal(_png(sample["pictures"][0]), np.asarray(grid)[:, 27:])
    assert "draws none" in client.get("/api/runs/inner ~ rows/resembling").json()["error"]


def test_copies_are_found_with_the_image_that_was_copied() -> None:
    rng = np.random.default_rng(0)
    real = torch.from_numpy(rng.uniform(-1, 1, (300, 1, 8, 8)).astype(np.float32))
    extractor = find("features", "random")((1, 8, 8))
    rows = extract(extractor, real)
    about = Known(extractor, Dataset(real, Units((-1.0,), (1.0,), "float32")), rows[:200], rows[200:], 200)
    drawn = torch.cat([real[[7, 9]], torch.from_numpy(rng.uniform(-1, 1, (6, 1, 8, 8)).astype(np.float32))])
    card = SimpleNamespace(shape=(1, 8, 8), to_model=lambda x: x)
    session: Any = SimpleNamespace(card=card, numbers=lambda n, seed: drawn)
    found = resembling(session, about, 8)
    assert found.order(closest=True)[:2].sort().values.tolist() == [0, 1]
    assert found.nearest[:2].tolist() == [7, 9]
    assert found.found.suspected.tolist() == [True] * 2 + [False] * 6


def test_scores_and_trials_are_shown_and_what_is_none_is_said(tmp_path: Path) -> None:
    run_folder(tmp_path / "runs")
    score = {"name": "kernel", "title": "Kernel distance", "better": "lower", "value": 0.5, "low": 0.4, "high": 0.6}
    found = {"schema": 1, "fingerprint": {}, "scores": [{**score, "floor": None}], "sound": True, "verdict": ["well"]}
    write_json(tmp_path / "runs/digits-1/evaluation.json", {**found, "memorisation": {"share": 0.1, "suspects": 3}})
    figures = {name: 0.5 for name in FIGURES}
    arms = {name: {"title": f"<{name}>", "figures": [figures, figures]} for name in ("real", "gan")}
    test = {"figures": {PRIMARY: {"value": 0.1, "low": 0.0, "high": 0.2}}}
    content = {"verdict": {"answer": "HELPS", "reasons": ["it does"], "recommended": {"title": "gan"}}, "arms": arms}
    content |= {"differences": {"gan - real": test}, "classifier": "small", "classes": ["a"], "train_counts": [3]}
    for name, told in (("good", {**content, "tested_on": [2], "seeds": 2}), ("bad", {"verdict": 3}), ("odd", [])):
        (tmp_path / "trials" / name).mkdir(parents=True)
        write_json(tmp_path / "trials" / name / "trial.json", told)
    (tmp_path / "trials" / "link").symlink_to(tmp_path / "trials" / "good")
    with opened(tmp_path / "runs", [tmp_path]) as client:
        shown = client.get("/api/runs/digits-1/evaluation").json()
        assert (shown["scores"][0]["value"], shown["copies"]) == (0.5, {"share": 0.1, "suspects": []})
        told = {one["name"]: one for one in client.get("/api/trials").json()}
        assert set(told) == {"good", "bad", "odd"}
        assert (told["good"]["answer"], told["good"]["arms"][1]["against"]["low"]) == ("HELPS", 0.0)
        assert "no result" in told["bad"]["trouble"]
        assert "trial.json" in told["odd"]["trouble"]
        assert "no trial 'x'" in client.get("/api/trials/x/picture").json()["error"]


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    runs = str(tmp_path / "runs")
    for words, said in (
        (["--host", "0.0.0.0"], "--token"),
        (["--token", "short"], "at least 16"),
        (["--data", str(tmp_path / "none")], "--data needs a folder"),
    ):
        assert main(["studio", runs, "--no-browser", *words]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_what_a_glance_finds_has_words_beside_its_curve() -> None:
    """The keys of the history, "apart" and "d fake", stood there."""
    named = re.search(r"const TERMS = new Set\((.*?)\)", (STATIC / "charts.js").read_text(encoding="utf-8"))
    assert named is not None
    assert json.loads(named[1]) == [*KINDS["term"]]


def test_every_word_of_the_page_is_in_both_languages() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
    languages = [set(re.findall(r"[\s,](\w+): \"", texts.pop(name))) for name in ("strings.js", "strings.zh.js")]
    code = "".join(texts.values())
    used = set(re.findall(r"\bt\(\"(\w+)\"", code)) | set(re.findall(r"\bt\([^()\"`]*\? \"\w+\" : \"(\w+)\"", code))
    assert languages[0] - languages[1] == languages[1] - languages[0] == set()
    assert used - languages[0] == set()
    assert {word for word in languages[0] if not re.search(rf"[\"_`]{word}\b", code)} <= {
        f"{kind}_{word}" for kind, words in KINDS.items() for word in words
    }
