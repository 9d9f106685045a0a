"""Whatever steers a run: resumed = uninterrupted, bit for bit; and what changes nothing is the plain run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from evenodds.apply import density_ratio
from evenodds.apply.selecting import sample
from evenodds.cli import main
from evenodds.errors import BadInput
from evenodds.experimental import short_games
from evenodds.game import checkpoint
from evenodds.game.listeners.adapt import Adapt
from evenodds.game.trainer import train
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import read, recipe
from evenodds.runs.folder_facts import RATIO
from evenodds.runs.reading import open_data
from evenodds.runs.run import resume, start
from evenodds.runs.session import load
from tests.twins.test_resume import StopAt

IMAGES, STOP = 128, 50
SMALL: dict[str, Any] = {
    "images": IMAGES,
    "batch": 16,
    "generator.width": 8,
    "discriminator.width": 8,
    "penalty_every": 3,
    "held_out": 0.05,
    "save_share": 1,
    "evaluate_share": 0.5,
    "device": "cpu",
}
ALTERNATING = {"task": "generate", "simultaneous": False}
ADAPTIVE = {"views": "translation,color", "view_chance": "adaptive", "view_chance.images": 1000}
WAYS: dict[str, dict[str, Any]] = {
    "steps, lookahead, learned, top, boundary": {
        "loss": "boundary",
        "loss.images": 500,
        "task": "generate",
        "discriminator": "mlp",
        "discriminator.width": 8,
        "discriminator.code": 4,
        "penalty": None,
        "balance": "steps",
        "balance.gain": 4,
        "balance.target": -0.5,
        "learner": "lookahead",
        "learner.every": 3,
        "prior": "learned",
        "prior.size": 32,
        "top": 0.5,
    },
    "rate, extragradient, growing, densest, historical, orthogonal, clip": {
        "historical": 0.1,
        "orthogonal": 0.001,
        "clip": 0.1,
        "balance": "rate",
        "learner": "extragradient",
        "prior": "growing",
        "prior.size": 32,
        "densest": 0.7,
    },
    "penalty, optimistic, logan, adaptive, pseudo": {
        "pseudo": 0.8,
        "pseudo.images": 1000,
        **ADAPTIVE,
        "balance": "penalty",
        "penalty": "lecam",
        "optimizer": "OptimisticAdam",
        "optimizer.betas": [0.0, 0.99],
        "task": "logan",
    },
}


def end(folder: Path) -> dict[str, torch.Tensor]:
    _, states, header, _ = checkpoint.newest(folder / "checkpoints")
    assert header.images >= IMAGES
    return {f"{part}/{name}": value for part, state in states.items() for name, value in state.tensors.items()}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 400 digits: what a way finds out of its data, it finds out of fewer."""
    digits = load_digits()
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x=(digits.images[:400] * 255 / 16).round().astype(np.uint8), y=digits.target[:400])
    return path


@pytest.mark.parametrize("way", WAYS)
def test_resumed_is_uninterrupted(way: str, few: Path, tmp_path: Path) -> None:
    config = with_settings(recipe("digits"), {**SMALL, "data": str(few), "held_out": 0.1, **WAYS[way]})
    session = start(config, out=tmp_path / "whole")
    half = start(config, out=tmp_path / "halved", listeners=[StopAt(STOP)])
    assert half.images < IMAGES
    again = resume(tmp_path / "halved")
    mine, theirs = end(tmp_path / "whole"), end(tmp_path / "halved")
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert torch.equal(mine[name], theirs[name]), name
    assert np.array_equal(session.sample(8), again.sample(8))
    assert [line["images"] for line in session.history() if "score" in line][-1] >= IMAGES


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "plain"
    start(with_settings(recipe("digits"), {**SMALL, "images": 256}), out=folder)
    return folder


def test_steering_moves_something(plain: Path, tmp_path: Path) -> None:
    """The dials are turned, and stay within their bounds."""
    settings = {**SMALL, **ADAPTIVE, "images": 256, "balance": "penalty", "balance.gain": 3, "top": 0.5}
    history = start(with_settings(recipe("digits"), settings), out=tmp_path / "run").history()
    last = history[-1]
    assert 0 <= max(line.get("views/chance", 0) for line in history) <= 0.8
    assert len({line.get("views/chance") for line in history}) > 3
    assert last["top/share"] == pytest.approx(0.5)
    assert last["balance/strength"] != 1
    assert -1 <= last["balance/margin"] <= 1
    assert -1 <= last["views/leak"] <= 1


@pytest.mark.parametrize("lever", ["steps", "rate", "penalty"])
def test_a_balance_within_limits_of_1_is_the_plain_run(lever: str) -> None:
    """It may not change the strength, and so plays to the bits of the run without it."""
    ends = []
    for more in ({}, {"balance": lever, "balance.limit": 1}):
        config = with_settings(recipe("digits"), {**SMALL, **ALTERNATING, **more})
        run = Run(config, open_data(config))
        train(run.game, run.feed, run.learner, run.engine, images=IMAGES, listeners=[*run.listeners.values()])
        ends.append(
            {f"{role}/{k}": v for role in run.task.roles for k, v in run.game.players[role].state_dict().items()}
        )
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_truncation_of_1_is_plain_sampling(plain: Path, tmp_path: Path) -> None:
    session = load(plain)
    assert np.array_equal(sample(session, 20, 3), session.sample(20, 3))
    assert not np.array_equal(sample(session, 20, 3, truncation=0.5), session.sample(20, 3))
    assert np.array_equal(sample(session, 20, 3, select="langevin", steps=0), session.sample(20, 3))


