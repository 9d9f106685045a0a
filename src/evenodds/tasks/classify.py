"""Semi-supervised classification: few labelled items, many without a label, and a generator to tell them from.

Salimans, Goodfellow, Zaremba, Cheung, Radford and Chen, "Improved Techniques for Training GANs" (2016), section 5.
A classifier of K classes gets a further one, "generated". Its logit may be fixed at 0, since a softmax does not change
when all logits are shifted. With Z(x) = sum_k exp l_k(x) over the K others, the chance that x is real is

    D(x) = Z(x) / (Z(x) + 1),

so -log D = softplus(-log Z) and -log(1 - D) = softplus(log Z): the game of Goodfellow et al. (2014) with log Z for the
logit. Labelled items add the cross-entropy of their class among the K.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.errors import BadInput, unknown
from evenodds.game.arithmetic import constant
from evenodds.game.modes import at_rest
from evenodds.game.rules import Batch, Costs, Move, Players
from evenodds.game.slices import items_of_all, summed, whole
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.priors import Prior
from evenodds.pretrained.efficientnet_lite import NEEDED, is_here
from evenodds.tasks._answers import answers_by_entry
from evenodds.tasks._conditional import COSTS, one_hot
from evenodds.tasks._defaults import TaskDefaults
from evenodds.tasks._description import DataDescription
from evenodds.tasks._playable import WITHOUT_GAME, NetworkSpec, Scoring
from evenodds.tasks.contest import Contest

__all__ = ["Classify"]

MATCHINGS = ("squared", "absolute")
PLAIN = Contest(non_saturating)
"""Two or three passes of the discriminator, and no view."""


@dataclass(frozen=True, kw_only=True)
class Classify(TaskDefaults):
    """A discriminator with K logits tells classes apart, and data from what the generator makes.

    The generator matches the mean features of the data (section 3.1 of the paper), where features are what the last
    layer of the discriminator sees. A perfect generator would teach the classifier nothing; one whose samples fill the
    gaps between the classes moves the borders into these gaps (Dai et al. 2017, section 3).

    Batches have the labels "y" (N,) int64, -1 unknown, which do not enter. Where labels are rare, a batch of the data
    holds next to none: a feed may then add "labelled_x" (M, ...) and "labelled_y" (M,), see evenodds.data.labelled, and
    "y" is not looked at. The discriminator is built with `outputs=classes`.

    Args:
        prior: of z.
        contest: its view, which must keep the class, changes all that the discriminator sees; `fused` makes one pass of
            the discriminator of two or three, which batch norm forbids, as its statistics would mix labelled, real and
            fake. The loss is the non-saturating one, without a penalty.
        classes: K, at least 2; follows from the data.
        unsupervised: weight of -log D(x) - log(1 - D(G(z))); the paper's program has 1/2. At 0 the discriminator is
            a plain classifier.
        matching: how mean features are compared, by the mean of "squared" or "absolute" differences.
        entropy: weight of the entropy of the class given x, over items without regard to their labels; it makes the
            classifier decide (Dai et al. 2017, section 4.3).
        pull_away: weight of the generator's pull-away term on the features of a batch, the mean squared cosine of all
            pairs, which keeps samples apart (Zhao et al. 2017, section 2.4; Dai et al. 2017, eq. 6).
        consistency: weight of the cross-entropy of what the discriminator says of an item as it is, in evaluation mode,
            and what it says of it through noise and views, over all items; the former counts as the truth (Bachman et
            al. 2014; Laine and Aila 2017). It needs noise: the task's, a view, or layers of the discriminator's own.
        temperature: by which the logits of the calm answers are divided; below 1 they are sharpened (Xie et al. 2020,
            section 2.4, have 0.4), at 0 the likeliest class counts alone (Sohn et al. 2020, eq. 4, pseudo-labels).
        shares: of the classes among all items, (K,) numbers above 0, of any sum, where they are known. Calm answers
            are multiplied by shares / their mean over the batch, and divided by their sum, before all else: no class
            can grow at the cost of another (Berthelot et al. 2020, section 3.1, alignment of distributions, with a
            batch in place of the last 128). Batches below some 10 items per class make it coarse.
        threshold: least chance of the likeliest class, in [0, 1), before division by the temperature, for an item to
            enter `consistency`; the mean is over all items, so that the cost grows with the share of sure ones (Sohn
            et al. 2020, eq. 4, have 0.95).
        noise: standard deviation of Gaussian noise on all that the discriminator sees; 0.3 of a range of 1 in the
            paper's network for MNIST, which is 0.6 here.
    """

    prior: Prior
    contest: Contest = PLAIN
    classes: int
    unsupervised: float = 1.0
    matching: str = "squared"
    entropy: float = 0.0
    pull_away: float = 0.0
    consistency: float = 0.0
    temperature: float = 1.0
    threshold: float = 0.0
    shares: Sequence[float] | None = None
    noise: float = 0.0
    draws: ClassVar[bool] = False
    learns_labels: ClassVar[bool] = True
    judged_by: ClassVar[str] = "labels"
    averaged: ClassVar[tuple[str, ...]] = ("discriminator",)
    command: ClassVar[str] = "classify"
    usage: ClassVar[str] = ""
    worst: ClassVar[float] = 1.0
    request_names: ClassVar[tuple[str, ...]] = ("x",)

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise BadInput(f"classes to tell apart are at least 2, got {self.classes}; give the number of labels")
        if self.contest.loss is not non_saturating or self.contest.penalty is not None:
            raise BadInput("a classifier plays by a loss of its own; set loss=non_saturating penalty=none")
        if self.matching not in MATCHINGS:
            raise unknown("matching of classify", self.matching, MATCHINGS)
        for name in ("unsupervised", "entropy", "pull_away", "consistency", "noise"):
            if getattr(self, name) < 0:
                raise BadInput(f"'{name}' must be at least 0, got {getattr(self, name):g}; 0 leaves it out")
        if self.shares is not None and (len(self.shares) != self.classes or not min(self.shares) > 0):
            raise BadInput(f"'shares' must be {self.classes} numbers above 0, one of each class, got {self.shares}")
        if self.temperature < 0:
            raise BadInput(f"'temperature' must be at least 0, got {self.temperature:g}; 1 leaves answers as they are")
        if not 0 <= self.threshold < 1:
            raise BadInput(f"'threshold' must be in [0, 1), got {self.threshold:g}; 0 lets all items enter")

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """How many classes there are."""
        if len(data.classes) < 2:
            raise BadInput(
                f"a classifier learns from at least 2 classes, got {len(data.classes)}: give folders named as the "
                "classes, a labels.csv, a y; or the column of a table, with --set data.label=COLUMN"
            )
        return {"classes": len(data.classes)}

    @classmethod
    def idle(cls, options: Mapping[str, Any], prior: Prior | None) -> dict[str, str]:
        """What is of consistency, or of the game, where its weight is 0."""
        idle: dict[str, str] = {}
        if not options.get("consistency", cls.consistency):
            why = "without consistency; set task.consistency=1"
            idle |= dict.fromkeys(("temperature", "threshold", "shares"), why)
        if not cls.has_generator(options):
            idle |= dict.fromkeys(("matching", "pull_away"), WITHOUT_GAME)
        return idle

    @classmethod
    def has_generator(cls, options: Mapping[str, Any]) -> bool:
        """Nothing is generated without a game."""
        return bool(options.get("unsupervised", cls.unsupervised))

    @classmethod
    def by_class(cls, data: DataDescription, options: Mapping[str, Any]) -> bool:
        """Classes are told apart."""
        return True

    @classmethod
    def augmentation(cls, shape: Sequence[int], options: Mapping[str, Any]) -> str:
        """Images that are moved, turned and scaled a little keep their class; mirrored ones need not."""
        return "views=deformation"

    @classmethod
    def better_networks(cls, generator: str, discriminator: str, shape: Sequence[int]) -> str:
        """Of colour images, what was learned from others."""
        if discriminator == "pretrained" or len(shape) != 3 or shape[0] != 3:
            return ""
        how = "Features learned from other photographs tell photographs apart better, in less time: "
        how += "evenodds train classify-photos"
        return how if is_here() else f"{how} ({NEEDED})"

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The discriminator's for items x of that shape, and the generator's where there is a game."""
        generator = {"generator": NetworkSpec(self.generator_kind, (self.prior.size, tuple(shape)))}
        discriminator = NetworkSpec("Discriminator", (tuple(shape),), {"outputs": self.classes})
        return (generator if self.unsupervised else {}) | {"discriminator": discriminator}

    def of_one_more_class(self) -> Classify:
        """With an output more."""
        return replace(self, classes=self.classes + 1, shares=None)

    def unconditional(self, players: Players, shape: Sequence[int], c: Tensor | None = None) -> dict[str, nn.Module]:
        """None: samples are no end here, and no logit alone says what is real."""
        return {}

    @property
    def roles(self) -> tuple[str, ...]:
        """Both where there is a game."""
        return ("generator", "discriminator") if self.unsupervised else ("discriminator",)

    @property
    def looks_at(self) -> str:
        """Other items are looked at where some are generated, or noise is laid over them."""
        if self.unsupervised or self.noise:
            return ""
        return "all" if self.consistency or self.entropy else "labelled"

    @property
    def scoring(self) -> Scoring:
        """Answers are right or wrong."""
        return self

    def request_for(self, real: Batch, rng: torch.Generator) -> Batch:
        """The items."""
        return {"x": real["x"]}

    def tally(self, real: Batch, answer: Batch) -> Tensor:
        """(N, 2 K): the class of each item as 0 and 1, zeros where it is not known; and the same where it was found."""
        true = one_hot(real["y"], self.classes)
        return torch.cat([true, true * (answer["y"] == real["y"])[:, None]], 1)

    def figures(self, tallies: Tensor) -> dict[str, float]:
        """ "score" is the share of wrong answers; "balanced_accuracy" the mean share of a class that is found."""
        there, right = tallies.double().sum(0).view(2, self.classes)
        return {
            "score": float(1 - right.sum() / there.sum().clamp(min=1)),
            "balanced_accuracy": float((right / there)[there > 0].mean()),
        }

    @property
    def score_is(self) -> str:
        """What the score means."""
        return "share of wrong answers"

    @property
    def by_appearance(self) -> bool:
        """Answers are right or wrong."""
        return False

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """Adds "z", and the draws of noise and view for each part: labelled, real and fake."""
        if "labelled_x" not in real and "y" not in real:
            raise BadInput(f"a classifier needs 'y' (N,), -1 unknown, got {', '.join(sorted(real))}; or use WithLabels")
        hand = {**real, "z": self.prior(len(real["x"]), rng)}
        parts = {"real": real["x"], "fake": real["x"]}
        if "labelled_x" in real:
            parts["labelled"] = real["labelled_x"]
        for name, x in parts.items():
            if self.noise:
                hand[f"noise_{name}"] = torch.randn(x.shape, generator=rng, device=rng.device)
            if self.contest.view is not None:
                hand[f"view_{name}"] = torch.rand(len(x), self.contest.view_dice, generator=rng, device=rng.device)
        return hand

    def moves(self) -> Sequence[Move]:
        """One of each per round; the discriminator's alone where it tells nothing from what is generated."""
        learned = Move("discriminator", ("discriminator",), self.discriminator_cost)
        return [learned, *([Move("generator", ("generator",), self.generator_cost)] if self.unsupervised else [])]

    def discriminator_cost(self, players: Players, hand: Batch) -> Costs:
        """Cross-entropy of the known labels, and by their weights -log D(x) - log(1 - D(G(z))) and the others."""
        logits = self._logits(players, hand)
        source, y = ("labelled", hand["labelled_y"]) if "labelled" in logits else ("real", hand["y"])
        costs = {"labels": COSTS["classes"](logits[source], one_hot(y, self.classes))}
        facts = {"right": _share_right(logits[source], y)}
        if self.unsupervised:
            on_real, on_fake = logits["real"].logsumexp(1), logits["fake"].logsumexp(1)
            costs["adversarial"] = self.unsupervised * (F.softplus(-on_real) + F.softplus(on_fake)).mean()
            facts |= {"real": on_real.sigmoid().mean(), "fake": on_fake.sigmoid().mean()}
            if self.contest.tells_signs:
                facts["signs"] = on_real.sign().mean()
        if self.consistency:
            with torch.no_grad(), at_rest(players["discriminator"]):
                calm, sure = self._targets(players["discriminator"](hand["x"]), items_of_all(hand))
            apart = -(calm * logits["real"].log_softmax(1)).sum(1)
            costs["consistency"] = self.consistency * (apart * sure).mean()
            if self.threshold:
                facts["sure"] = sure.mean()
        if self.entropy:
            costs["entropy"] = self.entropy * _entropy(logits["real"]).mean()
        return Costs(costs, facts)

    def generator_cost(self, players: Players, hand: Batch) -> Costs:
        """The distance of the mean features of data and fakes, and by its weight the pull-away term."""
        x = self._viewed({"real": hand["x"], "fake": players["generator"](hand["z"])}, hand)
        discriminator = players["discriminator"]
        with torch.no_grad():  # two passes, fused or not: no slope is needed at the data
            _, real = self._checked(discriminator(x["real"], features=True))
        _, fake = self._checked(discriminator(x["fake"], features=True))
        items = items_of_all(hand)
        apart = (summed(real.sum(0)) - summed(fake.sum(0))) / items
        costs = {"matching": (apart.square() if self.matching == "squared" else apart.abs()).mean()}
        if self.pull_away:
            costs["pull_away"] = self.pull_away * _pull_away(whole(fake))
        return Costs(costs)

    def _logits(self, players: Players, hand: Batch) -> dict[str, Tensor]:
        """The logits (n, K) of those parts that the discriminator's cost needs."""
        x: dict[str, Tensor] = {}
        if "labelled_x" in hand:
            x["labelled"] = hand["labelled_x"]
        if "labelled_x" not in hand or self.unsupervised or self.entropy or self.consistency:
            x["real"] = hand["x"]
        if self.unsupervised:
            with torch.no_grad():
                x["fake"] = players["generator"](hand["z"])
        outputs = self._pass(players["discriminator"], self._viewed(x, hand))
        return {name: logits for name, (logits, _) in outputs.items()}

    def _targets(self, logits: Tensor, items: int) -> tuple[Tensor, Tensor]:
        """What logits (N, K) say of the classes, (N, K), aligned and sharpened; and 1 for each that is sure, else 0.

        Args:
            items: of the batch, of which these may be a slice.
        """
        chances = logits.softmax(1)
        if self.shares is not None:
            due = constant(tuple(self.shares), chances.device, chances.dtype)
            chances = chances * (due / due.sum() / (summed(chances.sum(0)) / items).clamp(min=1e-3))
            chances = chances / chances.sum(1, keepdim=True)
        sure = (chances.amax(1) >= self.threshold).float()
        if not self.temperature:
            return one_hot(chances.argmax(1), self.classes).to(chances), sure
        return (chances if self.temperature == 1 else (chances.log() / self.temperature).softmax(1)), sure

    def _viewed(self, x: Mapping[str, Tensor], hand: Batch) -> dict[str, Tensor]:
        viewed = dict(x)
        for name in viewed:
            if self.contest.view is not None:
                viewed[name] = self.contest.view(viewed[name], hand[f"view_{name}"])
            if self.noise:
                viewed[name] = viewed[name] + self.noise * hand[f"noise_{name}"]
        return viewed

    def _pass(self, discriminator: nn.Module, x: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Logits (n, K) and features (n, F) of each part."""
        if not self.contest.fused:
            return {name: self._checked(discriminator(part, features=True)) for name, part in x.items()}
        logits, features = self._checked(discriminator(torch.cat(list(x.values())), features=True))
        lengths = [len(part) for part in x.values()]
        return dict(zip(x, zip(torch.split(logits, lengths), torch.split(features, lengths), strict=True), strict=True))

    def _checked(self, outputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        if outputs[0].shape[1:] != (self.classes,):
            actual = (*outputs[0].shape[1:], 1)[0]
            raise BadInput(f"a classifier of {self.classes} classes needs as many logits, got {actual}; set `outputs`")
        return outputs

    @torch.no_grad()
    def answer(self, players: Players, request: Batch) -> Batch:
        """What is asked for by the players as they are; put them in eval mode before.

        Args:
            players: the discriminator; the generator too for "z".
            request: "x" (N, ...) in [-1, 1] to classify, or "z" (N, latent) to generate, or both.

        Returns:
            For "x": "y" (N,) int64, "probabilities" (N, K) of the classes if x is real, and "real" (N,), D(x).
            For "z": "x" in [-1, 1].
        """

        def classify(x: Tensor) -> Batch:
            logits: Tensor = players["discriminator"](x)
            return {"y": logits.argmax(1), "probabilities": logits.softmax(1), "real": logits.logsumexp(1).sigmoid()}

        return answers_by_entry(request, {"x": classify, "z": lambda z: {"x": players["generator"](z)}})


def _share_right(logits: Tensor, y: Tensor) -> Tensor:
    return summed((logits.argmax(1) == y).sum()) / summed((y >= 0).sum()).clamp(min=1)


def _entropy(logits: Tensor) -> Tensor:
    """(N,) of the softmax of logits (N, K), in nats."""
    return -(logits.softmax(1) * logits.log_softmax(1)).sum(1)


def _pull_away(features: Tensor) -> Tensor:
    """Mean squared cosine of the pairs i != j of features (N, F); 0 for a single item."""
    n, unit = len(features), F.normalize(features, dim=1)
    squares = (unit @ unit.T).square()
    return (squares.sum() - squares.diagonal().sum()) / max(1, n * (n - 1))
