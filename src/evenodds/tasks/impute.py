"""Empty cells of tables, filled by draws from all conditionals p(x_S | x_rest) of a row: multiple imputation.

Numbers are drawn as the filler answers. Words are drawn by its probabilities of them, whose cost is the cross-entropy
of hidden words beside the scores of hidden numbers, as Yoon et al. (2018, section 4, L_M) have a cost for either kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.rules import Batch, Players
from evenodds.parts.choosing import Block, choices_in
from evenodds.parts.losses import scoring
from evenodds.parts.masks import Masks, Scattered
from evenodds.parts.row_entries import Entries, entries_of
from evenodds.tasks._description import DataDescription
from evenodds.tasks._playable import NetworkSpec, Scoring
from evenodds.tasks.fill import Fill, MaskedGenerator, completed

__all__ = ["HiddenCells", "Impute"]

FILLINGS = 16
"""Of each held-out row, whose mean is scored."""


@dataclass(frozen=True, kw_only=True)
class Impute(Fill):
    """The game of Fill, played on the rows of a table whose empty cells are what is missing.

    A batch has "x" (N, E), NaN where a cell is empty, and "row" (N,) int64, the number of each row, by which a filler
    with a memory of rows keeps a row from being its own neighbour. A column is one entry of x, or one for each of its
    words, which are hidden together; the generator answers with their logits. The first entries of z draw the words.

    Args:
        low, high: each row hides a share of its observed cells drawn between these.
        words: weight of the cross-entropy of hidden words.
        blocks: of the columns, which the data decide; empty where no column is of words. See evenodds.parts.choosing.
    """

    draws: ClassVar[bool] = False
    judged_by: ClassVar[str] = "cells"
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
    words: float = 1.0
    blocks: tuple[Block, ...] = ()

    def __post_init__(self) -> None:
        masks = Scattered(self.low, self.high)
        object.__setattr__(self, "masks", _ByColumn(masks, self.blocks) if self.blocks else masks)
        super().__post_init__()
        if self.words < 0 or (self.blocks and not self.words):
            raise BadInput(f"hidden words are learned by task.words above 0, got {self.words}")

    @classmethod
    def layout(cls, options: Mapping[str, Any]) -> str:
        """A table, whose empty cells are what is missing."""
        return "gaps"

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """The columns; data that were not read for it are refused."""
        if not data.has_gaps:
            raise BadInput(
                "task 'impute' learns from a table in a file or a data frame; give one of these, or fill arrays with "
                "evenodds.estimators.GANImputer"
            )
        return {"blocks": data.row_blocks}

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The network of each player, for rows of that shape."""
        latent = self.prior.size - choices_in(self.blocks)
        filler = {"generator": NetworkSpec(self.generator_kind, (latent, tuple(shape)))}
        seen = shape[0] + 2 * (len(self.blocks) or shape[0])
        discriminator = {"discriminator": NetworkSpec("Discriminator", ((seen,),))}
        return {**filler, **(discriminator if self.adversarial else {})}

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """As Fill does; what is NaN is not observed."""
        x = real["x"]
        return super().deal({**real, "x": x.nan_to_num(0.0), "observed": (~x.isnan()).float()}, rng)

    def _filler(self, players: Players) -> nn.Module:
        return _Drawing(players["generator"], self.blocks) if self.blocks else players["generator"]

    def _mask_for_discriminator(self, mask: Tensor) -> Tensor:
        return entries_of(self.blocks, mask.device).by_column(mask) if self.blocks else mask

    def _fillings(self, generator: nn.Module, hand: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        if not self.blocks:
            return super()._fillings(generator, hand)
        assert isinstance(generator, MaskedGenerator)
        drawing = generator.generator
        assert isinstance(drawing, _Drawing)
        z, many = hand["z"], (self.fillings, len(hand["x"]))
        filled, log_shares = drawing.filled(hand["x"] * hand["mask"], hand["mask"], z, **generator.beside)
        cost = _cross_entropy(log_shares.view(*many, -1), hand["x"], hand["hidden"], drawing.entries(z))
        return generator.within(filled).view(*many, -1), {"words": self.words * cost.mean()}

    def _scored(self, fillings: Tensor, hand: Batch) -> dict[str, Tensor]:
        """The joint score of all that is hidden, in which two words are as far apart as two numbers, and the others of
        numbers, by their share among hidden cells."""
        if not self.blocks:
            return super()._scored(fillings, hand)
        entries, x = entries_of(self.blocks, fillings.device), hand["x"]
        stretched, cells = entries.widths.sqrt(), hand["hidden"] / entries.widths
        numbers = hand["hidden"] * entries.numbers
        part = numbers.sum(1) / cells.sum(1).clamp_min(1)
        scores = {}
        for name, weight in self._scores().items():
            rule = getattr(scoring, name)
            if name == "joint":
                of_rows = scoring.score(fillings * stretched, x * stretched, cells, rule)
            else:
                of_rows = part * scoring.score(fillings, x, numbers, rule)
            scores[name] = weight * of_rows.mean()
        return scores

    @property
    def scoring(self) -> Scoring:
        """Of observed cells that were hidden."""
        return HiddenCells(self.blocks)

    def request_for(self, real: Batch, rng: torch.Generator) -> Batch:
        """A request for several fillings of each row, of which a part of the observed cells is hidden."""
        x = real["x"]
        mask = (~x.isnan()).float() * self.masks(x.shape, rng).to(x.device)
        z = self.prior(FILLINGS * len(x), rng).view(len(x), FILLINGS, -1)
        return {"x": x, "mask": mask, "z": z, "row": real["row"]}

    def answer(self, players: Players, request: Batch) -> Batch:
        """Fills in.

        Args:
            request: "x" (N, E), of any value where "mask" (N, E) is 0; "z" (N, K, latent); and "row" (N,), -1 of rows
                that are not in the data.

        Returns:
            "x" (N, K, E): K fillings of each row, bit for bit the x of the request where the mask is 1; "mask"; and
            where columns are of words "shares" (N, C), the probabilities of all their words side by side.
        """
        generator: Any = players["generator"]
        if hasattr(generator, "answered"):  # an exported file draws words itself
            return generator.answered(request)  # type: ignore[no-any-return]
        x, mask, z = request["x"], request["mask"], request["z"].transpose(0, 1).flatten(0, 1)
        if not self.blocks:
            filled = super().answer(players, {**request, "z": z})["x"]
            return {"x": filled.view(-1, *x.shape).transpose(0, 1), "mask": mask}
        drawing = _Drawing(players["generator"], self.blocks)
        with torch.no_grad():
            observed = torch.where(mask > 0, x, 0.0)
            filled, log_shares = drawing.filled(observed, mask, z, **{name: request[name] for name in self.beside})
            shares = log_shares.exp().view(-1, len(x), choices_in(self.blocks)).mean(0)
        return {"x": filled.view(-1, *x.shape).transpose(0, 1), "mask": mask, "shares": shares}

    def snapshot(self, real: Batch, answer: Callable[[Batch], Batch]) -> list[Tensor]:
        """No picture shows rows."""
        return []


class _Drawing(nn.Module):
    """(x (N, E), mask (N, E), z (K N, choices + latent), ...) -> (K N, E): a filler whose words are drawn."""

    def __init__(self, filler: nn.Module, blocks: tuple[Block, ...]) -> None:
        super().__init__()
        self.filler, self.blocks, self.noise = filler, blocks, choices_in(blocks)

    def entries(self, like: Tensor) -> Entries:
        return entries_of(self.blocks, like.device)

    def _logits(self, x: Tensor, mask: Tensor, z: Tensor, beside: dict[str, Tensor]) -> Tensor:
        """(K N, E): numbers, and the logits of words."""
        logits: Tensor = self.filler(x, mask, z[:, self.noise :], **beside)
        return logits

    def _drawn(self, logits: Tensor, z: Tensor) -> Tensor:
        return self.entries(z).drawn(logits, z[:, : self.noise])

    def filled(self, x: Tensor, mask: Tensor, z: Tensor, **beside: Tensor) -> tuple[Tensor, Tensor]:
        """(K N, E): x (N, E) where observed, and elsewhere what is drawn; and (K N, C), the logarithms of the
        probabilities of words."""
        logits = self._logits(x, mask, z, beside)
        return completed(x, mask, self._drawn(logits, z)), self.entries(z).log_shares(logits)

    def forward(self, x: Tensor, mask: Tensor, z: Tensor, **beside: Tensor) -> Tensor:
        return self._drawn(self._logits(x, mask, z, beside), z)


@dataclass(frozen=True)
class _ByColumn:
    """Masks that are alike in all entries of a column."""

    masks: Masks
    blocks: tuple[Block, ...]

    def __call__(self, shape: Sequence[int], rng: torch.Generator) -> Tensor:
        return entries_of(self.blocks, rng.device).by_entry(self.masks((shape[0], len(self.blocks)), rng))


def _cross_entropy(log_shares: Tensor, x: Tensor, hidden: Tensor, entries: Entries) -> Tensor:
    """(N,): of hidden words, by their share among hidden cells.

    The probability of a word is the mean over the fillings, which may so differ together.

    Args:
        log_shares: (K, N, C).
        x: (N, E), 1 for the word that is there.
        hidden: (N, E).
    """
    truth = (x * hidden).index_select(1, entries.words)
    mixed = log_shares.logsumexp(0) - math.log(len(log_shares))
    cells = entries.by_column(hidden).sum(1).clamp_min(1)
    return -(torch.where(truth > 0, mixed, 0.0)).sum(1) / cells


@dataclass(frozen=True)
class HiddenCells:
    """How far fillings are from observed cells that were hidden, on the scale on which players see the columns.

    Args:
        blocks: of the columns; empty where none is of words.
    """

    blocks: tuple[Block, ...] = ()
    by_appearance: ClassVar[bool] = False
    worst: ClassVar[float] = math.inf
    score_is: ClassVar[str] = "error of hidden cells on the scale of their columns, where 1 is a standard deviation"

    def tally(self, real: Batch, answer: Batch) -> Tensor:
        """(N, 3): the squared errors of the mean of fillings and of one, and how many cells were hidden."""
        x, fillings = real["x"].cpu(), answer["x"].cpu()
        hidden = (~x.isnan()).float() * (1 - answer["mask"].cpu())
        x = x.nan_to_num(0.0)
        errors = [((guess - x).square() * hidden).sum(1) for guess in (fillings.mean(1), fillings[:, 0])]
        cells = entries_of(self.blocks, x.device).by_column(hidden) if self.blocks else hidden
        return torch.stack([*errors, cells.sum(1)], 1)

    def figures(self, tallies: Tensor) -> dict[str, float]:
        """The errors of the mean of fillings, and of one."""
        of_mean, of_one, hidden = tallies.double().sum(0).tolist()
        cells = max(1.0, hidden)
        return {"score": (of_mean / cells) ** 0.5, "error_of_one": (of_one / cells) ** 0.5}
