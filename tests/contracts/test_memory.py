"""A run that the memory does not hold is refused before any is asked for, and none that it holds is."""

import gc
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import evenodds
from evenodds.cli import main
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.learners import Gradient
from evenodds.game.trainer import train
from evenodds.parts.masks import Strokes
from evenodds.parts.networks import pretrained
from evenodds.parts.priors import Mixture
from evenodds.runs import memory
from evenodds.runs.assembly import Run
from evenodds.runs.build import build_players, build_task
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.config_files import recipe
from evenodds.runs.find import names
from evenodds.runs.memory import require_round, round_bound
from evenodds.runs.peak import Live, OnMeta, Peak, as_meta, on_meta, peak_of
from evenodds.runs.planning import settle_task
from evenodds.runs.run import start
from evenodds.runs.values import Part
from evenodds.tasks._playable import Playable
from tests.stand_ins import data_for, frozen_features

FOUR_GIB = 2**32
FIRST = torch.zeros(1, dtype=torch.int64)


class Allocated(Live):
    """Of tensors that have values."""

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage.device.type != "meta":
            super()._count(storage)


def prepared(name: str, **values: Any) -> tuple[Config, Dataset, Playable]:
    """A recipe with all that starting it leaves open, and data for it."""
    config = with_settings(recipe(name), {"device": "cpu", "held_out": 0.4, **values})
    dataset = data_for(with_settings(config, {"data.n": 100}) if name in ("ring", "grid") else config, images=6)
    config, _ = settle_task(config, dataset)
    views = ("flip", "translation", "color") if "auto" in config.views else config.views
    config = replace(
        config,
        views=views,
        penalty_weight=1.0 if config.penalty_weight is None else config.penalty_weight,
        simultaneous=bool(config.simultaneous),
    )
    return config, dataset, build_task(config, dataset)


def estimate(config: Config, dataset: Dataset, task: Playable) -> Peak:
    _ = task.contest.relative
    players = on_meta(lambda: build_players(config, task, dataset.shape, dataset.row_blocks))
    return peak_of(task, players, as_meta(dataset.batch(FIRST), config.batch), config.optimizer.name, ("generator",))


def test_weights_without_values_are_drawn_by_nobody() -> None:
    """To find out what a draw gives on "meta", torch imports its compiler: more than a second for a network."""
    asked: list[str] = []

    class Asked(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            asked.append(func.__name__)
            return func(*args, **kwargs or {})

    with Asked():
        layers = on_meta(lambda: [nn.Conv2d(3, 4, 3), nn.Linear(4, 2)])
        for draw in (nn.init.normal_, nn.init.uniform_, nn.init.kaiming_normal_, nn.init.kaiming_uniform_):
            assert on_meta(lambda draw=draw: draw(layers[0].weight)) is layers[0].weight  # type: ignore[misc]
    assert asked
    assert not [name for name in asked if name.startswith(("normal", "uniform"))]


@pytest.fixture
def frozen(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A network for the published one, where a recipe asks for it."""
    with frozen_features(monkeypatch, pretrained) if name == "classify-photos" else nullcontext():
        yield


@pytest.mark.parametrize("name", names("recipes"))
@pytest.mark.usefixtures("frozen")
def test_every_recipe_is_counted_and_fits_into_four_gibibytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config, dataset, task = prepared(name)
    state = torch.get_rng_state()
    peak = estimate(config, dataset, task)
    bound = round_bound(config, (getattr(task.prior, "size", 1), dataset.shape[0]), int(np.prod(dataset.shape[1:])))
    assert 0 < peak.total < min(bound, FOUR_GIB)
    assert peak.activations > config.batch * np.prod(dataset.shape)
    monkeypatch.setattr(memory, "machine_bytes", lambda: FOUR_GIB)
    monkeypatch.setattr(memory, "round_bound", lambda *_: np.inf)
    monkeypatch.setattr(memory, "_peak", lambda *_: peak)
    require_round(config, task, dataset.batch(FIRST), dict, torch.device("cpu"))
    monkeypatch.setattr(memory, "machine_bytes", lambda: peak.total - 1)
    with pytest.raises(BadInput, match=r"a round of training needs .* GiB .*, and this machine has .*; "):
        require_round(config, task, dataset.batch(FIRST), dict, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), state)


EXTRAS = {"historical": 0.1, "orthogonal": 0.001, "clip": 0.1, "pseudo": 0.8, "top": 0.5, "pathlength": 1}


def test_what_is_kept_of_a_round_without_values_has_them_in_one_with() -> None:
    """Masks and means that a round was counted with had none in the run."""
    rng, masks, prior = torch.Generator(), Strokes(low=0.05), Mixture(3, components=4)
    with OnMeta(), suppress(RuntimeError):
        masks((2, 3, 29, 31), rng)
        prior(2, rng)
    assert masks((2, 3, 29, 31), rng).any()
    assert prior(2, rng).isfinite().all()


def test_a_small_round_with_extras_is_not_played_to_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bound holds with them; one with an extra of one's own has none."""
    style = {"task": "generate", "simultaneous": False, "generator": "style"}
    config, dataset, task = prepared("digits", batch=32_768, **style, **EXTRAS)
    lengths = (16, dataset.shape[0])
    assert len(config.extras) == len(EXTRAS)
    assert estimate(config, dataset, task).total < round_bound(config, lengths, 64) < np.inf
    monkeypatch.setattr(memory, "_peak", None)
    require_round(replace(config, batch=16), task, dataset.batch(FIRST), dict, torch.device("cpu"))
    assert round_bound(replace(config, extras=(Part("own:Extra"),)), lengths, 64) == np.inf


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ring", {}),
        ("digits", {"batch": 16}),
        ("fill-32", {"batch": 2, "generator.width": 8, "discriminator.width": 8}),
        ("upscale-x2", {"batch": 2}),
    ],
)
def test_the_peak_is_that_of_a_round_that_is_played(name: str, values: dict[str, Any]) -> None:
    config, dataset, task = prepared(name, **values)
    expected = estimate(config, dataset, task)
    with Allocated() as live:  # counts what is allocated from here on
        run = Run(replace(config, watch="off"), dataset)
        train(run.game, run.feed, run.learner, run.engine, images=config.batch, listeners=[run.listeners["average"]])
    assert live.most / 2 < expected.total < 2 * live.most, (live.most, expected)


