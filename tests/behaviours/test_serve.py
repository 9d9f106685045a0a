"""`evenodds serve`: what a run answers over HTTP, in every form, together with others, and what is refused."""

import asyncio
import base64
import io
import json
import logging
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

import evenodds
from evenodds.apply.classifying import classify
from evenodds.apply.converting import Options, convert
from evenodds.apply.encoder import encoder_of
from evenodds.apply.encoding import encoded
from evenodds.apply.filling import write_fillings
from evenodds.apply.making import filler_of, maker_of
from evenodds.cli import main
from evenodds.errors import BadInput
from evenodds.export.model import load_model
from evenodds.server import api
from evenodds.server.bounds import Bounds, Full, Line
from evenodds.server.passes import Kind, Passes, Rows
from evenodds.server.received import decoded
from tests.behaviours.test_studio_attacks import bomb
from tests.contracts.test_export import session_of, stand_in
from tests.serving import BEARER, asked, at_port, server, together
from tests.studio import HOST, TOKEN, run_folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of every kind, and a picture with a mask."""
    home = tmp_path_factory.mktemp("serve")
    digits = run_folder(home, "digits")
    encoder_of(evenodds.load(digits, device="cpu"), 128)
    run_folder(home, "table", "table")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(home / "in.png")
    Image.fromarray(np.tri(16, dtype=np.uint8) * 255).save(home / "mask.png")
    return home


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[TestClient]:
    with asked(home / "digits") as client:
        yield client


def error(answer: Any, status: int) -> str:
    """The one line of an answer that is an error."""
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert "\n" not in answer.json()["error"]
    return str(answer.json()["error"])


def arrays(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    with np.load(io.BytesIO(answer.content)) as found:
        return {name: found[name] for name in found}


def pixels(content: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(content)))


# What a run answers ---------------------------------------------------------------------------------------------------


def test_samples_are_those_of_the_run_in_every_form(client: TestClient, home: Path) -> None:
    session = evenodds.load(home / "digits", device="cpu")
    true = session.sample(5, seed=3)
    body = {"count": 5, "seed": 3}
    sent = arrays(client.post("/v1/sample", json=body, headers={"accept": "application/zip"}))["x"]
    assert np.abs(sent.astype(int) - true).max() <= 1
    assert sent.dtype == true.dtype
    told = client.post("/v1/sample", data={"count": "5", "seed": "3", "format": "json"}).json()
    shown = [pixels(base64.b64decode(image)) for image in told["images"]]
    assert np.array_equal(np.stack(shown), session.card.eight_bit(sent)[:, 0])
    grid = client.post("/v1/sample?columns=5", json=body)
    assert (grid.headers["content-type"], pixels(grid.content).shape) == ("image/png", (8, 44))


def test_rows_are_csv_and_json_with_numbers(home: Path) -> None:
    with asked(home / "table") as client:
        rows = client.post("/v1/sample", json={"count": 3, "format": "csv"}).text.splitlines()
        told = client.post("/v1/sample", json={"count": 3}).json()
        assert rows[0].split(",") == told["columns"]
        kinds = {type(cell) for row in told["rows"] for cell in row}
        assert kinds <= {float, int, str, type(None)}
        assert float in kinds
        assert client.post("/v1/sample", json={"count": 3}, headers={"accept": "text/csv"}).text.splitlines() == rows


def test_codes_are_those_of_the_command(client: TestClient, home: Path) -> None:
    picture = client.post("/v1/sample", json={"seed": 2}).content
    (home / "one.png").write_bytes(picture)
    _, codes = encoded(evenodds.load(home / "digits", device="cpu"), home / "one.png")
    for answer in (
        client.post("/v1/encode", content=picture, headers={"content-type": "image/png"}),
        client.post("/v1/encode", files={"image": ("../../x.png", picture)}),
        client.post("/v1/encode", json={"image": base64.b64encode(picture).decode()}),
    ):
        assert np.allclose(answer.json()["z"], codes.z, atol=1e-4)
    two = arrays(client.post("/v1/encode?format=npz", files=[("image", picture), ("image", picture)]))
    assert two["z"].shape == (2, codes.z.shape[1])


def test_codes_of_rows_are_those_of_the_command_in_every_form(home: Path) -> None:
    """The rows are sent as JSON, in a form and as the body; their order of columns is free."""
    cities = ("Paris", "Köln", "New York, NY")
    lines = [f'{k % 7 or ""},"{cities[k % 3]}",2024-01-{k % 28 + 1:02},{("no", "yes")[k % 2]}' for k in range(40)]
    (home / "people.csv").write_text("\n".join(["age,city,day,member", *lines]), encoding="utf-8")
    small = {"generator__width": 4, "generator__depth": 1, "discriminator__width": 4, "watch": "off", "device": "cpu"}
    data, options = str(home / "people.csv"), {"data__label": "member", "task": "condition", **small}
    session = evenodds.fit(data, "table", out=home / "people", images=16, batch=8, **options)
    encoder_of(session, 64)
    with asked(session) as client:
        body = {"count": 3, "seed": 5, "classes": ["no", "yes", "no"]}
        told, text = client.post("/v1/sample", json=body).json(), client.post("/v1/sample?format=csv", json=body).text
        assert [row[-1] for row in told["rows"]] == body["classes"]
        assert "need 2 names in classes" in error(client.post("/v1/sample", json={**body, "count": 2}), 400)
        (home / "rows.csv").write_text(text, encoding="utf-8")
        _, codes = encoded(session, home / "rows.csv")
        sent = {"columns": told["columns"][::-1], "rows": [row[::-1] for row in told["rows"]]}
        for answer in (
            client.post("/v1/encode", json=sent),
            client.post("/v1/encode", files={"rows": text.encode()}),
            client.post("/v1/encode", content=text, headers={"content-type": "text/csv"}),
        ):
            assert np.allclose(answer.json()["z"], codes.z, atol=1e-4), answer.text
            assert set(answer.json()["classes"]) <= {"no", "yes"}
        z = arrays(client.post("/v1/encode", files={"rows": text.encode()}, data={"format": "npz"}))["z"]
        assert np.allclose(z, codes.z, atol=1e-4)
        one = {"columns": told["columns"], "rows": [told["rows"][0]]}
        for request, status, words in (
            ({"json": {**sent, "rows": []}}, 400, "rows are needed"),
            ({"json": {**one, "rows": [["1", "Atlantis", "2024-01-01", "no"]]}}, 400, "Atlantis"),
            ({"json": {**sent, "rows": [[1]]}}, 400, "as many cells"),
            ({"json": {**one, "columns": [f"{name}?" for name in one["columns"]]}}, 400, "is missing"),
            ({"json": {**one, "rows": [[{"a": 1}] * len(one["columns"])]}}, 400, "column"),
            ({"json": {**one, "rows": one["rows"] * 5000}}, 413, "at most 4,096 rows"),
            ({"json": {**one, "image": "aGVsbG8="}}, 400, "no images"),
            ({"files": {"rows": b"\0\1"}}, 400, "needs text"),
            ({"files": [("rows", text.encode())] * 2}, 400, "one file of rows is needed, got 2"),
            ({"files": {"rows": text.encode()}, "data": {"columns": ["a", "b"]}}, 400, "came twice"),
        ):
            assert words in error(client.post("/v1/encode", **request), status)


@pytest.mark.parametrize("exported", [False, True], ids=["run", "file"])
def test_classes_are_those_of_the_command_in_every_form(home: Path, exported: bool) -> None:
    session = load_model(stand_in("classify", home)) if exported else session_of("classify", home)
    true, content = classify(session, str(home / "in.png")), (home / "in.png").read_bytes()
    with asked(session) as client:
        about = client.get("/v1/model").json()
        assert (about["answers"], about["classes"]) == (["classify"], ["a", "b"])
        for answer in (
            client.post("/v1/classify", content=content, headers={"content-type": "image/png"}),
            client.post("/v1/classify", files={"image": content}),
            client.post("/v1/classify", json={"image": base64.b64encode(content).decode()}),
        ):
            (said,) = answer.json()["items"]
            assert said["class"] == true.classes[true.answers[0]]
            assert said["probability"] == said["probabilities"][said["class"]]
            assert list(said["probabilities"]) == ["a", "b"]
            assert np.allclose(list(said["probabilities"].values()), true.probabilities[0], atol=1e-5)
        two = arrays(client.post("/v1/classify?format=npz", files=[("image", content)] * 2))
        assert np.allclose(two["probabilities"], true.probabilities.repeat(2, 0), atol=1e-5)
        assert two["classes"].tolist() == ["a", "b"]
        for request, status, words in (
            ({}, 400, "an image is needed"),
            ({"json": {"rows": [[1]]}}, 400, "no rows"),
            ({"files": {"image": b"age,city"}}, 400, "not an image"),
            ({"files": {"image": content}, "data": {"format": "csv"}}, 400, "json, npz"),
        ):
            assert words in error(client.post("/v1/classify", **request), status)
        assert "answers classify, and no encode" in error(client.post("/v1/encode", files={"image": content}), 404)


def test_classes_of_rows_are_those_of_the_command(home: Path) -> None:
    lines = [f"{k % 7},{('no', 'yes', '')[k % 3]}" for k in range(40)]
    (home / "churn.csv").write_text("\n".join(["age,churn", *lines]), encoding="utf-8")
    small = {"generator__width": 4, "generator__depth": 1, "discriminator__width": 4, "watch": "off", "device": "cpu"}
    data, options = str(home / "churn.csv"), {"data__label": "churn", "batch": 8, **small}
    session = evenodds.fit(data, "classify-table", out=home / "churn", images=16, **options)
    true = classify(session, data).probabilities[:2]
    with asked(session) as client:
        for rows in (
            {"columns": ["age"], "rows": [[0], [1]]},
            {"columns": ["churn", "age"], "rows": [["no", 0], [None, 1]]},
        ):
            said = client.post("/v1/classify", json=rows).json()["items"]
            assert np.allclose(
                [[one["probabilities"][name] for name in ("no", "yes")] for one in said], true, atol=1e-5
            )
        assert "no images" in error(client.post("/v1/classify", files={"image": (home / "in.png").read_bytes()}), 400)


def test_pictures_are_translated_as_the_command_does_in_every_form(home: Path) -> None:
    picture, session = home / "in.png", session_of("denoise", home)
    convert(maker_of(session), picture, home / "clean.png", Options())
    true, content = pixels((home / "clean.png").read_bytes()), picture.read_bytes()
    with asked(session) as client:
        for more in ({"content": content, "headers": {"content-type": "image/png"}}, {"files": {"image": content}}):
            answer = pixels(client.post("/v1/translate", **more).content)
            assert np.abs(answer.astype(int) - true).max() <= 1  # passes of another size
        told = client.post("/v1/translate", json={"image": base64.b64encode(content).decode(), "format": "json"}).json()
        assert (told["height"], told["width"]) == true.shape[:2]
        assert np.array_equal(pixels(base64.b64decode(told["image"])), answer)
        x = arrays(client.post("/v1/translate?format=npz", files={"image": content}))["x"]
        assert np.array_equal(np.moveaxis(x, 0, -1), answer)
        for request, status, words in (
            ({}, 400, "one image is needed, got 0"),
            ({"files": {"image": content}, "data": {"overlay": "true"}}, 400, "no field 'overlay'"),
            ({"files": {"image": b"age,city"}}, 400, "not an image"),
            ({"files": {"image": content}, "data": {"format": "csv"}}, 400, "png, npz, json"),
        ):
            assert words in error(client.post("/v1/translate", **request), status)
        assert "answers translate, and no upscale" in error(client.post("/v1/upscale", files={"image": content}), 404)


def test_pictures_are_enlarged_as_the_command_does(home: Path) -> None:
    picture, session = home / "in.png", session_of("upscale-x2", home)
    convert(maker_of(session), picture, home / "out.png", Options())
    with asked(session) as client:
        answer = client.post("/v1/upscale", content=picture.read_bytes(), headers={"content-type": "image/png"})
        assert np.abs(pixels(answer.content).astype(int) - pixels((home / "out.png").read_bytes())).max() <= 1
        told = client.post("/v1/upscale", files={"image": picture.read_bytes()}, data={"format": "json"}).json()
        assert (told["height"], told["width"], base64.b64decode(told["image"])) == (32, 32, answer.content)
        assert "answers upscale" in error(client.post("/v1/sample"), 404)
        assert "the result would have 8,000" in error(client.post("/v1/upscale", files={"image": bomb(4_000)}), 413)


def test_pixels_are_labelled_as_the_command_does(home: Path) -> None:
    picture, session = home / "in.png", session_of("segment", home)
    convert(maker_of(session), picture, home / "map.png", Options())
    with asked(session) as client:
        files = {"image": picture.read_bytes()}
        assert client.post("/v1/segment", files=files).content == (home / "map.png").read_bytes()
        over = client.post("/v1/segment?overlay=true", files=files).content
        assert np.array_equal(pixels(over), pixels((home / "map-overlay.png").read_bytes()))
        told = client.post("/v1/segment?format=json", files=files).json()
        assert sum(told["classes"].values()) == pytest.approx(1)
        assert arrays(client.post("/v1/segment?format=npz", files=files))["labels"].shape == (16, 16)


def test_holes_are_filled_in_as_the_command_does(home: Path) -> None:
    picture, mask, session = home / "in.png", home / "mask.png", session_of("fill-32", home)
    written, _ = write_fillings(filler_of(session), str(picture), mask, home / "filled", 2, 5)
    with asked(session) as client:
        files = {"image": picture.read_bytes(), "mask": mask.read_bytes()}
        made = arrays(client.post("/v1/fill", files=files, data={"count": "2", "seed": "5", "format": "npz"}))["x"]
        true = np.stack([np.atleast_3d(pixels(path.read_bytes())) for path in written[:2]])
        assert np.abs(np.moveaxis(made, 1, -1).astype(int) - true).max() <= 1
        assert pixels(client.post("/v1/fill", files=files, data={"count": 3}).content).shape[:2] == (8, 24)
        assert "one mask" in error(client.post("/v1/fill", files={"image": picture.read_bytes()}), 400)


def test_what_is_served_is_told(client: TestClient) -> None:
    about = client.get("/v1/model").json()
    assert about["answers"] == ["sample", "encode"]
    assert (about["shape"], about["limits"]["queue"], about["card"]["task"]) == ([1, 8, 8], 64, "generate")
    assert client.get("/healthz", headers={"authorization": ""}).json() == {"status": "ok"}
    assert client.get("/readyz", headers={"authorization": ""}).json() == {"status": "ready"}
    client.post("/v1/sample", json={"count": 3})
    client.get("/made-up")
    figures = client.get("/metrics").text
    assert re.search(r'evenodds_requests_total\{path="/v1/sample",status="200"\} [1-9]', figures)
    assert 'path="other",status="404"' in figures
    assert "made-up" not in figures
    described = client.get("/openapi.json").json()["paths"]
    assert set(api.PATHS) <= set(described)
    assert "truncation" in json.dumps(described["/v1/sample"])
    page = client.get("/")
    assert all(path in page.text for path in api.PATHS)
    assert page.headers["content-security-policy"].startswith("default-src 'self'")


# Together -------------------------------------------------------------------------------------------------------------


def test_requests_that_wait_together_share_a_pass_and_have_the_bits_of_one_alone(home: Path) -> None:
    app, service = server(home / "digits")
    bodies = [{"count": 1 + k % 5 * 17, "seed": k, "format": "npz", "truncation": 1 - k % 2 / 4} for k in range(20)]

    async def play(client: Any) -> tuple[list[bytes], list[bytes]]:
        alone = [(await client.post("/v1/sample", json=body)).content for body in bodies]
        answers = await asyncio.gather(*(client.post("/v1/sample", json=body) for body in bodies))
        return alone, [answer.content for answer in answers]

    alone, at_once = together(app, play)
    assert [_digits(one) for one in alone] == [_digits(one) for one in at_once]
    assert len({_digits(one) for one in alone}) == 20
    shared = {s.labels["le"]: s.value for m in service.meter.pass_requests.collect() for s in m.samples if s.labels}
    assert shared["+Inf"] > shared["1.0"]  # some passes had several requests
    assert service.line.waiting == service.line.numbers == len(service.passes) == 0


def _digits(content: bytes) -> bytes:
    with np.load(io.BytesIO(content)) as found:
        return bytes(found["x"].tobytes())


def test_the_place_of_a_row_changes_no_bit() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(64, 512), torch.nn.ReLU(), torch.nn.Linear(512, 300))

    def compute(rows: Rows) -> Rows:
        with torch.no_grad():
            return {"x": network(torch.from_numpy(rows["z"])).numpy()}

    async def play() -> None:
        passes, kind = Passes(lambda: torch.set_num_threads(1)), Kind("k", compute, 16)
        z = np.random.default_rng(0).normal(size=(9, 5, 64)).astype(np.float32)
        alone = [(await passes.ask(kind, {"z": one}))["x"] for one in z]
        at_once = await asyncio.gather(*(passes.ask(kind, {"z": one}) for one in z))
        assert all(np.array_equal(one, other["x"]) for one, other in zip(alone, at_once, strict=True))
        passes.end()

    asyncio.run(play())


def test_the_fault_of_one_request_is_that_of_no_other_and_a_long_one_waits_for_short_ones() -> None:
    order: list[int] = []

    def compute(rows: Rows) -> Rows:
        order.extend(dict.fromkeys(rows["x"].tolist()))
        if -1 in rows["x"]:
            raise BadInput("it is -1")
        return {"y": rows["x"] * 2}

    async def play() -> list[Any]:
        passes, kind = Passes(), Kind("double", compute, 4)
        asked = ([7] * 20, [1], [-1], [2, 3])
        work = [passes.ask(kind, {"x": np.array(one)}) for one in asked]
        answers = await asyncio.gather(*work, return_exceptions=True)
        passes.end()
        return [one if isinstance(one, Exception) else one["y"].tolist() for one in answers]

    answers = asyncio.run(play())
    assert (answers[0], answers[1], str(answers[2]), answers[3]) == ([14] * 20, [2], "it is -1", [4, 6])
    assert order.index(2) < len(order) - order[::-1].index(7) - 1


def test_a_fault_beside_the_network_is_answered_and_logged_and_the_next_pass_goes_on(home: Path) -> None:
    app, service = server(home / "digits", seconds=5)
    faults, lines = [RuntimeError("no\x1b room"), KeyError("no figure")], list[str]()
    logged = logging.Handler()
    logged.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]

    def told(requests: int, rows: int) -> None:
        if faults:
            raise faults.pop(0)

    async def play(client: Any) -> list[Any]:
        service.passes._told = told
        body = {"count": 1000, "format": "npz"}
        first = await client.post("/v1/sample", json=body)  # of several passes
        return [first, await client.post("/v1/sample"), await client.post("/v1/sample", json=body)]

    logging.getLogger("evenodds").addHandler(logged)
    try:
        first, second, last = together(app, play)
    finally:
        logging.getLogger("evenodds").removeHandler(logged)
    assert "unexpected RuntimeError: no\\x1b room" in error(first, 500)
    assert (second.status_code, last.status_code) == (500, 200)
    assert [line.split(";")[0] for line in lines] == [
        "POST /v1/sample: unexpected RuntimeError: no\\x1b room",
        "POST /v1/sample: unexpected KeyError: 'no figure'",
    ]
    assert service.line.waiting == service.line.numbers == len(service.passes) == 0


class Held:
    """A pass that waits until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.kind = Kind("held", self._wait, 1)

    def _wait(self, rows: Rows) -> Rows:
        assert self.go.wait(10)
        return rows


