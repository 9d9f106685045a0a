"""Checkpoints: a folder of safetensors and one JSON file with the checksum of each. Nothing in them can execute."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from evenodds.errors import BadInput
from evenodds.files.write import replaced_folder, write_json
from evenodds.game.rules import State

__all__ = ["Damaged", "PlayersState", "Stateful", "listing", "load", "newest", "save"]

FORMAT = 1
HEADER = "checkpoint.json"


class Damaged(BadInput):
    """A checkpoint that is incomplete or was changed."""


@runtime_checkable
class Stateful(Protocol):
    """What a checkpoint keeps: players, learners, averages."""

    def state(self) -> State:
        """All that it needs to go on."""
        ...

    def restore(self, state: State) -> None:
        """Goes on from a state."""
        ...


@dataclass(frozen=True)
class PlayersState:
    """The parameters and buffers of players."""

    players: Mapping[str, nn.Module]

    def state(self) -> State:
        return State({f"{n}/{k}": v for n, player in self.players.items() for k, v in player.state_dict().items()})

    def restore(self, state: State) -> None:
        for name, player in self.players.items():
            prefix = f"{name}/"
            mine = {key.removeprefix(prefix): v for key, v in state.tensors.items() if key.startswith(prefix)}
            try:
                player.load_state_dict(mine)
            except RuntimeError as error:
                first = str(error).splitlines()[1:2] or [str(error)]
                raise BadInput(f"player '{name}' does not fit the checkpoint: {first[0].strip()}") from error


def save(folder: Path, parts: Mapping[str, Stateful], header: Mapping[str, Any]) -> None:
    """Writes a checkpoint folder, whole or not at all.

    Args:
        parts: what to keep, by name.
        header: JSON values beside it: progress, configuration, scores.

    Raises:
        OSError: the disk is full, say; earlier checkpoints are untouched.
    """
    with replaced_folder(folder) as temporary:
        entries = {}
        for name, part in parts.items():
            state = part.state()
            file = temporary / f"{name}.safetensors"
            # Contiguous clones: safetensors keeps neither strides nor shared memory.
            save_file({k: v.detach().cpu().contiguous().clone() for k, v in state.tensors.items()}, file)
            entries[name] = {"sha256": _checksum(file), "data": state.data}
        write_json(temporary / HEADER, {"format": FORMAT, **header, "parts": entries})


def read_header(folder: Path) -> dict[str, Any]:
    """The JSON of a checkpoint: format, progress, configuration, scores, parts."""
    try:
        header: dict[str, Any] = json.loads((folder / HEADER).read_text())
    except (OSError, ValueError) as error:
        raise Damaged(f"checkpoint {folder} has no readable {HEADER}: {error}") from error
    if header.get("format") != FORMAT:
        raise Damaged(f"checkpoint {folder} has format {header.get('format')}, this version reads {FORMAT}")
    return header


def load(folder: Path, device: torch.device | str = "cpu") -> tuple[dict[str, State], dict[str, Any]]:
    """The states of a checkpoint and its header.

    Raises:
        Damaged: a file is missing or its checksum differs.
    """
    header = read_header(folder)
    states = {}
    for name, entry in header["parts"].items():
        file = folder / f"{name}.safetensors"
        if not file.is_file() or _checksum(file) != entry["sha256"]:
            raise Damaged(f"checkpoint {folder} is damaged: {file.name} is missing or its checksum differs")
        try:
            states[name] = State(load_file(file, device=str(device)), entry["data"])
        except SafetensorError as error:
            raise Damaged(f"checkpoint {folder} is damaged: {file.name}: {error}") from error
    return states, header


def restore(parts: Mapping[str, Stateful], states: Mapping[str, State]) -> None:
    """Hands each part its state."""
    for name, part in parts.items():
        if name not in states:
            raise BadInput(f"the checkpoint holds no '{name}'; it has {', '.join(sorted(states))}")
        part.restore(states[name])


def listing(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name.isdigit())


def newest(folder: Path) -> tuple[dict[str, State], dict[str, Any], list[str]]:
    """The newest checkpoint that is whole.

    Returns:
        Its states, its header, and a sentence for each damaged one that was passed over.
    """
    complaints: list[str] = []
    for path in reversed(listing(folder)):
        try:
            return (*load(path), complaints)
        except Damaged as error:
            complaints.append(f"{error}; falling back to the one before")
    if complaints:
        raise Damaged(f"no checkpoint in {folder} can be read: {complaints[0]}")
    raise BadInput(
        f"no checkpoint in {folder}; the run stopped before its first was written: "
        f"evenodds resume {folder.parent} starts it from the beginning"
    )


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
