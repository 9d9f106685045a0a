"""Verdicts are functions of the history: each fault is named, and what is healthy is left alone."""

from typing import Any

import pytest
import torch

from evenodds.data.checks import check
from evenodds.data.facts import digests
from evenodds.data.readers.arrays import from_array
from evenodds.errors import BadInput
from evenodds.game.watch.diagnosis import diagnose
from evenodds.game.watch.history import Cells
from evenodds.game.watch.trend import plateau
from evenodds.game.watch.verdict import WORDS
from evenodds.runs.evidence import apart, wins

CELLS = Cells(("a", "b", "c", "d"), (0.25, 0.25, 0.25, 0.25))
TOTAL = 1000


def test_how_far_apart_rows_are() -> None:
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0], [9.0, 13.0]])
    assert apart(x) == pytest.approx(1.0)  # 5, 1, 1, 10
    assert apart(x.repeat(2, 1)) == 0


def run(**changes: Any) -> list[dict[str, Any]]:
    """The history of a healthy run; each change is a function of the line's number k from 0 to 50."""
    lines = []
    for k in range(51):
        near = max(0.1, 0.8 * 0.8**k)
        line: dict[str, Any] = {
            "images": 20 * k,
            "round": 20 * k,
            "spread": 1 - 0.9 * 0.7**k,
            "distance": near,
            "apart": 1 - 0.8 * 0.7**k,
            "shares": [0.25] * 4,
            "d_fake": 0.7,
            "d_memory": 0.51,
        }
        if k and k % 5 == 0:
            score = near**2
            line |= {"score": score, "score_low": score - 0.002, "score_high": score + 0.002}
        lines.append(line | {name: change(k, line) for name, change in changes.items() if change(k, line) is not None})
    return lines


def test_a_healthy_run_is_left_alone_throughout() -> None:
    lines = run()
    said = [diagnose(lines[: k + 1], CELLS, TOTAL) for k in range(51)]
    assert {v.word for v in said} <= {"starting", "improving", "flat"}
    assert not any(v.alarm for v in said)
    assert said[-1].word == "flat"
    assert said[15].word == "improving"


def test_samples_that_grow_alike_are_a_collapse() -> None:
    lines = run(spread=lambda k, line: 0.02 if k >= 30 else None)
    assert not diagnose(lines[:31], CELLS, TOTAL).alarm  # once is chance
    verdict = diagnose(lines[:32], CELLS, TOTAL)
    assert (verdict.word, verdict.alarm, verdict.since) == ("collapsing", True, 29 * 20)


def test_samples_that_repeat_a_few_are_a_collapse_wherever_these_lie() -> None:
    fallen = run(apart=lambda k, line: 0.1 if k >= 30 else None)
    verdict = diagnose(fallen[:33], CELLS, TOTAL)
    assert (verdict.word, verdict.alarm, verdict.since) == ("collapsing", True, 29 * 20)
    assert "repeat" in verdict.why
    stuck = run(apart=lambda k, line: 0.1)
    assert diagnose(stuck[:26], CELLS, TOTAL).word == "collapsing"
    assert not diagnose(stuck, CELLS, TOTAL).alarm  # it never was better: there is nothing to go back to
    assert diagnose(stuck[:25], CELLS, TOTAL).word != "collapsing"  # it may be slow
    rising = run(apart=lambda k, line: 0.004 * k)
    assert diagnose(rising[:30], CELLS, TOTAL).word != "collapsing"


def test_lost_cells_are_named_and_an_alarm_where_they_are_a_quarter_of_the_data() -> None:
    lines = run(shares=lambda k, line: [0.02, 0.3, 0.3, 0.38] if k >= 30 else None)
    verdict = diagnose(lines[:33], CELLS, TOTAL)
    assert verdict.word == "collapsing"
    assert "lost a, 25%" in verdict.why
    assert verdict.alarm


