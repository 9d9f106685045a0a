"""The network of a run as what files are put through: see `evenodds.apply.converting` and `evenodds.apply.filling`."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evenodds.apply.answering import conversion_of
from evenodds.data.dataset import Dataset
from evenodds.data.folders.plain import Pictures
from evenodds.data.palette import Palette
from evenodds.data.scale import Numbers
from evenodds.data.sources import load_like
from evenodds.errors import BadInput
from evenodds.files.tensors import digest_of
from evenodds.game.listeners.milestone import EARLIER
from evenodds.runs.layers import numbers_per_pixel
from evenodds.runs.maker import Filler, Maker
from evenodds.runs.session import Session

__all__ = ["filler_of", "has_symmetric_noise", "maker_of", "mixed", "palette_of", "pictures_of"]


def maker_of(session: Session, mix: float | None = None, flips: bool = False, larger: float = 1.0) -> Maker:
    """The run's network.

    Args:
        mix: share of the network that an adversary taught, see `mixed`; None: the run's final network.
        flips: whether labels are those of the mean over each image and its mirror image; see evenodds.tasks.segment.
        larger: how many times as large images are looked at as well; 1 for no more than as they are.

    Raises:
        BadInput: the run makes nothing of images, or does not say what its classes are in files.
    """
    task, conversion = session.task, conversion_of(session)
    if flips:
        task = replace(task, flips=True)  # type: ignore[type-var]
    if larger != 1:
        task = replace(task, larger=larger)  # type: ignore[type-var]
    generator = session.players["generator"] if mix is None else mixed(session, mix)

    @torch.no_grad()
    def compute(x: NDArray[Any]) -> NDArray[Any]:
        source = torch.from_numpy(np.ascontiguousarray(x)).to(session.device, memory_format=torch.channels_last)
        answer = task.answer({"generator": generator}, {"source": source})
        return np.asarray((answer["x"] if "x" in answer else answer["labels"][:, None]).cpu())

    source = session.card.beside.get("source")
    units = session.card.units if source is None or source.units is None else source.units
    multiple = int(getattr(generator, "multiple", 1))
    return Maker(
        task.command,
        f"{_digest(generator)}{' flips' * flips}{f' larger {larger:g}' * (larger != 1)}",
        compute,
        conversion.inputs,
        conversion.outputs,
        conversion.scale,
        conversion.restores,
        getattr(generator, "margin", None),
        multiple,
        larger**2 * numbers_per_pixel(generator, conversion.inputs, multiple, session.device),
        units.scale,
        session.card.classes,
        palette_of(session) if conversion.labels else None,
    )


def palette_of(session: Session) -> Palette:
    """What the classes are in files."""
    palette = session.card.beside["labels"].palette if "labels" in session.card.beside else None
    if palette is None:
        raise BadInput(f"{session.folder} does not say what its classes are in files; train it on files of labels")
    return palette


def mixed(session: Session, share: float) -> nn.Module:
    """Network interpolation, Wang et al. (2018), section 3.4, eq. 4: (1 - share) of the weights of the generator as it
    was when its adversary entered, and share of its final ones."""
    if EARLIER not in session.players:
        raise BadInput(
            "this run has one network, so there is nothing to mix; runs whose adversary enters later have two "
            "(task.adversarial_from above 0, and trained beyond it)"
        )
    if not 0 <= share <= 1:
        raise BadInput(f"a mix lies in [0, 1], 0 the network before its adversary and 1 the final one, got {share:g}")
    before, after = session.players[EARLIER].state_dict(), session.players["generator"].state_dict()
    interpolated = deepcopy(session.players["generator"])
    lerped = {
        name: torch.lerp(before[name], value, share) if value.is_floating_point() else value
        for name, value in after.items()
    }
    interpolated.load_state_dict(lerped)
    return interpolated.eval()


def filler_of(session: Session) -> Filler:
    """A run that fills in; BadInput of another one."""
    if "mask" not in session.task.request_names:
        if session.card.kind == "table":
            raise BadInput("this run fills nothing in; train one with `evenodds train fill-table --data TABLE.csv`")
        raise BadInput("this run fills nothing in; train one with `evenodds train fill-32 --data FOLDER`")
    session.require_no_tables()

    def fill(x: Numbers, mask: Numbers, z: Numbers) -> Numbers:
        request = {"x": torch.from_numpy(x), "mask": torch.from_numpy(mask), "z": torch.from_numpy(z)}
        return session.reply(request)["x"].numpy()

    def read(source: Any, most_pixels: int | None) -> Pictures:
        data = load_like(source, session.card, "the image", most_pixels=most_pixels)
        if data.kind != "image":
            raise BadInput(f"images are filled in, got a {data.kind}; give one image file")
        return pictures_of(data)

    def prior(n: int, seed: int) -> Numbers:
        return session.prior(n, seed).numpy()

    way, symmetric = _digest(session.players["generator"]), has_symmetric_noise(session)
    return Filler(session.folder, way, session.card.shape, fill, prior, read, symmetric)


def has_symmetric_noise(session: Session) -> bool:
    """Whether -z is as likely as z."""
    return bool(getattr(session.latent, "symmetric", False))


def _digest(network: nn.Module) -> str:
    """Twelve digits that tell networks apart by their weights."""
    return digest_of(network.state_dict().values())[:12]


def pictures_of(data: Dataset) -> Pictures:
    """Images of a data set, in memory."""
    data = data.in_memory("the images")
    return Pictures(data.x.numpy(), data.units.scale, data.names, data.report)
