"""A generator that is fitted: what it draws has the dependences, the shares and the numbers of the rows it saw."""

import math

import pytest
import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.parts.choosing import Block, ChoosingGenerator, choices_in
from evenodds.parts.nonneural.copula import Generator

BLOCKS: list[Block] = [((-2.0, 0.0, 2.0), False, 0), ((-2.0, 0.0, 2.0), False, 3), ((), False, 2)]
"""An amount; one with a level and an empty cell beside it; a choice of two. Seven columns."""


def rows(n: int, seed: int = 0) -> Tensor:
    """(n, 7): both amounts follow one normal number, the choice is its sign; cells are empty, or the level, by it."""
    rng = torch.Generator().manual_seed(seed)
    z, noise = torch.randn(2, n, generator=rng)
    code = torch.where(z < -1, 2, torch.where((z > 0.4) & (z < 0.8), 1, 0))
    first, second = (z + 0.1 * noise).clamp(-2, 2), z.clamp(-2, 2)
    picks = torch.nn.functional.one_hot(code, 3)
    signs = torch.nn.functional.one_hot((z > 0).long(), 2)
    return torch.cat([first[:, None], (second * (code == 0))[:, None], picks, signs], 1)


def fitted(x: Tensor, n: int = 4000, **options: int) -> Tensor:
    blocks = BLOCKS if x.shape[1] == 7 else ()
    latent = Generator.numbers(x.shape[1:], blocks)
    generator = Generator(latent, x.shape[1:], row_blocks=blocks, **options)
    generator.fit(x, seed=1, places=[(), (0.6, math.nan), ()] if blocks else ())
    z = torch.randn(n, latent + choices_in(blocks), generator=torch.Generator().manual_seed(2))
    made: Tensor = ChoosingGenerator(generator, blocks)(z) if blocks else generator(z)
    return made


def test_rows_have_the_dependences_of_those_that_were_seen() -> None:
    real, made = rows(3000), fitted(rows(3000))
    amounts = made[:, 2] == 1
    assert float(torch.corrcoef(made[amounts][:, :2].T)[0, 1]) > 0.97
    assert torch.allclose(made.mean(0), real.mean(0), atol=0.04)
    negative, positive = made[made[:, 5] == 1], made[made[:, 6] == 1]
    assert float((negative[:, 0] < 0.3).float().mean()) > 0.95
    assert float((positive[:, 0] > -0.3).float().mean()) > 0.95
    # The level lies between amounts, the empty cell has no place: both are found where they belong.
    level, empty = made[made[:, 3] == 1], made[made[:, 4] == 1]
    assert 0.4 < float(level[:, 0].median()) < 0.8
    assert float(empty[:, 0].median()) < -1
    assert bool((made[:, 1][~amounts] == 0).all())


def test_a_number_that_many_cells_have_is_apart_from_the_amounts() -> None:
    rng = torch.Generator().manual_seed(0)
    size = torch.randn(2000, 1, generator=rng)
    there = torch.rand(2000, 2, generator=rng) < 0.5
    x = torch.where(there, size + 0.1 * torch.randn(2000, 2, generator=rng), -9.0)
    made = fitted(x, classes=1)
    both = (made > -9).all(1)
    assert (made == -9).float().mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.04)
    assert float(torch.corrcoef(made[both].T)[0, 1]) > 0.9


def test_classes_find_what_no_correlation_tells() -> None:
    rng = torch.Generator().manual_seed(0)
    side = torch.randint(2, (2000, 2), generator=rng).float()
    third = (side[:, 0] != side[:, 1]).float()  # each pair of columns is independent
    x = torch.cat([side, third[:, None]], 1) + 0.1 * torch.randn(2000, 3, generator=rng)
    wrong = [float((made.round().sum(1) % 2 != 0).float().mean()) for made in (fitted(x, classes=1), fitted(x))]
    assert wrong[0] > 0.3
    assert wrong[1] < 0.05


def test_the_same_rows_and_seed_give_the_same_generator_and_labels_their_own_rows() -> None:
    x = rows(400)
    assert torch.equal(fitted(x, classes=2), fitted(x, classes=2))
    labels = (x[:, 0] > 0).long()
    generator = Generator(Generator.numbers((1,)), (1,), classes=2, condition=2)
    generator.fit(x[:, :1], labels=labels)
    z = torch.randn(500, Generator.numbers((1,)), generator=torch.Generator().manual_seed(0))
    c = torch.eye(2)[torch.arange(500) % 2]
    made = generator(torch.cat([z, c], 1))[:, 0]
    assert bool((made[1::2] > 0).all())
    assert bool((made[::2] <= 0).all())
    with pytest.raises(BadInput, match="follows classes, no attributes"):
        generator.fit(x[:, :1])


def test_what_is_no_table_is_refused() -> None:
    for arguments in ((4, (1, 8, 8)), (4, (900,)), (2, (3,))):
        with pytest.raises(BadInput, match="copula"):
            Generator(*arguments)
