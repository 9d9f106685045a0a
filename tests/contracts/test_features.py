"""What every extractor of features keeps to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.metrics.features import dino, inception
from evenodds.metrics.features.classifier import Classifier
from evenodds.metrics.features.dino import Dino
from evenodds.metrics.features.extract import Classes, extract, extractor, names, together
from evenodds.metrics.features.inception import Inception
from evenodds.metrics.features.pixels import Pixels
from evenodds.metrics.features.pretrained import Pretrained
from evenodds.metrics.features.random import Random
from evenodds.metrics.probe import Probe
from evenodds.pretrained.efficientnet_lite import EfficientNetLite

N = 3


def random_state(network: nn.Module, seed: int) -> dict[str, Tensor]:
    """Weights that keep activations of order 1."""
    rng = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 0:
            state[name] = torch.zeros((), dtype=tensor.dtype)
        elif name.endswith("running_var"):
            state[name] = torch.ones(tensor.shape)
        else:
            fan = tensor[0].numel() if tensor.ndim > 1 else 1
            state[name] = torch.randn(tensor.shape, generator=rng) * (2 / fan) ** 0.5
    return state


def classifier(shape: tuple[int, ...], seed: int) -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Classifier(Probe(shape, 4), tuple("abcd"))


def make_inception(shape: tuple[int, ...], seed: int) -> Inception:
    with torch.device("meta"):
        network = inception._Network()
    return Inception(shape, state=random_state(network, seed))


def make_dino(shape: tuple[int, ...], seed: int) -> Dino:
    with torch.device("meta"):
        network = dino._Transformer(128, 2, 256, 20 * 20, 14)
    return Dino(shape, state=random_state(network, seed))


def make_pretrained(shape: tuple[int, ...], seed: int) -> Pretrained:
    with torch.device("meta"):
        network = EfficientNetLite()
    return Pretrained(shape, state=random_state(network, seed))


Make = Callable[[tuple[int, ...], int], Any]

MAKERS: Mapping[str, tuple[Make, tuple[int, ...]]] = {
    "pixels": (lambda shape, seed: Pixels(shape), (3, 9, 7)),
    "pixels, large": (lambda shape, seed: Pixels(shape), (2, 40, 20)),
    "pixels, rows": (lambda shape, seed: Pixels(shape), (5,)),
    "random": (lambda shape, seed: Random(shape, seed=seed), (2, 28, 28)),
    "random, large": (lambda shape, seed: Random(shape, seed=seed, side=64), (3, 100, 50)),
    "random, rows": (lambda shape, seed: Random(shape, seed=seed), (5,)),
    "classifier": (classifier, (1, 8, 8)),
    "classifier, rows": (classifier, (5,)),
    "inception": (make_inception, (1, 12, 10)),
    "dino": (make_dino, (3, 30, 40)),
    "pretrained": (make_pretrained, (1, 20, 24)),
}


class Case:
    """An extractor, items, and their features: computed once for all tests."""

    def __init__(self, name: str) -> None:
        self.make, self.shape = MAKERS[name]
        self.name = name.partition(",")[0]
        self.features = self.make(self.shape, 0)
        self.x = 2 * torch.rand(N, *self.shape, generator=torch.Generator().manual_seed(1)) - 1
        self.rows = self.features(self.x)


@pytest.fixture(scope="module", params=list(MAKERS))
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().max()))


def test_every_extractor_is_tested() -> None:
    # clean is inception behind another resizing, which has its law; the network takes seconds
    assert {name.partition(",")[0] for name in MAKERS} == set(names()) - {"clean"}
    assert extractor("clean").__call__ is Inception.__call__
    with pytest.raises(BadInput, match="did you mean 'pixels'"):
        extractor("pixel")


def test_attributes(case: Case) -> None:
    features = case.features
    assert type(features) is extractor(case.name)
    assert features.name == case.name
    assert features.weights == "none" or re.fullmatch("sha256:[0-9a-f]{64}", features.weights)
    assert features.resize
    assert features.comparable == ""  # own weights compare with nobody's figures


def test_rows(case: Case) -> None:
    assert case.rows.shape == (N, case.rows.shape[1])
    assert case.rows.dtype == torch.float32
    assert not case.rows.requires_grad
    assert bool(case.rows.isfinite().all())
    assert float((case.rows[0] - case.rows[1]).abs().max()) > 0


def test_a_row_is_a_function_of_its_item(case: Case) -> None:
    told: list[tuple[int, int]] = []
    reversed_singly = extract(case.features, case.x.flip(0), batch=1, progress=lambda *now: told.append(now))
    assert close(reversed_singly.flip(0), case.rows)
    assert told == [(k + 1, N) for k in range(N)]


def test_the_same_again(case: Case) -> None:
    again = case.make(case.shape, 0)
    assert again.weights == case.features.weights
    assert torch.equal(again(case.x), case.rows)


def test_the_digest_follows_the_weights(case: Case) -> None:
    other = case.make(case.shape, 1)
    if case.features.weights == "none":
        assert other.weights == "none"
    else:
        assert other.weights != case.features.weights


def test_classes(case: Case) -> None:
    rows, probabilities = together(case.features, case.x, batch=2)
    assert close(rows, case.rows)
    assert (probabilities is not None) == isinstance(case.features, Classes)
    if probabilities is not None:
        assert probabilities.shape[0] == N
        assert bool((probabilities >= 0).all())
        assert torch.allclose(probabilities.sum(1), torch.ones(N), atol=1e-5)
        assert close(probabilities, case.features.probabilities(case.x))


def test_other_items_are_refused(case: Case) -> None:
    with pytest.raises(BadInput, match="got") as error:
        case.features(torch.zeros(2, *(side + 1 for side in case.shape)))
    assert "\n" not in str(error.value)
    with pytest.raises(BadInput, match="at least 1 item"):
        extract(case.features, case.x[:0])


@pytest.mark.parametrize("name", ["inception", "dino"])
@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((4, 8, 8), "leave alpha out, or use 'random'"),
        ((2, 8, 8), "leave alpha out, or use 'random'"),
        ((5,), "got rows of 5 numbers; use 'pixels' or 'random'"),
    ],
)
def test_colours(name: str, shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        extractor(name)(shape)
