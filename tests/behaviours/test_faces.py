"""The faces: the command line and the Python functions do what they say, in the data's own units."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import evenodds
from evenodds.cli import main
from evenodds.cli.bar import Bar
from evenodds.data.readers.arrays import from_array
from evenodds.data.sources import load as load_data
from evenodds.data.sources import load_like
from evenodds.errors import BadInput
from evenodds.game.listeners.save import Save
from evenodds.game.listeners.watch import FIRST_GLANCES
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.planning import planned_looks, with_glances, with_looks
from evenodds.runs.run import start
from evenodds.runs.session import Session
from tests.advice import on, told
from tests.clock import Clock
from tests.short import AT_THE_END

SMALL = {
    "generator__width": 8,
    "discriminator__width": 8,
    "batch": 16,
    "images": 320,
    "device": "cpu",
    **AT_THE_END,
    "held_out": 0.2,
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    x = np.random.default_rng(0).integers(0, 256, (60, 3, 10, 14), dtype=np.uint8)
    return evenodds.fit(x, "digits", out=tmp_path_factory.mktemp("runs") / "run", **SMALL)


def test_samples_are_in_the_datas_own_units(session: Session) -> None:
    x = session.sample(10, seed=3)
    assert x.shape == (10, 3, 10, 14)
    assert x.dtype == np.uint8
    assert np.array_equal(x[:4], session.sample(4, seed=3))
    assert not np.array_equal(x, session.sample(10, seed=4))


def test_samples_are_drawn_at_least_one_at_a_time(session: Session) -> None:
    with pytest.raises(BadInput, match="batch must be at least 1, got 0"):
        session.sample(5, batch=0)


def test_a_loaded_run_samples_the_same(session: Session) -> None:
    assert np.array_equal(evenodds.load(session.folder).sample(5), session.sample(5))
    assert np.array_equal(evenodds.load(session.folder, session.images).sample(5), session.sample(5))
    best = evenodds.load(session.folder, "best")
    assert best.sample(2).shape == (2, 3, 10, 14)


@pytest.mark.parametrize(("budget", "images", "move"), [("1m", 512, 0.1), ("4s", 10**9, 0.02)])
def test_of_a_length_and_a_budget_the_shorter_counts(
    budget: str, images: int, move: float, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.costs_of_moves(monkeypatch, move)
    begun = clock.now
    session = evenodds.fit("ring", "ring", out=tmp_path / "run", budget=budget, images=images, device="cpu")
    assert session.images == session.config.images <= images
    assert (session.images == images) == (budget == "1m")
    assert clock.now - begun <= (20 if budget == "1m" else 4)


def test_an_option_that_the_task_decides_is_refused(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2
    data, out = from_array(x, y), tmp_path / "run"
    options = {**SMALL, "threads": 1, "generator__condition": 3}
    with pytest.raises(BadInput, match=r"generator\.condition of generator 'dcgan' is decided by task 'condition'"):
        evenodds.fit(data, "gray-28", out=out, task="condition", **options)
    with pytest.raises(BadInput, match="is given no condition by task 'generate'; leave its condition out"):
        evenodds.fit(data, "gray-28", out=out, task="generate", **options)
    assert not (out / "config.yaml").exists()


@pytest.mark.parametrize("words", [["train"], ["bench"]])
def test_a_recipe_is_chosen_by_what_stands_after_set(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[object, object]] = []

    def chosen(data: object, device: object) -> None:
        asked.append((data, device))
        raise BadInput("enough is known")

    monkeypatch.setattr("evenodds.runs.default_recipe.suited_recipe", chosen)
    assert main([*words, "--set", "data=rows.csv", "device=cpu"]) == 2
    assert asked == [("rows.csv", "cpu")]


def test_a_walk_closes_and_moves_in_small_steps(session: Session) -> None:
    frames = session.walk(steps=40, stops=2, seed=1).astype(float)
    steps = np.abs(np.diff(np.concatenate([frames, frames[:1]]), axis=0)).mean((1, 2, 3))
    apart = np.abs(frames[0] - frames[20]).mean()
    assert len(frames) == 40
    assert steps.max() < apart


def test_the_discriminator_answers_in_probabilities(session: Session) -> None:
    p = session.probability_real(session.sample(6))
    assert p.shape == (6,)
    assert ((p > 0) & (p < 1)).all()


def test_tables_come_back_as_floats(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal([10.0, -300.0], [1.0, 50.0], (200, 2))
    out = tmp_path / "table"
    session = evenodds.fit(
        x, "table", out=out, generator__width=16, discriminator__width=16, images=2560, device="cpu", **AT_THE_END
    )
    sample = session.sample(50)
    assert sample.shape == (50, 2)
    assert sample.dtype == np.float64
    assert main(["sample", str(out), "-n", "5", "--folder", str(tmp_path / "s")]) == 0
    rows = (tmp_path / "s" / "samples.csv").read_text().splitlines()
    assert len(rows) == 6
    again = load_like(tmp_path / "s", session.card, "the samples").x.numpy()
    assert np.allclose(again, session.sample(5), rtol=1e-4)


def test_cells_are_read_back_as_they_are_spelled(tmp_path: Path) -> None:
    cells = [["Bonn", "1.50"], ["Rome", ""], ["Kyiv", "2.25"]] * 9
    (tmp_path / "rows.csv").write_text("\n".join(["city,paid", *map(",".join, cells)]))
    np.savez(tmp_path / "x.npz", x=np.array(cells))
    data = load_data(tmp_path / "rows.csv")
    assert torch.equal(load_like(tmp_path / "x.npz", data, "the samples").x.nan_to_num(), data.x.nan_to_num())


def test_sample_writes_grids_folders_and_arrays(session: Session, tmp_path: Path) -> None:
    run, grid, folder, npz = str(session.folder), tmp_path / "g.png", tmp_path / "f", tmp_path / "x.npz"
    words = ["sample", run, "-n", "9", "--grid", str(grid), "--folder", str(folder), "--npz", str(npz), "--seed", "2"]
    assert main(words) == 0
    x = np.load(npz)["x"]
    assert np.array_equal(x, session.sample(9, seed=2))
    assert len(list(folder.glob("*.png"))) == 9
    with Image.open(folder / "000000.png") as image:
        assert np.array_equal(np.moveaxis(np.asarray(image), -1, 0), x[0])
    with Image.open(grid) as image:
        assert image.width > 3 * 14


def test_walk_writes_a_gif_or_a_strip(session: Session, tmp_path: Path) -> None:
    assert main(["walk", str(session.folder), "--steps", "12", "--out", str(tmp_path / "w.gif")]) == 0
    assert main(["walk", str(session.folder), "--steps", "12", "--out", str(tmp_path / "w.png")]) == 0
    with Image.open(tmp_path / "w.gif") as image:
        assert getattr(image, "n_frames", 1) > 6


def test_show_and_list(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(session.folder)]) == 0
    said = capsys.readouterr().out
    assert "320 of 320 images" in said
    assert "best" in said
    for kind in ("kinds", "losses", "settings", "recipes"):
        assert main(["list", kind]) == 0
        assert len(capsys.readouterr().out.splitlines()) > 5


@on("fit the budget; --images")
def test_a_budget_is_kept_and_recorded(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.costs_of_moves(monkeypatch, 0.02)
    clock.costs(monkeypatch, Run, "measure", 0.05)
    clock.costs(monkeypatch, Save, "save", 0.2)
    begun = clock.now
    said: list[str] = []
    config = with_settings(recipe("ring"), {"batch": 64, "device": "cpu", "data.n": 4000})
    session = start(config, out=tmp_path / "a", budget=6, say=said.append)
    lines = session.history()
    assert 4 < clock.now - begun <= 6
    assert 3 < lines[-1]["seconds"] < 6
    assert lines[-1]["images"] == session.config.images
    assert not any("will fit the budget" in line for line in said)  # as fast as it was measured to be
    told("fit the budget; --images", "\n".join(said))
    same = {"images": session.config.images, "batch": 64, "device": "cpu", "data__n": 4000}
    again = evenodds.fit("ring", "ring", out=tmp_path / "b", **same)
    for a, b in zip(session.players["generator"].parameters(), again.players["generator"].parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_budget_too_short_says_the_least(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.costs_of_moves(monkeypatch, 0.05)
    clock.costs(monkeypatch, Run, "measure", 0.3)
    config = with_settings(recipe("ring"), {"batch": 64, "device": "cpu", "images": 64, "data.n": 4000})
    with pytest.raises(BadInput, match=r"a budget of 2 s leaves .* give at least (\d+) s") as refused:
        start(config, out=tmp_path / "a", budget=2)
    least = re.search(r"at least (\d+) s", str(refused.value))
    assert least is not None
    assert start(config, out=tmp_path / "b", budget=int(least[1])).images >= 640
    with pytest.raises(BadInput, match=r"fewer than the 64 at most; give at least (\d+) s") as refused:
        start(config, out=tmp_path / "c", budget=2, most=64)
    fewer = re.search(r"at least (\d+) s", str(refused.value))
    assert fewer is not None
    assert int(fewer[1]) < int(least[1])
    assert start(config, out=tmp_path / "d", budget=int(fewer[1]), most=64).images == 64


def test_a_short_budget_is_not_spent_on_evaluations(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.costs_of_moves(monkeypatch, 0.02)
    clock.costs(monkeypatch, Run, "measure", 1.0)
    begun = clock.now
    said: list[str] = []
    config = with_settings(recipe("ring"), {"batch": 64, "device": "cpu", "data.n": 4000})
    session = start(config, out=tmp_path / "a", budget=8, say=said.append)
    assert any(
        line.startswith("evaluate_share=0.5 save_share=0.5: an evaluation") and ", 2 of" in line for line in said
    )
    assert 1 <= sum("score" in line for line in session.history()) <= 3
    assert clock.now - begun <= 8


def test_the_held_out_part_is_recorded_and_never_trained_on(session: Session) -> None:
    card = json.loads((session.folder / "data.json").read_text())
    assert len(card["held_out"]) + card["trained_on"] == card["items"] == 60
    assert len(card["held_out"]) == 12


def test_help_and_import_are_cheap() -> None:
    heavy = "('torch', 'numpy', 'sklearn')"
    code = f"import sys, evenodds.cli; evenodds.cli.whole_app(); print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("words", [["--help"], ["list"], ["list", "recipes"], ["list", "settings"]])
def test_looking_around_loads_nothing_heavy(words: list[str]) -> None:
    heavy = "('torch', 'scipy', 'sklearn', 'PIL')"
    code = f"import sys, evenodds.cli; evenodds.cli.main({words}); print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("seconds", [30, 60, 300, 3600])
@pytest.mark.parametrize(("look", "glance"), [(0.02, 0.001), (0.3, 0.05), (1.0, 0.2), (9.0, 0.5)])
def test_looks_take_a_twentieth_of_a_budget_at_most(seconds: float, look: float, glance: float) -> None:
    """Unless they are as few as they may be; where all fit, there are as many as were set."""
    config, said = recipe("gray-28"), list[str]()
    short, many = with_looks(config, seconds, look, said.append)
    short = with_glances(short, seconds, glance, many * look, said.append)
    glances = FIRST_GLANCES + 1 / short.glance_share
    assert many == pytest.approx(planned_looks(short), rel=0.01)
    assert many * look <= 0.03 * seconds or many == 2
    assert many * look + glances * glance <= 0.05 * seconds + 1e-6 or glances == pytest.approx(
        FIRST_GLANCES + 7, rel=0.01
    )
    changed = {name for name in ("evaluate_share", "glance_share") if getattr(short, name) != getattr(config, name)}
    assert changed == {name for name in ("evaluate_share", "glance_share") if f"{name}=" in " ".join(said)}
    least = 10 * look + (FIRST_GLANCES + 50) * glance
    assert changed == set() or least > 0.03 * seconds  # nothing is spared where all fit


def test_nothing_optional_is_needed(tmp_path: Path) -> None:
    """Training from an array works where scikit-learn and matplotlib cannot be imported, and loads no compiler."""
    code = f"""
import sys
for name in ("sklearn", "matplotlib", "torchvision"):
    sys.modules[name] = None
import numpy as np, evenodds
from evenodds.apply.finish import finish
x = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
s = evenodds.fit(x, "digits", out={str(tmp_path / "run")!r}, images=64, batch=16, device="cpu", generator__width=8)
print(sorted(p.name for p in finish(s).written), "torch._dynamo" in sys.modules)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "samples.png" in said.stdout, said.stderr
    assert "history.svg" in said.stdout
    assert said.stdout.splitlines()[-1].endswith("] False")


def test_the_bar_counts_to_its_end_and_says_what_learns(capsys: pytest.CaptureFixture[str]) -> None:
    engine = SimpleNamespace(read=dict)
    progress = SimpleNamespace(images=0, total=2045)
    training: Any = SimpleNamespace(progress=progress, engine=engine, terms={}, noun="images", news="")
    bar = Bar("an encoder")
    bar.begin(training)
    assert "an encoder learns from 2,045 samples of the run first" in capsys.readouterr().err
    progress.images = 2048  # the last batch goes beyond the length
    line = bar.line(training, bar.clock + 2)
    assert line == "2,048 of 2,048 images, 1,024/s, 0 s left"
