"""Data as people have them: what was made of each, what is said of it, and that it comes back as it was."""

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import evenodds
from evenodds.cli import main
from evenodds.data.checks import check
from evenodds.data.readers.arrays import from_array
from evenodds.data.sources import load
from evenodds.data.units import Units
from evenodds.errors import BadInput
from evenodds.evaluation.evaluate import evaluate
from evenodds.runs.folders import outside
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
    assert data.units.low[0] == x.min()
    assert any("Clipped" in line and "data.range=full keeps them" in line for line in data.report)
    assert from_array(x, range="full").units.high == (1e6,)
    assert from_array(x, range=[0, 2]).units == Units((0,), (2,), "float32")


@pytest.mark.parametrize("value", [-32768.0, -9999.0, 1e20, -1e30])
def test_the_number_for_no_data_is_found_said_and_filled_in(value: float) -> None:
    truth = np.add.outer(np.arange(20.0), np.add.outer(np.arange(16.0), np.arange(16.0))).astype(np.float32) + 500
    x = truth.copy()
    holes = np.random.default_rng(0).random(x.shape) < 0.01
    x[holes] = value
    data = from_array(x)
    assert data.units == Units((500.0,), (float(x[~holes].max()),), "float32")
    assert any(f"Values of {value:g} are no data: {holes.sum()} of them" in line for line in data.report)
    assert np.abs(data.x[:, 0].numpy() - truth).max() < 2  # as its neighbours are
    plain = from_array(x, nodata="none", range="full").units
    assert np.float32(plain.low[0] if value < 0 else plain.high[0]) == np.float32(value)


def test_large_holes_are_filled_in_quickly_and_with_what_is_around() -> None:
    x = np.random.default_rng(0).uniform(100, 200, (3, 700, 500)).astype(np.float32)
    x[0, 50:, 40:] = -9999
    x[1, :, 250:] = -9999
    filled = from_array(x).x.numpy()
    assert 100 <= filled.min() <= filled.max() <= 200
    assert np.array_equal(filled[1, 0, :, :250], x[1, :, :250])


@pytest.mark.parametrize("levels", [(0, 65535), (0, 1, 2, 65535), (0, 32767, 65535)])
def test_black_and_white_at_sixteen_bits_are_data(levels: tuple[int, ...]) -> None:
    x = np.array(levels, np.uint16)[np.arange(4 * 64).reshape(4, 8, 8) % len(levels)]
    data = from_array(x)
    assert data.units == Units((0,), (65535,), "uint16")
    assert np.array_equal(data.x[:, 0].numpy(), x)


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


# Splits --------------------------------------------------------------------------------------------------------------


def picture(k: int, shape: tuple[int, ...] = (8, 8, 3)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(k).integers(0, 256, shape, dtype=np.uint8))


def write(folder: Path, names: list[str]) -> None:
    for k, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture(k).save(folder / name)


def parts(n: int = 20) -> list[str]:
    """Every fifth of n files is one to test on."""
    return [f"{'test' if k % 5 == 0 else 'train'}/{'cat' if k % 2 else 'dog'}/{k:02d}.png" for k in range(n)]


@pytest.mark.parametrize("above", ["", "photos/"])
def test_what_is_kept_for_testing_is_never_trained_on(above: str, tmp_path: Path) -> None:
    write(tmp_path / "in", [above + name for name in parts()])
    data = load(tmp_path / "in")
    assert data.classes == ("cat", "dog")
    _, held_out = data.split(0.1, 0)
    assert {data.names[k].removeprefix(above).split("/")[0] for k in held_out.tolist()} == {"test"}
    assert len(held_out) == 4
    assert "Held out are the 4 images of test, none is trained on; data.splits=ignore mixes." in data.report
    mixed = load(tmp_path / "in", splits="ignore")
    assert mixed.apart is None
    assert mixed.classes == ("cat", "dog")
    with pytest.raises(BadInput, match=r"way of data\.splits"):
        load(tmp_path / "in", splits="mix")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train_set", "test_set"),
        ("train", "dev"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("TrainData", "TestData"),
    ],
)
def test_parts_are_known_by_a_word_in_their_names(train: str, test: str, tmp_path: Path) -> None:
    write(tmp_path, [f"{part}/{'ab'[k % 2]}/{k}.png" for part, n in ((train, 6), (test, 2)) for k in range(n)])
    data = load(tmp_path)
    assert data.apart is not None
    assert (data.classes, int(data.apart.sum())) == (("a", "b"), 2)
    assert all(name.startswith(test) for name, apart in zip(data.names, data.apart.tolist(), strict=True) if apart)


