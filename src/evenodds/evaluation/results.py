"""What a run leaves for a person: pictures, files of samples, the history's plot, a page that says what is what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenodds.errors import BadInput
from evenodds.evaluation.evaluate import Evaluation, assess
from evenodds.evaluation.examination import Examination, Step
from evenodds.evaluation.nearest import nearest_sheets
from evenodds.files import replaced, write_bytes, write_json, write_text
from evenodds.game import checkpoint
from evenodds.game.listeners.save import best_of
from evenodds.runs import remedy
from evenodds.runs.session import Session, load
from evenodds.show import pictures
from evenodds.show.page.content import Content, Picture
from evenodds.show.page.page import page

__all__ = [
    "asked",
    "finish",
    "report",
    "summary",
    "write_evaluation",
    "write_history",
    "write_report",
    "write_samples",
    "write_walk",
]


def asked(session: Session, n: int, name: str | None, per_class: int | None, seed: int) -> list[int] | None:
    """The classes of the samples that are asked for; None where the run is not conditional on classes.

    Args:
        n: how many, where nothing else says so.
        name: all of this class.
        per_class: so many of every class, class by class.
    """
    if name is not None and per_class is not None:
        raise BadInput("--class asks for one class and --per-class for all; give one of them")
    if per_class is not None and per_class < 1:
        raise BadInput(f"--per-class needs at least 1, got {per_class}")
    if not session.classed and (name is not None or per_class is not None):
        raise BadInput(
            "this run is not conditional on classes, so none can be asked for; train with --set task=condition"
        )
    if per_class is not None:
        return [k for k in range(len(session.card.classes)) for _ in range(per_class)]
    drawn = session.labels(n, seed)
    return [session.class_number(name)] * n if name is not None else None if drawn is None else drawn.tolist()


def write_samples(
    session: Session,
    x: Any,
    y: Sequence[int] | None = None,
    *,
    grid: Path | None = None,
    folder: Path | None = None,
    npz: Path | None = None,
    columns: int | None = None,
) -> list[Path]:
    """Writes samples, with their classes where there are any, in the asked forms; returns what was written.

    Args:
        columns: of the grid; about the square root of the number of samples where None.
    """
    written = []
    if grid is not None:
        written.append(pictures.write(grid, session.picture(x, columns)))
    if folder is not None:
        written.append(_write_folder(session, x, y, folder))
    if npz is not None:
        labels: dict[str, Any] = {} if y is None else {"y": np.asarray(session.card.classes)[list(y)]}
        with replaced(npz if npz.suffix == ".npz" else npz.with_suffix(".npz")) as temporary:
            np.savez_compressed(temporary, x=x, **labels)
        written.append(npz)
    return written


def _write_folder(session: Session, x: Any, y: Sequence[int] | None, folder: Path) -> Path:
    """One PNG per image, in folders by class where there are classes; or one CSV for a table."""
    folder.mkdir(parents=True, exist_ok=True)
    if session.card.kind == "image":
        depth = x if x.dtype == np.uint16 else session.eight_bit(x)  # the latter changes no full 8 bit
        for k, one in enumerate(depth):
            home = folder if y is None else folder / session.card.classes[y[k]]
            pictures.write(home / f"{k:06d}.png", one)
        return folder
    columns = session.card.columns or tuple(f"x{k}" for k in range(x.shape[1]))
    ends = [""] * len(x) if y is None else [f",{session.card.classes[k]}" for k in y]
    head = ",".join(columns) + ("" if y is None else ",label")
    rows = (",".join(f"{v:.9g}" for v in row) + end for row, end in zip(x, ends, strict=True))
    write_text(folder / "samples.csv", "\n".join([head, *rows]) + "\n")
    return folder / "samples.csv"


def write_walk(session: Session, path: Path, steps: int = 48, stops: int = 4, seed: int = 0) -> Path:
    """A latent walk: an animation, or a strip where the file is a PNG."""
    if session.card.kind != "image":
        raise BadInput(f"a walk shows images; this run's data is a {session.card.kind}, use `evenodds sample --npz`")
    return pictures.film(path, session.eight_bit(session.walk(steps, stops, seed)), -(-steps // stops))


def finish(session: Session) -> list[Path]:
    """Leaves samples, a walk, the history's plot and a README in the run folder; returns what was written."""
    folder = session.folder
    written = _samples(session) if session.draws else _answers(session)
    written += write_history(session)
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
    """What was made last of held-out items, beside what they are."""
    last = sorted((session.folder / "samples").glob("*.png"))[-1:]
    for picture in last:
        write_bytes(session.folder / "answers.png", picture.read_bytes())
    return [session.folder / "answers.png"] if last else []


def write_history(session: Session) -> list[Path]:
    """The plot of the history, where matplotlib is installed."""
    try:
        from evenodds.show.history import plot
    except Exception:  # matplotlib is optional
        return []
    return [plot(session.history(), session.folder / "history.png")]


