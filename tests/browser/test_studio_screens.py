"""The studio in a real browser: one studio, a run that is started from it, and everything that is done with it."""

import asyncio
import os
import re
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image

import evenodds
from evenodds.files.write import write_json_lines
from evenodds.runs import watching
from evenodds.runs.launching import launched
from evenodds.server.listening import Door, configured
from evenodds.studio.start import studio
from tests.browser.report_screens import NAMES, chromium
from tests.studio import TOKEN, run_folder

BROWSER = chromium()
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"the studio was NOT looked at in a browser: none of {', '.join(NAMES)} is on PATH"
)

wide = pytest.mark.parametrize("page_of_all", ["light-1280"], indirect=True)
AXE = Path(__file__).with_name("vendor") / "axe.min.js"


class Server:
    """A studio at a port of its own, which can be ended and started again."""

    def __init__(self, base: Path, data: Path) -> None:
        self.base, self.data, self.port = base, data, 0
        self.begin()

    def begin(self) -> None:
        door = Door.taken(port=self.port, token=TOKEN)
        self.port, self.address = door.access.port, door.key
        self._server = uvicorn.Server(
            configured(studio(door.access, self.base, [self.data, self.data.with_name("tables")], "cpu"))
        )
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve(sockets=[door.socket])))
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def end(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()


class Watched:
    """A page, and what went wrong on it."""

    def __init__(self, context: Any, server: Server) -> None:
        self.server, self.errors, self.foreign = server, [], []
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda told: self.errors.append(told.text) if told.type == "error" else None)
        self.page.on("request", self._asked)
        self.page.goto(server.address)
        self.page.wait_for_selector("h1")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((f"http://127.0.0.1:{self.server.port}/", "blob:")):
            self.foreign.append(request.url)

    def show(self, route: str, selector: str, state: Any = "visible") -> None:
        self.page.evaluate(
            """route => new Promise(done => {
            if (location.hash === route) return done();
            addEventListener('hashchange', () => setTimeout(done, 50), { once: true });
            location.hash = route; })""",
            route,
        )
        self.page.wait_for_selector(selector, state=state)

    def drawn(self, label: str) -> None:
        """Waits until a canvas shows more than one colour."""
        self.page.wait_for_function(
            """label => { const c = [...document.querySelectorAll('canvas')].find(c => c.ariaLabel?.startsWith(label));
            if (!c || c.width < 2) return false;
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            return d.some((v, k) => k > 3 && k % 4 < 3 && v !== d[k % 4]); }""",
            arg=label,
        )

    def sound(self) -> None:
        """No image without words, nothing that scrolls sideways, no serious finding of axe-core."""
        page = self.page
        assert page.evaluate("[...document.images].filter(i => !i.alt).length") == 0
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        if not AXE.is_file():
            warnings.warn("the studio was NOT looked at by axe-core, which distributions leave out", stacklevel=2)
            return
        if not page.evaluate("typeof axe !== 'undefined'"):
            page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run({resultTypes: ['violations'], preload: false}).then(r => r.violations)")
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in serious] == []


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of the runs, and one of pictures with a name that holds markup."""
    home = tmp_path_factory.mktemp("studio")
    data = home / "data"
    rng = np.random.default_rng(0)
    for name in ("cats <b>x", "dogs"):
        (data / name).mkdir(parents=True)
        for k in range(24):
            colours = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
            colours.resize((24, 24), Image.Resampling.BICUBIC).save(data / name / f"{k:02d}.png")
    for name, score in (("old digits", 10.0), ("lower", 2.0)):
        folder = run_folder(home / "runs", name)
        figures = {"score": score, "score_low": score - 1, "score_high": score + 1}
        told = [{"images": 64 * (k // 2), **(figures if k % 2 else {})} for k in range(2, 12)]
        write_json_lines(folder / "metrics.jsonl", told)
    common: dict[str, Any] = {"images": 8, "batch": 4, "device": "cpu", "watch": "off", "discriminator__width": 4}
    evenodds.fit(str(data), "fill-32", out=home / "runs" / "fill-1", size=16, generator__width=4, **common)
    small = {"task__crop": 16, "size": 24, "generator__width": 8, "generator__blocks": 1}
    evenodds.fit(str(data), "upscale-x2", out=home / "runs" / "up-1", **small, **common)
    evenodds.fit(str(data), "classify", out=home / "runs" / "few-1", size=16, generator__width=4, **common)
    (home / "tables").mkdir()
    (home / "tables" / "rows.csv").write_text("age,group\n1,a\n2,b\n", encoding="utf-8")
    (home / "runs" / "fill-1" / "report.html").write_text("<h1>All is well</h1>", encoding="utf-8")
    return home / "runs", data


@pytest.fixture(scope="module")
def server(places: tuple[Path, Path]) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "AGAIN", 0.3)  # a new run shows up at the next look of the page
        server = Server(*places)
        yield server
        server.end()
        for one in launched(places[0]):  # what a test that failed has left
            if one.alive:
                os.kill(one.process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the studio was NOT looked at in a browser: pip install playwright"
    )
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["dark-390", "light-1280"])
def page_of_all(browser: Any, server: Server, request: Any) -> Iterator[Watched]:
    """A page of each look, which all tests share."""
    scheme, width = request.param.split("-")
    context = browser.new_context(viewport={"width": int(width), "height": 900}, color_scheme=scheme, locale="en-US")
    yield Watched(context, server)
    context.close()


@pytest.fixture
def watched(page_of_all: Watched) -> Iterator[Watched]:
    yield page_of_all
    errors, page_of_all.errors[:] = list(page_of_all.errors), []  # those of one test are not the next one's
    assert errors == []
    assert page_of_all.foreign == []


def test_every_view_can_be_read_by_everybody(watched: Watched) -> None:
    page = watched.page
    page.wait_for_selector("li.run")
    watched.sound()
    watched.show("#/new", ".tags")
    assert page.get_by_text("none chosen yet").or_(page.get_by_text("which the recipe brings")).count() == 1
    page.get_by_role("button", name="Look").click()
    page.wait_for_selector(".thumbs img")
    watched.sound()
    for route, selector in (
        ("#/run/old%20digits", ".uplot"),
        ("#/run/old%20digits/play", "canvas.one"),
        ("#/run/fill-1/tools", ".drop"),
        ("#/run/fill-1/settings", "table"),
        ("#/api", "details"),
    ):
        watched.show(route, selector)
        watched.sound()
    watched.show("#/run/old%20digits/report", "text=No trial was made yet")
    page.get_by_role("button", name="Show them").click()
    page.wait_for_selector(".pair >> nth=11")
    watched.sound()
    watched.show("#/run/fill-1/report", "details.whole")
    page.locator("details.whole").evaluate("fold => { fold.open = true }")
    page.frame_locator("iframe").get_by_text("All is well").wait_for()
    page.get_by_label("Language").select_option("zh")
    page.get_by_role("link", name="探索").click()
    page.wait_for_selector(".empty")
    assert page.evaluate("document.documentElement.lang") == "zh"
    page.get_by_label("语言").select_option("en")


@wide
def test_the_curves_of_two_runs_are_drawn(watched: Watched) -> None:
    """Scores of 10 and of 2, each with its interval: level lines, at six heights of one chart."""
    lines = """wanted => { const c = document.querySelector('.chart canvas'), w = c.width;
        const d = c.getContext('2d').getImageData(0, 0, w, c.height).data, rows = [];
        for (let y = 0; y < c.height; y++) {
          let n = 0;
          for (let x = 0; x < w; x++) {
            const k = 4 * (y * w + x);
            n += d[k + 3] > 150 && Math.abs(d[k] - 43) + Math.abs(d[k + 1] - 93) + Math.abs(d[k + 2] - 140) < 40;
          }
          if (n > w / 4 && !(rows.at(-1) >= y - 3)) rows.push(y);
        }
        return rows.length === wanted; }"""
    watched.show("#/run/old%20digits", ".uplot")
    watched.page.wait_for_function(lines, arg=3)
    watched.page.get_by_label("Compared with").select_option("lower")
    watched.page.wait_for_function(lines, arg=6)


def begin(watched: Watched, recipe: str, settings: dict[str, str], options: str) -> None:
    """Starts a run from the page."""
    page = watched.page
    watched.show("#/new", "option:text-is('ring') >> nth=1", "attached")
    page.get_by_label("or data that come with evenodds").select_option(recipe)
    assert page.locator("label:has-text('Recipe') select").first.input_value() == recipe  # that which suits these data
    page.locator("details", has_text="More settings").evaluate("fold => { fold.open = true }")
    for key, value in settings.items():
        page.locator("label.field", has=page.locator(f"code:text-is('{key}')")).locator("input").fill(value)
    page.get_by_label("Options of parts, as").fill(options)
    page.get_by_role("button", name="Start the run").click()


@wide
def test_a_run_is_started_goes_on_without_the_server_and_is_stopped(
    watched: Watched, server: Server, places: tuple[Path, Path]
) -> None:
    page = watched.page
    begin(watched, "ring", {"images": "many"}, "")
    page.wait_for_selector("[role=alert]:has-text('images')")  # what is wrong is said before anything is started
    assert [error[:23] for error in watched.errors] == ["Failed to load resource"]  # the browser's word for a refusal
    begin(watched, "ring", {"images": "40000000", "batch": "64"}, "save_share=0.01\nthreads=1\ncompile=false")
    page.wait_for_selector("li:has-text('ring-1'):has-text('starting')")
    server.end()
    server.begin()  # while the run begins, so that no core plays it meanwhile
    page.goto("about:blank")
    page.goto(server.address)
    page.locator("li", has_text="ring-1").get_by_text("training").wait_for(timeout=90_000)  # by then it has begun
    watched.errors.clear()  # requests while the server was away
    watched.show("#/run/ring-1", "h2")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Go on").wait_for()
    page.wait_for_selector(".state.stopped")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Yes, move it").click()
    page.get_by_role("button", name="Yes, I am sure").click()
    page.wait_for_selector("h1:text-is('Runs')")
    page.locator("li", has_text="ring-1").wait_for(state="detached")
    assert [path.name[:6] for path in (places[0] / ".trash").iterdir()] == ["ring-1"]


@wide
def test_a_picture_that_is_dropped_is_enlarged(watched: Watched, places: tuple[Path, Path]) -> None:
    watched.show("#/run/up-1/tools", ".drop")
    watched.page.set_input_files(".drop input", places[1] / "dogs" / "00.png")
    watched.drawn("after")
    watched.drawn("before")
    widths = watched.page.evaluate("[...document.querySelectorAll('.two canvas')].map(c => c.width)")
    assert widths == [48, 24]
    watched.sound()


@wide
def test_a_picture_that_is_decoded_late_does_not_cover_a_newer_one(watched: Watched) -> None:
    widths = watched.page.evaluate(
        """async () => {
        const { paint } = await import('/parts.js'), shown = document.createElement('canvas');
        const picture = (width) => {
          const blank = new OffscreenCanvas(width, 3);
          blank.getContext('2d');
          return blank.convertToBlob();
        };
        const first = await picture(5), second = await picture(7), decode = window.createImageBitmap;
        let free;
        const waiting = new Promise((done) => { free = done; });
        window.createImageBitmap = async (blob) => { if (blob === first) await waiting; return decode(blob); };
        const late = paint(shown, first), newer = await paint(shown, second);
        free();
        window.createImageBitmap = decode;
        return [newer.width, await late, shown.width]; }"""
    )
    assert widths == [7, None, 7]


@wide
def test_a_picture_that_is_dropped_is_classified(watched: Watched, places: tuple[Path, Path]) -> None:
    watched.show("#/run/few-1/tools", ".drop")
    watched.page.set_input_files(".drop input", places[1] / "dogs" / "00.png")
    watched.page.wait_for_selector(".classified tr >> nth=1")
    rows = [row.split("\t") for row in watched.page.locator(".classified tr").all_inner_texts()]
    assert {row[0] for row in rows} == {"cats <b>x", "dogs"}
    shares = [float(row[-1].removesuffix(" %")) for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.11)
    watched.drawn("Your picture")
    watched.sound()


@wide
def test_a_column_with_the_class_is_asked_for_where_the_recipe_draws(
    watched: Watched, places: tuple[Path, Path]
) -> None:
    page = watched.page
    watched.show("#/new", "option:text-is('classify-table')", "attached")
    page.get_by_label("Folder or file").fill(str(places[1].with_name("tables") / "rows.csv"))
    page.get_by_role("button", name="Look").click()
    page.get_by_label("Column with the class").select_option("group")
    task = page.locator("label.field", has=page.locator("code:text-is('task')")).locator("input")
    for recipe, value, own in (("small-table", "condition", "generate"), ("classify-table", "", "classify")):
        page.locator("label:has-text('Recipe') select").first.select_option(recipe)
        page.wait_for_selector(f"input[placeholder='recipe: {own}']")
        assert task.input_value() == value


@wide
def test_what_is_answered_late_does_not_replace_what_was_chosen_since(
    watched: Watched, places: tuple[Path, Path]
) -> None:
    page, late = watched.page, []
    page.route(re.compile(r"/api/(data(\?|$)|settings\?recipe=digits)"), lambda route: late.append(route))
    watched.show("#/", "h1:text-is('Runs')")
    page.evaluate("place => localStorage.setItem('data-place', JSON.stringify(place))", str(places[1]))
    watched.show("#/new", "option:text-is('ring') >> nth=1", "attached")
    page.get_by_label("or data that come with evenodds").select_option("ring")
    page.get_by_label("Folder or file").fill("typed")
    images = page.locator("label.field", has=page.locator("code:text-is('images')")).locator("input")
    of_ring = images.get_attribute("placeholder")
    assert len(late) == 2
    for route in late:
        with page.expect_response(route.request.url):
            route.continue_()
    page.unroute_all()
    page.get_by_role("button", name="dogs/").wait_for()  # what the folder holds is shown, and nothing is taken from it
    assert page.get_by_label("Folder or file").input_value() == "typed"
    assert page.locator("label:has-text('Recipe') select").first.input_value() == "ring"
    assert page.locator("p.break b").inner_text() == "ring"
    assert images.get_attribute("placeholder") == of_ring


@wide
def test_a_double_click_sends_one_request_and_confirms_nothing(watched: Watched) -> None:
    page, sent = watched.page, []

    def taken(route: Any) -> None:
        if route.request.method == "GET":
            route.fallback()
        else:
            sent.append(f"{route.request.method} {route.request.url.partition('/api/')[2]}")
            route.fulfill(status=202, json={})

    page.route("**/api/**", taken)
    watched.show("#/run/old%20digits/tools", "text=Learn the encoder")
    page.get_by_role("button", name="Learn the encoder").dblclick()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Yes, move it").dblclick()
    page.get_by_role("button", name="Yes, I am sure").wait_for()
    page.get_by_role("button", name="Cancel").click()
    watched.show("#/run/few-1/tools", ".jobs, .place")
    page.get_by_label("Folder or file").fill("anywhere")
    page.get_by_role("button", name="Begin").dblclick()
    watched.show("#/new", "option:text-is('ring') >> nth=1", "attached")
    page.get_by_label("or data that come with evenodds").select_option("ring")
    page.get_by_role("button", name="Start the run").dblclick()
    page.wait_for_selector("h1:text-is('Runs')")
    page.unroute_all()
    assert sent == ["POST runs/old%20digits/encoder", "POST runs/few-1/folders", "POST runs"]


@wide
def test_what_was_begun_in_a_view_that_was_left_leads_nowhere(watched: Watched) -> None:
    """It led to the list of runs, and the run was asked for on and on."""
    page, late, asked = watched.page, [], []

    def seen(request: Any) -> None:
        asked.append(request.url)

    page.route("**/api/**", lambda route: late.append(route) if route.request.method == "POST" else route.fallback())
    watched.show("#/run/old%20digits/report", "h2:text-is('Judge')")
    page.get_by_role("button", name="Make the report").click()
    watched.show("#/new", "option:text-is('ring') >> nth=1", "attached")
    page.get_by_label("or data that come with evenodds").select_option("ring")
    page.get_by_role("button", name="Start the run").click()
    watched.show("#/api", "details")
    page.on("request", seen)
    for route in late:
        with page.expect_response(route.request.url):
            route.fulfill(status=202, json={})
    page.wait_for_timeout(200)
    page.unroute_all()
    page.remove_listener("request", seen)
    assert len(late) == 2
    assert page.evaluate("location.hash") == "#/api"
    assert asked == []


@wide
def test_samples_are_played_with(watched: Watched) -> None:
    page = watched.page
    watched.show("#/run/old%20digits/play", "canvas.one")
    watched.drawn("16 samples")
    watched.drawn("Sample 0.00")
    before = page.evaluate("document.querySelector('canvas.one').toDataURL()")
    page.get_by_label("Blend").fill("1")
    page.wait_for_function("before => document.querySelector('canvas.one').toDataURL() !== before", arg=before)
    page.get_by_label("Direction 1").fill("3")
    page.get_by_role("button", name="Next seed").click()
    watched.drawn("16 samples of seed 1")
    page.get_by_role("button", name="Play the walk").click()
    page.get_by_role("button", name="Pause").click(timeout=90_000)  # the directions are found first
    page.get_by_label("Name of the pin").fill("mine")
    page.get_by_role("button", name="Pin", exact=True).click()
    page.wait_for_selector(".tags >> text=mine")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="NPZ").click()
    assert np.load(waiting.value.path())["x"].shape == (16, 1, 8, 8)


@wide
def test_a_mask_is_painted_and_filled(watched: Watched, places: tuple[Path, Path]) -> None:
    page = watched.page
    watched.show("#/run/fill-1/tools", ".drop")
    page.set_input_files(".drop input >> nth=0", places[1] / "dogs" / "00.png")
    page.wait_for_selector(".painter canvas")
    page.get_by_role("button", name="Fill in").click()
    page.wait_for_selector("text=Nothing is painted yet")
    box = page.locator(".painter canvas").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] - 40, box["y"] + 90)  # past the edge
    page.mouse.up()
    page.get_by_role("button", name="Fill in").click()
    page.wait_for_selector(".fillings canvas >> nth=3")
    watched.drawn("Filling 4")
