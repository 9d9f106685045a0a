"""The memory that a round of training takes at its peak, found by playing it where tensors have a shape and no values.

On torch's "meta" device nothing is allocated, computed or drawn. The round is played there with the real task, so that
what a loss, a penalty with its second derivatives or a view keeps for the backward pass is counted as it is.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode

from evenodds.game.engine import Local
from evenodds.game.learners.gradient import frozen, play
from evenodds.game.rules import Batch, Move, Task

__all__ = ["Peak", "as_meta", "on_meta", "peak_of"]

MOMENTS = {"Adam": 2, "AdamW": 2, "Adamax": 2, "NAdam": 2, "RAdam": 2, "OptimisticAdam": 2, "RMSprop": 1, "Adagrad": 1}
"""Numbers that an optimizer keeps for each parameter; none are counted of others."""


@dataclass(frozen=True)
class Peak:
    """Bytes at the peak of a round.

    Args:
        weights: of all players, with their gradients, what their optimizers keep of them, and moving averages.
        activations: of one batch.
    """

    weights: int
    activations: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.activations


def peak_of(
    task: Task,
    players: Mapping[str, nn.Module],
    real: Batch,
    optimizer: str = "Adam",
    averaged: tuple[str, ...] = (),
    sharing: int = 1,
) -> Peak:
    """The peak of a round of a game.

    Args:
        task: deals the hands and lists the moves.
        players: on the "meta" device. Their gradients are set.
        real: a batch of the size of the run's, on the "meta" device.
        optimizer: the name of that of all players.
        averaged: the players of which a moving average is kept.
        sharing: processes that share what the optimizers keep.

    Returns:
        What is found. A move that asks for values, which are not there, is counted as far as it came.
    """
    sizes = {name: _bytes(player) for name, player in players.items()}
    moments = -(-sum(sizes.values()) * MOMENTS.get(optimizer, 0) // sharing)
    kept = sum(sizes.values()) + moments + sum(sizes.get(name, 0) for name in averaged)
    engine, live = Local(), Live()
    moves = task.moves()
    with OnMeta(), live:
        for move in moves:
            with suppress(Exception):
                _differentiate(move, players, task.deal(real, torch.Generator()), engine)
    slopes = sum(one.grad.nbytes for player in players.values() for one in player.parameters() if one.grad is not None)
    return Peak(kept + slopes, max(0, live.most - slopes))


def _differentiate(move: Move, players: Mapping[str, nn.Module], hand: Batch, engine: Local) -> None:
    """As the learner does it, see evenodds.game.learners.gradient."""
    for name in move.movers:
        players[name].zero_grad(set_to_none=True)
    with frozen(players, but=move.movers):
        play(move, players, hand, engine).total().backward()  # type: ignore[no-untyped-call]


def _bytes(player: nn.Module) -> int:
    return sum(one.numel() * one.element_size() for one in (*player.parameters(), *player.buffers()))


def on_meta(build: Callable[[], Any]) -> Any:
    """What a function makes, its tensors on the "meta" device."""
    with OnMeta():
        return build()


def as_meta(batch: Batch, items: int) -> dict[str, Tensor]:
    """A batch of so many items like those of another, on the "meta" device."""
    return {name: torch.empty((items, *one.shape[1:]), dtype=one.dtype, device="meta") for name, one in batch.items()}


class OnMeta(TorchFunctionMode):
    """Within it, every tensor that is made or used is on the "meta" device, and draws need no generator.

    A tensor says that it is on the CPU: what asks where it is, to put another one there, need not know of this.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func == _DEVICE:  # made anew by every access
            return _CPU
        if func in _DRAWN and (drawn := args[0] if args else (kwargs or {})["tensor"]).is_meta:
            return drawn
        options = {name: _moved(value) for name, value in (kwargs or {}).items() if name != "generator"}
        if func in _MAKERS or options.get("device") is not None:
            options["device"] = "meta"
        if func in (torch.Tensor.to, torch.Tensor.cpu):
            return _to(args, options)
        return func(*map(_moved, args), **options)


