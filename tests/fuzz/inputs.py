"""A case on data of the user's: a copy of them is changed, and a command reads it; all drawn from one seed."""

# ruff: noqa: E501  the tables of what is tried

from __future__ import annotations

import csv
import io
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from tests.fuzz.cases import Outcome, laid_out, played
from tests.fuzz.mutations import BYTES, LARGEST, NUMBERS, PATHS, TEXTS

__all__ = ["INPUTS", "play_inputs"]

SHORT = ("--images", "8", "--out", "OUT/r", "--quiet", "--set", "device=cpu", "batch=4")
TINY = (*SHORT, "generator.width=4", "discriminator.width=4")
JUDGED = ("--metrics", "kernel", "--features", "pixels", "-n", "40")
INPUTS: Mapping[str, tuple[int, str, str, tuple[str, ...]]] = {
    # weight, family of the run, data, words
    "train table": (6, "", "rows.csv", ("train", "table", "--data", "IN", *TINY)),
    "train folder": (4, "", "pictures", ("train", "digits", "--data", "IN", *TINY)),
    "train zip": (3, "", "pictures.zip", ("train", "digits", "--data", "IN", *TINY)),
    "train classes": (4, "", "classes.npz", ("train", "digits", "--data", "IN", *TINY, "task=condition")),
    "train labels": (5, "", "labelled", ("train", "digits", "--data", "IN", *TINY, "task=condition")),
    "train maps": (3, "", "scenes", ("train", "segment", "--data", "IN", *SHORT, "generator.width=4")),
    "train pairs": (2, "", "unpaired", ("train", "translate", "--data", "IN", *TINY, "size=16", "task.crop=16")),
    "train unpaired": (2, "", "unpaired", ("train", "cycle", "--data", "IN", *TINY, "size=16", "task.crop=16")),
    "upscale": (4, "upscale", "pictures", ("upscale", "RUN", "IN", "OUT/o", "--device", "cpu")),
    "upscale one": (3, "upscale", "pictures", ("upscale", "RUN", "IN/0.png", "OUT/o.png", "--device", "cpu")),
    "upscale zip": (3, "upscale", "pictures.zip", ("upscale", "RUN", "IN", "OUT/o", "--device", "cpu")),
    "translate against": (2, "translate", "pictures", ("translate", "RUN", "IN", "OUT/o", "--against", "IN")),
    "translate": (2, "translate", "pictures", ("translate", "RUN", "IN", "OUT/o", "--device", "cpu")),
    "cycle": (2, "cycle", "pictures", ("translate", "RUN", "IN", "OUT/o", "--device", "cpu")),
    "segment": (3, "segment", "scenes", ("segment", "RUN", "IN/images", "OUT/o", "--against", "IN/labels")),
    "fill": (4, "fill", "pictures", ("fill", "RUN", "IN/0.png", "--mask", "IN/1.png", "-n", "1", "--out", "OUT/f")),
    "features": (4, "condition", "classes.npz", ("features", "RUN", "IN", "--out", "OUT/f.npz", "--device", "cpu")),
    "features of a folder": (3, "condition", "labelled", ("features", "RUN", "IN", "--out", "OUT/f.npz")),
    "evaluate": (4, "condition", "classes.npz", ("evaluate", "IN", "--against", "RUN", *JUDGED)),
    "evaluate a folder": (3, "condition", "labelled", ("evaluate", "IN", "--against", "RUN", *JUDGED)),
    "evaluate a table": (3, "generate", "rows.csv", ("evaluate", "IN", "--against", "RUN", *JUDGED)),
    "doctor": (3, "condition", "classes.npz", ("doctor", "RUN", "--data", "IN")),
    "resume": (2, "condition", "classes.npz", ("resume", "RUN", "--data", "IN", "--images", "24", "--quiet")),
}
"""The commands that read data of the user's, how often each is drawn, on which run, with which data, and its words."""


