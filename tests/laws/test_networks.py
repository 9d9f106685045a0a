"""What is true of resampling, convolution, normalisation and starts, whatever the weights."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from evenodds.parts.networks import dcgan, mlp, modern, resnet
from evenodds.parts.networks._conv import Conv2d, conv2d
from evenodds.parts.networks._levels import Down, Up, beside_spread, level_sizes, strided, transposed, widths

sizes = st.tuples(st.integers(4, 40), st.integers(4, 40))


def ramp(size: tuple[int, int]) -> Tensor:
    """An affine image of pixel centres, (1, 1, H, W)."""
    rows, columns = (torch.arange(side, dtype=torch.float64) + 0.5 for side in size)
    return (2 + 3 * rows[:, None] - columns)[None, None]


@given(size=sizes, bottom=st.integers(1, 9))
def test_levels_halve_each_side_until_the_next_half_would_be_too_small(size: tuple[int, int], bottom: int) -> None:
    levels = level_sizes(size, bottom)
    assert levels[0] == size
    for side in (0, 1):
        for fine, coarse in itertools.pairwise(levels):
            half = math.ceil(fine[side] / 2)
            assert coarse[side] == (half if half >= bottom else fine[side])
        last = levels[-1][side]
        assert last == 1 or math.ceil(last / 2) < bottom
    assert len(set(levels)) == len(levels)


@settings(deadline=None, max_examples=40)
@given(size=sizes)
def test_resampling_keeps_constants_and_its_weights_are_a_partition(size: tuple[int, int]) -> None:
    for fine, coarse in zip(level_sizes(size)[:-1], level_sizes(size)[1:], strict=True):
        flat = torch.full((1, 2, *fine), 0.7)
        assert torch.allclose(Down(fine, coarse)(flat), torch.full((1, 2, *coarse), 0.7), atol=1e-6)
        assert torch.allclose(Up(coarse, fine)(flat[..., : coarse[0], : coarse[1]]), flat, atol=1e-6)
        # Averages with weights >= 0 never leave the range of their inputs.
        x = torch.rand(1, 2, *fine)
        down = Down(fine, coarse)(x)
        assert x.min() - 1e-6 <= down.min() <= down.max() <= x.max() + 1e-6


def test_even_sides_are_filtered_with_1331_and_odd_ones_with_121() -> None:
    spike = torch.zeros(1, 1, 16, 15)
    spike[..., 7, 6] = 1
    down = Down((16, 15), (8, 8))(spike)[0, 0]
    expected = torch.zeros(8, 8)
    expected[3, 3], expected[4, 3] = 3 / 8 * 2 / 4, 1 / 8 * 2 / 4
    assert torch.allclose(down, expected)


@pytest.mark.parametrize("fine", [(16, 24), (20, 28)])
def test_up_and_down_keep_the_mean_of_even_images(fine: tuple[int, int]) -> None:
    coarse = level_sizes(fine)[1]
    x = torch.randn(2, 3, *coarse)
    assert torch.allclose(Up(coarse, fine)(x).mean((2, 3)), x.mean((2, 3)), atol=1e-6)
    # Downwards where the border, whose remaining taps are scaled up, is empty.
    y = F.pad(torch.randn(2, 3, fine[0] - 6, fine[1] - 6), (3, 3, 3, 3))
    assert torch.allclose(Down(fine, coarse)(y).mean((2, 3)), y.mean((2, 3)), atol=1e-6)


def test_up_is_the_transpose_of_down_away_from_the_border() -> None:
    for fine in ((16, 16), (15, 15)):
        coarse = level_sizes(fine)[1]
        x = F.pad(torch.randn(1, 1, fine[0] - 6, fine[1] - 6), (3, 3, 3, 3))
        y = F.pad(torch.randn(1, 1, coarse[0] - 4, coarse[1] - 4), (2, 2, 2, 2))
        assert torch.allclose(4 * (Down(fine, coarse)(x) * y).sum(), (x * Up(coarse, fine)(y)).sum(), atol=1e-5)


@pytest.mark.parametrize("fine", [(16, 16), (15, 15), (16, 15)])
def test_affine_images_stay_affine_inside(fine: tuple[int, int]) -> None:
    coarse = level_sizes(fine)[1]
    for y in (Down(fine, coarse).double()(ramp(fine)), Up(coarse, fine)(ramp(coarse))):
        inside = y[0, 0, 2:-2, 2:-2]
        assert inside.diff(dim=0).std() < 1e-9
        assert inside.diff(dim=1).std() < 1e-9
        assert inside.diff(dim=0).mean() * inside.diff(dim=1).mean() < 0


def test_the_finest_checkerboard_does_not_alias() -> None:
    rows, columns = torch.arange(16), torch.arange(16)
    board = ((rows[:, None] + columns) % 2 * 2 - 1).float()[None, None]
    assert board[..., ::2, ::2].abs().min() == 1
    assert Down((16, 16), (8, 8))(board)[..., 1:-1, 1:-1].abs().max() < 1e-6


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "groups"), [(3, 1, 1, 2), (4, 2, 2, 1), (3, 2, 1, 4), (1, 1, 0, 1)]
)
def test_convolution_equals_pytorch_in_every_order(kernel: int, stride: int, padding: int, groups: int) -> None:
    ours = Conv2d(4, 4, kernel, stride, padding, groups=groups).double()
    x = torch.randn(2, 4, 7, 6, dtype=torch.double, requires_grad=True)

    def call(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return conv2d(x, weight, bias, stride=(stride, stride), padding=(padding, padding), groups=groups)

    assert ours.bias is not None
    inputs = (x, ours.weight, ours.bias)
    assert torch.equal(ours(x), F.conv2d(x, ours.weight, ours.bias, stride, padding, groups=groups))
    assert torch.autograd.gradcheck(call, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, inputs, fast_mode=True)


@settings(deadline=None, max_examples=25)
@given(size=sizes)
def test_strided_and_transposed_convolutions_are_transposes_that_meet_every_size(size: tuple[int, int]) -> None:
    for fine, coarse in zip(level_sizes(size)[:-1], level_sizes(size)[1:], strict=True):
        down, up = strided(2, 3, fine, coarse, bias=False), transposed(3, 2, coarse, fine, bias=False)
        with torch.no_grad():
            up.weight.copy_(down.weight)
        x, y = torch.randn(1, 2, *fine), torch.randn(1, 3, *coarse)
        assert torch.allclose((down(x) * y).sum(), (x * up(y)).sum(), rtol=1e-3, atol=1e-3)


def test_spectral_normalisation_bounds_the_slope() -> None:
    """After some steps of the power iteration every matrix has the norm 1, Miyato et al. (2018), eq. 8."""
    torch.manual_seed(0)
    for net in (resnet.Discriminator((3, 8, 8), width=6), dcgan.Discriminator((3, 8, 8), width=6)):
        with torch.no_grad():
            for _ in range(60):
                net(torch.randn(1, 3, 8, 8))
        layers = [layer for layer in net.eval().modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
        assert layers
        for layer in layers:
            norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
            assert 0.999 < norm < 1.02
        # A kernel of k entries uses each pixel at most k times, so the slope of a convolution is at most sqrt(k).
        layer = max((m for m in layers if isinstance(m, nn.Conv2d)), key=lambda m: m.kernel_size)
        x, y = torch.randn(2, 1, layer.in_channels, 8, 8)
        assert (layer(x) - layer(y)).norm() <= 1.02 * math.sqrt(math.prod(layer.kernel_size)) * (x - y).norm()


def test_convolution_follows_autocast() -> None:
    ours, x = Conv2d(4, 4, 3, padding=1), torch.randn(2, 4, 5, 5, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = ours(x)
    assert y.dtype == torch.bfloat16
    (slope,) = torch.autograd.grad(y.float().sum(), x, create_graph=True)
    torch.autograd.backward(slope.square().sum())
    exact = torch.autograd.grad(F.conv2d(x, ours.weight, ours.bias, padding=1).sum(), x)[0]
    assert slope.dtype == torch.float32
    assert torch.allclose(slope, exact, atol=0.05)
    assert ours.weight.grad is not None
    assert ours.weight.grad.isfinite().all()


def test_blocks_start_as_the_identity() -> None:
    """So that both modern networks start as affine maps of their input, up to the generator's tanh (Fixup)."""
    block = modern.Block(8, 2.0, 4, 3)
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x), x)
    score = modern.Discriminator((1, 9, 12), width=8)
    a, b = torch.randn(2, 1, 1, 9, 12)
    assert torch.allclose(score((a + b) / 2), (score(a) + score(b)) / 2, atol=1e-5)
    fake = modern.Generator(5, (1, 9, 12), width=8).double()
    y, z = torch.randn(2, 1, 5).double()
    assert torch.allclose(fake((y + z) / 2).atanh(), (fake(y).atanh() + fake(z).atanh()) / 2, atol=1e-6)


