"""The command that mixes the styles of samples: mix."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from evenodds.cli.allow import loads
from evenodds.cli.app import Checkpoint, Device, Run, app
from evenodds.cli.ranges import SEEDS, whole
from evenodds.errors import BadInput
from evenodds.files.terminal import result, say
from evenodds.files.text import quoted

__all__ = ["mix"]


@app.command
@loads
def mix(
    run: Run,
    *,
    seed: Annotated[int | None, SEEDS] = None,
    with_: Annotated[int | None, SEEDS, Parameter(name="--with")] = None,
    n: Annotated[int | None, whole(1, 256, name=["-n", "--number"])] = None,
    class_: Annotated[str | None, Parameter(name="--class")] = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    out: Path | None = None,
    checkpoint: Checkpoint = "last",
    device: Device = "auto",
) -> None:
    """Mix the styles of samples, or of two images: a sheet with the coarse, the middle and the fine levels exchanged.

    Needs a run with a style-based generator: evenodds train --set generator=style.

    Parameters
    ----------
    seed
        Of the samples on the left [default: 0].
    with_
        Seed of the samples on the right, whose levels are taken [default: 1].
    n
        Rows [default: 8].
    class_
        All samples of this class, of a run by class.
    from_
        An image on the left, with --to; its z is found as by `evenodds encode`.
    to
        An image on the right, whose levels are taken.
    out
        The picture [default: mix.png in the run folder].
    """
    from evenodds.apply.mixing import PARTS, mixed, mixed_images, require_styles, write_mix
    from evenodds.apply.samples import require_picture_place
    from evenodds.cli.bar import Bar
    from evenodds.runs.session import load

    path = out if out is not None else run / "mix.png"
    session = load(run, checkpoint, device)
    session.require_samples()
    require_styles(session)
    require_picture_place(session, path, "mix", (from_, to))
    if from_ is not None or to is not None:
        if class_ is not None:
            raise BadInput("--class asks for samples, and two images are mixed here; leave --class out")
        if (seed, with_, n) != (None, None, None):
            raise BadInput("two images are mixed here, and no samples; leave -n, --seed and --with out")
        result(write_mix(session, path, mixed_images(session, from_, to, (Bar("an encoder"),))))
        parts = ", ".join(PARTS)
        say(f"columns: {quoted(str(from_))} as generated again; with the {parts} levels of the other; the other")
        return
    seed, with_ = 0 if seed is None else seed, 1 if with_ is None else with_
    result(write_mix(session, path, mixed(session, 8 if n is None else n, seed, with_, class_)))
    say(f"columns: seed {seed}; with the {', '.join(PARTS)} levels of seed {with_}; seed {with_}")
