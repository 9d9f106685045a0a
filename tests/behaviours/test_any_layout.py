"""Folders as people have them: which files belong together, what is trained on, and what is said of it."""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import evenodds
from evenodds.apply.encoder import encoder_of
from evenodds.cli import main
from evenodds.data.dataset import Dataset
from evenodds.data.label_maps.regions import inside_polygon
from evenodds.data.sources import load
from evenodds.errors import BadInput, Remark
from evenodds.runs.run_data import open_run_data
from tests.short import AT_THE_END


def image(folder: Path, name: str, k: int, size: tuple[int, int] = (8, 8)) -> None:
    """A colour image of which every pixel is k."""
    write(folder, name, np.full((*size, 3), k, np.uint8))


def label(folder: Path, name: str, k: int, size: tuple[int, int] = (8, 8)) -> None:
    """A map of the classes 0 and 1, of which k pixels are 1."""
    values = np.zeros(size, np.uint8)
    values.flat[:k] = 1
    write(folder, name, values)


def write(folder: Path, name: str, values: np.ndarray) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        Image.fromarray(values).save(
            stream, "JPEG" if path.suffix == ".jpg" else "GIF" if path.suffix == ".gif" else "PNG"
        )


def pair(folder: Path, source: str, target: str, k: int, scale: int = 1) -> None:
    """A source of the value k, and a target of 100 + k."""
    image(folder, source, k)
    image(folder, target, 100 + k, (8 * scale, 8 * scale))


def advice(error: pytest.ExceptionInfo[BadInput], place: int = 0) -> dict[str, str]:
    """The options of a reader that a message says to set, as a shell gives them."""
    settings = str(error.value).split("--set ")[1 + place]
    words = [word.rstrip(";,.") for word in shlex.split(re.split(" says | or |; ", settings)[0])]
    pairs = [word.removeprefix("data.").partition("=") for word in words if word.startswith("data.")]
    return {name: value for name, _, value in pairs}


def right(data: Dataset, ks: list[int]) -> bool:
    """Whether items are of these images and their maps."""
    ones = (data.beside["labels"].values == 1).sum((1, 2)).tolist()
    return [round(float(x.float().mean())) for x in data.x] == ks == ones


