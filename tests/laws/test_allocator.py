"""Freed memory stays with the process: the pages of a tensor that is made again are not cleared again."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, resource, torch
from evenodds.game.allocator import keep_freed_memory
torch.set_num_threads(1)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        kept = [torch.ones(4 << 20) for _ in range(2)]
        del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
keeps = keep_freed_memory()
print(json.dumps([keeps, [faults() for _ in range(6)][-1]]))  # the heap grows to its size first
"""
ASKED = """
from evenodds.game.allocator import keep_freed_memory
print(f"[{str(keep_freed_memory()).lower()}, 0]")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone is asked")
def test_no_page_is_cleared_twice_and_the_user_may_decide_otherwise() -> None:
    def run(program: str = PROGRAM, **more: str) -> tuple[bool, int]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
        told = subprocess.run(
            [sys.executable, "-c", program], env={**environment, **more}, capture_output=True, check=True, text=True
        )
        keeps, faults = json.loads(told.stdout)
        return keeps, faults

    keeps, faults = run()
    if not keeps:
        pytest.skip("this C library is not glibc")
    assert faults < 100
    assert run(ASKED, MALLOC_ARENA_MAX="2")[0] is False
