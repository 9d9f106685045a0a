"""numpy draws the numbers of torch's generator."""

import numpy as np
import pytest
import torch

from evenodds.export.draws import Draws


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_uniform_numbers_are_those_of_torch(seed: int) -> None:
    rng, draws = torch.Generator().manual_seed(seed), Draws(seed)
    assert (torch.rand(700, generator=rng).numpy() == draws.uniform(700)).all()
    assert (torch.rand(5, 3, generator=rng).flatten().numpy() == draws.uniform(15)).all()


@pytest.mark.parametrize("n", [16, 17, 256 * 64, 256 * 5 + 3])
def test_normal_numbers_are_those_of_torch_to_the_last_digits(n: int) -> None:
    rng, draws = torch.Generator().manual_seed(3), Draws(3)
    assert np.abs(torch.randn(n, generator=rng).numpy() - draws.normal(n)).max() < 4e-6
    assert (torch.rand(5, generator=rng).numpy() == draws.uniform(5)).all()  # as many were taken
