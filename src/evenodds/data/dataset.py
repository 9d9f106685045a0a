"""Data in its own units, its exact conversion to and from [-1, 1], and the batches drawn from it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.data._amounts import PLAIN, NumberStyle
from evenodds.data._scale import Scale
from evenodds.data.facts import ENTRIES, Facts, Head, Parts, as_notes, facts_in, facts_of
from evenodds.data.items import Items, Notes, Pending, Taken
from evenodds.data.palette import Palette
from evenodds.data.rows import Block, Column, rows_to_data, rows_to_model
from evenodds.errors import BadInput, unknown
from evenodds.files import memory
from evenodds.game.schedule import OnProgress
from evenodds.game.seeds import mix

__all__ = ["Beside", "Conditions", "Dataset", "Units", "permutation"]

T = TypeVar("T")

LARGEST = torch.finfo(torch.float32).max
_STORED = {"uint8": torch.uint8, "uint16": torch.int32, "float32": torch.float32, "float64": torch.float64}
"""The dtype that holds each kind of number. Sixteen bits live in int32: torch computes little in uint16."""
PER_PART = 256
"""Items that are looked at together, of data of which all are looked at."""


@dataclass(frozen=True)
class Units:
    """How the data's own numbers map to [-1, 1]: `low` to -1, `high` to 1, linearly, without clipping.

    Integers come back exactly: to_data(to_model(x)) == x for every uint8 and uint16 value in [low, high].
    """

    low: tuple[float, ...]
    """One for all channels or columns, or one for each."""
    high: tuple[float, ...]
    """As long as `low`; equal to it where a column is constant, which maps to 0 and back to that constant."""
    dtype: str
    """"uint8", "uint16" or "float32"; of a table with columns "float64"."""
    whole: tuple[bool, ...] = ()
    """Of a table without columns: for each, whether it holds whole numbers alone. Values then stay within the range."""
    columns: tuple[Column, ...] = ()
    """Of a table whose columns are amounts and choices, each with a map of its own in place of the linear one."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", tuple(float(value) for value in self.low))
        object.__setattr__(self, "high", tuple(float(value) for value in self.high))
        if self.dtype not in _STORED:
            raise unknown("dtype of units", self.dtype, _STORED)
        if len(self.low) != len(self.high) or not self.low:
            raise BadInput(f"units need as many low as high values, got {len(self.low)} and {len(self.high)}")
        if self.whole and (len(self.whole) != len(self.low) or self.dtype != "float32"):
            raise BadInput(f"units of {len(self.low)} columns need as many flags for whole numbers, or none")
        if bool(self.columns) != (self.dtype == "float64") or len(self.columns) not in (0, len(self.low)):
            raise BadInput(f"units of float64 need a column for each of {len(self.low)} ranges, others none")
        for low, high in zip(self.low, self.high, strict=True):
            if not -LARGEST <= low <= high <= LARGEST:
                raise BadInput(
                    f"units need low <= high within the range of float32, got [{low:g}, {high:g}]; "
                    "give the range of the data"
                )

    @classmethod
    def of(cls, scale: Scale) -> Units:
        """Those of a scale."""
        return cls(scale.low, scale.high, scale.dtype)

    @property
    def scale(self) -> Scale:
        """For arrays of numpy, of data that are no table with columns."""
        return Scale(self.low, self.high, self.dtype)

    def to_model(self, x: Tensor) -> Tensor:
        """(N, C, ...) in own units -> the same shape and memory format, float32, [low, high] becoming [-1, 1].

        Of a table with columns: (N, D) -> (N, E), see `evenodds.data.rows`.
        """
        if self.columns:
            return rows_to_model(self.columns, x)
        middle, half = self._line(x)
        # Subtract, then divide: both ends then land on -1 and 1 exactly, which a rounded factor would miss.
        # In place where x was copied anyway: large batches are bound by memory.
        moved = x - middle if x.dtype == torch.float32 else x.to(torch.float32).sub_(middle)
        return moved.div_(half + (half == 0) if isinstance(half, Tensor) else half or 1.0)

    def to_data(self, x: Tensor) -> Tensor:
        """(N, C, ...) float -> own units: uint8, int32 (for uint16), float32, or float64 of a table with columns.

        Integers are rounded and clipped to [low, high], and so are columns of a table, of which only those of whole
        numbers are rounded; other floats are not clipped. Gradients do not pass.
        """
        if self.columns:
            return rows_to_data(self.columns, x)
        middle, half = self._line(x)
        values = x.detach().to(torch.float32) * half + middle
        if self.dtype != "float32":
            low, high = (_along_channels(ends, x.ndim, x.device) for ends in (self.low, self.high))
            values = values.round_().clamp_(low, high)  # type: ignore[arg-type]
        elif self.whole:
            low, high, whole = (torch.tensor(part, device=x.device) for part in (self.low, self.high, self.whole))
            values = torch.where(whole, values.round(), values).clamp_(low, high)
        return values.to(_STORED[self.dtype])

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What a generator needs to know of the columns of a table; empty where it needs nothing."""
        return tuple(column.block for column in self.columns)

    def seen(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of an item as players see it, by its own."""
        return (sum(column.width for column in self.columns),) if self.columns else tuple(shape)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as fields by name."""
        columns = {"columns": [asdict(column) for column in self.columns]} if self.columns else {}
        return self.line() | ({"whole": list(self.whole)} if self.whole else {}) | columns

    def line(self) -> dict[str, Any]:
        """Plain values of what maps numbers to [-1, 1]."""
        return {"low": list(self.low), "high": list(self.high), "dtype": self.dtype}

    def _line(self, x: Tensor) -> tuple[float | Tensor, float | Tensor]:
        middle = tuple((high + low) / 2 for low, high in zip(self.low, self.high, strict=True))
        half = tuple((high - low) / 2 for low, high in zip(self.low, self.high, strict=True))
        return _along_channels(middle, x.ndim, x.device), _along_channels(half, x.ndim, x.device)


@lru_cache(maxsize=64)
def _along_channels(values: tuple[float, ...], ndim: int, device: torch.device) -> float | Tensor:
    # Cached, so that a batch on an accelerator does not wait for its columns' ranges to be sent again.
    if len(values) == 1:
        return values[0]
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, *[1] * (ndim - 2))


@dataclass(frozen=True)
class Conditions:
    """What is known of each item beside its class: attributes, which are 0 or 1, or values in units of their own."""

    names: tuple[str, ...]
    units: Units
    """Of values, their range; of attributes, one that leaves 0 and 1 as they are."""
    binary: bool
    """Whether they are attributes."""
    styles: tuple[NumberStyle, ...] = ()
    """How the file of a table writes them; empty where as plain numbers."""

    def __post_init__(self) -> None:
        if len(self.styles) not in (0, len(self.names)):
            raise BadInput(f"{len(self.names)} conditions need as many styles or none, got {len(self.styles)}")
        if not self.names or len(self.units.low) not in (1, len(self.names)):
            raise BadInput(f"{len(self.names)} conditions need as many ranges or one, got {len(self.units.low)}")

    def to_json(self) -> dict[str, Any]:
        """Plain values, as fields by name."""
        styles = {"styles": [asdict(style) for style in self.styles]} if self.styles else {}
        return {"names": list(self.names), "units": self.units.to_json(), "binary": self.binary, **styles}

    def texts(self, c: NDArray[Any]) -> list[tuple[str, ...]]:
        """The numbers (N, K) in own units as a table writes them, condition by condition."""
        styles = self.styles or (PLAIN,) * len(self.names)
        return [  # they are of single precision
            tuple(style.written(f"{value:.7g}") for value in column) for style, column in zip(styles, c.T, strict=True)
        ]

    def to_model(self, values: Mapping[str, float]) -> Tensor:
        """One c (1, K) as players see it, from a number in own units for each name; BadInput where one is missing."""
        for name in values:
            if name not in self.names:
                raise unknown("condition", name, self.names)
        missing = [name for name in self.names if name not in values]
        if missing:
            raise BadInput(f"all of {', '.join(self.names)} must be given, {', '.join(missing)} is missing")
        row = torch.tensor([[float(values[name]) for name in self.names]])
        if self.binary and not ((row == 0) | (row == 1)).all():
            raise BadInput(f"the attributes {', '.join(self.names)} are 0 or 1, got {row[0].tolist()}")
        return self.units.to_model(row)


@dataclass(frozen=True, eq=False)
class Beside:
    """What lies beside x, item by item: images with units of their own, or maps of labels, which have none."""

    values: Tensor
    """Images (N, C, H, W) as `Dataset.x` holds them; or labels (N, H, W) uint8, one for each pixel."""
    units: Units | None = None
    """None for labels."""
    palette: Palette | None = None
    """Of labels: what they are in files."""

    def __post_init__(self) -> None:
        if self.units is None and (self.values.ndim != 3 or self.values.dtype != torch.uint8):
            raise BadInput(f"maps of labels are (N, H, W) uint8, got {tuple(self.values.shape)} {self.values.dtype}")
        if self.units is not None and self.values.dtype != _STORED[self.units.dtype]:
            raise BadInput(
                f"{self.units.dtype} images are held as {_STORED[self.units.dtype]}, got {self.values.dtype}"
            )
        if self.values.ndim == 4:
            object.__setattr__(self, "values", self.values.contiguous(memory_format=torch.channels_last))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one item: (C, H, W), or (H, W) of labels."""
        return tuple(self.values.shape[1:])

    def to_model(self, values: Tensor) -> Tensor:
        """Values of some items as a game wants them: (n, C, H, W) float32 in [-1, 1], or labels (n, H, W) int64."""
        return values.long() if self.units is None else self.units.to_model(values)


