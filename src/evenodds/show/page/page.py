"""The report of a run: one HTML file that stands by itself, without scripts and without a request to anywhere."""

# ruff: noqa: RUF001  the prose has true minus signs and apostrophes

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evenodds.show.page.classes import classes
from evenodds.show.page.columns import columns
from evenodds.show.page.content import Content, Picture
from evenodds.show.page.equilibrium import equilibrium, likelihood
from evenodds.show.page.hidden import hidden
from evenodds.show.page.history import course
from evenodds.show.page.markup import Html, element, join
from evenodds.show.page.numerals import MINUS, count, part, records, text
from evenodds.show.page.sections import measured, memorisation, scores, suspects, verdict
from evenodds.show.page.style import STYLE
from evenodds.show.page.told import told
from evenodds.show.page.words import listed

__all__ = ["page"]

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
PLACED = ("samples", "pairs_real", "pairs_train", "suspects", "walk")
LARGEST = (1040, 520, 8)
"""Width and height that a small pixelated picture is enlarged to, by a whole factor, and the greatest factor."""


def page(content: Content) -> str:
    """The whole document. What an evaluation, a history or settings hold that cannot be read is left out."""
    sections = [(name, title, body) for name, title, body in _sections(content) if body]
    links = [element("li", element("a", title, href=f"#{name}")) for name, title, _ in sections]
    head = element(
        "header",
        element("p", "evenodds report", class_="kicker"),
        element("h1", text(content.title) or "A run"),
        element("p", text(content.subtitle), class_="subtitle") if text(content.subtitle) else None,
        measured(content.evaluation, content.noun),
    )
    contents = element("nav", element("ul", links), aria_label="Sections") if links else None
    parts = [
        element("section", element("h2", title, id=name), body, aria_labelledby=name) for name, title, body in sections
    ]
    main = element("main", verdict(content.evaluation), contents, parts)
    document = element("html", _head(content), element("body", head, main, _foot(content)), lang="en")
    return f"<!doctype html>\n{document}\n"


def _head(content: Content) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("link", rel="icon", href="data:,"),
        element("title", f"{text(content.title) or 'A run'} – evenodds report"),
        element("style", Html(STYLE)),
    )


def _foot(content: Content) -> Html | None:
    version = text(content.evaluation.get("evenodds"))
    return element("footer", element("p", f"Measured by evenodds {version}.")) if version else None


def _sections(content: Content) -> list[tuple[str, str, Html | None]]:
    """(id, heading, body) in the order of the page; a body of None is left out."""
    e = content.evaluation
    of_answers = records(e, "hidden") or records(e, "told")  # judged by these alone
    sections = {
        "scores": None if of_answers else scores(e),
        "columns": columns(e),
        "classes": classes(e),
        "memorisation": memorisation(e),
        "equilibrium": equilibrium(e, content.noun),
        "likelihood": likelihood(e),
    }
    pictures = {key: _picture(picture) for key, picture in content.pictures.items()}
    others = [picture for key, picture in pictures.items() if key not in PLACED]
    copied = [sections["memorisation"], pictures.get("pairs_train"), suspects(e), pictures.get("suspects")]
    return [
        ("samples", "Samples", pictures.get("samples")),
        ("hidden", "Hidden cells", hidden(e)),
        ("told", "By class", told(e)),
        ("scores", "Scores", sections["scores"]),
        ("columns", "Columns", sections["columns"]),
        ("classes", "Classes", sections["classes"]),
        ("memorisation", "Memorisation", join(copied)),
        ("equilibrium", "Equilibrium", sections["equilibrium"]),
        ("likelihood", "Likelihood", sections["likelihood"]),
        ("neighbours", "Real beside generated", pictures.get("pairs_real")),
        ("walk", "A walk through the latent space", pictures.get("walk")),
        ("history", "History", course(content.history, content.noun, content.score_is)),
        ("pictures", "Further pictures", join(others)),
        ("missing", "Not measured", _missing(sections) if e and not of_answers else None),
        ("settings", "Settings", _folded(content)),
        ("fingerprint", "Fingerprint", _fingerprint(e)),
    ]


def _picture(picture: Picture) -> Html:
    width, height = picture.size
    factor = enlargement(width, height) if picture.pixelated else 1
    image = element(
        "img",
        src=picture.address,
        alt=text(picture.alt) or text(picture.caption) or "picture",
        width=width * factor,
        height=height * factor,
        class_="pixelated" if picture.pixelated else None,
    )
    caption = element("figcaption", element("p", text(picture.caption))) if text(picture.caption) else None
    return element("figure", image, caption)


def enlargement(width: int, height: int) -> int:
    """By how much a small picture is enlarged."""
    wide, high, most = LARGEST
    return max(1, min(wide // max(1, width), high // max(1, height), most))


def _missing(sections: Mapping[str, Html | None]) -> Html | None:
    """One line that names the parts of an evaluation which were not measured."""
    absent = [name for name, body in sections.items() if not body and name != "columns"]  # which tables alone have
    return element("p", f"This evaluation says nothing of {listed(absent)}.") if absent else None


def _folded(content: Content) -> Html | None:
    parts = [("Settings of the run", content.settings), ("Environment", content.environment)]
    return join(
        element("details", element("summary", title), values(mapping, title)) for title, mapping in parts if mapping
    )


def values(mapping: Mapping[str, Any], caption: str) -> Html:
    """A nested mapping as a table of two columns."""
    rows = [_value(depth, name, value) for depth, name, value in _flat(mapping, 0)]
    return element("table", element("caption", caption, class_="unseen"), element("tbody", rows), class_="values")


def _flat(mapping: Mapping[str, Any], depth: int) -> list[tuple[int, str, Any]]:
    rows: list[tuple[int, str, Any]] = []
    for name, value in mapping.items():
        nested = _nested(value)
        if nested:
            rows += [(depth, text(name), None), *_flat(nested, depth + 1)]
        else:
            rows.append((depth, text(name), _written(text(name), value)))
    return rows


def _nested(value: Any) -> Mapping[str, Any]:
    """What is inside a value that needs rows of its own: a mapping, or a list of mappings by number."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(one, Mapping) for one in value):
        return {str(k + 1): one for k, one in enumerate(value)}
    return {}


def _value(depth: int, name: str, value: str | None) -> Html:
    place = f"depth-{min(depth, 3)}"
    if value is None:
        return element("tr", element("th", name, scope="rowgroup", colspan=2, class_=f"{place} group"))
    return element("tr", element("th", name, scope="row", class_=place), element("td", element("bdi", value)))


def _written(name: str, value: Any) -> str:
    """A setting in words: as it was given, but without the tail of a float."""
    if value is None or value == [] or value == {} or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value) if "seed" in name else count(value)
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", MINUS)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        values = ", ".join(_written(name, one) for one in value[:12])
        return values + (f", … ({count(len(value))} values)" if len(value) > 12 else "")
    return text(value)


def _fingerprint(evaluation: Mapping[str, Any]) -> Html | None:
    fingerprint = part(evaluation, "fingerprint")
    if not fingerprint:
        return None
    published = text(evaluation.get("comparable"))
    compares = (
        f"They also compare with published figures: {published}."
        if published
        else "They do not compare with published figures, which were measured with other features."
    )
    lead = f"Scores compare only with scores whose fingerprint is equal. {compares}"
    return join(element("p", lead, class_="lead"), element("div", values(fingerprint, "Fingerprint"), class_="mono"))
