"""The arithmetic of a run that leaves it open: the faster one, measured, said and kept."""

from pathlib import Path
from typing import Any

import pytest

from evenodds.files.read import read_json
from evenodds.game.rules import Progress
from evenodds.runs import precision, probing
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import read, recipe
from evenodds.runs.probing import Ahead, Probe
from evenodds.runs.reading import open_data
from evenodds.runs.run import resume, start
from tests.short import AT_THE_END
from tests.twins.test_resume import StopAt

SMALL: dict[str, Any] = {"precision": "auto", "images": 512, "batch": 64, "device": "cpu", "watch": "off"}
SMALL |= {"data.n": 4000, **AT_THE_END}


def played(folder: Path, monkeypatch: pytest.MonkeyPatch, bfloat16: float, product: float = 1.0) -> list[str]:
    """What a short run says whose rounds, and products of matrices, are so many times as fast in bfloat16."""
    monkeypatch.setattr(probing, "WORTHWHILE", 0.0)
    monkeypatch.setattr(probing, "FEW_ROUNDS", 0)
    monkeypatch.setattr(precision, "speeds_of_products", lambda *_: {"bfloat16": product})
    monkeypatch.setattr(precision, "rates_of", lambda probes, seconds: {"float32": 128.0, "bfloat16": 128.0 * bfloat16})
    said: list[str] = []
    start(with_settings(recipe("ring"), SMALL), out=folder, say=said.append, listeners=[StopAt(128)])
    return said


@pytest.mark.parametrize(("times", "value"), [(1.02, "float32"), (1.2, "bfloat16"), (0.5, "float32")])
def test_bfloat16_where_it_is_clearly_faster(
    times: float, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = played(tmp_path, monkeypatch, times)
    assert any(line.startswith(f"precision={value}: ") for line in said)
    assert read(tmp_path / "config.yaml").precision == value
    (entry,) = (one for one in read_json(tmp_path / "choices.json", list[Any]) if one["setting"] == "precision")
    assert entry["value"] == value
    assert entry["images_per_second"] == {"float32": 128.0, "bfloat16": pytest.approx(128 * times, abs=0.1)}
    assert resume(tmp_path).images == 512


def test_no_round_is_played_where_products_are_much_slower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = played(tmp_path, monkeypatch, 1.2, product=0.02)
    assert "precision=float32: matrices are multiplied 0.02 times as fast in bfloat16 here" in said
    assert resume(tmp_path).config.precision == "float32"


def test_a_short_run_and_one_of_compiled_moves_are_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "rates_of", None)
    for name, more in (("short", {}), ("compiled", {"compile": True, "images": 10**9})):
        config = with_settings(recipe("ring"), {**SMALL, **more})
        ahead = Ahead(config, None, lambda _: 1 / 0)
        assert precision.choose_precision(config, ahead, print)[0].precision == "float32", name


def test_both_are_measured_by_rounds_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bits are those of a run whose arithmetic is named: measuring leaves no trace."""
    monkeypatch.setattr(probing, "WORTHWHILE", 0.0)
    monkeypatch.setattr(probing, "FEW_ROUNDS", 0)
    monkeypatch.setattr(precision, "SECONDS", 0.0)
    monkeypatch.setattr(precision, "speeds_of_products", lambda *_: {"bfloat16": 1.0})
    config = with_settings(recipe("ring"), SMALL)
    measured = start(config, out=tmp_path / "measured", listeners=[StopAt(128)])
    named = with_settings(config, {"precision": measured.config.precision})
    plain = start(named, out=tmp_path / "named", listeners=[StopAt(128)])
    assert (measured.sample(64) == plain.sample(64)).all()


def test_every_image_of_a_round_is_counted() -> None:
    """A round shows the discriminator a batch for each of its moves."""
    config = with_settings(recipe("ring"), {**SMALL, "precision": "float32", "discriminator_steps": 3})
    probe = Probe(Run(config, open_data(config)), Progress(512))
    assert probe.images == 3 * 64
    assert probe.play(2).images == 2 * 3 * 64
    assert probe.progress.images == 0
