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
    entries = pkgutil.iter_modules(evenodds.metrics.__path__)
    modules = [m.name for m in entries if not m.ispkg and not m.name.startswith("_")]
    members = [getattr(import_module(f"evenodds.metrics.{m}"), n) for m in modules for n in names_of(m)]
    return {f.__name__: f for f in members if inspect.isfunction(f)}


def names_of(module: str) -> list[str]:
    return list(import_module(f"evenodds.metrics.{module}").__all__)


def takes_two_sets(metric: Metric) -> bool:
    """Takes two matrices, and everything else by default."""
    parameters = list(inspect.signature(metric).parameters.values())
    named = [p.name for p in parameters[:2]] in (["a", "b"], ["real", "fake"])
    return named and all(p.default is not p.empty for p in parameters[2:])


METRICS = found()
TWO_SETS = {name: metric for name, metric in METRICS.items() if takes_two_sets(metric)}
DISTANCES = {name: metric for name, metric in TWO_SETS.items() if get_type_hints(metric)["return"] is Tensor}


def measure(metric: Metric, a: Tensor, b: Tensor, **options: Any) -> Any:
    """Deals the random numbers that the signature names, always the same."""
    if "rng" in inspect.signature(metric).parameters:
        options["rng"] = torch.Generator().manual_seed(0)
    return metric(a, b, **options)


def numbers(value: Any) -> list[Tensor]:
    """The tensors of a metric's answer."""
    return [x for x in (value if isinstance(value, tuple) else (value,)) if x is not None]


def sets(n: int = 40, m: int = 30, d: int = 6) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return torch.randn(n, d, generator=rng), torch.randn(m, d, generator=rng) + 0.3


def test_the_search_finds_the_metrics() -> None:
    assert {"frechet", "kernel_distance", "sliced_wasserstein", "two_sample_accuracy"} <= set(DISTANCES)
    assert {"nearest", "precision_recall", "density_coverage", "kernel_distance_blocks"} <= set(TWO_SETS)
    assert {"jensen_shannon", "histogram_divergence", "mode_coverage", "inception_score", "ms_ssim"} <= set(METRICS)


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


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", TWO_SETS)
def test_whole_numbers_half_precision_and_wide_matrices_are_welcome(name: str, dtype: torch.dtype) -> None:
    a, b = ((x * 50 + 128).clamp(0, 255).round() for x in sets(n=8, m=7, d=30))
    value = measure(TWO_SETS[name], a.to(dtype), b.to(dtype))
    same = measure(TWO_SETS[name], a.to(dtype).double(), b.to(dtype).double())
    assert all(torch.equal(x, y) for x, y in zip(numbers(value), numbers(same), strict=True))
    assert all(bool(x.isfinite().all()) for x in numbers(value))


@pytest.mark.parametrize("name", TWO_SETS)
def test_what_is_given_stays_as_it_is(name: str) -> None:
    a, b = (x.double() for x in sets())
    kept = a.clone(), b.clone()
    measure(TWO_SETS[name], a, b)
    assert torch.equal(a, kept[0])
    assert torch.equal(b, kept[1])


def accepts(metric: Metric, n: int, columns: int) -> bool:
    try:
        measure(metric, *sets(n=n, m=n, d=columns))
    except BadInput:
        return False
    return True


@pytest.mark.parametrize("columns", [2, 20])
@pytest.mark.parametrize("name", TWO_SETS)
def test_few_rows_give_a_number_or_a_reason(name: str, columns: int) -> None:
    """From 1 to 50 rows: never NaN, and what is refused is what has too few rows."""
    first = next(n for n in range(1, 7) if accepts(TWO_SETS[name], n, columns))
    for n in range(1, first):
        with pytest.raises(BadInput, match=f"rows.*got {n}.*; give more examples"):
            measure(TWO_SETS[name], *sets(n=n, m=n, d=columns))
    for n in range(first, 51):
        values = numbers(measure(TWO_SETS[name], *sets(n=n, m=n, d=columns)))
        assert all(bool(x.isfinite().all()) for x in values), n


def probabilities(n: int) -> Tensor:
    return sets(n=n, d=4)[0].softmax(1)


def pictures(n: int) -> Tensor:
    return sets(n=n, d=25)[0].tanh().view(n, 1, 5, 5)


