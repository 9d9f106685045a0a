"""What a run leaves for a person when it ends: samples, walks, the drawing of its history, and a README."""

from __future__ import annotations

from pathlib import Path

from evenodds.apply.samples import write_samples, write_walk
from evenodds.files.write import write_bytes, write_text
from evenodds.runs.session import Session
from evenodds.show import history

__all__ = ["finish", "readme"]

NOTES = {
    "samples.png": "64 samples of the generator (its moving average), from seed 0",
    "answers.png": "items that were held out, by columns: the source, what was made of it, the truth",
    "walk.gif": "a closed walk through the latent space: neighbouring z give neighbouring pictures",
    "walk.png": "a shorter walk as a sheet, row by row",
    "history.svg": "every reported term over the run; D near 1/2 on real and fake alike is the equilibrium",
    "samples/": "the same samples or items at every checkpoint, to watch how they change",
    "checkpoints/": "players, their averages and the learners' state: safetensors and JSON, nothing executable",
    "config.yaml": "the complete configuration; `evenodds train config.yaml` repeats the run",
    "data.json": "what is known of the data, and which items were held out",
    "report.html": "the report: scores against the floor, copies, the distance from equilibrium, pictures",
    "evaluation.json": "the same figures as plain values, for `evenodds compare`",
    "metrics.jsonl": "the history, one JSON object per line",
    "choices.json": "what was chosen by the data before the run, such as the penalty's weight, and why",
    "remedies.json": "what was changed when the run went wrong, and why; a resume goes on with it",
    "environment.json": "versions and threads, on which exact bits depend",
}
"""What each file of a run folder is."""


def finish(session: Session) -> list[Path]:
    """Leaves samples, walks, the drawing of the history and a README in the run folder; returns what was written."""
    folder = session.folder
    written = _samples(session) if session.draws else _answers(session)
    drawn = history.write(session.history(), folder / "history.svg")
    written += [drawn] if drawn is not None else []
    write_text(folder / "README.txt", readme(session))
    return [*written, folder / "README.txt"]


def _samples(session: Session) -> list[Path]:
    """Samples and, of images, walks."""
    folder, image = session.folder, session.card.kind == "image"
    written = write_samples(session, session.sample(64 if image else 10_000), grid=folder / "samples.png")
    if image:
        written += [write_walk(session, folder / "walk.gif"), write_walk(session, folder / "walk.png", 32, 4)]
    return written


def _answers(session: Session) -> list[Path]:
    """The newest picture of outputs for held-out items, beside the truth."""
    last = sorted((session.folder / "samples").glob("*.png"))[-1:]
    for picture in last:
        write_bytes(session.folder / "answers.png", picture.read_bytes())
    return [session.folder / "answers.png"] if last else []


def readme(session: Session) -> str:
    """What each file of a run folder is."""
    notes = {name: note for name, note in NOTES.items() if (session.folder / name).exists()}
    width = max(map(len, notes))
    head = (
        f"A run of evenodds: recipe {session.config.recipe}, {session.images:,} images, seed {session.config.seed}.\n\n"
    )
    return head + "".join(f"{name:<{width}}  {note}\n" for name, note in notes.items())
