"""Columns of words to fill: each word is an entry of its own, and is drawn by its probability."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from evenodds.apply.imputer import Settings, fit
from evenodds.data.tables.columns import Columns, Table
from evenodds.errors import BadInput
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.priors import Normal
from evenodds.parts.row_entries import Entries
from evenodds.runs import imputing
from evenodds.runs.imputing import Imputer
from evenodds.tasks.contest import Contest
from evenodds.tasks.impute import HiddenCells, Impute

NUMBER, THREE = ((-1.0, 1.0), False, 0), ((), False, 3)
BLOCKS = (NUMBER, THREE, NUMBER, ((), False, 2))
ORDER = np.array([3, 0, 5, 1, 4, 2])
"""What each word of the first column says of the second, in an order that says nothing."""


def table(n: int = 240) -> Table:
    """A word that tells another, and one that follows it in 3 of 4 rows."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 6, n)
    third = np.where(rng.random(n) < 0.75, first % 2, 1 - first % 2)
    return np.stack([first, ORDER[first], third], 1).astype(float)


@functools.cache
def fitted() -> Imputer:
    x = table()
    x[::10, 1] = np.nan
    return fit(x, Settings(rows=4_000, batch=64, width=32, depth=1, memory=240), words=[0, 1, 2])


def test_the_likeliest_word_is_told_by_another_whatever_the_order() -> None:
    x = table()
    hidden = x.copy()
    hidden[::10, 1] = np.nan
    assert (fitted().mean(hidden[::10], 16)[:, 1] == x[::10, 1]).mean() > 0.9


def test_words_are_drawn_by_their_probability() -> None:
    x = np.stack([np.arange(6.0), ORDER[:6] * 1.0, np.full(6, np.nan)], 1)
    imputer = fitted()
    drawn = imputer.impute(x, 200)[:, :, 2]
    assert set(np.unique(drawn)) <= {0.0, 1.0}
    right = (drawn == np.arange(6) % 2).mean()
    assert right == pytest.approx(0.75, abs=0.12)
    assert (imputer.mean(x, 16)[:, 2] == np.arange(6) % 2).all()
    assert np.array_equal(imputer.impute(x, 2), imputer.impute(x, 5)[:2])


def test_long_tables_are_filled_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    x = table(700)
    x[::2, 2] = np.nan
    monkeypatch.setattr(imputing, "POOL", 512)
    once, sizes, to_common = fitted().mean(x, 2), list[int](), Columns.to_common
    monkeypatch.setattr(imputing, "ROOM", 700 * 14)
    monkeypatch.setattr(Columns, "to_common", lambda self, x: (sizes.append(len(x)), to_common(self, x))[1])
    in_parts = fitted().mean(x, 2)
    assert sizes == [512, 188]
    assert np.array_equal(once, in_parts)


def test_z_is_drawn_for_these_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was drawn for 4,096 rows, of which one took one: 4,096 fillings of a row took ten seconds."""
    row, drawn, draw = np.array([[1.0, np.nan, np.nan]]), list[int](), Normal.__call__
    monkeypatch.setattr(Normal, "__call__", lambda self, n, rng: (drawn.append(n), draw(self, n, rng))[1])
    alone = fitted().impute(row, 40)
    assert sum(drawn) == 48
    monkeypatch.setattr(imputing, "ROOM", 5 * imputing.POOL * fitted().latent)  # five at a time
    assert np.array_equal(fitted().impute(row, 33), alone[:33])
    assert np.array_equal(fitted().impute(np.concatenate([table(9), row]), 40)[:, 9:], alone)


def test_the_entries_of_a_column_are_hidden_together() -> None:
    task = Impute(Normal(8), Contest(non_saturating), blocks=BLOCKS)
    x = torch.zeros(64, 7)
    x[:, 1] = x[:, 5] = 1
    x[:9, 1:4] = torch.nan
    hand = task.deal({"x": x, "row": torch.arange(64)}, torch.Generator().manual_seed(0))
    entries = Entries(BLOCKS)
    for name in ("mask", "hidden"):
        assert torch.equal(entries.by_entry(entries.by_column(hand[name])), hand[name])
    assert (hand["hidden"][:9, 1:4] == 0).all()
    assert 0 < hand["hidden"][:, 1].mean() < 1
    assert task.networks((7,))["discriminator"].arguments == ((7 + 2 * 4,),)


def test_a_word_counts_as_a_number_does() -> None:
    """Fillings that are wrong in all words err as those that are off by the distance of strangers."""
    x = torch.tensor([[0.0, 1, 0, 0, 0, 1, 0]])
    wrong = torch.tensor([[0.0, 0, 1, 0, 0, 0, 1]])[:, None]
    mask = torch.tensor([[1.0, 0, 0, 0, 1, 0, 0]])
    scoring = HiddenCells(BLOCKS)
    tally = scoring.tally({"x": x}, {"x": wrong, "mask": mask})
    assert tally.tolist() == [[4.0, 4.0, 2.0]]


def test_columns_go_to_entries_and_back() -> None:
    x = np.array([[1.5, 2.0], [np.nan, 7.0], [0.5, np.nan]])
    columns = Columns.of(x, words=[1])
    seen = columns.to_common(x)
    assert columns.widths == [1, 2]
    assert columns.blocks[1] == ((), False, 2)
    assert np.nan_to_num(seen[:, 1:], nan=-1).tolist() == [[1, 0], [0, 1], [-1, -1]]
    assert np.array_equal(columns.to_units(seen[:2])[:, 1], x[:2, 1])
    assert Columns.of(x).blocks == ()


def test_too_many_words_are_refused() -> None:
    x = np.stack([np.arange(2001.0), np.zeros(2001)], 1)
    with pytest.raises(BadInput, match=r"got 2,001, of which column '1' has 2,001; leave"):
        fit(x, Settings(rows=256), words=[0])
