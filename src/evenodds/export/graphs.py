"""What a run computes as a function of tensors alone: what is exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.data.units import Units
from evenodds.errors import BadInput, unknown
from evenodds.export.entry import ANY_SIZE, BATCH, FILLINGS, Entry
from evenodds.export.units import FromModel, ToModel
from evenodds.parts.choosing import choices_in
from evenodds.parts.networks._roles import Scores
from evenodds.parts.row_entries import entries_of
from evenodds.runs.session import Session
from evenodds.runs.way_back import way_back
from evenodds.tasks._conditional import one_hot
from evenodds.tasks.fill import complete

__all__ = ["Graph", "Options", "graph_of", "possible"]


@dataclass(frozen=True)
class Options:
    """How a run becomes a graph.

    Args:
        answers: what it does: sample, fill, encode, features, or the task's command; None: the first of `possible`.
        uint8: images go in and come out as bytes in the data's own units; otherwise as float32 in [-1, 1].
        half: the networks compute in float16.
        one_hot: classes are asked for by c (N, K), which may mix them; otherwise by their numbers y (N,).
        back: of a run that learned both ways, the way back; see `evenodds.runs.way_back`.
    """

    answers: str | None = None
    uint8: bool = False
    half: bool = False
    one_hot: bool = False
    back: bool = False


@dataclass(frozen=True)
class Graph:
    """A function of tensors.

    Args:
        module: takes the inputs in their order, and gives the outputs, one tensor or a tuple.
        multiple: what heights and widths are multiples of, where they are free.
    """

    answers: str
    module: nn.Module
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    multiple: int = 1


def possible(session: Session) -> tuple[str, ...]:
    """What a run can be exported for, what it is mainly for first."""
    task = session.task
    if task.conversion(session.card.shape) is not None:
        return (task.command,)
    seen = isinstance(session.players.get("discriminator"), Scores) and task.sees_x_alone
    if not task.draws:
        return (task.command, *(("features",) if seen else ()))
    fills = ("fill",) if "mask" in task.request_names else ()
    return (*(fills or ("sample",)), "encode", *(("features",) if seen else ()))


def graph_of(session: Session, options: Options, encoder: Callable[[], nn.Module] | None = None) -> Graph:
    """The graph of a run.

    Args:
        encoder: gives the run's encoder, where `answers` is encode.

    Raises:
        BadInput: the run answers nothing of that name, its data are not bytes, it is asked for no classes, or it has no
            way back.
    """
    if options.back:
        session = way_back(session)
    choices = possible(session)
    answers = choices[0] if options.answers is None else options.answers
    if answers not in choices:
        raise unknown("answer of this run", answers, choices)
    if options.uint8:
        _require_bytes(session, answers)
    if options.one_hot and not (answers == "sample" and session.conditions.by_class):
        raise BadInput("--one-hot is for samples of runs by class, and this is none; leave it out")
    if answers == "encode":
        if encoder is None:
            raise BadInput("encode needs the run's encoder")
        return _encoding(session, options, encoder())
    fills = _filling_rows if session.card.has_gaps else _filling
    makers = {"sample": _sampling, "fill": fills, "features": _features, "classify": _classifying}
    return makers.get(answers, _converting)(session, options)


def _require_bytes(session: Session, answers: str) -> None:
    units = [session.card.units, *(one.units for one in session.card.beside.values() if one.units is not None)]
    if session.card.kind != "image" or any(one.dtype != "uint8" for one in units):
        raise BadInput(f"--uint8 is for images of 8 bits, this run's data are {units[0].dtype}; leave it out")


class Network(nn.Module):
    """Players in a precision of their own, copied from those of a run."""

    def __init__(self, players: dict[str, nn.Module], half: bool) -> None:
        super().__init__()
        copies = {name: _whole(player) for name, player in players.items()}
        self.players = nn.ModuleDict({name: copy.half() if half else copy for name, copy in copies.items()})
        self.kind = torch.float16 if half else torch.float32


def _whole(player: nn.Module) -> nn.Module:
    """A copy on the CPU, with what the player uses and does not own, such as pretrained features."""
    copy = deepcopy(player).cpu()
    for part in copy.modules():
        carry = getattr(part, "carry", None)
        if carry is not None:
            carry()
    return copy.eval().requires_grad_(False)


def _image(session: Session, name: str, options: Options, units: Units | None = None) -> tuple[Entry, nn.Module]:
    """An item of the run as an input: what it is, and what brings it to [-1, 1]."""
    units = units or session.card.units
    entry = Entry(name, "uint8" if options.uint8 else "float32", (BATCH, *session.card.shape))
    return entry, ToModel(units) if options.uint8 else nn.Identity()


def _end(units: Units, options: Options) -> nn.Module:
    return FromModel(units) if options.uint8 else nn.Identity()


# Sampling -------------------------------------------------------------------------------------------------------------


class Sampler(Network):
    """z (N, latent), with y (N,) or c (N, K), and with a truncation (1,) -> x."""

    def __init__(self, session: Session, options: Options, names: Sequence[str]) -> None:
        generator = {"generator": session.players["generator"]}
        super().__init__(generator, options.half)
        self.task, self.names = session.task, tuple(names)
        self.end = _end(session.card.units, options)

    def forward(self, *entries: Tensor) -> Tensor:
        given = dict(zip(self.names, entries, strict=True))
        generator: Any = self.players["generator"]
        if "truncation" in given:
            generator = generator.truncated(given["truncation"].to(self.kind))
        c = one_hot(given["y"], self.task.condition_length) if "y" in given else given.get("c")
        request = {"z": given["z"].to(self.kind), **({} if c is None else {"c": c})}
        return self.end(self.task.answer({"generator": generator}, request)["x"].float())  # type: ignore[no-any-return]


def _sampling(session: Session, options: Options) -> Graph:
    inputs = [Entry("z", "float32", (BATCH, session.latent.size))]
    if session.conditions.by_class and not options.one_hot:
        inputs.append(Entry("y", "int64", (BATCH,)))
    elif session.task.condition_length:
        inputs.append(Entry("c", "float32", (BATCH, session.task.condition_length)))
    if hasattr(session.players["generator"], "truncated"):
        inputs.append(Entry("truncation", "float32", (1,)))
    output, _ = _image(session, "x", options)
    return Graph("sample", Sampler(session, options, [one.name for one in inputs]), tuple(inputs), (output,))


# Filling in -----------------------------------------------------------------------------------------------------------


class Filler(Network):
    """x (N, C, H, W), mask (N, 1, H, W), z (N, latent) -> x, as it was where the mask is 1."""

    def __init__(self, session: Session, options: Options, start: nn.Module) -> None:
        super().__init__({"generator": session.players["generator"]}, options.half)
        self.start, self.end = start, _end(session.card.units, options)

    def forward(self, x: Tensor, mask: Tensor, z: Tensor) -> Tensor:
        source, observed = self.start(x), mask.float()
        kind = self.kind
        filled = complete(self.players["generator"], source.to(kind), observed.to(kind), z.to(kind), {}).float()
        return self.end(torch.where(observed > 0, source, filled))  # type: ignore[no-any-return]


def _filling(session: Session, options: Options) -> Graph:
    x, start = _image(session, "x", options)
    mask = Entry("mask", x.dtype, (BATCH, 1, *session.card.shape[1:]))
    z = Entry("z", "float32", (BATCH, session.latent.size))
    return Graph("fill", Filler(session, options, start), (x, mask, z), (Entry("filled", x.dtype, x.shape),))


class RowFiller(Network):
    """x (N, E), mask (N, E), z (N, K, choices + latent) -> x (N, K, E), as it was where the mask is 1; and, where
    columns are of words, their probabilities (N, C).

    The first numbers of z draw the words, see `evenodds.tasks.impute`.
    """

    def __init__(self, session: Session, options: Options) -> None:
        super().__init__({"generator": session.players["generator"]}, options.half)
        self.blocks = session.card.row_blocks

    def forward(self, x: Tensor, mask: Tensor, z: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        noise = choices_in(self.blocks)
        observed = torch.where(mask > 0, x, 0.0)
        logits = self._fillings(observed, mask, z[:, :, noise:])
        if not noise:
            return torch.where(mask[:, None] > 0, observed[:, None], logits)
        entries, several = entries_of(self.blocks, x.device), logits.flatten(0, 1)
        drawn = entries.drawn(several, z[:, :, :noise].flatten(0, 1)).view_as(logits)
        shares = entries.log_shares(several).exp().view(len(x), -1, noise).mean(1)
        return torch.where(mask[:, None] > 0, observed[:, None], drawn), shares

    def _fillings(self, x: Tensor, mask: Tensor, z: Tensor) -> Tensor:
        """(N, K, E); a filler of one's own, which has no `fillings`, is given each row K times."""
        generator: Any = self.players["generator"]
        if hasattr(generator, "fillings"):
            return generator.fillings(x, mask, z)  # type: ignore[no-any-return]
        rows = (one[:, None].expand(-1, z.shape[1], -1).flatten(0, 1) for one in (x, mask))
        return generator(*rows, z.flatten(0, 1), None).view(len(x), z.shape[1], -1)  # type: ignore[no-any-return]


