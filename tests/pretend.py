"""A device that is none: it computes on the CPU, and is one of its own to whoever asks, as a GPU is.

Tensors of both do not mix, numbers are drawn by generators of its own, and what crosses between it and the CPU is
counted by the line of evenodds that asked. `begin` makes it known to torch, for good: a process of its own is needed.
"""

from __future__ import annotations

import sys
import weakref
from collections import Counter
from typing import Any

import torch
from torch.utils import _pytree as tree
from torch.utils import backend_registration

__all__ = ["NAME", "begin", "is_possible", "trips"]

NAME = "pretend"
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim", "repeat_interleave")
"""Operations whose answer the CPU needs before it goes on."""
trips: Counter[str] = Counter()
"""How often each line of evenodds waited for the device, or sent it something."""
_RealGenerator = torch.Generator
_claimed: weakref.WeakValueDictionary[int, torch.Generator] = weakref.WeakValueDictionary()


def is_possible() -> bool:
    """Whether this torch knows devices that are written in Python."""
    return hasattr(backend_registration, "_setup_privateuseone_for_python_backend")


class _Generator(_RealGenerator):
    """A generator of the CPU that says where it was asked to be."""

    def __new__(cls, device: Any = "cpu") -> Any:
        if torch.device(device).type == "cpu":
            return _RealGenerator("cpu")
        self = _RealGenerator.__new__(cls, "cpu")
        _claimed[self._cdata] = self
        return self

    def __init__(self, device: Any = "cpu") -> None:
        pass

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device(NAME, 0)


class _Tensor(torch.Tensor):
    """One on the device; `raw` is what it holds."""

    raw: torch.Tensor

    @staticmethod
    def __new__(cls: type[_Tensor], raw: torch.Tensor) -> _Tensor:
        self = torch.Tensor._make_wrapper_subclass(
            cls,
            raw.shape,
            strides=raw.stride(),
            storage_offset=int(raw.storage_offset()),
            dtype=raw.dtype,
            device=torch.device(NAME, 0),
        )
        self.raw = raw
        return self

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})

    def tolist(self) -> Any:
        _count()
        return self.raw.tolist()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"a tensor on {NAME} is no array of numpy; use .cpu() first")

    def new_tensor(self, data: Any, dtype: Any = None, **kwargs: Any) -> torch.Tensor:
        return torch.tensor(data, dtype=dtype or self.dtype, device=self.device)

    def __getitem__(self, where: Any) -> Any:
        sent = [torch.tensor(one, device=self.device) if isinstance(one, list) else one for one in _several(where)]
        return super().__getitem__(tuple(sent) if isinstance(where, tuple) else sent[0])


def _several(where: Any) -> tuple[Any, ...]:
    return where if isinstance(where, tuple) else (where,)


def _computed(func: Any, args: Any, kwargs: Any) -> Any:
    """An operation on what tensors hold. RuntimeError where a GPU would refuse it."""
    name = func._schema.name.removeprefix("aten::")
    flat, spec = tree.tree_flatten((args, kwargs))
    tensors = [one for one in flat if isinstance(one, torch.Tensor)]
    here = [one for one in tensors if isinstance(one, _Tensor)]
    others = [one for one in tensors if not isinstance(one, _Tensor)]
    asked = kwargs.get("device")
    on_device = bool(here) if asked is None else torch.device(asked).type == NAME
    if name in ("_to_copy", "copy_"):
        on_device = isinstance(args[0], _Tensor) if name == "copy_" else on_device
        if bool(here) != on_device or (name == "copy_" and others):
            _count()
    elif here and (strange := [one for one in others if one.dim() or (name.endswith("_") and one is args[0])]):
        if "index" not in name or strange[0].is_floating_point():
            raise RuntimeError(f"{func}: a tensor {tuple(strange[0].shape)} is on the CPU, others are on {NAME}")
        _count()
    if here and name in WAITS:
        _count()
    for one in flat:
        if isinstance(one, _RealGenerator) and (one._cdata in _claimed) != on_device:
            raise RuntimeError(f"{func}: the generator is not on the device for which it draws")
    raw = [one.raw if isinstance(one, _Tensor) else one for one in flat]
    args, kwargs = tree.tree_unflatten(raw, spec)
    out = func(*args, **({**kwargs, "device": "cpu"} if asked is not None else kwargs))
    same = {id(one.raw): one for one in here}  # what is changed in place stays the tensor that it was

    def held(one: Any) -> Any:
        if id(one) in same:
            return same[id(one)]
        return _Tensor(one) if on_device and isinstance(one, torch.Tensor) else one

    return tree.tree_map(held, out)


def _count() -> None:
    frame: Any = sys._getframe(1)
    while frame is not None and "/src/evenodds/" not in frame.f_code.co_filename:
        frame = frame.f_back
    if frame is not None:
        trips[f"{frame.f_code.co_filename.split('/src/')[1]}:{frame.f_lineno}"] += 1


class _Module(backend_registration._DummyBackendModule if is_possible() else object):  # type: ignore[misc]
    """What torch asks of a device: its random state is that of the CPU."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    def current_device(self) -> int:
        return 0

    def manual_seed(self, seed: int) -> None: ...

    def manual_seed_all(self, seed: int) -> None: ...

    def get_rng_state(self, device: Any = None) -> torch.Tensor:
        return torch.zeros(1, dtype=torch.uint8)

    def set_rng_state(self, state: torch.Tensor, device: Any = None) -> None: ...

    def _is_in_bad_fork(self) -> bool:
        return False


def _maker(func: Any) -> Any:
    return lambda *args, **kwargs: _computed(func, args, kwargs)


_libraries: list[torch.library.Library] = []


def begin() -> None:
    """Makes the device known to torch in this process."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    library = torch.library.Library("_", "IMPL")
    library.fallback(lambda func, *args, **kwargs: _computed(func, args, kwargs), "PrivateUse1")
    _libraries.append(library)
    makers = torch.library.Library("aten", "IMPL")  # else they make nothing, and let it grow
    for name in (
        "arange",
        "arange.start",
        "arange.start_step",
        "linspace",
        "randperm",
        "randperm.generator",
        "eye",
        "eye.m",
    ):
        packet, _, overload = name.partition(".")
        makers.impl(name, _maker(getattr(getattr(torch.ops.aten, packet), overload or "default")), "PrivateUse1")
    _libraries.append(makers)
    torch.Generator = _Generator  # type: ignore[misc]
    plain = torch.tensor

    def tensor(data: Any, *, device: Any = None, **kwargs: Any) -> torch.Tensor:
        made = plain(data, **kwargs)  # torch's own way to a device passes by Python
        return made if device is None else made.to(device)

    torch.tensor = tensor
