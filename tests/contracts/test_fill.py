"""Every distribution of masks and every filler, because it exists; and what an imputer of tables keeps."""

import inspect
import json
import math
import pkgutil
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from evenodds.apply.imputer import Settings, fit
from evenodds.data.tables.columns import SCALES, Columns
from evenodds.errors import BadInput
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.rules import Batch, Game
from evenodds.game.trainer import train
from evenodds.parts import fillers, masks
from evenodds.parts.fillers import images, rows
from evenodds.parts.losses.adversarial import non_saturating, relativistic_paired
from evenodds.parts.losses.penalties import gradient_penalty, r1_r2
from evenodds.parts.masks import Boxes, Everything, Halves, OneOf, Scattered, Strokes
from evenodds.parts.networks import modern
from evenodds.parts.networks.mlp import Discriminator
from evenodds.parts.priors import Normal
from evenodds.parts.row_entries import entries_of
from evenodds.runs.imputing import Imputer
from evenodds.tasks.contest import Contest
from evenodds.tasks.fill import Fill

MASKS: dict[str, Any] = {
    name: OneOf((Boxes(), Scattered(), Halves())) if name == "OneOf" else getattr(masks, name)()
    for name in masks.__all__
    if name != "Masks"
}
FOR_ROWS = {"Scattered", "Everything"}
SIZES = [(7, 1, 8, 8), (7, 3, 5, 12), (1, 2, 4, 4)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Masks


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("name", sorted(MASKS))
def test_masks_of_images(name: str, shape: tuple[int, ...]) -> None:
    mask = MASKS[name](shape, seeded())
    assert mask.shape == (shape[0], 1, *shape[2:])
    assert mask.dtype == torch.float32
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(mask, MASKS[name](shape, seeded())), "all randomness comes from rng"
    many = MASKS[name]((200, *shape[1:]), seeded(1))
    assert many.mean() < 1, "something is hidden"
    if name != "Everything":
        assert many.flatten(1).unique(dim=0).shape[0] > 3, "each item has a mask of its own"
        assert (many.mean(0) > 0.02).all()
        assert (many.mean(0) < 0.98).all(), "every pixel is hidden now and then"


@pytest.mark.parametrize("name", sorted(MASKS))
def test_masks_of_rows(name: str) -> None:
    if name not in FOR_ROWS:
        with pytest.raises(BadInput, match="Scattered"):
            MASKS[name]((4, 6), seeded())
        return
    assert MASKS[name]((4, 6), seeded()).shape == (4, 6)


def test_shares_that_are_hidden() -> None:
    x = (4000, 1, 20, 30)
    assert float(Scattered(0.1, 0.5)(x, seeded()).mean()) == pytest.approx(0.7, abs=0.01)
    assert float(Halves()(x, seeded()).mean()) == pytest.approx(0.5)
    # Sides are uniform in [1/4, 3/4] of the image, apart from rounding to whole pixels.
    assert float(1 - Boxes(0.25, 0.75)(x, seeded()).mean()) == pytest.approx(0.25, abs=0.01)
    hidden = 1 - Boxes(0.5, 0.5)(x, seeded())
    assert (hidden.sum((1, 2, 3)) == 10 * 15).all()
    assert (hidden.amax(3).sum(2) == 10).all()
    parts = OneOf((Everything(), Scattered(0, 0)), (3, 1))(x, seeded())
    assert float(parts.mean()) == pytest.approx(0.25, abs=0.03)
    strokes = 1 - Strokes()((500, 1, 32, 32), seeded())
    assert (strokes.sum((1, 2, 3)) > 0).all()
    assert 0.05 < float(strokes.mean()) < 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: Scattered(0.5, 0.2),
        lambda: Boxes(0.0, 0.5),
        lambda: Strokes(corners=1),
        lambda: OneOf(()),
        lambda: OneOf((Halves(),), (1.0, 2.0)),
        lambda: OneOf((Halves(),), (0.0,)),
        lambda: Scattered()((3, 4, 5), seeded()),
    ],
)
def test_masks_that_make_no_sense_are_refused(make: Any) -> None:
    with pytest.raises(BadInput) as caught:
        make()
    assert "\n" not in str(caught.value)


# Fillers


FAMILIES = [module.name for module in pkgutil.iter_modules(fillers.__path__) if not module.name.startswith("_")]
SHAPES: dict[str, list[tuple[int, ...]]] = {
    "images": [(1, 8, 8), (3, 9, 14), (2, 4, 5), (1, 28, 28)],
    "rows": [(1,), (7,), (90,)],
}