@pytest.mark.parametrize(
    ("name", "values", "advice"),
    [
        ("digits", {"generator.width": 4000}, "lower --set generator.width"),
        ("digits", {"generator.width": 8000}, "lower its width"),
        (
            "gray-28",
            {"generator": "mlp", "generator.width": 12_000, "generator.depth": 4},
            "lower --set generator.width",
        ),
        ("photos-128", {"batch": 1024}, "--set batch=256 fits"),
        ("ring", {"discriminator.width": 12_000}, "discriminator.width"),
    ],
)
def test_what_is_too_large_is_refused_with_what_fits(
    name: str, values: dict[str, Any], advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, dataset, _ = prepared(name, **values)
    monkeypatch.setattr(memory, "machine_bytes", lambda: FOUR_GIB)
    with Allocated() as live, pytest.raises(BadInput) as error:
        Run(config, dataset)
    assert live.most < 2**24
    assert advice in str(error.value)
    assert "this machine has 4.0" in str(error.value)
    assert "\n" not in str(error.value)


class Small:
    """A device on which a round with fewer micro-batches than `needed` runs out of memory, from round `since` on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, needed: int, since: int = 3) -> None:
        real = Gradient.improve

        def improve(self: Any, move: Any, players: Any, hand: Any, engine: Any, progress: Any) -> Any:
            if progress.round >= since and engine.accumulate < needed:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return real(self, move, players, hand, engine, progress)

        monkeypatch.setattr(Gradient, "improve", improve)


@pytest.fixture
def frozen_objects() -> None:
    """Garbage, which is looked for where memory runs out, is not looked for among the millions of objects of all tests:
    that takes a second each time."""
    gc.freeze()


TINY: dict[str, Any] = {"images": 256, "batch": 32, "watch": "off", "device": "cpu", "simultaneous": False}


@pytest.mark.parametrize("since", [0, 5])
@pytest.mark.usefixtures("frozen_objects")
def test_a_game_that_memory_does_not_hold_goes_on_in_smaller_micro_batches(
    since: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evenodds.fit("ring", "ring", out=tmp_path / "whole", accumulate=4, **TINY)
    Small(monkeypatch, needed=4, since=since)
    said: list[str] = []
    config = with_settings(recipe("ring"), {"data": "ring", **TINY})
    session = start(config, out=tmp_path / "small", say=said.append)
    assert [line.count("accumulate=") for line in said if "memory" in line] == [1, 1]
    assert session.config.accumulate == evenodds.load(tmp_path / "small").config.accumulate == 4
    assert [line["images"] for line in session.history()] == [line["images"] for line in whole.history()]
    close = 0.0 if since == 0 else 0.1  # the first rounds were played in one piece: Adam's first steps enlarge rounding
    np.testing.assert_allclose(session.sample(16, seed=1), whole.sample(16, seed=1), rtol=close, atol=close)


@pytest.mark.usefixtures("frozen_objects")
def test_a_game_that_no_micro_batches_help_ends_with_what_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--quiet", *(f"--set={key}={value}" for key, value in {**TINY, "batch": 8}.items())]
    with monkeypatch.context() as patch:
        Small(patch, needed=1000, since=0)
        assert main(["train", "ring", "--data", "ring", "--out", str(tmp_path / "one"), *words]) == 1
    assert "out of memory; use a smaller batch or network" in capsys.readouterr().err
    Small(monkeypatch, needed=2, since=0)
    norm = "--set=discriminator.norm=batch"
    assert main(["train", "digits", "--out", str(tmp_path / "norm"), *words, norm]) == 2
    assert "does not hold a batch of 8; give fewer, such as --set batch=4" in capsys.readouterr().err
