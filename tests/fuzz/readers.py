"""What of evenodds reads each file of a run, called in this process on a run folder that was changed.

A command spends most of its time on what has nothing to do with the change. Here the same changes, of the same seeds
(tests.fuzz.cases.drawn), meet the readers alone: those of the files that were changed, and all of them where a folder
was changed. Each must return, or raise BadInput of one line; and no file may change.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from evenodds.errors import BadInput
from evenodds.evaluation.compare import compare
from evenodds.evaluation.evaluate import read as read_evaluation
from evenodds.files.lock import holder_of
from evenodds.files.outputs import Outputs
from evenodds.files.tensors import read_tensors_and_words
from evenodds.game import checkpoint
from evenodds.game.checkpoint import best_of
from evenodds.game.history import read_history
from evenodds.runs import remedy
from evenodds.runs.build import build_learner, build_players, build_task
from evenodds.runs.card import DataCard, read_card
from evenodds.runs.changes import difference
from evenodds.runs.config import Config, from_mapping, require_allowed
from evenodds.runs.config_files import read
from evenodds.runs.doctor import Examination
from evenodds.runs.doctor import examine as examine_all
from evenodds.runs.run_data import data_place
from evenodds.runs.sample_conditions import SampleConditions
from evenodds.runs.session import load
from evenodds.runs.summary import summary
from evenodds.show.page.content import Content
from evenodds.show.page.page import page
from tests.fuzz.cases import Outcome, TooLong, contents, drawn, limited
from tests.fuzz.mutations import files_of, mutate
from tests.fuzz.watch import watched

__all__ = ["READERS", "Bench", "play_readers"]

Status = tuple[int, ...]
"""Of a file: inode, mode, size, and time of the last change."""


@dataclass(frozen=True)
class Untouched:
    """What a run says before it is changed; readers of one file take the others from here."""

    run: Path

    @cached_property
    def config(self) -> Config:
        return read(self.run / "config.yaml")

    @cached_property
    def card(self) -> DataCard:
        return read_card(self.run)

    @cached_property
    def players(self) -> dict[str, nn.Module]:
        return build_players(self.config, build_task(self.config, self.card), self.card.shape, self.card.row_blocks)


Reader = Callable[[Path, Untouched], object]
MOST_DRAWN = 1000
"""Lines of a history of which the charts are drawn here; more take their time and show nothing new."""


# The readers ---------------------------------------------------------------------------------------------------------


def _config(run: Path, untouched: Untouched) -> None:
    """The configuration, and what is built of it: players and their optimizers."""
    config = read(run / "config.yaml")
    require_allowed(config, "config.yaml")
    data_place(config)
    difference(config, untouched.config)
    if replace(config, data=None) == replace(untouched.config, data=None):
        return
    players = build_players(config, build_task(config, untouched.card), untouched.card.shape, untouched.card.row_blocks)
    build_learner(replace(config, device="cpu"), players)


def _card(run: Path, untouched: Untouched) -> None:
    """The data card, and what samples are made with: the task, its conditions, units, colours."""
    card = read_card(run)
    card.to_json()
    if card == untouched.card:
        return
    task = build_task(untouched.config, card)
    conditions = SampleConditions(task, card)
    if task.draws:
        conditions.for_samples(2, 0, 256, None, None)
    if card.units.columns:
        card.texts(card.units.to_data(torch.zeros(2, *card.shape)).numpy())
        card.cells(card.units.to_data(torch.ones(2, *card.shape)).numpy())
        build_players(untouched.config, task, card.shape, card.row_blocks)
        return
    size = 1 if card.kind != "image" else card.shape[0]
    x = np.zeros((1, *card.shape[:1], *[1] * (len(card.shape) - 1)) if size > 1 else (1, 1, *card.shape[1:]))
    card.eight_bit(np.asarray(card.units.to_data(card.to_model(x.astype(np.float32)))))
    if card.shape != untouched.card.shape or card.beside != untouched.card.beside:
        build_players(untouched.config, task, card.shape, card.row_blocks)


def _header(run: Path, untouched: Untouched) -> None:
    """What checkpoints say of themselves, as resume, show and the choice of the best read it."""
    best_of(run / "checkpoints")
    for path in checkpoint.listing(run / "checkpoints"):
        header = checkpoint.read_header(path)
        if header.config:
            difference(untouched.config, from_mapping(header.config, "the checkpoint"))
        checkpoint.is_removable(path)


def _states(run: Path, untouched: Untouched) -> None:
    """The tensors of checkpoints, and the players that take them."""
    _, states, _, _ = checkpoint.newest(run / "checkpoints")
    checkpoint.restore({"players": checkpoint.PlayersState(untouched.players)}, states)


def _history(run: Path, untouched: Untouched) -> None:
    """The history, and its charts."""
    history = read_history(run / "metrics.jsonl")
    if len(history.values) < MOST_DRAWN:
        page(Content("a run", "", {}, {}, history.values, {}, {}))


def _evaluation(run: Path, untouched: Untouched) -> None:
    """The evaluation, its comparison with itself, and the page that shows it."""
    evaluation = read_evaluation(run)
    compare({"a": evaluation, "b": evaluation})
    page(Content("a run", "", evaluation.content, {}, [], {}, {}))


def _remedies(run: Path, untouched: Untouched) -> None:
    """The remedies, in words and applied."""
    remedies = remedy.read(run)
    require_allowed(remedy.applied(untouched.config, remedies), remedy.FILE)
    [str(one) for one in remedies]


def _encoder(run: Path, untouched: Untouched) -> None:
    """The encoder's tensors, and the words beside them."""
    read_tensors_and_words(run / "encoder.safetensors")


