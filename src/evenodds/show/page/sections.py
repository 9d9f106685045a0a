"""What was measured, the verdict, the scores and the copies: each part gives its markup, or None without data."""

# ruff: noqa: RUF001  the prose has true minus signs and apostrophes

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evenodds.show.page.markup import Html, element, join, paragraph
from evenodds.show.page.measures import Figure, MeasureRow, cell, measures, table
from evenodds.show.page.numerals import count, duration, finite, number, part, records, text
from evenodds.show.page.words import BETTER, SCORES, score_title, sentence

__all__ = ["measured", "memorisation", "scores", "suspects", "verdict"]

Evaluation = Mapping[str, Any]
UNFOLDED = 12
"""Rows of a list of suspects that are seen at once; the rest unfolds."""

COMPARABLE = (
    "No copies of training items, no missing classes and no impossible values were found, so these scores may be "
    "ranked beside others. That says nothing of how good the samples are: the sentences and the scores below do."
)
SOUND = {
    True: ("sound", "M5 9h14M5 15h14", "The scores can be compared", COMPARABLE),
    False: ("unsound", "M5 5l14 14M19 5L5 19", "The scores are not sound", "They must not be compared or ranked."),
    None: ("open", "M5 12h14", "No verdict", "Whether the scores below may be ranked was not decided."),
}


ANSWERS = {"hidden": "hidden cells", "told": "answers"}
"""What is judged of runs that draw no samples, by the part of their evaluations."""
KINDS = {"image": "images of", "table": "rows of", "toy": "points of"}
"""What the shape of an item is that of."""


def measured(evaluation: Evaluation, noun: str) -> Html | None:
    """What was measured, in a sentence."""
    subject, reference = part(evaluation, "subject"), part(evaluation, "reference")
    if not subject and not reference:
        return None
    items, images_seen, seed = (subject.get(name) for name in ("items", "images_seen", "seed"))
    parts = [
        f"{count(items)} {next((what for key, what in ANSWERS.items() if records(evaluation, key)), 'samples')}"
        if finite(items) is not None
        else "Samples",
        f" of {text(subject.get('path'))}" if subject.get("path") else "",
        f" after {count(images_seen)} real {noun}" if finite(images_seen) is not None else "",
        f", seed {text(seed)}" if seed is not None else "",
        ", held against ",
        _reference(reference),
    ]
    seconds = evaluation.get("seconds")
    spent = f" Measured in {duration(seconds)}." if finite(seconds) is not None else ""
    return paragraph("".join(parts) + "." + spent, "measured")


def _reference(reference: Mapping[str, Any]) -> str:
    items = reference.get("items")
    role = text(reference.get("role")) or "real items"
    named = f"{count(items)} {role}" if finite(items) is not None else role
    shape = reference.get("shape")
    sides = [text(side) for side in shape] if isinstance(shape, Sequence) and not isinstance(shape, str) else []
    size = " × ".join(sides) + (" numbers" if len(sides) == 1 else "")
    kind = text(reference.get("kind"))
    what = f"{KINDS.get(kind, kind)} {size}".strip()
    inside = ", ".join(filter(None, (text(reference.get("path")), what)))
    return f"{named} ({inside})" if inside else named


def verdict(evaluation: Evaluation) -> Html:
    """Whether the scores may be ranked, unmistakable in words, and why."""
    sound = evaluation.get("sound")
    name, icon, title, meaning = SOUND[sound if isinstance(sound, bool) else None]
    if not evaluation:
        meaning = "This run has not been evaluated: there are no scores to show. “evenodds evaluate” makes them."
    if records(evaluation, "hidden"):
        meaning = "Judged by cells that were observed and hidden. Runs that hid the same cells may be ranked by them."
    if records(evaluation, "told"):
        meaning = "Judged by held-out items with a label. Runs that were judged by the same ones may be ranked."
    sentences = evaluation.get("verdict")
    lines = [sentences] if isinstance(sentences, str) else sentences if isinstance(sentences, Sequence) else []
    drawing = element("svg", element("path", d=icon), viewBox="0 0 24 24", aria_hidden="true", class_="icon")
    head = element("h2", drawing, element("span", "Verdict: ", class_="unseen"), title, id="verdict")
    findings = (
        element("ul", [element("li", text(line)) for line in lines if text(line)]) if any(map(text, lines)) else None
    )
    return element(
        "section", head, paragraph(meaning, "meaning"), findings, class_=f"verdict {name}", aria_labelledby="verdict"
    )


