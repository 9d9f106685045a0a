"""A trained run as one file: ONNX, or the archive of torch.export."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput, unknown
from evenodds.export.about import About, about_run
from evenodds.export.entry import ANY_SIZE, BATCH, FILLINGS
from evenodds.export.graphs import Graph, Options, graph_of
from evenodds.export.inside import DIGEST, graph_digest
from evenodds.export.parity import Parity, compared, drawn
from evenodds.export.runtime import opened
from evenodds.files.extras import Missing, needs
from evenodds.files.outputs import owned, require_owned
from evenodds.runs.session import Session

__all__ = ["FORMATS", "Exported", "export"]

LEAST_UNITS = 2
"""Of a side in an archive of torch.export, which asks that a coarsest map is no single row."""
OPSET, IR = 18, 10
"""What runtimes of the last two years read: onnxruntime from 1.20 of November 2024 on."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    about: About
    parity: Parity

    def lines(self) -> list[str]:
        """Plain sentences."""
        about, parity = self.about, self.parity
        entries = ", ".join(map(str, about.inputs)), ", ".join(map(str, about.outputs))
        of = "share of other labels" if about.answers == "segment" else "difference from the run, of [-1, 1],"
        kept = (
            f"The file keeps {about.kept_rows:,} rows of the run's data, which it looks up: whoever gets it gets these "
            "rows."
        )
        return [
            f"{about.answers}: {entries[0]} -> {entries[1]}",
            f"largest {of} {parity.difference:.2g} on {parity.cases} requests (at most {parity.limit:.2g} is allowed)",
            *([kept] if about.kept_rows else []),
        ]


def export(
    session: Session,
    to: str,
    path: Path | None = None,
    options: Options = Options(),  # noqa: B008
    *,
    licence: str | None = None,
    encoder: Callable[[], nn.Module] | None = None,
) -> Exported:
    """Writes a run as one file, and checks that it computes what the run computes before the file takes its place.

    Args:
        to: onnx or pt2.
        path: the file; what this command did not write there is not replaced. None: in the run's folder.
        licence: of the file, as text.
        encoder: gives the run's encoder, for the answer encode.

    Raises:
        BadInput: a part cannot be exported, or the file's answers differ from the run's. Nothing is written then.
    """
    if to not in FORMATS:
        raise unknown("format", to, FORMATS)
    if path is not None:
        require_owned(path, "export")
    session = replace(session, players={k: player.cpu() for k, player in session.players.items()}, device=_CPU)
    graph = graph_of(session, options, encoder)
    path = session.folder / f"{graph.answers}{'-back' * options.back}.{to}" if path is None else path
    require_owned(path, "export")
    full = graph if not options.half else graph_of(session, replace(options, half=False), encoder)
    about = About(
        graph.answers,
        inputs=graph.inputs,
        outputs=graph.outputs,
        half=options.half,
        multiple=graph.multiple,
        **about_run(session, licence, options.back),
    )
    with _needed(), _quiet():
        least = 1 if to == "onnx" else LEAST_UNITS
        program = _traced(session, graph, least)
        with owned(path, "export") as temporary:
            compute = FORMATS[to](program, graph, about, temporary)
            parity = compared(session, graph, full.module, compute, options.half, least)
            parity.require(f"{path.name}")
    return Exported(path, about, parity)


def _traced(session: Session, graph: Graph, least: int) -> Any:
    """The graph as torch.export sees it, for any batch and, where they are free, sides of so many units at least."""
    dim = torch.export.Dim
    axes: dict[str, Any] = {BATCH: dim(BATCH), FILLINGS: dim(FILLINGS)}
    for name in ANY_SIZE:
        axes[name] = dim(name) if graph.multiple == 1 else graph.multiple * dim(f"{name}_units", min=least)
    shapes = tuple({k: axes[side] for k, side in enumerate(one.shape) if side in axes} for one in graph.inputs)
    # A length of 1 is taken for one that is always 1, also that of an image's coarsest map.
    unit = graph.multiple
    inputs = drawn(session, graph, 3, (max(3, -(-32 // unit)) * unit, max(4, -(-48 // unit)) * unit))
    try:
        with torch.no_grad():  # strict: otherwise len(x), which the networks ask for, fixes the batch
            return torch.export.export(_Called(graph.module).eval(), inputs, dynamic_shapes=(shapes,), strict=True)
    except BadInput:
        raise
    except Exception as error:  # torch raises many kinds, and each says what it could not trace
        raise _cannot(graph, error) from error


class _Called(nn.Module):
    """A module whose inputs stand in one tuple, as torch.export names free axes for it, however many there are."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *entries: Tensor) -> Tensor | tuple[Tensor, ...]:
        answer: Tensor | tuple[Tensor, ...] = self.module(*entries)
        return answer


def _cannot(graph: Graph, error: Exception) -> BadInput:
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):  # the first says most
        error = error.__cause__
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return BadInput(f"this run's {graph.answers} cannot be exported, torch.export cannot trace it: {reason[:160]}")


def _onnx(program: Any, graph: Graph, about: About, path: Path) -> Any:
    import onnx

    try:
        exported = torch.onnx.export(
            program,
            (),
            input_names=[one.name for one in graph.inputs],
            output_names=[one.name for one in graph.outputs],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        model = exported.model_proto  # type: ignore[union-attr]
    except Exception as error:
        raise _cannot(graph, error) from error
    _name_axes(model, graph)
    model.ir_version = min(model.ir_version, IR)
    model.producer_name, model.producer_version = "evenodds", about.version
    digest = graph_digest(model.SerializeToString(), path.name)
    onnx.helper.set_model_props(model, {**about.words(), DIGEST: digest})
    content = model.SerializeToString()
    path.write_bytes(content)
    return opened(content).compute


def _name_axes(model: Any, graph: Graph) -> None:
    """Calls free axes batch, height and width, where torch has names such as s27."""
    described = [*model.graph.input, *model.graph.output]
    names = {}
    for value, entry in zip(described, (*graph.inputs, *graph.outputs), strict=True):
        for axis, side in zip(value.type.tensor_type.shape.dim, entry.shape, strict=True):
            if isinstance(side, str) and axis.dim_param:
                names[axis.dim_param] = side
    for value in (*described, *model.graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param in names:
                axis.dim_param = names[axis.dim_param]


def _pt2(program: Any, graph: Graph, about: About, path: Path) -> Any:
    with path.open("wb") as file:
        torch.export.save(program, file, extra_files={"metadata.json": json.dumps(about.words())})
    module = program.module()

    def compute(named: dict[str, Any]) -> list[Any]:
        try:
            with torch.no_grad():
                answer = module(*(torch.from_numpy(named[one.name]) for one in graph.inputs))
        except Exception as error:
            raise _cannot(graph, error) from error
        return [value.numpy() for value in (answer if isinstance(answer, tuple) else (answer,))]

    return compute


FORMATS = {"onnx": _onnx, "pt2": _pt2}
"""The forms of a file, by name."""
_CPU = torch.device("cpu")


@contextmanager
def _needed() -> Iterator[None]:
    """BadInput where a package that exports is not installed."""
    try:
        with needs("export"):
            yield
    except Missing as error:
        raise BadInput(f"nothing was exported: {error.reason}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that torch says on the way, to its own developers, reaches the terminal."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)
