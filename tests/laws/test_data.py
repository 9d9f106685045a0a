"""Laws of units, splits and batches."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evenodds.data.batches import Batches
from evenodds.data.dataset import Beside, Dataset
from evenodds.data.encoding import encode_labels
from evenodds.data.pictures.picture import upright
from evenodds.data.pictures.placing import resized
from evenodds.data.units import Units
from evenodds.errors import BadInput
from evenodds.files.read import as_type

BYTE = Units((0,), (255,), "uint8")


def numbered(n: int, classes: int = 0) -> Dataset:
    """Items whose value is their number; with classes, unevenly labelled."""
    x = torch.arange(n, dtype=torch.float32)[:, None]
    y = torch.arange(n).sqrt().long() % classes if classes else None
    return Dataset(x, Units((0,), (float(n),), "float32"), y, tuple(map(str, range(classes))))


@pytest.mark.parametrize(("dtype", "top", "stored"), [("uint8", 255, torch.uint8), ("uint16", 65535, torch.int32)])
def test_every_integer_comes_back(dtype: str, top: int, stored: torch.dtype) -> None:
    own = torch.arange(top + 1).to(stored).view(1, 1, -1, 1)
    for low, high in ((0, top), (0, top - 1), (3, 200)):
        units = Units((low,), (high,), dtype)
        inside = own[:, :, low : high + 1]
        model = units.to_model(inside)
        assert model.dtype == torch.float32
        assert model.min() == -1
        assert model.max() == 1
        assert torch.equal(units.to_data(model), inside)
        assert units.to_data(model).dtype == stored


def test_integers_round_to_the_nearest_and_are_clipped() -> None:
    x = torch.tensor([[-1.5, -1 + 0.6 / 127.5, 1 - 0.4 / 127.5, 3.0]])
    assert BYTE.to_data(x).tolist() == [[0, 1, 255, 255]]


def test_each_column_has_its_own_line() -> None:
    units = Units((0, -10, 7), (1, 30, 7), "float32")
    own = torch.tensor([[0.0, 30.0, 7.0], [0.25, 10.0, 7.0]])
    model = units.to_model(own)
    assert torch.allclose(model, torch.tensor([[-1.0, 1.0, 0.0], [-0.5, 0.0, 0.0]]))
    assert torch.allclose(units.to_data(model), own)
    assert units.to_data(torch.full((1, 3), 0.3))[0, 2] == 7  # A constant column stays constant, whatever is drawn.


def test_channels_of_images_have_their_own_lines_and_keep_the_memory_format() -> None:
    units = Units((0, 0, 0), (255, 100, 50), "uint8")
    own = torch.stack([torch.full((2, 2), v) for v in (255, 100, 50)])[None].to(torch.uint8)
    model = units.to_model(own.contiguous(memory_format=torch.channels_last))
    assert torch.equal(model, torch.ones(1, 3, 2, 2))
    assert model.is_contiguous(memory_format=torch.channels_last)


def test_conversion_leaves_its_input_alone_and_passes_gradients() -> None:
    for units, own in (
        (BYTE, torch.tensor([[3]], dtype=torch.uint8)),
        (Units((0,), (4,), "float32"), torch.ones(1, 1)),
    ):
        before = own.clone()
        units.to_model(own)
        assert torch.equal(own, before)
    x = torch.ones(2, 3, requires_grad=True)
    Units((0, 0, 1), (4, 8, 1), "float32").to_model(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.5, 0.25, 1.0]] * 2


def test_floats_are_not_clipped_and_units_survive_json() -> None:
    units = Units((0.1,), (0.7,), "float32")
    assert torch.allclose(units.to_data(units.to_model(torch.tensor([[9.0, -9.0]]))), torch.tensor([[9.0, -9.0]]))
    assert as_type(units.to_json(), Units, "units") == units


@pytest.mark.parametrize(
    ("low", "high", "dtype"), [((1,), (0,), "uint8"), ((0,), (1,), "int8"), ((0, 0), (1,), "uint8")]
)
def test_units_that_cannot_be_are_refused(low: tuple[float], high: tuple[float], dtype: str) -> None:
    with pytest.raises(BadInput):
        Units(low, high, dtype)


@given(n=st.integers(1, 40), size=st.integers(1, 90), start=st.integers(0, 200), seed=st.integers(0, 2**40))
@settings(max_examples=60, deadline=None)
def test_every_epoch_shows_every_item_once(n: int, size: int, start: int, seed: int) -> None:
    batches = Batches(numbered(n), None, size, seed)
    first = n * math.ceil(start / n)  # The first epoch that begins after `start`.
    shown = torch.cat([batches.indices(start + k * size) for k in range((first - start + 2 * n) // size + 1)])
    for epoch in range(2):
        one = shown[first - start + epoch * n :][:n]
        assert sorted(one.tolist()) == list(range(n))


@given(n=st.integers(1, 40), size=st.integers(1, 90), positions=st.lists(st.integers(0, 500), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_batch_depends_on_its_position_alone(n: int, size: int, positions: list[int]) -> None:
    data, index = numbered(2 * n), torch.arange(n) * 2
    used = Batches(data, index, size, seed=3)
    one_by_one = Batches(data, index, 1, seed=3)
    for position in positions:
        fresh = Batches(data, index, size, seed=3).indices(position)
        assert torch.equal(used.indices(position), fresh)
        assert fresh.tolist() == [int(one_by_one.indices(position + k)) for k in range(size)]
        assert not (fresh % 2).any()


def test_epochs_and_seeds_differ() -> None:
    data = numbered(50)
    orders = [Batches(data, None, 50, seed).indices(50 * epoch).tolist() for seed in range(3) for epoch in range(3)]
    assert len({tuple(order) for order in orders}) == 9


@given(
    n=st.integers(1, 200),
    classes=st.integers(0, 5),
    held_out=st.floats(0, 0.95),
    seed=st.integers(0, 2**40),
)
@settings(max_examples=80, deadline=None)
def test_splits_are_disjoint_complete_and_stratified(n: int, classes: int, held_out: float, seed: int) -> None:
    data = numbered(n, classes)
    train, held = data.split(held_out, seed)
    assert torch.equal(torch.cat([train, held]).sort().values, torch.arange(n))
    assert torch.equal(train.sort().values, train)
    assert torch.equal(held.sort().values, held)
    assert len(train) >= 1
    assert torch.equal(held, data.split(held_out, seed)[1])
    expected = min(n - 1, max(1, round(held_out * n))) if held_out > 0 else 0
    assert len(held) == expected
    for label in range(classes):
        quota = held_out * int((data.y == label).sum())
        if quota >= 1:
            assert abs(int((data.y[held] == label).sum()) - quota) < 1 + 1e-6


def test_groups_are_held_out_whole() -> None:
    groups = torch.tensor([3, 3, 8, 8, 8, 1, 5, 5, 9, 9])
    data = replace(numbered(10), groups=groups)
    train, held = data.split(0.4, 0)
    assert torch.equal(torch.cat([train, held]).sort().values, torch.arange(10))
    assert not set(groups[train].tolist()) & set(groups[held].tolist())
    assert abs(len(held) - 4) <= 1  # as near to 0.4 of the items as whole groups come


def test_a_large_group_is_not_held_out_for_a_small_share() -> None:
    data = replace(numbered(105), groups=torch.tensor([0] * 100 + [1, 2, 3, 4, 5]))
    for seed in range(8):
        train, held = data.split(0.1, seed)
        assert len(held) <= 5 < 100 <= len(train)
        assert len(held) >= 1


def test_what_lies_beside_goes_with_its_item() -> None:
    data = Dataset(torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).repeat(1, 1, 4, 4), BYTE)
    labels = data.x[:, 0].contiguous()
    both = replace(data, beside={"source": Beside(data.x.flip(1), data.units), "labels": Beside(labels)})
    batch = both.take(torch.tensor([3, 1])).batch(torch.tensor([1, 0, 0]))
    assert batch["labels"][:, 0, 0].tolist() == [1, 3, 3]
    assert torch.equal(batch["source"], batch["x"])
    assert both.fingerprint() != data.fingerprint()
    with pytest.raises(BadInput, match="as many"):
        replace(data, beside={"labels": Beside(labels[:2])})


def test_splits_follow_the_seed() -> None:
    data = numbered(100)
    assert not torch.equal(data.split(0.2, 0)[1], data.split(0.2, 1)[1])
    for share in (-0.1, 1.0):
        with pytest.raises(BadInput, match="held-out share"):
            data.split(share, 0)


def test_batches_and_parts_hold_the_items_that_were_asked_for() -> None:
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (20, 3, 5, 7), generator=rng, dtype=torch.uint8)
    data = Dataset(x, BYTE, torch.arange(20) % 4, tuple("abcd"), tuple(f"{k}.png" for k in range(20)))
    index = torch.tensor([7, 0, 7, 19])
    batch = data.batch(index)
    assert torch.allclose(batch["x"], x[index].float() / 127.5 - 1, atol=1e-6)
    assert batch["x"].is_contiguous(memory_format=torch.channels_last)
    assert batch["y"].tolist() == [3, 0, 3, 3]
    part = data.take(index)
    assert torch.equal(part.x, x[index])
    assert part.names == ("7.png", "0.png", "7.png", "19.png")


def test_the_fingerprint_sees_values_labels_units_and_nothing_else() -> None:
    x = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).view(2, 3, 4, 5)
    data = Dataset(x, BYTE, torch.tensor([0, 1]), ("a", "b"))
    changed = x.clone()
    changed[1, 2, 3, 4] += 1
    others = [
        replace(data, x=changed),
        replace(data, y=torch.tensor([1, 1])),
        replace(data, y=None),
        replace(data, units=Units((0,), (254,), "uint8")),
        replace(data, x=x.view(2, 3, 5, 4)),
    ]
    assert len({data.fingerprint(), *(other.fingerprint() for other in others)}) == 6
    same = replace(data, x=x.contiguous(memory_format=torch.channels_last), report=("other words",), names=("p", "q"))
    assert same.fingerprint() == data.fingerprint()
    assert len(data.fingerprint()) == 64


@pytest.mark.parametrize(
    ("labels", "numbers", "classes"),
    [
        ([7, 3, -1, 7], [2, 1, 0, 2], ("-1", "3", "7")),
        ([1, -1, 1], [1, 0, 1], ("-1", "1")),
        ([1.0, float("nan"), 10.0, 2.0], [0, -1, 2, 1], ("1", "2", "10")),
        (["cat", "NaN", "null", "dog"], [0, -1, -1, 1], ("cat", "dog")),
        ([[0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]], [1, 0, -1, 2], ("0", "1", "2")),
        (["cat", "", "ant"], [1, -1, 0], ("ant", "cat")),
        (["10", "2", "b"], [1, 0, 2], ("2", "10", "b")),
        ([1.0, 0.0], [1, 0], ("0", "1")),
        ([[2], [1]], [1, 0], ("1", "2")),
    ],
)
def test_labels_become_numbers(labels: list[object], numbers: list[int], classes: tuple[str, ...]) -> None:
    y, names = encode_labels(labels)
    assert y.tolist() == numbers
    assert names == classes


@pytest.mark.parametrize("value", [-1, -1.0, "-1"])
def test_a_value_may_stand_for_no_label(value: str | float) -> None:
    y, names = encode_labels([7, 3, -1, 7], value)
    assert y.tolist() == [1, 0, -1, 1]
    assert names == ("3", "7")


def test_the_only_item_of_a_class_stays_to_train_on_and_what_is_apart_does_not() -> None:
    y = torch.tensor([0] * 20 + [1, 2, 3])
    data = Dataset(torch.randn(23, 2), Units((0,), (1,), "float32"), y, tuple("abcd"))
    for seed in range(20):
        train, held_out = data.split(0.2, seed)
        assert set(range(20, 23)) <= set(train.tolist())
        assert len(held_out) == 5
    alone = replace(data, groups=torch.zeros(23, dtype=torch.int64))
    assert alone.split(0.2, 0)[1].tolist() == list(range(18, 23))  # of a single group, the last ones together
    apart = torch.arange(23) % 7 == 0
    train, held_out = replace(data, apart=apart).split(0.5, 3)
    assert held_out.tolist() == [0, 7, 14, 21]
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(23))


@pytest.mark.parametrize("labels", [[0.5, 1.0], [[1, 2], [3, 4]], [[0.5, 0.5]], [[1, 1], [0, 1]], [None, 1]])
def test_labels_that_are_none_are_refused(labels: list[object]) -> None:
    with pytest.raises(BadInput, match="labels"):
        encode_labels(labels)


def test_pictures_are_turned_as_exif_says() -> None:
    # EXIF 2.3: the picture's (row, column) of the stored pixel (0, 0) and of its neighbour to the right, (0, 1).
    height, width = 2, 3
    places = {
        1: ((0, 0), (0, 1)),
        2: ((0, 2), (0, 1)),
        3: ((1, 2), (1, 1)),
        4: ((1, 0), (1, 1)),
        5: ((0, 0), (1, 0)),
        6: ((0, 1), (1, 1)),
        7: ((2, 1), (1, 1)),
        8: ((2, 0), (1, 0)),
    }
    stored = np.arange(height * width).reshape(height, width, 1)
    for way_up, (corner, right) in places.items():
        turned = upright(stored, way_up)
        assert turned.shape[:2] == ((height, width) if way_up < 5 else (width, height))
        assert turned[corner] == 0
        assert turned[right] == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_resizing_keeps_a_plain_colour_and_the_middle(fit: str, dtype: type) -> None:
    top = np.iinfo(dtype).max
    plain = resized(np.full((30, 50, 1), top // 3, dtype), (10, 10), fit)
    assert plain.dtype == dtype
    assert plain.shape == (10, 10, 1)
    if fit == "pad":  # 50 x 30 becomes 10 x 6 with two black rows on either side.
        assert not plain[[0, 1, 8, 9]].any()
        plain = plain[2:8]
    assert (plain == top // 3).all()
    halves = np.zeros((30, 50, 1), dtype)
    halves[:, 25:] = top
    half = resized(halves, (10, 10), fit)[5, :, 0].astype(float) / top
    assert np.allclose(half + half[::-1], 1, atol=0.01)  # A symmetric picture stays symmetric about its middle.
    assert half[0] < 0.1
    assert half[-1] > 0.9


def test_what_was_found_out_stays_known_of_the_same_items_alone() -> None:
    x = torch.arange(24, dtype=torch.uint8).view(6, 1, 2, 2)
    data, fresh = (Dataset(x, Units((0.0,), (255.0,), "uint8")) for _ in range(2))
    facts, found = data.facts, data.once("key", object)
    more = data.told("a line")
    assert more.report == ("a line",)
    assert more.facts is facts
    assert more.once("key", object) is data.once("key", object) is found
    assert more.once("another key", object) is not found
    assert data.take(torch.arange(3)).once("key", object) is not found
    assert fresh.told("a line").once("key", object) is fresh.once("key", object)  # found out of what was told more
    assert more.fingerprint() == fresh.fingerprint() != data.take(torch.arange(3)).fingerprint()