def test_more_than_may_wait_are_refused_with_the_time_to_come_back(home: Path) -> None:
    app, service = server(home / "digits", queue=2, seconds=5)
    held = Held()

    async def play(client: Any) -> list[Any]:
        first = asyncio.create_task(service.passes.ask(held.kind, {"x": np.zeros(1)}))
        waiting = [asyncio.create_task(client.post("/v1/sample", json={"seed": k})) for k in range(2)]
        while service.line.waiting < 2:
            await asyncio.sleep(0.001)
        refused, ready = await client.post("/v1/sample"), await client.get("/readyz")
        held.go.set()
        return [refused, ready, *await asyncio.gather(*waiting), await client.post("/v1/sample"), await first]

    refused, ready, *answered, _ = together(app, play)
    assert "ask again" in error(refused, 429)
    assert int(refused.headers["retry-after"]) >= 1
    assert ready.status_code == 503
    assert [one.status_code for one in answered] == [200] * 3


def test_an_answer_that_takes_too_long_is_given_up(home: Path) -> None:
    app, service = server(home / "digits", seconds=0.5)  # a request has as long to arrive
    held = Held()

    async def play(client: Any) -> Any:
        first = asyncio.create_task(service.passes.ask(held.kind, {"x": np.zeros(1)}))
        late = await client.post("/v1/sample")
        assert len(service.passes) == service.line.waiting == 0
        held.go.set()
        await first
        return late

    assert "took longer than 0.5 s" in error(together(app, play), 503)


