"""Planted copies are found, honest samples are accused at the level, and small examples by hand."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn.datasets import load_digits
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics.memorisation import authenticity, data_copying, suspects

Draw = Callable[[int, torch.Generator], Tensor]


def ring(n: int, rng: torch.Generator) -> Tensor:
    """Eight narrow modes around the origin."""
    angle = torch.randint(8, (n,), generator=rng).double() * (math.pi / 4)
    return 2 * torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * normal(n, 2, rng)


def moons(n: int, rng: torch.Generator) -> Tensor:
    """Two thin arcs: one dimension in two columns."""
    t, side = math.pi * torch.rand(n, generator=rng).double(), (torch.rand(n, generator=rng) < 0.5).double()
    return torch.stack([t.cos() + side, t.sin() * (1 - 2 * side) + side / 2], 1) + 0.02 * normal(n, 2, rng)


def normal(n: int, d: int, rng: torch.Generator) -> Tensor:
    return torch.randn((n, d), generator=rng, dtype=torch.float64)


def normal_like(x: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=rng, dtype=torch.float64)


DIGITS = torch.from_numpy(load_digits().data) * (255 / 16)
DRAWS: dict[str, Draw] = {
    "ring": ring,
    "moons": moons,
    "gauss-10": lambda n, rng: normal(n, 10, rng),
    "gauss-64": lambda n, rng: normal(n, 64, rng),
    "digits": lambda n, rng: DIGITS[torch.randperm(len(DIGITS), generator=rng)[:n]],
}
SIZES = {"ring": (800, 300, 600), "moons": (800, 300, 600), "gauss-10": (800, 300, 600), "gauss-64": (800, 300, 600)}


def world(kind: str, seed: int) -> tuple[Tensor, Tensor, Tensor, torch.Generator]:
    """Training, held-out and further real rows, all different."""
    rng = torch.Generator().manual_seed(seed)
    sizes = SIZES.get(kind, (1000, 300, 497))
    train, held_out, new = DRAWS[kind](sum(sizes), rng).split(sizes)
    return train, held_out, new, rng


def as_8_bit(x: Tensor, rng: torch.Generator) -> Tensor:
    """Half a step of noise, then rounded to 256 levels between the extremes."""
    low, step = x.min(), (x.max() - x.min()) / 255
    return ((x - low) / step + 0.5 * torch.randn(x.shape, generator=rng, dtype=x.dtype)).round() * step + low


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("kind", DRAWS)
def test_a_twentieth_of_the_samples_being_copies_is_found(kind: str, noisy: bool) -> None:
    """Ten seeds; of the copies at least 95 % are found, of the honest samples at most 5 % accused.

    In two columns the training rows are as near to each other as 8 bits can tell, so there the noise is 1e-5.
    """
    found, accused = [], []
    for seed in range(10):
        train, held_out, new, rng = world(kind, seed)
        chosen = torch.randperm(len(train), generator=rng)[: len(new) // 19]
        copies = train[chosen]
        if noisy:
            copies = as_8_bit(copies, rng) if train.shape[1] > 2 else copies + 1e-5 * normal_like(copies, rng)
        result = suspects(torch.cat([new, copies]), train, held_out)
        found.append(result.suspected[len(new) :].double().mean())
        accused.append(result.suspected[: len(new)].double().mean())
        assert result.low > result.expected
        assert torch.equal(result.train_index[len(new) :], chosen)
    assert float(torch.stack(found).min()) >= 0.95
    assert float(torch.stack(accused).max()) <= 0.05
    assert float(torch.stack(accused).mean()) == pytest.approx(0.01, abs=0.006)


@pytest.mark.parametrize("kind", ["ring", "gauss-64", "digits"])
def test_samples_all_from_a_twentieth_of_the_training_rows_are_found(kind: str) -> None:
    train, held_out, _, rng = world(kind, 20)
    few = train[: len(train) // 20]
    result = suspects(few[torch.randint(len(few), (500,), generator=rng)], train, held_out)
    assert result.share >= 0.95
    assert result.low > 0.9


@pytest.mark.parametrize("held", [5, 20, 50])
@pytest.mark.parametrize("kind", ["ring", "gauss-10", "digits"])
def test_few_held_out_rows_are_enough(kind: str, held: int) -> None:
    """Also where they miss modes altogether: five rows cannot reach eight."""
    accused = []
    for seed in range(12):
        train, held_out, new, _ = world(kind, 30 + seed)
        result = suspects(torch.cat([new, train[:100]]), train, held_out[:held])
        assert bool(result.suspected[len(new) :].all())
        accused.append(float(result.suspected[: len(new)].double().mean()))
    assert max(accused) <= 0.05
    assert sum(accused) / 12 == pytest.approx(0.01, abs=0.006)


def test_training_rows_that_help_out_come_from_all_over() -> None:
    """4,000 rows sorted by kind, and no held-out row of the second kind."""
    rng = torch.Generator().manual_seed(45)
    first, second = normal(2310, 3, rng), 50 + 0.01 * normal(2300, 3, rng)
    result = suspects(
        torch.cat([first[2010:], second[2000:]]), torch.cat([first[:2000], second[:2000]]), first[2000:2010]
    )
    assert result.share <= 0.02


def test_off_the_data_nobody_is_accused() -> None:
    """Far away, between the modes, blurred, or too smooth: bad, and no copies."""
    train, held_out, new, rng = world("digits", 50)
    images = new.view(-1, 1, 8, 8)
    blurred = torch.nn.functional.avg_pool2d(images, 3, 1, 1).flatten(1)
    noise = 255 * torch.rand(new.shape, generator=rng, dtype=new.dtype)
    smooth = train.mean(0) + 0.7 * (new - train.mean(0))
    for fake in (blurred, noise, smooth, new + 1000, train.mean(0) + 0.1 * noise):
        assert suspects(fake, train, held_out).share <= 0.02
    assert suspects(held_out, train, held_out).share == 0


def test_real_data_that_repeat_themselves_blind_nobody() -> None:
    """A tenth of the pictures is there twice, up to float32: copies are found, and such pictures are expected."""
    train, held_out, new, rng = world("gauss-10", 60)
    held_out[:30] = train[:30] + 1e-7 * normal(30, 10, rng)
    new[:60] = train[30:90] + 1e-7 * normal(60, 10, rng)
    copies = as_8_bit(train[-200:], rng)
    result = suspects(torch.cat([new, copies]), train, held_out)
    accused = result.suspected[: len(new)].double().mean()
    assert bool(result.suspected[len(new) :].all())
    assert float(accused) == pytest.approx(0.11, abs=0.01)
    assert result.expected == pytest.approx(0.1 + 0.9 * 2 / 271, abs=1e-12)


def test_values_that_few_rows_share_are_no_copies() -> None:
    """Dice: every sample is in both sets, at ratio 0 / 0."""
    dice = [torch.randint(1, 7, (n, 2), generator=torch.Generator().manual_seed(n)).float() for n in (400, 300, 350)]
    result = suspects(*dice)
    assert result.share == 0
    assert torch.equal(result.ratio, torch.ones(400))


def test_suspects_by_hand() -> None:
    """Training 0, 10, 20; held out 4, 12, 13. Held-out ratios 4/8, 2/1, 3/1; training ones 10/4, 10/2, 10/7.

    The smallest of the six is the threshold: 1/2. It accuses 1 of 7 new rows.
    """
    train, held_out = torch.tensor([[0.0], [10], [20]]), torch.tensor([[4.0], [12], [13]])
    result = suspects(torch.tensor([[0.0], [1], [2], [19], [4]]), train, held_out)
    assert result.train_distance.tolist() == [0, 1, 2, 1, 0 + 4]
    assert result.held_out_distance.tolist() == [4, 3, 2, 6, 0]
    assert result.train_index.tolist() == [0, 0, 0, 2, 0]
    assert result.ratio.tolist() == pytest.approx([0, 1 / 3, 1, 1 / 6, 1e6])
    assert result.suspected.tolist() == [True, True, False, True, False]
    assert [result.threshold, result.expected, result.share] == pytest.approx([0.5, 1 / 7, 0.6])
    # Wilson's interval for 3 of 5, and the upper end for 6/7 of 6, from the roots of (p - q)^2 = z^2 q (1 - q) / n.
    for q, p, n in ((result.low, 0.6, 5), (result.high, 0.6, 5), (result.expected_high, 1 / 7, 6)):
        assert (p - q) ** 2 == pytest.approx(1.959964**2 * q * (1 - q) / n, rel=1e-9)
    assert result.low < 0.6 < result.high


def test_the_threshold_is_the_conformal_quantile() -> None:
    """Of 399 ratios the fourth smallest at 0.01 and the fortieth at 0.1: k / 400 of new rows lie below."""
    train, held_out, new, _ = world("gauss-10", 70)
    held_out = torch.cat([held_out, new])[:399]
    apart = torch.cdist(held_out, held_out).fill_diagonal_(math.inf).amin(1)
    ratios = (torch.cdist(held_out, train).amin(1) / apart).sort().values
    for level, k in ((0.01, 4), (0.1, 40)):
        result = suspects(new, train, held_out, level=level)
        assert result.threshold == pytest.approx(float(ratios[k - 1]), rel=1e-9)
        assert result.expected == pytest.approx(k / 400, abs=1e-12)


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_honest_samples_are_accused_at_the_level(level: float) -> None:
    """Mean over 30 draws of 300 samples against 300 held-out rows; one draw varies by sqrt(2 level / 300) or less."""
    shares = []
    for seed in range(30):
        train, held_out, new, _ = world("gauss-10", 100 + seed)
        shares.append(suspects(new, train, held_out, level=level).share)
    error = math.sqrt(2 * level / 300 / 30)
    assert sum(shares) / 30 == pytest.approx(level, abs=3 * error + 0.002)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 50])
@pytest.mark.parametrize("same", [False, True])
def test_few_rows_give_numbers_or_a_reason(n: int, same: bool) -> None:
    rng = torch.Generator().manual_seed(n)
    for m in (1, 2, 7, 50):
        for h in (1, 2, 7, 50):
            sets = [torch.ones(k, 3) if same else normal(k, 3, rng) for k in (n, m, h)]
            if m > 1 and h > 1:
                result = suspects(*sets)
                assert all(bool(torch.as_tensor(x).isfinite().all()) for x in result)
                assert 0 <= result.low <= result.share <= result.high <= 1
                assert 0 < result.expected < result.expected_high <= 1
            else:
                with pytest.raises(BadInput, match="needs at least 2 rows, got 1; "):
                    suspects(*sets)
            copying = data_copying(sets[1], sets[2], sets[0], rng=rng)
            assert math.isfinite(copying.c_t)
            assert not (same and copying.c_t)
            if m > 1:
                assert authenticity(sets[0], sets[1]).shape == (n,)


def test_authenticity_by_hand() -> None:
    """Training 0, 3, 10, 10: a sample must be 3 from 0 and 3, more than 0 from the pair at 10."""
    train = torch.tensor([[0.0], [3], [10], [10]])
    fake = torch.tensor([[-3.5], [-3.0], [1.0], [6.5], [6.0], [10.0], [10.5]])
    assert authenticity(fake, train).tolist() == [True, False, False, True, False, False, True]


@pytest.mark.parametrize("kind", ["ring", "gauss-10", "digits"])
def test_independent_draws_are_authentic_as_often_as_held_out_rows(kind: str) -> None:
    train, held_out, new, rng = world(kind, 80)
    share, floor = (float(authenticity(x, train).double().mean()) for x in (new, held_out))
    assert share == pytest.approx(floor, abs=0.12)
    assert 0.35 <= share <= 0.85
    copies = train + 1e-6 * normal_like(train, rng)
    assert not bool(authenticity(copies, train).any())


@pytest.mark.parametrize("kind", DRAWS)
def test_c_t_tells_honest_copying_and_underfitting_generators(kind: str) -> None:
    scores = []
    for seed in range(10):
        train, held_out, new, rng = world(kind, 90 + seed)
        scores.append(data_copying(train, held_out, new, rng=rng).c_t)
        chosen = train[torch.randint(len(train), (400,), generator=rng)]
        near = (held_out - train[torch.cdist(held_out, train).argmin(1)]).norm(dim=1).mean() / train.shape[1] ** 0.5
        blurry = new + 0.7 * train.std() * normal_like(new, rng)
        assert data_copying(train, held_out, chosen, rng=rng).c_t < -3
        assert data_copying(train, held_out, chosen + 0.1 * near * normal_like(chosen, rng), rng=rng).c_t < -3
        assert data_copying(train, held_out, blurry, rng=rng).c_t > 3
    assert max(map(abs, scores)) < 3
    assert abs(sum(scores) / 10) < 0.6


@pytest.mark.parametrize("whole", [False, True])
def test_one_cell_is_the_z_score_of_mann_and_whitney(whole: bool) -> None:
    """Against another implementation, with ties where the rows are whole numbers."""
    train, held_out, new, rng = world("gauss-10", 110)
    if whole:
        train, held_out, new = (x[:, :3].round() for x in (train, held_out, new))
    found = data_copying(train, held_out, new, cells=1, rng=rng)
    a, b = (torch.cdist(x, train).square().round(decimals=6).amin(1).numpy() for x in (held_out, new))
    test = mannwhitneyu(b, a, use_continuity=False, alternative="less", method="asymptotic")
    p = float(torch.special.ndtr(torch.tensor(found.c_t, dtype=torch.float64)))
    assert p == pytest.approx(test.pvalue, rel=1e-6)
    assert found.weights.tolist() == [1.0]


def test_c_t_by_hand() -> None:
    """Training 0 and 100, a cell each. Around 0: held out at 1, 2, samples at 3, 4; around 100: at 3, samples 1, 2.

    U = 4 of 4, so z = (4 - 2) / sqrt(2 * 2 * 5 / 12); U = 0 of 2, so z = (0 - 1) / sqrt(1 * 2 * 4 / 12).
    """
    train = torch.tensor([[0.0], [100]])
    held_out, fake = torch.tensor([[1.0], [-2], [103]]), torch.tensor([[3.0], [-4], [99], [102]])
    found = data_copying(train, held_out, fake, cells=2, rng=torch.Generator().manual_seed(0))
    z = [2 / math.sqrt(20 / 12), -1 / math.sqrt(8 / 12)]
    assert sorted(found.cells.tolist()) == pytest.approx(sorted(z))
    assert found.c_t == pytest.approx(2 / 3 * z[0] + 1 / 3 * z[1])


def test_cells_find_what_is_copied_in_one_place_only() -> None:
    """Half the modes are copied, the others too wide: on the whole it cancels, by cell it does not."""
    rng = torch.Generator().manual_seed(120)
    centres = 100 * torch.eye(4, dtype=torch.float64)
    mode = lambda n: torch.arange(n) % 4  # noqa: E731
    train, held_out = (centres[mode(n)] + normal(n, 4, rng) for n in (2000, 1000))
    wide = centres[mode(1000)] + 1.35 * normal(1000, 4, rng)
    fake = torch.where(mode(1000)[:, None] < 2, train[:1000] + 0.1 * normal(1000, 4, rng), wide)
    found = data_copying(train, held_out, fake, cells=4, rng=rng)
    assert found.weights.tolist() == [0.25] * 4
    assert sorted(z < 0 for z in found.cells.tolist()) == [False, False, True, True]
    assert float(found.cells.abs().min()) > 3


def test_the_middles_of_cells_move_to_their_rows() -> None:
    """Two cells of a uniform line settle on its halves, whatever they were seeded with: b -> b / 2 + 1 / 4."""
    line = torch.arange(400).double()[:, None]
    for seed in range(5):
        rng = torch.Generator().manual_seed(seed)
        assert data_copying(line, line + 0.1, line + 0.1, cells=2, rng=rng).weights.tolist() == pytest.approx(
            [0.5] * 2, abs=0.01
        )


def test_the_cells_come_from_the_generator_of_random_numbers() -> None:
    train, held_out, new, _ = world("gauss-10", 130)
    one, again, other = (
        data_copying(train, held_out, new, cells=5, rng=torch.Generator().manual_seed(s)).c_t for s in (0, 0, 1)
    )
    assert one == again != other


def test_what_cannot_be_measured_is_refused() -> None:
    train, held_out, new, rng = world("gauss-10", 140)
    with pytest.raises(BadInput, match="hold out rows that were not trained on"):
        suspects(new, train, train[:200])
    for level in (0.0, 0.6, math.nan):
        with pytest.raises(BadInput, match=r"'level' must lie in \(0, 0.5\], got .*; "):
            suspects(new, train, held_out, level=level)
    with pytest.raises(BadInput, match="'cells' must be at least 1, got 0; "):
        data_copying(train, held_out, new, cells=0, rng=rng)
    two = torch.tensor([[0.0], [1], [100], [101]])
    with pytest.raises(BadInput, match="no cell of 2 has held-out rows and at least 2 samples; "):
        data_copying(two, two[:2], two[[2, 3, 3, 3]], cells=2, rng=rng)
    for a, b in ((train[:, :3], new), (train[None], new), (train, new * math.nan), (train[:0], new)):
        with pytest.raises(BadInput, match=r"'\w+'.*; "):
            suspects(b, a, held_out)
        with pytest.raises(BadInput, match=r"'\w+'.*; "):
            authenticity(b, a)
        with pytest.raises(BadInput, match=r"'\w+'.*; "):
            data_copying(a, held_out, b, rng=rng)