def write_evaluation(evaluation: Evaluation, path: Path) -> Path:
    """The evaluation as JSON."""
    write_json(path, dict(evaluation.content))
    return path


def report(
    session: Session,
    out: Path | None = None,
    *,
    against: Any = None,
    metrics: Sequence[str] | None = None,
    features: str | None = None,
    n: int = 10_000,
    seed: int = 0,
    step: Step | None = None,
) -> list[Path]:
    """Evaluates a run; writes evaluation.json and the page; see `evaluate` for the arguments."""
    evaluation, examination = assess(session, against, metrics, features, seed, step, n=n)
    write_evaluation(evaluation, session.folder / "evaluation.json")
    page = write_report(session, examination, evaluation, out or session.folder / "report.html")
    return [page, session.folder / "evaluation.json"]


def write_report(session: Session, examination: Examination, evaluation: Evaluation, path: Path) -> Path:
    """One self-contained page with everything that is known of the run."""
    config, folder = session.config, session.folder
    images = {"samples": Picture.of(session.picture(session.sample(64)), "64 samples, seed 0.", "A grid of samples.")}
    for key, (pixels, caption) in nearest_sheets(examination, evaluation.content).items():
        images[key] = Picture.of(pixels, caption, f"Pairs of images. {caption}")
    if session.card.kind == "image":
        frames = session.eight_bit(session.walk(32, 4))
        sheet = pictures.enlarge(pictures.grid(frames, columns=8), 480)
        images["walk"] = Picture.of(sheet, "A walk through the latent space, row by row.", "Images that change slowly.")
    environment = folder / "environment.json"
    content = Content(
        f"evenodds: {folder.name}",
        f"recipe {config.recipe}, seed {config.seed}, {session.images:,} real images shown",
        evaluation.content,
        images,
        session.history(),
        config.to_mapping(),
        json.loads(environment.read_text()) if environment.is_file() else {},
    )
    write_text(path, page(content))
    return path


def summary(folder: Path) -> dict[str, str]:
    """How a run stands, in words."""
    session = load(folder)
    config, data = remedy.applied(session.config, remedy.read(folder)), session.card.more or {}
    best = best_of(folder / "checkpoints")
    header = checkpoint.read_header(best) if best else {}
    last = session.history()[-1] if session.history() else {}
    shape = " x ".join(map(str, session.card.shape))
    source = config.data.name if config.data else ""
    lines = {
        "run": str(folder),
        "recipe": f"{config.recipe}, seed {config.seed}",
        "data": f"{source}: {data.get('items', 0):,} of {shape}, trained on {data.get('trained_on', 0):,}",
        "players": f"{config.generator.name} generator, {config.discriminator.name} discriminator",
        "contest": f"{config.loss.name}, penalty {config.penalty.name if config.penalty else 'none'}",
        "progress": f"{session.images:,} of {config.images:,} images",
        "speed": f"{last.get('images_per_second', 0):,.0f} images/s, {last.get('seconds', 0):,.0f} s so far",
        "checkpoints": ", ".join(p.name.lstrip("0") for p in checkpoint.listing(folder / "checkpoints")),
    }
    if best:
        low, high = header.get("score_interval") or (None, None)
        within = f" ({low:.4f} to {high:.4f})" if low is not None and high is not None else ""
        lines["best"] = f"{best.name.lstrip('0')}, score {header['score']:.4f}{within}: {header['score_is']}"
    latest = session.history()[::-1]
    said = next((line for line in latest if "verdict" in line), None)
    if said is not None:
        lines["verdict"] = f"{said['verdict']}, at {said['images']:,} images: {said['why']}"
    left_out: dict[str, int] = next((line["left_out"] for line in latest if "left_out" in line), {})
    if left_out:
        lines["left out"] = ", ".join(f"{n:,} updates of '{name}' that were not finite" for name, n in left_out.items())
    lines |= {f"remedy {k}": str(one) for k, one in enumerate(remedy.read(folder), 1)}
    return lines


def readme(session: Session) -> str:
    """What each file of a run folder is."""
    notes = {
        "samples.png": "64 samples of the generator (its moving average), from seed 0",
        "answers.png": "items that were held out, by columns: the source, what was made of it, the truth",
        "walk.gif": "a closed walk through the latent space: neighbouring z give neighbouring pictures",
        "walk.png": "a shorter walk as a sheet, row by row",
        "history.png": "every reported term over the run; D near 1/2 on real and fake alike is the equilibrium",
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
    there = {name: note for name, note in notes.items() if (session.folder / name).exists()}
    width = max(map(len, there))
    head = (
        f"A run of evenodds: recipe {session.config.recipe}, {session.images:,} images, seed {session.config.seed}.\n\n"
    )
    return head + "".join(f"{name:<{width}}  {note}\n" for name, note in there.items())
