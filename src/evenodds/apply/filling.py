"""What fills in, at work: several fillings of images, and their files. torch is not imported here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.apply.hidden import hidden
from evenodds.data.folders.plain import Pictures
from evenodds.data.scale import Numbers
from evenodds.errors import BadInput
from evenodds.files.lock import locked
from evenodds.files.outputs import Outputs
from evenodds.game.seeds import mix
from evenodds.runs.maker import Filler
from evenodds.runs.sheet import in_rows
from evenodds.show import pictures

__all__ = ["Filled", "filled_in", "fillings", "noise", "pixels_of", "write_fillings"]


def fillings(filler: Filler, x: Numbers, mask: Numbers, n: int = 4, seed: int = 0) -> Numbers:
    """n different fillings of each image, (n, N, C, H, W) in [-1, 1]; what is observed comes back bit for bit.

    Args:
        x: (N, C, H, W) in [-1, 1]; hidden pixels have no influence.
        mask: (N, 1, H, W), 1 observed and 0 hidden.
        seed: the same one gives the same fillings; the first of more are those of fewer.
    """
    if n < 1:
        raise BadInput(f"n must be at least 1, got {n}")
    return np.stack([filler.fill(x, mask, z) for z in noise(filler.prior, filler.symmetric, len(x), n, seed)])


def noise(prior: Callable[[int, int], Numbers], symmetric: bool, items: int, n: int, seed: int) -> Iterator[Numbers]:
    """The z (items, latent) of n fillings, by draws of z (n, seed) -> (n, latent).

    Where -z is as likely as z, every second one is the opposite of the one before it (antithetic variates, Hammersley
    and Morton 1956): each filling is distributed as it would be alone, and the mean of several errs less.
    """
    z = np.zeros(0, np.float32)
    for k in range(n):
        z = -z if k % 2 and symmetric else prior(items, mix(seed, k))
        yield z


@dataclass(frozen=True)
class Filled:
    """One image, and what was put into its hidden part.

    Args:
        x: (1, C, H, W) in [-1, 1], the image at the size of the run's images.
        observed: (1, 1, H, W), 1 observed and 0 hidden.
        fillings: (n, 1, C, H, W) in [-1, 1].
        pixels: (C, H, W) of each filling, at the depth of the run's data.
        notes: sentences on the image and on what is hidden.
    """

    x: Numbers
    observed: Numbers
    fillings: Numbers
    pixels: list[NDArray[Any]]
    notes: tuple[str, ...]


def filled_in(
    filler: Filler, source: Any, mask: str | Path, n: int = 4, seed: int = 0, most_pixels: int | None = None
) -> Filled:
    """Fills in one image n times; see `write_fillings` for the arguments."""
    data = filler.read(source, most_pixels)
    if len(data.x) != 1:
        raise BadInput(f"one image is filled in at a time, got {len(data.x)} items; give one image file")
    _, height, width = filler.shape
    x = data.scale.to_model(data.x)
    observed, note = hidden(mask, (height, width), source, most_pixels)
    filled = fillings(filler, x, observed, n, seed)
    images = [pixels_of(data, observed, one) for one in filled]
    return Filled(x, observed, filled, images, (*data.notes, note))


def write_fillings(
    filler: Filler,
    source: Any,
    mask: str | Path,
    folder: Path,
    n: int = 4,
    seed: int = 0,
    most_pixels: int | None = None,
) -> tuple[list[Path], tuple[str, ...]]:
    """Fills in one image: a PNG for each filling and a sheet; returns the files, and sentences on the image
    and on what is hidden.

    Args:
        source: the image; it is brought to the size of the run's images.
        mask: an image that marks what is to be filled in, see evenodds.apply.hidden.
        folder: for the files. Fillings of an earlier call there are replaced or removed.
        most_pixels: of the files; larger ones are not decoded. None: 89,478,485.

    Raises:
        BadInput: a file that is there is the user's, see evenodds.files.outputs.
        Busy: another process or thread writes to the folder; see evenodds.files.lock.
    """
    with locked(folder, "fill"):
        outputs, names = Outputs(folder, "fill", "name another folder with --out, or move it away"), _file_names(n)
        stale = [path for path in outputs.earlier() if path.name not in names]
        outputs.require([*(folder / name for name in names), *stale], _files_of(source, mask))
        done = filled_in(filler, source, mask, n, seed, most_pixels)
        written = [
            pictures.write(folder / name, image, outputs.replaced)
            for name, image in zip(names, done.pixels, strict=False)
        ]
        # The image, the same with the hidden part grey, the fillings.
        sheet = in_rows([done.x, np.where(done.observed > 0, done.x, np.float32(0)), *done.fillings], least=512)
        written.append(pictures.write(folder / names[-1], sheet, outputs.replaced))
        for path in stale:
            outputs.remove(path)
        return written, done.notes


def pixels_of(data: Pictures, observed: Numbers, filled: Numbers) -> NDArray[Any]:
    """(C, H, W) uint8 or uint16: a filling in the depth of its image, whose observed pixels are as they were.

    Args:
        data: the one image.
        observed: (1, 1, H, W), 1 observed and 0 hidden.
        filled: (1, C, H, W) in [-1, 1].
    """
    # In the image's own units, so that observed pixels are as they were, whatever the arithmetic.
    pixels = np.where(observed > 0, data.x, data.scale.to_data(filled))[0]
    if data.scale.dtype == "uint16":
        return np.asarray(pixels, np.uint16)
    levels = (data.scale.to_model(pixels[None])[0] + 1) * np.float32(127.5)
    return np.asarray(levels.round(), np.uint8)


def _file_names(n: int) -> list[str]:
    """A file for each filling, and the sheet of all."""
    return [*(f"filling-{k}.png" for k in range(1, n + 1)), "fillings.png"]


def _files_of(*sources: Any) -> list[Path]:
    """Those of the sources that are paths."""
    return [Path(source) for source in sources if isinstance(source, str | Path)]