def scores(evaluation: Evaluation) -> Html | None:
    """Every score with its interval against the floor."""
    rows = [
        row for row in records(evaluation, "scores") if any(text(row.get(name)) for name in ("name", "title", "value"))
    ]
    if not rows:
        return None
    warned = evaluation.get("sound") is False
    warning = element("strong", "Not sound: do not rank these scores. The verdict at the top says why.")
    how = (
        "Each value stands with its 95 % interval. The floor is the same measure between two sets of real data: what a "
        "perfect generator would score with about as many examples. Where the intervals overlap, this measure could "
        "not tell the samples from real data."
    )
    return join(
        paragraph(warning, "warning") if warned else None,
        paragraph(how, "lead"),
        measures([_score(row) for row in rows], "Scores", "Floor: real against real"),
    )


def _score(row: Mapping[str, Any]) -> MeasureRow:
    sides = [(row.get("n_real"), "real"), (row.get("n_fake"), "fake")]
    return MeasureRow(
        title=score_title(row),
        why=SCORES.get(text(row.get("name")), ""),
        value=Figure.of(row, "value"),
        reference=Figure.of(row, "floor", "floor_"),
        word="floor",
        better=BETTER.get(text(row.get("better")), ""),
        note=text(row.get("note")),
        examples=[f"{count(n)} {side}" for n, side in sides if finite(n)],
    )


def memorisation(evaluation: Evaluation) -> Html | None:
    """Whether the generator copies what it was trained on."""
    figures = part(evaluation, "memorisation")
    if not figures:
        return None
    if text(figures.get("refused")):
        return paragraph(sentence(f"not measured: {text(figures['refused'])}"))
    sides = [(figures.get("n_train"), "training"), (figures.get("n_held_out"), "held out")]
    examples = [f"{count(n)} {side}" for n, side in sides if finite(n) is not None]
    rows = [_suspected(figures, examples), _authenticity(figures), _copying_test(figures)]
    computed = [row for row in rows if row.value.is_finite]
    summary = text(figures.get("verdict"))
    return join(
        paragraph(element("strong", sentence(summary))) if summary else None,
        measures(computed, "Memorisation") if computed else None,
    )


def _suspected(figures: Mapping[str, Any], examples: Sequence[str]) -> MeasureRow:
    return MeasureRow(
        "Suspected copies",
        "The share of samples that lie far closer to a training example than to any held-out one. Expected: the "
        "share at which a generator that copies nothing would be suspected.",
        Figure(figures.get("share"), figures.get("low"), figures.get("high")),
        Figure(figures.get("expected")),
        "the expected share",
        "expected",
        "lower is better",
        examples=examples,
        percent=True,
        exact=True,
        holds=(0,),
    )


def _authenticity(figures: Mapping[str, Any]) -> MeasureRow:
    return MeasureRow(
        "Authenticity",
        "The share of samples that are further from their nearest training example than that example is from the "
        "nearest other one: low means copies.",
        Figure(figures.get("authenticity")),
        Figure(figures.get("authenticity_floor")),
        "held-out data",
        "held out",
        "best nearest to held-out data",
        percent=True,
        holds=(0, 1),
    )


def _copying_test(figures: Mapping[str, Any]) -> MeasureRow:
    return MeasureRow(
        "C_T",
        "Compares how far samples and held-out data lie from the training set, in standard deviations: near 0 is "
        "right, below −3 says copying, above 3 says samples further off than new data.",
        Figure(figures.get("c_t")),
        Figure(0),
        "no difference",
        "equal",
        "best near 0",
        exact=True,
        holds=(-4, 4),
        title_html=join("C", element("sub", "T")),
    )


def suspects(evaluation: Evaluation) -> Html | None:
    """The samples that look copied, and from what."""
    rows = records(part(evaluation, "memorisation"), "suspects")
    rows = [row for row in rows if finite(row.get("sample")) is not None]
    if not rows:
        return None
    lead = (
        "Ratio: the distance to the training example over the distance to the nearest held-out one; "
        "near 0 is a copy, near 1 is what new data shows."
    )
    first, rest = rows[:UNFOLDED], rows[UNFOLDED:]
    title = f"{count(len(rest))} further {'suspect' if len(rest) == 1 else 'suspects'}"
    more = element("details", element("summary", title), _suspects(rest)) if rest else None
    return join(element("h3", "Suspects"), paragraph(lead, "lead"), _suspects(first), more)


def _suspects(rows: Sequence[Mapping[str, Any]]) -> Html:
    heads = ["Sample", "Training example", "File or position", "Distance", "To held-out data", "Ratio"]
    return table(heads, [_suspect(row) for row in rows], "suspects", "Samples that look copied")


def _suspect(row: Mapping[str, Any]) -> Html:
    file = element("bdi", text(row.get("file")), class_="file") if row.get("file") else number(None)
    return element(
        "tr",
        element(
            "th", element("span", "Sample ", class_="narrow"), count(row.get("sample")), scope="row", role="rowheader"
        ),
        cell("Training example", count(row.get("training"))),
        cell("File or position", file),
        cell("Distance", number(row.get("distance"))),
        cell("To held-out data", number(row.get("held_out_distance"))),
        cell("Ratio", number(row.get("ratio"))),
        role="row",
    )