def _record(run: Path, untouched: Untouched) -> None:
    """The record of what was written to the folder."""
    outputs = Outputs(run, "train")
    for path in outputs.earlier():
        outputs.state(path)


def _checked(place: str) -> Reader:
    """One of the checks of `evenodds doctor`, its errors not taken for findings."""

    def check(run: Path, untouched: Untouched) -> None:
        [*dict(Examination(run, untouched.config, untouched.card).checks(None, False, None))[place]()]

    check.__name__ = f"doctor, {place}"
    return check


READERS: Mapping[str, tuple[Reader, ...]] = {
    "config.yaml": (_config,),
    "data.json": (_card, _checked("data.json")),
    "checkpoints/*/checkpoint.json": (_header,),
    "checkpoints/*/players.safetensors": (_states,),
    "checkpoints/*/*": (_states,),
    "metrics.jsonl": (_history,),
    "evaluation.json": (_evaluation, _checked("evaluation.json")),
    "remedies.json": (_remedies, _checked("remedies.json")),
    "choices.json": (_checked("choices.json"),),
    "environment.json": (_checked("environment.json"),),
    "encoder.safetensors": (_encoder, _checked("encoder.safetensors")),
    ".evenodds.jsonl": (_record,),
    ".lock": (lambda run, untouched: holder_of(run),),
    "*.png": (_checked("pictures"),),
    "*.gif": (_checked("pictures"),),
    "*": (_checked("."),),
}
"""By the pattern of a file's path in its run, what reads it. The first pattern that fits decides."""
WHOLE: tuple[Reader, ...] = (
    lambda run, untouched: load(run, device="cpu"),
    lambda run, untouched: summary(run),
    lambda run, untouched: examine_all(run, read_data=False),
)
"""What reads a run as a whole."""
WHOLE_EVERY = 64
"""Cases from one that meets a reader of the whole run to the next."""
SCANNED_EVERY = 16
"""Cases from one after which the whole run is looked at, whether a reader changed it, to the next."""
LARGEST = 2**24
"""Bytes of a file that is no longer told from others of its size."""


# Cases ---------------------------------------------------------------------------------------------------------------


class Bench:
    """A copy of each run, changed by a case and put right after it.

    Args:
        home: with the runs of tests.fuzz.runs.
        scratch: an empty folder, best in memory.
    """

    def __init__(self, home: Path, scratch: Path) -> None:
        self.home, self.scratch = home, scratch
        self.played: set[tuple[str, bytes]] = set()
        """The families and digests of the changes that were played."""
        self._statuses: dict[str, dict[str, Status]] = {}
        self._files: dict[str, list[str]] = {}
        self._untouched: dict[str, Untouched] = {}

    def run(self, family: str) -> Path:
        """The folder of a family's run, as it was trained, beside one of the user's."""
        run = self.scratch / family / "run"
        if family not in self._statuses:
            for name in ("mine.txt", "000000000001/mine.txt"):
                path = self.scratch / family / "user" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("mine", "utf-8")
            for path, content in self.pristine(family).items():
                _put(run / path, content)
            self._statuses[family], self._files[family] = statuses(self.scratch / family), files_of(run)
        return run

    def pristine(self, family: str) -> Mapping[str, bytes | None]:
        """The files of a run as it was trained."""
        return contents(self.home / "runs" / family)

    def files(self, family: str) -> list[str]:
        """The paths of the regular files of a run as it was trained."""
        return self._files[family]

    def untouched(self, family: str) -> Untouched:
        """What the run of a family says before it is changed."""
        return self._untouched.setdefault(family, Untouched(self.home / "runs" / family))

    def changed(self, family: str) -> set[str]:
        """The paths of what is not as `run` gave it, relative to the run."""
        now, before = statuses(self.scratch / family), self._statuses[family]
        return {path.removeprefix("run/") for path in {**before, **now} if now.get(path) != before.get(path)}

    def put_right(self, family: str, changed: set[str]) -> None:
        """Restores the run after a case that changed these paths of it."""
        base, pristine = self.scratch / family, self.pristine(family)
        if any(path.startswith("user") or path not in pristine for path in changed):
            shutil.rmtree(base)
            del self._statuses[family]
            self.run(family)
            return
        for path in sorted(changed):
            _clear(base / "run" / path)
            _put(base / "run" / path, pristine[path])
            self._statuses[family][f"run/{path}"] = status(os.lstat(base / "run" / path))


