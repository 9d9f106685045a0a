"""What this machine has to compute with, and whether torch can use it. What is missing or broken is a finding."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from evenodds.files.cache import cache_folder
from evenodds.files.finding import FAULT, FINE, NOTE, Finding
from evenodds.files.memory import UNLIMITED, machine_bytes
from evenodds.files.process import cores
from evenodds.runs.installation import failure

__all__ = ["examine_machine", "processor"]

SECONDS = 0.4
"""Of the comparison of precisions, on each device."""
SIDE = {"cpu": 512, "cuda": 4096}
"""Of the matrices that are multiplied for it."""
GAIN = 1.05
"""So many times as fast as float32 a precision must be to be called faster."""
LITTLE_DISK, LITTLE_MEMORY = 5 << 30, 4 << 30
"""Bytes below which runs of photographs come to an end of them."""
MOST_FILES = 100_000
"""Of the cache, that are counted."""
BUILDS = "https://pytorch.org/get-started/locally/ names the build for it"


def examine_machine(seconds: float = SECONDS) -> Iterator[Finding]:
    """Devices, threads, precision, memory, cache and disk; one finding each. It never raises.

    Args:
        seconds: for which precisions are compared on each device.
    """
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("devices", _devices),
        ("threads", _threads),
        ("precision", lambda: _precisions(seconds)),
        ("memory", _memory),
        ("cache", _cache),
        ("disk", _disk),
    ]
    for place, check in checks:
        try:
            yield from check()
        except (Exception, SystemExit) as error:  # a broken library may end with anything
            known = "torch" not in sys.modules or isinstance(error, ImportError)  # then a finding on packages says it
            yield Finding(NOTE if known else FAULT, place, f"this cannot be found out: {failure(error)}")


# Devices --------------------------------------------------------------------------------------------------------------


def _devices() -> Iterator[Finding]:
    """Each device of torch, and GPUs that torch cannot use."""
    import torch

    devices = _torch_devices()
    for device in devices:
        yield _device(device)
    if not devices:
        yield _without(torch.__version__)
    yield Finding(FINE, "cpu", processor())


def _torch_devices() -> list[str]:
    """Those beside the CPU that torch can use, by its names for them."""
    import torch

    found = [f"cuda:{k}" for k in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)]
    return [*found, *(["mps"] if torch.backends.mps.is_available() else [])]


def _device(device: str) -> Finding:
    """What it is; a fault where torch has no code for it, or cannot compute on it."""
    import torch

    said = _description(device)
    if device.startswith("cuda") and torch.version.cuda is not None and (lacking := _no_code_for(device)):
        return Finding(FAULT, device, f"{said}: {lacking}; {BUILDS}")
    try:
        ones = torch.ones(8, 8, device=device)
        right = float((ones @ ones).sum()) == 512
    except Exception as error:
        return Finding(FAULT, device, f"{said}: torch cannot compute on it: {failure(error)}; --device cpu works")
    if not right:
        return Finding(FAULT, device, f"{said}: it gives a wrong product; use --device cpu")
    return Finding(FINE, device, said)


def _description(device: str) -> str:
    import torch

    if device == "mps":
        return f"Apple GPU, torch {torch.__version__}"
    properties: Any = torch.cuda.get_device_properties(device)
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}"
    return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, torch {torch.__version__} with {build}"


def _no_code_for(device: str) -> str:
    """Why torch has no code for an NVIDIA GPU; empty where it has.

    Code for one minor version of a capability runs on later ones of the same major version, and code that is not
    compiled to the end (compute_...) on all later ones.
    """
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    capability, built = 10 * major + minor, torch.cuda.get_arch_list()
    for name in built:
        kind, _, digits = name.partition("_")
        number = int(digits) if digits.isdecimal() else int("".join(c for c in digits if c.isdigit()) or 0)
        if number <= capability and (kind == "compute" or number // 10 == major):
            return ""
    return f"torch {torch.__version__} has no code for its capability {major}.{minor} (it has {', '.join(built)})"


def _without(version: str) -> Finding:
    """What is said where torch has the CPU alone."""
    gpu = _gpu_of_the_system()
    if gpu:
        return Finding(
            NOTE, "gpu", f"{gpu}, and torch {version} cannot use it: another build or driver is needed; {BUILDS}"
        )
    return Finding(FINE, "gpu", "none was found; all that evenodds does also runs on the CPU")


def _gpu_of_the_system() -> str:
    """What the system shows of a GPU, without torch; empty where it shows none."""
    if Path("/dev/nvidia0").exists() or Path("/proc/driver/nvidia/gpus").is_dir() or shutil.which("nvidia-smi"):
        return "this machine has an NVIDIA GPU or its driver"
    if Path("/dev/kfd").exists():
        return "this machine has an AMD GPU"
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    return "this machine has an Apple GPU" if apple else ""


def processor() -> str:
    """Of the CPU, and what it multiplies in."""
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    return f"{_model() or platform.machine()}, {capability}"


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


# Speed ----------------------------------------------------------------------------------------------------------------


def _threads() -> Iterator[Finding]:
    """How many torch uses, of how many cores, and whether others keep these busy."""
    import torch

    from evenodds.game.threads import VARIABLES, physical_cores

    used, there = torch.get_num_threads(), len(cores())
    fixed = [f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ]
    said = f"{used} of {there} processors ({physical_cores()} cores)"
    said += f", as {', '.join(fixed)} says" if fixed else ""
    yield Finding(FINE, "threads", f"{said}; runs of more than 30 s measure which number is fastest")
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if busy >= 0.5 * there:
        why = f"other processes keep {busy:.1f} of {there} processors busy, so that runs are slower"
        yield Finding(NOTE, "load", f"{why}; end them, or take fewer threads with --set threads=1")


def _precisions(seconds: float) -> Iterator[Finding]:
    """How fast each device multiplies in lower precision, beside float32."""
    from evenodds.runs.products import speeds_of_products

    for device in ("cpu", *_torch_devices()):
        speeds = speeds_of_products(device, seconds, SIDE.get(device.partition(":")[0], 1024))
        words = ", ".join(f"{name} {speed:.1f} times as fast" for name, speed in speeds.items() if name != "float32")
        faster = [name for name, speed in speeds.items() if speed >= GAIN]
        use = "runs of more than 30 s measure which is faster" if "bfloat16" in faster else "float32 is the fastest"
        yield Finding(FINE, "precision", f"{device}: beside float32, {words}; {use}")


# Room -----------------------------------------------------------------------------------------------------------------


def _memory() -> Iterator[Finding]:
    there = machine_bytes()
    if there >= UNLIMITED:
        yield Finding(FINE, "memory", "the system does not say how much there is")
    elif there < LITTLE_MEMORY:
        yield Finding(NOTE, "memory", f"{_gib(there)} for this process; take smaller batches with --set batch=16")
    else:
        yield Finding(FINE, "memory", f"{_gib(there)} for this process")


def _cache() -> Iterator[Finding]:
    """Where it is, how large, and whether it can be written to."""
    folder = cache_folder()
    limit = os.environ.get("EVENODDS_CACHE_GIB") or "8"
    if not folder.is_dir():
        yield Finding(FINE, "cache", f"{folder} is not there yet; it takes at most {limit} GiB (EVENODDS_CACHE_GIB)")
        return
    size, files = _size(folder)
    said = f"{folder} holds {_gib(size)} in {files:,} files, at most {limit} GiB (EVENODDS_CACHE_GIB)"
    if os.access(folder, os.W_OK | os.X_OK):
        yield Finding(FINE, "cache", f"{said}; it may be removed at any time")
    else:
        yield Finding(NOTE, "cache", f"{said}; it cannot be written to: set EVENODDS_CACHE to another folder")


def _size(folder: Path) -> tuple[int, int]:
    """Bytes and files below a folder; links are not followed."""
    size = files = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue
            files += 1
        if files > MOST_FILES:
            break
    return size, files


def _disk() -> Iterator[Finding]:
    """What is free in the working folder, where runs are kept."""
    free = shutil.disk_usage(".").free
    place = Path.cwd()
    if free < LITTLE_DISK:
        yield Finding(NOTE, "disk", f"{_gib(free)} are free in {place}, and runs of photographs need more; use --out")
    elif not os.access(place, os.W_OK):
        yield Finding(NOTE, "disk", f"{place} cannot be written to, and runs are kept in runs/ there; use --out")
    else:
        yield Finding(FINE, "disk", f"{_gib(free)} are free in {place}")


def _gib(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB"