def _filling_rows(session: Session, options: Options) -> Graph:
    if options.half:
        raise BadInput(
            "a run that fills tables finds rows that are alike, and in float16 these are others; leave --fp16 out"
        )
    (width,), latent = session.card.units.seen(session.card.shape), session.task.prior
    assert latent is not None
    row = (BATCH, width)
    inputs = (
        Entry("x", "float32", row),
        Entry("mask", "float32", row),
        Entry("z", "float32", (BATCH, FILLINGS, latent.size)),
    )
    outputs = [Entry("filled", "float32", (BATCH, FILLINGS, width))]
    if words := choices_in(session.card.row_blocks):
        outputs.append(Entry("shares", "float32", (BATCH, words)))
    return Graph("fill", RowFiller(session, options), inputs, tuple(outputs))


# Images of images -----------------------------------------------------------------------------------------------------


class Converter(Network):
    """source (N, C, H, W) -> x (N, C', s H, s W), or labels (N, H, W)."""

    def __init__(self, session: Session, options: Options, start: nn.Module) -> None:
        super().__init__({"generator": session.players["generator"]}, options.half)
        self.task, self.start, self.end = session.task, start, _end(session.card.units, options)

    def forward(self, source: Tensor) -> Tensor:
        x = self.start(source).to(self.kind)
        answer = self.task.answer({"generator": self.players["generator"]}, {"source": x})
        if "labels" in answer:
            return answer["labels"].to(torch.uint8)
        return self.end(answer["x"].float())  # type: ignore[no-any-return]