def _to(args: Any, options: Mapping[str, Any]) -> Any:
    """What Tensor.to gives of its arguments, but for the device."""
    args = tuple(one for one in args if not isinstance(one, torch.device | str))
    options = {name: value for name, value in options.items() if name not in ("device", "non_blocking")}
    return torch.Tensor.to(*args, **options) if len(args) > 1 or options else args[0]


_DEVICE: Any = torch.Tensor.device.__get__
_CPU = torch.device("cpu")
_MAKERS = frozenset(_device_constructors())
_DRAWN = frozenset({
    torch.Tensor.normal_, torch.Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_,
})  # fmt: skip
"""What fills a tensor: of one without values, it is that tensor. torch takes milliseconds to find that out, and imports
its compiler for it."""


def _moved(value: Any) -> Any:
    """A value, the tensors in it on the "meta" device."""
    if isinstance(value, list | tuple) and any(isinstance(one, Tensor | list | tuple) for one in value):
        return type(value)(map(_moved, value)) if type(value) in (list, tuple) else value
    if not isinstance(value, Tensor) or value.is_meta:
        return value
    with torch._C.DisableTorchFunction():
        return value.detach().to("meta")


_ATEN = torch.ops.aten
_ALIKE = frozenset({
    _ATEN.add.Tensor, _ATEN.sub.Tensor, _ATEN.mul.Tensor, _ATEN.div.Tensor, _ATEN.addcmul.default,
    _ATEN.leaky_relu.default, _ATEN.leaky_relu_backward.default, _ATEN.relu.default, _ATEN.threshold_backward.default,
    _ATEN.softplus.default, _ATEN.softplus_backward.default, _ATEN.clamp.default, _ATEN.clamp_min.default,
    _ATEN.pow.Tensor_Scalar, _ATEN.mul.Scalar, _ATEN.tanh_backward.default,
})  # fmt: skip
"""Operations on tensors of one shape and type that give another such; torch takes milliseconds to find that out."""
_COMPARED = frozenset({_ATEN.gt.Scalar, _ATEN.ge.Scalar, _ATEN.lt.Scalar, _ATEN.le.Scalar, _ATEN.eq.Scalar})


def _result(func: Any, args: Any, options: Mapping[str, Any]) -> Any:
    """What an operation gives on the "meta" device. Plain shapes are not left to torch, which is slow there."""
    first: Any = args[0] if args else None
    if not isinstance(first, Tensor) or not first.is_meta or options:
        return func(*args, **options)
    if func in _ALIKE and first.is_floating_point() and all(_alike(first, one) for one in args):
        return _like(first)
    if func in _COMPARED:
        return _like(first, torch.bool)
    if func is _ATEN.where.self and first.shape == args[1].shape and _alike(args[1], args[2]):
        return _like(args[1])
    if func is _ATEN.native_batch_norm.default and args[5]:
        return _like(first), *(first.new_empty(first.shape[1]) for _ in range(2))
    if func is _ATEN.addmm.default:
        return first.new_empty((args[1].shape[0], args[2].shape[1]))
    if func is _ATEN.upsample_bilinear2d.default:
        return first.new_empty((*first.shape[:2], *args[1]))
    return func(*args)


def _like(one: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor of the same shape; `torch.empty_like`, which is slow, where it has gaps or is expanded."""
    dense = one.is_contiguous() or (one.dim() == 4 and one.is_contiguous(memory_format=torch.channels_last))
    if not dense:
        return torch.empty_like(one, dtype=dtype)
    return torch.empty_strided(one.shape, one.stride(), dtype=dtype or one.dtype, device="meta")


def _alike(first: Any, other: Any) -> bool:
    """Whether one is a number, or both are tensors of the same shape and type."""
    if not isinstance(other, Tensor):
        return isinstance(first, Tensor)
    return isinstance(first, Tensor) and first.shape == other.shape and first.dtype == other.dtype


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that operations make within it, as long as they live. `most` is the peak."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._counted: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = _result(func, args, kwargs or {})
        if not func.is_view:
            for one in made if isinstance(made, list | tuple) else (made,):
                if isinstance(one, Tensor) and not any(one is other for other in args):  # in place
                    self._count(one.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._counted:
            self._counted.add(key)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._counted.discard(key)
        self.now -= size
