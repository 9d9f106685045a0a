"""Simultaneous moves that a configuration leaves open: taken where the game has them, and what was chosen is kept."""

from pathlib import Path
from typing import Any

import pytest

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.files.read import read_json
from evenodds.runs.at_once import chosen_moves
from evenodds.runs.build import build_task
from evenodds.runs.changes import with_settings
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config
from evenodds.runs.config_files import read, recipe
from evenodds.runs.reading import open_data
from evenodds.runs.run import resume, start
from tests.short import AT_THE_END
from tests.stand_ins import data_for
from tests.twins.test_resume import StopAt

SMALL: dict[str, Any] = {
    "task": "generate", "simultaneous": "auto", "batch": 8, "images": 64, "generator.width": 8,
    "discriminator.width": 8, "device": "cpu", "watch": "off", **AT_THE_END,
}  # fmt: skip


def opened(**values: Any) -> tuple[Config, Dataset]:
    config = with_settings(recipe("digits"), {**SMALL, **values})
    return config, open_data(config)


def choice(**values: Any) -> Choice:
    return chosen_moves(*opened(**values))


@pytest.mark.parametrize(
    "values",
    [{}, {"task": "condition"}, {"penalty": "none"}, {"penalty_weight": "auto"}, {"loss": "non_saturating"}],
    ids=str,
)
def test_taken_where_the_game_has_them(values: dict[str, Any]) -> None:
    assert choice(**values).value is True


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"task": "infogan", "prior": "coded"}, "cost of the code"),
        ({"task": "invertible"}, "costs of the encoder"),
        ({"task": "condition", "task.way": "auxiliary"}, "cost of way auxiliary"),
        ({"loss": "hinge"}, "slopes at every logit"),
        ({"penalty_every": 1}, "those without a penalty"),
        ({"discriminator_steps": 2}, "1:1"),
        ({"balance": "steps"}, "alternating moves"),
        ({"discriminator.norm": "batch"}, "each item for itself"),
        ({"discriminator.minibatch_std": True}, "each item for itself"),
    ],
    ids=str,
)
def test_left_where_something_forbids_them(values: dict[str, Any], reason: str) -> None:
    found = choice(**values)
    assert found.value is False
    assert reason in found.reason
    assert "set " not in found.reason  # nothing is left to type


def test_a_task_without_them_is_no_error() -> None:
    config = with_settings(recipe("upscale-x2"), {"simultaneous": "auto", "batch": 2, "device": "cpu"})
    assert "has no simultaneous moves" in chosen_moves(config, data_for(config, images=4)).reason


def test_what_is_wrong_either_way_is_no_reason() -> None:
    with pytest.raises(BadInput, match="did you mean 'hinge'"):
        choice(loss="hinje")


def test_a_game_that_is_built_by_hand_needs_them_named() -> None:
    with pytest.raises(BadInput, match="give true or false"):
        build_task(*opened())


def test_what_was_chosen_is_said_kept_and_played_again(tmp_path: Path) -> None:
    said: list[str] = []
    start(opened()[0], out=tmp_path, say=said.append, listeners=[StopAt(32)])
    assert any(line.startswith("simultaneous=true: ") for line in said)
    assert read(tmp_path / "config.yaml").simultaneous is True
    entries = read_json(tmp_path / "choices.json", list[dict[str, Any]])
    assert [entry["value"] for entry in entries if entry["setting"] == "simultaneous"] == [True]
    assert resume(tmp_path).images == 64
