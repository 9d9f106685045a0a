"""The card of a run's folder, read without torch and without building anything."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from evenodds.errors import BadInput
from evenodds.export.card import facts_of
from evenodds.export.identity import changed_settings, identity
from evenodds.export.run_card import of_folder
from evenodds.export.words import FileCard
from evenodds.files.read import read_json
from evenodds.files.regular import open_regular
from evenodds.files.tensors import bytes_by_name
from evenodds.game import checkpoint
from evenodds.game.checkpoint import Header
from evenodds.runs.config import require_allowed
from evenodds.runs.config_files import read
from evenodds.version import __version__

__all__ = ["card_in_folder"]


def card_in_folder(folder: Path) -> dict[str, Any] | None:
    """`evenodds.export.run_card.card_of` of the newest checkpoint; None where anything is amiss: who opens the run says
    what."""
    try:
        config = read(folder / "config.yaml", with_parts=False)
        require_allowed(config, str(folder / "config.yaml"))
        data = read_json(folder / "data.json", FileCard)
        latest = checkpoint.listing(folder / "checkpoints")[-1]
        header = checkpoint.read_header(latest)
        name = identity(config, data.fingerprint, _weights(latest, header))
        settings = changed_settings(config)
        facts = facts_of(name, __version__, config.to_mapping(), settings, header.images, data)
        return facts | of_folder(folder, None, data.noun)
    except (BadInput, OSError, LookupError, ValueError, TypeError):
        return None


def _weights(latest: Path, header: Header) -> Iterator[tuple[str, str, bytes]]:
    """The tensors of the players that a user would get, see `evenodds.runs.session.load`: averages in place of those
    that have one."""
    tensors = _tensors(latest, header, "players")
    milestone = header.parts.get("milestone")
    beside = ["milestone"] if milestone is not None and milestone.data.get("reached") else []
    for part in [*beside, *(["average"] if "average" in header.parts else [])]:
        tensors |= _tensors(latest, header, part)
    for player, name in sorted(tensors):
        yield player, name, tensors[player, name]


def _tensors(latest: Path, header: Header, part: str) -> dict[tuple[str, str], bytes]:
    """The bytes of each tensor in a file of a checkpoint, by its player and its name there.

    Raises:
        BadInput: the checksum differs.
    """
    with open_regular(latest / f"{part}.safetensors") as file:
        content = file.read()
    if sha256(content).hexdigest() != header.parts[part].sha256:
        raise BadInput(f"the checksum of {part} differs")
    found = {}
    for name, numbers in bytes_by_name(content, latest / f"{part}.safetensors").items():
        player, _, key = name.partition("/")
        found[player, key] = numbers
    return found
