"""Exported files beside their runs: does every recipe export, how far off are the files, how large, and how fast?

Each recipe with its own networks, of random weights, for data of the kind that it is for. ONNX, ONNX in float16 and the
archive of torch.export; the largest difference from the run at batches of 1, 2 and 5, of images of any size at two
sizes, of numbers in [-1, 1], of labels the share of other ones; size in bytes; seconds of a batch of 1 and of 64,
beside those of the run, each the least of several. Images of any size are of 64 x 64 (96 x 96 for networks that need
more).

    python benchmarks/export.py                      # 5 minutes on two idle cores
    python benchmarks/export.py --no-times --recipes ring digits --out try
    python benchmarks/export.py --roundings --recipes colourise inpaint deblur denoise translate --out export_roundings

With --roundings, what rounds in networks of images with noise on all weights: the largest difference of the network
from itself in float32, clipped, of one image of 32 x 32: all of it in float16; all but convolutions in float32; every
layer in float32 and what lies between them in float16; the weights alone rounded.
"""

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.export.graphs import Options, graph_of, possible
from evenodds.export.parity import drawn
from evenodds.export.runtime import opened
from evenodds.export.write import export
from evenodds.files.write import write_json
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.find import names
from evenodds.runs.session import Session

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.stand_ins import data_for, settled

RESULTS = Path(__file__).parent / "results"
FILES = {
    "onnx": ("onnx", Options()),
    "onnx fp16": ("onnx", Options(half=True)),
    "pt2": ("pt2", Options()),
}
BATCHES = (1, 64)
SIDE, LEAST = 64, 3
"""Pixels of a side, or so many of the units that a network needs."""
PATIENCE = 0.5
"""Seconds for which a batch is repeated; it is computed twice at least."""


def session_of(name: str, folder: Path) -> Session:
    """A run of a recipe whose weights are random, those too that begin at 0."""
    config = with_settings(recipe(name), {"device": "cpu", "batch": 4, "held_out": 0.4})
    dataset = data_for(config, images=12)
    session = Run(settled(config, dataset), dataset).session(folder, 0)
    shake(session.players["generator"], everything=possible(session)[0] == "sample")
    return session


@torch.no_grad()
def shake(player: nn.Module, everything: bool) -> None:
    """Gives noise to weights that begin at 0, so that every layer and input counts.

    Args:
        everything: to all others too, so that answers are large. Not of networks that mend or enlarge images: these
            would answer by corrections of 60 and more, which are then clipped to [-1, 1]. Roundings of float16, 0.15 %
            of these, are then as large as the range, and say nothing of trained networks.
    """
    rng = torch.Generator().manual_seed(0)
    for weights in player.parameters():
        if everything or not weights.any():
            spread = weights[0].numel() ** -0.5 if weights.dim() > 1 else 0.1
            weights.add_(spread * torch.randn(weights.shape, generator=rng))


def written(name: str, folder: Path) -> dict[str, Any]:
    """Difference and size of each file of a recipe, or why there is none."""
    torch.set_num_threads(1)
    session, rows = session_of(name, folder), {}
    for kind, (to, options) in FILES.items():
        try:
            exported = export(session, to, folder / f"{name}-{kind}.{to}", options)
        except BadInput as error:
            rows[kind] = {"refused": str(error)}
            continue
        rows[kind] = {"difference": exported.parity.difference, "bytes": exported.path.stat().st_size}
    return rows


def seconds(compute: Callable[[], object]) -> float:
    """The least of several calls."""
    times, until = [], time.perf_counter() + PATIENCE
    while len(times) < 2 or time.perf_counter() < until:
        start = time.perf_counter()
        compute()
        times.append(time.perf_counter() - start)
    return min(times)


def timed(name: str, folder: Path, rows: dict[str, Any]) -> None:
    """Adds the seconds of each batch, of the run and of each file."""
    session = session_of(name, folder)
    graph = graph_of(session, Options())
    side = max(SIDE, LEAST * graph.multiple) // graph.multiple * graph.multiple
    rows["run"] = {}
    for batch in BATCHES:
        inputs = drawn(session, graph, batch, (side, side))
        named = {one.name: value.numpy() for one, value in zip(graph.inputs, inputs, strict=True)}
        with torch.no_grad():
            rows["run"][f"seconds at {batch}"] = seconds(partial(graph.module, *inputs))
        for kind, (to, _) in FILES.items():
            path = folder / f"{name}-{kind}.{to}"
            if not path.is_file():
                continue
            rows[kind][f"seconds at {batch}"] = seconds(_computing(path, to, inputs, named))


