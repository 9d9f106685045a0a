"""What held-out data say of a game as it stands: figures with intervals, and a quick glance in between."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from evenodds.data.dataset import Dataset
from evenodds.data.readers.toys import DENSITIES
from evenodds.game.arithmetic import evenly
from evenodds.game.rules import Batch
from evenodds.game.seeds import mix
from evenodds.metrics._cells import class_means, clusters, shares
from evenodds.metrics.features.pixels import Pixels
from evenodds.metrics.neighbours import nearest_other
from evenodds.metrics.sliced import SlicedTo
from evenodds.tasks._playable import Playable

__all__ = ["Evidence", "apart", "wins"]

T = TypeVar("T")

GLANCE = 256
"""Held-out items, training items and samples of a glance."""
CELLS = 20
"""Clusters into which data without classes are cut."""


@dataclass(frozen=True)
class Evidence:
    """Measures a game by items that it was never shown; always the same items and draws, so that figures compare.

    Args:
        dataset: all items.
        task: what is played.
        train_index: (N,) the items that are trained on.
        held_out_index: (M,) those that are not.
        seed: of the draws.
        device: where the players are.
        toy: the name of the density that the items were drawn from, where its modes are known.
    """

    dataset: Dataset
    task: Playable
    train_index: Tensor
    held_out_index: Tensor
    seed: int
    device: torch.device
    toy: str | None = None

    @property
    def enough(self) -> bool:
        """Whether anything can be measured."""
        return len(self.held_out_index) >= 4

    def _samples(self, generator: nn.Module, beside: Batch, draw: int) -> Tensor:
        """One sample beside each real item, on the CPU."""
        request = self.task.request_for(beside, torch.Generator().manual_seed(mix(self.seed, draw)))
        parts = zip(*(torch.split(value.to(self.device), 256) for value in request.values()), strict=True)
        answers = [self.task.answer({"generator": generator}, dict(zip(request, part, strict=True))) for part in parts]
        return torch.cat([answer["x"].float().cpu() for answer in answers])

    @torch.no_grad()
    def glance(self, generator: nn.Module, players: Mapping[str, nn.Module], closely: bool = True) -> dict[str, Any]:
        """Cheap signs of trouble, for a few hundred items.

        Args:
            generator: whose samples are looked at, such as the average.
            players: of the game; like the generator, in evaluation mode.
            closely: whether "apart", "d_fake" and "d_memory" are found out too, which take half of the time.

        Returns:
            "shares": of the samples, by cell. "spread": the standard deviation of samples over that of real items.
            "apart": how far a sample is from the nearest other one, over the same of as many real items (medians).
            "d_fake": how often D prefers a held-out item to a sample; "d_memory": a training item to a held-out one,
            both in [0, 1], 1/2 for none. Nothing where a sample is not finite, and {} without held-out items.
        """
        if not self.enough:
            return {}
        x = self._samples(generator, self.few, -3)
        if not all(bool(extreme.isfinite()) for extreme in x.aminmax()):  # NaN where any value is
            return {"finite": False}
        features = self._plain(x)
        figures: dict[str, Any] = {
            "shares": [round(float(s), 4) for s in shares(features, self.cells)],
            "spread": float((spread(features) / self._spread_due.clamp_min(1e-12)).sqrt()),
            "distance": float(self._distance_to(features)),
        }
        if not closely:
            return figures
        figures["apart"] = apart(features) / self._apart_due if self._apart_due else 1.0
        return figures | self._preferences(players, x if generator is players.get("generator") else None)

    def _preferences(self, players: Mapping[str, nn.Module], fake: Tensor | None) -> dict[str, float]:
        """What D prefers; nothing where none judges x, given no more than z and c were asked for.

        Args:
            fake: the samples of the generator that plays, where they are known.
        """
        if not set(self.task.request_names) <= {"z", "c"}:
            return {}
        if "discriminator" not in self._unconditional(players, self.few):
            return {}
        beside = self.few
        if fake is None:  # half as many tell whether D wins: that is nearly every pair, whose share is little in doubt
            beside = {name: values[::2] for name, values in self.few.items()}
            fake = self._samples(players["generator"], beside, -3)
        pairs = ((self.few, self.few["x"]), (self.trained, self.trained["x"]), (beside, fake))
        on_held_out, on_trained, on_fake = (self._logits(players, batch, x) for batch, x in pairs)
        if not all(bool(logits.isfinite().all()) for logits in (on_held_out, on_trained, on_fake)):
            return {}
        return {"d_fake": wins(on_held_out, on_fake), "d_memory": wins(on_trained, on_held_out)}

    def _logits(self, players: Mapping[str, nn.Module], batch: Batch, x: Tensor) -> Tensor:
        logits: Tensor = self._unconditional(players, batch)["discriminator"](x.to(self.device))
        return logits.float().cpu()

    def _unconditional(self, players: Mapping[str, nn.Module], batch: Batch) -> dict[str, nn.Module]:
        """The players as those of plain generation, given the c of a batch."""
        c = self.task.condition(batch)
        return self.task.unconditional(players, self.dataset.shape, None if c is None else c.to(self.device))

    @cached_property
    def few(self) -> Batch:
        """The held-out items of a glance."""
        return self._once("few", lambda: self.dataset.batch(_spread_over(self.held_out_index, GLANCE)))

    @cached_property
    def trained(self) -> Batch:
        """The training items of a glance."""
        index = _spread_over(self.train_index, GLANCE)
        return self._once(("trained", index.numpy().tobytes()), lambda: self.dataset.batch(index))

    @cached_property
    def _apart_due(self) -> float:
        return self._once("apart", lambda: apart(self._real))

    @cached_property
    def _spread_due(self) -> Tensor:
        return self._once("spread", lambda: spread(self._real))

    @cached_property
    def _distance_to(self) -> SlicedTo:
        rng = torch.Generator().manual_seed(0)
        return self._once("distance", lambda: SlicedTo(self._real, directions=64, rng=rng))

    @cached_property
    def _real(self) -> Tensor:
        return self._plain(self.few["x"])

    def _once(self, what: Hashable, find: Callable[[], T]) -> T:
        """What follows from the held-out items alone: the next run of the same data finds it known."""
        return self.dataset.once(("glance", what, self.held_out_index.numpy().tobytes()), find)

    @cached_property
    def _plain(self) -> Pixels:
        return Pixels(self.dataset.shape)

    @cached_property
    def _named(self) -> tuple[Tensor, tuple[str, ...], bool]:
        """The centres of the cells, what they are called, and whether they are the data's own."""
        return self._once(("cells", self.toy), self._found_cells)

    def _found_cells(self) -> tuple[Tensor, tuple[str, ...], bool]:
        data = self.dataset
        if (
            self.toy is not None
            and (modes := DENSITIES[self.toy]().modes) is not None
            and modes.shape[1] == data.shape[0]
        ):
            return data.units.to_model(modes.float()), tuple(f"mode {k + 1}" for k in range(len(modes))), True
        batch = data.batch(_spread_over(self.held_out_index, 2000))
        features = self._plain(batch["x"])
        if "y" in batch and len(data.classes) > 2 and bool((batch["y"] >= 0).any()):
            means, labels = class_means(features, batch["y"])
            return means, tuple(data.classes[label] for label in labels), True
        centres = clusters(features, min(CELLS, max(1, len(features) // 10)), rng=torch.Generator().manual_seed(0))
        return centres, tuple(f"cluster {k + 1}" for k in range(len(centres))), False

    @property
    def ground_truth(self) -> bool:
        """Whether the cells are the data's own modes or classes, not clusters that were found."""
        return self._named[2]

    @property
    def cells(self) -> Tensor:
        """(K, D): modes of a toy, means of classes, or clusters of the held-out items."""
        return self._named[0]

    @property
    def names(self) -> tuple[str, ...]:
        """What the cells are called."""
        return self._named[1]

    @cached_property
    def due(self) -> tuple[float, ...]:
        """The share of held-out items in each cell."""

        def found() -> tuple[float, ...]:
            held_out = self._plain(self.dataset.batch(_spread_over(self.held_out_index, 2000))["x"])
            return tuple(shares(held_out, self.cells).tolist())

        return self._once(("due", self.toy), found)


def wins(a: Tensor, b: Tensor) -> float:
    """How often a value of a (N,) is above one of b (M,), ties counting half: Mann and Whitney (1947), U / N M."""
    return float(((a[:, None] > b).double() + 0.5 * (a[:, None] == b).double()).mean())


def spread(x: Tensor) -> Tensor:
    """The variances of all columns of x (N, D), together: torch.var by column takes ten times as long."""
    return (x - x.mean(0)).square_().sum() / (len(x) - 1)


def apart(x: Tensor) -> float:
    """The median distance of a row of x (N, D) from the nearest other one."""
    return float(nearest_other(x, torch.arange(len(x))).median())


def _spread_over(index: Tensor, most: int) -> Tensor:
    """At most so many of them, spread over all."""
    return index[evenly(len(index), most)]
