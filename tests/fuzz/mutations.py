"""Files as strangers, other versions, editors and broken disks leave them: one mutation for each draw of a seed."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import pickle
import shutil
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

__all__ = ["BYTES", "NUMBERS", "PATHS", "TEXTS", "files_of", "mutate"]

LARGEST = 2**26
"""Bytes of a file that is read to be changed."""
USER = "../user"
"""The user's own folder, from within a run."""
CODE = (
    "subprocess:Popen", "os:system", "evil:X", "antigravity:fly", "builtins:eval", "webbrowser:open", "pickle:loads",
    "evenodds.files.write:remove_folder", "shutil:rmtree", "pathlib:Path", "this", "evil", "os.path:join",
    "evenodds.parts.networks.mlp:Generator", "evenodds.cli:main", ":", "a:", ":b", "torch:load", "numpy:zeros",
)  # fmt: skip
PATHS = (
    "../../x", "../user/mine.txt", "/abs", "/etc/passwd", "..", ".", "", " ", "a/b", "..\\..\\x", "C:\\x", "C:x",
    "CON", "nul.txt", "a\0b", "x" * 300, "~/x", "\\\\server\\x", "/dev/zero", "/proc/self/mem", "file:///etc/passwd",
    "name.", "a:b", "-rf", "*", "$(touch x)", "http://127.0.0.1:9/x",
)  # fmt: skip
TEXTS = (
    "\x1b]0;title\x07", "\x1b[2J", "a\nb", "a\rb", "\x7f", "\x00", "\x9b31m", "\u202etxt", "\ud800", "\udce9", "\ufeff",
    "=cmd|'/c calc'!A1", "+1", "@x", "a,b", '"', "<script>alert(1)</script>", "{x}", "{0.__class__}", "%s%n", "[red]x",
    "é", "日本", "true", "null", "1e400", "NaN", "1", "-1", "x" * 100_000, "auto", "none", "last",
)  # fmt: skip
NUMBERS = (
    0, -1, 1, 2, 3, 255, 2**31, 2**32, 2**63 - 1, 2**63, -(2**63), 2**64, 10**12, 10**18, 10**400, 0.5, -0.5, 1e-320,
    1e-12, 1e12, 1e300, 1.7e308, -0.0, math.nan, math.inf, -math.inf, 1_000_000, 100_000,
)  # fmt: skip
HUGE = "@@huge@@"
"""Stands for a number of 5,000 digits."""
DEEP = "@@deep@@"
"""Stands for 3,000 lists within each other."""
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [None], [[]], {"": ""}, {"name": None}, {"name": "x"}, HUGE, DEEP)

Mutation = Callable[[Path, Random], str]


def mutate(run: Path, rng: Random, files: Sequence[str] | None = None) -> tuple[str, set[str]]:
    """Changes a run folder, mostly one file of it.

    Args:
        files: the paths of its regular files, sorted, where they are known; see `files_of`.

    Returns:
        What was changed, in words, and the paths that were changed; "" stands for any.
    """
    said, changed = [], set()
    for _ in range(2 if rng.random() < 0.15 else 1):
        if rng.random() < 0.06:
            said.append(rng.choice(FOLDERS)(run, rng))
            changed.add("")
        else:
            name = chosen(files_of(run) if files is None or changed else files, rng)
            said.append(f"{name}: {_mutated(run / name, rng)}")
            changed |= {name, f"{name.rpartition('/')[0]}/checkpoint.json"} if "/" in name else {name}
    return "; ".join(said), changed


def files_of(folder: Path) -> list[str]:
    """The paths of the regular files below a folder, relative to it, sorted."""
    found, stack = [], [("", os.fspath(folder))]
    while stack:
        prefix, place = stack.pop()
        for entry in os.scandir(place):
            if entry.is_dir(follow_symlinks=False):
                stack.append((f"{prefix}{entry.name}/", entry.path))
            elif entry.is_file(follow_symlinks=False):
                found.append(f"{prefix}{entry.name}")
    return sorted(found)


WEIGHTS = {
    "config.yaml": 30, "data.json": 25, "checkpoint.json": 20, "metrics.jsonl": 8, "evaluation.json": 8,
    "remedies.json": 8, "choices.json": 4, "environment.json": 3, "encoder.safetensors": 4,
}  # fmt: skip
"""How often a file is changed, by its name."""