def test_classes_that_are_called_like_parts_are_classes(tmp_path: Path) -> None:
    write(tmp_path, [f"{name}/{k}.png" for name in ("train", "test_tube", "bus") for k in range(2)])
    data = load(tmp_path)
    assert (data.apart, data.classes) == (None, ("bus", "test_tube", "train"))


def test_classes_above_splits_work(tmp_path: Path) -> None:
    names = [f"{c}/{s}/{k}.png" for c in ("cat", "dog") for s, n in (("Train", 4), ("val", 2)) for k in range(n)]
    write(tmp_path, names)
    data = load(tmp_path)
    assert data.classes == ("cat", "dog")
    assert data.apart is not None
    assert [name for name, apart in zip(data.names, data.apart.tolist(), strict=True) if apart] == [
        "cat/val/0.png", "cat/val/1.png", "dog/val/0.png", "dog/val/1.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "names", [["train/1.png", "train/2.png"], ["test/1.png", "test/2.png"], ["a/1.png", "b/2.png"]]
)
def test_a_part_alone_is_all_there_is(names: list[str], tmp_path: Path) -> None:
    write(tmp_path, names)
    assert load(tmp_path).apart is None


def test_parts_within_the_folders_of_pairs_and_of_maps(tmp_path: Path) -> None:
    for k in range(10):
        part = "test" if k >= 8 else "train"
        for folder in ("pairs/A", "pairs/B", "maps/images", "maps/masks"):
            place = tmp_path / folder / part / f"{k}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            image = picture(k, (8, 8)) if folder == "maps/masks" else picture(k)
            (image.point(lambda v: int(v > 99)) if folder == "maps/masks" else image).save(place)
    for layout in ("pairs", "maps"):
        data = load(tmp_path / layout, layout=layout)
        assert data.split(0.1, 0)[1].tolist() == [0, 1]  # in the order of names, "test" comes first
        assert any(line.startswith("Held out are the 2 pairs of test") for line in data.report)


def test_a_run_holds_out_what_lies_in_test(tmp_path: Path) -> None:
    write(tmp_path / "in", parts(40))
    session = evenodds.fit(tmp_path / "in", "color-32", out=tmp_path / "run", size=8, **TINY)
    data = open_run_data(session.config, session.card)
    assert {data.names[k].split("/")[0] for k in session.card.held_out} == {"test"}
    assert sum(session.card.class_counts) == 32
    more = evenodds.resume(tmp_path / "run", settings={"images": 128})
    assert more.card.held_out == session.card.held_out


# Labels --------------------------------------------------------------------------------------------------------------


def labelled(folder: Path, lines: list[str]) -> Path:
    write(folder, [f"{k:02d}.png" for k in range(len(lines) - 1)])
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_minus_one_is_a_class_unless_it_is_said_to_be_none(tmp_path: Path) -> None:
    x, y = np.zeros((6, 4, 4), np.uint8), np.array([-1, 0, 1, -1, 0, 1])
    np.savez(tmp_path / "x.npz", x=x, y=y)
    three = load(tmp_path / "x.npz")
    assert three.classes == ("-1", "0", "1")
    assert "-1 is a class; data.unlabelled=-1 takes it as unknown." in three.report
    two = load(tmp_path / "x.npz", unlabelled=-1)
    assert two.y is not None
    assert (two.classes, two.y.tolist()) == (("0", "1"), [-1, 0, 1, -1, 0, 1])
    assert from_array(x, np.where(y > 0, 1, -1)).classes == ("-1", "1")
    folder = labelled(tmp_path / "files", ["file,class", *(f"{k:02d}.png,{v}" for k, v in enumerate(y))])
    assert load(folder).classes == ("-1", "0", "1")
    assert load(folder, unlabelled="-1").classes == ("0", "1")


