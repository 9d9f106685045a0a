"""The commands for whoever trains a classifier: augment, trial."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from evenodds.cli.commands import Device, Names, app, say, split

__all__ = ["augment"]


@app.command
def augment(
    run: Path,
    *,
    to: Path,
    per_class: int | None = None,
    balance: Annotated[bool, Parameter(negative="")] = False,
    filters: Names = None,
    tries: int = 50,
    seed: int = 0,
    checkpoint: str = "last",
    device: Device = "auto",
) -> None:
    """Write a folder of synthetic images by class, filtered and counted: data for any classifier.

    Whether they help a classifier is another question: ask `evenodds trial`.

    Parameters
    ----------
    run
        The run folder, of the task condition.
    to
        The folder to make: class folders, labels.csv, manifest.json.
    per_class
        So many images of every class.
    balance
        As many as each class lacks against the largest.
    filters
        discriminator agreement copies duplicates, or none [default: the last three].
    tries
        At most so many draws for each image that is asked for.
    seed
        The same seed gives the same files.
    checkpoint
        last, best (by the held-out score), or a number of images.
    device
        auto, cpu, cuda, mps.
    """
    from evenodds.augment import augment as write
    from evenodds.cli.bar import Steps
    from evenodds.session import load

    session, names = load(run, checkpoint, device), split(filters)
    with Steps() as step:
        manifest = write(
            session,
            to,
            per_class=per_class,
            balance=balance,
            filters=[] if names == ["none"] else names,
            seed=seed,
            tries=tries,
            checkpoint=checkpoint,
            step=step,
            say=say,
        )
    for name in manifest["filters"]:
        passed, refused = (sum(c[what][name] for c in manifest["classes"].values()) for what in ("passed", "refused"))
        say(f"{name}: {passed:,} passed, {refused:,} refused")
    say(f"{manifest['written']:,} images in {len(manifest['classes'])} classes; how they were made: {to}/manifest.json")
    print(to)