def statuses(base: Path) -> dict[str, Status]:
    """What the file system says of all files and folders below a folder, by their relative paths."""
    found: dict[str, Status] = {}
    stack = [("", os.fspath(base))]
    while stack:
        prefix, place = stack.pop()
        for entry in os.scandir(place):
            found[f"{prefix}{entry.name}"] = status(entry.stat(follow_symlinks=False))
            if entry.is_dir(follow_symlinks=False):
                stack.append((f"{prefix}{entry.name}/", entry.path))
    return found


def status(one: os.stat_result) -> Status:
    """What must not change; a folder changes with the files in it."""
    return one.st_ino, one.st_mode, *((0, 0) if stat.S_ISDIR(one.st_mode) else (one.st_size, one.st_mtime_ns))


def _put(path: Path, content: bytes | None) -> None:
    """A file, or a folder where the content is None."""
    if content is None:
        path.mkdir(parents=True, exist_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _clear(path: Path) -> None:
    """Removes whatever is at a path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def play_readers(seed: int, bench: Bench) -> Outcome:
    """Plays the change of a seed against the readers of what it changes, unless the same change was played before."""
    rng, _, family = drawn(seed)
    run, untouched = bench.run(family), bench.untouched(family)
    mutation, changed = mutate(run, rng, bench.files(family))
    if "" in changed:
        changed = bench.changed(family)
    start = time.process_time()
    readers = readers_of(changed, seed)
    wrong, refused, again = [], False, False
    key = (family, digest_of(run, changed))
    if key in bench.played:
        again = True
    else:
        bench.played.add(key)
        with watched((bench.scratch / "nothing",), run) as noted:
            for answer in answers(readers, run, untouched):
                wrong += [answer[1]] if answer[0] == "wrong" else []
                refused |= answer[0] == "refused"
        wrong += noted
    seconds = time.process_time() - start
    if seed % SCANNED_EVERY == 0 and (after := bench.changed(family) - changed):
        wrong.append(f"a reader changed {sorted(after)}")
        changed |= after
    bench.put_right(family, changed)
    what = "again" if again else "refused" if refused else "read"
    return Outcome(seed, f"readers of {family}", mutation, "; ".join(wrong), what, seconds)


def digest_of(run: Path, changed: set[str]) -> bytes:
    """Of what stands at the changed paths."""
    total = hashlib.blake2b(digest_size=16)
    for name in sorted(changed):
        path = run / name
        total.update(name.encode(errors="surrogateescape") + b"\0")
        try:
            one = os.lstat(path)
        except FileNotFoundError:
            continue
        total.update(str((stat.S_IFMT(one.st_mode), one.st_size)).encode())
        if stat.S_ISLNK(one.st_mode):
            total.update(os.fsencode(os.readlink(path)))
        elif stat.S_ISREG(one.st_mode) and one.st_size < LARGEST:
            total.update(path.read_bytes())
    return total.digest()


def readers_of(changed: set[str], seed: int) -> list[Reader]:
    """What reads the files that were changed, each once, and now and then a reader of the whole run."""
    readers: dict[Reader, None] = {}
    for name in sorted(changed):
        readers |= dict.fromkeys(_of(name))
        if name == "checkpoints" or name.count("/") == 1:  # a folder was changed
            readers |= dict.fromkeys((_header, _states))
    if seed % WHOLE_EVERY == 0:
        readers[WHOLE[seed // WHOLE_EVERY % len(WHOLE)]] = None
    return list(readers)


@cache
def _of(name: str) -> tuple[Reader, ...]:
    return next(found for pattern, found in READERS.items() if fnmatch(name, pattern))


def answers(readers: list[Reader], run: Path, untouched: Untouched) -> list[tuple[str, str]]:
    """What each reader made of a run: "read", "refused", or "wrong" and in which way; the limits are of all."""
    try:
        with limited():
            return [answered(reader, run, untouched) for reader in readers]
    except TooLong as error:
        return [("wrong", str(error))]


def answered(reader: Reader, run: Path, untouched: Untouched) -> tuple[str, str]:
    """What a reader made of a run."""
    try:
        reader(run, untouched)
    except TooLong:
        raise
    except BadInput as error:
        said: Any = str(error)
        broken = "\n" in said or len(said) > 4000
        return ("wrong", f"not one line: {said[:100]!r}") if broken else ("refused", "")
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if "evenodds" in frame.filename] or [last]
        place = f"{Path(own[-1].filename).name}:{own[-1].name}"
        name = getattr(reader, "__name__", "")
        return "wrong", f"{name}: {type(error).__name__} in {place}: {' '.join(str(error).split())[:120]}"
    return "read", ""
