"""What a run needs of a task: its networks, what it can be asked for, how its answers are scored and shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from evenodds.game.rules import Batch, Players, Task
from evenodds.game.schedule import Schedule
from evenodds.parts.priors import Prior
from evenodds.tasks._description import DataDescription
from evenodds.tasks.contest import Contest

__all__ = ["WITHOUT_DISCRIMINATOR", "WITHOUT_GAME", "Conversion", "NetworkSpec", "Playable", "Scoring", "WayBack"]

WITHOUT_DISCRIMINATOR = "without a discriminator; set task.adversarial=0.01"
"""Why what is of a discriminator changes nothing, and what to type so that it does; see `Playable.idle`."""
WITHOUT_GAME = "without the game; set task.unsupervised=0.5"
"""The same of what is of a generator."""


@dataclass(frozen=True)
class NetworkSpec:
    """The network that a player is.

    Args:
        kind: the class of a network family: "Generator" or "Discriminator"; or "Filler", or "Mapper". "Encoder" is a
            Discriminator of the family of the run's, without its norm and noise.
        arguments: its first arguments, which the task decides.
        options: further arguments by name, likewise.
    """

    kind: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    maker: Callable[..., nn.Module] | None = None
    """The class itself, where it is none of a network family."""


@dataclass(frozen=True)
class Conversion:
    """What a task makes of images.

    Args:
        inputs: channels of a source.
        outputs: channels of an answer; 1 of labels.
        scale: how many times larger an answer is than its source.
        labels: whether an answer holds "labels" (N, H, W); otherwise it holds images "x" (N, C, H, W).
        restores: whether an answer is a better version of its source, and not another image.
    """

    inputs: int
    outputs: int
    scale: int = 1
    labels: bool = False
    restores: bool = False


@dataclass(frozen=True)
class WayBack:
    """A task that learns both ways, the other way round: sources are made of items x.

    Args:
        task: whose items are the sources of this one, and whose sources are its items.
        players: the name that each of its players has in this one.
    """

    task: Playable
    players: Mapping[str, str]


class Scoring(Protocol):
    """Answers compared with the truth, item by item."""

    @property
    def score_is(self) -> str:
        """What the score means."""
        ...

    @property
    def worst(self) -> float:
        """The largest score that there may be."""
        ...

    @property
    def by_appearance(self) -> bool:
        """Whether answers are images that are to look like true ones, so that the least error is not the best."""
        ...

    def tally(self, real: Batch, answer: Batch) -> Tensor:
        """(N, F): what is counted of each answer; sums over items are all that the figures need."""
        ...

    def figures(self, tallies: Tensor) -> dict[str, float]:
        """Figures of items (N, F); among them "score", lower is better."""
        ...


class Playable(Task, Protocol):
    """A task that a run can play. `_defaults.TaskDefaults` has an answer to all but `contest`, `prior`, `networks` and
    the game.

    The answers of the player "generator" are scored. A task takes those of the settings `prior`,
    `contest`, `discriminator_steps`, `generator_steps` and `simultaneous` that its constructor names, then its own
    options, all by name.
    """

    @property
    def contest(self) -> Contest:
        """Loss, penalty and views."""
        ...

    @property
    def draws(self) -> bool:
        """Whether "x" answers a request with "z" of the prior: samples are what a run is for."""
        ...

    @property
    def prior(self) -> Prior | None:
        """Of z; None of a task without one."""
        ...

    @property
    def families(self) -> tuple[str, ...]:
        """The families of the generator that suit the task, by name; empty where all do that there are of its kind."""
        ...

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of data that suit the task: image, table, toy."""
        ...

    @property
    def stages(self) -> tuple[float, ...]:
        """The shares of the run at which its rounds become others, beside 0."""
        ...

    @property
    def rates(self) -> Mapping[str, Schedule]:
        """Factors on the learning rates of single players, by name, beside the run's own decay."""
        ...

    @property
    def averaged(self) -> tuple[str, ...]:
        """The players of which a moving average is kept, where a run keeps one."""
        ...

    @property
    def learns_labels(self) -> bool:
        """Whether it learns the class of items, of which some or most may be unknown."""
        ...

    @property
    def judged_by(self) -> str:
        """What an evaluation holds answers against that are right or wrong: the "labels" of items, or hidden "cells" of
        a table; empty where it looks at samples."""
        ...

    @property
    def command(self) -> str:
        """The command that puts a trained run to work."""
        ...

    @property
    def usage(self) -> str:
        """What is typed behind that command and the run."""
        ...

    @property
    def request_names(self) -> tuple[str, ...]:
        """The entries of a request."""
        ...

    @property
    def condition_kind(self) -> str | None:
        """What can be asked for: "classes", "attributes" or "values"; None for nothing."""
        ...

    @property
    def condition_length(self) -> int:
        """K of c (N, K); 0 where nothing can be asked for."""
        ...

    @property
    def classes_first(self) -> bool:
        """How classes lie along the weights of players: before all else, each with all of its numbers beside each
        other; or behind all else, one class after another, as often as they occur."""
        ...

    def of_one_more_class(self) -> Playable | None:
        """The task for one class more, or attribute or value, whose networks are wider where such lie along their
        weights; None where players know none."""
        ...

    @property
    def default_condition(self) -> Tensor | None:
        """c (1, K) where nothing is asked for."""
        ...

    @property
    def sees_x_alone(self) -> bool:
        """Whether the input of the discriminator is x and nothing beside it."""
        ...

    @property
    def looks_at(self) -> str:
        """The items that players learn from, "all" or those that are "labelled", where a discriminator alone looks at
        them, and at no others, so that what is frozen in it may do so beforehand; else empty."""
        ...

    @property
    def deals_apart(self) -> bool:
        """Whether each row of a hand follows from the same row of the real batch alone: a process that plays some rows
        need not read the others."""
        ...

    @property
    def scoring(self) -> Scoring | None:
        """Compares answers with the truth; None where samples and data are compared as two sets."""
        ...

    @property
    def snapshot_items(self) -> int:
        """How many held-out items a checkpoint's snapshot shows; 0 for samples."""
        ...

    @classmethod
    def layout(cls, options: Mapping[str, Any]) -> str:
        """How the data lie in files, for these options; see evenodds.data.sources.load."""
        ...

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """Further options, those that follow from the data; BadInput where the data do not suit the task."""
        ...

    @classmethod
    def by_class(cls, data: DataDescription, options: Mapping[str, Any]) -> bool:
        """Whether samples are asked for by class, so that the training items need more than one."""
        ...

    @classmethod
    def has_generator(cls, options: Mapping[str, Any]) -> bool:
        """Whether a generator takes part in the game of a task with these options."""
        ...

    @classmethod
    def has_discriminator(cls, options: Mapping[str, Any]) -> bool:
        """Whether a discriminator takes part, for these options."""
        ...

    @classmethod
    def idle(cls, options: Mapping[str, Any], prior: Prior | None) -> Mapping[str, str]:
        """The options that would change nothing beside these: of each, beside what, and after a semicolon what to type
        so that it does.

        Args:
            prior: of z; None of a task that takes none.
        """
        ...

    @classmethod
    def augmentation(cls, shape: Sequence[int], options: Mapping[str, Any]) -> str:
        """The settings under which items x of that shape are shown in more ways, for a shell; empty where none are."""
        ...

    @classmethod
    def better_networks(cls, generator: str, discriminator: str, shape: Sequence[int]) -> str:
        """What learns more of items x of that shape than networks of these families, and what to type for it; empty
        where nothing is known to."""
        ...

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The network of each player, for items x of that shape. They are initialised in this order."""
        ...

    def fixtures(self) -> dict[str, nn.Module]:
        """What is kept like a player, learns nothing and takes part in costs, by name."""
        ...

    def require_parts(self) -> None:
        """BadInput where something is missing that learning needs, and answering does not."""
        ...

    def request_for(self, real: Batch, rng: torch.Generator) -> Batch:
        """A request for each real item; the answers to it are scored."""
        ...

    def condition(self, batch: Batch) -> Tensor | None:
        """c (N, K) of a batch; None where nothing can be asked for."""
        ...

    def conversion(self, shape: Sequence[int]) -> Conversion | None:
        """What is made of a "source", for items x of that shape; None of a task that takes no source images."""
        ...

    def way_back(self, shape: Sequence[int]) -> WayBack | None:
        """The task the other way round, for items x of that shape; None where no player has learned that."""
        ...

    def unconditional(self, players: Players, shape: Sequence[int], c: Tensor | None = None) -> dict[str, nn.Module]:
        """The players as those of plain generation: "generator" z -> x and, where one judges x, "discriminator".

        Args:
            players: of the task.
            shape: of an item x.
            c: (N, K), or (1, K) for all, where the task has conditions.
        """
        ...

    def read(self, players: Players, x: Tensor) -> Batch:
        """What the players read in items x (N, ...), by name with a row for each item; nothing of most tasks."""
        ...

    def value_task(self) -> Task | None:
        """The task as played for the value of eq. 1 of Goodfellow et al. (2014) alone; None where it has none."""
        ...

    def snapshot(self, real: Batch, answer: Callable[[Batch], Batch]) -> list[Tensor]:
        """Rows of a picture with a column for each real item: images (N, C, H, W) in [-1, 1], or labels (N, H, W)."""
        ...
