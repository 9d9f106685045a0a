"""Parts of one's own are tried on a few items before a run: what is wrong is said by their name.

They are tried as copies, with random numbers of their own: a run is the same to the bit as if nothing had been tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.members import buffers_of
from evenodds.runs.allowed import is_external, line_of_own
from evenodds.runs.assembly import Run
from evenodds.runs.build import build_prior
from evenodds.runs.config import Config
from evenodds.runs.find import canonical
from evenodds.tasks._loss_check import require_loss, require_trained
from evenodds.tasks.contest import Contest, Penalty, draws_of

__all__ = ["called", "has_own_parts", "require_own_parts"]

T = TypeVar("T")
FEW = 2
"""Items on which parts are tried; those that fail are tried on as many as they see in a round."""
TRIES = 16
"""Other weights with which a discriminator may answer with a number outside [0, 1]."""


def require_own_parts(run: Run) -> None:
    """BadInput where a loss, a penalty, a prior or a network of one's own does not do what a run asks of it.

    Nothing is read or tried where none is one's own. A task of one's own calls its parts as it likes: they are left
    alone. So are players that are fitted, and slopes where no learner follows them.
    """
    if not has_own_parts(config := run.config):
        return
    loss, task, engine = config.loss.name, run.task, run.engine
    share = max(1, config.batch // (engine.size * engine.accumulate))
    trial = _Trial(run, {player: name for player, name in _network_names(config).items() if is_external(name)})
    devices = [engine.device] if engine.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad():
        if is_external(loss):
            require_loss(trial.loss, engine.device, trial.sloping)
            require_trained(trial.loss, "loss" in {mover for move in task.moves() for mover in move.movers})
        if is_external(config.prior.name) and task.prior is not None:
            anew, any_shape = build_prior(config, run.dataset.shape, run.dataset.row_blocks), "generator" in trial.own
            _require_prior(f"prior '{config.prior.name}'", _copied(task.prior), anew, engine.device, any_shape)
        try:
            trial.on(min(FEW, share))
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception:  # some need a whole batch, such as groups of four
            if share <= FEW:
                raise
            trial.on(share)


def has_own_parts(config: Config) -> bool:
    """Whether a run has parts of one's own that are tried."""
    penalty = "" if config.penalty is None else config.penalty.name
    named = (config.loss.name, penalty, config.prior.name, *_network_names(config).values())
    return any(map(is_external, named)) and not is_external(config.task.name)


def _network_names(config: Config) -> dict[str, str]:
    """The names of the networks, by player."""
    return {"generator": config.generator.name, "discriminator": config.discriminator.name}


@dataclass(frozen=True)
class _Trial:
    """What is tried, in a run that was put together.

    Args:
        own: the names of networks of one's own, by player.
    """

    run: Run
    own: Mapping[str, str]

    @cached_property
    def loss(self) -> Any:
        """A copy of the loss."""
        return _copied(self.run.task.contest.loss)

    @property
    def sloping(self) -> bool:
        """Whether players learn by slopes."""
        return canonical("learners", self.run.config.learner.name) == "gradient"

    def on(self, count: int) -> None:
        """BadInput where the penalty or a network is wrong, on so many items."""
        run, index = self.run, torch.arange(count) % len(self.run.dataset)
        x = run.engine.send({"x": run.dataset.batch(index)["x"]})["x"]
        part, penalty = run.config.penalty, run.task.contest.penalty
        if part is not None and penalty is not None and is_external(part.name):
            _require_penalty(f"penalty '{part.name}'", _copied(penalty), x, self.sloping)
        if self.own and run.task.draws:
            self._networks(x)

    def _networks(self, x: Tensor) -> None:
        task, c = self.run.task, self.run.task.default_condition
        if task.condition_length and c is None:
            c = torch.zeros(1, task.condition_length)
        c = None if c is None else c.to(x.device)
        with _copies(self.run.game.players) as players:
            plain = task.unconditional(players, tuple(x.shape[1:]), c)
            for name in [name for name in plain if name in self.own and not hasattr(players[name], "fit")]:
                what = f"{name} '{self.own[name]}'"
                if name == "generator":
                    _require_items(what, plain["generator"], self._noise(x), x, plain.get("discriminator"))
                else:
                    _require_logits(what, plain["discriminator"], x, self.sloping, not self.run.config.fused)
                    if self._of_logits():
                        _require_unbounded(what, players["discriminator"], plain["discriminator"], x)

    def _noise(self, x: Tensor) -> Tensor:
        """z of as many items."""
        rng = torch.Generator(x.device).manual_seed(0)
        prior = self.run.task.prior
        return torch.zeros(len(x), 0, device=x.device) if prior is None else prior(len(x), rng)

    def _of_logits(self) -> bool:
        """Whether the loss asks for the logarithm of a ratio, which a probability is not."""
        contest: Contest = replace(self.run.task.contest, loss=self.loss)
        try:
            return contest.log_ratio
        except RuntimeError:  # a side of it has no slope
            return False


