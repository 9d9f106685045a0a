"""The command that fills in: empty cells of tables, hidden parts of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from evenodds.cli.allow import loads
from evenodds.cli.app import Checkpoint, Device, app
from evenodds.cli.convert import Again
from evenodds.cli.opening import is_alone, require_order, run_or_model
from evenodds.cli.ranges import Pixels, Seed, whole
from evenodds.errors import BadInput
from evenodds.files.terminal import result, say
from evenodds.files.text import quoted
from evenodds.runs.strategies import Strategy

if TYPE_CHECKING:
    from evenodds.runs.imputing import TableFiller
    from evenodds.runs.maker import Filler
    from evenodds.runs.session import Session

__all__ = ["fill"]

IMAGES = 4
"""Fillings of an image, where nothing else is asked for."""


@app.command
@loads
def fill(
    run: Path,
    source: Path | None = None,
    *,
    mask: Path | None = None,
    n: Annotated[int | None, whole(1, 10_000, name=["-n", "--number"])] = None,
    strategy: Strategy | None = None,
    seed: Seed = 0,
    out: Path | None = None,
    again: Again = False,
    most_pixels: Pixels = None,
    checkpoint: Checkpoint = "last",
    device: Device = "auto",
) -> int:
    """Fill the empty cells of a table, or the hidden part of images: what is observed stays as it is.

    Status 1 says that some images of a folder could not be done; all others were.

    Parameters
    ----------
    run
        The run folder (evenodds train fill-table --data TABLE.csv; of images fill-32 --data FOLDER), or an .onnx file
        that one was exported to.
    source
        A table (.csv, .tsv, .xlsx, .parquet) with the columns of the run's own [default: that one, where RUN is a
        folder]. Or an image; it is brought to the size of the run's images. Or a folder, searched through and through,
        or archive of images.
    mask
        Of images: one of the same proportions that is white, transparent, red or 1 where it is to be filled in. For a
        folder, one for all, or a folder of masks that have the names of their images.
    n
        How many different fillings [default: 1 of a table, 4 of an image].
    strategy
        Of a table: mean, which errs least (the mean of 64 draws; of words the likeliest); or draw,
        which keeps the spread of columns and how they hang together [default: mean of one filling, draw of several].
    seed
        The same seed gives the same fillings.
    out
        Of a table: the file of one filling, or the folder for several. Of an image: the folder for one PNG each and a
        sheet of all; of a folder of images it gets filling-1/NAME.png, filling-2/NAME.png and so on [default: filled
        in the run folder].
    """
    from evenodds.apply.folder import many
    from evenodds.data.folders.kinds import PICTURES

    if source is not None:
        require_order(run, source, "fill RUN IN")
    of_pictures = source is not None and (many(source) or source.name.lower().endswith(PICTURES))
    alone = is_alone(run, checkpoint, device)
    filler = _without_torch(run) if of_pictures and alone else None
    if filler is None:
        from evenodds.runs.imputing import TableFiller

        loaded = (_tables_without_torch(run) if alone else None) or run_or_model(run, checkpoint, device, "generator")
        if isinstance(loaded, TableFiller) or loaded.card.has_gaps:
            _require_none(run, {"--mask": mask is not None, "--again": again, "--most-pixels": most_pixels is not None})
            return _filled_table(loaded, source, out, n or 1, strategy, seed)
        filler = _of_images(loaded, out)
    if source is None or mask is None or strategy is not None:
        lacking = "leave --strategy out" if strategy is not None else "name an image and its mask"
        raise BadInput(f"{run} fills images; {lacking}: evenodds fill {quoted(run)} IMAGE --mask MASK")
    if many(source):
        return _filled_folder(
            filler, source, mask, out or filler.folder / "filled", n or IMAGES, seed, most_pixels, again
        )
    if again:
        raise BadInput(f"{source} is one image, which is always filled anew; --again is of folders, leave it out")
    return _filled_image(filler, source, mask, out or filler.folder / "filled", n or IMAGES, seed, most_pixels)


def _require_none(run: Path, typed: dict[str, bool]) -> None:
    """BadInput where a flag of images was typed for a run that fills tables."""
    for flag, there in typed.items():
        if there:
            raise BadInput(f"{run} fills the empty cells of tables, and {flag} is for images; leave it out")


def _filled_table(
    run: Session | TableFiller, source: Path | None, out: Path | None, n: int, strategy: Strategy | None, seed: int
) -> int:
    from evenodds.apply.filling_tables import fill_table

    for path in fill_table(run, source, out, n, strategy, seed, say):
        result(path)
    return 0


def _tables_without_torch(run: Path) -> TableFiller | None:
    """What an exported file fills tables by, where it does and that needs no torch."""
    from evenodds.export.table_fillers import table_filler_in

    return table_filler_in(run)


def _without_torch(run: Path) -> Filler | None:
    """What an exported file fills images by, where that needs no torch."""
    from evenodds.export.fillers import filler_in

    return filler_in(run)


def _of_images(session: Session, out: Path | None) -> Filler:
    """What fills images of a run, or of a file that one was exported to."""
    from evenodds.apply.making import filler_of
    from evenodds.apply.samples import require_not_the_data

    if out is not None:
        require_not_the_data(session, out)
    return filler_of(session)


def _filled_image(
    filler: Filler, image: Path, mask: Path, out: Path, n: int, seed: int, most_pixels: int | None
) -> int:
    from evenodds.apply.filling import write_fillings

    written, report = write_fillings(filler, image, mask, out, n, seed, most_pixels)
    for line in report:
        say(line)
    for path in written:
        result(path)
    return 0


def _filled_folder(
    filler: Filler, source: Path, mask: Path, out: Path, n: int, seed: int, most_pixels: int | None, again: bool
) -> int:
    """Fills in all images of a folder, and says what became of them; 1 where some were skipped."""
    from evenodds.apply.filling_folders import fill_folder
    from evenodds.cli.bar import Steps

    with Steps() as step:
        converted = fill_folder(filler, source, mask, out, n, seed, most_pixels, again, step, say)
    for line in converted.summary(out):
        say(line)
    if converted.written or converted.there:
        result(out)
    return 1 if converted.skipped else 0