def chosen(files: Sequence[str], rng: Random) -> str:
    """A file, more often one that is read by all commands."""
    names = [(file, file.rpartition("/")[2]) for file in files]
    weights = [WEIGHTS.get(name, 3 if name.endswith(".safetensors") else 0.5) for _, name in names]
    return rng.choices(files, weights)[0]


def _mutated(path: Path, rng: Random) -> str:
    """Changes a file by what it holds, or as bytes."""
    if path.stat().st_size > LARGEST:  # a mutation before this one made it so
        return _special(path, rng)
    by_kind = {".json": _json, ".jsonl": _lines, ".yaml": _yaml, ".safetensors": _tensors}
    structured = by_kind.get(path.suffix)
    try:
        if structured is not None and rng.random() < 0.75:
            return structured(path, rng)
    except (ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError, RecursionError):
        pass  # a mutation before this one left nothing to parse
    return rng.choice(BYTES)(path, rng)


# Structures ----------------------------------------------------------------------------------------------------------


def _json(path: Path, rng: Random) -> str:
    value, said = altered(_of_json(path.read_text("utf-8")), rng)
    path.write_text(dumped(value, rng), "utf-8")
    return said


def _yaml(path: Path, rng: Random) -> str:
    if rng.random() < 0.1:
        text = path.read_text("utf-8")
        extra = rng.choice(YAMLS)
        path.write_text(text + extra if rng.random() < 0.5 else extra, "utf-8")
        return f"YAML {extra!r:.60}"
    value, said = altered(_of_yaml(path.read_text("utf-8")), rng)
    text = dumped(value, rng).replace("NaN", ".nan").replace("Infinity", ".inf")
    path.write_text(text, "utf-8")
    return said


@lru_cache(64)
def _of_json(text: str) -> Any:
    return json.loads(text)


@lru_cache(64)
def _of_yaml(text: str) -> Any:
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


YAMLS = (
    "seed: !!python/object/apply:os.system ['touch x']\n", "seed: !!python/name:os.system\n", "\n--- {}\n",
    "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nseed: *c\n", "seed: 1\nseed: 2\n", "\t- x\n", "<<: {seed: 1}\n",
    "? [a]\n: b\n", "seed: !!binary aGk=\n", "seed: 2001-01-01\n", "1: 2\n", "%YAML 9.9\n---\n", "- a\n", "seed: 'x\n",
    "images: 1:30\n", "task: " + "{a: " * 500, "x" * 300_000, "seed: 0x" + "f" * 5000 + "\n", "~\n", "on: off\n",
)  # fmt: skip


