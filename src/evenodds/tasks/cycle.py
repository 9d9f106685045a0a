"""Image to image without pairs, by cycle consistency (Zhu et al. 2017): of two folders, nothing says what fits what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.rules import Batch, Costs, Move, Players
from evenodds.tasks._crops import deal_piece, piece_size
from evenodds.tasks._description import DataDescription
from evenodds.tasks._discriminator import DiscriminatorCosts
from evenodds.tasks._image_to_image import ImageToImage, without_views
from evenodds.tasks._playable import Conversion, NetworkSpec, WayBack
from evenodds.tasks.contest import Contest

__all__ = ["Cycle"]

_SIDES = {"discriminator": "x", "discriminator_source": "source"}
"""What each discriminator judges."""
_OPPOSITES = {
    "generator": "backward",
    "backward": "generator",
    "discriminator": "discriminator_source",
    "discriminator_source": "discriminator",
}
"""The player that does the same for the other set."""


@dataclass(frozen=True)
class Cycle(DiscriminatorCosts, ImageToImage):
    """A generator makes x of a source, another the source of x; each has a discriminator, and there and back is home.

    Args:
        contest: loss, penalty and views, of both discriminators.
        discriminator_steps: moves of the discriminators per round.
        generator_steps: moves of the generators per round.
        cycle: weight of the mean absolute difference after there and back, eq. 2; 10 in the paper, whose adversarial
            costs have weight 1, as here.
        identity: weight of the change that a generator makes to an image of its own target, section 5.2; it keeps
            colours. Only where sources have as many channels as x.
        inputs: channels of a source; follows from the data.
        crop: side of the pieces that are dealt of each image; None: whole images.
        turns: symmetries under which they are dealt: none, mirror, or all eight of the square.
    """

    contest: Contest
    discriminator_steps: int = 1
    generator_steps: int = 1
    _: KW_ONLY
    inputs: int
    cycle: float = 10.0
    identity: float = 0.0
    crop: int | None = None
    turns: str = "mirror"
    roles: ClassVar[tuple[str, ...]] = ("generator", "backward", "discriminator", "discriminator_source")
    averaged: ClassVar[tuple[str, ...]] = ("generator", "backward")

    def __post_init__(self) -> None:
        if not self.cycle > 0 or self.identity < 0:
            raise BadInput(f"cycle must be above 0 and identity at least 0, got {self.cycle} and {self.identity}")
        without_views(self.contest)

    @classmethod
    def layout(cls, options: Mapping[str, Any]) -> str:
        """Two folders, whose images need not fit each other."""
        return "unpaired"

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """How many channels a source has."""
        if "source" not in data.beside:
            raise BadInput("cycle consistency needs two sets of images; give a folder that holds two, A/ and B/ say")
        inputs = data.beside["source"].shape[0]
        if options.get("identity") and inputs != data.shape[0]:
            raise BadInput(f"identity needs sources with the channels of x, got {inputs} and {data.shape[0]}; drop it")
        return {"inputs": inputs}

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The network of each player, for items x of that shape."""
        size = piece_size(shape, self.crop)
        return {
            "generator": NetworkSpec(self.generator_kind, (self.inputs, shape[0])),
            "backward": NetworkSpec(self.generator_kind, (shape[0], self.inputs)),
            "discriminator": NetworkSpec("Discriminator", ((shape[0], *size),)),
            "discriminator_source": NetworkSpec("Discriminator", ((self.inputs, *size),)),
        }

    def conversion(self, shape: Sequence[int]) -> Conversion:
        """An image of the other set."""
        return Conversion(self.inputs, shape[0])

    def way_back(self, shape: Sequence[int]) -> WayBack:
        """The same game: either set may be called that of the sources."""
        return WayBack(replace(self, inputs=shape[0]), _OPPOSITES)

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """Pieces of "x" and, in an order of their own, of "source"; and the contest's draws for each of both."""
        order = torch.randperm(len(real["x"]), generator=rng, device=rng.device)
        hand = {"x": real["x"], "source": real["source"][order]}
        for name, images in list(hand.items()):
            hand[name] = deal_piece(images, self.crop, self.turns, rng).of(images)
            hand |= {f"{name}/{draw}": value for draw, value in self.contest.deal(hand[name], rng).items()}
        return hand

    def moves(self) -> Sequence[Move]:
        """Both discriminators at once, then both generators."""
        moves = self.contest.discriminator_moves(self.penalised_cost, self.plain_cost, self.discriminator_steps)
        alternating = [replace(move, movers=tuple(_SIDES)) for move in moves]
        return [
            *alternating,
            Move("generator", ("generator", "backward"), self.generator_cost, self.generator_steps),
        ]

    def _discriminator_cost(self, players: Players, hand: Batch, penalised: bool) -> Costs:
        with torch.no_grad():
            fake = {"x": players["generator"](hand["source"]), "source": players["backward"](hand["x"])}
        costs: dict[str, Tensor] = {}
        facts: dict[str, Tensor] = {}
        for discriminator, name in _SIDES.items():
            terms = self.contest.discriminator_costs(
                players[discriminator], hand[name], fake[name], _draws(hand, name), penalised
            )
            costs |= {f"{cost}{_ending(name)}": value for cost, value in terms.items()}
            facts |= {f"{fact}{_ending(name)}": value for fact, value in terms.facts.items()}
        return Costs(costs, facts)

    def generator_cost(self, players: Players, hand: Batch) -> Costs:
        """The generators': against both discriminators, there and back, and identity."""
        there, back = players["generator"], players["backward"]
        fake = {"x": there(hand["source"]), "source": back(hand["x"])}
        home = {"x": there(fake["source"]), "source": back(fake["x"])}
        costs: dict[str, Tensor] = {}
        for discriminator, name in _SIDES.items():
            adversarial = self.contest.generator_costs(
                players[discriminator], hand[name], fake[name], _draws(hand, name)
            )
            costs |= {f"{cost}{_ending(name)}": value for cost, value in adversarial.items()}
        costs["cycle"] = self.cycle * sum((F.l1_loss(home[name], hand[name]) for name in home), torch.zeros(()))
        if self.identity:
            change = F.l1_loss(there(hand["x"]), hand["x"]) + F.l1_loss(back(hand["source"]), hand["source"])
            costs["identity"] = self.identity * change
        return Costs(costs)

    def request_for(self, real: Batch, rng: torch.Generator) -> Batch:
        """The sources as they are."""
        return {"source": real["source"]}

    def answer(self, players: Players, request: Batch) -> Batch:
        """Request "source" (N, C', H, W) in [-1, 1]; answers "x" (N, C, H, W), and the way "back" where it is known."""
        with torch.no_grad():
            answer = players["generator"](request["source"])
            back = {"back": players["backward"](answer).clamp(-1, 1)} if "backward" in players else {}
            return {"x": answer.clamp(-1, 1), **back}

    def tally(self, real: Batch, answer: Batch) -> Tensor:
        """(N, 1): the mean squared error of each source after there and back."""
        return (answer["back"] - real["source"]).square().mean((1, 2, 3))[:, None]

    def figures(self, tallies: Tensor) -> dict[str, float]:
        """The root mean squared error after there and back: no truth is known."""
        return {"score": float(tallies.mean().sqrt())}

    @property
    def score_is(self) -> str:
        """What the score means."""
        return "root mean squared error after there and back"

    @property
    def by_appearance(self) -> bool:
        """Answers are to look like x."""
        return True


def _draws(hand: Batch, name: str) -> dict[str, Tensor]:
    """The contest's draws for "x" or "source"."""
    return {key.removeprefix(f"{name}/"): value for key, value in hand.items() if key.startswith(f"{name}/")}


def _ending(name: str) -> str:
    return "" if name == "x" else "_source"
