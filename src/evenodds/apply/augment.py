"""A conditional run at work for a classifier: a folder of synthetic images by class, filtered, and how it was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evenodds.apply.filters import Agreement, Copies, Count, Duplicates, Filter, Rejection, drawn_until
from evenodds.apply.samples import require_not_the_data
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput, unknown
from evenodds.files.lock import locked_beside
from evenodds.files.names import is_link, safe_names
from evenodds.files.text import csv_text, quoted
from evenodds.files.write import replaced_folder, write_json, write_text
from evenodds.metrics.features.classifier import Classifier, trained
from evenodds.runs.allowed import allowing
from evenodds.runs.card import SPLIT_SEED
from evenodds.runs.run_data import open_run_data
from evenodds.runs.session import Session
from evenodds.show import pictures
from evenodds.version import __version__

__all__ = ["FILTERS", "augment", "balancing", "sample_class"]

FILTERS = ("discriminator", "agreement", "copies", "duplicates")
"""In the order in which samples pass them: the cheap one first, that which remembers what stayed last."""
USUAL = ("agreement", "copies", "duplicates")

Step = Callable[[str, int, int], None]
Say = Callable[[str], None]


def augment(
    session: Session,
    to: Path,
    *,
    per_class: int | None = None,
    balance: bool = False,
    filters: Sequence[str] | None = None,
    data: Any = None,
    seed: int = 0,
    tries: int = 50,
    checkpoint: str = "last",
    step: Step = lambda *_: None,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Writes class folders of PNG files, labels.csv and manifest.json: data for `evenodds train` or any reader.

    Args:
        session: a run that is conditional on classes of images.
        to: the folder to make; it must not be there, or be empty.
        per_class: images of every class; or
        balance: as many as each class lacks against the largest one in the training items.
        filters: names of FILTERS; None for those of agreement, copies and duplicates that the run allows. They rest on
            the run's training items, and copies on its held-out ones too.
        data: where the data of the run lie now, or what it was trained on, where that was in memory; None for where
            they were.
        seed: the same seed gives the same files.
        tries: at most so many draws for each image asked for.
        checkpoint: as it was loaded, for the manifest.
        step: told what is done, how far it is and how far it goes.
        say: gets plain sentences.

    Returns:
        The manifest.

    Raises:
        Busy: another process or thread makes this folder; see evenodds.files.lock.
    """
    with locked_beside(to, "augment"):
        _fits(session, to)
        needed = _numbers(session, per_class, balance)
        chosen = _filters(session, filters, data, say, step)
        classes, total = session.card.classes, sum(needed)
        folders, counts, lines = safe_names(classes), {}, [("name", "class")]
        draw = partial(_draw, session)
        with replaced_folder(to) as temporary:
            for label, name in enumerate(classes):
                on_draw = partial(_tell, step, sum(needed[:label]), total)
                parts, counts[name] = drawn_until(draw, label, needed[label], chosen, seed, tries=tries, step=on_draw)
                names = _write(session, parts, temporary / folders[label], folders[label])
                lines += [(written, name) for written in names]
                if counts[name].written < needed[label]:
                    say(_unfilled(name, counts[name]))
            manifest = _manifest(
                session, checkpoint, seed, tries, list(chosen), counts, dict(zip(folders, classes, strict=True))
            )
            write_text(temporary / "labels.csv", csv_text(lines))
            write_json(temporary / "manifest.json", manifest)
        return manifest


def _tell(step: Step, before: int, total: int, have: int) -> None:
    step("drawing and filtering", before + have, total)


def balancing(counts: Sequence[int]) -> list[int]:
    """What each class lacks against the largest."""
    return [max(counts, default=0) - n for n in counts]


def _fits(session: Session, to: Path) -> None:
    if session.card.kind != "image":
        run = quoted(session.folder)
        by_class = f"draw them by class with evenodds sample {run} --per-class 100 --folder NEW"
        how = by_class if session.conditions.by_class else f"draw them with evenodds sample {run} --folder NEW"
        raise BadInput(f"augment writes images, and this run makes {session.card.noun}; {how}")
    session.conditions.require_by_class("it cannot fill any", however=False)
    if is_link(to) or (to.exists() and (not to.is_dir() or any(to.iterdir()))):
        raise BadInput(f"{to} is there already and is left as it is; name a folder that is not there with --to")
    require_not_the_data(session, to)


def _numbers(session: Session, per_class: int | None, balance: bool) -> list[int]:
    """How many images each class is to get."""
    if (per_class is None) != balance:
        raise BadInput("say how many: --per-class 500, or --balance; one of the two")
    if per_class is not None:
        if per_class < 1:
            raise BadInput(f"--per-class needs at least 1, got {per_class}")
        return [per_class] * len(session.card.classes)
    needed = balancing(session.card.class_counts)
    if not any(needed):
        raise BadInput("all classes have equally many training items, so there is nothing to balance; use --per-class")
    return needed


def _draw(session: Session, label: int, n: int, rng: torch.Generator) -> Tensor:
    """Samples as they will be written: rounded to the data's own units, in [-1, 1]."""
    units = session.card.units
    return units.to_model(units.to_data(sample_class(session, label, n, rng).clamp(-1, 1)))


