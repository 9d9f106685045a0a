"""An exported generator at work by onnxruntime and numpy alone: torch is not imported, which takes seconds.

It draws what `evenodds.export.model.load_model` draws: of images and points, of no conditions or of classes by number.
Of all else, such as rows with words, `alone` gives None, and torch is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evenodds.data.scale import Numbers
from evenodds.errors import BadInput
from evenodds.export.draws import Draws
from evenodds.export.runtime import Runtime, opened
from evenodds.export.words import FileCard, Words, part_of, read_file
from evenodds.files.extras import named
from evenodds.game.seeds import mix

__all__ = ["Alone", "Prior", "alone", "prior_of"]

BATCH = 256
"""Samples of one draw of z, as `Session.numbers` has it."""
LONGEST = 1 << 20
"""Numbers of a z."""


# Distributions of z ---------------------------------------------------------------------------------------------------


def _normal(draws: Draws, n: int, size: int) -> Numbers:
    return draws.normal(n * size).reshape(n, size)


def _uniform(draws: Draws, n: int, size: int) -> Numbers:
    return 2 * draws.uniform(n * size).reshape(n, size) - 1


def _spherical(draws: Draws, n: int, size: int) -> Numbers:
    z = _normal(draws, n, size)
    length = np.linalg.norm(z, axis=1, keepdims=True).astype(np.float32)
    scaled: Numbers = z * (np.float32(math.sqrt(size)) / np.maximum(length, np.float32(1e-12)))
    return scaled


PRIORS: Mapping[str, Callable[[Draws, int, int], Numbers]] = {
    "normal": _normal,
    "uniform": _uniform,
    "spherical": _spherical,
}
"""By name, see evenodds.parts.priors: (draws, n, size) -> (n, size)."""
SCALED = ("normal", "uniform")
"""Those whose z is drawn towards 0."""


# A file ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Alone:
    """A generator in a file. It stands in for evenodds.runs.session.Session where samples are drawn and written.

    Args:
        folder: that the file is in.
        data: always None: a file does not know where its data were.
    """

    path: Path
    words: Words
    runtime: Runtime
    data: None = None

    @property
    def folder(self) -> Path:
        """Where the file is."""
        return self.path.parent

    @property
    def card(self) -> FileCard:
        """Of the data."""
        return self.words.card

    @property
    def config(self) -> Alone:
        """Where the data were: nowhere."""
        return self

    @property
    def conditions(self) -> Alone:
        """What can be asked for: classes."""
        return self

    @property
    def by_class(self) -> bool:
        """Whether samples are asked for by class."""
        return "y" in self._inputs

    def require_by_class(self) -> None:
        """BadInput where samples are not asked for by class."""
        if not self.by_class:
            raise BadInput("this file is not conditional on classes, so none can be asked for; export a run by class")

    @property
    def _inputs(self) -> set[str]:
        return {one.name for one in self.words.inputs}

    def in_own_units(self, *_: Any) -> None:
        """There are no attributes or values."""

    def sampled_classes(self, n: int, seed: int = 0) -> NDArray[np.int64] | None:
        """(n,) the classes of n samples where none are asked for; see evenodds.runs.sample_conditions."""
        if not self.by_class:
            return None
        counts = self.card.class_counts if any(self.card.class_counts) else (1,) * len(self.card.classes)
        shares = np.array(counts, np.float32) / np.float32(sum(counts))
        ends = shares.astype(np.float64).cumsum().astype(np.float32)[:-1]
        draws = [Draws(mix(seed, k, 1)).uniform(BATCH) for k in range(-(-n // BATCH))]
        return np.searchsorted(ends, np.concatenate(draws)[:n], side="left").astype(np.int64)

    def prior(self, seed: int) -> Numbers:
        """(256, latent) draws of z."""
        prior = prior_of(self.words)
        assert prior is not None
        return prior(Draws(seed), BATCH)

    def numbers(self, n: int, seed: int, y: Sequence[int] | None, truncation: float = 1.0) -> NDArray[Any]:
        """Draws n samples in the data's own units, those of `evenodds.apply.selecting.sample`."""
        if n < 1 or (y is not None and len(y) != n):
            raise BadInput(f"n must be at least 1 and one class is needed for each, got n={n}")
        blocks = []
        for k in range(0, n, BATCH):
            z = self.prior(mix(seed, k // BATCH))[: n - k]
            given: dict[str, NDArray[Any]] = {"z": z}
            if "truncation" in self._inputs:
                given["truncation"] = np.array([truncation], np.float32)
            elif truncation < 1:
                given["z"] = z * np.float32(truncation)
            if y is not None:
                given["y"] = np.array(y[k : k + BATCH], np.int64)
            blocks.append(self._rendered(self.runtime.compute(given)[0]))
        return np.concatenate(blocks)

    def _rendered(self, x: NDArray[Any]) -> NDArray[Any]:
        """An output in the data's own units."""
        if x.shape[1:] != self.card.shape:
            raise BadInput(f"{self.path} gives samples of another shape than it says; export it again")
        return x if x.dtype == np.uint8 else self.card.units.to_data(x)


def alone(path: Path, truncation: float = 1.0) -> Alone | None:
    """A generator in a file; None where it needs torch.

    Args:
        truncation: that samples are to be drawn with.

    Raises:
        BadInput: it is no file that `evenodds export` wrote, or is damaged.
    """
    words, content = read_file(path)
    if words.answers != "sample":
        return None  # what answers something else is said where it is opened
    if not _is_plain(words) or (truncation < 1 and not _is_scaled(words)):
        return None
    with named(str(path)):
        return Alone(path, words, opened(content, str(path)))


@dataclass(frozen=True)
class Prior:
    """Draws of z.

    Args:
        name: among PRIORS.
        size: of a z.
    """

    name: str
    size: int
    symmetric: ClassVar[bool] = True
    """Whether -z is as likely as z: that of all PRIORS is."""

    def __call__(self, draws: Draws, n: int) -> Numbers:
        """(n, size)."""
        return PRIORS[self.name](draws, n, self.size)


def prior_of(words: Words) -> Prior | None:
    """The draws of z of a file; None where they need torch."""
    name, size = _prior(words), _latent(words)
    return Prior(name, size) if name in PRIORS and size else None


def _prior(words: Words) -> str:
    """The name of the prior."""
    return part_of(words.config, "prior")[0].rpartition(":")[2].lower()  # of early runs, it is that of a class


def _latent(words: Words) -> int:
    """The length of z; 0 where the file does not say it."""
    lengths = [one.shape[-1] for one in words.inputs if one.name == "z" and len(one.shape) in (2, 3)]
    return lengths[0] if lengths and isinstance(lengths[0], int) and 0 < lengths[0] <= LONGEST else 0


def _is_plain(words: Words) -> bool:
    """Whether a file takes and gives numbers that need nothing but numpy."""
    inputs = {one.name for one in words.inputs}
    units, channels = words.card.units, words.card.shape[0] if words.card.shape else 0
    fits = len(units.low) == len(units.high) and len(units.low) in (1, channels)
    known = inputs <= {"z", "y", "truncation"} and prior_of(words) is not None
    return known and fits and not units.columns and units.dtype in ("uint8", "uint16", "float32")


def _is_scaled(words: Words) -> bool:
    return any(one.name == "truncation" for one in words.inputs) or _prior(words) in SCALED
