"""All conditionals p(x_S | x_rest), for every subset S, by one network: the third extension that Goodfellow et al.
(2014) name in their conclusions, a stochastic extension of the multi-prediction deep Boltzmann machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput, excerpt
from evenodds.game.rules import Batch, Costs, Move, Players
from evenodds.game.seeds import mix
from evenodds.parts.losses import scoring
from evenodds.parts.masks import Masks
from evenodds.parts.priors import Prior
from evenodds.tasks._description import DataDescription
from evenodds.tasks._playable import NetworkSpec
from evenodds.tasks.contest import scaled_backward
from evenodds.tasks.generate import Generate

__all__ = ["Fill", "MaskedDiscriminator", "MaskedGenerator", "complete", "completed"]


@dataclass(frozen=True, kw_only=True)
class Fill(Generate):
    """The game of Generate, played on x with a random part S hidden: fakes are completed items, reals whole ones.

    Both sides have the same distribution of (mask, observed part), so at the equilibrium fillings have the
    distribution p(x_S | x_rest) for every S that the masks deal. A small adversarial game finds means slowly; proper
    scoring rules of several fillings per item find them fast, and pay for spread just as it is needed.

    What is missing in the data themselves is no target: where a batch has "observed" (shaped like a mask, 1 where
    there is a value), masks are dealt inside it, and the discriminator is shown zeros where nothing is known, for
    real and fake alike. Values that are not observed may be NaN.

    The generator is called with (x, mask, z): x with zeros for what is hidden, z (K N, latent) for K fillings of each,
    filling k of item n at place k N + n. It answers (K N, ...); what is observed is put back whatever it answers.
    The discriminator is one of the unconditional game that sees x with the mask and what is to be judged appended:
    for x (C, H, W) built for (C + 2, H, W), for x (D,) built for (3 D,).

    Args:
        masks: dealt to each item; see evenodds.parts.masks.
        fillings: of each item that the scoring rules compare; at least 2, or 1 where all their weights are 0.
        adversarial: weight of the adversarial cost of the generator; with 0 there is no discriminator.
        joint: weight of the energy score of all that is hidden.
        marginal: weight of the ranked probability score of each hidden entry.
        mean: weight of the squared error of the mean of the fillings.
        beside: names of further entries of the batch that the generator is called with, by name.
    """

    command: ClassVar[str] = "fill"
    usage: ClassVar[str] = "IMAGE --mask MASK"
    generator_kind: ClassVar[str] = "Filler"
    families: ClassVar[tuple[str, ...]] = ("images",)
    kinds: ClassVar[tuple[str, ...]] = ("image",)
    instead: ClassVar[str] = "; tables are filled by the recipe fill-table (task=impute)"
    request_names: ClassVar[tuple[str, ...]] = ("z", "x", "mask")
    snapshot_items: ClassVar[int] = 12

    masks: Masks
    fillings: int = 2
    adversarial: float = 1.0
    joint: float = 1.0
    marginal: float = 1.0
    mean: float = 1.0
    beside: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.adversarial, self.joint, self.marginal, self.mean) < 0:
            raise BadInput("weights of filling must be at least 0; leave a cost out by the weight 0")
        if self.fillings < 1 + bool(self._scores()):
            raise BadInput(
                f"scoring rules need at least 2 fillings of each item, got {self.fillings}; raise `fillings`"
            )
        if not self.adversarial and not self._scores():
            raise BadInput("filling needs a cost: raise adversarial, joint, marginal or mean above 0")
        if self.simultaneous and not self.adversarial:
            raise BadInput("simultaneous moves need a discriminator; set task.adversarial=1, or simultaneous=false")

    @classmethod
    def has_discriminator(cls, options: Mapping[str, Any]) -> bool:
        """Where the weight of the adversarial cost is not 0."""
        return bool(options.get("adversarial", cls.adversarial))

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """No option follows from the data, which must hold what the generator is called with."""
        absent = [name for name in options.get("beside") or () if name not in data.beside]
        if absent:
            raise BadInput(f"nothing called '{excerpt(absent[0])}' lies beside these data; leave task.beside out")
        return {}

    @classmethod
    def idle(cls, options: Mapping[str, Any], prior: Prior | None) -> dict[str, str]:
        """How many fillings are compared, where nothing compares them."""
        compared = any(options.get(score, getattr(cls, score)) for score in ("joint", "marginal", "mean"))
        return {} if compared else {"fillings": "without a score that compares them; set task.joint=1"}

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The network of each player, for images of that shape."""
        if len(shape) != 3:
            raise BadInput(f"task 'fill' is for images, got items of shape {tuple(shape)}{self.instead}")
        filler = {"generator": NetworkSpec(self.generator_kind, (self.prior.size, tuple(shape)))}
        discriminator = {"discriminator": NetworkSpec("Discriminator", ((shape[0] + 2, *shape[1:]),))}
        return {**filler, **(discriminator if self.adversarial else {})}

    @property
    def roles(self) -> tuple[str, ...]:  # type: ignore[override]
        """The generator, and the discriminator where the weight of the adversarial cost is not 0."""
        return Generate.roles if self.adversarial else ("generator",)

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """Adds "mask", "hidden" (known, but not shown to the generator), "z" (fillings N, latent) and the contest's."""
        x = real["x"]
        dealt = self.masks(x.shape, rng)
        observed = real["observed"].to(dealt) if "observed" in real else torch.ones_like(dealt)
        hand = {**real, "mask": observed * dealt, "hidden": observed * (1 - dealt)}
        hand["x"] = torch.where(observed > 0, x, 0.0)
        return {**hand, "z": self.prior(self.fillings * len(x), rng), **self.contest.deal(x, rng)}

    def moves(self) -> Sequence[Move]:
        """Those of Generate; the generator's alone where there is no discriminator."""
        moves = super().moves()
        return moves if self.adversarial else [move for move in moves if move.name == "generator"]

    def _discriminator_cost(self, players: Players, hand: Batch, penalised: bool) -> Costs:
        # One filling of each item: the scoring rules alone compare several.
        hand = {**hand, "z": hand["z"][: len(hand["x"])]}
        return super()._discriminator_cost(self._bound(players, hand), hand, penalised)

    def generator_cost(self, players: Players, hand: Batch) -> Costs:
        """The adversarial cost of the first filling of each item, and the scores of all."""
        x = hand["x"]
        bound = self._bound(players, hand)
        fillings, costs = self._fillings(bound["generator"], hand)
        if self.adversarial:
            adversarial = self.contest.generator_costs(bound["discriminator"], x, fillings[0], dict(hand))
            costs |= {name: self.adversarial * cost for name, cost in adversarial.items()}
        return Costs({**costs, **self._scored(fillings, hand)})

    def simultaneous_cost(self, players: Players, hand: Batch) -> Costs:
        """Both players': the scores have no slope in the discriminator."""
        x = hand["x"]
        bound = self._bound(players, hand)
        fillings, costs = self._fillings(bound["generator"], hand)
        judged, factors = scaled_backward(fillings[0])
        factors.append(judged.new_full((len(x),), self.adversarial))
        both = self.contest.simultaneous_costs(bound["discriminator"], x, judged, dict(hand))
        return Costs({**both, **costs, **self._scored(fillings, hand)}, both.facts)

    def _fillings(self, generator: nn.Module, hand: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """(K, N, ...) of a hand, and the costs of what they were drawn from; none here."""
        return generator(hand["z"]).unflatten(0, (self.fillings, len(hand["x"]))), {}

    def _filler(self, players: Players) -> nn.Module:
        """(x, mask, z, and what `beside` names) -> fillings."""
        return players["generator"]

    def _mask_for_discriminator(self, mask: Tensor) -> Tensor:
        """What the discriminator is shown of a mask."""
        return mask

    def _scored(self, fillings: Tensor, hand: Batch) -> dict[str, Tensor]:
        """The scores of fillings (K, N, ...), weighted."""
        return {
            name: weight * scoring.score(fillings, hand["x"], hand["hidden"], getattr(scoring, name)).mean()
            for name, weight in self._scores().items()
        }

    def unconditional(self, players: Players, shape: Sequence[int], c: Tensor | None = None) -> dict[str, nn.Module]:
        """The players that there are and that judge items, where all is hidden."""
        parameter = next(players["generator"].parameters())
        x = parameter.new_zeros(1, *shape)
        mask = x[:, :1] if x.dim() == 4 else x
        bound: dict[str, nn.Module] = {"generator": MaskedGenerator(self._filler(players), x, mask, 1 + mask, {})}
        if "discriminator" in players and self.contest.oriented:
            bound["discriminator"] = self._judge(players, mask, 1 + mask)
        return bound

    def _judge(self, players: Players, mask: Tensor, hidden: Tensor) -> MaskedDiscriminator:
        shown = self._mask_for_discriminator
        return MaskedDiscriminator(players["discriminator"], shown(mask), shown(hidden))

    def _scores(self) -> dict[str, float]:
        weights = {"joint": self.joint, "marginal": self.marginal, "mean": self.mean}
        return {name: weight for name, weight in weights.items() if weight}

    def _bound(self, players: Players, hand: Batch) -> dict[str, nn.Module]:
        """The players of the unconditional game, for the masks of a hand."""
        beside = {name: hand[name] for name in self.beside}
        mask, hidden = hand["mask"], hand["hidden"]
        bound: dict[str, nn.Module] = {
            "generator": MaskedGenerator(self._filler(players), hand["x"], mask, hidden, beside)
        }
        if self.adversarial:
            bound["discriminator"] = self._judge(players, mask, hidden)
        return bound

    def request_for(self, real: Batch, rng: torch.Generator) -> Batch:
        """A request for one filling of each real item, of which a part is hidden."""
        return {**super().request_for(real, rng), "x": real["x"], "mask": self.masks(real["x"].shape, rng)}

    @property
    def sees_x_alone(self) -> bool:
        """The mask lies beside x."""
        return False

    def snapshot(self, real: Batch, answer: Callable[[Batch], Batch]) -> list[Tensor]:
        """The images, the same with the hidden part grey, and three fillings."""
        x = real["x"]
        mask = self.masks(x.shape, torch.Generator().manual_seed(0))
        rngs = (torch.Generator().manual_seed(mix(0, k)) for k in range(3))
        fillings = [answer({"x": x, "mask": mask, "z": self.prior(len(x), rng)})["x"] for rng in rngs]
        return [x, torch.where(mask > 0, x, 0.0), *fillings]

    def answer(self, players: Players, request: Batch) -> Batch:
        """Fills in.

        Args:
            request: "x" (N, ...), of any value where hidden; "mask" (N, 1, H, W) or (N, D); "z" (K N, latent); and
                what `beside` names.

        Returns:
            "x" (K N, ...): K fillings of each item, bit for bit the x of the request where the mask is 1.
        """
        x, mask, z = request["x"], request["mask"], request["z"]
        _check(x, mask, z)
        with torch.no_grad():
            return {"x": complete(self._filler(players), x, mask, z, {name: request[name] for name in self.beside})}


class MaskedGenerator(nn.Module):
    """z (K N, latent) -> completed x (K N, ...), zeros where neither observed nor hidden: a generator of one hand."""

    def __init__(
        self, generator: nn.Module, x: Tensor, mask: Tensor, hidden: Tensor, beside: dict[str, Tensor]
    ) -> None:
        super().__init__()
        self.generator, self.x, self.mask, self.defined, self.beside = generator, x, mask, mask + hidden, beside

    def forward(self, z: Tensor) -> Tensor:
        return self.within(complete(self.generator, self.x, self.mask, z, self.beside))

    def within(self, x: Tensor) -> Tensor:
        """(K N, ...): zeros where neither observed nor hidden."""
        return torch.where(_times(self.defined, len(x)) > 0, x, 0.0)


class MaskedDiscriminator(nn.Module):
    """x (n, ...) -> logits (n,), for masks (N, ...). Item i has mask i % N: n is N, or 2N for real beside fake."""

    def __init__(self, discriminator: nn.Module, mask: Tensor, hidden: Tensor) -> None:
        super().__init__()
        self.discriminator, self.masks = discriminator, torch.cat([mask, hidden], 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(torch.cat([x, _times(self.masks, len(x)).to(x.dtype)], 1))
        return logits


def complete(generator: nn.Module, x: Tensor, mask: Tensor, z: Tensor, beside: dict[str, Tensor]) -> Tensor:
    """(K N, ...): x where observed, and what the generator draws elsewhere. Hidden values of x have no influence."""
    observed = torch.where(mask > 0, x, 0.0)
    return completed(observed, mask, generator(observed, mask, z, **beside))


def completed(x: Tensor, mask: Tensor, filled: Tensor) -> Tensor:
    """(K N, ...): x (N, ...) where observed, and elsewhere what is filled in."""
    n = len(filled)
    return torch.where(_times(mask, n) > 0, _times(x, n), filled)


def _times(x: Tensor, n: int) -> Tensor:
    """The items of x, over and over, n in all."""
    return x if len(x) == n else x.repeat(n // len(x), *[1] * (x.dim() - 1))


def _check(x: Tensor, mask: Tensor, z: Tensor) -> None:
    want = (len(x), 1, *x.shape[2:]) if x.dim() == 4 else tuple(x.shape)
    if tuple(mask.shape) != want:
        raise BadInput(f"the mask of x {tuple(x.shape)} must be {want}, got {tuple(mask.shape)}; 1 is observed")
    if not len(z) or len(z) % len(x):
        raise BadInput(f"z needs one row, or K rows, for each of {len(x)} items, got {len(z)}")