SINGLE: dict[str, tuple[Callable[[int], Any], int]] = {
    "inception_score": (lambda n: METRICS["inception_score"](probabilities(n)), 19),
    "inception_score of one split": (lambda n: METRICS["inception_score"](probabilities(n), splits=1), 1),
    "ms_ssim": (lambda n: METRICS["ms_ssim"](pictures(n), pictures(n).flip(0)), 0),
    "diversity": (lambda n: METRICS["diversity"](pictures(n), 10, torch.Generator().manual_seed(0)), 1),
    "path_length": (lambda n: METRICS["path_length"](*sets(n=n, m=n), eps=0.1), 0),
}


@pytest.mark.parametrize("name", SINGLE)
def test_few_examples_give_a_number_or_a_reason(name: str) -> None:
    """Refused up to the stated number of examples, finite from there on."""
    score, most = SINGLE[name]
    for n in range(1, most + 1):
        with pytest.raises(BadInput, match=f"got {n}"):
            score(n)
    for n in range(most + 1, 51):
        assert all(bool(x.isfinite().all()) for x in numbers(score(n)))


@pytest.mark.parametrize("name", [n for n in TWO_SETS if "entries" in inspect.signature(TWO_SETS[n]).parameters])
def test_portions_change_nothing(name: str) -> None:
    whole, cut = (numbers(TWO_SETS[name](*sets(), **options)) for options in ({}, {"entries": 64}))
    assert all(torch.allclose(x, y, rtol=1e-12) for x, y in zip(whole, cut, strict=True))


BAD: dict[str, tuple[Tensor, Tensor]] = {
    "columns": (torch.zeros(5, 3), torch.zeros(5, 4)),
    "images": (torch.zeros(5, 1, 2, 2), torch.zeros(5, 1, 2, 2)),
    "vector": (torch.zeros(5), torch.zeros(5)),
    "empty": (torch.zeros(0, 3), torch.zeros(5, 3)),
    "nan": (torch.zeros(6, 3), torch.full((6, 3), torch.nan)),
    "infinity": (torch.tensor([[1.0, 2.0]] * 5 + [[1.0, -torch.inf]]), torch.zeros(6, 2)),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("name", TWO_SETS)
def test_bad_input_is_refused_in_one_line(name: str, case: str) -> None:
    with pytest.raises(BadInput) as caught:
        measure(TWO_SETS[name], *BAD[case])
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
    "block size": ("kernel_distance_blocks", sets(), {"size": 1}),
    "block degree": ("kernel_distance_blocks", sets(), {"degree": 0}),
    "no neighbour": ("precision_recall", sets(), {"k": 0}),
    "no neighbour again": ("density_coverage", sets(), {"k": 0}),
    "logits": ("inception_score", (torch.randn(40, 5),), {}),
    "one column of probabilities": ("inception_score", (torch.ones(40),), {}),
    "probabilities without end": ("inception_score", (torch.full((40, 2), torch.nan),), {}),
    "no splits": ("inception_score", (torch.full((40, 2), 0.5),), {"splits": 0}),
    "pictures from 0 to 255": ("ms_ssim", (torch.full((2, 1, 8, 8), 255.0),) * 2, {}),
    "pictures without end": ("ms_ssim", (torch.full((2, 1, 8, 8), torch.nan),) * 2, {}),
    "other pictures": ("ms_ssim", (torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 9, 8)), {}),
    "small pictures": ("ms_ssim", (torch.zeros(2, 1, 8, 3),) * 2, {}),
    "no pictures": ("ms_ssim", (torch.zeros(0, 1, 8, 8),) * 2, {}),
    "no pairs": ("diversity", (torch.zeros(2, 1, 8, 8), 0, torch.Generator()), {}),
    "no step": ("path_length", (torch.zeros(5, 3), torch.ones(5, 3), 0.0), {}),
    "nothing left": ("path_length", (torch.zeros(5, 3), torch.ones(5, 3), 0.1), {"trim": 0.5}),
    "unpaired": ("path_length", (torch.zeros(5, 3), torch.ones(4, 3), 0.1), {}),
    "single row": ("frechet", (torch.zeros(1, 3), torch.zeros(5, 3)), {}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_measured_is_refused(case: str) -> None:
    name, given, options = REFUSED[case]
    with pytest.raises(BadInput) as caught:
        METRICS[name](*given, **options)
    assert "\n" not in str(caught.value)
