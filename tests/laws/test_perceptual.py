"""The perceptual cost: what it is 0 for, whom it teaches, what is kept of it, what is refused and said."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import evenodds
from evenodds.errors import BadInput
from evenodds.game import checkpoint
from evenodds.game.slices import portion
from evenodds.parts.degradations import Grey
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.losses.perceptual import Perceptual
from evenodds.pretrained.efficientnet_lite import EfficientNetLite
from evenodds.tasks import translate
from evenodds.tasks.contest import Contest
from evenodds.tasks.translate import SHIFTS, Translate
from tests.stand_ins import frozen_features

SIDE = 32 + SHIFTS - 1
TINY = {"task.degradation": "grey", "task.crop": SIDE, "generator.width": 4, "generator.depth": 1}
TINY |= {"discriminator.width": 4, "batch": 4, "images": 8, "held_out": 0.0, "save_share": 0.5, "threads": 1}
TINY |= {"average_half_life": 0.1, "task.perceptual": 0.5, "device": "cpu", "penalty_weight": 0.1, "watch": "off"}


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[EfficientNetLite]:
    with frozen_features(monkeypatch, translate) as network:
        yield network


def task(**options: float) -> Translate:
    settings = {"adversarial": 0.0, "perceptual": 2.0, **options}
    return Translate(contest=Contest(non_saturating), degradation=Grey(), inputs=1, crop=SIDE, **settings)  # type: ignore[arg-type]


def images(n: int, side: int = SIDE, channels: int = 3) -> Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(n)) * 2 - 1


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_zero_for_equal_images_alone_and_each_item_counts_for_itself(
    channels: int, frozen: EfficientNetLite
) -> None:
    cost, x = Perceptual(), images(3, channels=channels)
    other = torch.stack([x[0], x[1] + 0.02, -x[2]])
    apart = cost(other, x)
    assert apart[0] == 0
    assert 0 < apart[1] < apart[2]
    assert torch.allclose(cost(other[1:2], x[1:2]), apart[1:2], rtol=1e-4)


def test_the_answer_has_a_slope_and_neither_the_truth_nor_the_features_do(frozen: EfficientNetLite) -> None:
    made, truth = images(2).requires_grad_(), (images(2) / 2).requires_grad_()
    Perceptual()(made, truth).sum().backward()
    assert made.grad is not None
    assert float(made.grad.abs().min(2).values.sum()) > 0
    assert truth.grad is None
    assert all(parameter.grad is None for parameter in frozen.parameters())


def test_the_generator_alone_pays_from_its_stage_on_and_parts_of_a_hand_pay_their_share(
    frozen: EfficientNetLite,
) -> None:
    generator = nn.Conv2d(1, 3, 1)
    players = {"generator": generator, "perceptual": task().fixtures()["perceptual"]}
    game = task(adversarial=0.1, adversarial_from=0.5)
    assert set(game.fit_cost(players, game.deal({"x": images(4)}, torch.Generator()))) == {"pixel"}
    hand = task().deal({"x": images(4)}, torch.Generator().manual_seed(1))
    costs = task().fit_cost(players, hand)
    assert set(costs) == {"pixel", "perceptual"}
    halves = [task().fit_cost(players, portion(hand, slice(k, None, 2)))["perceptual"] for k in (0, 1)]
    assert torch.allclose(torch.stack(halves).mean(), costs["perceptual"], rtol=1e-4)
    costs["perceptual"].backward()
    assert generator.weight.grad is not None
    assert "shift_down" not in task(perceptual=0.0).deal({"x": images(4)}, torch.Generator())
    assert "perceptual" not in task(perceptual=0.0).fixtures()


def test_a_run_goes_on_exactly_keeps_no_weights_and_answers_without_the_extra(
    frozen: EfficientNetLite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = (np.random.default_rng(0).random((12, SIDE, SIDE, 3)) * 255).astype(np.uint8)
    options = {name.replace(".", "__"): value for name, value in TINY.items()}
    evenodds.fit(x, "colourise", out=tmp_path / "whole", **options)
    newest = tmp_path / "whole" / "checkpoints" / f"{8:012d}"
    earlier = sorted(newest.parent.iterdir())[0]
    assert earlier != newest
    _, before, _, _ = checkpoint.newest(newest.parent)
    assert sum(v.numel() for v in before["players"].tensors.values()) < 200_000  # the features have 3.4 millions
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()
    evenodds.resume(tmp_path / "whole", data=x)
    _, after, _, _ = checkpoint.newest(newest.parent)
    assert all(torch.equal(v, after["players"].tensors[name]) for name, v in before["players"].tensors.items())
    monkeypatch.setattr(translate, "is_here", lambda: False)
    evenodds.load(tmp_path / "whole")
    with pytest.raises(BadInput, match=r"task.perceptual .*pip install 'evenodds\[pretrained\]'"):
        evenodds.fit(x, "colourise", out=tmp_path / "refused", **options)
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize(
    ("shape", "crop", "reason"), [((3, 64, 64), 32, "at least 39 x 39"), ((4, 64, 64), 48, "1 or 3 channels")]
)
def test_what_cannot_be_looked_at_is_refused(shape: tuple[int, ...], crop: int, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        Translate(contest=Contest(non_saturating), inputs=1, crop=crop, perceptual=1.0).networks(shape)
    with pytest.raises(BadInput, match="weight of at least 0"):
        task(perceptual=-1.0)
