"""Games in which x follows from a source: one network learns it from pairs, later against a discriminator as well."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.rules import Batch, Costs, Move, Players
from evenodds.game.schedule import both, from_share, until_share
from evenodds.parts.priors import Prior
from evenodds.tasks._crops import Piece, deal_piece, piece_size
from evenodds.tasks._defaults import TaskDefaults
from evenodds.tasks._discriminator import DiscriminatorCosts
from evenodds.tasks._playable import WITHOUT_DISCRIMINATOR, Conversion, NetworkSpec, Scoring
from evenodds.tasks.contest import Contest

__all__ = ["ImageToImage", "Paired", "SourceAware"]

_LEAST_PIECE = 32  # Pixels of a side of pieces that are advised.


class ImageToImage(TaskDefaults, ABC):
    """A task whose answers are made of a source, an image, and can be held against the truth."""

    command: ClassVar[str] = "translate"
    generator_kind: ClassVar[str] = "Mapper"
    request_names: ClassVar[tuple[str, ...]] = ("source",)
    snapshot_items: ClassVar[int] = 6
    draws: ClassVar[bool] = False
    prior: ClassVar[None] = None
    worst: ClassVar[float] = math.inf

    @property
    def scoring(self) -> Scoring | None:
        """The task itself counts."""
        return self

    @abstractmethod
    def conversion(self, shape: Sequence[int]) -> Conversion:
        """What is made of a "source", for items x of that shape."""

    @classmethod
    def augmentation(cls, shape: Sequence[int], options: Mapping[str, Any]) -> str:
        """Pieces of images in all turns of the square; nothing where they are dealt so, or too small."""
        turns = options.get("turns", getattr(cls, "turns", "all"))
        side = 1 << min(shape[1:]).bit_length() - 1
        if turns == "all" or side < _LEAST_PIECE:
            return ""
        return "task.turns=all" if options.get("crop") else f"task.turns=all task.crop={side}"

    def unconditional(self, players: Players, shape: Sequence[int], c: Tensor | None = None) -> dict[str, nn.Module]:
        """None: no player draws samples, or judges one without its source."""
        return {}

    def snapshot(self, real: Batch, answer: Callable[[Batch], Batch]) -> list[Tensor]:
        """The sources, the answers, the truth."""
        request = self.request_for(real, torch.Generator().manual_seed(0))
        answers = answer(request)
        name = "x" if "x" in answers else "labels"
        return [request["source"], answers[name], real[name]]

    @abstractmethod
    def request_for(self, real: Batch, rng: torch.Generator) -> Batch:
        """A request, "source" (N, C, H, W) in [-1, 1], for each real item."""

    @abstractmethod
    def answer(self, players: Players, request: Batch) -> Batch:
        """What is made of "source" (N, C, H, W) in [-1, 1]: images "x", or "labels"."""

    @abstractmethod
    def tally(self, real: Batch, answer: Batch) -> Tensor:
        """(N, F): what is counted of each answer, beside the truth; sums over items are all that the figures need."""

    @abstractmethod
    def figures(self, tallies: Tensor) -> dict[str, float]:
        """Figures of items (N, F); among them "score", of which lower is better."""

    @property
    @abstractmethod
    def score_is(self) -> str:
        """What that score means."""

    @property
    @abstractmethod
    def by_appearance(self) -> bool:
        """Whether answers are images that are to look like true ones, so that to err least is not to be best."""


@dataclass(frozen=True)
class Paired(DiscriminatorCosts, ImageToImage):
    """A generator makes x of a source; a discriminator that sees both tells what it made from the truth.

    Until the share `adversarial_from` of the run the generator learns from `fit_costs` alone, as SRResNet does before
    SRGAN (Ledig et al. 2017, section 3.2); its weights at that moment are kept beside the final ones. With
    adversarial = 0 that is the whole run, and there is no discriminator.

    Args:
        contest: loss, penalty and views.
        discriminator_steps: moves of the discriminator per round.
        generator_steps: moves of the generator per round.
        adversarial: weight of the generator's adversarial cost.
        adversarial_from: share of the run, in [0, 1), at which the discriminator enters.
        matching: weight of the distance between the discriminator's features of what was made and of the truth
            (feature matching; Wang et al. 2018, "High-resolution image synthesis", eq. 4). Like a perceptual cost, but
            it needs no downloaded network.
        sees_source: show the discriminator the source too, as Isola et al. (2017) do.
        crop: side of the pieces that are dealt of each image; None: whole images.
        turns: symmetries under which they are dealt: none, mirror, or all eight of the square.
    """

    contest: Contest
    discriminator_steps: int = 1
    generator_steps: int = 1
    _: KW_ONLY
    adversarial: float = 1.0
    adversarial_from: float = 0.0
    matching: float = 0.0
    sees_source: bool = True
    crop: int | None = None
    turns: str = "mirror"
    of_discriminator: ClassVar[tuple[str, ...]] = ("adversarial_from", "sees_source")
    """The options that change nothing where there is none."""

    def __post_init__(self) -> None:
        if min(self.adversarial, self.matching) < 0 or not 0 <= self.adversarial_from < 1:
            raise BadInput(
                "weights of costs must be at least 0, and adversarial_from a share of the run in [0, 1); got "
                f"adversarial={self.adversarial}, matching={self.matching}, adversarial_from={self.adversarial_from}"
            )
        if self.matching and not self.adversarial:
            raise BadInput("matching compares features of the discriminator, so it needs adversarial above 0")
        without_views(self.contest)

    @property
    def sees_x_alone(self) -> bool:
        """Whether no source lies beside x."""
        return not self.sees_source

    @classmethod
    def layout(cls, options: Mapping[str, Any]) -> str:
        """How the data lie in files, for these options; see evenodds.data.sources.load."""
        return "pairs"

    @classmethod
    def has_discriminator(cls, options: Mapping[str, Any]) -> bool:
        """Where the weight of the adversarial cost is not 0."""
        return bool(options.get("adversarial", cls.adversarial))

    @classmethod
    def idle(cls, options: Mapping[str, Any], prior: Prior | None) -> dict[str, str]:
        """What is of the discriminator, where there is none."""
        return {} if cls.has_discriminator(options) else dict.fromkeys(cls.of_discriminator, WITHOUT_DISCRIMINATOR)

    @property
    def roles(self) -> tuple[str, ...]:
        """The generator, and the discriminator where the weight of the adversarial cost is not 0."""
        return ("generator", "discriminator") if self.adversarial else ("generator",)

    @property
    def stages(self) -> tuple[float, ...]:
        """Where the discriminator enters."""
        return (self.adversarial_from,) if self.adversarial and self.adversarial_from else ()

    @abstractmethod
    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The network of each player, for items x of that shape."""

    def discriminator_spec(self, channels: int, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The discriminator's, for pieces of so many channels."""
        if not self.adversarial:
            return {}
        size = piece_size(shape, self.crop)
        return {"discriminator": NetworkSpec("Discriminator", ((channels, *size),))}

    def piece(self, x: Tensor, rng: torch.Generator) -> Piece:
        """Where the pieces that are dealt lie."""
        return deal_piece(x, self.crop, self.turns, rng)

    @abstractmethod
    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """Adds "source" and cuts the pieces."""

    def moves(self) -> Sequence[Move]:
        """The generator's alone at first; later the discriminator's, then the generator's with its adversarial cost."""
        alone = Move("generator", ("generator",), self.fit_cost, self.generator_steps)
        if not self.adversarial:
            return [alone]
        late = from_share(self.adversarial_from)
        discriminator_moves = self.contest.discriminator_moves(
            self.penalised_cost, self.plain_cost, self.discriminator_steps
        )
        return [
            replace(alone, when=until_share(self.adversarial_from)),
            *(replace(move, when=both(move.when, late)) for move in discriminator_moves),
            Move("generator", ("generator",), self.generator_cost, self.generator_steps, late),
        ]

    def output(self, generator: nn.Module, hand: Batch) -> Tensor:
        """What the generator makes of the source, raw."""
        output: Tensor = generator(hand["source"])
        return output

    @abstractmethod
    def fit_costs(self, output: Tensor, hand: Batch) -> dict[str, Tensor]:
        """How far the raw answer is from the truth."""

    def late_costs(self, players: Players, output: Tensor, hand: Batch) -> dict[str, Tensor]:
        """Further ones, which join when the discriminator does; from the start where there is none."""
        return {}

    @abstractmethod
    def discriminator_inputs(self, output: Tensor, hand: Batch) -> tuple[Tensor, Tensor]:
        """Truth and answer as the discriminator is shown them, (N, C, H, W) each, before the source is put beside."""

    def fit_cost(self, players: Players, hand: Batch) -> Costs:
        """The generator's, without an adversary."""
        output = self.output(players["generator"], hand)
        costs = self.fit_costs(output, hand)
        return Costs(costs if self.adversarial else {**costs, **self.late_costs(players, output, hand)})

    def _discriminator_cost(self, players: Players, hand: Batch, penalised: bool) -> Costs:
        with torch.no_grad():
            real, fake = self.discriminator_inputs(self.output(players["generator"], hand), hand)
        discriminator = self._source_aware(players, hand)
        return self.contest.discriminator_costs(discriminator, real, fake, dict(hand), penalised)

    def generator_cost(self, players: Players, hand: Batch) -> Costs:
        """The generator's, with an adversary."""
        output = self.output(players["generator"], hand)
        real, fake = self.discriminator_inputs(output, hand)
        discriminator = self._source_aware(players, hand)
        costs = {**self.fit_costs(output, hand), **self.late_costs(players, output, hand)}
        adversarial = self.contest.generator_costs(discriminator, real, fake, dict(hand))
        costs |= {name: self.adversarial * cost for name, cost in adversarial.items()}
        if self.matching:
            of_fake = discriminator.features(fake)
            costs["matching"] = self.matching * F.l1_loss(of_fake, discriminator.features(real).detach())
        return Costs(costs)

    def _source_aware(self, players: Players, hand: Batch) -> SourceAware:
        source = hand["source"] if self.sees_source else None
        return SourceAware(players["discriminator"], source, remembers=self.matching > 0)


class SourceAware(nn.Module):
    """x (n, C, H, W) -> the discriminator's logits, with the source of item i % N beside: n is N, or 2N when fused.

    Args:
        remembers: whether to keep the features of what was seen, so that matching them costs no further pass.
    """

    def __init__(self, discriminator: nn.Module, source: Tensor | None, remembers: bool = False) -> None:
        super().__init__()
        self.discriminator, self.source, self.remembers = discriminator, source, remembers
        self.scored_features: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        together = x
        if self.source is not None:
            beside = self.source
            if beside.shape[-1] != x.shape[-1]:  # a smaller source
                beside = F.interpolate(beside, x.shape[-2:], mode="bilinear")
            together = torch.cat([x, beside.repeat(len(x) // len(beside), 1, 1, 1).to(x.dtype)], 1)
        if not self.remembers:
            alone: Tensor = self.discriminator(together)
            return alone
        logits, features = self.discriminator(together, features=True)
        self.scored_features.append((x, features))
        return logits  # type: ignore[no-any-return]

    def features(self, x: Tensor) -> Tensor:
        """Of x (n, C, H, W), from the pass that there was, or from one without a graph."""
        for scored, features in self.scored_features:
            if scored is x:
                return features
        with torch.no_grad():
            self(x)
        return self.scored_features[-1][1]


def without_views(contest: Contest) -> None:
    """BadInput where the discriminator would see images through views, which change them apart from their source."""
    if contest.view is not None:
        raise BadInput(
            "views are not for images that follow from a source; set views=none task.turns=mirror, which mirrors both "
            "alike"
        )
