"""Every sample report in a real browser, wide and narrow: nothing scrolls sideways, runs, or asks for anything."""

from pathlib import Path

import pytest

from evenodds.show.page import page
from tests.browser.report_screens import NAMES, WIDTHS, chromium, faults, measured
from tests.reports import AWKWARD

BROWSER = chromium()
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"the reports were NOT looked at in a browser: none of {', '.join(NAMES)} is on PATH"
)


def test_every_report_fits_its_window_and_asks_nobody(tmp_path: Path) -> None:
    assert BROWSER is not None
    pages = {name: page(make()) for name, make in AWKWARD.items()}
    measures = measured(BROWSER, pages, "light", tmp_path)
    assert set(measures) == {(name, kind) for name in AWKWARD for kind in WIDTHS}
    wrong = {key: faults(measure, WIDTHS[key[1]]) for key, measure in measures.items()}
    assert {key: many for key, many in wrong.items() if many} == {}
    assert all(measure["height"] > 100 for measure in measures.values())


def test_a_report_follows_the_scheme_of_the_system(tmp_path: Path) -> None:
    assert BROWSER is not None
    pages = {"realistic": page(AWKWARD["realistic"]())}
    light, dark = (measured(BROWSER, pages, scheme, tmp_path)["realistic", "wide"] for scheme in ("light", "dark"))
    assert (light["dark"], dark["dark"]) == (False, True)
    assert light["background"] != dark["background"]


def test_what_is_wrong_is_seen(tmp_path: Path) -> None:
    assert BROWSER is not None
    wide = "<div style='width: 2000px'>x</div>"
    fold = "<details><div style='width: 600px'>x</div></details>"
    asks = "<img src='missing.png'>"
    pages = {
        name: f"<!doctype html><html><meta charset=utf-8><body style='margin: 0'>{inside}</body></html>"
        for name, inside in {"wide": wide, "fold": fold, "asks": asks, "script": "<script>1</script>"}.items()
    }
    measures = measured(BROWSER, pages, "light", tmp_path)
    found = {key: faults(measure, WIDTHS[key[1]]) for key, measure in measures.items()}
    assert "2000 px wide in 1280 (width)" in found["wide", "wide"]
    assert found["fold", "wide"] == []
    assert found["fold", "phone"] == ["600 px wide in 390 (opened)"]
    assert [one.startswith("asked for file:") for one in found["asks", "wide"]] == [True]
    assert found["script", "wide"] == ["1 scripts"]
