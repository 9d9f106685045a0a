"""A run that starts from the weights of another: what is taken, what it is said to be, and that it stands alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evenodds.cli import main
from evenodds.data.dataset import Dataset
from evenodds.data.encoding import encode_conditions
from evenodds.data.readers.arrays import from_array
from evenodds.errors import BadInput
from evenodds.game import checkpoint
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.fit import fit
from evenodds.runs.run import resume, start
from evenodds.runs.session import Session
from evenodds.runs.transfer import continued, transfer
from evenodds.runs.values import IN_MEMORY, Part

SMALL: dict[str, Any] = {
    "generator.width": 4, "discriminator.width": 4, "prior.size": 6, "batch": 8, "device": "cpu", "watch": "off",
    "data": Part(IN_MEMORY), "penalty_every": 2, "generator.conditional_norm": False,
}  # fmt: skip


def pictures(side: int, channels: int = 1, classes: str = "") -> Dataset:
    """Random pictures, 10 of each class."""
    n = 10 * max(1, len(classes))
    x = np.random.default_rng(0).integers(0, 256, (n, channels, side, side), dtype=np.uint8)
    dataset = from_array(x)
    return replace(dataset, y=torch.arange(n) % len(classes), classes=tuple(classes)) if classes else dataset


def new_run(dataset: Dataset, seed: int = 1, **settings: Any) -> Run:
    """A run that was not played yet."""
    task = "condition" if dataset.classes else "generate"
    return Run(with_settings(recipe("gray-28"), {**SMALL, "task": task, "seed": seed, **settings}), dataset)


def session_of(run: Run, folder: Path = Path("source")) -> Session:
    return run.session(folder, 100)


def weights(run: Run, player: str) -> dict[str, torch.Tensor]:
    return dict(run.game.players[player].state_dict())


def test_equal_players_take_everything() -> None:
    source, run = new_run(pictures(8)), new_run(pictures(8), seed=2)
    choice = transfer(session_of(source), run)
    for player in ("generator", "discriminator"):
        theirs, mine = weights(source, player), weights(run, player)
        assert all(torch.equal(theirs[name], mine[name]) for name in mine)
    assert run.average is not None
    z = torch.randn(2, 6)
    assert torch.equal(run.average.copies["generator"](z), source.game.players["generator"].eval()(z))
    assert "100% of its numbers" in choice.reason


def test_classes_keep_what_they_know_by_name() -> None:
    settings = {"generator.conditional_norm": True}
    source, run = new_run(pictures(8, classes="abc"), **settings), new_run(pictures(8, classes="xca"), 2, **settings)
    before = weights(new_run(pictures(8, classes="xca"), 2, **settings), "generator")["project.weight"]
    choice = transfer(session_of(source), run)
    theirs, mine = weights(source, "generator")["project.weight"], weights(run, "generator")["project.weight"]
    assert torch.equal(mine[:, :6], theirs[:, :6])  # z
    assert torch.equal(mine[:, 6 + 1], theirs[:, 6 + 2])  # c
    assert torch.equal(mine[:, 6 + 2], theirs[:, 6 + 0])  # a
    assert torch.equal(mine[:, 6 + 0], before[:, 6 + 0])  # x is new
    theirs, mine = (weights(one, "discriminator")["logit.weight"] for one in (source, run))
    assert torch.equal(mine[[0, 2, 3]], theirs[[0, 3, 1]])
    assert choice.figures["classes"] == {"known": ["c", "a"], "new": ["x"]}
    assert "2 known before, 1 new" in choice.reason


def test_outputs_with_all_classes_twice_keep_both() -> None:
    settings = {"task.way": "projection_auxiliary"}
    source, run = new_run(pictures(8, classes="abc"), **settings), new_run(pictures(8, classes="xcay"), 2, **settings)
    transfer(session_of(source), run)
    theirs, mine = (weights(one, "discriminator")["logit.weight"] for one in (source, run))
    assert torch.equal(mine[[0, 2, 3, 6, 7]], theirs[[0, 3, 1, 6, 4]])


@pytest.mark.parametrize("classes", ["", "ab"])
def test_classes_may_come_and_go(classes: str) -> None:
    source, run = new_run(pictures(8, classes="ab"[len(classes) :])), new_run(pictures(8, classes=classes), 2)
    choice = transfer(session_of(source), run)
    assert all(one["tensors"] == one["of"] for one in choice.figures["players"].values())


def test_a_run_on_values_stays_one() -> None:
    dataset = pictures(8, classes="ab")
    c, conditions = encode_conditions(np.linspace(0, 9, len(dataset))[:, None])
    values = replace(dataset, y=None, classes=(), c=c, conditions=conditions)
    assert continued(session_of(Run(new_run(dataset).config, values))).task == Part("condition", {"kind": "values"})
    assert continued(session_of(new_run(dataset))).task == Part("auto")


@pytest.mark.parametrize("family", ["dcgan", "modern", "fastgan"])
def test_a_larger_size_keeps_the_finer_levels(family: str) -> None:
    players = {"generator": Part(family, {"width": 4}), "discriminator": Part(family, {"width": 4})}
    config = replace(
        with_settings(recipe("digits"), {"batch": 8, "device": "cpu", "task": "generate", "simultaneous": False}),
        **players,
    )
    source, run = Run(config, pictures(16)), Run(replace(config, seed=2), pictures(32))
    choice = transfer(session_of(source), run)
    last = [list(weights(one, "generator").values())[-1] for one in (source, run)]
    first = [next(v for k, v in weights(one, "discriminator").items() if k != "basis") for one in (source, run)]
    assert torch.equal(*last)
    assert torch.equal(*first)
    for one in choice.figures["players"].values():
        assert one["of"] / 3 < one["tensors"] < one["of"]
        assert len(one["new"]) == one["of"] - one["tensors"]


def test_grey_becomes_colour_and_colour_grey() -> None:
    source, run = new_run(pictures(8)), new_run(pictures(8, channels=3), 2)
    transfer(session_of(source), run)
    z, x = torch.randn(3, 6), torch.rand(3, 1, 8, 8)
    grey, colour = (one.game.players["generator"].eval()(z) for one in (source, run))
    assert torch.allclose(colour, grey.expand(-1, 3, -1, -1), atol=1e-6)
    scores = [one.game.players["discriminator"](x.expand(-1, c, -1, -1)) for one, c in ((source, 1), (run, 3))]
    assert torch.allclose(*scores, atol=1e-5)
    back = new_run(pictures(8), 3)
    transfer(session_of(run), back)
    assert torch.allclose(back.game.players["generator"].eval()(z), grey, atol=1e-6)


def test_players_of_another_family_are_refused() -> None:
    drop = {k: v for k, v in SMALL.items() if "." not in k}
    other = Run(with_settings(recipe("gray-28"), {**drop, "task": "generate", "generator": "modern"}), pictures(8))
    with pytest.raises(BadInput, match=r"nothing of the generator of source \(dcgan\) fits this one \(modern\)"):
        transfer(session_of(new_run(pictures(8))), other)


def test_the_run_stands_alone_and_resumes_to_the_same_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "new.npy", pictures(16).x.numpy())
    config = with_settings(recipe("gray-28"), {**SMALL, "task": "generate", "images": 32})
    source = start(config, out=tmp_path / "source", dataset=pictures(8)).folder
    words = ["train", "--from", str(source), "--data", str(tmp_path / "new.npy"), "--images", "64", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "run"), "--set", "seed=3"]) == 0
    assert "weights of source after 32 images: generator:" in capsys.readouterr().err
    kept = json.loads((tmp_path / "run" / "choices.json").read_text())
    assert [choice["value"] for choice in kept if choice["setting"] == "from"] == [str(source)]
    shutil.rmtree(source)
    last = checkpoint.listing(tmp_path / "run" / "checkpoints")[-1]
    whole = checkpoint.load(last)[0]
    for path in checkpoint.listing(tmp_path / "run" / "checkpoints")[1:]:
        checkpoint.remove(path)
    assert resume(tmp_path / "run").images == 64
    again = checkpoint.load(last)[0]
    assert all(torch.equal(v, again["players"].tensors[k]) for k, v in whole["players"].tensors.items())


def test_a_run_of_another_kind_is_refused(tmp_path: Path) -> None:
    config = with_settings(recipe("gray-28"), {**SMALL, "task": "generate", "images": 16})
    source = start(config, out=tmp_path / "source", dataset=pictures(8)).folder
    with pytest.raises(BadInput, match="has learned from data of kind 'image', and these are of kind 'table'"):
        fit(np.zeros((40, 3), np.float32), from_run=source, out=tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()
