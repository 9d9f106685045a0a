"""What a recipe changes on an accelerator: said and kept there, left out elsewhere and where the user decides."""

from pathlib import Path
from typing import Any

import pytest
import torch

from evenodds.errors import BadInput
from evenodds.files.read import read_json
from evenodds.runs import accelerator
from evenodds.runs.accelerator import on_accelerator
from evenodds.runs.changes import with_settings
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config, from_mapping
from evenodds.runs.config_files import read, recipe
from evenodds.runs.find import names
from evenodds.runs.run import start
from tests.short import AT_THE_END


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for its kind is a GPU; what computes is the CPU."""
    monkeypatch.setattr(accelerator, "pick_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(accelerator, "device_bytes", lambda device: 16 << 30)


def settled(items: int = 60_000, name: str = "gray-28", **settings: Any) -> tuple[Config, list[Choice], list[str]]:
    said: list[str] = []
    config = with_settings(recipe(name), settings)
    side = config.size or 1
    config, choices = on_accelerator(config, items, (3, side, side), said.append)
    assert config.accelerator == ()
    return config, choices, said


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("name", [name for name in names("recipes") if recipe(name).accelerator])
def test_every_recipe_that_has_it_grows_its_batch_and_its_rate(name: str) -> None:
    config, (choice,), (line,) = settled(name=name)
    times = config.batch / recipe(name).batch
    assert config.learning_rate == pytest.approx(times**0.5 * recipe(name).learning_rate)
    assert 1 - config.optimizer.options["betas"][1] == pytest.approx(times * 0.01)
    assert line == f"on cuda: {choice.reason}"
    assert with_settings(recipe(name), dict(word.split("=", 1) for word in choice.value)) == config


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("items", "settings"),
    [(1000, {}), (60_000, {"batch": 64}), (60_000, {"optimizer": "AdamW"}), (60_000, {"accelerator": "none"})],
    ids=str,
)
def test_it_is_left_out_where_the_user_decides_or_the_data_are_few(items: int, settings: dict[str, Any]) -> None:
    config, choices, said = settled(items, **settings)
    assert (config.batch, choices, said) == (64, [], [])


def test_on_a_cpu_the_recipe_is_as_it_was() -> None:
    assert settled(device="cpu")[0].batch == 64


def test_a_wrong_entry_is_one_line_on_any_device() -> None:
    for word, said in (("batch", "takes settings such as batch=256"), ("bach=2", "did you mean 'batch'")):
        with pytest.raises(BadInput, match=said):
            on_accelerator(from_mapping({"accelerator": [word]}), 1000, (2,))


@pytest.mark.usefixtures("gpu")
def test_a_small_device_keeps_the_batch_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "device_bytes", lambda device: 8 << 30)
    assert (settled()[0].batch, settled(name="photos-128")[0].batch) == (256, 32)


@pytest.mark.usefixtures("gpu")
def test_what_was_taken_is_in_the_folder_of_the_run(tmp_path: Path) -> None:
    config = with_settings(
        recipe("ring"), {"data.n": 4000, "images": 128, "device": "cpu", "watch": "off", **AT_THE_END}
    )
    start(with_settings(config, {"accelerator": ["batch=32"]}), out=tmp_path)
    kept = read(tmp_path / "config.yaml")
    assert (kept.batch, kept.accelerator) == (32, ())
    assert [entry["value"] for entry in read_json(tmp_path / "choices.json", list[Any])] == [["batch=32"]]
