"""What of a run's folder is handed on: all that samples and a resume need, without places, names of files and data."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evenodds.errors import BadInput, unknown
from evenodds.export.manifest import CARD, FORMAT, Manifest, described, write_manifest
from evenodds.export.page import LICENCES, page
from evenodds.export.run_card import card_of
from evenodds.files.lock import holder_of
from evenodds.files.names import real
from evenodds.files.outputs import RECORD, Outputs, State, Written
from evenodds.files.read import read_json
from evenodds.files.regular import sha256_of
from evenodds.files.text import visible
from evenodds.files.write import write_json, write_json_lines, write_text
from evenodds.game import checkpoint
from evenodds.game.history import read_history
from evenodds.runs.anonymous import anonymous
from evenodds.runs.card import read_card
from evenodds.runs.config import from_mapping
from evenodds.runs.config_files import read
from evenodds.runs.folder_facts import LEARNED_BESIDE
from evenodds.runs.origin import read_origins
from evenodds.runs.remembering import rows_kept
from evenodds.runs.run_data import data_place
from evenodds.runs.session import Session
from evenodds.version import __version__

__all__ = ["EXTRAS", "Handed", "require_licence", "stage"]

EXTRAS = ("pictures", "values", "rows")
"""What is handed on only where it is asked for: pictures in which items of the data are seen; attributes or values of
up to 1,000 items, by which samples are asked for where nothing else is; rows of a table that a filler looks up."""
PICTURES = {"samples.png": "sample", "walk.png": "walk", "walk.gif": "walk", "answers.png": "train"}
"""Pictures in the folder, and the command that writes each."""
HEADER = (
    "format", "config", "data", "score_is", "remedies", "progress", "seed", "draws", "score", "score_interval",
    "copies", "parts",
)  # fmt: skip
"""What of a checkpoint's header is handed on."""
ENVIRONMENT = ("evenodds", "python", "torch", "numpy", "machine", "device", "threads", "processes")
EVALUATION = (
    "schema", "evenodds", "subject", "reference", "fingerprint", "comparable", "features_seen", "scores",
    "memorisation", "equilibrium", "likelihood", "classes", "columns", "outside", "hidden",
    "verdict", "sound", "seconds",
)  # fmt: skip
ANOTHER = "another run"


@dataclass(frozen=True)
class Handed:
    """What was put into a folder.

    Args:
        left_out: sentences on what was not, and how it is.
    """

    manifest: Manifest
    left_out: tuple[str, ...]


def require_licence(licence: str | None) -> str:
    """The licence under which a run is handed on; BadInput where none is stated."""
    if licence is None:
        raise BadInput(
            "say under which licence the run is handed on, and mind that of its data: add --licence apache-2.0, "
            "cc-by-4.0, cc-by-nc-4.0, ... or other"
        )
    if licence.lower() not in LICENCES:
        raise unknown("licence that hubs know", licence, LICENCES)
    return licence.lower()


def stage(
    session: Session, target: Path, licence: str, extra: Collection[str] = (), name: str = "OWNER/NAME"
) -> Handed:
    """Puts what is handed on of a run into an empty folder, its page and the list of its sums too.

    Args:
        session: the run at its last checkpoint.
        licence: see `require_licence`.
        extra: of EXTRAS.
        name: under which it can be pulled, for the page.

    Raises:
        BadInput: the run is written to at this moment, or a file would hold a path of this machine.
    """
    for one in extra:
        if one not in EXTRAS:
            raise unknown("thing to hand on with a run", one, EXTRAS)
    kept = rows_kept(session.players.values())
    if kept and "rows" not in extra:
        raise BadInput(
            f"the run keeps {kept:,} rows of its data, which it looks up, and fills nothing without them; add --with "
            "rows to hand these rows on"
        )
    _require_still(session.folder)
    left_out = _copy_all(session, target, extra)
    facts = card_of(session, licence)
    write_text(target / CARD, page(session, facts, target, name))
    _require_placeless(target, _places(session))
    fingerprint, past = facts["data"]["fingerprint"], tuple(read_origins(session.folder))
    about = (facts["run"], session.config.recipe, session.images, fingerprint, licence, past)
    manifest = Manifest(FORMAT, __version__, *about, described(target))
    write_manifest(target, manifest)
    return Handed(manifest, tuple(left_out))


def _require_still(folder: Path) -> None:
    """BadInput where a process writes to the folder."""
    holder = holder_of(folder)
    if holder is not None and holder.process.alive() is not False:
        raise BadInput(f"{folder} is written to by {holder}; push it when that has ended")


# Files ---------------------------------------------------------------------------------------------------------------


def _copy_all(session: Session, target: Path, extra: Collection[str]) -> list[str]:
    """Copies every file in the form in which it is handed on; sentences on what is left out."""
    source = session.folder
    write_text(target / "config.yaml", anonymous(read(source / "config.yaml")).to_yaml())
    left_out = _copy_card(source, target, extra)
    _copy_facts(source, target)
    for path in checkpoint.listing(source / "checkpoints"):
        _copy_checkpoint(path, target / "checkpoints" / path.name)
    for name in LEARNED_BESIDE:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    pictures = _copy_pictures(session, target, "pictures" in extra)
    _write_record(source, target, pictures)
    if session.task.snapshot_items and "pictures" not in extra:
        left_out.append("pictures are left out, as items of the data are seen in them (--with pictures)")
    return left_out


