"""The trainer plays moves. It knows no task, no loss and no network by name."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from evenodds.game.engine import Engine, reseed
from evenodds.game.learners import Learner
from evenodds.game.rules import Batch, Costs, Game, Move, Players, Progress
from evenodds.game.seeds import mix

__all__ = ["Feed", "Listener", "Training", "train"]


class Feed(Protocol):
    """Real data as a pure function of the position, so that a position is all that a resume needs."""

    @property
    def size(self) -> int:
        """Items per batch."""
        ...

    def at(self, position: int) -> Batch:
        """The batch that begins at item `position` of the endless sequence of shuffled epochs."""
        ...


@dataclass
class Training:
    """All that takes part in a run, as the listeners see it."""

    game: Game
    learners: Mapping[str, Learner]
    engine: Engine
    progress: Progress
    seed: int
    terms: dict[str, Tensor] = field(default_factory=dict)
    """The latest value of each reported term, on the device; read them with `engine.read`, rarely."""
    fresh: set[str] = field(default_factory=set)
    """The names of those that moves of the latest round have reported: not every move is played in every round."""
    stop: bool = False
    """A listener sets this to end the run after the round."""
    news: str = ""
    """The latest verdict on the run, in a few words, for listeners that show it."""
    whole: bool = True
    """False in the midst of a round, and after a failure there: some players have moved and others not."""
    length: int = 0
    """Images after which the run ends; a listener may change it."""
    noun: str = "images"
    """What is shown, in words: the noun of the feed, where it has one."""
    playing: float = 0.0
    """Seconds spent in rounds, without what listeners took; on a GPU, until they were handed to it."""


class Listener(Protocol):
    """Watches a run: logs, averages, saves, measures. None of it is the trainer's business."""

    def begin(self, training: Training) -> None:
        """Before the first round, after a resume too."""
        ...

    def after_round(self, training: Training) -> None:
        """After each round."""
        ...

    def end(self, training: Training) -> None:
        """After the last round, also when the run was interrupted."""
        ...


def train(
    game: Game,
    data: Feed,
    learners: Learner | Mapping[str, Learner],
    engine: Engine,
    *,
    images: int,
    seed: int = 0,
    progress: Progress | None = None,
    listeners: Sequence[Listener] = (),
) -> Progress:
    """Plays the game until `images` real images were shown.

    Args:
        data: batches by position.
        learners: one for all players, or one for each by name.
        images: when to end; with a `progress` that is already there, nothing happens.
        seed: of all draws. The same seed gives the same bits on the same machine's CPU, also across a resume.
        progress: where to go on; a fresh one where None.
        listeners: called in this order.

    Returns:
        The progress made, which is `progress` itself where one was given.

    Example:
        Real points lie on a line; the generator learns to draw such points.

        >>> import torch
        >>> from torch import nn
        >>> from evenodds import Game, Gradient, Local, train
        >>> from evenodds.parts.losses.adversarial import non_saturating
        >>> from evenodds.parts.priors import Normal
        >>> from evenodds.tasks.contest import Contest
        >>> from evenodds.tasks.generate import Generate
        >>> class Line:
        ...     size = 32
        ...     def at(self, position):  # the same position gives the same batch
        ...         rng = torch.Generator().manual_seed(position)
        ...         return {"x": torch.rand(self.size, 1, generator=rng).expand(-1, 2)}
        >>> players = {
        ...     "generator": nn.Linear(4, 2),
        ...     "discriminator": nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)),
        ... }
        >>> game = Game(Generate(Normal(4), Contest(non_saturating)), players)
        >>> learner = Gradient({name: torch.optim.Adam(p.parameters(), 2e-3) for name, p in players.items()})
        >>> progress = train(game, Line(), learner, Local(), images=320)
        >>> progress.images, progress.round
        (320, 10)
        >>> game.task.answer(players, {"z": torch.randn(5, 4)})["x"].shape
        torch.Size([5, 2])
    """
    progress = progress if progress is not None else Progress(total=images)
    by_name = learners if isinstance(learners, Mapping) else dict.fromkeys(game.players, learners)
    noun = getattr(data, "noun", Training.noun)
    training = Training(game, by_name, engine, progress, seed, length=images, noun=noun)
    players = engine.adopt(game.players)
    with _restored_randomness():
        for listener in listeners:
            listener.begin(training)
        try:
            while progress.images < training.length and not training.stop:
                begun = time.perf_counter()
                play_round(training, players, data)
                training.playing += time.perf_counter() - begun
                for listener in listeners:
                    listener.after_round(training)
        except BaseException:
            training.whole = False
            raise
        finally:
            end(training, listeners)
    return progress


def end(training: Training, listeners: Sequence[Listener]) -> None:
    """Ends every listener in its order, also where one before it fails; then the last failure is raised."""
    with ExitStack() as stack:
        for listener in reversed(listeners):
            stack.callback(listener.end, training)


def play_round(training: Training, players: Players, data: Feed) -> None:
    """Plays every move that is due. The n-th play of each move in a round sees the n-th real batch of that round."""
    engine, progress = training.engine, training.progress
    training.whole = False
    training.fresh.clear()
    # All draws of a round are a function of (seed, round): no random state survives it, none need be saved. Processes
    # deal the same hand, of which each plays a slice; so only dropout, which draws from torch's generator, differs.
    rng = torch.Generator(engine.device).manual_seed(mix(training.seed, progress.round, 0))
    reseed(engine.device, mix(training.seed, progress.round, engine.rank, 1))
    reals: list[Batch] = []
    for move in training.game.moves:
        if not move.when(progress):
            continue
        for turn in range(move.repeat):
            if turn == len(reals):
                reals.append(engine.send(data.at(progress.images + turn * data.size)))
            hand = training.game.task.deal(reals[turn], rng)
            terms = _play(move, players, hand, training)
            training.terms |= terms
            training.fresh |= terms.keys()
    progress.images += max(1, len(reals)) * data.size
    progress.round += 1
    training.whole = True


def _play(move: Move, players: Players, hand: Batch, training: Training) -> dict[str, Tensor]:
    terms: dict[str, Tensor] = {}
    for learner in {id(learner): learner for learner in map(training.learners.__getitem__, move.movers)}.values():
        costs: Costs = learner.improve(move, players, hand, training.engine, training.progress)
        for name, value in {**costs, **costs.facts}.items():
            terms[f"{move.name}/{name}"] = value.detach()
    return terms


@contextmanager
def _restored_randomness() -> Iterator[None]:
    """The run seeds torch's default generator for dropout; the caller's random state comes back afterwards."""
    with torch.random.fork_rng():
        yield
