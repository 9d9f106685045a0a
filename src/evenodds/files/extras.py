"""Packages that not everyone needs: imported where a file asks for one, and named where it is missing."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, distribution

from evenodds.errors import BadInput

__all__ = ["EXTRAS", "Missing", "installed", "named", "needs", "quiet"]

EXTRAS = {
    "pandas": "pandas",
    "parquet": "pyarrow",
    "tiff": "tifffile",
    "dicom": "pydicom",
    "heic": "pillow-heif",
    "jxl": "pillow-jxl-plugin",
    "h5": "h5py",
    "video": "av",
    "studio": "fastapi",
    "serve": "prometheus-client",
    "export": "onnxruntime",
    "hub": "huggingface_hub",
    "tensorboard": "tensorboard",
    "mlflow": "mlflow",
    "wandb": "wandb",
    "trackio": "trackio",
}
"""The package that each brings."""
_VERSION = re.compile(r"^Version: *(\S+)", re.MULTILINE)


class Missing(BadInput):
    """A package of an extra is not installed. `reason` is a clause that says what to type."""

    def __init__(self, extra: str) -> None:
        self.reason = f"it needs an extra: pip install 'evenodds[{extra}]'"
        super().__init__(f"this cannot be read: {self.reason}")


def installed() -> dict[str, str]:
    """The extras that are, with the version of their package."""
    found = {}
    for extra, package in EXTRAS.items():
        with suppress(PackageNotFoundError):
            told = _VERSION.search(distribution(package).read_text("METADATA") or "")  # `version` parses all of it
            found[extra] = told[1] if told else ""
    return found


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Within it, packages of an extra are imported; `Missing` where one is not installed.

    Args:
        extra: its name in pyproject.toml.
    """
    try:
        yield
    except ImportError as error:
        raise Missing(extra) from error


@contextmanager
def named(file: str) -> Iterator[None]:
    """Within it, what is missing is said with the name of the file that needs it."""
    try:
        yield
    except Missing as error:
        raise BadInput(f"{file} cannot be read: {error.reason}") from error


def quiet(package: str) -> None:
    """Keeps what a package logs from the terminal, where nobody listens to it."""
    logger = logging.getLogger(package)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
