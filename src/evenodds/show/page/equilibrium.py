"""How far the game is from even odds, and the likelihood: each part gives its markup, or None without data."""

# ruff: noqa: RUF001  the prose has true minus signs and apostrophes

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from evenodds.show.page.charts import Bin, calibration
from evenodds.show.page.markup import Html, element, join, paragraph
from evenodds.show.page.measures import Figure, MeasureRow, measures
from evenodds.show.page.numerals import count, finite, number, part, percent, records, text
from evenodds.show.page.words import sentence

__all__ = ["equilibrium", "likelihood"]

Evaluation = Mapping[str, Any]


def equilibrium(evaluation: Evaluation, noun: str) -> Html | None:
    """How far the game is from even odds."""
    figures = part(evaluation, "equilibrium")
    if not figures:
        return None
    rows = [
        row
        for row in (
            *_run_discriminator(figures),
            *_fresh(part(figures, "fresh")),
            *_gap(part(figures, "duality_gap"), noun),
        )
        if row
    ]
    measured = [row for row in rows if row.value.is_finite]
    raw_notes = figures.get("notes")
    remarks = (
        [text(note) for note in raw_notes] if isinstance(raw_notes, Sequence) and not isinstance(raw_notes, str) else []
    )
    notes = [element("li", sentence(note)) for note in remarks if note]
    lead = (
        "At the equilibrium of the game the generator draws from the data’s own distribution, and the best that any "
        "discriminator D can do is to give even odds."
    )
    parts = [
        paragraph(lead, "lead"),
        measures(measured, "Equilibrium") if measured else None,
        _calibrated(figures),
        element("ul", notes, class_="notes") if notes else None,
    ]
    return join(parts) if any(parts[1:]) else None


def _run_discriminator(figures: Mapping[str, Any]) -> list[MeasureRow]:
    ideal = finite(figures.get("ideal"))
    return [
        MeasureRow(
            "D’s accuracy",
            "How often the run’s own discriminator tells unseen real examples from new samples.",
            Figure(figures.get("accuracy"), figures.get("accuracy_low"), figures.get("accuracy_high")),
            Figure(0.5),
            "even odds",
            "even odds",
            "best near 50 %",
            percent=True,
            exact=True,
            holds=(0.5, 1),
        ),
        MeasureRow(
            "Value V(D, G)",
            "The mean log probability that D gives to the truth, on real data plus on samples: what both play for.",
            Figure(figures.get("value"), figures.get("value_low"), figures.get("value_high")),
            Figure(-math.log(4) if ideal is None else ideal),
            "−log 4",
            "−log 4",
            "best near −log 4",
            exact=True,
            holds=(0,),
        ),
    ]


def _fresh(figures: Mapping[str, Any]) -> list[MeasureRow]:
    sides = [(figures.get("n_fit"), "to fit"), (figures.get("n_test"), "to test")]
    accuracy = figures.get("accuracy")
    note = f"It is right for {percent(accuracy)} of the items." if finite(accuracy) is not None else ""
    return [
        MeasureRow(
            "JSD, at least",
            "A new discriminator, trained after the game, shows how far data and samples are still apart: a lower "
            "bound of the Jensen–Shannon divergence, from 0 (equal) to log 2 = 0.693 nats (nothing in common).",
            Figure.of(figures, "jsd"),
            Figure.of(figures, "floor", "floor_"),
            "real against real",
            "floor",
            "lower is better",
            note,
            [f"{count(n)} {side}" for n, side in sides if finite(n) is not None],
        )
    ]


def _gap(figures: Mapping[str, Any], noun: str) -> list[MeasureRow]:
    best_d, best_g, images = (figures.get(name) for name in ("best_discriminator", "best_generator", "images"))
    sides = []
    if finite(best_d) is not None and finite(best_g) is not None:
        sides.append(f"V is {number(best_d)} against the best D found, {number(best_g)} with the best G found.")
    if finite(images) is not None:
        sides.append(f"Each was given {count(images)} {noun}.")
    return [
        MeasureRow(
            "Duality gap",
            "What either player could still gain by answering a fixed opponent as well as it can: 0 at an equilibrium.",
            Figure(figures.get("gap")),
            Figure(0),
            "an equilibrium",
            "ideal",
            "lower is better",
            " ".join(sides),
            exact=True,
            holds=(1,),
        )
    ]


def _calibrated(figures: Mapping[str, Any]) -> Html | None:
    bins = [
        Bin(p, o, None if (n := finite(row.get("n"))) is None else max(1, round(n)))
        for row in records(figures, "calibration")
        if (p := finite(row.get("predicted"))) is not None and (o := finite(row.get("observed"))) is not None
        if 0 <= p <= 1 and 0 <= o <= 1
    ]
    if not bins:
        return None
    error = figures.get("calibration_error")
    deviation = f" On average they differ by {number(error)} (calibration error)." if finite(error) is not None else ""
    words = (
        "Each dot gathers items to which D gave about the same probability of being real, larger where there are more; "
        "the line through it is the 95 % interval. On the diagonal D can be taken at its word. At the equilibrium all "
        f"dots gather in the middle.{deviation}"
    )
    alt = "Predicted and observed: " + "; ".join(f"{number(b.predicted)}, {number(b.observed)}" for b in bins)
    head = element("figcaption", element("h3", "Is D’s belief calibrated?"), paragraph(words))
    return element("figure", calibration(bins, alt), head, class_="beside")


def likelihood(evaluation: Evaluation) -> Html | None:
    """The Parzen-window estimate of Goodfellow et al. (2014), section 5, with its ceiling."""
    figures = part(evaluation, "likelihood")
    if finite(figures.get("mean")) is None:
        return None
    samples, sigma = figures.get("samples"), figures.get("sigma")
    examples = [f"{count(samples)} samples"] if finite(samples) is not None else []
    row = MeasureRow(
        "Parzen-window log-likelihood",
        "How probable held-out data are, in nats, under a cloud of small Gaussians around the samples. Kept for "
        "comparison with older work: it can rank a poor generator above a good one (Theis et al. 2016).",
        _with_error(figures.get("mean"), figures.get("standard_error")),
        _with_error(figures.get("ceiling"), figures.get("ceiling_standard_error")),
        "real data in the samples’ place",
        "ceiling",
        "higher is better",
        f"Width of the Gaussians: σ = {number(sigma)}." if finite(sigma) is not None else "",
        examples,
    )
    return measures([row], "Likelihood")


def _with_error(mean: Any, standard_error: Any) -> Figure:
    middle, error = finite(mean), finite(standard_error)
    if middle is None or error is None:
        return Figure(middle)
    return Figure(middle, middle - 1.96 * error, middle + 1.96 * error)