def _converting(session: Session, options: Options) -> Graph:
    conversion = session.task.conversion(session.card.shape)
    assert conversion is not None
    beside = session.card.beside.get("source")
    entry, start = _image(session, "source", options, beside.units if beside is not None else None)
    sides, scale = ANY_SIZE, conversion.scale
    source = Entry("source", entry.dtype, (BATCH, conversion.inputs, *sides))
    larger = tuple(side if scale == 1 else f"{scale}*{side}" for side in sides)
    outputs = Entry("x", entry.dtype, (BATCH, conversion.outputs, *larger))
    if conversion.labels:
        outputs = Entry("labels", "uint8", (BATCH, *sides))
    multiple = int(getattr(session.players["generator"], "multiple", 1))
    module = Converter(session, options, start)
    return Graph(session.task.command, module, (source,), (outputs,), multiple)


# Of x -----------------------------------------------------------------------------------------------------------------


class Inference(Network):
    """x -> z (N, latent) and, of a conditional run, estimates of c (N, K)."""

    def __init__(self, session: Session, options: Options, start: nn.Module, encoder: nn.Module) -> None:
        super().__init__({"encoder": encoder}, options.half)
        self.start, self.latent = start, session.latent.size
        self.conditional = session.task.condition_length > 0

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        out = self.players["encoder"](self.start(x).to(self.kind)).float()
        out = out.view(out.shape[0], -1)
        return (out[:, : self.latent], out[:, self.latent :]) if self.conditional else out


def _encoding(session: Session, options: Options, encoder: nn.Module) -> Graph:
    x, start = _image(session, "x", options)
    outputs = [Entry("z", "float32", (BATCH, session.latent.size))]
    if session.task.condition_length:
        outputs.append(Entry("c", "float32", (BATCH, session.task.condition_length)))
    return Graph("encode", Inference(session, options, start, encoder), (x,), tuple(outputs))


class Classifier(Network):
    """x -> probabilities (N, K) of the classes."""

    def __init__(self, session: Session, options: Options, start: nn.Module) -> None:
        super().__init__({"discriminator": session.players["discriminator"]}, options.half)
        self.start = start

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.players["discriminator"](self.start(x).to(self.kind))
        return logits.float().softmax(1)


def _classifying(session: Session, options: Options) -> Graph:
    x, start = _image(session, "x", options)
    outputs = Entry("probabilities", "float32", (BATCH, len(session.card.classes)))
    return Graph("classify", Classifier(session, options, start), (x,), (outputs,))


class Seen(Network):
    """x -> features (N, F): what the discriminator's last layer sees, the mean over patches where it sees these."""

    def __init__(self, session: Session, options: Options, start: nn.Module) -> None:
        super().__init__({"discriminator": session.players["discriminator"]}, options.half)
        self.start = start

    def forward(self, x: Tensor) -> Tensor:
        hidden: Tensor = self.players["discriminator"](self.start(x).to(self.kind), features=True)[1].float()
        return hidden if hidden.dim() == 2 else hidden.mean(1)


def _features(session: Session, options: Options) -> Graph:
    x, start = _image(session, "x", options)
    module = Seen(session, options, start)
    with torch.no_grad():
        length = module(torch.zeros(2, *session.card.shape, dtype=getattr(torch, x.dtype))).shape[1]
    return Graph("features", module, (x,), (Entry("features", "float32", (BATCH, length)),))
