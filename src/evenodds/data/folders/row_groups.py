"""Tables by groups of rows, which are read in any order: Parquet, and both formats of Arrow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Protocol, TypeVar

from evenodds.errors import BadInput
from evenodds.files import memory
from evenodds.files.extras import named, needs
from evenodds.files.regular import open_regular

__all__ = ["Groups", "Room", "opened_table"]

_EXTRA = "parquet"
_ROWS = 64  # That are decoded at once: what they take is known before more are.
_GROUPS_SHARE = 4  # Of the room, which groups that were read last may take.

Read = TypeVar("Read")


class Groups(Protocol):
    """A table by groups of rows. Safe in several threads."""

    path: Path
    schema: Any
    again: bool
    """Whether a group can be read more than once."""

    def keys(self) -> Sequence[int]:
        """Of all groups, in the order of the rows."""
        ...

    def batches(self, key: int, names: list[str]) -> Iterator[Any]:
        """The rows of a group, with these columns, some at a time."""
        ...


class Room:
    """What the images of tables may take in memory as they are packed.

    Args:
        room: bytes that decoded images may take; None for the machine's memory.
    """

    def __init__(self, room: int | None = None) -> None:
        self.most = (memory.machine_bytes() if room is None else room) // 2
        self.full, self._used = False, 0
        self._groups: OrderedDict[tuple[int, int], tuple[Any, int]] = OrderedDict()
        self._guard = Lock()

    def take(self, size: int, table: Groups) -> bool:
        """Whether so many bytes more can be held; if not, none are from here on.

        Raises:
            BadInput: they cannot be held, and not be read again.
        """
        self.full = self.full or self._used + size > self.most
        if self.full and not table.again:
            raise BadInput(
                f"{table.path.name} needs over {self.most / 2**30:.1f} GiB, half the memory; name a part of it"
            )
        self._used += 0 if self.full else size
        return not self.full

    def group(self, key: tuple[int, int], read: Callable[[], Read]) -> Read:
        """A group that was read not long ago, or is read now."""
        with self._guard:
            if key in self._groups:
                self._groups.move_to_end(key)
                value: Read = self._groups[key][0]
                return value
        fresh = read()
        size = sum(part.nbytes for part in getattr(fresh, "_parts", ()))
        with self._guard:
            self._groups[key] = (fresh, size)
            while len(self._groups) > 1 and sum(one for _, one in self._groups.values()) > self.most // _GROUPS_SHARE:
                self._groups.popitem(last=False)
        return fresh


def opened_table(path: Path, stack: ExitStack) -> Groups:
    """A table.

    Args:
        stack: closes it.

    Raises:
        BadInput: it is damaged.
    """
    with named(path.name), needs(_EXTRA):
        import pyarrow
        import pyarrow.parquet
    stream = stack.enter_context(open_regular(path))
    try:
        if path.suffix.lower() == ".parquet":
            return _Parquet(path, pyarrow.parquet.ParquetFile(stream))
        head = stream.read(6)
        stream.seek(0)
        return _ArrowFile(path, stream) if head == b"ARROW1" else _ArrowStream(path, stream)
    except (pyarrow.ArrowException, OSError, EOFError) as error:
        raise BadInput(f"{path.name} is damaged or no {path.suffix[1:]} file; save it again") from error


class _Parquet:
    """Parquet, by its row groups."""

    again = True

    def __init__(self, path: Path, file: Any) -> None:
        self.path, self._file, self._guard = path, file, Lock()
        self.schema: Any = file.schema_arrow

    def keys(self) -> Sequence[int]:
        return range(self._file.num_row_groups)

    def batches(self, key: int, names: list[str]) -> Iterator[Any]:
        with self._guard:
            yield from self._file.iter_batches(_ROWS, row_groups=[key], columns=names, use_threads=False)


class _ArrowFile:
    """The format of Arrow that has an index."""

    again = True

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        import pyarrow

        options = pyarrow.ipc.IpcReadOptions(use_threads=False)
        self.path, self._guard = path, Lock()
        self._file = pyarrow.ipc.open_file(stream, options=options)
        self.schema: Any = self._file.schema

    def keys(self) -> Sequence[int]:
        return range(self._file.num_record_batches)

    def batches(self, key: int, names: list[str]) -> Iterator[Any]:
        with self._guard:
            yield self._file.get_batch(key).select(names)


class _ArrowStream:
    """The other one, whose batches follow each other: where they begin is found out by going through them once."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        import pyarrow

        self.path, self._guard = path, Lock()
        self._source: Any = pyarrow.PythonFile(stream, mode="r")
        self.schema: Any = pyarrow.ipc.read_schema(pyarrow.ipc.read_message(self._source))
        self._start = self._source.tell()
        # Batches refer to dictionaries before them, which would have to be read too.
        self.again = not any(pyarrow.types.is_dictionary(field.type) for field in self.schema)
        self._stream = stream

    def keys(self) -> Sequence[int]:
        """Where batches begin; 0 for all of them, where they cannot be read by themselves."""
        import pyarrow

        if not self.again:
            return [0]
        self._source.seek(self._start)
        places: list[int] = []
        while True:
            place = self._source.tell()
            try:
                message = pyarrow.ipc.read_message(self._source)
            except EOFError:
                return places
            if message.type == "record batch":
                places.append(place)

    def batches(self, key: int, names: list[str]) -> Iterator[Any]:
        import pyarrow

        with self._guard:
            if not self.again:
                self._source.seek(0)
                yield from (batch.select(names) for batch in pyarrow.ipc.open_stream(self._source))
                return
            self._source.seek(key)
            message = pyarrow.ipc.read_message(self._source)
            yield pyarrow.ipc.read_record_batch(message, self.schema).select(names)
