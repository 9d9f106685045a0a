"""Every recipe: complete, documented, playable on the kind of data that it is for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from evenodds.data.arrays import from_array
from evenodds.data.dataset import Beside
from evenodds.errors import BadInput
from evenodds.game.rules import Progress
from evenodds.game.trainer import train
from evenodds.runs.assembly import Run
from evenodds.runs.build import open_data
from evenodds.runs.config import Config, as_number, documented, from_mapping, recipe, with_settings
from evenodds.runs.find import KINDS, describe, find, names
from evenodds.runs.folders import recipe_for


@pytest.mark.parametrize("name", names("recipes"))
def test_recipe(name: str) -> None:
    config = with_settings(recipe(name), {"device": "cpu", "batch": 4, "held_out": 0.4})
    assert from_mapping(config.to_mapping()) == config  # what is written is what is read
    layout = find("tasks", config.task.name).layout(config.task.options)
    if config.data is not None:
        dataset = open_data(config)
    elif config.size is not None or layout != "images":
        shape = (12, config.channels or 3, config.size or 36, config.size or 44)
        dataset = from_array(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    else:
        dataset = from_array(np.random.default_rng(0).normal(size=(40, 5)))
    if layout in ("pairs", "unpaired"):
        dataset = replace(dataset, beside={"source": Beside(dataset.x.flip(0), dataset.units)})
    if layout == "maps":
        labels = Beside((dataset.x[:, 0] % 3).contiguous())
        dataset = replace(dataset, beside={"labels": labels}, classes=("a", "b", "c"))
    run = Run(config, dataset)
    before = [p.detach().clone() for player in run.game.players.values() for p in player.parameters()]
    for stage in (0.0, *run.task.stages):
        progress = Progress(total=1000, images=round(1000 * stage))
        train(run.game, run.feed, run.learner, run.engine, images=progress.images + 8, progress=progress)
    after = [p for player in run.game.players.values() for p in player.parameters()]
    assert progress.images >= 8
    assert set(run.measure()) >= {"score", "score_low", "score_high"}
    assert sum(not np.array_equal(a, b.detach()) for a, b in zip(before, after, strict=True)) > len(after) / 2


@pytest.mark.parametrize("data", ["digits", "ring"])
@pytest.mark.parametrize(
    ("key", "name"), [("loss", n) for n in names("losses")] + [("penalty", n) for n in names("penalties")]
)
def test_every_loss_and_penalty_plays_on_images_and_vectors(key: str, name: str, data: str) -> None:
    small = {"generator.width": 8, "discriminator.width": 8, "batch": 8, "penalty_every": 2, "device": "cpu"}
    config = with_settings(recipe(data), {**small, key: name})
    run = Run(config, open_data(config))
    train(run.game, run.feed, run.learner, run.engine, images=32)
    assert all(p.isfinite().all() for player in run.game.players.values() for p in player.parameters())
    again = Run(config, open_data(config))
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
    [("1e-3", 1e-3), ("200k", 200_000), ("1.5M", 1_500_000), ("7", 7), ("-.5", -0.5), ("1_000", 1000), ("x", None)],
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
    [(None, "digits"), ("ring", "ring"), ("a.csv", "table"), ("x.npz", "gray-28"), ("d", "photos-128")],
)
def test_the_data_choose_a_recipe(data: str | None, recipe_: str) -> None:
    assert recipe_for(data) == recipe_


def test_a_recipe_without_data_asks_for_it() -> None:
    with pytest.raises(BadInput, match="recipe 'gray-28' needs data"):
        open_data(recipe("gray-28"))