def test_missing_labels_are_missing(tmp_path: Path) -> None:
    data = load(labelled(tmp_path, ["name,class", "00.png,NaN", "01.png,cat", "02.png,dog", "03.png,"]))
    assert data.y is not None
    assert (data.classes, data.y.tolist()) == (("cat", "dog"), [-1, 0, 1, -1])
    assert "Counted 2 images without a class in labels.csv as unknown." in data.report


def test_a_column_of_many_numbers_holds_values_and_one_called_class_classes(tmp_path: Path) -> None:
    ages = [f"{k:02d}.png,{20 + k}" for k in range(30)]
    data = load(labelled(tmp_path / "ages", ["name,age", *ages]))
    assert data.y is None
    assert data.conditions is not None
    assert (data.conditions.names, data.conditions.binary) == (("age",), False)
    assert any("The column age of labels.csv holds numbers" in line for line in data.report)
    assert len(load(labelled(tmp_path / "classes", ["name,class", *ages])).classes) == 30


def test_columns_that_are_swapped_and_attributes_in_words(tmp_path: Path) -> None:
    swapped = load(labelled(tmp_path / "swapped", ["class,name", "cat,00.png", "dog,01.png"]))
    assert swapped.y is not None
    assert (swapped.classes, swapped.y.tolist()) == (("cat", "dog"), [0, 1])
    assert "The last column of labels.csv names the images; the others hold what is known of them." in swapped.report
    words = load(labelled(tmp_path / "words", ["name,smiles,hat", "00.png,True,no", "01.png,false,Yes"]))
    assert words.c is not None
    assert words.conditions is not None
    assert (words.conditions.binary, words.c.tolist()) == (True, [[1, 0], [0, 1]])


# The run's own files -------------------------------------------------------------------------------------------------


SHORT = ["--images", "32", "--quiet", "--set", "batch=8", "size=8", "generator.width=8", "discriminator.width=8"]
SHORT += [f"{name}={share}" for name, share in AT_THE_END.items()]


def test_runs_within_the_data_are_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, [f"{k:02d}.png" for k in range(20)])
    monkeypatch.chdir(tmp_path)
    assert main(["train", "color-32", "--data", ".", "--out", "runs/a", *SHORT]) == 0
    data = load(tmp_path)
    assert len(data) == 20
    assert any(line.startswith("Left out 1 run folder of evenodds: runs/a") for line in data.report)


@pytest.mark.parametrize("command", ["train color-32", "trial"])
def test_results_are_not_written_among_the_data(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "photos", [f"{name}/{k}.png" for name in "ab" for k in range(6)])
    monkeypatch.chdir(tmp_path)
    assert main([*command.split(), "--data", "photos", "--out", "photos/../photos"]) == 2
    assert "results are no data; give --out another folder" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "photos").iterdir()} == {"a", "b"}


def test_a_run_is_put_beside_the_data_that_it_would_lie_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "photos", [f"{k:02d}.png" for k in range(20)])
    monkeypatch.chdir(tmp_path / "photos")
    assert main(["train", "color-32", "--data", ".", *SHORT]) == 0
    assert "runs would lie in the data: results are put beside it, in ../runs" in capsys.readouterr().err
    assert (tmp_path / "runs" / "color-32-1" / "config.yaml").is_file()
    assert {path.suffix for path in (tmp_path / "photos").iterdir()} == {".png"}
    monkeypatch.chdir(tmp_path)
    assert outside(Path("runs"), "photos") == Path("runs")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(BadInput, match="beside which nothing can be written; give --out FOLDER"):
        outside(Path("photos/runs"), "photos")


