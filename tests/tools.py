"""The tools of the repository, as modules."""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

TOOLS = Path(__file__).resolve().parents[1] / "tools"


@cache
def tool(name: str) -> ModuleType:
    """The module tools/NAME.py, which lies in no package."""
    specification = importlib.util.spec_from_file_location(f"tools_{name}", TOOLS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look there
    specification.loader.exec_module(module)
    return module
