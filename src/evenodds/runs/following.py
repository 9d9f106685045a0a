"""A run of several processes: process 0 reads and writes its folder, and the others follow what it finds there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.files.read import as_type
from evenodds.files.tensors import digest_of
from evenodds.files.text import quoted
from evenodds.game import exchange, processes
from evenodds.game.checkpoint import newest
from evenodds.game.exchange import agreed
from evenodds.game.heartbeat import watched
from evenodds.game.rules import State
from evenodds.game.watch.verdict import Verdict
from evenodds.runs import remedy
from evenodds.runs.card import DataCard, read_card
from evenodds.runs.config import Config, from_mapping
from evenodds.runs.remedy import Remedy

__all__ = [
    "advise", "agreed_card", "agreed_config", "agreed_remedies", "agreed_states", "agreed_verdict", "company",
    "on_first", "require_same_data",
]  # fmt: skip

OTHERS = "process 0"
"""Where what the others follow is from, for messages."""


@contextmanager
def company(advice: str = "nothing was written yet: start it again") -> Iterator[None]:
    """Inside, the processes that a launcher has started work together, and look after each other.

    Args:
        advice: what to do where one is lost.
    """
    processes.join()
    with watched(advice):
        yield


def advise(folder: Path) -> None:
    """What to do from here on where a process is lost."""
    link = processes.joined()
    if link is not None:
        link.advice = f"start `evenodds resume {quoted(folder)}` to go on, by any number of processes"


def on_first(do: Callable[[], None]) -> None:
    """Does something in process 0 alone. The others wait, and fail as it does."""

    def done() -> bool:
        do()
        return True

    agreed(done)


def agreed_config(make: Callable[[], Config]) -> Config:
    """The configuration of process 0, on all."""
    if processes.size() == 1:
        return make()
    return from_mapping(agreed(lambda: make().to_mapping()), OTHERS)


def agreed_remedies(folder: Path) -> list[Remedy]:
    """The remedies of a run so far."""
    return as_type(agreed(lambda: [asdict(one) for one in remedy.read(folder)]), list[Remedy], OTHERS)


def agreed_card(folder: Path) -> DataCard | None:
    """What a run's folder says of its data; None where it says nothing yet."""
    if processes.size() == 1:
        return read_card(folder) if (folder / "data.json").is_file() else None
    card = agreed(lambda: read_card(folder).to_json() if (folder / "data.json").is_file() else None)
    return None if card is None else as_type(card, DataCard, OTHERS)


def agreed_verdict(make: Callable[[], Verdict | None]) -> Verdict | None:
    """An alarm of process 0, on all."""

    def made() -> dict[str, Any] | None:
        verdict = make()
        return None if verdict is None else asdict(verdict)

    values = agreed(made)
    return None if values is None else as_type(values, Verdict, OTHERS)


def agreed_states(folder: Path) -> tuple[dict[str, State], dict[str, Any]]:
    """The states of the newest whole checkpoint in a folder of process 0; and of it "path", "images" and "round"."""
    states: dict[str, State] = {}

    def facts() -> dict[str, Any]:
        path, found, header, _ = newest(folder)
        states.update(found)
        there = {} if header.progress is None else {"images": header.images, "round": header.progress.round}
        contents = {name: one.data for name, one in found.items()}
        return {"path": str(path), "images": header.images, "round": 0, **there, "states": contents}

    told = agreed(facts)
    tensors = {name: states[name].tensors if name in states else {} for name in told["states"]}
    return {name: State(exchange.handed(0, tensors[name]), dict(data)) for name, data in told["states"].items()}, told


def require_same_data(dataset: Dataset, items: torch.Tensor) -> None:
    """BadInput where processes read other data, or train on other items of them.

    Args:
        items: (n,) the indices of those that are trained on.
    """
    if processes.size() == 1:
        return
    try:
        exchange.same_on_all("the data", f"{dataset.fingerprint()} {digest_of([items])}")
    except BadInput as error:
        raise BadInput(f"{error}; give all processes the same files") from error
