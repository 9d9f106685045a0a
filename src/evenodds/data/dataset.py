"""All items of a data set in their own units, what is known of them, and the batches made of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from evenodds.data.conditions import Conditions
from evenodds.data.facts import ENTRIES, Facts, Head, Parts, as_notes, facts_in, facts_of
from evenodds.data.items import Items, Notes, Pending, Taken
from evenodds.data.palette import Palette
from evenodds.data.splitting import parted
from evenodds.data.tables.rows import Block
from evenodds.data.units import STORED, Units
from evenodds.data.wording import items_of
from evenodds.errors import BadInput
from evenodds.files import memory
from evenodds.game.schedule import OnProgress

__all__ = ["Beside", "Dataset"]

T = TypeVar("T")

PER_PART = 256
"""Items that are looked at together, of data of which all are looked at."""


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
        if self.units is not None and self.values.dtype != STORED[self.units.dtype]:
            raise BadInput(f"{self.units.dtype} images are held as {STORED[self.units.dtype]}, got {self.values.dtype}")
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
        if x.dtype != STORED[self.units.dtype]:
            raise BadInput(f"{self.units.dtype} data are held as {STORED[self.units.dtype]}, got {x.dtype}")
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

    @property
    def noun(self) -> str:
        """What items are called, in the plural."""
        return items_of(self.kind)

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

    @property
    def has_gaps(self) -> bool:
        """Whether items are rows of a table whose empty cells are to be filled."""
        return bool(self.units.knots)

    def batch(self, index: Tensor, device: torch.device | str | None = None) -> dict[str, Tensor]:
        """Some items as a game wants them.

        Args:
            index: (n,) int64.
            device: where the batch is wanted; the items travel in their own units, then are converted there.

        Returns:
            "x" (n, C, H, W), channels-last, or (n, D), float32 in [-1, 1]; "y" (n,) int64 if there are labels; "c"
            (n, K) if there are conditions: attributes in {0, 1} or values in [-1, 1]; what lies beside, by name; and
            "row", the index, of a table whose empty cells are to be filled: x is NaN there.
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
        if self.units.knots:
            batch["row"] = _on(index, device)
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

    def labelled(self, index: Tensor) -> Tensor:
        """Those of the items whose label is known; all of them where the data have no labels."""
        return index if self.y is None else index[self.y[index] >= 0]

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
        return parted(len(self), self.y, self.groups, self.apart, held_out, seed)

    def told(self, *lines: str) -> Dataset:
        """The same items with more sentences in the report; what is found out of either is known of both."""
        other = replace(self, report=(*self.report, *lines))
        vars(other)["_found"] = self._found
        for name in ("facts", "_fingerprint", "_seen"):
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

    def latest(self, what: str, key: Hashable, find: Callable[[], T]) -> T:
        """The same of what takes much memory, of which the newest alone is kept.

        Args:
            what: it is.
            key: of which items, and how.
        """
        kept = self.once(what, dict[Hashable, T])
        if key not in kept:
            kept.clear()
            kept[key] = find()
        return kept[key]

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