# Small things --------------------------------------------------------------------------------------------------------


def test_one_image_trains_and_no_advice_is_given_that_it_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in", ["0.png"])
    monkeypatch.chdir(tmp_path)
    assert main(["train", "color-32", "--data", "in", *SHORT]) == 0
    told = capsys.readouterr().err
    assert "Each batch of 8 holds every one of 1 training item 8 times." in told
    assert "report" not in told.split("done:")[1]
    assert main(["report", "runs/color-32-1"]) == 2
    assert "name more real data of the kind with --against" in capsys.readouterr().err


def test_a_batch_that_is_larger_than_the_data_is_said() -> None:
    data = from_array(np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8))
    train, held_out = data.split(0.1, 0)
    said = "Each batch of 1,000 holds every one of 11 training items 90 or 91 times; --set batch=8 repeats none."
    assert said in check(data, train, held_out, batch=1000)
    assert not any("batch" in line for line in check(data, train, held_out, batch=11))


# Maps ----------------------------------------------------------------------------------------------------------------


def maps(folder: Path, values: np.ndarray) -> Path:
    """Images, and these maps (N, H, W) of uint8."""
    for k, one in enumerate(values):
        for name, image in (("images", picture(k, (*one.shape, 3))), ("masks", Image.fromarray(one))):
            (folder / name).mkdir(parents=True, exist_ok=True)
            image.save(folder / name / f"{k}.png")
    return folder


@pytest.mark.parametrize("levels", [(0, 255), (0, 128, 255), (0, 127, 255), (0, 51, 102, 153, 204, 255), (0, 102, 255)])
def test_255_is_a_class_among_evenly_spread_levels(levels: tuple[int, ...], tmp_path: Path) -> None:
    values = np.array(levels, np.uint8)[np.arange(4 * 64).reshape(4, 8, 8) % len(levels)]
    data = load(maps(tmp_path, values), layout="maps")
    assert data.classes == tuple(f"class {level}" for level in levels)
    assert any("so 255 counts as a class; data.ignore=255 ignores it." in line for line in data.report)
    assert int(data.beside["labels"].values.max()) == len(levels) - 1


@pytest.mark.parametrize("levels", [(0, 1, 255), (0, 1, 2, 3, 255), (0, 100, 255)])
def test_255_is_no_class_among_others(levels: tuple[int, ...], tmp_path: Path) -> None:
    values = np.array(levels, np.uint8)[np.arange(4 * 64).reshape(4, 8, 8) % len(levels)]
    assert load(maps(tmp_path, values), layout="maps").classes == tuple(f"class {level}" for level in levels[:-1])


def test_soft_edges_are_cut_in_the_middle(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:64, :64]
    hard = [(rows - 30) ** 2 + (columns - 25 - k) ** 2 < 200 for k in range(6)]
    soft = [Image.fromarray((one * 255).astype(np.uint8)).resize((128, 128), 2).resize((64, 64), 3) for one in hard]
    data = load(maps(tmp_path, np.stack([np.asarray(one) for one in soft])), layout="maps")
    assert data.classes == ("class 0", "class 255")
    assert any("with soft edges" in line and "ignore=none" in line for line in data.report)
    assert (data.beside["labels"].values.numpy() == np.stack(hard)).mean() > 0.99
    assert len(load(tmp_path, layout="maps", ignore="none").classes) > 8


# Stacks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["tif", "gif", "webp", "png"])
def test_all_frames_of_a_stack_are_read_and_held_out_together(ending: str, tmp_path: Path) -> None:
    for k in range(10):
        frames = [picture(10 * k + j, (8, 8)) for j in range(6)]
        options = {"lossless": True} if ending == "webp" else {}
        frames[0].save(tmp_path / f"{k}.{ending}", save_all=True, append_images=frames[1:], **options)
    data = load(tmp_path, channels=1)
    assert len(data) == 60
    assert data.names[:7] == (*(f"0.{ending}#{j}" for j in range(6)), f"1.{ending}#0")
    if ending != "gif":
        assert np.array_equal(data.x[13, 0].numpy(), np.asarray(picture(21, (8, 8))))
    _, held_out = data.split(0.2, 0)
    files = {data.names[k].partition("#")[0] for k in held_out.tolist()}
    assert (len(files), len(held_out)) == (2, 12)
    assert any(line.startswith("Took all frames of 10 files: 0.") for line in data.report)
    first = load(tmp_path, channels=1, frames="first")
    assert len(first) == 10
    assert "Took the first frame of 10 images with several." in first.report


