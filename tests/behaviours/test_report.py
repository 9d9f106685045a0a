"""What every report keeps, whatever it is given: one well-formed file that asks nobody for anything."""

# ruff: noqa: RUF001  the prose has true minus signs and apostrophes

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from evenodds.errors import BadInput
from evenodds.show.history import drawing, write
from evenodds.show.page import Content, Picture, page
from evenodds.show.page.history import panels
from evenodds.show.page.markup import VOID, element
from tests.reports import AWKWARD, EVIL, named, realistic, some_evaluation, some_history, unsound


class Pages(dict[str, str]):
    """The sample pages by name, each made when it is first asked for."""

    def __missing__(self, name: str) -> str:
        self[name] = page(AWKWARD[name]())
        return self[name]


PAGES = Pages()


class Reader(HTMLParser):
    """Reads a page and remembers what it is made of."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if len({name for name, _ in attrs}) < len(attrs):
            self.wrong.append(f"<{tag}> has an attribute twice")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(params=AWKWARD)
def read(request: pytest.FixtureRequest) -> Reader:
    return Reader(PAGES[request.param])


def test_is_one_well_formed_document(read: Reader) -> None:
    assert read.wrong == []
    assert read.open == []
    assert [len(read.all(tag)) for tag in ("html", "head", "body", "main", "h1", "title")] == [1] * 6
    assert read.all("html")[0]["lang"] == "en"
    assert any(meta.get("charset") == "utf-8" for meta in read.all("meta"))


@pytest.mark.parametrize("name", AWKWARD)
def test_can_be_written(name: str) -> None:
    text = PAGES[name]
    assert text.startswith("<!doctype html>\n")
    assert "\x00" not in text
    assert text.encode("utf-8").decode("utf-8") == text
    assert len(text) < 250_000


def test_asks_nobody_for_anything(read: Reader) -> None:
    for _, attributes in read.tags:
        for key in ("src", "href", "srcset", "xlink:href", "action", "data", "poster", "background"):
            assert re.match(r"#[a-z]|data:|$", attributes.get(key, "")), attributes[key][:60]
        assert not [key for key in attributes if key.startswith("on")]
        assert "url(" not in attributes.get("style", "")
    allowed = {"meta", "link", "style", "img", "svg", "a"}
    assert not {tag for tag, _ in read.tags} & {"script", "iframe", "object", "embed", "form", "base", "use", "image"}
    assert {tag for tag, found in read.tags if {"src", "href"} & {*found}} <= allowed


@pytest.mark.parametrize("name", AWKWARD)
def test_style_loads_nothing(name: str) -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", PAGES[name], re.S)
    assert "url(" not in style
    assert "@import" not in style
    assert "<" not in style


def test_its_policy_forbids_all_but_its_own_pictures_and_style(read: Reader) -> None:
    (policy,) = [m["content"] for m in read.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == ["'none'"]
    assert rules["img-src"] == ["data:"]
    assert rules["style-src"] == ["'unsafe-inline'"]
    assert {*rules} <= {"default-src", "img-src", "style-src", "base-uri", "form-action"}
    tags = [tag for tag, _ in read.tags]
    assert tags.index("style") > next(k for k, (_, found) in enumerate(read.tags) if found.get("http-equiv"))


def test_can_be_heard_as_well_as_seen(read: Reader) -> None:
    assert all(image.get("alt") for image in read.all("img"))
    assert all(found.get("aria-label") or found.get("aria-hidden") == "true" for found in read.all("svg"))
    assert all(cell.get("scope") for cell in read.all("th"))
    assert len(read.all("caption")) == len(read.all("table"))
    assert len(read.all("summary")) == len(read.all("details"))


def test_names_are_used_once_and_every_link_arrives(read: Reader) -> None:
    ids = [found["id"] for _, found in read.tags if "id" in found]
    assert len(ids) == len({*ids})
    targets = [a["href"].removeprefix("#") for a in read.all("a")]
    assert {*targets} | {found["aria-labelledby"] for found in read.all("section")} <= {*ids}


def test_headings_skip_no_level(read: Reader) -> None:
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


@pytest.mark.parametrize("name", [n for n in AWKWARD if n not in ("long names", "hostile names", "control characters")])
def test_shows_no_raw_floats(name: str) -> None:
    found = re.findall(r"\d+\.\d{7,}|\d[eE][-+]\d|\bnan\b|\binf\b|\bNone\b|\bTrue\b|\{'", Reader(PAGES[name]).text)
    assert found == []


@pytest.mark.parametrize("name", AWKWARD)
def test_every_place_in_a_drawing_is_a_number(name: str) -> None:
    for key in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height"):
        for place in re.findall(rf' {key}="([^"]*)"', PAGES[name]):
            assert re.fullmatch(r"-?\d+(\.\d)?", place), f'{key}="{place}"'
    for drawn in re.findall(r' d="([^"]*)"', PAGES[name]):
        assert not re.search(r"[a-gi-uw-y]{2}", drawn)


def test_what_is_named_like_markup_is_only_shown() -> None:
    read = Reader(PAGES["hostile names"])
    assert EVIL in " ".join(read.words)
    assert len(read.all("img")) == len(named(EVIL).pictures)
    assert "onerror" not in {key for _, found in read.tags for key in found}
    assert any(EVIL in image["alt"] for image in read.all("img"))


def test_tables_fold_into_cards_that_name_their_columns() -> None:
    read = Reader(PAGES["realistic"])
    cards = [table for table in read.all("table") if "cards" in table.get("class", "")]
    assert len(cards) >= 5
    assert all(cell.get("data-label") for cell in read.all("td") if cell.get("role") == "cell")


@pytest.mark.parametrize("sound", [True, False, None])
def test_the_verdict_is_said_in_words_before_all_else(sound: bool | None) -> None:
    text = Reader(page(replace(realistic(), evaluation={**some_evaluation(), "sound": sound}))).text
    said = {
        True: "Verdict: The scores can be compared",
        False: "Verdict: The scores are not sound",
        None: "Verdict: No verdict",
    }
    assert said[sound] in text
    assert [other in text for other in said.values()].count(True) == 1
    assert text.index(said[sound]) < text.index("64 samples, drawn with seed 0")
    assert ("says nothing of how good the samples are" in text) == (sound is True)
    assert ("do not rank these scores" in text) == (sound is False)


def test_a_run_without_an_evaluation_says_so() -> None:
    text = Reader(PAGES["empty evaluation"]).text
    assert "has not been evaluated" in text
    assert "Scores" not in text.replace("The scores", "")
    assert "History" in text


def test_parts_come_in_their_order() -> None:
    names = [a["href"] for a in Reader(page(unsound())).all("a")]
    order = "samples scores classes memorisation equilibrium likelihood neighbours walk history pictures settings"
    assert names == [f"#{name}" for name in (*order.split(), "fingerprint")]


def test_everything_of_an_evaluation_is_shown() -> None:
    read = Reader(PAGES["realistic"])
    text = read.text.replace("\u202f", " ")
    for words in [
        "1 000 samples of runs/digits-1 after 240 000 real images",
        "359 held-out items of the run",
        "3.19 2.89 to 3.49 0.412",
        "biased below 2,048 items",
        "Not computed needs samples with labels",
        "1.80 % 1.14 to 2.83 %",
        "No sign of copying.",
        "3/digit-7.png",
        "8 further suspects",
        "56.1 % 53.1 to 59.0 %",
        "−1.34",
        "0.0520 0.0310 to 0.0740",
        "0.213",
        "225 221 to 229 240",
        "σ = 0.200",
        "sha256:9f86d081884c7d65",
        "Scores compare only with scores whose fingerprint is equal. They do not compare with published figures",
        "240 reports up to 240 000 real images shown, 3 min 20 s of training",
        "0.99",
        "2.13.0+cpu",
    ]:
        assert words in text, words


def test_missing_classes_are_called_out() -> None:
    read = Reader(PAGES["unsound"])
    assert "Never drawn: 3 ." in read.text
    assert "Drawn less than a fifth as often as they should be: 5 ." in read.text
    assert "Never drawn" not in Reader(PAGES["realistic"]).text
    shown = [found["aria-label"] for found in read.all("svg") if "aria-label" in found]
    assert "3: 9.50\u202f% of the real data, 0\u202f% of the samples" in shown


def test_published_figures_are_named_where_scores_compare() -> None:
    text = Reader(page(Content("", "", {**some_evaluation(), "comparable": "published FID"}))).text
    assert "compare with published figures: published FID" in text


def test_what_was_not_measured_is_said_in_a_line() -> None:
    gone = {"classes": None, "likelihood": None}
    read = Reader(page(replace(realistic(), evaluation={**some_evaluation(), **gone})))
    assert "says nothing of classes and likelihood" in read.text
    assert not {"#classes", "#likelihood"} & {a["href"] for a in read.all("a")}
    assert "Not measured: name it with --train." in Reader(PAGES["refused"]).text


def test_nothing_is_shown_of_what_is_null() -> None:
    links = {a["href"] for a in Reader(PAGES["null values"]).all("a")}
    assert not {"#scores", "#classes", "#equilibrium", "#likelihood"} & links


def test_many_classes_are_folded_below_those_furthest_off() -> None:
    text = PAGES["hundred classes"]
    before, after = text.split("All 100 classes", 1)
    assert before.count('class="chart bars"') == 10
    assert after.count('class="chart bars"') == 100


def test_every_term_of_a_history_has_its_panel() -> None:
    titles = [panel.title for panel in panels(some_history())]
    assert titles == [
        "D’s belief",
        "Held-out score",
        "Discriminator: adversarial",
        "Generator: adversarial",
        "Discriminator: penalty",
    ]


def test_what_the_held_out_score_means_is_said() -> None:
    history = some_history(60)
    why = {
        panel.why for score_is in ("", "share of wrong answers") for panel in panels(history, score_is=score_is)
        if panel.title == "Held-out score"
    }  # fmt: skip
    what = {one.partition(".")[0] for one in why}
    assert what == {"Distance from held-out data; lower is better", "Share of wrong answers"}


def test_every_checkpoint_has_its_dot() -> None:
    history = some_history(60)
    (score,) = [panel.chart for panel in panels(history) if panel.title == "Held-out score"]
    assert score.count("<circle") == sum("score" in line for line in history) == 12
    assert 'class="band"' in score


def test_beliefs_are_probabilities_and_anything_else_is_a_cost() -> None:
    history: list[dict[str, Any]] = [{"images": k, "critic/real": 3.0, "generator/fake": 0.5} for k in (1, 2)]
    assert [panel.title for panel in panels(history)] == ["D’s belief, generator’s move", "Critic: real"]


def test_lost_values_are_counted() -> None:
    history: list[dict[str, Any]] = [{"images": k, "a/cost": None if k in (3, 4) else 1.0} for k in range(1, 7)]
    (panel,) = panels(history)
    assert "Not finite 2×, first at 3 images." in panel.facts


HISTORIES: dict[str, list[dict[str, Any]]] = {
    "usual": some_history(),
    "one term": [{"images": k, "a/cost": float(k)} for k in (1, 2)],
    "odd names": [{"images": k, f"<b>&/{EVIL}": float(k)} for k in (1, 2)],
}


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_is_drawn_as_one_file_that_asks_for_nothing(name: str, tmp_path: Path) -> None:
    history: list[Mapping[str, Any]] = [*HISTORIES[name]]
    path = write(history, tmp_path / "history.svg")
    assert path is not None
    text = path.read_text(encoding="utf-8")
    root, space = ElementTree.fromstring(text), "{http://www.w3.org/2000/svg}"
    titles = [element.text for element in root.iter(f"{space}text") if element.get("class") == "title"]
    assert titles == [panel.title for panel in panels(history)]
    charts = [element for element in root.iter(f"{space}svg") if "lines" in element.get("class", "")]
    assert [chart.get("aria-label") for chart in charts] == [
        ElementTree.fromstring(panel.chart).get("aria-label") for panel in panels(history)
    ]
    assert "var(" not in text
    assert not any(
        key.rpartition("}")[2] in ("href", "src", "onload") for element in root.iter() for key in element.attrib
    )
    assert "url(" not in text


def test_the_panels_of_a_drawing_lie_side_by_side() -> None:
    places = re.findall(r'<g transform="translate\((\d+) (\d+)\)"><title>', str(drawing(some_history())))
    assert len({*places}) == len(panels(some_history())) == 5
    assert {x for x, _ in places} == {"16", "396", "776"}


def test_a_history_without_terms_is_not_drawn(tmp_path: Path) -> None:
    assert write([{"images": 1, "round": 1}], tmp_path / "history.svg") is None
    assert not [*tmp_path.iterdir()]


def test_long_histories_stay_small() -> None:
    drawn = re.findall(r' d="(M[^"]*)"', PAGES["long history"])
    assert max(path.count("L") + path.count("M") for path in drawn) <= 400
    assert "10\u202f000 reports" in PAGES["long history"]


def test_a_picture_is_shown_whole_and_by_whole_pixels() -> None:
    x = np.random.default_rng(0).integers(0, 256, (3, 20, 30), dtype=np.uint8)
    (image,) = Reader(page(Content("", pictures={"samples": Picture.of(x, "caption", "alternative")}))).all("img")
    data = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
    assert np.array_equal(np.moveaxis(np.asarray(Image.open(io.BytesIO(data))), -1, 0), x)
    assert (image["width"], image["height"], image["alt"]) == ("240", "160", "alternative")
    (silent,) = Reader(page(Content("", pictures={"samples": Picture.of(x, "caption", "")}))).all("img")
    assert silent["alt"] == "caption"


def test_the_size_of_a_film_is_read_from_its_header() -> None:
    walk = realistic().pictures["walk"]
    assert walk.size == Image.open(io.BytesIO(walk.data)).size


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<svg onload=alert(1)>" * 9, "image/svg+xml"),
        (b"<svg onload=alert(1)>" * 9, "image/png"),
        (b"", "image/png"),
        (b"GIF89a" + bytes(40), "image/png"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, kind: str) -> None:
    with pytest.raises(BadInput) as caught:
        Picture(data, "", "", kind)
    assert "\n" not in str(caught.value)


def test_an_element_escapes_all_that_is_not_markup() -> None:
    inner = element("b", "<i>", class_='"x"')
    assert inner == '<b class="&quot;x&quot;">&lt;i&gt;</b>'
    assert element("p", inner, ["&", None]) == f"<p>{inner}&amp;</p>"
    assert element("img", src="a&b", hidden=True, alt=None) == '<img src="a&amp;b" hidden>'
