"""Rows of amounts and choices: the draws of a choice, the range of an amount, and the way there and back."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.data.tables.rows import Column, fitted
from evenodds.data.tables.seen import rows_to_data, rows_to_model
from evenodds.errors import BadInput
from evenodds.parts.choosing import Block, ChoosingGenerator, choices_in
from evenodds.parts.priors import Coded, Normal

BLOCKS: list[Block] = [((-1.5, 0.0, 2.0), True, 0), ((), False, 3), ((-1.0, 1.0), False, 2), ((), False, 1)]
WIDTH = 8


class Logits(nn.Module):
    """Gives the same numbers for every z."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values)

    def forward(self, z: Tensor) -> Tensor:
        return self.values.expand(len(z), -1)


def test_a_choice_is_a_draw_of_the_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0])
    generator = ChoosingGenerator(Logits(logits), [((), False, 3)])
    z = torch.randn(20_000, 3 + 1, generator=torch.Generator().manual_seed(0))
    shares = generator(z).detach().mean(0)
    expected = logits.softmax(0)
    assert ((shares - expected).abs() < 4 * (expected * (1 - expected) / len(z)).sqrt()).all()


def test_gradients_pass_as_through_the_softmax_beside_the_same_noise() -> None:
    generator = ChoosingGenerator(Logits(torch.tensor([0.3, -0.2, 0.5])), [((), False, 3)], temperature=0.5)
    z, weights = torch.randn(7, 4), torch.randn(7, 3)
    (generator(z) * weights).sum().backward()
    assert isinstance(generator.generator, Logits)
    logits = generator.generator.values.detach().clone().requires_grad_()
    gumbel = -(-torch.special.log_ndtr(z[:, :3])).log()
    (((logits + gumbel) / 0.5).softmax(1) * weights).sum().backward()
    assert torch.allclose(generator.generator.values.grad, logits.grad, atol=1e-6)  # type: ignore[arg-type]


def plain(y: Tensor, noise: Tensor) -> Tensor:
    """The head, block by block."""
    parts, at = [], 0
    for scores, exact, size in BLOCKS:
        amount = None
        if scores:
            amount = y[:, at].clamp(scores[0], scores[-1])
            if exact:
                grid = torch.tensor(scores)
                amount = grid[(amount[:, None] - grid).abs().argmin(1)]
            at += 1
        if size:
            gumbel = -(-torch.special.log_ndtr(noise[:, :size])).log()
            noise = noise[:, size:]
            choice = F.one_hot((y[:, at : at + size] + gumbel).argmax(1), size).float()
            at += size
            amount = None if amount is None else amount * choice[:, 0]
            parts += [choice] if amount is None else [amount[:, None], choice]
        elif amount is not None:
            parts.append(amount[:, None])
    return torch.cat(parts, 1)


def test_all_blocks_at_once_are_each_block_by_itself() -> None:
    linear = nn.Linear(5, WIDTH)
    generator = ChoosingGenerator(linear, BLOCKS)
    noise = choices_in(BLOCKS)
    z = torch.randn(64, noise + 5)
    made = generator(z)
    assert made.shape == (64, WIDTH)
    assert torch.allclose(made, plain(linear(z[:, noise:]), z[:, :noise]), atol=1e-6)
    assert torch.equal(made, generator(z))
    assert not [name for name in generator.state_dict() if not name.startswith("generator.")]
    made.sum().backward()
    assert linear.weight.grad is not None


def test_the_noise_of_choices_comes_first_and_is_normal() -> None:
    rng = torch.Generator().manual_seed(0)
    assert Normal(4).widened(3).size == 7
    wide = Coded(4, classes=2, values=1).widened(3)
    z = wide(4000, rng)
    assert z.shape == (4000, 4 + 3 + 2 + 1)
    assert z[:, :7].mean(0).abs().max() < 4 / math.sqrt(4000)
    assert (z[:, :7].var(0) - 1).abs().max() < 4 * math.sqrt(2 / 4000)


@pytest.mark.parametrize("decimals", [0, 2, None])
def test_amounts_come_back_and_stay_within_their_ends(decimals: int | None) -> None:
    values = np.random.default_rng(0).lognormal(3, 1, 3000)
    values = values if decimals is None else values.round(decimals)
    column = fitted("a", values, decimals=decimals)
    seen = column.to_model(values)
    assert abs(seen.mean()) < 0.02
    assert abs(seen.std() - 1) < 0.02
    assert np.allclose(column.to_data(seen), values, rtol=1e-5, atol=0.5 * 10 ** -(decimals or 9))
    far = column.to_data(np.array([[-50.0], [50.0]]))
    assert values.min() <= far[0] <= values.min() * (1 + 1e-8)  # of nine digits
    assert values.max() * (1 - 1e-8) <= far[1] <= values.max()


def test_a_column_may_be_an_amount_a_level_or_empty() -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random(2000) < 0.3, 0.0, rng.normal(40, 5, 2000))
    values[:100] = np.nan
    column = fitted("a", values)
    assert column.levels == (0.0,)
    assert column.choices == 3
    seen = column.to_model(values)
    assert (seen[:, 1:].sum(1) == 1).all()
    assert (seen[values == 0, 0] == 0).all()
    again = column.to_data(seen)
    assert np.isnan(again[:100]).all()
    assert np.allclose(again[100:], values[100:], atol=1e-4)
    with pytest.raises(BadInput, match="empty cells, which it never had"):
        fitted("b", values[100:]).to_model(values)


def test_few_numbers_have_no_others_and_keep_their_order() -> None:
    values = np.random.default_rng(0).binomial(15, 0.4, 500).astype(float)
    column = fitted("a", values, decimals=0)
    assert column.exact
    assert column.width == 1
    assert set(column.to_data(np.linspace(-5, 5, 400)[:, None])) == set(values)
    order = column.to_model(np.unique(values))[:, 0]
    assert (np.diff(order) > 0).all()


def test_what_a_column_allows() -> None:
    column = Column("a", decimals=1, levels=(-999.0,), knots=(0.0, 10.0), scores=(-2.0, 2.0))
    values = np.array([0.0, 10.0, 5.5, 5.55, 10.1, -999.0, np.nan])
    assert column.allows(values).tolist() == [True, True, True, False, False, True, False]


def test_rows_are_their_columns_side_by_side() -> None:
    columns = (fitted("a", np.arange(400.0) / 3), fitted("b", np.array([0.0, 1.0] * 200), "words", words=("x", "y")))
    x = torch.stack([torch.arange(400) / 3, torch.arange(400) % 2], 1).double()
    seen = rows_to_model(columns, x)
    assert seen.shape == (400, 1 + 2)
    assert torch.allclose(rows_to_data(columns, seen), x, atol=1e-4)


def test_columns_that_cannot_be_are_refused() -> None:
    for wrong in ({}, {"knots": (0.0,)}, {"levels": (2.0, 1.0)}, {"form": "words", "levels": (1.0,), "words": ("x",)}):
        with pytest.raises(BadInput, match="column 'a' needs"):
            Column("a", **wrong)  # type: ignore[arg-type]
