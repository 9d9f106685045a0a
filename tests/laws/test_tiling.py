"""Tiled = untiled, wherever the margin covers the reach; whole numbers make that exact, bit for bit."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from evenodds.apply.tiling import Tiling, strips
from evenodds.apply.tiling import tiled as tiled_arrays
from tests.arrays import of_arrays


def tiled(network: Callable[[Tensor], Tensor], x: Tensor, *more: Any, **options: Any) -> Tensor:
    return torch.from_numpy(tiled_arrays(of_arrays(network), x.numpy(), *more, **options))


Size = tuple[int, int]


def stack(layers: int, kernel: int, scale: int, seed: int, dilation: int = 1) -> tuple[nn.Sequential, int]:
    """Convolutions with small whole weights, and their reach: sums of whole numbers are exact in any order."""
    rng = torch.Generator().manual_seed(seed)
    parts: list[nn.Module] = []
    for k in range(layers):
        last = k == layers - 1
        made = nn.Conv2d(
            2,
            2 * scale**2 if last else 2,
            kernel,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            dtype=torch.float64,
        )
        for weight in made.parameters():
            weight.data = torch.randint(-2, 3, weight.shape, generator=rng).to(weight)
        parts += [made, nn.PixelShuffle(scale) if last else nn.ReLU()]
    return nn.Sequential(*parts), layers * dilation * (kernel // 2)


def whole(size: Size, seed: int, channels: int = 2) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(-4, 5, (1, channels, *size), generator=rng).double()


class Halving(nn.Module):
    """A U-Net's bones: down twice, up again, a skip beside; its reach is counted by hand."""

    reach, multiple = 13, 4  # 1 + 2 + 4 on the way down, the same with a pixel less of phase on the way up

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.first, self.second, self.third = (stack(1, 3, 1, seed + k)[0] for k in range(3))

    def forward(self, x: Tensor) -> Tensor:
        half = nn.functional.max_pool2d(self.first(x), 2)
        quarter = self.third(nn.functional.max_pool2d(self.second(half), 2))
        up = half + nn.functional.interpolate(quarter, scale_factor=2)
        return x + nn.functional.interpolate(up, scale_factor=2)


@torch.no_grad()
@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    scale=st.integers(1, 4),
    layers=st.integers(1, 3),
    kernel=st.sampled_from([1, 3, 5]),
    tile=st.integers(1, 48),
    batch=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_tiled_is_untiled(size: Size, scale: int, layers: int, kernel: int, tile: int, batch: int, seed: int) -> None:
    network, reach = stack(layers, kernel, scale, seed)
    tile = max(tile, 4 * reach)
    tiling = Tiling(tile, reach, scale, batch=batch)
    assert tiling.exact
    seen: list[tuple[int, ...]] = []

    def apply(x: Tensor) -> Tensor:
        seen.append(tuple(x.shape))
        return network(x)

    x = whole(size, seed)
    assert torch.equal(tiled(apply, x, tiling), network(x))
    assert max(seen)[0] <= batch
    assert all(max(shape[2:]) <= max(2, tile) for shape in seen)


@torch.no_grad()
@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    tile=st.integers(52, 90),
    batch=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_networks_that_divide_sides_are_tiled_in_step(size: Size, tile: int, batch: int, seed: int) -> None:
    network, x = Halving(seed), whole(size, seed)
    unit, reach = network.multiple, network.reach
    larger = tuple(-(-side // unit) * unit for side in size)
    at = [torch.arange(side) for side in larger]
    for k, side in enumerate(size):
        mirrored = torch.where(at[k] < side, at[k], 2 * (side - 1) - at[k])
        at[k] = mirrored if larger[k] - side < side else at[k].clamp_max(side - 1)
    untiled = network(x[..., at[0], :][..., at[1]])[..., : size[0], : size[1]]
    assert torch.equal(tiled(network, x, Tiling(tile, reach, 1, unit, batch)), untiled)
    assert torch.equal(tiled(network, x, Tiling(None, reach, 1, unit)), untiled)


def test_a_margin_below_the_reach_would_be_seen() -> None:
    """The law can fail."""
    network, reach = stack(3, 3, 1, 0)
    x = whole((40, 40), 0)
    with torch.no_grad():
        assert not torch.equal(tiled(network, x, Tiling(16, reach - 1)), network(x))


@torch.no_grad()
@pytest.mark.parametrize(("margin", "multiple"), [(None, 1), (30, 1), (None, 4)])
@pytest.mark.parametrize("scale", [1, 3])
def test_fades_add_up_to_one(margin: int | None, multiple: int, scale: int) -> None:
    """A network that looks at a pixel alone comes through unchanged, one that looks at its tile goes over smoothly."""
    for size in product((1, 7, 31, 32, 33, 61, 100), (40, 57)):
        x = torch.rand(1, 2, *size)
        tiling = Tiling(32, margin, scale, multiple)
        assert not tiling.exact
        made = tiled(lambda w: w.repeat_interleave(scale, 2).repeat_interleave(scale, 3), x, tiling)
        torch.testing.assert_close(made, x.repeat_interleave(scale, 2).repeat_interleave(scale, 3), atol=1e-6, rtol=0)


def test_without_a_reach_no_seam_is_a_step() -> None:
    """Each tile answers with a number of its own; the result goes over from one to the next in small steps."""
    drawn = iter(torch.rand(100, generator=torch.Generator().manual_seed(0)).tolist())
    made = tiled(lambda w: torch.full_like(w, next(drawn)), torch.zeros(1, 1, 70, 150), Tiling(64))
    ramp = (64 - Tiling(64).step) // 2
    assert made.std() > 0.1
    for axis in (-1, -2):
        assert made.diff(dim=axis).abs().max() <= 1.01 / ramp


def test_labels_are_cut_never_mixed() -> None:
    marks = iter(range(0, 200, 10))
    made = tiled(lambda w: torch.full(w.shape, next(marks)), torch.zeros(1, 1, 50, 90), Tiling(32))
    assert made.dtype == torch.int64
    assert set(made.unique().tolist()) <= set(range(0, 200, 10))


def test_rows_come_in_order_and_memory_is_bounded() -> None:
    network, reach = stack(2, 3, 4, 1)
    x, heights = whole((90, 30), 1), []
    with torch.no_grad():
        for strip in strips(of_arrays(network), x.numpy(), Tiling(16, reach, 4)):
            assert strip.shape[0::2] == (2, 120)
            heights.append(strip.shape[1])
        assert sum(heights) == 360
        assert max(heights) <= 64
        kept = tiled(network, x, Tiling(16, reach, 4), keep=lambda y: y.clip(0, 255).astype(np.uint8))
        assert kept.dtype == torch.uint8
        assert torch.equal(kept, network(x).clamp(0, 255).byte())
