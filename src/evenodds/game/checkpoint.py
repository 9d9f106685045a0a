"""Checkpoints: a folder of safetensors and one JSON file with the checksum of each. Nothing in them can execute."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from evenodds.errors import BadInput
from evenodds.files.misfit import shortened
from evenodds.files.names import is_link, safe_name
from evenodds.files.read import read_json
from evenodds.files.regular import sha256_of
from evenodds.files.tensors import has_declared_size, read_tensors, write_tensors
from evenodds.files.text import quoted
from evenodds.files.write import remove_folder, replaced_folder, write_json
from evenodds.game.schedule import Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from evenodds.game.rules import State

__all__ = [
    "Damaged", "Header", "Part", "PlayersState", "Stateful", "best_of", "images_of", "is_removable", "listing", "load",
    "newest", "newest_header", "read_header", "remove", "restore", "save",
]  # fmt: skip

T = TypeVar("T")
FORMAT = 1
HEADER = "checkpoint.json"
LARGEST = 10**15
"""Images of a run."""


class Damaged(BadInput):
    """A checkpoint that is incomplete or was changed. `reason` says in which way."""

    def __init__(self, folder: Path, reason: object) -> None:
        self.reason = f"the checkpoint {folder} is damaged: {reason}"
        others = [path for path in listing(folder.parent) if path.name != folder.name]
        other = f", or take another one with --checkpoint {images_of(others[-1])}" if others else ""
        super().__init__(f"{self.reason}; restore it from a copy{other}")


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
        from evenodds.game.rules import State

        return State({f"{n}/{k}": v for n, player in self.players.items() for k, v in player.state_dict().items()})

    def restore(self, state: State) -> None:
        for name, player in self.players.items():
            prefix = f"{name}/"
            mine = {key.removeprefix(prefix): v for key, v in state.tensors.items() if key.startswith(prefix)}
            try:
                player.load_state_dict(mine)  # which decides: some players take tensors of any length
            except RuntimeError as error:
                reason = misfit(mine, player.state_dict()) or " ".join(str(error).split())[:200]
                raise BadInput(f"player '{name}' does not fit the checkpoint: {reason}") from error


def misfit(state: Mapping[str, Tensor], needed: Mapping[str, Tensor]) -> str:
    """The first way in which tensors are others than those of a network, by name and shape; empty where they fit."""
    for name, tensor in needed.items():
        if name not in state:
            return f"{shortened(name)} is missing, one of {len(set(needed) - set(state)):,} tensors"
        if state[name].shape != tensor.shape:
            return f"{shortened(name)} must have the shape {_size(tensor)}, got {_size(state[name])}"
    unexpected = sorted(set(state) - set(needed))
    return f"{shortened(unexpected[0])} is not in the network, one of {len(unexpected):,} tensors" if unexpected else ""


def _size(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "of a single number"


def save(folder: Path, parts: Mapping[str, Stateful], header: Mapping[str, Any]) -> None:
    """Writes a checkpoint folder, whole or not at all.

    Args:
        parts: what to keep, by name.
        header: JSON values beside it: progress, configuration, scores.

    Raises:
        OSError: the disk is full, say; earlier checkpoints are untouched.
    """
    with replaced_folder(folder, remove) as temporary:
        entries = {}
        for name, part in parts.items():
            state = part.state()
            file = temporary / f"{name}.safetensors"
            # Contiguous clones: safetensors keeps neither strides nor shared memory.
            write_tensors({k: v.detach().cpu().contiguous().clone() for k, v in state.tensors.items()}, file)
            entries[name] = {"sha256": sha256_of(file), "data": state.data}
        write_json(temporary / HEADER, {"format": FORMAT, **header, "parts": entries})


@dataclass(frozen=True)
class Part:
    """What the header says of one file of states."""

    sha256: str
    """The file's digest, in hex."""
    data: dict[str, Any] = field(default_factory=dict)
    """Plain values beside its tensors."""


@dataclass(frozen=True)
class Header:
    """What a checkpoint says beside its tensors. Further keys, of later versions, are passed over."""

    format: int
    parts: dict[str, Part]
    progress: Progress | None = None
    config: dict[str, Any] = field(default_factory=dict)
    """The configuration without remedies, as plain values."""
    data: str = ""
    """The fingerprint of the data."""
    score: float | None = None
    """On held-out data, lower is better; None where it was not measured."""
    score_interval: tuple[float | None, float | None] | None = None
    copies: float = 0.0
    """The share of samples that were suspected copies of training items, beyond chance."""
    score_is: str | None = None
    """What the score measures."""
    remedies: int = 0
    """How many were in force."""

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise BadInput(f"format {shortened(self.format)} is not {FORMAT}, which this version reads")
        for name in self.parts:
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", name) or safe_name(name) != name:
                raise BadInput(f"a part is named by letters and digits, got {shortened(name)}")
        progress = self.progress
        if progress is not None and not 0 <= progress.round <= progress.images <= LARGEST:
            raise BadInput(f"the progress must have 0 <= round <= images <= {LARGEST:,}, got {progress}")

    @property
    def images(self) -> int:
        """Images shown when it was made."""
        return self.progress.images if self.progress is not None else 0


