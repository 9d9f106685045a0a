"""Data as people have them: what was made of each, what is said of it, and that it comes back as it was."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import evenodds
from evenodds.cli import main
from evenodds.data.arrays import from_array
from evenodds.data.dataset import Units
from evenodds.data.sources import load
from evenodds.errors import BadInput
from evenodds.evaluation.evaluate import evaluate
from evenodds.runs.run_data import open_run_data
from tests.short import AT_THE_END

TINY = {"device": "cpu", "images": 64, "batch": 16, "generator__width": 8, "discriminator__width": 8, **AT_THE_END}


def bands(n: int = 200) -> np.ndarray:
    """(N, 12, 12, 3): two bands of 0 to 1 and one of 500 to 2,500, as satellites give them."""
    rng = np.random.default_rng(0)
    field = rng.random((n, 12, 12, 1))
    return np.concatenate([field, 1 - field, 500 + 2000 * field], 3).astype(np.float32)


# Ranges --------------------------------------------------------------------------------------------------------------


def test_each_band_has_its_own_range_and_comes_out_in_it(tmp_path: Path) -> None:
    np.save(tmp_path / "bands.npy", bands())
    session = evenodds.fit(tmp_path / "bands.npy", "gray-28", out=tmp_path / "run", task="generate", **TINY)
    assert any("Each channel has a range of its own: " in line for line in session.card.report)
    made = session.sample(50)
    for band, (low, high) in enumerate([(0, 1), (0, 1), (500, 2500)]):
        assert low - 1e-3 <= made[:, band].min() <= made[:, band].max() <= high + 1e-3
    assert evaluate(session, metrics=["kernel"], features="pixels", n=40)["outside"] == []


def test_channels_in_the_same_units_share_a_range() -> None:
    rng = np.random.default_rng(0)
    colours = rng.random((50, 8, 8, 3)).astype(np.float32) * np.float32([1, 0.8, 0.5])
    assert len(from_array(colours).units.low) == 1


def test_a_score_sees_values_that_the_data_never_have(tmp_path: Path) -> None:
    real = bands()
    wrong = real.copy()
    wrong[..., 0] *= 76
    made = {"r": real, "w": wrong}
    found = {name: evaluate(x, real, metrics=["kernel"], features="pixels", n=80) for name, x in made.items()}
    assert found["r"]["outside"] == []
    (channel,) = found["w"]["outside"]
    assert channel["channel"] == 0
    assert channel["share"] > 0.5
    assert (channel["high"], channel["made_high"]) == pytest.approx((1, 76), abs=1)
    assert not found["w"]["sound"]
    assert found["w"]["verdict"][0].startswith("Samples have values that the data never have: channel 1 from ")


@pytest.mark.parametrize(("least", "most", "ends"), [(0, 4095, (0, 4095)), (0, 900, (0, 1023)), (0, 255, (0, 255))])
@pytest.mark.parametrize("kind", ["array", "files"])
def test_the_bits_that_are_used_are_the_range(
    kind: str, least: int, most: int, ends: tuple[int, int], tmp_path: Path
) -> None:
    x = np.random.default_rng(0).integers(least, most + 1, (20, 16, 16)).astype(np.uint16)
    x[0, 0, :2] = least, most
    for k, image in enumerate(x):
        Image.fromarray(image).save(tmp_path / f"{k:02d}.png")
    data = from_array(x) if kind == "array" else load(tmp_path)
    assert data.units == Units(tuple(ends[:1]), tuple(ends[1:]), "uint16")
    assert any(f"Of 16 bits, {ends[0]} to {ends[1]} is used" in line for line in data.report)
    batch = data.units.to_model(data.x)
    assert float(batch.max()) > 0.7
    assert np.array_equal(np.asarray(data.units.to_data(batch))[:, 0], x)
    full = from_array(x, range="full") if kind == "array" else load(tmp_path, range="full")
    assert full.units == Units((0,), (65535,), "uint16")


def test_a_small_part_of_sixteen_bits_is_the_range_that_occurs() -> None:
    x = np.random.default_rng(0).integers(32000, 33001, (20, 16, 16)).astype(np.uint16)
    data = from_array(x)
    assert data.units == Units((float(x.min()),), (float(x.max()),), "uint16")
    assert np.array_equal(np.asarray(data.units.to_data(data.units.to_model(data.x)))[:, 0], x)


def test_rare_outliers_do_not_make_the_range() -> None:
    x = np.random.default_rng(0).random((40, 16, 16)).astype(np.float32)
    x[0, 0, 0] = 1e6
    data = from_array(x)
    assert data.units.high[0] <= 1
    assert any("Clipped" in line and "data.range=full keeps them" in line for line in data.report)
    assert from_array(x, range="full").units.high == (1e6,)
    assert from_array(x, range=[0, 2]).units == Units((0,), (2,), "float32")


@pytest.mark.parametrize("value", [-32768.0, -9999.0])
def test_the_number_for_no_data_is_found_said_and_filled_in(value: float) -> None:
    truth = np.add.outer(np.arange(20.0), np.add.outer(np.arange(16.0), np.arange(16.0))).astype(np.float32) + 500
    x = truth.copy()
    holes = np.random.default_rng(0).random(x.shape) < 0.01
    x[holes] = value
    data = from_array(x)
    assert data.units == Units((500.0,), (float(x.max()),), "float32")
    assert any(f"Values of {value:g} are no data: {holes.sum()} of them" in line for line in data.report)
    assert np.abs(data.x[:, 0].numpy() - truth).max() < 2  # as its neighbours are
    assert from_array(x, nodata="none").units.low == (value,)


def test_images_without_any_data_are_left_out() -> None:
    x = np.random.default_rng(0).random((6, 4, 4)).astype(np.float32)
    x[2] = np.nan
    with pytest.raises(BadInput, match=r"x must be finite, got nan at \[2, 0, 0\].*or take data.nodata=nan"):
        from_array(x)
    data = from_array(x, np.arange(6), nodata="nan")
    assert data.y is not None
    assert data.y.tolist() == [0, 1, 3, 4, 5]
    assert "Left out 1 image without any data." in data.report
    with pytest.raises(BadInput, match="no image holds any data"):
        from_array(x[2:3], nodata="nan")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"range": "4095"}, "data.range needs auto, full, or two numbers such as 0,4095"),
        ({"range": "9,1"}, "the lower one first"),
        ({"nodata": "none at all"}, "data.nodata needs a number, nan, auto or none"),
    ],
)
def test_ranges_that_cannot_be_are_refused(option: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        from_array(np.zeros((4, 4, 4), np.float32), **option)


def test_settings_of_a_run_name_the_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).integers(0, 4096, (40, 8, 8)).astype(np.uint16)
    np.save(tmp_path / "x.npy", x)
    words = ["train", "gray-28", "--data", str(tmp_path / "x.npy"), "--images", "32", "--out", str(tmp_path / "run")]
    small = ["batch=16", "generator.width=8", "discriminator.width=8", "data.range=0,5000", "data.nodata=none"]
    assert main([*words, "--quiet", "--set", *small]) == 0
    session = evenodds.load(tmp_path / "run")
    assert session.card.units == Units((0,), (5000,), "uint16")
    assert main(["resume", str(tmp_path / "run"), "--images", "64", "--quiet"]) == 0
    capsys.readouterr()


def test_runs_from_before_ranges_were_found_keep_theirs(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 4096, (40, 8, 8)).astype(np.uint16)
    np.save(tmp_path / "x.npy", x)
    options = {**TINY, "task": "generate", "data__range": "full"}
    session = evenodds.fit(tmp_path / "x.npy", "gray-28", out=tmp_path / "run", **options)
    config = session.config
    assert config.data is not None
    config.data.options.pop("range")  # such a run says nothing of a range
    assert open_run_data(config, session.card).units == Units((0,), (65535,), "uint16")
