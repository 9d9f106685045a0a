"""Closed forms and exact invariants of the trial: figures of classifiers, paired intervals, SMOTE, filters, folds."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from evenodds.apply.filters import Copies, Duplicates, Rejection, drawn_until
from evenodds.data.dataset import Dataset
from evenodds.data.units import Units
from evenodds.errors import BadInput
from evenodds.evaluation.differences import holm_levels, paired_difference
from evenodds.evaluation.trial.classical import JITTER, KINDS, chosen, copies, transformed
from evenodds.evaluation.trial.folds import Fold, cross, digest, fold_of, hashes, mean_overlap
from evenodds.evaluation.trial.proof import Ledger, verify
from evenodds.evaluation.trial.share import picked
from evenodds.evaluation.trial.smote import smote
from evenodds.metrics.classification import calibration_error, class_scores
from evenodds.metrics.intervals import student_quantile, student_tail


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int, classes: int = 3, seed: int = 0, side: int = 4) -> Dataset:
    x = torch.randint(0, 256, (n, 1, side, side), generator=rng(seed), dtype=torch.uint8)
    names = tuple(str(k) for k in range(classes))
    return Dataset(x, Units((0.0,), (255.0,), "uint8"), torch.arange(n) % classes, names)


# --- figures ---------------------------------------------------------------------------------------------------------


def test_class_scores_of_a_table_by_hand() -> None:
    truth = torch.tensor([0, 0, 0, 1, 1])
    predicted = torch.tensor([0, 0, 1, 1, 2])
    precision, recall, f1 = class_scores(predicted, truth, 4)
    assert precision.tolist() == [1, 0.5, 0, 0]
    assert recall[:2].tolist() == pytest.approx([2 / 3, 1 / 2])
    assert f1[:2].tolist() == pytest.approx([4 / 5, 1 / 2])
    assert recall[2:].isnan().all()  # no item of these classes: nothing is known of them
    assert f1[2:].isnan().all()
    assert float(f1.nanmean()) == pytest.approx(0.65)


def test_macro_f1_is_harmonic_and_counts_classes_alike() -> None:
    """F1 is the harmonic mean of precision and recall; a class of 1 weighs as one of 1,000."""
    predicted, truth = torch.randint(0, 5, (400,), generator=rng(1)), torch.randint(0, 5, (400,), generator=rng(2))
    precision, recall, f1 = class_scores(predicted, truth, 5)
    assert torch.allclose(f1, 2 / (1 / precision + 1 / recall))
    always = torch.zeros(1001, dtype=torch.int64)
    assert float(class_scores(always, torch.tensor([0] * 1000 + [1]), 2)[2].nanmean()) == pytest.approx(1000 / 2001)


@pytest.mark.parametrize(("confidence", "right"), [(0.9, 0.9), (0.9, 0.5), (0.62, 0.8), (1.0, 0.0)])
def test_calibration_error_of_one_confidence_is_its_distance_from_the_accuracy(confidence: float, right: float) -> None:
    p = torch.tensor([confidence, 1 - confidence], dtype=torch.float64).expand(100, 2)
    truth = (torch.arange(100) >= round(100 * right)).long()
    assert float(calibration_error(p, truth)) == pytest.approx(abs(confidence - right))


def test_calibration_error_adds_bins_by_their_shares_and_is_at_most_one_bins_fault() -> None:
    p = torch.tensor([[0.95, 0.05]] * 30 + [[0.65, 0.35]] * 70, dtype=torch.float64)
    truth = torch.tensor([0] * 30 + [0] * 35 + [1] * 35)
    assert float(calibration_error(p, truth, 10)) == pytest.approx(0.3 * 0.05 + 0.7 * 0.15)
    assert float(calibration_error(p, truth, 1)) == pytest.approx(abs(0.3 * 0.95 + 0.7 * 0.65 - 0.65))


def test_labels_drawn_from_the_probabilities_are_calibrated() -> None:
    p = torch.rand(40_000, 3, generator=rng(), dtype=torch.float64)
    p = p / p.sum(1, keepdim=True)
    truth = torch.multinomial(p, 1, generator=rng(1)).flatten()
    assert float(calibration_error(p, truth)) < 0.015
    assert float(calibration_error(p.square() / p.square().sum(1, keepdim=True), truth)) > 0.05


# --- intervals -------------------------------------------------------------------------------------------------------


def test_student_by_closed_forms() -> None:
    for t in (0.0, 0.3, 1.0, 2.7, 12.0):
        assert student_tail(t, 1) == pytest.approx(0.5 - math.atan(t) / math.pi, abs=1e-14)
        assert student_tail(t, 2) == pytest.approx((1 - t / math.sqrt(2 + t * t)) / 2, abs=1e-14)
        cubic = 0.5 - (math.atan(t / math.sqrt(3)) + t / math.sqrt(3) / (1 + t * t / 3)) / math.pi
        assert student_tail(t, 3) == pytest.approx(cubic, abs=1e-14)
    assert student_quantile(0.975, 4) == pytest.approx(2.7764451, abs=1e-6)
    assert student_tail(student_quantile(0.999, 7), 7) == pytest.approx(0.001)


@pytest.mark.parametrize("shared", [0.0, 0.4])
def test_intervals_cover_as_they_say_also_where_seeds_share_test_items(shared: float) -> None:
    """Differences with the correlation rho, true mean 0.3: of 95 % intervals, 95 % hold it."""
    draws = torch.randn(2000, 6, generator=rng(3), dtype=torch.float64)
    sets = 0.3 + math.sqrt(shared) * draws[:, :1] + math.sqrt(1 - shared) * draws[:, 1:]
    found = [paired_difference(row, overlap=shared) for row in sets.tolist()]
    cover = sum(one.low <= 0.3 <= one.high for one in found) / len(found)
    assert cover == pytest.approx(0.95, abs=0.014)
    if shared:
        naive = [paired_difference(row) for row in sets.tolist()]
        assert sum(one.low <= 0.3 <= one.high for one in naive) / len(naive) < 0.85


def test_holm_finds_what_its_intervals_show_and_errs_in_a_family_as_it_says() -> None:
    draws = torch.randn(1000, 4, 5, generator=rng(4), dtype=torch.float64)
    wrong = 0
    for family in draws.tolist():
        tests = [paired_difference(row) for row in family]
        levels = holm_levels([test.p for test in tests])
        shown = [paired_difference(row, 1 - level) for row, level in zip(family, levels, strict=True)]
        found = [test.p < level for test, level in zip(tests, levels, strict=True)]
        assert found == [not one.low <= 0 <= one.high for one in shown]
        wrong += any(found)
    assert wrong / len(draws) == pytest.approx(0.05, abs=0.02)
    assert holm_levels([0.001, 0.04, 0.012]) == [0.05 / 3, 0.05, 0.05 / 2]
    assert holm_levels([0.2, 0.04, 0.03]) == [0.05 / 3, 0.05 / 3, 0.05 / 3]


def test_equal_differences_are_no_certainty() -> None:
    found = paired_difference([0.1] * 5)
    assert found.low <= 0
    assert found.p == pytest.approx(2 / 32)
    assert paired_difference([0.0] * 5).p == 1


# --- SMOTE and changes -----------------------------------------------------------------------------------------------


def test_smote_lies_between_neighbours_and_takes_items_in_turn() -> None:
    x, features = torch.randn(12, 1, 5, 5, generator=rng()), torch.randn(12, 3, generator=rng(1))
    made, i, j = smote(x, features, 60, rng(2), k=4)
    step, way = (made - x[i]).flatten(1), (x[j] - x[i]).flatten(1)
    u = (step * way).sum(1) / way.square().sum(1)
    assert torch.allclose(step, u[:, None] * way, atol=1e-5)
    assert float(u.min()) >= -1e-6
    assert float(u.max()) <= 1
    rank = torch.cdist(features, features).argsort(1).argsort(1)[i, j]
    assert int(rank.min()) >= 1
    assert int(rank.max()) == 4
    assert torch.bincount(i).tolist() == [5] * 12
    assert torch.equal(smote(x[:1], features[:1], 3, rng())[0], x[:1].expand(3, -1, -1, -1))


def test_changes_keep_what_has_no_place_and_mirror_exactly() -> None:
    flat = torch.rand(6, 3, 1, 1, generator=rng()).expand(6, 3, 9, 7).contiguous()
    assert torch.allclose(transformed(flat, KINDS, rng(1)), flat, atol=1e-5)
    x = torch.rand(40, 1, 6, 5, generator=rng(2))
    assert torch.equal(transformed(x, (), rng()), x)
    mirrored = transformed(x, ("flip",), rng(3))
    same = (mirrored == x).flatten(1).all(1)
    assert torch.equal(mirrored[~same], x[~same].flip(3))
    assert 8 < int(same.sum()) < 32


def test_turns_keep_distances_whatever_the_sides() -> None:
    """A bright spot off the middle stays as far from it, in pixels, on an image that is no square."""
    x = torch.zeros(64, 1, 31, 61)
    x[:, :, 13:18, 48:53] = 1
    y = transformed(x, ("rotation",), rng())
    rows, columns = torch.meshgrid(torch.arange(31.0) - 15, torch.arange(61.0) - 30, indexing="ij")
    mass = y.sum((1, 2, 3))
    centre = torch.stack([(y[:, 0] * axis).sum((1, 2)) / mass for axis in (rows, columns)], 1)
    assert torch.allclose(centre.norm(dim=1), torch.tensor(20.0), atol=0.15)
    assert float(centre[:, 0].std()) > 1


def test_copies_fill_every_class_alike() -> None:
    x, y = torch.rand(13, 1, 4, 4, generator=rng()), torch.tensor([0] * 10 + [1] * 3)
    made, labels = copies(x, y, ("shift",), 100, rng())
    assert torch.bincount(labels).tolist() == [50, 50]
    assert torch.equal(made[:13], x)
    made, labels = copies(x, y, (), 100, rng())
    assert torch.bincount(labels).tolist() == [10, 10]
    assert torch.equal(made[:13], x)
    assert all(any(torch.equal(one, real) for real in x[10:]) for one in made[13:])
    assert torch.equal(copies(x[:10], y[:10], (), 100, rng())[0], x[:10])


def test_jitter_is_normal_noise_in_proportion_to_each_column() -> None:
    x = torch.randn(20_000, 3, generator=rng()) * torch.tensor([1.0, 5.0, 0.0])
    moved = transformed(x, ("jitter",), rng(1)) - x
    assert torch.allclose(moved.std(0), JITTER * x.std(0), rtol=0.03)
    assert float(moved.mean(0).abs().max()) < 0.02
    assert torch.equal(transformed(x, (), rng()), x)


def test_no_share_is_taken_that_clearly_costs_and_the_best_one_otherwise() -> None:
    """Brier scores whose differences have a known mean; classes weigh alike, whatever their size."""
    y = torch.tensor([0] * 90 + [1] * 10)
    without, wiggle = torch.full((100,), 0.5), 0.1 * (-1.0) ** torch.arange(100)
    assert picked(without, {0.25: without + wiggle, 0.5: without + wiggle + 0.005}, y) == 0.25
    assert picked(without, {0.25: without + wiggle, 0.5: without + wiggle - 0.005}, y) == 0.5
    assert picked(without, {0.25: without + wiggle + 0.05}, y) == 0.0
    rare = torch.where(y == 1, without - 0.02, without + 0.01)  # the rare class gains more than the other one loses
    assert picked(without, {0.25: rare}, y) == 0.25


def test_a_change_that_the_classes_do_not_survive_is_dropped() -> None:
    """Bright on the left or on the right: mirrored, one class is the other."""
    y = torch.arange(80) % 2
    x = 0.3 * torch.randn(80, 1, 8, 8, generator=rng())
    x[y == 0, :, :, :3] += 1
    x[y == 1, :, :, 5:] += 1

    def nearest(fit: Tensor, labels: Tensor, check: Tensor) -> Tensor:
        return labels[torch.cdist(check.flatten(1), fit.flatten(1)).argmin(1)]

    assert set(chosen(x, y, nearest, rng())) == {"shift", "rotation", "scale"}


def test_a_frequent_class_does_not_drop_what_the_rare_one_lives_by() -> None:
    """Without copies the rare class is never named; with them it always is, and 8 of 40 frequent items are lost."""
    x, y = torch.arange(44.0)[:, None], torch.tensor([0] * 40 + [1] * 4)

    def named(fitted: torch.Tensor, _: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        rare = asked[:, 0] >= 40
        return (rare | (asked[:, 0] < 8)).long() if len(fitted) > 22 else torch.zeros(len(asked), dtype=torch.long)

    assert chosen(x, y, named, rng()) == ("jitter",)


# --- filters ---------------------------------------------------------------------------------------------------------


def test_rejection_turns_samples_of_q_into_samples_of_p() -> None:
    """q = N(0, 2^2), p = N(1, 1): log p / q, here with a constant added, has its maximum at 4/3."""

    def logits(x: Tensor, label: int) -> Tensor:
        value = x[:, 0]
        return -((value - 1) ** 2) / 2 + value**2 / 8 + 7.0

    filters = {"discriminator": Rejection(logits, percentile=None)}
    parts, count = drawn_until(
        lambda label, n, g: 2 * torch.randn(n, 1, generator=g), 0, 6000, filters, 0, portion=4096, burn_in=5000
    )
    x = torch.cat(parts)[:, 0].sort().values.double()
    cdf = 0.5 * (1 + torch.erf((x - 1) / math.sqrt(2)))
    distance = float((cdf - (torch.arange(len(x)) + 0.5) / len(x)).abs().max())
    assert distance < 1.63 / math.sqrt(len(x))  # Kolmogorov, 1 %
    # P(kept) = exp(-M) for the normalised ratio, whose maximum is 2 exp(1/6).
    assert count.passed["discriminator"] / count.drawn == pytest.approx(math.exp(-1 / 6) / 2, abs=0.02)


def test_with_a_percentile_a_sample_there_has_even_odds() -> None:
    kept = Rejection(lambda x, label: x[:, 0], percentile=80)
    kept.prepare(torch.linspace(0, 5, 1001)[:, None], 0)
    at = torch.full((20_000, 1), 4.0)
    assert float(kept(at, 0, rng()).double().mean()) == pytest.approx(0.5, abs=0.015)


def test_planted_copies_and_repetitions_are_refused() -> None:
    train, held = torch.randn(300, 8, generator=rng()), torch.randn(100, 8, generator=rng(1))
    fake = torch.randn(200, 8, generator=rng(2))
    planted = torch.cat([fake, train[:50] + 1e-4])
    stays = Copies(lambda x: x, {0: train}, {0: held})(planted, 0, rng())
    assert not stays[200:].any()
    assert float(stays[:200].double().mean()) > 0.95
    alone = Duplicates(lambda x: x, {0: train})
    first = alone(torch.cat([fake, fake[:30]]), 0, rng())
    assert not first[200:].any()
    assert float(first[:200].double().mean()) > 0.95
    assert not alone(fake[first[:200]], 0, rng()).any()  # what stayed is remembered


@pytest.mark.parametrize("n", [0, 1, 137])
def test_what_is_drawn_is_refused_spare_or_written(n: int) -> None:
    def coin(share: float) -> Callable[[Tensor, int, torch.Generator], Tensor]:
        return lambda x, label, g: torch.rand(len(x), generator=g) < share

    parts, count = drawn_until(
        lambda label, k, g: torch.rand(k, 2, generator=g), 1, n, {"a": coin(0.5), "b": coin(0.3)}, 5
    )
    assert sum(map(len, parts)) == count.written == n
    assert count.drawn == sum(count.refused.values()) + count.spare + count.written
    assert count.passed["a"] == count.refused["b"] + count.passed["b"]
    again, _ = drawn_until(lambda label, k, g: torch.rand(k, 2, generator=g), 1, n, {"a": coin(0.5), "b": coin(0.3)}, 5)
    assert all(torch.equal(a, b) for a, b in zip(parts, again, strict=True))


def test_drawing_ends_where_nothing_passes() -> None:
    none, count = drawn_until(
        lambda label, k, g: torch.rand(k, 2, generator=g), 0, 50, {"a": lambda x, label, g: x[:, 0] > 2}, 0, tries=30
    )
    assert (sum(map(len, none)), count.drawn) == (0, 1500)


# --- folds and their proof -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [2, 5])
def test_folds_share_nothing_and_keep_the_shares_of_classes(seeds: int) -> None:
    data = images(97)
    known = hashes(data)
    folds = [fold_of(data, cross(seeds), seed, known) for seed in range(seeds)]
    assert mean_overlap(folds) == 0
    for fold in folds:
        assert sorted([*fold.train.tolist(), *fold.test.tolist()]) == list(range(97))
        counts = torch.bincount(data.y[fold.test])  # type: ignore[index]
        assert int(counts.max() - counts.min()) <= 1
    assert mean_overlap([folds[0], folds[0]]) == 1


def test_equal_images_do_not_stand_on_both_sides() -> None:
    data = images(30)
    twice = Dataset(torch.cat([data.x, data.x[:9]]), data.units, torch.cat([data.y, data.y[:9]]), data.classes)  # type: ignore[index,list-item]
    known = hashes(twice)
    assert len(set(known)) == 30
    for seed in range(5):
        fold = fold_of(twice, cross(5), seed, known)
        sides = [{known[i] for i in part.tolist()} for part in (fold.train, fold.test)]
        assert not sides[0] & sides[1]
        assert len(fold.train) + len(fold.test) == 39
        assert set(fold.moved) <= set(fold.train.tolist())


def proof_of(data: Dataset, fold: Fold, seen: Tensor, in_test: int = 0) -> dict[str, object]:
    ledger = Ledger(hashes(data))
    ledger.record("train", data.take(fold.train))
    ledger.record("test", data.take(fold.test))
    ledger.record("generator", data.take(seen))
    arm = {"saw": {"generator": ledger.saw["generator"]}, "synthetic_in_test": in_test}
    seeds = [{"train": ledger.saw["train"], "test": ledger.saw["test"], "arms": {"gan": arm}}]
    return {"items": list(ledger.item_hashes), "sets": ledger.sets, "seeds": seeds}


def test_the_verifier_catches_every_planted_leak() -> None:
    data = images(40)
    fold = fold_of(data, cross(4), 0, hashes(data))
    honest = proof_of(data, fold, fold.train)
    assert verify(honest, data) == []
    assert "has seen 1 test" in verify(proof_of(data, fold, torch.cat([fold.train, fold.test[:1]])))[0]
    assert "2 synthetic images are test images" in verify(proof_of(data, fold, fold.train, 2), data)[0]
    shared = Fold(torch.cat([fold.train, fold.test[:3]]), fold.test)
    assert "3 items are trained on and tested on" in verify(proof_of(data, shared, fold.train))[0]
    assert "not those of the proof" in verify(honest, images(40, seed=9))[0]
    sets = dict(honest["sets"])  # type: ignore[call-overload]
    name = next(iter(sets))
    assert "not what its digest says" in verify({**honest, "sets": {**sets, name: sets[name][1:]}})[0]


def test_hashes_see_the_pixels_alone() -> None:
    a, b = images(5), images(5)
    assert hashes(a) == hashes(Dataset(b.x, b.units))
    b.x[2, 0, 1, 1] += 1
    assert [p == q for p, q in zip(hashes(a), hashes(b), strict=True)] == [True, True, False, True, True]
    assert digest(["b", "a", "a"]) == digest(["a", "b"]) != digest(["a"])


def test_too_little_to_try_is_said() -> None:
    with pytest.raises(BadInput, match=r"at least 3 images of every class; 0 has 2, 1 has 2, 2 has 2"):
        fold_of(images(6), cross(5), 0, hashes(images(6)))
    with pytest.raises(BadInput, match=r"0 has 1, 1 has 1, 2 has 1, 3 has 1, 4 has 1 and 4 more; leave such classes"):
        cross(5)(replace(images(9), y=torch.arange(9), classes=tuple("012345678")), 0)
    same = replace(images(9), x=torch.zeros_like(images(9).x))
    with pytest.raises(BadInput, match="seed 1 has nothing to test on: all 3 were identical to training images"):
        fold_of(same, cross(3), 0, hashes(same))
    plain = Dataset(images(6).x, images(6).units)
    with pytest.raises(BadInput, match="labelled data"):
        fold_of(plain, cross(5), 0, hashes(plain))