@pytest.mark.parametrize("stem", [1, 2])
def test_modern_signals_start_with_the_variance_of_their_input(stem: int) -> None:
    torch.manual_seed(0)
    fakes = modern.Generator(64, (3, 32, 32), width=64, stem=stem)(torch.randn(64, 64)).atanh()
    assert 0.2 < fakes.square().mean() < 1
    logits = modern.Discriminator((3, 32, 32), width=64, stem=stem)(torch.randn(64, 3, 32, 32))
    assert 1e-3 < logits.var() < 3


def test_maxout_is_the_largest_of_its_affine_maps() -> None:
    layer = mlp.Maxout(3, 4, 5)
    x = torch.randn(7, 3)
    maps = [F.linear(x, layer.affine.weight[4 * i : 4 * i + 4], layer.affine.bias[4 * i : 4 * i + 4]) for i in range(5)]
    assert torch.allclose(layer(x), torch.stack(maps).amax(0), atol=1e-6)
    # A largest of affine maps is convex.
    a, b = torch.randn(2, 50, 3)
    assert (layer((a + b) / 2) <= (layer(a) + layer(b)) / 2 + 1e-6).all()


def test_a_network_without_hidden_layers_is_affine() -> None:
    score = mlp.Discriminator((3,), depth=0)
    a, b = torch.randn(2, 4, 3)
    assert torch.allclose(score((a + b) / 2), (score(a) + score(b)) / 2, atol=1e-6)


def test_spread_of_a_batch() -> None:
    same = torch.randn(1, 3, 4, 4).expand(5, -1, -1, -1)
    assert beside_spread(same)[:, 3].abs().max() < 2e-4
    x = torch.randn(2000, 3)
    assert torch.equal(beside_spread(x)[:, :3], x)
    assert torch.allclose(beside_spread(2 * x)[:, 3], torch.tensor(2.0), rtol=0.05)


def test_widths_grow_up_to_the_cap() -> None:
    assert widths(16, 2.0, 50, 4) == [16, 32, 50, 50]
    assert widths(64, 1.0, 8, 3) == [64, 64, 64]