def filler(family: str, shape: tuple[int, ...], **options: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    net: torch.nn.Module = import_module(f"evenodds.parts.fillers.{family}").Generator(6, shape, width=8, **options)
    with torch.no_grad():  # away from branches that start at zero
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return net


def question(shape: tuple[int, ...], n: int = 5) -> tuple[Tensor, Tensor]:
    x = 2 * torch.rand(n, *shape, generator=seeded()) - 1
    mask = Scattered()(x.shape, seeded(1))
    return torch.where(mask > 0, x, 0.0), mask


CASES: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    *[(family, shape, {}) for family in FAMILIES for shape in SHAPES[family]],
    ("images", (3, 9, 14), {"stem": 2, "start": "membrane", "maps": 2}),
]


@pytest.mark.parametrize(("family", "shape", "options"), CASES)
def test_filler(family: str, shape: tuple[int, ...], options: dict[str, Any]) -> None:
    net, (x, mask) = filler(family, shape, **options), question(shape)
    z = torch.randn(15, 6, generator=seeded())
    found = net(x, mask, z)
    assert found.shape == (15, *shape)
    (found * torch.randn_like(found)).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, f"{name} gets no gradient"
        assert parameter.grad.abs().max() > 0, f"{name} gets a gradient of zero"
    net.eval()
    assert torch.allclose(net(x, mask, z[5:10]), found[5:10], atol=1e-5), "filling k of item n is at k N + n"
    assert torch.allclose(net(x[:1], mask[:1], z[:1]), found[:1], atol=1e-5), "items are filled each for itself"
    assert (found[:5] - found[5:10]).abs().max() > 1e-4, "z must matter"


@pytest.mark.parametrize("family", FAMILIES)
def test_options_have_defaults_fit_for_json(family: str) -> None:
    parameters = inspect.signature(import_module(f"evenodds.parts.fillers.{family}").Generator).parameters
    assert list(parameters)[:2] == ["latent", "shape"]
    for option in list(parameters)[2:]:
        assert parameters[option].kind is inspect.Parameter.KEYWORD_ONLY
        json.dumps(parameters[option].default)


def test_fillers_refuse_other_shapes() -> None:
    for make in (
        lambda: rows.Generator(6, (1, 8, 8)),
        lambda: images.Generator(6, (8,)),
        lambda: images.Generator(6, (1, 8, 8), stem=3),
        lambda: images.Generator(6, (1, 8, 8), start="membran"),
    ):
        with pytest.raises(BadInput):
            make()
    for more in (torch.zeros(11, 3), torch.zeros(9, 4), torch.zeros(0, 3)):
        with pytest.raises(BadInput, match=r"at most 10 rows of 3 entries, got .*; raise `memory`"):
            rows.Generator(6, (3,), memory=10).remember(more, torch.ones_like(more))


def test_a_memory_is_of_any_length_and_comes_back() -> None:
    net, other = (rows.Generator(6, (3,), width=8, memory=40) for _ in range(2))
    x, z, mask = torch.randn(9, 3, generator=seeded()), torch.zeros(9, 6), torch.ones(9, 3)
    net.remember(x, mask, torch.arange(9) * 10)
    other.load_state_dict(net.state_dict())
    asked = mask * torch.tensor([1.0, 0.0, 1.0])
    assert torch.equal(net(x, asked, z), other(x, asked, z))
    assert other.neighbours is not None
    itself = other.neighbours._search(x, asked, torch.arange(9) * 10)
    assert not (itself == torch.arange(9)[:, None]).any()
    older = {name: value for name, value in net.state_dict().items() if not name.endswith(".rows")}
    other.load_state_dict(older)
    assert torch.equal(net(x, asked, z), other(x, asked, z))
    with pytest.raises(RuntimeError, match="size mismatch"):
        rows.Generator(6, (4,), width=8, memory=40).load_state_dict(net.state_dict())


def test_rows_look_up_others_but_not_themselves() -> None:
    net = rows.Neighbours(3, 40, 4)
    rng = seeded()
    table = torch.randn(40, 3, generator=rng)
    net.table.copy_(table)
    net.known.fill_(1.0)
    net.known[7, 1] = 0
    mask = torch.tensor([1.0, 0.0, 1.0]).expand(40, 3)
    far = ((table[:, None] - table) * mask).square().sum(2)
    nearest = net._search(table * mask, mask, torch.full((40,), -1))
    assert torch.equal(nearest.sort(1).values, far.topk(4, largest=False).indices.sort(1).values)
    others = net._search(table * mask, mask, torch.arange(40))
    assert not (others == torch.arange(40)[:, None]).any()
    vote, _ = net(table * mask, mask, torch.arange(40))
    assert (vote[:, 1] - table[:, 1]).abs().min() > 0
    with torch.no_grad():
        net.sharpness.fill_(20.0)  # the nearest one alone votes
    vote, disagreement = net(table * mask, mask, torch.full((40,), -1))
    found = [k for k in range(40) if k != 7]
    assert torch.allclose(vote[found], table[found], atol=5e-3)
    assert disagreement[found].max() < 0.1