@pytest.mark.parametrize(
    ("select", "options"),
    [("rejection", {"rate": 0.3}), ("budgeted", {"rate": 0.9}), ("langevin", {"steps": 3})],
)
def test_the_first_of_more_are_those_of_fewer(plain: Path, select: str, options: dict[str, Any]) -> None:
    session = load(plain)
    with pytest.warns(density_ratio.Uncalibrated, match="add --fit 1M"):
        few, more = (sample(session, n, 1, select=select, **options) for n in (10, 300))
    np.testing.assert_array_equal(few, more[:10])
    assert not np.array_equal(few, session.sample(10, 1))


def test_a_fitted_discriminator_stays_with_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no data again, and a run whose own logits are no log ratio selects by it."""
    run, files = tmp_path / "run", [tmp_path / "1.npz", tmp_path / "2.npz"]
    start(with_settings(recipe("ring"), {"images": 512, "loss": "hinge", "device": "cpu", "watch": "off"}), out=run)
    players = {path: path.read_bytes() for path in run.glob("checkpoints/*/*.safetensors")}
    words = ["sample", str(run), "-n", "5", "--select", "budgeted", "--fit", "2k", "--npz"]
    assert main([*words, str(files[0])]) == 0
    first = capsys.readouterr().err
    assert "calibration slope" in first
    assert "draws for 5 samples" in first
    assert all(path.read_bytes() == content for path, content in players.items())
    monkeypatch.setattr(density_ratio, "open_run_data", None)
    assert main([*words, str(files[1])]) == 0
    assert "calibration slope" in capsys.readouterr().err
    assert files[0].read_bytes() == files[1].read_bytes()
    (run / RATIO).write_bytes(b"x")
    assert main([*words, str(files[1])]) == 2
    assert "delete it, and the discriminator is fitted anew" in capsys.readouterr().err


def test_the_data_decide_what_is_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_games, "GRID", (0.03, 0.3))
    monkeypatch.setattr(short_games, "ROUNDS", ((1, 2),))
    monkeypatch.setattr(short_games, "LEAST_ROUNDS", 1)
    said: list[str] = []
    settings = {**SMALL, "views": "auto", "view_chance": "fixed", "view_chance.chance": 0.3, "penalty_weight": "auto"}
    start(with_settings(recipe("digits"), settings), out=tmp_path / "run", say=said.append)
    kept = (tmp_path / "run" / "choices.json").read_text()
    assert "held-out score" in kept
    assert any(line.startswith("views=translation: ") for line in said)  # digits have no mirror symmetry, nor colours
    config = read(tmp_path / "run" / "config.yaml")
    assert config.views == ("translation",)
    assert config.penalty_weight in (0.03, 2.0, 0.3)  # 2 is the recipe's own, which always plays along


@pytest.mark.parametrize(("loss", "target"), [("relativistic_paired", 0.3), ("non_saturating", 0.6)])
def test_views_follow_the_target_of_the_loss(loss: str, target: float) -> None:
    config = with_settings(recipe("digits"), {**SMALL, **ALTERNATING, **ADAPTIVE, "views": "translation", "loss": loss})
    adapt = Run(config, open_data(config)).listeners["adapt"]
    assert isinstance(adapt, Adapt)
    assert adapt.target == target


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"views": [], "view_chance": "adaptive"}, "needs views"),
        ({"views": "flip", "view_chance": "adaptive", "view_chance.cap": 0.9}, "at most 0.8"),
        ({"balance": "rates"}, "did you mean 'rate'"),
        ({"balance": "penalty", "penalty": "none"}, "needs a penalty"),
        ({"balance": "rate", "held_out": 0}, "held-out items"),
        ({"balance": "steps", "simultaneous": "true", "penalty_every": 4}, "alternating"),
        ({"penalty_weight": "auto", "penalty": "none"}, "needs a penalty"),
        ({"learner": "extragradient", "discriminator_steps": 2}, "once a round"),
        ({"top": 0}, "share in"),
        ({"learner": "lookahed"}, "did you mean 'lookahead'"),
    ],
)
def test_bad_input(settings: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=expected):
        start(with_settings(recipe("digits"), {**SMALL, **settings}), out=tmp_path / "run")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--truncation", "0"], "--truncation must be a number above 0, at most 1, got '0'"),
        (["--select", "rejecton"], "did you mean 'rejection'?"),
        (["--steps", "5"], "needs a selection"),
        (["--fit", "1k"], "add --select budgeted"),
        (["--select", "budgeted", "--data", "x"], "add --fit 1M"),
        (["--select", "rejection", "--steps", "5"], "takes no --steps; leave --steps out"),
    ],
)
def test_bad_words(words: list[str], expected: str, plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", str(plain), "-n", "2", *words]) != 0
    assert expected in capsys.readouterr().err.strip().splitlines()[-1]
