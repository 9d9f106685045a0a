"""Networks and penalties of one's own are tried on a few items before a run: what is wrong is said by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.members import buffers_of
from evenodds.runs.allowed import is_external, line_of_own
from evenodds.runs.config import Config
from evenodds.tasks._playable import Playable
from evenodds.tasks.contest import Penalty, draws_of

__all__ = ["called", "require_own_networks", "require_own_penalty"]


def require_own_networks(config: Config, task: Playable, players: Mapping[str, nn.Module], x: Tensor) -> None:
    """BadInput where a generator or discriminator of one's own does not turn z into items, or items into logits.

    Tasks whose generator takes more than z and a condition are left alone.

    Args:
        x: (2, ...) items in [-1, 1].
    """
    own = {
        name: part.name for name in ("generator", "discriminator") if is_external((part := getattr(config, name)).name)
    }
    if not own or not task.draws:
        return
    c = torch.zeros(1, task.condition_length, device=x.device) if task.condition_length else None
    plain = task.unconditional(players, tuple(x.shape[1:]), c)
    devices = [x.device] if x.device.type == "cuda" else []
    for name in own.keys() & plain.keys():
        what = f"{name} '{own[name]}'"
        buffers = buffers_of(players[name])
        before = [buffer.clone() for buffer in buffers]
        with torch.random.fork_rng(devices), torch.enable_grad():
            if name == "generator":
                z = _noise(task, x.device)
                _require_items(what, called(what, plain[name], z), z, x)
            else:
                _require_logits(what, plain[name], x)
        with torch.no_grad():
            for buffer, old in zip(buffers, before, strict=True):
                buffer.copy_(old)


def _noise(task: Playable, device: torch.device) -> Tensor:
    """z of two items."""
    rng = torch.Generator(device).manual_seed(0)
    return torch.zeros(2, 0, device=device) if task.prior is None else task.prior(2, rng)


def called(what: str, player: Callable[[Tensor], Any], given: Tensor) -> Any:
    """What code of one's own answers; BadInput, with the line of it, where it fails or changes what it was given."""
    kept = given.clone()
    try:
        answer = player(given)
    except Exception as error:
        if isinstance(error, BadInput):
            raise
        line = line_of_own(error)
        message = " ".join(str(error).split())
        raise BadInput(
            f"{what} fails on {tuple(kept.shape)} {str(kept.dtype).removeprefix('torch.')}: "
            f"{f'{line}: ' if line else ''}{type(error).__name__}: {message}"
        ) from error
    if not torch.equal(given, kept):
        raise BadInput(f"{what} changes its input in place, which others see too; work on a copy of it")
    return answer


def _require_tensor(what: str, answer: Any, expected: str, dtype: torch.dtype) -> Tensor:
    if not isinstance(answer, Tensor):
        raise BadInput(f"{what} must return one tensor {expected}, got {type(answer).__name__}")
    if answer.dtype != dtype:
        wanted, came = (str(one).removeprefix("torch.") for one in (dtype, answer.dtype))
        raise BadInput(f"{what} must return {wanted}, got {came}; end with .to(torch.{wanted})")
    if not answer.isfinite().all():
        raise BadInput(f"{what} returns NaN or infinity before it has learned anything")
    return answer


def _require_items(what: str, answer: Any, z: Tensor, x: Tensor) -> None:
    expected = f"(N, {', '.join(map(str, x.shape[1:]))})"
    items = _require_tensor(what, answer, expected, x.dtype)
    if items.shape != x.shape:
        raise BadInput(
            f"{what} must turn z {_sized(z)} into items {expected}, in [-1, 1], got {tuple(items.shape)} for {len(z)} z"
        )


def _require_logits(what: str, discriminator: nn.Module, x: Tensor) -> None:
    expected = "(N,), a logit for each item"
    logits = _require_tensor(what, called(what, discriminator, x), expected, x.dtype)
    if logits.dim() == 0 or len(logits) != len(x):
        came = f"{tuple(logits.shape)} for {len(x)} items"
        raise BadInput(f"{what} must turn items {_sized(x)} into {expected}, got {came}")
    if not logits.requires_grad and any(p.requires_grad for p in discriminator.parameters()):
        raise BadInput(f"{what} returns logits without a slope, so that nothing is learned; detach nothing in forward")
    with torch.no_grad():
        far = torch.cat([logits.flatten(), *(discriminator(scale * x).flatten() for scale in (-1e4, 1e4))])
    if bool(((far >= 0) & (far <= 1)).all()) and float(far.max()) > float(far.min()):
        raise BadInput(
            f"{what} must return logits, any real numbers, got [{float(far.min()):.3g}, {float(far.max()):.3g}], even "
            "of items that are multiplied by 10,000; leave the sigmoid at its end out"
        )


def _sized(x: Tensor) -> str:
    return f"(N, {', '.join(map(str, x.shape[1:]))})"


def require_own_penalty(name: str, penalty: Penalty) -> None:
    """BadInput where a penalty of one's own does not give one number for each item that depends on the score.

    It is tried on items (4, 3) with a score that has parameters.
    """
    if not is_external(name):
        return
    rng = torch.Generator().manual_seed(0)
    real, fake = (torch.rand(4, 3, generator=rng).requires_grad_() for _ in range(2))
    weight = torch.ones(3, requires_grad=True)
    drawn = {"uniform": torch.rand(4, 4, generator=rng), "normal": torch.randn(4, 3, generator=rng)}
    given = {draw: drawn[draw] for draw in draws_of(penalty)}
    with torch.enable_grad():
        answer: Any = penalty(lambda x: (x * weight).square().sum(1), real, fake, **given)
    what = f"penalty '{name}'"
    if not isinstance(answer, Tensor) or answer.shape != (4,):
        came = tuple(answer.shape) if isinstance(answer, Tensor) else f"a {type(answer).__name__}"
        raise BadInput(f"{what} must return one number for each item, (N,), got {came} for 4 items; leave it unreduced")
    slope = torch.autograd.grad(answer.sum(), weight, allow_unused=True)[0] if answer.requires_grad else None
    if slope is None:
        raise BadInput(
            f"{what} has no slope in the discriminator's weights, so that nothing is learned by it; "
            "give create_graph to torch.autograd.grad"
        )