def _lines(path: Path, rng: Random) -> str:
    lines = path.read_text("utf-8").splitlines() or ["{}"]
    k = rng.randrange(len(lines))
    way = rng.choice(("value", "value", "value", "half", "again", "gone", "junk", "list", "many", "long"))
    if way == "value":
        value, said = altered(json.loads(lines[k]), rng)
        lines[k] = dumped(value, rng).replace("\n", " ")
        way = said
    elif way == "many":
        lines = lines * rng.choice((2,) * 19 + (3000,))
    else:
        texts = {"half": lines[k][: len(lines[k]) // 2], "again": f"{lines[k]}\n{lines[k]}", "gone": "", "list": "[1]"}
        lines[k] = texts.get(way, "\0\xff{" if way == "junk" else '{"images": ' + "1" * 2_000_000 + "}")
    path.write_text("\n".join(lines) + rng.choice(("\n", "")), "utf-8")
    return f"line {k + 1}: {way}"


def _tensors(path: Path, rng: Random) -> str:
    """Changes the header of a safetensors file, or some of its bytes, and mostly the checksum with it."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + length], bytearray(content[8 + length :])
    if rng.random() < 0.7:
        value, said = altered(json.loads(header), rng)
        header = dumped(value, rng).encode("utf-8", "surrogatepass")
        header += b" " * (-len(header) % 8)
    else:
        start = rng.randrange(max(1, len(rest)))
        rest[start : start + 64] = rng.choice((b"\xff" * 64, b"\0" * 64, b"\x7f\x80\0\0" * 16, b""))
        said = "values"
    size = rng.choice((len(header),) * 8 + (2**63, 2**64 - 1, 0, len(content) * 2))
    path.write_bytes(size.to_bytes(8, "little") + header + bytes(rest))
    return f"{said}{sign(path) if rng.random() < 0.8 else ''}"


def sign(path: Path) -> str:
    """Puts the checksum of a file into the header of its checkpoint, as a stranger would."""
    header = path.parent / "checkpoint.json"
    if not header.is_file() or header.is_symlink():
        return ""
    try:
        content = json.loads(header.read_text("utf-8"))
        content["parts"][path.stem]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""  # a mutation before this one left nothing to sign
    header.write_text(json.dumps(content), "utf-8")
    return ", signed"


def altered(value: Any, rng: Random) -> tuple[Any, str]:
    """A copy with one place changed, and what was changed."""
    value = copy.deepcopy(value)
    places = list(paths(value))
    place = rng.choice(places)
    if not place or rng.random() < 0.02:
        new = another(value, rng)
        return new, f"all = {new!r:.60}"
    parent = value
    for step in place[:-1]:
        parent = parent[step]
    return value, f"{'.'.join(map(str, place))} {_alter(parent, place[-1], rng)}"


def paths(value: Any, before: tuple[Any, ...] = ()) -> Any:
    """The places of a structure; of long lists only the first and the last."""
    yield before
    if isinstance(value, dict):
        for key in value:
            yield from paths(value[key], (*before, key))
    if isinstance(value, list):
        for k in sorted({0, 1, len(value) - 1} & set(range(len(value)))):
            yield from paths(value[k], (*before, k))


def _alter(parent: Any, key: Any, rng: Random) -> str:
    way = rng.random()
    if way < 0.12:
        del parent[key]
        return "deleted"
    if way < 0.2 and isinstance(parent, dict):
        name = rng.choice((*CODE, *PATHS, *TEXTS))
        parent[name] = parent.pop(key) if rng.random() < 0.5 else another(parent[key], rng)
        return f"beside or as {name!r:.40}"
    if way < 0.25 and isinstance(parent, list):
        parent[:] = rng.choice((parent * 2, parent[::-1], parent[:1] * 1000, [], [*parent, None]))
        return "its list changed"
    if way < 0.28 and isinstance(parent, dict):
        parent[f"{TWICE}{key}"] = another(parent[key], rng)
        return "twice"
    parent[key] = another(parent[key], rng)
    return f"= {parent[key]!r:.60}"


TWICE = "@@twice@@"
"""Begins a key that is written as the key behind it, which is there already."""


def another(value: Any, rng: Random) -> Any:
    """Another value, often of another type."""
    draw = rng.random()
    if draw < 0.2:
        name = rng.choice(CODE)
        options = {"args": "touch x", "shell": True, "path": USER, "folder": USER, "target": "x"}
        picked = {key: options[key] for key in rng.sample(sorted(options), rng.randrange(3))}
        return rng.choice((name, {"name": name, **picked}, [name], {"name": name, "options": picked}))
    if draw < 0.35:
        return rng.choice((rng.choice(PATHS), [rng.choice(PATHS)], {"name": rng.choice(PATHS)}))
    if draw < 0.5:
        return rng.choice((rng.choice(TEXTS), [rng.choice(TEXTS)]))
    if draw < 0.72:
        return rng.choice(NUMBERS)
    if draw < 0.85:
        return rng.choice(OTHERS)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return rng.choice((value * 1000, value + 1, -value, value / 3, str(value), [value], value * 10**9))
    if isinstance(value, str):
        return rng.choice((value.upper(), value + "x", value[:-1], [value], {"name": value}, value.encode().hex()))
    return rng.choice((str(value), [value], {"a": value}, [value] * 3))


def dumped(value: Any, rng: Random) -> str:
    """The structure as JSON, which is YAML as well, with what no library writes."""
    text = json.dumps(value, indent=rng.choice((None, 1)), ensure_ascii=rng.random() < 0.9 or _halves(value))
    deep = rng.choice((40, 3000, 200_000))
    text = text.replace(f'"{HUGE}"', "9" * 5000).replace(f'"{DEEP}"', "[" * deep + "]" * deep)
    return text.replace(TWICE, "")


def _halves(value: Any) -> bool:
    """Whether there are halves of characters, which no encoding has."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
        return False
    except UnicodeEncodeError:
        return True


# Bytes ---------------------------------------------------------------------------------------------------------------


def _truncated(path: Path, rng: Random) -> str:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content) + 1)])
    return "truncated"