def test_pages_of_other_sizes_are_no_frames_and_classes_are_those_of_the_file(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        pages = [picture(1), picture(2), picture(3, (4, 4, 3))]
        pages[0].save(tmp_path / name / "a.tif", save_all=True, append_images=pages[1:])
    data = load(tmp_path)
    assert data.names == ("cat/a.tif#0", "cat/a.tif#1", "dog/a.tif#0", "dog/a.tif#1")
    assert data.y is not None
    assert (data.classes, data.y.tolist()) == (("cat", "dog"), [0, 0, 1, 1])
    alone = load(tmp_path / "cat" / "a.tif")
    assert len(alone) == 2
    assert len(alone.split(0.5, 0)[1]) == 1


# Tables --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["mean", "draw"])
def test_what_a_row_gets_does_not_depend_on_the_others(strategy: str) -> None:
    from evenodds.estimators import GANImputer

    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 4))
    x[rng.random(x.shape) < 0.2] = np.nan
    imputer = GANImputer(random_state=0, rows=500, strategy=strategy).fit(x)
    among = imputer.transform(x)
    alone = np.vstack([imputer.transform(x[k : k + 1]) for k in range(20)])
    assert np.allclose(among[:20], alone, atol=1e-4)
    assert len(np.unique(among[np.isnan(x[:, 0]), 0])) > 5  # rows differ


# Words ---------------------------------------------------------------------------------------------------------------


def test_commands_to_copy_are_quoted_where_a_shell_needs_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "my run (1)"
    small = ["batch=8", "generator.width=8", "discriminator.width=8"]
    assert main(["train", "digits", "--images", "16", "--out", str(run), "--quiet", "--set", *small]) == 0
    said = capsys.readouterr()
    lines = [line for line in (said.out + said.err).splitlines() if line.startswith(("its figures", "more samples"))]
    assert len(lines) == 2
    assert all(str(run) in shlex.split(line) for line in lines)


# Pairs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [None, 4])
def test_both_of_a_pair_in_one_file(size: int | None, tmp_path: Path) -> None:
    for k in range(10):
        whole = np.concatenate([np.full((8, 8, 3), 10 * k, np.uint8), np.full((8, 8, 3), 255 - k, np.uint8)], 1)
        place = tmp_path / ("test" if k > 7 else "train") / f"{k}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(whole).save(place)
    data = load(tmp_path, layout="pairs", size=size)
    side = size or 8
    assert data.shape == data.beside["source"].shape == (3, side, side)
    assert data.names[2:4] == ("train/0", "train/1")
    assert data.x[2:5, 0, 0, 0].tolist() == [255, 254, 253]
    assert data.beside["source"].values[2:5, 0, 0, 0].tolist() == [0, 10, 20]
    assert data.split(0.1, 0)[1].tolist() == [0, 1]
    assert any("the left half of each file is the source, the right one the target" in line for line in data.report)
    turned = load(tmp_path, layout="pairs", size=size, beside="right")
    assert turned.x[2:5, 0, 0, 0].tolist() == [0, 10, 20]
    with pytest.raises(BadInput, match="which two folders"):
        load(tmp_path, layout="pairs", beside="none")
    with pytest.raises(BadInput, match=r"side of data\.beside"):
        load(tmp_path, layout="pairs", beside="above")


