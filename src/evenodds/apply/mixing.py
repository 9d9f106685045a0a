"""Style mixing: some levels of an image as in one sample, the others as in another."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.apply.encoder import encoder_for
from evenodds.apply.encoding import both_ends
from evenodds.apply.inversion import estimated
from evenodds.apply.items import items
from evenodds.errors import BadInput
from evenodds.files.outputs import owned
from evenodds.game.seeds import mix
from evenodds.game.trainer import Listener
from evenodds.runs.sample_picture import sample_picture
from evenodds.runs.session import Session
from evenodds.show import pictures

__all__ = ["mixed", "mixed_images", "require_styles", "write_mix"]

PARTS = ("coarse", "middle", "fine")
"""The levels, in thirds: of images of 64 x 64 sides of 4 and 8, of 16 and 32, and of 64."""


def require_styles(session: Session) -> Any:
    """The generator, which has styles; BadInput of a run whose generator has none."""
    generator = session.players.get("generator")
    if not hasattr(generator, "styles"):
        fills = {"x", "mask"} <= set(session.task.request_names)
        if session.card.kind != "image" or fills:
            what = "fills images in" if fills else f"makes {session.card.noun}"
            raise BadInput(
                f"mixing is of images that a style-based generator draws, and this run {what}; take a run of images "
                "whose generator is style"
            )
        raise BadInput(
            f"mixing needs a style-based generator, this run has {session.config.generator.name}; "
            "train with --set generator=style"
        )
    return generator


def mixed(session: Session, n: int, seed: int, other: int, class_name: str | None = None) -> NDArray[Any]:
    """Samples of two seeds, and each of the first with a third of its levels as in that of the other (N of each).

    Args:
        class_name: of all samples, where the run is conditional on classes; None: as they occur in the data.

    Returns:
        (n, 5, C, H, W) in the data's own units: the first, with coarse, middle and fine levels of the second, the
        second. Noise is that of the first.
    """
    return _exchanged(session, *(_inputs(session, n, one, class_name) for one in (seed, other)))


def mixed_images(
    session: Session, first: str | None, last: str | None, listeners: tuple[Listener, ...] = ()
) -> NDArray[Any]:
    """As `mixed` (1, 5, C, H, W), of two image files: each as its z, which an encoder tells, gives it.

    Args:
        listeners: of the encoder's training, where the run has none yet.

    Raises:
        BadInput: one of the two is missing.
    """
    require_styles(session)
    names = both_ends("mix", first, last)
    encoder = encoder_for(session, listeners=listeners)
    data = [items(session, name) for name in names]
    learned = encoder()
    found = [estimated(session, one.batch(torch.arange(1))["x"], learned) for one in data]
    return _exchanged(session, *(z if c is None else torch.cat([z, c.to(z)], 1) for z, c in found))


@torch.no_grad()
def _exchanged(session: Session, first: Tensor, second: Tensor) -> NDArray[Any]:
    """See `mixed`, of what the generator takes (n, latent + condition)."""
    generator = require_styles(session)
    own, theirs = generator.styles(first), generator.styles(second)
    rows = [generator(first)]
    for part in np.array_split(np.arange(own.shape[1]), len(PARTS)):
        styles = own.clone()
        styles[:, part] = theirs[:, part]
        rows.append(generator.synthesise(styles, generator.hand(first)))
    rows.append(generator(second))
    x = torch.stack(rows, 1).flatten(0, 1).cpu().contiguous()
    images = np.asarray(session.card.units.to_data(x)).astype(session.card.units.dtype, copy=False)
    return images.reshape(len(first), len(rows), *images.shape[1:])


def _inputs(session: Session, n: int, seed: int, class_name: str | None) -> Tensor:
    """What the generator takes for samples of a seed: z, and c behind it; the same as `Session.sample` draws."""
    if class_name is not None:
        session.conditions.require_by_class()
    y = None if class_name is None else [session.card.class_number(class_name)] * n
    c = session.conditions.for_samples(n, seed, max(n, 256), y, None)
    z = session.prior(max(n, 256), mix(seed, 0))[:n]
    z = z if c is None else torch.cat([z, c.expand(n, -1)], 1)
    return z.to(session.device)


def write_mix(session: Session, path: Path, x: NDArray[Any]) -> Path:
    """A sheet of `mixed` or `mixed_images` (n, 5, C, H, W), a row for each pair."""
    sheet = sample_picture(session.card, x.reshape(-1, *x.shape[2:]), x.shape[1])
    return pictures.write(path, sheet, partial(owned, command="mix"))