def sample_class(session: Session, label: int, n: int, rng: torch.Generator) -> Tensor:
    """n samples of a class, (n, ...), nearly in [-1, 1]."""
    c = session.conditions.to_model(y=[label])
    return torch.cat([session.answer(z, c) for z in torch.split(session.latent(n, rng), 256)])


# --- filters ---------------------------------------------------------------------------------------------------------


def _filters(session: Session, names: Sequence[str] | None, data: Any, say: Say, step: Step) -> dict[str, Filter]:
    for name in names or ():
        if name == "none":
            raise BadInput(f"none leaves all filters out, got {', '.join(names or ())}; name it alone, or leave it out")
        if name not in FILTERS:
            raise unknown("filter", name, (*FILTERS, "none"))
    selected = [name for name in FILTERS if name in (USUAL if names is None else names)]
    discriminator: dict[str, Filter] = {"discriminator": _rejection(session)} if "discriminator" in selected else {}
    resting = [name for name in selected if name != "discriminator"]
    if not resting:
        return discriminator
    data = _opened(session, data)
    train, held_out = data.split(session.config.held_out, SPLIT_SEED)
    if not len(held_out) and "copies" in resting:
        if names is not None:
            raise BadInput("the filter copies needs held-out items, and this run kept none; leave it out of --filters")
        say("copies are not looked for: the run kept no items aside")
        resting.remove("copies")
    train_data = data.take(train)
    classifier = _classifier(train_data, step)
    by_train = _by_label(classifier, train_data)
    makers: dict[str, Callable[[], Filter]] = {
        "agreement": lambda: Agreement(classifier.probabilities),
        "copies": lambda: Copies(_features(classifier), by_train, _by_label(classifier, data.take(held_out))),
        "duplicates": lambda: Duplicates(_features(classifier), by_train),
    }
    return discriminator | {name: makers[name]() for name in resting}


def _rejection(session: Session) -> Rejection:
    if not session.task.contest.log_ratio:
        raise BadInput(
            "the filter discriminator needs logits that are log ratios of densities, which loss "
            f"'{session.config.loss.name}' does not give; train with loss=non_saturating, or leave it out of --filters"
        )

    @torch.no_grad()
    def logits(x: Tensor, label: int) -> Tensor:
        players = session.unconditional(session.conditions.to_model(y=[label]))
        scores: Tensor = players["discriminator"](x.to(session.device))
        return scores

    return Rejection(logits)


def _opened(session: Session, data: Any) -> Dataset:
    """What the run was trained on, and nothing else."""
    advice = "use --filters none or discriminator, or say where the data of before lie with --data"
    with allowing(session.allow):
        return open_run_data(session.config, session.card, data, advice=advice).in_memory("the filters' data")


def _classifier(train_data: Dataset, step: Step) -> Classifier:
    assert train_data.y is not None
    x = train_data.units.to_model(train_data.x)

    def on_progress(done: int, total: int) -> None:
        step("fitting the classifier", done, total)

    return trained(
        x, train_data.y, train_data.classes, key=f"{train_data.fingerprint()} for filters", progress=on_progress
    )


def _features(classifier: Classifier) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.cat([classifier(part) for part in torch.split(x, 1024)])


def _by_label(classifier: Classifier, data: Dataset) -> Mapping[int, Tensor]:
    assert data.y is not None
    features = torch.cat([classifier(data.units.to_model(part)) for part in torch.split(data.x, 1024)])
    return {label: features[data.y == label] for label in range(len(data.classes))}


# --- files -----------------------------------------------------------------------------------------------------------


def _write(session: Session, parts: Sequence[Tensor], home: Path, folder: str) -> list[str]:
    """The images of a class as PNG; their names."""
    if not parts:
        return []
    home.mkdir()
    units = session.card.units
    x = np.asarray(units.to_data(torch.cat(list(parts)))).astype(units.dtype, copy=False)
    names = [f"{k:06d}.png" for k in range(len(x))]
    for name, one in zip(names, x if x.dtype == np.uint16 else session.card.eight_bit(x), strict=True):
        pictures.to_image(one).save(home / name)
    return [f"{folder}/{name}" for name in names]


def _unfilled(name: str, count: Count) -> str:
    worst = max(count.refused, key=lambda one: count.refused[one])
    return (
        f"class {name}: {count.written:,} of {count.requested:,} after {count.drawn:,} draws; {worst} refused "
        f"{count.refused[worst]:,}. Train longer, or leave that filter out"
    )


def _manifest(
    session: Session,
    checkpoint: str,
    seed: int,
    tries: int,
    filters: Sequence[str],
    counts: Mapping[str, Count],
    folders: Mapping[str, str],
) -> dict[str, Any]:
    return {
        "evenodds": __version__,
        "run": str(session.folder),
        "recipe": session.config.recipe,
        "checkpoint": checkpoint,
        "images_seen": session.images,
        "data_fingerprint": session.card.fingerprint,
        "seed": seed,
        "tries": tries,
        "filters": list(filters),
        "written": sum(count.written for count in counts.values()),
        "classes": {name: count.record() for name, count in counts.items()},
        "folders": dict(folders),
    }