def play_inputs(seed: int, home: Path, scratch: Path) -> Outcome:
    """Plays the case of a seed.

    Args:
        home: with the runs and data of tests.fuzz.runs.
        scratch: a folder that is removed and made anew.
    """
    rng = Random(seed)
    name = rng.choices(list(INPUTS), [weight for weight, *_ in INPUTS.values()])[0]
    _, family, data, template = INPUTS[name]
    run = laid_out(home, scratch, family or "generate")
    place = scratch / "user" / data
    _copy(home / "data" / data, place)
    mutation = "; ".join(changed(place, rng) for _ in range(2 if rng.random() < 0.2 else 1))
    places = {"IN": place, "RUN": run, "OUT": scratch / "out"}
    return played(seed, name, mutation, [_word(word, places) for word in template], run, scratch)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _word(word: str, places: Mapping[str, Path]) -> str:
    head, slash, rest = word.partition("/")
    return f"{places.get(head, head)}{slash}{rest}"


def changed(place: Path, rng: Random) -> str:
    """Changes a file, or a folder of files; says what."""
    if place.is_dir() and rng.random() < 0.3:
        return rng.choice(FOLDERS)(place, rng)
    files = sorted(path for path in ([place, *place.rglob("*")]) if path.is_file() and not path.is_symlink())
    if not files:
        return "nothing"
    path = rng.choices(files, [8 if file.suffix == ".csv" else 4 if file.stem in "01" else 1 for file in files])[0]
    way = KINDS.get(path.suffix)
    try:
        if way is not None and rng.random() < 0.7:
            return f"{path.name!r:.30}: {way(path, rng)}"
    except (ValueError, OSError, LookupError, zipfile.BadZipFile, SyntaxError):
        pass  # a change before this one left nothing to read
    if path.stat().st_size > LARGEST:  # a change before this one made it so
        return f"{path.name!r:.30}: left as large as it is"
    return f"{path.name!r:.30}: {rng.choice(BYTES)(path, rng)}"


# Tables --------------------------------------------------------------------------------------------------------------


def _table(path: Path, rng: Random) -> str:
    """Changes a cell, a row, a column or the form of a CSV file."""
    rows = [*csv.reader(io.StringIO(path.read_text("utf-8")))]
    k = rng.randrange(len(rows))
    j = rng.randrange(len(rows[k]))
    way = rng.choice(
        ("cell", "cell", "cell", "column", "short", "long", "again", "none", "quote", "form", "wide", "many")
    )
    if way == "cell":
        rows[k][j] = _cell(rng)
        way = f"{k}, {j} = {rows[k][j]!r:.40}"
    elif way == "column":
        value = _cell(rng)
        rows = [
            [*row[:j], value if n else row[j], *row[j + 1 :]] if len(row) > j else row for n, row in enumerate(rows)
        ]
        way = f"column {j} = {value!r:.40}"
    elif way in ("short", "long"):
        rows[k] = rows[k][:-1] if way == "short" else [*rows[k], "1"]
    elif way == "again":
        rows = [*rows, *rows]
    elif way == "none":
        rows = rng.choice((rows[:1], rows[1:], rows[:2], [], [[]], [row[:1] for row in rows]))
    elif way == "wide":
        rows = [row * 3000 for row in rows]
    elif way == "many":
        rows = [*rows[:1], *rows[1:] * 2000]
    text = io.StringIO()
    csv.writer(text, delimiter=rng.choice(",,,,;\t|"), lineterminator=rng.choice(("\n", "\n", "\r\n", "\r"))).writerows(
        rows
    )
    content = text.getvalue().encode("utf-8", "surrogatepass")
    forms = {
        "quote": lambda: content + b'"' + b"x" * 70_000,
        "form": lambda: rng.choice((b"\xef\xbb\xbf", b"\0", b"#\n")) + content,
    }
    path.write_bytes(forms.get(way, lambda: content)())
    return way


def _cell(rng: Random) -> str:
    return str(
        rng.choice(
            (
                *TEXTS,
                *PATHS,
                *(number for number in NUMBERS if number != 10**400),
                "9" * 400,
                "0x1F",
                "1_000",
                "1,5",
                "1e5",
                "∞",
            )
        )
    )