def test_files_that_are_not_twice_as_wide_are_not_cut(tmp_path: Path) -> None:
    for k in range(4):
        picture(k, (8, 12, 3)).save(tmp_path / f"{k}.png")
    with pytest.raises(BadInput, match="nothing tells sources and targets apart"):
        load(tmp_path, layout="pairs")


def table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "values", "note"),
    [
        (
            'age,income\n20,"19,014"\n30,"1,234,567"\n40,7\n',
            [19014, 1234567, 7],
            "between thousands in 1 column",
        ),
        ("age;income\n20;19,014\n30;2,5\n40;7\n", [19.014, 2.5, 7], "before decimals in 1 column: income"),
        ("age;income\n20;0,125\n30;1,250\n40;7\n", [0.125, 1.25, 7], "before decimals in 1 column: income"),
        ('age,income\n"1,5","19,014"\n"2,5","1,234"\n', [19.014, 1.234], "before decimals in 2 columns: age, income"),
        ('age,income\n1.5,"19,014"\n2.5,"1,234"\n', [19014, 1234], "between thousands in 1 column: income"),
        ("age;income\n20;19,014\n30;1,234\n", [19.014, 1.234], "before decimals in 1 column: income"),
        ("age;income\n2,5;19.014\n3,5;1.234\n4,5;7\n", [19014, 1234, 7], "points to stand between thousands"),
        ("age;id;income\n2,5;1.5;19.014\n3,5;2.5;1.234\n", [19.014, 1.234], "before decimals in 1 column: age"),
    ],
)
def test_commas_in_numbers_are_what_the_column_says(text: str, values: list[float], note: str, tmp_path: Path) -> None:
    data = load(table(tmp_path / "t.csv", text))
    assert data.x[:, -1].tolist() == pytest.approx(values)
    assert any(note in line for line in data.report)


def test_a_row_of_decimal_commas_is_no_header(tmp_path: Path) -> None:
    assert len(load(table(tmp_path / "t.csv", "1,5;2,5\n3,5;4,5\n"))) == 2


@pytest.mark.parametrize(
    ("values", "unlabelled", "classes"),
    [
        ([-1, -1, 0, 1], "auto", [0, 1]),
        ([-2, -1, 0, 1], "auto", [-2, -1, 0, 1]),
        ([-1, 0, 1], None, [-1, 0, 1]),
        ([-1, 1, 2], -1, [1, 2]),
        ([0, 1, 9], 9, [0, 1]),
        (["a", "b", "?"], "?", ["a", "b"]),
    ],
)
def test_what_is_no_label_is_what_the_user_says(
    values: list[object], unlabelled: object, classes: list[object]
) -> None:
    from evenodds.estimators import GANClassifier

    x = np.random.default_rng(0).normal(size=(30, 3))
    y = np.array([values[k % len(values)] for k in range(30)])
    assert GANClassifier(rows=64, unlabelled=unlabelled, random_state=0).fit(x, y).classes_.tolist() == classes


def test_minus_one_and_one_are_classes_and_that_is_said() -> None:
    from evenodds.estimators import GANClassifier

    x, y = np.random.default_rng(0).normal(size=(30, 3)), np.where(np.arange(30) % 2, 1, -1)
    with pytest.warns(UserWarning, match="-1 is taken as a class; unlabelled=-1 takes it as no label"):
        classifier = GANClassifier(rows=64, random_state=0).fit(x, y)
    assert classifier.classes_.tolist() == [-1, 1]
    with pytest.warns(UserWarning, match="-1 is taken as no label, though another is as frequent; unlabelled=-1"):
        GANClassifier(rows=64, random_state=0).fit(x, np.arange(30) % 3 - 1)


