"""Whatever a user does wrong: one clear line on standard error, a non-zero status, never a traceback."""

import errno
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evenodds.cli import main
from evenodds.game import checkpoint
from evenodds.game.checkpoint import PlayersState

QUICK = ["--set", "generator.width=8", "discriminator.width=8", "batch=16", "device=cpu", "evaluate_share=1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place") / "runs" / "digits"
    assert main(["train", "digits", "--images", "320", "--out", str(folder), "--quiet", *QUICK]) == 0
    return folder


def picture(path: Path, side: tuple[int, int] = (12, 12), seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*side, 3), dtype=np.uint8)).save(path)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "digit"], "no recipe 'digit'; did you mean 'digits'?"),
        (["train", "--budgt", "60s"], "Did you mean --budget?"),
        (["trainn"], 'Did you mean "train"?'),
        (["train", "--set", "learning_rat=1"], "did you mean 'learning_rate'?"),
        (["train", "--set", "loss=hing"], "did you mean 'hinge'?"),
        (["train", "--set", "penalty=r3"], "no penalty 'r3'; did you mean 'r2'?"),
        (["train", "--set", "generator.widht=3"], "did you mean 'width'?"),
        (["train", "--set", "generator=dcgn"], "did you mean 'dcgan'?"),
        (["train", "--set", "batch=many"], "batch must be a whole number, got 'many'"),
        (["train", "--set", "batch"], "--set takes key=value"),
        (["train", "--set", " =0"], "--set takes key=value, got ' =0'"),
        (
            ["train", "--set", "view_chance=always", "view_chance.chance=1"],
            "no option of view_chance 'always' 'chance'; there are none",
        ),
        (
            ["pack", "nowhere", "new", "--set", "data.size=8"],
            "no option of the reader here; it has a flag",
        ),
        (["pack", "nowhere", "new", "--set", "data.to=new"], "data.to is no option of the reader here; leave it out"),
        (["train", "--set", "batch=0"], "batch must be at least 1"),
        (["train", "--set", "penalty_weight=-1"], "penalty_weight must be at least 0, got -1"),
        (["train", "--set", "save_share=1e-320"], "save_share is a share of the run from 1e-09 to 1, got 9.99"),
        (["sample", "nowhere", "--folder", ""], "--folder is empty"),
        (["sample", "nowhere", "--npz="], "--npz is empty"),
        (["show", ""], "a word of the command is empty"),
        (["trial", "--data", "digits", "--arms", ""], "--arms is empty"),
        (["export", "nowhere", "a.onnx"], "'a.onnx' stands behind all that `evenodds export` takes"),
        (["train", "--budget", "soon"], "60s, 10m or 1h30m; got 'soon'"),
        (["train", "--device", "cud"], "device must be auto, cpu"),
        (["train", "--data", "nowhere"], "no data source 'nowhere'"),
        (["train", "nothing.yaml"], "cannot read nothing.yaml"),
        (["list", "loses"], "did you mean 'losses'?"),
        (["resume", "nowhere"], "no run at nowhere"),
        (["sample", "nowhere"], "no run at nowhere"),
        (["show", "nowhere"], "no run at nowhere"),
    ],
)
def test_words(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    one_line(main(words), capsys, expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "runs/digits"], "is a run, not a recipe; go on with it: `evenodds resume runs/digits`"),
        (["train", "photos"], "photos is a path, not a recipe; data are named so: `evenodds train --data photos`"),
        (
            ["train", "digits", "photos"],
            "stands behind all that `evenodds train` takes; data are named so: --data photos.",
        ),
        (["trial", "photos"], "takes; data are named so: --data photos."),
        (["export", "photos", "photos"], "'photos' stands behind all that `evenodds export` takes. See"),
        (["train", "--data", "color-32"], "'color-32' is a recipe, and data are a path or a source"),
        (["show", "runs"], "it is a folder of runs; name one of them, such as runs/digits"),
        (["show", "runs/digits/config.yaml"], "it lies in one; name the folder of the run, runs/digits"),
        (["show", "runs/digits/samples"], "it lies in one; name the folder of the run, runs/digits"),
        (["doctor", "photos"], "of data by `evenodds train --data photos`"),
        (["sample", "photos/0.png"], "of data by `evenodds train --data photos/0.png`"),
        (["sample", "digits"], "this is the name of a recipe; runs are made by `evenodds train digits`"),
        (["fill", "photos", "runs/digits", "--mask", "a.png"], "`evenodds fill RUN IN` takes the run first"),
        (["upscale", "photos", "runs/digits", "out"], "photos is no run, and runs/digits is one"),
        (["upscale", "runs/digits", "photos"], "OUT is missing: `evenodds upscale RUN SOURCE OUT`."),
        (["compare", "runs/digits"], "make one with `evenodds evaluate runs/digits`"),
    ],
)
def test_runs_recipes_and_data_in_place_of_each_other(
    words: list[str], expected: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(run.parents[1])
    picture(Path("photos/0.png"))
    one_line(main(words), capsys, expected)


def one_line(status: int, capsys: pytest.CaptureFixture[str], expected: str) -> None:
    said = capsys.readouterr().err.strip().splitlines()
    assert status != 0
    assert said[-1].startswith("evenodds: error: ")
    assert expected in said[-1]
    assert not any("Traceback" in line for line in said)


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    one_line(main(["train", "--data", str(tmp_path / "empty")]), capsys, "empty")


def test_a_corrupt_image_among_good_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in range(20):
        picture(tmp_path / "data" / f"{k}.png", seed=k)
    (tmp_path / "data" / "broken.png").write_bytes((tmp_path / "data" / "0.png").read_bytes()[:60])
    out = tmp_path / "run"
    words = ["train", "digits", "--data", str(tmp_path / "data"), "--images", "64", "--out", str(out), "--quiet"]
    assert main([*words, *QUICK]) == 0
    said = capsys.readouterr().err
    assert "broken.png" in said
    assert "1 " in next(line for line in said.splitlines() if "broken.png" in line)
    assert "broken.png" in (out / "data.json").read_text()


def test_all_images_corrupt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in range(3):
        (tmp_path / f"{k}.png").write_bytes(b"no picture")
    one_line(main(["train", "--data", str(tmp_path)]), capsys, "3")


def test_mixed_sizes_are_resized_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in range(20):
        picture(tmp_path / "data" / f"{k}.png", (12, 12) if k < 15 else (20, 30), seed=k)
    out = tmp_path / "run"
    words = ["train", "digits", "--data", str(tmp_path / "data"), "--images", "64", "--out", str(out), "--quiet"]
    assert main([*words, *QUICK]) == 0
    said = capsys.readouterr().err
    assert "5" in said
    assert "12" in said
    assert "resized" in said


def test_an_infinite_number_in_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,inf\n5,6\n")
    one_line(main(["train", "ring", "--data", str(tmp_path / "t.csv")]), capsys, "b")


def test_a_pickle_is_refused_and_never_opened(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "exploded",)  # type: ignore[return-value]

    for name in ("model.pt", "model.pkl"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        one_line(main(["train", "--data", str(tmp_path / name)]), capsys, "code")
        one_line(main(["sample", str(tmp_path / name)]), capsys, "pickle")
    assert not (tmp_path / "exploded").exists()


def test_a_pickle_in_place_of_a_checkpoint_file(run: Path, tmp_path: Path) -> None:
    _, states, _, _ = checkpoint.newest(run / "checkpoints")
    linear = torch.nn.Linear(1, 1)
    checkpoint.save(tmp_path / "000000000001", {"players": PlayersState({"g": linear})}, {})
    (tmp_path / "000000000001" / "players.safetensors").write_bytes(pickle.dumps({"g": 1}))
    with pytest.raises(checkpoint.Damaged, match="checksum differs"):
        checkpoint.load(tmp_path / "000000000001")
    assert "players" in states


def test_a_full_disk_loses_nothing(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = checkpoint.listing(run / "checkpoints")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_tensors", full)
    players = PlayersState({"g": torch.nn.Linear(1, 1)})
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(run / "checkpoints" / "000000009999", {"players": players}, {})
    assert checkpoint.listing(run / "checkpoints") == before
    assert not list((run / "checkpoints").glob(".*"))  # nothing half-written stays behind
    checkpoint.newest(run / "checkpoints")


def test_a_full_disk_in_a_run_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders: set[Path] = set()
    whole = checkpoint.write_tensors

    def third_fails(tensors: object, path: Path, *more: object) -> None:
        folders.add(path.parent)
        if len(folders) > 2:
            raise OSError(errno.ENOSPC, "No space left on device", "players.safetensors")
        whole(tensors, path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "write_tensors", third_fails)
    out = tmp_path / "run"
    words = ["train", "digits", "--images", "640", "--out", str(out), "--quiet", *QUICK]
    one_line(main(words), capsys, f"No space left on device: {out / 'checkpoints'}/0")
    monkeypatch.undo()
    assert len(checkpoint.listing(out / "checkpoints")) == 2
    assert main(["resume", str(out), "--quiet"]) == 0


def test_a_run_that_diverges_says_so_and_keeps_what_was_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "ring", "--images", "20000", "--out", str(tmp_path / "run"), "--quiet", "--set"]
    status = main([*words, "learning_rate=1e30", "decay=constant", "optimizer=SGD", "device=cpu", "batch=16"])
    assert status == 3
    one_line(status, capsys, "checkpoints made before are intact")


def test_a_folder_that_already_holds_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one_line(main(["train", "digits", "--out", str(run)]), capsys, "already holds a run")


def test_no_such_checkpoint_lists_those_there(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one_line(main(["sample", str(run), "--checkpoint", "17"]), capsys, "there are last, best,")


@pytest.mark.parametrize(
    ("recipe", "settings", "said"),
    [
        (
            "table",
            ["task=fill"],
            "no filler 'mlp'; known: images, rows; tables are filled by the recipe fill-table (task=impute)",
        ),
        ("upscale-x4", ["generator=dcgan"], "no mapper 'dcgan'"),
        ("color-32", ["generator=unet"], "no network 'unet'"),
        ("gray-28", ["loss=cramer", "view_chance=adaptive", "views=flip"], "set view_chance=fixed"),
    ],
)
def test_settings_that_play_no_data_are_refused_before_any_are_read(
    recipe: str,
    settings: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evenodds.runs.run.open_data", lambda *_: pytest.fail("data were read"))
    place = str(tmp_path / "run")
    assert main(["train", recipe, "--data", str(tmp_path), "--out", place, "--set", "device=cpu", *settings]) == 2
    assert said in capsys.readouterr().err
