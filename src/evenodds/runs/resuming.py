"""The folder of a run that goes on: what is swept from it, what must fit, and what is written anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.files.outputs import Outputs
from evenodds.files.read import read_json
from evenodds.files.text import quoted
from evenodds.files.write import sweep, write_json
from evenodds.game import checkpoint
from evenodds.runs.assembly import Run
from evenodds.runs.card import DataCard
from evenodds.runs.changes import difference
from evenodds.runs.config import Config, from_mapping
from evenodds.runs.config_files import read
from evenodds.runs.folder_facts import Played, processes_of
from evenodds.runs.folders import placed
from evenodds.runs.remedy import Remedy
from evenodds.runs.run_data import data_place
from evenodds.runs.values import Part

__all__ = ["looked_up", "moved", "note_processes", "read_swept"]


def read_swept(folder: Path) -> Config:
    """The configuration in a run's folder, from which what a killed process left behind is removed."""
    for place in (folder, folder / "checkpoints", folder / "samples"):
        sweep(place)
    return read(folder / "config.yaml")


def looked_up(
    folder: Path,
    config: Config,
    saved: Config,
    dataset: Dataset,
    remedies: Sequence[Remedy],
    say: Callable[[str], None],
) -> bool:
    """Whether a run starts from the beginning; BadInput where what is there does not fit.

    Args:
        config: with changes.
        saved: as it was.
    """
    if checkpoint.listing(folder / "checkpoints"):
        _, _, header, complaints = checkpoint.newest(folder / "checkpoints")
        for line in complaints:
            say(line)
        require_fit(config, dataset, header)
        if config.images != saved.images and config.images < header.images:
            raise BadInput(
                f"{folder} has shown {header.images:,} {dataset.noun}, so {config.images:,} cannot be its length; "
                "ask for more with --images, or leave it out"
            )
        say(f"resuming at {header.images:,} of {config.images:,} {dataset.noun}")
        if header.images >= config.images:
            say(
                "the run has its whole length, and what it leaves is written again; a longer one: "
                f"`evenodds resume {quoted(folder)} --images {2 * config.images}`"
            )
        return False
    if remedies:  # a remedy may have gone back to the very beginning
        return False
    unplayed = checkpoint.Header(checkpoint.FORMAT, {}, config=saved.to_mapping(), data=dataset.fingerprint())
    require_fit(config, dataset, unplayed)
    say("the run stopped before its first checkpoint: it starts from the beginning")
    return True


def note_processes(folder: Path, run: Run) -> None:
    """Adds to environment.json by how many processes a run goes on, where these are others than before."""
    path, images = folder / "environment.json", 0
    before = processes_of(path)
    if before is None or (before[-1].processes if before else 1) == run.engine.size:
        return
    if checkpoint.listing(folder / "checkpoints"):
        images = checkpoint.newest(folder / "checkpoints", needed=())[2].images
    facts = read_json(path, dict[str, Any]) if path.is_file() else {}
    played = [asdict(one) for one in (*(before or [Played()]), Played(images, run.engine.size))]
    with Outputs(folder, "train").updated(path) as temporary:
        write_json(temporary, {**facts, "processes": played})


def moved(folder: Path, config: Config, card: DataCard | None, data: str | Path) -> Config:
    """The configuration of a run whose data lie elsewhere now; data.json is told."""
    config = replace(config, data=placed(replace(config.data or Part(""), name=str(data))))
    if card is not None:
        with Outputs(folder, "train").updated(folder / "data.json") as temporary:
            write_json(temporary, replace(card, place=data_place(config)).to_json())
    return config


def require_fit(config: Config, dataset: Dataset, header: checkpoint.Header) -> None:
    """BadInput where a checkpoint is of another configuration or of other data."""
    saved = from_mapping(header.config, "the checkpoint")
    misfits = difference(replace(config, data=saved.data), saved)  # the place of the data may change
    if misfits:
        raise BadInput(f"the configuration does not fit the checkpoint: {'; '.join(misfits)}")
    if dataset.fingerprint() != header.data:
        raise BadInput("data: this is not what the run was trained on (its fingerprint differs)")
