"""Looks at sample reports with Chromium, which is all that it needs: measures every page, and takes pictures of it.

python -m tests.browser.report_screens OUT [NAME ...]
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from html import escape, unescape
from pathlib import Path
from typing import Any

from evenodds.show.page import page
from tests.reports import AWKWARD

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTHS = {"wide": 1280, "phone": 390}
SCHEMES = {"light": "1", "dark": "0"}

PROBE = """<script>
const asked = [];
addEventListener("securitypolicyviolation", event => asked.push(event.blockedURI));
addEventListener("error", event => asked.push(event.target.src || event.target.href || event.message), true);
addEventListener("load", () => {
  const root = document.documentElement, width = root.scrollWidth;
  document.querySelectorAll("details").forEach(fold => fold.open = true);
  asked.push(...performance.getEntriesByType("resource").map(entry => entry.name));
  parent.postMessage({
    name: window.name, width, opened: root.scrollWidth, height: root.scrollHeight, scripts: document.scripts.length,
    requests: asked.filter(url => !url.startsWith("data:")),
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    background: getComputedStyle(document.body).backgroundColor,
  }, "*");
});
</script>"""
"""Measures the page that it stands in, and tells the page around. It stands before the page's own policy, which allows
no script."""

COLLECT = """<script>
const told = [];
addEventListener("message", event => { told.push(event.data); document.title = told.length;
  document.querySelector("pre").textContent = JSON.stringify(told); });
</script><pre></pre>"""


def chromium() -> str | None:
    """The path of Chromium or of a browser like it, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def launch(browser: str, file: Path, *options: str) -> str:
    """What Chromium prints for a page."""
    quiet = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    command = [browser, *quiet, "--hide-scrollbars", *options, file.absolute().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=180).stdout


def measured(
    browser: str, pages: Mapping[str, str], scheme: str, folder: Path
) -> dict[tuple[str, str], dict[str, Any]]:
    """(name, width) -> what the page of that name measures in a window of that width. One start of the browser.

    Args:
        pages: HTML by name.
        scheme: "light" or "dark".
        folder: for the copies of the pages.
    """
    frames = []
    for number, (name, text) in enumerate(pages.items()):
        (folder / f"{number}.html").write_text(text.replace("<meta", f"{PROBE}<meta", 1), encoding="utf-8")
        frames += [
            f'<iframe name="{escape(json.dumps([name, kind]))}" src="{number}.html" width="{width}" height="900" '
            'style="border: 0"></iframe>'
            for kind, width in WIDTHS.items()
        ]
    around = folder / "around.html"
    around.write_text(f"<!doctype html><meta charset=utf-8>{COLLECT}{''.join(frames)}", encoding="utf-8")
    theme = f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}"
    printed = launch(browser, around, theme, "--virtual-time-budget=20000", "--dump-dom")
    found = re.search(r"<pre>(.*?)</pre>", printed, re.S)
    return {tuple(json.loads(one["name"])): one for one in json.loads(unescape(found[1] or "[]"))} if found else {}


def faults(measure: Mapping[str, Any], width: int) -> list[str]:
    """What is wrong with a page in a window of that width."""
    wide = [f"{measure[k]} px wide in {width} ({k})" for k in ("width", "opened") if measure[k] > width]
    scripts = [f"{measure['scripts'] - 1} scripts"] if measure["scripts"] != 1 else []
    return [*wide, *scripts, *(f"asked for {url[:80]}" for url in measure["requests"])]


def pictures(browser: str, file: Path, scheme: str, height: int) -> None:
    """A picture of the whole page beside the file."""
    target = file.with_name(f"{file.stem}-{scheme}.png")
    theme = f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}"
    launch(browser, file, theme, f"--window-size=1280,{min(height, 8000)}", f"--screenshot={target}")


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measures sample reports and takes pictures of them.")
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", default=[])
    options = parser.parse_args(arguments)
    browser = chromium()
    if browser is None:
        parser.error(f"no browser: none of {', '.join(NAMES)} is on PATH")
    options.out.mkdir(parents=True, exist_ok=True)
    pages = {name: page(AWKWARD[name]()) for name in options.names or AWKWARD}
    wrong = 0
    for scheme in SCHEMES:
        for (name, kind), measure in measured(browser, pages, scheme, options.out).items():
            for fault in faults(measure, WIDTHS[kind]):
                print(f"{name}, {kind}, {scheme}: {fault}")
                wrong += 1
            if kind == "wide":
                file = options.out / f"{name.replace(' ', '-')}.html"
                file.write_text(pages[name], encoding="utf-8")
                pictures(browser, file, scheme, measure["height"])
    return min(1, wrong)


if __name__ == "__main__":
    sys.exit(main())