@dataclass(frozen=True, eq=False)
class Dataset:
    """All items, in their own units, and what is known of them. They are in memory, or read when they are asked for."""

    x: Tensor
    """(N, C, H, W) uint8, int32 holding 16-bit values, or float32, kept channels-last; or (N, D) float32; or float64 of
    a table with columns, where NaN is an empty cell and the place of its word stands for a word."""
    units: Units
    y: Tensor | None = None
    """(N,) int64, -1 unknown."""
    classes: tuple[str, ...] = ()
    """The name of each label."""
    names: tuple[str, ...] = ()
    """The file of each item; empty where there are none."""
    columns: tuple[str, ...] = ()
    """The name of each column of x of a table."""
    header: tuple[str, ...] = ()
    """The columns of a table in the order of its file: those of x, those that can be asked for, and the label's."""
    delimiter: str = ","
    """Between the cells of the table's file."""
    kind: str = "image"
    """"image", "table" or "toy"."""
    c: Tensor | None = None
    """(N, K) float32: attributes or values of each item, in their own units."""
    conditions: Conditions | None = None
    """What `c` holds; None where there is none."""
    beside: Mapping[str, Beside] = field(default_factory=dict)
    """What lies beside x by name: "source", the image that x is made from, or "labels", a class for each pixel."""
    groups: Tensor | None = None
    """(N,) int64: items of one group, such as tiles of one photo, are held out together; None where each is its own."""
    report: tuple[str, ...] = ()
    """What was read, skipped, resized and converted: one plain sentence each."""
    apart: Tensor | None = None
    """(N,) bool: the items that are held out, such as those of a folder "test"; None where a share is to be drawn."""
    items: Items | None = None
    """Reads x and what lies beside it when they are asked for. x and `Beside.values` are then on the device "meta":
    they have a shape and a dtype, and no values. None where all values are in memory."""

    def __post_init__(self) -> None:
        x, y, n = self.x, self.y, len(self.x)
        if x.ndim not in (2, 4) or not x.numel():
            raise BadInput(f"data need the shape (N, C, H, W) or (N, D) with no empty side, got {tuple(x.shape)}")
        if x.dtype != _STORED[self.units.dtype]:
            raise BadInput(f"{self.units.dtype} data are held as {_STORED[self.units.dtype]}, got {x.dtype}")
        if len(self.units.low) not in (1, x.shape[1]):
            raise BadInput(f"units need 1 or {x.shape[1]} ranges, got {len(self.units.low)}")
        if self.names and len(self.names) != n:
            raise BadInput(f"{n} items need {n} names or none, got {len(self.names)}")
        if y is not None and (y.shape != (n,) or y.dtype != torch.int64):
            raise BadInput(f"{n} items need ({n},) int64 labels, got {tuple(y.shape)} {y.dtype}")
        if y is not None and (int(y.min()) < -1 or int(y.max()) >= len(self.classes)):
            raise BadInput(f"labels must lie in [-1, {len(self.classes) - 1}], got [{int(y.min())}, {int(y.max())}]")
        if (self.c is None) != (self.conditions is None) or (
            self.conditions is not None and self.c is not None and self.c.shape != (n, len(self.conditions.names))
        ):
            raise BadInput(f"{n} items need c ({n}, K) with K names, or neither")
        for name, other in self.beside.items():
            if len(other.values) != n:
                raise BadInput(f"{n} items need as many in '{name}' beside them, got {len(other.values)}")
        if self.groups is not None and (self.groups.shape != (n,) or self.groups.dtype != torch.int64):
            raise BadInput(f"{n} items need groups ({n},) int64, got {tuple(self.groups.shape)} {self.groups.dtype}")
        if self.apart is not None and (self.apart.shape != (n,) or self.apart.dtype != torch.bool):
            raise BadInput(f"{n} items need apart ({n},) bool, got {tuple(self.apart.shape)} {self.apart.dtype}")
        if x.ndim == 4:
            object.__setattr__(self, "x", x.contiguous(memory_format=torch.channels_last))

    def __len__(self) -> int:
        """The number of items."""
        return len(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        """One item's shape as players see it: (C, H, W) or (D,)."""
        return self.units.seen(tuple(self.x.shape[1:]))

    @property
    def row_blocks(self) -> tuple[Block, ...]:
        """The amounts and choices that make up a row of a table with columns; empty of other data."""
        return self.units.blocks

    def batch(self, index: Tensor, device: torch.device | str | None = None) -> dict[str, Tensor]:
        """Some items as a game wants them.

        Args:
            index: (n,) int64.
            device: where the batch is wanted; the items travel in their own units, then are converted there.

        Returns:
            "x" (n, C, H, W), channels-last, or (n, D), float32 in [-1, 1]; "y" (n,) int64 if there are labels; "c"
            (n, K) if there are conditions: attributes in {0, 1} or values in [-1, 1]; and what lies beside, by name.
        """
        if self.items is not None:
            return self.to_model(self.items.start(index.tolist()).result(), index, device)
        index = index.to(self.x.device)
        return self.to_model({} if self.units.columns else self._gathered(index), index, device)

    def to_model(
        self, parts: Mapping[str, Tensor], index: Tensor, device: torch.device | str | None
    ) -> dict[str, Tensor]:
        """The batch of some items, whose parts are given in own units: "x", but of a table, and what lies beside."""
        if self.units.columns:
            batch = {"x": _on(self._seen.index_select(0, index), device)}
        else:
            batch = {"x": self.units.to_model(_on(parts["x"], device))}
        if self.y is not None:
            batch["y"] = _on(self.y[index], device)
        if self.c is not None and self.conditions is not None:
            batch["c"] = _on(self.conditions.units.to_model(self.c[index]), device)
        return batch | {name: other.to_model(_on(parts[name], device)) for name, other in self.beside.items()}

    def _gathered(self, index: Tensor) -> dict[str, Tensor]:
        """Items that are in memory, in their own units."""
        return {"x": _rows(self.x, index)} | {name: _rows(one.values, index) for name, one in self.beside.items()}

    def start(self, index: Tensor) -> Pending:
        """Begins to read items, see `Items.start`; what is in memory is there at once."""
        return _There(self._gathered(index)) if self.items is None else self.items.start(index.tolist())

    def parts(self, name: str = "x") -> Iterator[Tensor]:
        """All values of x, or of what lies beside it, in their own units: consecutive items, some at a time."""
        if self.items is None:
            values = self.x if name == "x" else self.beside[name].values
            yield from torch.split(values, max(PER_PART, ENTRIES // max(1, values[0].numel())))
            return
        size = max(1, min(PER_PART, self.items.memory // 4 // max(1, self.item_bytes)))
        begun = self.items.start(range(min(size, len(self))))
        for first in range(size, len(self) + size, size):
            values = begun.result()[name]
            if first < len(self):
                begun = self.items.start(range(first, min(first + size, len(self))))
            yield values

    @property
    def item_bytes(self) -> int:
        """What one item takes in memory, with what lies beside it."""
        return sum(one[:1].numel() * one.element_size() for one in (self.x, *(b.values for b in self.beside.values())))

    def in_memory(self, what: str = "the data") -> Dataset:
        """The data set with all its values in memory; itself, if they are.

        Raises:
            BadInput: they take more than half of the machine's memory.
        """
        if self.items is None:
            return self
        needed, most = len(self) * self.item_bytes, memory.machine_bytes() // 2
        if needed > most:
            raise BadInput(
                f"{what} need {needed / 2**30:,.1f} GiB in memory, which has room for {most / 2**30:,.1f}; name a part "
                "of the data, or pack them in a smaller size: evenodds pack"
            )
        parts = self.items.start(range(len(self))).result()
        beside = {name: replace(other, values=parts[name]) for name, other in self.beside.items()}
        return replace(self, x=parts["x"], beside=beside, items=None)

    @cached_property
    def _seen(self) -> Tensor:
        """(N, E): all rows of a table as players see them; by column this is fast, by batch it is not."""
        return self.units.to_model(self.x)

    def take(self, index: Tensor) -> Dataset:
        """The data set of some items, in the order of index (n,) int64."""
        names = tuple(self.names[i] for i in index.tolist()) if self.names else ()
        y, c, groups, apart = (None if of is None else of[index] for of in (self.y, self.c, self.groups, self.apart))
        apart = apart if apart is not None and bool(apart.any()) else None
        beside = {name: replace(other, values=_rows(other.values, index)) for name, other in self.beside.items()}
        items = None if self.items is None else Taken(self.items, index)
        x = _rows(self.x, index)
        return replace(self, x=x, y=y, c=c, names=names, beside=beside, groups=groups, apart=apart, items=items)

    def split(self, held_out: float, seed: int) -> tuple[Tensor, Tensor]:
        """Parts the items into those to train on and those to measure by.

        Items that are apart are those to measure by, and no others. Else every class gives its share to within one
        item; classes too small to give one item are drawn from together, and the only item of a class stays to train
        on. Groups stay whole, whatever their classes, and as many are held out as come near to the share; of a single
        group the last items are held out, which of tiles and frames lie together.

        Args:
            held_out: the share to hold out, in [0, 1); at least one item is held out if it is above 0 and N >= 2.
            seed: decides which items; the same seed gives the same split.

        Returns:
            Sorted int64 indices (train, held out), disjoint and complete.
        """
        if not 0 <= held_out < 1:
            raise BadInput(f"the held-out share must lie in [0, 1), got {held_out:g}; 0.1 holds out a tenth")
        if self.apart is not None:
            return _parted(self.apart)
        if self.groups is not None:
            groups, member = torch.unique(self.groups, return_inverse=True)
            if len(groups) == 1:
                return _parted(torch.arange(len(self)) >= len(self) - _count(len(self), held_out))
            sizes = member.bincount(minlength=len(groups)).tolist()
            apart = _nearest(permutation(len(groups), seed, 0).tolist(), sizes, _count(len(self), held_out))
            return _parted(torch.isin(member, torch.tensor(apart, dtype=torch.int64)))
        n = len(self)
        count = _count(n, held_out)
        strata = self._strata(held_out)
        quotas = [held_out * len(stratum) for stratum in strata]
        takes = [int(quota) for quota in quotas]
        # Largest remainders first, so that the shares add up to the count.
        by_remainder = sorted(range(len(strata)), key=lambda k: takes[k] - quotas[k])
        while (missing := count - sum(takes)) > 0:
            for k in [k for k in by_remainder if takes[k] < len(strata[k])][:missing]:
                takes[k] += 1
        chosen = torch.zeros(n, dtype=torch.bool)
        for k, (stratum, take) in enumerate(zip(strata, takes, strict=True)):
            chosen[stratum[permutation(len(stratum), seed, k)[:take]]] = True
        return _parted(chosen)

    def told(self, *lines: str) -> Dataset:
        """The same items with more sentences in the report; what was found out about them stays known."""
        other = replace(self, report=(*self.report, *lines))
        for name in ("facts", "_fingerprint", "_seen", "_found"):
            if name in vars(self):
                vars(other)[name] = vars(self)[name]
        return other

    def once(self, key: Hashable, find: Callable[[], T]) -> T:
        """What follows from the items alone: found out when it is first asked for, and kept.

        Args:
            key: says what it is, and of which items.
        """
        if key not in self._found:
            self._found[key] = find()
        found: T = self._found[key]
        return found

    @cached_property
    def _found(self) -> dict[Hashable, Any]:
        return {}

    def fingerprint(self) -> str:
        """SHA-256 (hex) of shape, dtype, units, values and labels; two data sets with the same one are the same."""
        known = self.items is not None or "facts" in vars(self)
        return self.facts.fingerprint if known else self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return facts_of(self.head, self.parts, each=False).fingerprint

    @property
    def head(self) -> Head:
        """What is in memory always, and a part of the fingerprint."""
        return Head(tuple(self.x.shape), self.units.line(), self.y, self.c, tuple(sorted(self.beside)))

    @cached_property
    def facts(self) -> Facts:
        """What takes a pass through all values; of items that are read when asked for it is noted beside them."""
        return facts_of(self.head, self.parts) if self.items is None else self._noted(self.items.notes, self.parts)

    def look_through(self, progress: OnProgress | None) -> None:
        """Finds out `facts` of items that are read when asked for, if they are not known.

        Args:
            progress: told (items done, items in all).
        """
        if self.items is None:
            return

        def told(name: str) -> Iterator[Tensor]:
            done = 0
            for part in self.parts(name):
                yield part
                done += len(part)
                if progress is not None:
                    progress(done, len(self))

        self._noted(self.items.notes, told)

    def _noted(self, notes: Notes, parts: Parts) -> Facts:
        """The facts that are noted of items; they are found out where they are not."""
        head = self.head
        facts = facts_in(notes, head)
        if facts is None:
            facts = facts_of(head, parts)
            notes.update(as_notes(facts, head))
        return facts

    def _strata(self, held_out: float) -> list[Tensor]:
        if self.y is None:
            return [torch.arange(len(self))]
        groups = [(self.y == label).nonzero().flatten() for label in np.unique(self.y.numpy()).tolist()]
        several = [group for group in groups if len(group) > 1 or int(self.y[group[0]]) < 0]
        if sum(map(len, several)) > _count(len(self), held_out):
            groups = several  # the only item of a class stays to train on
        large = [group for group in groups if held_out * len(group) >= 1]
        small = [group for group in groups if held_out * len(group) < 1]
        return [*large, torch.cat(small)] if small else large


def _parted(held_out: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) bool as the sorted indices of (others, held out)."""
    return (~held_out).nonzero().flatten(), held_out.nonzero().flatten()


def _nearest(order: Sequence[int], sizes: Sequence[int], wanted: int) -> list[int]:
    """Groups, in this order, of which each brings the number of items nearer to the one that is wanted.

    At least one where any is wanted, the smallest if need be, and never all.
    """
    if not wanted:
        return []
    taken: list[int] = []
    items = 0
    for group in order:
        if len(taken) < len(order) - 1 and abs(items + sizes[group] - wanted) < abs(items - wanted):
            taken.append(group)
            items += sizes[group]
    return taken or [min(order, key=lambda group: sizes[group])]


def _count(n: int, held_out: float) -> int:
    """How many of n are held out: at least one where any are and one is left, never all."""
    return min(n - 1, max(1, round(held_out * n))) if held_out > 0 else 0


def _on(value: Tensor, device: torch.device | str | None) -> Tensor:
    """Values on a device. CUDA is not waited for: it may still be at the round before."""
    if device is None:
        return value
    return value.to(device, non_blocking=torch.device(device).type == "cuda" and value.device.type == "cpu")


class _There(dict[str, Tensor]):
    """Items that need not be read."""

    def done(self) -> bool:
        return True

    def result(self) -> dict[str, Tensor]:
        return self


def _rows(x: Tensor, index: Tensor) -> Tensor:
    if x.is_meta:
        return x.new_empty((len(index), *x.shape[1:]))
    # Whole images are copied, each one contiguous: fast, and channels-last stays channels-last.
    if x.ndim == 4:
        return x.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)
    return x.index_select(0, index)


def permutation(n: int, seed: int, number: int) -> Tensor:
    """(n,) int64: an order of n items, the `number`-th of a seed."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(mix(seed, number)))
