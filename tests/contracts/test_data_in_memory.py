"""What people hold in memory and hand over: with labels beside, as data sets of PyTorch, or as what cannot be read."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

import evenodds
from evenodds.data.readers import frames
from evenodds.data.sources import load
from evenodds.errors import BadInput
from evenodds.game import checkpoint

X = np.random.default_rng(0).integers(0, 256, (12, 6, 7, 3), dtype=np.uint8)
Y = np.arange(12) % 3
WORDS = [("ant", "bee", "cat")[k] for k in Y]


class Folder(TorchDataset):  # type: ignore[type-arg]
    """As torchvision's: a picture and the number of its class, whose name is in `classes`."""

    classes = ("ant", "bee", "cat")
    asked = 0

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, k: int) -> tuple[Image.Image, int]:
        self.asked += 1
        return Image.fromarray(X[k]), int(Y[k])


class Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Iterator[int]:
        return iter(())


@pytest.mark.parametrize("y", [Y, WORDS, torch.from_numpy(Y)], ids=["array", "words", "tensor"])
def test_labels_stand_beside_items(y: Any) -> None:
    for source in ((X, y), {"x": X, "y": y}, (torch.from_numpy(X), y)):
        data = load(source)
        assert torch.equal(data.x, load(X).x)
        assert data.y is not None
        assert data.y.tolist() == Y.tolist()
        assert len(data.classes) == 3
    assert load((X, Y), unlabelled=2).classes == ("0", "1")


def test_values_stand_beside_items() -> None:
    data = load({"x": X, "c": Y / 2, "c_names": ["height"]})
    assert data.conditions is not None
    assert data.conditions.names == ("height",)


def test_two_arrays_of_items_are_no_items_and_labels() -> None:
    assert load((X[0], X[1])).shape == load(X).shape
    assert load([[1.0, 2.0], [3.0, 4.0]]).x.shape == (2, 2)


def test_a_data_set_of_pytorch_is_asked_once_for_each_item() -> None:
    folder = Folder()
    data = load(folder)
    assert folder.asked == len(X)
    assert torch.equal(data.x, load(X).x)
    assert data.classes == ("ant", "bee", "cat")
    assert data.y is not None
    assert data.y.tolist() == Y.tolist()
    rows = load(TensorDataset(torch.rand(9, 4)))
    assert (rows.kind, rows.x.shape, rows.y) == ("table", (9, 4), None)
    plain = load(TensorDataset(torch.rand(9, 3, 5, 5), torch.arange(9) % 2))
    assert (plain.shape, plain.classes) == ((3, 5, 5), ("0", "1"))


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        (None, "got NoneType; give an array"),
        ((one for one in X), "generator can be gone through once; give an array: np.stack"),
        (DataLoader(Folder()), "loader.dataset"),
        (Stream(), "Stream has no items by number"),
        (["a.png", "b.png"], "a list of 2 paths is not read; name the folder"),
        ([X[0], X[1][:3]], r"got \(6, 7, 3\) and \(3, 7, 3\)"),
        ([Image.fromarray(X[0]), Image.fromarray(X[1][:3])], "items need one shape"),
        ([[1.0, 2.0], [3.0]], "parts of one shape"),
        (np.zeros((0, 8, 8)), "there are no data"),
        (np.zeros(8), r"np.asarray\(x\)\[:, None\] makes rows"),
        (np.ones((8, 8), complex), "x.real, x.imag"),
        ({"age": [1, 2]}, "pandas.DataFrame"),
        ({"x": X, "labels": Y}, "got 'labels'"),
        (5, "got int; give an array"),
        (TensorDataset(torch.rand(4, 3, 5, 5), torch.rand(4, 5, 5)), "labels need to be one number or word each"),
        (TensorDataset(*[torch.rand(4, 3, 5, 5)] * 3), "got 3 parts"),
        (TensorDataset(torch.rand(0, 3, 5, 5)), "has no items"),
        ((X, np.array(3)), "items need one shape"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_give(source: Any, advice: str) -> None:
    with pytest.raises(BadInput, match=advice):
        load(source)


def test_a_folder_called_none_is_a_class_like_others(tmp_path: Path) -> None:
    for name in ("None", "some"):
        (tmp_path / name).mkdir()
        for k in range(3):
            Image.fromarray(X[k]).save(tmp_path / name / f"{k}.png")
    assert load(tmp_path).classes == ("None", "some")
    assert load(tmp_path, unlabelled="None").classes == ("some",)


SMALL: dict[str, Any] = {
    "images": 16, "batch": 8, "generator__width": 4, "discriminator__width": 4, "watch": "off", "device": "cpu",
    "threads": 1, "held_out": 0, "save_share": 0.5,
}  # fmt: skip


def test_settings_of_readers_are_taken_and_a_resume_knows_them(tmp_path: Path) -> None:
    cells = {"size": np.arange(24.0) ** 2 % 7.5, "id": [f"P{k}" for k in range(24)]}
    frame = pytest.importorskip("pandas").DataFrame(cells)
    for name, source, settings in (
        ("table", frame, {"data__types": "id:words"}),
        ("gray-28", (X, Y), {"data__unlabelled": 2, "data__layout": "nhwc"}),
    ):
        whole = evenodds.fit(source, name, out=tmp_path / name, **SMALL, **settings)
        shutil.rmtree(checkpoint.listing(whole.folder / "checkpoints")[-1])
        again = evenodds.resume(whole.folder, data=source)
        assert again.images == whole.images
        assert np.array_equal(again.sample(4, seed=1), whole.sample(4, seed=1))
        assert again.card.columns == (("size", "id") if name == "table" else ())
        assert again.card.classes == (() if name == "table" else ("0", "1"))
    with pytest.raises(BadInput, match="did you mean 'types'"):
        evenodds.fit(frame, "table", out=tmp_path / "other", data__type="id:words")


@pytest.mark.parametrize(
    ("recipe", "settings", "gaps"), [("fill-table", {}, True), ("table", {}, False), (None, {"task": "impute"}, True)]
)
def test_a_data_frame_is_read_once_as_its_task_wants_it(
    recipe: str | None, settings: dict[str, Any], gaps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pandas = pytest.importorskip("pandas")
    read, parsed_frame = [], frames.parsed_frame

    def counted(*args: Any, **options: Any) -> Any:
        read.append(args)
        return parsed_frame(*args, **options)

    for module in ("frames", "gaps"):
        monkeypatch.setattr(f"evenodds.data.readers.{module}.parsed_frame", counted)
    monkeypatch.setattr("evenodds.runs.fit.start", lambda config, dataset, **_: dataset)
    frame = pandas.DataFrame({"age": [20.5, None, 40.5, 50.5], "city": ["Bonn", "Rome"] * 2})
    data: Any = evenodds.fit(frame, recipe, **settings)
    assert (len(read), data.has_gaps) == (1, gaps)


@pytest.mark.parametrize("recipe", ["fill-table", "table"])
def test_a_data_frame_has_no_layout(recipe: str) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"age": [20.5, None, 40.5]})
    with pytest.raises(BadInput, match=rf"'{recipe}' reads a data frame in one way; leave data.layout out"):
        evenodds.fit(frame, recipe, data__layout="gaps")
