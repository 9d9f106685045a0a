"""What a recipe may add to a run by name: further listeners, another choice of items, another contest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor, nn

from evenodds.data.dataset import Dataset
from evenodds.game.trainer import Listener
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config
from evenodds.runs.find import find, make
from evenodds.tasks._playable import Playable
from evenodds.tasks.contest import Contest

if TYPE_CHECKING:
    from evenodds.runs.assembly import Run

__all__ = ["Extra", "build_extras"]


class Extra:
    """An entry of `extras` in a configuration. Each method is called once a run; by itself it changes nothing."""

    def settle(
        self, config: Config, dataset: Dataset, seconds: float | None, say: Callable[[str], None]
    ) -> tuple[Config, list[Choice]]:
        """The configuration with settings that this extra decides, before the run is built.

        Args:
            seconds: of the budget; None without one.
        """
        return config, []

    def select(self, dataset: Dataset, train_index: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """The training items that are kept of train_index (N,), and sentences for the report."""
        return train_index, ()

    def contest(self, contest: Contest) -> Contest:
        """The terms on which generator and discriminator meet."""
        return contest

    def players(self, task: Playable) -> dict[str, nn.Module]:
        """What has a state and is kept in checkpoints like a player."""
        return {}

    def listeners(self, run: Run) -> dict[str, Listener]:
        """Further listeners by name; the moves of run.game may be replaced."""
        return {}


def build_extras(config: Config) -> list[Extra]:
    """The extras of a configuration."""
    return [make(f"extra '{part.name}'", find("extras", part.name), part.options) for part in config.extras]