def read_header(folder: Path) -> Header:
    """What a checkpoint says of itself.

    Raises:
        Damaged: it cannot be read.
    """
    try:
        return read_json(folder / HEADER, Header, advice="")
    except BadInput as error:
        raise Damaged(folder, error) from error


def load(
    folder: Path, device: torch.device | str = "cpu", needed: Collection[str] | None = None
) -> tuple[dict[str, State], Header]:
    """The states of a checkpoint and its header.

    Args:
        needed: the names of the parts to read, where the checkpoint has them; None for all.

    Raises:
        Damaged: a file is missing or its checksum differs.
        BadInput: a file may not be read by this user.
    """
    header = read_header(folder)
    names = [name for name in header.parts if needed is None or name in needed]
    return {name: _state(folder, name, header.parts[name], device) for name in names}, header


def _state(folder: Path, name: str, part: Part, device: torch.device | str) -> State:
    """One file of states."""
    from evenodds.game.rules import State

    file = folder / f"{name}.safetensors"
    if file.is_file() and not os.access(file, os.R_OK):
        raise BadInput(f"{file} may not be read by this user; its owner can let you: chmod -R go+rX {folder}")
    try:
        if not has_declared_size(file) or sha256_of(file) != part.sha256:
            raise BadInput(f"{file.name} is missing or its checksum differs")
        return State(read_tensors(file, "", device), dict(part.data))
    except BadInput as error:
        raise Damaged(folder, error) from error


def images_of(folder: Path) -> int:
    """Images shown when a checkpoint was made, by its folder's name."""
    return int(folder.name)


def restore(parts: Mapping[str, Stateful], states: Mapping[str, State]) -> None:
    """Hands each part its state.

    Raises:
        BadInput: a part has no state, or one that does not fit it.
    """
    for name, part in parts.items():
        if name not in states:
            raise BadInput(f"the checkpoint holds no '{name}'; it has {', '.join(sorted(states))}")
        try:
            part.restore(states[name])
        except BadInput:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise BadInput(f"'{name}' does not fit the checkpoint ({type(error).__name__}: {reason})") from error


def listing(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first: the folders that are named by a number of images."""
    if not folder.is_dir():
        return []
    numbered = [path for path in folder.iterdir() if path.name.isascii() and path.name.isdecimal() and path.is_dir()]
    return sorted((path for path in numbered if len(path.name) <= 18), key=lambda path: (int(path.name), path.name))


def is_removable(folder: Path) -> bool:
    """Whether a checkpoint folder is no link, and holds nothing but files of a checkpoint."""
    if is_link(folder.parent) or is_link(folder) or not folder.is_dir():
        return False
    return all(
        path.is_file() and not is_link(path) and (path.name == HEADER or path.suffix == ".safetensors")
        for path in folder.iterdir()
    )


def remove(folder: Path) -> None:
    """Removes a checkpoint.

    Raises:
        BadInput: the folder, or the one that it is in, is a link, or it holds files that are not a checkpoint's.
    """
    if not is_removable(folder):
        raise BadInput(
            f"{folder} must be removed, but is reached by a link or holds files that the run did not write; "
            "move these files away, or put the folder itself in place of the link"
        )
    remove_folder(folder)


def newest(
    folder: Path, needed: Collection[str] | None = None, device: torch.device | str = "cpu"
) -> tuple[Path, dict[str, State], Header, list[str]]:
    """The newest checkpoint of which all that is needed is whole.

    Args:
        needed: see `load`.

    Returns:
        Its folder, its states, its header, and a sentence for each damaged one that was passed over.
    """
    path, (states, header), complaints = _newest(folder, lambda path: load(path, device, needed))
    return path, states, header, complaints


def newest_header(folder: Path) -> tuple[Header, list[str]]:
    """What the newest checkpoint says of which no file is cut short, and a sentence for each that was passed over.

    Checksums are not compared, and no tensor is read.
    """
    _, header, complaints = _newest(folder, _of_whole_files)
    return header, complaints


def _of_whole_files(folder: Path) -> Header:
    """The header of a checkpoint; Damaged where a file of it is missing or cut short."""
    header = read_header(folder)
    for name in header.parts:
        if not has_declared_size(folder / f"{name}.safetensors"):
            raise Damaged(folder, f"{name}.safetensors is missing or cut short")
    return header


def _newest(folder: Path, read: Callable[[Path], T]) -> tuple[Path, T, list[str]]:
    """The newest checkpoint that can be read, what is read of it, and a sentence for each that was passed over."""
    complaints: list[str] = []
    damaged: Damaged | None = None
    for path in reversed(listing(folder)):
        try:
            return path, read(path), complaints
        except Damaged as error:
            complaints.append(f"{error.reason}; falling back to the one before")
            damaged = damaged or error
    if damaged is not None:
        raise damaged
    raise BadInput(
        f"no checkpoint in {folder}; the run stopped before its first was written: "
        f"evenodds resume {quoted(folder.parent)} starts it from the beginning"
    )


def best_of(folder: Path) -> Path | None:
    """The checkpoint with the lowest score, of those whose samples are no copies if there are any; None without scores.

    Copies of training items have good scores: they look like real ones.
    """
    scored = []
    for path in listing(folder):
        try:
            header = read_header(path)
        except Damaged:
            continue
        if header.score is not None:
            scored.append((header.copies > 0, header.score, path))
    return min(scored)[2] if scored else None