@pytest.mark.parametrize(("run", "path"), [("digits", "/v1/sample"), ("upscale-x2", "/v1/upscale")])
def test_the_work_of_a_client_that_goes_is_dropped(home: Path, run: str, path: str) -> None:
    app, service = server(home / run if run == "digits" else session_of(run, home))
    held, computed = Held(), list[int]()
    body = b"{}" if run == "digits" else (home / "in.png").read_bytes()
    kind = b"application/json" if run == "digits" else b"image/png"

    async def play() -> list[Any]:
        service.passes._told = lambda requests, rows: computed.append(rows)
        first = asyncio.create_task(service.passes.ask(held.kind, {"x": np.zeros(1)}))
        messages = [{"type": "http.request", "body": body}]

        async def receive() -> Any:
            if messages:
                return messages.pop(0)
            while not len(service.passes):
                await asyncio.sleep(0.001)
            return {"type": "http.disconnect"}

        while not computed:  # the pass that is held has begun
            await asyncio.sleep(0.001)
        sent = await _raw(app, path, kind, receive)
        async with asyncio.timeout(10):  # a thread that asks is told of it a moment later
            while len(service.passes) or service.line.waiting:
                await asyncio.sleep(0.001)
        held.go.set()
        await first
        await asyncio.sleep(0.01)
        return sent

    sent = asyncio.run(play())
    assert (sent[0]["status"], computed) == (499, [1])  # the pass that was held alone
    assert service.meter.dropped._value.get() == 1