# Names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("{k:03}.jpg", "{k:03}_mask.png"),
        ("img_{k:03}.jpg", "mask_{k:03}.png"),
        ("img{k:03}.jpg", "mask{k:03}.png"),
        ("{k:03}.png", "{k:03}.mask.png"),
        ("{k:03}.png", "{k:03}.png.mask"),
        ("{k:03}.png", "{k:03}.png.mask.png"),
        ("{k:03}_sat.jpg", "{k:03}_mask.png"),
        ("ADE_{k:03}.jpg", "ADE_{k:03}_seg.png"),
        ("{k:03}.jpg", "{k:03}.png"),
        ("a/{k:03}.png", "a/{k:03}_Label.png"),
        ("{k:03}/image.png", "{k:03}/mask.png"),
        ("photos/{k:03}.jpg", "gt/{k:03}.png"),
        ("images/{k:03}.jpg", "masks/{k:03}_mask.gif"),
        ("images/img_{k:03}.jpg", "masks/mask_{k:03}.png"),
        ("images/{k:03}.jpg", "labels/{k:03}.jpg.png"),
        ("x/images/train/{k:03}.jpg", "x/labels/train/{k:03}_labels.png"),
        ("leftImg8bit/train/ulm/ulm_{k:03}_leftImg8bit.png", "gtFine/train/ulm/ulm_{k:03}_gtFine_labelIds.png"),
    ],
)
def test_maps_are_found_by_their_names(images: str, labels: str, tmp_path: Path) -> None:
    for k in range(1, 6):
        image(tmp_path, images.format(k=k), k)
        label(tmp_path, labels.format(k=k), k)
    assert right(load(tmp_path, layout="maps", ignore="none", names="a,b"), [1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    ("sources", "targets", "scale"),
    [
        ("{k}_A.jpg", "{k}_B.jpg", 1),
        ("input_{k}.png", "target_{k}.png", 1),
        ("{k}_noisy.png", "{k}.png", 1),
        ("{k}.png", "{k}_gt.png", 1),
        ("{k:04}x4.png", "{k:04}.png", 4),
        ("{k:04}.png", "{k:04}_x4.png", 4),
        ("LR/{k:04}x4.png", "HR/{k:04}.jpg", 4),
        ("LR/{k}_LR.png", "HR/{k}_HR.png", 2),
        ("edges/edges_{k}.png", "photos/photos_{k}.jpg", 1),
    ],
)
def test_pairs_are_found_by_their_names(sources: str, targets: str, scale: int, tmp_path: Path) -> None:
    for k in range(1, 6):
        pair(tmp_path, sources.format(k=k), targets.format(k=k), k, scale)
    data = load(tmp_path, layout="pairs")
    assert data.x.float().mean((1, 2, 3)).round().tolist() == [101, 102, 103, 104, 105]
    assert data.beside["source"].values.float().mean((1, 2, 3)).round().tolist() == [1, 2, 3, 4, 5]
    assert data.shape[1] == 8 * scale
    assert any("by what names begin and end with" in line for line in data.report)


def test_masks_that_lost_little_by_compression_are_black_and_white(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:40, :40]
    truth = np.stack([(rows - 20) ** 2 + (columns - 18 - k) ** 2 < 120 for k in range(4)])
    for k, inside in enumerate(truth):
        image(tmp_path, f"images/{k}.png", k, (40, 40))
        write(tmp_path, f"masks/{k}.jpg", (inside * 255).astype(np.uint8))
    data = load(tmp_path, layout="maps")
    assert data.classes == ("class 0", "class 255")
    assert (data.beside["labels"].values.numpy() == truth).mean() > 0.99
    assert any("as black and white" in line for line in data.report)
    for k, inside in enumerate(truth):
        write(tmp_path, f"masks/{k}.jpg", (inside * 3).astype(np.uint8))
    with pytest.raises(BadInput, match="save maps as PNG"):
        load(tmp_path, layout="maps")


def test_names_that_may_mean_two_things_are_refused_with_what_decides(tmp_path: Path) -> None:
    for k in range(1, 6):
        image(tmp_path, f"{k}.jpg", k)
        label(tmp_path, f"{k}_mask.png", k)
        label(tmp_path, f"{k}_seg.png", 10 + k)
    with pytest.raises(BadInput, match="tell several kinds of labels") as error:
        load(tmp_path, layout="maps")
    ways = [load(tmp_path, layout="maps", **advice(error, place)) for place in (0, 1)]
    assert sorted(int((one.beside["labels"].values == 1).sum()) for one in ways) == [15, 65]
    assert all(len(one) == 5 for one in ways)


def test_a_scale_in_names_of_images_of_one_size_is_refused_with_what_decides(tmp_path: Path) -> None:
    for k in range(1, 6):
        pair(tmp_path, f"{k}x4.png", f"{k}.png", k)
    with pytest.raises(BadInput, match="are of one size, so names do not tell the sources") as error:
        load(tmp_path, layout="pairs")
    assert [advice(error, place) for place in (0, 1)] == [
        {"sources": "*x4", "targets": "*"},
        {"sources": "*", "targets": "*x4"},
    ]
    assert load(tmp_path, layout="pairs", **advice(error)).x[:, 0, 0, 0].tolist() == [101, 102, 103, 104, 105]
    assert load(tmp_path, layout="pairs", **advice(error, 1)).x[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5]


def test_unknown_words_in_names_are_refused_with_the_settings_that_read_them(tmp_path: Path) -> None:
    for k in range(1, 6):
        image(tmp_path, f"eyes/{k:02}_training.jpg", k)
        label(tmp_path, f"expert/{k:02}_first.png", k)
        image(tmp_path, f"one/{k:02}_dark.png", k)
        image(tmp_path, f"one/{k:02}_bright.png", 100 + k)
    with pytest.raises(BadInput, match="which two folders"):
        load(tmp_path, layout="maps")
    with pytest.raises(BadInput, match="no file in 'eyes' has the name of one in 'expert'") as error:
        load(tmp_path, layout="maps", images="eyes", labels="expert")
    assert advice(error) == {"images": "eyes/*_training", "labels": "expert/*_first"}
    assert right(load(tmp_path, layout="maps", **advice(error)), [1, 2, 3, 4, 5])
    with pytest.raises(BadInput, match="nothing tells sources and targets apart among the 10 images") as error:
        load(tmp_path / "one", layout="pairs")
    assert advice(error) == {"sources": "*_a", "targets": "*_b"}
    data = load(tmp_path / "one", layout="pairs", sources="*_dark", targets="*_bright")
    assert data.x[:, 0, 0, 0].tolist() == [101, 102, 103, 104, 105]


def test_sizes_that_are_no_multiples_are_cropped(tmp_path: Path) -> None:
    for k, (height, width) in enumerate([(33, 34), (35, 32), (32, 32), (34, 35)]):
        rows = np.repeat(np.arange(height, dtype=np.uint8)[:, None], width, 1)
        write(tmp_path, f"HR/{k}.png", rows)
        write(tmp_path, f"LR/{k}.png", rows[: height // 2 * 2 : 2, : width // 2 * 2 : 2])
    data = load(tmp_path, layout="pairs", fit="tiles", size=32)
    assert len(data.groups.unique() if data.groups is not None else ()) == 4
    assert np.array_equal(data.x[..., ::2, ::2].numpy(), data.beside["source"].values.numpy())
    assert any(line.startswith("Cropped 3 pairs at the lower and right ends") for line in data.report)


# Parts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folders", ["{part}/A {part}/B", "{part}A {part}B", "x/{part}/input x/{part}/target"])
def test_a_part_to_test_on_beside_that_to_train_on_is_held_out(folders: str, tmp_path: Path) -> None:
    for k in range(10):
        source, target = folders.format(part="test" if k >= 8 else "train").split()
        pair(tmp_path, f"{source}/{k}.png", f"{target}/{k}.png", k)
    data = load(tmp_path, layout="pairs")
    assert len(data) == 10
    assert data.x[data.split(0.1, 0)[1], 0, 0, 0].tolist() == [108, 109]
    assert any(line.startswith("Held out are the 2 pairs of test") for line in data.report)
    train = load(tmp_path, layout="pairs", splits="train")
    assert sorted(train.x[:, 0, 0, 0].tolist()) == [*range(100, 108)]
    assert any(line.startswith("Left aside 2 pairs that are kept for testing") for line in train.report)
    assert len(load(tmp_path, layout="pairs", splits="ignore").split(0.5, 0)[1]) == 5
    assert len(load(tmp_path, layout="unpaired")) == 8


def test_a_part_without_partners_is_left_aside(tmp_path: Path) -> None:
    for k in range(4):
        pair(tmp_path, f"train/A/{k}.png", f"train/B/{k}.png", k)
        image(tmp_path, f"test/A/{k}.png", k)
    data = load(tmp_path, layout="pairs")
    assert (len(data), data.apart) == (4, None)
    assert any(line.startswith("Left aside 4 images elsewhere, in test/A") for line in data.report)


# Public data sets ----------------------------------------------------------------------------------------------------


def test_cityscapes_is_read_as_it_is(tmp_path: Path) -> None:
    for k, part in enumerate(["train", "train", "train", "val", "test"]):
        stem = f"{part}/ulm/ulm_00000{k}_000019"
        image(tmp_path, f"leftImg8bit/{stem}_leftImg8bit.png", k)
        ids = np.zeros((8, 8), np.uint8) if part == "test" else np.repeat(np.uint8([[7, 8, 9, 26, 0, 33, 7, 7]]), 8, 0)
        for kind in ("labelIds", "instanceIds", "color"):
            write(tmp_path, f"gtFine/{stem}_gtFine_{kind}.png", ids)
        (tmp_path / f"gtFine/{stem}_gtFine_polygons.json").write_text('{"objects": []}')
    data = load(tmp_path, layout="maps")
    assert len(data.classes) == 19
    assert (data.classes[0], data.classes[13], data.classes[18]) == ("road", "car", "bicycle")
    labels = data.beside["labels"]
    assert labels.values[0, 0].tolist() == [0, 1, 255, 13, 255, 18, 0, 0]
    assert labels.palette is not None
    assert (labels.palette.values[13], labels.palette.colours[13], labels.palette.ignored) == (26, (0, 0, 142), 0)
    held_out = data.split(0.1, 0)[1].tolist()
    assert [data.names[k] for k in held_out] == ["val/ulm/ulm_000003_000019"]
    assert any(line.startswith("Left out 1 pair whose maps hold no class") for line in data.report)
    assert len(load(tmp_path, layout="maps", ignore="none").classes) == 34


def test_pascal_voc_is_read_as_it_is(tmp_path: Path) -> None:
    root = tmp_path / "VOC2012"
    for k in range(1, 7):
        image(root, f"JPEGImages/2007_{k:06}.jpg", 40 * k)
        values = np.repeat(np.uint8([[0, 0, 255, k, k, 20, 0, 0]]), 8, 0)
        painted = Image.fromarray(values, "P")
        painted.putpalette([part for value in range(256) for part in (value, 255 - value, 0)])
        for folder in ("SegmentationClass", "SegmentationObject"):
            (root / folder).mkdir(exist_ok=True)
            painted.save(root / folder / f"2007_{k:06}.png")
    image(root, "JPEGImages/2008_000001.jpg", 9)
    for part, ks, kind in (
        ("train", [1, 2, 3], "Segmentation"),
        ("val", [4, 5, 6], "Segmentation"),
        ("val", [1], "Main"),
    ):
        (root / "ImageSets" / kind).mkdir(parents=True, exist_ok=True)
        (root / "ImageSets" / kind / f"{part}.txt").write_text("".join(f"2007_{k:06}\n" for k in ks))
    for place in (root, tmp_path):
        data = load(place, layout="maps")
        assert (len(data), len(data.classes), data.classes[20]) == (6, 21, "tvmonitor")
        assert data.beside["labels"].values[0, 0].tolist() == [0, 0, 255, 1, 1, 20, 0, 0]
        assert data.split(0.1, 0)[1].tolist() == [3, 4, 5]
        assert any(
            "Held out are the 3 pairs that" in line and "ImageSets/Segmentation/val.txt" in line for line in data.report
        )
    assert load(root, layout="maps", splits="ignore").apart is None


def compressed(counts: list[int]) -> str:
    """Lengths of runs as the description of COCO's format says."""
    text = ""
    for k, number in enumerate(counts):
        rest = number - counts[k - 2] if k > 2 else number
        while True:
            group, rest = rest & 31, rest >> 5
            more = rest != (-1 if group & 16 else 0)
            text += chr(48 + group + 32 * more)
            if not more:
                break
    return text


def coco(ids: list[int], regions: list[dict[str, object]], size: tuple[int, int] = (8, 10)) -> str:
    pictures = [{"id": k, "file_name": f"{k:04}.jpg", "height": size[0], "width": size[1]} for k in ids]
    categories = [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat"}]
    every = [{"id": n, "iscrowd": 0, **one} for n, one in enumerate(regions)]
    return json.dumps({"images": pictures, "annotations": every, "categories": categories})


def test_coco_is_read_as_it_is(tmp_path: Path) -> None:
    for k in range(1, 5):
        image(tmp_path, f"{'val' if k == 4 else 'train'}2017/{k:04}.jpg", 10 * k, (8, 10))
    square = {"category_id": 1, "segmentation": [[2, 2, 6, 2, 6, 6, 2, 6]]}
    small = {"category_id": 3, "segmentation": [[3, 3, 5, 3, 5, 5, 3, 5], [0, 0, 1, 0, 1, 1, 0, 1]]}
    runs = [8 * 9, 5, 3]
    at = tmp_path / "annotations"
    at.mkdir()
    regions = [
        {"image_id": 1, **small},
        {"image_id": 1, **square},
        {"image_id": 2, "category_id": 1, "segmentation": {"size": [8, 10], "counts": runs}},
        {"image_id": 2, "category_id": 3, "segmentation": {"size": [8, 10], "counts": [0, 8, 72]}, "iscrowd": 1},
        {"image_id": 3, "category_id": 3, "bbox": [1, 1, 2, 2]},
    ]
    # Of the images of "train", the ninth is not there, and the fourth is one of "val" alone.
    (at / "instances_train2017.json").write_text(coco([1, 2, 3, 4, 9], regions))
    (at / "instances_val2017.json").write_text(
        coco([4], [{"image_id": 4, "category_id": 1, "segmentation": {"size": [8, 10], "counts": compressed(runs)}}])
    )
    (at / "captions_train2017.json").write_text('{"images": [], "annotations": []}')
    data = load(tmp_path, layout="maps")
    assert data.classes == ("background", "cat", "dog")
    truth = np.zeros((4, 8, 10), int)
    truth[0, 2:6, 2:6] = 1
    truth[0, 3:5, 3:5] = truth[0, 0, 0] = 2
    truth[1, :5, 9] = truth[3, :5, 9] = 1
    truth[1, :, 0] = 255
    assert np.array_equal(data.beside["labels"].values.numpy(), truth)
    assert data.x[:, 0, 0, 0].tolist() == [10, 20, 30, 40]
    assert data.split(0.1, 0)[1].tolist() == [3]
    report = " ".join(data.report)
    assert "smaller ones lie over larger ones" in report
    assert "Left out 1 annotation without a region" in report
    assert "Found no image for 2 names of the annotations: 0004.jpg, 0009.jpg." in report
    alone = load(tmp_path, layout="maps", labels="annotations/instances_val2017.json")
    assert np.array_equal(alone.beside["labels"].values.numpy(), truth[3:])


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([70, 5], "runs of 75 pixels for 8 x 10"),
        ([-5, 85], "negative length"),
        ("0\x7f", "damaged text of runs"),
        ([1.5, 78.5], "no whole numbers"),
    ],
)
def test_damaged_runs_are_refused(counts: object, said: str, tmp_path: Path) -> None:
    image(tmp_path, "0001.jpg", 1, (8, 10))
    region = {"image_id": 1, "category_id": 1, "segmentation": {"size": [8, 10], "counts": counts}}
    (tmp_path / "_annotations.coco.json").write_text(coco([1], [region]))
    with pytest.raises(BadInput, match=said):
        load(tmp_path, layout="maps")


def test_a_polygon_covers_the_pixels_whose_middle_it_holds() -> None:
    triangle = np.array([(1.2, 0.3), (9.1, 4.4), (2.0, 7.7)])
    rows, columns = np.mgrid[:8, :10] + 0.5
    sides = [
        (b[0] - a[0]) * (rows - a[1]) - (b[1] - a[1]) * (columns - a[0]) > 0
        for a, b in zip(triangle, np.roll(triangle, -1, 0), strict=True)
    ]
    assert np.array_equal(inside_polygon(triangle, (8, 10)), np.all(sides, 0))
    assert inside_polygon([(-50, -50), (50, -50), (50, 50), (-50, 50)], (8, 10)).all()


def test_labelme_is_read_as_it_is(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    write(tmp_path, "secret.png", np.full((8, 8, 3), 200, np.uint8))
    root = tmp_path / "in"
    shapes = {
        1: [("zebra", "polygon", [[1, 1], [7, 1], [7, 7], [1, 7]]), ("ant", "rectangle", [[2, 2], [4, 4]])],
        2: [("ant", "circle", [[4, 4], [4, 6.1]]), ("ant", "line", [[0, 0], [8, 8]])],
        3: [("__ignore__", "polygon", [[0, 0], [8, 0], [8, 2], [0, 2]])],
        4: [],
        5: [],
    }
    for k, every in shapes.items():
        if k < 4:
            image(root, f"{k}.png", 10 * k)
        described = [{"label": label, "points": points, "shape_type": kind} for label, kind, points in every]
        path, data = {
            3: ("..\\secret.png", None),
            4: ("gone.png", secret.read_bytes()),
            5: ("../secret.png", None),
        }.get(k, (f"{k}.png", None))
        words = {
            "imagePath": path,
            "imageData": data and base64.b64encode(data).decode(),
            "imageHeight": 8,
            "imageWidth": 8,
        }
        (root / f"{k}.json").write_text(json.dumps({"version": "5", "flags": {}, "shapes": described, **words}))
    data = load(root, layout="maps")
    assert data.classes == ("background", "ant", "zebra")
    truth = np.zeros((4, 8, 8), int)
    truth[0, 1:7, 1:7], truth[0, 2:4, 2:4] = 2, 1
    labels = data.beside["labels"].values.numpy()
    truth[2, :2] = 255
    assert data.names == ("1", "2", "3", "4")
    assert np.array_equal(labels[[0, 2, 3]], truth[[0, 2, 3]])
    assert 12 <= (labels[1] == 1).sum() <= 16
    assert data.x[:, 0, 0, 0].tolist() == [10, 20, 30, 200]
    report = " ".join(data.report)
    assert "Left out shapes without an area: 1 line." in report
    assert "Found no image for 1 file of labelme: 5.json" in report


# Lists ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "test", "line"),
    [
        ("train.txt", "test.txt", "{k}"),
        ("train.txt", "val.txt", "./images/cat/{k}.png"),
        ("fold_train.txt", "fold_test.txt", "cat/{k}.png 3"),
        ("meta/train.lst", "meta/valid.lst", "/elsewhere/images/cat/{k}.png,cat"),
        ("", "test.txt", "images\\cat\\{k}.png"),
    ],
)
def test_what_a_list_keeps_for_testing_is_held_out(train: str, test: str, line: str, tmp_path: Path) -> None:
    for k in range(10):
        image(tmp_path, f"images/cat/{k}.png", k)
    for name, ks in ((train, range(6)), (test, range(8, 10))):
        if name:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("".join(line.format(k=k) + "\n" for k in ks))
    data = load(tmp_path)
    assert data.split(0.1, 0)[1].tolist() == [8, 9]
    report = " ".join(data.report)
    assert f"Held out are the 2 images that {test} lists" in report
    assert ("Trained on, too, are 2 images that no list names" in report) == bool(train)
    assert "Ignored" not in report
    assert load(tmp_path, splits="ignore").apart is None


def test_lists_of_other_things_change_nothing(tmp_path: Path) -> None:
    for k in range(4):
        image(tmp_path, f"{k}.png", k)
    for name, text in (("test.txt", "nothing of this"), ("test_notes.txt", "0\n1\n2\n3\n"), ("latest.txt", "0\n")):
        (tmp_path / name).write_text(text)
    assert load(tmp_path).apart is None


# Labels --------------------------------------------------------------------------------------------------------------


def table(folder: Path, text: str, n: int = 4, encoding: str = "utf-8") -> Dataset:
    """What is read of n images and a labels.csv."""
    for k in range(n):
        image(folder, f"{k:02}.png", k)
    (folder / "labels.csv").write_text(text, encoding=encoding)
    return load(folder)


ROWS = [("00.png", "cat"), ("01.png", "dog"), ("02.png", "cat"), ("03.png", "dog")]


@pytest.mark.parametrize("part", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["file{}class\n", ""])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_tables_of_labels_as_programs_write_them(part: str, header: str, encoding: str, tmp_path: Path) -> None:
    lines = "".join(f"{name}{part}{word}\n" for name, word in ROWS)
    data = table(tmp_path, header.format(part) + lines, encoding=encoding)
    assert data.y is not None
    assert (data.classes, data.y.tolist()) == (("cat", "dog"), [0, 1, 0, 1])
    report = " ".join(data.report)
    assert ("are parted by" in report) == (part != ",")
    assert ("its first line is of an image, too" in report) == (not header)


@pytest.mark.parametrize(
    "lines",
    [
        "id,breed\n00,cat\n01,dog\n02,cat\n03,dog\n",
        ",file,class\n0,00.png,cat\n1,01.png,dog\n2,02.png,cat\n3,03.png,dog\n",
        "file,class\ndata/00.png,cat\ndata/01.png,dog\ndata/02.png,cat\ndata/03.png,dog\n",
        "class,file\ncat,00.png\ndog,01.png\ncat,02.png\ndog,03.png\n",
    ],
)
def test_names_of_images_are_found_in_tables(lines: str, tmp_path: Path) -> None:
    data = table(tmp_path, lines)
    assert data.y is not None
    assert (data.classes, data.y.tolist(), data.c) == (("cat", "dog"), [0, 1, 0, 1], None)


def test_numbers_with_a_point_are_the_same_classes(tmp_path: Path) -> None:
    words = ["-1.0", "2.0", "10.0", ""]
    text = "file,class\n" + "".join(f"{k:02}.png,{word}\n" for k, word in enumerate(words))
    assert table(tmp_path, text).classes == ("-1", "2", "10")
    unknown = load(tmp_path, unlabelled=-1)
    assert unknown.y is not None
    assert (unknown.classes, unknown.y.tolist()) == (("2", "10"), [-1, 0, 1, -1])


def test_numbers_that_are_not_whole_are_values_with_a_comma_too(tmp_path: Path) -> None:
    data = table(tmp_path, "file;age\n00.png;1,5\n01.png;20\n02.png;3,25\n03.png;4\n")
    assert data.c is not None
    assert (data.classes, data.c.flatten().tolist()) == ((), [1.5, 20, 3.25, 4])


def test_frames_have_labels_of_their_own_or_of_their_file(tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        pages = [Image.fromarray(np.full((8, 8), k, np.uint8)) for k in range(3)]
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    data = table(tmp_path, "file,class\na.tif#0,dark\na.tif#1,grey\na.tif#2,light\nb.tif,dark\n", 0)
    assert data.y is not None
    assert [data.classes[k] for k in data.y.tolist()] == ["dark", "grey", "light", "dark", "dark", "dark"]


def test_a_class_of_which_all_is_held_out_is_said(tmp_path: Path) -> None:
    for k in range(6):
        image(tmp_path, f"{'test' if k > 3 else 'train'}/{'cat' if k < 5 else 'owl'}/{k}.png", k)
    (note,) = [line for line in load(tmp_path).report if "to train on is of" in line]
    assert note == "No image to train on is of 1 class: owl; all of them are held out, data.splits=ignore mixes."


def test_an_odd_file_among_pairs_side_by_side_names_what_reads_the_others(tmp_path: Path) -> None:
    for k in range(5):
        image(tmp_path, f"{k}.png", k, (8, 12 if k == 2 else 16))
    with pytest.raises(BadInput, match="4 of 5 files that were looked at are twice as wide as high") as error:
        load(tmp_path, layout="pairs")
    data = load(tmp_path, layout="pairs", **advice(error, 1))
    assert len(data) == 4
    assert any("2 (8 x 12, not twice as wide as high" in line for line in data.report)


# At work -------------------------------------------------------------------------------------------------------------

TINY = {"device": "cpu", "images": 8, "batch": 4, "generator__width": 4, **AT_THE_END}
COLOURS = np.uint8([[10, 20, 30], [200, 30, 30], [0, 0, 0]])


def painted(folder: Path, listed: bool) -> None:
    """Images and maps in three colours; with names, the last one of no class."""
    for k in range(12):
        values = np.random.default_rng(k).integers(0, 3, (16, 16))
        part = "test" if k > 7 else "train"
        write(folder, f"images/{part}/{k}.png", np.random.default_rng(k).integers(0, 256, (16, 16, 3), dtype=np.uint8))
        write(folder, f"labels/{part}/{k}_mask.png", COLOURS[values])
    if listed:
        (folder / "labels" / "test" / "colours.txt").write_text("10 20 30 ground\n200 30 30 thing\n0 0 0 void\n")


@pytest.mark.parametrize("listed", [True, False])
def test_maps_in_colours_score_as_they_train(listed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    painted(tmp_path / "in", listed)
    session = evenodds.fit(tmp_path / "in", "segment", out=tmp_path / "run", generator__depth=2, **TINY)
    classes = ("ground", "thing") if listed else ("colour 0 0 0", "colour 10 20 30", "colour 200 30 30")
    assert session.card.classes == classes
    words = ["segment", session.folder, tmp_path / "in/images/test", tmp_path / "out"]
    assert main([str(word) for word in [*words, "--against", tmp_path / "in/labels/test"]]) == 0
    capsys.readouterr()
    total = json.loads((tmp_path / "out" / "scores.json").read_text())["total"]
    (score,) = [line["mean_iou"] for line in session.history() if "mean_iou" in line][-1:]
    assert total["mean_iou"] == pytest.approx(score)


def test_pairs_of_a_run_from_before_are_those_to_train_on(tmp_path: Path) -> None:
    for k in range(10):
        part = "test" if k > 7 else "train"
        pair(tmp_path, f"in/{part}/A/{k}.png", f"in/{part}/B/{k}.png", k)
    options = {**TINY, "discriminator__width": 4, "size": 8, "generator__depth": 1, "data__splits": "train"}
    session = evenodds.fit(tmp_path / "in", "translate", out=tmp_path / "run", **options)
    config = session.config
    assert config.data is not None
    config.data.options.pop("splits")  # such a run knows of no parts
    data = open_run_data(config, session.card)
    assert len(data) == 8
    assert tuple(data.split(0.1, 0)[1].tolist()) == session.card.held_out


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of small images."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    evenodds.fit(x, "gray-28", out=folder, task="generate", discriminator__width=4, **TINY)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["train", "digits", "--images", "8", "--out", "{to}/run"],
        ["sample", "{run}", "-n", "2", "--grid", "{to}/a.png"],
        ["sample", "{run}", "-n", "2", "--folder", "{to}/a"],
        ["sample", "{run}", "-n", "2"],
        ["sample", "{run}", "-n", "2", "--select", "budgeted", "--fit", "16"],
        ["resume", "{run}", "--images", "16"],
        ["pack", "digits", "{to}/a"],
        ["evaluate", "{run}", "--metrics", "kernel"],
        ["report", "{run}"],
    ],
)
def test_a_place_that_cannot_be_written_to_is_told_before_the_work(
    words: list[str], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "to"
    to.mkdir()

    def access(path: object, mode: int) -> bool:
        return mode == os.R_OK or not str(path).startswith((str(run), str(to)))

    plain = os.open

    def opening(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith((str(run), str(to))):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return plain(path, flags, *more, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "access", access)
        patch.setattr(os, "open", opening)
        patch.setattr("evenodds.apply.density_ratio.ratio_of", lambda *a, **b: pytest.fail("the work began"))
        patch.setattr("evenodds.apply.selecting.sample", lambda *a, **b: pytest.fail("the work began"))
        patch.setattr("evenodds.evaluation.evaluate.assess", lambda *a, **b: pytest.fail("the work began"))
        patch.setattr("evenodds.evaluation.report.assess", lambda *a, **b: pytest.fail("the work began"))
        assert main([word.format(run=run, to=to) for word in words]) == 2
    assert "nothing can be written to" in capsys.readouterr().err


def test_an_encoder_that_cannot_be_kept_is_used(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("evenodds.apply.encoder.write_tensors", full)
    with pytest.warns(Remark, match="the encoder is not kept in .*: Read-only file system"):
        assert encoder_of(evenodds.load(run, device="cpu"), 16) is not None
