"""Tables of images: Parquet and Arrow files, with their bytes in a column, as Hugging Face's `datasets` writes them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from evenodds.data.folders.row_groups import Groups, Room, opened_table
from evenodds.data.pictures.opening import File, Unusable
from evenodds.errors import BadInput, unknown
from evenodds.files.read import parse_json

__all__ = ["ENDINGS", "Table", "has_images", "is_table", "pictures"]

ENDINGS = (".parquet", ".arrow")
"""Of the names of such files."""
_IMAGES = ("image", "img", "images", "picture", "photo", "pixel_values", "bytes")
_LABELS = ("label", "labels", "class", "target", "fine_label", "y")
"""Names of columns with the image and the label, the likeliest first."""


class Table(NamedTuple):
    """The images of a table."""

    files: list[File]
    """In the order of the rows, named "table.parquet#12"."""
    labels: tuple[str, ...]
    """Plain sentences on where their labels are from."""
    notes: tuple[str, ...]
    """Others on the table."""


class _Columns(NamedTuple):
    """What is taken of a table."""

    image: str
    label: str | None
    classes: tuple[str, ...]
    of_labels: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def taken(self) -> list[str]:
        """The names of the columns."""
        return [self.image, *([self.label] if self.label else [])]


def is_table(name: str) -> bool:
    """Whether a file of this name may be one; what `datasets` keeps of its own computations is none."""
    own = name.rpartition("/")[2].lower()
    return own.endswith(ENDINGS) and not own.startswith(("cache-", "tmp"))


def has_images(path: Path) -> bool:
    """Whether a file is a table with a column of images, as far as that can be told."""
    try:
        with ExitStack() as stack:
            schema = opened_table(path, stack).schema
            return bool(_image_columns(schema, _features(schema)))
    except Exception:  # pyarrow fails in many ways on damaged files; the reader says it
        return False


def pictures(path: Path, name: str, column: str | None, label: str | None, room: Room, stack: ExitStack) -> Table:
    """The images of a table. They are held in memory as they are packed, as long as there is room for them.

    Args:
        name: how images are called, before the number of their row.
        column: that holds them, as bytes or as {bytes, path}. None: the one that does.
        label: the column with whole numbers or words that are the class. None: the one that is described or called so.
        room: for all tables that are read together.
        stack: closes the table when no image of it is read any more.

    Raises:
        BadInput: it is no such table, or has no such column.
    """
    try:
        table = opened_table(path, stack)
        columns = _columns(path, table.schema, column, label)
        files = _files(table, columns, name, room)
    except BadInput:
        raise
    except Exception as error:  # pyarrow fails in many ways on damaged files: ArrowInvalid, OSError, ...
        raise BadInput(f"{path.name} is damaged or no {path.suffix[1:]} file; save it again") from error
    if not files:
        raise BadInput(f"{path.name} has no rows; name a table with images")
    return Table(files, columns.of_labels, columns.notes)


def _features(schema: Any) -> Mapping[str, Any]:
    """What `datasets` wrote on the columns; nothing where it did not."""
    told = (schema.metadata or {}).get(b"huggingface")
    try:
        value = parse_json(told, "features")["info"]["features"] if told else {}
    except (BadInput, LookupError, TypeError):
        return {}
    return {name: one for name, one in value.items() if isinstance(one, dict)} if isinstance(value, dict) else {}


def _image_columns(schema: Any, features: Mapping[str, Any]) -> list[str]:
    """The columns that may hold images, the likeliest first."""
    names = [field.name for field in schema if _holds_bytes(field.type)]
    described = [name for name in names if features.get(name, {}).get("_type") == "Image"]
    usual = [name for name in _IMAGES if name in names]
    return list(dict.fromkeys([*described, *usual, *names]))


def _holds_bytes(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        return any(kind.field(k).name == "bytes" and _holds_bytes(kind.field(k).type) for k in range(kind.num_fields))
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _columns(path: Path, schema: Any, column: str | None, label: str | None) -> _Columns:
    features = _features(schema)
    images = _image_columns(schema, features)
    if column is not None and column not in images:
        raise unknown(f"column of images in {path.name}", column, images)
    if not images:
        raise BadInput(
            f"{path.name} has no column of images (bytes), only {', '.join(schema.names[:12])}; name another"
        )
    image = column or images[0]
    others = [name for name in images if name != image]
    notes = (f"Took the images of the column {image}; data.column={others[0]} takes another.",) if others else ()
    chosen = _label_column(path, schema, features, label)
    if chosen is None:
        described = _described(features)
        offer = f"Columns {', '.join(described)} hold classes; data.label={(*described, '')[0]} takes one."
        return _Columns(image, None, (), (), (*notes, offer) if described else notes)
    classes = tuple(str(name) for name in features.get(chosen, {}).get("names") or ())
    from_column = f"Took the classes from the column {chosen}; data.labels=false leaves them out."
    return _Columns(image, chosen, classes, (from_column,), notes)


def _described(features: Mapping[str, Any]) -> list[str]:
    return [name for name, one in features.items() if one.get("_type") == "ClassLabel"]


def _label_column(path: Path, schema: Any, features: Mapping[str, Any], label: str | None) -> str | None:
    import pyarrow.types as types

    kinds = {field.name: field.type for field in schema}
    able = [name for name, kind in kinds.items() if types.is_integer(kind) or _is_text(kind)]
    if label is not None:
        if label not in able:
            raise unknown(f"column of labels in {path.name}", label, able)
        return label
    described = [name for name in _described(features) if name in able]
    usual = next((name for name in _LABELS if name in able), None)
    return described[0] if len(described) == 1 else usual


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _files(table: Groups, columns: _Columns, name: str, room: Room) -> list[File]:
    """The images of all rows: held in memory, or read when asked for, group by group."""
    held: list[list[Any] | None] = []
    words: list[list[str | None]] = []
    keys = list(table.keys())
    for key in keys:
        batches = []
        labels: list[str | None] = []
        for batch in table.batches(key, columns.taken):
            batch.validate(full=True)  # places in it are believed from here on
            labels += _words(batch, columns)
            if room.take(batch.nbytes, table):
                batches.append(batch.column(columns.image))
        words.append(labels)
        held.append(batches if sum(map(len, batches)) == len(labels) else None)
    if room.full and table.again:
        held = [None] * len(keys)
    files: list[File] = []
    for key, cells, labels in zip(keys, held, words, strict=True):
        one = _Group(table, key, columns, room) if cells is None else _Held(cells)
        files += [File(f"{name}#{len(files) + k}", one.opener(k), word) for k, word in enumerate(labels)]
    return files


def _words(batch: Any, columns: _Columns) -> list[str | None]:
    if columns.label is None:
        return [None] * len(batch)
    return [_word(value, columns.classes) for value in batch.column(columns.label).to_pylist()]


def _word(value: Any, classes: Sequence[str]) -> str:
    """The class of a cell; empty where it is unknown."""
    if classes and isinstance(value, int):
        return classes[value] if 0 <= value < len(classes) else ""
    return "" if value is None else str(value)


class _Held:
    """The cells of a group, in memory."""

    def __init__(self, cells: Sequence[Any]) -> None:
        self._parts = cells
        self._firsts = [0, *accumulate(map(len, cells))]

    def cell(self, k: int) -> Any:
        part = bisect_right(self._firsts, k) - 1
        return self._parts[part][k - self._firsts[part]].as_py()

    def opener(self, k: int) -> Callable[[], BinaryIO]:
        return lambda: _unpacked(self.cell(k))


class _Group:
    """The cells of a group, which is read when one of them is asked for."""

    def __init__(self, table: Groups, key: int, columns: _Columns, room: Room) -> None:
        self._table, self._key, self._columns, self._room = table, key, columns, room

    def _read(self) -> _Held:
        batches = list(self._table.batches(self._key, [self._columns.image]))
        for batch in batches:
            batch.validate(full=True)
        return _Held([batch.column(self._columns.image) for batch in batches])

    def opener(self, k: int) -> Callable[[], BinaryIO]:
        return lambda: _unpacked(self._room.group((id(self._table), self._key), self._read).cell(k))


def _unpacked(value: Any) -> BinaryIO:
    """The bytes of an image in a cell."""
    content = value.get("bytes") if isinstance(value, dict) else value
    if content is None and isinstance(value, dict) and value.get("path"):
        raise Unusable("its bytes are not in the table, only a path")
    if not content:
        raise Unusable("no image in this row")
    return BytesIO(content)
