"""Every recipe: complete, documented, playable on the kind of data that it is for."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from evenodds.data.dataset import Dataset
from evenodds.data.encoding import encode_conditions
from evenodds.data.peek import Glimpse
from evenodds.data.readers.arrays import from_array
from evenodds.errors import BadInput
from evenodds.game.rules import Progress
from evenodds.game.trainer import train
from evenodds.parts.networks import pretrained
from evenodds.runs import default_recipe
from evenodds.runs.assembly import Run
from evenodds.runs.build import build_task
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config, from_mapping
from evenodds.runs.config_files import read, recipe
from evenodds.runs.default_recipe import recipe_for
from evenodds.runs.find import KINDS, describe, names
from evenodds.runs.planning import settle_task
from evenodds.runs.reading import open_data
from evenodds.runs.run import start
from evenodds.runs.settings_table import documented
from evenodds.runs.values import IN_MEMORY, Part, as_number
from tests.stand_ins import data_for, frozen_features, settled


@pytest.mark.parametrize("name", names("recipes"))
def test_recipe(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_settings(recipe(name), {"device": "cpu", "batch": 4, "held_out": 0.4})
    assert from_mapping(config.to_mapping()) == config  # what is written is what is read
    if config.discriminator.name != "pretrained":
        played(config)
        return
    with frozen_features(monkeypatch, pretrained):
        played(config)


def played(config: Config) -> None:
    """All that learns has learned after two rounds of each stage."""
    dataset = data_for(config, images=12)
    config = settled(config, dataset)
    run = Run(config, dataset)
    before = [p.detach().clone() for player in run.game.players.values() for p in player.parameters()]
    for stage in (0.0, *run.task.stages):
        progress = Progress(total=1000, images=round(1000 * stage))
        train(run.game, run.feed, run.learner, run.engine, images=progress.images + 8, progress=progress)
    after = [p for player in run.game.players.values() for p in player.parameters()]
    assert progress.images >= 8
    assert run.task.value_task() is None or run.task.value_task().moves()  # type: ignore[union-attr]
    assert set(run.measure()) >= {"score", "score_low", "score_high"}
    assert sum(not np.array_equal(a, b.detach()) for a, b in zip(before, after, strict=True)) > len(after) / 2


@pytest.mark.parametrize("data", ["digits", "ring"])
@pytest.mark.parametrize(
    ("key", "name"), [("loss", n) for n in names("losses")] + [("penalty", n) for n in names("penalties")]
)
def test_every_loss_and_penalty_plays_on_images_and_vectors(key: str, name: str, data: str) -> None:
    small: dict[str, Any] = {"generator.width": 8, "discriminator.width": 8, "batch": 8, "penalty_every": 2}
    small["device"] = "cpu"
    if name == "boundary":
        small |= {"task": "generate", "discriminator": "mlp", "discriminator.code": 4, "penalty": None}
    config = with_settings(recipe(data), {**small, key: name})
    dataset = open_data(config)
    config = settled(config, dataset)
    run = Run(config, dataset)
    train(run.game, run.feed, run.learner, run.engine, images=32)
    assert all(p.isfinite().all() for player in run.game.players.values() for p in player.parameters())
    again = Run(config, dataset)
    for part, other in zip(run.parts.values(), again.parts.values(), strict=True):
        other.restore(part.state())
    for part, other in zip(run.parts.values(), again.parts.values(), strict=True):
        mine, theirs = part.state().tensors, other.state().tensors
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[k], theirs[k]) for k in mine)


def test_every_member_says_what_it_is() -> None:
    for kind in KINDS:
        assert names(kind)
        for name, note in describe(kind):
            assert note, f"{kind}: {name} has no documentation"
    assert {key for key, _, note in documented() if note} == set(Config().to_mapping())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("200k", 200_000),
        ("1.5M", 1_500_000),
        ("40m", 40_000_000),
        ("7", 7),
        ("-.5", -0.5),
        ("1_000", 1000),
        ("x", None),
    ],
)
def test_numbers_as_people_write_them(text: str, value: float | None) -> None:
    assert as_number(text) == value
    assert isinstance(as_number("7"), int)


def test_settings() -> None:
    config = with_settings(
        recipe("digits"), {"learning_rate": "1e-3", "generator.width": "8", "penalty": "none", "views": "flip,color"}
    )
    assert config.learning_rate == 1e-3
    assert config.generator.options["width"] == 8
    assert config.penalty is None
    assert config.views == ("flip", "color")
    assert with_settings(config, {"optimizer": "SGD"}).optimizer.options == {}


@pytest.mark.parametrize(
    ("data", "recipe_"),
    [(None, "digits"), ("ring", "ring"), ("a.csv", "table"), ("x.npz", "gray-28"), ("d", "photos-64")],
)
def test_the_data_choose_a_recipe(data: str | None, recipe_: str) -> None:
    assert recipe_for(data) == recipe_


@pytest.mark.parametrize(
    ("shape", "recipe_"),
    [
        ((1, 8, 8), "digits"),
        ((1, 28, 28), "gray-28"),
        ((3, 32, 32), "color-32"),
        ((3, 64, 64), "photos-64"),
        ((5,), "small-table"),
    ],
)
def test_data_in_memory_choose_a_recipe_by_their_shape(shape: tuple[int, ...], recipe_: str) -> None:
    x = np.random.default_rng(0).integers(0, 256, (20, *shape), dtype=np.uint8)
    dataset = from_array(x if len(shape) > 1 else x.astype(np.float32))
    assert recipe_for(dataset) == recipe_
    run = Run(settled(with_settings(recipe(recipe_), {"device": "cpu"}), dataset), dataset)
    assert run.session(Path(), 0).sample(2).shape == (2, *shape)


@pytest.mark.parametrize(
    ("mode", "side", "device", "recipe_"),
    [
        ("L", 28, "cpu", "gray-28"),
        ("RGB", 32, "cpu", "color-32"),
        ("RGB", 300, "cpu", "photos-64"),
        ("RGB", 64, "mps", "photos-64"),
        ("RGB", 300, "mps", "photos-128"),  # few of them
    ],
)
def test_files_choose_a_recipe_by_their_headers(
    mode: str, side: int, device: str, recipe_: str, tmp_path: Path
) -> None:
    for number in range(3):
        Image.new(mode, (side, side)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert recipe_for(str(tmp_path), device) == recipe_


def test_many_large_photographs_choose_the_largest_recipe_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_recipe, "peek", lambda path: Glimpse(5000, (3, 480, 320)))
    assert [recipe_for("d", device) for device in ("mps", "cpu")] == ["photos-256", "photos-64"]


@pytest.mark.parametrize(
    ("shape", "recipe_"),
    [((28, 28), "gray-28"), ((32, 32, 3), "color-32"), ((3, 64, 64), "photos-64"), ((5,), "small-table")],
)
def test_array_files_choose_a_recipe_by_their_headers(shape: tuple[int, ...], recipe_: str, tmp_path: Path) -> None:
    x = np.zeros((4, *shape), np.uint8)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", y=np.zeros(4), x_train=x)
    assert {recipe_for(str(tmp_path / name)) for name in ("x.npy", "x.npz")} == {recipe_}


def test_a_recipe_without_data_asks_for_it() -> None:
    with pytest.raises(BadInput, match="recipe 'gray-28' needs data"):
        open_data(recipe("gray-28"))


def labelled(classes: int, each: int) -> Dataset:
    """Random pictures, so many of each class."""
    pictures = np.random.default_rng(0).integers(0, 256, (classes * each, 3, 32, 32), dtype=np.uint8)
    return replace(from_array(pictures), y=torch.arange(classes * each) % classes, classes=tuple("abcdefgh"[:classes]))


@pytest.mark.parametrize(
    ("dataset", "task", "reason"),
    [
        (labelled(3, 40), "condition", "the data have 3 classes"),
        (labelled(1, 40), "generate", "the data have one class alone"),
        (labelled(3, 20), "generate", "fewer than 25"),
        (replace(labelled(3, 40), y=None, classes=()), "generate", "the data have no classes"),
    ],
)
def test_an_open_task_is_chosen_by_the_classes(dataset: Dataset, task: str, reason: str) -> None:
    said: list[str] = []
    config, choices = settle_task(recipe("color-32"), dataset, said.append)
    by_class = {"way": "projection_auxiliary"}
    assert config.task == Part(task, by_class if task == "condition" else {})
    assert [choice.value for choice in choices] == [task]
    assert said == [f"task={task}: {choices[0].reason}"]
    assert reason in said[0]
    named = with_settings(recipe("color-32"), {"task": "generate"})
    assert settle_task(named, dataset) == (named, [])


def test_options_of_games_by_class_are_left_out_of_others_and_that_is_said() -> None:
    said: list[str] = []
    config = with_settings(recipe("photos-64"), {"task.balance": "classes", "task.discriminator_steps": 2})
    assert settle_task(config, labelled(2, 40))[0].task == Part("condition", dict(config.task.options))
    assert settle_task(config, labelled(1, 40), said.append)[0].task == Part("generate", {"discriminator_steps": 2})
    assert said[0].endswith("; task.balance of games by class left out")
    wrong = with_settings(recipe("photos-64"), {"task.balanse": "classes"})
    assert settle_task(wrong, labelled(1, 40))[0].task == Part("generate", {"balanse": "classes"})  # refused later


@pytest.mark.parametrize("dataset", [labelled(3, 40), labelled(1, 40)], ids=["classes", "no classes"])
def test_an_open_task_is_one_of_values_where_they_are_named(dataset: Dataset) -> None:
    said: list[str] = []
    config = with_settings(recipe("color-32"), {"task.kind": "values", "task.auxiliary_weight": 0.1})
    settled, _ = settle_task(config, dataset, said.append)
    assert settled.task == Part("condition", {"kind": "values", "auxiliary_weight": 0.1})
    assert said[0].endswith("; task.way of games by class left out")
    c, conditions = encode_conditions(np.linspace(0, 9, len(dataset))[:, None])
    assert build_task(settled, replace(dataset, c=c, conditions=conditions)).way == "concatenation"  # type: ignore[attr-defined]
    for kind, needed in (("values", "needs data with values c"), ("valuse", "did you mean 'values'")):
        with pytest.raises(BadInput, match=needed):
            build_task(settle_task(with_settings(config, {"task.kind": kind}), dataset)[0], dataset)


def test_a_run_keeps_the_task_that_was_chosen(tmp_path: Path) -> None:
    small = {"generator.width": 4, "discriminator.width": 4, "images": 64, "batch": 32, "device": "cpu"}
    config = with_settings(recipe("color-32"), {**small, "data": Part(IN_MEMORY), "task.balance": "classes"})
    session = start(config, out=tmp_path / "run", dataset=labelled(2, 40))
    assert session.sample(3, y=[0, 1, 1]).shape == (3, 3, 32, 32)
    assert read(tmp_path / "run" / "config.yaml").task == Part(
        "condition", {"way": "projection_auxiliary", "balance": "classes"}
    )
    kept = json.loads((tmp_path / "run" / "choices.json").read_text())
    assert [(choice["setting"], choice["value"], choice["classes"]) for choice in kept] == [("task", "condition", 2)]


def test_a_game_is_not_built_by_hand_of_an_open_task() -> None:
    with pytest.raises(BadInput, match="task=auto is chosen when a run starts"):
        Run(recipe("color-32"), labelled(2, 40))