def test_a_small_part_is_lost_where_it_stays_away_and_is_known_for_a_part() -> None:
    lines = run(shares=lambda k, line: [0.005 if k >= 30 else 0.1, 0.3, 0.3, 0.29])
    for due, ground_truth, seen, word in (
        (0.1, True, 38, "collapsing"),
        (0.1, True, 37, "flat"),  # it may come back
        (0.1, False, 38, "flat"),  # a cluster says less
        (0.05, True, 38, "flat"),
    ):
        small = Cells(("a", "b", "c", "d"), (due, *[(1 - due) / 3] * 3), ground_truth=ground_truth)
        found = diagnose(lines[:seen], small, TOTAL)
        assert (found.word, found.alarm) == (word, False)


def test_cells_of_a_young_run_are_not_missed() -> None:
    slow = run(distance=lambda k, line: 0.8 - 0.001 * k, shares=lambda k, line: [1, 0, 0, 0] if k > 9 else None)
    assert "cell" not in diagnose(slow, CELLS, TOTAL).why
    assert not diagnose(slow, CELLS, TOTAL).alarm


def far(k: int, line: dict[str, Any]) -> float:
    return 1.2 if k >= 1 else 0.8


def test_further_from_the_data_than_at_first_is_an_alarm_once_the_first_steps_are_over() -> None:
    lines = run(distance=far, spread=lambda k, line: 0.1 * 1.05**k)
    assert not diagnose(lines[:10], CELLS, TOTAL).alarm
    verdict = diagnose(lines[:11], CELLS, TOTAL)
    assert (verdict.word, verdict.alarm, verdict.since) == ("diverged", True, 8 * 20)


def test_samples_that_fly_off_and_shrink_or_jump_are_an_early_alarm() -> None:
    alike = run(distance=far, spread=lambda k, line: 0.01 if k >= 1 else None)
    verdict = diagnose(alike[:3], CELLS, TOTAL)
    assert (verdict.word, verdict.alarm, verdict.since) == ("collapsing", True, 0)
    jumped = run(distance=far, spread=lambda k, line: 0.5 if k >= 1 else None)
    assert diagnose(jumped[:3], CELLS, TOTAL).word == "diverged"


def test_samples_that_first_move_as_one_to_a_corner_and_open_up_there_are_left_alone() -> None:
    away = {
        "distance": lambda k, line: 0.8 * 1.02**k if k < 9 else 0.4,
        "spread": lambda k, line: 0.1 * 1.2 ** min(k, 9),
    }
    lines = run(**away)
    assert not any(diagnose(lines[: k + 1], CELLS, TOTAL).alarm for k in range(len(lines)))


def test_a_glance_at_samples_that_were_not_finite_does_not_hide_later_ones() -> None:
    lines = run()
    lines[20] = {"images": 400, "round": 400, "finite": False}
    assert diagnose(lines[:21], CELLS, TOTAL).word == "diverged"
    assert diagnose(lines[:26], CELLS, TOTAL).word == "flat"
    far_off = run(distance=lambda k, line: 0.7 if k >= 40 else None)
    far_off[20] = lines[20]
    assert diagnose(far_off[:42], CELLS, TOTAL).alarm


def test_half_of_what_was_learned_lost_again_is_an_alarm() -> None:
    verdict = diagnose(run(distance=lambda k, line: 0.7 if k >= 40 else None)[:42], CELLS, TOTAL)
    assert (verdict.word, verdict.alarm, verdict.since) == ("diverged", True, 39 * 20)


def test_a_discriminator_that_prefers_what_it_was_trained_on_has_memorised() -> None:
    verdict = diagnose(run(d_memory=lambda k, line: 0.5 + 0.008 * k), CELLS, TOTAL)
    assert verdict.word == "D has memorised the training set"
    few = Cells(CELLS.names, CELLS.due, n_held_out=10, n_trained=90)
    assert diagnose(run(d_memory=lambda k, line: 0.5 + 0.005 * k), few, TOTAL).word == "flat"  # chance, with so few


def test_a_discriminator_wins_where_samples_no_longer_come_nearer() -> None:
    won = {"d_fake": lambda k, line: 1.0}
    assert diagnose(run(**won, distance=lambda k, line: 0.7), CELLS, TOTAL).word == "D is winning"
    assert diagnose(run(**won, distance=lambda k, line: 0.8 * 0.97**k)[:20], CELLS, TOTAL).word == "improving"


