"""What is installed here, and what could be: packages and extras, by what the installed packages say of themselves.

Nothing is needed for it but Python, and nothing that is missing or broken ends it.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path

from evenodds.files.finding import FAULT, FINE, NOTE, Finding
from evenodds.version import __version__

__all__ = ["BRINGS", "DEVELOPMENT", "examine_installation", "failure"]

BRINGS: Mapping[str, str] = {
    "avif": "AVIF images",
    "dicom": "medical images in DICOM files",
    "export": "runs as ONNX files, and such files in place of runs",
    "h5": "HDF5 files of arrays",
    "heic": "HEIC images, as phones take them",
    "hub": "runs handed on by a model hub",
    "jxl": "JPEG XL images",
    "mlflow": "runs logged by MLflow",
    "pandas": "data frames and spreadsheets",
    "parquet": "tables in Parquet and Arrow files",
    "pretrained": "features of photographs, for scores, discriminators, perceptual costs, segmentation and classes",
    "serve": "runs and exported files over HTTP",
    "sklearn": "handwritten digits, estimators for scikit-learn, classifiers of trials",
    "studio": "the studio, in the browser",
    "tensorboard": "runs logged for TensorBoard",
    "tiff": "TIFF images of any depth",
    "trackio": "runs logged by Trackio",
    "video": "frames of videos",
    "wandb": "runs logged by Weights & Biases",
}
"""What each extra is for that has packages of its own."""
DEVELOPMENT = ("browser", "docs", "test")
"""Extras for those who change evenodds, which are not listed."""
MODULES = {
    "cyclopts": "cyclopts", "msgspec": "msgspec", "numpy": "numpy", "pillow": "PIL", "pyyaml": "yaml", "rich": "rich",
    "safetensors": "safetensors", "torch": "torch",
}  # fmt: skip
"""What is imported of the packages that evenodds always needs."""
_REQUIREMENT = re.compile(r"([\w.-]+)\s*(?:\[([^\]]*)\])?\s*([^;]*?)\s*(?:;(.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w.-]+)["']""")


@dataclass(frozen=True)
class Requirement:
    """A package that another one asks for.

    Args:
        versions: that will do, such as ">=1.20"; empty for any.
        extras: of that package that are asked for too.
        extra: of the other package that asks for it; None: it always does.
    """

    package: str
    versions: str = ""
    extras: tuple[str, ...] = ()
    extra: str | None = None

    @classmethod
    def of(cls, text: str) -> Requirement:
        """As the metadata of a package spell it."""
        match = _REQUIREMENT.fullmatch(text.strip())
        if match is None:
            return cls(text)
        package, extras, versions, marker = match.groups("")
        extra = _EXTRA.search(marker)
        names = tuple(name.strip() for name in extras.split(",") if name.strip())
        return cls(package.lower(), versions.strip("() "), names, extra[1] if extra else None)

    @property
    def words(self) -> str:
        """As pip takes it."""
        return f"{self.package}{self.versions}"

    def version(self) -> str | None:
        """That which is installed; None where none is."""
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return None

    def met(self) -> bool:
        """Whether it is installed, in a version that will do; of limits but >= and == nothing is said."""
        version = self.version()
        if version is None:
            return False
        for limit in self.versions.split(","):
            sign, wanted = limit.strip()[:2], limit.strip()[2:]
            if (sign == ">=" and _numbers(version) < _numbers(wanted)) or (
                sign == "==" and _numbers(version) != _numbers(wanted)
            ):
                return False
        return True


