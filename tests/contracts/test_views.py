"""Every view, because it exists: what is public in views.py and no type or combinator."""

import pytest
import torch

from evenodds.errors import BadInput
from evenodds.parts import views

NAMES = sorted(set(views.__all__) - {"View", "compose"})
SHAPES = [(1, 8, 8), (3, 16, 12), (4, 9, 7), (2, 5, 4)]


def deal(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 4, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_view(name: str, shape: tuple[int, ...]) -> None:
    view, uniform = getattr(views, name), deal(6)
    x = torch.randn(6, *shape).clamp(-1, 1)
    y = view(x, uniform)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert y.isfinite().all()
    assert torch.equal(y, view(x, uniform)), "the numbers decide everything"
    assert not torch.equal(y, x)
    # Each item has its own numbers and sees no other item.
    assert torch.allclose(view(x[2:3], uniform[2:3]), y[2:3], atol=1e-6)
    last = view(x.contiguous(memory_format=torch.channels_last), uniform)
    assert torch.allclose(last, y, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_view_can_be_differentiated_twice(name: str) -> None:
    view, uniform = getattr(views, name), deal(2, 1)
    x = torch.randn(2, 3, 5, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: view(x, uniform), (x,))
    assert torch.autograd.gradgradcheck(lambda x: view(x, uniform).pow(3), (x,))


@pytest.mark.parametrize("name", NAMES)
def test_view_wants_four_numbers_per_item(name: str) -> None:
    with pytest.raises(BadInput, match="uniform"):
        getattr(views, name)(torch.zeros(3, 1, 8, 8), torch.rand(3, 5))
    with pytest.raises(BadInput, match="uniform"):
        getattr(views, name)(torch.zeros(3, 1, 8, 8), torch.rand(2, 4))


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"jitter"}))
def test_views_of_images_refuse_vectors(name: str) -> None:
    with pytest.raises(BadInput, match="jitter"):
        getattr(views, name)(torch.zeros(3, 2), deal(3))