def _flipped(path: Path, rng: Random) -> str:
    content = bytearray(path.read_bytes() or b"x")
    for _ in range(rng.choice((1, 1, 8))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    return f"bits{sign(path) if path.suffix == '.safetensors' and rng.random() < 0.5 else ''}"


def _spliced(path: Path, rng: Random) -> str:
    content = path.read_bytes()
    start = rng.randrange(len(content) + 1)
    new = rng.choice((rng.randbytes(8), b"\0", b"\x1b[2J", b"\xff", b"}", b"[", b"\n", content[start : start + 200]))
    path.write_bytes(content[:start] + new + content[start + rng.choice((0, 1, 50)) :])
    return f"spliced {new!r:.20}"


def _encoded(path: Path, rng: Random) -> str:
    name = rng.choice(("utf-16", "utf-16-le", "utf-8-sig", "utf-32", "cp037", "utf-7"))
    path.write_bytes(path.read_bytes().decode("latin-1").encode(name, "replace"))
    return name


def _replaced(path: Path, rng: Random) -> str:
    contents = {
        "empty": b"", "a null byte": b"\0", "null": b"null", "a list": b"[]", "an object": b"{}", "a number": b"1",
        "a string": b'"x"', "zeros": b"\0" * 4096, "pickle": pickle.dumps({"a": 1}), "zip": b"PK\3\4" + b"\0" * 30,
        "spaces": b" " * 1000, "0x80": b"\x80" * 100, "many brackets": b"[" * 100_000,
    }  # fmt: skip
    name = rng.choice(sorted(contents))
    path.write_bytes(contents[name])
    return name


def _special(path: Path, rng: Random) -> str:
    """Something else than a regular file in its place."""
    way = rng.choice(("gone", "folder", "fifo", "link to mine", "dangling", "loop", "zeros", "huge", "unreadable"))
    path.unlink()
    if way == "folder":
        path.mkdir()
    elif way == "fifo":
        os.mkfifo(path)
    elif way == "huge":
        with path.open("wb") as file:
            file.truncate(6 << 30)
    elif way != "gone":
        targets = {"link to mine": f"{USER}/mine.txt", "dangling": f"{USER}/absent", "loop": path.name}
        path.symlink_to(targets.get(way, "/dev/zero" if way == "zeros" else "/proc/self/mem"))
    return way


BYTES: tuple[Mutation, ...] = (_truncated, _flipped, _flipped, _spliced, _encoded, _replaced, _special)


# Folders -------------------------------------------------------------------------------------------------------------


def _gone(path: Path) -> None:
    """Removes what is there, if anything is: changes before this one may have."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _no_checkpoints(run: Path, rng: Random) -> str:
    _gone(run / "checkpoints")
    (run / "checkpoints").mkdir() if rng.random() < 0.5 else None
    return "no checkpoints"


def _linked(run: Path, rng: Random) -> str:
    """A folder of the run, or a file that commands write, is a link to the user's."""
    name = rng.choice(("checkpoints", "samples", "samples.png", "report.html", "README.txt", "evaluation.json.tmp"))
    path = run / name
    _gone(path)
    path.symlink_to(f"{USER}/mine.txt" if "." in name else USER)
    return f"{name} is a link"


def _odd_checkpoint(run: Path, rng: Random) -> str:
    name = rng.choice(("²", "٣", "9" * 40, "0", "000000000016x", "-1", "00000000001٦", "999999999999"))
    first = next((run / "checkpoints").glob("*"), None)
    if first is None or os.path.lexists(run / "checkpoints" / name):
        return "nothing"
    if not first.is_dir() or any(p.is_symlink() or not p.is_file() for p in first.iterdir()):
        return "nothing"  # a mutation before this one left nothing to copy
    if rng.random() < 0.5:
        shutil.copytree(first, run / "checkpoints" / name)
    else:
        first.rename(run / "checkpoints" / name)
    return f"checkpoint {name}"


def _added(run: Path, rng: Random) -> str:
    """Files that nobody asked for: modules that shadow others, caches, left ones."""
    names = ("evil.py", "torch.py", "yaml.py", "sitecustomize.py", "conftest.py", "evenodds.py", ".lock", "x.pth")
    name = rng.choice(names)
    (run / name).write_text("open('executed', 'w')\nclass X: pass\n", "utf-8")
    return f"with {name}"


FOLDERS: tuple[Mutation, ...] = (_no_checkpoints, _linked, _linked, _odd_checkpoint, _odd_checkpoint, _added)