def _copy_card(source: Path, target: Path, extra: Collection[str]) -> list[str]:
    """What is known of the data, without places, names of files and checksums of single items."""
    card, left_out = read_card(source), []
    if card.examples and "values" not in extra:
        left_out.append(
            f"{', '.join(card.conditions.names) if card.conditions else 'values'} of {len(card.examples):,} items of "
            "the data are left out: samples are asked for with --given (--with values)"
        )
        card = replace(card, examples=None)
    write_json(target / "data.json", replace(card, blocks=(), place=None, report=()).to_json())
    return left_out


def _copy_facts(source: Path, target: Path) -> None:
    """The history, and the facts beside it, each with the entries that are known to hold nothing of the owner's."""
    history = source / "metrics.jsonl"
    if history.is_file():
        write_json_lines(target / history.name, read_history(history).values)
    changes: dict[str, Callable[[Any], Any]] = {
        "environment.json": lambda facts: _only(facts, ENVIRONMENT),
        "choices.json": lambda choices: [_choice(one) for one in choices],
        "remedies.json": lambda remedies: remedies,
        "evaluation.json": _evaluation,
    }
    for name, change in changes.items():
        if (source / name).is_file():
            kind = list[dict[str, Any]] if name in ("choices.json", "remedies.json") else dict[str, Any]
            write_json(target / name, change(read_json(source / name, kind)))


def _only(facts: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: facts[key] for key in keys if key in facts}


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice without the name of the run that weights were taken from."""
    if choice.get("setting") != "from":
        return choice
    name = Path(str(choice.get("value"))).name
    reason = str(choice.get("reason", "")).replace(f"weights of {name} ", f"weights of {ANOTHER} ")
    return {**choice, "value": ANOTHER, "reason": reason}


def _evaluation(content: dict[str, Any]) -> dict[str, Any]:
    """An evaluation without places, and without single items that samples are suspected to be copies of."""
    evaluation = _only(content, EVALUATION)
    for side in ("subject", "reference"):
        if isinstance(evaluation.get(side), dict):
            evaluation[side] = {**evaluation[side], "path": "not handed on"}
    if isinstance(evaluation.get("memorisation"), dict):
        evaluation["memorisation"] = {**evaluation["memorisation"], "suspects": []}
    return evaluation


def _copy_checkpoint(source: Path, target: Path) -> None:
    """The files of a checkpoint as they are, and its header without where the data lie."""
    header = checkpoint.read_header(source)
    target.mkdir(parents=True)
    for name in header.parts:
        shutil.copyfile(source / f"{name}.safetensors", target / f"{name}.safetensors")
    facts = _only(read_json(source / checkpoint.HEADER, dict[str, Any]), HEADER)
    if header.config:
        facts["config"] = anonymous(from_mapping(header.config, str(source))).to_mapping()
    write_json(target / checkpoint.HEADER, facts)


def _copy_pictures(session: Session, target: Path, all_of_them: bool) -> dict[str, str]:
    """Copies pictures of samples that evenodds wrote; name -> the command that did."""
    if session.task.snapshot_items and not all_of_them:
        return {}
    for path in sorted((session.folder / "samples").glob("[0-9]*.png")):
        if path.stem.isdecimal() and len(path.stem) <= 18:
            (target / "samples").mkdir(exist_ok=True)
            shutil.copyfile(path, target / "samples" / path.name)
    written = {}
    for name, command in PICTURES.items():
        if Outputs(session.folder, command).state(session.folder / name) is State.WRITTEN:
            shutil.copyfile(session.folder / name, target / name)
            written[name] = command
    return written


def _write_record(source: Path, target: Path, pictures: Mapping[str, str]) -> None:
    """The record of which command wrote what, so that the commands may replace it where the run goes on."""
    commands = {**pictures, "data.json": "train", "environment.json": "train", "choices.json": "train"}
    commands |= {"evaluation.json": "evaluate"}
    lines = []
    for name, command in commands.items():
        if (target / name).is_file():
            entry = Written(name, command, (target / name).stat().st_size, sha256_of(target / name))
            lines.append({key: value for key, value in vars(entry).items() if value is not None})
    write_json_lines(target / RECORD, lines)


# Places --------------------------------------------------------------------------------------------------------------

_TEXTS = (".json", ".jsonl", ".yaml", ".md", ".png", ".gif")


def _places(session: Session) -> list[str]:
    """Paths of this machine that nobody is told: of the user's home, of the run and of its data."""
    data, before = data_place(session.config), session.card.place
    places = [real(Path.home()), real(session.folder), *(Path(place) for place in (data, before) if place)]
    return [str(place) for place in places if len(place.parts) > 1]


def _require_placeless(folder: Path, places: Iterable[str]) -> None:
    """BadInput where a file holds one of these paths."""
    secrets = [(place, form.encode()) for place in places for form in {json.dumps(place)[1:-1], visible(place)}]
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.suffix in _TEXTS else b""
        for place, secret in secrets:
            if secret + os.sep.encode() in content or secret + b'"' in content:
                name = path.relative_to(folder).as_posix()
                raise BadInput(
                    f"{name} would tell others the path {place}; nothing was written: take the setting or the text "
                    f"that names it out of {name} in the run's folder"
                )
