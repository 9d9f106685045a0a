"""What can turn a file into code, or a name into a process, is used at listed places only; a new one is a decision."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping
from functools import cache

import pytest

from tests.tools import nodes, trees

READER = ("files/read.py",)
ALLOWED: Mapping[str, tuple[str, ...]] = {
    # Modules by name. Where files take part, only the one place that asks what the user allowed imports a stranger's.
    "importlib.import_module": (
        "__init__.py",  # the public names, each of a fixed module
        "cli/__init__.py",  # the files of the room
        "data/sources.py",  # the bundled sources
        "estimators/_unpickling.py",  # modules that moved, of pickles that the user unpickles
        "metrics/features/extract.py",  # the files of the room
        "runs/allowed.py",  # code of one's own
        "runs/find.py",  # the files of the rooms
        "runs/installation.py",  # the packages that are always needed, of a fixed list
    ),
    "importlib.reload": (),
    "importlib.util": (),
    "importlib.__import__": (),
    "importlib.machinery.SourceFileLoader": (),
    "__import__": (),
    "pkgutil.resolve_name": (),
    "runpy": (),
    "site": (),
    "sys.path": ("__main__.py", "cli/allow.py", "runs/allowed.py"),
    # Code.
    "eval": (),
    "exec": (),
    "compile": (),
    "code.InteractiveInterpreter": (),
    "builtins": (),
    "ctypes": ("files/process.py", "game/allocator.py"),
    "types.FunctionType": (),
    "types.CodeType": (),
    # Pickles and their kind.
    "pickle": (),
    "_pickle": (),
    "dill": (),
    "joblib": (),
    "marshal": (),
    "shelve": (),
    "torch.load": ("pretrained/state.py",),  # weights_only
    "torch.jit": (),
    "torch.hub": (),
    "torch.ops.load_library": (),
    "torch.package": (),
    "numpy.load": (),
    "numpy.fromfile": (),
    "numpy.memmap": (),
    "numpy.genfromtxt": (),
    "numpy.lib.format": (
        "data/readers/arrays.py",
        "data/readers/packed.py",
        "data/peek.py",
    ),  # of the last headers alone
    "pandas": (
        "data/readers/frames.py",
        "data/tables/frames.py",
        "estimators/items.py",
    ),  # sheets and tables of values; frames that users have
    "h5py": ("data/readers/h5.py",),  # neither links nor objects
    "pyarrow": (
        "data/folders/image_tables.py",
        "data/folders/row_groups.py",
        "data/tables/frames.py",
    ),  # columns of bytes, numbers and words
    "pydicom": ("data/pictures/dicom.py",),
    "tifffile": ("data/pictures/tiff.py",),
    "av": ("data/pictures/video.py",),
    # Processes and the network.
    "subprocess": ("runs/launching.py",),  # evenodds itself, with words that were checked, and no shell
    "multiprocessing": (),
    "concurrent.futures.ProcessPoolExecutor": (),
    "os.system": (),
    "os.popen": (),
    "os.fork": ("data/pictures/forked.py",),  # Decodes images beside this process; no other program starts.
    "os.exec": (),
    "os.spawn": (),
    "os.posix_spawn": (),
    "os.startfile": (),
    "pty": (),
    "socket": ("server/listening.py",),  # the studio, on this machine
    "urllib": (),
    "http": ("server/access.py",),  # the reading of a cookie
    "requests": (),
    "webbrowser": ("cli/studio.py",),  # the studio's own address
    # Structured files have one reader.
    "yaml.load": READER,
    "yaml.load_all": (),
    "yaml.unsafe_load": (),
    "yaml.full_load": (),
    "yaml.safe_load": (),
    "json.load": (),
    "json.loads": (),
    "json.JSONDecoder": READER,
    "msgspec.convert": READER,
    "msgspec.json": (),
    "tomllib": (),
    "configparser": (),
    "xml": (),
    "ast.literal_eval": (),
    "safetensors.safe_open": ("files/tensors.py",),
    "safetensors.torch.load": ("files/tensors.py",),
    "safetensors.torch.load_file": (),
    "safetensors.numpy": (),
    # Archives and whole folders.
    "tarfile": ("data/shard_writer.py", "files/tars.py"),  # lists; nothing is extracted
    "shutil.unpack_archive": (),
    "zipfile.ZipFile": (
        "data/folders/archives.py",
        "data/readers/arrays.py",
        "files/zips.py",
        "studio/folders.py",
    ),  # the last writes
    "shutil.rmtree": ("files/write.py",),
    "shutil.move": (),
    "shutil.copytree": (),
    "os.rename": ("files/write.py",),
    "tempfile.mktemp": (),
}
"""What may be used where. A name stands for all that is within it."""
GROUPS = ("os.exec", "os.spawn", "os.posix_spawn")
"""These stand also for names that go on with letters, as os.execvp."""


BUILTIN = frozenset(dir(builtins))


def imported(tree: ast.Module) -> dict[str, str]:
    """What each imported name of a module stands for, e.g. {"np": "numpy", "loads": "json.loads"}."""
    names: dict[str, str] = {}
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                top = one.name.partition(".")[0]
                names[one.asname or top] = one.name if one.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return names


def dotted(node: ast.AST) -> str:
    """The name that a chain of attributes is written as; empty where it is not one."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def full(name: str, names: Mapping[str, str]) -> str:
    """A name with what its first part stands for."""
    head, dot, rest = name.partition(".")
    return f"{names.get(head, head)}{dot}{rest}"