def test_what_was_taken_is_answered_when_the_server_ends(home: Path) -> None:
    with at_port(evenodds.load(home / "digits", device="cpu")) as (port, service, running):
        held, inner, answers = Held(), service.offers.sampling(1.0), list[int]()
        slow = Kind(inner.key, lambda rows: held._wait(rows) and inner.compute(rows), inner.size)
        object.__setattr__(service, "offers", _Slow(service.offers, slow))

        def ask() -> None:
            connection = HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/v1/sample", headers=BEARER)
            answers.append(connection.getresponse().status)
            connection.close()

        asking = threading.Thread(target=ask)
        asking.start()
        while not service.line.waiting:
            time.sleep(0.005)
        running.should_exit = True
        time.sleep(0.15)  # it no longer listens
        with pytest.raises(OSError):
            HTTPConnection("127.0.0.1", port, timeout=1).connect()
        held.go.set()
        asking.join(10)
    assert answers == [200]


class _Slow:
    """Offers whose samples wait."""

    def __init__(self, offers: Any, kind: Kind) -> None:
        self._offers, self._kind = offers, kind

    def sampling(self, truncation: float) -> Kind:
        return self._kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._offers, name)


# What is refused ------------------------------------------------------------------------------------------------------


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (b"{", JSON, 400, "the body"),
        (b"[" * 10_000, JSON, 400, "the body"),
        (b"[]", JSON, 400, "JSON object"),
        (b'{"count": 5000}', JSON, 413, "at most 4,096 samples"),
        (b'{"count": 1000000000000}', JSON, 413, "at most 4,096 samples"),
        (b'{"count": 300}', JSON, 400, "at most 256"),
        (b'{"count": 0}', JSON, 400, "count: Input should be greater than or equal to 1, got 0"),
        (b'{"given": ["a=1", "a=2"]}', JSON, 400, "given: two values were given for 'a', 1 and 2"),
        (b'{"truncation": NaN}', JSON, 400, "NaN"),
        (b'{"truncation": 1e999}', JSON, 400, "1e999"),
        (b'{"seed": -1}', JSON, 400, "seed"),
        (b'{"class": "3"}', JSON, 400, "not conditional"),
        (b'{"format": "exe"}', JSON, 400, "png, npz, json"),
        (b'{"nonsense": 1}', JSON, 400, "nonsense"),
        (b'{"count": 3}', {"content-type": "application/x-www-form-urlencoded"}, 415, "Content-Type"),
        (b"x", {"content-type": "text/html"}, 415, "Content-Type"),
        (b"{}", {**JSON, "accept": "audio/ogg"}, 406, "png, npz, json"),
        (b" " * 2_000_000, JSON, 413, "at most 1 MiB"),
        (b"{}", {**JSON, "authorization": "Bearer wrong"}, 401, "token"),
        (b"{}", {**JSON, "host": "evil.example:8000"}, 421, "name"),
        (b"{}", {**JSON, "origin": "http://evil.example"}, 403, "origins"),
    ],
)
def test_what_cannot_be_answered_is_one_line(
    client: TestClient, content: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    assert words in error(client.post("/v1/sample", content=content, headers=headers), status)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"files": {"image": b"GIF89a"}}, "the image"),
        ({"files": {"../../etc/passwd": b"x"}}, "no field"),
        ({"data": {"image": "x"}}, "image is a file"),
        ({"json": {"imge": "x"}}, "did you mean 'image'"),
        ({"json": {"image": "%%%"}}, "base64"),
        ({"json": {"image": [1]}}, "base64"),
        ({"json": {"rows": [[1]]}}, "an image is needed"),
        ({"data": {"format": "csv"}, "files": {"image": b"x"}}, "json, npz"),
    ],
)
def test_pictures_that_are_none_are_refused(client: TestClient, request_: dict[str, Any], words: str) -> None:
    assert words in error(client.post("/v1/encode", **request_), 400)


