"""Several masks of one image, an object each: which files they are, the map they make, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import evenodds
from evenodds.cli import main
from evenodds.data.dataset import Dataset
from evenodds.data.sources import load
from evenodds.errors import BadInput
from evenodds.runs.session import Session
from tests.short import AT_THE_END

WORDS = ("car", "tree")


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def scene(folder: Path, images: str, masks: str, marks: tuple[object, ...] = (0, 1), n: int = 4) -> None:
    """Images of one value each; the first mask of each has 32 pixels, and others 2 of them, in the upper left."""
    for k in range(n):
        save(folder / images.format(k=k), np.full((8, 8, 3), 50 + k, np.uint8))
        for j, mark in enumerate(marks):
            values = np.zeros((8, 8), np.uint8)
            values[: 1 if j else 4, : 2 if j else 8] = 255
            save(folder / masks.format(k=k, m=mark), values)


def values(data: Dataset) -> np.ndarray:
    """The first map."""
    return data.beside["labels"].values[0].numpy()


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("cat_{k}.png", "cat_{k}_mask_{m}.png"),
        ("cat_{k}.jpg", "cat_{k}_{m}.png"),
        ("images/{k}.jpg", "masks/{k}_mask{m}.png"),
        ("images/{k}.png", "masks/{k}/{m}.png"),
        ("x{k}/images/x{k}.png", "x{k}/masks/{k}a9{m}f3e.png"),
    ],
)
@pytest.mark.parametrize("above", ["", "train/"])
def test_numbered_masks_are_objects_of_one_class(images: str, masks: str, above: str, tmp_path: Path) -> None:
    scene(tmp_path, above + images, above + masks)
    data = load(tmp_path, layout="maps")
    assert (data.classes, len(data)) == (("background", "object"), 4)
    assert values(data).tolist() == [[1] * 8] * 4 + [[0] * 8] * 4
    assert "United 8 masks of 4 images: all are of one class." in data.report


def test_what_lies_under_the_name_of_the_image_and_with_a_number_are_objects(tmp_path: Path) -> None:
    scene(tmp_path, "images/{k}.png", "masks/{k}{m}.png", ("", "_1", "_2"))
    assert load(tmp_path, layout="maps").classes == ("background", "object")
    one = load(tmp_path, layout="maps", images="images", labels="masks/*_1")
    assert one.classes == ("class 0", "class 255")


@pytest.mark.parametrize("masks", ["masks/{k}_{m}.png", "masks/{k}/{m}_1.png", "masks/{m}/{k}.png"])
def test_what_masks_are_called_is_their_class_and_smaller_ones_are_seen(masks: str, tmp_path: Path) -> None:
    scene(tmp_path, "images/{k}.png", masks, WORDS)
    data = load(tmp_path, layout="maps")
    assert data.classes == ("background", *WORDS)
    assert values(data)[0].tolist() == [2, 2, *[1] * 6]
    assert any("data.objects=one makes one class" in line for line in data.report)
    assert load(tmp_path, layout="maps", objects="one").classes == ("background", "object")
    assert load(tmp_path, layout="maps", names="nothing,vehicle,plant").classes == ("nothing", "vehicle", "plant")


def test_masks_of_parts_are_held_out(tmp_path: Path) -> None:
    for part in ("train", "test"):
        scene(tmp_path, f"{part}/images/{part}{{k}}.png", f"{part}/masks/{part}{{k}}_{{m}}.png")
    data = load(tmp_path, layout="maps")
    assert {data.names[k].partition("/")[0] for k in data.split(0.1, 0)[1].tolist()} == {"test"}


def test_numbers_beside_names_are_refused_with_what_decides(tmp_path: Path) -> None:
    scene(tmp_path, "images/{k}.png", "masks/{k}_{m}.png", (0, "car"))
    with pytest.raises(BadInput, match=r"numbered alone, others are called such as 'car'; --set data\.objects=one"):
        load(tmp_path, layout="maps")
    assert load(tmp_path, layout="maps", objects="names").classes == ("background", "car", "object")
    with pytest.raises(BadInput, match=r"no way of data\.objects 'both'"):
        load(tmp_path, layout="maps", objects="both")


def test_masks_of_which_two_images_may_be_meant_are_refused(tmp_path: Path) -> None:
    scene(tmp_path, "images/{k}.png", "masks/{m}/{k}.png", (0, 1, 2, 3))
    with pytest.raises(BadInput, match=r"masks/\d/\d\.png of .* may be a mask of 'images/\d\.png' or 'images/\d\.png'"):
        load(tmp_path, layout="maps")


def test_other_maps_of_an_image_stay_apart_and_a_mask_has_two_values(tmp_path: Path) -> None:
    scene(tmp_path / "maps", "images/{k}.jpg", "masks/{k}{m}.png", ("", "_color"))
    assert len(load(tmp_path / "maps", layout="maps").classes) == 2
    scene(tmp_path / "labels", "images/{k}.png", "masks/{k}_{m}.png")
    save(tmp_path / "labels" / "masks" / "0_0.png", np.arange(64, dtype=np.uint8).reshape(8, 8) % 5)
    data = load(tmp_path / "labels", layout="maps")
    assert len(data) == 3
    assert any("0_0.png (more than two values, but it is one of several masks" in line for line in data.report)


def test_numbers_of_objects_in_one_map_are_said_and_made_one_class(tmp_path: Path) -> None:
    scene(tmp_path, "images/{k}.png", "masks/{k}{m}.png", ("",))
    for k in range(4):
        save(
            tmp_path / "masks" / f"{k}.png",
            np.repeat(np.array([[0, 2 * k + 1, 2 * k + 2]], np.uint8), 8, 0)[:, [0] * 6 + [1, 2]],
        )
    data = load(tmp_path, layout="maps")
    assert "8 of 8 values occur in one map alone, as numbers of objects do; data.objects=one takes" in " ".join(
        data.report
    )
    one = load(tmp_path, layout="maps", objects="one")
    assert one.classes == ("background", "object")
    assert values(one)[0].tolist() == [0] * 6 + [1, 1]
    assert not any("one map alone" in line for line in one.report)


def test_classes_that_differ_in_capitals_are_said(tmp_path: Path) -> None:
    for name in ("Cat/0.png", "cat/1.png", "dog/2.png"):
        save(tmp_path / name, np.zeros((8, 8, 3), np.uint8))
    assert any("capitals alone, 2 classes stay apart: Cat, cat;" in line for line in load(tmp_path).report)


TINY = {"device": "cpu", "images": 8, "batch": 4, "size": 8, "generator__width": 4, "generator__depth": 1}
TINY |= AT_THE_END


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A run on several masks of each image, of which it knows two classes beside the background."""
    folder = tmp_path_factory.mktemp("objects")
    scene(folder / "in", "images/{k}.png", "masks/{k}_{m}.png", WORDS)
    return evenodds.fit(folder / "in", "segment", out=folder / "run", **TINY)


