"""Folders as people have them: which files belong together, what is trained on, and what is said of it."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evenodds.data.dataset import Dataset
from evenodds.data.sources import load
from evenodds.errors import BadInput


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
    words = [word.rstrip(";,.") for word in shlex.split(settings.split(" says ")[0].split("; ")[0])]
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