# Pictures ------------------------------------------------------------------------------------------------------------


def _picture(path: Path, rng: Random) -> str:
    """Changes a chunk of a PNG file, or puts another picture in its place."""
    return _other_picture(path, rng) if rng.random() < 0.4 else _chunks(path, rng)


def _chunks(path: Path, rng: Random) -> str:
    content = path.read_bytes()
    chunks, at = [], 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    way = rng.choice(("header", "header", "header", "new", "new", "gone", "twice", "data"))
    k = rng.randrange(len(chunks))
    if way == "header":
        name, body = chunks[0]
        place, size = rng.choice(((0, 4), (4, 4), (8, 1), (9, 1), (10, 1), (11, 1), (12, 1)))
        value = rng.choice((0, 1, 2, 3, 4, 6, 7, 8, 16, 255, 10_000, 60_000, 2**31 - 1, 2**32 - 1)) % 256**size
        chunks[0] = name, body[:place] + value.to_bytes(size, "big") + body[place + size :]
        way = f"header {place} = {value}"
    elif way == "new":
        name, body = rng.choice(EXTRA)
        chunks.insert(rng.randrange(1, len(chunks) + 1), (name, body))
        way = f"{name!r} with {len(body):,} bytes"
    elif way == "gone":
        del chunks[k]
    elif way == "twice":
        chunks.insert(k, chunks[k])
    else:
        chunks = [(name, _deflated(rng) if name == b"IDAT" else body) for name, body in chunks]
    path.write_bytes(content[:8] + b"".join(_chunk(*one) for one in chunks))
    return way


def _chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


def _deflated(rng: Random) -> bytes:
    return zlib.compress(rng.choice((b"", b"\0", b"\xff" * 1000, b"\0" * 30_000_000)))


EXIF = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0%c\0\0\0\0\0\0"
EXTRA: tuple[tuple[bytes, bytes], ...] = (
    (b"tEXt", b"a\0\x1b]0;title\x07"), (b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 30_000_000)), (b"PLTE", b"\xff" * 3),
    (b"iTXt", b"a\0\1\0\0\0" + zlib.compress(b"x" * 30_000_000)), (b"iCCP", b"a\0\0" + zlib.compress(b"\0" * 30_000_000)),
    (b"PLTE", b"\xff" * 7), (b"tRNS", b"\0"), (b"tRNS", b"\0" * 300), (b"gAMA", b"\0\0\0\0"), (b"acTL", b"\xff" * 8),
    (b"fcTL", b"\0" * 26), (b"eXIf", b"II*\0\xff\xff\xff\xff"), (b"eXIf", b"\xff" * 4000), (b"pHYs", b"\xff" * 9),
    *((b"eXIf", EXIF % turn) for turn in (2, 3, 5, 6, 8, 9)), (b"IEND", b""), (b"IDAT", b""), (b"cHRM", b""),
)  # fmt: skip


def _other_picture(path: Path, rng: Random) -> str:
    mode = rng.choice(("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F", "CMYK", "HSV"))
    size = rng.choice(((16, 16), (16, 16), (1, 1), (1, 4000), (4000, 1), (7, 5), (15, 16), (33, 32)))
    kinds = {"F": ("TIFF",), "CMYK": ("JPEG", "TIFF"), "HSV": ("TIFF",), "I": ("PNG", "TIFF"), "I;16": ("PNG", "TIFF")}
    kind = rng.choice(kinds.get(mode, ("PNG", "PNG", "GIF", "TIFF", "BMP", "WEBP")))
    picture = Image.effect_noise(size, 60)
    picture = picture.convert("RGB").convert(mode) if mode in ("CMYK", "HSV", "P", "RGBA") else picture.convert(mode)
    stream = io.BytesIO()
    picture.save(stream, kind)
    path.write_bytes(stream.getvalue())
    return f"{kind} {mode} {size[0]} x {size[1]}"


