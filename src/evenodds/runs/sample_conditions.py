"""What samples of a run can be asked for: a class, attributes or values; and what they are where nothing is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.seeds import mix
from evenodds.parts.priors import Coded
from evenodds.runs.card import DataCard
from evenodds.tasks._playable import Playable

__all__ = ["SampleConditions"]


@dataclass(frozen=True)
class SampleConditions:
    """The conditions c of a run's samples.

    Args:
        task: says what c holds.
        card: has the names of classes, attributes and values, and how often each occurs in the training items.
    """

    task: Playable
    card: DataCard

    @property
    def kind(self) -> str | None:
        """What can be asked for: "classes", "attributes" or "values"; None for nothing."""
        return self.task.condition_kind

    @property
    def by_class(self) -> bool:
        """Whether samples are asked for by class."""
        return self.kind == "classes"

    def require_by_class(self, so: str = "none can be asked for", however: bool = True) -> None:
        """BadInput that says what to do where samples are not asked for by class.

        Args:
            so: what cannot be done.
            however: whether it helps where samples are asked for by anything else.
        """
        if self.by_class:
            return
        why = f"this run is not conditional on classes, so {so}"
        if not however:
            raise BadInput(f"{why}; {self._trained_anew()}")
        if self.kind is not None:
            raise BadInput(f"{why}; ask for {self._names()} with --given")
        raise BadInput(f"{why}; {self._instead()}")

    def _instead(self) -> str:
        """How samples of a run that is not conditional are asked for, or another run is made whose samples can be."""
        if self.card.units.columns and not self.card.classes:
            return f"ask for rows by what they hold, such as --given '{self.card.units.columns[0].name}=VALUE'"
        if isinstance(self.task.prior, Coded) and self.card.kind == "image":
            return "see what its code stands for with evenodds directions RUN --how codes"
        return self._trained_anew()

    def _trained_anew(self) -> str:
        """How a run is made whose samples can be asked for by class."""
        if len(self.card.classes) > 1:
            return "train with --set task=condition"
        if self.card.kind != "image":
            return f"its {self.card.noun} have no classes; train on data that have some, such as digits"
        return "its data have no classes: train on class folders, or images with a labels.csv or y"

    def to_model(self, y: Sequence[int] | None = None, given: Mapping[str, float] | None = None) -> Tensor:
        """c (N, K) of classes, or (1, K) of attributes or values; BadInput where the run does not know such.

        Args:
            y: numbers of classes.
            given: a number for each attribute or value, in its own units.
        """
        if self.kind is None:
            raise BadInput(f"this run is not conditional, so nothing can be asked for; {self._instead()}")
        if (y is None) == (given is None) or (y is None) == self.by_class:
            raise BadInput(f"this run is conditional on {self._names()}; ask for these, and nothing else")
        if y is None:
            assert self.card.conditions is not None
            return self.card.conditions.to_model(given or {})
        length = self.task.condition_length
        if len(y) and not 0 <= min(y) <= max(y) < length:
            raise BadInput(f"classes have the numbers 0 to {length - 1}, got {min(y)} to {max(y)}")
        return self._of_classes(torch.as_tensor(y))

    def for_samples(
        self, n: int, seed: int, batch: int, y: Sequence[int] | None, given: Mapping[str, float] | None
    ) -> Tensor | None:
        """c of n samples of that seed: as asked for, see `to_model`, or, where nothing is, see `sampled`."""
        return self.sampled(n, seed, batch) if y is None and given is None else self.to_model(y, given)

    def in_own_units(
        self, n: int, seed: int, y: Sequence[int] | None, given: Mapping[str, float] | None
    ) -> NDArray[np.float32] | None:
        """(n, K) the attributes or values of n samples in their own units, see `for_samples`; None of other runs."""
        if self.kind not in ("attributes", "values"):
            return None
        c = self.for_samples(n, seed, 256, y, given)
        assert c is not None
        assert self.card.conditions is not None
        return self.card.conditions.units.to_data(c).expand(n, -1).numpy()

    def _names(self) -> str:
        conditions = None if self.by_class else self.card.conditions
        names = self.card.classes if conditions is None else conditions.names
        return f"{'classes' if self.by_class else 'values'} ({', '.join(names)})"

    def _of_classes(self, y: Tensor) -> Tensor:
        """c (N, K) of classes y (N,)."""
        c = self.task.condition({"y": y})
        assert c is not None
        return c

    def sampled(self, n: int, seed: int = 0, batch: int = 256) -> Tensor | None:
        """c (n, K) of n samples of that seed where nothing is asked for: as it occurs in the training items.

        None for a run that is not conditional.
        """
        if self.kind is None:
            return None
        y = self.sampled_classes(n, seed, batch)
        if y is not None:
            return self._of_classes(torch.from_numpy(y))
        examples = torch.tensor(self.card.examples or ())
        if not len(examples):
            raise BadInput("data.json of this run has no examples of its conditions; say which with --given")
        assert self.card.conditions is not None
        index = torch.cat([torch.randint(len(examples), (batch,), generator=rng) for rng in _rngs(n, seed, batch)])
        return self.card.conditions.units.to_model(examples[index[:n]])

    def sampled_classes(self, n: int, seed: int = 0, batch: int = 256) -> NDArray[np.int64] | None:
        """(n,) the classes of n samples of that seed where none are asked for: in the shares of the training items.

        None for a run that is not conditional on classes.
        """
        if not self.by_class:
            return None
        counts = torch.tensor(self.card.class_shares)
        ends = (counts / counts.sum()).cumsum(0)[:-1]
        rngs = _rngs(n, seed, batch)
        classes = torch.cat([torch.bucketize(torch.rand(batch, generator=rng), ends) for rng in rngs])
        return np.asarray(classes[:n], np.int64)


def _rngs(n: int, seed: int, batch: int) -> Iterator[torch.Generator]:
    """One for each batch of n draws of c."""
    return (torch.Generator().manual_seed(mix(seed, k, 1)) for k in range(-(-n // batch)))
