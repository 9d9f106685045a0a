"""The report of a run: an evaluation, and the page that shows it with everything else that is known of the run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evenodds.errors import BadInput
from evenodds.evaluation.evaluate import Evaluation, assess
from evenodds.evaluation.examination import Examination, Step
from evenodds.evaluation.nearest import nearest_sheets
from evenodds.evaluation.own_features import FeaturesBy
from evenodds.files.lock import locked_beside
from evenodds.files.outputs import owned, require_owned, unwritable
from evenodds.files.read import read_json
from evenodds.files.write import write_json, write_text
from evenodds.game.checkpoint import best_of, read_header
from evenodds.runs.sample_picture import column_picture, points_picture, sample_picture
from evenodds.runs.session import Session
from evenodds.show import pictures
from evenodds.show.page.content import Content, Picture
from evenodds.show.page.numerals import count
from evenodds.show.page.page import page

__all__ = ["report", "write_evaluation", "write_report"]

PATIENCE = 120.0
"""Seconds for which another report of the same run, that is just being written, is waited for."""


def report(
    session: Session,
    out: Path | None = None,
    *,
    against: Any = None,
    metrics: Sequence[str] | None = None,
    features: FeaturesBy | None = None,
    data: Any = None,
    n: int = 10_000,
    seed: int | None = None,
    step: Step | None = None,
) -> list[Path]:
    """Evaluates a run; writes evaluation.json and the page; see `evaluate` for the arguments.

    Where nothing can be written to the run's folder, evaluation.json is written beside the page.

    Raises:
        BadInput: one of these files is there and is the user's, see evenodds.files.outputs.
    """
    path = out or session.folder / "report.html"
    require_owned(path, "report")
    home = session.folder if unwritable(session.folder) is None else path.parent
    require_owned(home / "evaluation.json", "evaluate", "evaluate --out")
    evaluation, examination = assess(session, against, metrics, features, seed, step, run_data=data, n=n)
    with locked_beside(home / "report", "report", wait=PATIENCE):  # the two files are of one evaluation
        write_evaluation(evaluation, home / "evaluation.json")
        write_report(session, examination, evaluation, path)
    return [path, home / "evaluation.json"]


def write_report(session: Session, examination: Examination | None, evaluation: Evaluation, path: Path) -> Path:
    """One self-contained page with everything that is known of the run."""
    config, noun = session.config, session.card.noun
    content = Content(
        f"evenodds: {session.folder.name}",
        f"recipe {config.recipe}, seed {config.seed}, {count(session.images)} real {noun} shown",
        evaluation.content,
        {} if examination is None else _pictures(session, examination, evaluation),
        session.history(),
        config.to_mapping(),
        _environment(session.folder / "environment.json"),
        noun,
        _score_is(session.folder / "checkpoints"),
    )
    with owned(path, "report") as temporary:
        write_text(temporary, page(content))
    return path


def _score_is(checkpoints: Path) -> str:
    """What the held-out score means; empty where no checkpoint has one."""
    best = best_of(checkpoints)
    return "" if best is None else read_header(best).score_is or ""


def _environment(path: Path) -> dict[str, Any]:
    """What the run's bits depend on; why it is not known, where the file is damaged."""
    try:
        return read_json(path, dict[str, Any]) if os.path.lexists(path) else {}
    except BadInput as error:
        return {"unknown": str(error)}


def _pictures(session: Session, examination: Examination, evaluation: Evaluation) -> dict[str, Picture]:
    """Samples, pairs of neighbours and a walk, by the names that the page gives them."""
    images = {"samples": _samples(session, examination)}
    for key, (pixels, caption) in nearest_sheets(examination, evaluation.content).items():
        images[key] = Picture.of(pixels, caption, f"Pairs of images. {caption}")
    if session.card.kind == "image":
        frames = session.card.eight_bit(session.walk(32, 4))
        sheet = pictures.enlarge(pictures.grid(frames, columns=8), 480)
        images["walk"] = Picture.of(sheet, "A walk through the latent space, row by row.", "Images that change slowly.")
    return images


def _samples(session: Session, examination: Examination) -> Picture:
    """A grid of samples; of a table, how its columns are distributed; of points, where they lie."""
    material, columns, card = examination.material, session.card.units.columns, session.card
    if card.kind == "toy":
        real = material.real.x[: card.pictured].numpy()
        of = f"{len(real):,} held-out points"
        caption = (
            f"Left: {of}. Right: as many samples, seed 0."
            if card.shape[0] > 1
            else f"{len(real):,} samples, as bars, and {of}, as a line."
        )
        return Picture.of(points_picture(card, session.numbers(len(real)), real), caption, caption)
    if material.rows is None or not columns:
        grid = sample_picture(card, session.numbers(card.pictured))
        return Picture.of(grid, f"{card.pictured:,} samples, seed 0.", "A grid of samples.")
    caption = f"Columns of {len(material.rows):,} samples, as bars, and of held-out rows, as a line."
    pixels = column_picture(columns, material.rows.numpy(), material.real.x.numpy())
    return Picture.of(pixels, caption, f"A panel for each column. {caption}")


def write_evaluation(evaluation: Evaluation, path: Path) -> Path:
    """The evaluation as JSON."""
    with owned(path, "evaluate") as temporary:
        write_json(temporary, dict(evaluation.content))
    return path
