"""The command that names the class of items: classify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from evenodds.cli.allow import loads
from evenodds.cli.app import Checkpoint, Device, app
from evenodds.cli.opening import RunOrModel, beside, is_alone, require_order, run_or_model
from evenodds.cli.ranges import Pixels
from evenodds.cli.tables import class_table
from evenodds.data.wording import count, listed
from evenodds.files.terminal import result, result_table, say

if TYPE_CHECKING:
    from evenodds.apply.classified import Classified

__all__ = ["classify"]

FEW = 3
"""Classes that are named for a single item."""


@app.command
@loads
def classify(
    run: RunOrModel,
    data: Annotated[
        str | None,
        Parameter(help="Image, folder, archive or list of images, array, or table [default: the data of the run]."),
    ] = None,
    *,
    out: Path | None = None,
    most_pixels: Pixels = None,
    checkpoint: Checkpoint = "last",
    device: Device = "auto",
) -> None:
    """Name the class of images or rows, by a run that learned it (train classify, say).

    Where data have labels, it says how often the answers are right; of the run's own data, by those held out.

    Parameters
    ----------
    out
        The .csv to write, with a row for each item: class, probability, what is known, and the probability of each
        class [default: classes.csv in the run folder; of a single item, nothing is written].
    """
    from evenodds.apply.classified import FILE, write_classes
    from evenodds.files.outputs import require_owned

    if data is not None:
        require_order(run, Path(data), "classify RUN DATA")
    path = out or beside(run) / FILE
    require_owned(path, "classify", inputs=(data,))
    classified = _alone(run, data, most_pixels) if is_alone(run, checkpoint, device) else None
    if classified is None:
        classified = _by_torch(run, data, most_pixels, checkpoint, device)
    if len(classified.known) == 1:
        result(_answer(classified))
        if out is None:
            return
    else:
        for line in [*_strange(classified), *_accuracy(classified)]:
            say(line)
        result_table(class_table(classified.by_class))
    result(write_classes(path, classified))


def _alone(run: Path, data: str | None, most_pixels: int | None) -> Classified | None:
    """What an exported file says of pictures; None where it needs torch."""
    from evenodds.apply.classified import Classified
    from evenodds.cli.bar import reading
    from evenodds.export.readers import read_pictures

    arrays = read_pictures(run, "classify", data, most_pixels, reading)
    if arrays is None:
        return None
    import numpy as np

    names = tuple(arrays["names"].tolist())
    return Classified(tuple(arrays["classes"].tolist()), arrays["probabilities"], names, np.full(len(names), -1))


def _by_torch(run: Path, data: str | None, most_pixels: int | None, checkpoint: str, device: str) -> Classified:
    from evenodds.apply.classifying import classify as classified_by
    from evenodds.cli.bar import reading

    return classified_by(run_or_model(run, checkpoint, device, "discriminator"), data, reading, most_pixels)


def _answer(classified: Classified) -> str:
    """The likeliest classes of a single item."""
    row = classified.probabilities[0]
    order = (-row).argsort(kind="stable")[:FEW].tolist()
    return ", ".join(f"{classified.classes[k]} {row[k]:.1%}" for k in order)


def _strange(classified: Classified) -> list[str]:
    return listed(
        "The run knows no {}: {}; their items count as having no label.", classified.strange, what="such class"
    )


def _accuracy(classified: Classified) -> list[str]:
    right, tested = classified.accuracy, int(classified.tested.sum())
    which = "held-out " if classified.held_out is not None else ""
    if right is None:
        return [f"No {which}item has a label, so how often this is right is not known."]
    sure = "{:.1%} right ({:.1%} to {:.1%})".format(*right)
    return [f"{sure} of {count(tested, f'{which}item')} with a label."]