def test_a_bomb_is_not_decoded(client: TestClient) -> None:
    assert "60,000 x 60,000 pixels" in error(client.post("/v1/encode", files={"image": bomb(60_000)}), 413)


def test_a_slow_body_is_not_waited_for(home: Path) -> None:
    app, service = server(session_of("upscale-x2", home), pause=0.05)
    parts = [{"type": "http.request", "body": b"x", "more_body": True}]

    async def receive() -> Any:
        return parts.pop() if parts else await asyncio.sleep(60)

    sent = asyncio.run(_raw(app, "/v1/upscale", b"image/png", receive))
    assert (sent[0]["status"], service.line.receiving) == (408, 0)


async def _raw(app: Any, path: str, kind: bytes, receive: Any) -> list[Any]:
    """What is sent to a client that behaves as `receive` says."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", HOST.encode()), (b"authorization", BEARER["authorization"].encode()), (b"content-type", kind)]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "client": ("127.0.0.1", 1)}
    await app({**scope, "headers": headers}, receive, send)
    return sent


def test_bodies_and_answers_are_bounded_in_all() -> None:
    line = Line(Bounds(receiving=1, numbers=100))
    with line.received(), pytest.raises(Full), line.received():
        pass
    with pytest.raises(BadInput, match="at most 25 numbers"), line.taken(26):
        pass
    with line.taken(25), line.taken(25), line.taken(25), line.taken(25), pytest.raises(Full), line.taken(1):
        pass
    assert (line.waiting, line.receiving, line.numbers) == (0, 0, 0)


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str], home: Path, tmp_path: Path) -> None:
    for words, said in (
        ([str(tmp_path)], "no run at"),
        ([str(home / "digits"), "--host", "0.0.0.0"], "--token"),
        ([str(home / "digits"), "--token", "short"], "at least 16"),
        ([str(home / "digits"), "--queue", "0"], "--queue"),
    ):
        assert main(["serve", *words]) == 2
        assert said in capsys.readouterr().err


# The page -------------------------------------------------------------------------------------------------------------


RUNS = {"upscale": "upscale-x2", "segment": "segment", "classify": "classify", "fill": "fill-32"}


def test_the_examples_of_the_page_run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8").partition("\n## Tables")[0]
    lines = re.findall(r"^curl -f .*$", page, re.M)
    (program,) = re.findall(r"^```py\n(.*?)^```", page, re.M | re.S)
    monkeypatch.setenv("TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    for name in ("in.png", "mask.png"):
        shutil.copyfile(home / name, tmp_path / name)
    by_run: dict[str, list[str]] = {}
    for line in lines:
        (path,) = re.findall(r"/v1/(\w+)", line)
        by_run.setdefault(RUNS.get(path, "digits"), []).append(line)
    for run, commands in by_run.items():
        session = evenodds.load(home / run, device="cpu") if run == "digits" else session_of(run, tmp_path)
        with at_port(session) as (port, _, _):
            monkeypatch.setenv("URL", f"http://127.0.0.1:{port}")
            for command in commands:
                done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
                assert done.returncode == 0, (command, done.stderr)
            if run == "digits":
                exec(program, {})
    assert sorted(path.name for path in tmp_path.glob("*.*")) == sorted(
        ["fillings.png", "grid.png", "in.png", "large.png", "mask.png", "overlay.png", "samples.npz"]
    )
    assert len(lines) == 9


def test_of_several_frames_none_is_taken_for_all() -> None:
    content = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (40 * k, 0, 0)) for k in range(3)]
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(BadInput, match="the image has 3 frames; send one of them"):
        decoded(content.getvalue(), "the image", 10**6)