def _computing(path: Path, to: str, inputs: Any, named: dict[str, Any]) -> Callable[[], object]:
    if to == "onnx":
        return partial(opened(path.read_bytes()).compute, named)
    module = torch.export.load(path).module()  # this process wrote it

    def compute() -> object:
        with torch.no_grad():
            return module(*inputs)

    return compute


class Full(nn.Module):
    """A layer in float32, among others in float16."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.float()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.float()).half()


def in_half(network: nn.Module, full: Callable[[nn.Module], bool]) -> nn.Module:
    """A copy in float16, with some of its layers in float32."""
    half = deepcopy(network).half()
    for part in list(half.modules()):
        for name, layer in list(part.named_children()):
            if not list(layer.children()) and full(layer):
                setattr(part, name, Full(layer))
    return half


@torch.no_grad()
def roundings(name: str, folder: Path) -> dict[str, Any]:
    """What float16 changes in a network of images with noise on all weights, by what is left in float32."""
    torch.set_num_threads(1)
    session = session_of(name, folder)
    network = session.players["generator"].eval()
    shake(network, everything=True)
    multiple = int(getattr(network, "multiple", 1))
    side, channels = -(-32 // multiple) * multiple, session.task.conversion(session.card.shape).inputs
    x = 2 * torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(0)) - 1
    want = network(x)
    made = {
        "all float16": in_half(network, lambda layer: False)(x.half()),
        "all but convolutions float32": in_half(network, lambda layer: not isinstance(layer, nn.Conv2d))(x.half()),
        "layers float32, float16 between": in_half(network, lambda layer: True)(x.half()),
        "weights float16, all else float32": deepcopy(network).half().float()(x),
    }
    apart = {way: float((y.float().clamp(-1, 1) - want.clamp(-1, 1)).abs().max()) for way, y in made.items()}
    return {"largest number": float(want.abs().max()), **apart}


def table(results: dict[str, Any]) -> str:
    """The results as a table in Markdown."""
    head = ["recipe", "file", "largest difference", "MB", *(f"ms at {batch}" for batch in BATCHES)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, rows in results.items():
        for kind, row in rows.items():
            if "refused" in row:
                lines.append(f"| {name} | {kind} | {row['refused']} | | | |")
                continue
            times = [row.get(f"seconds at {batch}") for batch in BATCHES]
            cells = [
                f"{row['difference']:.1e}" if "difference" in row else "",
                f"{row['bytes'] / 1e6:.2f}" if "bytes" in row else "",
                *("" if one is None else f"{1000 * one:.3g}" for one in times),
            ]
            lines.append(f"| {name} | {kind} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", nargs="*", default=names("recipes"))
    parser.add_argument("--no-times", action="store_true", help="Differences and sizes alone, on a busy machine.")
    parser.add_argument("--out", default="export", help="Name of the results.")
    parser.add_argument("--roundings", action="store_true", help="What rounds in float16, of networks of images.")
    arguments = parser.parse_args()
    if arguments.roundings:
        with TemporaryDirectory() as place:
            found = {name: roundings(name, Path(place)) for name in arguments.recipes}
        write_json(RESULTS / f"{arguments.out}.json", found)
        for name, row in found.items():
            print("|", " | ".join([name, *(f"{value:.2g}" for value in row.values())]), "|")
        return
    with TemporaryDirectory() as place:
        folder = Path(place)
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            rows = pool.map(partial(written, folder=folder), arguments.recipes)
            results = dict(zip(arguments.recipes, rows, strict=True))
        if not arguments.no_times:
            torch.set_num_threads(1)
            for name, of_recipe in results.items():
                timed(name, folder, of_recipe)
        results = {name: dict(sorted(of.items(), key=lambda one: one[0] != "run")) for name, of in results.items()}
    write_json(RESULTS / f"{arguments.out}.json", results)
    differences = [row["difference"] for of in results.values() for row in of.values() if "difference" in row]
    print(table(results))
    print(f"largest difference of all: {np.max(differences):.2g}")


if __name__ == "__main__":
    main()