def uses(tree: ast.Module) -> set[str]:
    """The full dotted name of what a module imports, and of what it uses of it; and the names of builtins in it."""
    names = imported(tree)
    written = set(names.values())
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            written |= {one.name for one in node.names}
        if type(node) in (ast.Name, ast.Attribute) and type(node.ctx) is ast.Load:
            name = dotted(node)
            if name.partition(".")[0] in names or name in BUILTIN:
                written.add(full(name, names))
    return written


@cache
def rules_of(name: str) -> list[str]:
    """The rules that are about a name."""
    parts = name.split(".")
    groups = [rule for rule in GROUPS if name.startswith(rule)]
    return [rule for k in range(len(parts)) if (rule := ".".join(parts[: k + 1])) in ALLOWED] + groups


@cache
def found() -> Mapping[str, set[str]]:
    """By rule, the modules that use what it is about."""
    modules: dict[str, set[str]] = {}
    for module, tree in trees().items():
        for rule in {rule for name in uses(tree) for rule in rules_of(name)}:
            modules.setdefault(rule, set()).add(module)
    return modules


@pytest.mark.parametrize("rule", ALLOWED)
def test_what_can_execute_is_used_at_listed_places_only(rule: str) -> None:
    assert found().get(rule, set()) == set(ALLOWED[rule])


def test_arrays_and_weights_are_loaded_without_pickles() -> None:
    needed = {"numpy.load": ("allow_pickle", False), "torch.load": ("weights_only", True)}
    refused = {("allow_pickle", True), ("weights_only", False), ("shell", True)}
    for module, tree in trees().items():
        names = imported(tree)
        for call in (node for node in nodes(tree) if isinstance(node, ast.Call)):
            name = full(dotted(call.func), names)
            flags = {(w.arg, w.value.value) for w in call.keywords if isinstance(w.value, ast.Constant) and w.arg}
            assert name not in needed or needed[name] in flags, f"{module}: {ast.unparse(call)}"
            assert not flags & refused, f"{module}: {ast.unparse(call)}"


def test_the_walk_sees_through_other_names() -> None:
    text = "import subprocess as s\nfrom os import system as y\nimport numpy as np\ns.run(x)\ny(x)\nnp.load(p)\neval(x)"
    assert {"subprocess.run", "os.system", "numpy.load", "eval"} <= uses(ast.parse(text))
    assert rules_of("os.execvp") == ["os.exec"]
    assert rules_of("subprocess.run") == ["subprocess"]
    assert rules_of("os.path.exists") == []
