"""A small network fitted to labelled examples: it says how well classes can be told apart, and by which features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.optimizers import eager
from evenodds.game.schedule import OnProgress
from evenodds.game.seeds import mix

__all__ = ["FEATURES", "Probe", "fit_probe", "new_probe", "train_probe"]

FEATURES = 128
"""Length of a probe's features."""


class Probe(nn.Module):
    """x (N, C, H, W) or (N, D) in [-1, 1] -> logits (N, classes).

    Images pass convolutions that halve each side down to at most 4, then two linear layers; rows pass four linear
    layers. Batch normalisation uses the fit's own statistics in eval mode: no item then depends on its neighbours.

    Args:
        shape: of one item, (C, H, W) with H, W >= 4, or (D,).
        classes: how many, at least 2.
        width: channels of the second convolution; rows pass layers four times as wide.

    Raises:
        BadInput: another shape, or fewer than 2 classes.
    """

    def __init__(self, shape: Sequence[int], classes: int, *, width: int = 32) -> None:
        super().__init__()
        self.shape, self.classes = tuple(int(side) for side in shape), int(classes)
        if len(self.shape) not in (1, 3) or min(self.shape) < 1 or min(self.shape[1:], default=4) < 4:
            raise BadInput(f"a probe needs items (C, H, W) with H, W >= 4, or (D,), got {self.shape}; pad small images")
        if self.classes < 2 or width < 2:
            raise BadInput(f"a probe needs at least 2 classes and width >= 2, got {classes} and {width}")
        self.body = _convolutions(self.shape, width) if len(self.shape) == 3 else _linear(self.shape[0], 4 * width)
        self.head = nn.Linear(FEATURES, self.classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, 128) at least 0: what the last layer sees."""
        if tuple(x.shape[1:]) != self.shape:
            raise BadInput(f"x must be (N, {', '.join(map(str, self.shape))}), got {tuple(x.shape)}; resize it first")
        features: Tensor = self.body(x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x)
        return features

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def _convolutions(shape: tuple[int, ...], width: int) -> nn.Sequential:
    sizes = _sizes(shape[1], shape[2])
    channels = [shape[0], width // 2, width, *[2 * width] * (len(sizes) - 3)]
    layers: list[nn.Module] = []
    for number, (before, after) in enumerate(pairwise(sizes)):
        stride = (1 + (after[0] < before[0]), 1 + (after[1] < before[1]))
        layers += [nn.Conv2d(channels[number], channels[number + 1], 3, stride, 1)]
        # The first layer goes without: at full size, normalisation costs as much as the convolution.
        layers += [nn.BatchNorm2d(channels[number + 1])] * (number > 0) + [nn.ReLU()]
    inputs = channels[-1] * sizes[-1][0] * sizes[-1][1]
    layers += [nn.Flatten(), nn.Linear(inputs, FEATURES, bias=False), nn.BatchNorm1d(FEATURES), nn.ReLU()]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes from layer to layer: small images keep theirs in the first layer, and there are at least two layers."""
    sizes = [(height, width)] * (2 if max(height, width) <= 40 else 1)
    while max(sizes[-1]) > 4 or len(sizes) < 3:
        high, wide = sizes[-1]
        sizes += [((high + 1) // 2 if high > 4 else high, (wide + 1) // 2 if wide > 4 else wide)]
    return sizes


def _linear(columns: int, width: int) -> nn.Sequential:
    # Columns of tables differ in spread by orders; eps keeps one that was constant from being blown up without bound.
    layers: list[nn.Module] = [nn.BatchNorm1d(columns, eps=1e-3)]
    for inputs, outputs in pairwise([columns, width, width, FEATURES]):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def fit_probe(
    x: Tensor,
    y: Tensor,
    classes: int,
    *,
    seed: int,
    check: tuple[Tensor, Tensor] | None = None,
    images: int = 300_000,
    batch: int = 128,
    patience: int = 5,
    progress: OnProgress | None = None,
) -> Probe:
    """Fits a probe by AdamW with one rise and fall of the rate (Smith 2018), for at most 40 passes over the examples.

    On a CPU the same arguments give the same bits; the global random state is neither read nor changed.

    Args:
        x: (N, C, H, W) with H, W >= 4, or (N, D), float in [-1, 1].
        y: (N,) int64 in [0, classes), or -1: that row is left out.
        classes: how many, at least 2.
        seed: of the first weights and of the order of the examples.
        check: x and y of examples that are not fitted: the weights with the lowest cross-entropy on them are kept.
        images: examples to see at most, each as often as it is drawn.
        batch: examples per step.
        patience: with `check`, of 20 looks at it in all, so many without a lower cross-entropy end the fit.
        progress: called after each look with images seen and images at most.

    Returns:
        The probe in eval mode, on the device of x, without gradients.

    Raises:
        BadInput: shapes that do not go together, no labelled rows, labels out of range, or values not finite.
    """
    x, y = _labelled(x, y, classes, "fit")
    looks = _EarlyStopping(None if check is None else _labelled(*check, classes, "check"), patience)
    probe = new_probe(x.shape[1:], classes, seed).to(x.device)
    steps = max(1, min(images, 40 * len(x)) // batch)
    for step in train_probe(probe, x, y, steps=steps, batch=batch, seed=seed):
        if step % max(1, steps // 20) == 0 or step == steps:
            if progress is not None:
                progress(step * batch, steps * batch)
            if looks.enough(probe):
                break
    return looks.best(probe).eval().requires_grad_(False)


def new_probe(shape: Sequence[int], classes: int, seed: int, width: int = 32) -> Probe:
    """A probe whose first weights depend on the seed alone, with the initialisation of PyTorch (He et al. 2015).

    Args:
        shape: of one item, (C, H, W) with H, W >= 4, or (D,).
        classes: how many, at least 2.
        seed: of the weights; the global random state is neither read nor changed.
        width: channels of the second convolution.

    Returns:
        The probe in training mode, on the CPU.

    Raises:
        BadInput: another shape, or fewer than 2 classes.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(mix(seed, 0))
        return Probe(shape, classes, width=width)


def train_probe(
    probe: Probe,
    x: Tensor,
    y: Tensor,
    *,
    steps: int,
    batch: int,
    seed: int,
    rate: float = 3e-3,
    weights: Tensor | None = None,
    fused: bool = False,
) -> Iterator[int]:
    """Trains a probe by AdamW with one rise and fall of the rate (Smith 2018), and yields the number of each step.

    Args:
        probe: on the device of x; it is changed.
        x: (N, ...) float in [-1, 1].
        y: (N,) int64 in [0, classes).
        steps: how many, at least 1; whoever stops early leaves the probe as it is then.
        batch: examples per step.
        seed: of the order of the examples.
        rate: the highest learning rate.
        weights: (N,) of each example's cost; None for the plain mean.
        fused: whether AdamW takes its step in one kernel, with other rounding.

    Returns:
        1, 2, ... up to `steps`, each after that step.

    Raises:
        BadInput: fewer than 1 step or item.
    """
    if steps < 1 or len(x) < 1:
        raise BadInput(f"a probe is trained for at least 1 step on at least 1 item, got {steps} and {len(x)}")
    optimizer = eager(torch.optim.AdamW)(probe.parameters(), lr=rate, weight_decay=0.01, fused=fused)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps + 1, pct_start=0.15, cycle_momentum=False)
    for step, index in enumerate(_batch_indices(len(x), steps, batch, seed), 1):
        rows = index.to(x.device)
        optimizer.zero_grad()
        if not probe.training:  # at first, and after a look; to tell each layer of it takes a tenth of a step
            probe.train()
        logits = probe(x[rows])
        if weights is None:
            cost = F.cross_entropy(logits, y[rows])
        else:
            cost = (F.cross_entropy(logits, y[rows], reduction="none") * weights[rows]).mean()
        cost.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        yield step


class _EarlyStopping:
    """Remembers the weights with the lowest cross-entropy on examples that are not fitted."""

    def __init__(self, check: tuple[Tensor, Tensor] | None, patience: int) -> None:
        self.check, self.patience = check, patience
        self.lowest, self.since = float("inf"), 0
        self.best_state: dict[str, Tensor] | None = None

    @torch.no_grad()
    def enough(self, probe: Probe) -> bool:
        """Looks once; whether the last `patience` looks brought nothing."""
        if self.check is None:
            return False
        x, y = self.check
        parts = (slice(start, start + 1024) for start in range(0, len(x), 1024))
        cost = sum(float(F.cross_entropy(probe.eval()(x[part]), y[part], reduction="sum")) for part in parts)
        self.since = 0 if cost < self.lowest else self.since + 1
        if self.since == 0:
            self.lowest = cost
            self.best_state = {name: value.clone() for name, value in probe.state_dict().items()}
        return self.since >= self.patience

    def best(self, probe: Probe) -> Probe:
        """The probe with the weights that were kept."""
        if self.best_state is not None:
            probe.load_state_dict(self.best_state)
        return probe


def _batch_indices(n: int, steps: int, batch: int, seed: int) -> Iterator[Tensor]:
    """Batches from one permutation after the other, without a gap: all are full, as batch normalisation wants."""
    rng = torch.Generator().manual_seed(mix(seed, 1))
    waiting = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(waiting) < batch:
            waiting = torch.cat((waiting, torch.randperm(n, generator=rng)))
        yield waiting[:batch]
        waiting = waiting[batch:]


def _labelled(x: Tensor, y: Tensor, classes: int, part: str) -> tuple[Tensor, Tensor]:
    """The rows whose label is known, as float32 and int64."""
    if len(x) != len(y) or y.ndim != 1 or y.is_floating_point():
        raise BadInput(f"{len(x)} examples to {part} need ({len(x)},) whole labels, got {tuple(y.shape)} {y.dtype}")
    labelled = (y != -1).nonzero().flatten()
    if not len(labelled):
        raise BadInput(f"a probe needs labelled examples to {part}, got none of {len(x)}; give labels other than -1")
    x, y = x.detach()[labelled.to(x.device)].float(), y[labelled].to(x.device, torch.int64)
    if int(y.min()) < 0 or int(y.max()) >= classes:
        raise BadInput(f"labels must lie in [-1, {classes - 1}], got [{int(y.min())}, {int(y.max())}]; check `classes`")
    if not bool(x.isfinite().all()):
        raise BadInput(f"the examples to {part} must be finite, got NaN or infinity; leave those rows out")
    return x, y
