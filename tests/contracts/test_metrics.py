"""What every metric keeps: a new function in evenodds.metrics is tested because it exists."""

import inspect
import pkgutil
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, get_type_hints

import pytest
import torch
from torch import Tensor

import evenodds.metrics
from evenodds.errors import BadInput

Metric = Callable[..., Any]


def found() -> dict[str, Metric]:
    """Every public function of every public module."""
    modules = [m.name for m in pkgutil.iter_modules(evenodds.metrics.__path__) if not m.name.startswith("_")]
    members = [getattr(import_module(f"evenodds.metrics.{m}"), n) for m in modules for n in names_of(m)]
    return {f.__name__: f for f in members if inspect.isfunction(f)}


def names_of(module: str) -> list[str]:
    return list(import_module(f"evenodds.metrics.{module}").__all__)


def is_distance(metric: Metric) -> bool:
    """Takes two matrices, everything else by default, and gives one number."""
    parameters = list(inspect.signature(metric).parameters.values())
    return (
        [p.name for p in parameters[:2]] in (["a", "b"], ["real", "fake"])
        and all(p.default is not p.empty for p in parameters[2:])
        and get_type_hints(metric)["return"] is Tensor
    )


METRICS = found()
DISTANCES = {name: metric for name, metric in METRICS.items() if is_distance(metric)}


def measure(metric: Metric, a: Tensor, b: Tensor, **options: Any) -> Tensor:
    """Deals the random numbers that the signature names, always the same."""
    if "rng" in inspect.signature(metric).parameters:
        options["rng"] = torch.Generator().manual_seed(0)
    value = metric(a, b, **options)
    assert isinstance(value, Tensor)
    return value


def sets(n: int = 40, m: int = 30, d: int = 6) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return torch.randn(n, d, generator=rng), torch.randn(m, d, generator=rng) + 0.3


def test_the_search_finds_the_metrics() -> None:
    assert {"frechet", "kernel_distance", "sliced_wasserstein", "two_sample_accuracy"} <= set(DISTANCES)
    assert {"jensen_shannon", "histogram_divergence", "mode_coverage", "nearest"} <= set(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_says_what_it_takes_gives_and_refuses(name: str) -> None:
    text = inspect.getdoc(METRICS[name]) or ""
    assert all(f"{part}:" in text for part in ("Args", "Returns", "Raises"))
    assert all(f"{p}:" in text for p in inspect.signature(METRICS[name]).parameters)
    assert re.search(r"\b(19|20)\d\d\b", text), "name the paper"


@pytest.mark.parametrize("name", DISTANCES)
def test_one_finite_number_that_needs_no_gradient(name: str) -> None:
    a, b = (x.requires_grad_() for x in sets())
    value = measure(DISTANCES[name], a, b)
    assert value.shape == ()
    assert value.dtype == torch.float64
    assert bool(value.isfinite())
    assert not value.requires_grad


@pytest.mark.parametrize("name", DISTANCES)
def test_neither_side_nor_order_nor_precision_matters(name: str) -> None:
    a, b = sets()
    kept = a.clone(), b.clone()
    value = measure(DISTANCES[name], a, b)
    assert torch.allclose(measure(DISTANCES[name], b, a), value, rtol=1e-9)
    assert torch.allclose(measure(DISTANCES[name], a.flip(0), b.roll(3, 0)), value, rtol=1e-9)
    assert torch.allclose(measure(DISTANCES[name], a.double(), b.double()), value, rtol=1e-9)
    assert torch.equal(a, kept[0])
    assert torch.equal(b, kept[1])


@pytest.mark.parametrize("name", DISTANCES)
def test_larger_for_sets_further_apart(name: str) -> None:
    a, b = sets()
    assert float(measure(DISTANCES[name], a, b + 3)) > float(measure(DISTANCES[name], a, b)) + 0.1


@pytest.mark.parametrize("name", DISTANCES)
def test_whole_numbers_and_wide_matrices_are_welcome(name: str) -> None:
    a, b = ((x * 50 + 128).clamp(0, 255).to(torch.uint8) for x in sets(n=5, m=4, d=30))
    assert bool(measure(DISTANCES[name], a, b).isfinite())


@pytest.mark.parametrize("name", [n for n in METRICS if "entries" in inspect.signature(METRICS[n]).parameters])
def test_portions_change_nothing(name: str) -> None:
    whole, cut = METRICS[name](*sets()), METRICS[name](*sets(), entries=64)
    pairs = [(whole, cut)] if isinstance(whole, Tensor) else list(zip(whole, cut, strict=True))
    assert all(torch.allclose(x, y, rtol=1e-12) for x, y in pairs)


BAD: dict[str, tuple[Tensor, Tensor]] = {
    "columns": (torch.zeros(5, 3), torch.zeros(5, 4)),
    "images": (torch.zeros(5, 1, 2, 2), torch.zeros(5, 1, 2, 2)),
    "vector": (torch.zeros(5), torch.zeros(5)),
    "empty": (torch.zeros(0, 3), torch.zeros(5, 3)),
    "nan": (torch.zeros(5, 3), torch.full((5, 3), torch.nan)),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("name", [*DISTANCES, "nearest"])
def test_bad_input_is_refused_in_one_line(name: str, case: str) -> None:
    metric = METRICS[name]
    options = {"rng": torch.Generator()} if "rng" in inspect.signature(metric).parameters else {}
    with pytest.raises(BadInput) as caught:
        metric(*BAD[case], **options)
    assert "\n" not in str(caught.value)
    assert re.search(r"; \w+", str(caught.value)), "say what to change"


REFUSED: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "negative probability": ("jensen_shannon", (torch.tensor([1.0, -1]), torch.tensor([1.0, 1])), {}),
    "nothing counted": ("jensen_shannon", (torch.zeros(2), torch.ones(2)), {}),
    "other outcomes": ("jensen_shannon", (torch.ones(2), torch.ones(3)), {}),
    "no range": ("histogram_divergence", (torch.ones(2), torch.ones(2), 4, 1.0, 1.0), {}),
    "matrix": ("histogram_divergence", (torch.ones(2, 2), torch.ones(2), 4, 0.0, 1.0), {}),
    "no rng": ("sliced_wasserstein", sets(), {"directions": 5}),
    "no direction": ("sliced_wasserstein", sets(), {"directions": torch.zeros(0, 6)}),
    "wrong direction": ("sliced_wasserstein", sets(), {"directions": torch.ones(2, 5)}),
    "power": ("sliced_wasserstein", sets(), {"directions": torch.ones(2, 6), "power": 0.5}),
    "degree": ("kernel_distance", sets(), {"degree": 0}),
    "radius": ("mode_coverage", (*sets(), 0.0), {}),
    "moments": ("frechet_of_moments", (torch.zeros(2), torch.eye(2), torch.zeros(3), torch.eye(3)), {}),
    "single row": ("frechet", (torch.zeros(1, 3), torch.zeros(5, 3)), {}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_measured_is_refused(case: str) -> None:
    name, given, options = REFUSED[case]
    with pytest.raises(BadInput) as caught:
        METRICS[name](*given, **options)
    assert "\n" not in str(caught.value)