@pytest.mark.parametrize("kind", ["csv", "array"])
def test_whole_numbers_flags_and_ranges_of_a_table_hold(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = np.stack([rng.integers(18, 90, 200), rng.integers(0, 2, 200), rng.lognormal(10, 1, 200)], 1)
    lines = [f"{age:.0f},{flag:.0f},{income:.2f}" for age, flag, income in rows]
    source = table(tmp_path / "t.csv", "\n".join(["age,flag,income", *lines])) if kind == "csv" else rows
    session = evenodds.fit(source, "table", out=tmp_path / "run", images=640, batch=32, device="cpu", **AT_THE_END)
    made = session.sample(500)
    assert np.array_equal(made[:, :2], np.round(made[:, :2]))
    assert set(np.unique(made[:, 1])) <= {0, 1}
    assert (made.min(0) >= rows.min(0) - 0.01).all()
    assert (made.max(0) <= rows.max(0) + 0.01).all()
    assert np.array_equal(evenodds.load(session.folder).sample(500), made)


# What a stranger's eye found -----------------------------------------------------------------------------------------


def test_images_left_out_of_an_archive_do_not_move_its_parts(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(0, 1, (14, 8, 8)).astype(np.float32)
    x[2] = x[12] = -9999
    np.savez(tmp_path / "x.npz", x_train=x[:10], x_test=x[10:])
    train, test = (load(tmp_path / "x.npz", split=part) for part in ("train", "test"))
    assert np.allclose(train.x[:, 0].numpy(), np.delete(x[:10], 2, 0))
    assert np.allclose(test.x[:, 0].numpy(), np.delete(x[10:], 2, 0))
    assert train.units.low[0] >= 0
    assert not any("Clipped" in line for line in train.report)


def test_a_channel_without_data_does_not_widen_the_range() -> None:
    x = np.random.default_rng(0).uniform(1000, 2000, (40, 2, 16, 16)).astype(np.float32)
    x[3, 1] = -9999
    data = from_array(x)
    assert min(data.units.low) >= 1000
    assert 1400 < float(data.x[3, 1].mean()) < 1600


def test_eight_bits_have_the_range_that_is_asked_for() -> None:
    x = np.random.default_rng(0).integers(0, 2, (20, 8, 8)).astype(np.uint8)
    assert from_array(x).units == Units((0,), (255,), "uint8")
    assert from_array(x, range="0,1").units == Units((0,), (1,), "uint8")
    assert any("Values of 1 are no data" in line for line in from_array(x, nodata=1).report)
    assert from_array(x, range="full", nodata=1).units == Units((0,), (255,), "uint8")
    with pytest.raises(BadInput, match=r"data\.range needs"):
        from_array(x, range="bogus")


def test_thousands_with_decimals(tmp_path: Path) -> None:
    data = load(table(tmp_path / "t.csv", 'a,b\n"1,234.50",2\n"2,000.25",3\n'))
    assert data.x[:, 0].tolist() == [1234.5, 2000.25]


def test_a_loose_image_beside_the_parts_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, [*parts(), "cover.png", "extra/1.png"])
    data = load(tmp_path)
    assert {data.names[k].split("/")[0] for k in data.split(0.1, 0)[1].tolist()} == {"test"}


def test_sets_without_partners_leave_aside_what_is_to_test_on(tmp_path: Path) -> None:
    write(tmp_path, [f"{side}/{'test' if k > 4 else 'train'}/{side}{k}.png" for side in "AB" for k in range(7)])
    data = load(tmp_path, layout="unpaired")
    assert len(data) == 5
    assert any(line.startswith("Left aside 4 images that are kept for testing") for line in data.report)
    assert len(load(tmp_path, layout="unpaired", splits="ignore")) == 7


def test_run_folders_in_archives_are_no_data(tmp_path: Path) -> None:
    write(tmp_path / "in", [f"{k}.png" for k in range(6)])
    write(tmp_path / "in" / "r1", ["samples.png"])
    for name in ("config.yaml", "data.json", "checkpoints/0/players.safetensors"):
        (tmp_path / "in" / "r1" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / "r1" / name).write_text("{}")
    packed = load(shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path / "in"))
    assert (len(packed), len(load(tmp_path / "in"))) == (6, 6)
    assert "Left out 1 run folder of evenodds: r1." in packed.report