# Arrays and archives -------------------------------------------------------------------------------------------------


def _arrays(path: Path, rng: Random) -> str:
    """Changes a member of an .npz file: its array, or the header that says what it is."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    name = rng.choice(sorted(members))
    way = rng.choice(("header", "header", "array", "array", "gone", "renamed", "more"))
    if way == "header":
        members[name], way = _headed(members[name], rng)
    elif way == "array":
        array, way = _array(rng)
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=True)
        members[name] = stream.getvalue()
    elif way == "gone":
        del members[name]
    elif way == "renamed":
        members[rng.choice((*PATHS, "X.npy", "x", "y.npy", "x.npy.npy"))] = members.pop(name)
    else:
        members[rng.choice((*PATHS, "c.npy", "labels.npy", "source.npy"))] = rng.choice(
            (b"", b"x" * 100, members[name])
        )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for key, content in members.items():
            file.writestr(key.replace("\0", "_") or "_", content)
    return f"{name}: {way}"


def _headed(content: bytes, rng: Random) -> tuple[bytes, str]:
    """An .npy file with another header."""
    descr = rng.choice(
        ("|u1", "|u1", "<f8", ">f4", "|O", "<U9999999", "<i4", "<c16", "<M8[s]", "|V8", "|b1", "|S3", "?", "x" * 5000)
    )
    shape = rng.choice(
        (
            (40, 8, 8),
            (40, 8, 8),
            (-1,),
            (0, 8, 8),
            (2**40, 8, 8),
            (2**31, 2**31),
            (40, 64),
            (40, 8, 8, 1),
            (),
            (2560,),
            (True, "a"),
        )
    )
    order = rng.choice((False, False, True, 7))
    header = rng.choice((
        f"{{'descr': {descr!r}, 'fortran_order': {order!r}, 'shape': {shape!r}, }}",
        f"{{'descr': {descr!r}, 'fortran_order': {order!r}, 'shape': {shape!r}, }}",
        f"{{'descr': {descr!r}}}", "[" * 3000, "__import__('os').system('touch x')", "{" + " " * 60_000 + "}",
        "{'descr': [('a', '<i4'), ('b', '|O')], 'fortran_order': False, 'shape': (40,), }",
    )) + "\n"  # fmt: skip
    version = rng.choice((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\xff\0"))
    size = 2 if version[0] == 1 else 4
    return b"\x93NUMPY" + version + len(header).to_bytes(size, "little") + header.encode() + content[
        128:
    ], header.strip()[:80]


def _array(rng: Random) -> tuple[np.ndarray, str]:
    arrays: tuple[Callable[[], np.ndarray], ...] = (
        lambda: np.zeros((40, 8, 8), np.uint8), lambda: np.full((40, 8, 8), np.nan), lambda: np.full((40, 8, 8), np.inf),
        lambda: np.full((40, 8, 8), 1e300), lambda: np.zeros((0, 8, 8)), lambda: np.zeros((40, 0, 8)), lambda: np.zeros(40),
        lambda: np.array(7), lambda: np.array([None] * 40), lambda: np.array([{}] * 40), lambda: np.zeros((40, 8, 8), np.complex64),
        lambda: np.zeros((40, 8, 8), "M8[s]"), lambda: np.array(["a"] * 40), lambda: np.zeros((40, 2000, 3), np.uint8),
        lambda: np.arange(40), lambda: np.arange(40) * 10**12, lambda: np.full(40, -1), lambda: np.full(40, 2**63, np.uint64),
        lambda: np.array([rng.choice((*TEXTS[:26], *PATHS)).rstrip("\0") for _ in range(40)]), lambda: np.zeros((1, 1, 1, 1, 1)),
        lambda: np.array(["x" * 10_000] * 40), lambda: np.zeros((40, 8, 8), bool), lambda: np.zeros((40, 8, 8), ">u2"),
        lambda: np.zeros((39, 8, 8), np.uint8), lambda: np.random.default_rng(0).normal(size=(40, 8, 8)) * 1e-300,
    )  # fmt: skip
    array = rng.choice(arrays)()
    return array, f"{array.dtype} {array.shape}"


def _archive(path: Path, rng: Random) -> str:
    """Changes the names in a zip file, or what they stand for."""
    with zipfile.ZipFile(path) as file:
        members = [(info.filename, file.read(info)) for info in file.infolist()]
    k = rng.randrange(len(members))
    way = rng.choice(("name", "name", "name", "twice", "link", "folder", "bomb", "none", "nested", "picture"))
    name, content = members[k]
    if way == "name":
        name = rng.choice((*PATHS, *TEXTS[:26], "a/b.png", "cat/1.png", "__MACOSX/._1.png", ".1.png", "1.PNG", "x.pkl"))
        name = name.encode("utf-8", "replace").decode().replace("\0", "_") + rng.choice((".png", ""))
        way = f"name {name!r:.40}"
    elif way == "picture":
        picture = path.with_name("picture-in-work.png")
        picture.write_bytes(content)
        way = _picture(picture, rng)
        content = picture.read_bytes()
        picture.unlink()
    elif way == "bomb":
        content = rng.choice((b"\0" * 60_000_000, b"", b"\x89PNG\r\n\x1a\n"))
    members[k] = name, content
    more = {"twice": [members[k]], "folder": [("folder/", b"")], "nested": [("inner.zip", path.read_bytes())]}
    members = [] if way == "none" else [*members, *more.get(way, [])]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for n, (key, body) in enumerate(members):
            info = zipfile.ZipInfo(key or "_")
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o120777 << 16 if way == "link" and n == k else 0o644 << 16
            file.writestr(info, b"/etc/passwd" if way == "link" and n == k else body)
    return way


# Folders -------------------------------------------------------------------------------------------------------------


def _renamed(place: Path, rng: Random) -> str:
    """A file of another name."""
    files = sorted(path for path in place.rglob("*") if path.is_file())
    if not files:
        return "nothing"
    path = rng.choice(files)
    name = rng.choice((*PATHS, *TEXTS[:26], ".hidden", "\udcff", "0.PNG", "0.jpg", "0.pkl", "labels.csv", "Thumbs.db"))
    name = name.replace("/", "_").replace("\0", "_").replace("\ud800", "_")[:120].strip(".") or "_"
    name += rng.choice((path.suffix, ""))
    if not (path.parent / name).exists():
        path.rename(path.parent / name)
    return f"{path.name!r:.30} is called {name!r:.40}"


def _planted(place: Path, rng: Random) -> str:
    """Something among the files that is none of them."""
    name = rng.choice(
        ("fifo.png", "loop.png", "out", "zero.png", "evil.py", "a.pkl", "deep", "labels.csv", "empty.png")
    )
    path = place / name
    if os.path.lexists(path):
        return "nothing"
    targets = {"loop.png": name, "out": "..", "zero.png": "/dev/zero"}
    if name == "fifo.png":
        os.mkfifo(path)
    elif name in targets:
        path.symlink_to(targets[name])
    elif name == "deep":
        (place / Path(*["d"] * 100)).mkdir(parents=True)
    else:
        path.write_text("" if name == "empty.png" else "open('executed', 'w')\n", "utf-8")
    return f"with {name}"


def _fewer(place: Path, rng: Random) -> str:
    """Some of the files, or one, or none."""
    files = sorted(path for path in place.rglob("*") if path.is_file())
    left = rng.choice((0, 1, 2))
    for path in files[left:]:
        path.unlink()
    return f"{left} files"


FOLDERS: tuple[Callable[[Path, Random], str], ...] = (_renamed, _renamed, _planted, _planted, _fewer)
KINDS: Mapping[str, Callable[[Path, Random], str]] = {
    ".csv": _table,
    ".png": _picture,
    ".npz": _arrays,
    ".zip": _archive,
}
"""By the ending of a file's name, how what it holds is changed."""
