"""What holds of tiles, of images in pairs, and of label maps, whatever the images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evenodds.data.palette import IGNORED, Palette, distinct_colours
from evenodds.data.pictures.placing import nearest, resized
from evenodds.data.pictures.stack import corners
from evenodds.data.readers import images, maps, pairs, unpaired
from evenodds.data.sources import load
from evenodds.errors import BadInput
from evenodds.files.read import as_type

RNG = np.random.default_rng(0)
FITS = ("crop", "pad", "stretch", "tiles")


def save(path: Path, pixels: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


@pytest.mark.parametrize("held", [(7, 7), (20, 31), (48, 13), (8, 100)])
@pytest.mark.parametrize("size", [(7, 7), (5, 3), (1, 7)])
def test_tiles_cover_every_pixel_evenly_and_are_the_fewest(held: tuple[int, int], size: tuple[int, int]) -> None:
    covered = np.zeros(held, int)
    at = corners(held, size)
    for top, left in at:
        assert 0 <= top <= held[0] - size[0]
        assert 0 <= left <= held[1] - size[1]
        covered[top : top + size[0], left : left + size[1]] += 1
    assert covered.min() >= 1
    assert len(at) == -(-held[0] // size[0]) * -(-held[1] // size[1])
    for starts in (sorted({top for top, _ in at}), sorted({left for _, left in at})):
        steps = np.diff(starts)
        assert not len(steps) or steps.max() - steps.min() <= 1


def test_tiles_put_back_together_are_the_photos(tmp_path: Path) -> None:
    photos = {
        f"{k}.png": RNG.integers(0, 256, (*sides, 3), dtype=np.uint8) for k, sides in enumerate([(40, 33), (17, 60)])
    }
    for name, pixels in photos.items():
        save(tmp_path / name, pixels)
    data = images.images(tmp_path, size=(16, 12), fit="tiles")
    assert data.groups is not None
    assert data.names[:2] == ("0.png#0", "0.png#1")
    for number, (_, pixels) in enumerate(photos.items()):
        own = data.x[data.groups == number]
        canvas = np.zeros_like(pixels)
        for (top, left), tile in zip(corners(pixels.shape[:2], (16, 12)), own, strict=True):
            canvas[top : top + 16, left : left + 12] = tile.permute(1, 2, 0).numpy()
        assert (canvas == pixels).all()
    train, held = data.split(0.5, 0)
    assert set(data.groups[train].tolist()).isdisjoint(data.groups[held].tolist())


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [12, (8, 14)])
def test_pairs_stay_aligned_pixel_by_pixel(tmp_path: Path, fit: str, size: int | tuple[int, int]) -> None:
    for k, sides in enumerate([(24, 31), (40, 17), (15, 15)]):
        source = RNG.integers(0, 256, (*sides, 3), dtype=np.uint8)
        save(tmp_path / "input" / f"{k}.png", source)
        save(tmp_path / "target" / f"{k}.bmp", 255 - source)
    data = pairs.pairs(tmp_path, size=size, fit=fit)
    total = data.x.int() + data.beside["source"].values.int()
    inside = total > 1 if fit == "pad" else torch.ones_like(total, dtype=torch.bool)  # Around is black in both.
    assert (total[inside] - 255).abs().max() <= 1
    assert inside.float().mean() > 0.3
    assert data.beside["source"].shape == data.shape


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_targets_that_are_larger_lie_over_their_sources(tmp_path: Path, fit: str, scale: int) -> None:
    # A smooth ramp, which resampling leaves as it is, tells where a pixel lies.
    for k, (rows, columns) in enumerate([(24, 31), (40, 19), (13, 14)]):
        ramp = [np.linspace(0, 255, scale * n + 1)[:-1] + 255 / (2 * scale * n) for n in (rows, columns)]
        flat = np.full((scale * rows, scale * columns), 200.0)
        large = np.stack([*np.meshgrid(*ramp, indexing="ij"), flat], -1)
        small = large.reshape(rows, scale, columns, scale, 3).mean((1, 3))
        save(tmp_path / "low" / f"{k}.png", small.round().astype(np.uint8))
        save(tmp_path / "high" / f"{k}.png", large.round().astype(np.uint8))
    side = 12 * scale
    data = pairs.pairs(tmp_path, size=side, fit=fit)
    source = data.beside["source"].values.float()
    assert data.shape == (3, side, side)
    assert source.shape[1:] == (3, 12, 12)
    mean = torch.nn.functional.avg_pool2d(data.x.float(), scale)
    off = (mean - source).abs()[:, :, 2:-2, 2:-2]  # Lanczos stops the ramp at the picture's edges.
    if fit == "pad":
        off = off[:2][..., 5, 5]
    assert off.max() <= 3


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(5, 9), (40, 16), (1, 1), (33, 33)])
def test_nearest_labels_invent_nothing_and_lie_where_the_image_does(fit: str, size: tuple[int, int]) -> None:
    labels = RNG.choice(np.array([3, 7, 200], np.int16), (20, 30, 1))
    found = nearest(labels, size, fit)
    assert found.shape == (*size, 1)
    assert set(np.unique(found)) <= {3, 7, 200} | ({-1} if fit == "pad" else set())
    halves = np.zeros((20, 30, 1), np.uint8)
    halves[:, 15:] = 200
    for half in (halves, np.rot90(halves).copy()):
        moved, image = nearest(half.astype(np.int16), size, fit), resized(half, size, fit)
        clear = (image < 40) | (image > 160)  # Away from the edge, which Lanczos makes soft.
        assert ((moved.clip(0) > 100) == (image > 100))[clear].all()


def test_values_of_maps_come_back_exactly(tmp_path: Path) -> None:
    stored = RNG.choice(np.array([2, 9, 40, 255], np.uint8), (5, 12, 10))
    for k, one in enumerate(stored):
        save(tmp_path / "images" / f"{k}.png", RNG.integers(0, 256, (12, 10, 3), dtype=np.uint8))
        save(tmp_path / "masks" / f"{k}.png", one)
    data = load(tmp_path, layout="maps")
    labels = data.beside["labels"]
    assert data.classes == ("class 2", "class 9", "class 40")
    assert labels.palette is not None
    assert labels.values.unique().tolist() == [0, 1, 2, IGNORED]
    assert (labels.palette.to_file(labels.values.numpy()) == stored).all()
    assert (labels.palette.to_classes(stored) == labels.values.numpy()).all()
    again = as_type(labels.palette.to_json(), Palette, "palette")
    assert again == labels.palette
    assert again.paint(labels.values.numpy()).shape == (5, 12, 10, 3)
    assert data.batch(torch.tensor([0]))["labels"].dtype == torch.int64


def test_colours_differ_and_leave_black_for_what_is_ignored() -> None:
    colours = distinct_colours(IGNORED)
    assert len(set(colours)) == IGNORED
    assert {(0, 0, 0), (255, 255, 255)}.isdisjoint(colours)
    first = torch.tensor(distinct_colours(20)).float()
    assert torch.pdist(first).min() > 25


@pytest.mark.parametrize(("first", "second"), [([1] * 5, [1] * 2), ([1] * 2, [1] * 5), ([2, 3, 2], [4, 1]), ([3], [1])])
def test_every_item_of_unpaired_sets_is_shown_and_groups_share_no_photo(first: list[int], second: list[int]) -> None:
    owners = [torch.repeat_interleave(torch.arange(len(n)), torch.tensor(n)) for n in (first, second)]
    at, beside, groups = unpaired._beside_each_other(*owners)
    assert set(at.tolist()) == set(range(sum(first)))
    assert set(beside.tolist()) == set(range(sum(second)))
    if groups is None:
        assert min(len(first), len(second)) == 1
        return
    for owner, index in zip(owners, (at, beside), strict=True):
        photos = owner[index]
        for photo in photos.unique():
            assert len(groups[photos == photo].unique()) == 1


def test_palettes_that_cannot_be_are_refused() -> None:
    for values, colours in (((1, 1), ((0, 0, 0),) * 2), ((), ()), ((1,), ()), ((256,), ((0, 0, 0),))):
        with pytest.raises(BadInput):
            Palette(values, colours)


def test_maps_take_names_and_ignore_by_name(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", np.zeros((4, 6, 3), np.uint8))
    save(tmp_path / "labels" / "a.png", np.array([[0, 1, 2, 1, 0, 2]] * 4, np.uint8))
    (tmp_path / "classes.txt").write_text("Void\nroad\nsky\ncar\n")
    data = maps.maps(tmp_path)
    assert data.classes == ("road", "sky", "car")
    assert data.beside["labels"].values[0, 0].tolist() == [255, 0, 1, 0, 255, 1]
    assert maps.maps(tmp_path, ignore="SKY").classes == ("Void", "road", "car")
    assert maps.maps(tmp_path, ignore="none").classes == ("Void", "road", "sky", "car")
    assert maps.maps(tmp_path, ignore=1, names="a,b,c").classes == ("a", "c")
