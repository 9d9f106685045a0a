"""examples/web in Chromium: it draws the samples that `evenodds sample` draws, and asks no other server."""

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenodds.export.alone import alone
from tests.browser.report_screens import NAMES, chromium
from tests.exported import CLASSES, SIDE, small_model

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "web"
BROWSER = chromium()
pytestmark = [
    pytest.mark.skipif(
        BROWSER is None,
        reason=f"the example page was NOT looked at in a browser: none of {', '.join(NAMES)} is on PATH",
    ),
    pytest.mark.skipif(
        not (EXAMPLE / "ort").is_dir(),
        reason="the example page was NOT looked at: examples/web/README.md says how to fetch its library",
    ),
]


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that prints nothing."""

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The folder of the page, and its address."""
    folder = tmp_path_factory.mktemp("web") / "site"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "model.onnx"))
    small_model(folder / "model.onnx")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(site: tuple[Path, str]) -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the example page was NOT looked at: pip install playwright"
    )
    errors: list[str] = []
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda one: errors.append(one.url) if not one.url.startswith((site[1], "data:")) else None)
        page.goto(site[1])
        yield page
        browser.close()
    assert errors == []


PIXELS = """() => { const c = document.getElementById('samples');
return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((v, k) => k % 4 === 0); }"""


def test_the_page_draws_the_samples_of_the_file(site: tuple[Path, str], page: Any) -> None:
    status = page.locator("#status")
    status.filter(has_text="16 samples of run 0123456789ab").wait_for(timeout=30_000)
    assert page.locator("#class option").all_text_contents() == list(CLASSES)  # markup in a name is text
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    model = alone(site[0] / "model.onnx")
    assert model is not None
    for number, seed in ((0, 0), (1, 5)):
        page.locator("#seed").fill(str(seed))
        page.locator("#class").select_option(str(number))
        page.locator("#draw").click()
        x = model.numbers(16, seed, [number] * 16).reshape(4, 4, SIDE, SIDE)
        want = x.transpose(0, 2, 1, 3).reshape(-1).astype(int)
        close = f"want => ({PIXELS})().every((v, k) => Math.abs(v - want[k]) <= 1)"
        page.wait_for_function(close, arg=want.tolist(), timeout=10_000)
        assert (np.array(page.evaluate(PIXELS)) != want).mean() < 0.01
    (site[0] / "model.onnx").write_bytes(b"nothing")
    page.reload()
    status.filter(has_text="must be a file of `evenodds export RUN --uint8`").wait_for(timeout=10_000)