def _numbers(version: str) -> tuple[int, ...]:
    """Those of a release, without zeros at its end: 2.0 is 2."""
    found = re.match(r"\s*(\d+(?:\.\d+)*)", version)
    numbers = [int(part) for part in found[1].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def requirements() -> list[Requirement]:
    """What evenodds asks for; nothing where it is not installed as a package."""
    try:
        return [Requirement.of(text) for text in metadata.requires("evenodds") or ()]
    except metadata.PackageNotFoundError:
        return []


def examine_installation() -> Iterator[Finding]:
    """evenodds, Python, the packages that are always needed, and the extras; one finding each. It never raises."""
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("evenodds", _evenodds),
        ("python", _python),
        ("packages", _packages),
        ("extras", _extras),
    ]
    for place, check in checks:
        try:
            yield from check()
        except Exception as error:
            yield Finding(FAULT, place, f"this cannot be found out: {failure(error)}")


def failure(error: BaseException) -> str:
    """What went wrong, in some words of one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".rstrip(": ")


def _evenodds() -> Iterator[Finding]:
    place = Path(__file__).resolve().parents[1]
    said = f"{__version__}, in {place}"
    try:
        installed = metadata.version("evenodds")
    except metadata.PackageNotFoundError:
        yield Finding(
            NOTE, "evenodds", f"{said}, not installed as a package: what it needs is not known; pip install ."
        )
        return
    if installed != __version__:
        why = f"{said}, and what is installed calls itself {installed}: dependencies may be those of then"
        yield Finding(NOTE, "evenodds", f"{why}; pip install it again")
        return
    yield Finding(FINE, "evenodds", said)


def _python() -> Iterator[Finding]:
    said = f"{platform.python_version()} ({sys.executable})"
    yield Finding(FINE, "python", f"{said}, {platform.system()} {platform.machine()}")


def _packages() -> Iterator[Finding]:
    """Those that evenodds always needs: their versions, and why one does not serve."""
    needed = [one for one in requirements() if one.extra is None] or [Requirement(name) for name in MODULES]
    wrong = {one.package: reason for one in needed if (reason := _why_not(one))}
    for package, reason in wrong.items():
        yield Finding(FAULT, package, reason)
    fine = [f"{one.package} {one.version() or '?'}" for one in needed if one.package not in wrong]
    if fine:
        yield Finding(FINE, "packages", ", ".join(fine))


def _why_not(needed: Requirement) -> str:
    """Why a package that is always needed does not serve, and the remedy; empty where it does."""
    version = needed.version()
    try:
        if needed.package in MODULES:
            import_module(MODULES[needed.package])
    except (Exception, SystemExit) as error:  # a broken library may end with anything
        if version is None:
            return f"it is not installed, and evenodds needs it; pip install '{needed.words}'"
        again = f"pip install --force-reinstall '{needed.package}=={version}'"
        return f"{version} is installed and cannot be imported: {failure(error)}; {again}"
    if version is None and needed.package not in MODULES:
        return f"it is not installed, and evenodds needs it; pip install '{needed.words}'"
    if version is not None and not needed.met():
        return f"{version} is installed, and evenodds needs {needed.versions}; pip install '{needed.words}'"
    return ""


def _extras() -> Iterator[Finding]:
    """One finding for each extra that has packages of its own."""
    by_extra: dict[str, list[Requirement]] = {}
    for one in requirements():
        if one.extra is not None and one.extra not in DEVELOPMENT and one.package != "evenodds":
            by_extra.setdefault(one.extra, []).append(one)
    missing = 0
    for extra, packages in sorted(by_extra.items()):
        absent = [one for one in packages if not one.met()]
        missing += bool(absent)
        brings = BRINGS.get(extra, "further commands")
        if absent:
            lacks = ", ".join(_lack(one) for one in absent)
            yield Finding(NOTE, f"[{extra}]", f"{lacks}; for {brings}: pip install 'evenodds[{extra}]'")
        else:
            versions = ", ".join(f"{one.package} {one.version()}" for one in packages)
            yield Finding(FINE, f"[{extra}]", f"{brings}: {versions}")
    if missing > 1:
        yield Finding(NOTE, "[all]", f"{missing} extras are missing; all at once: pip install 'evenodds[all]'")


def _lack(one: Requirement) -> str:
    version = one.version()
    return f"{one.package} is missing" if version is None else f"{one.package} {version} is not {one.versions}"
