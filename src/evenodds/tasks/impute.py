"""Empty cells of tables, filled by draws from all conditionals p(x_S | x_rest) of a row: multiple imputation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.rules import Batch, Players
from evenodds.parts.masks import Masks, Scattered
from evenodds.tasks._description import DataDescription
from evenodds.tasks._playable import NetworkSpec, Scoring
from evenodds.tasks.fill import Fill

__all__ = ["HiddenCells", "Impute"]

FILLINGS = 16
"""Of each held-out row, whose mean is scored."""


@dataclass(frozen=True, kw_only=True)
class Impute(Fill):
    """The game of Fill, played on the rows of a table whose empty cells are what is missing.

    A batch has "x" (N, D), NaN where a cell is empty, and "row" (N,) int64, the number of each row, by which a filler
    with a memory of rows keeps a row from being its own neighbour.

    Args:
        low, high: each row hides a share of its observed cells drawn between these.
    """

    draws: ClassVar[bool] = False
    usage: ClassVar[str] = ""
    families: ClassVar[tuple[str, ...]] = ("rows",)
    kinds: ClassVar[tuple[str, ...]] = ("table",)
    instead: ClassVar[str] = "; images are filled by the recipe fill-32 (task=fill)"
    snapshot_items: ClassVar[int] = 0

    masks: Masks = field(init=False)
    beside: tuple[str, ...] = field(init=False, default=("row",))
    fillings: int = 4
    adversarial: float = 0.1
    low: float = 0.05
    high: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "masks", Scattered(self.low, self.high))
        super().__post_init__()

    @classmethod
    def layout(cls, options: Mapping[str, Any]) -> str:
        """A table, whose empty cells are what is missing."""
        return "gaps"

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """Refuses data that were not read for it."""
        if not data.has_gaps:
            raise BadInput(
                "task 'impute' reads its table from a file; name one, or fill arrays and data frames with "
                "evenodds.estimators.GANImputer"
            )
        return {}

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The network of each player, for rows of that shape."""
        filler = {"generator": NetworkSpec(self.generator_kind, (self.prior.size, tuple(shape)))}
        discriminator = {"discriminator": NetworkSpec("Discriminator", ((3 * shape[0],),))}
        return {**filler, **(discriminator if self.adversarial else {})}

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """As Fill does; what is NaN is not observed."""
        x = real["x"]
        return super().deal({**real, "x": x.nan_to_num(0.0), "observed": (~x.isnan()).float()}, rng)

    @property
    def scoring(self) -> Scoring:
        """Of observed cells that were hidden."""
        return HiddenCells()

    def request_for(self, real: Batch, rng: torch.Generator) -> Batch:
        """A request for several fillings of each row, of which a part of the observed cells is hidden."""
        x = real["x"]
        mask = (~x.isnan()).float() * self.masks(x.shape, rng).to(x.device)
        z = self.prior(FILLINGS * len(x), rng).view(len(x), FILLINGS, -1)
        return {"x": x, "mask": mask, "z": z, "row": real["row"]}

    def answer(self, players: Players, request: Batch) -> Batch:
        """Fills in.

        Args:
            request: "x" (N, D), of any value where "mask" (N, D) is 0; "z" (N, K, latent); and "row" (N,), -1 of rows
                that are not in the data.

        Returns:
            "x" (N, K, D): K fillings of each row, bit for bit the x of the request where the mask is 1; and "mask".
        """
        z = request["z"].transpose(0, 1).flatten(0, 1)
        filled = super().answer(players, {**request, "z": z})["x"]
        return {"x": filled.view(-1, *request["x"].shape).transpose(0, 1), "mask": request["mask"]}

    def snapshot(self, real: Batch, answer: Callable[[Batch], Batch]) -> list[Tensor]:
        """No picture shows rows."""
        return []


class HiddenCells:
    """How far fillings are from observed cells that were hidden, on the scale on which players see the columns."""

    by_appearance = False
    worst = math.inf
    score_is = "error of hidden cells on the scale of their columns, where 1 is a standard deviation"

    def tally(self, real: Batch, answer: Batch) -> Tensor:
        """(N, 3): the squared errors of the mean of fillings and of one, and how many cells were hidden."""
        x, fillings = real["x"].cpu(), answer["x"].cpu()
        hidden = (~x.isnan()).float() * (1 - answer["mask"].cpu())
        x = x.nan_to_num(0.0)
        errors = [((guess - x).square() * hidden).sum(1) for guess in (fillings.mean(1), fillings[:, 0])]
        return torch.stack([*errors, hidden.sum(1)], 1)

    def figures(self, tallies: Tensor) -> dict[str, float]:
        """The errors of the mean of fillings, and of one."""
        of_mean, of_one, hidden = tallies.double().sum(0).tolist()
        cells = max(1.0, hidden)
        return {"score": (of_mean / cells) ** 0.5, "error_of_one": (of_one / cells) ** 0.5}
