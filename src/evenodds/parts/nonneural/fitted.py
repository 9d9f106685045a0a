"""Discriminators that are functions of labelled examples, for `Fit`. Before the first fit they answer 0, even odds.

Such a player is its examples: these are its tensors, and loading them fits it again. No fitted object is ever saved.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput

__all__ = ["Classifier", "Fitted", "Witness"]


class Fitted(nn.Module):
    """What these players share: the examples, and that they are learnt whenever they change."""

    real: Tensor
    fake: Tensor
    seed: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("real", torch.empty(0, 0))
        self.register_buffer("fake", torch.empty(0, 0))
        self.register_buffer("seed", torch.zeros((), dtype=torch.int64))

    def fit(self, real: Tensor, fake: Tensor, seed: int = 0) -> None:
        """Becomes the player of these examples; the same arguments, the same player.

        Args:
            real: (N, D) float.
            fake: (M, D) float.
            seed: of whatever the fit draws, in [0, 2^63).
        """
        self.real, self.fake = real.detach().clone(), fake.detach().clone()
        self.seed = torch.tensor(seed, dtype=torch.int64, device=real.device)
        self.learn()

    def learn(self) -> None:
        """Prepares the answers, from the examples and the seed alone."""

    def answer(self, rows: Tensor) -> Tensor:
        """(N, D) -> (N,) logits, once there are examples."""
        raise NotImplementedError

    def record(self) -> dict[str, Any]:
        """What it is, as plain JSON values."""
        raise NotImplementedError

    def forward(self, *parts: Tensor) -> Tensor:
        """x (N, ...), and whatever else belongs to the items, -> logits (N,)."""
        rows = torch.cat([part.flatten(1).float() for part in parts], 1)
        if not len(self.real):
            return rows.new_zeros(len(rows))
        if rows.shape[1] != self.real.shape[1]:
            raise BadInput(f"this player was fitted to {self.real.shape[1]} numbers per item, got {rows.shape[1]}")
        return self.answer(rows)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("real", "fake"):  # their lengths are part of what is loaded
            stored = state_dict.get(prefix + name)
            if stored is not None:
                setattr(self, name, torch.empty_like(stored, device=self.real.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.learn()


class Classifier(Fitted):
    """A scikit-learn classifier: logistic regression, boosted trees, a pipeline, or anything else of that kind.

    Its logit is the classifier's decision function, else the logit of its probability. Of a classifier that fits
    probabilities this is the log odds of real against fake. It has no gradient: the generator learns by `Evolution`.

    Restoring fits it again to its examples with its seed, which gives the very same player for an estimator that is a
    function of its data and its random_state, on one machine with one number of threads. Every random_state in the
    estimator is dealt from the seed; a warm start has no effect.

    Args:
        estimator: unfitted, with get_params; these must be plain values, or estimators in turn.
        bound: logits are clamped to [-bound, bound]; an estimator may be as sure as it likes, and some are without
            bound. 10 is a probability of 0.99995.
    """

    def __init__(self, estimator: Any, *, bound: float = 10.0) -> None:
        super().__init__()
        if not hasattr(estimator, "get_params") or isinstance(estimator, type):
            raise BadInput(f"a classifier is an object of scikit-learn's kind, with get_params; got {estimator!r}")
        if not (hasattr(estimator, "decision_function") or hasattr(estimator, "predict_proba")):
            raise BadInput(f"a classifier needs decision_function or predict_proba, {_path(estimator)} has neither")
        self.estimator, self.bound = estimator, bound
        self.fitted: Any = None
        self.shift = 0.0
        self.record()

    def learn(self) -> None:
        self.fitted = None
        if not len(self.real):
            return
        self.fitted = _clone(self.estimator)
        draws = [key for key in self.fitted.get_params() if key.rsplit("__", 1)[-1] == "random_state"]
        self.fitted.set_params(**dict.fromkeys(draws, int(self.seed) % 2**32))
        labels = torch.cat([torch.ones(len(self.real)), torch.zeros(len(self.fake))])
        self.fitted.fit(_numbers(torch.cat([self.real, self.fake])), labels.numpy())
        # The odds of a classifier are those of its examples; of as many real as fake ones, they are p to q.
        self.shift = math.log(len(self.real) / len(self.fake))

    def answer(self, rows: Tensor) -> Tensor:
        logits: Tensor = _OnRows.apply(rows, self._ask)  # type: ignore[no-untyped-call]
        return logits

    def _ask(self, rows: Tensor) -> Tensor:
        x = _numbers(rows)
        if hasattr(self.fitted, "decision_function"):
            logits = torch.as_tensor(self.fitted.decision_function(x))
        else:
            logits = torch.logit(torch.as_tensor(self.fitted.predict_proba(x)[:, 1]).double(), 1e-12)
        return (logits - self.shift).clamp(-self.bound, self.bound).to(rows.device, torch.float32)

    def record(self) -> dict[str, Any]:
        return {**described(self.estimator), "bound": self.bound}


class _OnRows(torch.autograd.Function):
    """A function of numpy rows as an operation of torch: without gradient, and vectorised as one longer call."""

    @staticmethod
    def forward(rows: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        return function(rows)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        return None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, None], rows: Tensor, function: Callable[[Tensor], Tensor]) -> Any:
        rows = rows.movedim(dims[0] or 0, 0)
        return _OnRows.apply(rows.flatten(0, 1), function).view(rows.shape[:2]), 0  # type: ignore[no-untyped-call]


class Witness(Fitted):
    """The witness function of two samples: where real examples are denser than fake ones, and conversely.

    f(x) = mean_i k(x, real_i) - mean_j k(x, fake_j), Gretton et al. (2012), section 2.3, with k the mean of Gaussian
    kernels exp(-|x - y|^2 / (2 b^2)). Played with the loss `wasserstein`, its cost on its own examples is minus the
    squared maximum mean discrepancy of both (biased, eq. 5): the game of Li et al. (2015) and Dziugaite et al. (2015).
    It can be differentiated by x, so the generator may learn by `Gradient`.

    Args:
        bandwidths: b, in units of x.
    """

    def __init__(self, bandwidths: tuple[float, ...] = (0.1, 0.3, 1.0)) -> None:
        super().__init__()
        if not bandwidths or min(bandwidths) <= 0:
            raise BadInput(f"a witness needs bandwidths above 0, got {bandwidths}")
        self.bandwidths = tuple(float(b) for b in bandwidths)

    def answer(self, rows: Tensor) -> Tensor:
        return self._mean_kernel(rows, self.real) - self._mean_kernel(rows, self.fake)

    def _mean_kernel(self, rows: Tensor, examples: Tensor) -> Tensor:
        squared = torch.cdist(rows, examples, compute_mode="donot_use_mm_for_euclid_dist").square()
        return torch.stack([torch.exp(-squared / (2 * b * b)).mean(1) for b in self.bandwidths]).mean(0)

    def record(self) -> dict[str, Any]:
        return {"class": "Witness", "bandwidths": list(self.bandwidths)}


def described(estimator: Any) -> dict[str, Any]:
    """An estimator's class and parameters as plain JSON values; estimators among them likewise.

    Raises:
        BadInput: a parameter that is neither.
    """
    params = estimator.get_params(deep=False)
    return {"class": _path(estimator), "params": {key: _plain(estimator, key, value) for key, value in params.items()}}


def _plain(estimator: Any, key: str, value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such number
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(estimator, key, item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(estimator, key, item) for name, item in value.items()}
    if hasattr(value, "get_params") and not isinstance(value, type):
        return described(value)
    raise BadInput(
        f"parameter '{key}' of {_path(estimator)} must be a plain value or an estimator to be kept as JSON,"
        f" got {type(value).__name__}; give numbers, strings, lists or None"
    )


def _path(estimator: Any) -> str:
    return f"{type(estimator).__module__}.{type(estimator).__qualname__}"


def _clone(estimator: Any) -> Any:
    try:
        from sklearn.base import clone
    except Exception as error:
        raise BadInput("a classifier needs scikit-learn; pip install 'evenodds[sklearn]'") from error
    return clone(estimator)


def _numbers(rows: Tensor) -> Any:
    return rows.detach().cpu().double().numpy()
