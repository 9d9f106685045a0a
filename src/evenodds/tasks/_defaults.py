"""What most tasks answer alike to what a run asks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from evenodds.game.rules import Batch, Players, Task
from evenodds.game.schedule import Schedule
from evenodds.parts.priors import Prior
from evenodds.tasks._description import DataDescription
from evenodds.tasks._playable import Conversion, Scoring, WayBack

__all__ = ["TaskDefaults"]


class TaskDefaults:
    """What most tasks that draw samples answer alike. A task overrides what differs."""

    draws: ClassVar[bool] = True
    averaged: ClassVar[tuple[str, ...]] = ("generator",)
    learns_labels: ClassVar[bool] = False
    judged_by: ClassVar[str] = ""
    command: ClassVar[str] = "sample"
    usage: ClassVar[str] = "IN OUT"
    generator_kind: ClassVar[str] = "Generator"
    """Of `NetworkSpec`, of the generator whatever the data are."""
    families: ClassVar[tuple[str, ...]] = ()
    kinds: ClassVar[tuple[str, ...]] = ("image", "table", "toy")
    classes_first: ClassVar[bool] = False
    instead: ClassVar[str] = ""
    """Behind the error for a generator or data of another kind: what else may have been meant."""
    request_names: ClassVar[tuple[str, ...]] = ("z",)
    snapshot_items: ClassVar[int] = 0

    @property
    def stages(self) -> tuple[float, ...]:
        """None: all rounds are alike."""
        return ()

    @property
    def rates(self) -> Mapping[str, Schedule]:
        """None: all players learn at the run's rates."""
        return {}

    @property
    def condition_kind(self) -> str | None:
        """Nothing can be asked for."""
        return None

    @property
    def condition_length(self) -> int:
        """Nothing can be asked for."""
        return 0

    def of_one_more_class(self) -> Any:
        """Players know no classes."""
        return None

    @property
    def default_condition(self) -> Tensor | None:
        """c (1, K) where nothing is asked for: the first class, no attribute, the middle of all values."""
        if not self.condition_length:
            return None
        c = torch.zeros(1, self.condition_length)
        c[0, 0] = float(self.condition_kind == "classes")
        return c

    @property
    def sees_x_alone(self) -> bool:
        """Nothing lies beside x."""
        return True

    @property
    def deals_apart(self) -> bool:
        """Nothing is promised: tasks deal what they like."""
        return False

    @property
    def looks_at(self) -> str:
        """Others too."""
        return ""

    @property
    def scoring(self) -> Scoring | None:
        """Samples and data are compared as two sets."""
        return None

    @classmethod
    def layout(cls, options: Mapping[str, Any]) -> str:
        """Items alone; see evenodds.data.sources.load."""
        return "images"

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """All data suit the task, and no option follows from them."""
        return {}

    @classmethod
    def by_class(cls, data: DataDescription, options: Mapping[str, Any]) -> bool:
        """Nothing can be asked for."""
        return False

    @classmethod
    def has_generator(cls, options: Mapping[str, Any]) -> bool:
        """One does."""
        return True

    @classmethod
    def has_discriminator(cls, options: Mapping[str, Any]) -> bool:
        """One does, in all rounds."""
        return True

    @classmethod
    def idle(cls, options: Mapping[str, Any], prior: Prior | None) -> Mapping[str, str]:
        """None: all change the game."""
        return {}

    @classmethod
    def augmentation(cls, shape: Sequence[int], options: Mapping[str, Any]) -> str:
        """The discriminator sees items through views."""
        return "views=flip,translation"

    @classmethod
    def better_networks(cls, generator: str, discriminator: str, shape: Sequence[int]) -> str:
        """Nothing is known."""
        return ""

    def condition(self, batch: Batch) -> Tensor | None:
        """Nothing can be asked for."""
        return None

    def conversion(self, shape: Sequence[int]) -> Conversion | None:
        """No source images are taken."""
        return None

    def way_back(self, shape: Sequence[int]) -> WayBack | None:
        """No player has learned it."""
        return None

    def unconditional(self, players: Players, shape: Sequence[int], c: Tensor | None = None) -> dict[str, nn.Module]:
        """The generator and, where there is one, the discriminator, as they are."""
        return {name: players[name] for name in ("generator", "discriminator") if name in players}

    def fixtures(self) -> dict[str, nn.Module]:
        """Nothing."""
        return {}

    def require_parts(self) -> None:
        """Nothing is missing."""

    def read(self, players: Players, x: Tensor) -> Batch:
        """Nothing."""
        return {}

    def value_task(self) -> Task | None:
        """The task has no such value."""
        return None

    def snapshot(self, real: Batch, answer: Callable[[Batch], Batch]) -> list[Tensor]:
        """Samples alone are shown."""
        return []