def test_of_rows_that_are_equally_near_the_first_are_found_whoever_else_asks() -> None:
    blocks = (((), False, 4), ((), False, 3), ((-1.0, 1.0), False, 0))
    net = rows.Neighbours(3, 300, 8, row_blocks=blocks).eval()
    rng = seeded()
    words = [one_hot(torch.randint(0, k, (300,), generator=rng), k).float() for k in (4, 3)]
    table = torch.cat([*words, torch.randn(300, 1, generator=rng)], 1)
    with torch.no_grad():
        net.weights.normal_(0, 0.3, generator=rng)
    net.replace(table, torch.ones(300, 3), torch.arange(300))
    mask = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0]]).repeat(10, 1)
    x = table[:40] * entries_of(blocks, table.device).by_entry(mask)
    together = net._search(x, mask, None)
    for k in range(40):
        assert torch.equal(net._search(x[k : k + 1], mask[k : k + 1], None)[0], together[k])
    alike = (words[0] == words[0][0]).all(1).nonzero()[:8, 0]
    assert torch.equal(together[0], alike), "rows with its word, in their order"


# The task


def game(shape: tuple[int, ...], **options: Any) -> tuple[Game, Gradient]:
    image = len(shape) == 3
    contest = Contest(options.pop("loss", non_saturating), options.pop("penalty", r1_r2), fused=True, every=2)
    task = Fill(Normal(6), contest, masks=OneOf((Boxes(), Scattered())) if image else Scattered(), **options)
    players = {"generator": filler("images" if image else "rows", shape)}
    if task.adversarial:
        seen = (shape[0] + 2, *shape[1:]) if image else (3 * shape[0],)
        players["discriminator"] = modern.Discriminator(seen, width=8) if image else Discriminator(seen, width=8)
    return Game(task, players), Gradient({n: torch.optim.Adam(p.parameters(), 1e-2) for n, p in players.items()})


class Feed:
    """Items with values missing at every position."""

    size = 6

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def at(self, position: int) -> Batch:
        rng = seeded(position)
        x = torch.rand(self.size, *self.shape, generator=rng)
        observed = Scattered(0.2, 0.2)(x.shape, rng)
        return {"x": torch.where(observed > 0, x, math.nan), "observed": observed}


