"""Whether the views of adaptive augmentation leak into the samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from torch import Tensor, nn

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.arithmetic import evenly
from evenodds.game.dial import Chanced
from evenodds.game.listeners.context import Order
from evenodds.game.listeners.scheduled import Periodic
from evenodds.game.modes import at_rest
from evenodds.game.processes import follows
from evenodds.game.rules import Batch
from evenodds.game.seeds import mix
from evenodds.metrics.probe import Probe, fit_probe
from evenodds.tasks._playable import Playable

if TYPE_CHECKING:
    from evenodds.runs.assembly import Run

__all__ = ["Leak", "LeakTest", "probed_items"]

ITEMS = 256
"""Held-out items, and samples, of one measurement."""


@dataclass
class Leak(Periodic):
    """Reports "views/leak" at every evaluation; see LeakTest."""

    order: ClassVar[Order] = Order.CONTROL

    @classmethod
    def for_run(cls, run: Run) -> Self | None:
        """On where samples are drawn and views act with a chance; of several processes, in the first."""
        view, config, task = run.task.contest.view, run.config, run.task
        if not isinstance(view, Chanced) or not task.draws or follows():
            return None
        test = LeakTest(
            run.dataset, task, view, lambda: run.sampler, run.train_index, run.held_out_index,
            config.seed, run.engine.device, config.images,
        )  # fmt: skip
        return cls(test.measure, max(config.batch, round(config.images / run.looks)))


@dataclass
class LeakTest:
    """Do samples bear the trace of the views? A small network that tells changed items from unchanged ones is asked.

    It is fitted once, to training items with and without the views. What is reported is the share of samples that it
    takes for changed, less the same share of held-out items: about 0 where nothing leaks, towards 1 where all does.
    Samples that look like no item at all may fall on either side: read it once samples are good.
    """

    dataset: Dataset
    task: Playable
    view: Chanced
    sampler: Callable[[], nn.Module]
    train_index: Tensor
    held_out_index: Tensor
    seed: int
    device: torch.device
    images: int

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """The figure "views/leak"; nothing without held-out items."""
        if len(self.held_out_index) < 4:
            return {}
        real = self._real
        request = self.task.request_for(real, torch.Generator().manual_seed(mix(self.seed, -4)))
        request = {k: v.to(self.device) for k, v in request.items()}
        generator = self.sampler()
        with at_rest(generator):
            fake = self.task.answer({"generator": generator}, request)["x"].float().cpu()
        return {"views/leak": self._changed(fake) - self._changed_due}

    @cached_property
    def _real(self) -> Batch:
        return self.dataset.batch(probed_items(self.held_out_index, "the leak test"))

    @cached_property
    def _changed_due(self) -> float:
        return self._changed(self._real["x"])

    def _changed(self, x: Tensor) -> float:
        return float((self.detector(x).argmax(1) == 1).float().mean())

    @cached_property
    def detector(self) -> Probe:
        """Logits (N, 2): unchanged, changed. The next run of the same data, views and seed finds it fitted."""
        n = min(2000, len(self.train_index))
        shown = self.train_index[evenly(len(self.train_index), n)]
        images = max(1280, min(20_000, self.images // 20))
        key = (self.view.views, self.seed, images, shown.numpy().tobytes())
        return self.dataset.latest("leak", key, lambda: self._fitted(shown, images))

    def _fitted(self, shown: Tensor, images: int) -> Probe:
        """To training items with and without the views."""
        n, x = len(shown), self.dataset.batch(shown)["x"]
        rng = torch.Generator().manual_seed(mix(self.seed, -5))
        viewed = Chanced(self.view.views, 1.0)(x, torch.rand(n, self.view.dice, generator=rng))
        y = (torch.arange(2 * n) >= n).long()
        with torch.enable_grad():
            return fit_probe(torch.cat([x, viewed]), y, 2, seed=self.seed, images=images)


def probed_items(held_out_index: Tensor, what: str) -> Tensor:
    """At most 256 of the held-out items, evenly spread; BadInput where there are fewer than 4."""
    if len(held_out_index) < 4:
        raise BadInput(f"{what} looks at held-out items, of which there are {len(held_out_index)}; set held_out=0.1")
    return held_out_index[evenly(len(held_out_index), ITEMS)]