def _copied(part: T) -> T:
    """A copy, so that what is counted or kept in it when it is called stays as it is; what cannot be copied, itself."""
    try:
        return deepcopy(part)
    except Exception:
        return part


@contextmanager
def _copies(players: Mapping[str, nn.Module]) -> Iterator[dict[str, nn.Module]]:
    """Copies; players that cannot be copied get their buffers and parameters back."""
    copies = {name: _copied(player) for name, player in players.items()}
    kept = [
        (tensor, tensor.detach().clone())
        for name, player in players.items()
        if copies[name] is player
        for tensor in (*buffers_of(player), *player.parameters())
    ]
    try:
        yield copies
    finally:
        with torch.no_grad():
            for tensor, old in kept:
                tensor.copy_(old)


def called(what: str, player: Callable[[Tensor], Any], given: Tensor) -> Any:
    """What code of one's own answers; BadInput, with its line, where it fails or changes what it was given."""
    kept = given.clone()
    try:
        answer = player(given)
        if not _equal(given, kept):
            player(again := given.clone())
            if not _equal(again, given):
                raise BadInput(f"{what} changes its input in place, which others see too; work on a copy of it")
    except (BadInput, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        line = line_of_own(error)
        message = " ".join(str(error).split())
        raise BadInput(
            f"{what} fails on {tuple(kept.shape)} {_named(kept.dtype)}: "
            f"{f'{line}: ' if line else ''}{type(error).__name__}: {message}"
        ) from error
    return answer


def _equal(one: Tensor, other: Tensor) -> bool:
    # They are usually equal, which is found 16 times as fast.
    return torch.equal(one, other) or torch.allclose(one, other, rtol=1e-5, atol=1e-7, equal_nan=True)


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _require_prior(what: str, prior: Any, anew: Any, device: torch.device, any_shape: bool) -> None:
    """BadInput where a prior does not draw z by the generator of random numbers that it is given alone.

    Args:
        anew: the same one, made once more.
        any_shape: whether z is for a generator of one's own, which may take z of any shape.
    """
    one, again, other = (of(FEW, torch.Generator(device).manual_seed(0)) for of in (prior, prior, anew))
    z = _require_tensor(what, one, f"(N, {prior.size})")
    if len(z) != FEW or (not any_shape and z.shape != (FEW, prior.size)):
        raise BadInput(f"{what} must draw z (N, {prior.size}), got {tuple(z.shape)} for {FEW} z")
    if not torch.equal(z, again):
        raise BadInput(f"{what} draws other z by the same rng; all numbers must be drawn by that generator")
    if isinstance(prior, nn.Module) and any(p.requires_grad for p in prior.parameters()):
        raise BadInput(f"{what} has parameters, which nothing trains or keeps; make them layers of the generator")
    if not torch.equal(z, other):
        raise BadInput(
            f"{what} draws other z by the same rng when it is made again, as for samples; what it holds "
            "must follow from its options"
        )


def _require_tensor(what: str, answer: Any, expected: str) -> Tensor:
    if not isinstance(answer, Tensor):
        raise BadInput(f"{what} must return one tensor {expected}, got {type(answer).__name__}")
    if not answer.is_floating_point():
        raise BadInput(f"{what} must return real numbers {expected}, got {_named(answer.dtype)}")
    if not answer.isfinite().all():
        raise BadInput(f"{what} returns NaN or infinity before it has learned anything")
    return answer


def _require_items(what: str, generator: nn.Module, z: Tensor, x: Tensor, discriminator: nn.Module | None) -> None:
    expected = _sized(x)
    items = _require_tensor(what, called(what, generator, z), expected)
    if items.shape != x.shape:
        raise BadInput(
            f"{what} must turn z {_sized(z)} into items {expected}, in [-1, 1], got {tuple(items.shape)} for {len(z)} z"
        )
    if items.dtype != x.dtype and discriminator is not None:
        try:
            discriminator(items)
        except RuntimeError as error:
            wanted, came = _named(x.dtype), _named(items.dtype)
            raise BadInput(
                f"{what} must return {wanted} for this discriminator, got {came}; end with .to(torch.{wanted})"
            ) from error


def _require_logits(what: str, discriminator: nn.Module, x: Tensor, sloping: bool, apart: bool) -> None:
    """BadInput where a discriminator does not give logits of items.

    Args:
        apart: whether real and fake pass apart, so that it may give one for several items, or several for one.
    """
    expected = "(N,), a logit for each item"
    logits = _require_tensor(what, called(what, discriminator, x), expected)
    if logits.dim() == 0 or not (len(logits) == len(x) or (apart and _matched(len(logits), len(x)))):
        came = f"{tuple(logits.shape)} for {len(x)} items"
        raise BadInput(f"{what} must turn items {_sized(x)} into {expected}, got {came}")
    if sloping and not logits.requires_grad and any(p.requires_grad for p in discriminator.parameters()):
        raise BadInput(f"{what} returns logits without a slope, so that nothing is learned; detach nothing in forward")


def _matched(logits: int, items: int) -> bool:
    """Whether there is a logit for each pack of items (Lin et al. 2018), or several in a row for each item."""
    return (logits > 1 and items % logits == 0) or (logits > 0 and logits % items == 0)


def _require_unbounded(what: str, weights: nn.Module, discriminator: nn.Module, x: Tensor) -> None:
    """BadInput where logits lie in [0, 1] whatever the weights are.

    Args:
        weights: whose parameters are those of the discriminator; they are changed.
    """
    low, high = torch.inf, -torch.inf
    for _ in range(TRIES):
        with torch.no_grad():
            logits = discriminator(x)
            if not bool(((logits >= 0) & (logits <= 1)).all()):
                return
            low, high = min(low, float(logits.min())), max(high, float(logits.max()))
            for parameter in weights.parameters():  # of both signs: none is preferred
                parameter.copy_(torch.randn_like(parameter) * (2 * parameter.square().mean().sqrt() + 0.01))
    if high > low:
        raise BadInput(
            f"{what} must return logits, any real numbers, got [{low:.3g}, {high:.3g}], even with other weights; leave "
            "the sigmoid at its end out"
        )


def _sized(x: Tensor) -> str:
    return f"(N, {', '.join(map(str, x.shape[1:]))})"


def _require_penalty(what: str, penalty: Penalty, x: Tensor, sloping: bool) -> None:
    """BadInput where a penalty does not give one number for each item that depends on the score."""
    count = len(x)
    real, fake = (one.detach().clone().requires_grad_() for one in (x, x.roll(1, 0) / 2))
    weight = torch.ones_like(x[0], requires_grad=True)
    uniform, normal = torch.rand(count, 4, device=x.device), torch.randn_like(x)
    given = {name: {"uniform": uniform, "normal": normal}[name] for name in draws_of(penalty)}

    def score(x: Tensor) -> Tensor:
        return (x * weight).square().flatten(1).sum(1)

    answer: Any = penalty(score, real, fake, **given)
    if not isinstance(answer, Tensor) or answer.shape != (count,):
        came = tuple(answer.shape) if isinstance(answer, Tensor) else f"a {type(answer).__name__}"
        raise BadInput(
            f"{what} must return one number for each item, (N,), got {came} for {count} items; leave it unreduced"
        )
    if not sloping or not answer.any():  # one that begins later
        return
    slope = torch.autograd.grad(answer.sum(), weight, allow_unused=True)[0] if answer.requires_grad else None
    if slope is None:
        raise BadInput(
            f"{what} has no slope in the discriminator's weights, so that nothing is learned by it; "
            "give create_graph to torch.autograd.grad"
        )
