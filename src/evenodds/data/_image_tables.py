"""Tables of images: Parquet and Arrow files, with their bytes in a column, as Hugging Face's `datasets` writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from evenodds.data._picture import File, Unusable
from evenodds.errors import BadInput, unknown
from evenodds.files import memory
from evenodds.files.extras import named, needs
from evenodds.files.read import parse_json
from evenodds.files.regular import open_regular

__all__ = ["ENDINGS", "Table", "has_images", "is_table", "pictures"]

ENDINGS = (".parquet", ".arrow")
"""Of the names of such files."""
_EXTRA = "parquet"
_IMAGES = ("image", "img", "images", "picture", "photo", "pixel_values", "bytes")
_LABELS = ("label", "labels", "class", "target", "fine_label", "y")
"""Names of columns with the image and the label, the likeliest first."""
_ROWS = 64  # That are decoded at once: what they take is known before more are.


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


def is_table(name: str) -> bool:
    """Whether a file of this name may be one; what `datasets` keeps of its own computations is none."""
    own = name.rpartition("/")[2].lower()
    return own.endswith(ENDINGS) and not own.startswith(("cache-", "tmp"))


def has_images(path: Path) -> bool:
    """Whether a file is a table with a column of images, as far as that can be told."""
    try:
        with _opened(path) as (schema, _):
            return bool(_image_columns(schema, _features(schema)))
    except Exception:  # pyarrow fails in many ways on damaged files; the reader says it
        return False


def pictures(path: Path, name: str, column: str | None = None, label: str | None = None) -> Table:
    """The images of a table.

    Args:
        name: how images are called, before the number of their row.
        column: that holds them, as bytes or as {bytes, path}. None: the one that does.
        label: the column with whole numbers or words that are the class. None: the one that is described or called so.

    Raises:
        BadInput: it is no such table, has no such column, or does not fit into memory.
    """
    try:
        with _opened(path) as (schema, batches):
            columns = _columns(path, schema, column, label)
            names = [columns.image, *([columns.label] if columns.label else [])]
            files: list[File] = []
            used, most = 0, memory.machine_bytes() // 2
            for batch in batches(names):
                batch.validate(full=True)  # places in it are believed from here on
                used += batch.nbytes
                if used > most:
                    raise BadInput(f"{path.name} needs over {most / 2**30:.1f} GiB, half the memory; name a part of it")
                files += _files(batch, columns, name, len(files))
    except BadInput:
        raise
    except Exception as error:  # pyarrow fails in many ways on damaged files: ArrowInvalid, OSError, ...
        raise BadInput(f"{path.name} is damaged or no {path.suffix[1:]} file; save it again") from error
    if not files:
        raise BadInput(f"{path.name} has no rows; name a table with images")
    return Table(files, columns.of_labels, columns.notes)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Callable[[list[str]], Iterator[Any]]]]:
    """The schema of a table, and what gives its rows in parts."""
    with named(path.name), needs(_EXTRA):
        import pyarrow
        import pyarrow.parquet
    with open_regular(path) as stream:
        try:
            if path.suffix.lower() == ".parquet":
                table = pyarrow.parquet.ParquetFile(stream)
                yield table.schema_arrow, lambda names: table.iter_batches(_ROWS, columns=names, use_threads=False)
                return
            head = stream.read(6)
            stream.seek(0)
            options = pyarrow.ipc.IpcReadOptions(use_threads=False)
            reader = _whole(pyarrow, stream, options) if head == b"ARROW1" else pyarrow.ipc.open_stream(stream)
            yield reader.schema, lambda names: (batch.select(names) for batch in reader)
        except (pyarrow.ArrowException, OSError) as error:
            raise BadInput(f"{path.name} is damaged or no {path.suffix[1:]} file; save it again") from error


def _whole(pyarrow: Any, stream: BinaryIO, options: Any) -> Any:
    """A reader of the other of Arrow's two formats, which has an index."""
    table = pyarrow.ipc.open_file(stream, options=options)
    batches = (table.get_batch(k) for k in range(table.num_record_batches))
    return pyarrow.RecordBatchReader.from_batches(table.schema, batches)


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
    from_column = f"Took the classes from the column {chosen}; labels=false leaves them out."
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


def _files(batch: Any, columns: _Columns, name: str, first: int) -> list[File]:
    """The images of some rows."""
    cells = batch.column(columns.image)
    labels = batch.column(columns.label).to_pylist() if columns.label else [None] * len(cells)
    words = [None if columns.label is None else _word(value, columns.classes) for value in labels]
    return [File(f"{name}#{first + k}", _opener(cells, k), words[k]) for k in range(len(cells))]


def _word(value: Any, classes: Sequence[str]) -> str:
    """The class of a cell; empty where it is unknown."""
    if classes and isinstance(value, int):
        return classes[value] if 0 <= value < len(classes) else ""
    return "" if value is None else str(value)


def _opener(cells: Any, k: int) -> Callable[[], BinaryIO]:
    def unpack() -> BinaryIO:
        value = cells[k].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if content is None and isinstance(value, dict) and value.get("path"):
            raise Unusable("its bytes are not in the table, only a path")
        if not content:
            raise Unusable("no image in this row")
        return BytesIO(content)

    return unpack
