"""Learning by refitting a player, as a whole, to labelled real and fake examples.

Where do the examples come from? A move says what it wants by its cost, a function of players and hand, and by that
alone; what is real and what is fake in it, through which view, under which names, is the task's own affair. So the
cost is asked. It is played once with a stand-in in the mover's place, which notes every row that it is asked about
and answers even odds to all. The slope of the cost in each answer says which way the cost wants that answer: up, the
row is to pass as real; down, as fake; nowhere, the row does not matter. These are the pseudo-responses of functional
gradient boosting (Mason et al. 1999; Friedman 2001, algorithm 1), and for an adversarial loss they are the labels.

The alternatives are worse. To take hand["x"] and to call players["generator"](hand["z"]) would bind this learner to
one task, and to the views that it forgets. Examples in Costs.facts would be logged as numbers, and would ask of every
task that it serves this learner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput, Diverged
from evenodds.game.engine import Engine
from evenodds.game.learners.gradient import frozen, play
from evenodds.game.rules import Batch, Costs, Move, Players, Progress, State
from evenodds.game.seeds import mix

__all__ = ["Fit", "Fittable"]


class Fittable(Protocol):
    """A player that is a function of labelled examples; see evenodds.parts.nonneural.fitted."""

    real: Tensor
    fake: Tensor

    def fit(self, real: Tensor, fake: Tensor, seed: int) -> None:
        """Becomes the player of real (N, D) and fake (M, D), and keeps both; the same arguments, the same player."""
        ...

    def record(self) -> dict[str, Any]:
        """What it is, as plain JSON values."""
        ...


class Rows(NamedTuple):
    """Labelled examples."""

    real: Tensor
    """(N, D)."""
    fake: Tensor
    """(M, D)."""


@dataclass
class Fit:
    """Refits players to a sliding window of the rows that their moves ask them about.

    The window is what the player was last fitted to, and is kept by the player, as tensors. This learner keeps the
    rows that came since. So a player is restored by fitting it again, with the same seed, to the same rows: no fitted
    estimator is ever saved, and for an estimator that is a function of its data and its seed (all of scikit-learn's,
    on one machine with one number of threads) a resumed run is the uninterrupted one, bit for bit.

    Rows of images are their pixels in one line; where a player takes several tensors, those of an item are one row.
    Refitting waits for the device. Not for moves that differentiate the player (gradient penalties), nor for several
    processes.

    Args:
        players: by name; each is a `Fittable`.
        rows: length of the window, for real and for fake rows each.
        every: plays from one fit to the next; the first play fits.
        seed: of the fits, where they draw anything.
        even: the logit that means even odds: 0, for least squares 1/2.
    """

    players: Mapping[str, Fittable]
    rows: int = 4096
    every: int = 1
    seed: int = 0
    even: float = 0.0
    plays: dict[str, int] = field(init=False, default_factory=dict)
    waiting: dict[str, Rows] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.rows < 1 or self.every < 1:
            raise BadInput(f"fit needs rows >= 1 and every >= 1, got {self.rows} and {self.every}")
        self.plays = dict.fromkeys(self.players, 0)

    def improve(self, move: Move, players: Players, hand: Batch, engine: Engine, progress: Progress) -> Costs:
        if engine.size > 1:
            raise BadInput(f"fit needs one process, got {engine.size}: each would fit a player of its own; play on one")
        with frozen(players, but=()):
            for name in (name for name in move.movers if name in self.players):
                self._note(name, examples(move, players, hand, engine, name, self.even))
            costs = play(move, players, hand, engine)
        for name in (name for name in move.movers if name in self.players):
            if self.plays[name] % self.every == 0:
                self._fit(name)
            self.plays[name] += 1
        return costs

    def _note(self, name: str, new: Rows) -> None:
        if not all(bool(part.isfinite().all()) for part in new):
            raise Diverged(f"player '{name}' was shown rows that are not finite; lower the learning rates")
        old = self.waiting.get(name)
        self.waiting[name] = new if old is None else Rows(*(torch.cat(pair) for pair in zip(old, new, strict=True)))

    def _fit(self, name: str) -> None:
        player, new = self.players[name], self.waiting.pop(name)
        real, fake = self._window(player.real, new.real), self._window(player.fake, new.fake)
        player.fit(real, fake, mix(self.seed, self.plays[name]))

    def _window(self, old: Tensor, new: Tensor) -> Tensor:
        """The latest rows of both."""
        return (torch.cat([old, new]) if len(old) else new)[-self.rows :]

    def state(self) -> State:
        tensors = {f"{n}/{part}": t for n, rows in self.waiting.items() for part, t in rows._asdict().items()}
        records = {n: {"plays": self.plays[n], "player": player.record()} for n, player in self.players.items()}
        return State(tensors, dict(records))

    def restore(self, state: State) -> None:
        for name, player in self.players.items():
            record = state.data.get(name)
            if not isinstance(record, dict):
                raise BadInput(f"the checkpoint's learner fitted no player '{name}'; restore the learner it had")
            _same(name, player.record(), record["player"])
            self.plays[name] = int(record["plays"])
        parts = {name: [state.tensors.get(f"{name}/{part}") for part in Rows._fields] for name in self.players}
        self.waiting = {name: Rows(a, b) for name, (a, b) in parts.items() if a is not None and b is not None}


def examples(move: Move, players: Players, hand: Batch, engine: Engine, name: str, even: float) -> Rows:
    """The rows about which the cost of the move asks a player, by which way it wants the answers.

    Args:
        name: the player's.
        even: what the stand-in answers.

    Raises:
        BadInput: the cost differentiates the player, or does not want some answers up and others down.
    """
    stand_in = StandIn(even)
    with torch.enable_grad():
        try:
            total = play(move, {**players, name: stand_in}, hand, engine).total()
            answers = [answer for _, answer in stand_in.queries]
            slopes = torch.autograd.grad(total, answers, allow_unused=True)
        except RuntimeError as error:
            raise BadInput(
                f"move '{move.name}' has no slope in the answers of '{name}' alone; leave out gradient penalties"
            ) from error
    slope = torch.cat([torch.zeros_like(a) if s is None else s for a, s in zip(answers, slopes, strict=True)])
    rows = torch.cat([rows for rows, _ in stand_in.queries])
    examples = Rows(rows[slope < 0], rows[slope > 0])
    if not (len(examples.real) and len(examples.fake)):
        raise BadInput(
            f"move '{move.name}' wants {len(examples.real)} answers of '{name}' up and {len(examples.fake)} down "
            f"at the logit {even}; set `even` to the loss's logit of even odds, 0.5 for least squares"
        )
    return examples


class StandIn(nn.Module):
    """Takes a player's place, notes what it is asked, and answers the same to everything."""

    def __init__(self, answer: float) -> None:
        super().__init__()
        self.answer = answer
        self.queries: list[tuple[Tensor, Tensor]] = []

    def forward(self, *parts: Tensor) -> Tensor:
        row = torch.cat([part.detach().flatten(1).float() for part in parts], 1)
        logits = torch.full((len(row),), self.answer, device=row.device, requires_grad=True)
        self.queries.append((row, logits))
        return logits


def _same(name: str, have: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    """Raises BadInput with the first difference between two records."""
    for key in sorted({*have, *saved}):
        mine, other = have.get(key), saved.get(key)
        if mine == other:
            continue
        if isinstance(mine, Mapping) and isinstance(other, Mapping):
            return _same(name, mine, other)
        raise BadInput(f"player '{name}' has {key} {mine!r}, the checkpoint {other!r}; restore the player it had")