def test_small_classes_between_0_and_255_stay_classes(tmp_path: Path) -> None:
    values = np.zeros((4, 64, 64), np.uint8)
    values[:, 40:] = 255
    for k in range(17):
        values[:, 4 + 4 * (k // 6) : 6 + 4 * (k // 6), 4 + 8 * (k % 6) : 6 + 8 * (k % 6)] = 1 + 14 * k
    assert len(load(maps(tmp_path, values), layout="maps").classes) == 18


@pytest.mark.parametrize(("size", "way"), [(64, Image.Resampling.BILINEAR), (48, Image.Resampling.LANCZOS)])
def test_edges_of_a_few_shades_are_soft_too(size: int, way: Image.Resampling, tmp_path: Path) -> None:
    hard = np.zeros((6, 128, 128), np.uint8)
    hard[:, 31:90, 27:101] = 255
    soft = np.stack([np.asarray(Image.fromarray(one).resize((size, size), way)) for one in hard])
    assert load(maps(tmp_path, soft), layout="maps").classes == ("class 0", "class 255")


def test_labels_lie_below_a_folder_that_all_have_in_common(tmp_path: Path) -> None:
    labelled(tmp_path / "in" / "set", ["name,class", "00.png,cat", "01.png,dog"])
    data = load(tmp_path / "in")
    assert data.y is not None
    assert (data.classes, data.y.tolist()) == (("cat", "dog"), [0, 1])


@pytest.mark.parametrize("size", [8, 24, None])
def test_what_holds_no_data_does_not_mix_when_images_are_resized(size: int | None, tmp_path: Path) -> None:
    for k in range(12):
        side = 24 if size is None and k == 0 else 16
        x = np.random.default_rng(k).integers(1000, 1200, (side, side)).astype(np.uint16)
        x[3:7, 5:9] = 65535
        Image.fromarray(x).save(tmp_path / f"{k:02d}.png")
    data = load(tmp_path, size=size)
    assert any("Values of 65535 are no data" in line for line in data.report)
    assert 900 < int(data.x.min()) <= int(data.x.max()) < 1300


def test_pairs_and_maps_take_the_range_that_their_notes_advise(tmp_path: Path) -> None:
    for k in range(4):
        x = np.random.default_rng(k).integers(0, 4096, (8, 8)).astype(np.uint16)
        for folder in ("pairs/A", "pairs/B", "maps/images", "maps/masks"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            values = (x > 2000).astype(np.uint8) if folder == "maps/masks" else x
            Image.fromarray(values).save(tmp_path / folder / f"{k}.png")
    for layout in ("pairs", "maps"):
        assert load(tmp_path / layout, layout=layout).units.high == (4095,)
        assert load(tmp_path / layout, layout=layout, range="full").units.high == (65535,)
    unpaired = load(tmp_path / "pairs", layout="unpaired", range="0,5000")
    units = unpaired.beside["source"].units
    assert units is not None
    assert (unpaired.units.high, units.high) == ((5000,), (5000,))


def test_bits_are_those_of_the_files_where_edges_are_resized(tmp_path: Path) -> None:
    for k in range(6):
        values = np.full((40, 40), 1020, np.uint16)
        values[k : k + 20, 10:30] = 4 * k
        Image.fromarray(values).save(tmp_path / f"{k}.png")
    data = load(tmp_path, size=28)
    assert (data.units.low, data.units.high) == ((0.0,), (1023.0,))
    assert int(data.x.max()) == 1020


def test_no_data_of_one_channel_is_found_beside_larger_numbers_of_another() -> None:
    x = np.random.default_rng(0).random((20, 2, 9, 9)).astype(np.float32) * np.float32([300, 1e5])[:, None, None]
    x[3, 0, 2, 2] = -9999
    data = load(x)
    assert any("Values of -9999 are no data: 1 of them" in line for line in data.report)
    assert float(data.x.min()) >= 0
    x[:, 1] = -9999 - x[:, 1]  # there it is a number like others
    x[4, 1, 0, 0] = -9999
    assert not any("no data" in line for line in load(x).report)
