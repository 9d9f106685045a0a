"""Looks at reports with a browser: pictures of every sample page, wide and narrow, light and dark.

Fails where a page scrolls sideways, or where a browser asks for anything but the file. Needs playwright (no browser of
its own) and Chromium; it is no part of the test suite.

    python -m tests.browser.report_screens OUT [NAME ...] --chromium /usr/bin/chromium
"""

import argparse
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from evenodds.show.page import page
from tests.reports import AWKWARD

SIZES = {"wide": (1280, 900, 1), "phone": (390, 844, 2)}


def look(browser: Browser, file: Path, size: str, scheme: str) -> list[str]:
    """Takes the picture; returns what is wrong."""
    width, height, scale = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=scale, color_scheme=scheme
    )
    view, asked, said = context.new_page(), [], []
    view.on("request", lambda request: asked.append(request.url))
    view.on("console", lambda message: said.append(message.text))
    view.goto(file.as_uri())
    found = view.evaluate("document.documentElement.scrollWidth")
    high = min(8000, view.evaluate("document.documentElement.scrollHeight")) if size == "phone" else None
    whole = {"clip": {"x": 0, "y": 0, "width": width, "height": high}} if high else {}
    view.screenshot(path=file.with_name(f"{file.stem}-{size}-{scheme}.png"), full_page=True, **whole)
    for fold in view.query_selector_all("details"):
        fold.evaluate("fold => fold.open = true")
    opened = view.evaluate("document.documentElement.scrollWidth")
    context.close()
    others = [url for url in asked if not url.startswith("data:") and url != file.as_uri()]
    wrong = [f"{kind} {one[:80]}" for kind, many in (("asked for", others), ("said", said)) for one in many]
    return wrong + [f"{w} px wide in {width}" for w in (found, opened) if w > width]


def main() -> int:
    parser = argparse.ArgumentParser(description="Takes pictures of sample reports.")
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    wrong = 0
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=given.chromium, args=["--no-sandbox", "--disable-gpu"])
        for name in given.names or AWKWARD:
            file = (given.out / f"{name.replace(' ', '-')}.html").absolute()
            file.write_text(page(AWKWARD[name]()), encoding="utf-8")
            for size in SIZES:
                for scheme in ("light", "dark") if name in ("realistic", "unsound") else ("light",):
                    for one in look(browser, file, size, scheme):
                        print(f"{name}, {size}, {scheme}: {one}")
                        wrong += 1
            print(f"{name}: {file.stat().st_size / 1000:.0f} kB")
        browser.close()
    return min(1, wrong)


if __name__ == "__main__":
    sys.exit(main())