@pytest.mark.parametrize(
    ("masks", "marks"),
    [
        ("{k}_{m}.png", WORDS),
        ("masks/{k}/{m}.png", WORDS),
        ("{m}/{k}.png", WORDS),
        ("{k}_{m}.png", ("car", "dog")),
        ("{k}_{m}.png", ("car",)),
    ],
)
def test_several_true_masks_of_an_image_are_scored_as_one_map(
    objects: Session, masks: str, marks: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene(tmp_path, "in/{k}.png", f"true/{masks}", marks)
    words = ["segment", objects.folder, tmp_path / "in", tmp_path / "out", "--against", tmp_path / "true"]
    status = main([str(word) for word in words])
    said = capsys.readouterr()
    if "dog" in marks:
        assert status == 2
        assert "called such as 'dog', which is no class of the run (background, car, tree)" in said.err
        return
    assert status == 0
    total = json.loads((tmp_path / "out" / "scores.json").read_text())["total"]
    true, matrix = np.zeros((8, 8), int), np.zeros((3, 3), int)
    true[:4] = 1
    true[0, :2] = 2 if len(marks) == 2 else 1
    for k in range(4):
        np.add.at(matrix, (true, np.asarray(Image.open(tmp_path / "out" / "labels" / f"{k}.png"))), 1)
    assert total["confusion"] == matrix.tolist()
    assert f"United {4 * len(marks)} true masks of 4 images" in said.err


def test_true_masks_of_numbers_or_in_black_and_white_are_those_of_a_run_of_one_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene(tmp_path / "data", "images/{k}.png", "masks/{k}_{m}.png")
    run = evenodds.fit(tmp_path / "data", "segment", out=tmp_path / "run", **TINY)
    scene(tmp_path, "white/images/{k}.png", "white/masks/{k}{m}.png", ("",))
    scene(tmp_path, "in/{k}.png", "true/{k}{m}.png", ("", "_1", "_2"))
    every = []
    for source, true in (("in", "true"), ("data/images", "data/masks"), ("in", "white/masks")):
        words = ["segment", run.folder, tmp_path / source, tmp_path / "out", "--again", "--against", tmp_path / true]
        assert main([str(word) for word in words]) == 0
        every.append(json.loads((tmp_path / "out" / "scores.json").read_text())["total"]["confusion"])
    assert every[0] == every[1] == every[2]
    assert np.sum(every[0], 1).tolist() == [128, 128]
    assert "255 is taken as 'object'" in capsys.readouterr().err


def test_what_of_true_maps_is_no_class_is_said(
    objects: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene(tmp_path, "in/{k}.png", "old/{k}{m}.png", ("",))
    for k in range(4):
        save(tmp_path / "true" / f"{k}.png", np.repeat(np.uint8([[0, 1, 7, 9]]), 8, 0).repeat(2, 1))
    words = ["segment", objects.folder, tmp_path / "in", tmp_path / "out", "--against", tmp_path / "true"]
    assert main([str(word) for word in words]) == 0
    assert "50.0% of the pixels, as their values (7, 9) are no class of the run (0, 1, 2)" in capsys.readouterr().err