def test_the_hooks_for_copies_and_leaks() -> None:
    assert diagnose(run(copies=lambda k, line: 0.2), CELLS, TOTAL).word == "D has memorised the training set"
    assert diagnose(run(**{"views/leak": lambda k, line: 0.3}), CELLS, TOTAL).word == "augmentation leaks"
    assert diagnose(run(**{"views/leak": lambda k, line: 0.05}), CELLS, TOTAL).word == "flat"
    far = {"views/leak": lambda k, line: 0.9, "distance": lambda k, line: 0.8 - 0.01 * k}
    assert diagnose(run(**far)[:20], CELLS, TOTAL).word == "improving"  # such samples look like no item at all


def test_every_word_is_known() -> None:
    assert len(set(WORDS)) == 8


def test_a_slow_descent_within_the_intervals_is_no_plateau() -> None:
    wide = {"score_low": lambda k, line: 0.0, "score_high": lambda k, line: 1.0}
    falling = run(score=lambda k, line: 0.5 - 0.001 * k, distance=lambda k, line: 0.2 - 0.002 * k, **wide)
    drifting = run(score=lambda k, line: 0.5 - 0.001 * k, distance=lambda k, line: 0.2 - 0.0003 * k, **wide)
    level = run(score=lambda k, line: 0.5 + 0.01 * (-1) ** k, distance=lambda k, line: 0.2 + 0.01 * (-1) ** k, **wide)
    assert not plateau(falling, TOTAL, 0.3)
    assert plateau(level, TOTAL, 0.3)
    assert plateau(drifting, TOTAL, 0.3)  # a small part of the interval, as averages of weights drift
    assert not plateau(level[:12], TOTAL, 0.3)  # nothing to compare with yet


def test_wins_are_a_probability() -> None:
    a, b = torch.tensor([1.0, 2.0, 2.0]), torch.tensor([2.0, 0.0])
    assert wins(a, b) == pytest.approx((0 + 1 + 0.5 + 1 + 0.5 + 1) / 6)
    assert wins(a, b) + wins(b, a) == pytest.approx(1)


def test_digests_are_equal_for_equal_items_alone() -> None:
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (200, 3, 4, 4), generator=rng, dtype=torch.uint8)
    x[7] = x[3]
    x[9] = x[3].flip(2)
    found = digests(x)
    assert len(found.unique()) == 199
    assert found[7] == found[3]
    assert torch.equal(found, digests(x.contiguous(memory_format=torch.channels_last)))
    assert len(digests(torch.randn(1000, 2, generator=rng)).unique()) == 1000


def images(n: int = 600) -> Any:
    return torch.randint(0, 256, (n, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def said(x: Any, y: Any = None, **options: bool) -> str:
    data = from_array(x, y)
    return " ".join(check(data, torch.arange(0, len(x) - 60), torch.arange(len(x) - 60, len(x)), **options))


def test_data_are_checked() -> None:
    x = images()
    assert said(x) == ""
    twice = x.clone()
    twice[1], twice[-1], twice[-2] = x[0], x[5], x[6]
    assert "1 of 540 training items repeats another one" in said(twice)
    assert "2 of 60 held-out items are training items" in said(twice)
    blank = x.clone()
    blank[3] = 7
    assert "1 of 600 images are of one colour" in said(blank)
    assert "240 training images are few for 8 x 8" in said(images(300))
    assert "All labels are equal ('3')" in said(x, [3] * 600)
    assert "fewer than 10 training items: 1 (2)" in said(x, [1, 1, *[0] * 598])
    with pytest.raises(BadInput, match="all labels are equal"):
        said(x, [3] * 600, by_class=True)
    with pytest.raises(BadInput, match="none of the 540 items to train on has a label"):
        said(x, [""] * 540 + ["a", "b"] * 30, by_class=True)
    with pytest.raises(BadInput, match="all 600 items are the same"):
        said(torch.zeros(600, 8, 8, dtype=torch.uint8))
