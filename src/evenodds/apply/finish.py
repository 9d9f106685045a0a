"""What a run leaves for a person when it ends: samples, walks, the drawing of its history, and a README."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from evenodds.apply.samples import write_samples, write_walk
from evenodds.files.outputs import RECORD, Outputs, owned
from evenodds.files.text import visible
from evenodds.files.write import write_text
from evenodds.runs.session import Session
from evenodds.show import history

__all__ = ["FinishReport", "finish", "readme"]

NOTES = {
    "samples.png": "{pictured:,} samples of the generator (its moving average), from seed 0",
    "answers.png": "items that were held out, a column each: what was given, what was made of it, the truth",
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
    "choices.json": "what was chosen by the data and by the clock, such as the number of threads, and why",
    "remedies.json": "what was changed when the run went wrong, and why; a resume goes on with it",
    "origin.json": "where the run came from, as it was pulled",
    "logged/": "how far the run was logged elsewhere, and what TensorBoard reads",
    "environment.json": "versions and threads, on which exact bits depend",
    RECORD: "which files a command wrote for you; it replaces no others, and none that you changed",
}
"""What each file of a run folder is."""
_COMMAND = "train"
_PLACE = partial(owned, command=_COMMAND)


@dataclass(frozen=True)
class FinishReport:
    """What a run has left: the files, and a sentence for each that could not be written."""

    written: list[Path] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def finish(session: Session) -> FinishReport:
    """Leaves samples, walks, the drawing of the history and a README in the run folder.

    Where the user's file stands at a name, NAME-2 and so on is written.
    The run is saved before. Where one file fails, as a disk is full or a font is damaged, the others are still written.
    """
    report = FinishReport()
    for name, writer in _writers(session).items():
        try:
            path = writer.write(Outputs(session.folder, writer.command).free(session.folder / name))
            report.written.extend([path] if path is not None else [])
        except Exception as error:
            report.failures.append(f"{name} ({type(error).__name__}: {error})")
    return report


class _Writer(NamedTuple):
    """How a file is written, and by which command it can be written anew.

    Args:
        write: returns the path, or None where there is nothing to show.
    """

    command: str
    write: Callable[[Path], Path | None]


def _writers(session: Session) -> dict[str, _Writer]:
    """The writer of each file, by name."""
    image, writers = session.card.kind == "image", dict[str, _Writer]()
    if session.draws:
        writers["samples.png"] = _Writer("sample", partial(_samples, session))
    if session.task.snapshot_items:  # what such a run is for, where samples are not
        writers["answers.png"] = _Writer(_COMMAND, partial(_answers, session))
    if session.draws and image:
        writers["walk.gif"] = _Writer("walk", partial(write_walk, session))
        writers["walk.png"] = _Writer("walk", partial(write_walk, session, steps=32, stops=4))
    writers["history.svg"] = _Writer(_COMMAND, partial(history.write, session.history(), place=_PLACE))
    writers["README.txt"] = _Writer(_COMMAND, partial(_readme, session))
    return writers


def _samples(session: Session, path: Path) -> Path:
    return write_samples(session, session.numbers(session.card.pictured), grid=path)[0]


def _answers(session: Session, path: Path) -> Path | None:
    """The newest picture of outputs for held-out items, beside the truth; nothing where none are held out."""
    if not session.card.held_out:
        return None
    last = sorted((session.folder / "samples").glob("[0-9]*.png"))[-1:]
    for picture in last:
        with _PLACE(path) as temporary:
            temporary.write_bytes(picture.read_bytes())
    return path if last else None


def _readme(session: Session, path: Path) -> Path:
    with _PLACE(path) as temporary:
        write_text(temporary, readme(session))
    return path


def readme(session: Session) -> str:
    """What each file of a run folder is."""
    notes = {
        name: note.format(pictured=session.card.pictured)
        for name, note in NOTES.items()
        if (session.folder / name).exists()
    }
    width = max(map(len, notes))
    recipe = visible(session.config.recipe)
    shown = f"{session.images:,} {session.card.noun}"
    head = f"A run of evenodds: recipe {recipe}, {shown}, seed {session.config.seed}.\n\n"
    return head + "".join(f"{name:<{width}}  {note}\n" for name, note in notes.items())
