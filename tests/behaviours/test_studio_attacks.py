"""What is tried against the studio: foreign names and pages, no token, paths that lead out, bombs, slow and many."""

import asyncio
import io
import json
import os
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from evenodds.errors import BadInput
from evenodds.server import gate, listening
from evenodds.server.access import Access, Guesses, require_token
from evenodds.server.gate import Gate, Limits
from evenodds.server.listening import Door
from tests.studio import HOST, TOKEN, opened, run_folder

BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("studio") / "runs"
    run_folder(base)
    return base


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images, with links that lead out of it, beside a secret."""
    home = tmp_path_factory.mktemp("data")
    (home / "secret").mkdir()
    Image.new("L", (4, 4)).save(home / "secret" / "a.png")
    folder = home / "images"
    (folder / "<img src=x onerror=alert(1)>").mkdir(parents=True)
    Image.new("RGB", (200, 100), "red").save(folder / "<img src=x onerror=alert(1)>" / "a.png")
    (folder / "out.png").symlink_to(home / "secret" / "a.png")
    (folder / "out").symlink_to(home / "secret")
    return folder


@pytest.fixture(scope="module")
def client(base: Path, data: Path) -> Iterator[TestClient]:
    with opened(base, [data]) as client:
        yield client


def error(answer: Any) -> str:
    """The one line of an answer that is an error."""
    body = answer.json()
    assert set(body) == {"error"}
    assert "\n" not in body["error"]
    assert "Traceback" not in answer.text
    return str(body["error"])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"cookie": "evenodds-8000=wrong"}, 401),
        ({**BEARER, "host": "evil.example:8000"}, 421),
        ({**BEARER, "host": "127.0.0.1:8001"}, 421),
        ({**BEARER, "host": "127.0.0.1.evil.example:8000"}, 421),
        ({**BEARER, "origin": "http://evil.example"}, 403),
        ({**BEARER, "origin": "null"}, 403),
        ({**BEARER, "origin": "https://127.0.0.1:8000"}, 403),
        ({**BEARER, "sec-fetch-site": "cross-site"}, 403),
        ({**BEARER, "sec-fetch-site": "same-site"}, 403),
        (BEARER, 200),
        ({**BEARER, "sec-fetch-site": "same-origin", "origin": f"http://{HOST}"}, 200),
    ],
)
def test_only_the_page_itself_is_answered(client: TestClient, headers: dict[str, str], status: int) -> None:
    client.headers.pop("authorization", None)
    try:
        answer = client.get("/api/runs", headers=headers)
    finally:
        client.headers.update(BEARER)
    assert answer.status_code == status
    if status != 200:
        assert error(answer)
        assert "digits" not in answer.text


def test_the_token_is_exchanged_for_a_cookie_that_no_script_and_no_other_site_gets(base: Path) -> None:
    with opened(base, accept="*/*") as client:
        assert client.post("/api/session", json={"token": "wrong"}).status_code == 401
        answer = client.post("/api/session", json={"token": TOKEN}, headers={"origin": f"http://{HOST}"})
        said = answer.headers["set-cookie"].lower()
        assert answer.status_code == 204
        assert "httponly" in said
        assert "samesite=strict" in said
        assert TOKEN not in said
        assert client.get("/api/runs").status_code == 200  # by the cookie
        assert "Origin" in error(client.post("/api/runs", json={"recipe": "digits"}))  # who sent it is not known
        assert client.delete("/api/runs/digits-1", headers={"sec-fetch-site": "same-origin"}).status_code == 400
    with opened(base, cookie=f"evenodds-8000={answer.cookies['evenodds-8000']}") as another:
        assert another.get("/api/runs").status_code == 401  # another start of the studio


def test_who_guesses_tokens_has_to_wait_and_others_do_not() -> None:
    access = Access(frozenset({HOST}), 8000, TOKEN, guesses=Guesses(most=3))
    assert [access.opens("wrong", "10.0.0.9") for _ in range(3)] == [False] * 3
    assert not access.opens(TOKEN, "10.0.0.9")
    assert access.opens(TOKEN, "127.0.0.1")
    for k in range(3000):
        access.opens("wrong", f"10.1.{k // 256}.{k % 256}")
    assert len(access.guesses._told) <= 1024


@pytest.mark.parametrize(
    ("host", "token", "words"), [("0.0.0.0", None, "--token"), ("127.0.0.1", "short", "at least 16")]
)
def test_nobody_else_gets_in_without_a_token_of_ones_own(host: str, token: str | None, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        require_token(host, token)
    require_token("0.0.0.0", TOKEN)
    require_token("localhost", None)


def test_pages_may_load_nothing_from_elsewhere(client: TestClient) -> None:
    for path in ("/", "/api/runs", "/nothing", "/api/nothing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert client.get("/docs").status_code == 404  # FastAPI's own loads scripts from elsewhere


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/..%2f..%2fstart.py",
        "/%2e%2e/start.py",
        "/vendor/..%2f..%2fstart.py",
        "/api/runs/..%2f..%2fsecret",
        "/api/runs/%2fetc",
        "/api/runs/..",
        "/api/runs/digits-1/snapshots/..%2f..%2fconfig.yaml",
        "/api/runs/digits-1%00/report",
    ],
)
def test_no_path_leads_out(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404, 422)
    assert "import" not in answer.text


@pytest.mark.parametrize(
    "place", ["/etc", "..", "../secret", "out", "out/a.png", "\0", "x" * 5000, "~", "/proc/self/environ"]
)
def test_data_are_looked_for_in_the_folders_of_the_start_alone(client: TestClient, place: str) -> None:
    for answer in (
        client.get("/api/data", params={"place": place}),
        client.get("/api/data/thumbnails/0", params={"place": place}),
        client.get("/api/suited", params={"data": place}),
        client.post("/api/runs", json={"recipe": "gray-28", "data": place}),
        client.post("/api/data/check", json={"recipe": "gray-28", "data": place}),
    ):
        assert answer.status_code in (400, 422)
        assert error(answer)


def test_a_link_among_images_shows_nothing_of_other_folders(client: TestClient, data: Path) -> None:
    seen = client.get("/api/data", params={"place": str(data)}).json()
    names = seen["pictures"]
    answers = [client.get(f"/api/data/thumbnails/{k}", params={"place": str(data)}) for k in range(names)]
    shown = [answer for answer in answers if answer.status_code == 200]
    assert len(shown) == 1
    assert Image.open(io.BytesIO(shown[0].content)).size == (96, 48)
    assert "leads out" in error(client.post("/api/runs", json={"recipe": "gray-28", "data": str(data)}))
    assert {error(answer)[:19] for answer in answers if answer.status_code != 200} == {"this file is a link"}


def test_names_with_markup_are_data(client: TestClient, data: Path) -> None:
    answer = client.get("/api/data", params={"place": str(data)})
    assert answer.headers["content-type"].startswith("application/json")
    assert "<img src=x onerror=alert(1)>" in [one["name"] for one in answer.json()["folders"]]


@pytest.mark.parametrize(
    "settings",
    [
        {"generator": "os:system"},
        {"data": "/etc"},
        {"data.root": "x"},
        {"task.weights": "/etc/passwd"},
        {"learning_rate": "1\n--out=/tmp/x"},
        {"--out": "x"},
        {"nonsense": "1"},
        {"learning_rate": "fast"},
    ],
)
def test_settings_name_no_code_and_no_files(client: TestClient, settings: dict[str, str], base: Path) -> None:
    answer = client.post("/api/runs", json={"recipe": "ring", "settings": settings})
    assert answer.status_code == 400
    assert error(answer)
    assert not (base / ".studio").exists()


def test_a_run_that_names_files_elsewhere_is_not_gone_on_with(client: TestClient, base: Path, data: Path) -> None:
    folder = run_folder(base, "stranger")
    text = (folder / "config.yaml").read_text(encoding="utf-8").replace("data: digits", "data: /etc")
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    assert client.get("/api/runs").status_code == 200
    for action in ("resume", "evaluate"):
        assert "--data" in error(client.post(f"/api/runs/stranger/{action}"))
    (folder / "samples").mkdir(exist_ok=True)
    (folder / "samples" / f"{99:012d}.png").symlink_to(data.parent / "secret" / "a.png")
    (folder / "report.html").symlink_to("/etc/passwd")
    time.sleep(0.8)
    client.get("/api/runs")
    assert "link" in error(client.get("/api/runs/stranger/snapshots/99"))
    assert "link" in error(client.get("/api/runs/stranger/report"))


def test_no_code_that_a_run_names_is_imported(client: TestClient, base: Path, tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    folder = run_folder(base, "coded")
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    (folder / "config.yaml").write_text(f"{text}\nextras: ['planted:Thing']\n", encoding="utf-8")
    assert "planted" in error(client.get("/api/runs/coded/about"))


def test_a_report_may_be_read_and_do_nothing(client: TestClient, base: Path) -> None:
    (base / "digits-1" / "report.html").write_text("<script>alert(1)</script>", encoding="utf-8")
    policy = client.get("/api/runs/digits-1/report").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "sandbox" in policy
    assert "script" not in policy.replace("allow-scripts", "")
    assert "allow-scripts" not in policy


# Size and time -------------------------------------------------------------------------------------------------------


def bomb(side: int) -> bytes:
    """A PNG of so many pixels a side, which is short."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(b"\0" * (side * (side + 1)) if side < 5000 else b"\0" * 10_000)
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("content", [bomb(60_000), bomb(4999), b"", b"GIF89a", b"<svg/>", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_or_too_large_is_refused_and_not_kept(client: TestClient, content: bytes) -> None:
    answer = client.post("/api/uploads", content=content)
    assert answer.status_code == 400
    assert error(answer)
    app: Any = client.app
    assert list(app._app._app.state.uploads._folder.iterdir()) == []


def test_a_fault_of_ours_is_one_line(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: Any) -> None:
        raise KeyError("something")

    monkeypatch.setattr("evenodds.studio.runs._listed", fault)
    answer = client.get("/api/runs")
    assert (answer.status_code, error(answer)[:24]) == (500, "unexpected KeyError: 'so")


def test_a_large_body_is_refused_before_it_is_read(client: TestClient) -> None:
    answer = client.post("/api/uploads", content=b"", headers={"content-length": str(2**30)})
    assert (answer.status_code, "64 MiB" in error(answer)) == (413, True)
    answer = client.post("/api/runs", content=b"x" * 70_000)
    assert (answer.status_code, "64 KiB" in error(answer)) == (413, True)


def test_a_body_that_does_not_say_how_large_it_is_is_cut_off() -> None:
    taken = 0

    async def endless() -> dict[str, Any]:
        nonlocal taken
        taken += 1000
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    answer = asyncio.run(_through_gate(endless, Limits(upload=5000)))
    assert taken <= 7000
    assert answer == 413


def test_a_slow_body_is_not_waited_for() -> None:
    async def never() -> dict[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError

    assert asyncio.run(_through_gate(never, Limits(pause=0.05))) == 408


async def _through_gate(receive: Any, limits: Limits) -> int:
    """The status by which a body that never ends is refused."""
    from starlette.exceptions import HTTPException

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            while True:
                await receive()
        except HTTPException as error:
            await send({"type": "http.response.start", "status": error.status_code, "headers": []})

    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message)

    headers = [(b"host", HOST.encode()), (b"authorization", f"Bearer {TOKEN}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/api/uploads", "headers": headers, "client": ("127.0.0.1", 1)}
    await Gate(app, Access(frozenset({HOST}), 8000, TOKEN), limits)(scope, receive, send)
    return int(told[0]["status"])


def test_changes_come_at_a_bounded_rate(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [time.monotonic() + 1]
    monkeypatch.setattr(gate, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with opened(base) as client:

        def answers(n: int) -> list[int]:
            return [client.post("/api/runs", json={"recipe": "none"}).status_code for _ in range(n)]

        assert answers(62) == [400] * 60 + [429] * 2
        now[0] += 0.125  # two and a half
        assert answers(3) == [400] * 2 + [429]


@pytest.fixture
def port(base: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A studio at a port, which waits for a quarter of a second."""
    import uvicorn

    from evenodds.studio.start import studio

    monkeypatch.setattr(listening, "PATIENCE", 0.25)
    door = Door.taken(token=TOKEN)
    server = uvicorn.Server(listening.configured(studio(door.access, base, (), "cpu")))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[door.socket])))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield door.access.port
    server.should_exit = True
    thread.join()


def test_hundreds_of_silent_connections_disturb_nobody(port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(500)]
    for one in silent[:250]:
        one.sendall(b"GET /api/runs HTTP/1.1\r\nHost: 127")  # a head that never ends
    try:
        assert _asked(port) == 200
        silent[0].settimeout(5)
        silent[-1].settimeout(5)
        assert silent[0].recv(100) == b""  # they are closed
        assert silent[-1].recv(100) == b""
        assert _asked(port) == 200
    finally:
        for one in silent:
            one.close()


def test_a_head_that_never_ends_is_cut_off(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
        one.sendall(b"GET /api/runs HTTP/1.1\r\nX: ")
        with pytest.raises(OSError):
            one.sendall(b"x" * 2**27)
    assert _asked(port) == 200


def _asked(port: int) -> int:
    """The status of a request with the token."""
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/api/runs", headers=BEARER)
    answer = connection.getresponse()
    json.loads(answer.read())
    connection.close()
    return answer.status


def test_what_is_written_is_sent_at_once() -> None:
    """asyncio turns Nagle's algorithm off where the protocol is named: small answers came 40 ms late."""
    with Door.taken(token=TOKEN).socket as taken:
        assert taken.proto == socket.IPPROTO_TCP


def test_a_port_that_is_taken_is_named() -> None:
    door = Door.taken()
    with pytest.raises(BadInput, match="--port"):
        Door.taken(port=door.access.port)
    assert os.fspath(door.address).startswith("http://127.0.0.1:")
    door.socket.close()