@pytest.mark.parametrize("shape", [(1, 8, 8), (5,)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fillings": 3, "adversarial": 0.0},
        {"joint": 0.0, "marginal": 0.0, "mean": 0.0, "fillings": 1},
        {"loss": relativistic_paired, "penalty": gradient_penalty},
        {"penalty": None},
    ],
    ids=lambda options: "-".join(options) or "default",
)
def test_plays_on_data_with_missing_values(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    played, learner = game(shape, **options)
    before = {name: [p.clone() for p in player.parameters()] for name, player in played.players.items()}
    train(played, Feed(shape), learner, Local(), images=24)
    for name, player in played.players.items():
        assert all(p.isfinite().all() for p in player.parameters())
        assert any(not torch.equal(p, q) for p, q in zip(player.parameters(), before[name], strict=True))


@pytest.mark.parametrize("shape", [(2, 8, 8), (5,)])
def test_hands_show_and_judge_only_what_is_known(shape: tuple[int, ...]) -> None:
    played, _ = game(shape)
    hand = played.task.deal(Feed(shape).at(3), seeded())
    observed = Feed(shape).at(3)["observed"]
    assert torch.equal(hand["mask"] + hand["hidden"], observed)
    assert hand["x"].isfinite().all()
    assert len(hand["z"]) == 2 * Feed.size
    assert isinstance(played.task, Fill)
    fake = played.task._bound(played.players, hand)["generator"](hand["z"][: Feed.size])
    mask = hand["mask"].expand_as(fake) > 0
    assert torch.equal(fake[mask], hand["x"][mask])
    assert (fake[(observed == 0).expand_as(fake)] == 0).all(), "nothing tells the discriminator what nobody knows"


def test_what_makes_no_sense_is_refused() -> None:
    contest = Contest(non_saturating)
    for options in (
        {"fillings": 1},
        {"mean": -1.0},
        {"adversarial": 0.0, "joint": 0.0, "marginal": 0.0, "mean": 0.0},
        {"simultaneous": True, "adversarial": 0.0},
    ):
        with pytest.raises(BadInput):
            Fill(Normal(2), contest, masks=Scattered(), **options)
    task = Fill(Normal(6), contest, masks=Scattered())
    x, z, players = torch.zeros(4, 1, 8, 8), torch.zeros(4, 6), {"generator": filler("images", (1, 8, 8))}
    with pytest.raises(BadInput, match="mask"):
        task.answer(players, {"x": x, "mask": torch.ones(4, 8, 8), "z": z})
    with pytest.raises(BadInput, match="z needs"):
        task.answer(players, {"x": x, "mask": torch.ones(4, 1, 8, 8), "z": z[:3]})


# Tables


def table(n: int = 300) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A binary, a five-valued, a long-tailed, a constant and a large normal column that belong together."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=n)
    columns = [base > 0.3, np.digitize(base, [-1, 0, 1, 2]) * 10, np.exp(2 * base), np.full(n, 7.0), 1e6 + 50 * base]
    x = np.stack(columns, 1).astype(np.float64)
    x[rng.random(x.shape) < 0.2] = np.nan
    return x


SMALL = Settings(rows=20_000, batch=64, width=32, depth=1, latent=8)


@pytest.fixture(scope="module")
def imputer() -> Imputer:
    return fit(table(), SMALL, seed=1)


def test_imputing_keeps_what_is_observed_and_the_values_that_occur(imputer: Imputer) -> None:
    x = table()
    seen = ~np.isnan(x)
    draws = imputer.impute(x, 5)
    assert draws.shape == (5, *x.shape)
    assert np.isfinite(draws).all()
    assert (draws[:, seen] == x[seen]).all()
    for k in range(5):
        own = x[seen[:, k], k]
        assert draws[..., k].min() >= own.min()
        assert draws[..., k].max() <= own.max()
        if len(np.unique(own)) <= 20:
            assert set(np.unique(draws[..., k])) <= set(np.unique(own))
    hidden = draws[:, ~seen]
    assert hidden.std(0).max() > 0
    assert np.array_equal(imputer.impute(x, 3), draws[:3]), "the first of more draws are those of fewer"
    assert not np.array_equal(imputer.impute(x, 1, seed=9)[0], draws[0])
    assert (imputer.mean(x)[seen] == x[seen]).all()


def test_imputing_uses_what_columns_tell_of_each_other(imputer: Imputer) -> None:
    x = table()
    whole = np.exp(2 * (x[:, 4] - 1e6) / 50)
    at = np.isnan(x[:, 2]) & ~np.isnan(x[:, 4])
    found = imputer.mean(x)
    assert np.corrcoef(np.log(found[at, 2].clip(1e-3)), np.log(whole[at]))[0, 1] > 0.8


def test_fitting_and_imputing_are_functions_of_the_seed(imputer: Imputer) -> None:
    few = Settings(rows=640, batch=64, width=16, depth=1, memory=100, adversarial=0.5, dropout=0.1)
    one, same, other = (fit(table(), few, seed=seed).impute(table()) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("scale", sorted(SCALES))
def test_scales_come_back(scale: str) -> None:
    x = table()
    columns = Columns.of(x, scale)
    common = columns.to_common(x)
    assert np.array_equal(np.isnan(common), np.isnan(x))
    spread = np.nanstd(x, 0) + 1e-9
    np.testing.assert_allclose(columns.to_units(common) / spread, x / spread, rtol=0, atol=1e-5)
    assert np.nanmax(np.abs(common)) < 20
    beyond = columns.to_common(np.array([[0.0, 0.0, 1e5, 7.0, 2e6]]))
    assert np.isfinite(beyond).all(), "values beyond those that were seen have their place"


def test_a_row_without_any_value_is_drawn_from_the_joint_distribution(imputer: Imputer) -> None:
    assert np.isfinite(imputer.impute(np.full((3, 5), np.nan), 2)).all()


@pytest.mark.parametrize(
    ("bad", "hint"),
    [
        (np.zeros(4), r"\(N, D\)"),
        (np.full((4, 2), np.nan), "observed"),
        (np.array([[1.0, np.inf], [0, 0]]), "infinite"),
        ([["a", "b"]], "numbers"),
        (np.zeros((1, 2)), "2 rows"),
    ],
)
def test_tables_that_cannot_be_imputed_are_refused(bad: Any, hint: str) -> None:
    with pytest.raises(BadInput, match=hint) as caught:
        fit(bad)
    assert "\n" not in str(caught.value)


def test_other_columns_and_no_draws_are_refused(imputer: Imputer) -> None:
    with pytest.raises(BadInput, match=r"\(N, 5\)"):
        imputer.impute(np.zeros((2, 4)))
    with pytest.raises(BadInput, match="draws"):
        imputer.impute(table(), 0)
    with pytest.raises(BadInput, match="quantile"):
        fit(table(), Settings(scale="quantil"))


def test_progress_is_told() -> None:
    told: list[int] = []
    ear = SimpleNamespace(begin=lambda training: None, end=lambda training: None)
    ear.after_round = lambda training: told.append(training.progress.images)
    fit(table(), Settings(rows=256, batch=64, width=8, depth=1), listeners=[ear])
    assert told == [64, 128, 192, 256]
