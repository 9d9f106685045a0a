"""A run that starts from the weights of another: what is taken, what it is said to be, and that it stands alone."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch

from evenodds.cli import main
from evenodds.data.dataset import Beside, Dataset
from evenodds.data.encoding import encode_conditions
from evenodds.data.readers.arrays import from_array
from evenodds.data.sources import load
from evenodds.errors import BadInput
from evenodds.game import checkpoint
from evenodds.runs.assembly import Run
from evenodds.runs.card import DataCard
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.fit import fit
from evenodds.runs.run import resume, start
from evenodds.runs.session import Session
from evenodds.runs.transfer import continued, require_kind, transfer
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
    assert choice.reason.endswith("classes: 2 known before (c, a), 1 new (x)")


def naming(classes: str, seed: int = 1, **settings: Any) -> Run:
    """A run that tells classes apart and was not played yet."""
    small = {"discriminator.width": 4, "batch": 8, "device": "cpu", "watch": "off", "task.unsupervised": 0}
    config = with_settings(recipe("classify"), {**small, "seed": seed, "size": 8, "data": Part(IN_MEMORY), **settings})
    return Run(config, pictures(8, classes=classes))


@pytest.mark.parametrize("classes", ["xca", "xcayz", "cba"])
def test_what_tells_classes_apart_is_taken_by_their_names(classes: str) -> None:
    """Whether there are as many or not; the other classes begin as those of a new run."""
    source, run = naming("abc"), naming(classes, 2)
    before = {name: value.clone() for name, value in weights(run, "discriminator").items()}
    choice = transfer(session_of(source), run)
    theirs, mine = weights(source, "discriminator"), weights(run, "discriminator")
    for name in ("logit.weight", "logit.bias"):
        for number, one in enumerate(classes):
            of = theirs[name]["abc".index(one)] if one in "abc" else before[name][number]
            assert torch.equal(mine[name][number], of)
    figures = choice.figures["players"]["discriminator"]
    numbers, new = sum(v.numel() for v in mine.values()), sum(one not in "abc" for one in classes)
    left = new * (mine["logit.weight"].shape[1] + 1)
    assert figures["share"] == round(1 - left / numbers, 4)
    assert figures["new"] == []


def test_of_unknown_classes_nothing_is_taken() -> None:
    choice = transfer(session_of(naming("abc")), naming("xyz", 2))
    assert choice.figures["players"]["discriminator"]["new"] == ["logit.weight", "logit.bias"]
    assert choice.reason.endswith("classes: 0 known before, 3 new (x, y, z)")


def scenes(classes: str, generator: str, seed: int = 1) -> Run:
    """A run that labels pixels, with a discriminator that sees the image beside its map, and was not played yet."""
    dataset = pictures(16, 3)
    labels = Beside(torch.arange(len(dataset) * 256).view(-1, 16, 16).remainder(len(classes)).to(torch.uint8))
    dataset = replace(dataset, beside={"labels": labels}, classes=tuple(classes))
    small = {"generator": generator, "generator.width": 6, "discriminator.width": 4, "batch": 4, "device": "cpu"}
    small |= {"watch": "off", "task.crop": None, "task.adversarial": 0.1, "task.sees_source": True, "seed": seed}
    return Run(with_settings(recipe("segment"), {**small, "data": Part(IN_MEMORY)}), dataset)


@pytest.mark.parametrize("generator", ["unet", "dilated"])
def test_what_labels_pixels_is_taken_by_the_names_of_classes(generator: str) -> None:
    """Outputs, of which each class has several that lie beside each other in some networks; and inputs of a
    discriminator that sees the image behind the map."""
    source, run = scenes("abc", generator), scenes("ca", generator, 2)
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    choice = transfer(session_of(source), run)
    made = [one.game.players["generator"].eval()(x) for one in (source, run)]
    assert torch.allclose(made[1], made[0][:, [2, 0]], atol=1e-5)
    maps = torch.zeros(2, 3, 16, 16)
    maps[:, [0, 2]] = torch.rand(2, 2, 16, 16)
    shown = [torch.cat([maps, x], 1), torch.cat([maps[:, [2, 0]], x], 1)]
    judged = [one.game.players["discriminator"].eval()(y) for one, y in zip((source, run), shown, strict=True)]
    assert torch.allclose(*judged, atol=1e-5)
    assert choice.reason.endswith("classes: 2 known before (c, a), 0 new")


def test_shares_of_other_classes_are_refused() -> None:
    source = session_of(naming("abc", **{"task.consistency": 1, "task.shares": [1, 2, 3]}))
    require_kind(source, source.config, pictures(8, classes="abc"))
    require_kind(source, with_settings(source.config, {"task.shares": [3, 2, 1]}), pictures(8, classes="cba"))
    require_kind(source, with_settings(source.config, {"task.shares": None}), pictures(8, classes="cba"))
    with pytest.raises(BadInput, match=r"task\.shares are those of a, b, c, .* and these are c, b, a; set task\."):
        require_kind(source, source.config, pictures(8, classes="cba"))
    for shares, classes in (([1, 1, 1], "xyz"), ([1, 2, 1], "cba")):  # which say the same, whoever typed them
        source = session_of(naming("abc", **{"task.consistency": 1, "task.shares": shares}))
        require_kind(source, source.config, pictures(8, classes=classes))


def rows(**columns: Sequence[Any]) -> Dataset:
    return load(pandas.DataFrame(columns))


def test_rows_of_other_columns_at_the_same_places_are_refused() -> None:
    """Words that are others in number leave other shapes, of which nothing is taken by its place."""
    numbers, words = np.random.default_rng(0).normal(size=30), ["a", "b", "b"] * 10
    known = rows(age=numbers, kind=words)
    card = DataCard(known.kind, known.shape, known.units, known.classes, known.columns)
    source = replace(session_of(new_run(pictures(8))), card=card)
    config = source.config
    require_kind(source, config, known)
    require_kind(source, config, rows(age=numbers, kind=["a", "b", "c"] * 10))
    for other, message in (
        (rows(size=numbers, kind=words), "column 1 is 'size', and was 'age'"),
        (rows(age=numbers, kind=["a", "c", "c"] * 10), "column 'kind' has the words a, c, and had a, b"),
    ):
        with pytest.raises(BadInput, match=f"{message}; bring them to the names"):
            require_kind(source, config, other)


def test_rows_of_other_levels_at_the_same_places_are_refused() -> None:
    """What was learned of 3 rooms became what is known of 4."""
    levels, numbers = [1.0, 2.0, 3.0] * 10, np.random.default_rng(0).normal(size=30)
    known = rows(rooms=levels, age=numbers)
    card = DataCard(known.kind, known.shape, known.units, known.classes, known.columns)
    source = replace(session_of(new_run(pictures(8))), card=card)
    require_kind(source, source.config, rows(rooms=levels[::-1], age=3 * numbers))
    some = np.where(np.arange(30) == 3, np.nan, [1.0, 2.0, 2.0] * 10)
    for other, message in (
        ([1.0, 2.0, 4.0] * 10, "cells of 4 and none of 3"),
        (some, "cells of nothing and none of 3"),
    ):
        with pytest.raises(BadInput, match=f"column 'rooms' has {message}; bring them to the names"):
            require_kind(source, source.config, rows(rooms=other, age=numbers))


def test_a_value_that_goes_elsewhere_is_said() -> None:
    said = []
    for least, most in ((0, 9), (0, 99)):
        c, conditions = encode_conditions(np.linspace(least, most, 20)[:, None], ["angle"])
        dataset = replace(pictures(8, classes="ab"), y=None, classes=(), c=c, conditions=conditions)
        settings = {"task": "condition", "task.kind": "values"}
        said.append(Run(with_settings(new_run(pictures(8)).config, settings), dataset))
    assert transfer(session_of(said[0]), said[1]).reason.endswith("; angle: 0 to 99 is here what 0 to 9 was")
    assert "angle:" not in transfer(session_of(said[0]), said[0]).reason


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
