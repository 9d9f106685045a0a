"""Resumed = uninterrupted, bit for bit; the same seed twice = the same bits; damage falls back, said aloud."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch

from evenodds.cli import main
from evenodds.errors import BadInput
from evenodds.game import checkpoint
from evenodds.game.trainer import Training
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.fit import fit
from evenodds.runs.run import resume, start

IMAGES = 560
SMALL = {
    "images": IMAGES,
    "batch": 16,
    "generator.width": 8,
    "discriminator.width": 8,
    "penalty_every": 3,
    "held_out": 0.05,
    "views": "translation",
    "save_share": 0.1,
    "evaluate_share": 0.5,
    "device": "cpu",
}


class StopAt:
    """Ends the run after some images, as an interruption would."""

    def __init__(self, images: int) -> None:
        self.images = images

    def begin(self, training: Training) -> None: ...

    def after_round(self, training: Training) -> None:
        training.stop = training.stop or training.progress.images >= self.images

    def end(self, training: Training) -> None: ...


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    _, states, header, _ = checkpoint.newest(folder / "checkpoints")
    assert header.images == IMAGES
    return {f"{part}/{name}": value for part, state in states.items() for name, value in state.tensors.items()}


def same(a: Path, b: Path) -> None:
    mine, other = tensors(a), tensors(b)
    assert mine.keys() == other.keys()
    assert len(mine) > 40
    for name in mine:
        assert torch.equal(mine[name], other[name]), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    start(with_settings(recipe("digits"), SMALL), out=folder)
    return folder


def test_same_seed_same_bits(whole: Path, tmp_path: Path) -> None:
    start(with_settings(recipe("digits"), SMALL), out=tmp_path / "again")
    same(whole, tmp_path / "again")


def test_another_seed_other_bits(whole: Path, tmp_path: Path) -> None:
    start(with_settings(recipe("digits"), {**SMALL, "seed": 1}), out=tmp_path / "other")
    a, b = tensors(whole), tensors(tmp_path / "other")
    assert any(not torch.equal(a[name], b[name]) for name in a)


def test_resumed_is_uninterrupted(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "halved"
    half = start(with_settings(recipe("digits"), SMALL), out=folder, listeners=[StopAt(250)])
    assert 250 <= half.images < IMAGES
    session = resume(folder)
    assert session.images == IMAGES
    same(whole, folder)
    assert np.array_equal(session.sample(8), session.sample(8))
    images = [line["images"] for line in session.history()]
    assert images == sorted(images)


@pytest.mark.parametrize("moment", range(3))
def test_killed_and_resumed_is_uninterrupted(whole: Path, tmp_path: Path, moment: int) -> None:
    rng = np.random.default_rng(moment)
    said = strike(tmp_path / "run", signal.SIGKILL, int(rng.integers(1, 9)), float(rng.uniform(0, 0.05)))
    assert written(tmp_path / "run"), said
    assert resume(tmp_path / "run").images == IMAGES
    same(whole, tmp_path / "run")


def test_control_c_saves_and_says_how_to_go_on(whole: Path, tmp_path: Path) -> None:
    said = strike(tmp_path / "run", signal.SIGINT, saves=3)
    assert "everything is saved" in said
    assert f"resume {tmp_path / 'run'}" in said
    assert "Traceback" not in said
    assert resume(tmp_path / "run").images == IMAGES
    same(whole, tmp_path / "run")


def strike(folder: Path, blow: signal.Signals, saves: int, delay: float = 0.0) -> str:
    """Trains in another process, hits it after so many checkpoints, and returns what it said."""
    log = folder.with_suffix(".log")
    process = os.fork()  # no new interpreter: what is imported here is there too
    if process == 0:
        train_and_exit(folder, log)
    deadline = time.monotonic() + 120
    while len(written(folder)) < saves and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(delay)
    os.kill(process, blow)
    os.waitpid(process, 0)
    return log.read_text()


def train_and_exit(folder: Path, log: Path) -> NoReturn:
    """The command `evenodds train`, which says to a file what it says on stderr."""
    settings = [f"{key}={value}" for key, value in SMALL.items()]
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stderr = log.open("w", buffering=1)
        main(["train", "digits", "--out", str(folder), "--quiet", "--set", *settings])
    finally:
        sys.stderr.flush()
        os._exit(0)


def written(folder: Path) -> list[int]:
    """Images at which a picture was left: one per checkpoint, and none is ever pruned."""
    return [int(path.stem) for path in (folder / "samples").glob("[0-9]*.png")]


def test_a_damaged_newest_checkpoint_falls_back_and_says_so(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    start(with_settings(recipe("digits"), SMALL), out=folder, listeners=[StopAt(375)])
    newest = checkpoint.listing(folder / "checkpoints")[-1]
    content = bytearray((newest / "players.safetensors").read_bytes())
    content[-7] ^= 1
    (newest / "players.safetensors").write_bytes(content)
    said: list[str] = []
    resume(folder, say=said.append)
    assert "damaged" in said[0]
    assert "falling back" in said[0]
    same(whole, folder)


def test_a_configuration_that_does_not_fit_names_the_field(whole: Path) -> None:
    with pytest.raises(BadInput, match=r"generator\.width is 16, the checkpoint has 8"):
        resume(whole, settings={"generator.width": 16})
    with pytest.raises(BadInput, match="loss is 'hinge', the checkpoint has 'relativistic_paired'"):
        resume(whole, settings={"loss": "hinge"})


def test_other_data_are_noticed(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (64, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x=x)
    settings = {**SMALL, "images": 128, "data": str(tmp_path / "data.npz")}
    start(with_settings(recipe("digits"), settings), out=tmp_path / "run")
    np.savez(tmp_path / "data.npz", x=x[::-1])
    with pytest.raises(BadInput, match="fingerprint differs"):
        resume(tmp_path / "run")


def test_a_run_fitted_to_an_array_goes_on_with_that_array(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (64, 8, 8), dtype=np.uint8)
    small = {"batch": 16, "generator__width": 8, "discriminator__width": 8, "device": "cpu"}
    fit(x, "digits", out=tmp_path / "run", images=64, **small)
    with pytest.raises(BadInput, match="data="):
        resume(tmp_path / "run")
    assert resume(tmp_path / "run", data=x, settings={"images": 128}).images == 128


def test_a_longer_run_goes_on(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "longer"
    start(with_settings(recipe("digits"), {**SMALL, "images": 160, "save_share": 0.5}), out=folder)
    assert resume(folder, settings={"images": "240"}).images == 240


def test_checkpoints_hold_tensors_and_json_alone(whole: Path) -> None:
    kept = checkpoint.listing(whole / "checkpoints")
    assert 3 <= len(kept) <= 4  # the last three and the best
    for path in kept:
        assert {file.suffix for file in path.iterdir()} == {".safetensors", ".json"}
        assert json.loads((path / "checkpoint.json").read_text())["seed"] == 0
