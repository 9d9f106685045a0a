"""A run that fills in, at work on a folder or archive of images, by one mask for all or a mask for each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from evenodds.apply.filling import filled_in
from evenodds.apply.folder import Convert, Converted, convert_all, is_unreadable, jobs
from evenodds.apply.photo import write
from evenodds.data.pictures.opening import Unusable
from evenodds.data.pictures.picture import DecodedImage
from evenodds.errors import BadInput
from evenodds.files.lock import locked
from evenodds.files.outputs import Outputs
from evenodds.runs.maker import Filler
from evenodds.show import pictures

__all__ = ["fill_folder"]


def fill_folder(
    filler: Filler,
    source: Path,
    mask: Path,
    out: Path,
    n: int = 4,
    seed: int = 0,
    most_pixels: int | None = None,
    again: bool = False,
    step: Callable[[str, int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Converted:
    """Fills in each image n times: `out` gets the folders filling-1 to filling-n, with a NAME.png for each image.

    What an earlier call has written is left, so that what was interrupted goes on where it was. Images without a mask,
    or that cannot be read, are skipped and the rest is done.

    Args:
        source: a folder, searched through and through, or an archive.
        mask: a picture that marks what is to be filled in, see evenodds.apply.hidden; or a folder of such pictures,
            which have the names of their images.
        n: how many different fillings.
        again: whether images are filled in anew that an earlier call has filled in.
        step, say: told of progress, and of each image that is skipped.

    Raises:
        BadInput: there is no such source or mask; or a file of the user's would be replaced.
        Busy: another process or thread writes to the folder; see evenodds.files.lock.
    """
    if not mask.exists():
        raise BadInput(f"no mask '{mask}' exists; name a picture, or a folder of pictures with the images' names")
    outputs = Outputs(out, "fill", "name another folder with --out, or move it away", is_unreadable)
    outputs.way = f"{filler.way} {n} {seed}"
    first = out / "filling-1"

    def others(target: Path) -> list[Path]:
        return [out / f"filling-{k}" / target.relative_to(first) for k in range(2, n + 1)]

    with locked(out, "fill"):
        mask_of = _masks(mask, first)
        work = _fillings(filler, mask_of, others, outputs, n, seed, most_pixels)
        return convert_all(
            source, first, work, outputs, again=again, results=out, most_pixels=most_pixels, beside=others, step=step,
            say=say,
        )  # fmt: skip


def _masks(mask: Path, first: Path) -> Callable[[Path], Path]:
    """The file of the mask for each target."""
    if not mask.is_dir():
        return lambda target: mask
    with jobs(mask, first) as found:
        files = {job.target: job.file for job in found}

    def of(target: Path) -> Path:
        file = files.get(target)
        place = None if file is None else file.open()
        if not isinstance(place, Path):
            raise Unusable(f"no mask of its name in {mask}")
        return place

    return of


def _fillings(
    filler: Filler,
    mask_of: Callable[[Path], Path],
    others: Callable[[Path], list[Path]],
    outputs: Outputs,
    n: int,
    seed: int,
    most_pixels: int | None,
) -> Convert:
    def work(picture: DecodedImage, target: Path, progress: Callable[[int, int], None]) -> list[str]:
        mask = mask_of(target)
        with tempfile.TemporaryDirectory(prefix="evenodds-") as home:
            path = write(Path(home) / "image.png", np.moveaxis(picture.pixels, -1, 0))
            done = filled_in(filler, path, mask, n, seed, most_pixels)
        # The file of the first filling says that all are there: it is the last to be written.
        for place, image in zip([*others(target), target], [*done.pixels[1:], done.pixels[0]], strict=True):
            pictures.write(place, image, outputs.replaced)
        return []

    return work
